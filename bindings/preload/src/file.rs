//! read, write, readv and writev: on sockets as recv and send, on pipes, terminals and the like by means of this file.
//!
//! The one thing to know: what can never be waited for (regular files, directories, disks) goes straight to libc.
//! The rest is tried with `RWF_NOWAIT`, which is about one call alone, as `MSG_DONTWAIT` is. Pipes know it since
//! Linux 6.4; what does not is read and written when `poll` calls it ready, by one goroutine at a time
//! (`turn.rs`).

use crate::call::{Call, Wait};
use crate::errno::{Outcome, answer, outcome, set_errno};
use crate::{message, real, runtime, socket, turn};
use core::ffi::{c_int, c_void};
use core::mem::zeroed;
use libc::{EAGAIN, ENOTSOCK, POLLERR, POLLIN, POLLOUT, iovec, msghdr, ssize_t};

pub(crate) unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, size: usize) -> ssize_t {
    if size == 0 {
        // SAFETY: what the program gave us.
        return unsafe { real::read()(fd, buffer, size) };
    }
    let call = Call::new(fd);
    let before = call.errno;
    // SAFETY: what the program gave us.
    let received = socket::receive(call, 0, size, |fd, flags, _| {
        // SAFETY: what the program gave us.
        outcome(unsafe { real::recv()(fd, buffer, size, flags) })
    });
    if received != Err(ENOTSOCK) {
        return answer(received, before);
    }
    set_errno(before);
    let piece = iovec { iov_base: buffer, iov_len: size };
    let really = |fd| {
        // SAFETY: what the program gave us.
        unsafe { real::read()(fd, buffer, size) }
    };
    read_file(fd, &piece, 1, really)
}

pub(crate) unsafe extern "C" fn readv(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t {
    let really = |fd| {
        // SAFETY: what the program gave us.
        unsafe { real::readv()(fd, pieces, count) }
    };
    // SAFETY: what the program gave us.
    if unsafe { total(pieces, count) } == 0 {
        return really(fd);
    }
    let call = Call::new(fd);
    let before = call.errno;
    // SAFETY: all 0 is a message about nothing.
    let mut whole: msghdr = unsafe { zeroed() };
    whole.msg_iov = pieces.cast_mut();
    whole.msg_iovlen = count as usize;
    // SAFETY: what the program gave us.
    let received = unsafe { message::receive_message(call, &mut whole, 0) };
    if received != Err(ENOTSOCK) {
        return answer(received, before);
    }
    set_errno(before);
    read_file(fd, pieces, count, really)
}

pub(crate) unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: usize) -> ssize_t {
    if size == 0 {
        // SAFETY: what the program gave us.
        return unsafe { real::write()(fd, buffer, size) };
    }
    let call = Call::new(fd);
    let before = call.errno;
    let sent = socket::transmit(call, 0, size, |fd, flags, done| {
        // SAFETY: what the program gave us; `done` bytes have been sent before, no more than `size`.
        outcome(unsafe { real::send()(fd, buffer.wrapping_byte_add(done), size - done, flags) })
    });
    if sent != Err(ENOTSOCK) {
        return answer(sent, before);
    }
    set_errno(before);
    let piece = iovec { iov_base: buffer.cast_mut(), iov_len: size };
    let really = |fd| {
        // SAFETY: what the program gave us.
        unsafe { real::write()(fd, buffer, size) }
    };
    // SAFETY: one piece.
    unsafe { write_file(fd, &piece, 1, really) }
}

