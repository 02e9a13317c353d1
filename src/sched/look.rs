//! Reading the records of goroutines that are somebody else's, while they run.
//!
//! The one thing to know: nobody is stopped and nothing is locked, so each record is read as `goroutine.rs` says:
//! number, turn, the rest, and then number and turn again. What does not hold together is read again, and a
//! goroutine that will not hold still is one that runs.

use super::goroutine::{Extra, Fresh, Goroutine, Parent, State, lock_extras, unlock_extras};
use super::proc::coarse_age;
use super::reason::WaitReason;
use super::{current_goroutine, fresh, runtime};
use crate::coroutine::{self, Coroutine, GUARD, Stack};
use crate::primitive::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::primitive::now;
use std::collections::HashSet;
use std::ops::Range;
use std::ptr::null;

/// How often a record is read again that did not hold still.
const TRIES: u32 = 4;

/// A goroutine as it was at one moment since [`for_each`] was called.
pub(crate) struct View {
    pub(crate) id: u64,
    /// `Running`, `Runnable` or `Waiting`.
    pub(crate) state: State,
    /// Of one that waits.
    pub(crate) reason: WaitReason,
    /// Of one that waits: for how long, ns, as far as its processor knew the time (see `Local::clock`).
    pub(crate) waited: i64,
    /// Has called `gort_lock_thread`.
    pub(crate) locked: bool,
    /// As in the record: where the call that spawned it returns to, 0, or `BY_TIMER`.
    pub(crate) spawned_at: usize,
    /// The goroutine that spawned it, or 0.
    pub(crate) parent: u64,
    /// It may have a name.
    pub(crate) named: bool,
    /// Its function.
    pub(crate) body: usize,
    /// The address of its record: a `Goroutine` on the top page of its stack or, if it has not run, a `Fresh`.
    pub(crate) record: usize,
    /// The addresses its frames may be at, from the guard up to the record. Empty: it has not run.
    pub(crate) stack: Range<usize>,
    /// Of one that waits, or that is runnable and has run.
    pub(crate) parked: Option<Parked>,
}

/// How a goroutine left its worker.
#[derive(Clone, Copy)]
pub(crate) struct Parked {
    /// All its frames are above this; what lies there is as `coroutine/switch_*.rs` says.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "for backtraces"))]
    pub(crate) sp: usize,
    turns: u32,
}

impl View {
    /// Is it still as it was when this view of it was made: parked, and not resumed since? To be asked *after* its
    /// stack has been read.
    pub(crate) fn holds(&self) -> bool {
        let Some(parked) = self.parked else { return false };
        // After all that the caller has read: see `goroutine.rs`.
        fence(Ordering::Acquire);
        let g = self.record as *mut Goroutine;
        // SAFETY: slabs are never unmapped; the record is aligned, and others access these two atomically.
        unsafe {
            AtomicU32::from_ptr((&raw mut (*g).turns).cast()).load(Ordering::Relaxed) == parked.turns
                && AtomicU64::from_ptr(&raw mut (*g).id).load(Ordering::Relaxed) == self.id
        }
    }

    /// The name given at spawn. `None` if it had none, or has ended since.
    pub(crate) fn name(&self) -> Option<String> {
        let (id, extra): (*mut u64, *const *const Extra) = if self.stack.is_empty() {
            let fresh = self.record as *mut Fresh;
            // SAFETY: field addresses of a record that is always mapped.
            unsafe { (&raw mut (*fresh).id, (&raw const (*fresh).extra).cast()) }
        } else {
            let g = self.record as *mut Goroutine;
            // SAFETY: as above.
            unsafe { (&raw mut (*g).id, (&raw const (*g).extra).cast()) }
        };
        lock_extras();
        // SAFETY: the record is always mapped. If its number is still the same *after* the pointer was read, the
        // pointer is that goroutine's; and it is freed only after the number was taken back and the lock, which
        // is ours, was taken. An `Option<Box>` is a pointer or null.
        let name = unsafe {
            let extra = extra.read_volatile();
            fence(Ordering::Acquire);
            let same = AtomicU64::from_ptr(id).load(Ordering::Relaxed) == self.id;
            let extra = if same { extra } else { null() };
            extra.as_ref().and_then(|e| e.name.as_ref()).map(|n| n.to_string_lossy().into_owned())
        };
        // SAFETY: locked above.
        unsafe { unlock_extras() };
        name
    }
}

/// Who the calling goroutine is.
pub(crate) struct Me {
    pub(crate) id: u64,
    /// Given at spawn.
    pub(crate) name: Option<String>,
    /// Its function.
    pub(crate) body: usize,
}

