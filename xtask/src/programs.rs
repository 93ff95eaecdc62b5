//! Tasks that are programs of their own, so that every other task is built without them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use crate::cargo::cargo;

/// What `cargo run` takes to build and find a program.
pub(crate) type Program = [&'static str];

/// Optimized: the compiler's defaults would be measured otherwise.
pub(crate) const BENCH: [&str; 2] = ["--release", "--package=benches"];
/// With the broken variants of the protocol, which are compiled into nothing else.
pub(crate) const FAULT_INJECT: [&str; 3] =
    ["--release", "--package=fault-explorer", "--features=mutants"];
pub(crate) const REAL_DISK: [&str; 1] = ["--package=real-disk"];
pub(crate) const TORTURE: [&str; 1] = ["--package=torture"];
pub(crate) const WINDOWS: [&str; 1] = ["--package=windows"];

/// Builds a program of the workspace at `root` and runs it; its exit code.
pub(crate) fn run(root: &Path, program: &Program, arguments: &[impl AsRef<OsStr>]) -> Result<u8> {
    let mut command = Command::new(cargo());
    command.args(["run", "--quiet", "--locked"]).args(program).arg("--").args(arguments);
    exit_code(command.current_dir(root))
}

/// Has the test that compares the recorded demo write it.
pub(crate) fn record_demo(root: &Path) -> Result<u8> {
    let mut command = Command::new(cargo());
    command.args(["test", "--quiet", "--locked", "--package=end-to-end", "--test=end_to_end"]);
    command.args(["--", "day::demo::"]).env("GREENROOM_RECORD_DEMO", "1");
    exit_code(command.current_dir(root))
}

fn exit_code(command: &mut Command) -> Result<u8> {
    let status = command.status().into_diagnostic().wrap_err("cannot start cargo")?;
    // A program that a signal ended has no exit code.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs the explorer; a whole run that passes ends with the binary itself on real disks.
pub(crate) fn fault_inject(root: &Path, arguments: &[String]) -> Result<u8> {
    match (run(root, &FAULT_INJECT, arguments)?, real_disk(arguments)) {
        (0, Some(real_disk)) => run(root, &REAL_DISK, real_disk),
        (code, _) => Ok(code),
    }
}

/// What of `real-disk` belongs to a run of the explorer: the binary killed and failed at some of
/// its system calls, at all of them on every file system with `--deep`, and nothing where a part
/// of the simulated disk was asked for.
fn real_disk(arguments: &[String]) -> Option<&'static [&'static str]> {
    let mut arguments = arguments.iter().map(String::as_str);
    let mut real_disk: &[&str] = &["kill", "errno", "--every=29", "--here"];
    while let Some(argument) = arguments.next() {
        match argument {
            "--deep" => real_disk = &["kill", "errno"],
            // The seed and the time are the explorer's own.
            "--seed" | "--minutes" => drop(arguments.next()),
            _ => return None,
        }
    }
    Some(real_disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_runs_go_on_to_the_real_disk() {
        let real_disk = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            real_disk(&words)
        };
        let some = Some(["kill", "errno", "--every=29", "--here"].as_slice());
        assert_eq!(real_disk(""), some);
        assert_eq!(real_disk("--seed 7"), some);
        assert_eq!(real_disk("--deep --minutes 10"), Some(["kill", "errno"].as_slice()));
        for partial in ["--quick", "--seed 7 --quick", "--model kill", "--replay x", "--help"] {
            assert_eq!(real_disk(partial), None, "{partial}");
        }
    }
}
