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
use super::heap::Heap;
use super::kernel;
use super::memory::{Mapping, Memory};
use super::scratch::{Bits, Errno, Scratch};
use crate::coroutine;
use crate::sched::{StoppedWorker, WORKER_SIZE as WORKER, for_each_worker, goroutine_on};
use std::ops::Range;

/// More heaps than this are searched as a whole.
const MOST_HEAPS: usize = 4096;
/// Addresses are told apart by their upper bits first: in units of 1 MiB, of 2^47 bytes.
const UNIT: u32 = 20;
const ADDRESS_BITS: u32 = 47;
/// What x86-64 lets a function use below its stack pointer.
const RED_ZONE: usize = 128;

/// Where a pointer was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// In a register or on a stack.
    Stack,
    /// In memory that is a root, at this address.
    Root(usize),
    /// In a block of malloc.
    Block,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody's, or a root.
    Other,
    Blocked,
    Reached,
}

/// A stack.
#[derive(Clone, Copy)]
struct Slot {
    id: u64,
    sp: usize,
    record: usize,
    end: usize,
    state: State,
}

#[derive(Clone, Copy)]
struct Slab {
    base: usize,
    end: usize,
    size: usize,
    claimed: usize,
    first: usize,
}

/// What is still to be followed.
#[derive(Clone, Copy)]
enum Node {
    Block { heap: u32, block: usize },
    Slot(u32),
}

/// The calling thread: what it had in its registers, and where its frames begin.
pub(super) struct Caller<'a> {
    pub(super) registers: &'a [usize],
    pub(super) sp: usize,
    /// The part of its stack below, if that is known.
    pub(super) below: Range<usize>,
    pub(super) tid: i32,
}

/// Reached from a root, or only from a goroutine that cannot be reached itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Root,
    Blocked,
}

pub(super) struct Search {
    heaps: Heaps,
    slabs: Scratch<Slab>,
    slots: Scratch<Slot>,
    /// Units of address space with anything that can be reached in them.
    units: Bits,
    queue: Scratch<Node>,
    /// What is not searched as a root.
    excluded: Scratch<(usize, usize)>,
    /// By thread id.
    workers: Scratch<StoppedWorker>,
    colour: Colour,
    full: bool,
}

impl Search {
    /// To be made before the threads are stopped.
    pub(super) fn new() -> Result<Search, Errno> {
        Ok(Search {
            heaps: Heaps::new()?,
            slabs: Scratch::new(1 << 12)?,
            slots: Scratch::new(1 << 26)?,
            units: Bits::new(1 << (ADDRESS_BITS - UNIT))?,
            queue: Scratch::new(1 << 30)?,
            excluded: Scratch::new(1 << 20)?,
            workers: Scratch::new(1 << 17)?,
            colour: Colour::Root,
            full: false,
        })
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
        memory.read_mappings()?;
        if memory.has_aio {
            return Err(libc::ENOTSUP);
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.find_stacks()?;
            self.find_heaps(memory)?;
            self.pass_over_lists();
            self.exclude(frozen, memory)?;
        }
        self.search_threads(frozen, memory, caller)?;
        self.search_roots(memory)?;
        kernel::for_each_pointer(|pointer| self.follow(pointer, From::Stack))?;
        self.drain();
        self.keep_lost_blocks();
        if self.full {
            return Err(libc::ENOMEM);
        }
        for slot in self.slots.as_slice().iter().filter(|slot| slot.state == State::Blocked) {
            leaks.push(slot.id)?;
        }
        // Had somebody killed the tracer, the threads would have run on.
        if frozen.holds() { Ok(()) } else { Err(libc::EAGAIN) }
    }

    fn add_units(&mut self, start: usize, end: usize) {
        (start >> UNIT..=(end - 1) >> UNIT).for_each(|unit| self.units.set(unit));
    }

    /// # Safety
    /// As for `run`.
    unsafe fn find_stacks(&mut self) -> Result<(), Errno> {
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
                        let mut this = Slot { id: 0, sp: 0, record: end, end, state: State::Other };
                        // Handed out once, and all other threads are stopped.
                        if let Some(g) = goroutine_on(stack) {
                            this = Slot { id: g.id, sp: g.sp, record: g.record, ..this };
                            if g.blocked && (stack.limit().addr()..=g.record).contains(&g.sp) {
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
            self.excluded.push((slab.base, slab.end))?;
        }
        Ok(())
    }

    /// # Safety
    /// As for `run`.
    unsafe fn find_heaps(&mut self, memory: &Memory) -> Result<(), Errno> {
        for mapping in memory.mappings() {
            if mapping.writable && mapping.anonymous {
                let heaps = &mut self.heaps;
                // SAFETY: the caller's promise.
                unsafe { Heap::find(memory, mapping, |heap| heaps.push(heap)) }?;
            }
        }
        self.heaps.all().sort_unstable_by_key(|heap| heap.start);
        for i in 0..self.heaps.all().len() {
            let (start, end) = (self.heaps.all()[i].start, self.heaps.all()[i].end);
            self.add_units(start, end);
            self.excluded.push((start, end))?;
        }
        Ok(())
    }

    /// The pools' lists of stacks: they point to nothing but stacks' ends, and where they are not in use, what was in that
    /// memory before may still stand there. Reached, but not to be followed.
    ///
    /// # Safety
    /// As for `run`.
    unsafe fn pass_over_lists(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            coroutine::for_each_held_list(|at| self.pass_over(at));
        }
    }

