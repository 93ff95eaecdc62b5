//! Remarks about what a reviewer of a diff should not miss.

use std::fmt;

use crate::content::Side;

/// Something about a change that its diff does not show clearly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remark {
    /// Most line ends changed from one kind to the other.
    LineEndingsFlipped {
        /// Whether they are `\r\n` now.
        to_crlf: bool,
    },
    /// The file was valid UTF-8 and is not any more.
    NoLongerUtf8,
    /// The file was not valid UTF-8 and is now.
    BecameUtf8,
    /// The file began with a byte order mark and does not any more, or the other way round.
    ByteOrderMark {
        /// Whether it begins with one now.
        is_there: bool,
    },
    /// The file is UTF-16 now, or was.
    Utf16 {
        /// Whether it is now.
        is_now: bool,
    },
    /// The file is UTF-32 now, or was.
    Utf32 {
        /// Whether it is now.
        is_now: bool,
    },
    /// The content is binary, so the whole file is replaced.
    ReplacedBinary,
    /// The content is over the limit, so the whole file is replaced.
    ReplacedTooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// Another strategy was used than the one chosen.
    StrategyReplaced {
        /// The strategy chosen.
        chosen: String,
        /// The strategy used.
        used: String,
        /// Why the chosen one was not used.
        why: String,
    },
    /// The strategy used up its steps; the diff is correct but coarser than usual.
    Degraded {
        /// The strategy.
        strategy: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineEndingsFlipped { to_crlf } => {
                let (from, to) = if *to_crlf { ("LF", "CRLF") } else { ("CRLF", "LF") };
                write!(f, "line endings flipped from {from} to {to}")
            }
            Self::NoLongerUtf8 => f.write_str("no longer valid UTF-8"),
            Self::BecameUtf8 => f.write_str("became valid UTF-8"),
            Self::ByteOrderMark { is_there } => {
                let verb = if *is_there { "gained a" } else { "lost its" };
                write!(f, "{verb} byte order mark (BOM)")
            }
            Self::Utf16 { is_now } => write!(f, "encoding changed {} UTF-16", to_or_from(*is_now)),
            Self::Utf32 { is_now } => write!(f, "encoding changed {} UTF-32", to_or_from(*is_now)),
            Self::ReplacedBinary => f.write_str("the content is binary"),
            Self::ReplacedTooLarge { limit_bytes } => {
                write!(f, "the content is over {limit_bytes} bytes")
            }
            Self::StrategyReplaced { chosen, used, why } => {
                write!(f, "compared by {used} instead of {chosen}: {why}")
            }
            Self::Degraded { strategy } => {
                write!(f, "{strategy} reached its work limit, so the diff is coarser than usual")
            }
        }
    }
}

fn to_or_from(is_now: bool) -> &'static str {
    if is_now { "to" } else { "from" }
}

impl Remark {
    /// The remarks on the first bytes of two contents, of which [`HEAD_BYTES`] are enough. An empty
    /// content has no encoding that could change.
    pub fn of_heads(old: &[u8], new: &[u8]) -> Vec<Self> {
        if old.is_empty() || new.is_empty() {
            return Vec::new();
        }
        // A mark of UTF-32 begins with one of UTF-16.
        let is_utf32 =
            |head: &[u8]| head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff");
        let is_utf16 = |head: &[u8]| {
            !is_utf32(head) && (head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff"))
        };
        let has_mark = |head: &[u8]| head.starts_with(b"\xef\xbb\xbf");
        let mut remarks = Vec::new();
        if is_utf32(old) != is_utf32(new) {
            remarks.push(Self::Utf32 { is_now: is_utf32(new) });
        }
        if is_utf16(old) != is_utf16(new) {
            remarks.push(Self::Utf16 { is_now: is_utf16(new) });
        }
        if remarks.is_empty() && has_mark(old) != has_mark(new) {
            remarks.push(Self::ByteOrderMark { is_there: has_mark(new) });
        }
        remarks
    }
}

/// How many bytes of a content show whether it has a byte order mark.
pub const HEAD_BYTES: usize = 4;

/// The remarks on a change of content.
pub(crate) fn of_contents(old: Side<'_>, new: Side<'_>, binary: bool) -> Vec<Remark> {
    let (Side::Text(old), Side::Text(new)) = (old, new) else { return Vec::new() };
    let mut remarks = Remark::of_heads(old, new);
    if !binary {
        if let Some(to_crlf) = line_endings_flipped(old, new) {
            remarks.push(Remark::LineEndingsFlipped { to_crlf });
        }
        match (std::str::from_utf8(old).is_ok(), std::str::from_utf8(new).is_ok()) {
            (true, false) => remarks.push(Remark::NoLongerUtf8),
            // An empty file is in every encoding.
            (false, true) if !new.is_empty() => remarks.push(Remark::BecameUtf8),
            _ => {}
        }
    }
    remarks
}

/// Whether most line ends changed to the other kind; true if they are CR LF now.
fn line_endings_flipped(old: &[u8], new: &[u8]) -> Option<bool> {
    let mostly_crlf = |content: &[u8]| {
        let feeds = memchr::memchr_iter(b'\n', content).count();
        let crlf = memchr::memmem::find_iter(content, b"\r\n").count();
        (crlf * 2 != feeds).then_some(crlf * 2 > feeds)
    };
    let (before, after) = (mostly_crlf(old)?, mostly_crlf(new)?);
    (before != after).then_some(after)
}
