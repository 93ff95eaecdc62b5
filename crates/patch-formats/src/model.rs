//! What a patch says, file by file.

use std::collections::HashSet;
use std::fmt;

use sha1::{Digest as _, Sha1};

use crate::begin_patch::{self, Chunk};
use crate::error::{MisfitError, PatchError, escaped};
use crate::hunks::Hunk;
use crate::ladder;
use crate::place;
use crate::readings::Readings;
use crate::unified;

/// The longest patch that is read.
pub const PATCH_BYTES_MAX: usize = 64 << 20;
/// The most lines that a patch may have.
pub const PATCH_LINES_MAX: usize = 4_000_000;

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

impl<'p> PatchText<'p> {
    /// Reads a patch, whole.
    ///
    /// # Errors
    /// [`PatchError`] names the line that cannot be read.
    pub fn parse(text: &'p [u8]) -> Result<Self, PatchError> {
        if text.len() > PATCH_BYTES_MAX {
            return Err(PatchError::TooLarge { bytes: text.len() as u64 });
        }
        if memchr::memchr_iter(b'\n', text).nth(PATCH_LINES_MAX).is_some() {
            return Err(PatchError::TooManyLines { max: PATCH_LINES_MAX });
        }
        let (format, files) = if begin_patch::begins(text)? {
            (Format::BeginPatch, begin_patch::parse(text)?)
        } else {
            (Format::Unified, unified::parse(text)?)
        };
        if files.is_empty() {
            return Err(begin_patch::stray(text).unwrap_or(PatchError::NoPatch));
        }
        refuse_twice(&files)?;
        Ok(Self { format, files })
    }
}

fn refuse_twice(files: &[FilePatch<'_>]) -> Result<(), PatchError> {
    let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
    // Where the files that are there decide on names, whoever looks at them finds those that meet.
    let is_sure = |file: &&FilePatch<'_>| file.readings.as_ref().is_none_or(Readings::is_sure);
    for file in files.iter().filter(is_sure) {
        let source = file.change.source().filter(|name| !sources.insert(*name));
        let target = file.change.target().filter(|name| !targets.insert(*name));
        if let Some(name) = source.or(target) {
            return Err(PatchError::NamedTwice { line: file.line, name: escaped(name) });
        }
    }
    Ok(())
}

impl FilePatch<'_> {
    /// Brings the change to a file's content, which is empty when the file comes to be.
    ///
    /// `is_base` says that this is known to be the content that the patch was made from: only
    /// then are hunks without any context taken to be where their headers say.
    ///
    /// # Errors
    /// [`MisfitError`] names the hunk that does not fit.
    pub fn fit(&self, content: &[u8], is_base: bool) -> Result<Fitted, MisfitError> {
        let is_base = is_base || self.names_base(content) == Some(true);
        let fitted = match &self.body {
            Body::Nothing => Fitted { content: content.to_vec(), placements: Vec::new() },
            Body::Hunks { hunks, from_crlf } if self.kind == Some(EntryKind::Symlink) => {
                place::fit_target(hunks, *from_crlf, content, is_base)?
            }
            Body::Hunks { hunks, from_crlf } => place::fit(hunks, *from_crlf, content, is_base)?,
            Body::Chunks { chunks, from_crlf } => ladder::fit(chunks, *from_crlf, content)?,
            Body::Whole(whole) => Fitted { content: whole.clone(), placements: Vec::new() },
        };
        if matches!(self.change, Change::Delete { .. }) && !fitted.content.is_empty() {
            return Err(MisfitError::NotEmptied { bytes: fitted.content.len() });
        }
        Ok(fitted)
    }

    /// Whether this is the content that the patch says it was made from; nothing when it does not
    /// say, or says it in a way that git's SHA-1 cannot answer.
    pub fn names_base(&self, content: &[u8]) -> Option<bool> {
        let named = self.base_blob.as_deref()?;
        let is_name = (SHORTEST_ID..=40).contains(&named.len());
        if !is_name || self.change.source().is_none() {
            return None;
        }
        let mut sha1 = Sha1::new();
        sha1.update(format!("blob {}\0", content.len()));
        sha1.update(content);
        let id: String = sha1.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(id.as_bytes().starts_with(named))
    }
}

/// Git abbreviates to seven digits or more unless told otherwise; less says too little.
const SHORTEST_ID: usize = 7;
