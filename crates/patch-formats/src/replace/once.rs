//! Search and replace: one piece of text for another, once or everywhere.

use std::ops::Range;

use crate::lines::{LfText, end_of};

/// The text to replace does not occur exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text to replace occurs {found} times")]
pub struct ReplaceError {
    /// How often it occurs.
    pub found: u64,
}

/// Replaces the one occurrence of `old`, or all of them.
///
/// Occurrences are counted from the left and do not overlap if all are replaced; one that overlaps
/// another is not the only one. An empty `old` does not occur.
///
/// In texts without a carriage return, a line feed also matches a CR LF of the file. A line that stays
/// keeps its end, a line that replaces another gets the end of that one, and an added line gets the
/// end of the line before it. Texts with carriage returns are compared byte by byte first, and
/// without regard to line ends only if they do not occur so.
///
/// # Errors
/// [`ReplaceError`] if there is no occurrence, or more than one and `all` is false.
pub fn replace(content: &[u8], old: &[u8], new: &[u8], all: bool) -> Result<Vec<u8>, ReplaceError> {
    let has_ends = old.contains(&b'\n') || new.contains(&b'\n');
    let is_exact = old.contains(&b'\r') || new.contains(&b'\r');
    if is_exact {
        match literally(content, old, new, all) {
            Err(ReplaceError { found: 0 }) if old.contains(&b'\n') => {}
            outcome => return outcome,
        }
    } else if !has_ends || !content.contains(&b'\r') {
        return literally(content, old, new, all);
    }
    ignoring_line_ends(content, &LfText::of(old).text, &LfText::of(new).text, all)
}

fn literally(content: &[u8], old: &[u8], new: &[u8], all: bool) -> Result<Vec<u8>, ReplaceError> {
    let covered = occurrences(content, old, all)?.into_iter().map(|at| at..at + old.len());
    Ok(replaced(content, covered, |_, out| out.extend_from_slice(new)))
}

/// The same for texts whose line ends are line feeds, in a file with ends of any kind.
fn ignoring_line_ends(
    content: &[u8],
    old: &[u8],
    new: &[u8],
    all: bool,
) -> Result<Vec<u8>, ReplaceError> {
    let file = LfText::of(content);
    let places = occurrences(&file.text, old, all)?.into_iter();
    let covered = places.map(|at| file.original(at)..file.original(at + old.len()));
    Ok(replaced(content, covered, |covered, out| splice(content, covered, old, new, out)))
}

/// The content with each of these ranges replaced.
fn replaced(
    content: &[u8],
    ranges: impl Iterator<Item = Range<usize>>,
    write: impl Fn(Range<usize>, &mut Vec<u8>),
) -> Vec<u8> {
    let mut edited = Vec::with_capacity(content.len());
    let mut copied = 0;
    for range in ranges {
        edited.extend_from_slice(&content[copied..range.start]);
        copied = range.end;
        write(range, &mut edited);
    }
    edited.extend_from_slice(&content[copied..]);
    edited
}

/// Writes the new text, with the ends of the lines that it replaces.
fn splice(content: &[u8], covered: Range<usize>, old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let lines = |text| -> Vec<&[u8]> { <[u8]>::split_inclusive(text, |b| *b == b'\n').collect() };
    let (olds, news) = (lines(old), lines(new));
    let mut ends = Vec::with_capacity(olds.len());
    ends.extend(lines(&content[covered.clone()]).into_iter().filter_map(end_of));
    let both = olds.len().min(news.len());
    let head = olds.iter().zip(&news).take_while(|(old, new)| old == new).count();
    let same = olds.iter().rev().zip(news.iter().rev()).take_while(|(old, new)| old == new);
    let tail = same.count().min(both - head);
    // Where the lines of the old text end that are not kept.
    let replaced_end = olds.len() - tail;
    for (index, line) in news.iter().enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else {
            out.extend_from_slice(line);
            continue;
        };
        let before = if index + tail >= news.len() {
            index + olds.len() - news.len()
        } else if index < replaced_end {
            index
        } else {
            replaced_end.saturating_sub(1)
        };
        let end = ends.get(before).copied();
        out.extend_from_slice(text);
        out.extend_from_slice(end.unwrap_or_else(|| end_at(content, covered.end)));
    }
}

