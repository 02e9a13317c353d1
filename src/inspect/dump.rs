//! The text of a dump: every goroutine as Go prints it, alike ones together.
//!
//! The one thing to know: all goroutines are read first and printed then, so that alike ones are found; what is kept of
//! each is a few words and the number of its backtrace.

use super::list::{View, for_each};
use super::modules::Modules;
use super::out::Out;
use super::symbols::Symbols;
use super::unwind::{MOST_FRAMES, PARKED, Unwinder};
use crate::sched::{BY_TIMER, State, WaitReason};
use std::collections::HashMap;
use std::fmt::{self, Write};

/// So many alike goroutines are still printed one by one.
const FEW: usize = 10;
/// Of more, so many runs of numbers are named.
const RUNS: usize = 12;
const MINUTE: i64 = 60_000_000_000;

/// The goroutine that asks for the dump: whose number and frames it has itself.
pub(super) struct Caller {
    pub(super) id: u64,
    pub(super) frames: Vec<usize>,
}

/// The goroutines that can never wake, by number.
pub(super) struct Leaked<'a> {
    pub(super) ids: &'a [u64],
    /// Write no others.
    pub(super) only: bool,
}

struct One {
    id: u64,
    minutes: i64,
    parent: u64,
}

/// What makes goroutines alike.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    name: Option<String>,
    state: State,
    reason: WaitReason,
    leaked: bool,
    locked: bool,
    spawned_at: usize,
    /// Its function.
    body: usize,
    frames: Frames,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Frames {
    /// Runs on another thread.
    Running,
    /// Of this number in `Census::backtraces`.
    Known(usize),
}

/// All goroutines, by kind.
#[derive(Default)]
struct Census {
    kinds: HashMap<Kind, Vec<One>>,
    backtraces: Vec<Vec<usize>>,
    numbers: HashMap<Vec<usize>, usize>,
}

impl Census {
    fn number(&mut self, frames: &[usize]) -> Frames {
        if let Some(&number) = self.numbers.get(frames) {
            return Frames::Known(number);
        }
        let number = self.backtraces.len();
        self.backtraces.push(frames.to_vec());
        self.numbers.insert(frames.to_vec(), number);
        Frames::Known(number)
    }

    fn take(modules: &Modules, caller: Option<&Caller>, leaked: &Leaked<'_>) -> Census {
        let mut census = Census::default();
        let mut unwinder = Unwinder::new(modules);
        let mut frames = Vec::with_capacity(MOST_FRAMES);
        for_each(|view: &View| {
            let is_leaked = leaked.ids.binary_search(&view.id).is_ok();
            if leaked.only && !is_leaked {
                return;
            }
            let (mut state, mut reason) = (view.state, view.reason);
            let known = if let Some(me) = caller.filter(|me| me.id == view.id) {
                census.number(&me.frames)
            } else if view.stack.is_empty() {
                // Has not run: it stands before its function.
                census.number(&[])
            } else if view.parked.is_none() {
                Frames::Running
            } else if unwinder.parked(view, &mut frames) {
                census.number(&frames)
            } else {
                // It has gone on meanwhile.
                (state, reason) = (State::Running, WaitReason::None);
                Frames::Running
            };
            let kind = Kind {
                name: if view.named { view.name() } else { None },
                state,
                reason,
                leaked: is_leaked,
                locked: view.locked,
                spawned_at: view.spawned_at,
                body: view.body,
                frames: known,
            };
            let one = One { id: view.id, minutes: view.waited / MINUTE, parent: view.parent };
            census.kinds.entry(kind).or_default().push(one);
        });
        census
    }
}

/// Write all goroutines to `out`: the caller first, then by number.
pub(super) fn write(out: &mut Out, caller: Option<&Caller>, leaked: &Leaked<'_>) -> fmt::Result {
    let modules = Modules::new();
    let Census { mut kinds, backtraces, .. } = Census::take(&modules, caller, leaked);
    let mut report = Report { out, symbols: Symbols::new(&modules), backtraces: &backtraces };
    // What is printed together: a kind of many, or a single one.
    let mut blocks: Vec<(&Kind, &[One])> = Vec::new();
    kinds.values_mut().for_each(|ones| ones.sort_by_key(|one| one.id));
    for (kind, ones) in &kinds {
        if ones.len() > FEW {
            blocks.push((kind, ones));
        } else {
            blocks.extend(ones.chunks(1).map(|one| (kind, one)));
        }
    }
    let is_caller = |id| caller.is_some_and(|me| me.id == id);
    blocks.sort_by_key(|(_, ones)| (!is_caller(ones[0].id), ones[0].id));
    if !PARKED {
        report.out.write_str("(no backtraces of parked goroutines on this architecture)\n\n")?;
    }
    if blocks.is_empty() {
        report.out.write_str("no goroutines\n")?;
    }
    let mut first = true;
    for (kind, ones) in blocks {
        if !first {
            report.out.write_char('\n')?;
        }
        first = false;
        report.block(kind, ones)?;
    }
    Ok(())
}

