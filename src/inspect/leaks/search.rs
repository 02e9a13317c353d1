//! The search: who can be reached by whom, while all other threads are stopped.
//!
//! The one thing to know: it is the mark phase of a conservative garbage collector whose objects are the blocks of
//! malloc and **the stacks of blocked goroutines**. Everything else that can hold a pointer is a root. A goroutine
//! is woken by somebody who finds it in the queue of what it waits on; so whoever can wake it, now or later, can
//! get to its stack from a root by following pointers: to the channel or lock (or the block it is part of), and from
//! its queue to the stack. A goroutine whose stack cannot be reached so can never wake.
//!
//! That needs to know nothing of channels and locks. Where the object lies does not matter either: in a global
//! variable or in a mapping it is a root itself, in a block of malloc it counts as soon as anything points into that
//! block, on a goroutine's stack as soon as anything points into that stack.
//!
//! | memory | counts as |
//! |---|---|
//! | registers of stopped threads, and of the caller | roots |
//! | stacks of goroutines that are not blocked: running (from the stack pointer of their thread up), runnable, asleep, in the kernel | roots |
//! | stacks of goroutines that are blocked for good unless somebody wakes them | reached or not |
//! | blocks in use of heaps that could be taken apart (`heap.rs`) | reached or not |
//! | free blocks; stacks and records of goroutines that have ended; stacks below the stack pointer of a worker, of the first thread, of the caller | nothing |
//! | what the scheduler keeps of finished parks (`sched/roster.rs`) | nothing |
//! | all other readable memory that was written: variables, thread-locals, foreign stacks, mappings, heaps of other allocators | roots |
//! | what the kernel keeps (`kernel.rs`) | roots |
//!
//! **Blocks that nothing points to** are roots as well, although a leak checker would call them lost: perhaps the
//! only pointer to one is where we cannot look (in a pipe, in a form we do not know).
//!
//! A pointer is any 8 bytes, aligned or not, with the value of an address in a block or stack; in aligned words the
//! upper 16 bits do not matter, so that tagged pointers count.
//!
//! A pointer to a goroutine's *record*, above its frames, is followed from a register, a stack or a variable, but not
//! from malloc's memory: the scheduler's queues keep old ones there. Whoever has taken a goroutine out of a queue of
//! waiters and has not yet made it runnable has such a pointer in a register or on its stack.

use super::freeze::Frozen;
use super::graph::{From, Graph, State};
use super::kernel;
use super::memory::{Mapping, Memory};
use super::scratch::{Errno, Scratch};
use super::values::{each_value, values};
use crate::sched::{StoppedWorker, for_each_worker};
use std::ops::Range;

/// What x86-64 lets a function use below its stack pointer.
const RED_ZONE: usize = 128;

/// The calling thread: what it had in its registers, and where its frames begin.
pub(super) struct Caller<'a> {
    pub(super) registers: &'a [usize],
    pub(super) sp: usize,
    /// The part of its stack below, if that is known.
    pub(super) below: Range<usize>,
    pub(super) tid: i32,
}

pub(super) struct Search {
    graph: Graph,
    /// What is not searched as a root.
    excluded: Scratch<(usize, usize)>,
}

impl Search {
    /// To be made before the threads are stopped.
    pub(super) fn new() -> Result<Search, Errno> {
        Ok(Search { graph: Graph::new()?, excluded: Scratch::growing(1 << 20)? })
    }

