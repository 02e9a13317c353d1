//! Loom models of the races around a node: its timer against its waker, and `cancel` against a drain.
//!
//! Each owner "frees" its node at the end by an exclusive access that loom holds against all others, so a heap
//! that touched the node too late, or without being ordered before it, fails the model.

use super::*;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;

/// `repr(C)`: the node's address is the whole's.
#[repr(C)]
struct Probe {
    node: TimerNode,
    /// 0 waiting, 1 won by the timer, 2 won by the waker.
    winner: AtomicU32,
    woken: AtomicU32,
    /// Stands for the memory of the wait around the node.
    memory: loom::cell::UnsafeCell<u32>,
}

// SAFETY: it is what the models are about; loom checks the accesses.
unsafe impl Send for Probe {}
// SAFETY: as above.
unsafe impl Sync for Probe {}

static PROBE: TimerKind = TimerKind { claim, fire, wakes: claim };

unsafe fn claim(node: *mut TimerNode) -> bool {
    // SAFETY: every node of these models is the start of a live probe.
    let probe = unsafe { &*node.cast::<Probe>() };
    probe.memory.with(|_| ());
    probe.winner.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

unsafe fn fire(node: *mut TimerNode) {
    // SAFETY: as in `claim`.
    let probe = unsafe { &*node.cast::<Probe>() };
    probe.memory.with(|_| ());
    wake(probe);
}

fn wake(probe: &Probe) {
    assert_eq!(probe.woken.fetch_add(1, Ordering::Release), 0, "woken twice");
}

fn probe(when: i64) -> Arc<Probe> {
    let mut node = TimerNode::new();
    node.set(when, &PROBE);
    Arc::new(Probe {
        node,
        winner: AtomicU32::new(0),
        woken: AtomicU32::new(0),
        memory: loom::cell::UnsafeCell::new(0),
    })
}

fn node_of(probe: &Arc<Probe>) -> *mut TimerNode {
    (&raw const probe.node).cast_mut()
}

/// What `Wait::block` does once it runs again, and then the end of the wait's memory.
unsafe fn owner_returns(probe: &Arc<Probe>) {
    while probe.woken.load(Ordering::Acquire) == 0 {
        thread::yield_now();
    }
    if probe.winner.load(Ordering::Relaxed) != 1 {
        // SAFETY: the node is live and ours.
        unsafe { TimerNode::cancel(node_of(probe)) };
    }
    probe.memory.with_mut(|_| ());
    // SAFETY: nobody else knows the node now; should somebody, loom says so.
    unsafe { &mut *node_of(probe) }.heap.with_mut(|_| ());
}

fn timer_against_waker(run: fn(&TimerHeap) -> usize) {
    loom::model(move || {
        let heap = Arc::new(TimerHeap::new());
        let probe = probe(5);
        // SAFETY: the probe lives to the end of the model; its owner returns only as `owner_returns` does.
        unsafe { heap.insert(node_of(&probe)) };
        let timer = {
            let heap = heap.clone();
            thread::spawn(move || run(&heap))
        };
        let waker = {
            let probe = probe.clone();
            thread::spawn(move || {
                let won = probe.winner.compare_exchange(0, 2, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                if won {
                    wake(&probe);
                }
                won
            })
        };
        // SAFETY: we are the owner.
        unsafe { owner_returns(&probe) };
        let (fired, waked) = (timer.join().unwrap(), waker.join().unwrap());
        assert_eq!(fired + usize::from(waked), 1, "exactly one wins");
        assert_eq!(heap.next(), i64::MAX);
    });
}

#[test]
fn model_timer_and_waker_race() {
    // SAFETY: no lock is held.
    timer_against_waker(|heap| unsafe { heap.run_expired(5) });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_forgetting_the_node_before_the_claim_is_found() {
    // SAFETY: no lock is held. That the node may be gone when it is claimed is what the model must find.
    timer_against_waker(|heap| unsafe { heap.run_batch::<true>(5) });
}

#[test]
fn model_cancel_against_drain() {
    loom::model(|| {
        let heaps = Arc::new([TimerHeap::new(), TimerHeap::new()]);
        let (mine, other) = (probe(5), probe(6));
        // SAFETY: the probes live to the end of the model.
        unsafe {
            heaps[0].insert(node_of(&mine));
            heaps[1].insert(node_of(&other));
        }
        let drain = {
            let heaps = heaps.clone();
            // SAFETY: two heaps that live to the end of the model.
            thread::spawn(move || unsafe { heaps[0].drain_into(&heaps[1]) })
        };
        // SAFETY: the node is live and ours; once out it is nobody else's.
        unsafe {
            assert!(TimerNode::cancel(node_of(&mine)));
            mine.memory.with_mut(|_| ());
            (*node_of(&mine)).heap.with_mut(|_| ());
        }
        drain.join().unwrap();
        assert_eq!(heaps[0].next(), i64::MAX);
        assert_eq!(heaps[1].next(), 6);
        // SAFETY: the nodes are live.
        unsafe {
            assert!(!TimerNode::cancel(node_of(&mine)));
            assert!(TimerNode::cancel(node_of(&other)));
        }
        assert_eq!(heaps[1].next(), i64::MAX);
    });
}
