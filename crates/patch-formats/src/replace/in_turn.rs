//! Makes many replacements in one file, one after the other, in time proportional to their number
//! and not to their number times the file's length.
//!
//! Whether the text of an edit occurs depends on the edits before it. So the occurrences of all texts
//! are counted once, by one automaton (Aho and Corasick, "Efficient string matching", 1975), and
//! each edit updates the counts around the bytes that it changes. The text itself is a list of
//! pieces, of the file and of inserted bytes.
//!
//! # Limitations
//! This works for files whose lines all end alike, and texts with the same line ends. Edits of other
//! files, and sets that match very often, are made one by one on the whole file, by [`replace`].

use std::borrow::Cow;

use crate::fit::near_miss::{NearMiss, near_miss};
use crate::lines::LfText;
use crate::replace::once::{ReplaceError, replace};
use crate::replace::pieces::Text;

/// One piece of text for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<'e> {
    /// What to replace.
    pub old: &'e [u8],
    /// What to put in its place.
    pub new: &'e [u8],
    /// Whether every occurrence is replaced; otherwise there must be exactly one.
    pub all: bool,
}

/// Which of several edits failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditsError {
    /// The text to replace does not occur exactly once.
    #[error("edit {}: the text to replace occurs {found} times", index + 1)]
    Occurrences {
        /// The edit, counted from 0.
        index: usize,
        /// How often its text occurs.
        found: u64,
        /// The difference, if the file nearly has the text.
        near: Option<NearMiss>,
    },
    /// The file is too long to be edited further.
    #[error("edit {}: the file has become {bytes} bytes long", index + 1)]
    TooLong {
        /// The edit, counted from 0.
        index: usize,
        /// The file's length before it, in bytes.
        bytes: usize,
    },
}

/// Makes edits one after the other, each in the result of the one before, as [`replace`] does.
///
/// A file that is longer than `bytes_max` is not edited further.
///
/// # Errors
/// [`EditsError`] names the first edit that fails.
pub fn replace_in_turn(
    content: &[u8],
    edits: &[Edit<'_>],
    bytes_max: usize,
) -> Result<Vec<u8>, EditsError> {
    in_turn(content, edits, bytes_max, Counting::WhereItPays)
}

/// Whether occurrences are counted for several edits at once.
#[derive(Clone, Copy, PartialEq)]
enum Counting {
    WhereItPays,
    /// For tests, whose files are short.
    #[cfg(test)]
    Always,
}

/// Edits of a file are made one by one if together they search fewer bytes than this.
const SEARCHED_BYTES_MIN: usize = 4 << 20;

/// The most bytes that the texts of edits have together which are searched for at once: the automaton
/// takes about fifty times as many.
const TEXTS_BYTES_MAX: usize = 2 << 20;

fn in_turn(
    content: &[u8],
    edits: &[Edit<'_>],
    bytes_max: usize,
    counting: Counting,
) -> Result<Vec<u8>, EditsError> {
    let mut content = Cow::Borrowed(content);
    let (mut index, mut one_by_one_until) = (0, 0);
    while let Some(edit) = edits.get(index) {
        if index >= one_by_one_until {
            one_by_one_until = index + edits[index..].iter().take_while(|edit| !edit.all).count();
            let run = &edits[index..one_by_one_until];
            if let Some((made, edited)) = counted(&content, run, bytes_max, counting) {
                index += made;
                content = Cow::Owned(edited);
                continue;
            }
        }
        content = Cow::Owned(edited(&content, edit, index, bytes_max)?);
        index += 1;
    }
    Ok(content.into_owned())
}

/// Makes one edit, whose index is for the error.
fn edited(
    content: &[u8],
    edit: &Edit<'_>,
    index: usize,
    bytes_max: usize,
) -> Result<Vec<u8>, EditsError> {
    if content.len() > bytes_max {
        return Err(EditsError::TooLong { index, bytes: content.len() });
    }
    replace(content, edit.old, edit.new, edit.all).map_err(|ReplaceError { found }| {
        let near = (found == 0).then(|| near_miss(content, edit.old)).flatten();
        EditsError::Occurrences { index, found, near }
    })
}

/// Makes as many edits of a run at once as it can: returns how many, and the content after them. An
/// edit that fails is left to [`edited`]. `None` if making them one by one is faster.
fn counted(
    content: &[u8],
    run: &[Edit<'_>],
    bytes_max: usize,
    counting: Counting,
) -> Option<(usize, Vec<u8>)> {
    let longest = run.iter().map(|edit| edit.old.len()).max()?;
    let texts: usize = run.iter().map(|edit| edit.old.len()).sum();
    let looked_at = run.len().saturating_mul(content.len());
    let pays = looked_at >= SEARCHED_BYTES_MIN
        && texts <= TEXTS_BYTES_MAX
        && longest.saturating_mul(8) <= content.len();
    if !pays && counting == Counting::WhereItPays {
        return None;
    }
    let ends = Ends::of(content, run)?;
    let folded = ends.to_lf(content);
    let mut text = text_of(&folded, run, ends)?;
    // Each line feed counts as two bytes if the file has CR LF.
    let bytes = |text: &Text<'_>| text.bytes + ends.extra_bytes(text.line_feeds);
    let mut made = 0;
    while let Some(edit) = run.get(made)
        && bytes(&text) <= bytes_max
        && text.replace(&ends.to_lf(edit.old), &ends.to_lf(edit.new)).is_some()
    {
        made += 1;
    }
    Some((made, ends.restore_ends(text.to_vec())))
}

fn text_of<'t>(content: &[u8], run: &[Edit<'t>], ends: Ends) -> Option<Text<'t>> {
    let edits_bytes = run.iter().map(|edit| edit.old.len() + edit.new.len()).sum();
    Text::new(content, run.iter().map(|edit| ends.to_lf(edit.old)), edits_bytes)
}