    /// Find them: in no particular order.
    ///
    /// # Safety
    /// All other threads are stopped. The caller holds the locks of the stack pools and of the workers' roster.
    pub(super) unsafe fn run(
        &mut self,
        frozen: &Frozen,
        memory: &mut Memory,
        caller: &Caller<'_>,
        leaks: &mut Scratch<u64>,
    ) -> Result<(), Errno> {
        // Before and after, since what must be larger is moved.
        self.exclude_own(frozen, memory)?;
        memory.read_mappings()?;
        if memory.has_aio {
            return Err(libc::ENOTSUP);
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.graph.find_stacks()?;
            self.graph.find_heaps(memory)?;
            self.graph.pass_over_lists();
            self.exclude(frozen, memory)?;
        }
        self.search_threads(frozen, memory, caller)?;
        self.search_roots(memory)?;
        kernel::for_each_pointer(|pointer| {
            values(pointer, 0, |_, value| self.graph.follow(value, From::Stack))
        })?;
        self.graph.drain();
        self.graph.keep_lost_blocks();
        if self.graph.full {
            return Err(libc::ENOMEM);
        }
        for slot in self.graph.slots.as_slice().iter().filter(|slot| slot.state == State::Blocked) {
            leaks.push(slot.id)?;
        }
        // Had somebody killed the tracer, the threads would have run on.
        if frozen.holds() { Ok(()) } else { Err(libc::EAGAIN) }
    }

    /// What is not searched as a root: stacks and heaps, the search's own memory, and what workers have left over.
    ///
    /// # Safety
    /// As for `run`.
    unsafe fn exclude(&mut self, frozen: &Frozen, memory: &Memory) -> Result<(), Errno> {
        self.exclude_own(frozen, memory)?;
        for slab in self.graph.slabs.as_slice() {
            self.excluded.push((slab.base, slab.end))?;
        }
        for heap in self.graph.heaps.all() {
            self.excluded.push((heap.start, heap.end))?;
        }
        let (mut result, workers) = (Ok(()), &mut self.graph.workers);
        // SAFETY: the caller's promise.
        unsafe {
            for_each_worker(|w| {
                if result.is_ok() {
                    result = workers.push(w);
                }
            });
        }
        result?;
        self.graph.workers.as_mut_slice().sort_unstable_by_key(|w| w.tid);
        for w in self.graph.workers.as_slice() {
            if let Some(place) = w.stale {
                self.excluded.push(place)?;
            }
        }
        Ok(())
    }

    fn exclude_own(&mut self, frozen: &Frozen, memory: &Memory) -> Result<(), Errno> {
        let own = [self.excluded.place()];
        for place in own.into_iter().chain(self.graph.places()).chain(frozen.places()).chain(memory.places())
        {
            self.excluded.push(place)?;
        }
        Ok(())
    }

    /// The registers and stacks of all threads, and the stacks of goroutines that are not blocked.
    fn search_threads(
        &mut self,
        frozen: &Frozen,
        memory: &mut Memory,
        caller: &Caller<'_>,
    ) -> Result<(), Errno> {
        self.search_registers(caller.registers);
        self.excluded.push((caller.below.start, caller.below.end.max(caller.below.start)))?;
        self.search_thread(memory, caller.tid, caller.sp)?;
        for thread in frozen.threads() {
            if self.worker_of(thread.tid).is_some_and(|w| w.asleep) {
                continue;
            }
            self.search_registers(frozen.registers(thread));
            self.search_thread(memory, thread.tid, thread.sp.saturating_sub(RED_ZONE))?;
        }
        for i in 0..self.graph.workers.as_slice().len() {
            let w = self.graph.workers.as_slice()[i];
            if w.asleep {
                self.excluded.push(w.stack)?;
            }
            // Its thread may be on another stack at the moment, that of a signal's handler say.
            if w.goroutine != 0
                && let Some(i) = self.graph.slot_of(w.goroutine)
            {
                self.is_running(i, 0);
            }
        }
        for i in 0..self.graph.slots.as_slice().len() {
            let slot = self.graph.slots.as_slice()[i];
            if slot.id == 0 || slot.state != State::Other {
                continue;
            }
            self.graph.follow(slot.elsewhere, From::Stack);
            if slot.sp == 0 {
                self.search_whole(memory, i)?;
            } else {
                self.graph.search_words(slot.sp, slot.end, From::Stack);
            }
        }
        Ok(())
    }

