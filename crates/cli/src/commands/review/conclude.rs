//! The end of a review: the set, its risks, one signature, one question, one apply.
//!
//! What is approved is applied first, and only then is the rest rejected. A process that dies in
//! between leaves what was not rejected yet pending, which is where it was, and the next review shows
//! it again. The other order would reject patches of a set that then turns out not to apply.

use std::fmt::Write as _;

use staging_core::{ApplyReport, ApplyRequest, ErrorKind, Patch, Selector, set_signature};

use super::marks::Marks;
use crate::commands::approval::{ask, asked};
use crate::commands::context::{Context, tidy};
use crate::commands::text::{count, line, lines, names, risks, taken_back_by};
use crate::failure::Failure;

/// How a review ended.
pub(super) enum Concluded {
    Done,
    /// Nothing was applied or rejected, because something changed before the answer.
    Changed(Failure),
}

/// Shows what is marked, asks once, and does it.
pub(super) fn conclude(
    context: &Context<'_>,
    marks: &Marks,
    rest: bool,
) -> Result<Concluded, Failure> {
    let (approved, rejected) = (marks.approved(), marks.rejected());
    if approved.is_empty() && rejected.is_empty() {
        context.console.remark("nothing is marked: nothing was applied or rejected");
        return Ok(Concluded::Done);
    }
    context.console.text(&summary(&approved, &rejected, marks.undecided()))?;
    let (request, lapsed) = match request(context, &approved, rest) {
        Ok(request) => request,
        Err(failure) => return changed_or(failure),
    };
    if !approved.is_empty() {
        context.console.warn(&format!("signature {}", set_signature(&approved)));
    }
    let advice = "Nothing was applied or rejected.";
    ask(context.console, &question(approved.len(), rejected.len()), "not decided", advice)?;
    if !approved.is_empty() {
        match context.layer.apply(&request) {
            Ok(report) => report_applied(context, &report),
            Err(error) => return changed_or(error.into()),
        }
    }
    let failed = reject(context, &rejected);
    context.remark_lapsed(&lapsed);
    match failed {
        None => Ok(Concluded::Done),
        Some(failure) if approved.is_empty() => Err(failure),
        Some(failure) => Err(failure.after_changes()),
    }
}

/// What the reviewer's yes would apply, and what the set lacks, which is named before the question.
fn request(
    context: &Context<'_>,
    approved: &[Patch],
    rest: bool,
) -> Result<(ApplyRequest, Vec<Patch>), Failure> {
    let ids: Vec<Selector> = approved.iter().map(|patch| Selector::Patch(patch.id)).collect();
    let mut request = ApplyRequest { ids, rest, approval: asked(), ..ApplyRequest::default() };
    if approved.is_empty() {
        return Ok((request, Vec::new()));
    }
    let lapsed = context.layer.select(&request.ids)?.lapsed;
    if !lapsed.is_empty() {
        context.console.text(&format!("not in it, stale or expired:\n{}", indented(&lapsed)))?;
        request.rest = true;
    }
    request.expect = Some(set_signature(approved));
    // Each of them was approved by a key of its own.
    request.confirm_full_replace = true;
    Ok((request, lapsed))
}

fn indented(patches: &[Patch]) -> String {
    lines(patches).lines().map(|line| format!("  {line}\n")).collect()
}

fn summary(approved: &[Patch], rejected: &[(&Patch, Option<&str>)], undecided: usize) -> String {
    let mut text = String::from("\n");
    if !approved.is_empty() {
        let _ = write!(text, "approved:\n{}", indented(approved));
    }
    if !rejected.is_empty() {
        text.push_str("rejected:\n");
    }
    for (patch, reason) in rejected {
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(text, "  {}{reason}", line(patch));
    }
    if undecided > 0 {
        let _ = writeln!(
            text,
            "{} not marked, and will stay pending",
            count(undecided, "patch is", "patches are")
        );
    }
    text + &risks(approved)
}

fn question(approved: usize, rejected: usize) -> String {
    let all = |number: usize| count(number, "patch", "patches");
    match (approved, rejected) {
        (0, rejected) => format!("Reject {}?", all(rejected)),
        (approved, 0) => format!("Apply {}?", all(approved)),
        (approved, rejected) => format!("Apply {} and reject {rejected}?", all(approved)),
    }
}

/// A patch that is not what was shown any more is shown again; every other failure ends the review.
fn changed_or(failure: Failure) -> Result<Concluded, Failure> {
    match failure.kind {
        ErrorKind::SignatureMismatch | ErrorKind::Stale | ErrorKind::Closed => {
            Ok(Concluded::Changed(failure))
        }
        _ => Err(failure),
    }
}

fn report_applied(context: &Context<'_>, report: &ApplyReport) {
    let done = format!("applied {}{}\n", report.totals, taken_back_by(report.apply));
    let printed = context.console.report(&done);
    context.warn_unreported(printed, "the change set is applied");
    tidy(context, &report.warnings, report.kept.clone());
}

/// Rejects patches, each with its reason. One that is not pending any more stays as it is, and the others
/// are rejected all the same; the failure names those that are not.
fn reject(context: &Context<'_>, rejected: &[(&Patch, Option<&str>)]) -> Option<Failure> {
    let (mut left, mut kind) = (Vec::new(), None);
    for (patch, reason) in rejected {
        match context.layer.discard(&[Selector::seen(patch)], *reason) {
            Ok(_) => {
                let printed = context.console.report(&format!("rejected {}\n", line(patch)));
                context.warn_unreported(printed, "the patch is rejected");
            }
            Err(error) => {
                let failure = Failure::from(error);
                context.console.warn(&format!("{} is not rejected: {}", patch.id, failure.message));
                kind.get_or_insert(failure.kind);
                left.push(patch.id);
            }
        }
    }
    let message = format!("not everything was rejected: {} stays as it is", names(&left));
    let advice = "`greenroom review` shows what is pending.";
    kind.map(|kind| Failure::new(kind, message).of_patches(left).advise(advice))
}
