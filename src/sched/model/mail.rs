//! The mailbox: every processor that is sent arrives, once, as its sender left it, whatever pokes come.
//!
//! The real [`Mailbox`]; a futex wait is a yield. The broken ones are written out here.

use crate::primitive::FOREVER;
use crate::sched::mail::Mailbox;
use crate::sched::threads_only::{ring, sleep_by, the_bell};
use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// A mailbox, real or broken.
trait Mail: Send + Sync + 'static {
    fn new() -> Self;
    fn deliver(&self, parcel: Proc);
    fn poke(&self);
    /// As `Worker::take_mail`.
    fn take(&self) -> Option<Proc>;
    fn sleep(&self);
    /// As `Worker::sleep_with`.
    fn sleep_by(&self, bell: i32);
}

/// A processor on its way: the sender writes to it before it sends it, the owner when it has it.
struct Proc(&'static UnsafeCell<u32>);

// SAFETY: whether it is touched by one at a time is what the models check.
unsafe impl Send for Proc {}

impl Proc {
    fn new() -> (Proc, Proc) {
        let cell: &'static UnsafeCell<u32> = Box::leak(Box::new(UnsafeCell::new(0)));
        (Proc(cell), Proc(cell))
    }

    fn touch(&self) {
        // SAFETY: as above.
        self.0.with_mut(|n| unsafe { *n += 1 });
    }
}

impl Mail for Mailbox<Proc> {
    fn new() -> Self {
        Mailbox::new()
    }

    fn deliver(&self, parcel: Proc) {
        // SAFETY: the models have one sender at a time.
        unsafe { Mailbox::deliver(self, parcel) }
    }

    fn poke(&self) {
        Mailbox::poke(self);
    }

    fn take(&self) -> Option<Proc> {
        // SAFETY: called by the model's owner only.
        unsafe { Mailbox::take(self) }
    }

    fn sleep(&self) {
        Mailbox::sleep(self, FOREVER);
    }

    fn sleep_by(&self, bell: i32) {
        if self.listen(bell) {
            sleep_by(bell);
            self.stop_listening();
        }
    }
}

const EARLY: u32 = 0;
const CLEARS_BLINDLY: u32 = 1;
const RELAXED: u32 = 2;

/// `EARLY`: says that there is a parcel before it has put it in. `CLEARS_BLINDLY`: looks, then clears. `RELAXED`:
/// the word does not carry the parcel's contents along.
struct Broken<const BUG: u32> {
    word: AtomicU32,
    /// A lock of `std`, which loom does not see and which therefore orders nothing in the model.
    parcel: std::sync::Mutex<Option<Proc>>,
}

impl<const BUG: u32> Broken<BUG> {
    fn put(&self, parcel: Proc) {
        *self.parcel.lock().unwrap() = Some(parcel);
    }
}

impl<const BUG: u32> Mail for Broken<BUG> {
    fn new() -> Self {
        Broken { word: AtomicU32::new(0), parcel: std::sync::Mutex::new(None) }
    }

    fn deliver(&self, parcel: Proc) {
        if BUG == EARLY {
            self.word.fetch_or(1, Ordering::Release);
            // For loom to let others run here.
            self.word.load(Ordering::Relaxed);
            self.put(parcel);
        } else {
            self.put(parcel);
            self.word.fetch_or(1, if BUG == RELAXED { Ordering::Relaxed } else { Ordering::Release });
        }
    }

    fn poke(&self) {
        self.word.fetch_or(2, Ordering::Release);
    }

    fn take(&self) -> Option<Proc> {
        let seen = if BUG == CLEARS_BLINDLY {
            let seen = self.word.load(Ordering::Acquire);
            self.word.store(0, Ordering::Relaxed);
            seen
        } else {
            self.word.swap(0, Ordering::Acquire)
        };
        if seen & 1 == 0 {
            return None;
        }
        let parcel = self.parcel.lock().unwrap().take();
        assert!(parcel.is_some(), "the mail says PROC and there is no processor");
        parcel
    }

    fn sleep(&self) {
        thread::yield_now();
    }

    fn sleep_by(&self, _: i32) {
        thread::yield_now();
    }
}

const LISTENS_BLINDLY: u32 = 0;
const RINGS_NOBODY: u32 = 1;
const STOPS_BLINDLY: u32 = 2;

/// `LISTENS_BLINDLY`: says that it sleeps by the bell without a look for mail. `RINGS_NOBODY`: who sends looks first
/// whether the owner listens, and then puts its bit. `STOPS_BLINDLY`: mail that came meanwhile is wiped out.
struct BadListener<const BUG: u32> {
    mail: Mailbox<Proc>,
    word: AtomicU32,
}

impl<const BUG: u32> BadListener<BUG> {
    fn announce(&self, bit: u32) {
        if BUG == RINGS_NOBODY {
            let listens = self.word.load(Ordering::Acquire) & 4 != 0;
            self.word.fetch_or(bit, Ordering::Release);
            if listens {
                ring(0);
            }
        } else if self.word.fetch_or(bit, Ordering::Release) & 4 != 0 {
            ring(0);
        }
    }
}

impl<const BUG: u32> Mail for BadListener<BUG> {
    fn new() -> Self {
        BadListener { mail: Mailbox::new(), word: AtomicU32::new(0) }
    }

    fn deliver(&self, parcel: Proc) {
        // Where the parcel lies is not what is wrong here.
        // SAFETY: the models have one sender at a time.
        unsafe { self.mail.deliver(parcel) };
        self.announce(1);
    }

    fn poke(&self) {
        self.announce(2);
    }

    fn take(&self) -> Option<Proc> {
        if self.word.swap(0, Ordering::AcqRel) & 1 == 0 {
            return None;
        }
        // SAFETY: called by the model's owner only.
        unsafe { self.mail.take() }
    }

    fn sleep(&self) {
        thread::yield_now();
    }

    fn sleep_by(&self, bell: i32) {
        if BUG == LISTENS_BLINDLY {
            self.word.store(4, Ordering::Release);
        } else if self.word.compare_exchange(0, 4, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        sleep_by(bell);
        if BUG == STOPS_BLINDLY {
            self.word.store(0, Ordering::Release);
        } else {
            self.word.fetch_and(3, Ordering::AcqRel);
        }
    }
}

/// A sender, somebody who pokes, and the owner. Once the owner waits again, the sender has another processor.
fn two_processors<M: Mail>(by_bell: bool) {
    loom::model(move || {
        let bell = the_bell();
        // Leaked: a model that deadlocks must not meet the loom again while it unwinds.
        let mail: &'static M = Box::leak(Box::new(M::new()));
        let waits_again: &'static Mutex<bool> = Box::leak(Box::new(Mutex::new(false)));
        let (first, first_sent) = Proc::new();
        let (second, second_sent) = Proc::new();
        let sender = {
            thread::spawn(move || {
                first_sent.touch();
                mail.deliver(first_sent);
                let waits = *waits_again.lock().unwrap();
                if waits {
                    second_sent.touch();
                    mail.deliver(second_sent);
                }
                waits
            })
        };
        let poker = thread::spawn(move || mail.poke());
        loop {
            if let Some(proc) = mail.take() {
                assert!(std::ptr::eq(proc.0, first.0));
                proc.touch();
                break;
            }
            if by_bell {
                mail.sleep_by(bell);
            } else {
                mail.sleep();
            }
        }
        *waits_again.lock().unwrap() = true;
        let sent = sender.join().unwrap();
        poker.join().unwrap();
        match mail.take() {
            Some(proc) => {
                assert!(sent && std::ptr::eq(proc.0, second.0));
                proc.touch();
            }
            None => assert!(!sent, "a processor was lost"),
        }
    });
}

#[test]
fn model_mail_arrives_once() {
    two_processors::<Mailbox<Proc>>(false);
}

#[test]
fn model_mail_arrives_where_the_owner_sleeps_by_a_bell() {
    two_processors::<Mailbox<Proc>>(true);
}

#[test]
#[should_panic]
fn model_listening_without_a_look_loses_mail() {
    two_processors::<BadListener<LISTENS_BLINDLY>>(true);
}

#[test]
#[should_panic]
fn model_mail_that_does_not_see_the_listener_rings_nobody() {
    two_processors::<BadListener<RINGS_NOBODY>>(true);
}

#[test]
#[should_panic]
fn model_mail_wiped_out_at_the_end_of_the_sleep_is_lost() {
    two_processors::<BadListener<STOPS_BLINDLY>>(true);
}

#[test]
#[should_panic(expected = "there is no processor")]
fn model_mail_announced_too_early() {
    two_processors::<Broken<EARLY>>(false);
}

#[test]
#[should_panic]
fn model_mail_cleared_without_a_look_is_lost() {
    two_processors::<Broken<CLEARS_BLINDLY>>(false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_mail_with_a_relaxed_word_is_seen_half_written() {
    two_processors::<Broken<RELAXED>>(false);
}
