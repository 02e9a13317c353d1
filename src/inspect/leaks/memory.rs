//! The memory of the process: its mappings, which of their pages hold anything, and reading them.
//!
//! The one thing to know: roots are read through `/proc/.../mem`, so that no page, whatever lies there, can end
//! the search with a fault; and only pages that hold something are read, which `pagemap` tells.
//! A private page that is not in memory and not swapped out holds what the file holds, or nothing: no pointer
//! that was made at run time.
//!
//! All of it by `/proc/thread-self`: what `/proc/self` says is the first thread's, and nothing once that has ended.

use super::freeze::{Fd, Path};
use super::scratch::{Errno, Scratch};

/// A mapping whose memory may hold pointers.
#[derive(Clone, Copy)]
pub(super) struct Mapping {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) writable: bool,
    shared: bool,
    /// Neither a file's nor anything else's: only memory.
    pub(super) anonymous: bool,
    pub(super) heap: bool,
    /// The stack of the process's first thread, as the kernel made it.
    pub(super) stack: bool,
}

impl Mapping {
    /// A file's, of which changes are this process's own: variables, if it is writable.
    pub(super) fn is_data(&self) -> bool {
        !self.shared && !self.anonymous
    }
}

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// `pagemap`: the page is in memory, or swapped out; it is a file's page, or shared.
const PRESENT: u64 = 1 << 63 | 1 << 62;
const OF_FILE: u64 = 1 << 61;
const PAGE: usize = 4096;

pub(super) struct Memory {
    mem: Fd,
    pagemap: Fd,
    mappings: Scratch<Mapping>,
    /// Asynchronous I/O is in use: see `kernel.rs`. (A ring may have a mapping and no file descriptor.)
    pub(super) has_aio: bool,
    text: Scratch<u8>,
    pages: Scratch<u64>,
    resident: Scratch<u8>,
    buffer: Scratch<u8>,
}

impl Memory {
    pub(super) fn new() -> Result<Memory, Errno> {
        // SAFETY: no preconditions. The arithmetic below is for pages of 4 KiB.
        if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != PAGE as i64 {
            return Err(libc::ENOTSUP);
        }
        Ok(Memory {
            mem: Fd::open(Path::new().text(b"/proc/thread-self/mem\0"))?,
            pagemap: Fd::open(Path::new().text(b"/proc/thread-self/pagemap\0"))?,
            mappings: Scratch::growing(1 << 20)?,
            has_aio: false,
            text: Scratch::reserve(1 << 20, 1 << 28)?,
            pages: Scratch::new(1 << 15)?,
            resident: Scratch::new(1 << 15)?,
            buffer: Scratch::new(CHUNK + PAGE)?,
        })
    }

    pub(super) fn places(&self) -> [(usize, usize); 4] {
        [self.mappings.place(), self.text.place(), self.pages.place(), self.buffer.place()]
    }

