//! Proposals through the actors, reviewing with 10,000 pending patches, start-up, memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result, miette};
use orchestrator_adapter::{ApplyRequest, DiskOwner, Proposal};

use crate::apply::peak_memory_mib;
use crate::programs::release_build;
use crate::table::{median, print, shown};

mod propose;
mod world;

use propose::{FILES, SHAPES, measure};
use world::{World, content, name, path, settle};

const PENDING: usize = 10_000;
const STARTS: usize = 60;

/// What is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Scope {
    /// Measure only the proposals whose shape's name holds this
    #[arg(long, value_name = "NAME-PART")]
    propose: Option<String>,
}

/// Prints tables and writes `target/bench/stage.json`.
pub(crate) fn run(root: &Path, scope: &Scope) -> Result<()> {
    let target = root.join("target/bench");
    fs::create_dir_all(&target).into_diagnostic()?;
    let mut report = BTreeMap::new();
    let header = ["proposals", "a second", "p50", "p99", "longest"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let wanted = scope.propose.as_deref().unwrap_or_default();
    // Proposing changes nothing in it, so that one tree does for all of them.
    let world = World::new(&target, FILES)?;
    settle();
    for shape in SHAPES.iter().filter(|shape| shape.name().contains(wanted)) {
        let measured = measure(&world, shape)?;
        let (rate, p50, p99) = (measured.rate, measured.at(0.5), measured.at(0.99));
        let max = measured.at(1.0);
        let row = [shape.name(), format!("{rate:.0}"), shown(p50), shown(p99), shown(max)];
        rows.push(row.to_vec());
        report.insert(
            format!("propose, {}", shape.name()),
            serde_json::json!({ "a_second": rate, "p50_ms": ms(p50), "p99_ms": ms(p99), "max_ms": ms(max) }),
        );
    }
    print(&rows);
    if scope.propose.is_some() {
        return Ok(());
    }
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

/// What a reviewer waits for with 10,000 pending.
fn review(target: &Path) -> Result<Vec<(&'static str, Duration)>> {
    let world = World::new(target, PENDING)?;
    let layer = DiskOwner::open(world.options()).into_diagnostic()?;
    let session = layer.open_session("agent").into_diagnostic()?.id;
    settle();
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
    let open = || DiskOwner::open(world.options()).into_diagnostic();
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
            layer.write_stat(&selection.patches, 80, &mut out).into_diagnostic()?;
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
    let binary = release_build(root)?;
    let world = World::new(target, 20)?;
    let greenroom = |arguments: &[&str]| -> Result<()> {
        let status = Command::new(&binary)
            .args(arguments)
            .arg("--workspace")
            .arg(world.root())
            .arg("--state-dir")
            .arg(world.folder().join("states"))
            .current_dir(world.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .into_diagnostic()?;
        check(status.success())
    };
    for index in 0..3 {
        let new = world.folder().join("new");
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
