//! The part of two contents that contains all differences.
//!
//! Most edits change a few lines of a file. After comparing bytes from both ends, which is as fast as
//! memory, little is left to split, hash and compare.

use crate::lines::count_lines;

/// Whole lines of both contents, and how many equal lines were left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) old: &'a [u8],
    pub(crate) new: &'a [u8],
    /// Equal lines before it.
    pub(crate) lines_before: u64,
    /// Equal lines after it.
    pub(crate) lines_behind: u64,
}

/// How many equal lines stay on each side: more than a change is ever moved for readability.
const MARGIN_LINES: usize = 128;

impl<'a> Window<'a> {
    /// Both contents whole.
    pub(crate) fn whole(old: &'a [u8], new: &'a [u8]) -> Self {
        Self { old, new, lines_before: 0, lines_behind: 0 }
    }

    /// The differences, and some equal lines around them.
    pub(crate) fn of_changes(old: &'a [u8], new: &'a [u8]) -> Self {
        let start = margin_before(&old[..common_start(old, new)]);
        let behind = common_end(&old[start..], &new[start..]);
        let tail = margin_behind(&old[old.len() - behind..]);
        Self {
            old: &old[start..old.len() - tail],
            new: &new[start..new.len() - tail],
            lines_before: count_lines(&old[..start]),
            lines_behind: count_lines(&old[old.len() - tail..]),
        }
    }
}

/// How many bytes of whole lines both contents start with.
fn common_start(old: &[u8], new: &[u8]) -> usize {
    let equal = equal_bytes(old.chunks(CHUNK_BYTES).zip(new.chunks(CHUNK_BYTES)), |old, new| {
        old.iter().zip(new).take_while(|(old, new)| old == new).count()
    });
    memchr::memrchr(b'\n', &old[..equal]).map_or(0, |feed| feed + 1)
}

/// How many bytes of whole lines both contents, which start with a line, end with.
fn common_end(old: &[u8], new: &[u8]) -> usize {
    let equal = equal_bytes(old.rchunks(CHUNK_BYTES).zip(new.rchunks(CHUNK_BYTES)), |old, new| {
        old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count()
    });
    let starts_line = |content: &[u8]| {
        let before = content.len() - equal;
        before == 0 || content[before - 1] == b'\n'
    };
    if starts_line(old) && starts_line(new) {
        return equal;
    }
    let tail = &old[old.len() - equal..];
    memchr::memchr(b'\n', tail).map_or(0, |feed| tail.len() - feed - 1)
}

const CHUNK_BYTES: usize = 1 << 10;

/// How many bytes are equal in chunks that come from one end; `count` counts in the first pair
/// that differs.
fn equal_bytes<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    count: impl Fn(&[u8], &[u8]) -> usize,
) -> usize {
    let mut equal = 0;
    for (old, new) in pairs {
        if old != new {
            return equal + count(old, new);
        }
        equal += old.len();
    }
    equal
}

/// Where the last lines of the common start begin.
fn margin_before(start: &[u8]) -> usize {
    memchr::memrchr_iter(b'\n', start).nth(MARGIN_LINES).map_or(0, |feed| feed + 1)
}

/// How many bytes follow the first lines of the common end.
fn margin_behind(end: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', end).nth(MARGIN_LINES - 1).map_or(0, |feed| end.len() - feed - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: (&str, &str)) {
        let (old, new) = (old.as_bytes(), new.as_bytes());
        let start = common_start(old, new);
        let end = common_end(&old[start..], &new[start..]);
        let shown = |content: &[u8]| {
            String::from_utf8_lossy(&content[start..content.len() - end]).into_owned()
        };
        assert_eq!(
            (shown(old), shown(new)),
            (expected.0.to_owned(), expected.1.to_owned()),
            "what differs of {old:?} and {new:?}"
        );
    }

    #[test]
    fn whole_lines_are_common() {
        check("a\nb\nc\n", "a\nx\nc\n", ("b\n", "x\n"));
        check("same start\nend\n", "same stork\nend\n", ("same start\n", "same stork\n"));
        check("a\nab\n", "a\nxab\n", ("ab\n", "xab\n"));
        check("a\n", "a\na\n", ("", "a\n"));
        check("a", "a\nb", ("a", "a\nb"));
        check("b", "a\nb", ("", "a\n"));
        check("ab", "b", ("ab", "b"));
        check("a\nb", "a\nb\n", ("b", "b\n"));
        check("", "a\n", ("", "a\n"));
        check("a\nb\na\n", "a\nb\na\nb\na\n", ("", "b\na\n"));
    }

    #[test]
    fn lines_left_out_are_counted() {
        let line = |n: usize| format!("line {n}\n");
        let old: String = (0..5000).map(line).collect();
        let new = old.replace("line 3000\n", "another\n");
        let window = Window::of_changes(old.as_bytes(), new.as_bytes());
        assert_eq!(window.lines_before, 3000 - MARGIN_LINES as u64);
        assert_eq!(window.lines_behind, 1999 - MARGIN_LINES as u64);
        assert_eq!(count_lines(window.old), 2 * MARGIN_LINES as u64 + 1);
        assert!(window.old.starts_with(b"line 2872\n") && window.new.ends_with(b"line 3128\n"));
    }
}