    /// Do not follow the block that `address` is in, if that is in a heap.
    fn pass_over(&mut self, address: usize) {
        let heaps = self.heaps.all();
        let Some(i) = heaps.partition_point(|heap| heap.start <= address).checked_sub(1) else { return };
        let heap = &mut heaps[i];
        if address < heap.end {
            let block = heap.block_of(address);
            heap.reach(block);
        }
    }

    /// What is not searched: the search's own memory, and what workers have left over.
    ///
    /// # Safety
    /// As for `run`.
    unsafe fn exclude(&mut self, frozen: &Frozen, memory: &Memory) -> Result<(), Errno> {
        let own = [
            self.heaps.place.place(),
            self.slabs.place(),
            self.slots.place(),
            self.units.place(),
            self.queue.place(),
            self.excluded.place(),
            self.workers.place(),
        ];
        for place in own.into_iter().chain(frozen.places()).chain(memory.places()) {
            self.excluded.push(place)?;
        }
        let (mut result, workers) = (Ok(()), &mut self.workers);
        // SAFETY: the caller's promise.
        unsafe {
            for_each_worker(|w| {
                if result.is_ok() {
                    result = workers.push(w);
                }
            });
        }
        result?;
        self.workers.as_mut_slice().sort_unstable_by_key(|w| w.tid);
        for w in self.workers.as_slice() {
            if let Some(place) = w.stale {
                self.excluded.push(place)?;
            }
        }
        Ok(())
    }

    /// The registers and stacks of all threads, and the stacks of goroutines that are not blocked.
    ///
    fn search_threads(
        &mut self,
        frozen: &Frozen,
        memory: &mut Memory,
        caller: &Caller<'_>,
    ) -> Result<(), Errno> {
        for &value in caller.registers {
            self.follow(value, From::Stack);
        }
        self.excluded.push((caller.below.start, caller.below.end.max(caller.below.start)))?;
        self.search_thread(memory, caller.tid, caller.sp)?;
        for thread in frozen.threads() {
            if self.worker_of(thread.tid).is_some_and(|w| w.asleep) {
                continue;
            }
            for &value in frozen.registers(thread) {
                self.follow(value as usize, From::Stack);
            }
            self.search_thread(memory, thread.tid, thread.sp.saturating_sub(RED_ZONE))?;
        }
        for i in 0..self.workers.as_slice().len() {
            let w = self.workers.as_slice()[i];
            if w.asleep {
                self.excluded.push(w.stack)?;
            }
            // Its thread may be on another stack at the moment, that of a signal's handler say.
            if w.goroutine != 0
                && let Some(i) = self.slot_of(w.goroutine)
            {
                self.is_running(i, 0);
            }
        }
        for i in 0..self.slots.as_slice().len() {
            let slot = self.slots.as_slice()[i];
            if slot.id == 0 || slot.state != State::Other {
                continue;
            }
            if slot.sp == 0 {
                self.search_whole(memory, i)?;
            } else {
                self.search_words(slot.sp, slot.end, From::Stack);
            }
        }
        Ok(())
    }

