//! Reads the formats in which agents write changes, and fits them to a file's bytes.
//!
//! [`PatchText::parse`] takes a unified or git diff, or a `*** Begin Patch`, and says, file by
//! file, what it changes; [`PatchText::resolve`] says which files its names mean, given a [`Tree`] of
//! those that are there, and [`FilePatch::fit`] brings one file's change to its bytes.
//! [`replace`] is a format too: one piece of text for another, and [`replace_in_turn`] is many of
//! them. Bytes go in and bytes come out: nothing here opens a file, and contents and names are never
//! taken for text.
//!
//! A change either fits or is refused with the hunk, what it expects and what is there. A hunk
//! that is not where its header says may be elsewhere, if it is there exactly once in the whole
//! file; its context is never given up. What a patch does not say is kept: where a patch is
//! written with other line endings than the file, or without the file's byte order mark, the file's
//! own stay, and a line that is added ends as those around it do.
//!
//! A `*** Begin Patch` has no line numbers: its hunks are looked for, in order, as strictly as they
//! match at all ([`MatchLevel`]), and each has to match in exactly one place behind the one before
//! it and, where it has `@@` lines, below those.
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
//! [`FILE_LINES_MAX`] lines. Fitting takes time in proportion to both and, where hunks have to be
//! looked for, to [`SEARCH_STEPS_MAX`] at most; what would need more is refused.
//!
//! # Why no library
//! The parsers on crates.io that take bytes (diffy, its fork flickzeug) fit a hunk where it
//! matches first, nearest to its line, and try every place line by line: an ambiguous hunk lands
//! somewhere, and a repetitive file costs the product of both lengths. The others (patch,
//! gitpatch) read text, not bytes, and only parse. None can be told to refuse.
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
