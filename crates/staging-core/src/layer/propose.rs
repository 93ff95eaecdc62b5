//! Taking proposals: planned against what the session sees, then committed if
//! nothing else happened to the session meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomic_fs::{Digest, RelPath};

use super::plan::Touched;
use super::request::{Proposal, Proposed};
use super::sessions::{Thawed, busy};
use super::view::{At, View};
use super::{DiffStagingLayer, Inner};
use crate::Result;
use crate::diffing::Sided;
use crate::error::StagingError;
use crate::events::Event;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Patch};
use crate::session::SessionState;
use crate::signature::{Bound, patch_signature};
use crate::store::contents::{self, Entry, Place, Referred};
use crate::store::{Write, meta, patches, sessions};

/// How often a plan is made anew because the session changed under it.
const PLANS_MAX: u32 = 64;

/// How long a call waits for an apply that holds its patches.
const FROZEN_WAIT: Duration = Duration::from_secs(10);
const FROZEN_POLL: Duration = Duration::from_millis(20);

/// Proposals put a session's expiry off at most this often: the index of expiries would
/// be written for each of them.
const PROPOSAL_TOUCH_MS: i64 = 1000;

impl DiffStagingLayer {
    /// Stages one change. The workspace is not touched.
    ///
    /// # Errors
    /// `Stale` when the session had a patch on the file and the file has changed
    /// since: the patch is discarded, and the agent has to read the file again.
    pub fn propose(&self, session: SessionId, proposal: Proposal) -> Result<Proposed> {
        let mut proposed = self.propose_all(session, vec![proposal])?;
        Ok(proposed.pop().expect("one proposal gives one answer"))
    }

    /// Stages changes in their order, each seeing those before it: all or none.
    ///
    /// # Errors
    /// As [`propose`](Self::propose).
    pub fn propose_all(
        &self,
        session: SessionId,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<Proposed>> {
        let first = proposals.first().map(Proposal::path);
        self.0.plan_and_commit(session, first, &|view| {
            proposals.iter().map(|proposal| view.propose(proposal)).collect()
        })
    }
}

/// Plans a change of what is pending in a session, and says which paths it is about.
pub(super) type Plan<'p> = dyn Fn(&mut View<'_>) -> Result<Vec<Touched>> + 'p;

impl Inner {
    /// Plans and commits, anew when something else happens to the session meanwhile. What
    /// is pending at `likely` is read together with the session.
    pub(super) fn plan_and_commit(
        &self,
        session: SessionId,
        likely: Option<&RelPath>,
        plan: &Plan<'_>,
    ) -> Result<Vec<Proposed>> {
        let mut plans = 0;
        self.thawed(|| {
            loop {
                plans += 1;
                match self.attempt(session, likely, plan)? {
                    Attempt::Done(proposed) => return Ok(Thawed::Done(proposed)),
                    Attempt::Frozen(apply) => return Ok(Thawed::Frozen(apply)),
                    Attempt::Overtaken if plans < PLANS_MAX => {}
                    Attempt::Overtaken => {
                        let what = format!("{session} is being changed by another process");
                        return Err(StagingError::Busy { what });
                    }
                }
            }
        })
    }
}

/// What planning and committing once came to.
enum Attempt {
    Done(Vec<Proposed>),
    /// Something else happened to the session; nothing was changed.
    Overtaken,
    /// A patch to replace is on its way to the disk; nothing was changed.
    Frozen(ApplyId),
}

/// One path's pending patch before and after.
struct Step {
    path: RelPath,
    old: Option<Patch>,
    new: Option<Patch>,
    diff: Option<Arc<[u8]>>,
}

impl Step {
    /// Whether the session already wants exactly this.
    fn is_idle(&self) -> bool {
        match (&self.old, &self.new) {
            (None, None) => true,
            (Some(old), Some(new)) => old.signature == new.signature,
            _ => false,
        }
    }
}

impl Inner {
    fn attempt(
        &self,
        session: SessionId,
        likely: Option<&RelPath>,
        plan: &Plan<'_>,
    ) -> Result<Attempt> {
        let (found, generation, at) = self.store.read(|c| {
            let found = super::sessions::require(c, session)?;
            let generation = sessions::counters(c, session)?.map(|counters| counters.generation);
            let at = likely.map(|path| At::read(c, session, path)).transpose()?;
            Ok((found, generation.unwrap_or_default(), at))
        })?;
        self.still_open(found)?;
        let mut view = View::new(self, session);
        if let (Some(path), Some(at)) = (likely, at) {
            view.note(path.clone(), at);
        }
        let mut taken = Vec::new();
        let attempt = self.attempt_in(&mut view, generation, plan, &mut taken);
        if attempt.is_err() {
            taken.clear();
        }
        self.bury(&view.stored, &taken);
        attempt
    }

