//! The heap against a sorted reference, and many threads that cancel what others fire.

use super::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

/// xorshift64*: the same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A node with what the tests want to know of it. `repr(C)`: the node's address is the whole's.
#[repr(C)]
struct Probe {
    node: TimerNode,
    /// 0 waiting, 1 won by the timer, 2 won by somebody else.
    winner: AtomicU32,
    fired: AtomicU32,
    log: *const Log,
    id: usize,
}

#[derive(Default)]
struct Log {
    order: std::sync::Mutex<Vec<usize>>,
}

static PROBE: TimerKind = TimerKind { claim, fire, wakes: claim };

unsafe fn claim(node: *mut TimerNode) -> bool {
    // SAFETY: every node of these tests is the start of a live probe.
    let probe = unsafe { &*node.cast::<Probe>() };
    probe.winner.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

unsafe fn fire(node: *mut TimerNode) {
    // SAFETY: as in `claim`; the log outlives the probe.
    unsafe {
        let probe = &*node.cast::<Probe>();
        if !probe.log.is_null() {
            (*probe.log).order.lock().unwrap().push(probe.id);
        }
        // The last touch: the owner may be waiting for it.
        probe.fired.fetch_add(1, Ordering::Release);
    }
}

fn probe(when: i64, id: usize, log: *const Log) -> *mut Probe {
    let mut node = TimerNode::new();
    node.set(when, &PROBE);
    Box::into_raw(Box::new(Probe { node, winner: AtomicU32::new(0), fired: AtomicU32::new(0), log, id }))
}

unsafe fn free(probe: *mut Probe) {
    // SAFETY: made by `probe`, and no heap knows it any more (each caller's affair).
    unsafe {
        // A heap that still touched it would meet this.
        ptr::write_bytes(probe.cast::<u8>(), 0xA5, size_of::<Probe>());
        drop(Box::from_raw(probe.cast::<std::mem::MaybeUninit<Probe>>()));
    }
}

/// Fire all that is due at `now`, however many batches that takes.
fn run_all(heap: &TimerHeap, now: i64) -> usize {
    let mut fired = 0;
    while heap.next() <= now {
        // SAFETY: no lock is held.
        fired += unsafe { heap.run_expired(now) };
    }
    fired
}

#[test]
fn an_empty_heap_has_no_deadline() {
    let heap = TimerHeap::new();
    assert_eq!(heap.next(), i64::MAX);
    // SAFETY: no lock is held.
    assert_eq!(unsafe { heap.run_expired(i64::MAX - 1) }, 0);
}

#[test]
fn insert_says_whether_it_is_the_earliest() {
    let heap = TimerHeap::new();
    let nodes: Vec<_> = [50, 70, 40, 40, 60, 10].iter().map(|&when| probe(when, 0, ptr::null())).collect();
    let mut earliest = Vec::new();
    for &node in &nodes {
        // SAFETY: live until cancelled below.
        earliest.push(unsafe { heap.insert(node.cast()) });
    }
    assert_eq!(earliest, [true, false, true, false, false, true]);
    assert_eq!(heap.next(), 10);
    for (node, next) in nodes.into_iter().rev().zip([40, 40, 40, 50, 50, i64::MAX]) {
        // SAFETY: inserted above; after `cancel` it is ours.
        unsafe {
            assert!(TimerNode::cancel(node.cast()));
            assert!(!TimerNode::cancel(node.cast()));
            free(node);
        }
        assert_eq!(heap.next(), next);
    }
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion() {
    let heap = TimerHeap::new();
    let log = Log::default();
    let nodes: Vec<_> = (0..1000).map(|id| probe(7, id, &log)).collect();
    for &node in &nodes {
        // SAFETY: live until the end of the test.
        unsafe { heap.insert(node.cast()) };
    }
    assert_eq!(run_all(&heap, 6), 0);
    assert_eq!(run_all(&heap, 7), 1000);
    assert_eq!(*log.order.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    for node in nodes {
        // SAFETY: it has fired.
        unsafe { free(node) };
    }
}

#[test]
fn one_call_fires_no_more_than_a_batch() {
    let heap = TimerHeap::new();
    let nodes: Vec<_> = (0..TimerHeap::BATCH * 2 + 1).map(|id| probe(id as i64, id, ptr::null())).collect();
    for &node in &nodes {
        // SAFETY: live until the end of the test.
        unsafe { heap.insert(node.cast()) };
    }
    for (fired, next) in [(TimerHeap::BATCH, 64), (TimerHeap::BATCH, 128), (1, i64::MAX), (0, i64::MAX)] {
        // SAFETY: no lock is held.
        assert_eq!(unsafe { heap.run_expired(1_000_000) }, fired);
        assert_eq!(heap.next(), next);
    }
    for node in nodes {
        // SAFETY: it has fired.
        unsafe { free(node) };
    }
}

#[test]
fn a_refused_claim_drops_the_node_without_firing() {
    let heap = TimerHeap::new();
    let node = probe(5, 0, ptr::null());
    // SAFETY: live until the end of the test.
    unsafe {
        heap.insert(node.cast());
        (*node).winner.store(2, Ordering::Relaxed);
        assert_eq!(heap.run_expired(5), 0);
        assert_eq!(heap.next(), i64::MAX);
        assert!(!TimerNode::cancel(node.cast()));
        assert_eq!((*node).fired.load(Ordering::Relaxed), 0);
        free(node);
    }
}

#[test]
fn random_operations_agree_with_a_sorted_map() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let log = Log::default();
    let (heap, spare) = (TimerHeap::new(), TimerHeap::new());
    // (deadline, insertion) -> node: what the heap must hold, in the order in which it must fire.
    let mut reference: BTreeMap<(i64, usize), *mut Probe> = BTreeMap::new();
    let mut now = 0;
    let mut spare_in_use = false;
    for id in 0..60_000 {
        let current = if spare_in_use { &spare } else { &heap };
        match random.below(16) {
            0..8 => {
                let when = now + random.below(500) as i64;
                let node = probe(when, id, &log);
                let first = reference.keys().next().copied();
                // SAFETY: live until cancelled or fired.
                let earliest = unsafe { current.insert(node.cast()) };
                assert_eq!(earliest, first.is_none_or(|(earliest, _)| when < earliest));
                reference.insert((when, id), node);
            }
            8..12 if !reference.is_empty() => {
                let pivot = (now + random.below(500) as i64, 0);
                let key = reference.range(pivot..).next().or_else(|| reference.iter().next());
                let (&key, &node) = key.unwrap();
                reference.remove(&key);
                // SAFETY: it is in the heap; afterwards it is ours.
                unsafe {
                    assert!(TimerNode::cancel(node.cast()));
                    free(node);
                }
            }
            12 if random.below(8) == 0 => {
                let other = if spare_in_use { &heap } else { &spare };
                // SAFETY: two heaps, both live to the end.
                assert_eq!(unsafe { current.drain_into(other) }, reference.len());
                assert_eq!(current.next(), i64::MAX);
                spare_in_use = !spare_in_use;
            }
            13 => {
                now += random.below(100) as i64;
                let fired = run_all(current, now);
                let later = reference.split_off(&(now + 1, 0));
                let due = std::mem::replace(&mut reference, later);
                assert_eq!(fired, due.len());
                let order = std::mem::take(&mut *log.order.lock().unwrap());
                assert_eq!(order, due.keys().map(|&(_, id)| id).collect::<Vec<_>>());
                for node in due.into_values() {
                    // SAFETY: it has fired.
                    unsafe { free(node) };
                }
            }
            _ => {}
        }
        let next = if spare_in_use { &spare } else { &heap }.next();
        assert_eq!(next, reference.keys().next().map_or(i64::MAX, |&(when, _)| when));
    }
    for node in reference.into_values() {
        // SAFETY: as above.
        unsafe {
            assert!(TimerNode::cancel(node.cast()));
            free(node);
        }
    }
}

#[test]
fn a_hundred_thousand_nodes() {
    const N: usize = 100_000;
    let mut random = Random(42);
    let log = Log::default();
    let heap = TimerHeap::new();
    let mut nodes: Vec<_> = (0..N).map(|id| probe(random.below(1_000_000) as i64, id, &log)).collect();
    for &node in &nodes {
        // SAFETY: live until cancelled or fired.
        unsafe { heap.insert(node.cast()) };
    }
    // Every other one leaves, from anywhere in the heap.
    for &node in nodes.iter().step_by(2) {
        // SAFETY: it is in the heap.
        assert!(unsafe { TimerNode::cancel(node.cast()) });
    }
    assert_eq!(run_all(&heap, 1_000_000), N / 2);
    let order = std::mem::take(&mut *log.order.lock().unwrap());
    // SAFETY: the nodes are live.
    let when = |id: usize| unsafe { (*nodes[id]).node.when() };
    assert!(order.iter().all(|id| id % 2 == 1));
    assert!(order.windows(2).all(|pair| (when(pair[0]), pair[0]) < (when(pair[1]), pair[1])));
    for node in nodes.drain(..) {
        // SAFETY: cancelled or fired.
        unsafe { free(node) };
    }
}

/// Owners insert, then race the timers: each wait is won by its waker or by its timer, never by both, never by
/// none; and its memory is poisoned and freed the moment the owner may do so. Meanwhile the heaps are drained
/// into each other, and one thread's clock jumps about so that nodes expire at any time.
#[test]
fn owners_that_race_timers_and_drains() {
    const OWNERS: usize = 4;
    const ROUNDS: usize = 30_000;
    let heaps = Arc::new([TimerHeap::new(), TimerHeap::new(), TimerHeap::new()]);
    let stop = Arc::new(AtomicBool::new(false));
    let timers_won = Arc::new(AtomicUsize::new(0));

    let owners: Vec<_> = (0..OWNERS)
        .map(|owner| {
            let (heaps, timers_won) = (heaps.clone(), timers_won.clone());
            std::thread::spawn(move || {
                let mut random = Random(owner as u64 + 1);
                for round in 0..ROUNDS {
                    let node = probe(random.below(100) as i64, round, ptr::null());
                    // SAFETY: live until the end of the block, where no heap knows it.
                    unsafe {
                        heaps[random.below(3) as usize].insert(node.cast());
                        for _ in 0..random.below(300) {
                            std::hint::spin_loop();
                        }
                        let won = (*node).winner.compare_exchange(0, 2, Ordering::Relaxed, Ordering::Relaxed);
                        if won.is_ok() {
                            TimerNode::cancel(node.cast());
                            assert_eq!((*node).fired.load(Ordering::Relaxed), 0);
                        } else {
                            while (*node).fired.load(Ordering::Acquire) == 0 {
                                std::thread::yield_now();
                            }
                            assert!(!TimerNode::cancel(node.cast()));
                            timers_won.fetch_add(1, Ordering::Relaxed);
                        }
                        free(node);
                    }
                }
            })
        })
        .collect();

    let runner = {
        let (heaps, stop) = (heaps.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut random = Random(99);
            let mut fired = 0;
            while !stop.load(Ordering::Relaxed) {
                for heap in heaps.iter() {
                    // SAFETY: no lock is held.
                    fired += unsafe { heap.run_expired(random.below(100) as i64) };
                }
                let from = random.below(3) as usize;
                let to = (from + 1 + random.below(2) as usize) % 3;
                // SAFETY: two heaps that live as long as this thread.
                unsafe { heaps[from].drain_into(&heaps[to]) };
            }
            fired
        })
    };

    for owner in owners {
        owner.join().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let fired = runner.join().unwrap();
    assert_eq!(fired, timers_won.load(Ordering::Relaxed));
    assert!(heaps.iter().all(|heap| heap.next() == i64::MAX));
}
