//! `gc`: what keeps the state directory small.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Stage, count, names};
use crate::failure::Failure;

/// A sweep by hand looks at everything, however long that takes.
const NO_HURRY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn gc(stage: &Stage<'_>) -> Result<(), Failure> {
    let recovered = stage.layer.recover()?;
    let mut report = stage.layer.sweep(NO_HURRY)?;
    report.removed += recovered.blobs_removed;
    if stage.console.json {
        return stage.console.object(&report);
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
    stage.console.text(&text)
}
