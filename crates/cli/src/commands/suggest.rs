//! Suggestions for an unknown patch or session.

use std::ffi::OsStr;

use staging_core::{Patch, PatchId, RelPath};

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

fn pending(context: &Context<'_>) -> Option<Vec<Patch>> {
    Some(context.layer.select(&[]).ok()?.patches)
}

fn for_patch(context: &Context<'_>, id: PatchId) -> Option<String> {
    let mut pending: Vec<PatchId> = pending(context)?.iter().map(|patch| patch.id).collect();
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

/// A label that is not known may be a misspelt one, or the path of a file.
fn for_session(context: &Context<'_>, name: &str) -> Option<String> {
    // As it is typed in the current directory, and as patches name files.
    let typed = context.location.file(OsStr::new(name)).ok();
    let from_the_root = RelPath::parse(name.as_bytes()).ok();
    for path in typed.into_iter().chain(from_the_root) {
        let pending = pending(context)?;
        let is_below = |file: &RelPath| file.starts_with(&path);
        let is_meant = |patch: &&Patch| {
            is_below(&patch.path) || patch.rename_to.as_ref().is_some_and(is_below)
        };
        let ids: Vec<PatchId> = pending.iter().filter(is_meant).map(|patch| patch.id).collect();
        if !ids.is_empty() {
            let ids = names(&ids);
            return Some(format!("`{path}` is changed by {ids}: name the patches."));
        }
    }
    let sessions = context.layer.sessions().ok()?;
    let known: Vec<String> =
        sessions.iter().flat_map(|one| [one.id.to_string(), one.label.clone()]).collect();
    let near = nearest(name, known.iter().map(String::as_str))?;
    Some(format!("Did you mean `{near}`?"))
}
