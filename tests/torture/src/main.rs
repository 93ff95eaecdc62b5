//! Kills many processes on one workspace at random, then checks it: `cargo xtask torture`.
//!
//! Eight agents' processes with eight sessions each propose through the actors, five
//! hundred times a session; a reviewer's process applies and discards at random; all of
//! them are killed at random (`SIGKILL`) and started again, until the time is up. Each
//! records its answers in a file that a kill does not tear. Then it is checked that
//!
//! * every acknowledged proposal is in the store, with the content that was sent;
//! * every acknowledged decision is in the store;
//! * one sweep finds every session of the killed orphaned, with its patches pending;
//! * the log's hash chain holds, and its places have no gap;
//! * the workspace holds exactly what was applied, and nothing beside it;
//! * after `gc` the state directory holds only what is referenced.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use miette::{IntoDiagnostic as _, Result, miette};

mod agent;
mod check;
mod checkout;
mod reviewer;
mod world;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask torture",
    bin_name = "cargo xtask torture",
    about = "Kills processes that propose and apply on one workspace, then checks it",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(flatten)]
    kills: Kills,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Debug, clap::Args)]
struct Kills {
    /// For how many seconds processes are killed
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// How many agents' processes there are
    #[arg(long, default_value_t = 8)]
    agents: usize,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Switch a git branch under 1,000 pending patches instead
    Checkout,
    /// Run an agents' process
    #[command(hide = true)]
    Agent {
        /// Its number
        number: usize,
        /// Holds the workspace and the state
        folder: PathBuf,
    },
    /// Run the reviewer's process
    #[command(hide = true)]
    Reviewer {
        /// Holds the workspace and the state
        folder: PathBuf,
    },
}

fn main() -> Result<()> {
    let Arguments { kills, other } = Arguments::parse();
    match other {
        None => parent(&kills),
        Some(Other::Checkout) => checkout::run(),
        Some(Other::Agent { number, folder }) => agent::run(number, &folder),
        Some(Other::Reviewer { folder }) => reviewer::run(&folder),
    }
}

/// Starts and kills the other processes, and checks what they leave.
fn parent(kills: &Kills) -> Result<()> {
    let Kills { seconds, agents } = *kills;
    let time = Duration::from_secs(seconds);
    let folder = world::folder()?;
    let before = world::populate(folder.path())?;
    let mut running = Running(Vec::new());
    let processes = &mut running.0;
    for number in 0..=agents {
        processes.push(start(number, agents, folder.path())?);
    }
    let (begun, mut kills, mut finished) = (Instant::now(), 0, 0);
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(20 + fastrand::u64(..400)));
        let victim = fastrand::usize(..processes.len());
        match processes[victim].try_wait().into_diagnostic()? {
            Some(status) if status.success() => finished += 1,
            Some(status) => return Err(miette!("process {victim} failed: {status}")),
            None => {
                processes[victim].kill().into_diagnostic()?;
                processes[victim].wait().into_diagnostic()?;
                kills += 1;
            }
        }
        processes[victim] = start(victim, agents, folder.path())?;
    }
    for process in processes {
        process.kill().into_diagnostic()?;
        let status = process.wait().into_diagnostic()?;
        if status.code().is_some_and(|code| code != 0) {
            return Err(miette!("a process failed: {status}"));
        }
    }
    println!("{kills} kills, {finished} processes finished, in {} s", seconds);
    check::everything(folder.path(), &before)
}

/// Processes that do not outlive whoever started them.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The number after the last agent is the reviewer's.
fn start(number: usize, agents: usize, folder: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe().into_diagnostic()?);
    if number == agents {
        command.arg("reviewer");
    } else {
        command.arg("agent").arg(number.to_string());
    }
    command.arg(folder).spawn().into_diagnostic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_torture_is_understood_or_refused() {
        let parse = |line: &str| {
            Arguments::try_parse_from(["torture"].into_iter().chain(line.split_whitespace()))
        };
        for line in ["", "--seconds 9 --agents 2", "checkout", "agent 1 folder", "reviewer folder"]
        {
            assert!(parse(line).is_ok(), "`torture {line}`");
        }
        for line in ["--fast", "--seconds soon", "everything", "checkout --seconds 9"] {
            assert!(parse(line).is_err(), "`torture {line}`");
        }
    }
}
