//! Pointers that the kernel keeps for the process, and gives back to it later.
//!
//! The one thing to know: what a thread waits for may be known to nobody but the kernel. An event loop registers
//! its connection with epoll and gets the pointer back with the event; a POSIX timer does the same. Both can be
//! asked for. What has been submitted to io_uring or the older asynchronous I/O cannot: where a process uses those,
//! nothing can be said, and nobody is named.

use super::freeze::{Fd, Path};
use super::memory::hex;
use super::scratch::Errno;

/// Call `f` for every pointer that the kernel keeps.
pub(super) fn for_each_pointer(mut f: impl FnMut(usize)) -> Result<(), Errno> {
    let mut buffer = [0u8; 8192];
    // Not there in every kernel.
    if let Ok(timers) = Fd::open(Path::new().text(b"/proc/self/timers\0")) {
        each_line(&timers, &mut buffer, |line| {
            // signal: 14/00007ffe12345678
            if let Some(value) = line.strip_prefix(b"signal: ")
                && let Some(slash) = value.iter().position(|&b| b == b'/')
                && let Some(pointer) = hex(&value[slash + 1..])
            {
                f(pointer);
            }
        })?;
    }
    each_fd(|fd| {
        let mut name = [0u8; 64];
        let mut path = Path::new();
        path.text(b"/proc/thread-self/fd/").number(fd).text(b"\0");
        // SAFETY: a NUL-terminated path and a live buffer.
        let n = unsafe { libc::readlink(path.as_ptr(), name.as_mut_ptr().cast(), name.len()) };
        match &name[..n.max(0) as usize] {
            b"anon_inode:[io_uring]" => Err(libc::ENOTSUP),
            b"anon_inode:[eventpoll]" => {
                let mut path = Path::new();
                path.text(b"/proc/thread-self/fdinfo/").number(fd).text(b"\0");
                each_line(&Fd::open(&path)?, &mut buffer, |line| {
                    // tfd:        5 events:       19 data:     7ffe12345678  pos:0 ino:...
                    let mut fields = line.split(|&b| b == b' ').filter(|field| !field.is_empty());
                    if fields.any(|field| field == b"data:")
                        && let Some(pointer) = fields.next().and_then(hex)
                    {
                        f(pointer);
                    }
                })
            }
            _ => Ok(()),
        }
    })
}

fn each_fd(mut f: impl FnMut(u32) -> Result<(), Errno>) -> Result<(), Errno> {
    let directory = Fd::open(Path::new().text(b"/proc/thread-self/fd\0"))?;
    directory.each_number(|fd| f(fd as u32))
}

/// Lines longer than the buffer are cut into several.
fn each_line(file: &Fd, buffer: &mut [u8], mut f: impl FnMut(&[u8])) -> Result<(), Errno> {
    let mut len = 0;
    loop {
        // SAFETY: within the buffer.
        let n = unsafe { libc::read(file.0, buffer[len..].as_mut_ptr().cast(), buffer.len() - len) };
        if n < 0 {
            return Err(crate::primitive::errno());
        }
        len += n as usize;
        let mut from = 0;
        while let Some(end) = buffer[from..len].iter().position(|&b| b == b'\n') {
            f(&buffer[from..from + end]);
            from += end + 1;
        }
        if n == 0 || from == 0 && len == buffer.len() {
            f(&buffer[from..len]);
            from = len;
        }
        buffer.copy_within(from..len, 0);
        len -= from;
        if n == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_epoll_and_timers_will_give_back_is_found() {
        // SAFETY: plain system calls with live arguments.
        unsafe {
            let epoll = libc::epoll_create1(0);
            let event = libc::eventfd(0, 0);
            let mut what = libc::epoll_event { events: 1, u64: 0x1234_5678_9abc };
            assert_eq!(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, event, &mut what), 0);
            let mut when: libc::sigevent = std::mem::zeroed();
            when.sigev_notify = libc::SIGEV_NONE;
            when.sigev_value.sival_ptr = 0x2345_6789_abcd as *mut _;
            let mut timer: libc::timer_t = std::mem::zeroed();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut when, &mut timer), 0);
            let mut found = Vec::new();
            for_each_pointer(|pointer| found.push(pointer)).unwrap();
            assert!(found.contains(&0x1234_5678_9abc), "{found:x?}");
            if std::path::Path::new("/proc/self/timers").exists() {
                assert!(found.contains(&0x2345_6789_abcd), "{found:x?}");
            }
            libc::timer_delete(timer);
            libc::close(event);
            libc::close(epoll);
        }
    }
}
