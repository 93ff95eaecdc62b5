//! Suggestions for an unknown patch or session.

use staging_core::PatchId;

use super::context::Context;
use super::text::names;
use crate::failure::{Failure, Unknown};
use crate::nearest::nearest;

/// The failure with a suggestion, where it is about an unknown patch or session.
pub(super) fn suggest(context: &Context<'_>, failure: Failure) -> Failure {
    let advice = match failure.unknown.as_deref() {
        Some(Unknown::Patch(id)) => for_patch(context, *id),
        Some(Unknown::Session(name)) => for_session(context, name),
        None => None,
    };
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn for_patch(context: &Context<'_>, id: PatchId) -> Option<String> {
    let pending = context.layer.select(&[]).ok()?.patches;
    let mut pending: Vec<PatchId> = pending.iter().map(|patch| patch.id).collect();
    pending.sort_unstable();
    if pending.is_empty() {
        return Some("Nothing is pending.".to_owned());
    }
    let known: Vec<String> = pending.iter().map(ToString::to_string).collect();
    Some(match nearest(&id.to_string(), known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Pending are {}.", names(&pending)),
    })
}

fn for_session(context: &Context<'_>, name: &str) -> Option<String> {
    let sessions = context.layer.sessions().ok()?;
    let known: Vec<String> =
        sessions.iter().flat_map(|one| [one.id.to_string(), one.label.clone()]).collect();
    let near = nearest(name, known.iter().map(String::as_str))?;
    Some(format!("Did you mean `{near}`?"))
}
