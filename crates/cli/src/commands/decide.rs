//! `apply`, `undo`, `redo` and `discard`: what the reviewer decides.

use staging_core::{
    ApplyId, ApplyOutcome, ApplyReport, ApplyRequest, ApprovalMeans, DiffOptions, DiscardReason,
    ErrorKind, Patch, RedoReport, RedoRequest, Reversible, Selector, Signature, StagingError,
    UndoReport, set_signature,
};

use super::{Stage, asked, count, line, names, unasked};
use crate::args::{Apply, ExpectedSignature};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{self, AppliedView, DiscardedView, RedoneView, UndoneView};

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

/// The signature that the first digits name, if it is this one.
fn named(expected: &ExpectedSignature, found: Signature) -> Result<Signature, Failure> {
    if expected.names(found) {
        return Ok(found);
    }
    let message = format!("the set's signature is {found}, which does not begin with {expected}");
    Err(Failure::new(ErrorKind::SignatureMismatch, message))
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

pub(super) fn undo(stage: &Stage<'_>, apply: Option<ApplyId>, yes: bool) -> Result<(), Failure> {
    let (apply, approval) = if yes || !stage.console.can_ask() {
        (apply, unasked(&stage.place, ApprovalMeans::Yes, "undo")?)
    } else {
        let Reversible { apply, patches, .. } = stage.layer.undoable(apply)?;
        let files = count(patches.len(), "file", "files");
        ask_for(stage, &patches, &format!("Undo {apply}, {files}?"), "not undone")?;
        (Some(apply), asked())
    };
    let UndoReport { apply, undone, patches, pending, kept } =
        stage.layer.undo_by(apply, &approval)?;
    let printed = if stage.console.json {
        let outcome = "committed";
        let (patches, pending) = (&patches, &pending);
        stage.console.object(UndoneView { apply, undone, outcome, patches, pending })
    } else {
        let again = match pending.as_slice() {
            [] => String::new(),
            [one] => format!("; {one} is pending again"),
            several => format!("; {} are pending again", names(several)),
        };
        stage.console.report(&format!("undid {undone} ({}) as {apply}{again}\n", names(&patches)))
    };
    stage.told(printed, "the change set is undone");
    tidy(stage, kept);
    Ok(())
}

pub(super) fn redo(
    stage: &Stage<'_>,
    apply: Option<ApplyId>,
    expect: Option<&ExpectedSignature>,
    yes: bool,
) -> Result<(), Failure> {
    let Reversible { apply, patches, signature } = stage.layer.redoable(apply)?;
    let (expect, approval) = if let Some(expected) = expect {
        let approval = unasked(&stage.place, ApprovalMeans::Expect, "redo --expect")?;
        (named(expected, signature)?, approval)
    } else if yes {
        (signature, unasked(&stage.place, ApprovalMeans::Yes, "redo --yes")?)
    } else if stage.console.can_ask() {
        stage.console.diff(|out| stage.layer.write_diff(&patches, &DiffOptions::default(), out))?;
        stage.remark_patches(&patches);
        let files = count(patches.len(), "file", "files");
        ask_for(stage, &[], &format!("Apply {apply} again, {files}?"), "not applied")?;
        (signature, asked())
    } else {
        return Err(unconfirmed("redo"));
    };
    let request = RedoRequest { apply: Some(apply), expect: Some(expect), approval };
    let RedoReport { redone, report } = stage.layer.redo(&request)?;
    let printed = if stage.console.json {
        let (outcome, patches) = ("committed", &report.patches);
        stage.console.object(RedoneView { apply: report.apply, redone, outcome, patches })
    } else {
        let (patches, by) = (names(&report.patches), report.apply.map(|by| format!(" as {by}")));
        stage.console.report(&format!("redid {redone} ({patches}){}\n", by.unwrap_or_default()))
    };
    stage.told(printed, "the change set is on the disk");
    for warning in &report.warnings {
        stage.console.warn(warning);
    }
    tidy(stage, report.kept);
    Ok(())
}

/// Lists patches and asks; a no is a failure.
fn ask_for(
    stage: &Stage<'_>,
    patches: &[Patch],
    question: &str,
    otherwise: &str,
) -> Result<(), Failure> {
    let lines: String = patches.iter().map(|patch| line(patch) + "\n").collect();
    stage.console.text(&lines)?;
    if stage.console.ask(question)? {
        return Ok(());
    }
    Err(Failure::new(ErrorKind::ConfirmationMissing, format!("{otherwise}: the answer was no"))
        .advise("Nothing was changed."))
}

/// There is nobody to be asked. An agent is not told how to do without.
fn unconfirmed(command: &str) -> Failure {
    let message = format!("{command} needs confirmation");
    let advice = match crate::agent::in_environment() {
        Some(_) => "The user gives it in a terminal of their own.",
        None => "Pass --expect with the signature that was reviewed, or --yes.",
    };
    missing(&message).advise(advice)
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
    stage.told(print_discarded(stage.console, &discarded), "they are discarded");
    Ok(())
}

pub(super) fn print_discarded(console: &Console, discarded: &[Patch]) -> Result<(), Failure> {
    if console.json {
        return console.object(DiscardedView { patches: json::patches(discarded) });
    }
    if discarded.is_empty() {
        return console.report("nothing is pending\n");
    }
    let done = |patch: &Patch| match patch.reason {
        Some(DiscardReason::Rejected) | None => "discarded",
        Some(_) => "dismissed",
    };
    let lines: String =
        discarded.iter().map(|patch| format!("{} {}\n", done(patch), line(patch))).collect();
    console.report(&lines)
}

/// Everything pending, named one by one so that nothing unseen is discarded.
fn confirm_all(stage: &Stage<'_>) -> Result<Vec<Selector>, Failure> {
    if !stage.console.can_ask() {
        return Err(missing("discarding everything pending needs confirmation")
            .advise("Name patches or sessions, or pass --yes."));
    }
    let selection = stage.layer.select(&[])?;
    let patches: Vec<Patch> = selection.patches.into_iter().chain(selection.lapsed).collect();
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
