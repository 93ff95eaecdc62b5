//! Many replacements in one file, one after the other, in time that grows with their number and
//! not with their number times the file's length.
//!
//! What an edit finds depends on those before it: they may bring its text or take it away. So the
//! occurrences of all texts are counted once, by one automaton (Aho and Corasick, "Efficient string
//! matching", 1975), and each edit corrects the counts around the place that it changes. The text
//! itself is a list of pieces, of the file and of what was put in.
//!
//! # Limitations
//! That is for files whose lines all end alike, and texts that end lines in the same way. Edits of
//! others, and sets that match in very many places, are made one by one on the whole file, as
//! [`replace`] makes them.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::near_miss::{NearMiss, near_miss};
use crate::replace::{ReplaceError, replace};

/// One piece of text for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<'e> {
    /// What to replace.
    pub old: &'e [u8],
    /// What to put in its place.
    pub new: &'e [u8],
    /// Whether every occurrence is replaced; else there must be exactly one.
    pub all: bool,
}

/// Which of several edits failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditsError {
    /// The text to replace is not there exactly once.
    #[error("edit {}: the text to replace occurs {found} times", index + 1)]
    Occurrences {
        /// The edit, counted from 0.
        index: usize,
        /// How often its text occurs.
        found: u64,
        /// What differs in the file, where it nearly has the text.
        near: Option<NearMiss>,
    },
    /// The file has become too long to be edited any further.
    #[error("edit {}: the file has become {bytes} bytes long", index + 1)]
    TooLong {
        /// The edit, counted from 0.
        index: usize,
        /// The file's length before it, in bytes.
        bytes: usize,
    },
}

/// Makes edits one after the other, each in what the one before left, as [`replace`] makes each.
///
/// A file that is longer than `bytes_max` is not edited any further.
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

/// When occurrences are counted for several edits at once.
#[derive(Clone, Copy, PartialEq)]
enum Counting {
    WhereItPays,
    /// For tests, whose files are short.
    #[cfg(test)]
    Always,
}

/// Edits of a file are made one by one while they look at fewer bytes than this together.
const LOOKED_AT_BYTES_MIN: usize = 4 << 20;

/// The texts of the edits that are searched for at once have so many bytes together, at most: the
/// automaton takes some fifty times as many.
const TEXTS_BYTES_MAX: usize = 2 << 20;

/// So many occurrences are counted for each byte of the file and the edits, at most.
const OCCURRENCES_PER_BYTE: usize = 8;

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
            let run = edits[index..].iter().take_while(|edit| !edit.all).count();
            one_by_one_until = index + run;
            if let Some((made, outcome)) =
                counted(&content, &edits[index..index + run], bytes_max, counting)
            {
                index += made;
                content = Cow::Owned(outcome.map_err(|failure| failure.at(index))?);
                continue;
            }
        }
        if content.len() > bytes_max {
            return Err(EditsError::TooLong { index, bytes: content.len() });
        }
        let edited = replace(&content, edit.old, edit.new, edit.all);
        let edited = edited.map_err(|error| Failure::of(error, &content, edit.old).at(index))?;
        content = Cow::Owned(edited);
        index += 1;
    }
    Ok(content.into_owned())
}

/// Why an edit of a run failed.
enum Failure {
    Occurrences(u64, Option<NearMiss>),
    TooLong(usize),
}

impl Failure {
    fn of(error: ReplaceError, content: &[u8], old: &[u8]) -> Self {
        let near = (error.found == 0).then(|| near_miss(content, old)).flatten();
        Self::Occurrences(error.found, near)
    }

    fn at(self, index: usize) -> EditsError {
        match self {
            Self::Occurrences(found, near) => EditsError::Occurrences { index, found, near },
            Self::TooLong(bytes) => EditsError::TooLong { index, bytes },
        }
    }
}