pub(crate) unsafe extern "C" fn writev(fd: c_int, pieces: *const iovec, count: c_int) -> ssize_t {
    let really = |fd| {
        // SAFETY: what the program gave us.
        unsafe { real::writev()(fd, pieces, count) }
    };
    // SAFETY: what the program gave us.
    if unsafe { total(pieces, count) } == 0 {
        return really(fd);
    }
    let call = Call::new(fd);
    let before = call.errno;
    // SAFETY: all 0 is a message about nothing.
    let mut whole: msghdr = unsafe { zeroed() };
    whole.msg_iov = pieces.cast_mut();
    whole.msg_iovlen = count as usize;
    // SAFETY: what the program gave us.
    let sent = unsafe { message::send_message(call, &whole, 0) };
    if sent != Err(ENOTSOCK) {
        return answer(sent, before);
    }
    set_errno(before);
    // SAFETY: what the program gave us.
    unsafe { write_file(fd, pieces, count, really) }
}

/// The bytes in `pieces`; 0 too if there cannot be so many pieces.
///
/// # Safety
/// There are as many pieces as said.
unsafe fn total(pieces: *const iovec, count: c_int) -> usize {
    if pieces.is_null() || !(1..=libc::UIO_MAXIOV).contains(&count) {
        return 0;
    }
    // SAFETY: the caller's promise.
    let pieces = unsafe { core::slice::from_raw_parts(pieces, count as usize) };
    pieces.iter().fold(0, |sum, piece| sum.wrapping_add(piece.iov_len))
}

/// Something that is not a socket, and that one may have to wait for.
struct Stream {
    is_pipe: bool,
    /// The same for all fds that refer to it.
    number: u64,
}

/// `None`: leave it to libc. `refused`: an fd that was opened so cannot do what is wanted, and the call fails at once.
fn stream(fd: c_int, refused: c_int) -> Option<Stream> {
    // SAFETY: no memory is concerned.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags == -1 || flags & libc::O_NONBLOCK != 0 || flags & libc::O_ACCMODE == refused {
        return None;
    }
    // SAFETY: all 0 is a status; the place is one.
    let (status, known) = unsafe {
        let mut status: libc::stat = zeroed();
        let known = libc::fstat(fd, &mut status) == 0;
        (status, known)
    };
    let kind = status.st_mode & libc::S_IFMT;
    // 0: an eventfd, a timerfd and their like, which are all one inode.
    let waits = matches!(kind, libc::S_IFIFO | libc::S_IFCHR | 0);
    (known && waits).then_some(Stream { is_pipe: kind == libc::S_IFIFO, number: status.st_ino })
}

fn read_file(fd: c_int, pieces: *const iovec, count: c_int, really: impl Fn(c_int) -> ssize_t) -> ssize_t {
    let Some(stream) = stream(fd, libc::O_WRONLY) else { return really(fd) };
    let mut call = Call::new(fd);
    let before = call.errno;
    let mut knows_nowait = true;
    let result = loop {
        if knows_nowait && !call.is_vain() {
            match now(libc::SYS_preadv2, call.fd(), pieces, count) {
                Err(EAGAIN) => {}
                // Not on this file, not by this kernel, not in this sandbox; or it is an error that the ordinary call
                // finds too.
                Err(_) => {
                    knows_nowait = false;
                    continue;
                }
                done => break done,
            }
        } else if !runtime::may_park() {
            break outcome(really(call.fd()));
        } else {
            call.pin();
            let number = stream.number;
            let fd = call.fd();
            if let Some(done) = turn::take(call.calls, number, fd, POLLIN.into(), || outcome(really(fd))) {
                break done;
            }
        }
        match call.wait(POLLIN.into(), libc::SO_RCVTIMEO) {
            Wait::Ready(_) => {}
            Wait::TimedOut | Wait::Impossible => break outcome(really(call.fd())),
        }
    };
    drop(call);
    answer(result, before)
}

