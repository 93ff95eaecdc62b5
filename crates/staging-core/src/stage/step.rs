//! A plan of what becomes of a session's pending patches, step by step.

use std::collections::{BTreeMap, HashSet};
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
    /// What is pending afterwards. A revision has the id of the patch that it goes on with, and is
    /// written over it; a new patch gets its id when it is inserted.
    pub(crate) new: Option<Box<Patch>>,
    pub(crate) diff: Option<Arc<[u8]>>,
    /// The patch of another path that goes on here, because its file moved.
    pub(crate) origin: Option<Box<Patch>>,
    /// Where the file of the old patch has moved, if nothing is pending here afterwards.
    pub(crate) moved_to: Option<RelPath>,
    /// Whether the old patch goes on there.
    pub(crate) goes_on: bool,
    /// Where the revision before is kept, once that is written.
    pub(crate) replaces: Option<PatchId>,
    /// Whether the new patch takes the place of a reviewer's edit that was lost before.
    pub(crate) settles_edit: bool,
}

/// The step of a path among steps that are sorted by path: a call may have 100,000.
pub(crate) fn step_at<'s>(steps: &'s [Step], path: &RelPath) -> Option<&'s Step> {
    let at = steps.binary_search_by(|step| step.path.cmp(path)).ok()?;
    steps.get(at)
}

impl Step {
    /// A step from what is pending to what is planned.
    pub(crate) fn new(path: RelPath, old: Option<Box<Patch>>, new: Option<Box<Patch>>) -> Self {
        let (diff, origin, moved_to, replaces) = (None, None, None, None);
        let (goes_on, settles_edit) = (false, false);
        Self { path, old, new, diff, origin, moved_to, goes_on, replaces, settles_edit }
    }

    /// The pending patch afterwards; a new one has no id until it is inserted.
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

    /// The patch of which the new one is a revision.
    pub(crate) fn before(&self) -> Option<&Patch> {
        let new = self.new.as_ref().filter(|_| !self.is_idle())?;
        [&self.old, &self.origin]
            .into_iter()
            .find_map(|patch| patch.as_deref())
            .filter(|it| it.id == new.id)
    }

    /// The patch that is withdrawn.
    pub(crate) fn withdrawn(&self) -> Option<&Patch> {
        self.old.as_deref().filter(|_| self.new.is_none() && !self.goes_on)
    }

    /// Whether what is replaced or withdrawn can be shown afterwards in any case: what the agent
    /// proposed and the reviewer edited, and an edit that the agent replaced.
    pub(crate) fn is_edit_replaced(&self) -> bool {
        let is_edited = |patch: Option<&Patch>| patch.is_some_and(|it| it.edited);
        is_edited(self.before().or(self.withdrawn())) != is_edited(self.new.as_deref())
    }

    /// The contents to which both a revision and the one before refer, usually the base.
    pub(crate) fn shared(&self) -> Vec<Digest> {
        let (Some(old), Some(new)) = (self.before(), &self.new) else { return Vec::new() };
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

/// Makes each new patch a revision of the one that is pending at its path, or else of the one whose file
/// moved there and left nothing behind. `origins` has the path at which the pending patch of a moved
/// file is, by where the file is now.
pub(crate) fn go_on(steps: &mut [Step], origins: &BTreeMap<RelPath, RelPath>) {
    for (to, from) in origins {
        let place = |path| steps.binary_search_by(|step: &Step| step.path.cmp(path)).ok();
        let (Some(from), Some(to)) = (place(from), place(to)) else { continue };
        let is_left = steps[from].new.is_none() && steps[from].moved_to.is_none();
        if !is_left || steps[to].new.is_none() || steps[from].old.is_none() {
            continue;
        }
        steps[from].moved_to = Some(steps[to].path.clone());
        if steps[to].old.is_none() {
            steps[from].goes_on = true;
            steps[to].origin = steps[from].old.clone();
        }
    }
    for step in steps.iter_mut().filter(|step| !step.is_idle()) {
        let before = step.old.as_ref().or(step.origin.as_ref());
        if let (Some(before), Some(new)) = (before, &mut step.new) {
            new.id = before.id;
            new.revision = before.revision.saturating_add(1);
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
