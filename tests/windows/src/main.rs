//! Builds Greenroom for Windows and runs it under Wine: `cargo xtask windows`.
//!
//! The tools to build with are set up once, in a folder outside of the checkout that is named by
//! the compiler's version and by the script that makes it. Where they cannot be set up, everything
//! is skipped with one line. Wine is not Windows: what a test cannot show there it says in a line
//! that begins with [`NOT_PROVABLE`], and those are listed and counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

mod scenario;

const TARGET: &str = "x86_64-pc-windows-gnu";

/// How a test says what Wine cannot show; as in atomic-fs's tests.
const NOT_PROVABLE: &str = "not provable under Wine: ";

/// What makes the folder that everything is built with.
const SET_UP: &str = include_str!("../set-up.sh");

/// The script's way of saying that this machine cannot have it.
const CANNOT: i32 = 3;

/// What `timeout(1)` exits with when the time was over.
const TIMED_OUT: i32 = 124;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask windows",
    bin_name = "cargo xtask windows",
    about = "Builds Greenroom for Windows and runs its tests and the binary under Wine"
)]
struct Arguments {
    /// Leave out the kills and failures at every call of the disk
    #[arg(long)]
    quick: bool,
    /// Only set up the tools that everything is built with
    #[arg(long)]
    set_up_only: bool,
    /// Leave out, and list, what does not fit into this time
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
}

/// One thing that is built or run.
struct Part {
    name: &'static str,
    does: Does,
}

enum Does {
    /// `cargo` with these arguments, `--target` and what belongs to it.
    Cargo(&'static [&'static str]),
    /// The binary, as a person and an agent use it.
    Scenario,
}

const PARTS: [Part; 4] = [
    Part {
        name: "atomic-fs: apply, and what Windows alone promises",
        does: Does::Cargo(&[
            "test",
            "-p",
            "greenroom-atomic-fs",
            "--lib",
            "--test",
            "apply",
            "--test",
            "windows",
        ]),
    },
    Part {
        name: "atomic-fs: every row of ReplaceFileW's table, a kill at every call",
        does: Does::Cargo(&[
            "test",
            "-p",
            "greenroom-atomic-fs",
            "--test",
            "crash",
            "whatever_a_replacement",
        ]),
    },
    Part { name: "greenroom.exe: build", does: Does::Cargo(&["build", "-p", "greenroom-cli"]) },
    Part { name: "greenroom.exe: used", does: Does::Scenario },
];

/// The rest, which takes more than five minutes.
const SLOW_PARTS: [Part; 2] = [
    Part {
        name: "atomic-fs: kills, failures and saves at every call",
        does: Does::Cargo(&["test", "-p", "greenroom-atomic-fs", "--test", "crash"]),
    },
    Part {
        name: "the workspace's libraries and binaries: clippy",
        does: Does::Cargo(&[
            "clippy",
            "-p",
            "greenroom-cli",
            "-p",
            "greenroom-atomic-fs",
            "--",
            "-D",
            "warnings",
        ]),
    },
];

