//! Deadlock: no goroutine can run, and nothing can wake one. Found at once, and never wrongly.
//!
//! The one thing to know: a deadlock is a state that nobody can leave, so there is all the time in the world to
//! make sure of it; what counts is that whoever takes the last step into it looks ([`look`]), and that the look
//! ([`find`]) takes for certain only what holds at one instant. These take such a step:
//!
//! | step | who looks |
//! |---|---|
//! | the last processor goes idle | the worker that has left it |
//! | a thread of the host's begins to wait in gort for ever | that thread, before it sleeps |
//! | a thread of gort's starts, and is not counted yet | that thread, if it is a worker or the monitor; else as below |
//! | a thread of the host's ends | nobody can: the thread in `gort_main` looks again from time to time ([`Poll`]) |
//! | a thread of the host's stops a timer, or has waited for a descriptor or a name | as above: the thread asks for it ([`ask`]) |
//!
//! The last one to take its step sees those of all others, because each says what it does (its processor is idle; it
//! is counted in) before it looks at what the others have said, all sequentially consistent.
//!
//! Why what is found is certain: under the idle lists' lock, with all processors idle, nobody in gort runs any
//! code of the user's or wakes anybody ([`Quiet`]). [`Accounted::covers`] shows an instant under that lock at which
//! every thread of the process is gort's own or waits in gort and was woken by nobody: a thread that was woken but has
//! not run yet was counted out by its waker. From that instant on only what `Quiet` then looks at could wake anybody.
//! The thread in `gort_main` counts as one that waits: what it does there is all our own.
//!
//! The thread in `gort_run` or `gort_detect_wait` likewise; whoever finds a deadlock there has that thread look for
//! itself (`sched/detect.rs`). It is asked only while one of these runs: what a host does that never calls them is its
//! own affair.
//!
//! [`Accounted::covers`]: crate::primitive::Accounted::covers
//! [`Quiet`]: crate::sched::quiet::Quiet

use crate::fatal;
use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::primitive::{ACCOUNTED, FOREVER, now, threads, threads_at_a_glance};
use crate::sched::poll::{FIRST, LONGEST, Poll};
use crate::sched::{look_now, quiet, ring};

/// What a deadlock leads to: `OFF` (nobody asks), `RETURNS` (the thread that waits is told), `ENDS` (the process).
static WATCHED: AtomicU32 = AtomicU32::new(OFF);
const OFF: u32 = 0;
const RETURNS: u32 = 1;
const ENDS: u32 = 2;
static POLL: Poll = Poll::new();
/// Somebody has found a deadlock that ends the process.
static FOUND: AtomicBool = AtomicBool::new(false);

/// What a look finds.
enum Find {
    /// Somebody can run, or will.
    Awake,
    /// Nobody in gort; but there are threads that we know nothing of.
    Outsiders,
    /// Nobody at all.
    Deadlock(Deadlock),
}

struct Deadlock {
    goroutines: usize,
    /// It ends the process.
    ends: bool,
}

/// Watch. The thread that will wait for the end is not counted in yet, so nothing is a deadlock.
pub(crate) fn begin(ends: bool) {
    POLL.forget();
    WATCHED.store(if ends { ENDS } else { RETURNS }, Ordering::SeqCst);
}

/// Watch no more. The thread that has waited for this was counted out.
pub(crate) fn end() {
    WATCHED.store(OFF, Ordering::SeqCst);
}

/// In a forked child: no `gort_main` is running, and one thread.
pub(crate) fn forget() {
    WATCHED.store(OFF, Ordering::SeqCst);
    POLL.forget();
    ACCOUNTED.forget();
}

/// To be called by whoever has just left less to be done than there was, when it has said so and before it sleeps.
/// The caller holds no lock.
#[inline]
pub(crate) fn look() {
    // SeqCst: a thread of the host's that is counted in and then misses this is seen by who looks later.
    if WATCHED.load(Ordering::SeqCst) != OFF {
        look_closer();
    }
}

