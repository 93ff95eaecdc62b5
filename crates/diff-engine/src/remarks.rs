//! What a reader of a diff should not miss, in words.

use std::fmt;

use crate::engine::Side;

/// Something about a change that its diff does not make plain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remark {
    /// Most line ends changed from one kind to the other.
    LineEndingsFlipped {
        /// Whether they are `\r\n` now.
        to_crlf: bool,
    },
    /// The file lost more than 90 % of its bytes.
    Shrank {
        /// The size before, in bytes.
        old_bytes: u64,
        /// The size after, in bytes.
        new_bytes: u64,
    },
    /// The file can be run now and could not before.
    BecameExecutable,
    /// The file was valid UTF-8 and is not any more.
    NoLongerUtf8,
    /// The content is binary, so it is replaced as a whole.
    ReplacedBinary,
    /// The content is over the limit, so it is replaced as a whole.
    ReplacedTooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The strategy chosen was not the one used.
    StrategyReplaced {
        /// The strategy chosen.
        chosen: String,
        /// The strategy used.
        used: String,
        /// What was wrong with the one chosen.
        why: String,
    },
    /// The strategy's work budget ran out; the diff is right but coarser than usual.
    Degraded {
        /// The strategy.
        strategy: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineEndingsFlipped { to_crlf: true } => {
                f.write_str("line endings flipped from LF to CRLF")
            }
            Self::LineEndingsFlipped { to_crlf: false } => {
                f.write_str("line endings flipped from CRLF to LF")
            }
            Self::Shrank { old_bytes, new_bytes } => {
                write!(f, "shrank by more than 90 %, from {old_bytes} to {new_bytes} bytes")
            }
            Self::BecameExecutable => f.write_str("became executable"),
            Self::NoLongerUtf8 => f.write_str("no longer valid UTF-8"),
            Self::ReplacedBinary => f.write_str("full replacement: the content is binary"),
            Self::ReplacedTooLarge { limit_bytes } => {
                write!(f, "full replacement: the content is over {limit_bytes} bytes")
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

impl Remark {
    /// What a change of permission bits calls for.
    pub fn of_modes(old_mode: Option<u32>, new_mode: Option<u32>) -> Option<Self> {
        let executable = |mode: Option<u32>| mode.is_some_and(|mode| mode & 0o111 != 0);
        (executable(new_mode) && !executable(old_mode)).then_some(Self::BecameExecutable)
    }
}

/// What a change of content calls for.
pub(crate) fn of_contents(old: Side<'_>, new: Side<'_>, binary: bool) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let (Some(old_bytes), Some(new_bytes)) = (old.bytes(), new.bytes())
        && old_bytes > 0
        && u128::from(new_bytes) * 10 < u128::from(old_bytes)
    {
        remarks.push(Remark::Shrank { old_bytes, new_bytes });
    }
    if let (Side::Text(old), Side::Text(new)) = (old, new)
        && !binary
    {
        if let Some(to_crlf) = line_endings_flipped(old, new) {
            remarks.push(Remark::LineEndingsFlipped { to_crlf });
        }
        if std::str::from_utf8(new).is_err() && std::str::from_utf8(old).is_ok() {
            remarks.push(Remark::NoLongerUtf8);
        }
    }
    remarks
}

/// Whether most lines ended one way and most end the other way now, and which.
fn line_endings_flipped(old: &[u8], new: &[u8]) -> Option<bool> {
    let mostly_crlf = |content: &[u8]| {
        let feeds = memchr::memchr_iter(b'\n', content).count();
        let crlf = memchr::memmem::find_iter(content, b"\r\n").count();
        (crlf * 2 != feeds).then_some(crlf * 2 > feeds)
    };
    let (before, after) = (mostly_crlf(old)?, mostly_crlf(new)?);
    (before != after).then_some(after)
}
