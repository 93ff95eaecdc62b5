//! Bringing an approved set to the disk, and tidying up after the answer.

use std::collections::{BTreeMap, HashSet};
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use atomic_fs::{
    Applied, Change, ChangeSet, Conflict, Digest, EmptiedDirs, Expected, FsError, Kept,
    Operation as FsOperation, Outcome, RelPath, Unfinished, WorkspaceLock,
};

use rusqlite::Connection;

use super::attested::attestable;
use super::request::{ApplyOutcome, ApplyReport, ApplyRequest, ApplyStatus, PatchApply};
use super::review::not_pending;
use super::sessions::{discard_one, held_by};
use super::undo::{put_back, reopen};
use super::view::brought_by;
use super::{DiffStagingLayer, Inner, set_ids};
use crate::Result;
use crate::approval::Approval;
use crate::base::Base;
use crate::error::StagingError;
use crate::events::{ClientAttestation, Event};
use crate::ids::{ApplyId, PatchId, RequestId, SessionId};
use crate::patch::{DiscardReason, EntryKind, Operation, Patch, PatchState, StagedContent};
use crate::signature::{Signature, set_signature};
use crate::store::applies::{self, ApplyState};
use crate::store::{Write, patches, unpoisoned};
use crate::waiting::{self, Activity, LockKind, SAID_AFTER, Waiting};

/// How soon the workspace's lock is asked for again, at first and at most, in the time in which
/// nothing is said of it.
const LOCK_POLL: Duration = Duration::from_millis(1);
const LOCK_POLL_MAX: Duration = Duration::from_millis(20);

/// What an apply left to tidy, with the lock that keeps others from it.
pub(super) struct Tidying {
    pub(super) lock: WorkspaceLock,
    pub(super) unfinished: Unfinished,
    pub(super) apply: ApplyId,
}

impl DiffStagingLayer {
    /// Applies one change set, whole or not at all; back when the outcome is on
    /// the disk. Call [`tidy`](Self::tidy) once the answer is given.
    ///
    /// # Durability
    /// A committed set survives a power cut when this returns. The store's record
    /// of it may not before `tidy`; recovery then takes it from the journal.
    ///
    /// # Errors
    /// `Stale` after the stale patches were discarded; `SignatureMismatch`,
    /// `ConfirmationMissing`, `Conflict`, `Incomplete`; `RolledBack` when the disk
    /// failed. With each of them nothing has changed and the rest stays pending.
    /// `InDoubt` when a sync failed after the swaps: recovery decides.
    pub fn apply(&self, request: &ApplyRequest) -> Result<ApplyReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let lock = inner.begin(&mut gate)?;
        if let Some(name) = &request.request
            && let Some(status) = self.apply_status(name)?
        {
            return already(status);
        }
        let patches = inner.approved(self, request)?;
        let ids: Vec<PatchId> = patches.iter().map(|patch| patch.id).collect();
        if request.dry_run {
            return Ok(report(None, ids));
        }
        inner.bring(&mut gate, lock, &patches, &Plan::of(request))
    }

    /// How the apply of this name stands, in whatever process it ran; `None` when none
    /// has begun. Does not wait for one that runs.
    pub fn apply_status(&self, request: &RequestId) -> Result<Option<ApplyStatus>> {
        self.0.store.read(|connection| {
            let Some((apply, state, reason)) = applies::named(connection, request)? else {
                return Ok(None);
            };
            let patches = applies::patches(connection, apply)?;
            Ok(Some(ApplyStatus { apply, outcome: outcome_of(state), patches, reason }))
        })
    }

    /// The applies that a patch was in, oldest first.
    pub fn applies_of(&self, patch: PatchId) -> Result<Vec<PatchApply>> {
        let found = self.0.store.look(|connection| applies::of_patch(connection, patch))?;
        let each = found.into_iter().map(|of| PatchApply {
            apply: of.apply,
            outcome: outcome_of(of.state),
            undone_by: of.undone_by,
            approval: of.approval,
        });
        Ok(each.collect())
    }

    /// Removes what an apply left beside the files, and makes the store's record
    /// of it durable. Gives the files with a user's bytes that were found.
    pub fn tidy(&self) -> Result<Vec<Kept>> {
        self.0.tidy()
    }
}