    /// They may hold what memory may hold: tagged pointers, and in vector registers ones that are not aligned.
    fn search_registers(&mut self, registers: &[usize]) {
        for (i, &this) in registers.iter().enumerate() {
            let next = registers.get(i + 1).copied().unwrap_or(0);
            values(this, next, |_, value| self.graph.follow(value, From::Stack));
        }
    }

    /// A thread whose frames, on whatever stack it is, begin at `sp`.
    fn search_thread(&mut self, memory: &Memory, tid: i32, sp: usize) -> Result<(), Errno> {
        let worker = self.worker_of(tid);
        if let Some(i) = self.graph.slot_of(sp) {
            self.is_running(i, sp);
            // The scheduler's frames wait for the goroutine to leave, and hold nothing of it.
            if let Some(w) = worker {
                self.excluded.push(w.stack)?;
            }
        } else if let Some(w) = worker {
            if (w.stack.0..w.stack.1).contains(&sp) {
                self.excluded.push((w.stack.0, sp))?;
            }
            if let Some(place) = w.waiting {
                self.excluded.push(place)?;
            }
        } else if let Some(stack) =
            memory.mappings().iter().find(|m| m.stack && (m.start..m.end).contains(&sp))
        {
            self.excluded.push((stack.start, sp))?;
        }
        Ok(())
    }

    fn worker_of(&self, tid: i32) -> Option<StoppedWorker> {
        let workers = self.graph.workers.as_slice();
        workers.binary_search_by_key(&tid, |w| w.tid).ok().map(|i| workers[i])
    }

    /// A goroutine is on a thread: its frames begin at `sp`, 0 if that is not known.
    fn is_running(&mut self, i: usize, sp: usize) {
        let slot = &mut self.graph.slots.as_mut_slice()[i];
        if slot.state == State::Blocked {
            slot.sp = 0;
        }
        slot.state = State::Other;
        // In a forked child the stack of the goroutine that forked is its thread's, and its record the parent's.
        slot.id = slot.id.max(1);
        // In the guard nothing can be read.
        if sp != 0 {
            slot.sp = if sp < slot.limit { 0 } else { sp };
        }
    }

    /// A stack of which it is not known how far it is in use.
    fn search_whole(&mut self, memory: &mut Memory, i: usize) -> Result<(), Errno> {
        let end = self.graph.slots.as_slice()[i].end;
        let Some(slab) = self.graph.slab_of(end - 1) else { return Ok(()) };
        let Some(&mapping) = memory.mappings().iter().find(|m| (m.start..m.end).contains(&(end - 1))) else {
            return Ok(());
        };
        let from = (end - slab.size).max(mapping.start);
        memory.read(&mapping, from, end, |_, piece| {
            each_value(piece, |_, value| self.graph.follow(value, From::Stack));
        })
    }

    /// All other memory.
    fn search_roots(&mut self, memory: &mut Memory) -> Result<(), Errno> {
        self.excluded.as_mut_slice().sort_unstable();
        for i in 0..memory.mappings().len() {
            let mapping = memory.mappings()[i];
            let mut at = mapping.start;
            let mut n = self.excluded.as_slice().partition_point(|&(_, end)| end <= at);
            while at < mapping.end {
                // Ranges may overlap: they are sorted by where they begin.
                let next = self.excluded.as_slice().get(n).copied().filter(|&(start, _)| start < mapping.end);
                let Some((start, end)) = next else {
                    self.search_part(memory, &mapping, at, mapping.end)?;
                    break;
                };
                if start > at {
                    self.search_part(memory, &mapping, at, start)?;
                }
                at = at.max(end);
                n += 1;
            }
        }
        Ok(())
    }

    fn search_part(
        &mut self,
        memory: &mut Memory,
        mapping: &Mapping,
        from: usize,
        to: usize,
    ) -> Result<(), Errno> {
        memory.read(mapping, from, to, |at, piece| {
            each_value(piece, |i, value| self.graph.follow(value, From::Root(at + i)));
        })
    }
}
