//! `cargo xtask real-disk`: the `greenroom` binary on the machine's real file systems,
//! killed, failed, raced and refused.
//!
//! Needs strace; file systems other than the target folder's are loop-mounted, which
//! needs root. What a machine cannot do is skipped with a line that says so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result, miette};

mod editor;
mod errno;
mod ground;
mod kill;
mod refusals;
mod tree;
mod trial;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// SIGKILL at every system call of an apply, and recovery after each.
    Kill,
    /// Each system call of an apply failed with each errno it can give.
    Errno,
    /// An editor that saves one of the files beside applies.
    Editor,
    /// Full, read-only and forbidden disks, and a directory that vanishes.
    Refusals,
}

/// Which parts, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    parts: Vec<Part>,
    /// How long an editor saves in each of its ways.
    editor_for: Duration,
    /// Kill or fail every n-th system call.
    every: usize,
    /// The target folder's file system alone.
    only_here: bool,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            parts: vec![Part::Kill, Part::Errno, Part::Editor, Part::Refusals],
            editor_for: Duration::from_secs(20),
            every: 1,
            only_here: false,
        }
    }
}

impl Scope {
    /// Some kills and failures on the target folder's file system, in half a minute.
    pub(crate) fn bounded() -> Self {
        let parts = vec![Part::Kill, Part::Errno];
        Self { parts, every: 29, only_here: true, ..Self::default() }
    }

    /// All kills and failures, on every file system that can be had.
    pub(crate) fn exhaustive() -> Self {
        Self { parts: vec![Part::Kill, Part::Errno], ..Self::default() }
    }

    /// Understands what follows `real-disk`.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub(crate) fn parse(mut arguments: &[&str]) -> Result<Self, String> {
        let mut scope = Self::default();
        let mut parts = Vec::new();
        let number = |word: &str| word.parse().map_err(|_| format!("`{word}` is no number"));
        loop {
            arguments = match arguments {
                [] => break,
                ["kill", rest @ ..] => {
                    parts.push(Part::Kill);
                    rest
                }
                ["errno", rest @ ..] => {
                    parts.push(Part::Errno);
                    rest
                }
                ["editor", rest @ ..] => {
                    parts.push(Part::Editor);
                    rest
                }
                ["refusals", rest @ ..] => {
                    parts.push(Part::Refusals);
                    rest
                }
                ["--here", rest @ ..] => {
                    scope.only_here = true;
                    rest
                }
                ["--seconds", seconds, rest @ ..] => {
                    scope.editor_for = Duration::from_secs(number(seconds)?);
                    rest
                }
                ["--every", calls, rest @ ..] => {
                    scope.every = usize::try_from(number(calls)?).unwrap_or(usize::MAX).max(1);
                    rest
                }
                _ => return Err(format!("`real-disk` does not take `{}`", arguments.join(" "))),
            }
        }
        if !parts.is_empty() {
            scope.parts = parts;
        }
        Ok(scope)
    }
}

/// Runs the parts over every file system that can be had, and fails at the first broken
/// promise.
pub(crate) fn run(root: &Path, scope: &Scope) -> Result<()> {
    let greenroom = build(root)?;
    let scratch = root.join("target/real-disk");
    std::fs::create_dir_all(&scratch).into_diagnostic()?;
    let scratch = tempfile::tempdir_in(scratch).into_diagnostic()?;
    for part in &scope.parts {
        let grounds = if scope.only_here { 1 } else { usize::MAX };
        for (kind, ground) in ground::all(scratch.path()).take(grounds) {
            let ground = match ground {
                Ok(ground) => ground,
                Err(reason) => {
                    println!("{kind}: skipped, {reason}");
                    continue;
                }
            };
            match part {
                Part::Kill => kill::run(&greenroom, &ground, scope.every)?,
                Part::Errno => errno::run(&greenroom, &ground, scope.every)?,
                Part::Editor => editor::run(&greenroom, &ground, scope.editor_for)?,
                Part::Refusals => refusals::run(&greenroom, &ground)?,
            }
        }
    }
    println!("no promise was broken");
    Ok(())
}

/// The binary as the tests build it: it makes the same system calls, and is built already or
/// soon, where one that is optimized takes minutes.
fn build(root: &Path) -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "greenroom-cli"])
        .current_dir(root)
        .status()
        .into_diagnostic()?;
    if !status.success() {
        return Err(miette!("the binary does not build"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(target.join("debug/greenroom"))
}

/// Whether a program can be started.
fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
