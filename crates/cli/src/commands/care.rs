//! `gc` and `doctor`: keeping the state in order, and looking it over.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use staging_core::{
    DiffStagingLayer, ErrorKind, Finding, Health, StagingOptions, SweepPreview, SweepReport,
    examine,
};

use super::{Stage, checked_settings, count, defaults, names, options, recover};
use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::{Place, shown};

/// A sweep by hand looks at everything, however long that takes.
const NO_HURRY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn gc(stage: &Stage<'_>) -> Result<(), Failure> {
    let recovered = stage.layer.recover()?;
    let mut report = stage.layer.sweep(NO_HURRY)?;
    report.removed += recovered.blobs_removed;
    stage.console.tell(recovered);
    print_sweep(stage.console, &report)
}

pub(super) fn print_sweep(console: &Console, report: &SweepReport) -> Result<(), Failure> {
    if console.json {
        return console.object(report);
    }
    let mut text = String::new();
    if !report.expired.is_empty() {
        let _ = writeln!(text, "expired {}", names(&report.expired));
    }
    if !report.orphaned.is_empty() {
        let orphaned = names(&report.orphaned);
        let _ = writeln!(text, "orphaned {orphaned}: their processes are gone; still pending");
    }
    if !report.stale.is_empty() {
        let _ = writeln!(text, "discarded {} as stale", names(&report.stale));
    }
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if report.forgotten > 0 {
        let patches = count(number(report.forgotten), "decided patch", "decided patches");
        let _ = writeln!(text, "forgot {patches} older than the history is kept");
    }
    if report.removed > 0 {
        let files = count(number(report.removed), "file", "files");
        let _ = writeln!(text, "gave back {} bytes in {files}", report.bytes);
    }
    if text.is_empty() {
        text.push_str("nothing to sweep\n");
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
        ("end, because they expired", names(&found.expired)),
        ("no longer have pending, because their sessions expired", names(&found.lapsed)),
        ("mark as without a process", names(&found.orphaned)),
        ("discard as stale", names(&found.stale)),
    ] {
        if !ids.is_empty() {
            let _ = writeln!(text, "would {would}: {ids}");
        }
    }
    if found.forgotten > 0 {
        let patches = usize::try_from(found.forgotten).unwrap_or(usize::MAX);
        let patches = count(patches, "decided patch", "decided patches");
        let _ = writeln!(text, "would forget {patches} older than the history is kept");
    }
    text.push_str("would remove contents that nothing needs; nothing was changed\n");
    console.text(&text)
}

pub(super) fn doctor(console: &Console, global: &Global, place: &Place) -> Result<(), Failure> {
    let mut findings = vec![configuration(place)];
    // With a mistake in the configuration, everything else is looked at with the defaults.
    let options = options(global, place).unwrap_or_else(|_| defaults(place));
    findings.extend(examine(&options));
    findings.extend(recover::others(place));
    if console.json {
        console.object(json!({ "findings": findings }))?;
    } else {
        let mut text = String::new();
        let is_told = |finding: &&Finding| !console.is_quiet() || finding.health != Health::Good;
        for finding in findings.iter().filter(is_told) {
            let mark = match finding.health {
                Health::Good => "ok",
                Health::Notice => "note",
                Health::Bad => "BAD",
            };
            let _ = writeln!(text, "{mark:<4} {}: {}", finding.name, finding.text);
        }
        console.text(&text)?;
    }
    let bad: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.health == Health::Bad)
        .map(|finding| finding.name)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    // Its object is printed; a second one would be no JSON.
    Err(Failure::new(ErrorKind::Damaged, format!("not in order: {}", bad.join(", ")))
        .in_the_object())
}

fn configuration(place: &Place) -> Finding {
    let finding = |health, text| Finding { name: "configuration", health, text };
    let Some(file) = &place.config_file else {
        return finding(Health::Good, "none: there is no home directory".to_owned());
    };
    if !file.exists() {
        return finding(Health::Good, format!("none in `{}`: the defaults", shown(file)));
    }
    match checked_settings(file, place) {
        Ok(_) => finding(Health::Good, format!("`{}`", shown(file))),
        Err(failure) => finding(Health::Bad, failure.message().to_owned()),
    }
}
