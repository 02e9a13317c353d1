//! Stacks and blocks, and what points to what.
//!
//! The one thing to know: from wherever a pointer is found, [`Graph::follow`] says what it points to; what is reached so
//! is queued, and [`Graph::drain`] searches it in turn. Everything here is in memory that can be read directly: a heap's
//! that was walked, or a stack's above its stack pointer.

use super::heap::Heap;
use super::heaps::{Heaps, heap_of};
use super::lists;
use super::memory::Memory;
use super::scratch::{Bits, Errno, Scratch};
use super::values::{ADDRESS_BITS, values};
use crate::coroutine;
use crate::sched::{StoppedWorker, WORKER_SIZE as WORKER, goroutine_on};

/// Addresses are told apart by their upper bits first: in units of 1 MiB.
const UNIT: u32 = 20;

/// Where a pointer was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// In a register or on a stack.
    Stack,
    /// In memory that is a root, at this address.
    Root(usize),
    /// In a block of malloc.
    Block,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody's, or a root.
    Other,
    Blocked,
    Reached,
}

/// A stack.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) id: u64,
    /// Its frames begin there; 0: that is not known.
    pub(super) sp: usize,
    /// It has another stack besides, whose frames begin there; or 0.
    pub(super) elsewhere: usize,
    /// The lowest address that can be used.
    pub(super) limit: usize,
    pub(super) record: usize,
    pub(super) end: usize,
    pub(super) state: State,
}

#[derive(Clone, Copy)]
pub(super) struct Slab {
    pub(super) base: usize,
    pub(super) end: usize,
    pub(super) size: usize,
    pub(super) claimed: usize,
    pub(super) first: usize,
}

/// What is still to be followed.
#[derive(Clone, Copy)]
pub(super) enum Node {
    Block { heap: u32, block: usize },
    Slot(u32),
}

/// Reached from a root, or only from a goroutine that cannot be reached itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Root,
    Blocked,
}

pub(super) struct Graph {
    pub(super) heaps: Heaps,
    pub(super) slabs: Scratch<Slab>,
    pub(super) slots: Scratch<Slot>,
    /// Units of address space with anything that can be reached in them.
    pub(super) units: Bits,
    pub(super) queue: Scratch<Node>,
    /// By thread id.
    pub(super) workers: Scratch<StoppedWorker>,
    colour: Colour,
    /// There was no room to queue something.
    pub(super) full: bool,
}

impl Graph {
    pub(super) fn new() -> Result<Graph, Errno> {
        Ok(Graph {
            heaps: Heaps::new()?,
            slabs: Scratch::growing(1 << 20)?,
            slots: Scratch::growing(1 << 26)?,
            units: Bits::new(1 << (ADDRESS_BITS - UNIT))?,
            queue: Scratch::growing(1 << 30)?,
            workers: Scratch::growing(1 << 17)?,
            colour: Colour::Root,
            full: false,
        })
    }

    /// The memory that this takes, which is not to be searched.
    pub(super) fn places(&self) -> [(usize, usize); 6] {
        [
            self.heaps.place.place(),
            self.slabs.place(),
            self.slots.place(),
            self.units.place(),
            self.queue.place(),
            self.workers.place(),
        ]
    }

