//! Runs what CI runs, one step after the other, and stops at the first that fails.

use std::borrow::BorrowMut;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use miette::miette;

use crate::cargo::cargo;
use crate::{book, package, programs, tidy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    name: &'static str,
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Tidy,
    /// cargo with these arguments, which are split at blanks.
    Cargo(&'static str),
    Package,
    Book,
    Workflows,
    FaultInject,
    CargoDeny,
    Advisories,
}

/// Cheap steps come first, so that a slip is found in seconds.
const STEPS: [Step; 12] = [
    Step { name: "fmt", action: Action::Cargo("fmt --all --check") },
    Step { name: "tidy", action: Action::Tidy },
    Step {
        name: "clippy",
        action: Action::Cargo("clippy --workspace --all-targets --locked -- -D warnings"),
    },
    // The broken variants of the protocol are compiled in nowhere else.
    Step {
        name: "clippy-mutants",
        action: Action::Cargo(
            "clippy --package=fault-explorer --all-targets --locked --no-deps \
             --features=mutants -- -D warnings",
        ),
    },
    Step {
        name: "doc",
        action: Action::Cargo(
            "doc --workspace --no-deps --locked --config=build.rustdocflags=\"-Dwarnings\"",
        ),
    },
    Step { name: TEST, action: Action::Cargo("test --workspace --locked") },
    Step { name: "package", action: Action::Package },
    Step { name: "book", action: Action::Book },
    Step { name: "fault-inject", action: Action::FaultInject },
    Step { name: "workflows", action: Action::Workflows },
    Step { name: "deny", action: Action::CargoDeny },
    Step { name: "advisories", action: Action::Advisories },
];

const TEST: &str = "test";

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

/// Runs the steps over the workspace at `root`.
pub(crate) fn run(root: &Path, with_tests: bool) -> miette::Result<()> {
    let say = |line: &str| println!("{line}");
    run_all(&steps(with_tests), |step| run_one(root, step), say)
        .map_err(|summary| miette!("{summary}"))
}

fn steps(with_tests: bool) -> Vec<Step> {
    STEPS.into_iter().filter(|step| with_tests || step.name != TEST).collect()
}

/// Runs `steps` in order by `run_step`, saying a line for each; the error is the summary.
fn run_all(
    steps: &[Step],
    mut run_step: impl FnMut(&Step) -> Outcome,
    mut say: impl FnMut(&str),
) -> Result<(), String> {
    let (mut passed, mut skipped) = (0_usize, 0_usize);
    let begun = Instant::now();
    for step in steps {
        let step_begun = Instant::now();
        let outcome = run_step(step);
        let (name, took) = (step.name, seconds(step_begun.elapsed()));
        match outcome {
            Outcome::Passed => {
                passed += 1;
                say(&format!("ci: {name} passed in {took}"));
            }
            Outcome::Skipped(reason) => {
                skipped += 1;
                say(&format!("ci: {name} skipped: {reason}"));
            }
            Outcome::Failed(reason) => {
                say(&format!("ci: {name} failed after {took}"));
                let left = steps.len() - passed - skipped - 1;
                return Err(format!(
                    "{name} failed ({reason}); {passed} passed, {skipped} skipped, {left} not run, \
                     in {}",
                    seconds(begun.elapsed())
                ));
            }
        }
    }
    let took = seconds(begun.elapsed());
    say(&format!("ci: {passed} passed, {skipped} skipped, none failed, in {took}"));
    Ok(())
}

fn run_one(root: &Path, step: &Step) -> Outcome {
    match step.action {
        Action::Tidy => outcome_of_task(tidy::run(root)),
        Action::Package => outcome_of_task(package::run(root)),
        Action::Cargo(arguments) => run_cargo(root, arguments),
        Action::FaultInject => match programs::run(root, &programs::FAULT_INJECT, &["--quick"]) {
            Ok(0) => Outcome::Passed,
            Ok(code) => Outcome::Failed(format!("exit code {code}")),
            Err(report) => Outcome::Failed(report.to_string()),
        },
        Action::Book if !answers(Command::new(book::MDBOOK).arg("--version")) => {
            Outcome::Skipped("mdbook is not installed")
        }
        Action::Book => outcome_of_task(book::run(root)),
        Action::Workflows if !answers(Command::new("zizmor").arg("--version")) => {
            Outcome::Skipped("zizmor is not installed")
        }
        Action::Workflows => outcome_of(
            Command::new("zizmor")
                .args(["--offline", "--quiet", "--persona=pedantic", ".github"])
                .current_dir(root)
                .status(),
        ),
        Action::CargoDeny | Action::Advisories if !answers(cargo_deny(root, "--version")) => {
            Outcome::Skipped("cargo-deny is not installed")
        }
        Action::CargoDeny => run_cargo(root, "deny --log-level error check bans licenses sources"),
        // The database lies on a git host, which not every machine can reach.
        Action::Advisories if !answers(cargo_deny(root, "fetch db")) => {
            Outcome::Skipped("the database of advisories cannot be fetched")
        }
        Action::Advisories => run_cargo(root, "deny --log-level error check advisories"),
    }
}

fn run_cargo(root: &Path, arguments: &str) -> Outcome {
    outcome_of(Command::new(cargo()).args(arguments.split(' ')).current_dir(root).status())
}

fn outcome_of_task(result: miette::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(report) => Outcome::Failed(format!("{report:#}")),
    }
}

