//! Finishes or rolls back applies that a dead process left.

use std::io;
use std::sync::TryLockError;

use atomic_fs::{
    Change, Conflict, ContentSource, DisplacedEdit, EmptiedDirs, RecordedSet, Recovered,
    RecoveredOutcome, RelPath, SetRecords, SlotNumbers, WorkspaceLock, set_of_slot,
};
use rusqlite::Connection;

use crate::decide::changes::{changes as changes_of, reverse_all};
use crate::decide::conclude::{commit, doubt, reason_of_conflicts, roll_back};
use crate::decide::set_ids;
use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::locks::unpoisoned;
use crate::report::{
    ApplyOutcome, InDoubtApply, QuarantinedJournal, RecoverReport, RecoveredApply,
};
use crate::store::write::Write;
use crate::store::{applies, patches};

/// Why an apply is in doubt whose changes the store does not have.
const INCOMPLETE: &str = "its record in the store is incomplete";

impl DiskOwner {
    /// Finishes or rolls back every interrupted apply, tries those in doubt again, removes stray
    /// slots by a walk over the whole tree, and removes unreferenced contents. Waits for an apply
    /// that is running. A second call changes nothing.
    ///
    /// The report includes what other calls have recovered and
    /// [`take_recovered`](DiffStagingLayer::take_recovered) has not returned yet.
    ///
    /// # Errors
    /// An error of the workspace, the store or the state directory. What was recovered before it
    /// stays recovered, and a later call goes on.
    pub fn recover(&self) -> Result<RecoverReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let kept = inner.tidy_before_recovery(&mut gate);
        let lock = inner.lock_workspace()?;
        inner.recover_all_under(&lock, kept)
    }

    /// [`recover`](Self::recover) without waiting: `None` while another process applies, and
    /// nothing is changed then.
    ///
    /// # Errors
    /// As [`recover`](Self::recover).
    pub fn try_recover(&self) -> Result<Option<RecoverReport>> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let kept = inner.tidy_before_recovery(&mut gate);
        let Some(lock) = inner.workspace.try_lock()? else { return Ok(None) };
        inner.recover_all_under(&lock, kept).map(Some)
    }

    /// Ends an apply in doubt whose files a person has put in order: its patches can be decided
    /// again, and its temporary files are removed. Durable on return.
    ///
    /// # Errors
    /// `Usage` when the apply is not in doubt; else an error of the workspace or the store.
    pub fn acknowledge(&self, apply: ApplyId) -> Result<RecoverReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let lock = inner.begin(&mut gate)?;
        let set = inner.store.write_durably(|write| {
            let undecided = applies::undecided(write)?;
            let Some((_, set)) = undecided.into_iter().find(|(id, _)| *id == apply) else {
                return Err(StagingError::usage(format!("{apply} is not in doubt")));
            };
            roll_back(write, apply, "acknowledged: its files were put in order by hand")?;
            write.log(Event::Recovered {
                apply: Some(apply),
                set: set.clone(),
                committed: false,
            })?;
            Ok(set)
        })?;
        let kept = inner.workspace.forget_in_doubt(&lock, &set)?;
        let outcome = ApplyOutcome::RolledBack;
        let recovered = inner.store.read(|connection| recorded(connection, apply, set, outcome))?;
        Ok(RecoverReport {
            recovered: vec![recovered],
            kept: kept.into_iter().map(|kept| kept.file).collect(),
            ..RecoverReport::default()
        })
    }
}

impl DiffStagingLayer {
    /// Takes the report of what this layer has recovered before other work, since it was opened or
    /// since the last call.
    pub fn take_recovered(&self) -> RecoverReport {
        std::mem::take(&mut unpoisoned(&self.0.recovered))
    }

    /// The applies that recovery could not finish and could not roll back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn in_doubt(&self) -> Result<Vec<InDoubtApply>> {
        self.0.store.peek(applies::in_doubt)
    }
}

impl Inner {
    /// [`DiffStagingLayer::recover`] under the workspace's lock.
    fn recover_all_under(
        &self,
        lock: &WorkspaceLock,
        kept: Vec<DisplacedEdit>,
    ) -> Result<RecoverReport> {
        let kept = kept.into_iter().map(|kept| kept.file).collect();
        let mut report = RecoverReport { kept, ..RecoverReport::default() };
        self.workspace.reopen_in_doubt(lock)?;
        self.recover_under(lock)?;
        report.add(std::mem::take(&mut unpoisoned(&self.recovered)));
        let is_own = |set: &str| self.is_own_set(set);
        let swept = self.workspace.sweep(lock, &is_own, &|digest| self.blobs.knows(digest))?;
        report.kept.extend(swept.kept.into_iter().map(|kept| kept.file));
        // The slots of sets in doubt stay as well, but they are this state's own.
        let is_foreign = |path: &&RelPath| !set_of_slot(path.file_name()).is_some_and(is_own);
        report.foreign_slots =
            swept.foreign.iter().filter(is_foreign).map(RelPath::to_string).collect();
        report.blobs_removed = self.sweep_state(None)?.removed;
        Ok(report)
    }

