//! Search and replace: one piece of text for another, once or everywhere.

use crate::lines::Endings;

/// The text to replace is not there exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text to replace occurs {found} times")]
pub struct ReplaceError {
    /// How often it occurs.
    pub found: u64,
}

/// Replaces the one occurrence of `old`, or all of them.
///
/// Occurrences are counted from the left and do not overlap when all are replaced; one that
/// overlaps another is not the only one. Where every line of the file ends in CR LF and the texts
/// hold no carriage return, their line feeds stand for the file's line endings. An empty `old`
/// is nowhere.
///
/// # Errors
/// [`ReplaceError`] when there is none, or more than one and not all are meant.
pub fn replace(content: &[u8], old: &[u8], new: &[u8], all: bool) -> Result<Vec<u8>, ReplaceError> {
    let lines = |text: &[u8]| !text.contains(&b'\r') && text.contains(&b'\n');
    let plain = !old.contains(&b'\r') && !new.contains(&b'\r');
    if plain && (lines(old) || lines(new)) && has_only_crlf(content) {
        return literally(content, &with_crlf(old), &with_crlf(new), all);
    }
    literally(content, old, new, all)
}

fn has_only_crlf(content: &[u8]) -> bool {
    Endings::of(content.split_inclusive(|byte| *byte == b'\n')) == Endings::CrLf
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

fn literally(content: &[u8], old: &[u8], new: &[u8], all: bool) -> Result<Vec<u8>, ReplaceError> {
    if old.is_empty() {
        return Err(ReplaceError { found: 0 });
    }
    let finder = memchr::memmem::Finder::new(old);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = finder.find(&content[from..]) {
        places.push(from + at);
        from += at + if all { old.len() } else { 1 };
        // Two are too many already; counting on could cost the product of both lengths.
        if !all && places.len() == OVERLAPS_MAX {
            break;
        }
    }
    if places.is_empty() || (!all && places.len() > 1) {
        return Err(ReplaceError { found: places.len() as u64 });
    }
    let mut edited = Vec::with_capacity(content.len());
    let mut copied = 0;
    for place in places {
        edited.extend_from_slice(&content[copied..place]);
        edited.extend_from_slice(new);
        copied = place + old.len();
    }
    edited.extend_from_slice(&content[copied..]);
    Ok(edited)
}

/// So many occurrences are counted for the message, at most.
const OVERLAPS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
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
    #[case("a\r\nb\n", "a\nb", "x", false, Err(0))]
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
}
