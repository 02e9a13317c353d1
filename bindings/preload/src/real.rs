//! libc's own functions, or those of whoever else was preloaded: what our names stand before.
//!
//! The one thing to know: they are found when we are loaded, so that no call ever has to. For a call that comes before
//! (from a constructor of another library) `runtime::is_inside` has them found.

use crate::runtime;
use core::ffi::{CStr, c_int, c_uint, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering};
use libc::{
    clockid_t, fd_set, iovec, msghdr, nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t,
    timespec, timeval, useconds_t,
};

macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) -> $result:ty;)*) => {
        /// Where they are; 0: not looked for yet, or not there.
        #[allow(non_upper_case_globals)] // named as the functions
        pub(crate) mod at {
            use super::AtomicUsize;
            $(pub(crate) static $name: AtomicUsize = AtomicUsize::new(0);)*
        }

        /// Find them all.
        fn find_all() {
            $(find(&at::$name, concat!(stringify!($name), "\0"));)*
        }

        $(
            /// libc's.
            pub(crate) fn $name() -> unsafe extern "C" fn($($arg),*) -> $result {
                // SAFETY: what libc has by this name has this type.
                unsafe { transmute::<usize, unsafe extern "C" fn($($arg),*) -> $result>(address(&at::$name)) }
            }
        )*
    };
}

functions! {
    read: fn(c_int, *mut c_void, size_t) -> ssize_t;
    write: fn(c_int, *const c_void, size_t) -> ssize_t;
    readv: fn(c_int, *const iovec, c_int) -> ssize_t;
    writev: fn(c_int, *const iovec, c_int) -> ssize_t;
    recv: fn(c_int, *mut c_void, size_t, c_int) -> ssize_t;
    recvfrom: fn(c_int, *mut c_void, size_t, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t;
    recvmsg: fn(c_int, *mut msghdr, c_int) -> ssize_t;
    send: fn(c_int, *const c_void, size_t, c_int) -> ssize_t;
    sendto: fn(c_int, *const c_void, size_t, c_int, *const sockaddr, socklen_t) -> ssize_t;
    sendmsg: fn(c_int, *const msghdr, c_int) -> ssize_t;
    connect: fn(c_int, *const sockaddr, socklen_t) -> c_int;
    accept: fn(c_int, *mut sockaddr, *mut socklen_t) -> c_int;
    accept4: fn(c_int, *mut sockaddr, *mut socklen_t, c_int) -> c_int;
    poll: fn(*mut pollfd, nfds_t, c_int) -> c_int;
    ppoll: fn(*mut pollfd, nfds_t, *const timespec, *const sigset_t) -> c_int;
    select: fn(c_int, *mut fd_set, *mut fd_set, *mut fd_set, *mut timeval) -> c_int;
    pselect: fn(c_int, *mut fd_set, *mut fd_set, *mut fd_set, *const timespec, *const sigset_t) -> c_int;
    nanosleep: fn(*const timespec, *mut timespec) -> c_int;
    clock_nanosleep: fn(clockid_t, c_int, *const timespec, *mut timespec) -> c_int;
    usleep: fn(useconds_t) -> c_int;
    sleep: fn(c_uint) -> c_uint;
    __read_chk: fn(c_int, *mut c_void, size_t, size_t) -> ssize_t;
    __recv_chk: fn(c_int, *mut c_void, size_t, size_t, c_int) -> ssize_t;
    __recvfrom_chk: fn(c_int, *mut c_void, size_t, size_t, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t;
    __poll_chk: fn(*mut pollfd, nfds_t, c_int, size_t) -> c_int;
    __ppoll_chk: fn(*mut pollfd, nfds_t, *const timespec, *const sigset_t, size_t) -> c_int;
}

fn find(place: &AtomicUsize, name: &str) {
    let Ok(name) = CStr::from_bytes_with_nul(name.as_bytes()) else { return };
    // SAFETY: a name.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    // A libc that does not have this function: nobody calls it, as no program that does would start.
    let found = if found.is_null() { libc::abort as *const () as usize } else { found as usize };
    place.store(found, Ordering::Release);
}

fn address(place: &AtomicUsize) -> usize {
    place.load(Ordering::Relaxed)
}

/// Find them, if that was not done. Several threads may: they find the same.
pub(crate) fn make_sure() {
    // The last one. Acquire pairs with the Release in `find`.
    if at::__ppoll_chk.load(Ordering::Acquire) == 0 {
        find_all();
    }
}

/// Run when the library is loaded.
extern "C" fn loaded() {
    make_sure();
    crate::hold::watch_forks();
    runtime::open();
}

#[used]
#[unsafe(link_section = ".init_array")]
static LOADED: extern "C" fn() = loaded;
