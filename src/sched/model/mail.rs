//! The mailbox: every processor that is sent arrives, once, as its sender left it, whatever pokes come.
//!
//! The real [`Mailbox`]; a futex wait is a yield. The broken ones are written out here.

use crate::primitive::FOREVER;
use crate::sched::mail::Mailbox;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A mailbox, real or broken.
trait Mail: Send + Sync + 'static {
    fn new() -> Self;
    fn deliver(&self, parcel: Proc);
    fn poke(&self);
    /// As `Worker::take_mail`.
    fn take(&self) -> Option<Proc>;
    fn sleep(&self);
}

/// A processor on its way: the sender writes to it before it sends it, the owner when it has it.
struct Proc(Arc<UnsafeCell<u32>>);

// SAFETY: whether it is touched by one at a time is what the models check.
unsafe impl Send for Proc {}

impl Proc {
    fn new() -> (Proc, Proc) {
        let cell = Arc::new(UnsafeCell::new(0));
        (Proc(cell.clone()), Proc(cell))
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
}

/// A sender, somebody who pokes, and the owner. Once the owner waits again, the sender has another processor.
fn two_processors<M: Mail>() {
    loom::model(|| {
        let mail = Arc::new(M::new());
        let waits_again = Arc::new(Mutex::new(false));
        let (first, first_sent) = Proc::new();
        let (second, second_sent) = Proc::new();
        let sender = {
            let (mail, waits_again) = (mail.clone(), waits_again.clone());
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
        let poker = {
            let mail = mail.clone();
            thread::spawn(move || mail.poke())
        };
        loop {
            if let Some(proc) = mail.take() {
                assert!(Arc::ptr_eq(&proc.0, &first.0));
                proc.touch();
                break;
            }
            mail.sleep();
        }
        *waits_again.lock().unwrap() = true;
        let sent = sender.join().unwrap();
        poker.join().unwrap();
        match mail.take() {
            Some(proc) => {
                assert!(sent && Arc::ptr_eq(&proc.0, &second.0));
                proc.touch();
            }
            None => assert!(!sent, "a processor was lost"),
        }
    });
}

#[test]
fn model_mail_arrives_once() {
    two_processors::<Mailbox<Proc>>();
}

#[test]
#[should_panic(expected = "there is no processor")]
fn model_mail_announced_too_early() {
    two_processors::<Broken<EARLY>>();
}

#[test]
#[should_panic]
fn model_mail_cleared_without_a_look_is_lost() {
    two_processors::<Broken<CLEARS_BLINDLY>>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_mail_with_a_relaxed_word_is_seen_half_written() {
    two_processors::<Broken<RELAXED>>();
}
