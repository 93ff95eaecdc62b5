//! Conformance tests that the author of a diff strategy runs.
//!
//! ```
//! # use strategy_api::{BoxError, Ctl, Input, Op, Strategy};
//! # #[derive(Default)]
//! # struct Mine;
//! # impl Strategy for Mine {
//! #     const NAME: &'static str = "mine";
//! #     fn diff(&self, input: &Input<'_>, _: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
//! #         Ok(strategy_api::toolbox::ScriptBuilder::new()
//! #             .finish(input.old.len() as u32, input.new.len() as u32))
//! #     }
//! # }
//! // In a crate of your own, this is one `#[test]`.
//! strategy_testkit::check_strategy(&Mine);
//! ```
//!
//! Each check panics with the pair that broke the rule. None of them measures time; a strategy that
//! hangs makes its test hang.

#![deny(missing_docs)]

mod pairs;
mod script;

use std::sync::atomic::AtomicBool;
use std::thread;

use strategy_api::{Ctl, Input, Line, Op, Strategy};

pub use pairs::{Pair, large_pairs, random_pairs, small_pairs};
pub use script::{check_script, reconstruct};

/// All checks.
///
/// # Panics
///
/// When the strategy breaks a rule.
pub fn check_strategy<S: Strategy>(strategy: &S) {
    check_name::<S>();
    check_pairs(strategy, &small_pairs());
    check_pairs(strategy, &random_pairs(RANDOM_SEED, RANDOM_PAIRS));
    check_on_small_stack(strategy, &large_pairs());
    check_concurrency(strategy);
    check_cancel(strategy);
}

const RANDOM_SEED: u64 = 0x0005_eed0_fd1f;
const RANDOM_PAIRS: usize = 300;

/// The name is one that users can type.
///
/// # Panics
///
/// When it is not.
pub fn check_name<S: Strategy>() {
    let typable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(
        (1..=64).contains(&S::NAME.len()) && S::NAME.bytes().all(typable),
        "{:?} must be 1 to 64 lower-case letters, digits and hyphens",
        S::NAME
    );
}

/// Every pair gets a valid script, the same one each time.
///
/// # Panics
///
/// When one does not.
pub fn check_pairs<S: Strategy>(strategy: &S, pairs: &[Pair]) {
    for pair in pairs {
        let first = run(strategy, pair);
        if let Err(why) = check_script(&pair.old, &pair.new, &first) {
            panic!("{}: the script for {} is not valid: {why}", S::NAME, pair.what);
        }
        assert_eq!(
            reconstruct(&pair.old, &pair.new, &first),
            pair.new,
            "{}: the script for {} must give the new file",
            S::NAME,
            pair.what
        );
        assert!(
            run(strategy, pair) == first,
            "{}: two runs over {} must give one script",
            S::NAME,
            pair.what
        );
    }
}

/// A million lines need no deep stack.
///
/// # Panics
///
/// When a script is not valid; a stack that overflows ends the process.
pub fn check_on_small_stack<S: Strategy>(strategy: &S, pairs: &[Pair]) {
    const STACK_BYTES: usize = 1 << 20;
    thread::scope(|scope| {
        let run = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || check_pairs(strategy, pairs))
            .expect("a thread can be started");
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// One strategy serves several threads, and each gets what a single one would.
///
/// # Panics
///
/// When one does not.
pub fn check_concurrency<S: Strategy>(strategy: &S) {
    const THREADS: usize = 4;
    let pairs = random_pairs(RANDOM_SEED + 1, 40);
    let alone: Vec<_> = pairs.iter().map(|pair| run(strategy, pair)).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (pair, expected) in pairs.iter().zip(&alone) {
                    assert!(
                        &run(strategy, pair) == expected,
                        "{}: {} must give the same script on every thread",
                        S::NAME,
                        pair.what
                    );
                }
            });
        }
    });
}

/// A strategy that is told to stop beforehand ends, with an error or a valid script.
///
/// # Panics
///
/// When the script is not valid.
pub fn check_cancel<S: Strategy>(strategy: &S) {
    let cancelled = AtomicBool::new(true);
    for pair in large_pairs() {
        if let Ok(ops) = run_with(strategy, &pair, &Ctl::new(&cancelled, None))
            && let Err(why) = check_script(&pair.old, &pair.new, &ops)
        {
            panic!("{}: cancelled over {}: {why}", S::NAME, pair.what);
        }
    }
}

fn run<S: Strategy>(strategy: &S, pair: &Pair) -> Vec<Op> {
    match run_with(strategy, pair, &Ctl::unlimited()) {
        Ok(ops) => ops,
        Err(error) => panic!("{}: {} gave the error {error}", S::NAME, pair.what),
    }
}

/// Runs over ids, with text made up from them where the strategy wants any.
fn run_with<S: Strategy>(
    strategy: &S,
    pair: &Pair,
    ctl: &Ctl<'_>,
) -> Result<Vec<Op>, strategy_api::BoxError> {
    let text_of = |ids: &[u32]| -> Vec<Vec<u8>> {
        let ids = if S::NEEDS_TEXT { ids } else { &[] };
        ids.iter().map(|id| format!("{id}\n").into()).collect()
    };
    let (old_text, new_text) = (text_of(&pair.old), text_of(&pair.new));
    let old_text: Vec<_> = old_text.iter().map(|line| Line::new(line)).collect();
    let new_text: Vec<_> = new_text.iter().map(|line| Line::new(line)).collect();
    let input = Input { old: &pair.old, new: &pair.new, old_text: &old_text, new_text: &new_text };
    strategy.diff(&input, ctl)
}
