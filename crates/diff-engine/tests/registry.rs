//! A strategy that fails costs its turn and nothing else.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diff_engine::{DiffEngine, FileDiff, Policy, Registry, RegistryError, Remark, Side};
use strategy_api::{BoxError, Ctl, Input, Op, Strategy};

const OLD: Side<'_> = Side::Text(b"a\nb\nc\n");
const NEW: Side<'_> = Side::Text(b"a\nB\nc\n");

macro_rules! strategy {
    ($type:ident, $name:literal, $diff:expr) => {
        struct $type;
        impl Strategy for $type {
            const NAME: &'static str = $name;
            fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
                let diff: fn(&Input<'_>, &Ctl<'_>) -> Result<Vec<Op>, BoxError> = $diff;
                diff(input, ctl)
            }
        }
    };
}

strategy!(Panics, "panics", |_, _| std::panic::panic_any("no idea"));
strategy!(Lies, "lies", |input, _| Ok(vec![Op::keep(0, 0, input.old.len() as u32)]));
strategy!(GivesUp, "gives-up", |_, _| Err("cannot\n\x1b[31m".into()));
strategy!(Floods, "floods", |_, _| Ok(vec![Op::keep(0, 0, 1); 1000]));
strategy!(Hangs, "hangs", |_, ctl| {
    while !ctl.should_stop() {
        std::thread::yield_now();
    }
    Err("stopped".into())
});

/// Long enough for any machine to answer in.
const PATIENT: Duration = Duration::from_secs(600);

fn engine_with(strategy: impl Strategy + 'static, name: &str, deadline: Duration) -> DiffEngine {
    let mut registry = Registry::bundled();
    registry.add(strategy).expect("the name is free");
    let policy = Policy { strategy: name.to_owned(), deadline, ..Policy::default() };
    DiffEngine::new(policy, registry)
}

fn check_replaced(engine: &DiffEngine, chosen: &str, reason: &str) {
    let expected = DiffEngine::bundled(Policy::default()).diff(OLD, NEW);
    let first = engine.diff(OLD, NEW);
    assert_eq!(first.script, expected.script, "histogram takes the file over");
    assert_eq!(first.strategy, "histogram");
    assert_eq!(why_replaced(&first, chosen), reason);
    assert!(engine.registry().failure_of(chosen).is_some());
    let second = engine.diff(OLD, NEW);
    assert_eq!((second.script, second.strategy.as_str()), (expected.script, "histogram"));
    assert_eq!(second.remarks, [], "a strategy that failed is warned of once");
}

fn why_replaced(diff: &FileDiff, expected: &str) -> String {
    match diff.remarks.as_slice() {
        [Remark::StrategyReplaced { chosen, used, why }] => {
            assert_eq!((chosen.as_str(), used), (expected, &diff.strategy));
            why.clone()
        }
        remarks => panic!("the replacement must be remarked on: {remarks:?}"),
    }
}

#[test]
fn a_panicking_strategy_is_replaced() {
    check_replaced(&engine_with(Panics, "panics", PATIENT), "panics", "panicked: no idea");
}

#[test]
fn a_lying_strategy_is_replaced() {
    let reason = "old line 1 and new line 1 are kept but differ";
    check_replaced(&engine_with(Lies, "lies", PATIENT), "lies", reason);
}

#[test]
fn a_strategy_that_gives_up_is_replaced_and_cannot_upset_the_terminal() {
    check_replaced(&engine_with(GivesUp, "gives-up", PATIENT), "gives-up", "cannot  [31m");
}

#[test]
fn a_strategy_with_too_many_operations_is_replaced() {
    let reason = "the script has 1000 operations for 6 lines";
    check_replaced(&engine_with(Floods, "floods", PATIENT), "floods", reason);
}

#[test]
fn a_hanging_strategy_is_replaced() {
    let engine = engine_with(Hangs, "hangs", Duration::from_millis(50));
    let diff = engine.diff(OLD, NEW);
    assert_eq!(diff.strategy, "histogram");
    let why = why_replaced(&diff, "hangs");
    assert!(
        ["took longer than 50 ms", "stopped"].contains(&why.as_str()),
        "the deadline is what ended it, but: {why}"
    );
}

#[test]
fn an_unknown_strategy_is_replaced() {
    let engine =
        DiffEngine::bundled(Policy { strategy: "nonesuch".to_owned(), ..Policy::default() });
    let diff = engine.diff(OLD, NEW);
    assert_eq!(why_replaced(&diff, "nonesuch"), "no strategy has that name");
}

#[test]
fn without_bundled_strategies_everything_is_replaced() {
    let mut registry = Registry::empty();
    registry.add(Lies).expect("the name is free");
    let policy = Policy { strategy: "lies".to_owned(), ..Policy::default() };
    let diff = DiffEngine::new(policy, registry).diff(OLD, NEW);
    assert_eq!((diff.strategy.as_str(), diff.added, diff.removed), ("full-replace", 3, 3));
    assert!(!diff.is_whole_file(), "the contents were small and could be compared");
}

/// Answers with what it was given, and counts its turns.
struct WantsText;

static TURNS: AtomicUsize = AtomicUsize::new(0);

impl Strategy for WantsText {
    const NAME: &'static str = "wants-text";
    const NEEDS_TEXT: bool = true;

    fn diff(&self, input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        TURNS.fetch_add(1, Ordering::Relaxed);
        let text: Vec<_> = input.old_text.iter().map(|line| line.to_vec()).collect();
        assert_eq!(text, [b"a\n", b"b\n", b"c\n"]);
        assert_eq!(input.new_text.len(), 3);
        Ok(vec![Op::keep(0, 0, 1), Op::delete(1, 1, 1), Op::insert(2, 1, 1), Op::keep(2, 2, 1)])
    }
}

#[test]
fn a_strategy_that_wants_text_gets_it() {
    let engine = engine_with(WantsText, "wants-text", PATIENT);
    let diff = engine.diff(OLD, NEW);
    assert_eq!((diff.strategy.as_str(), diff.remarks), ("wants-text", vec![]));
    assert_eq!(TURNS.load(Ordering::Relaxed), 1);
}

#[test]
fn names_are_unique() -> Result<(), Box<dyn Error>> {
    strategy!(SecondMyers, "myers", |_, _| Ok(vec![]));
    let mut registry = Registry::bundled();
    let refused = registry.add(SecondMyers);
    assert!(matches!(refused, Err(RegistryError::NameTaken { name }) if name == "myers"));
    registry.add(Lies)?;
    let names: Vec<_> = registry.list().map(|(name, _)| name).collect();
    assert_eq!(names, ["histogram", "myers", "patience", "full-replace", "lies"]);
    Ok(())
}

#[test]
fn names_that_nobody_can_type_are_refused() {
    strategy!(Shouts, "SHOUTS", |_, _| Ok(vec![]));
    strategy!(Nameless, "", |_, _| Ok(vec![]));
    strategy!(Escapes, "\x1b[31m", |_, _| Ok(vec![]));
    let mut registry = Registry::bundled();
    for refused in [registry.add(Shouts), registry.add(Nameless), registry.add(Escapes)] {
        assert!(matches!(refused, Err(RegistryError::BadName { .. })));
    }
}