    /// Recovers interrupted applies, unless another apply is running; returns whether it did.
    pub(crate) fn recover_if_free(&self) -> Result<bool> {
        if !self.has_broken()? {
            return Ok(false);
        }
        let gate = match self.gate.try_lock() {
            Ok(gate) => gate,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // An apply of this process is running.
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        // The journal is this process's own, which has yet to clean up.
        if gate.is_some() {
            return Ok(false);
        }
        let Some(lock) = self.workspace.try_lock()? else { return Ok(false) };
        self.recover_under(&lock)?;
        Ok(true)
    }

    /// Whether there is a journal, or an undecided apply that does not wait for a person.
    fn has_broken(&self) -> Result<bool> {
        if self.workspace.needs_recovery()? {
            return Ok(true);
        }
        let undecided = self.store.peek(applies::undecided)?;
        if undecided.is_empty() {
            return Ok(false);
        }
        let waiting = self.workspace.in_doubt()?;
        Ok(undecided.iter().any(|(_, set)| !waiting.contains(set)))
    }

    /// Recovers under the workspace's lock, which proves that the process of an interrupted apply
    /// is dead. Adds the report to `recovered`.
    pub(crate) fn recover_under(&self, lock: &WorkspaceLock) -> Result<()> {
        // Usually no apply was interrupted.
        if !self.has_broken()? {
            return Ok(());
        }
        // Each set is finished or undone, and recorded.
        let mut done = Vec::new();
        let outcome = self.workspace.recover(lock, &StoreRecords(self), &mut |recovered| {
            // The journal is removed when this returns, so the record must be durable.
            let apply = self
                .store
                .write_durably(|write| record(write, recovered))
                .map_err(|error| io::Error::other(error.to_string()))?;
            done.push(self.recovered_apply(apply, recovered));
            Ok(())
        });
        // What else was found: users' bytes that could not stay in place, and journals on which
        // recovery does not act.
        let mut report = RecoverReport::default();
        let failed = match outcome {
            Ok(recovery) => {
                let kept = recovery.sets.into_iter().flat_map(|set| set.kept);
                report.kept.extend(kept.map(|kept| kept.file));
                let journals = self.options.state_dir.join("journal");
                report.quarantined.extend(recovery.quarantined.into_iter().map(|journal| {
                    let (file, reason) = (journals.join(journal.name), journal.reason);
                    QuarantinedJournal { file, reason }
                }));
                None
            }
            Err(error) => Some(error),
        };
        // Directories that an undo left empty.
        for RecoveredApply { apply, outcome, .. } in &done {
            if let (Some(apply), ApplyOutcome::Committed) = (apply, outcome) {
                self.remove_emptied_dirs(lock, *apply)?;
            }
        }
        report.recovered = done;
        // An apply whose record is incomplete is in doubt: its changes are unknown.
        let undecided =
            if failed.is_none() { self.store.read(applies::undecided)? } else { Vec::new() };
        for (apply, set) in undecided {
            let is_known = self.store.read(|connection| {
                Ok(changes(connection, apply)?.is_some()
                    || applies::reason(connection, apply)?.as_deref() == Some(INCOMPLETE))
            })?;
            if is_known {
                continue;
            }
            self.store.write(|write| doubt(write, apply, INCOMPLETE.to_owned()))?;
            let outcome = ApplyOutcome::InDoubt;
            let known = self.store.read(|connection| recorded(connection, apply, set, outcome))?;
            let conflicts = vec![INCOMPLETE.to_owned()];
            report.recovered.push(RecoveredApply { conflicts, from_record: true, ..known });
        }
        // The next command reports it, also when the rest failed.
        unpoisoned(&self.recovered).add(report);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn recovered_apply(&self, apply: Option<ApplyId>, recovered: &Recovered) -> RecoveredApply {
        let sentence = |Conflict { path, difference }: &Conflict| format!("`{path}`: {difference}");
        // The apply is decided, even if its files cannot be read for the report.
        let known = apply.and_then(|apply| {
            let read = self.store.read(|connection| contents(connection, apply));
            read.inspect_err(|error| tracing::debug!(%error, %apply, "cannot read its files")).ok()
        });
        let (undoes, files) = known.unwrap_or_default();
        RecoveredApply {
            apply,
            set: recovered.set.clone(),
            undoes,
            files,
            outcome: match recovered.outcome {
                RecoveredOutcome::Committed => ApplyOutcome::Committed,
                RecoveredOutcome::RolledBack => ApplyOutcome::RolledBack,
                RecoveredOutcome::InDoubt => ApplyOutcome::InDoubt,
            },
            conflicts: recovered.unresolved.iter().chain(&recovered.edited).map(sentence).collect(),
            restored: recovered.restored.iter().map(RelPath::to_string).collect(),
            from_record: recovered.from_record,
        }
    }

    /// Whether this state began a slot's set.
    fn is_own_set(&self, set: &str) -> bool {
        let answer = self.store.read(|connection| match set_ids::is_own(connection, set)? {
            Some(is_own) => Ok(is_own),
            None => Ok(applies::find_set(connection, set)?.is_some()),
        });
        // A slot that is not known to be this state's is not touched.
        answer.unwrap_or(false)
    }
}

/// The store's records for recovery.
struct StoreRecords<'i>(&'i Inner);

impl SetRecords for StoreRecords<'_> {
    fn find(&self, set: &str) -> io::Result<Option<RecordedSet>> {
        let found = self.0.store.read(|connection| {
            let Some((apply, outcome)) = applies::find_set(connection, set)? else {
                return Ok(None);
            };
            let (ended, changes) = match outcome {
                Some(ApplyOutcome::Committed) => (Some(RecoveredOutcome::Committed), None),
                Some(ApplyOutcome::RolledBack) => (Some(RecoveredOutcome::RolledBack), None),
                Some(ApplyOutcome::InDoubt) | None => (None, changes(connection, apply)?),
            };
            let slots = match set_ids::is_tagged(set) {
                true => SlotNumbers::ByPath,
                false => SlotNumbers::Unknown,
            };
            let knows_dirs = applies::undoes(connection, apply)?.is_some()
                || applies::is_own(connection, apply)?;
            let emptied_dirs = if knows_dirs { EmptiedDirs::Keep } else { EmptiedDirs::Remove };
            Ok(Some(RecordedSet { changes, emptied_dirs, ended, slots }))
        });
        found.map_err(|error| io::Error::other(error.to_string()))
    }

