//! Proposals through the actors, reviewing with 10,000 pending patches, start-up, memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actix::System;
use miette::{IntoDiagnostic as _, Result, miette};
use orchestrator_adapter::{
    ApplyRequest, DiffStagingLayer, OpenedSession, Proposal, RelPath, SafeWrite, Staging,
    StagingOptions,
};
use tempfile::TempDir;

use super::apply::{peak_memory_mib, sync};
use super::table::{median, print, shown};

const FILE_BYTES: usize = 10 * 1024;
/// Every second proposal is the first one on its file, the other replaces it.
const FILES: usize = 6_000;
const PENDING: usize = 10_000;
/// Sessions, and how many messages of each wait in its mailbox at once.
const SHAPES: [(usize, usize); 5] = [(1, 1), (1, 16), (8, 1), (8, 16), (64, 1)];
const STARTS: usize = 60;

/// Prints tables and writes `target/bench/stage.json`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let target = root.join("target/bench");
    fs::create_dir_all(&target).into_diagnostic()?;
    let mut report = BTreeMap::new();
    let header = ["sessions", "in flight each", "a second", "p50", "p99", "longest"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (sessions, in_flight) in SHAPES {
        let (rate, mut latencies) = propose(&target, sessions, in_flight)?;
        latencies.sort();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        rows.push(vec![
            sessions.to_string(),
            in_flight.to_string(),
            format!("{rate:.0}"),
            shown(p50),
            shown(p99),
            shown(max),
        ]);
        report.insert(
            format!("propose, {sessions:02} sessions, {in_flight:02} in flight"),
            serde_json::json!({ "a_second": rate, "p50_ms": ms(p50), "p99_ms": ms(p99), "max_ms": ms(max) }),
        );
    }
    print(&rows);
    println!();
    let mut rows = vec![vec!["with 10,000 pending".to_owned(), "median".to_owned()]];
    for (name, duration) in review(&target)? {
        rows.push(vec![name.to_owned(), shown(duration)]);
        report.insert(name.to_owned(), serde_json::json!({ "median_ms": ms(duration) }));
    }
    let (start, slow) = start_up(root, &target)?;
    rows.push(vec!["`greenroom status`, 3 pending, whole process".to_owned(), shown(start)]);
    rows.push(vec!["the same, p95".to_owned(), shown(slow)]);
    report.insert(
        "start-up".to_owned(),
        serde_json::json!({ "median_ms": ms(start), "p95_ms": ms(slow) }),
    );
    let memory = peak_memory_mib()?;
    rows.push(vec!["peak memory of all of the above".to_owned(), format!("{memory} MiB")]);
    report.insert("peak memory".to_owned(), serde_json::json!({ "mib": memory }));
    print(&rows);
    let json = serde_json::to_string_pretty(&report).into_diagnostic()?;
    fs::write(target.join("stage.json"), json).into_diagnostic()?;
    println!("\nwritten to target/bench/stage.json");
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A workspace of files with a state directory beside it.
struct World {
    dir: TempDir,
}

impl World {
    fn new(target: &Path, files: usize) -> Result<Self> {
        let world = Self { dir: tempfile::tempdir_in(target).into_diagnostic()? };
        for index in 0..files {
            let path = world.root().join(name(index));
            fs::create_dir_all(path.parent().unwrap_or(&path)).into_diagnostic()?;
            fs::write(path, content(index, 0)).into_diagnostic()?;
        }
        sync(world.dir.path())?;
        Ok(world)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn options(&self) -> StagingOptions {
        StagingOptions::new(self.root(), self.dir.path().join("state"))
    }
}

fn name(index: usize) -> String {
    format!("d{}/f{index}.rs", index % 60)
}

fn path(index: usize) -> Result<RelPath> {
    RelPath::parse(name(index).as_bytes()).into_diagnostic()
}

/// 10 KiB of lines; a later revision differs in a few of them, as an agent's edit does.
fn content(index: usize, revision: usize) -> Vec<u8> {
    let mut text = String::with_capacity(FILE_BYTES + 64);
    let mut line = 0;
    while text.len() < FILE_BYTES {
        line += 1;
        let changed = if revision > 0 && line % 60 == 7 { revision } else { 0 };
        text.push_str(&format!("    let value_{line} = compute({index}, {changed});\n"));
    }
    text.into_bytes()
}

/// Proposals a second, and how long each took from being sent to being answered.
fn propose(target: &Path, sessions: usize, in_flight: usize) -> Result<(f64, Vec<Duration>)> {
    let world = World::new(target, FILES)?;
    let options = world.options();
    System::new().block_on(async {
        let staging = Staging::open(options).await.into_diagnostic()?;
        let mut agents = Vec::new();
        for session in 0..sessions {
            let opened = staging.open_session(&format!("agent-{session}")).await;
            agents.push(opened.into_diagnostic()?);
        }
        let begun = Instant::now();
        let working: Vec<_> = agents
            .into_iter()
            .enumerate()
            .flat_map(|(number, agent)| {
                (0..in_flight).map(move |lane| (number * in_flight + lane, agent.clone()))
            })
            .map(|(lane, agent)| actix::spawn(work(agent, lane, sessions * in_flight)))
            .collect();
        let mut latencies = Vec::new();
        for lane in working {
            latencies.extend(lane.await.into_diagnostic()??);
        }
        let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
        staging.shutdown().await.into_diagnostic()?;
        Ok((rate, latencies))
    })
}

/// One lane of one session: each of its files is proposed, and proposed anew.
async fn work(agent: OpenedSession, lane: usize, lanes: usize) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for index in (lane..FILES).step_by(lanes) {
        for revision in 1..=2 {
            let message =
                SafeWrite { path: path(index)?, content: content(index, revision), mode: None };
            let begun = Instant::now();
            agent.actor.send(message).await.into_diagnostic()?.into_diagnostic()?;
            latencies.push(begun.elapsed());
        }
    }
    Ok(latencies)
}

/// What a reviewer waits for with 10,000 pending.
fn review(target: &Path) -> Result<Vec<(&'static str, Duration)>> {
    let world = World::new(target, PENDING)?;
    let layer = DiffStagingLayer::open(world.options()).into_diagnostic()?;
    let session = layer.open_session("agent").into_diagnostic()?.id;
    // Files that changed just now could change again within the clock's tick, and are
    // looked into; a reviewer comes later.
    std::thread::sleep(Duration::from_millis(1100));
    for batch in 0..PENDING / 100 {
        let proposals = (batch * 100..(batch + 1) * 100)
            .map(|index| {
                Ok(Proposal::Write { path: path(index)?, content: content(index, 1), mode: None })
            })
            .collect::<Result<Vec<_>>>()?;
        layer.propose_all(session, proposals).into_diagnostic()?;
    }
    drop(layer);
    let mut measured = Vec::new();
    let open = || DiffStagingLayer::open(world.options()).into_diagnostic();
    measured.push((
        "open and status, as a new process does",
        median_of(9, || {
            let status = open()?.status().into_diagnostic()?;
            check(status.sessions.iter().map(|s| s.patches.len()).sum::<usize>() == PENDING)
        })?,
    ));
    let layer = open()?;
    measured.push((
        "status",
        median_of(9, || {
            let status = layer.status().into_diagnostic()?;
            check(status.stale.is_empty())
        })?,
    ));
    measured.push((
        "diff --stat",
        median_of(9, || {
            let selection = layer.select(&[]).into_diagnostic()?;
            let mut out = Vec::new();
            layer.write_stat(&selection.patches, &mut out).into_diagnostic()?;
            check(selection.patches.len() == PENDING)
        })?,
    ));
    measured.push((
        "apply, durable when answered",
        median_of(1, || {
            let report = layer.apply(&ApplyRequest::default()).into_diagnostic()?;
            check(report.patches.len() == PENDING)
        })?,
    ));
    Ok(measured)
}

fn check(holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(miette!("what was measured is not what was meant")) }
}

