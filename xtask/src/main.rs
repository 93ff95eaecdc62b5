//! Runs the project's own tasks: `cargo xtask <task>`.
//!
//! Exit codes: 0 the task passed, 1 it failed, 2 the command line was not understood.

use std::process::ExitCode;

use bench::Bench;
use torture::Torture;

mod abi_hash;
mod arrows;
mod bench;
mod cargo;
mod ci;
mod circles;
mod fault_inject;
mod files;
mod imports;
mod links;
mod machine_paths;
mod real_disk;
mod sources;
mod tidy;
mod tokens;
mod torture;
mod windows;
mod words;

const TASKS: &str = "\
usage: cargo xtask <task>

tasks:
  ci [--no-tests]          everything CI checks: formatting, tidy, clippy, rustdoc, tests, cargo-deny
  tidy [--print-abi-hash]  the rules of the house that no other tool checks
  bench apply [--files N] [--in DIR]
                           change sets of 1 to 10,000 files beside their peers
  bench stage [--propose NAME-PART]
                           proposals through the actors, 10,000 pending patches, start-up
  fault-inject [--quick | --deep] [--model NAME] [--seed NUMBER] | --replay FILE
                           every crash, fault and edit on a simulated disk, and broken variants
  torture [--seconds N] [--agents N]
                           8 processes x 8 sessions x 500 proposals, a reviewer, and kills
  torture checkout         git checkout of another branch under 1,000 pending patches
  bench diff [--only NAME-PART] [--ours-only] [--without-applying]
                           diffs of real, AI-shaped and adversarial pairs beside their peers
  real-disk [kill] [errno] [editor] [refusals] [--seconds N] [--every N] [--here]
                           the binary on real file systems: killed, failed, raced, refused
  windows [--quick] [--within SECONDS] [--set-up-only]
                           built for Windows, its tests and the binary run under Wine
";

#[derive(Debug, PartialEq, Eq)]
enum Task {
    Ci { with_tests: bool },
    Tidy,
    PrintAbiHash,
    Bench(Bench),
    FaultInject(Vec<String>),
    Torture(Torture),
    RealDisk(real_disk::Scope),
    Windows(windows::Scope),
    Help,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = match parse(&arguments) {
        Ok(task) => task,
        Err(complaint) => {
            eprintln!("{complaint}\n\n{TASKS}");
            return ExitCode::from(2);
        }
    };
    match run(&task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Task, String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["ci"] => Ok(Task::Ci { with_tests: true }),
        ["ci", "--no-tests"] => Ok(Task::Ci { with_tests: false }),
        ["tidy"] => Ok(Task::Tidy),
        ["tidy", "--print-abi-hash"] => Ok(Task::PrintAbiHash),
        ["torture", what @ ..] => Torture::parse(what).map(Task::Torture),
        ["bench", what @ ..] => Bench::parse(what).map(Task::Bench),
        ["fault-inject", what @ ..] => {
            Ok(Task::FaultInject(what.iter().map(|word| (*word).to_owned()).collect()))
        }
        ["real-disk", what @ ..] => real_disk::Scope::parse(what).map(Task::RealDisk),
        ["windows", what @ ..] => windows::Scope::parse(what).map(Task::Windows),
        ["help" | "--help" | "-h"] => Ok(Task::Help),
        [] => Err("no task given".to_owned()),
        [task @ ("ci" | "tidy"), rest @ ..] => {
            Err(format!("`{task}` does not take `{}`", rest.join(" ")))
        }
        [unknown, ..] => Err(format!("there is no task `{unknown}`")),
    }
}

fn run(task: &Task) -> miette::Result<()> {
    match task {
        Task::Ci { with_tests } => ci::run(&files::root()?, *with_tests),
        Task::Tidy => tidy::run(&files::root()?),
        Task::PrintAbiHash => abi_hash::print(&files::root()?),
        Task::Torture(torture) => torture::run(&files::root()?, torture),
        Task::Bench(bench) => bench::run(&files::root()?, bench),
        Task::FaultInject(what) => fault_inject::run(&files::root()?, what),
        Task::RealDisk(scope) => real_disk::run(&files::root()?, scope),
        Task::Windows(scope) => windows::run(&files::root()?, scope),
        Task::Help => {
            print!("{TASKS}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{DiffScope, Scope, StageScope};

    fn check(line: &str, expected: Result<Task, &str>) {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            parse(&arguments),
            expected.map_err(str::to_owned),
            "`cargo xtask {line}` is understood as documented"
        );
    }

    #[test]
    fn known_tasks_are_understood() {
        check("ci", Ok(Task::Ci { with_tests: true }));
        check("ci --no-tests", Ok(Task::Ci { with_tests: false }));
        check("tidy", Ok(Task::Tidy));
        check("tidy --print-abi-hash", Ok(Task::PrintAbiHash));
        check("bench apply", Ok(Task::Bench(Bench::Apply(Scope::default()))));
        check("bench stage", Ok(Task::Bench(Bench::Stage(StageScope::default()))));
        check(
            "bench stage --propose durable",
            Ok(Task::Bench(Bench::Stage(StageScope { propose: Some("durable".to_owned()) }))),
        );
        let few = Torture::Parent { seconds: 9, agents: 2 };
        check("torture --seconds 9 --agents 2", Ok(Task::Torture(few)));
        check("torture checkout", Ok(Task::Torture(Torture::Checkout)));
        check(
            "bench apply --files 10 --in /mnt",
            Ok(Task::Bench(Bench::Apply(Scope { files: Some(10), folder: Some("/mnt".into()) }))),
        );
        check("bench diff", Ok(Task::Bench(Bench::Diff(DiffScope::default()))));
        check(
            "bench diff --only few2 --ours-only --without-applying",
            Ok(Task::Bench(Bench::Diff(DiffScope {
                only: Some("few2".to_owned()),
                ours_only: true,
                without_applying: true,
            }))),
        );
        check("real-disk", Ok(Task::RealDisk(real_disk::Scope::default())));
        let quick = windows::Scope { quick: true, ..windows::Scope::default() };
        check("windows --quick", Ok(Task::Windows(quick)));
        check("--help", Ok(Task::Help));
    }

    #[test]
    fn what_fault_inject_takes_is_its_own_to_understand() {
        let given = ["--quick", "--seed", "7"].map(str::to_owned).to_vec();
        check("fault-inject --quick --seed 7", Ok(Task::FaultInject(given)));
        check("fault-inject", Ok(Task::FaultInject(Vec::new())));
    }

    #[test]
    fn anything_else_is_refused() {
        check("", Err("no task given"));
        check("publish", Err("there is no task `publish`"));
        check("ci --fast", Err("`ci` does not take `--fast`"));
        check("torture --fast", Err("`torture` does not take `--fast`"));
        check("bench everything", Err("`bench` does not take `everything`"));
        check("real-disk --every so", Err("`so` is no number"));
        check("bench apply --files many", Err("`many` is no number of files"));
        check("bench apply --fast", Err("`bench apply` does not take `--fast`"));
        check("bench diff --fast", Err("`bench diff` does not take `--fast`"));
        check("tidy --no-tests", Err("`tidy` does not take `--no-tests`"));
    }
}
