//! Finds the words that changed within the changed lines of a diff.
//!
//! A reader of a diff sees a removed line and the line that was added for it, and has to find what
//! differs. [`Emphasis`] finds it for the lines of one file, change by change. The lines of a change
//! are compared one with the other where as many come as go, and else as one text.
//!
//! # Limitations
//! The work is bounded by sizes and by a number of steps, so the same diff is emphasized alike on every
//! machine. Long changes, changes of which little is alike, and what comes behind very much of both in
//! one file have no emphasis.

#![deny(missing_docs)]

mod words;

use std::ops::Range;

use strategy_api::toolbox::Lineup;
use strategy_api::{Ctl, Input, Op};

use words::{Ids, Kind, Side};

/// A change of more lines has no emphasis.
pub const LINES_MAX: usize = 100;
/// A change of more bytes has none either: a reader would have to search in it all the same.
pub const BYTES_MAX: usize = 8 << 10;
/// A change of more lines is not compared as one text: a reader sees little in words of so many.
const TEXT_LINES_MAX: usize = 24;
/// How many bytes of a file are compared line by line, and how many word by word, which takes longer.
const FILE_BYTES_MAX: usize = 64 << 10;
const FILE_WORD_BYTES_MAX: usize = 8 << 10;
/// What a line takes besides its bytes, in bytes.
const LINE_BYTES: usize = 32;
/// How many steps the comparisons of a file may take together.
const FILE_STEPS_MAX: u64 = 100_000;
/// How many one of them may take: enough where much is alike.
const STEPS_MIN: u64 = 256;
const STEPS_PER_TOKEN: u64 = 8;

/// Finds changed words in one file.
#[derive(Debug)]
pub struct Emphasis {
    bytes_left: usize,
    word_bytes_left: usize,
    steps_left: u64,
}

impl Default for Emphasis {
    fn default() -> Self {
        Self {
            bytes_left: FILE_BYTES_MAX,
            word_bytes_left: FILE_WORD_BYTES_MAX,
            steps_left: FILE_STEPS_MAX,
        }
    }
}

/// The bytes of a line that changed.
pub type Ranges = Vec<Range<usize>>;

/// What changed in each line of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// In the lines that were removed.
    pub removed: Vec<Ranges>,
    /// In those that were added for them.
    pub added: Vec<Ranges>,
}

impl Emphasis {
    /// The words that changed between removed lines and those added for them, which are without their
    /// ends; none where the two have little in common.
    pub fn of_change(&mut self, removed: &[&str], added: &[&str]) -> Option<Changed> {
        let is_used_up = self.bytes_left < 2 * LINE_BYTES;
        let lines = removed.len() + added.len();
        if is_used_up || removed.is_empty() || added.is_empty() || lines > LINES_MAX {
            return None;
        }
        let bytes: usize = removed.iter().chain(added).map(|line| line.len()).sum();
        if bytes > BYTES_MAX || !spend(&mut self.bytes_left, bytes, lines) {
            return None;
        }
        let changed = match self.line_by_line(removed, added) {
            None => self.as_one_text(removed, added)?,
            Some(changed) => changed,
        };
        let mut lines = changed.removed.iter().chain(&changed.added);
        lines.any(|ranges| !ranges.is_empty()).then_some(changed)
    }

    /// Compares each line with that at its place; none where they have little in common.
    fn line_by_line(&mut self, removed: &[&str], added: &[&str]) -> Option<Changed> {
        if removed.len() != added.len() {
            return None;
        }
        let pairs = || removed.iter().zip(added);
        let ends: Vec<Ends> = pairs().map(|(old, new)| Ends::of(old, new)).collect();
        let all: usize = pairs().map(|(old, new)| old.trim().len() + new.trim().len()).sum();
        let kept: usize = ends.iter().map(Ends::kept).sum();
        if kept * 2 < all {
            return None;
        }
        let mut changed = Changed { removed: Vec::new(), added: Vec::new() };
        for ((old, new), ends) in pairs().zip(ends) {
            let (old_ranges, new_ranges) = self.between(old, new, &ends);
            changed.removed.push(old_ranges);
            changed.added.push(new_ranges);
        }
        Some(changed)
    }

