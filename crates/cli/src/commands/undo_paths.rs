//! Which patches of an apply a path, a directory, a glob or a patch's id means.

use std::ffi::{OsStr, OsString};

use staging_core::{AppliedPatch, ApplyId, ApplyOutcome, ErrorKind, Patch, PatchId};

use super::context::Context;
use crate::failure::Failure;
use crate::paths::shown;
use crate::selection::PathMatcher;

/// How many applies are searched for a path that the named one does not have.
const SEARCHED_MAX: usize = 100;

/// Those of an apply's patches that are at one of these, by either name of a rename.
///
/// # Errors
/// `NotFound` for one that means no file of the apply, `Closed` for one of which everything was
/// undone.
pub(super) fn at_paths(
    context: &Context<'_>,
    apply: ApplyId,
    patches: Vec<Patch>,
    paths: &[OsString],
) -> Result<Vec<Patch>, Failure> {
    let mut is_chosen = vec![false; patches.len()];
    for path in paths {
        let is_at = matcher(context, path)?;
        let mut is_found = false;
        for (patch, is_chosen) in patches.iter().zip(&mut is_chosen) {
            if is_at(patch) {
                (is_found, *is_chosen) = (true, true);
            }
        }
        if !is_found {
            return Err(not_found(context, apply, path, &is_at));
        }
    }
    let chosen = patches.into_iter().zip(is_chosen);
    Ok(chosen.filter_map(|(patch, is_chosen)| is_chosen.then_some(patch)).collect())
}

type IsAt = Box<dyn Fn(&Patch) -> bool>;

fn matcher(context: &Context<'_>, path: &OsStr) -> Result<IsAt, Failure> {
    if let Some(id) = path.to_str().and_then(|text| text.parse::<PatchId>().ok()) {
        return Ok(Box::new(move |patch| patch.id == id));
    }
    let matcher = PathMatcher::parse(path, &context.location)?;
    Ok(Box::new(move |patch| {
        let mut names = std::iter::once(&patch.path).chain(&patch.rename_to);
        names.any(|name| matcher.matches(name))
    }))
}

fn not_found(context: &Context<'_>, apply: ApplyId, path: &OsStr, is_at: &IsAt) -> Failure {
    let undone = find(context, apply, is_at, |applied| applied.undone_by.is_some());
    if let Some(by) = undone.and_then(|applied| applied.undone_by) {
        let message = format!("`{}` of {apply} was undone by {by}", shown(path));
        return Failure::new(ErrorKind::Closed, message)
            .advise(format!("`greenroom redo {by}` applies it again."));
    }
    let message = format!("{apply} has no file at `{}`", shown(path));
    let failure = Failure::new(ErrorKind::NotFound, message);
    let others = context.layer.applies(SEARCHED_MAX).unwrap_or_default();
    let is_undoable = |other: ApplyId| {
        find(context, other, is_at, |applied| applied.undone_by.is_none()).is_some()
    };
    let is_applied = |other: &&staging_core::ApplyRecord| {
        let is_committed = other.outcome == Some(ApplyOutcome::Committed);
        is_committed && other.undoes.is_none() && other.undone_by.is_none() && !other.forgotten
    };
    let other =
        others.iter().filter(is_applied).map(|other| other.apply).find(|id| is_undoable(*id));
    match other {
        Some(other) => {
            failure.advise(format!("{other} has: `greenroom undo {other} {}`.", shown(path)))
        }
        None => failure.advise(format!("`greenroom show {apply}` lists its files.")),
    }
}

/// A patch of an apply at a path.
fn find(
    context: &Context<'_>,
    apply: ApplyId,
    is_at: &IsAt,
    is_meant: impl Fn(&AppliedPatch) -> bool,
) -> Option<AppliedPatch> {
    let (_, patches) = context.layer.applied(apply).ok()?;
    patches.into_iter().find(|applied| is_at(&applied.patch) && is_meant(applied))
}