    fn attempt_in(
        &self,
        view: &mut View<'_>,
        generation: i64,
        plan: &Plan<'_>,
        taken: &mut Vec<Entry>,
    ) -> Result<Attempt> {
        let touched = plan(view)?;
        let steps = self.steps(view)?;
        if self.options.durable_proposals {
            // What the rows refer to has to be there before they are.
            self.blobs.sync()?;
        }
        let outcome = self.store.write_on(self.options.durable_proposals, |write| {
            let counters = sessions::counters(write, view.session)?;
            if counters.is_none_or(|counters| counters.generation != generation) {
                return Ok(Committed::Overtaken);
            }
            self.commit(write, view, &steps, &touched, taken)
        });
        match outcome {
            Ok(Committed::Done(proposed)) => return Ok(Attempt::Done(proposed)),
            Ok(Committed::Overtaken) => {}
            Err(CommitError::Frozen(apply)) => {
                taken.clear();
                return Ok(Attempt::Frozen(apply));
            }
            Err(CommitError::Blobless) => {}
            Err(CommitError::Staging(error)) => return Err(error),
        }
        // Nothing was committed, so nothing that was put is taken.
        taken.clear();
        Ok(Attempt::Overtaken)
    }

    /// What becomes of each touched path, signed and compared.
    fn steps(&self, view: &View<'_>) -> Result<Vec<Step>> {
        let mut steps = Vec::with_capacity(view.planned.len());
        for (path, planned) in &view.planned {
            let old = view.stored_at(path)?;
            let mut step = Step { path: path.clone(), old, new: planned.clone(), diff: None };
            if let Some(new) = &mut step.new {
                new.signature = signature_of(new);
            }
            if !step.is_idle()
                && let Some(new) = &mut step.new
            {
                let with_text = self.store.is_observed();
                let (old, staged) = self.sides(view, new)?;
                (new.diff, step.diff) = self.differ.summarise(new, &old, &staged, with_text);
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn sides(&self, view: &View<'_>, patch: &Patch) -> Result<(Sided, Sided)> {
        let base = patch.base.as_ref().map(|base| (base.digest, base.bytes));
        let staged = patch.staged.map(|staged| (staged.digest, staged.bytes));
        let side = |side: Option<(Digest, u64)>| -> Result<Sided> {
            let Some((digest, bytes)) = side else { return Ok(Sided::Absent) };
            if bytes > self.differ.bytes_max() {
                return Ok(Sided::TooLarge(bytes));
            }
            match view.held(&digest) {
                Some(content) => Ok(Sided::Held(content)),
                None => {
                    let content =
                        self.blobs.read(&digest).map_err(crate::diffing::damaged(&patch.path))?;
                    Ok(Sided::Held(content.into()))
                }
            }
        };
        Ok((side(base)?, side(staged)?))
    }

    /// Under the store's write lock, with the session as it was when planned.
    fn commit(
        &self,
        write: &mut Write<'_>,
        view: &View<'_>,
        steps: &[Step],
        touched: &[Touched],
        taken: &mut Vec<Entry>,
    ) -> Result<Committed, CommitError> {
        let session = super::sessions::require(write, view.session)?;
        if session.state != SessionState::Open {
            let (session, state) = (session.id, session.state);
            return Err(StagingError::SessionNotOpen { session, state }.into());
        }
        if session.orphaned_at.is_some() {
            super::sessions::adopt_orphan(write, &session, self.owner())?;
        }
        let busy_steps: Vec<&Step> = steps.iter().filter(|step| !step.is_idle()).collect();
        // Before the old ones are released: a content may be in both.
        for new in busy_steps.iter().filter_map(|step| step.new.as_ref()) {
            self.refer(write, view, new, taken)?;
        }
        self.discard_old(write, &busy_steps)?;
        let mut now: BTreeMap<&RelPath, Option<Patch>> = BTreeMap::new();
        for step in steps {
            let patch = match &step.new {
                _ if step.is_idle() => step.old.clone(),
                None => None,
                Some(new) => Some(self.insert_new(write, view, steps, step, new)?),
            };
            now.insert(&step.path, patch);
        }
        self.log_steps(write, view, &busy_steps, &now)?;
        self.check_limits(write, view.session)?;
        self.touch(write, &session, PROPOSAL_TOUCH_MS)?;
        let proposed = touched
            .iter()
            .map(|paths| answer(write, view.session, paths, steps, &now))
            .collect::<Result<Vec<_>>>()?;
        Ok(Committed::Done(proposed))
    }

    fn discard_old(&self, write: &mut Write<'_>, steps: &[&Step]) -> Result<(), CommitError> {
        for old in steps.iter().filter_map(|step| step.old.as_ref()) {
            let reason = DiscardReason::Superseded;
            // Nobody asks for what its own agent replaced.
            if patches::discard(write, old.id, reason, None, false)? {
                continue;
            }
            // The session has not changed, so an apply must have taken it.
            let apply = patches::find(write, old.id)?.and_then(|patch| patch.apply);
            return Err(apply.map_or(CommitError::Blobless, CommitError::Frozen));
        }
        Ok(())
    }

    /// Counts a patch's need of its contents.
    fn refer(
        &self,
        write: &Write<'_>,
        view: &View<'_>,
        new: &Patch,
        taken: &mut Vec<Entry>,
    ) -> Result<(), CommitError> {
        let contents = [
            new.base.as_ref().map(|base| (base.digest, base.bytes)),
            new.staged.map(|staged| (staged.digest, staged.bytes)),
        ];
        for (digest, bytes) in contents.into_iter().flatten() {
            let put = view.entry(&digest);
            match contents::refer(write, &digest, put)? {
                Referred::ToTheirs => {}
                Referred::ToOurs => {
                    // A file of its own is removed under the write lock that is
                    // held now, and only while it has no row.
                    let own = put.is_some_and(|put| put.place == Place::Own);
                    if own && !self.blobs.has_own(&digest, bytes) {
                        return Err(CommitError::Blobless);
                    }
                    taken.extend(put);
                }
                Referred::Gone => return Err(CommitError::Blobless),
            }
        }
        Ok(())
    }

    fn insert_new(
        &self,
        write: &Write<'_>,
        view: &View<'_>,
        steps: &[Step],
        step: &Step,
        new: &Patch,
    ) -> Result<Patch, CommitError> {
        let from = view.moved.iter().find(|(_, to)| **to == step.path).map(|(from, _)| from);
        let moved = from.and_then(|from| steps.iter().find(|step| step.path == *from));
        let before = step.old.as_ref().or(moved.and_then(|step| step.old.as_ref()));
        let mut patch = new.clone();
        patch.revision = before.map_or(1, |before| before.revision.saturating_add(1));
        patch.created_at = write.now;
        patch.updated_at = write.now;
        patch.id = patches::insert(write, &patch)?;
        Ok(patch)
    }

    fn log_steps(
        &self,
        write: &mut Write<'_>,
        view: &View<'_>,
        steps: &[&Step],
        now: &BTreeMap<&RelPath, Option<Patch>>,
    ) -> Result<()> {
        let id_at =
            |path: &RelPath| now.get(path).and_then(|patch| patch.as_ref()).map(|patch| patch.id);
        for step in steps {
            let Some(old) = &step.old else { continue };
            let moved = view.moved.get(&step.path).and_then(id_at);
            write.log(Event::PatchSuperseded {
                patch: old.id,
                session: old.session,
                path: old.path.clone(),
                by: id_at(&step.path).or(moved),
            })?;
        }
        for step in steps {
            let Some(Some(patch)) = now.get(&step.path) else { continue };
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

    /// Repeats a step until no apply holds its patches. When the process of that
    /// apply is dead, the workspace's lock is free, and recovery frees them.
    pub(super) fn thawed<T>(&self, mut step: impl FnMut() -> Result<Thawed<T>>) -> Result<T> {
        let deadline = Instant::now() + FROZEN_WAIT;
        loop {
            let apply = match step()? {
                Thawed::Done(done) => return Ok(done),
                Thawed::Frozen(apply) => apply,
            };
            if Instant::now() >= deadline {
                return Err(busy(apply));
            }
            if !self.recover_if_free()? {
                std::thread::sleep(FROZEN_POLL);
            }
        }
    }
}

/// What committing came to.
enum Committed {
    Done(Vec<Proposed>),
    Overtaken,
}

/// Why a commit was taken back.
enum CommitError {
    Staging(StagingError),
    Frozen(ApplyId),
    /// A blob is gone that another call no longer needed: it is written again.
    Blobless,
}

impl From<StagingError> for CommitError {
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

/// The signature that belongs to a patch's content.
fn signature_of(patch: &Patch) -> crate::signature::Signature {
    patch_signature(&Bound {
        path: &patch.path,
        rename_to: patch.rename_to.as_ref(),
        operation: patch.operation,
        base: patch.base.as_ref().map(|base| (base.digest, base.mode)),
        staged: patch.staged.map(|staged| (staged.digest, staged.mode)),
    })
}

fn answer(
    write: &Write<'_>,
    session: SessionId,
    paths: &Touched,
    steps: &[Step],
    now: &BTreeMap<&RelPath, Option<Patch>>,
) -> Result<Proposed> {
    let at = |path: &RelPath| now.get(path).cloned().flatten();
    let (main, others) = paths.split_first().expect("a proposal concerns a path");
    let patch = at(main);
    let superseded: Option<PatchId> = paths
        .iter()
        .filter_map(|path| steps.iter().find(|step| step.path == *path))
        .filter(|step| !step.is_idle())
        .find_map(|step| step.old.as_ref())
        .map(|old| old.id);
    let mut also_pending_in = patches::sessions_at(write, main, session)?;
    if let Some(to) = patch.as_ref().and_then(|patch| patch.rename_to.as_ref()) {
        also_pending_in.extend(patches::sessions_at(write, to, session)?);
        also_pending_in.sort_unstable();
        also_pending_in.dedup();
    }
    Ok(Proposed {
        withdrawn: patch.is_none(),
        also_changed: others.iter().filter_map(at).collect(),
        patch,
        superseded,
        also_pending_in,
    })
}
