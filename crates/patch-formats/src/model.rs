//! What a patch says, file by file.

use std::fmt;

use crate::readings::Readings;

/// The formats of a patch over many files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A unified diff, with or without git's headers.
    Unified,
    /// `*** Begin Patch`, as the apply_patch tool of Codex reads it.
    BeginPatch,
}

/// A patch that was read. No file is the source of two of its changes, and none the target of two.
#[derive(Clone, Debug)]
pub struct PatchText<'p> {
    /// How it is written.
    pub format: Format,
    /// Its changes, in its order.
    pub files: Vec<FilePatch<'p>>,
}

/// What a patch says of one file.
#[derive(Clone, Debug)]
pub struct FilePatch<'p> {
    /// What happens to it. Which file is meant may depend on those that are there:
    /// [`PatchText::resolve`] says.
    pub change: Change,
    /// What it is before and after; nothing where the patch does not say. Where a file takes the
    /// place of a symbolic link, or the other way round, one part deletes and one creates.
    pub kind: Option<EntryKind>,
    /// What happens to its permission bits.
    pub mode: Option<ModeChange>,
    /// The abbreviated name that git has for the content the patch was made from, in hexadecimal.
    pub base_blob: Option<Vec<u8>>,
    /// Where the file's part of the patch begins, counted from 1.
    pub line: usize,
    /// Whether its names begin at the top of the tree wherever the patch is brought, as those below
    /// git's `diff --git` do.
    pub is_from_top: bool,
    /// The names that it may mean; nothing where it can mean one alone.
    pub(crate) readings: Option<Readings>,
    pub(crate) body: Body<'p>,
}

impl<'p> FilePatch<'p> {
    /// A part that says nothing but this.
    pub(crate) fn new(line: usize, change: Change, body: Body<'p>) -> Self {
        let (kind, mode, base_blob, readings) = (None, None, None, None);
        Self { change, kind, mode, base_blob, line, is_from_top: false, readings, body }
    }
}

/// What happens to a file. Names have `/` between their parts, and none is empty. Those of a unified
/// diff are relative and have no part that is empty, `.` or `..`. Those of a `*** Begin Patch` are as
/// they were written: they may be absolute or lead up, and whoever opens files checks where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It comes to be.
    Create {
        /// Where.
        path: Vec<u8>,
    },
    /// Its content or mode changes.
    Modify {
        /// Where.
        path: Vec<u8>,
    },
    /// It goes.
    Delete {
        /// Where.
        path: Vec<u8>,
    },
    /// It moves, and content and mode may change with it.
    Rename {
        /// From where.
        from: Vec<u8>,
        /// To where.
        to: Vec<u8>,
    },
}

impl Change {
    /// Where the file is before, if there is one.
    pub fn source(&self) -> Option<&[u8]> {
        match self {
            Self::Create { .. } => None,
            Self::Modify { path } | Self::Delete { path } => Some(path),
            Self::Rename { from, .. } => Some(from),
        }
    }

    /// Where the file is afterwards, if there is one.
    pub fn target(&self) -> Option<&[u8]> {
        match self {
            Self::Delete { .. } => None,
            Self::Create { path } | Self::Modify { path } => Some(path),
            Self::Rename { to, .. } => Some(to),
        }
    }
}

/// What a part of a patch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link; its target is the content.
    Symlink,
    /// A directory that comes to be or goes. It has no content.
    Directory,
}

/// What happens to a file's permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeChange {
    /// As git means its two modes: who may read may execute, or nobody may. The file has to be
    /// of the other kind before, unless it comes to be.
    Executable(bool),
    /// From these bits to those.
    Exact {
        /// The bits before; nothing when the file comes to be.
        old: Option<u32>,
        /// The bits afterwards.
        new: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Body<'p> {
    /// The content stays, or is empty.
    Nothing,
    /// From a unified diff; `from_crlf` when every line of the patch itself ends in CR LF.
    Hunks { hunks: Vec<Hunk<'p>>, from_crlf: bool },
    /// From a `*** Begin Patch`; `from_crlf` as above.
    Chunks { chunks: Vec<Chunk<'p>>, from_crlf: bool },
    /// The content is this, whatever was there.
    Whole(Vec<u8>),
}

/// What a line of a hunk is.
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
    /// Each with its line feed, unless the patch says that there is none.
    pub(crate) lines: Vec<(Op, &'p [u8])>,
}

/// A side of a hunk's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The first line, counted from 1; the line before where there is none.
    pub(crate) start: u64,
    pub(crate) count: u64,
}

impl Range {
    /// The first line, counted from 0.
    pub(crate) fn first(self) -> u64 {
        if self.count == 0 { self.start } else { self.start.saturating_sub(1) }
    }
}

/// The lines of a hunk that the file has before it.
pub(crate) fn old_lines<'p>(lines: &[(Op, &'p [u8])]) -> Vec<&'p [u8]> {
    lines.iter().filter(|(op, _)| *op != Op::Add).map(|(_, line)| *line).collect()
}

/// One changed region of a file, to be found by its lines alone.
#[derive(Clone, Debug)]
pub(crate) struct Chunk<'p> {
    /// Where it begins in the patch, counted from 1.
    pub(crate) line: usize,
    /// Lines of the file below which it is, each below the one before.
    pub(crate) below: Vec<&'p [u8]>,
    /// Without line feeds, and with carriage returns where the patch has them.
    pub(crate) lines: Vec<(Op, &'p [u8])>,
    /// How many of the last lines lack even the blank of a line of context: they may be context
    /// or only keep two hunks apart.
    pub(crate) loose: usize,
    /// Whether the file ends with it.
    pub(crate) at_end: bool,
}

/// How much of what a hunk expects is what is there, from the strictest down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchLevel {
    /// Every byte.
    Exact,
    /// Every byte but line endings or the byte order mark, of which the file's own stay.
    LineEndings,
    /// All but blanks at the ends of lines. Only `*** Begin Patch` goes so far down, and further.
    TrailingBlanks,
    /// All but blanks at both ends of lines, so indentation may differ.
    Blanks,
    /// All but blanks, and dashes, quotation marks and spaces of Unicode for those of ASCII.
    Punctuation,
}

impl fmt::Display for MatchLevel {
    /// What may differ, as it goes behind "but for".
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

/// Where a hunk fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The hunk, counted from 1 within the file.
    pub hunk: usize,
    /// The first line of the file that it covers, counted from 1.
    pub line: usize,
    /// How many lines that is from where its header says; nothing when it does not say.
    pub offset: Option<i64>,
    /// How it matches.
    pub level: MatchLevel,
}

/// A change that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The file afterwards; empty when it goes.
    pub content: Vec<u8>,
    /// Where its hunks fit, in order.
    pub placements: Vec<Placement>,
}
