//! `show a1`: one apply or undo in full.

use std::fmt::Write as _;

use staging_core::{AppliedPatch, ApplyId, ApplyRecord, Patch};

use super::applies::outcome;
use super::context::Context;
use super::diff::text_of;
use super::text::line;
use crate::failure::Failure;
use crate::json::{AppliedPatchView, ShownApplyView, TextView};

pub(super) fn show(context: &Context<'_>, apply: ApplyId) -> Result<(), Failure> {
    let (record, applied) = context.layer.applied(apply)?;
    // An undo has the patches of what it undid, whose diff is the opposite of what it did.
    let patches: Vec<Patch> = match record.undoes {
        Some(_) => Vec::new(),
        None => applied.iter().map(|applied| applied.patch.clone()).collect(),
    };
    let is_kept = !patches.is_empty() && patches.iter().all(|patch| patch.content_kept);
    if context.console.json {
        return context.console.object(ShownApplyView {
            record: &record,
            patches: applied.iter().map(AppliedPatchView::from).collect(),
            diff: if is_kept { text_of(&context.layer, &patches)? } else { TextView::default() },
        });
    }
    context.console.page_diff();
    let shown = if is_kept { patches.as_slice() } else { &[] };
    context.console.read(print(context, &apply_text(&record, &applied), shown))
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