/// Makes as many edits of a run as it pays to make at once: how many, and what comes of it. Nothing
/// where it pays for none.
fn counted(
    content: &[u8],
    run: &[Edit<'_>],
    bytes_max: usize,
    counting: Counting,
) -> Option<(usize, Result<Vec<u8>, Failure>)> {
    let longest = run.iter().map(|edit| edit.old.len()).max()?;
    let texts: usize = run.iter().map(|edit| edit.old.len()).sum();
    let looked_at = run.len().saturating_mul(content.len());
    let pays = looked_at >= LOOKED_AT_BYTES_MIN
        && texts <= TEXTS_BYTES_MAX
        && longest.saturating_mul(8) <= content.len();
    if !pays && counting == Counting::WhereItPays {
        return None;
    }
    let ends = Ends::of(content, run)?;
    let folded = ends.fold(content);
    let mut text = Text::new(&folded, run, ends)?;
    for (index, edit) in run.iter().enumerate() {
        // With line feeds that stand for two bytes each.
        let bytes = text.bytes + ends.extra_bytes(text.line_feeds);
        let unfolded = |text: &Text<'_>| ends.unfold(text.to_vec());
        if bytes > bytes_max {
            return Some((index, Err(Failure::TooLong(bytes))));
        }
        match text.replace(&ends.fold(edit.old), &ends.fold(edit.new)) {
            Replaced::Done => {}
            Replaced::NotOnce => {
                let content = unfolded(&text);
                let error = replace(&content, edit.old, edit.new, false).err();
                let error = error.unwrap_or(ReplaceError { found: 1 });
                return Some((index, Err(Failure::of(error, &content, edit.old))));
            }
            Replaced::GivenUp => return Some((index, Ok(unfolded(&text)))),
        }
    }
    Some((run.len(), Ok(ends.unfold(text.to_vec()))))
}

/// How all lines of a file and of its edits end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    LineFeed,
    CrLf,
}

impl Ends {
    /// Nothing where they differ, or where [`replace`] would look at more than the texts.
    fn of(content: &[u8], run: &[Edit<'_>]) -> Option<Self> {
        let has_cr = |text: &[u8]| memchr::memchr(b'\r', text).is_some();
        let mut texts = run.iter().flat_map(|edit| [edit.old, edit.new]);
        if !has_cr(content) {
            return texts.all(|text| !has_cr(text)).then_some(Self::LineFeed);
        }
        if !is_crlf(content) {
            return None;
        }
        // Where a file has lost its last line end, those that come are line feeds.
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

    fn fold(self, text: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::CrLf if memchr::memchr(b'\r', text).is_some() => {
                Cow::Owned(text.iter().copied().filter(|byte| *byte != b'\r').collect())
            }
            _ => Cow::Borrowed(text),
        }
    }

    fn unfold(self, text: Vec<u8>) -> Vec<u8> {
        if self == Self::LineFeed {
            return text;
        }
        let mut unfolded = Vec::with_capacity(text.len() + text.len() / 16);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => unfolded.extend_from_slice(&[line, b"\r\n"].concat()),
                None => unfolded.extend_from_slice(line),
            }
        }
        unfolded
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

enum Replaced {
    Done,
    /// The text does not occur exactly once. Nothing was changed.
    NotOnce,
    /// There are too many occurrences to be counted. Nothing was changed.
    GivenUp,
}

/// A text that is being edited, and how often the texts of its edits occur in it.
///
/// Each byte has a number that it keeps: its place in `source`. Pieces are ranges of numbers, in
/// a list in the order of the text.
struct Text<'t> {
    /// The file, and behind it all that was put in.
    source: Vec<u8>,
    pieces: Vec<Piece>,
    /// The pieces by the number of their first byte.
    by_number: BTreeMap<usize, usize>,
    first: Option<usize>,
    automaton: AhoCorasick,
    /// The longest text of an edit, in bytes.
    longest: usize,
    patterns: HashMap<Cow<'t, [u8]>, usize>,
    occurrences: Vec<Occurrences>,
    /// How many occurrences may still be counted.
    budget: usize,
    /// The length of the text in bytes, and how many of them are line feeds.
    bytes: usize,
    line_feeds: usize,
}

#[derive(Clone)]
struct Piece {
    numbers: Range<usize>,
    before: Option<usize>,
    behind: Option<usize>,
}

/// Where a text occurs: the sum of the numbers of the first bytes is the only one's, where there is
/// one.
#[derive(Clone, Copy, Default)]
struct Occurrences {
    count: usize,
    sum: usize,
}

