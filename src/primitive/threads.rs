//! How many threads the process has, as the kernel counts them.
//!
//! The one thing to know: both ways count, at one instant, every thread that can still run code of the
//! process, from before it runs its first instruction until after its last. Neither allocates, changes `errno`,
//! or is a point at which a thread can be cancelled.

use super::{errno, set_errno};

/// All threads of the process: quick (about a microsecond), but some emulations of Linux do not keep the number.
/// Includes the first thread if that has ended before the others. `None`: unknown.
pub(crate) fn threads_at_a_glance() -> Option<u32> {
    let errno = errno();
    // SAFETY: a live structure that the call fills in, and a path that ends with 0.
    let links = unsafe {
        let mut stat = std::mem::zeroed::<libc::stat>();
        let failed = libc::stat(c"/proc/self/task".as_ptr(), &mut stat) != 0;
        if failed { None } else { Some(stat.st_nlink) }
    };
    set_errno(errno);
    // A directory has two links, and one for each directory in it.
    u32::try_from(links?).ok()?.checked_sub(2)
}

/// All threads of the process that have not ended. `None`: unknown.
pub(crate) fn threads() -> Option<u32> {
    let errno = errno();
    let mut bytes = [0; 1024];
    let stat = read(&mut bytes);
    set_errno(errno);
    parse(stat?)
}

/// `/proc/self/stat`. By `syscall`, since open, read and close are points of cancellation.
fn read(bytes: &mut [u8]) -> Option<&[u8]> {
    // SAFETY: a path that ends with 0; a live buffer of that length; a descriptor that is ours.
    let n = unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let path = c"/proc/self/stat".as_ptr();
        let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags);
        if fd < 0 {
            return None;
        }
        let n = libc::syscall(libc::SYS_read, fd, bytes.as_mut_ptr(), bytes.len());
        libc::syscall(libc::SYS_close, fd);
        n
    };
    bytes.get(..usize::try_from(n).ok()?)
}

/// "number (name) state ..."; the name may be anything. The state is the first thread's, which stays as a zombie
/// if it ends before the others.
fn parse(stat: &[u8]) -> Option<u32> {
    let name = stat.iter().rposition(|&b| b == b')')?;
    let mut fields = std::str::from_utf8(&stat[name + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    threads.checked_sub(u32::from(state == "Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ended_first_is_not_counted() {
        let line = b"123 (a ) b) S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 17 0 99 0\n";
        assert_eq!(parse(line), Some(17));
        let line = b"123 (a) Z 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 17 0 99 0\n";
        assert_eq!(parse(line), Some(16));
        assert_eq!(parse(b"123 (a) S 1"), None);
    }

    #[test]
    fn both_count_every_thread() {
        use std::sync::{Arc, Barrier};
        let barrier = Arc::new(Barrier::new(41));
        let threads_then: Vec<_> = (0..40)
            .map(|_| {
                let barrier = barrier.clone();
                std::thread::spawn(move || barrier.wait())
            })
            .collect();
        assert!(threads().unwrap() > 40);
        assert!(threads_at_a_glance().unwrap() > 40);
        barrier.wait();
        for thread in threads_then {
            thread.join().unwrap();
        }
    }
}
