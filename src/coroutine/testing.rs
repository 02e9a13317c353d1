//! For tests that end their process, or need one of their own: the test runs itself again in a child.

use super::advise::errno;
use super::{Class, Stack, acquire_batch};
use std::process::{Command, Output, Stdio};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

const SCENE: &str = "GORT_TEST_SCENE";

/// Run `scene` in a child process, by way of starting this test binary again for the single test `test` (its
/// full path, crate name included) with `env` added; then `check` what became of the child.
pub(super) fn in_child(test: &str, env: &[(&str, &str)], scene: impl FnOnce(), check: impl FnOnce(&Output)) {
    if std::env::var_os(SCENE).is_some_and(|name| name == test) {
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a live struct. The scenes that crash on purpose leave no core files.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &no_core) };
        return scene();
    }
    let (_, path) = test.split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", path, "--nocapture"])
        .env(SCENE, test)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Only says that it did not hang.
    let give_up = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > give_up {
            child.kill().unwrap();
            panic!("{test} hangs in its child: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    // A wrong path would run nothing, and pass.
    assert!(String::from_utf8_lossy(&output.stdout).contains("running 1 test"), "{test}: {output:?}");
    check(&output);
}

/// Exactly `n` stacks.
pub(super) fn acquire_many(class: Class, n: usize) -> Vec<Stack> {
    let mut stacks = Vec::new();
    while stacks.len() < n {
        let missing = n - stacks.len();
        acquire_batch(class, &mut stacks, missing).unwrap();
    }
    stacks
}

/// Whether the byte at `at` can be read: the kernel is asked to, and says so if it cannot.
pub(super) fn readable(at: *mut u8) -> bool {
    // SAFETY: blocking the signals of a set that the kernel cannot read gives EFAULT; the sets that tests show
    // it are empty, so nothing is blocked.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, at, null_mut::<u64>(), 8) };
    result == 0 || errno() != libc::EFAULT
}
