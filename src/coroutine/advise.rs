//! madvise(2) on many ranges with one system call.
//!
//! The one thing to know: process_madvise(2) takes any advice for the calling process itself since Linux 6.13.
//! Older kernels know only a few kinds, and some containers forbid the call, so everything here can also be
//! done one range at a time.

use std::io::Error;
use std::sync::atomic::{AtomicBool, Ordering};

/// `MADV_GUARD_INSTALL`, Linux 6.13: any access to the range raises SIGSEGV, without a mapping of its own.
pub(super) const GUARD_INSTALL: i32 = 102;

/// The most ranges the kernel takes in one call (`UIO_MAXIOV`).
const MOST: usize = 1024;

/// A range of addresses, as the kernel wants it.
pub(super) fn range(from: *mut u8, to: *mut u8) -> libc::iovec {
    libc::iovec { iov_base: from.cast(), iov_len: to.addr() - from.addr() }
}

/// Give `advice` for all `ranges`, in order; an error says how many have got it, and errno.
///
/// # Safety
/// For each range, `madvise(range, advice)` must be sound.
pub(super) unsafe fn advise_all(ranges: &[libc::iovec], advice: i32) -> Result<(), (usize, i32)> {
    let mut done = 0;
    if ranges.len() > 1 {
        for chunk in ranges.chunks(MOST) {
            // SAFETY: the caller's promise.
            let n = unsafe { advise_together(chunk, advice) };
            done += n;
            if n < chunk.len() {
                break;
            }
        }
    }
    for range in &ranges[done..] {
        // SAFETY: the caller's promise.
        unsafe { advise(range, advice) }.map_err(|errno| (done, errno))?;
        done += 1;
    }
    Ok(())
}

/// One range by madvise(2).
///
/// # Safety
/// As for [`advise_all`].
pub(super) unsafe fn advise(range: &libc::iovec, advice: i32) -> Result<(), i32> {
    loop {
        // SAFETY: the caller's promise.
        if unsafe { libc::madvise(range.iov_base, range.iov_len, advice) } == 0 {
            return Ok(());
        }
        match errno() {
            libc::EINTR | libc::EAGAIN => {}
            errno => return Err(errno),
        }
    }
}

/// As many ranges as process_madvise(2) manages. The rest is for madvise(2), which also finds out why.
///
/// # Safety
/// As for [`advise_all`].
unsafe fn advise_together(ranges: &[libc::iovec], advice: i32) -> usize {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    // Relaxed: a hint, and a thread that misses it merely asks once more.
    if REFUSED.load(Ordering::Relaxed) {
        return 0;
    }
    // A fresh descriptor each time: a kept one could be closed and its number reused by a host that closes
    // "all descriptors", and after fork it would still mean the parent. It is close-on-exec by itself.
    // SAFETY: plain numbers.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    if pidfd < 0 {
        return 0;
    }
    // SAFETY: `ranges` is live for the call; the caller promises what is advised.
    let advised =
        unsafe { libc::syscall(libc::SYS_process_madvise, pidfd, ranges.as_ptr(), ranges.len(), advice, 0) };
    if advised < 0 && matches!(errno(), libc::EINVAL | libc::ENOSYS | libc::EPERM) {
        REFUSED.store(true, Ordering::Relaxed);
    }
    // SAFETY: ours, opened above.
    unsafe { libc::close(pidfd as i32) };
    let mut bytes = usize::try_from(advised).unwrap_or(0);
    // A range that was advised only in part is done again: all advice used here may be repeated.
    ranges
        .iter()
        .take_while(|range| {
            let whole = bytes >= range.iov_len;
            bytes = bytes.saturating_sub(range.iov_len);
            whole
        })
        .count()
}

/// The calling thread's errno.
pub(super) fn errno() -> i32 {
    Error::last_os_error().raw_os_error().unwrap_or(0)
}