    fn undecided(&self) -> io::Result<Vec<String>> {
        let undecided = self.0.store.peek(applies::undecided);
        let undecided = undecided.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(undecided.into_iter().map(|(_, set)| set).collect())
    }

    fn contents(&self) -> &dyn ContentSource {
        &self.0.blobs
    }
}

/// The changes of an apply or an undo; `None` when its record is incomplete.
fn changes(connection: &Connection, apply: ApplyId) -> Result<Option<Vec<Change>>> {
    let changes: Option<Vec<Change>> = match applies::undoes(connection, apply)? {
        Some(target) => {
            let left = applies::removed_dirs(connection, apply)?;
            reverse_all(&patches::of_undo(connection, apply, target)?, &left)
        }
        None => Some(patches::of_apply(connection, apply)?.iter().flat_map(changes_of).collect()),
    };
    Ok(changes.filter(|changes| !changes.is_empty()))
}

/// The apply that an apply undoes, and the files that it changes.
fn contents(connection: &Connection, apply: ApplyId) -> Result<(Option<ApplyId>, Vec<String>)> {
    let undoes = applies::undoes(connection, apply)?;
    let patches = match undoes {
        Some(target) => patches::of_undo(connection, apply, target)?,
        None => patches::of_apply(connection, apply)?,
    };
    Ok((undoes, patches.iter().map(|patch| patch.path.to_string()).collect()))
}

/// An apply that was decided without its files, as the store has it.
fn recorded(
    connection: &Connection,
    apply: ApplyId,
    set: String,
    outcome: ApplyOutcome,
) -> Result<RecoveredApply> {
    let ((undoes, files), apply) = (contents(connection, apply)?, Some(apply));
    let (conflicts, restored, from_record) = (Vec::new(), Vec::new(), false);
    Ok(RecoveredApply { apply, set, undoes, files, outcome, conflicts, restored, from_record })
}

/// Records what recovery did; recording the same result twice changes nothing.
fn record(write: &mut Write<'_>, recovered: &Recovered) -> Result<Option<ApplyId>> {
    let set = recovered.set.clone();
    let Some((apply, outcome)) = applies::find_set(write, &set)? else { return Ok(None) };
    if matches!(outcome, Some(ApplyOutcome::Committed | ApplyOutcome::RolledBack)) {
        return Ok(Some(apply));
    }
    let committed = match recovered.outcome {
        RecoveredOutcome::Committed => {
            commit(write, apply, &recovered.made_dirs, &recovered.removed_dirs)?;
            true
        }
        RecoveredOutcome::RolledBack => {
            let reason = match reason_of_conflicts(&recovered.edited) {
                edited if edited.is_empty() => "it was interrupted and rolled back".to_owned(),
                edited => format!(
                    "it was interrupted and rolled back, except for files that changed since: {edited}"
                ),
            };
            roll_back(write, apply, &reason)?;
            false
        }
        RecoveredOutcome::InDoubt => {
            let reason = reason_of_conflicts(&recovered.unresolved);
            // The same result as before is not logged again.
            if applies::reason(write, apply)?.as_deref() != Some(&reason) {
                doubt(write, apply, reason)?;
            }
            return Ok(Some(apply));
        }
    };
    write.log(Event::Recovered { apply: Some(apply), set, committed })?;
    Ok(Some(apply))
}
