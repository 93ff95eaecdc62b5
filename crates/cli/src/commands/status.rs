//! `status`: what is pending, and the signatures that approve it.

use std::fmt::Write as _;
use std::path::Path;

use staging_core::{DiscardReason, InDoubtApply, Patch, SessionState, SessionStatus, Status};

use super::context::{Context, remark_stale};
use super::layers;
use super::text::{count, line, names, risks};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{LayerView, StatusView};
use crate::paths::shown;
use crate::recovery;
use crate::style::status_line;
use crate::trials::Trials;

pub(super) fn status(context: &Context<'_>) -> Result<(), Failure> {
    let status = context.layer.status()?;
    let trials = Trials::read(&context.layer);
    let layers = layers::recorded(&context.layer)?;
    print_status(context.console, &context.location.root, &status, &trials, &layers)?;
    if status.sessions.iter().all(|each| each.patches.is_empty())
        && let Some(note) = context.location.note_of_work_above()
    {
        context.console.remark(&note);
    }
    Ok(())
}

pub(super) fn print_status(
    console: &Console,
    root: &Path,
    status: &Status,
    trials: &Trials,
    layers: &[LayerView],
) -> Result<(), Failure> {
    if console.json {
        console.object(StatusView::new(root, status, trials, layers))?;
        remark_stale(console, &status.stale);
    } else {
        let mut text = status_text(root, status, trials);
        let large = layers::text(layers);
        if !large.is_empty() {
            let _ = write!(text, "\n{large}");
        }
        console.coloured(&text, status_line)?;
    }
    for file in &status.kept {
        let file = shown(file);
        console.warn(&format!(
            "an edit that was made during an apply is kept in `{file}`: merge it by hand, then remove the file"
        ));
    }
    for InDoubtApply { apply, reason } in &status.in_doubt {
        let remedy = recovery::acknowledging(*apply);
        console.warn(&format!("{apply} is in doubt: {reason}. {remedy}"));
    }
    for journal in &status.quarantined {
        console.warn(&format!(
            "journal `{journal}` is damaged or belongs to another state, and is ignored: inspect \
             it in the state directory, then remove it"
        ));
    }
    if status.needs_recovery {
        let journals = status.open_journals.join(", ");
        console.warn(&format!(
            "an apply is running or was interrupted (journal {journals}): `greenroom recover` \
             finishes it or rolls it back"
        ));
    }
    Ok(())
}

fn status_text(root: &Path, status: &Status, trials: &Trials) -> String {
    let mut text = format!("workspace {}\n{}", shown(root), risks(pending(status)));
    let all = pending(status).count();
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
            Some(_) => format!("{state}, its process ended"),
            None => state,
        };
        let _ = writeln!(text, "\n{} {}{state}: {patches} pending", session.id, session.label);
        for patch in &each.patches {
            let _ = writeln!(text, "  {}", line(patch));
        }
        // That of everything is below.
        if !each.patches.is_empty() && each.signature != status.signature {
            let _ = writeln!(text, "  signature {}", each.signature);
            if let Some(result) = trials.of(&each.signature) {
                let _ = writeln!(text, "  {}", result.line());
            }
        }
        text.push_str(&lapsed_text(&each.lapsed));
    }
    for contested in &status.contested {
        let (path, patches) = (&contested.path, names(&contested.patches));
        let _ = writeln!(
            text,
            "\n{path} is changed by {patches}: applying one of them makes the others stale"
        );
    }
    if !empty.is_empty() {
        let idle: Vec<String> = empty
            .iter()
            .map(|each| format!("{} {}", each.session.id, each.session.label))
            .collect();
        let _ = writeln!(text, "\nopen without patches: {}", names(&idle));
    }
    if all == 0 {
        text.push_str("\nnothing is pending\n");
    } else {
        let all = count(all, "patch", "patches");
        let _ = writeln!(text, "\neverything pending, {all}\nsignature {}", status.signature);
        if let Some(result) = trials.of(&status.signature) {
            let _ = writeln!(text, "{}", result.line());
        }
    }
    text
}

fn pending(status: &Status) -> impl Iterator<Item = &Patch> {
    status.sessions.iter().flat_map(|each| &each.patches)
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
        let them = if lapsed.len() == 1 { "it" } else { "them" };
        let _ = writeln!(text, "  `greenroom refresh {ids}` proposes {them} again");
        // A session's id would reject what is pending in it as well.
        if lapsed.len() <= NAMED_MAX {
            let _ = writeln!(text, "  `greenroom discard {ids}` dismisses {them}");
        }
    }
    text
}
