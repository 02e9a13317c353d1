//! Each test has a size class of its own, as the pools belong to the whole process.

use super::super::testing::{acquire_many, in_child, readable};
use super::trim::without_trimming;
use super::*;
use std::collections::HashSet;

fn class(size: usize) -> Class {
    Class::for_size(size).unwrap()
}

fn touch(stack: &Stack) {
    // SAFETY: ours, and both ends are usable memory.
    unsafe {
        stack.place::<[u64; 8]>().write([7; 8]);
        stack.limit().write(7);
    }
}

#[test]
fn the_stack_released_last_is_acquired_first() {
    without_trimming(released_last_acquired_first);
}

fn released_last_acquired_first() {
    let class = class(2 << 20);
    let a = acquire(class).unwrap();
    let b = acquire(class).unwrap();
    let c = acquire(class).unwrap();
    assert!(a != b && b != c && a != c);
    [a, b, c].iter().for_each(touch);
    for stack in [b, c, a] {
        release(stack);
    }
    assert_eq!([acquire(class).unwrap(), acquire(class).unwrap()], [a, c]);
    assert_eq!(acquire(class).unwrap(), b);
}

#[test]
fn batches_come_back_hottest_last() {
    without_trimming(hottest_last);
}

fn hottest_last() {
    let class = class(4 << 20);
    let mut stacks = acquire_many(class, 10);
    assert_eq!(stacks.iter().collect::<HashSet<_>>().len(), 10);
    let all = stacks.clone();
    release_batch(&mut stacks, 4);
    assert_eq!(stacks, all[6..]);
    // Released first to last: the last of them is the hottest.
    assert_eq!(acquire(class).unwrap(), all[5]);
    let mut again = Vec::new();
    acquire_batch(class, &mut again, 3).unwrap();
    assert_eq!(again, all[2..5]);
    release_batch(&mut again, 9);
    assert_eq!(again, all[2..5]);
    release_batch(&mut again, 0);
    assert!(again.is_empty());
    assert_eq!(acquire(class).unwrap(), all[4]);
}

#[test]
fn a_mixed_batch_goes_to_the_pools_of_its_classes() {
    without_trimming(mixed_batch);
}

fn mixed_batch() {
    let (small, big) = (class(32 << 20), class(64 << 20));
    let mut stacks = vec![acquire(small).unwrap(), acquire(big).unwrap(), acquire(small).unwrap()];
    let all = stacks.clone();
    release_batch(&mut stacks, 0);
    assert_eq!([acquire(small).unwrap(), acquire(small).unwrap()], [all[2], all[0]]);
    assert_eq!(acquire(big).unwrap(), all[1]);
}

#[test]
fn many_threads_never_share_a_stack() {
    let class = class(128 << 10);
    let in_use = std::sync::Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let in_use = &in_use;
            scope.spawn(move || {
                let mut mine = Vec::new();
                for round in 0..300_usize {
                    acquire_batch(class, &mut mine, 1 + (round * 7 + thread) % 40).unwrap();
                    mine.push(acquire(class).unwrap());
                    {
                        let mut in_use = in_use.lock().unwrap();
                        for stack in mine.drain(..) {
                            assert!(in_use.insert(stack), "{stack:?} was handed out twice");
                        }
                        mine.extend(in_use.iter().take((round * 5 + thread) % 60));
                        for stack in &mine {
                            assert!(in_use.remove(stack));
                        }
                    }
                    release_batch(&mut mine, 0);
                }
            });
        }
    });
}

/// The number after `name` in a file of /proc/self.
fn proc(file: &str, name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// Three times what mprotect guards allow, in a few mappings and little more than a page each.
#[test]
fn a_hundred_thousand_stacks_cost_a_page_each_and_few_mappings() {
    in_child(
        concat!(module_path!(), "::a_hundred_thousand_stacks_cost_a_page_each_and_few_mappings"),
        &[],
        || {
            if guard::kind() == guard::Kind::Mapping {
                return println!("skipped: this kernel has no guard regions");
            }
            const N: usize = 100_000;
            let class = class(256 << 10);
            let mut stacks = Vec::with_capacity(N);
            let memory = || (proc("status", "VmRSS:") + proc("status", "VmPTE:")) * 1024;
            let (memory_before, mappings_before) = (memory(), mappings());
            while stacks.len() < N {
                let (missing, before) = (N - stacks.len(), stacks.len());
                acquire_batch(class, &mut stacks, missing.min(32)).unwrap();
                for stack in &stacks[before..] {
                    // SAFETY: ours; the record on its top page.
                    unsafe { stack.place::<[u64; 8]>().write([1; 8]) };
                }
            }
            let each = (memory() - memory_before) / N;
            let mappings = mappings() - mappings_before;
            println!("{each} bytes a stack, {mappings} mappings more");
            assert!(each < 4700, "{each} bytes a stack");
            assert!(mappings < 50, "{mappings} mappings");
            assert!(stacks.iter().step_by(999).all(|stack| !readable(stack.base())));
        },
        |output| assert!(output.status.success(), "{output:?}"),
    );
}

#[test]
fn every_stack_is_met_by_for_each_slot_and_counted() {
    let class = class(16 << 20);
    let before = reserved_bytes();
    let mine: Vec<_> = (0..5).map(|_| acquire(class).unwrap()).collect();
    assert!(reserved_bytes() >= before + 5 * class.size());
    release(mine[4]);
    let mut met = HashSet::new();
    for_each_slot(|stack| {
        // SAFETY: a stack's top page can be read at any time; what is there is not looked at.
        unsafe { stack.place::<u64>().read_volatile() };
        assert!(met.insert(stack));
    });
    assert!(mine.iter().all(|stack| met.contains(stack)));
}