/// How a part ended.
#[derive(Debug, Default)]
struct Ended {
    passed: usize,
    not_provable: BTreeSet<String>,
    left_out: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = &root()?;
    let deadline = arguments.within.map(|within| Instant::now() + Duration::from_secs(within));
    let tools = match set_up(deadline)? {
        Ok(tools) => tools,
        Err(why) => {
            println!("skipped: {why}");
            return Ok(());
        }
    };
    if arguments.set_up_only {
        return Ok(());
    }
    tools.keep_wine();
    let slow = if arguments.quick { &[] } else { &SLOW_PARTS[..] };
    let (mut rows, mut not_provable, mut passed, mut left_out) =
        (Vec::new(), BTreeSet::new(), 0, 0);
    for part in PARTS.iter().chain(slow) {
        let begun = Instant::now();
        println!("{} ...", part.name);
        let ended = match &part.does {
            Does::Cargo(arguments) => tools.cargo(root, arguments, deadline)?,
            Does::Scenario if is_over(deadline) => Ended { left_out: true, ..Ended::default() },
            Does::Scenario => {
                let binary = root.join(format!("target/{TARGET}/windows/greenroom.exe"));
                if binary.exists() {
                    tools.scenario(&binary)?
                } else {
                    Ended { left_out: true, ..Ended::default() }
                }
            }
        };
        let outcome = if ended.left_out {
            "left out: no time".to_owned()
        } else {
            format!("{} passed", ended.passed)
        };
        rows.push(format!(
            "  {:<70}{outcome:>18}{:>7.0} s",
            part.name,
            begun.elapsed().as_secs_f64()
        ));
        passed += ended.passed;
        left_out += usize::from(ended.left_out);
        not_provable.extend(ended.not_provable);
    }
    tools.stop_wine();
    println!("\n{}", rows.join("\n"));
    println!("\n{passed} passed, 0 failed; {} claims that Wine cannot show:", not_provable.len());
    for claim in &not_provable {
        println!("  {claim}");
    }
    if left_out > 0 {
        println!("{left_out} parts were left out, because the time was over");
    }
    Ok(())
}

/// The root of the workspace, from what cargo tells the program that it runs: who starts the program
/// without cargo can name another checkout by the same variable.
fn root() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| miette!("CARGO_MANIFEST_DIR is not set: run `cargo xtask windows`"))?;
    let root = Path::new(&own).ancestors().nth(2);
    root.map(Path::to_owned)
        .ok_or_else(|| miette!("CARGO_MANIFEST_DIR is no folder of a workspace"))
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The folder that everything is built with.
struct Tools {
    folder: PathBuf,
}

/// Finds the folder, or makes it; why not, where this machine cannot have it.
fn set_up(deadline: Option<Instant>) -> Result<std::result::Result<Tools, String>> {
    let Some(cache) = cache() else {
        return Ok(Err("there is neither XDG_CACHE_HOME nor HOME to keep the tools in".to_owned()));
    };
    let version = Command::new("rustc").arg("-vV").output().into_diagnostic()?;
    let hash = blake3::hash(&[&version.stdout, SET_UP.as_bytes()].concat()).to_hex();
    let folder = cache.join(format!("windows-{}", &hash[..16]));
    if folder.join("wine-run").exists() {
        return Ok(Ok(Tools { folder }));
    }
    println!("setting up {} ...", folder.display());
    fs::create_dir_all(&cache).into_diagnostic().wrap_err("no folder for the tools")?;
    // Given its name when it is whole: a set-up that is killed is begun anew.
    let begun =
        tempfile::Builder::new().prefix("windows-begun-").tempdir_in(&cache).into_diagnostic()?;
    let script = begun.path().join("set-up.sh");
    fs::write(&script, SET_UP).into_diagnostic()?;
    let inside = begun.path().join("tools");
    let mut command = bounded("bash", deadline);
    command.arg(&script).arg(&inside).stderr(Stdio::piped());
    let ended =
        command.spawn().and_then(std::process::Child::wait_with_output).into_diagnostic()?;
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    match ended.status.code() {
        Some(0) => {
            fs::rename(&inside, &folder).into_diagnostic()?;
            Ok(Ok(Tools { folder }))
        }
        Some(CANNOT) => Ok(Err(said)),
        Some(TIMED_OUT) => Ok(Err("the time was over before the tools were set up".to_owned())),
        _ => Err(miette!("the tools could not be set up: {said}")),
    }
}

fn cache() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("GREENROOM_WINDOWS_CACHE") {
        return Some(folder.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|cache| cache.is_absolute());
    cache
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .map(|cache| cache.join("greenroom"))
}

