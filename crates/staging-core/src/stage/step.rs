//! A plan of what becomes of a session's pending patches, step by step.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use atomic_fs::{Digest, RelPath};
use rusqlite::Connection;

use crate::error::Result;
use crate::ids::{PatchId, SessionId};
use crate::patch::Patch;
use crate::stage::proposal::Proposed;
use crate::stage::view::View;
use crate::store::contents::Entry;
use crate::store::write::Write;
use crate::store::{patches, sessions};

/// A plan that can be committed.
pub(crate) struct Plan<'a> {
    pub(crate) session: SessionId,
    /// The session's generation for which it was made.
    pub(crate) generation: i64,
    pub(crate) view: View<'a>,
    /// The steps, by path.
    pub(crate) steps: Vec<Step>,
    /// The paths of each proposal.
    pub(crate) touched: Vec<Touched>,
}

/// One path's pending patch before and after.
pub(crate) struct Step {
    pub(crate) path: RelPath,
    pub(crate) old: Option<Box<Patch>>,
    pub(crate) new: Option<Box<Patch>>,
    pub(crate) diff: Option<Arc<[u8]>>,
}

/// The step of a path among steps that are sorted by path: a call may have 100,000.
pub(crate) fn step_at<'s>(steps: &'s [Step], path: &RelPath) -> Option<&'s Step> {
    let at = steps.binary_search_by(|step| step.path.cmp(path)).ok()?;
    steps.get(at)
}

impl Step {
    /// The pending patch afterwards; it has no id until it is inserted.
    pub(crate) fn now(&self) -> Option<&Patch> {
        if self.is_idle() { self.old.as_deref() } else { self.new.as_deref() }
    }

    /// Whether the same patch is pending already.
    pub(crate) fn is_idle(&self) -> bool {
        match (&self.old, &self.new) {
            (None, None) => true,
            (Some(old), Some(new)) => old.signature == new.signature,
            _ => false,
        }
    }

    /// The patch that is replaced or withdrawn.
    pub(crate) fn superseded(&self) -> Option<PatchId> {
        self.old.as_ref().filter(|_| !self.is_idle()).map(|old| old.id)
    }

    /// Whether the replaced patch can be shown afterwards: what the agent proposed and the reviewer
    /// edited, and an edit that the agent replaced.
    pub(crate) fn keeps_old(&self) -> bool {
        let is_edited = |patch: &Option<Box<Patch>>| patch.as_ref().is_some_and(|it| it.edited);
        is_edited(&self.old) != is_edited(&self.new)
    }

    /// The contents to which both the old and the new patch refer, usually the base. Their references
    /// are left as they are counted.
    pub(crate) fn taken_over(&self) -> Vec<Digest> {
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return Vec::new() };
        if self.keeps_old() {
            return Vec::new();
        }
        let mut held = old.contents();
        let mut take = |digest: &Digest| {
            let at = held.iter_mut().find(|held| held.is_some_and(|held| held.0 == *digest));
            at.and_then(Option::take).is_some()
        };
        let needed = new.contents().into_iter().flatten().map(|(digest, _)| digest);
        needed.filter(|digest| take(digest)).collect()
    }
}

/// Where the rows of new patches come from.
pub(crate) enum Rows<'t> {
    /// They are inserted; the set collects the stored contents to which they refer.
    New(&'t mut HashSet<Entry>),
    /// They are in the store, marked by the id of the first one.
    Prepared(PatchId),
}

/// Whether the session has changed since a plan was made for it.
pub(crate) fn has_raced(
    connection: &Connection,
    session: SessionId,
    generation: i64,
) -> Result<bool> {
    let counters = sessions::counters(connection, session)?;
    Ok(counters.is_none_or(|counters| counters.generation != generation))
}

/// Numbers the revision of each new patch: one more than that of the patch that it replaces.
pub(crate) fn number_revisions(view: &View<'_>, steps: &mut [Step]) {
    let revision_of = |path: &RelPath| step_at(steps, path)?.old.as_ref().map(|old| old.revision);
    let moved = view.moved.iter().filter_map(|(from, to)| Some((to, revision_of(from)?)));
    let moved: HashMap<&RelPath, u32> = moved.collect();
    for step in steps {
        let before = step.old.as_ref().map(|old| old.revision);
        let before = before.or_else(|| moved.get(&step.path).copied());
        if let Some(new) = &mut step.new {
            new.revision = before.map_or(1, |before| before.saturating_add(1));
        }
    }
}

/// Adds patches that stay as they are to the batch of the call's new ones.
pub(crate) fn join_idle(write: &Write<'_>, steps: &mut [Step], batch: PatchId) -> Result<()> {
    for step in steps.iter_mut().filter(|step| step.is_idle()) {
        let Some(patch) = step.old.as_mut().filter(|patch| patch.batch != Some(batch)) else {
            continue;
        };
        patches::set_batch(write, patch.id, batch)?;
        patch.batch = Some(batch);
    }
    Ok(())
}

/// Notes which other sessions have something pending on a proposal's file.
pub(crate) fn add_others(
    connection: &Connection,
    session: SessionId,
    main: &RelPath,
    answer: &mut Proposed,
) -> Result<()> {
    let others = |path: &RelPath| patches::sessions_at(connection, path, session);
    answer.also_pending_in = others(main)?;
    if let Some(to) = answer.patch.as_ref().and_then(|patch| patch.rename_to.as_ref()) {
        answer.also_pending_in.extend(others(to)?);
        answer.also_pending_in.sort_unstable();
        answer.also_pending_in.dedup();
    }
    Ok(())
}

/// The patches' paths that a proposal concerned, the main one first.
pub(crate) type Touched = Vec<RelPath>;
