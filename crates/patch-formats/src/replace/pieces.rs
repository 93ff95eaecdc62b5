//! A text that is edited in pieces, and that knows how often the texts of its edits occur in it.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// How many occurrences are counted for each byte of the file and the edits, at most.
const OCCURRENCES_PER_BYTE: usize = 8;

/// A text that is being edited, and how often the texts of its edits occur in it.
///
/// Each byte keeps its number, which is its index in `source`. Pieces are ranges of numbers, in a
/// list in the order of the text.
pub(crate) struct Text<'t> {
    /// The file, followed by all inserted bytes.
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
    /// How many more occurrences may be counted.
    budget: usize,
    /// The length of the text in bytes, and how many of them are line feeds.
    pub(crate) bytes: usize,
    pub(crate) line_feeds: usize,
}

#[derive(Clone)]
struct Piece {
    numbers: Range<usize>,
    before: Option<usize>,
    behind: Option<usize>,
}

/// How often a text occurs. If it occurs once, the sum is the number of that occurrence's first byte.
#[derive(Clone, Copy, Default)]
struct Occurrences {
    count: usize,
    sum: usize,
}

impl Occurrences {
    fn add(&mut self, number: usize) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
    }
}

impl<'t> Text<'t> {
    /// A text, and the text that each of its edits replaces; `edits_bytes` is the length of all
    /// replaced and inserted texts. `None` if a text to replace is empty, or if there are too many
    /// occurrences.
    pub(crate) fn new(
        content: &[u8],
        olds: impl IntoIterator<Item = Cow<'t, [u8]>>,
        edits_bytes: usize,
    ) -> Option<Self> {
        let mut patterns: HashMap<Cow<'t, [u8]>, usize> = HashMap::new();
        let mut ordered = Vec::new();
        for old in olds {
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
            text.occurrences[found.pattern().as_usize()].add(found.start());
        }
        Some(text)
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        let mut next = self.first;
        while let Some(piece) = next.map(|index| &self.pieces[index]) {
            out.extend_from_slice(&self.source[piece.numbers.clone()]);
            next = piece.behind;
        }
        out
    }

    /// Replaces the only occurrence of a text. Returns `None` without a change if there is not exactly
    /// one, or if too many occurrences would have to be counted.
    pub(crate) fn replace(&mut self, old: &[u8], new: &[u8]) -> Option<()> {
        let Occurrences { count: 1, sum: number } = self.occurrences[*self.patterns.get(old)?]
        else {
            return None;
        };
        let from = self.split_at(number);
        let mut window = self.back_from(from);
        let at = window.bytes.len();
        // The pieces that the occurrence covers; the last one is split at its end.
        let mut covered = Vec::new();
        let mut next = Some(from);
        while window.bytes.len() < at + old.len() {
            let index = next?;
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
        let gone = self.found_in(&gone, at..at + old.len())?;
        let come = self.found_in(&come, at..at + new.len())?;
        for (pattern, number) in gone {
            self.occurrences[pattern].count -= 1;
            self.occurrences[pattern].sum = self.occurrences[pattern].sum.wrapping_sub(number);
        }
        for (pattern, number) in come {
            self.occurrences[pattern].add(number);
        }
        self.put(&covered, inserted);
        let line_feeds = |text: &[u8]| memchr::memchr_iter(b'\n', text).count();
        self.bytes = self.bytes + new.len() - old.len();
        self.line_feeds = self.line_feeds + line_feeds(new) - line_feeds(old);
        Some(())
    }

    /// The occurrences in a window that overlap a range of it, or span it if it is empty: the text,
    /// and the number of the first byte.
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

    /// The piece that begins with this byte, which is made if there is none.
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

    /// The bytes before a piece that an occurrence which reaches into it can cover.
    fn back_from(&self, piece: usize) -> Window {
        let (mut ranges, mut left) = (Vec::new(), self.longest - 1);
        let mut next = self.pieces[piece].before;
        while let Some(piece) = next.filter(|_| left > 0).map(|index| &self.pieces[index]) {
            let taken = piece.numbers.len().min(left);
            ranges.push(piece.numbers.end - taken..piece.numbers.end);
            left -= taken;
            next = piece.before;
        }
        let mut window = Window::default();
        ranges.into_iter().rev().for_each(|numbers| window.push(&self.source, numbers));
        window
    }

    /// The bytes from a piece on that an occurrence which begins before it can cover.
    fn forth_from(&self, mut next: Option<usize>) -> Window {
        let (mut window, mut left) = (Window::default(), self.longest - 1);
        while let Some(piece) = next.filter(|_| left > 0).map(|index| &self.pieces[index]) {
            let taken = piece.numbers.len().min(left);
            window.push(&self.source, piece.numbers.start..piece.numbers.start + taken);
            left -= taken;
            next = piece.behind;
        }
        window
    }

    /// Replaces consecutive pieces by new bytes.
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

/// Consecutive bytes of a text, with their numbers.
#[derive(Clone, Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where in the window a range of numbers begins, and its first number.
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
