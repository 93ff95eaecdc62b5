//! Reads the formats in which agents write changes, and fits them to a file's bytes.
//!
//! [`PatchText::parse`] reads a unified or git diff, or a `*** Begin Patch`, into a list of changes,
//! one for each file; [`PatchText::resolve`] decides which files its names mean, given a [`Tree`] of
//! the existing ones, and [`FilePatch::fit`] applies one file's change to its bytes. [`replace`]
//! replaces one piece of text by another, and [`replace_in_turn`] makes many such edits. Input and
//! output are bytes: nothing here opens a file, and contents and names need not be UTF-8.
//!
//! A change either fits, or is refused with the hunk, what it expects and what the file has. A hunk
//! that does not match at the line in its header may match elsewhere, if it does so exactly once in
//! the whole file; its context is never ignored. What a patch does not mention is kept: if a patch
//! has other line endings than the file, or lacks the file's byte order mark, the file keeps its own,
//! and an added line ends like those around it.
//!
//! A `*** Begin Patch` has no line numbers: its hunks are searched for in order, each at the
//! strictest [`MatchLevel`] at which it matches at all. There it has to match exactly once, after
//! the previous hunk and below its own `@@` lines.
//!
//! ```
//! use patch_formats::PatchText;
//!
//! let patch = PatchText::parse(b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n")?;
//! let fitted = patch.files[0].fit(b"a\nb\n", false)?;
//! assert_eq!(fitted.content, b"a\nc\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//! A patch has at most [`PATCH_BYTES_MAX`] bytes and [`PATCH_LINES_MAX`] lines, a file
//! [`FILE_LINES_MAX`] lines. Fitting takes time proportional to both and, if hunks have to be
//! searched for, to [`SEARCH_STEPS_MAX`] at most; a patch that needs more is refused.
//!
//! # Why no library
//! The parsers on crates.io that take bytes (diffy, its fork flickzeug) apply a hunk at the first
//! match, nearest to its line, and compare line by line everywhere: an ambiguous hunk is applied
//! somewhere, and a repetitive file takes time proportional to the product of both lengths. The
//! others (patch, gitpatch) read text, not bytes, and only parse. None has an option to refuse.
//!
//! The format of a unified diff is that of POSIX `diff -u`, with the extended headers of
//! git-diff(1), "Generating patch text with -p". `*** Begin Patch` is what the apply_patch tool of
//! OpenAI's Codex reads; its crate `codex-apply-patch` is not published, decodes contents as UTF-8,
//! takes the first of several places and writes what fits before it finds what does not.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod fit;
mod limits;
mod lines;
mod model;
mod names;
mod parse;
mod printable;
mod reader;
mod readings;
mod replace;
mod resolve;

pub use error::{MisfitError, PatchError};
pub use fit::near_miss::{NearMiss, near_miss};
pub use limits::{FILE_LINES_MAX, PATCH_BYTES_MAX, PATCH_LINES_MAX, SEARCH_STEPS_MAX};
pub use model::{
    Change, EntryKind, FilePatch, Fitted, Format, MatchLevel, ModeChange, PatchText, Placement,
};
pub use replace::in_turn::{Edit, EditsError, replace_in_turn};
pub use replace::once::{ReplaceError, replace};
pub use resolve::Tree;
