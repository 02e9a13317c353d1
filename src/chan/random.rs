//! Fair choice among ready cases: a generator that costs one multiplication a draw.
//!
//! The one thing to know: a [`Random`] is a value on the caller's stack, seeded from the thread it starts on. It
//! holds no address of a thread-local, so a goroutine may carry it to another thread.

#[cfg(not(loom))]
use std::cell::Cell;

/// wyrand: 64 bits of state, passes the usual batteries of tests.
pub(super) struct Random(u64);

impl Random {
    #[inline]
    pub(super) fn new() -> Self {
        Random(seed())
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let product = u128::from(self.0) * u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }

    /// A number below `n`, which is at most 65536. Its odds differ from equal ones by less than 2^-48.
    #[inline]
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// A new seed each time. Never inlined, so that no caller can keep the thread-local's address across a park.
#[cfg(not(loom))]
#[inline(never)]
fn seed() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    STATE.with(|state| {
        let mut random = Random(state.get());
        if random.0 == 0 {
            // The first time in this thread: the clock sets processes apart, the address threads.
            random.0 = (crate::primitive::now() as u64) ^ (state.as_ptr() as u64).rotate_left(32);
        }
        let seed = random.next();
        // The state itself steps by a constant; what is given out is mixed, so that neighbouring calls start
        // at unrelated places.
        state.set(random.0);
        seed
    })
}

/// A model must take the same path each time it is replayed.
#[cfg(loom)]
fn seed() -> u64 {
    0x1234_5678
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_bound_comes_up_about_equally_often() {
        for n in [1, 2, 3, 7, 8, 1000] {
            let mut counts = vec![0u32; n];
            for _ in 0..n * 1000 {
                counts[Random::new().below(n)] += 1;
            }
            // Standard deviation about 32; 8 of them.
            assert!(counts.iter().all(|&c| n == 1 || (744..1256).contains(&c)), "{n}: {counts:?}");
        }
    }

    #[test]
    fn two_threads_do_not_draw_the_same_numbers() {
        let draw = || (0..4).map(|_| Random::new().next()).collect::<Vec<_>>();
        let theirs = std::thread::spawn(draw).join().unwrap();
        assert_ne!(draw(), theirs);
    }
}
