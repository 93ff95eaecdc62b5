//! `apply`: brings reviewed patches to the workspace.

use staging_core::{
    ApplyOutcome, ApplyReport, ApplyRequest, ApprovalMeans, DiffOptions, Patch, Selector,
    StagingError, set_signature,
};

use super::approval::{asked, missing, named, unasked, unconfirmed};
use super::context::{Stage, tidy};
use super::text::{count, names};
use crate::args::Apply;
use crate::failure::Failure;
use crate::json::AppliedView;

pub(super) fn apply(stage: &Stage<'_>, arguments: &Apply) -> Result<(), Failure> {
    let mut request = ApplyRequest {
        ids: arguments.ids.clone(),
        confirm_full_replace: arguments.confirm_full_replace,
        dry_run: arguments.dry_run,
        rest: arguments.rest,
        ..ApplyRequest::default()
    };
    let mut shown = None;
    if let Some(expected) = &arguments.expect {
        request.approval = unasked(&stage.place, ApprovalMeans::Expect, "apply --expect")?;
        request.expect = Some(match expected.to_string().parse() {
            Ok(signature) => signature,
            Err(_) => named(expected, stage.layer.select(&request.ids)?.signature)?,
        });
    } else if arguments.yes {
        request.approval = unasked(&stage.place, ApprovalMeans::Yes, "apply --yes")?;
    } else if !request.dry_run {
        let patches = confirm(stage, &request)?;
        request.approval = asked();
        request.expect = Some(set_signature(&patches));
        request.ids = patches.iter().map(|patch| Selector::Patch(patch.id)).collect();
        shown = Some(patches.len());
    }
    let report = stage.layer.apply(&request)?;
    stage.told(print(stage, &report, request.dry_run), "the change set is on the disk");
    for warning in &report.warnings {
        stage.console.warn(warning);
    }
    tidy(stage, report.kept);
    if shown.is_some()
        && let Ok(left) = stage.layer.select(&arguments.ids)
        && !left.patches.is_empty()
    {
        let left = count(
            left.patches.len(),
            "patch that was not shown stays",
            "patches that were not shown stay",
        );
        stage.console.remark(&format!("{left} pending"));
    }
    Ok(())
}

/// Shows what would be applied and asks; what was shown.
fn confirm(stage: &Stage<'_>, request: &ApplyRequest) -> Result<Vec<Patch>, Failure> {
    if !stage.console.can_ask() {
        return Err(unconfirmed("apply"));
    }
    let selection = stage.layer.select(&request.ids)?;
    if !selection.stale.is_empty() {
        return Err(StagingError::Stale { patches: selection.stale }.into());
    }
    if !selection.lapsed.is_empty() && !request.rest {
        return Err(StagingError::LostParts { patches: selection.lapsed }.into());
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
    stage.remark_stale(&selection.lapsed);
    stage.console.warn(&format!("signature {}", selection.signature));
    if stage.console.ask(&format!("Apply {}?", count(patches.len(), "patch", "patches")))? {
        return Ok(patches);
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
    stage.console.report(&match (report.apply, report.outcome) {
        (Some(apply), ApplyOutcome::Committed) => format!("applied {patches} as {apply}\n"),
        _ => format!("would apply {patches}; nothing was changed\n"),
    })
}
