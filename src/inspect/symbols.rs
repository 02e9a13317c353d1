//! From addresses to functions and lines.
//!
//! The one thing to know: a module's tables are read when the first address in it is asked for, and thrown away with
//! the report; the answers are kept for the next one, while the same modules are loaded. Goroutines by the hundred
//! thousand stand at a handful of places.

use super::modules::Modules;
use addr2line::Loader;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

/// What one address stands for: the function, and before it those that were inlined into it there.
pub(super) struct Place {
    lines: Vec<Line>,
    /// The function's name as in the symbol table, made readable.
    symbol: Option<String>,
    /// How far into the function it is.
    offset: usize,
    address: usize,
}

struct Line {
    function: Option<String>,
    file: Option<String>,
    line: u32,
}

impl Place {
    /// Of gort itself, behind its exported functions?
    fn is_internal(&self) -> bool {
        let inside = ["gort::", "<gort::", "_Unwind_", "std::", "core::", "<core::", "alloc::"];
        self.symbol.as_deref().is_some_and(|name| inside.iter().any(|start| name.starts_with(start)))
    }

    /// As Go prints a frame: the function, and indented the file and line.
    pub(super) fn write(&self, out: &mut impl Write) -> fmt::Result {
        for line in &self.lines {
            match line.function.as_deref() {
                None => writeln!(out, "{:#x}", self.address)?,
                Some(name) if name.ends_with(')') => writeln!(out, "{name}")?,
                Some(name) => writeln!(out, "{name}(...)")?,
            }
            self.write_line(line, out)?;
        }
        Ok(())
    }

    /// The function alone.
    pub(super) fn function(&self) -> Option<&str> {
        self.lines.first()?.function.as_deref()
    }

    /// The first line alone, indented.
    pub(super) fn write_first_line(&self, out: &mut impl Write) -> fmt::Result {
        self.lines.first().map_or(Ok(()), |line| self.write_line(line, out))
    }

    fn write_line(&self, line: &Line, out: &mut impl Write) -> fmt::Result {
        out.write_char('\t')?;
        match (&line.file, line.line) {
            (Some(file), 0) => write!(out, "{file}")?,
            (Some(file), number) => write!(out, "{file}:{number}")?,
            (None, _) => write!(out, "?")?,
        }
        writeln!(out, " +{:#x}", self.offset)
    }
}

pub(super) struct Symbols<'m> {
    modules: &'m Modules,
    /// Of each module: not asked for yet; or what it says, if it says anything.
    loaders: Vec<Option<Option<Loader>>>,
    /// The kept answers, unless another report is using them (or was, when this process was forked).
    kept: Option<MutexGuard<'static, Option<Kept>>>,
    places: HashMap<usize, Arc<Place>>,
}

/// What earlier reports have found out.
struct Kept {
    /// See [`Modules::changes`].
    changes: (u64, u64),
    places: HashMap<usize, Arc<Place>>,
}

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

impl<'m> Symbols<'m> {
    pub(super) fn new(modules: &'m Modules) -> Symbols<'m> {
        let loaders = modules.all.iter().map(|_| None).collect();
        let mut kept = KEPT.try_lock().ok();
        let old = kept.as_mut().and_then(|kept| kept.take());
        let places = old.filter(|old| old.changes == modules.changes).map(|old| old.places);
        Symbols { modules, loaders, kept, places: places.unwrap_or_default() }
    }

    /// What the call that returns to `address` is.
    pub(super) fn place(&mut self, address: usize) -> Arc<Place> {
        if let Some(place) = self.places.get(&address) {
            return place.clone();
        }
        let place = Arc::new(self.look_up(address));
        self.places.insert(address, place.clone());
        place
    }

    fn look_up(&mut self, address: usize) -> Place {
        // The call itself is before the address it returns to.
        let probe = address.wrapping_sub(1);
        let mut place = Place { lines: Vec::new(), symbol: None, offset: 0, address };
        let Some(index) = self.modules.find(probe) else {
            place.lines.push(Line { function: None, file: None, line: 0 });
            return place;
        };
        let module = &self.modules.all[index];
        place.offset = address - module.base;
        let loader = self.loaders[index].get_or_insert_with(|| Loader::new(module.file.as_ref()?).ok());
        let svma = (probe - module.base) as u64;
        if let Some(loader) = loader {
            if let Some(symbol) = loader.find_symbol_info(svma) {
                place.symbol = Some(addr2line::demangle_auto(symbol.name().into(), None).into_owned());
                place.offset = (svma + 1).wrapping_sub(symbol.address()) as usize;
            }
            // What was inlined into an exported function is gort's affair.
            let inlined = !place.symbol.as_deref().is_some_and(|name| name.starts_with("gort_"));
            if let Ok(mut frames) = loader.find_frames(svma) {
                while let Ok(Some(frame)) = frames.next() {
                    let function = frame.function.and_then(|f| Some(f.demangle().ok()?.into_owned()));
                    let (file, line) = frame
                        .location
                        .map_or((None, 0), |l| (l.file.map(str::to_owned), l.line.unwrap_or(0)));
                    if !inlined {
                        place.lines.clear();
                    }
                    place.lines.push(Line { function, file, line });
                }
            }
        }
        if place.lines.is_empty() {
            place.lines.push(Line { function: None, file: None, line: 0 });
        }
        if let Some(last) = place.lines.last_mut() {
            last.function = last.function.take().or_else(|| place.symbol.clone());
            last.file = last.file.take().or_else(|| Some(module.path.to_string_lossy().into_owned()));
        }
        place
    }

    /// The frames that are worth showing: from the exported function of gort that was called last (if any was)
    /// out to the goroutine's own.
    pub(super) fn visible<'f>(&mut self, frames: &'f [usize]) -> &'f [usize] {
        let inner = frames.iter().take_while(|&&at| self.place(at).is_internal());
        let frames = &frames[inner.count()..];
        let outer = frames.iter().rev().take_while(|&&at| self.place(at).is_internal());
        &frames[..frames.len() - outer.count()]
    }
}

impl Drop for Symbols<'_> {
    fn drop(&mut self) {
        if let Some(kept) = &mut self.kept {
            **kept = Some(Kept { changes: self.modules.changes, places: std::mem::take(&mut self.places) });
        }
    }
}
