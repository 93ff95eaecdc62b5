//! What an import of captured changes reports.

use capture::{CaptureError, Report};
use staging_core::{ErrorKind, RelPath};

use crate::console::Console;
use crate::failure::Failure;

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

pub(crate) fn failure_of(error: CaptureError) -> Failure {
    match error {
        CaptureError::Staging(error) => error.into(),
        CaptureError::Live { .. } => Failure::new(ErrorKind::Busy, error.to_string())
            .advise("Wait for them, or end them; what they write is staged then."),
        CaptureError::InUse => {
            Failure::new(ErrorKind::Busy, error.to_string()).advise("Start the command again.")
        }
        CaptureError::Layered => Failure::new(ErrorKind::Unsupported, error.to_string())
            .advise("No overlay is possible here: give this command another session."),
        CaptureError::Expired { .. } => Failure::new(ErrorKind::Conflict, error.to_string())
            .advise("Take what you need from there, and remove its directory."),
        CaptureError::Elsewhere { .. } => Failure::new(ErrorKind::Unsupported, error.to_string())
            .advise("Mount the overlay, and pass what it shows to `--from-tree`."),
        CaptureError::NoCopy { .. } => Failure::refused(error.to_string())
            .advise("With --no-delete, its files are staged and no deletion."),
        error => Failure::new(ErrorKind::Io, staging_core::with_causes(&error)),
    }
}

/// What an import could not stage.
pub(crate) fn report_rest(console: &Console, report: &Report) {
    report_not_proposed(console, report);
    for path in &report.edited {
        console.remark(&format!(
            "you changed `{path}` while the command ran, and the command changed it after that: check \
             that the patch keeps your lines"
        ));
    }
    let imported = &report.imported;
    report_stale(console, &imported.unproven, |path| {
        format!("`{path}` changed while the command ran")
    });
    for path in &imported.withheld {
        console.remark(&format!(
            "not staged: `{path}` changed while the command ran, and another patch of it is pending: \
             apply or discard that one first"
        ));
    }
    for path in &report.unsettled {
        console.remark(&format!("not staged yet: `{path}` is still being written"));
    }
}

/// What is stale, and why. `status` lists all of it, so that a few are enough here.
pub(super) fn report_stale(console: &Console, paths: &[RelPath], why: impl Fn(&RelPath) -> String) {
    for path in paths.iter().take(NAMED_MAX) {
        console.remark(&format!(
            "stale: {}: both versions are kept, `greenroom status` shows the patch",
            why(path)
        ));
    }
    let more = paths.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        console.remark(&format!("stale: {more} more: `greenroom status` shows the patches"));
    }
}

/// What cannot be proposed, and why.
pub(super) fn report_not_proposed(console: &Console, report: &Report) {
    let imported = &report.imported;
    let refused =
        imported.refused.iter().map(|(path, error)| (path.to_string(), error.to_string()));
    let listed = report.not_proposed.iter().map(|(path, why)| (path.clone(), (*why).to_owned()));
    for (path, why) in refused.chain(listed).take(NAMED_MAX) {
        console.remark(&format!("not proposed: `{path}`: {why}"));
    }
    let more = (imported.refused.len() + report.not_proposed.len()).saturating_sub(NAMED_MAX);
    if more > 0 {
        console.remark(&format!("not proposed: {more} more"));
    }
}