/// The directories that applies of Greenroom's own made, above files that this one deleted.
fn made_for_deleted(connection: &Connection, apply: ApplyId) -> Result<Vec<RelPath>> {
    let patches = patches::of_apply(connection, apply)?;
    let is_above = |dir: &RelPath| {
        let is_below =
            |patch: &Patch| patch.operation == Operation::Delete && patch.path.starts_with(dir);
        patches.iter().any(is_below)
    };
    Ok(applies::own_made_dirs(connection)?.into_iter().filter(is_above).collect())
}

fn outcome_of(state: ApplyState) -> Option<ApplyOutcome> {
    match state {
        ApplyState::Started => None,
        ApplyState::Committed => Some(ApplyOutcome::Committed),
        ApplyState::RolledBack => Some(ApplyOutcome::RolledBack),
        ApplyState::InDoubt => Some(ApplyOutcome::InDoubt),
    }
}

/// What is noted of an apply beside its patches.
pub(super) struct Plan<'p> {
    pub(super) request: Option<&'p RequestId>,
    pub(super) attested_by: Option<ClientAttestation>,
    pub(super) approval: &'p Approval,
    pub(super) is_own: bool,
    /// The undone apply that it repeats.
    pub(super) redoes: Option<ApplyId>,
}

impl<'p> Plan<'p> {
    fn of(request: &'p ApplyRequest) -> Self {
        Self {
            request: request.request.as_ref(),
            attested_by: request.attested_by.clone(),
            approval: &request.approval,
            is_own: request.is_own,
            redoes: None,
        }
    }
}

impl Inner {
    /// Brings approved patches to the disk, whole or not at all, and records the outcome.
    pub(super) fn bring(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
        lock: WorkspaceLock,
        patches: &[Patch],
        plan: &Plan<'_>,
    ) -> Result<ApplyReport> {
        let (apply, set_id) = self.start(patches, plan)?;
        let set = ChangeSet {
            id: set_id,
            changes: patches.iter().flat_map(changes).collect(),
            // Greenroom's own changes of settings know which directories they made.
            emptied_dirs: match plan.is_own {
                true => EmptiedDirs::Keep,
                false => EmptiedDirs::Remove,
            },
        };
        let span = tracing::info_span!("apply", %apply, changes = set.changes.len());
        let (applied, undo_data) = self.beside_undo_data(patches, || {
            span.in_scope(|| self.workspace.apply(&lock, &set, &self.blobs))
        });
        let mut concluded = self.conclude(gate, lock, apply, patches, applied);
        if let (Ok(report), Err(error)) = (&mut concluded, undo_data) {
            report.warnings.push(format!("a power cut may take what undo needs: {error}"));
        }
        concluded
    }

    /// Makes the bases durable while the set is applied, so that undo works after a
    /// power cut: one sync more, whatever the number of files, when they lie in one
    /// pack.
    fn beside_undo_data<T>(&self, patches: &[Patch], work: impl FnOnce() -> T) -> (T, Result<()>) {
        let bases: Vec<Digest> = patches
            .iter()
            .filter_map(|patch| patch.base.as_ref())
            .map(|base| base.digest)
            .collect();
        if bases.is_empty() {
            return (work(), Ok(()));
        }
        std::thread::scope(|scope| {
            let (blobs, bases) = (&self.blobs, &bases);
            let sync = move || blobs.sync_contents(bases);
            // Where the system gives no more threads, one after the other.
            let Ok(syncing) = std::thread::Builder::new().spawn_scoped(scope, sync) else {
                return (work(), sync());
            };
            let worked = work();
            let panicked = || StagingError::NotCommitted { reason: "the sync panicked".to_owned() };
            (worked, syncing.join().unwrap_or_else(|_| Err(panicked())))
        })
    }

    pub(super) fn tidy(&self) -> Result<Vec<Kept>> {
        self.finish_tidying(&mut unpoisoned(&self.gate))
    }

    /// Takes the workspace's lock; says for whom it waits once that has lasted a while.
    pub(super) fn lock_workspace(&self) -> Result<WorkspaceLock> {
        let begun = Instant::now();
        let mut pause = LOCK_POLL;
        while begun.elapsed() < SAID_AFTER {
            if let Some(lock) = self.workspace.try_lock()? {
                return Ok(lock);
            }
            std::thread::sleep(pause);
            pause = LOCK_POLL_MAX.min(pause * 2);
        }
        self.say_waiting(Activity::ChangesWorkspace);
        Ok(self.workspace.lock()?)
    }

