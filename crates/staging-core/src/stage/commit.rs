//! Committing a plan: patches, their references to contents, and their events, in one transaction,
//! if the session has not changed meanwhile.

use std::collections::{BTreeSet, HashSet};

use atomic_fs::{Digest, RelPath};
use rusqlite::Connection;

use crate::attempt::{Attempt, CommitError};
use crate::decide::discard::discard_one;
use crate::decision::Decision;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::{PatchId, SessionId};
use crate::layer::Inner;
use crate::patch::{DiscardReason, Patch};
use crate::session::SessionState;
use crate::sessions::lifecycle::adopt_orphan;
use crate::stage::edit::name_edit;
use crate::stage::import::UNPROVEN;
use crate::stage::large;
use crate::stage::large::is_large;
use crate::stage::proposal::Proposed;
use crate::stage::step::{Plan, Rows, Step, Touched, add_others, has_raced, join_idle, step_at};
use crate::stage::view::View;
use crate::store::contents::{Entry, Location, Referred};
use crate::store::patches::Needs;
use crate::store::proposed::Inserted;
use crate::store::write::Write;
use crate::store::{contents, decisions, meta, patches, proposed, sessions};

/// Proposals extend a session's expiry at most this often, so that the index of expiries is not
/// written for each of them.
const PROPOSAL_TOUCH_MS: i64 = 1000;

