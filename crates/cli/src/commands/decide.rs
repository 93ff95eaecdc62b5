//! `apply` and `discard`: the reviewer's word.

use staging_core::{
    ApplyId, ApplyOutcome, ApplyReport, ApplyRequest, DiffOptions, ErrorKind, Patch, Selector,
    Signature, StagingError, UndoReport,
};

use super::{Stage, count, line, names};
use crate::args::Apply;
use crate::failure::Failure;
use crate::json::{self, AppliedView, DiscardedView, UndoneView};

pub(super) fn apply(stage: &Stage<'_>, arguments: &Apply) -> Result<(), Failure> {
    let mut request = ApplyRequest {
        ids: arguments.ids.clone(),
        expect: arguments.expect,
        confirm_full_replace: arguments.confirm_full_replace,
        dry_run: arguments.dry_run,
        request: None,
        attested_by: None,
    };
    if request.expect.is_none() && !arguments.yes && !request.dry_run {
        request.expect = Some(confirm(stage, &request)?);
    }
    let report = stage.layer.apply(&request)?;
    stage.told(print(stage, &report, request.dry_run), "the change set is on the disk");
    for warning in &report.warnings {
        stage.console.warn(warning);
    }
    tidy(stage, report.kept);
    Ok(())
}

/// After the answer: removes what the swaps left, and says where a user's bytes are
/// that were found in it.
pub(super) fn tidy(stage: &Stage<'_>, mut kept: Vec<String>) {
    match stage.layer.tidy() {
        Ok(found) => kept.extend(found.iter().map(|kept| crate::place::shown(&kept.file))),
        Err(error) => {
            let failure = Failure::from(error);
            stage.console.remark(&format!("the next start tidies up: {}", failure.message()));
        }
    }
    for file in kept {
        stage.console.warn(&format!("bytes of an edit made meanwhile are kept in `{file}`"));
    }
}

pub(super) fn undo(stage: &Stage<'_>, apply: Option<ApplyId>) -> Result<(), Failure> {
    let UndoReport { apply, undone, patches, kept } = stage.layer.undo(apply)?;
    let printed = if stage.console.json {
        let outcome = "committed";
        stage.console.object(UndoneView { apply, undone, outcome, patches: &patches })
    } else {
        let patches = names(&patches);
        stage.console.text(&format!("took back {undone} ({patches}) as {apply}\n"))
    };
    stage.told(printed, "the change set is taken back");
    tidy(stage, kept);
    Ok(())
}

/// Shows what would be applied and asks; the signature of what was shown.
fn confirm(stage: &Stage<'_>, request: &ApplyRequest) -> Result<Signature, Failure> {
    if !stage.console.can_ask() {
        return Err(missing("applying wants the reviewer's word")
            .advise("Give --expect with the signature you reviewed, or --yes."));
    }
    let selection = stage.layer.select(&request.ids)?;
    if !selection.stale.is_empty() {
        return Err(StagingError::Stale { patches: selection.stale }.into());
    }
    let patches = selection.patches;
    if patches.is_empty() {
        return Err(StagingError::NothingPending.into());
    }
    let unseen = |patch: &&Patch| patch.diff.full_replace;
    if !request.confirm_full_replace && patches.iter().any(|patch| unseen(&patch)) {
        let patches = patches.iter().filter(unseen).cloned().collect();
        return Err(StagingError::ConfirmationMissing { patches }.into());
    }
    stage.console.diff(|out| stage.layer.write_diff(&patches, &DiffOptions::default(), out))?;
    stage.remark_patches(&patches);
    stage.console.warn(&format!("signature {}", selection.signature));
    if stage.console.ask(&format!("Apply {}?", count(patches.len(), "patch", "patches")))? {
        return Ok(selection.signature);
    }
    Err(missing("not applied: the answer was no").advise("The patches stay pending."))
}

fn print(stage: &Stage<'_>, report: &ApplyReport, dry_run: bool) -> Result<(), Failure> {
    if stage.console.json {
        let outcome = match report.outcome {
            _ if dry_run => "dry_run",
            ApplyOutcome::Committed => "committed",
            ApplyOutcome::RolledBack => "rolled_back",
            ApplyOutcome::InDoubt => "in_doubt",
        };
        return stage.console.object(AppliedView {
            apply: report.apply,
            outcome,
            patches: &report.patches,
            stale: report.stale.iter().map(|patch| patch.id).collect(),
        });
    }
    let patches = names(&report.patches);
    stage.console.text(&match (report.apply, report.outcome) {
        (Some(apply), ApplyOutcome::Committed) => format!("applied {patches} as {apply}\n"),
        _ => format!("would apply {patches}; nothing was changed\n"),
    })
}

pub(super) fn discard(
    stage: &Stage<'_>,
    ids: &[Selector],
    reason: Option<&str>,
    yes: bool,
) -> Result<(), Failure> {
    let discarded = if ids.is_empty() && !yes {
        let shown = confirm_all(stage)?;
        if shown.is_empty() { Vec::new() } else { stage.layer.discard(&shown, reason)? }
    } else {
        stage.layer.discard(ids, reason)?
    };
    let printed = if stage.console.json {
        stage.console.object(DiscardedView { patches: json::patches(&discarded) })
    } else if discarded.is_empty() {
        stage.console.text("nothing is pending\n")
    } else {
        let lines: String =
            discarded.iter().map(|patch| format!("discarded {}\n", line(patch))).collect();
        stage.console.text(&lines)
    };
    stage.told(printed, "they are discarded");
    Ok(())
}

/// Everything pending, named one by one so that nothing unseen is discarded.
fn confirm_all(stage: &Stage<'_>) -> Result<Vec<Selector>, Failure> {
    if !stage.console.can_ask() {
        return Err(missing("discarding everything pending wants a confirmation")
            .advise("Name patches or sessions, or give --yes."));
    }
    let patches = stage.layer.select(&[])?.patches;
    if patches.is_empty() {
        return Ok(Vec::new());
    }
    let lines: String = patches.iter().map(|patch| line(patch) + "\n").collect();
    stage.console.text(&lines)?;
    if stage.console.ask(&format!("Discard {}?", count(patches.len(), "patch", "patches")))? {
        return Ok(patches.iter().map(|patch| Selector::Patch(patch.id)).collect());
    }
    Err(missing("not discarded: the answer was no").advise("The patches stay pending."))
}

fn missing(message: &str) -> Failure {
    Failure::new(ErrorKind::ConfirmationMissing, message)
}
