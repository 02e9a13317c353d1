//! What a parked goroutine waits on.
//!
//! The one thing to know: a park hands its `release` step what it needs to unlock, and that says it all: the
//! object itself or, for a condition variable and a select, a record in the frame that parked. It is read like the
//! rest of a stack: only what `View::holds` says afterwards is true.

use super::list::View;
use super::memory;
use crate::chan;
use crate::sched::WaitReason;

impl View {
    /// The addresses of the objects it waits on, appended to `out`: none for one that sleeps, or does not wait.
    /// False: they could not be read, or it waits no more.
    #[allow(dead_code)] // for the leak finder
    pub(crate) fn objects(&self, out: &mut Vec<usize>) -> bool {
        let before = out.len();
        let object = self.parked.map_or(0, |parked| parked.object);
        let read = match self.reason {
            WaitReason::ChanReceive
            | WaitReason::ChanSend
            | WaitReason::MutexLock
            | WaitReason::WaitGroupWait
            | WaitReason::RwMutexRLock
            | WaitReason::RwMutexLock
            | WaitReason::OnceDo
            | WaitReason::Semacquire => {
                out.push(object);
                true
            }
            // `sync::cond::Held` begins with the condition variable.
            WaitReason::CondWait => match memory::stack_word(self, object) {
                Some(cond) => {
                    out.push(cond);
                    true
                }
                None => false,
            },
            // The set is in the frame that parked; the cases are the caller's, anywhere.
            // SAFETY: integers and pointers: any bytes will do.
            WaitReason::Select => unsafe {
                chan::waited_on(object, |at| memory::copy(at), |at| memory::copy(at), |chan| out.push(chan))
            },
            _ => true,
        };
        let holds = read && self.holds();
        if !holds {
            out.truncate(before);
        }
        holds
    }
}