    /// A thread whose frames, on whatever stack it is, begin at `sp`.
    fn search_thread(&mut self, memory: &Memory, tid: i32, sp: usize) -> Result<(), Errno> {
        let worker = self.worker_of(tid);
        if let Some(i) = self.slot_of(sp) {
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
        let workers = self.workers.as_slice();
        workers.binary_search_by_key(&tid, |w| w.tid).ok().map(|i| workers[i])
    }

    /// A goroutine is on a thread: its frames begin at `sp`, 0 if that is not known.
    fn is_running(&mut self, i: usize, sp: usize) {
        let slot = &mut self.slots.as_mut_slice()[i];
        if slot.state == State::Blocked {
            slot.sp = 0;
        }
        slot.state = State::Other;
        // In a forked child the stack of the goroutine that forked is its thread's, and its record the parent's.
        slot.id = slot.id.max(1);
        if sp != 0 {
            slot.sp = sp;
        }
    }

    /// A stack of which it is not known how far it is in use.
    fn search_whole(&mut self, memory: &mut Memory, i: usize) -> Result<(), Errno> {
        let end = self.slots.as_slice()[i].end;
        let Some(slab) = self.slab_of(end - 1) else { return Ok(()) };
        let Some(&mapping) = memory.mappings().iter().find(|m| (m.start..m.end).contains(&(end - 1))) else {
            return Ok(());
        };
        let from = (end - slab.size).max(mapping.start);
        memory.read(&mapping, from, end, |_, piece| {
            each_value(piece, |_, value| self.follow(value, From::Stack));
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
            each_value(piece, |i, value| self.follow(value, From::Root(at + i)));
        })
    }

    /// Blocks that nothing points to: see the module comment.
    fn keep_lost_blocks(&mut self) {
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

    fn drain(&mut self) {
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
    fn search_words(&mut self, from: usize, to: usize, origin: From) {
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

    fn slab_of(&self, address: usize) -> Option<Slab> {
        let slabs = self.slabs.as_slice();
        let slab = *slabs.get(slabs.partition_point(|slab| slab.base <= address).checked_sub(1)?)?;
        (address < slab.base + slab.claimed * slab.size).then_some(slab)
    }

    fn slot_of(&self, address: usize) -> Option<usize> {
        let slab = self.slab_of(address)?;
        Some(slab.first + (address - slab.base) / slab.size)
    }

    /// `value` was found: does it point to anything?
    #[inline]
    fn follow(&mut self, value: usize, origin: From) {
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
        let Some(i) = heaps.partition_point(|heap| heap.start <= value).checked_sub(1) else { return };
        let heap = &heaps[i];
        if value >= heap.end {
            return;
        }
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

/// Call `f` with the offset and value of everything in `piece` that could be a pointer: of any 8 bytes that begin
/// before the last 7.
fn each_value(piece: &[u8], mut f: impl FnMut(usize, usize)) {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        let end = (at + 8).min(piece.len());
        bytes[..end - at].copy_from_slice(&piece[at..end]);
        usize::from_le_bytes(bytes)
    };
    let (mut at, end) = (0, piece.len() - 7);
    let mut this = word(0);
    while at < end {
        let next = if at + 16 <= piece.len() {
            // The usual case, without a look at the length of what is copied.
            usize::from_le_bytes([
                piece[at + 8],
                piece[at + 9],
                piece[at + 10],
                piece[at + 11],
                piece[at + 12],
                piece[at + 13],
                piece[at + 14],
                piece[at + 15],
            ])
        } else if at + 8 < piece.len() {
            word(at + 8)
        } else {
            0
        };
        values(this, next, |i, value| f(at + i, value));
        this = next;
        at += 8;
    }
}

/// Call `f` with what could be pointers that begin in the word `this`, which `next` follows.
#[inline(always)]
fn values(this: usize, next: usize, mut f: impl FnMut(usize, usize)) {
    if this | next == 0 {
        return;
    }
    // As it is, or with whatever its upper 16 bits mean.
    f(0, this & ((1 << 48) - 1));
    for i in 1..8 {
        let value = this >> (8 * i) | next << (64 - 8 * i);
        if value >> ADDRESS_BITS == 0 {
            f(i, value);
        }
    }
}

/// The heaps that were found, in memory that is not malloc's.
struct Heaps {
    place: Scratch<u8>,
    len: usize,
}

impl Heaps {
    fn new() -> Result<Heaps, Errno> {
        Ok(Heaps { place: Scratch::new(MOST_HEAPS * size_of::<Heap>())?, len: 0 })
    }

    fn push(&mut self, heap: Heap) {
        if self.len < MOST_HEAPS {
            // SAFETY: within the room, which begins on a page.
            unsafe { self.place.room().as_mut_ptr().cast::<Heap>().add(self.len).write(heap) };
            self.len += 1;
        }
    }

    fn all(&mut self) -> &mut [Heap] {
        // SAFETY: so many were written.
        unsafe { std::slice::from_raw_parts_mut(self.place.room().as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Heaps {
    fn drop(&mut self) {
        // SAFETY: dropped once, and not used again.
        unsafe { std::ptr::drop_in_place(self.all()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_found_at_every_offset_and_under_a_tag() {
        for offset in 0..24 {
            let mut bytes = vec![0u8; 40 + 7];
            bytes[offset..offset + 8].copy_from_slice(&0x7f12_3456_789au64.to_le_bytes());
            let mut found = Vec::new();
            each_value(&bytes, |at, value| found.extend((value == 0x7f12_3456_789a).then_some(at)));
            assert_eq!(found, [offset]);
        }
        let mut found = false;
        let tagged = 0xfff9_7f12_3456_789au64.to_le_bytes();
        each_value(&[&tagged[..], &[0; 7]].concat(), |_, value| found |= value == 0x7f12_3456_789a);
        assert!(found);
    }
}
