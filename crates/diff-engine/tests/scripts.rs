//! What the engine accepts as a script, and that the bundled strategies' are right.

mod common;

use common::patch::applied;
use diff_engine::{Change, DiffEngine, EditScript, Lines, Op, Policy, ScriptError, Side, intern};
use proptest::prelude::*;
use rstest::rstest;

const STRATEGIES: [&str; 4] = ["histogram", "myers", "patience", "full-replace"];

#[rstest]
#[case::too_many(vec![Op::delete(0, 0, 1); 9], ScriptError::TooManyOps { ops: 9, lines: 6 })]
#[case::unknown_kind(vec![Op { kind: 3, ..Op::keep(0, 0, 1) }], ScriptError::UnknownKind { at: 0, kind: 3 })]
#[case::empty(vec![Op::keep(0, 0, 0)], ScriptError::Empty { at: 0 })]
#[case::gap(vec![Op::keep(0, 0, 1), Op::delete(2, 1, 1)], ScriptError::NotContiguous { at: 1 })]
#[case::wrong_other_side(vec![Op::delete(0, 1, 1)], ScriptError::NotContiguous { at: 0 })]
#[case::going_back(vec![Op::keep(0, 0, 1), Op::keep(0, 0, 1)], ScriptError::NotContiguous { at: 1 })]
#[case::past_the_end(vec![Op::delete(0, 0, 4)], ScriptError::OutOfRange { at: 0 })]
#[case::overflowing(vec![Op::keep(0, 0, 1), Op::insert(1, 1, u32::MAX)], ScriptError::OutOfRange { at: 1 })]
#[case::unequal(vec![Op::keep(0, 0, 3)], ScriptError::NotEqual { old: 1, new: 1 })]
#[case::incomplete(vec![Op::keep(0, 0, 1)], ScriptError::Incomplete { old: 2, new: 2 })]
#[case::nothing(vec![], ScriptError::Incomplete { old: 3, new: 3 })]
fn wrong_scripts_are_refused(#[case] ops: Vec<Op>, #[case] expected: ScriptError) {
    let (old, new) = (Lines::of(b"a\nb\nc\n"), Lines::of(b"a\nB\nc\n"));
    assert_eq!(EditScript::validated(&ops, &old, &new), Err(expected));
}

#[test]
fn scripts_that_say_the_same_are_equal() {
    let (old, new) = (Lines::of(b"a\nb\nc\n"), Lines::of(b"a\nx\ny\nc\n"));
    let tidy = [Op::keep(0, 0, 1), Op::delete(1, 1, 1), Op::insert(2, 1, 2), Op::keep(2, 3, 1)];
    let untidy = [
        Op::keep(0, 0, 1),
        Op::insert(1, 1, 1),
        Op::delete(1, 2, 1),
        Op::insert(2, 2, 1),
        Op::keep(2, 3, 1),
    ];
    let tidy = EditScript::validated(&tidy, &old, &new).expect("it is valid");
    assert_eq!(EditScript::validated(&untidy, &old, &new).as_ref(), Ok(&tidy));
    let only = Change { old: 1..2, new: 1..3 };
    assert_eq!(tidy.changes(), [only]);
}

#[test]
fn lines_end_at_line_feeds_only() {
    let content = "a\rb\r\nc\u{85}d\u{2028}e\x0cf\n\nlast".as_bytes();
    let lines: Vec<_> = Lines::of(content).iter().map(<[u8]>::to_vec).collect();
    assert_eq!(lines.concat(), content, "no byte may be lost");
    assert_eq!(lines.len(), 4);
    assert!(Lines::of(b"").is_empty());
}

#[test]
fn a_final_newline_makes_a_different_line() {
    let ids = intern(&Lines::of(b"a\nb\n"), &Lines::of(b"a\nb"));
    assert_eq!((ids.old, ids.new), (vec![0, 1], vec![0, 2]));
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"a\n"[..],
        b"b\n",
        b"c\n",
        b"\n",
        b"a\r\n",
        b"a\rb\n",
        b"--- a\n",
        b"\xff\n",
    ]);
    let end = prop::sample::select(vec![&b""[..], b"a", b"\r"]);
    (prop::collection::vec(line, 0..60), end)
        .prop_map(|(lines, end)| [lines.concat(), end.to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scripts_of_bundled_strategies_give_the_new_content(old in content(), new in content()) {
        for strategy in STRATEGIES {
            let engine = DiffEngine::bundled(Policy {
                strategy: strategy.to_owned(),
                ..Policy::default()
            });
            let diff = engine.diff(Side::Text(&old), Side::Text(&new));
            prop_assert_eq!(&diff.strategy, strategy);
            let script = diff.script.expect("small text is compared");
            let (old, new) = (Lines::of(&old), Lines::of(&new));
            prop_assert_eq!(applied(&script, &old, &new), new.bytes());
            prop_assert_eq!(old.len() as u64 + script.added(), new.len() as u64 + script.removed());
        }
    }

    #[test]
    fn any_operations_give_a_right_script_or_none(
        old in content(),
        new in content(),
        numbers in prop::collection::vec((0..4_u32, 0..6_u32, 0..6_u32, 0..6_u32), 0..8),
    ) {
        let ops: Vec<Op> = numbers
            .into_iter()
            .map(|(kind, old, new, len)| Op { kind, old, new, len })
            .collect();
        let (old, new) = (Lines::of(&old), Lines::of(&new));
        if let Ok(script) = EditScript::validated(&ops, &old, &new) {
            prop_assert_eq!(applied(&script, &old, &new), new.bytes());
        }
    }
}
