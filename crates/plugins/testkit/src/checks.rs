//! The rules of a strategy, each as a check.

use std::sync::atomic::AtomicBool;
use std::thread;

use strategy_api::{Input, Line, Op};

use crate::pairs::{Pair, large_pairs, random_pairs, small_pairs};
use crate::script::{check_script, reconstruct};
use crate::subject::Subject;

/// One rule that every strategy keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// Users can type the name.
    Name,
    /// Edge cases get valid scripts: empty, equal, disjoint and repetitive files.
    Edges,
    /// Seeded edits of files get valid scripts.
    RandomEdits,
    /// Up to a million lines get valid scripts, on a stack of 1 MiB.
    LargeFiles,
    /// Several threads get the scripts that a single one gets.
    Threads,
    /// A call that is cancelled beforehand ends with an error or a valid script.
    Cancelling,
}

/// Called before each pair with its description, so that the listener knows which pair crashed the
/// process.
pub type Listener<'a> = dyn Fn(&str) + Sync + 'a;

impl Check {
    /// Every check, the quick ones first.
    pub const ALL: [Self; 6] = [
        Self::Name,
        Self::Edges,
        Self::RandomEdits,
        Self::Threads,
        Self::LargeFiles,
        Self::Cancelling,
    ];

    /// The claim that holds if the check passes.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Name => "the name can be typed",
            Self::Edges => "the edges get valid scripts, twice the same",
            Self::RandomEdits => "seeded edits get valid scripts, twice the same",
            Self::Threads => "four threads get what a single one gets",
            Self::LargeFiles => "up to a million lines get valid scripts on a stack of 1 MiB",
            Self::Cancelling => "a call that is cancelled ends, with an error or a valid script",
        }
    }

    /// Whether the check runs the strategy on threads that it starts.
    pub const fn needs_threads(self) -> bool {
        matches!(self, Self::Threads | Self::LargeFiles)
    }

    /// Runs the check.
    ///
    /// # Errors
    ///
    /// A sentence about the broken rule and the pair.
    pub fn run(self, subject: &dyn Subject, listener: &Listener<'_>) -> Result<(), String> {
        match self {
            Self::Name => name_can_be_typed(&subject.name()),
            Self::Edges => scripts_hold(subject, &small_pairs(), listener),
            Self::RandomEdits => {
                scripts_hold(subject, &random_pairs(RANDOM_SEED, RANDOM_PAIRS), listener)
            }
            Self::LargeFiles => on_small_stack(subject, listener),
            Self::Threads => threads_agree(subject, listener),
            Self::Cancelling => cancelled_calls_end(subject, listener),
        }
    }
}

const RANDOM_SEED: u64 = 0x0005_eed0_fd1f;
const RANDOM_PAIRS: usize = 300;

fn name_can_be_typed(name: &str) -> Result<(), String> {
    let typable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(typable) {
        return Ok(());
    }
    Err(format!("{name:?} must be 1 to 64 lower-case letters, digits and hyphens"))
}

/// Every pair gets a valid script, the same one each time.
fn scripts_hold(
    subject: &dyn Subject,
    pairs: &[Pair],
    listener: &Listener<'_>,
) -> Result<(), String> {
    for pair in pairs {
        listener(&pair.what);
        let ready = Ready::new(subject, pair);
        let first = ready.run(subject)?;
        check_script(&pair.old, &pair.new, &first)
            .map_err(|why| format!("the script for {} is not valid: {why}", pair.what))?;
        if reconstruct(&pair.old, &pair.new, &first) != pair.new {
            return Err(format!("the script for {} does not give the new file", pair.what));
        }
        if ready.run(subject)? != first {
            return Err(format!("two runs over {} give two scripts", pair.what));
        }
    }
    Ok(())
}

/// A million lines need no deep stack; one that overflows ends the process.
fn on_small_stack(subject: &dyn Subject, listener: &Listener<'_>) -> Result<(), String> {
    const STACK_BYTES: usize = 1 << 20;
    thread::scope(|scope| {
        let run = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || scripts_hold(subject, &large_pairs(), listener))
            .map_err(|error| format!("no thread could be started: {error}"))?;
        run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn threads_agree(subject: &dyn Subject, listener: &Listener<'_>) -> Result<(), String> {
    const THREADS: usize = 4;
    let pairs = random_pairs(RANDOM_SEED + 1, 40);
    let ready: Vec<_> = pairs.iter().map(|pair| Ready::new(subject, pair)).collect();
    let alone = ready.iter().map(|ready| ready.run(subject)).collect::<Result<Vec<_>, _>>()?;
    let agrees = || {
        for (ready, expected) in ready.iter().zip(&alone) {
            listener(&ready.pair.what);
            if &ready.run(subject)? != expected {
                let what = &ready.pair.what;
                return Err(format!("{what} gives another script on another thread"));
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(agrees)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

fn cancelled_calls_end(subject: &dyn Subject, listener: &Listener<'_>) -> Result<(), String> {
    let cancelled = AtomicBool::new(true);
    for pair in large_pairs() {
        listener(&pair.what);
        if let Ok(ops) = Ready::new(subject, &pair).run_with(subject, &cancelled) {
            check_script(&pair.old, &pair.new, &ops).map_err(|why| {
                format!("cancelled over {}, the script is not valid: {why}", pair.what)
            })?;
        }
    }
    Ok(())
}

/// A pair with text made from its ids if the strategy needs any.
struct Ready<'p> {
    pair: &'p Pair,
    old_text: Vec<Vec<u8>>,
    new_text: Vec<Vec<u8>>,
}

impl<'p> Ready<'p> {
    fn new(subject: &dyn Subject, pair: &'p Pair) -> Self {
        let text_of = |ids: &[u32]| -> Vec<Vec<u8>> {
            let ids = if subject.needs_text() { ids } else { &[] };
            ids.iter().map(|id| text_of_id(*id)).collect()
        };
        Self { pair, old_text: text_of(&pair.old), new_text: text_of(&pair.new) }
    }

    fn run(&self, subject: &dyn Subject) -> Result<Vec<Op>, String> {
        self.run_with(subject, &AtomicBool::new(false))
            .map_err(|error| format!("{} gives the error: {error}", self.pair.what))
    }

    fn run_with(&self, subject: &dyn Subject, cancelled: &AtomicBool) -> Result<Vec<Op>, String> {
        let old_text: Vec<_> = self.old_text.iter().map(|line| Line::new(line)).collect();
        let new_text: Vec<_> = self.new_text.iter().map(|line| Line::new(line)).collect();
        let (old, new) = (&self.pair.old, &self.pair.new);
        let input = Input { old, new, old_text: &old_text, new_text: &new_text };
        subject.line_up(&input, cancelled)
    }
}

/// A line for an id: different for each id, with every kind of byte that files contain.
fn text_of_id(id: u32) -> Vec<u8> {
    let end: &[u8] = match id % 4 {
        0 => b"\n",
        1 => b"\r\n",
        2 => b" not UTF-8: \xff\xfe\n",
        _ => b"\t{ \xc3\xa4 }\n",
    };
    if id == 0 { end.to_vec() } else { [id.to_string().as_bytes(), end].concat() }
}