    /// # Safety
    /// All other threads are stopped. The caller holds the locks of the stack pools.
    pub(super) unsafe fn find_stacks(&mut self) -> Result<(), Errno> {
        let (mut result, slabs, slots) = (Ok(()), &mut self.slabs, &mut self.slots);
        // SAFETY: the caller holds the pools' locks.
        unsafe {
            coroutine::for_each_held_slab(|base, end, claimed, slot| {
                let first = slots.as_slice().len();
                let size = if claimed == 0 { end - base } else { slot(0).class().size() };
                let mut add = || -> Result<(), Errno> {
                    slabs.push(Slab { base, end, size, claimed, first })?;
                    for i in 0..claimed {
                        let stack = slot(i);
                        let end = stack.end().addr();
                        let limit = stack.limit().addr();
                        let mut this =
                            Slot { id: 0, sp: 0, elsewhere: 0, limit, record: end, end, state: State::Other };
                        // Handed out once, and all other threads are stopped.
                        if let Some(g) = goroutine_on(stack) {
                            this = Slot { id: g.id, sp: g.sp, record: g.record, ..this };
                            if !(limit..=g.record).contains(&g.sp) {
                                // It runs; or it waits on a stack of the program's own.
                                this = Slot { sp: 0, elsewhere: g.sp, ..this };
                            } else if g.blocked {
                                this.state = State::Blocked;
                            }
                        }
                        slots.push(this)?;
                    }
                    Ok(())
                };
                if result.is_ok() {
                    result = add();
                }
            });
        }
        result?;
        self.slabs.as_mut_slice().sort_unstable_by_key(|slab| slab.base);
        for i in 0..self.slabs.as_slice().len() {
            let slab = self.slabs.as_slice()[i];
            if slab.claimed > 0 {
                self.add_units(slab.base, slab.base + slab.claimed * slab.size);
            }
        }
        Ok(())
    }

    /// # Safety
    /// All other threads are stopped.
    pub(super) unsafe fn find_heaps(&mut self, memory: &mut Memory) -> Result<(), Errno> {
        for mapping in memory.mappings() {
            if mapping.writable && mapping.anonymous && mapping.end >> ADDRESS_BITS == 0 {
                let heaps = &mut self.heaps;
                // SAFETY: the caller's promise.
                unsafe { Heap::find(memory, mapping, |heap| heaps.push(heap)) }?;
            }
        }
        self.heaps.all().sort_unstable_by_key(|heap| heap.start);
        // SAFETY: as above.
        unsafe { lists::mark(self.heaps.all(), memory) }?;
        for i in 0..self.heaps.all().len() {
            let (start, end) = (self.heaps.all()[i].start, self.heaps.all()[i].end);
            self.add_units(start, end);
        }
        Ok(())
    }

