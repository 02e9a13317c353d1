//! Backtraces: of parked goroutines from their saved registers, and of the caller.
//!
//! The one thing to know: a parked goroutine may be resumed in the middle of it, so nothing is believed: framehop
//! reads the stack through a callback that stays within its bounds, and whoever asks checks afterwards that the
//! goroutine has held still (`View::holds`). The caller's own stack is walked by the C runtime's unwinder.

use super::list::View;
#[cfg(target_arch = "x86_64")]
use super::memory::stack_word;
use super::modules::Modules;
use crate::coroutine::Coroutine;
use crate::primitive::backtrace::{Backtrace, DEPTH};

/// The deepest backtrace that is shown.
pub(super) const MOST_FRAMES: usize = DEPTH;

/// Can backtraces of parked goroutines be made here?
pub(super) const PARKED: bool = cfg!(target_arch = "x86_64") && Coroutine::KEEPS_REGISTERS;

#[cfg(target_arch = "x86_64")]
pub(super) struct Unwinder {
    inner: framehop::x86_64::UnwinderX86_64<&'static [u8]>,
    cache: framehop::x86_64::CacheX86_64,
}

#[cfg(target_arch = "x86_64")]
impl Unwinder {
    /// To be used no longer than `modules` lives.
    pub(super) fn new(modules: &Modules) -> Unwinder {
        use framehop::{ExplicitModuleSectionInfo, Module, Unwinder as _};
        let mut inner = framehop::x86_64::UnwinderX86_64::new();
        for module in &modules.all {
            let Some(tables) = module.unwind_tables() else { continue };
            let svma = |slice: &[u8]| {
                let start = slice.as_ptr().addr().wrapping_sub(module.base) as u64;
                start..start + slice.len() as u64
            };
            let sections = ExplicitModuleSectionInfo {
                base_svma: 0,
                eh_frame_hdr_svma: Some(svma(tables.eh_frame_hdr)),
                eh_frame_svma: Some(svma(tables.eh_frame)),
                eh_frame_hdr: Some(tables.eh_frame_hdr),
                eh_frame: Some(tables.eh_frame),
                ..Default::default()
            };
            let range = module.range.start as u64..module.range.end as u64;
            inner.add_module(Module::new(String::new(), range, module.base as u64, sections));
        }
        Unwinder { inner, cache: framehop::x86_64::CacheX86_64::new() }
    }

    /// The addresses that the frames of a parked goroutine return to, the innermost first; the first is that of
    /// the switch. True: it has stayed parked, so that they are right.
    pub(super) fn parked(&mut self, view: &View, frames: &mut Vec<usize>) -> bool {
        use framehop::Unwinder as _;
        frames.clear();
        let Some(parked) = view.parked else { return false };
        // See `coroutine/switch_x86_64.rs`: address, rbx, rbp, and above them the stack as it is to be again.
        let words = [0, 16].map(|offset| stack_word(view, parked.sp.wrapping_add(offset)));
        let [Some(pc), Some(rbp)] = words else { return false };
        let registers =
            framehop::x86_64::UnwindRegsX86_64::new(pc as u64, (parked.sp + 24) as u64, rbp as u64);
        let mut read = |at: u64| stack_word(view, at as usize).map(|word| word as u64).ok_or(());
        let mut iterator = self.inner.iter_frames(pc as u64, registers, &mut self.cache, &mut read);
        while let Ok(Some(frame)) = iterator.next() {
            // As a return address, which lines are looked up one byte before.
            let address = match frame {
                framehop::FrameAddress::InstructionPointer(pc) => pc + 1,
                framehop::FrameAddress::ReturnAddress(address) => address.get(),
            };
            frames.push(address as usize);
            if frames.len() == MOST_FRAMES {
                break;
            }
        }
        view.holds()
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) struct Unwinder;

#[cfg(not(target_arch = "x86_64"))]
impl Unwinder {
    pub(super) fn new(_: &Modules) -> Unwinder {
        Unwinder
    }

    pub(super) fn parked(&mut self, view: &View, frames: &mut Vec<usize>) -> bool {
        frames.clear();
        view.holds()
    }
}

/// The addresses that the caller's own frames return to, the innermost first.
pub(super) fn own() -> Vec<usize> {
    Backtrace::of_caller(0).addresses().to_vec()
}
