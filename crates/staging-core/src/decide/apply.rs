//! Bringing an approved set to the disk.

use std::collections::{BTreeMap, HashSet};
use std::sync::MutexGuard;

use atomic_fs::{
    ChangeSet, Conflict, Digest, EmptiedDirs, EntryKind, FsError, RelPath, WorkspaceLock,
};
use rusqlite::Connection;

use crate::base::Base;
use crate::decide::changes::changes;
use crate::decide::client_approved::{check_client_approval, check_diffs};
use crate::decide::conclude::{Committed, NotCommitted};
use crate::decide::put_back::reopen;
use crate::decide::set_ids;
use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::{ApplyId, PatchId, RequestId, SessionId};
use crate::layer::{DiffStagingLayer, Inner, Tidying};
use crate::locks::unpoisoned;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::report::{
    AppliedPatch, ApplyOutcome, ApplyRecord, ApplyReport, ApplyStatus, PatchApply, Totals,
};
use crate::request::{ApplyRequest, Selection};
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::applies::{Start, held_by};
use crate::store::write::Write;
use crate::store::{applies, patches};

/// What is checked of the store before an apply takes its patches.
pub(crate) type LastCheck<'c> = dyn Fn(&Connection) -> Result<()> + 'c;

impl DiskOwner {
    /// Applies one change set, whole or not at all, and returns when the outcome is on the disk. Call
    /// [`tidy`](Self::tidy) after the answer was given.
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
        self.apply_checked(request, &|_| Ok(()))
    }

    /// The same, if `check` has no objection. It reads the store in the transaction that takes the
    /// patches, so that what it sees is decided in the same moment.
    pub(crate) fn apply_checked(
        &self,
        request: &ApplyRequest,
        check: &LastCheck<'_>,
    ) -> Result<ApplyReport> {
        let inner = &*self.0;
        // The workspace is locked, and nothing is left of any apply before.
        let mut gate = unpoisoned(&inner.gate);
        let lock = inner.begin_set(&mut gate)?;
        if let Some(name) = &request.request
            && let Some(status) = self.apply_status(name)?
        {
            return answer_repeated(status);
        }
        // The selected patches that are pending, with their files checked again.
        let selection = match self.select(&request.ids) {
            // Something else than what was approved is pending now.
            Err(StagingError::NotPending {
                patch,
                reason: Some(DiscardReason::Superseded | DiscardReason::Edited),
                ..
            }) if let Some(expected) = request.expect => {
                return Err(inner.superseded(&self.patch(patch)?, expected)?);
            }
            selection => selection?.whole(request.rest)?,
        };
        // They have to be what was approved, by someone who may approve them.
        if request.expect.is_none() && !request.dry_run {
            selection.check_read(&request.ids)?;
        }
        let Selection { patches, signature: found, lapsed: left_out, .. } = selection;
        if let Some(expected) = request.expect
            && expected != found
        {
            return Err(StagingError::SignatureMismatch { expected, found });
        }
        if patches.is_empty() {
            return Err(StagingError::NothingPending);
        }
        if request.client_approved.is_some() {
            check_client_approval(&patches, request.expect)?;
        }
        // They have to be a complete set in which no two sessions change one file.
        let mut by_path: BTreeMap<&RelPath, &Patch> = BTreeMap::new();
        for patch in &patches {
            for path in patch.paths() {
                if let Some(other) = by_path.insert(path, patch)
                    && other.session != patch.session
                {
                    return Err(StagingError::Conflict {
                        path: path.clone(),
                        patches: (other.id, patch.id),
                        sessions: (other.session, patch.session),
                    });
                }
            }
        }
        inner.check_complete(&patches)?;
        if !request.confirm_full_replace {
            check_diffs(&patches)?;
        }
        if request.dry_run {
            return Ok(ApplyReport { left_out, ..report(None, &patches) });
        }
        // The patches are locked, applied and recorded.
        let start = Start {
            request: request.request.as_ref(),
            client_approved: request.client_approved.as_ref(),
            is_own: request.is_own,
            message: request.message.as_deref(),
            ..Start::by(&request.approval)
        };
        let report = inner.bring(&mut gate, lock, &patches, &start, check)?;
        Ok(ApplyReport { left_out, ..report })
    }
}

