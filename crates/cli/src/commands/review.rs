//! `status`, `diff`, `show`, `cat`: what a reviewer reads.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::slice;

use serde_json::json;
use staging_core::{
    ApplyOutcome, DiffOptions, DiscardReason, ErrorKind, InDoubtApply, Patch, PatchApply, PatchId,
    PatchState, Selector, SessionState, SessionStatus, StagingError, Status, set_signature,
};

use super::{Stage, count, line, names, remark_stale};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{self, PatchView, PendingView, SelectionView, ShownView, StatusView};
use crate::place::shown;
use crate::recovery;

pub(super) fn status(stage: &Stage<'_>) -> Result<(), Failure> {
    let status = stage.layer.status()?;
    print_status(stage.console, &stage.place.root, &status)?;
    if status.sessions.iter().all(|each| each.patches.is_empty())
        && let Some(note) = stage.place.note_of_work_above()
    {
        stage.console.remark(&note);
    }
    Ok(())
}

pub(super) fn print_status(console: &Console, root: &Path, status: &Status) -> Result<(), Failure> {
    if console.json {
        console.object(StatusView {
            workspace: shown(root),
            signature: status.signature,
            sessions: status.sessions.iter().map(PendingView::from).collect(),
            contested: &status.contested,
            in_doubt: &status.in_doubt,
            open_journals: &status.open_journals,
            quarantined: &status.quarantined,
            kept: status.kept.iter().map(|file| shown(file)).collect(),
        })?;
        remark_stale(console, &status.stale);
    } else {
        console.text(&status_text(root, status))?;
    }
    for file in &status.kept {
        let file = shown(file);
        console.warn(&format!(
            "bytes of an edit that a swap displaced are in `{file}`: merge them by hand, and remove the file"
        ));
    }
    for InDoubtApply { apply, reason } in &status.in_doubt {
        let remedy = recovery::acknowledging(*apply);
        console.warn(&format!("{apply} is in doubt: {reason}. {remedy}"));
    }
    for journal in &status.quarantined {
        console.warn(&format!(
            "journal `{journal}` is damaged or foreign and is not acted on: look at it in the \
             state directory, and remove it"
        ));
    }
    if status.needs_recovery {
        let journals = status.open_journals.join(", ");
        console.warn(&format!(
            "an apply is running, or was broken off (journal {journals}): `greenroom recover` \
             finishes it or rolls it back"
        ));
    }
    Ok(())
}

fn status_text(root: &Path, status: &Status) -> String {
    let mut text = format!("workspace {}\n", shown(root));
    let mut pending = 0;
    let (empty, filled): (Vec<&SessionStatus>, Vec<&SessionStatus>) =
        status.sessions.iter().partition(|each| each.patches.is_empty() && each.lapsed.is_empty());
    for each in filled {
        let session = &each.session;
        let patches = count(each.patches.len(), "patch", "patches");
        let state = match session.state {
            SessionState::Open => String::new(),
            state => format!(", {}", state.as_str()),
        };
        let state = match session.orphaned_at {
            Some(_) => format!("{state}, its process is gone"),
            None => state,
        };
        let _ = writeln!(text, "\n{} {}{state}: {patches} pending", session.id, session.label);
        for patch in &each.patches {
            let _ = writeln!(text, "  {}", line(patch));
        }
        if !each.patches.is_empty() {
            let _ = writeln!(text, "  signature {}", each.signature);
        }
        text.push_str(&lapsed_text(&each.lapsed));
        pending += each.patches.len();
    }
    for contested in &status.contested {
        let (path, patches) = (&contested.path, names(&contested.patches));
        let _ =
            writeln!(text, "\n{path} is wanted by {patches}: applying one makes the others stale");
    }
    if !empty.is_empty() {
        let idle: Vec<String> = empty
            .iter()
            .map(|each| format!("{} {}", each.session.id, each.session.label))
            .collect();
        let _ = writeln!(text, "\nopen without patches: {}", names(&idle));
    }
    if pending == 0 {
        text.push_str("\nnothing is pending\n");
    } else {
        let all = count(pending, "patch", "patches");
        let _ = writeln!(text, "\neverything pending, {all}: signature {}", status.signature);
    }
    text
}

