//! Merging: laws, and the cases that people meet.

use diff_engine::{DiffEngine, Merge, MergeConflict, Policy};
use proptest::prelude::*;
use rstest::rstest;

fn merge(base: &str, ours: &str, theirs: &str) -> Merge {
    DiffEngine::bundled(Policy::default()).merge(
        base.as_bytes(),
        ours.as_bytes(),
        theirs.as_bytes(),
    )
}

fn merged(text: &str) -> Merge {
    Merge::Merged(text.as_bytes().to_vec())
}

#[rstest]
#[case::apart("1\n2\n3\n", "x\n2\n3\n", "1\n2\ny\n", "x\n2\ny\n")]
#[case::both_alike("1\n2\n3\n", "1\nx\n3\n", "1\nx\n3\n", "1\nx\n3\n")]
#[case::one_untouched("1\n2\n", "1\n2\n", "2\n", "2\n")]
#[case::added_at_both_ends("1\n2\n", "0\n1\n2\n", "1\n2\n3\n", "0\n1\n2\n3\n")]
#[case::removed_and_added("1\n2\n3\n4\n", "1\n3\n4\n", "1\n2\n3\n4\n5\n", "1\n3\n4\n5\n")]
#[case::last_line_without_end("1\n2\n3", "0\n1\n2\n3", "1\n2\n3\n", "0\n1\n2\n3\n")]
#[case::carriage_returns(
    "1\r\n2\r\n3\r\n",
    "x\r\n2\r\n3\r\n",
    "1\r\n2\r\n3\r\n4\r\n",
    "x\r\n2\r\n3\r\n4\r\n"
)]
fn changes_that_do_not_touch_are_merged(
    #[case] base: &str,
    #[case] ours: &str,
    #[case] theirs: &str,
    #[case] expected: &str,
) {
    assert_eq!(merge(base, ours, theirs), merged(expected));
    assert_eq!(merge(base, theirs, ours), merged(expected), "whoever is ours");
}

#[rstest]
#[case::same_line("1\n2\n3\n", "1\nx\n3\n", "1\ny\n3\n", (1..2, 1..2, 1..2))]
#[case::next_lines("1\n2\n3\n4\n", "1\nx\n3\n4\n", "1\n2\ny\n4\n", (1..3, 1..3, 1..3))]
#[case::same_place("1\n2\n", "1\nx\n2\n", "1\ny\n2\n", (1..1, 1..2, 1..2))]
#[case::removed_and_changed("1\n2\n3\n", "1\n3\n", "1\ny\n3\n", (1..2, 1..1, 1..2))]
fn changes_that_touch_are_named_by_their_lines(
    #[case] base: &str,
    #[case] ours: &str,
    #[case] theirs: &str,
    #[case] expected: (std::ops::Range<u32>, std::ops::Range<u32>, std::ops::Range<u32>),
) {
    let (base_lines, our_lines, their_lines) = expected;
    let conflict = MergeConflict { base: base_lines, ours: our_lines, theirs: their_lines };
    assert_eq!(merge(base, ours, theirs), Merge::Conflicts(vec![conflict]));
}

#[test]
fn binary_contents_are_not_merged() {
    assert_eq!(merge("a\0b\n", "a\0c\n", "x\0b\n"), Merge::NotCompared);
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]\n", 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn a_side_that_changed_nothing_changes_nothing(base in text(), side in text()) {
        prop_assert_eq!(merge(&base, &side, &base), merged(&side));
        prop_assert_eq!(merge(&base, &base, &side), merged(&side));
        prop_assert_eq!(merge(&base, &side, &side), merged(&side));
    }

    #[test]
    fn it_does_not_matter_who_is_ours(base in text(), a in text(), b in text()) {
        let turned = match merge(&base, &b, &a) {
            Merge::Conflicts(conflicts) => Merge::Conflicts(
                conflicts
                    .into_iter()
                    .map(|c| MergeConflict { base: c.base, ours: c.theirs, theirs: c.ours })
                    .collect(),
            ),
            other => other,
        };
        prop_assert_eq!(merge(&base, &a, &b), turned);
    }

    /// Edits of every third line, by one side or the other, never touch.
    #[test]
    fn edits_apart_from_each_other_all_arrive(who in prop::collection::vec(0..4_u8, 1..20)) {
        let line = |at: usize, change: bool| match change {
            true => format!("changed {at}\n"),
            false => format!("line {at}\n"),
        };
        let made = |takes: fn(u8) -> bool| -> String {
            who.iter()
                .enumerate()
                .map(|(at, by)| {
                    format!("{}kept {at}\nkept too {at}\n", line(at, takes(*by)))
                })
                .collect()
        };
        let (base, ours) = (made(|_| false), made(|by| by == 1 || by == 3));
        let (theirs, both) = (made(|by| by == 2 || by == 3), made(|by| by > 0));
        prop_assert_eq!(merge(&base, &ours, &theirs), merged(&both));
    }
}