    /// Says that a call waits for whoever has the workspace's lock.
    pub(super) fn say_waiting(&self, activity: Activity) {
        let lock = self.options.state_dir.join(atomic_fs::LOCK_FILE);
        let process = waiting::holder(&lock, LockKind::Whole);
        self.options.wait_observer.tell(&Waiting { activity, process });
    }

    /// Takes the workspace's lock with nothing left of any apply before.
    pub(super) fn begin(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
    ) -> Result<WorkspaceLock> {
        if let Err(error) = self.finish_tidying(gate) {
            tracing::warn!(%error, "recovery tidies what the last apply left");
        }
        let lock = self.lock_workspace()?;
        self.recover_under(&lock)?;
        Ok(lock)
    }

    /// On an error the journal stays, and recovery finishes.
    pub(super) fn finish_tidying(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
    ) -> Result<Vec<Kept>> {
        let Some(Tidying { lock, unfinished, apply }) = gate.take() else {
            return Ok(Vec::new());
        };
        let kept = self.workspace.clean_up(&lock, &unfinished)?;
        self.remove_emptied_dirs(&lock, apply)?;
        // Everything committed before is durable with this.
        self.store.write_durably(|write| applies::set_tidied(write, apply))?;
        self.workspace.forget(&lock, unfinished)?;
        Ok(kept)
    }

    /// Where an apply took another one back: removes the directories that the other had
    /// made, as far as they are empty; where it took Greenroom's settings out of an agent's,
    /// those that held them and were made for them. They are no part of the promise: where one
    /// cannot be removed it stays.
    pub(super) fn remove_emptied_dirs(&self, lock: &WorkspaceLock, apply: ApplyId) -> Result<()> {
        let dirs = self.store.read(|connection| match applies::undoes(connection, apply)? {
            Some(target) => applies::made_dirs(connection, target),
            None if applies::is_own(connection, apply)? => made_for_deleted(connection, apply),
            None => Ok(Vec::new()),
        })?;
        if let Err(error) = self.workspace.remove_empty_dirs(lock, &dirs) {
            tracing::warn!(%apply, %error, "a directory that it had made stays");
        }
        Ok(())
    }

    /// What may be applied of what was asked for, or why nothing may.
    fn approved(&self, layer: &DiffStagingLayer, request: &ApplyRequest) -> Result<Vec<Patch>> {
        let selection = match layer.select(&request.ids) {
            // What was approved is not what is pending now.
            Err(StagingError::NotPending { patch, reason, .. })
                if reason == Some(DiscardReason::Superseded) && request.expect.is_some() =>
            {
                return Err(self.superseded(layer, request, patch)?);
            }
            selection => selection?,
        };
        if !selection.stale.is_empty() {
            return Err(StagingError::Stale { patches: selection.stale });
        }
        if !selection.lapsed.is_empty() && !request.rest {
            return Err(StagingError::LostParts { patches: selection.lapsed });
        }
        let patches = selection.patches;
        if let Some(expected) = request.expect
            && expected != selection.signature
        {
            let found = selection.signature;
            return Err(StagingError::SignatureMismatch { expected, found });
        }
        if patches.is_empty() {
            return Err(StagingError::NothingPending);
        }
        if request.attested_by.is_some() {
            attestable(&patches, request.expect)?;
        }
        check_conflicts(&patches)?;
        self.check_complete(&patches)?;
        let unconfirmed: Vec<Patch> =
            patches.iter().filter(|patch| patch.diff.full_replace).cloned().collect();
        if !unconfirmed.is_empty() && !request.confirm_full_replace {
            return Err(StagingError::ConfirmationMissing { patches: unconfirmed });
        }
        Ok(patches)
    }

    /// The mismatch between what was approved and what replaced it.
    fn superseded(
        &self,
        layer: &DiffStagingLayer,
        request: &ApplyRequest,
        patch: PatchId,
    ) -> Result<StagingError> {
        let old = layer.patch(patch)?;
        let now = self.store.look(|c| patches::at_path(c, old.session, &old.path))?;
        let found = set_signature(now.as_slice());
        Ok(match request.expect {
            Some(expected) => StagingError::SignatureMismatch { expected, found },
            None => not_pending(&old),
        })
    }

