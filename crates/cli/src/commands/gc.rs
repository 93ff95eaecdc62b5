//! `gc`: removes leftovers, expired history and unreferenced contents.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use staging_core::{DiffStagingLayer, StagingOptions, SweepPreview, SweepReport};

use super::context::Context;
use super::layers;
use super::text::{count, names};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::LayerView;

/// A sweep by hand looks at everything, however long that takes.
const NO_HURRY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn gc(context: &Context<'_>) -> Result<(), Failure> {
    let recovered = context.layer.recover()?;
    let mut report = context.layer.sweep(NO_HURRY)?;
    report.removed += recovered.blobs_removed;
    context.console.report_recovery(recovered);
    let layers = layers::measured(&context.layer.options().state_dir)?;
    if context.console.json {
        return context.console.object(SweptView { report: &report, layers });
    }
    print_sweep(context.console, &report)?;
    for line in layers::text(&layers).lines() {
        context.console.remark(&format!("{line}: `greenroom session close` gives it back"));
    }
    Ok(())
}

/// What was swept, and what sessions go on holding.
#[derive(Serialize)]
struct SweptView<'a> {
    #[serde(flatten)]
    report: &'a SweepReport,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<LayerView>,
}

pub(super) fn print_sweep(console: &Console, report: &SweepReport) -> Result<(), Failure> {
    if console.json {
        return console.object(report);
    }
    let mut text = String::new();
    let orphaned = " as orphaned: their processes ended; their patches are still pending";
    for (done, ids, how) in [
        ("expired", names(&report.expired), ""),
        ("marked", names(&report.orphaned), orphaned),
        ("discarded", names(&report.stale), " as stale"),
    ] {
        if !ids.is_empty() {
            let _ = writeln!(text, "{done} {ids}{how}");
        }
    }
    if report.forgotten > 0 {
        let patches = count(report.forgotten, "decided patch", "decided patches");
        let _ = writeln!(text, "removed {patches} that are older than the history is kept");
    }
    if report.removed > 0 {
        let files = count(report.removed, "file", "files");
        let _ = writeln!(text, "removed {files}, {} bytes", report.bytes);
    }
    if text.is_empty() {
        text.push_str("nothing to remove\n");
    }
    console.report(&text)
}

/// What `gc` would decide; nothing is changed.
pub(super) fn preview(console: &Console, options: StagingOptions) -> Result<(), Failure> {
    print_preview(console, &DiffStagingLayer::preview_sweep(options)?)
}

pub(super) fn print_preview(console: &Console, found: &SweepPreview) -> Result<(), Failure> {
    if console.json {
        return console.object(found);
    }
    let mut text = String::new();
    for (would, ids) in [
        ("close, because they expired", names(&found.expired)),
        ("expire with their sessions", names(&found.lapsed)),
        ("mark as orphaned, because their processes ended", names(&found.orphaned)),
        ("discard as stale", names(&found.stale)),
    ] {
        if !ids.is_empty() {
            let _ = writeln!(text, "would {would}: {ids}");
        }
    }
    if found.forgotten > 0 {
        let patches = count(found.forgotten, "decided patch", "decided patches");
        let _ = writeln!(text, "would remove {patches} that are older than the history is kept");
    }
    text.push_str("would remove unreferenced contents; nothing was changed\n");
    console.text(&text)
}
