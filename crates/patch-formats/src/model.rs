//! The changes that a patch makes, one for each file.

use std::fmt;

use serde::Serialize;

use crate::readings::Readings;

/// The formats of a patch over many files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A unified diff, with or without git's headers.
    Unified,
    /// `*** Begin Patch`, as the apply_patch tool of Codex reads it.
    BeginPatch,
}

/// A patch that was read. No file is the source of two of its changes or the target of two.
#[derive(Clone, Debug)]
pub struct PatchText<'p> {
    /// The format it is written in.
    pub format: Format,
    /// Its changes, in its order.
    pub files: Vec<FilePatch<'p>>,
}

/// The part of a patch that changes one file.
#[derive(Clone, Debug)]
pub struct FilePatch<'p> {
    /// What happens to the file. Its name may depend on which files exist:
    /// [`PatchText::resolve`] decides.
    pub change: Change,
    /// What the file is before and after; `None` if the patch does not say. If a file replaces a
    /// symbolic link, or a link a file, one part deletes and one creates.
    pub kind: Option<EntryKind>,
    /// The change of its permission bits.
    pub mode: Option<ModeChange>,
    /// The abbreviated git object id of the content that the patch was made from, in hexadecimal.
    pub base_blob: Option<Vec<u8>>,
    /// The line of the patch at which this part begins, counted from 1.
    pub line: usize,
    /// Whether its names start at the top of the tree whatever directory the patch is applied in,
    /// as those below git's `diff --git` do.
    pub is_from_top: bool,
    /// The names that it may mean; `None` if only one is possible.
    pub(crate) readings: Option<Readings>,
    pub(crate) body: Body<'p>,
}

impl<'p> FilePatch<'p> {
    /// A part without a mode, an object id or other names.
    pub(crate) fn new(line: usize, change: Change, body: Body<'p>) -> Self {
        let (kind, mode, base_blob, readings) = (None, None, None, None);
        Self { change, kind, mode, base_blob, line, is_from_top: false, readings, body }
    }
}

/// What happens to a file. Names have `/` between their parts and are not empty. Those of a unified
/// diff are relative and have no part that is empty, `.` or `..`. Those of a `*** Begin Patch` are
/// unchanged: they may be absolute or contain `..`, and the caller has to check where they lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is created.
    Create {
        /// Its name.
        path: Vec<u8>,
    },
    /// Its content or mode changes.
    Modify {
        /// Its name.
        path: Vec<u8>,
    },
    /// It is deleted.
    Delete {
        /// Its name.
        path: Vec<u8>,
    },
    /// It is renamed, and its content and mode may change too.
    Rename {
        /// Its name before.
        from: Vec<u8>,
        /// Its name afterwards.
        to: Vec<u8>,
    },
}

impl Change {
    /// The name of the file before the change, if there is one.
    pub fn source(&self) -> Option<&[u8]> {
        match self {
            Self::Create { .. } => None,
            Self::Modify { path } | Self::Delete { path } => Some(path),
            Self::Rename { from, .. } => Some(from),
        }
    }

    /// The name of the file after the change, if there is one.
    pub fn target(&self) -> Option<&[u8]> {
        match self {
            Self::Delete { .. } => None,
            Self::Create { path } | Self::Modify { path } => Some(path),
            Self::Rename { to, .. } => Some(to),
        }
    }
}

/// The kind of entry that a part of a patch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link; its target is the content.
    Symlink,
    /// A directory that is created or deleted. It has no content.
    Directory,
}

/// A change of a file's permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeChange {
    /// One of git's two modes: everybody who may read the file may execute it, or nobody may. The
    /// file must have the other mode before, unless it is created.
    Executable(bool),
    /// A change to exactly these bits.
    Exact {
        /// The bits before; `None` if the file is created.
        old: Option<u32>,
        /// The bits afterwards.
        new: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Body<'p> {
    /// The content does not change, or is empty.
    Nothing,
    /// From a unified diff; `from_crlf` when every line of the patch itself ends in CR LF.
    Hunks { hunks: Vec<Hunk<'p>>, from_crlf: bool },
    /// From a `*** Begin Patch`; `from_crlf` as above.
    Chunks { chunks: Vec<Chunk<'p>>, from_crlf: bool },
    /// The new content, whatever the file has.
    Whole(Vec<u8>),
}

/// What happens to a line of a hunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Keep,
    Remove,
    Add,
}

/// One changed region with its context.
#[derive(Clone, Debug)]
pub(crate) struct Hunk<'p> {
    /// Where it begins in the patch, counted from 1.
    pub(crate) line: usize,
    pub(crate) old: Range,
    pub(crate) new: Range,
    /// Each with its line feed, unless the patch marks it as missing.
    pub(crate) lines: Vec<(Op, &'p [u8])>,
}

/// A side of a hunk's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The first line, counted from 1; if the range is empty, the line before it.
    pub(crate) start: u64,
    pub(crate) count: u64,
}

impl Range {
    /// The first line, counted from 0.
    pub(crate) fn first(self) -> u64 {
        if self.count == 0 { self.start } else { self.start.saturating_sub(1) }
    }
}

/// The lines of a hunk that the file has before the change.
pub(crate) fn old_lines<'p>(lines: &[(Op, &'p [u8])]) -> Vec<&'p [u8]> {
    lines.iter().filter(|(op, _)| *op != Op::Add).map(|(_, line)| *line).collect()
}

/// One changed region of a file, found by its lines alone.
#[derive(Clone, Debug)]
pub(crate) struct Chunk<'p> {
    /// Where it begins in the patch, counted from 1.
    pub(crate) line: usize,
    /// Lines of the file above it, from its `@@` lines, each below the previous one.
    pub(crate) below: Vec<&'p [u8]>,
    /// Without line feeds, and with carriage returns where the patch has them.
    pub(crate) lines: Vec<(Op, &'p [u8])>,
    /// How many of the last lines lack even the blank of a line of context: they may be context
    /// or only separate two hunks.
    pub(crate) loose: usize,
    /// Whether the file ends with it.
    pub(crate) at_end: bool,
}

/// How much of a hunk's expected text has to equal the file's, from the strictest level down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchLevel {
    /// Every byte.
    Exact,
    /// Every byte except line endings and the byte order mark, of which the file keeps its own.
    LineEndings,
    /// All except blanks at the ends of lines. This level and those below are for `*** Begin Patch`
    /// alone.
    TrailingBlanks,
    /// All except blanks at both ends of lines, so indentation may differ.
    Blanks,
    /// All except blanks; Unicode dashes, quotation marks and spaces count as those of ASCII.
    Punctuation,
}

impl fmt::Display for MatchLevel {
    /// What may differ, as the object of "except".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "nothing",
            Self::LineEndings => "line endings or the byte order mark",
            Self::TrailingBlanks => "blanks at the ends of lines",
            Self::Blanks => "blanks at the beginnings and ends of lines",
            Self::Punctuation => "blanks and Unicode punctuation",
        })
    }
}

/// The location at which a hunk fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// The hunk, counted from 1 within the file.
    pub hunk: usize,
    /// The first line of the file that the hunk covers, counted from 1.
    pub line: usize,
    /// The distance in lines from the line in its header; `None` if it has no line numbers.
    pub offset: Option<i64>,
    /// The level at which it matches.
    pub level: MatchLevel,
}

/// A change that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The file's new content; empty if it is deleted.
    pub content: Vec<u8>,
    /// The locations of its hunks, in order.
    pub placements: Vec<Placement>,
}
