//! Runs one strategy on one pair of files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use strategy_api::abi::{NO_DEADLINE, RawCtl, RawInput, guarded};
use strategy_api::{Ctl, Input, Line, Op, Strategy};

use crate::intern::FilePair;
use crate::lines::Lines;
use crate::strategies::loading::LoadedStrategy;

/// A strategy without its type.
pub(crate) trait Run: Send + Sync {
    fn needs_text(&self) -> bool;

    /// The operations and whether they are degraded, or a sentence about what went wrong. Never
    /// unwinds.
    fn run(&self, input: &Input<'_>, limits: Limits<'_>) -> Result<Answer, String>;
}

/// The limits of a run.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) cancelled: &'a AtomicBool,
    pub(crate) time_allowed: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) ops: Vec<Op>,
    pub(crate) degraded: bool,
}

/// Why a strategy gave no valid script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In a sentence.
    pub(crate) why: String,
    /// Whether code of the strategy is at fault; false if it was never loaded.
    pub(crate) misbehaved: bool,
}

impl Failure {
    pub(crate) fn misbehaved(why: String) -> Self {
        Self { why, misbehaved: true }
    }

    pub(crate) fn not_loaded(why: String) -> Self {
        Self { why, misbehaved: false }
    }
}

/// A strategy that is part of this program.
pub(crate) struct Linked<S>(pub(crate) S);

impl<S: Strategy> Run for Linked<S> {
    fn needs_text(&self) -> bool {
        S::NEEDS_TEXT
    }

    fn run(&self, input: &Input<'_>, limits: Limits<'_>) -> Result<Answer, String> {
        guarded(|| {
            let ctl = Ctl::new(limits.cancelled, limits.time_allowed);
            let ops = self.0.diff(input, &ctl).map_err(|error| error.to_string())?;
            Ok(Answer { ops, degraded: ctl.degraded() })
        })
    }
}

/// The library catches its own panics.
impl Run for LoadedStrategy {
    fn needs_text(&self) -> bool {
        self.0.needs_text()
    }

    fn run(&self, input: &Input<'_>, limits: Limits<'_>) -> Result<Answer, String> {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(NO_DEADLINE);
        let ctl = RawCtl {
            cancelled: limits.cancelled,
            deadline_ns: limits.time_allowed.map_or(NO_DEADLINE, nanoseconds),
        };
        let script =
            self.0.diff()(RawInput::from(*input), ctl).into_result().map_err(String::from)?;
        let lines = input.old.len() + input.new.len();
        if script.ops.len() > lines {
            // Not copied, because validation would refuse it for this alone.
            let ops = script.ops.len();
            return Err(format!("the script has {ops} operations for {lines} lines"));
        }
        Ok(Answer { ops: script.ops.as_slice().to_vec(), degraded: script.degraded })
    }
}

/// Runs a strategy on this thread, for as long as it takes.
pub(crate) fn run_inline(strategy: &dyn Run, pair: &FilePair<'_>) -> Result<Answer, String> {
    let never = AtomicBool::new(false);
    run_on(strategy, pair, Limits { cancelled: &never, time_allowed: None })
}

/// Runs a strategy on its own thread, and abandons both when the time is over.
///
/// A thread cannot be ended from outside, so one that ignores its deadline goes on; its strategy must
/// not be run again.
pub(crate) fn run_on_thread(
    strategy: &Arc<dyn Run>,
    pair: &FilePair<'_>,
    time_allowed: Duration,
) -> Result<Answer, String> {
    let owned = |lines: &Lines<'_>| {
        if strategy.needs_text() { lines.bytes().to_vec() } else { Vec::new() }
    };
    let (old, new) = (owned(&pair.old), owned(&pair.new));
    let (strategy, ids) = (Arc::clone(strategy), pair.ids.clone());
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("diff-strategy".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let limits = Limits { cancelled: &flag, time_allowed: Some(time_allowed) };
            let pair = FilePair { ids, old: Lines::of(&old), new: Lines::of(&new) };
            // A closed channel means that the caller has given up.
            let _ = sender.send(run_on(strategy.as_ref(), &pair, limits));
        })
        .map_err(|error| format!("no thread to run it on: {error}"))?;
    match receiver.recv_timeout(time_allowed) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Disconnected) => Err("ended without an answer".to_owned()),
        Err(RecvTimeoutError::Timeout) => {
            cancelled.store(true, Ordering::Relaxed);
            Err(format!("took longer than {} ms", time_allowed.as_millis()))
        }
    }
}

const STACK_BYTES: usize = 8 << 20;

/// Runs a strategy on this thread, within limits.
pub(crate) fn run_on(
    strategy: &dyn Run,
    FilePair { ids, old, new }: &FilePair<'_>,
    limits: Limits<'_>,
) -> Result<Answer, String> {
    let (old_text, new_text) = (text_for(strategy, old), text_for(strategy, new));
    let input = Input { old: &ids.old, new: &ids.new, old_text: &old_text, new_text: &new_text };
    strategy.run(&input, limits)
}

fn text_for<'a>(strategy: &dyn Run, lines: &Lines<'a>) -> Vec<Line<'a>> {
    if strategy.needs_text() { lines.iter().map(Line::new).collect() } else { Vec::new() }
}