/// `None` on a plain thread.
pub(crate) fn me() -> Option<Me> {
    // SAFETY: null, or the calling goroutine's own record.
    let g = unsafe { current_goroutine().as_ref() }?;
    let name = g.name().map(|name| name.to_string_lossy().into_owned());
    Some(Me { id: g.id, name, body: g.body as usize })
}

/// Meet every goroutine that there is from before this call until after it, and perhaps some that come or go
/// meanwhile; each once. `f` may take its time: nobody waits for it.
pub(crate) fn for_each(mut f: impl FnMut(&View)) {
    if runtime::started().is_none() {
        return;
    }
    let first = runtime::first_id();
    let time = now();
    // Those that have not run come first: one that is bound to a stack meanwhile is published there before it is
    // taken back here (`Goroutine::bind`), so it is met at least once.
    let mut met = HashSet::new();
    fresh::for_each_record(|record| {
        if let Some(view) = fresh_view(record)
            && view.id >= first
        {
            met.insert(view.id);
            f(&view);
        }
    });
    coroutine::for_each_slot(|stack| {
        if let Some(view) = bound_view(stack, time)
            && view.id >= first
            && !met.contains(&view.id)
        {
            f(&view);
        }
    });
}

fn fresh_view(record: *mut Fresh) -> Option<View> {
    // SAFETY: the memory of records is never freed; what others may be writing is read atomically or volatile.
    unsafe {
        let id = AtomicU64::from_ptr(&raw mut (*record).id);
        // Acquire pairs with the Release in `publish`.
        let number = id.load(Ordering::Acquire);
        if number == 0 {
            return None;
        }
        let view = View {
            id: number,
            state: State::Runnable,
            reason: WaitReason::None,
            waited: 0,
            locked: false,
            spawned_at: (&raw const (*record).spawned_at).read_volatile(),
            parent: (&raw const (*record).parent).cast::<Parent>().read_volatile().id(),
            named: !(&raw const (*record).extra).cast::<*const Extra>().read_volatile().is_null(),
            body: (&raw const (*record).body).cast::<usize>().read_volatile(),
            record: record.addr(),
            stack: 0..0,
            parked: None,
        };
        // Pairs with the fence in `retract`.
        fence(Ordering::Acquire);
        // Acquire pairs with the store there: if it has got its stack meanwhile, it is met on that.
        (id.load(Ordering::Acquire) == number).then_some(view)
    }
}

fn bound_view(stack: Stack, time: i64) -> Option<View> {
    let g = stack.place::<Goroutine>();
    for left in (0..TRIES).rev() {
        // SAFETY: slabs are never unmapped, and their stacks readable above the guard; what others may be writing is
        // read atomically or volatile.
        unsafe {
            let id = AtomicU64::from_ptr(&raw mut (*g).id);
            let turns = AtomicU32::from_ptr((&raw mut (*g).turns).cast());
            // Acquire pairs with the Releases in `bind` and in `end_turn`.
            let number = id.load(Ordering::Acquire);
            if number == 0 {
                return None;
            }
            let turn = turns.load(Ordering::Acquire);
            let state = (&raw const (*g).state).cast::<u8>().read_volatile();
            let reason = WaitReason::from_u8((&raw const (*g).reason).cast::<u8>().read_volatile());
            let away = turn.is_multiple_of(2) && state != State::Running as u8;
            let waits = away && state == State::Waiting as u8 && reason != WaitReason::None;
            let view = View {
                id: number,
                state: match (away, waits) {
                    (false, _) => State::Running,
                    (true, false) => State::Runnable,
                    (true, true) => State::Waiting,
                },
                reason: if waits { reason } else { WaitReason::None },
                waited: if waits { coarse_age((&raw const (*g).since).read_volatile(), time) } else { 0 },
                locked: (&raw const (*g).lock_depth).read_volatile() != 0,
                spawned_at: (&raw const (*g).spawned_at).read_volatile(),
                parent: (&raw const (*g).parent).cast::<Parent>().read_volatile().id(),
                named: !(&raw const (*g).extra).cast::<*const Extra>().read_volatile().is_null(),
                body: (&raw const (*g).body).cast::<usize>().read_volatile(),
                record: g.addr(),
                stack: stack.base().addr() + GUARD..g.addr(),
                parked: away.then(|| Parked {
                    sp: Coroutine::saved_sp(&raw const (*g).coroutine).addr(),
                    turns: turn,
                }),
            };
            // Pairs with the fences in `begin_turn` and `retract`.
            fence(Ordering::Acquire);
            if id.load(Ordering::Relaxed) != number {
                // Another goroutine's by now; the one that was here has ended.
                continue;
            }
            if !away || turns.load(Ordering::Relaxed) == turn {
                return Some(view);
            }
            if left == 0 {
                return Some(View { state: State::Running, reason: WaitReason::None, parked: None, ..view });
            }
        }
    }
    None
}
