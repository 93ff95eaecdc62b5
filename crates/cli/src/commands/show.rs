//! `show`: patches in full.

use std::fmt::Write as _;
use std::slice;

use staging_core::{
    ApplyOutcome, DiffStagingLayer, DiscardReason, LineComment, Patch, PatchApply, PatchId,
    PatchState, Selector, StagingError, escape_line_for_display,
};

use super::context::Context;
use super::diff::text_of;
use super::text::line;
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{EarlierView, PatchView, SeveralShownView, ShownView, TextView};
use crate::selection_args::SelectionArgs;

/// A patch, the applies that it was in, and what it proposed before.
struct Shown {
    patch: Patch,
    applies: Vec<PatchApply>,
    earlier: Vec<Patch>,
}

pub(super) fn show(context: &Context<'_>, selection: &SelectionArgs) -> Result<(), Failure> {
    let ids = context.resolve(selection)?;
    let only = if let [one] = ids.as_slice() { one.patch() } else { None };
    let are_patches = !ids.is_empty() && ids.iter().all(|id| id.patch().is_some());
    let patches = match are_patches {
        true => ids.iter().map(|id| in_any_state(&context.layer, id)).collect::<Result<_, _>>()?,
        false => waiting(context, &ids)?,
    };
    let shown = patches.into_iter().map(|patch| {
        let applies = context.layer.applies_of(patch.id)?;
        let earlier = context.layer.earlier_revisions(patch.id)?;
        Ok::<_, StagingError>(Shown { patch, applies, earlier })
    });
    let shown = shown.collect::<Result<Vec<Shown>, _>>()?;
    if context.console.json {
        return print_json(context, only, &shown);
    }
    if shown.is_empty() {
        context.console.remark("nothing is pending");
    }
    context.console.page_diff();
    context.console.read(print(context, &shown))
}

fn print(context: &Context<'_>, shown: &[Shown]) -> Result<(), Failure> {
    let options = context.console.diff_options();
    for (at, one) in shown.iter().enumerate() {
        let (space, patch) = (if at == 0 { "" } else { "\n" }, &one.patch);
        context.console.text(&(space.to_owned() + &patch_text(one)))?;
        if patch.content_kept {
            let patches = slice::from_ref(patch);
            context.console.diff(|out| context.layer.write_diff(patches, &options, out))?;
        }
    }
    Ok(())
}

/// The same where nothing is.
pub(super) fn print_none(console: &Console) -> Result<(), Failure> {
    if console.json { console.object(SeveralShownView { shown: Vec::new() }) } else { Ok(()) }
}

fn print_json(
    context: &Context<'_>,
    only: Option<PatchId>,
    shown: &[Shown],
) -> Result<(), Failure> {
    let views = shown
        .iter()
        .map(|Shown { patch, applies, earlier }| view(&context.layer, patch, applies, earlier));
    let mut views = views.collect::<Result<Vec<_>, _>>()?;
    match (only, views.pop()) {
        (Some(_), Some(only)) => context.console.object(only),
        (_, last) => {
            views.extend(last);
            context.console.object(SeveralShownView { shown: views })
        }
    }
}

/// A patch in full, with its diff while its content is stored.
pub(super) fn view<'a>(
    layer: &DiffStagingLayer,
    patch: &'a Patch,
    applies: &'a [PatchApply],
    earlier: &[Patch],
) -> Result<ShownView<'a>, Failure> {
    let diff = match patch.content_kept {
        true => text_of(layer, slice::from_ref(patch))?,
        false => TextView::default(),
    };
    Ok(ShownView {
        session: patch.session,
        patch: PatchView::from(patch),
        remarks: &patch.diff.remarks,
        reason_text: patch.reason_text.as_deref(),
        comments: &patch.comments,
        created_at: patch.created_at,
        updated_at: patch.updated_at,
        apply: patch.apply,
        applies,
        earlier: earlier.iter().map(EarlierView::from).collect(),
        diff,
    })
}

/// The patch that a selector names by its id, as it is now: its file is looked at, so that a stale one is
/// not shown as pending.
pub(super) fn in_any_state(
    layer: &DiffStagingLayer,
    selector: &Selector,
) -> Result<Patch, Failure> {
    let Some(id) = selector.patch() else { return Err(Failure::usage("no patch is named")) };
    if layer.patch(id)?.state == PatchState::Pending {
        layer.select(&[Selector::Patch(id)])?;
    }
    let patch = layer.patch(id)?;
    match selector {
        Selector::Revision(_, named) if *named != patch.revision => {
            let found = patch.revision;
            let error = StagingError::OtherRevision { patch: id, named: *named, found };
            let earlier = layer.earlier_revisions(id)?;
            let failure = Failure::from(error);
            Err(match earlier.iter().find(|one| one.revision == *named) {
                Some(one) => {
                    failure.advise(format!("`greenroom show {}` shows revision {named}.", one.id))
                }
                None => failure,
            })
        }
        _ => Ok(patch),
    }
}

/// What is selected of what waits for a decision, by path.
fn waiting(context: &Context<'_>, ids: &[Selector]) -> Result<Vec<Patch>, Failure> {
    let selection = context.layer.select(ids)?;
    let mut patches = selection.patches;
    patches.extend(selection.stale);
    patches.extend(selection.lapsed);
    patches.sort_by(|one, other| (&one.path, one.id).cmp(&(&other.path, other.id)));
    patches.dedup_by_key(|patch| patch.id);
    Ok(patches)
}

fn patch_text(Shown { patch, applies, earlier }: &Shown) -> String {
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
    for LineComment { path, line, text, comment } in &patch.comments {
        let [text, comment] = [text, comment].map(|text| escape_line_for_display(text));
        row("comment", &format_args!("{path}:{line} `{text}`: {comment}"));
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
    let by = if patch.edited { ", edited by the reviewer" } else { "" };
    let of = patch.revision_of.map(|of| format!(" of {of}")).unwrap_or_default();
    row("revision", &format_args!("{}{of}{by}", patch.revision));
    for Patch { id, revision, reason, created_at, updated_at, edited, .. } in earlier {
        let why = match (reason, edited) {
            (Some(DiscardReason::Edited), _) => "you edited it",
            (_, true) => "your edit, which the agent replaced",
            (_, false) => "the agent replaced it",
        };
        row(
            "earlier",
            &format_args!("{revision} is {id}, from {created_at} to {updated_at}: {why}"),
        );
    }
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
    for risk in &patch.diff.risks {
        row("risk", &risk.text());
    }
    for remark in &patch.diff.remarks {
        row("remark", remark);
    }
    row("proposed", &patch.created_at);
    text.push('\n');
    text
}
