//! Checks out another branch under a thousand pending patches: `cargo xtask torture checkout`.
//!
//! A git repository of 1,000 files has a patch pending on each, in a process that embeds
//! the layer and watches. `git checkout` of a branch on which every third file differs
//! then makes exactly those patches stale. It is counted from the end of the checkout
//! until the log names the last of them; meanwhile an agent goes on proposing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result};
use orchestrator_adapter::{DiskOwner, Event, Proposal, RelPath};

use crate::world::{self, must, options};

const FILES: usize = 1_000;
const CHANGED_EVERY: usize = 3;
/// How long it is waited for.
const GIVE_UP: Duration = Duration::from_secs(60);
/// How long it may take.
const TAKES_MAX: Duration = Duration::from_secs(1);

fn name(number: usize) -> String {
    format!("d{}/f{number}.rs", number % 40)
}

/// Runs it and prints how long it took; an error when a patch is wrongly stale or not.
pub(super) fn run() -> Result<()> {
    let folder = world::folder()?;
    let work = folder.path().join("work");
    repository(&work)?;
    let layer = DiskOwner::open(options(folder.path())).into_diagnostic()?;
    let session = layer.open_session("agent").into_diagnostic()?.id;
    let write = |name: String, content: String| {
        let path = RelPath::parse(name.as_bytes()).into_diagnostic()?;
        Ok::<_, miette::Report>(Proposal::Write { path, content: content.into(), mode: None })
    };
    let proposals: Result<Vec<_>> =
        (0..FILES).map(|number| write(name(number), format!("the agent's {number}\n"))).collect();
    layer.propose_all(session, proposals?).into_diagnostic()?;
    let watching = layer.watch().into_diagnostic()?;
    let before = layer.newest_event().into_diagnostic()?;

    let begun = Instant::now();
    git(&work, &["checkout", "--quiet", "other"])?;
    let checkout = begun.elapsed();
    let ended = Instant::now();
    let wanted: BTreeSet<String> = (0..FILES).step_by(CHANGED_EVERY).map(name).collect();
    let other = layer.open_session("another agent").into_diagnostic()?.id;
    let (mut stale, mut seq, mut slowest, mut rounds) =
        (BTreeSet::new(), before, Duration::ZERO, 0);
    while stale.len() < wanted.len() && ended.elapsed() < GIVE_UP {
        let asked = Instant::now();
        rounds += 1;
        let proposal = write("beside.txt".to_owned(), format!("{rounds}\n"))?;
        layer.propose(other, proposal).into_diagnostic()?;
        slowest = slowest.max(asked.elapsed());
        for record in layer.events_since(seq, 10_000).into_diagnostic()? {
            seq = record.seq;
            if let Event::PatchStale { path, .. } = record.event {
                stale.insert(path.to_string());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = ended.elapsed();
    // A status that looks at every file must find no other one.
    let status = layer.status().into_diagnostic()?;
    let pending: usize = status.sessions.iter().map(|session| session.patches.len()).sum();
    drop(watching);
    must(stale == wanted, || format!("{} stale instead of {}", stale.len(), wanted.len()))?;
    must(status.stale.is_empty() && pending == FILES - wanted.len() + 1, || {
        format!("{pending} are pending afterwards")
    })?;
    println!(
        "{} of {FILES} pending patches stale {took:?} after a checkout of {checkout:?}, the \
         other {} pending; {rounds} proposals meanwhile, the slowest {slowest:?}",
        wanted.len(),
        FILES - wanted.len(),
    );
    must(took <= TAKES_MAX, || format!("{took:?} is more than a second"))
}

fn repository(work: &Path) -> Result<()> {
    for number in 0..FILES {
        let path = work.join(name(number));
        fs::create_dir_all(path.parent().unwrap_or(work)).into_diagnostic()?;
        fs::write(path, format!("the user's {number}\n").repeat(20)).into_diagnostic()?;
    }
    git(work, &["init", "--quiet"])?;
    commit(work)?;
    git(work, &["checkout", "--quiet", "-b", "other"])?;
    for number in (0..FILES).step_by(CHANGED_EVERY) {
        fs::write(work.join(name(number)), format!("the other branch's {number}\n"))
            .into_diagnostic()?;
    }
    commit(work)?;
    git(work, &["checkout", "--quiet", "-"])
}

fn commit(work: &Path) -> Result<()> {
    git(work, &["add", "--all"])?;
    let identity = ["-c", "user.name=x", "-c", "user.email=x@y"];
    git(work, &[identity.as_slice(), &["commit", "--quiet", "-m", "files"]].concat())
}

fn git(work: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("git")
        .args(arguments)
        .current_dir(work)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .status()
        .into_diagnostic()?;
    must(status.success(), || format!("git {arguments:?} failed"))
}