    /// What differs between the ends that two lines have in common; nothing in lines that are not the
    /// same line.
    fn between(&mut self, old: &str, new: &str, ends: &Ends) -> (Ranges, Ranges) {
        let all = old.trim().len() + new.trim().len();
        if ends.kept() * 4 < all {
            return (Ranges::new(), Ranges::new());
        }
        let inner = |line: &str| ends.before..line.len() - ends.behind;
        let (old_at, new_at) = (inner(old), inner(new));
        let whole = |at: Range<usize>| if at.is_empty() { Ranges::new() } else { vec![at] };
        if is_one_word(&old[old_at.clone()]) || is_one_word(&new[new_at.clone()]) {
            return (whole(old_at), whole(new_at));
        }
        let (old_text, new_text) = ([&old[old_at.clone()]], [&new[new_at.clone()]]);
        if !spend(&mut self.word_bytes_left, old_at.len() + new_at.len(), 2) {
            return (whole(old_at), whole(new_at));
        }
        let mut ids = Ids::default();
        let (old_side, new_side) = (Side::of(&old_text, &mut ids), Side::of(&new_text, &mut ids));
        match self.compare(&old_side, &new_side) {
            Some(kept) => (
                shifted(ranges_of(&old_side, 0, &kept.old), old_at.start),
                shifted(ranges_of(&new_side, 0, &kept.new), new_at.start),
            ),
            None => (whole(old_at), whole(new_at)),
        }
    }

    /// Compares all lines as one text; none where they have little in common.
    fn as_one_text(&mut self, removed: &[&str], added: &[&str]) -> Option<Changed> {
        let bytes: usize = removed.iter().chain(added).map(|line| line.len()).sum();
        let lines = removed.len() + added.len();
        if lines > TEXT_LINES_MAX || !spend(&mut self.word_bytes_left, bytes, lines) {
            return None;
        }
        let mut ids = Ids::default();
        let (old, new) = (Side::of(removed, &mut ids), Side::of(added, &mut ids));
        if !shared(&old, &new, ids.count()).is_much(&old, &new) {
            return None;
        }
        let kept = self.compare(&old, &new).filter(|kept| kept.is_much(&old, &new))?;
        Some(Changed { removed: ranges(&old, &kept.old), added: ranges(&new, &kept.new) })
    }

    /// What two texts have in common, in order; none where that takes too many steps.
    fn compare(&mut self, old: &Side, new: &Side) -> Option<Kept> {
        let tokens = (old.tokens.len() + new.tokens.len()) as u64;
        let steps = self.steps_left.min(STEPS_MIN + tokens * STEPS_PER_TOKEN);
        let ctl = Ctl::unlimited();
        let mut lineup = Lineup::within(&Input::of_ids(&old.ids, &new.ids), &ctl, steps);
        let compared = lineup.line_up(lineup.whole());
        let left = lineup.steps_left();
        self.steps_left -= steps - left;
        if compared.is_err() || left == 0 {
            return None;
        }
        let mut kept = Kept::nothing(old, new);
        for op in lineup.script().iter().filter(|op| op.kind == Op::KEEP) {
            kept.mark(op.old as usize, op.new as usize, op.len as usize);
        }
        Some(kept)
    }
}

/// Takes what so many bytes and lines cost; whether there was as much.
fn spend(left: &mut usize, bytes: usize, lines: usize) -> bool {
    let cost = bytes + lines * LINE_BYTES;
    let is_enough = cost <= *left;
    *left = left.saturating_sub(cost);
    is_enough
}

/// What two lines have in common at their ends, in bytes.
#[derive(Debug)]
struct Ends {
    before: usize,
    behind: usize,
    /// How much of that is indentation.
    indentation: usize,
}

impl Ends {
    fn of(old: &str, new: &str) -> Self {
        let (a, b) = (old.as_bytes(), new.as_bytes());
        let most = a.len().min(b.len());
        let mut before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        while before > 0 && (is_inside(a, before) || is_inside(b, before)) {
            before -= 1;
        }
        let same = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let mut behind = same.min(most - before);
        while behind > 0 && (is_inside(a, a.len() - behind) || is_inside(b, b.len() - behind)) {
            behind -= 1;
        }
        let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
        let indentation = a[..before].iter().take_while(is_blank).count();
        Self { before, behind, indentation }
    }

    /// How many bytes of both lines are the same, without the indentation.
    fn kept(&self) -> usize {
        2 * (self.before + self.behind - self.indentation)
    }
}

