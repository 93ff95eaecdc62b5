//! Fuzz targets: whatever the bytes, scripts are right or refused, and patches give what is staged.
//!
//! `cargo test` runs a bounded number of inputs on any toolchain: those kept beside this file, and
//! random ones; `BOLERO_RANDOM_ITERATIONS` and `BOLERO_RANDOM_SEED` say how many and which. With a
//! nightly toolchain, `cargo bolero test` (cargo-bolero) runs the same functions guided by coverage.

mod common;

use std::sync::Mutex;

use bolero::check;
use common::patch::{applied, apply_hunks};
use common::{Case, engine};
use diff_engine::{DiffEngine, EditScript, Lines, Policy, Registry, Remark, Side};
use strategy_api::toolbox::Lineup;
use strategy_api::{BoxError, Ctl, Input, Op, Strategy};

const STRATEGIES: [&str; 4] = ["histogram", "myers", "patience", "full-replace"];

/// Lines that break tools which work on lines, and some plain ones, so that most bytes of an input
/// make a difference that matters.
const LINES: [&[u8]; 32] = [
    b"a\n",
    b"b\n",
    b"c\n",
    b"d\n",
    b"\n",
    b"\n",
    b"}\n",
    b"  }\n",
    b"{\n",
    b"  x\n",
    b"\tx\n",
    b"fn f\n",
    b"a\r\n",
    b"\r\n",
    b"a\rb\n",
    b"\x0c\n",
    b"\xff\xfe\n",
    b"\xe2\x80\xa8\n",
    b"-- a\n",
    b"++ b\n",
    b"--- a\n",
    b"+++ b\n",
    b"@@ -1 +1 @@\n",
    b"\\ No newline at end of file\n",
    b"diff --git a/x b/x\n",
    b" a\n",
    b"-a\n",
    b"+a\n",
    b"no newline",
    b"\r",
    b"$x\n",
    b"a rather long line, longer than a word\n",
];

/// Two contents, from bytes that each stand for a line; the first says where the second begins.
fn contents(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (old, new) = rest.split_at(rest.len() * usize::from(*first) / 256);
    let content = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().flat_map(|byte| LINES[usize::from(byte % 32)]).copied().collect()
    };
    (content(old), content(new))
}

/// Operations that are nearly in order, from four bytes each.
fn operations(bytes: &[u8]) -> Vec<Op> {
    let (mut old, mut new) = (0_u32, 0_u32);
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|[kind, off, len, huge]| {
            let skew = if off % 8 == 0 { u32::from(off / 8) } else { 0 };
            let len = if *huge == 255 { u32::MAX } else { u32::from(len % 8) };
            let op = Op { kind: u32::from(kind % 4), old: old.wrapping_add(skew), new, len };
            old = old.wrapping_add(if op.kind == Op::INSERT { 0 } else { len });
            new = new.wrapping_add(if op.kind == Op::DELETE { 0 } else { len });
            op
        })
        .collect()
}

#[test]
fn an_accepted_script_gives_the_new_content() {
    check!().with_iterations(3000).with_max_len(400).for_each(|bytes: &[u8]| {
        let (for_ops, for_contents) = bytes.split_at(bytes.len() / 2);
        let (old, new) = contents(for_contents);
        let (old, new) = (Lines::of(&old), Lines::of(&new));
        if let Ok(script) = EditScript::validated(&operations(for_ops), &old, &new) {
            assert_eq!(applied(&script, &old, &new), new.bytes());
        }
    });
}

#[test]
fn a_patch_gives_the_new_content() {
    check!().with_iterations(1000).with_max_len(600).for_each(|bytes: &[u8]| {
        let (old, new) = contents(bytes);
        for strategy in STRATEGIES {
            let patch = Case::modify(b"file", &old, &new).patch(&engine(strategy));
            assert_eq!(apply_hunks(&old, &patch).as_deref(), Ok(&new[..]), "{strategy}");
        }
    });
}

#[test]
fn strategies_take_any_lines_and_any_number_of_steps() {
    check!().with_iterations(3000).with_max_len(2000).for_each(|bytes: &[u8]| {
        let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
        // Few distinct ids, or ids that no host would give.
        let id = |byte: &u8| {
            let id = u32::from(byte % (1 + first / 8));
            if *first == 255 { u32::MAX - id } else { id }
        };
        let ids: Vec<u32> = rest.iter().map(id).collect();
        let (old, new) = ids.split_at(ids.len() / 2);
        let input = Input::of_ids(old, new);
        for steps in [0, 1, 50, 1000, u64::MAX] {
            let ctl = Ctl::unlimited();
            let mut lineup = Lineup::within(&input, &ctl, steps);
            lineup.line_up(lineup.whole()).expect("nobody asked to stop");
            assert_eq!(strategy_testkit::check_script(old, new, &lineup.script()), Ok(()));
        }
        let all = [
            strategy_histogram::Histogram.diff(&input, &Ctl::unlimited()),
            strategy_myers::Myers.diff(&input, &Ctl::unlimited()),
            strategy_patience::Patience.diff(&input, &Ctl::unlimited()),
            strategy_full_replace::FullReplace.diff(&input, &Ctl::unlimited()),
        ];
        for ops in all {
            let ops = ops.expect("nobody asked to stop");
            assert_eq!(strategy_testkit::check_script(old, new, &ops), Ok(()));
        }
    });
}

/// Answers what the fuzzer says.
struct Answers(Mutex<Vec<Op>>);

impl Strategy for Answers {
    const NAME: &'static str = "answers";

    fn diff(&self, _input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        ctl.note_degraded();
        Ok(self.0.lock().map_err(|_| "poisoned")?.clone())
    }
}

#[test]
fn whatever_a_plugin_answers_the_patch_is_right() {
    check!().with_iterations(400).with_max_len(200).for_each(|bytes: &[u8]| {
        let (for_ops, for_contents) = bytes.split_at(bytes.len() / 2);
        let (old, new) = contents(for_contents);
        let mut registry = Registry::bundled();
        registry.add(Answers(Mutex::new(operations(for_ops)))).expect("the name is free");
        let policy = Policy { strategy: "answers".to_owned(), ..Policy::default() };
        let engine = DiffEngine::new(policy, registry);
        let diff = engine.diff(Side::Text(&old), Side::Text(&new));
        let replaced =
            diff.remarks.iter().any(|remark| matches!(remark, Remark::StrategyReplaced { .. }));
        assert_eq!(replaced, diff.strategy == "histogram", "a replacement gets a remark");
        let patch = Case::modify(b"file", &old, &new).patch(&engine);
        assert_eq!(apply_hunks(&old, &patch).as_deref(), Ok(&new[..]));
    });
}