impl<'t> Text<'t> {
    /// Nothing when a text to replace is empty, or when too many occurrences are found.
    fn new(content: &[u8], run: &[Edit<'t>], ends: Ends) -> Option<Self> {
        let mut patterns: HashMap<Cow<'t, [u8]>, usize> = HashMap::new();
        let (mut ordered, mut edits_bytes) = (Vec::new(), 0);
        for Edit { old, new, .. } in run {
            edits_bytes += old.len() + new.len();
            let old = ends.fold(old);
            if old.is_empty() {
                return None;
            }
            if let Entry::Vacant(new) = patterns.entry(old) {
                ordered.push(new.key().clone());
                new.insert(ordered.len() - 1);
            }
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .prefilter(false)
            .build(&ordered)
            .ok()?;
        let whole = Piece { numbers: 0..content.len(), before: None, behind: None };
        let mut text = Self {
            source: content.to_vec(),
            pieces: vec![whole],
            by_number: BTreeMap::from([(0, 0)]),
            first: Some(0),
            automaton,
            longest: ordered.iter().map(|old| old.len()).max()?,
            patterns,
            occurrences: vec![Occurrences::default(); ordered.len()],
            budget: content.len().saturating_add(edits_bytes).saturating_mul(OCCURRENCES_PER_BYTE),
            bytes: content.len(),
            line_feeds: memchr::memchr_iter(b'\n', content).count(),
        };
        for found in text.automaton.try_find_overlapping_iter(content).ok()? {
            text.budget = text.budget.checked_sub(1)?;
            let occurrences = &mut text.occurrences[found.pattern().as_usize()];
            occurrences.count += 1;
            occurrences.sum = occurrences.sum.wrapping_add(found.start());
        }
        Some(text)
    }

    fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        let mut next = self.first;
        while let Some(piece) = next.map(|index| &self.pieces[index]) {
            out.extend_from_slice(&self.source[piece.numbers.clone()]);
            next = piece.behind;
        }
        out
    }

    fn replace(&mut self, old: &[u8], new: &[u8]) -> Replaced {
        let Some(pattern) = self.patterns.get(old) else { return Replaced::GivenUp };
        let Occurrences { count: 1, sum: number } = self.occurrences[*pattern] else {
            return Replaced::NotOnce;
        };
        let from = self.split_at(number);
        let (before, before_ids) = self.back_from(from);
        let mut window = Window { bytes: before, numbers: before_ids };
        let at = window.bytes.len();
        // The pieces that are covered, the last one as far as it is.
        let mut covered = Vec::new();
        let mut next = Some(from);
        while window.bytes.len() < at + old.len() {
            let Some(index) = next else { return Replaced::GivenUp };
            let left = at + old.len() - window.bytes.len();
            let numbers = self.pieces[index].numbers.clone();
            if numbers.len() > left {
                self.split_at(numbers.start + left);
            }
            window.push(&self.source, self.pieces[index].numbers.clone());
            covered.push(index);
            next = self.pieces[index].behind;
        }
        let behind = self.forth_from(next);
        let (mut gone, mut come) = (window.clone(), window);
        gone.append(&behind);
        come.truncate(at);
        let inserted = self.source.len()..self.source.len() + new.len();
        self.source.extend_from_slice(new);
        come.push(&self.source, inserted.clone());
        come.append(&behind);
        let Some(gone) = self.found_in(&gone, at..at + old.len()) else {
            return Replaced::GivenUp;
        };
        let Some(come) = self.found_in(&come, at..at + new.len()) else {
            return Replaced::GivenUp;
        };
        for (pattern, number) in gone {
            let occurrences = &mut self.occurrences[pattern];
            occurrences.count -= 1;
            occurrences.sum = occurrences.sum.wrapping_sub(number);
        }
        for (pattern, number) in come {
            let occurrences = &mut self.occurrences[pattern];
            occurrences.count += 1;
            occurrences.sum = occurrences.sum.wrapping_add(number);
        }
        self.put(&covered, inserted);
        let line_feeds = |text: &[u8]| memchr::memchr_iter(b'\n', text).count();
        self.bytes = self.bytes + new.len() - old.len();
        self.line_feeds = self.line_feeds + line_feeds(new) - line_feeds(old);
        Replaced::Done
    }

    /// The occurrences in a window that overlap a place in it, or lie across it when it is empty:
    /// which text, and the number of the first byte.
    fn found_in(&mut self, window: &Window, place: Range<usize>) -> Option<Vec<(usize, usize)>> {
        let mut found = Vec::new();
        for one in self.automaton.try_find_overlapping_iter(&window.bytes).ok()? {
            self.budget = self.budget.checked_sub(1)?;
            if one.start() < place.end && one.end() > place.start {
                found.push((one.pattern().as_usize(), window.number_of(one.start())));
            }
        }
        Some(found)
    }

    /// The piece that begins with this byte, which is made where there is none.
    fn split_at(&mut self, number: usize) -> usize {
        let (_, index) = self.by_number.range(..=number).next_back().expect("it is in a piece");
        let index = *index;
        let Piece { numbers, behind, .. } = self.pieces[index].clone();
        if numbers.start == number {
            return index;
        }
        let new = self.pieces.len();
        self.pieces.push(Piece { numbers: number..numbers.end, before: Some(index), behind });
        self.pieces[index].numbers.end = number;
        self.pieces[index].behind = Some(new);
        if let Some(behind) = behind {
            self.pieces[behind].before = Some(new);
        }
        self.by_number.insert(number, new);
        new
    }

    /// As many bytes before a piece as an occurrence that reaches into it can have there.
    fn back_from(&self, piece: usize) -> (Vec<u8>, Vec<(usize, usize)>) {
        let (mut ranges, mut left) = (Vec::new(), self.longest - 1);
        let mut next = self.pieces[piece].before;
        while let Some(index) = next.filter(|_| left > 0) {
            let numbers = self.pieces[index].numbers.clone();
            let taken = numbers.len().min(left);
            ranges.push(numbers.end - taken..numbers.end);
            left -= taken;
            next = self.pieces[index].before;
        }
        let mut window = Window::default();
        for numbers in ranges.into_iter().rev() {
            window.push(&self.source, numbers);
        }
        (window.bytes, window.numbers)
    }

    /// The same from a piece on.
    fn forth_from(&self, piece: Option<usize>) -> Window {
        let (mut window, mut left) = (Window::default(), self.longest - 1);
        let mut next = piece;
        while let Some(index) = next.filter(|_| left > 0) {
            let numbers = self.pieces[index].numbers.clone();
            let taken = numbers.len().min(left);
            window.push(&self.source, numbers.start..numbers.start + taken);
            left -= taken;
            next = self.pieces[index].behind;
        }
        window
    }

    /// Puts new bytes in the place of pieces that follow each other.
    fn put(&mut self, covered: &[usize], inserted: Range<usize>) {
        let (Some(first), Some(last)) = (covered.first(), covered.last()) else { return };
        let (before, behind) = (self.pieces[*first].before, self.pieces[*last].behind);
        for index in covered {
            self.by_number.remove(&self.pieces[*index].numbers.start);
        }
        let (mut next, mut previous) = (behind, before);
        if !inserted.is_empty() {
            let new = self.pieces.len();
            self.by_number.insert(inserted.start, new);
            self.pieces.push(Piece { numbers: inserted, before, behind });
            (next, previous) = (Some(new), Some(new));
        }
        match before {
            Some(before) => self.pieces[before].behind = next,
            None => self.first = next,
        }
        if let Some(behind) = behind {
            self.pieces[behind].before = previous;
        }
    }
}

/// Bytes of a text that follow each other, with their numbers.
#[derive(Clone, Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where in the window a range of numbers begins, and its first one.
    numbers: Vec<(usize, usize)>,
}

