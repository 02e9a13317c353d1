//! Timers and tickers.

use super::chan::gort_chan_t;
use super::goroutine::gort_fn_t;
use crate::time::{self, Timer};
use std::ffi::c_void;
use std::ptr::null_mut;

/// A timer or a ticker, as Go's `time.Timer` and `time.Ticker`. A handle with one reference, which
/// gort_timer_release() gives up.
///
/// A tick is an int64_t: the time, on the clock of gort_now(), at which it was due. It never comes before that.
/// A timer's channel (see gort_timer_chan) is for receiving only: it may be selected on, waited on until a
/// deadline, and retained. As in Go its length and capacity are 0, though a tick that is due stays there until it
/// is received.
#[derive(Debug)]
pub struct gort_timer_t {
    _opaque: [u8; 0],
}

fn core(t: *mut gort_timer_t) -> *mut Timer {
    t.cast()
}

/// Make a channel that yields one tick, an int64_t, after `ns` nanoseconds: Go's `time.After`. `ns <= 0`: at
/// once; `GORT_FOREVER`: never. NULL if there is no memory.
///
/// Does not block. The caller owns the one reference to the channel, and gives it up with
/// `gort_chan_release`, before the tick too: its timer goes with it. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_after(ns: i64) -> *mut gort_chan_t {
    time::after(ns).cast()
}

/// Make a timer that sends one tick on its channel after `ns` nanoseconds: Go's `time.NewTimer`. `ns <= 0`: at
/// once; `GORT_FOREVER`: not before it is reset. NULL if there is no memory.
///
/// Does not block. The caller owns the handle. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_timer_new(ns: i64) -> *mut gort_timer_t {
    Timer::once(ns).cast()
}

/// Make a timer that after `ns` nanoseconds starts a goroutine which runs `fn(arg)`: Go's `time.AfterFunc`.
/// `ns` as for gort_timer_new(). NULL if `fn` is NULL or there is no memory.
///
/// Does not block. The caller owns the handle; `arg` stays the caller's. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_timer_func(ns: i64, fn_: gort_fn_t, arg: *mut c_void) -> *mut gort_timer_t {
    match fn_ {
        Some(call) => Timer::func(ns, call, arg).cast(),
        None => null_mut(),
    }
}

/// Make a ticker, which sends a tick on its channel every `period_ns` nanoseconds: Go's `time.NewTicker`. Ticks
/// are due at whole periods from now on, however late one of them comes. While a tick has not been received,
/// those that follow are dropped. NULL if `period_ns <= 0` or there is no memory.
///
/// Does not block. The caller owns the handle. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_ticker_new(period_ns: i64) -> *mut gort_timer_t {
    if period_ns <= 0 {
        return null_mut();
    }
    Timer::ticker(period_ns).cast()
}

/// The channel on which `t` sends its ticks: Go's `t.C`. NULL for NULL and for a timer of gort_timer_func().
///
/// Does not block. The channel is borrowed: it stays as long as the handle, or longer if it is retained. Since
/// 0.1.
///
/// # Safety
/// `t` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_timer_chan(t: *mut gort_timer_t) -> *mut gort_chan_t {
    // SAFETY: the caller's promise.
    if t.is_null() { null_mut() } else { unsafe { Timer::chan(core(t)) }.cast() }
}

/// Let `t` fire no more until it is reset. No receive that begins after this call gets a tick from before it. A
/// function that has been started is not waited for.
///
/// Does not block.
/// True: it was active, or its tick had not been received. False: it had expired, or was stopped, or `t` is
/// NULL. Since 0.1.
///
/// # Safety
/// `t` is NULL or a handle of the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_timer_stop(t: *mut gort_timer_t) -> bool {
    // SAFETY: the caller's promise.
    !t.is_null() && unsafe { Timer::stop(core(t)) }
}

/// Let `t` fire `ns` nanoseconds from now, whether it is active, stopped or has expired; a ticker, every `ns`
/// nanoseconds from now on. `ns` as for gort_timer_new(). No receive that begins after this call gets a tick
/// from before it.
///
/// Does not block. For a ticker `ns <= 0` changes nothing and returns false.
/// True: it was active, or its tick had not been received. False: it had expired, or was stopped, or `t` is
/// NULL. Since 0.1.
///
/// # Safety
/// `t` is NULL or a handle of the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_timer_reset(t: *mut gort_timer_t, ns: i64) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if t.is_null() || (ns <= 0 && Timer::is_ticker(core(t))) {
            return false;
        }
        Timer::reset(core(t), ns)
    }
}

/// Give up the handle. NULL does nothing. A timer of gort_timer_func() that is active still fires. Any other
/// goes on as long as somebody holds a reference to its channel, and then goes away.
///
/// Does not block. `t` must not be used any more. Since 0.1.
///
/// # Safety
/// `t` is NULL or a handle that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_timer_release(t: *mut gort_timer_t) {
    if !t.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Timer::release(core(t)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_refused_or_means_nothing() {
        let none = null_mut();
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(gort_timer_func(0, None, null_mut()).is_null());
            assert!(gort_timer_chan(none).is_null());
            assert!(!gort_timer_stop(none));
            assert!(!gort_timer_reset(none, 1));
            gort_timer_release(none);
        }
        assert!(gort_ticker_new(0).is_null());
        assert!(gort_ticker_new(-1).is_null());
        assert!(gort_ticker_new(i64::MIN).is_null());
    }
}