fn outcome_of(status: io::Result<ExitStatus>) -> Outcome {
    match status {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(format!("cannot start cargo: {error}")),
    }
}

fn cargo_deny(root: &Path, arguments: &str) -> Command {
    let mut command = Command::new(cargo());
    command.arg("deny").args(arguments.split(' ')).current_dir(root);
    command
}

/// Whether a command is there and succeeds; what it prints is not shown.
fn answers(mut command: impl BorrowMut<Command>) -> bool {
    let status = command.borrow_mut().stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(steps: &[Step]) -> String {
        steps.iter().map(|step| step.name).collect::<Vec<&str>>().join(" ")
    }

    /// Runs all steps, each with what `outcome` gives it; returns what ran and what was printed.
    fn check_run(
        mut outcome: impl FnMut(&str) -> Outcome,
    ) -> (Result<(), String>, Vec<&'static str>, String) {
        let (mut ran, mut said) = (Vec::new(), String::new());
        let run_step = |step: &Step| {
            ran.push(step.name);
            outcome(step.name)
        };
        let say = |line: &str| said = format!("{said}{line}\n");
        let result = run_all(&steps(true), run_step, say);
        (result, ran, said)
    }

    #[test]
    fn the_steps_are_the_ones_documented() {
        let all = "fmt tidy clippy clippy-mutants doc test package book fault-inject workflows deny \
                   advisories";
        assert_eq!(names(&steps(true)), all);
        assert_eq!(names(&steps(false)), all.replace("test ", ""));
    }

    #[test]
    fn every_step_has_a_line_and_the_summary_counts_them() {
        let (result, _, said) = check_run(|_| Outcome::Passed);
        assert_eq!(result, Ok(()));
        assert_eq!(said.lines().count(), 13, "{said}");
        let summary = "ci: 12 passed, 0 skipped, none failed, in ";
        assert!(said.lines().last().is_some_and(|line| line.starts_with(summary)), "{said}");
    }

    #[test]
    fn the_first_failure_is_the_last_step() {
        let (result, ran, said) = check_run(|name| match name {
            "clippy" => Outcome::Failed("exit status: 101".to_owned()),
            _ => Outcome::Passed,
        });
        assert_eq!(ran, ["fmt", "tidy", "clippy"]);
        assert!(said.contains("ci: clippy failed after "), "{said}");
        let summary = result.expect_err("a step failed");
        let expected = "clippy failed (exit status: 101); 2 passed, 0 skipped, 9 not run, in ";
        assert!(summary.starts_with(expected), "{summary}");
    }

    #[test]
    fn a_skipped_step_says_so_and_does_not_fail() {
        let (result, _, said) = check_run(|name| match name {
            "deny" => Outcome::Skipped("cargo-deny is not installed"),
            _ => Outcome::Passed,
        });
        assert_eq!(result, Ok(()));
        let line = "ci: deny skipped: cargo-deny is not installed\n";
        assert!(said.contains(line), "{said}");
        assert!(said.contains("11 passed, 1 skipped"), "{said}");
    }

    #[test]
    fn a_program_that_is_missing_does_not_answer() {
        assert!(answers(Command::new(cargo()).arg("--version")));
        assert!(!answers(Command::new(cargo()).arg("no-such-subcommand")));
        assert!(!answers(Command::new("no-such-program")));
    }

    #[test]
    fn a_command_that_fails_or_is_missing_fails_the_step() {
        let outcome = |command: &mut Command| outcome_of(command.stderr(Stdio::null()).status());
        let unknown = outcome(Command::new(cargo()).arg("no-such-subcommand"));
        assert!(matches!(unknown, Outcome::Failed(_)), "{unknown:?}");
        let missing = outcome(&mut Command::new("no-such-cargo"));
        assert!(matches!(missing, Outcome::Failed(_)), "{missing:?}");
        assert_eq!(
            outcome(Command::new(cargo()).arg("--version").stdout(Stdio::null())),
            Outcome::Passed
        );
    }
}