/// Whether a place in a line is within a word, or within a character or the marks of one.
fn is_inside(line: &[u8], at: usize) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match (line.get(at.wrapping_sub(1)), line.get(at)) {
        (Some(before), Some(behind)) => {
            (is_word(*before) && is_word(*behind)) || !before.is_ascii() || !behind.is_ascii()
        }
        _ => false,
    }
}

/// Whether a text is at most one word of ASCII, which has nothing in common with other words.
fn is_one_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn shifted(mut ranges: Ranges, by: usize) -> Ranges {
    for range in &mut ranges {
        *range = range.start + by..range.end + by;
    }
    ranges
}

/// Which tokens both sides have.
#[derive(Debug)]
struct Kept {
    old: Vec<bool>,
    new: Vec<bool>,
}

/// The tokens that the other side has as well, in whatever order: at least those that are kept.
fn shared(old: &Side, new: &Side, ids: usize) -> Kept {
    let is_in = |side: &Side| {
        let mut is_in = vec![false; ids];
        side.ids.iter().for_each(|id| is_in[*id as usize] = true);
        is_in
    };
    let marks = |side: &Side, is_in: Vec<bool>| -> Vec<bool> {
        side.ids.iter().map(|id| is_in[*id as usize]).collect()
    };
    Kept { old: marks(old, is_in(new)), new: marks(new, is_in(old)) }
}

impl Kept {
    fn nothing(old: &Side, new: &Side) -> Self {
        Self { old: vec![false; old.tokens.len()], new: vec![false; new.tokens.len()] }
    }

    fn mark(&mut self, old: usize, new: usize, count: usize) {
        self.old[old..old + count].fill(true);
        self.new[new..new + count].fill(true);
    }

    /// Whether at least half of both texts is the same, spaces left out.
    fn is_much(&self, old: &Side, new: &Side) -> bool {
        let (mut kept, mut all) = (0, 0);
        for (side, is_kept) in [(old, &self.old), (new, &self.new)] {
            for (token, is_kept) in side.tokens.iter().zip(is_kept) {
                if token.kind != Kind::Space {
                    all += token.range.len();
                    kept += if *is_kept { token.range.len() } else { 0 };
                }
            }
        }
        kept * 2 >= all
    }
}

/// The bytes of the tokens that are not kept, line by line; none in a line of which no word is kept.
fn ranges(side: &Side, kept: &[bool]) -> Vec<Ranges> {
    let has_word = |line: usize| {
        let at = side.line(line);
        let mut tokens = side.tokens[at.clone()].iter().zip(&kept[at]);
        tokens.any(|(token, is_kept)| *is_kept && token.kind == Kind::Word)
    };
    let of_line = |line| if has_word(line) { ranges_of(side, line, kept) } else { Ranges::new() };
    (0..side.line_count()).map(of_line).collect()
}