    /// Refuses what comes to a path without the patches that free it: the file there, a file in
    /// place of a directory on the way, and what is in a directory that makes way.
    fn check_complete(&self, patches: &[Patch]) -> Result<()> {
        let approved: HashSet<PatchId> = patches.iter().map(|patch| patch.id).collect();
        let mut looked_at: HashSet<(SessionId, RelPath)> = HashSet::new();
        for patch in patches {
            let is_emptied = patch.base.as_ref().map(Base::kind) == Some(EntryKind::Directory);
            let Some(to) = brought_by(patch).or(is_emptied.then_some(&patch.path)) else {
                continue;
            };
            // A new directory takes no place that a directory has.
            let mut needed = match patch.kind() == EntryKind::Directory && patch.base.is_none() {
                true => Vec::new(),
                false => self.store.look(|c| patches::freeing_below(c, patch.session, to))?,
            };
            let above = std::iter::successors(to.parent(), RelPath::parent);
            for path in patch.rename_to.clone().into_iter().chain(above) {
                if !looked_at.insert((patch.session, path.clone())) {
                    break;
                }
                let there = self.store.look(|c| patches::at_path(c, patch.session, &path))?;
                let makes_way = |other: &Patch| {
                    let is_kept = other.kind() == EntryKind::Directory && !other.changes_kind();
                    !is_kept && (other.frees(&path) || other.changes_kind())
                };
                needed.extend(there.filter(makes_way));
            }
            if let Some(needs) = needed.iter().find(|needs| !approved.contains(&needs.id)) {
                let (patch, needs, path) = (patch.id, needs.id, to.clone());
                return Err(StagingError::Incomplete { patch, needs, path });
            }
        }
        Ok(())
    }

    /// Takes the patches for an apply, if they are still what was approved.
    fn start(&self, approved: &[Patch], plan: &Plan<'_>) -> Result<(ApplyId, String)> {
        let signature = set_signature(approved);
        self.store.write(|write| {
            for patch in approved {
                if plan.redoes.is_some() && patch.state != PatchState::Pending {
                    reopen(write, patch)?;
                }
                let now = patches::find(write, patch.id)?
                    .ok_or(StagingError::PatchNotFound { patch: patch.id })?;
                if now.state != PatchState::Pending {
                    return Err(overtaken(write, approved, signature)?);
                }
                if let Some(apply) = now.apply {
                    return Err(held_by(write, apply)?);
                }
            }
            let ids: Vec<PatchId> = approved.iter().map(|patch| patch.id).collect();
            let set_suffix = set_ids::suffix(write)?;
            let start = applies::Start {
                set_suffix: &set_suffix,
                signature,
                approval: plan.approval,
                is_own: plan.is_own,
            };
            let now = write.now;
            let (apply, set_id) = applies::start(write, &start, &ids, now)?;
            if let Some(name) = plan.request {
                applies::name(write, apply, name)?;
            }
            write.log(Event::ApplyStarted {
                apply,
                patches: ids,
                signature,
                attested_by: plan.attested_by.clone(),
                approval: Some(plan.approval.clone()),
                undoes: None,
                redoes: plan.redoes,
            })?;
            Ok((apply, set_id))
        })
    }