/// Write `title` and a backtrace to `out`; if no frame is to be shown, the goroutine's function `body`: its last act
/// was a jump into gort, and it has no frame any more.
pub(super) fn write_backtrace(
    out: &mut Out,
    title: &str,
    frames: &[usize],
    body: Option<usize>,
) -> fmt::Result {
    let modules = Modules::new();
    let mut report = Report { out, symbols: Symbols::new(&modules), backtraces: &[] };
    report.out.write_str(title)?;
    if !report.frames(frames)?
        && let Some(body) = body
    {
        report.symbols.place(body + 1).write(report.out)?;
    }
    Ok(())
}

struct Report<'a> {
    out: &'a mut Out,
    symbols: Symbols<'a>,
    backtraces: &'a [Vec<usize>],
}

impl Report<'_> {
    fn block(&mut self, kind: &Kind, ones: &[One]) -> fmt::Result {
        match ones {
            [one] => write!(self.out, "goroutine {}", one.id)?,
            many => write!(self.out, "{} goroutines", many.len())?,
        }
        if let Some(name) = &kind.name {
            write!(self.out, " \"{name}\"")?;
        }
        self.out.write_str(" [")?;
        self.out.write_str(match kind.state {
            State::Waiting => kind.reason.text(),
            State::Runnable => "runnable",
            State::Running | State::Dead => "running",
        })?;
        if kind.leaked {
            self.out.write_str(" (leaked)")?;
        }
        let minutes =
            |pick: fn(i64, i64) -> i64| ones.iter().map(|one| one.minutes).reduce(pick).unwrap_or(0);
        match (minutes(i64::min), minutes(i64::max)) {
            (_, 0) => {}
            (least, most) if least == most => write!(self.out, ", {most} minutes")?,
            (least, most) => write!(self.out, ", {least}-{most} minutes")?,
        }
        if kind.locked {
            self.out.write_str(", locked to thread")?;
        }
        self.out.write_str("]:")?;
        if ones.len() > 1 {
            self.numbers(ones)?;
        }
        self.out.write_char('\n')?;
        match kind.frames {
            Frames::Running => {
                self.out.write_str("\tgoroutine running on other thread; stack unavailable\n")?;
            }
            Frames::Known(number) => {
                // It has not run; or its function ended with a jump into gort, and has no frame any more.
                if !self.frames(&self.backtraces[number])? {
                    self.symbols.place(kind.body + 1).write(self.out)?;
                }
            }
        }
        self.created_by(kind, ones)
    }

    /// ` 2-5000 5010 ... and 17 more`
    fn numbers(&mut self, ones: &[One]) -> fmt::Result {
        let mut named = 0;
        for (i, run) in ones.chunk_by(|a, b| a.id + 1 == b.id).enumerate() {
            if i == RUNS {
                return write!(self.out, " and {} more", ones.len() - named);
            }
            named += run.len();
            match run {
                [one] => write!(self.out, " {}", one.id)?,
                [first, .., last] => write!(self.out, " {}-{}", first.id, last.id)?,
                [] => {}
            }
        }
        Ok(())
    }

    /// False: there is none to show.
    fn frames(&mut self, frames: &[usize]) -> Result<bool, fmt::Error> {
        let visible = self.symbols.visible(frames);
        for &address in visible {
            self.symbols.place(address).write(self.out)?;
        }
        if frames.len() == MOST_FRAMES {
            self.out.write_str("...additional frames elided...\n")?;
        }
        Ok(!visible.is_empty())
    }

    fn created_by(&mut self, kind: &Kind, ones: &[One]) -> fmt::Result {
        if kind.spawned_at == BY_TIMER {
            return self.out.write_str("created by a timer\n");
        }
        if kind.spawned_at == 0 {
            return Ok(());
        }
        let place = self.symbols.place(kind.spawned_at);
        match place.function() {
            Some(function) => write!(self.out, "created by {function}")?,
            None => write!(self.out, "created by {:#x}", kind.spawned_at)?,
        }
        let parent = ones[0].parent;
        if parent != 0 && ones.iter().all(|one| one.parent == parent) {
            write!(self.out, " in goroutine {parent}")?;
        }
        self.out.write_char('\n')?;
        place.write_first_line(self.out)
    }
}
