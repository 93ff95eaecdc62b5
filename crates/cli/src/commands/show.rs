//! `show`: one patch in full.

use std::fmt::Write as _;
use std::slice;

use staging_core::{ApplyOutcome, DiffOptions, Patch, PatchApply, PatchId, PatchState, Selector};

use super::context::Context;
use super::diff::text_of;
use super::text::line;
use crate::failure::Failure;
use crate::json::{PatchView, ShownView};

pub(super) fn show(context: &Context<'_>, id: PatchId) -> Result<(), Failure> {
    if context.layer.patch(id)?.state == PatchState::Pending {
        // Looks at the file, so that a stale patch is not shown as pending.
        context.layer.select(slice::from_ref(&Selector::Patch(id)))?;
    }
    let patch = context.layer.patch(id)?;
    let applies = context.layer.applies_of(id)?;
    let is_kept = patch.content_kept;
    if context.console.json {
        let text = if is_kept { text_of(context, slice::from_ref(&patch))? } else { None };
        return context.console.object(ShownView {
            session: patch.session,
            patch: PatchView::from(&patch),
            remarks: &patch.diff.remarks,
            reason_text: patch.reason_text.as_deref(),
            created_at: patch.created_at,
            updated_at: patch.updated_at,
            apply: patch.apply,
            applies: &applies,
            text,
        });
    }
    context.console.text(&patch_text(&patch, &applies))?;
    if !is_kept {
        return Ok(());
    }
    let patches = slice::from_ref(&patch);
    context.console.diff(|out| context.layer.write_diff(patches, &DiffOptions::default(), out))
}

fn patch_text(patch: &Patch, applies: &[PatchApply]) -> String {
    let mut text = line(patch) + "\n";
    let mut row = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    row("session", &patch.session);
    match (patch.reason, patch.apply) {
        (Some(reason), _) if patch.lapsed => {
            row("state", &format_args!("{} ({reason}), to be refreshed or dismissed", patch.state));
        }
        (Some(reason), _) => row("state", &format_args!("{} ({reason})", patch.state)),
        (None, Some(apply)) => row("state", &format_args!("{} ({apply})", patch.state)),
        (None, None) => row("state", &patch.state),
    }
    if let Some(reason) = &patch.reason_text {
        row("because", reason);
    }
    for each in applies {
        let outcome = match (each.outcome, each.undone_by) {
            (_, Some(by)) => format!("applied, undone by {by}"),
            (Some(ApplyOutcome::Committed), None) => "applied".to_owned(),
            (Some(ApplyOutcome::RolledBack), None) => "rolled back".to_owned(),
            (Some(ApplyOutcome::InDoubt), None) => "in doubt".to_owned(),
            (None, None) => "running".to_owned(),
        };
        let how = each.approval.as_ref().map(|how| format!(", approved by {how}"));
        row("apply", &format_args!("{} {outcome}{}", each.apply, how.unwrap_or_default()));
    }
    row("revision", &patch.revision);
    row("signature", &patch.signature);
    if let Some(base) = &patch.base {
        let (mode, bytes) = (base.content.mode, base.content.bytes);
        row("base", &format_args!("{} mode {mode:o}, {bytes} bytes", base.content.digest));
        row("", &format_args!("modified {}", base.modified_at()));
    }
    if let Some(staged) = &patch.staged {
        let (mode, bytes) = (staged.mode, staged.bytes);
        row("staged", &format_args!("{} mode {mode:o}, {bytes} bytes", staged.digest));
    }
    row("diff", &patch.diff.strategy);
    for remark in &patch.diff.remarks {
        row("remark", remark);
    }
    row("proposed", &patch.created_at);
    text.push('\n');
    text
}