/// A command that `timeout(1)` ends, with everything it started, when the time is over.
fn bounded(program: &str, deadline: Option<Instant>) -> Command {
    let Some(deadline) = deadline else { return Command::new(program) };
    let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &left.to_string(), program]);
    command
}

impl Tools {
    fn wine(&self) -> PathBuf {
        self.folder.join("wine-run")
    }

    fn cargo(&self, root: &Path, arguments: &[&str], deadline: Option<Instant>) -> Result<Ended> {
        let (arguments, rest) = match arguments.iter().position(|argument| *argument == "--") {
            Some(at) => arguments.split_at(at),
            None => (arguments, [].as_slice()),
        };
        let is_test = arguments.first() == Some(&"test");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut command = bounded(&cargo, deadline);
        command
            .args(arguments)
            .args(["--quiet", "--locked", "--profile=windows", "--target", TARGET])
            .args(rest)
            // What passed says what it could not show, too.
            .args(if is_test { ["--", "--show-output"].as_slice() } else { &[] })
            .current_dir(root)
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", self.sysroot())
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", self.wine());
        let output = command.stdin(Stdio::null()).output().into_diagnostic()?;
        self.check(&output)
    }

    /// As cargo's `RUSTFLAGS` of a target want it; they are split at spaces.
    fn sysroot(&self) -> String {
        format!("--sysroot={}", self.folder.join("sysroot").display())
    }

    fn check(&self, output: &Output) -> Result<Ended> {
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() == Some(TIMED_OUT) {
            return Ok(Ended { left_out: true, ..Ended::default() });
        }
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(miette!("failed for Windows ({}):\n{text}\n{errors}", output.status));
        }
        Ok(read(&text))
    }

    fn scenario(&self, binary: &Path) -> Result<Ended> {
        let passed = scenario::run(&self.wine(), binary)?;
        Ok(Ended { passed, ..Ended::default() })
    }

    /// Lets Wine's server stay for a while when it has no clients. It would go after three seconds,
    /// and a program that starts just then has its connection reset.
    fn keep_wine(&self) {
        const SECONDS: u32 = 60;
        self.run_wine_server(&format!("-p{SECONDS}"));
    }

    /// Whatever Wine left running keeps its prefix in use.
    fn stop_wine(&self) {
        self.run_wine_server("-k");
    }

    fn run_wine_server(&self, option: &str) {
        let asked = Command::new("/usr/lib/wine/wineserver64")
            .arg(option)
            .env("WINEPREFIX", self.folder.join("prefix"))
            .status();
        if asked.is_err() {
            println!("cannot run Wine's server with {option}");
        }
    }
}

/// What the test harness printed.
fn read(text: &str) -> Ended {
    let mut ended = Ended::default();
    for line in text.lines() {
        if let Some(claim) = line.trim().strip_prefix(NOT_PROVABLE) {
            ended.not_provable.insert(claim.to_owned());
        }
        let passed = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(' '));
        ended.passed += passed.and_then(|(count, _)| count.parse::<usize>().ok()).unwrap_or(0);
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_windows_is_understood_or_refused() {
        let parse = |line: &str| {
            Arguments::try_parse_from(["windows"].into_iter().chain(line.split_whitespace()))
        };
        let quick = parse("--quick --within 90").expect("it is documented");
        assert_eq!((quick.quick, quick.set_up_only, quick.within), (true, false, Some(90)));
        assert!(parse("--within soon").is_err());
        assert!(parse("--fast").is_err());
    }

    #[test]
    fn passed_tests_and_what_could_not_be_shown_are_counted() {
        let ended = read(
            "\n---- a_claim stdout ----\nnot provable under Wine: a file stays hidden: it forgets\n\
             not provable under Wine: a file stays hidden: it forgets\n\n\
             test result: ok. 14 passed; 0 failed; 0 ignored\n\
             test result: ok. 3 passed; 0 failed; 0 ignored\n",
        );
        assert_eq!((ended.passed, ended.not_provable.len()), (17, 1));
    }
}
