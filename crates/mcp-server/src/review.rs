//! The tools that list, show and withdraw pending patches.

use std::collections::HashSet;

use orchestrator_adapter::DiscardPatch;
use staging_core::{
    Decided, DiffOptions, DiffStagingLayer, Patch, PatchId, Selection, Selector, Session,
    StagingError, decision_lines,
};

use crate::answers::{Answer, how_to_approve, line, risks};
use crate::arguments::{Diff, Discard, Nothing};
use crate::context::Context;
use crate::failure::Failure;
use crate::paths::shown;
use crate::reading::{Bounded, READ_BYTES_MAX};

/// How many ids one call may name.
const IDS_MAX: usize = 10_000;

/// `pending`. Decisions that the agent has not received are added to the answer, as to every other.
pub(crate) fn pending(context: &Context, _: &Nothing) -> Result<Answer, Failure> {
    let session = &context.session;
    let Selection { patches, lapsed, .. } =
        context.layer.select(&[Selector::Session(session.id)])?;
    let unreported = context.layer.unreported_decisions(&session.label)?;
    let unreported: HashSet<PatchId> = unreported.iter().map(|patch| patch.id).collect();
    let mut text = String::new();
    for patch in lapsed.iter().filter(|patch| !unreported.contains(&patch.id)) {
        text.push_str(&format!("still missing: {}", sentence(patch)));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    if patches.is_empty() {
        text.push_str("Nothing is pending in this session.");
    } else {
        text.push_str(&risks(&patches));
        for patch in &patches {
            text.push_str(&line(patch));
            text.push('\n');
        }
        text.push_str(&how_to_approve(&patches));
    }
    Ok(Answer { text, patches, lapsed: Some(lapsed) })
}

/// What a patch's state says, as a line.
fn sentence(patch: &Patch) -> String {
    decision_lines(&[Decided::of(patch.clone())])
}

/// `diff`
pub(crate) fn diff(context: &Context, arguments: &Diff) -> Result<Answer, Failure> {
    let ids = own(&context.layer, &context.session, arguments.ids.as_deref())?;
    let selection = context.layer.select(&ids)?;
    let risks = risks(&selection.patches);
    let mut out = Bounded::new(READ_BYTES_MAX.saturating_sub(risks.len()));
    context.layer.write_diff(&selection.patches, &DiffOptions::default(), &mut out).map_err(
        |error| match error {
            StagingError::Output { .. } => {
                Failure::new("the diff is too long to be sent: name fewer patches")
            }
            error => error.into(),
        },
    )?;
    let mut text = risks + &String::from_utf8_lossy(&out.bytes);
    for patch in &selection.stale {
        text.push_str(&sentence(patch));
    }
    if selection.patches.is_empty() {
        text.push_str("Nothing is pending in this session.");
    }
    Ok(Answer { text, patches: selection.patches, lapsed: None })
}

/// `discard`: the message to send.
pub(crate) fn discard(context: &Context, arguments: &Discard) -> Result<DiscardPatch, Failure> {
    let mut ids = own(&context.layer, &context.session, arguments.ids.as_deref())?;
    for id in &mut ids {
        let Selector::Patch(patch) = *id else { continue };
        let patch = context.layer.patch(patch)?;
        if patch.by_reviewer {
            let (id, name) = (patch.id, patch.name());
            return Err(Failure::new(format!(
                "{id} was edited by the user: read the file, then name the revision, `{name}`, if it is \
                 to be withdrawn"
            )));
        }
        // What the agent has rewritten itself, it knows.
        *id = Selector::seen(&patch);
    }
    let why = arguments.reason.as_deref().map(|reason| format!(": {}", shown(reason)));
    let reason_text = Some(format!("withdrawn by the agent{}", why.unwrap_or_default()));
    Ok(DiscardPatch { ids, reason_text, ..DiscardPatch::default() })
}

/// What was taken back.
pub(crate) fn discarded(patches: &[Patch]) -> Answer {
    let lines: Vec<String> =
        patches.iter().map(|patch| format!("Discarded {}.", line(patch))).collect();
    if lines.is_empty() {
        Answer::text("Nothing was pending.")
    } else {
        Answer::text(lines.join("\n"))
    }
}

/// The named patches, which have to be this session's; all of it when none is named.
pub(crate) fn own(
    layer: &DiffStagingLayer,
    session: &Session,
    ids: Option<&[String]>,
) -> Result<Vec<Selector>, Failure> {
    let Some(ids) = ids else { return Ok(vec![Selector::Session(session.id)]) };
    if ids.is_empty() || ids.len() > IDS_MAX {
        return Err(Failure::new(format!(
            "name 1 to {IDS_MAX} patches, or leave `ids` out for everything"
        )));
    }
    let mut own = Vec::with_capacity(ids.len());
    for text in ids {
        let selector = text.parse().ok();
        let id = selector.as_ref().and_then(Selector::patch).ok_or_else(|| {
            Failure::new(format!("`{}` is not a patch id: ids are like p1", shown(text)))
        })?;
        // Whose patches there are otherwise is not said.
        let is_own = layer.patch(id).is_ok_and(|patch| patch.session == session.id);
        if !is_own {
            return Err(Failure::new(format!("this session has no patch {id}")));
        }
        own.extend(selector);
    }
    Ok(own)
}