impl Inner {
    /// Commits plans of several sessions in one transaction, except those that were raced, and returns
    /// the answers of each. On an error of the whole nothing is committed. Contents that the plans
    /// stored and nobody refers to are released.
    pub(crate) fn commit_plans(
        &self,
        plans: &mut [Plan<'_>],
    ) -> Attempt<Vec<Attempt<Vec<Proposed>>>> {
        let mut taken = HashSet::new();
        let committed = match &mut *plans {
            [plan] if is_large(plan) => {
                self.commit_prepared(plan, &mut taken).map(|proposed| vec![Ok(proposed)])
            }
            _ => {
                let durable = self.options.durable_proposals;
                // Contents have to be durable before the rows that refer to them.
                let synced = if durable { self.blobs.sync() } else { Ok(()) };
                let committed = synced.map_err(CommitError::from).and_then(|()| {
                    self.store.write_on(durable, |write| {
                        let each = plans.iter_mut().map(|plan| {
                            if has_raced(write, plan.session, plan.generation)? {
                                return Ok(Err(CommitError::Raced));
                            }
                            self.write_plan(write, plan, &mut Rows::New(&mut taken))?;
                            Ok(Ok(answers(write, plan)?))
                        });
                        each.collect()
                    })
                });
                if committed.is_err() {
                    // Nothing was committed, so no stored content is referred to.
                    taken.clear();
                }
                committed
            }
        };
        for plan in plans {
            self.release_unused(&plan.view.stored, &taken);
        }
        committed
    }

    /// Writes a plan's patches under the store's write lock, under which it was found not to be raced;
    /// its steps have their ids afterwards.
    pub(crate) fn write_plan(
        &self,
        write: &mut Write<'_>,
        plan: &mut Plan<'_>,
        rows: &mut Rows<'_>,
    ) -> Attempt<()> {
        let session = sessions::require(write, plan.session)?;
        if session.state != SessionState::Open {
            let (session, state) = (session.id, session.state);
            return Err(StagingError::SessionNotOpen { session, state }.into());
        }
        if session.orphaned_at.is_some() {
            adopt_orphan(write, &session, self.owner())?;
        }
        let Plan { view, steps, .. } = plan;
        let has_room = self.has_room_for_revisions(write)?;
        let keeps = |step: &Step| self.keeps_history() && (has_room || step.is_edit_replaced());
        if let Rows::New(taken) = rows {
            // Before the old references are released: both may be to one content.
            for step in steps.iter().filter(|step| !step.is_idle()) {
                let shared = if keeps(step) { Vec::new() } else { step.shared() };
                self.refer(write, view, step, shared, taken)?;
            }
        }
        withdraw(write, view, steps, |step| self.keeps_history() && step.is_edit_replaced())?;
        archive(write, view, steps, rows, keeps)?;
        // Usually there are none, and no search is needed.
        let settled = match patches::any_lapsed(write)? {
            true => settle_lapsed(write, view.session, steps)?,
            false => Vec::new(),
        };
        let batch = batch_of(write, steps, &settled)?;
        match rows {
            Rows::New(_) => write_new(write, steps, batch)?,
            Rows::Prepared(first) => large::list(write, steps, *first, batch)?,
        }
        self.log_steps(write, steps)?;
        self.lapse_unproven(write, view, steps)?;
        for patch in settled {
            write.log(Event::PatchRefreshed {
                by: step_at(steps, &patch.path).and_then(Step::now).map(|now| now.id),
                patch: patch.id,
                session: patch.session,
                path: patch.path,
            })?;
        }
        if view.is_reviewers {
            for edited in steps.iter().filter_map(Step::before) {
                decisions::note(write, edited.id, Decision::Edited, None)?;
            }
        }
        for step in steps.iter().filter(|step| step.settles_edit) {
            let Some(new) = &step.new else { continue };
            for path in std::iter::once(&new.path).chain(&new.rename_to) {
                proposed::settle_lost_edits(write, new.session, path)?;
            }
        }
        for (old, path) in &view.refreshed {
            let by = step_at(steps, path).and_then(Step::now).map(|now| now.id);
            decisions::note(write, *old, Decision::Refreshed, by)?;
        }
        self.check_limits(write, session.id)?;
        self.touch(write, &session, PROPOSAL_TOUCH_MS)?;
        Ok(())
    }

    /// Whether the store has room for what agents rewrite: a full one refuses proposals.
    fn has_room_for_revisions(&self, write: &Write<'_>) -> Result<bool> {
        Ok(meta::content_bytes(write)? <= self.options.stored_bytes_max / 2)
    }

    /// Counts a new patch's references to contents, except those that it takes over from the old one.
    pub(crate) fn refer(
        &self,
        write: &Write<'_>,
        view: &View<'_>,
        step: &Step,
        mut taken_over: Vec<Digest>,
        taken: &mut HashSet<Entry>,
    ) -> Attempt<()> {
        for (digest, bytes) in
            step.new.as_deref().map(Patch::contents).into_iter().flatten().flatten()
        {
            if let Some(at) = taken_over.iter().position(|taken| *taken == digest) {
                taken_over.swap_remove(at);
                continue;
            }
            let put = view.entry(&digest);
            match contents::refer(write, &digest, put)? {
                Referred::ToTheirs => {}
                Referred::ToOurs => {
                    // A content in a file of its own is removed under the write lock, which is held now,
                    // and only while it has no row.
                    let own = put.is_some_and(|put| put.location == Location::Own);
                    if own && !self.blobs.has_own(&digest, bytes) {
                        return Err(CommitError::Raced);
                    }
                    taken.extend(put);
                }
                Referred::Gone => return Err(CommitError::Raced),
            }
        }
        Ok(())
    }

    fn log_steps(&self, write: &mut Write<'_>, steps: &[Step]) -> Result<()> {
        let id_at = |path: &RelPath| step_at(steps, path).and_then(Step::now).map(|now| now.id);
        for step in steps {
            let Some(old) = step.withdrawn() else { continue };
            write.log(Event::PatchSuperseded {
                patch: old.id,
                session: old.session,
                path: old.path.clone(),
                by: step.moved_to.as_ref().and_then(id_at),
            })?;
        }
        for step in steps.iter().filter(|step| !step.is_idle()) {
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
                edited: patch.edited,
                replaces: step.replaces,
            };
            write.log_with_diff(event, step.diff.clone())?;
        }
        Ok(())
    }

