//! Committing what was planned: patches, what they need of contents, and their events, in
//! one transaction, if nothing else happened to the session meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use atomic_fs::{Digest, RelPath};

use super::Inner;
use super::plan::Touched;
use super::request::Proposed;
use super::view::{PLANNED, View};
use crate::Result;
use crate::error::StagingError;
use crate::events::Event;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Patch};
use crate::session::SessionState;
use crate::store::contents::{self, Entry, Place, Referred};
use crate::store::patches::Needs;
use crate::store::{Write, meta, patches, sessions};

/// Proposals put a session's expiry off at most this often: the index of expiries would
/// be written for each of them.
const PROPOSAL_TOUCH_MS: i64 = 1000;

/// Plans of one session that are committed together, in their order. Each was made as if those
/// before it were not there, except where [`Ready::outcome_at`] told it what they leave.
pub(super) struct Plans<'a> {
    pub(super) session: SessionId,
    /// The session's, as it was planned for.
    pub(super) generation: i64,
    pub(super) ready: Vec<Ready<'a>>,
}

/// A plan that can be committed.
pub(super) struct Ready<'a> {
    pub(super) view: View<'a>,
    /// What becomes of each path.
    pub(super) steps: Vec<Step>,
    /// Which paths each of its proposals is about.
    pub(super) touched: Vec<Touched>,
}

impl Ready<'_> {
    /// Whether something pending at a path becomes something else.
    pub(super) fn changes(&self, path: &RelPath) -> bool {
        self.steps.iter().any(|step| step.path == *path)
    }

    /// The patch that this plan leaves at a path, when that is all it is about. As long as it
    /// is not committed its id is [`PLANNED`].
    pub(super) fn outcome_at(&self, path: &RelPath) -> Option<&Patch> {
        let [step] = self.steps.as_slice() else { return None };
        if step.path != *path || !self.view.moved.is_empty() {
            return None;
        }
        let is_rename = |patch: &Patch| patch.rename_to.is_some();
        if step.old.as_ref().is_some_and(is_rename) {
            return None;
        }
        let patch = if step.is_idle() { step.old.as_ref() } else { step.new.as_ref() };
        // Who goes on from there may need the contents, which the store does not know yet.
        let at_hand =
            |digest: &Digest| self.view.held(digest).is_some() || self.view.entry(digest).is_none();
        patch.filter(|patch| {
            let mut contents = contents_of(patch).into_iter().flatten();
            !is_rename(patch) && contents.all(|(digest, _)| at_hand(&digest))
        })
    }
}

/// One path's pending patch before and after.
pub(super) struct Step {
    pub(super) path: RelPath,
    pub(super) old: Option<Patch>,
    pub(super) new: Option<Patch>,
    pub(super) diff: Option<Arc<[u8]>>,
}

impl Step {
    /// Whether the session already wants exactly this.
    pub(super) fn is_idle(&self) -> bool {
        match (&self.old, &self.new) {
            (None, None) => true,
            (Some(old), Some(new)) => old.signature == new.signature,
            _ => false,
        }
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
        patch.base.as_ref().map(|base| (base.digest, base.bytes)),
        patch.staged.map(|staged| (staged.digest, staged.bytes)),
    ]
}

/// What committing one session's plans came to.
pub(super) enum Committed {
    /// The answers of each plan.
    Done(Vec<Vec<Proposed>>),
    /// Something else happened to the session; nothing of it was changed.
    Overtaken,
}

/// Why a commit was taken back.
pub(super) enum CommitError {
    Staging(StagingError),
    /// A patch to replace is on its way to the disk.
    Frozen(ApplyId),
    /// A content is gone that another call no longer needed: it is written again.
    Blobless,
}