/// # Safety
/// There are as many pieces as said.
unsafe fn write_file(
    fd: c_int,
    pieces: *const iovec,
    count: c_int,
    really: impl Fn(c_int) -> ssize_t,
) -> ssize_t {
    let Some(stream) = stream(fd, libc::O_RDONLY) else { return really(fd) };
    let mut call = Call::new(fd);
    let before = call.errno;
    // SAFETY: the caller's promise.
    let size = unsafe { total(pieces, count) };
    let mut knows_nowait = stream.is_pipe;
    let mut done = 0;
    let result = loop {
        if (!stream.is_pipe || !knows_nowait) && !runtime::may_park() {
            break if done == 0 { outcome(really(call.fd())) } else { Ok(done) };
        }
        let moved = if !stream.is_pipe {
            // Devices take messages, which must not be cut.
            call.pin();
            let fd = call.fd();
            turn::take(call.calls, stream.number, fd, POLLOUT.into(), || outcome(really(fd)))
        } else {
            // SAFETY: the caller's promise; `done` is less than `size`.
            let (piece, more) = unsafe { piece_at(pieces, count, done) };
            let all = done == 0 && size <= libc::PIPE_BUF;
            let atomic = all && more;
            let moved = if knows_nowait && !call.is_vain() {
                match if atomic {
                    now(libc::SYS_pwritev2, call.fd(), pieces, count)
                } else {
                    now(libc::SYS_pwritev2, call.fd(), &piece, 1)
                } {
                    Err(EAGAIN) => None,
                    Err(_) => {
                        knows_nowait = false;
                        continue;
                    }
                    moved => Some(moved),
                }
            } else {
                call.pin();
                let fd = call.fd();
                // A pipe that poll calls writable has room for so much.
                let part = iovec { iov_len: piece.iov_len.min(libc::PIPE_BUF), ..piece };
                turn::take(call.calls, stream.number, fd, POLLOUT.into(), || {
                    // SAFETY: the program's pieces, or a part of one.
                    outcome(unsafe {
                        if atomic {
                            real::writev()(fd, pieces, count)
                        } else {
                            real::write()(fd, part.iov_base, part.iov_len)
                        }
                    })
                })
            };
            match moved {
                Some(Ok(n)) => {
                    done += n;
                    call.progress();
                    if done < size {
                        continue;
                    }
                    Some(Ok(done))
                }
                // The error is for the next call.
                Some(Err(_)) if done != 0 => Some(Ok(done)),
                moved => moved,
            }
        };
        if let Some(moved) = moved {
            break moved;
        }
        match call.wait(POLLOUT.into(), libc::SO_SNDTIMEO) {
            Wait::Ready(events) if done != 0 && events & c_int::from(POLLERR) != 0 => break Ok(done),
            Wait::Ready(_) => {}
            Wait::TimedOut | Wait::Impossible if done == 0 => break outcome(really(call.fd())),
            Wait::TimedOut | Wait::Impossible => break Ok(done),
        }
    };
    drop(call);
    answer(result, before)
}

/// What is left of the piece that the byte at `offset` is in; and are there others behind it?
///
/// # Safety
/// There are as many pieces as said, and more bytes in them than `offset`.
unsafe fn piece_at(pieces: *const iovec, count: c_int, mut offset: usize) -> (iovec, bool) {
    // SAFETY: the caller's promise.
    let pieces = unsafe { core::slice::from_raw_parts(pieces, count as usize) };
    for (i, piece) in pieces.iter().enumerate() {
        if offset < piece.iov_len {
            let rest =
                iovec { iov_base: piece.iov_base.wrapping_byte_add(offset), iov_len: piece.iov_len - offset };
            return (rest, i + 1 < pieces.len());
        }
        offset -= piece.iov_len;
    }
    (iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }, false)
}

/// preadv2 or pwritev2, now or not at all.
fn now(call: libc::c_long, fd: c_int, pieces: *const iovec, count: c_int) -> Outcome {
    // The place in the file: where it is. The kernel takes it in two halves on some machines.
    let here: libc::c_long = -1;
    // SAFETY: pieces that the program gave us for such a call.
    outcome(unsafe { libc::syscall(call, fd, pieces, count, here, here, libc::RWF_NOWAIT) } as isize)
}
