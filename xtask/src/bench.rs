//! `cargo xtask bench`: Greenroom beside its peers, in one run, as ratios.

use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, WrapErr as _, miette};

mod apply;
mod contestants;
mod diff;
mod stage;
mod table;

#[cfg(test)]
pub(crate) use {apply::Scope, diff::Scope as DiffScope, stage::Scope as StageScope};

/// What can be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Change sets of 1 to 10,000 files, and one file of 1 GiB.
    Apply(apply::Scope),
    /// The 1 GiB part, in a process of its own so that its peak memory is its own.
    LargeFile,
    /// Proposals through the actors, reviewing with 10,000 pending, and start-up.
    Stage(stage::Scope),
    /// The diff strategies beside their peers.
    Diff(diff::Scope),
}

impl Bench {
    /// Understands what follows `bench`.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        match arguments {
            ["large-file"] => Ok(Self::LargeFile),
            ["stage"] => Ok(Self::Stage(stage::Scope::default())),
            ["stage", "--propose", part] => {
                Ok(Self::Stage(stage::Scope { propose: Some((*part).to_owned()) }))
            }
            ["apply", rest @ ..] => parse_scope(rest).map(Self::Apply),
            ["diff", rest @ ..] => parse_diff_scope(rest).map(Self::Diff),
            _ => Err(format!("`bench` does not take `{}`", arguments.join(" "))),
        }
    }

    fn arguments(&self) -> Vec<String> {
        match self {
            Self::LargeFile => vec!["large-file".to_owned()],
            Self::Stage(stage::Scope { propose }) => {
                let mut arguments = vec!["stage".to_owned()];
                if let Some(part) = propose {
                    arguments.extend(["--propose".to_owned(), part.clone()]);
                }
                arguments
            }
            Self::Apply(apply::Scope { files, folder }) => {
                let mut arguments = vec!["apply".to_owned()];
                if let Some(files) = files {
                    arguments.extend(["--files".to_owned(), files.to_string()]);
                }
                if let Some(folder) = folder {
                    arguments.extend(["--in".to_owned(), folder.display().to_string()]);
                }
                arguments
            }
            Self::Diff(diff::Scope { only, ours_only, without_applying }) => {
                let mut arguments = vec!["diff".to_owned()];
                if let Some(part) = only {
                    arguments.extend(["--only".to_owned(), part.clone()]);
                }
                arguments.extend(ours_only.then(|| OURS_ONLY.to_owned()));
                arguments.extend(without_applying.then(|| WITHOUT_APPLYING.to_owned()));
                arguments
            }
        }
    }
}

const OURS_ONLY: &str = "--ours-only";
const WITHOUT_APPLYING: &str = "--without-applying";

fn parse_diff_scope(mut arguments: &[&str]) -> Result<diff::Scope, String> {
    let mut scope = diff::Scope::default();
    loop {
        arguments = match arguments {
            [] => return Ok(scope),
            [OURS_ONLY, rest @ ..] => {
                scope.ours_only = true;
                rest
            }
            [WITHOUT_APPLYING, rest @ ..] => {
                scope.without_applying = true;
                rest
            }
            ["--only", part, rest @ ..] => {
                scope.only = Some((*part).to_owned());
                rest
            }
            _ => return Err(format!("`bench diff` does not take `{}`", arguments.join(" "))),
        }
    }
}

fn parse_scope(mut arguments: &[&str]) -> Result<apply::Scope, String> {
    let mut scope = apply::Scope::default();
    loop {
        arguments = match arguments {
            [] => return Ok(scope),
            ["--files", files, rest @ ..] => {
                let count =
                    files.parse().map_err(|_| format!("`{files}` is no number of files"))?;
                scope.files = Some(count);
                rest
            }
            ["--in", folder, rest @ ..] => {
                scope.folder = Some(folder.into());
                rest
            }
            _ => return Err(format!("`bench apply` does not take `{}`", arguments.join(" "))),
        }
    }
}

/// Runs a bench over the workspace at `root`, in a release build.
pub(crate) fn run(root: &Path, bench: &Bench) -> miette::Result<()> {
    if cfg!(debug_assertions) {
        // A debug build would measure the compiler's defaults.
        let status = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--release", "--package", "xtask", "--", "bench"])
            .args(bench.arguments())
            .current_dir(root)
            .status()
            .into_diagnostic()
            .wrap_err("cannot run cargo")?;
        return if status.success() { Ok(()) } else { Err(miette!("the bench failed")) };
    }
    match bench {
        Bench::Apply(scope) => apply::run(root, scope),
        Bench::LargeFile => apply::run_large_file(root),
        Bench::Stage(scope) => stage::run(root, scope),
        Bench::Diff(scope) => diff::run(root, scope),
    }
}
