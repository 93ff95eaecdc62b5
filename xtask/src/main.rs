//! Runs the project's own tasks: `cargo xtask <task>`.
//!
//! Exit codes: 0 the task passed, 1 it failed, 2 the command line was not understood.

use std::process::ExitCode;

use clap::{Args, Parser};

mod abi_hash;
mod arrows;
mod book;
mod cargo;
mod ci;
mod circles;
mod dist;
mod files;
mod imports;
mod links;
mod package;
mod programs;
mod refused;
mod sources;
mod tidy;
mod tokens;
mod walks;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Runs the project's own tasks")]
enum Task {
    /// Check everything that CI checks: formatting, tidy, clippy, rustdoc, tests, packages, cargo-deny
    Ci {
        /// Leave the tests out
        #[arg(long)]
        no_tests: bool,
    },
    /// Check the rules of the house that no other tool checks
    Tidy {
        /// Print the hash of the plugin interface instead
        #[arg(long)]
        print_abi_hash: bool,
    },
    /// Pack built binaries as archive, wheel, npm packages, Debian package and manifests
    Dist(dist::Options),
    /// Pack the crates that are published, and use them outside of the workspace
    Package,
    /// Build the documentation site by mdBook, and follow its links
    Book,
    /// Record docs/demo.cast from what the product prints now
    Demo,
    /// Measure change sets, proposals and diffs beside their peers
    #[command(disable_help_flag = true)]
    Bench(Passed),
    /// Explore every crash, fault and edit on a simulated disk, and broken variants
    #[command(disable_help_flag = true)]
    FaultInject(Passed),
    /// Kill 8 processes with 8 sessions each, and a reviewer, on one workspace
    #[command(disable_help_flag = true)]
    Torture(Passed),
    /// Kill, fail, race and refuse the binary on real file systems
    #[command(disable_help_flag = true)]
    RealDisk(Passed),
    /// Build for Windows, and run the tests and the binary under Wine
    #[command(disable_help_flag = true)]
    Windows(Passed),
}

#[derive(Debug, Args)]
struct Passed {
    /// What the task itself understands: see its `--help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Task::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the task; the exit code is the one of the program that it is.
fn run(task: &Task) -> miette::Result<u8> {
    let root = &files::root()?;
    let program = |program, passed: &Passed| programs::run(root, program, &passed.arguments);
    match task {
        Task::Ci { no_tests } => ci::run(root, !no_tests).map(|()| 0),
        Task::Tidy { print_abi_hash: false } => tidy::run(root).map(|()| 0),
        Task::Tidy { print_abi_hash: true } => abi_hash::print(root).map(|()| 0),
        Task::Dist(options) => dist::run(root, options).map(|()| 0),
        Task::Package => package::run(root).map(|()| 0),
        Task::Book => book::run(root).map(|()| 0),
        Task::Demo => programs::record_demo(root),
        Task::Bench(passed) => program(&programs::BENCH, passed),
        Task::FaultInject(passed) => programs::fault_inject(root, &passed.arguments),
        Task::Torture(passed) => program(&programs::TORTURE, passed),
        Task::RealDisk(passed) => program(&programs::REAL_DISK, passed),
        Task::Windows(passed) => program(&programs::WINDOWS, passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks whether a command line is understood, and what is passed on of it.
    fn check(line: &str, expected: Option<&str>) {
        let words = ["cargo xtask"].into_iter().chain(line.split_whitespace());
        let passed = Task::try_parse_from(words).ok().map(|task| match task {
            Task::Ci { .. }
            | Task::Tidy { .. }
            | Task::Dist(_)
            | Task::Package
            | Task::Book
            | Task::Demo => String::new(),
            Task::Bench(passed)
            | Task::FaultInject(passed)
            | Task::Torture(passed)
            | Task::RealDisk(passed)
            | Task::Windows(passed) => passed.arguments.join(" "),
        });
        assert_eq!(passed.as_deref(), expected, "`cargo xtask {line}`");
    }

    #[test]
    fn known_tasks_are_understood() {
        for line in [
            "ci",
            "ci --no-tests",
            "tidy",
            "tidy --print-abi-hash",
            "dist",
            "dist --glibc-max 2.17",
            "package",
            "book",
            "demo",
        ] {
            check(line, Some(""));
        }
        for task in ["bench", "fault-inject", "torture", "real-disk", "windows"] {
            check(task, Some(""));
        }
    }

    #[test]
    fn what_a_program_takes_is_its_own_to_understand() {
        check("fault-inject --quick --seed 7", Some("--quick --seed 7"));
        check("bench apply --files 10 --in /mnt", Some("apply --files 10 --in /mnt"));
        check("torture --help", Some("--help"));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in
            ["", "publish", "ci --fast", "tidy --no-tests", "dist --glibc-max new", "demo --fast"]
        {
            check(line, None);
        }
    }
}