fn median_of(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut durations = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        work()?;
        durations.push(begun.elapsed());
    }
    Ok(median(&mut durations))
}

/// `greenroom status` on a small workspace, from its start to its end: the median and p95.
fn start_up(root: &Path, target: &Path) -> Result<(Duration, Duration)> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--bin", "greenroom"])
        .current_dir(root)
        .status()
        .into_diagnostic()?;
    check(built.success())?;
    let binary = root.join("target/release/greenroom");
    let world = World::new(target, 20)?;
    let greenroom = |arguments: &[&str]| -> Result<()> {
        let status = Command::new(&binary)
            .args(arguments)
            .arg("--workspace")
            .arg(world.root())
            .arg("--state-dir")
            .arg(world.dir.path().join("states"))
            .current_dir(world.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .into_diagnostic()?;
        check(status.success())
    };
    for index in 0..3 {
        let new = world.dir.path().join("new");
        fs::write(&new, content(index, 1)).into_diagnostic()?;
        let (name, new) = (name(index), new.display().to_string());
        greenroom(&["propose", &name, "--from", &new, "--quiet"])?;
    }
    let mut durations = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        greenroom(&["status"])?;
        durations.push(begun.elapsed());
    }
    let middle = median(&mut durations);
    Ok((middle, durations[durations.len() * 95 / 100]))
}