    /// Read the list of mappings. While everything else is stopped, so that it stays true.
    pub(super) fn read_mappings(&mut self) -> Result<(), Errno> {
        let maps = Fd::open(Path::new().text(b"/proc/thread-self/maps\0"))?;
        let mut len = 0;
        loop {
            let room = self.text.room();
            // SAFETY: within the room.
            let n = unsafe { libc::read(maps.0, room[len..].as_mut_ptr().cast(), room.len() - len) };
            match n {
                0 => break,
                n if n < 0 => return Err(crate::primitive::errno()),
                n => len += n as usize,
            }
            if len == room.len() {
                self.text.grow()?;
            }
        }
        for line in self.text.room()[..len].split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            let ends = [&b"/[aio] (deleted)"[..], b"/[aio]", b" anon_inode:[io_uring]"];
            self.has_aio |= ends.iter().any(|end| line.ends_with(end));
            if let Some(mapping) = parse(line) {
                self.mappings.push(mapping)?;
            }
        }
        Ok(())
    }

    pub(super) fn mappings(&self) -> &[Mapping] {
        self.mappings.as_slice()
    }

    /// Call `f(address, bytes)` for what there is between `from` and `to`, which lie in `mapping`: whole pages,
    /// and pieces of at most 256 KiB, each with the 7 bytes that follow it (zero if they hold nothing).
    pub(super) fn read(
        &mut self,
        mapping: &Mapping,
        from: usize,
        to: usize,
        mut f: impl FnMut(usize, &[u8]),
    ) -> Result<(), Errno> {
        let mut at = from;
        while at < to {
            let first = at / PAGE;
            let wanted = (to.div_ceil(PAGE) - first).min(self.pages.room().len());
            let used = self.look(mapping, first, wanted)?;
            if used == 0 {
                return Ok(());
            }
            let mut i = 0;
            while i < used {
                let holds = |this: &Memory, i: usize| {
                    let page = this.pages_at(i);
                    page & PRESENT != 0 && (mapping.shared || page & OF_FILE == 0)
                };
                if !holds(self, i) {
                    i += 1;
                    continue;
                }
                let begin = i;
                while i < used && holds(self, i) {
                    i += 1;
                }
                let low = ((first + begin) * PAGE).max(from);
                let high = ((first + i) * PAGE).min(to);
                // Of the page behind the last that was looked at nothing is known yet.
                self.read_run(low, high, if i == used { to } else { high }, &mut f)?;
            }
            at = (first + used) * PAGE;
        }
        Ok(())
    }

    /// Four words, wherever they may lie; zeros if they cannot be read.
    pub(super) fn peek(&self, at: usize) -> [usize; 4] {
        let mut words = [0; 4];
        let size = size_of_val(&words);
        // SAFETY: a live place of that size.
        let n = unsafe { libc::pread64(self.mem.0, words.as_mut_ptr().cast(), size, at as i64) };
        if n == size as isize { words } else { [0; 4] }
    }

    fn pages_at(&self, i: usize) -> u64 {
        self.pages.as_slice()[i]
    }

    /// What `pagemap` says of `wanted` pages from `first` on.
    fn look(&mut self, mapping: &Mapping, first: usize, wanted: usize) -> Result<usize, Errno> {
        self.pages.clear();
        let room = &mut self.pages.room()[..wanted];
        // SAFETY: within the room.
        let n = unsafe {
            libc::pread(self.pagemap.0, room.as_mut_ptr().cast(), size_of_val(room), (first * 8) as i64)
        };
        if n < 0 {
            return Err(crate::primitive::errno());
        }
        let used = n as usize / 8;
        if mapping.shared {
            // Pages of shared memory may be in memory and not in our tables.
            let resident = self.resident.room();
            let length = (used * PAGE).min(mapping.end - first * PAGE);
            // SAFETY: the vector has room for a byte per page.
            let known = unsafe { libc::mincore((first * PAGE) as *mut _, length, resident.as_mut_ptr()) };
            if known == 0 {
                for (page, there) in room.iter_mut().zip(&resident[..used]) {
                    *page |= if there & 1 != 0 { PRESENT } else { 0 };
                }
            }
        }
        for i in 0..used {
            let page = self.pages.room()[i];
            self.pages.push(page)?;
        }
        Ok(used)
    }

    /// `to`: the bytes that follow are read up to there.
    fn read_run(
        &mut self,
        low: usize,
        high: usize,
        to: usize,
        f: &mut impl FnMut(usize, &[u8]),
    ) -> Result<(), Errno> {
        let mut at = low;
        while at < high {
            let length = CHUNK.min(high - at);
            let wanted = (length + 7).min(to - at);
            let room = &mut self.buffer.room()[..length + 8];
            // SAFETY: within the room.
            let n = unsafe { libc::pread64(self.mem.0, room.as_mut_ptr().cast(), wanted, at as i64) };
            if n <= 0 {
                // A page that cannot be read by anybody: behind the end of a mapped file, say.
                at = (at / PAGE + 1) * PAGE;
                continue;
            }
            let n = n as usize;
            room[n..].fill(0);
            let whole = n.min(length);
            f(at, &room[..whole + 7]);
            at += whole;
        }
        Ok(())
    }
}

/// One line of `maps`; none for memory that holds no pointers of the program's.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.split(|&b| b == b' ').filter(|field| !field.is_empty());
    let (range, rights) = (fields.next()?, fields.next()?);
    let (_offset, _device, inode) = (fields.next()?, fields.next()?, fields.next()?);
    let name = fields.next().unwrap_or(b"");
    let dash = range.iter().position(|&b| b == b'-')?;
    let (start, end) = (hex(&range[..dash])?, hex(&range[dash + 1..])?);
    let begins = |starts: &[&[u8]]| starts.iter().any(|start| name.starts_with(start));
    // Shared memory, huge pages.
    let memory = name == b"/dev/zero" || begins(&[b"/dev/shm/", b"/dev/hugepages", b"/memfd:", b"/SYSV"]);
    // To read a device's registers may do anything.
    let device = !memory && begins(&[b"/dev/", b"/sys/", b"/proc/", b"anon_inode:"]);
    if rights[0] != b'r' || device || begins(&[b"[v"]) {
        return None;
    }
    let shared = rights[3] == b's';
    let writable = rights[1] == b'w';
    // A file that is shared and only read here is written by others: they know nothing of our goroutines. Memory may
    // have been written here before.
    (writable || !shared || memory).then_some(Mapping {
        start,
        end,
        writable,
        shared,
        anonymous: !shared && inode == b"0",
        heap: name == b"[heap]",
        stack: name == b"[stack]",
    })
}

