//! `cargo xtask torture`: many processes on one workspace, killed at random.
//!
//! Eight agents' processes with eight sessions each propose through the actors, five
//! hundred times a session; a reviewer's process applies and discards at random; all of
//! them are killed at random (`SIGKILL`) and started again, until the time is up. Each
//! writes down what it was answered, in a file that a kill does not tear. Then it is
//! checked that
//!
//! * every acknowledged proposal is in the store, with the content that was sent;
//! * every acknowledged decision stands;
//! * one sweep finds every session of the killed orphaned, with its patches pending;
//! * the log's hash chain holds, and its places have no gap;
//! * the workspace holds exactly what was applied, and nothing beside it;
//! * after `gc` the state directory holds only what is referenced.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use actix::System;
use miette::{IntoDiagnostic as _, Result, miette};
use orchestrator_adapter::{
    ApplyRequest, DiffStagingLayer, PatchState, RelPath, SafeWrite, Selector, Staging,
    StagingOptions,
};

mod check;
mod checkout;

const AGENTS: usize = 8;
const SESSIONS: usize = 8;
const PROPOSALS: usize = 500;
/// Files that all sessions want, so that they get into each other's way.
const SHARED_FILES: u64 = 60;

/// What a process of the torture is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Torture {
    /// Starts and kills the others, and checks.
    Parent {
        /// For how long.
        seconds: u64,
        /// How many agents' processes.
        agents: usize,
    },
    /// `git checkout` under a thousand pending patches.
    Checkout,
    /// An agents' process: its number and the folder.
    Agent(usize, PathBuf),
    /// The reviewer's process: the folder.
    Reviewer(PathBuf),
}

impl Torture {
    /// Understands what follows `torture`.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub(crate) fn parse(arguments: &[&str]) -> std::result::Result<Self, String> {
        match arguments {
            ["checkout"] => Ok(Self::Checkout),
            ["agent", number, folder] => {
                let number = number.parse().map_err(|_| "an agent has a number".to_owned())?;
                Ok(Self::Agent(number, folder.into()))
            }
            ["reviewer", folder] => Ok(Self::Reviewer(folder.into())),
            _ => Self::parse_parent(arguments),
        }
    }

    fn parse_parent(mut arguments: &[&str]) -> std::result::Result<Self, String> {
        let (mut seconds, mut agents) = (120, AGENTS);
        loop {
            arguments = match arguments {
                [] => return Ok(Self::Parent { seconds, agents }),
                ["--seconds", number, rest @ ..] => {
                    seconds =
                        number.parse().map_err(|_| "`--seconds` wants a number".to_owned())?;
                    rest
                }
                ["--agents", number, rest @ ..] => {
                    agents = number.parse().map_err(|_| "`--agents` wants a number".to_owned())?;
                    rest
                }
                _ => return Err(format!("`torture` does not take `{}`", arguments.join(" "))),
            }
        }
    }
}

/// Runs one of the processes.
pub(crate) fn run(root: &Path, torture: &Torture) -> Result<()> {
    match torture {
        Torture::Parent { seconds, agents } => parent(root, Duration::from_secs(*seconds), *agents),
        Torture::Checkout => checkout::run(root),
        Torture::Agent(number, folder) => agent(*number, folder),
        Torture::Reviewer(folder) => reviewer(folder),
    }
}

fn options(folder: &Path) -> StagingOptions {
    let mut options = StagingOptions::new(folder.join("work"), folder.join("state"));
    options.sweep_every = Duration::from_secs(2);
    options
}

fn parent(root: &Path, time: Duration, agents: usize) -> Result<()> {
    let target = root.join("target/torture");
    fs::create_dir_all(&target).into_diagnostic()?;
    let folder = tempfile::tempdir_in(&target).into_diagnostic()?;
    let before = populate(folder.path())?;
    let mut random = Random::new();
    let mut running = Running(Vec::new());
    let processes = &mut running.0;
    for number in 0..=agents {
        processes.push(start(number, agents, folder.path())?);
    }
    let (begun, mut kills, mut finished) = (Instant::now(), 0, 0);
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        let victim = random.below(processes.len() as u64) as usize;
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
    println!("{kills} kills, {finished} processes finished, in {} s", time.as_secs());
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
    command.arg("torture");
    if number == agents {
        command.arg("reviewer");
    } else {
        command.arg("agent").arg(number.to_string());
    }
    command.arg(folder).spawn().into_diagnostic()
}