#[cold]
fn look_closer() {
    if !quiet::seems_quiet() {
        return;
    }
    // A count that is out of date here is one that somebody changes who will look in his turn, or who acts.
    let find =
        if threads_at_a_glance() == Some(ACCOUNTED.load().threads()) { find() } else { Find::Outsiders };
    match find {
        Find::Awake => {}
        Find::Outsiders => {
            if POLL.ask() {
                ring();
            }
        }
        Find::Deadlock(found) if found.ends => end_process(found.goroutines),
        // Perhaps one of an earlier time.
        Find::Deadlock(_) => look_now(),
    }
}

/// Look, and make sure.
fn find() -> Find {
    let Some(still) = quiet::hold_still() else { return Find::Awake };
    let mut watched = OFF;
    let covered = ACCOUNTED.covers(threads, || {
        watched = WATCHED.load(Ordering::SeqCst);
        watched != OFF && still.is_certain()
    });
    if covered {
        Find::Deadlock(Deadlock { goroutines: still.goroutines(), ends: watched == ENDS })
    } else if !still.is_certain() {
        Find::Awake
    } else {
        Find::Outsiders
    }
}

/// A thread of the host's has taken away what would have let somebody go on. Until it ends it may be the only one who
/// knows: have the thread in `gort_main` look from time to time. Takes no lock.
pub(crate) fn ask() {
    if WATCHED.load(Ordering::SeqCst) != OFF && POLL.ask() {
        ring();
    }
}

/// The looks of the thread in `gort_main`.
pub(crate) struct Looks {
    /// 0: it was not asked to look.
    interval: i64,
    due: i64,
}

impl Looks {
    pub(crate) fn new() -> Self {
        Looks { interval: 0, due: FOREVER }
    }

    /// Look if it is time, or `at_once`. Until when to sleep if nobody rings; `Err`: a deadlock of so many goroutines.
    pub(crate) fn next(&mut self, at_once: bool) -> Result<i64, usize> {
        let time = now();
        if at_once {
            match find() {
                // Whoever is awake will look.
                Find::Awake => {}
                Find::Outsiders => _ = POLL.ask(),
                Find::Deadlock(found) => found.tell()?,
            }
        }
        if !POLL.is_on() {
            *self = Looks::new();
        } else if self.interval == 0 {
            *self = Looks { interval: FIRST, due: time + FIRST };
        } else if time >= self.due {
            self.look(time)?;
        }
        Ok(self.due)
    }

    fn look(&mut self, time: i64) -> Result<(), usize> {
        let mut asked = POLL.take();
        match find() {
            Find::Awake => {}
            Find::Outsiders => asked = true,
            Find::Deadlock(found) => found.tell()?,
        }
        if self.interval == LONGEST && !asked && POLL.stop() {
            *self = Looks::new();
        } else {
            self.interval = (2 * self.interval).min(LONGEST);
            self.due = time + self.interval;
        }
        Ok(())
    }
}

impl Deadlock {
    /// Tell the thread that waits how many goroutines there are, by `Err`; or end the process. `Ok`: somebody else is
    /// ending it.
    fn tell(self) -> Result<(), usize> {
        if !self.ends {
            return Err(self.goroutines);
        }
        end_process(self.goroutines);
        Ok(())
    }
}

const NONE_LEFT: &str = "fatal error: no goroutines (main called gort_exit) - deadlock!\n";
const ASLEEP: &str = "fatal error: all goroutines are asleep - deadlock!\n\n";

/// What would be written on stderr if the process ended, to `fd`. That nobody listens there is no error.
pub(crate) fn write_report(fd: i32, goroutines: usize) {
    super::write_text(fd, if goroutines == 0 { NONE_LEFT } else { ASLEEP });
    if goroutines != 0 {
        let _ = super::dump_all(fd);
    }
}

/// End the process, unless somebody else is doing so.
#[cold]
fn end_process(goroutines: usize) {
    if FOUND.swap(true, Ordering::SeqCst) {
        // Somebody else is at it.
        return;
    }
    if goroutines == 0 {
        fatal::end(format_args!("{NONE_LEFT}"));
    }
    fatal::end_with(format_args!("{ASLEEP}"), || {
        // The caller may be a thread of the host's with a small stack.
        super::on_a_thread(|| {
            // Nobody listens on stderr: end all the same.
            let _ = super::dump_all(2);
        });
    });
}