/// How all lines of a file and of its edits end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    LineFeed,
    CrLf,
}

impl Ends {
    /// `None` if they differ, or if [`replace`] would compare more than the texts.
    fn of(content: &[u8], run: &[Edit<'_>]) -> Option<Self> {
        let has_cr = |text: &[u8]| memchr::memchr(b'\r', text).is_some();
        let mut texts = run.iter().flat_map(|edit| [edit.old, edit.new]);
        if !has_cr(content) {
            return texts.all(|text| !has_cr(text)).then_some(Self::LineFeed);
        }
        if !is_crlf(content) {
            return None;
        }
        // Once a file has no line end any more, inserted ones are line feeds.
        let count = |text: &[u8]| memchr::memchr_iter(b'\n', text).count();
        let mut line_feeds = count(content);
        for Edit { old, new, .. } in run {
            let is_exact = has_cr(old) || has_cr(new);
            if is_exact && !(is_crlf(old) && is_crlf(new)) {
                return None;
            }
            line_feeds = (line_feeds + count(new)).checked_sub(count(old))?;
            if line_feeds == 0 {
                return None;
            }
        }
        Some(Self::CrLf)
    }

    fn to_lf(self, text: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::LineFeed => Cow::Borrowed(text),
            Self::CrLf => LfText::of(text).text,
        }
    }

    fn restore_ends(self, text: Vec<u8>) -> Vec<u8> {
        match self {
            Self::LineFeed => text,
            Self::CrLf => {
                let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
                lines.join(&b"\r\n"[..])
            }
        }
    }

    fn extra_bytes(self, line_feeds: usize) -> usize {
        if self == Self::CrLf { line_feeds } else { 0 }
    }
}