impl DiffStagingLayer {
    /// How the apply of this name stands, in whatever process it ran; `None` when none
    /// has begun. Does not wait for one that runs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn apply_status(&self, request: &RequestId) -> Result<Option<ApplyStatus>> {
        self.0.store.read(|connection| applies::named(connection, request))
    }

    /// The applies and undos, the newest first, or as many of the newest as `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn applies(&self, limit: usize) -> Result<Vec<ApplyRecord>> {
        self.0.store.read(|connection| applies::records(connection, limit))
    }

    /// One apply or undo with its patches, by path; those that are older than the history is kept are
    /// missing.
    ///
    /// # Errors
    /// `ApplyNotFound`.
    pub fn applied(&self, apply: ApplyId) -> Result<(ApplyRecord, Vec<AppliedPatch>)> {
        self.0.store.read(|connection| {
            let record =
                applies::record(connection, apply)?.ok_or(StagingError::ApplyNotFound { apply })?;
            let patches = match record.undoes {
                Some(target) => patches::of_undo(connection, apply, target)?,
                None => patches::of_apply(connection, apply)?,
            };
            let with_undo = |patch: Patch| {
                let is_undo = record.undoes.is_some();
                let undone_by =
                    if is_undo { None } else { applies::undo_of(connection, apply, patch.id)? };
                Ok(AppliedPatch { patch, undone_by })
            };
            let patches = patches.into_iter().map(with_undo).collect::<Result<_>>()?;
            Ok((record, patches))
        })
    }

    /// The applies that a patch was in, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn applies_of(&self, patch: PatchId) -> Result<Vec<PatchApply>> {
        self.0.store.peek(|connection| applies::of_patch(connection, patch))
    }
}

impl Inner {
    /// Brings approved patches to the disk, whole or not at all, and records the outcome.
    pub(crate) fn bring(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
        lock: WorkspaceLock,
        patches: &[Patch],
        start: &Start<'_>,
        check: &LastCheck<'_>,
    ) -> Result<ApplyReport> {
        let (apply, set_id) = self.start(patches, start, check)?;
        let set = ChangeSet {
            id: set_id,
            changes: patches.iter().flat_map(changes).collect(),
            // Greenroom's own changes of settings know which directories they made.
            emptied_dirs: match start.is_own {
                true => EmptiedDirs::Keep,
                false => EmptiedDirs::Remove,
            },
        };
        let span = tracing::info_span!("apply", %apply, changes = set.changes.len());
        let (applied, undo_data) = self.beside_undo_data(patches, || {
            span.in_scope(|| self.workspace.apply(&lock, &set, &self.blobs))
        });
        let Committed { kept, edited } = match self.conclude(gate, lock, apply, patches, applied) {
            Ok(committed) => committed,
            Err(NotCommitted::Failed(error)) => return Err(error),
            Err(NotCommitted::Conflicts { stale, .. }) if !stale.is_empty() => {
                return Err(StagingError::Stale { patches: stale });
            }
            Err(NotCommitted::Conflicts { conflicts, .. }) => {
                let source = FsError::Conflicts { conflicts };
                return Err(StagingError::RolledBack { apply, source });
            }
        };
        let in_words = |Conflict { path, difference }: &Conflict| {
            format!("`{path}` was edited meanwhile: {difference}")
        };
        let mut warnings: Vec<String> = edited.iter().map(in_words).collect();
        if let Err(error) = undo_data {
            warnings.push(format!("a power cut may take what undo needs: {error}"));
        }
        Ok(ApplyReport { warnings, kept, ..report(Some(apply), patches) })
    }

    /// Makes the bases durable while the set is applied, so that undo works after a
    /// power cut: one sync more, whatever the number of files, when they lie in one
    /// pack.
    fn beside_undo_data<T>(&self, patches: &[Patch], work: impl FnOnce() -> T) -> (T, Result<()>) {
        let digest = |patch: &Patch| Some(patch.base?.content.digest);
        let bases: Vec<Digest> = patches.iter().filter_map(digest).collect();
        if bases.is_empty() {
            return (work(), Ok(()));
        }
        std::thread::scope(|scope| {
            let (blobs, bases) = (&self.blobs, &bases);
            let sync = move || blobs.sync_contents(bases);
            // Without another thread, one after the other.
            let Ok(syncing) = std::thread::Builder::new().spawn_scoped(scope, sync) else {
                return (work(), sync());
            };
            let worked = work();
            let panicked = || StagingError::NotCommitted { reason: "the sync panicked".to_owned() };
            (worked, syncing.join().unwrap_or_else(|_| Err(panicked())))
        })
    }

    /// The mismatch between what was approved and what replaced it.
    fn superseded(&self, old: &Patch, expected: Signature) -> Result<StagingError> {
        let now = self.store.peek(|c| patches::at_path(c, old.session, &old.path))?;
        Ok(StagingError::SignatureMismatch { expected, found: set_signature(now.as_slice()) })
    }