    /// Discards the new patches of changes that were made from something unknown, and keeps their
    /// contents: they were never pending for anybody else.
    fn lapse_unproven(&self, write: &mut Write<'_>, view: &View<'_>, steps: &[Step]) -> Result<()> {
        for step in steps.iter().filter(|step| view.unproven.contains(&step.path)) {
            if let Some(new) = step.new.as_ref().filter(|_| !step.is_idle()) {
                discard_one(write, new, DiscardReason::Stale, Some(UNPROVEN), true)?;
            }
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

/// Settles lapsed patches of the same agent on the files of new proposals, which replace them.
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

/// The batch of patches that replace some which were staged together with others; several batches
/// become one. `None` where none of them was in a batch.
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

/// Discards what is withdrawn.
fn withdraw(
    write: &mut Write<'_>,
    view: &View<'_>,
    steps: &[Step],
    keeps: impl Fn(&Step) -> bool,
) -> Attempt<()> {
    for step in steps {
        let Some(old) = step.withdrawn() else { continue };
        let needs = match keeps(step) {
            true => Needs::Stay,
            false => Needs::End { taken_over: &[] },
        };
        if !patches::discard(write, old, replaced_by(view), None, needs)? {
            return Err(held(write, old)?);
        }
    }
    Ok(())
}

/// Puts what revisions replace in rows of its own.
fn archive(
    write: &mut Write<'_>,
    view: &View<'_>,
    steps: &mut [Step],
    rows: &Rows<'_>,
    keeps: impl Fn(&Step) -> bool,
) -> Attempt<()> {
    for step in steps.iter_mut() {
        let Some(old) = step.before() else { continue };
        let shared = match rows {
            Rows::New(_) => step.shared(),
            // These rows refer to their contents already.
            Rows::Prepared(_) => Vec::new(),
        };
        let needs = match keeps(step) {
            true => Needs::Stay,
            false => Needs::End { taken_over: &shared },
        };
        let Some(archived) = proposed::archive(write, old, replaced_by(view), needs)? else {
            return Err(held(write, old)?);
        };
        let rename_to = step.new.as_ref().and_then(|new| new.rename_to.as_ref());
        if old.rename_to.is_some() && old.rename_to.as_ref() != rename_to {
            proposed::free_target(write, old.id)?;
        }
        step.replaces = Some(archived);
        if let Some(new) = &mut step.new {
            name_edit(new, archived);
        }
    }
    Ok(())
}

/// Why what is replaced was discarded. A patch that its own agent replaced is not reported to it.
fn replaced_by(view: &View<'_>) -> DiscardReason {
    match view.is_reviewers {
        true => DiscardReason::Edited,
        false => DiscardReason::Superseded,
    }
}

/// Why a patch could not be replaced: the session has not changed, so an apply holds it.
fn held(write: &Write<'_>, old: &Patch) -> Result<CommitError> {
    let apply = patches::find(write, old.id)?.and_then(|patch| patch.apply);
    Ok(apply.map_or(CommitError::Raced, CommitError::LockedByApply))
}

/// Writes the new patches and revisions in the order of their paths, as one batch with those that stay
/// as they are.
fn write_new(write: &Write<'_>, steps: &mut [Step], batch: Option<PatchId>) -> Result<()> {
    let are_several = steps.iter().filter_map(Step::now).nth(1).is_some();
    let stays = |step: &&Step| step.is_idle();
    let first = steps.iter().filter(stays).filter_map(Step::now).map(|patch| patch.id).min();
    let mut batch = batch.or(first.filter(|_| are_several));
    for step in steps.iter_mut().filter(|step| !step.is_idle()) {
        let is_revision = step.before().is_some();
        let Some(new) = &mut step.new else { continue };
        new.created_at = write.now;
        new.updated_at = write.now;
        new.batch = batch.or(new.batch);
        match is_revision {
            true => proposed::revise(write, new)?,
            false => new.id = proposed::insert(write, new, Inserted::Pending)?,
        }
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

/// The answers of a plan that was written, each with the other sessions that have something pending
/// on its file.
fn answers(connection: &Connection, plan: &Plan<'_>) -> Result<Vec<Proposed>> {
    let now = |path: &RelPath| step_at(&plan.steps, path)?.now().cloned();
    let superseded = |path: &RelPath| Some(step_at(&plan.steps, path)?.withdrawn()?.id);
    let answer = |paths: &Touched| {
        let (main, others) = paths.split_first().expect("a proposal concerns a path");
        let patch = now(main);
        let mut answer = Proposed {
            withdrawn: patch.is_none(),
            also_changed: others.iter().filter_map(now).collect(),
            patch,
            superseded: paths.iter().find_map(superseded),
            also_pending_in: Vec::new(),
        };
        add_others(connection, plan.view.session, main, &mut answer)?;
        Ok(answer)
    };
    plan.touched.iter().map(answer).collect()
}
