//! What reviewers read and decide.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use staging_core::{ApplyId, Signature};

use crate::selection_args::SelectionArgs;

#[derive(Debug, Args)]
pub(crate) struct Review {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Review the rest of a set when some of its patches are stale or expired
    #[arg(long)]
    pub(crate) rest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Stage an empty file when nothing of the text is left
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Print how many lines each file gains and loses instead, and what else happens to it
    #[arg(long, conflicts_with = "name_only")]
    pub(crate) stat: bool,
    /// Print only the paths of the files
    #[arg(long)]
    pub(crate) name_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// The signature that was reviewed, or its first 8 digits or more; refused when it is not
    /// the set's
    #[arg(long, value_name = "SIGNATURE", value_parser = signature)]
    pub(crate) expect: Option<ExpectedSignature>,
    /// Apply what is pending without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Apply the rest of a set when some of its patches are stale or expired
    #[arg(long)]
    pub(crate) rest: bool,
    /// Allow the replacement of files that have no diff, because they are binary or too large
    #[arg(long)]
    pub(crate) confirm_full_replace: bool,
    /// Check everything and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse a set on which the last `exec` did not succeed
    #[arg(long)]
    pub(crate) require_exec: bool,
    /// Keep these words with the apply: `applies`, `show` and `log` print them
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The apply, like a1, and files, directories, globs or patches of it [default: all of the newest apply that
    /// is on the disk, except those of `init`]
    #[arg(value_name = "APPLY|PATH")]
    named: Vec<OsString>,
    /// Only files, directories and globs, whatever they look like
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<OsString>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

impl Undo {
    /// The apply, where one is named.
    pub(crate) fn apply(&self) -> Option<ApplyId> {
        self.named.first()?.to_str()?.parse().ok()
    }

    /// The files, directories, globs and patches; what is behind `--` in a form that is a path.
    pub(crate) fn paths(&self) -> Vec<OsString> {
        let words = self.named.iter().skip(usize::from(self.apply().is_some())).cloned();
        words.chain(self.paths.iter().map(|path| Path::new(".").join(path).into())).collect()
    }
}

/// A signature as the reviewer gives it: the first digits, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedSignature(String);

impl ExpectedSignature {
    /// Whether it names this signature.
    pub(crate) fn names(&self, signature: Signature) -> bool {
        signature.to_string().starts_with(&self.0)
    }
}

impl std::fmt::Display for ExpectedSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn signature(text: &str) -> Result<ExpectedSignature, String> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && (8..=64).contains(&text.len()) {
        return Ok(ExpectedSignature(text.to_ascii_lowercase()));
    }
    Err("expected at least 8 hex digits of a signature, as `greenroom status` shows it".to_owned())
}
