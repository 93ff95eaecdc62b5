//! Committing what was planned: patches, what they need of contents, and their events, in
//! one transaction, if nothing else happened to the session meanwhile.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use atomic_fs::{Digest, RelPath};
use rusqlite::Connection;

use super::Inner;
use super::plan::Touched;
use super::prepared::is_large;
use super::request::Proposed;
use super::view::View;
use crate::Result;
use crate::error::StagingError;
use crate::events::Event;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Patch};
use crate::session::SessionState;
use crate::store::contents::{self, Entry, Place, Referred};
use crate::store::patches::{Inserted, Needs};
use crate::store::{Write, meta, patches, sessions};

/// Proposals put a session's expiry off at most this often: the index of expiries would
/// be written for each of them.
const PROPOSAL_TOUCH_MS: i64 = 1000;

/// A plan that can be committed.
pub(super) struct Plan<'a> {
    pub(super) session: SessionId,
    /// The session's, as it was planned for.
    pub(super) generation: i64,
    pub(super) view: View<'a>,
    /// What becomes of each path, by path.
    pub(super) steps: Vec<Step>,
    /// Which paths each of its proposals is about.
    pub(super) touched: Vec<Touched>,
}

/// One path's pending patch before and after.
pub(super) struct Step {
    pub(super) path: RelPath,
    pub(super) old: Option<Box<Patch>>,
    pub(super) new: Option<Box<Patch>>,
    pub(super) diff: Option<Arc<[u8]>>,
}

/// The step of a path among steps that are sorted by path: a call may have a hundred thousand.
fn step_at<'s>(steps: &'s [Step], path: &RelPath) -> Option<&'s Step> {
    let at = steps.binary_search_by(|step| step.path.cmp(path)).ok()?;
    steps.get(at)
}

impl Step {
    /// The pending patch afterwards; it has no id until it is inserted.
    pub(super) fn now(&self) -> Option<&Patch> {
        if self.is_idle() { self.old.as_deref() } else { self.new.as_deref() }
    }

    /// Whether the session already wants exactly this.
    pub(super) fn is_idle(&self) -> bool {
        match (&self.old, &self.new) {
            (None, None) => true,
            (Some(old), Some(new)) => old.signature == new.signature,
            _ => false,
        }
    }

    /// The patch that another one takes the place of, or that is taken back.
    pub(super) fn superseded(&self) -> Option<PatchId> {
        self.old.as_ref().filter(|_| !self.is_idle()).map(|old| old.id)
    }

    /// The contents that the old patch needs and the new one needs as well: most often the
    /// base. Their need is left as it is counted.
    fn taken_over(&self) -> Vec<Digest> {
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return Vec::new() };
        let mut held = contents_of(old);
        let mut take = |digest: &Digest| {
            let at = held.iter_mut().find(|held| held.is_some_and(|held| held.0 == *digest));
            at.and_then(Option::take).is_some()
        };
        let needed = contents_of(new).into_iter().flatten().map(|(digest, _)| digest);
        needed.filter(|digest| take(digest)).collect()
    }
}

/// What a patch needs: its base's content and its staged one, each with its length.
fn contents_of(patch: &Patch) -> [Option<(Digest, u64)>; 2] {
    [
        patch.base.as_ref().map(|base| (base.content.digest, base.content.bytes)),
        patch.staged.map(|staged| (staged.digest, staged.bytes)),
    ]
}

/// How committing a plan ended.
pub(super) enum Committed {
    /// The answer to each of its proposals.
    Done(Vec<Proposed>),
    /// Something else happened to the session; nothing of it was changed.
    Raced,
}

/// How writing a plan ended.
pub(super) enum Written {
    Done,
    /// As [`Committed::Raced`].
    Raced,
}

/// Where the rows of new patches come from.
pub(super) enum Rows<'t> {
    /// They are inserted; the places of contents that were put and are needed are noted.
    New(&'t mut HashSet<Entry>),
    /// They are there, marked by the first one's id.
    Prepared(PatchId),
}