    /// Records the outcome, in one transaction, and answers.
    fn conclude(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
        lock: WorkspaceLock,
        apply: ApplyId,
        approved: &[Patch],
        applied: Applied,
    ) -> Result<ApplyReport> {
        let Applied { outcome, unfinished, kept, edited, made_dirs, removed_dirs, .. } = applied;
        let dirs = ChangedDirs { made: &made_dirs, removed: &removed_dirs };
        let record = |write: &mut Write<'_>| match &outcome {
            Outcome::Committed => commit(write, apply, dirs).map(|()| Vec::new()),
            Outcome::Conflicts(conflicts) => {
                turn_back(write, apply, approved, conflicts, self.keeps_history())
            }
            Outcome::RolledBack(error) => {
                let reason = reason_of(error);
                roll_back(write, apply, &reason).map(|()| Vec::new())
            }
            outcome => {
                let reason = match outcome {
                    Outcome::InDoubt(error) => reason_of(error),
                    _ => "an outcome this version does not know".to_owned(),
                };
                let now = write.now;
                applies::decide(write, apply, ApplyState::InDoubt, Some(&reason), now)?;
                write.log(Event::ApplyInDoubt { apply, reason })?;
                Ok(Vec::new())
            }
        };
        let recorded = self.store.with_reserve(|| self.store.write(record));
        let stale = match recorded {
            Ok(stale) => stale,
            Err(error) => return Err(unrecorded(apply, outcome, error)),
        };
        // While the outcome is in doubt the journal is recovery's, and nothing is
        // left for us to finish.
        if let Some(unfinished) = unfinished {
            **gate = Some(Tidying { lock, unfinished, apply });
        }
        match outcome {
            Outcome::Committed => {
                let ids = approved.iter().map(|patch| patch.id).collect();
                let mut report = report(Some(apply), ids);
                report.kept = kept.iter().map(|kept| kept.file.display().to_string()).collect();
                report.warnings = edited
                    .iter()
                    .map(|Conflict { path, difference }| {
                        format!("`{path}` was edited meanwhile: {difference}")
                    })
                    .collect();
                Ok(report)
            }
            Outcome::Conflicts(_) if !stale.is_empty() => {
                Err(StagingError::Stale { patches: stale })
            }
            Outcome::Conflicts(conflicts) => {
                let reason = reason_of_conflicts(&conflicts);
                Err(StagingError::RolledBack { apply, source: FsError::BadChangeSet { reason } })
            }
            Outcome::RolledBack(source) => Err(StagingError::RolledBack { apply, source }),
            Outcome::InDoubt(source) => Err(StagingError::InDoubt { apply, source }),
            _ => Err(StagingError::NotRecovered { reason: "its outcome is unknown".to_owned() }),
        }
    }
}

/// The answer to an apply whose name was used before: how that one ended.
fn already(status: ApplyStatus) -> Result<ApplyReport> {
    match status.outcome {
        Some(ApplyOutcome::Committed) => Ok(report(Some(status.apply), status.patches)),
        outcome => Err(StagingError::AlreadyAsked {
            apply: status.apply,
            how: match outcome {
                Some(ApplyOutcome::RolledBack) => "was rolled back, nothing changed",
                _ => "is in doubt: `recover` decides",
            },
        }),
    }
}

/// The directories that an apply made and took away, or emptied.
#[derive(Clone, Copy)]
pub(super) struct ChangedDirs<'d> {
    pub(super) made: &'d [RelPath],
    pub(super) removed: &'d [applies::RemovedDir],
}

/// Records that an apply's patches are on the disk.
pub(super) fn commit(write: &mut Write<'_>, apply: ApplyId, dirs: ChangedDirs<'_>) -> Result<()> {
    let now = write.now;
    applies::decide(write, apply, ApplyState::Committed, None, now)?;
    applies::set_made_dirs(write, apply, dirs.made)?;
    applies::set_removed_dirs(write, apply, dirs.removed)?;
    for patch in patches::of_apply(write, apply)? {
        let (session, path) = (patch.session, patch.path);
        write.log(Event::PatchApplied { patch: patch.id, session, path, apply })?;
    }
    if let Some(target) = applies::undoes(write, apply)? {
        applies::set_undone(write, target, apply)?;
        write.log(Event::ApplyUndone { apply: target, by: apply })?;
        put_back(write, target)?;
    }
    write.log(Event::ApplyCommitted { apply })
}

/// Records that nothing changed; the patches can be decided again.
pub(super) fn roll_back(write: &mut Write<'_>, apply: ApplyId, reason: &str) -> Result<()> {
    let now = write.now;
    applies::decide(write, apply, ApplyState::RolledBack, Some(reason), now)?;
    write.log(Event::ApplyRolledBack { apply, reason: reason.to_owned() })
}

/// The same, when files were not what they had to be: their patches are stale.
fn turn_back(
    write: &mut Write<'_>,
    apply: ApplyId,
    approved: &[Patch],
    conflicts: &[Conflict],
    keep: bool,
) -> Result<Vec<Patch>> {
    roll_back(write, apply, &reason_of_conflicts(conflicts))?;
    let paths: HashSet<&RelPath> = conflicts.iter().map(|conflict| &conflict.path).collect();
    let concerned = |patch: &&Patch| {
        paths.contains(&patch.path) || patch.rename_to.as_ref().is_some_and(|to| paths.contains(to))
    };
    let mut stale = Vec::new();
    for patch in approved.iter().filter(concerned) {
        stale.extend(discard_one(write, patch.id, DiscardReason::Stale, None, keep)?);
    }
    Ok(stale)
}

