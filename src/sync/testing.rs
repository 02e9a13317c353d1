//! What the tests of this folder share.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Fails the test if `work` hangs. A minute says only that: the work itself takes no more than seconds.
pub(super) fn within_a_minute(work: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = sender.send(());
    });
    if receiver.recv_timeout(Duration::from_secs(60)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `deed`, which must end the process, in a process of its own that runs the test `name` (its whole path);
/// checks the status and what it says.
pub(super) fn dies(name: &str, message: &str, deed: impl FnOnce()) {
    const DO_IT: &str = "GORT_TEST_DIES";
    if std::env::var_os(DO_IT).is_some() {
        deed();
        return;
    }
    let test = std::env::current_exe().unwrap();
    let output = Command::new(test).args([name, "--exact", "--nocapture"]).env(DO_IT, "1").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

/// xorshift64*: the same numbers every time.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % n
    }

    /// Spin for up to `n` turns.
    pub(super) fn spin(&mut self, n: u64) {
        (0..self.below(n)).for_each(|_| std::hint::spin_loop());
    }
}

/// Fill the memory of an object that is over; `intact` says whether somebody wrote to it afterwards.
///
/// # Safety
/// Nobody has any business with `*object` any more. `T` is at least 16 bytes.
pub(super) unsafe fn poison<T>(object: *mut T) {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::write_bytes(object.cast::<u8>(), 0xA5, size_of::<T>()) };
}

/// # Safety
/// `object` was poisoned and is allocated.
pub(super) unsafe fn intact<T>(object: *mut T) -> bool {
    // SAFETY: the caller's promise. Volatile: a late writer would be another thread.
    (0..size_of::<T>()).all(|i| unsafe { object.cast::<u8>().add(i).read_volatile() } == 0xA5)
}