/// Whether something else has happened to the session since it was planned for.
pub(super) fn has_raced(
    connection: &Connection,
    session: SessionId,
    generation: i64,
) -> Result<bool> {
    let counters = sessions::counters(connection, session)?;
    Ok(counters.is_none_or(|counters| counters.generation != generation))
}

/// Why a commit was taken back.
pub(super) enum CommitError {
    Staging(StagingError),
    /// A patch to replace is on its way to the disk.
    LockedByApply(ApplyId),
    /// A content is gone that another call no longer needed: it is written again.
    BlobMissing,
}

impl From<StagingError> for CommitError {
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

impl Inner {
    /// Commits plans of several sessions in one transaction, and gives each one's answers; all of
    /// it is taken back on an error. What they put is given back as far as it is not needed.
    pub(super) fn commit_plans(
        &self,
        plans: &mut [Plan<'_>],
    ) -> Result<Vec<Committed>, CommitError> {
        let mut taken = HashSet::new();
        let committed = match &mut *plans {
            [plan] if is_large(plan) => {
                self.commit_prepared(plan, &mut taken).map(|committed| vec![committed])
            }
            _ => {
                let committed = self.commit_at_once(plans, &mut taken);
                if committed.is_err() {
                    // Nothing was committed, so nothing that was put is needed.
                    taken.clear();
                }
                committed
            }
        };
        for plan in plans {
            self.bury(&plan.view.stored, &taken);
        }
        committed
    }

    fn commit_at_once(
        &self,
        plans: &mut [Plan<'_>],
        taken: &mut HashSet<Entry>,
    ) -> Result<Vec<Committed>, CommitError> {
        if self.options.durable_proposals {
            // What the rows refer to has to be there before they are.
            self.blobs.sync()?;
        }
        self.store.write_on(self.options.durable_proposals, |write| {
            let each = plans.iter_mut().map(|plan| {
                match self.write_plan(write, plan, &mut Rows::New(taken))? {
                    Written::Done => Ok(Committed::Done(answers(write, plan)?)),
                    Written::Raced => Ok(Committed::Raced),
                }
            });
            each.collect()
        })
    }

    /// Writes what a plan makes of the pending patches; its steps have the new ones' ids then.
    /// Under the store's write lock.
    pub(super) fn write_plan(
        &self,
        write: &mut Write<'_>,
        plan: &mut Plan<'_>,
        rows: &mut Rows<'_>,
    ) -> Result<Written, CommitError> {
        if has_raced(write, plan.session, plan.generation)? {
            return Ok(Written::Raced);
        }
        let session = super::sessions::require(write, plan.session)?;
        if session.state != SessionState::Open {
            let (session, state) = (session.id, session.state);
            return Err(StagingError::SessionNotOpen { session, state }.into());
        }
        if session.orphaned_at.is_some() {
            super::sessions::adopt_orphan(write, &session, self.owner())?;
        }
        self.write_steps(write, plan, rows)?;
        self.check_limits(write, session.id)?;
        self.touch(write, &session, PROPOSAL_TOUCH_MS)?;
        Ok(Written::Done)
    }

    fn write_steps(
        &self,
        write: &mut Write<'_>,
        plan: &mut Plan<'_>,
        rows: &mut Rows<'_>,
    ) -> Result<(), CommitError> {
        let Plan { view, steps, .. } = plan;
        if let Rows::New(taken) = rows {
            // Before the old ones are released: a content may be in both.
            for step in steps.iter().filter(|step| !step.is_idle()) {
                self.refer(write, view, step, step.taken_over(), taken)?;
            }
        }
        self.discard_old(write, steps, rows)?;
        // Most often there are none, and nothing has to be looked for.
        let settled = match patches::any_lapsed(write)? {
            true => settle_lapsed(write, view.session, steps)?,
            false => Vec::new(),
        };
        let batch = batch_of(write, steps, &settled)?;
        match rows {
            Rows::New(_) => insert_new(write, view, steps, batch)?,
            Rows::Prepared(first) => super::prepared::list(write, steps, *first, batch)?,
        }
        self.log_steps(write, view, steps)?;
        for patch in settled {
            write.log(Event::PatchRefreshed {
                by: step_at(steps, &patch.path).and_then(Step::now).map(|now| now.id),
                patch: patch.id,
                session: patch.session,
                path: patch.path,
            })?;
        }
        Ok(())
    }

    fn discard_old(
        &self,
        write: &mut Write<'_>,
        steps: &[Step],
        rows: &Rows<'_>,
    ) -> Result<(), CommitError> {
        for step in steps.iter().filter(|step| !step.is_idle()) {
            let Some(old) = &step.old else { continue };
            let taken_over = match rows {
                Rows::New(_) => step.taken_over(),
                // They needed all of theirs already.
                Rows::Prepared(_) => Vec::new(),
            };
            let reason = DiscardReason::Superseded;
            // Nobody asks for what its own agent replaced.
            let needs = Needs::End { taken_over: &taken_over };
            if patches::discard(write, old.id, reason, None, needs)? {
                continue;
            }
            // The session has not changed, so an apply must have taken it.
            let apply = patches::find(write, old.id)?.and_then(|patch| patch.apply);
            return Err(apply.map_or(CommitError::BlobMissing, CommitError::LockedByApply));
        }
        Ok(())
    }

    /// Counts a new patch's need of its contents, but for what it takes over from the old one.
    pub(super) fn refer(
        &self,
        write: &Write<'_>,
        view: &View<'_>,
        step: &Step,
        mut taken_over: Vec<Digest>,
        taken: &mut HashSet<Entry>,
    ) -> Result<(), CommitError> {
        for (digest, bytes) in step.new.as_deref().map(contents_of).into_iter().flatten().flatten()
        {
            if let Some(at) = taken_over.iter().position(|taken| *taken == digest) {
                taken_over.swap_remove(at);
                continue;
            }
            let put = view.entry(&digest);
            match contents::refer(write, &digest, put)? {
                Referred::ToTheirs => {}
                Referred::ToOurs => {
                    // A file of its own is removed under the write lock that is
                    // held now, and only while it has no row.
                    let own = put.is_some_and(|put| put.place == Place::Own);
                    if own && !self.blobs.has_own(&digest, bytes) {
                        return Err(CommitError::BlobMissing);
                    }
                    taken.extend(put);
                }
                Referred::Gone => return Err(CommitError::BlobMissing),
            }
        }
        Ok(())
    }

    fn log_steps(&self, write: &mut Write<'_>, view: &View<'_>, steps: &[Step]) -> Result<()> {
        let id_at = |path: &RelPath| step_at(steps, path).and_then(Step::now).map(|now| now.id);
        let busy_steps = || steps.iter().filter(|step| !step.is_idle());
        for step in busy_steps() {
            let Some(old) = &step.old else { continue };
            let moved = view.moved.get(&step.path).and_then(id_at);
            write.log(Event::PatchSuperseded {
                patch: old.id,
                session: old.session,
                path: old.path.clone(),
                by: step.new.as_ref().map(|new| new.id).or(moved),
            })?;
        }
        for step in busy_steps() {
            let Some(patch) = &step.new else { continue };
            let event = Event::PatchProposed {
                patch: patch.id,
                session: patch.session,
                path: patch.path.clone(),
                rename_to: patch.rename_to.clone(),
                operation: patch.operation,
                revision: patch.revision,
                signature: patch.signature,
                diff: patch.diff.clone(),
            };
            write.log_with_diff(event, step.diff.clone())?;
        }
        Ok(())
    }

    fn check_limits(&self, write: &Write<'_>, session: SessionId) -> Result<()> {
        let Some(counters) = sessions::counters(write, session)? else { return Ok(()) };
        let patches_max = u64::from(self.options.session_patches_max);
        if counters.pending > patches_max {
            let what = "how many patches a session has pending";
            return Err(StagingError::Limit { what, max: patches_max });
        }
        if counters.pending_bytes > self.options.session_bytes_max {
            return Err(self.too_many_bytes());
        }
        let max = self.options.stored_bytes_max;
        if meta::content_bytes(write)? > max {
            let what = "what is stored of all patches, in bytes,";
            return Err(StagingError::Limit { what, max });
        }
        Ok(())
    }
}

/// A new proposal on a file, or the same again, takes the place of a lapsed one of its agent's.
fn settle_lapsed(write: &Write<'_>, session: SessionId, steps: &[Step]) -> Result<Vec<Patch>> {
    let mut settled = Vec::new();
    for step in steps {
        for patch in patches::lapsed_at(write, session, &step.path)? {
            patches::settle(write, patch.id, None)?;
            settled.push(patch);
        }
    }
    Ok(settled)
}

/// The batch of what takes the place of patches that were staged together with others, made one
/// of several; none where nothing was.
fn batch_of(write: &Write<'_>, steps: &[Step], settled: &[Patch]) -> Result<Option<PatchId>> {
    let old = steps.iter().filter_map(|step| step.old.as_deref()).chain(settled);
    let batches: BTreeSet<PatchId> = old.filter_map(|patch| patch.batch).collect();
    let mut batches = batches.into_iter();
    let Some(first) = batches.next() else { return Ok(None) };
    for other in batches {
        patches::join_batches(write, other, first)?;
    }
    Ok(Some(first))
}

/// Inserts the new patches in the order of their paths, and notes that they were staged together,
/// with what stays as it is.
fn insert_new(
    write: &Write<'_>,
    view: &View<'_>,
    steps: &mut [Step],
    batch: Option<PatchId>,
) -> Result<()> {
    number_revisions(view, steps);
    let are_several = steps.iter().filter_map(Step::now).nth(1).is_some();
    let stays = |step: &&Step| step.is_idle();
    let first = steps.iter().filter(stays).filter_map(Step::now).map(|patch| patch.id).min();
    let mut batch = batch.or(first.filter(|_| are_several));
    for step in &mut *steps {
        if step.is_idle() {
            continue;
        }
        let Some(new) = &mut step.new else { continue };
        new.created_at = write.now;
        new.updated_at = write.now;
        new.batch = batch.or(new.batch);
        new.id = patches::insert(write, new, Inserted::Pending)?;
        if batch.is_none() && are_several {
            // The batch is named by its first patch.
            patches::set_batch(write, new.id, new.id)?;
            batch = Some(new.id);
            new.batch = batch;
        }
    }
    match batch {
        Some(batch) => join_idle(write, steps, batch),
        None => Ok(()),
    }
}

/// Numbers each new patch's revision: one more than that of the patch that it takes the place of.
pub(super) fn number_revisions(view: &View<'_>, steps: &mut [Step]) {
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

/// Notes that patches that stay as they are belong to the batch of the call's new ones.
pub(super) fn join_idle(write: &Write<'_>, steps: &mut [Step], batch: PatchId) -> Result<()> {
    for step in steps.iter_mut().filter(|step| step.is_idle()) {
        let Some(patch) = step.old.as_mut().filter(|patch| patch.batch != Some(batch)) else {
            continue;
        };
        patches::set_batch(write, patch.id, batch)?;
        patch.batch = Some(batch);
    }
    Ok(())
}

/// The answers of a plan that was written, each with the other sessions that have something pending
/// on its file.
fn answers(connection: &Connection, plan: &Plan<'_>) -> Result<Vec<Proposed>> {
    plan.touched
        .iter()
        .map(|paths| {
            let mut answer = answer(plan, paths);
            let main = paths.first().expect("a proposal concerns a path");
            add_others(connection, plan.view.session, main, &mut answer)?;
            Ok(answer)
        })
        .collect()
}

/// Notes which other sessions have something pending on a proposal's file.
pub(super) fn add_others(
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

/// What a plan that was written made of some paths.
fn answer(plan: &Plan<'_>, paths: &Touched) -> Proposed {
    let steps = &plan.steps;
    let at = |path: &RelPath| step_at(steps, path).and_then(Step::now).cloned();
    let (main, others) = paths.split_first().expect("a proposal concerns a path");
    let patch = at(main);
    let superseded: Option<PatchId> =
        paths.iter().filter_map(|path| step_at(steps, path)?.superseded()).next();
    Proposed {
        withdrawn: patch.is_none(),
        also_changed: others.iter().filter_map(at).collect(),
        patch,
        superseded,
        also_pending_in: Vec::new(),
    }
}