pub(super) fn reason_of_conflicts(conflicts: &[Conflict]) -> String {
    let named: Vec<String> = conflicts
        .iter()
        .map(|Conflict { path, difference }| format!("`{path}`: {difference}"))
        .collect();
    named.join("; ")
}

/// An error with what is behind it, for the log.
pub(super) fn reason_of(error: &FsError) -> String {
    use std::error::Error as _;
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason.push_str(": ");
        reason.push_str(&inner.to_string());
        source = inner.source();
    }
    reason
}

/// The outcome stands, but the store could not be told. When the files are
/// swapped, recovery tells it from the journal.
pub(super) fn unrecorded(apply: ApplyId, outcome: Outcome, error: StagingError) -> StagingError {
    match outcome {
        Outcome::Committed => StagingError::NotRecorded { apply, source: Box::new(error) },
        Outcome::InDoubt(source) => StagingError::InDoubt { apply, source },
        _ => error,
    }
}

/// Why what was approved is no longer what is pending.
fn overtaken(write: &Write<'_>, approved: &[Patch], expected: Signature) -> Result<StagingError> {
    let mut now = Vec::new();
    for patch in approved {
        now.extend(patches::at_path(write, patch.session, &patch.path)?);
    }
    Ok(StagingError::SignatureMismatch { expected, found: set_signature(&now) })
}

pub(super) fn report(apply: Option<ApplyId>, patches: Vec<PatchId>) -> ApplyReport {
    ApplyReport {
        apply,
        outcome: ApplyOutcome::Committed,
        patches,
        stale: Vec::new(),
        warnings: Vec::new(),
        kept: Vec::new(),
    }
}

/// Refuses two sessions' patches on one file.
fn check_conflicts(patches: &[Patch]) -> Result<()> {
    let mut by_path: BTreeMap<&RelPath, &Patch> = BTreeMap::new();
    for patch in patches {
        for path in std::iter::once(&patch.path).chain(&patch.rename_to) {
            match by_path.insert(path, patch) {
                Some(other) if other.session != patch.session => {
                    return Err(StagingError::Conflict {
                        path: path.clone(),
                        patches: (other.id, patch.id),
                        sessions: (other.session, patch.session),
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A patch as atomic-fs takes it. Where a directory takes the place of a file, or makes way for
/// one, that is two changes: one goes, the other comes.
pub(super) fn changes(patch: &Patch) -> Vec<Change> {
    let change = |expected, operation| Change { path: patch.path.clone(), expected, operation };
    let Some(base) = &patch.base else {
        return patch
            .staged
            .map(|staged| change(Expected::Absent, bring(staged)))
            .into_iter()
            .collect();
    };
    let expected = base.expected();
    let Some(staged) = patch.staged else { return vec![change(expected, take_away(base.kind()))] };
    let operation = match (patch.operation, &patch.rename_to) {
        (Operation::Rename, Some(to)) => FsOperation::Rename {
            to: to.clone(),
            staged: Some(staged.fingerprint()).filter(|staged| *staged != base.fingerprint()),
        },
        (Operation::Mode, _) => FsOperation::SetMode { mode: staged.mode },
        _ if patch.changes_kind()
            && [base.kind(), staged.kind()].contains(&EntryKind::Directory) =>
        {
            return vec![
                change(expected, take_away(base.kind())),
                change(Expected::Absent, bring(staged)),
            ];
        }
        _ => FsOperation::Write(staged.fingerprint()),
    };
    vec![change(expected, operation)]
}

/// Brings what was not there.
pub(super) fn bring(staged: StagedContent) -> FsOperation {
    match staged.kind() {
        EntryKind::Directory => FsOperation::MakeDir { mode: Some(staged.mode & 0o7777) },
        EntryKind::File | EntryKind::Symlink => FsOperation::Write(staged.fingerprint()),
    }
}

/// Takes away what is there.
pub(super) fn take_away(kind: EntryKind) -> FsOperation {
    match kind {
        EntryKind::Directory => FsOperation::RemoveDir,
        EntryKind::File | EntryKind::Symlink => FsOperation::Delete,
    }
}
