//! Kills, fails, races and refuses the `greenroom` binary on the machine's real file systems:
//! `cargo xtask real-disk`.
//!
//! Needs strace; file systems other than the target folder's are loop-mounted, which
//! needs root. What a machine cannot do is skipped with a line that says so.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use miette::{IntoDiagnostic as _, Result, miette};

mod editor;
mod errno;
mod kill;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
mod recorded_disk;
mod refusals;
mod tree;
mod trial;
mod view;
mod view_kills;
mod volume;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// SIGKILL at every system call of an apply, and recovery after each
    Kill,
    /// Each system call of an apply failed with each errno it can give
    Errno,
    /// An editor that saves one of the files beside applies
    Editor,
    /// Full, read-only and forbidden disks, and a directory that vanishes
    Refusals,
    /// Commands in a view, with the workspace and the state on each pair of file systems
    View,
    /// SIGKILL at every system call of `run`, of its other processes, and of the import
    Run,
    /// Power cuts during `run`, its import and an apply, on ext4, xfs and btrfs
    Power,
}

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask real-disk",
    bin_name = "cargo xtask real-disk",
    about = "Kills, fails, races and refuses the binary on real file systems, and runs commands in views"
)]
struct Arguments {
    /// What is tried; everything without it
    parts: Vec<Part>,
    /// For how many seconds an editor saves in each of its ways
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
    /// Kill or fail every n-th system call
    #[arg(long, value_name = "N", default_value = "1")]
    every: NonZeroUsize,
    /// Use the target folder's file system alone
    #[arg(long)]
    here: bool,
}

/// Runs the parts over every file system that can be had, and fails at the first broken
/// promise.
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().nth(2).unwrap_or(own);
    let greenroom = build(root)?;
    let scratch = root.join("target/real-disk");
    std::fs::create_dir_all(&scratch).into_diagnostic()?;
    let scratch = tempfile::tempdir_in(scratch).into_diagnostic()?;
    let parts = match arguments.parts.as_slice() {
        [] => Part::value_variants(),
        parts => parts,
    };
    let volumes = if arguments.here { 1 } else { usize::MAX };
    let every = arguments.every.get();
    for part in parts {
        if *part == Part::Power {
            cut_power(&greenroom, scratch.path(), every)?;
            continue;
        }
        for (kind, volume) in volume::all(scratch.path()).take(volumes) {
            let volume = match volume {
                Ok(volume) => volume,
                Err(reason) => {
                    println!("{kind}: skipped, {reason}");
                    continue;
                }
            };
            match part {
                Part::Kill => kill::run(&greenroom, &volume, every)?,
                Part::Errno => errno::run(&greenroom, &volume, every)?,
                Part::Editor => {
                    editor::run(&greenroom, &volume, Duration::from_secs(arguments.seconds))?;
                }
                Part::Refusals => refusals::run(&greenroom, &volume)?,
                Part::View => view::run(&greenroom, scratch.path(), &volume)?,
                Part::Run => view_kills::run(&greenroom, &volume, every)?,
                Part::Power => {}
            }
        }
    }
    println!("no promise was broken");
    Ok(())
}

#[cfg(target_os = "linux")]
fn cut_power(greenroom: &Path, scratch: &Path, every: usize) -> Result<()> {
    ["ext4", "xfs", "btrfs"].iter().try_for_each(|kind| power::run(greenroom, scratch, kind, every))
}

#[cfg(not(target_os = "linux"))]
fn cut_power(_: &Path, _: &Path, _: usize) -> Result<()> {
    println!("power cuts skipped, they need Linux");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_real_disk_is_understood_or_refused() {
        let parse = |line: &str| {
            Arguments::try_parse_from(["real-disk"].into_iter().chain(line.split_whitespace()))
        };
        let few = parse("kill errno --every 29 --here").expect("it is documented");
        assert_eq!(few.parts, [Part::Kill, Part::Errno]);
        assert_eq!((few.every.get(), few.here, few.seconds), (29, true, 20));
        for line in ["", "editor --seconds 5", "refusals", "view --here"] {
            assert!(parse(line).is_ok(), "`real-disk {line}`");
        }
        for line in ["everything", "--fast", "--every so", "--every 0"] {
            assert!(parse(line).is_err(), "`real-disk {line}`");
        }
    }
}
