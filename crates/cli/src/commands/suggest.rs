//! What may have been meant by a patch or a session that is not there.

use std::ffi::OsStr;

use staging_core::{Patch, PatchId, RelPath};

use super::context::Stage;
use super::text::names;
use crate::failure::{Failure, Unknown};
use crate::nearest::nearest;

/// The failure with what may have been meant, where it is about something unknown.
pub(super) fn suggest(stage: &Stage<'_>, failure: Failure) -> Failure {
    let advice = match failure.unknown() {
        Some(Unknown::Patch(id)) => for_patch(stage, *id),
        Some(Unknown::Session(name)) => for_session(stage, name),
        None => None,
    };
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn pending(stage: &Stage<'_>) -> Option<Vec<Patch>> {
    Some(stage.layer.select(&[]).ok()?.patches)
}

fn for_patch(stage: &Stage<'_>, id: PatchId) -> Option<String> {
    let mut pending: Vec<PatchId> = pending(stage)?.iter().map(|patch| patch.id).collect();
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
fn for_session(stage: &Stage<'_>, name: &str) -> Option<String> {
    // As it is typed in the current directory, and as patches name files.
    let typed = stage.place.file(OsStr::new(name)).ok();
    let from_the_root = RelPath::parse(name.as_bytes()).ok();
    for path in typed.into_iter().chain(from_the_root) {
        let pending = pending(stage)?;
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
    let sessions = stage.layer.sessions().ok()?;
    let known: Vec<String> =
        sessions.iter().flat_map(|one| [one.id.to_string(), one.label.clone()]).collect();
    let near = nearest(name, known.iter().map(String::as_str))?;
    Some(format!("Did you mean `{near}`?"))
}