impl From<StagingError> for CommitError {
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

impl Inner {
    /// Commits plans of several sessions in one transaction, and says what came of each
    /// session's; all of it is taken back on an error. What they put is given back as far as
    /// it is not needed.
    pub(super) fn commit_plans(
        &self,
        plans: &mut [Plans<'_>],
    ) -> Result<Vec<Committed>, CommitError> {
        let mut taken = Vec::new();
        let committed = self.commit_taking(plans, &mut taken);
        if committed.is_err() {
            // Nothing was committed, so nothing that was put is needed.
            taken.clear();
        }
        for ready in plans.iter().flat_map(|plans| &plans.ready) {
            self.bury(&ready.view.stored, &taken);
        }
        committed
    }

    fn commit_taking(
        &self,
        plans: &mut [Plans<'_>],
        taken: &mut Vec<Entry>,
    ) -> Result<Vec<Committed>, CommitError> {
        if self.options.durable_proposals {
            // What the rows refer to has to be there before they are.
            self.blobs.sync()?;
        }
        self.store.write_on(self.options.durable_proposals, |write| {
            plans.iter_mut().map(|plans| self.write_plans(write, plans, taken)).collect()
        })
    }

    /// Under the store's write lock.
    fn write_plans(
        &self,
        write: &mut Write<'_>,
        plans: &mut Plans<'_>,
        taken: &mut Vec<Entry>,
    ) -> Result<Committed, CommitError> {
        let counters = sessions::counters(write, plans.session)?;
        if counters.is_none_or(|counters| counters.generation != plans.generation) {
            return Ok(Committed::Overtaken);
        }
        let session = super::sessions::require(write, plans.session)?;
        if session.state != SessionState::Open {
            let (session, state) = (session.id, session.state);
            return Err(StagingError::SessionNotOpen { session, state }.into());
        }
        if session.orphaned_at.is_some() {
            super::sessions::adopt_orphan(write, &session, self.owner())?;
        }
        // Most often there are none, and nothing has to be looked for.
        let any_lapsed = patches::any_lapsed(write)?;
        let mut answers = Vec::with_capacity(plans.ready.len());
        let mut written: HashMap<RelPath, Patch> = HashMap::new();
        for ready in &mut plans.ready {
            for step in &mut ready.steps {
                if step.old.as_ref().is_some_and(|old| old.id == PLANNED) {
                    step.old = written.remove(&step.path);
                }
            }
            let now = self.write_plan(write, ready, any_lapsed, taken)?;
            let patches = ready.touched.iter().map(|paths| answer(write, ready, paths, &now));
            answers.push(patches.collect::<Result<Vec<_>>>()?);
            written.extend(now.into_iter().filter_map(|(path, patch)| Some((path, patch?))));
        }
        self.check_limits(write, session.id)?;
        self.touch(write, &session, PROPOSAL_TOUCH_MS)?;
        Ok(Committed::Done(answers))
    }

    /// Gives what is pending at each of its paths afterwards.
    fn write_plan(
        &self,
        write: &mut Write<'_>,
        plan: &Ready<'_>,
        any_lapsed: bool,
        taken: &mut Vec<Entry>,
    ) -> Result<BTreeMap<RelPath, Option<Patch>>, CommitError> {
        let Ready { view, steps, .. } = plan;
        let busy_steps: Vec<&Step> = steps.iter().filter(|step| !step.is_idle()).collect();
        // Before the old ones are released: a content may be in both.
        for step in &busy_steps {
            self.refer(write, view, step, taken)?;
        }
        self.discard_old(write, &busy_steps)?;
        let settled = match any_lapsed {
            true => settle_lapsed(write, view.session, steps)?,
            false => Vec::new(),
        };
        let batch = batch_of(write, steps, &settled)?;
        let mut now: BTreeMap<RelPath, Option<Patch>> = BTreeMap::new();
        for step in steps {
            let patch = match &step.new {
                _ if step.is_idle() => step.old.clone(),
                None => None,
                Some(new) => Some(self.insert_new(write, view, steps, step, new)?),
            };
            now.insert(step.path.clone(), patch);
        }
        set_batch(write, &mut now, batch)?;
        self.log_steps(write, view, &busy_steps, &now)?;
        for patch in settled {
            write.log(Event::PatchRefreshed {
                by: now.get(&patch.path).and_then(|now| now.as_ref()).map(|now| now.id),
                patch: patch.id,
                session: patch.session,
                path: patch.path,
            })?;
        }
        Ok(now)
    }

    fn discard_old(&self, write: &mut Write<'_>, steps: &[&Step]) -> Result<(), CommitError> {
        for step in steps {
            let Some(old) = &step.old else { continue };
            let (reason, taken_over) = (DiscardReason::Superseded, step.taken_over());
            // Nobody asks for what its own agent replaced.
            let needs = Needs::End { taken_over: &taken_over };
            if patches::discard(write, old.id, reason, None, needs)? {
                continue;
            }
            // The session has not changed, so an apply must have taken it.
            let apply = patches::find(write, old.id)?.and_then(|patch| patch.apply);
            return Err(apply.map_or(CommitError::Blobless, CommitError::Frozen));
        }
        Ok(())
    }

    /// Counts a new patch's need of its contents, but for what it takes over from the old one.
    fn refer(
        &self,
        write: &Write<'_>,
        view: &View<'_>,
        step: &Step,
        taken: &mut Vec<Entry>,
    ) -> Result<(), CommitError> {
        let mut taken_over = step.taken_over();
        for (digest, bytes) in step.new.as_ref().map(contents_of).into_iter().flatten().flatten() {
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
        now: &BTreeMap<RelPath, Option<Patch>>,
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
    let old = steps.iter().filter_map(|step| step.old.as_ref()).chain(settled);
    let batches: BTreeSet<PatchId> = old.filter_map(|patch| patch.batch).collect();
    let mut batches = batches.into_iter();
    let Some(first) = batches.next() else { return Ok(None) };
    for other in batches {
        patches::join_batches(write, other, first)?;
    }
    Ok(Some(first))
}

/// Notes that patches were staged together.
fn set_batch(
    write: &Write<'_>,
    now: &mut BTreeMap<RelPath, Option<Patch>>,
    batch: Option<PatchId>,
) -> Result<()> {
    let first = now.values().flatten().map(|patch| patch.id).min();
    let several = now.values().flatten().nth(1).is_some();
    let Some(batch) = batch.or(first.filter(|_| several)) else { return Ok(()) };
    for patch in now.values_mut().flatten().filter(|patch| patch.batch != Some(batch)) {
        patches::set_batch(write, patch.id, batch)?;
        patch.batch = Some(batch);
    }
    Ok(())
}

fn answer(
    write: &Write<'_>,
    plan: &Ready<'_>,
    paths: &Touched,
    now: &BTreeMap<RelPath, Option<Patch>>,
) -> Result<Proposed> {
    let Ready { view: View { session, .. }, steps, .. } = plan;
    let at = |path: &RelPath| now.get(path).cloned().flatten();
    let (main, others) = paths.split_first().expect("a proposal concerns a path");
    let patch = at(main);
    let superseded: Option<PatchId> = paths
        .iter()
        .filter_map(|path| steps.iter().find(|step| step.path == *path))
        .filter(|step| !step.is_idle())
        .find_map(|step| step.old.as_ref())
        .map(|old| old.id);
    let mut also_pending_in = patches::sessions_at(write, main, *session)?;
    if let Some(to) = patch.as_ref().and_then(|patch| patch.rename_to.as_ref()) {
        also_pending_in.extend(patches::sessions_at(write, to, *session)?);
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
