//! Which patches of an apply are undone.

use std::ffi::OsStr;

use staging_core::{
    AppliedPatch, ApplyId, ApplyOutcome, DiffStagingLayer, ErrorKind, Patch, PatchId, Selector,
    StagingError,
};

use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;
use crate::selection::PathMatcher;

/// How many applies are searched for a path that the named one does not have.
const SEARCHED_MAX: usize = 100;

/// Files of an apply, as they are named.
pub(super) struct Named {
    text: String,
    is_at: IsAt,
}

type IsAt = Box<dyn Fn(&Patch) -> bool>;

impl Named {
    /// A path, a directory or a glob, or a patch's id. A rename is at both of its names.
    pub(super) fn word(word: &OsStr, location: &Location) -> Result<Self, Failure> {
        let text = shown(word);
        if let Some(id) = word.to_str().and_then(|text| text.parse::<PatchId>().ok()) {
            return Ok(Self { text, is_at: Box::new(move |patch| patch.id == id) });
        }
        let matcher = PathMatcher::parse(word, location)?;
        Ok(Self { text, is_at: Box::new(move |patch| patch.paths().any(|it| matcher.matches(it))) })
    }

    /// What a selector means of an apply, as it means it of what is pending.
    fn selector(layer: &DiffStagingLayer, selector: &Selector) -> Result<Self, Failure> {
        let is_at: IsAt = match selector.clone() {
            Selector::Patch(id) => Box::new(move |patch| patch.id == id),
            Selector::Revision(id, revision) => {
                Box::new(move |patch| (patch.id, patch.revision) == (id, revision))
            }
            Selector::Session(id) => Box::new(move |patch| patch.session == id),
            Selector::Label(label) => {
                let id = layer.find_session(&label)?.id;
                Box::new(move |patch| patch.session == id)
            }
            Selector::Path(path) => {
                Box::new(move |patch| patch.paths().any(|name| name.starts_with(&path)))
            }
            Selector::Except(selector) => return Self::selector(layer, &selector),
        };
        Ok(Self { text: selector.to_string(), is_at })
    }
}

/// Those of an apply's patches that are selected; with nothing but exceptions all others.
///
/// # Errors
/// As [`at_paths`]; `NotFound` also where the exceptions leave nothing.
pub(super) fn selected(
    layer: &DiffStagingLayer,
    apply: ApplyId,
    patches: Vec<Patch>,
    selectors: &[Selector],
) -> Result<Vec<Patch>, Failure> {
    let named = |is_exception: bool| {
        let these = selectors.iter().filter(move |one| one.is_exception() == is_exception);
        these.map(|selector| Named::selector(layer, selector)).collect::<Result<Vec<_>, _>>()
    };
    let (named, excepted) = (named(false)?, named(true)?);
    let mut chosen = match named.is_empty() {
        true => patches,
        false => at_paths(layer, apply, patches, &named)?,
    };
    chosen.retain(|patch| !excepted.iter().any(|named| (named.is_at)(patch)));
    if chosen.is_empty() {
        return Err(StagingError::NothingLeft.into());
    }
    Ok(chosen)
}

/// Those of an apply's patches that are at one of these, by either name of a rename.
///
/// # Errors
/// `NotFound` for one that means no file of the apply, `Closed` for one of which everything was
/// undone.
pub(super) fn at_paths(
    layer: &DiffStagingLayer,
    apply: ApplyId,
    patches: Vec<Patch>,
    paths: &[Named],
) -> Result<Vec<Patch>, Failure> {
    let mut is_chosen = vec![false; patches.len()];
    for path in paths {
        let mut is_found = false;
        for (patch, is_chosen) in patches.iter().zip(&mut is_chosen) {
            if (path.is_at)(patch) {
                (is_found, *is_chosen) = (true, true);
            }
        }
        if !is_found {
            return Err(not_found(layer, apply, path));
        }
    }
    let chosen = patches.into_iter().zip(is_chosen);
    Ok(chosen.filter_map(|(patch, is_chosen)| is_chosen.then_some(patch)).collect())
}

fn not_found(layer: &DiffStagingLayer, apply: ApplyId, Named { text, is_at }: &Named) -> Failure {
    let undone = find(layer, apply, is_at, |applied| applied.undone_by.is_some());
    if let Some(by) = undone.and_then(|applied| applied.undone_by) {
        let message = format!("`{text}` of {apply} was undone by {by}");
        return Failure::new(ErrorKind::Closed, message)
            .advise(format!("`greenroom redo {by}` applies it again."));
    }
    let message = format!("{apply} has no file at `{text}`");
    let failure = Failure::new(ErrorKind::NotFound, message);
    let others = layer.applies(SEARCHED_MAX).unwrap_or_default();
    let is_undoable =
        |other: ApplyId| find(layer, other, is_at, |applied| applied.undone_by.is_none()).is_some();
    let is_applied = |other: &&staging_core::ApplyRecord| {
        let is_committed = other.outcome == Some(ApplyOutcome::Committed);
        is_committed && other.undoes.is_none() && other.undone_by.is_none() && !other.forgotten
    };
    let other =
        others.iter().filter(is_applied).map(|other| other.apply).find(|id| is_undoable(*id));
    match other {
        Some(other) => failure.advise(format!("{other} has: `greenroom undo {other} {text}`.")),
        None => failure.advise(format!("`greenroom show {apply}` lists its files.")),
    }
}

/// A patch of an apply at a path.
fn find(
    layer: &DiffStagingLayer,
    apply: ApplyId,
    is_at: &IsAt,
    is_meant: impl Fn(&AppliedPatch) -> bool,
) -> Option<AppliedPatch> {
    let (_, patches) = layer.applied(apply).ok()?;
    patches.into_iter().find(|applied| is_at(&applied.patch) && is_meant(applied))
}