/// What a session lacks, and what to do about it.
fn lapsed_text(lapsed: &[Patch]) -> String {
    let mut text = String::new();
    for patch in lapsed {
        let why = match patch.reason {
            Some(DiscardReason::SessionExpired) => "expired",
            _ => "stale",
        };
        let _ = writeln!(text, "  {why}: {}", line(patch));
    }
    if !lapsed.is_empty() {
        const NAMED_MAX: usize = 10;
        let ids = match lapsed {
            few if few.len() <= NAMED_MAX => {
                few.iter().map(|patch| patch.id.to_string()).collect::<Vec<_>>().join(" ")
            }
            many => many[0].session.to_string(),
        };
        let _ = writeln!(text, "  `greenroom refresh {ids}` proposes anew what is missing");
        // A session's id would reject what is pending in it as well.
        if lapsed.len() <= NAMED_MAX {
            let _ = writeln!(text, "  `greenroom discard {ids}` dismisses it");
        }
    }
    text
}

pub(super) fn diff(stage: &Stage<'_>, ids: &[Selector], stat: bool) -> Result<(), Failure> {
    let console = stage.console;
    let selection = stage.layer.select(ids)?;
    let patches = &selection.patches;
    if patches.is_empty() && !selection.stale.is_empty() && !ids.is_empty() {
        return Err(StagingError::Stale { patches: selection.stale }.into());
    }
    if console.json {
        console.object(SelectionView {
            signature: selection.signature,
            patches: json::patches(patches),
            lapsed: json::patches(&selection.lapsed),
            text: text_of(stage, patches)?,
        })?;
    } else if stat {
        console.diff(|out| stage.layer.write_stat(patches, out))?;
    } else {
        console.diff(|out| stage.layer.write_diff(patches, &DiffOptions::default(), out))?;
    }
    stage.remark_patches(patches);
    let listed: HashSet<PatchId> = selection.lapsed.iter().map(|patch| patch.id).collect();
    let is_listed = |patch: &&Patch| listed.contains(&patch.id);
    let others: Vec<Patch> =
        selection.stale.iter().filter(|patch| !is_listed(patch)).cloned().collect();
    stage.remark_stale(&others);
    stage.remark_lapsed(&selection.lapsed);
    if patches.is_empty() {
        console.remark("nothing is pending");
    } else {
        let all = count(patches.len(), "patch", "patches");
        console.remark(&format!("{all}, signature {}", selection.signature));
    }
    Ok(())
}

/// The diff of nothing.
pub(super) fn print_empty_diff(console: &Console) -> Result<(), Failure> {
    if console.json {
        let (signature, text) = (set_signature(&[]), Some(String::new()));
        let view = SelectionView { signature, patches: Vec::new(), lapsed: Vec::new(), text };
        return console.object(view);
    }
    Ok(())
}

pub(super) fn show(stage: &Stage<'_>, id: PatchId) -> Result<(), Failure> {
    if stage.layer.patch(id)?.state == PatchState::Pending {
        // Looks at the file, so that a stale patch is not shown as pending.
        stage.layer.select(slice::from_ref(&Selector::Patch(id)))?;
    }
    let patch = stage.layer.patch(id)?;
    let applies = stage.layer.applies_of(id)?;
    let is_kept = patch.content_kept;
    if stage.console.json {
        let text = if is_kept { text_of(stage, slice::from_ref(&patch))? } else { None };
        return stage.console.object(ShownView {
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
    stage.console.text(&patch_text(&patch, &applies))?;
    if !is_kept {
        return Ok(());
    }
    let patches = slice::from_ref(&patch);
    stage.console.diff(|out| stage.layer.write_diff(patches, &DiffOptions::default(), out))
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
        let (mode, bytes) = (base.mode, base.bytes);
        row("base", &format_args!("{} mode {mode:o}, {bytes} bytes", base.digest));
        row("", &format_args!("modified {}", base.modified_at));
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

/// The diff for a JSON string; none when it is not UTF-8.
fn text_of(stage: &Stage<'_>, patches: &[Patch]) -> Result<Option<String>, Failure> {
    let mut text = Vec::new();
    stage.layer.write_diff(patches, &DiffOptions::default(), &mut text)?;
    Ok(String::from_utf8(text).ok())
}

pub(super) fn cat(stage: &Stage<'_>, path: &OsStr, session: &str) -> Result<(), Failure> {
    let path = stage.place.file(path)?;
    let session = stage.layer.find_session(session)?;
    let missing = || {
        Failure::new(ErrorKind::NotFound, format!("{} sees no file `{path}`", session.id))
            .about(path.to_escaped())
    };
    if stage.console.json {
        let content = stage.layer.read_through(session.id, &path)?.ok_or_else(missing)?;
        return stage.console.object(json!({
            "session": session.id,
            "path": path,
            "bytes": content.len(),
            "text": String::from_utf8(content).ok(),
        }));
    }
    let mut copied = None;
    stage.console.content(|out| {
        copied = stage.layer.copy_through(session.id, &path, out)?;
        Ok(())
    })?;
    copied.map(|_| ()).ok_or_else(missing)
}