/// The same of one line. Spaces between two changed words are part of the change.
fn ranges_of(side: &Side, line: usize, kept: &[bool]) -> Ranges {
    let at = side.line(line);
    let mut ranges = Ranges::new();
    let mut spaces = None;
    for (token, is_kept) in side.tokens[at.clone()].iter().zip(&kept[at]) {
        let start = spaces.take().unwrap_or(token.range.start);
        match (ranges.last_mut(), is_kept) {
            (Some(last), true) if token.kind == Kind::Space && last.end == start => {
                spaces = Some(start);
            }
            (_, true) => {}
            (Some(last), false) if last.end == start => last.end = token.range.end,
            (_, false) => ranges.push(token.range.clone()),
        }
    }
    ranges.retain(|range| !range.is_empty());
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn emphasized<'l>(lines: &[&'l str], ranges: &[Ranges]) -> Vec<&'l str> {
        let lines = lines.iter().zip(ranges);
        lines.flat_map(|(line, ranges)| ranges.iter().map(|range| &line[range.clone()])).collect()
    }

    #[rstest]
    #[case::a_word(&["let a = one(b);"], &["let a = two(b);"], &["one"], &["two"])]
    #[case::an_insertion(&["f(a)"], &["f(a, b)"], &[], &[", b"])]
    #[case::words_in_a_row(&["see the old short text here"], &["see the new long text here"], &["old short"], &["new long"])]
    #[case::signs(&["if a == b { c }"], &["if a != b { c }"], &["="], &["!"])]
    #[case::within_a_path(&["use crate::config::Config;"], &["use crate::settings::Config;"], &["config"], &["settings"])]
    #[case::several_lines(
        &["fn one(a: u8) {}", "fn two(a: u8) {}"],
        &["fn one(a: u16) {}", "fn two(a: u16) {}"],
        &["u8", "u8"],
        &["u16", "u16"]
    )]
    #[case::a_line_more(
        &["call(first, second);"],
        &["call(", "    first,", "    second,", ");"],
        &[" "],
        &["    ", "    ", ","]
    )]
    #[case::a_line_that_is_new(
        &["fn one(a: u8) {}"],
        &["fn one(a: u16) {}", "extra"],
        &["u8"],
        &["u16"]
    )]
    fn the_words_that_changed_are_found(
        #[case] removed: &[&str],
        #[case] added: &[&str],
        #[case] gone: &[&str],
        #[case] new: &[&str],
    ) {
        let changed = Emphasis::default().of_change(removed, added).expect("much is alike");
        let found = (emphasized(removed, &changed.removed), emphasized(added, &changed.added));
        assert_eq!(found, (gone.to_vec(), new.to_vec()));
    }

    #[rstest]
    #[case::nothing_alike(&["one"], &["something else entirely"])]
    #[case::nothing_added(&["one two three"], &[])]
    #[case::nothing_removed(&[], &["one two three"])]
    #[case::little_alike(&["let a = one(b);"], &["let result = compute(everything)?;"])]
    fn where_little_is_alike_nothing_is_emphasized(
        #[case] removed: &[&str],
        #[case] added: &[&str],
    ) {
        assert_eq!(Emphasis::default().of_change(removed, added), None);
    }

    #[test]
    fn long_changes_and_what_comes_behind_many_bytes_have_no_emphasis() {
        let lines = |count: usize, word: &str| vec![format!("a line of the {word} text"); count];
        let of_lines = |emphasis: &mut Emphasis, count| {
            let (old, new) = (lines(count, "old"), lines(count, "new"));
            let old: Vec<&str> = old.iter().map(String::as_str).collect();
            let new: Vec<&str> = new.iter().map(String::as_str).collect();
            emphasis.of_change(&old, &new).is_some()
        };
        assert!(of_lines(&mut Emphasis::default(), LINES_MAX / 2));
        assert!(!of_lines(&mut Emphasis::default(), LINES_MAX / 2 + 1), "too many lines");
        let long = "word ".repeat(BYTES_MAX / 10);
        let of_bytes = |word: &str| {
            let (old, new) = (format!("{long}old"), format!("{long}{word}"));
            Emphasis::default().of_change(&[&old], &[&new]).is_some()
        };
        assert!(!of_bytes("new"), "too many bytes");
        let mut file = Emphasis::default();
        let changes = (0..1000).take_while(|_| of_lines(&mut file, 10)).count();
        assert!((20..1000).contains(&changes), "{changes} changes of a file");
    }

    #[test]
    fn a_change_that_takes_too_many_steps_has_no_emphasis() {
        // Words in two orders, as one text.
        let word = |number: usize| format!("w{} ", number * 7919 % 601);
        let text = |from: usize| (from..from + 600).map(word).collect::<String>();
        let (old, new) = (text(0), text(311));
        let mut emphasis = Emphasis::default();
        assert_eq!(emphasis.of_change(&[&old, "x"], &[&new]), None);
        assert!(emphasis.steps_left >= FILE_STEPS_MAX - 20_000, "{emphasis:?}");
        assert!(emphasis.steps_left < FILE_STEPS_MAX, "it was tried");
    }

    proptest! {
        #[test]
        fn ranges_are_parts_of_their_lines_in_order(
            removed in prop::collection::vec("[ab .(é文\u{301}]{0,12}", 0..4),
            added in prop::collection::vec("[ab .(é文\u{301}]{0,12}", 0..4),
        ) {
            let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
            let added: Vec<&str> = added.iter().map(String::as_str).collect();
            if let Some(changed) = Emphasis::default().of_change(&removed, &added) {
                prop_assert_eq!(changed.removed.len(), removed.len());
                prop_assert_eq!(changed.added.len(), added.len());
                for (line, ranges) in removed.iter().zip(&changed.removed).chain(added.iter().zip(&changed.added)) {
                    let mut end = 0;
                    for range in ranges {
                        prop_assert!(range.start >= end && range.start < range.end);
                        prop_assert!(line.get(range.clone()).is_some(), "whole characters");
                        end = range.end;
                    }
                }
            }
        }
    }
}
