//! `show a1`: one apply or undo in full.

use std::fmt::Write as _;

use staging_core::{AppliedPatch, ApplyId, ApplyRecord, DiffStagingLayer, Patch};

use super::applies::outcome;
use super::context::Context;
use super::diff::text_of;
use super::text::line;
use crate::failure::Failure;
use crate::json::{AppliedPatchView, ShownApplyView, TextView};

pub(super) fn show(context: &Context<'_>, apply: ApplyId) -> Result<(), Failure> {
    let (record, applied) = context.layer.applied(apply)?;
    if context.console.json {
        return context.console.object(view(&context.layer, &record, &applied)?);
    }
    context.console.page_diff();
    let shown = with_diff(&record, &applied);
    context.console.read(print(context, &apply_text(&record, &applied), &shown))
}

/// An apply or an undo in full, with its diff while its contents are stored.
pub(super) fn view<'a>(
    layer: &DiffStagingLayer,
    record: &'a ApplyRecord,
    applied: &'a [AppliedPatch],
) -> Result<ShownApplyView<'a>, Failure> {
    let diff = match with_diff(record, applied).as_slice() {
        [] => TextView::default(),
        patches => text_of(layer, patches)?,
    };
    let patches = applied.iter().map(AppliedPatchView::from).collect();
    Ok(ShownApplyView { record, patches, diff })
}

/// The patches whose diff is that of an apply; none where there is no such diff.
fn with_diff(record: &ApplyRecord, applied: &[AppliedPatch]) -> Vec<Patch> {
    // An undo has the patches of what it undid, whose diff is the opposite of what it did.
    let is_kept = record.undoes.is_none() && applied.iter().all(|one| one.patch.content_kept);
    let shown = if is_kept { applied } else { &[] };
    shown.iter().map(|one| one.patch.clone()).collect()
}

fn print(context: &Context<'_>, text: &str, patches: &[Patch]) -> Result<(), Failure> {
    context.console.text(text)?;
    if patches.is_empty() {
        return Ok(());
    }
    let options = context.console.diff_options();
    context.console.diff(|out| context.layer.write_diff(patches, &options, out))
}

fn apply_text(record: &ApplyRecord, applied: &[AppliedPatch]) -> String {
    let (apply, totals) = (record.apply, record.totals);
    let mut text = match record.undoes {
        Some(undone) => format!("{apply} undo of {totals} of {undone}\n"),
        None => format!("{apply} {totals}\n"),
    };
    let mut row = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    row("state", &outcome(record).unwrap_or_else(|| "on the disk".to_owned()));
    if let Some(approval) = &record.approval {
        row("approved", &format_args!("by {approval}"));
    }
    for (at, line) in record.message.iter().flat_map(|message| message.lines()).enumerate() {
        row(if at == 0 { "message" } else { "" }, &line);
    }
    row("began", &record.started_at);
    for AppliedPatch { patch, undone_by } in applied {
        let undone = undone_by.map(|by| format!(", undone by {by}")).unwrap_or_default();
        row("patch", &format_args!("{}{undone}", line(patch)));
    }
    text.push('\n');
    text
}