/// The end of the line at this offset; if it has none, that of the line before.
fn end_at(content: &[u8], at: usize) -> &'static [u8] {
    let (before, behind) = content.split_at(at);
    let feed = memchr::memchr(b'\n', behind).map(|feed| at + feed);
    let feed = feed.or_else(|| memchr::memrchr(b'\n', before));
    feed.and_then(|feed| end_of(&content[..=feed])).unwrap_or(b"\n")
}

/// Where a text occurs.
fn occurrences(content: &[u8], old: &[u8], all: bool) -> Result<Vec<usize>, ReplaceError> {
    if old.is_empty() {
        return Err(ReplaceError { found: 0 });
    }
    let finder = memchr::memmem::Finder::new(old);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = finder.find(&content[from..]) {
        places.push(from + at);
        from += at + if all { old.len() } else { 1 };
        // Two are too many; counting all could take the product of both lengths.
        if !all && places.len() == OVERLAPS_MAX {
            break;
        }
    }
    if places.is_empty() || (!all && places.len() > 1) {
        return Err(ReplaceError { found: places.len() as u64 });
    }
    Ok(places)
}

/// How many occurrences are counted for the message, at most.
const OVERLAPS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a b a", "b", "c", false, Ok("a c a"))]
    #[case("a b a", "a", "", true, Ok(" b "))]
    #[case("a b a", "a", "c", false, Err(2))]
    #[case("a b a", "x", "c", true, Err(0))]
    #[case("a", "", "c", true, Err(0))]
    #[case("aaa", "aa", "b", false, Err(2))]
    #[case("aaa", "aa", "b", true, Ok("ba"))]
    #[case("a\r\nb\r\n", "a\nb", "x\ny", false, Ok("x\r\ny\r\n"))]
    #[case("a\r\nb\r\n", "b", "x\ny", false, Ok("a\r\nx\r\ny\r\n"))]
    #[case("a\r\nb\n", "a\nb", "x", false, Ok("x\n"))]
    #[case("a\r\nb\r\n", "a\r\n", "a\n", false, Ok("a\nb\r\n"))]
    fn an_edit_replaces_exactly_one_or_all_and_keeps_line_endings(
        #[case] content: &str,
        #[case] old: &str,
        #[case] new: &str,
        #[case] all: bool,
        #[case] expected: Result<&str, u64>,
    ) {
        let edited = replace(content.as_bytes(), old.as_bytes(), new.as_bytes(), all);
        let expected = expected.map(|text| text.as_bytes().to_vec());
        assert_eq!(edited.map_err(|error| error.found), expected);
    }

    const MIXED: &str = "a\r\nb\r\nc\nd\r\ne\r\n";

    #[rstest]
    #[case::two_for_one_in_a_crlf_place("b", "b1\nb2", Ok("a\r\nb1\r\nb2\r\nc\nd\r\ne\r\n"))]
    #[case::two_for_one_in_an_lf_place("c", "c1\nc2", Ok("a\r\nb\r\nc1\nc2\nd\r\ne\r\n"))]
    #[case::a_line_between("d\ne", "d\nNEW\ne", Ok("a\r\nb\r\nc\nd\r\nNEW\r\ne\r\n"))]
    #[case::a_line_behind_an_lf_line("c\n", "c\nNEW\n", Ok("a\r\nb\r\nc\nNEW\nd\r\ne\r\n"))]
    #[case::a_line_before("e", "NEW\ne", Ok("a\r\nb\r\nc\nd\r\nNEW\r\ne\r\n"))]
    #[case::lines_that_stay_keep_theirs("b\nc\nd", "B\nc\nD", Ok("a\r\nB\r\nc\nD\r\ne\r\n"))]
    #[case::lines_that_go("b\nc\nd\n", "d\n", Ok("a\r\nd\r\ne\r\n"))]
    #[case::fewer_for_more("b\nc\n", "x\n", Ok("a\r\nx\r\nd\r\ne\r\n"))]
    #[case::across_the_end("c\nd", "cd", Ok("a\r\nb\r\ncd\r\ne\r\n"))]
    #[case::an_end_alone_goes("a\nb", "ab", Ok("ab\r\nc\nd\r\ne\r\n"))]
    #[case::sent_with_crlf("c\r\nd", "c\r\nNEW\r\nd", Ok("a\r\nb\r\nc\nNEW\nd\r\ne\r\n"))]
    #[case::an_end_is_changed_in_so_many_words("b\r\n", "b\n", Ok("a\r\nb\nc\nd\r\ne\r\n"))]
    #[case::the_whole("a\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", Ok("a\r\nb\r\nc\nd\r\nE\r\n"))]
    #[case::nowhere("c\ne", "x", Err(0))]
    fn an_edit_in_mixed_line_endings_finds_its_text_and_keeps_the_ends_around(
        #[case] old: &str,
        #[case] new: &str,
        #[case] expected: Result<&str, u64>,
    ) {
        let edited = replace(MIXED.as_bytes(), old.as_bytes(), new.as_bytes(), false);
        let edited = edited.map(|text| String::from_utf8(text).expect("it is text"));
        assert_eq!(edited.map_err(|error| error.found), expected.map(str::to_owned));
    }

    #[rstest]
    #[case("x\r\ny\nx\ny\n", "x\ny", "z", false, Err(2))]
    #[case("x\r\ny\nx\ny\n", "x\ny", "z\nz", true, Ok("z\r\nz\nz\nz\n"))]
    #[case("a\r\nb", "b", "b\nc", false, Ok("a\r\nb\r\nc"))]
    #[case("a\nb\n", "a\r\nb", "a\r\nx\r\nb", false, Ok("a\nx\nb\n"))]
    #[case("a\rb\r\n", "a\rb", "c\nd", false, Ok("c\nd\r\n"))]
    fn text_is_counted_with_its_ends_folded(
        #[case] content: &str,
        #[case] old: &str,
        #[case] new: &str,
        #[case] all: bool,
        #[case] expected: Result<&str, u64>,
    ) {
        let edited = replace(content.as_bytes(), old.as_bytes(), new.as_bytes(), all);
        let expected = expected.map(|text| text.as_bytes().to_vec());
        assert_eq!(edited.map_err(|error| error.found), expected);
    }

    fn to_lf(text: &[u8]) -> Vec<u8> {
        LfText::of(text).text.into_owned()
    }

    proptest! {
        /// What a file with any ends becomes is, but for its ends, what one with line feeds
        /// becomes; and what the edit does not cover is kept byte by byte.
        #[test]
        fn folding_commutes_with_editing(
            lines in prop::collection::vec(("[ab]{0,2}", any::<bool>()), 0..8),
            old in "[ab\n]{1,6}",
            new in "[abc\n]{0,6}",
            all in any::<bool>(),
        ) {
            let end = |crlf: bool| if crlf { "\r\n" } else { "\n" };
            let content: String = lines.iter().map(|(text, crlf)| text.clone() + end(*crlf)).collect();
            let plain = to_lf(content.as_bytes());
            let edited = replace(content.as_bytes(), old.as_bytes(), new.as_bytes(), all);
            let expected = replace(&plain, old.as_bytes(), new.as_bytes(), all);
            prop_assert_eq!(edited.clone().map(|text| to_lf(&text)), expected);
            if let (Ok(edited), false) = (edited, all) {
                let at = memchr::memmem::find(&plain, old.as_bytes()).expect("it was replaced");
                let file = LfText::of(content.as_bytes());
                let (from, to) = (file.original(at), file.original(at + old.len()));
                prop_assert!(edited.starts_with(&content.as_bytes()[..from]));
                prop_assert!(edited.ends_with(&content.as_bytes()[to..]));
                // Nothing but the text itself: no end comes that is of no line around.
                if old == new {
                    prop_assert_eq!(edited, content.into_bytes());
                }
            }
        }
    }
}