/// The workspace's files as they are before anybody proposes.
fn populate(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for number in 0..SHARED_FILES {
        let name = shared(number);
        let path = folder.join("work").join(&name);
        let content = format!("the user's {number}\n").repeat(20).into_bytes();
        fs::create_dir_all(path.parent().unwrap_or(folder)).into_diagnostic()?;
        fs::write(path, &content).into_diagnostic()?;
        files.insert(name, content);
    }
    Ok(files)
}

fn shared(number: u64) -> String {
    format!("shared/d{}/f{number}.txt", number % 7)
}

/// Lines that a kill does not tear: each is one write to the end of a file of one's own.
struct Acknowledged(File);

impl Acknowledged {
    fn open(folder: &Path, who: &str) -> Result<Self> {
        let name = format!("acknowledged-{who}-{}", std::process::id());
        let file = OpenOptions::new().create(true).append(true).open(folder.join(name));
        Ok(Self(file.into_diagnostic()?))
    }

    fn line(&self, words: &[&dyn std::fmt::Display]) -> Result<()> {
        let mut line = words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        line.push('\n');
        (&self.0).write_all(line.as_bytes()).into_diagnostic()
    }
}

/// Proposes in eight sessions at once, through the actors.
fn agent(number: usize, folder: &Path) -> Result<()> {
    System::new().block_on(async {
        let staging = Staging::open(options(folder)).await.into_diagnostic()?;
        let mut working = Vec::new();
        for lane in 0..SESSIONS {
            let label = format!("agent-{number}-{lane}");
            let opened = staging.open_session(&label).await.into_diagnostic()?;
            let acknowledged = Acknowledged::open(folder, &label)?;
            working.push(actix::spawn(async move {
                let mut random = Random::new();
                for round in 0..PROPOSALS {
                    let name = if random.below(4) == 0 {
                        shared(random.below(SHARED_FILES))
                    } else {
                        format!("own/{label}/f{}.txt", random.below(30))
                    };
                    let content = random.content(&label, round);
                    let digest = blake3::hash(&content).to_hex();
                    let path = RelPath::parse(name.as_bytes()).into_diagnostic()?;
                    let message = SafeWrite { path, content, mode: None };
                    match opened.actor.send(message).await.into_diagnostic()? {
                        Ok(proposed) => {
                            if let Some(patch) = proposed.patch {
                                acknowledged.line(&[&"proposed", &patch.id, &name, &digest])?;
                            }
                        }
                        // The file was applied to meanwhile, or a session expired.
                        Err(error) if error.staging().is_some() => {
                            acknowledged.line(&[&"refused", &format!("{:?}", error.kind())])?;
                        }
                        Err(error) => return Err(error).into_diagnostic(),
                    }
                }
                Ok::<(), miette::Report>(())
            }));
        }
        for lane in working {
            lane.await.into_diagnostic()??;
        }
        staging.shutdown().await.into_diagnostic()
    })
}

/// Applies and discards what is pending, a few patches of one session at a time.
fn reviewer(folder: &Path) -> Result<()> {
    let acknowledged = Acknowledged::open(folder, "reviewer")?;
    let layer = DiffStagingLayer::open(options(folder)).into_diagnostic()?;
    let mut random = Random::new();
    loop {
        let status = layer.status().into_diagnostic()?;
        let pending: Vec<_> = status.sessions.iter().filter(|s| !s.patches.is_empty()).collect();
        if pending.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let session = pending[random.below(pending.len() as u64) as usize];
        let from = random.below(session.patches.len() as u64) as usize;
        let chosen: Vec<_> = session.patches[from..].iter().take(6).map(|p| p.id).collect();
        let ids: Vec<Selector> = chosen.iter().map(|id| Selector::Patch(*id)).collect();
        if random.below(3) == 0 {
            if let Ok(discarded) = layer.discard(&ids, Some("at random")) {
                for patch in discarded {
                    acknowledged.line(&[&"discarded", &patch.id])?;
                }
            }
            continue;
        }
        let request = ApplyRequest { ids, confirm_full_replace: true, ..Default::default() };
        if let Ok(report) = layer.apply(&request) {
            for patch in report.patches {
                acknowledged.line(&[&"applied", &patch])?;
            }
        }
        layer.tidy().into_diagnostic()?;
    }
}

/// Good enough to be different each time: xorshift64.
struct Random(u64);

impl Random {
    fn new() -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        Self(std::hash::RandomState::new().build_hasher().finish() | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Mostly short, now and then too long for a pack.
    fn content(&mut self, label: &str, round: usize) -> Vec<u8> {
        let lines = if self.below(60) == 0 { 20_000 } else { 1 + self.below(300) };
        format!("{label} {round} {}\n", self.below(1000)).repeat(lines as usize).into_bytes()
    }
}