/// Whether every line feed has a carriage return before it, and no other byte has one.
fn is_crlf(text: &[u8]) -> bool {
    let feeds = memchr::memchr_iter(b'\n', text).count();
    let returns = memchr::memchr_iter(b'\r', text).count();
    feeds == returns && memchr::memmem::find_iter(text, b"\r\n").count() == feeds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn one_by_one(content: &[u8], edits: &[Edit<'_>]) -> Result<Vec<u8>, EditsError> {
        let mut content = content.to_vec();
        for (index, edit) in edits.iter().enumerate() {
            content = edited(&content, edit, index, usize::MAX)?;
        }
        Ok(content)
    }

    fn edit<'e>(old: &'e str, new: &'e str) -> Edit<'e> {
        Edit { old: old.as_bytes(), new: new.as_bytes(), all: false }
    }

    #[rstest]
    #[case::what_an_edit_brings_is_found("a", &[("a", "xy"), ("y", "z")], Ok("xz"))]
    #[case::across_what_it_brings("abc", &[("b", "d"), ("adc", "e")], Ok("e"))]
    #[case::across_what_is_gone("abbc", &[("bb", ""), ("ac", "d")], Ok("d"))]
    #[case::one_of_two_is_gone("aba", &[("ab", ""), ("a", "c")], Ok("c"))]
    #[case::it_has_become_two("ab", &[("b", "a"), ("a", "c")], Err((1, 2)))]
    #[case::it_is_gone("ab", &[("ab", "c"), ("b", "d")], Err((1, 0)))]
    #[case::nothing_is_left("ab", &[("ab", ""), ("a", "b")], Err((1, 0)))]
    #[case::an_empty_text("ab", &[("a", "b"), ("", "c")], Err((1, 0)))]
    #[case::crlf("a\r\nb\r\n", &[("a\n", "x\ny\n"), ("b\r\n", "c\r\n")], Ok("x\r\ny\r\nc\r\n"))]
    #[case::crlf_and_a_line_feed("a\r\nb\r\n", &[("a\r\n", "a\n"), ("a\nb", "c")], Ok("c\r\n"))]
    #[case::the_last_end_goes("a\r\n", &[("a\n", "b"), ("b", "c\n")], Ok("c\n"))]
    fn each_edit_is_made_in_what_the_one_before_left(
        #[case] content: &str,
        #[case] edits: &[(&str, &str)],
        #[case] expected: Result<&str, (usize, u64)>,
    ) {
        let edits: Vec<_> = edits.iter().map(|(old, new)| edit(old, new)).collect();
        let expected = expected.map(|text| text.as_bytes().to_vec());
        let near = None;
        let expected =
            expected.map_err(|(index, found)| EditsError::Occurrences { index, found, near });
        for counting in [Counting::WhereItPays, Counting::Always] {
            let edited = in_turn(content.as_bytes(), &edits, usize::MAX, counting);
            assert_eq!(edited, expected);
        }
    }

    #[test]
    fn a_file_that_has_become_too_long_is_not_edited_any_further() {
        let edits = [edit("a", "bbbb"), edit("c", "d")];
        for counting in [Counting::WhereItPays, Counting::Always] {
            let edited = in_turn(b"ac", &edits, 4, counting);
            assert_eq!(edited, Err(EditsError::TooLong { index: 1, bytes: 5 }));
            assert_eq!(in_turn(b"ac", &edits, 5, counting).as_deref(), Ok(&b"bbbbd"[..]));
        }
    }

    #[test]
    fn a_text_that_occurs_too_often_is_counted_no_further_and_edited_all_the_same() {
        let content = "a".repeat(4000) + "b";
        let texts: Vec<String> = (1..200).map(|length| "a".repeat(length)).collect();
        let mut edits: Vec<Edit<'_>> = vec![edit("b", "c")];
        edits.extend(texts.iter().map(|text| edit(text, "d")));
        let run = [Edit { old: b"b", new: b"c", all: false }];
        assert!(text_of(content.as_bytes(), &run, Ends::LineFeed).is_some());
        assert!(text_of(content.as_bytes(), &edits, Ends::LineFeed).is_none());
        let edited = in_turn(content.as_bytes(), &edits, usize::MAX, Counting::Always);
        assert_eq!(edited, one_by_one(content.as_bytes(), &edits));
    }

    /// As many steps as there are edits, and none as long as the file, whatever its length.
    #[test]
    fn six_thousand_edits_look_at_the_file_once() {
        let line = |word: &str, number: usize| format!("{word} {number:07}\n");
        let content: String = (0..60_000).map(|number| line("line", number)).collect();
        let texts: Vec<_> = (0..6000).map(|n| (line("line", n * 9), line("LINE", n * 9))).collect();
        let edits: Vec<_> = texts.iter().map(|(old, new)| edit(old, new)).collect();
        let (made, edited) = counted(content.as_bytes(), &edits, usize::MAX, Counting::WhereItPays)
            .expect("they are counted");
        assert_eq!(made, edits.len(), "none is made on the whole file");
        let mut expected = content.clone().into_bytes();
        for number in 0..6000 {
            let at = number * 9 * 13;
            expected[at..at + 4].copy_from_slice(b"LINE");
        }
        assert!(edited == expected, "and all are made");
    }

    proptest! {
        #[test]
        fn edits_at_once_are_edits_one_by_one(
            content in "[ab\n]{0,24}",
            edits in prop::collection::vec(("[abc\n]{1,4}", "[abc\n]{0,4}", any::<u8>()), 1..12),
        ) {
            let edits: Vec<_> = edits
                .iter()
                .map(|(old, new, all)| Edit { all: *all < 40, ..edit(old, new) })
                .collect();
            let edited = in_turn(content.as_bytes(), &edits, usize::MAX, Counting::Always);
            prop_assert_eq!(edited, one_by_one(content.as_bytes(), &edits));
        }

        /// Edits of which each finds its text exactly once, so that many are made in a row.
        #[test]
        fn edits_that_fit_are_the_same_at_once_and_one_by_one(
            content in "[ab\n]{8,40}",
            places in prop::collection::vec((0..1000_usize, 1..5_usize, "[abcd\n]{0,4}"), 1..16),
            is_crlf in any::<bool>(),
        ) {
            let content = if is_crlf { content.replace('\n', "\r\n") } else { content };
            let (mut now, mut edits) = (content.clone().into_bytes(), Vec::new());
            for (at, length, new) in &places {
                if now.is_empty() { break }
                let from = at % now.len();
                // What surrounds it is named until it is found once.
                let reach = (*length..=now.len()).find_map(|length| {
                    let old = now.get(from..from + length)?;
                    let edited = replace(&now, old, new.as_bytes(), false).ok()?;
                    Some((old.to_vec(), edited))
                });
                let Some((old, edited)) = reach else { continue };
                edits.push((old, new));
                now = edited;
            }
            let edits: Vec<_> = edits
                .iter()
                .map(|(old, new)| Edit { old, new: new.as_bytes(), all: false })
                .collect();
            let edited = in_turn(content.as_bytes(), &edits, usize::MAX, Counting::Always);
            prop_assert_eq!(edited, Ok(now));
        }
    }
}