    /// Refuses a patch that needs a free path without the patches that free it: of the file there, of a
    /// file where a directory has to be, and of what is in a directory that is replaced.
    fn check_complete(&self, patches: &[Patch]) -> Result<()> {
        let approved: HashSet<PatchId> = patches.iter().map(|patch| patch.id).collect();
        let mut looked_at: HashSet<(SessionId, RelPath)> = HashSet::new();
        for patch in patches {
            let is_emptied = patch.base.as_ref().map(Base::kind) == Some(EntryKind::Directory);
            let Some(to) = patch.brought().or(is_emptied.then_some(&patch.path)) else {
                continue;
            };
            // A new directory does not replace one.
            let mut needed = match patch.kind() == EntryKind::Directory && patch.base.is_none() {
                true => Vec::new(),
                false => self.store.peek(|c| patches::freeing_below(c, patch.session, to))?,
            };
            let above = std::iter::successors(to.parent(), RelPath::parent);
            for path in patch.rename_to.clone().into_iter().chain(above) {
                if !looked_at.insert((patch.session, path.clone())) {
                    break;
                }
                let there = self.store.peek(|c| patches::at_path(c, patch.session, &path))?;
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

    /// Locks the patches for an apply, if they are still what was approved.
    fn start(
        &self,
        approved: &[Patch],
        start: &Start<'_>,
        check: &LastCheck<'_>,
    ) -> Result<(ApplyId, String)> {
        self.store.write(|write| {
            check(write)?;
            for patch in approved {
                if start.redoes.is_some() && patch.state != PatchState::Pending {
                    reopen(write, patch)?;
                }
                let now = patches::find(write, patch.id)?
                    .ok_or(StagingError::PatchNotFound { patch: patch.id })?;
                // Its agent may have rewritten it since it was read.
                if now.state != PatchState::Pending || now.signature != patch.signature {
                    return Err(raced(write, approved)?);
                }
                if let Some(apply) = now.apply {
                    return Err(held_by(write, apply)?);
                }
            }
            record_start(write, start, approved)
        })
    }
}

/// Records that an apply, an undo or a redo of these patches starts, with its event.
pub(crate) fn record_start(
    write: &mut Write<'_>,
    start: &Start<'_>,
    patches: &[Patch],
) -> Result<(ApplyId, String)> {
    let (apply, set_id) = applies::start(write, start, patches, &set_ids::suffix(write)?)?;
    write.log(Event::ApplyStarted {
        apply,
        patches: patches.iter().map(|patch| patch.id).collect(),
        signature: set_signature(patches),
        client_approved: start.client_approved.cloned(),
        approval: Some(start.approval.clone()),
        undoes: start.undoes,
        redoes: start.redoes,
        message: start.message.map(str::to_owned),
    })?;
    Ok((apply, set_id))
}

/// The answer to an apply whose name was used before: how that one ended.
fn answer_repeated(status: ApplyStatus) -> Result<ApplyReport> {
    match status.outcome {
        Some(ApplyOutcome::Committed) => {
            Ok(ApplyReport { patches: status.patches, ..report(Some(status.apply), &[]) })
        }
        outcome => Err(StagingError::AlreadyAsked {
            apply: status.apply,
            how: match outcome {
                Some(ApplyOutcome::RolledBack) => "was rolled back, nothing changed",
                _ => "is in doubt: `recover` decides",
            },
        }),
    }
}

/// The error for patches that are no longer what was approved.
fn raced(write: &Write<'_>, approved: &[Patch]) -> Result<StagingError> {
    let mut now = Vec::new();
    for patch in approved {
        now.extend(match patches::find(write, patch.id)? {
            Some(patch) if patch.state == PatchState::Pending => Some(patch),
            _ => patches::at_path(write, patch.session, &patch.path)?,
        });
    }
    let (expected, found) = (set_signature(approved), set_signature(&now));
    Ok(StagingError::SignatureMismatch { expected, found })
}

fn report(apply: Option<ApplyId>, patches: &[Patch]) -> ApplyReport {
    ApplyReport {
        apply,
        outcome: ApplyOutcome::Committed,
        patches: patches.iter().map(|patch| patch.id).collect(),
        stale: Vec::new(),
        totals: Totals::of(patches),
        signature: set_signature(patches),
        left_out: Vec::new(),
        warnings: Vec::new(),
        kept: Vec::new(),
    }
}