impl Window {
    fn push(&mut self, source: &[u8], numbers: Range<usize>) {
        if !numbers.is_empty() {
            self.numbers.push((self.bytes.len(), numbers.start));
            self.bytes.extend_from_slice(&source[numbers]);
        }
    }

    fn append(&mut self, other: &Self) {
        let at = self.bytes.len();
        self.numbers.extend(other.numbers.iter().map(|(from, number)| (at + from, *number)));
        self.bytes.extend_from_slice(&other.bytes);
    }

    fn truncate(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.numbers.retain(|(from, _)| *from < bytes);
    }

    fn number_of(&self, at: usize) -> usize {
        let behind = self.numbers.partition_point(|(from, _)| *from <= at);
        let (from, number) = self.numbers[behind - 1];
        number + (at - from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn one_by_one(content: &[u8], edits: &[Edit<'_>]) -> Result<Vec<u8>, EditsError> {
        let mut content = content.to_vec();
        for (index, edit) in edits.iter().enumerate() {
            content = replace(&content, edit.old, edit.new, edit.all)
                .map_err(|error| Failure::of(error, &content, edit.old).at(index))?;
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
        assert!(Text::new(content.as_bytes(), &run, Ends::LineFeed).is_some());
        assert!(Text::new(content.as_bytes(), &edits, Ends::LineFeed).is_none());
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
        assert!(edited.is_ok_and(|edited| edited == expected));
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