pub(super) fn hex(digits: &[u8]) -> Option<usize> {
    let mut number = 0usize;
    for &digit in digits {
        number = number.checked_mul(16)?.checked_add((digit as char).to_digit(16)? as usize)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_understood() {
        let heap = parse(b"55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                          [heap]")
            .unwrap();
        assert_eq!((heap.start, heap.end), (0x55d0c0a00000, 0x55d0c0a21000));
        assert!(heap.heap && heap.writable && heap.anonymous && !heap.shared && !heap.stack);
        let data = parse(b"7f0000001000-7f0000002000 r--p 00001000 08:01 77 /usr/lib/x.so").unwrap();
        assert!(!data.writable && !data.anonymous && !data.shared);
        let shared = parse(b"7f0000001000-7f0000002000 rw-s 00001000 00:05 77 /dev/zero (deleted)").unwrap();
        assert!(shared.shared && !shared.anonymous);
        assert!(parse(b"7f0000001000-7f0000002000 rw-s 00001000 00:05 77 /dev/dri/card0").is_none());
        assert!(parse(b"7f0000001000-7f0000002000 ---p 00000000 00:00 0").is_none());
        assert!(
            parse(b"7f0000001000-7f0000002000 rw-s 00001000 00:05 77 /sys/bus/pci/devices/0/resource0")
                .is_none()
        );
        assert!(parse(b"7f0000001000-7f0000002000 rw-s 00000000 00:0f 4 anon_inode:[vfio-device]").is_none());
        assert!(parse(b"7f0000001000-7f0000002000 r--s 00000000 08:01 3 /tmp/x").is_none());
        for memory in ["/dev/zero (deleted)", "/memfd:x (deleted)", "/dev/shm/x", "/SYSV00000000 (deleted)"] {
            let line = format!("7f0000001000-7f0000002000 r--s 00000000 00:01 3 {memory}");
            assert!(parse(line.as_bytes()).is_some_and(|m| m.shared && !m.writable), "{memory}");
        }
        assert!(
            parse(b"7f0000001000-7f0000002000 rw-s 00000000 00:0f 4 /dev/hugepages/x (deleted)").is_some()
        );
        // With 48 bits of address, as AArch64 has, or more.
        let high = parse(b"ffffa0001000-ffffa0002000 rw-p 00000000 00:00 0").unwrap();
        assert_eq!(high.start, 0xffff_a000_1000);
        assert!(parse(b"7ffd00000000-7ffd00004000 r--p 00000000 00:00 0 [vvar]").is_none());
    }

    #[test]
    fn what_was_written_is_read_and_what_was_not_touched_is_passed_over() {
        let mut array = Scratch::<u64>::new(1 << 20).unwrap();
        array.room()[0] = 0x1122;
        array.room()[512 * 100 + 511] = 0x3344;
        let (start, end) = array.place();
        let mut memory = Memory::new().unwrap();
        memory.read_mappings().unwrap();
        let find = |m: &&Mapping| m.start <= start && start < m.end;
        let mapping = *memory.mappings().iter().find(find).unwrap();
        let (mut bytes, mut seen) = (0, Vec::new());
        memory
            .read(&mapping, start, end, |at, piece| {
                bytes += piece.len() - 7;
                for i in 0..piece.len() - 7 {
                    let word = u64::from_ne_bytes(piece[i..i + 8].try_into().unwrap());
                    if word == 0x1122 || word == 0x3344 {
                        seen.push((at + i - start, word));
                    }
                }
            })
            .unwrap();
        assert_eq!(seen, [(0, 0x1122), (4096 * 100 + 4088, 0x3344)]);
        assert_eq!(bytes, 2 * 4096);
    }

    #[test]
    fn a_pointer_over_the_edge_of_what_is_looked_at_at_once_is_found() {
        let mut array = Scratch::<u8>::new((128 << 20) + PAGE).unwrap();
        let edge = 128 << 20;
        array.room()[edge - 3..edge + 5].copy_from_slice(&0x1122_3344_5566u64.to_ne_bytes());
        let (start, end) = array.place();
        let mut memory = Memory::new().unwrap();
        memory.read_mappings().unwrap();
        let mapping = *memory.mappings().iter().find(|m| m.start <= start && start < m.end).unwrap();
        let mut seen = Vec::new();
        let look = |at: usize, piece: &[u8]| {
            let found = piece.windows(8).position(|bytes| bytes == 0x1122_3344_5566u64.to_ne_bytes());
            seen.extend(found.map(|i| at + i - start));
        };
        memory.read(&mapping, start, end, look).unwrap();
        assert_eq!(seen, [edge - 3]);
    }
}