    /// The pools' lists of stacks: they point to nothing but stacks' ends, and where they are not in use, what was in that
    /// memory before may still stand there. Reached, but not to be followed.
    ///
    /// # Safety
    /// As for `find_stacks`.
    pub(super) unsafe fn pass_over_lists(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            coroutine::for_each_held_list(|at| self.pass_over(at));
        }
    }

    /// Do not follow the block that `address` is in, if that is in a heap.
    fn pass_over(&mut self, address: usize) {
        let heaps = self.heaps.all();
        if let Some(i) = heap_of(heaps, address) {
            let block = heaps[i].block_of(address);
            heaps[i].reach(block);
        }
    }

    fn add_units(&mut self, start: usize, end: usize) {
        (start >> UNIT..=(end - 1) >> UNIT).for_each(|unit| self.units.set(unit));
    }

    /// Blocks that nothing points to: see `search.rs`.
    pub(super) fn keep_lost_blocks(&mut self) {
        self.colour = Colour::Blocked;
        for i in 0..self.slots.as_slice().len() {
            let slot = self.slots.as_slice()[i];
            if slot.state == State::Blocked {
                self.search_words(slot.sp, slot.end, From::Stack);
            }
        }
        self.drain();
        self.colour = Colour::Root;
        for i in 0..self.heaps.all().len() {
            let mut at = Some(self.heaps.all()[i].start);
            while let Some(block) = at {
                let heap = &mut self.heaps.all()[i];
                at = heap.next(block);
                if !heap.is_reached(block) && !heap.is_kept(block) && !heap.is_free(block) {
                    heap.reach(block);
                    self.push(Node::Block { heap: i as u32, block });
                    self.drain();
                }
            }
        }
    }

    fn push(&mut self, node: Node) {
        self.full |= self.queue.push(node).is_err();
    }

    pub(super) fn drain(&mut self) {
        while let Some(node) = self.queue.pop() {
            match node {
                Node::Slot(i) => {
                    let slot = self.slots.as_slice()[i as usize];
                    if slot.state == State::Reached {
                        self.search_words(slot.sp, slot.end, From::Stack);
                    }
                }
                Node::Block { heap, block } => {
                    let (from, to) = self.heaps.all()[heap as usize].contents(block);
                    self.search_block(from, to);
                }
            }
        }
    }

    fn search_block(&mut self, from: usize, to: usize) {
        let mut from = from;
        if (WORKER..2 * WORKER).contains(&(to - from)) {
            // Parts of workers' records that are left over: see `roster.rs`.
            for i in 0..self.workers.as_slice().len() {
                if let Some((start, end)) = self.workers.as_slice()[i].stale
                    && from <= start
                    && end <= to
                {
                    self.search_words(from, start, From::Block);
                    from = end;
                    break;
                }
            }
        }
        self.search_words(from, to, From::Block);
    }

    /// Memory that can be read directly: a heap's, or a stack's above its stack pointer.
    pub(super) fn search_words(&mut self, from: usize, to: usize, origin: From) {
        let from = from & !7;
        let mut at = from;
        // SAFETY: the range is in a heap that was walked, or in use as a stack; nobody writes it, and all of
        // it is mapped.
        unsafe {
            let mut this = (at as *const usize).read_volatile();
            while at < to {
                let next = if at + 8 < to { ((at + 8) as *const usize).read_volatile() } else { 0 };
                values(this, next, |_, value| self.follow(value, origin));
                this = next;
                at += 8;
            }
        }
    }

    pub(super) fn slab_of(&self, address: usize) -> Option<Slab> {
        let slabs = self.slabs.as_slice();
        let slab = *slabs.get(slabs.partition_point(|slab| slab.base <= address).checked_sub(1)?)?;
        (address < slab.base + slab.claimed * slab.size).then_some(slab)
    }

    pub(super) fn slot_of(&self, address: usize) -> Option<usize> {
        let slab = self.slab_of(address)?;
        Some(slab.first + (address - slab.base) / slab.size)
    }

    /// `value` was found: does it point to anything?
    #[inline]
    pub(super) fn follow(&mut self, value: usize, origin: From) {
        if value >> ADDRESS_BITS == 0 && self.units.get(value >> UNIT) {
            self.follow_near(value, origin);
        }
    }

    fn follow_near(&mut self, value: usize, origin: From) {
        if let Some(i) = self.slot_of(value) {
            let slot = &mut self.slots.as_mut_slice()[i];
            let end = if origin == From::Block { slot.record } else { slot.end };
            if slot.state == State::Blocked && (slot.sp..end).contains(&value) && self.colour == Colour::Root
            {
                slot.state = State::Reached;
                self.push(Node::Slot(i as u32));
            }
            return;
        }
        let heaps = self.heaps.all();
        let Some(i) = heap_of(heaps, value) else { return };
        let heap = &heaps[i];
        if let From::Root(place) = origin {
            // SAFETY: `place` was just read.
            if unsafe { heap.is_own_link(place, value) } {
                return;
            }
        }
        let block = heap.block_of(value);
        let header = value - block < 16;
        // Only malloc itself has pointers to headers. A thread that was stopped in realloc may have no other one
        // to a block that is in use; what it keeps in memory are blocks that are free, or were once.
        if !header || origin == From::Stack {
            self.reach(i, block);
        }
        // The end of the block before.
        if header && block > self.heaps.all()[i].start {
            let before = self.heaps.all()[i].block_of(block - 1);
            self.reach(i, before);
        }
    }

    fn reach(&mut self, i: usize, block: usize) {
        let heap = &mut self.heaps.all()[i];
        let known = heap.is_reached(block) || self.colour == Colour::Blocked && heap.is_kept(block);
        if known || heap.is_free(block) {
            return;
        }
        match self.colour {
            Colour::Root => heap.reach(block),
            Colour::Blocked => heap.keep(block),
        }
        self.push(Node::Block { heap: i as u32, block });
    }
}
