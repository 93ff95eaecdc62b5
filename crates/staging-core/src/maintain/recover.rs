//! Finishing or undoing what a dead process left.

use std::io;
use std::path::PathBuf;
use std::sync::{MutexGuard, TryLockError};

use atomic_fs::{
    Change, Conflict, ContentSource, EmptiedDirs, RecordedSet, Recovered, RecoveredOutcome,
    RelPath, SetRecords, SlotNumbers, WorkspaceLock, set_of_slot,
};
use rusqlite::Connection;

use crate::decide::changes::{changes as changes_of, reverse_all};
use crate::decide::conclude::{ChangedDirs, commit, doubt, reason_of_conflicts, roll_back};
use crate::decide::set_ids;
use crate::error::{Result, StagingError};
use crate::event::Event;
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner, Tidying};
use crate::locks::unpoisoned;
use crate::report::{
    ApplyOutcome, InDoubtApply, QuarantinedJournal, RecoverReport, RecoveredApply,
};
use crate::store::applies::ApplyState;
use crate::store::write::Write;
use crate::store::{applies, patches};

impl DiffStagingLayer {
    /// Finishes or undoes every broken apply, those in doubt once more, removes stray slots by a
    /// walk over the whole tree, and contents that nobody needs. Waits for an apply that is
    /// running. Doing it twice changes nothing the second time.
    ///
    /// What was recovered before by another call, and not taken by
    /// [`take_recovered`](Self::take_recovered), is in the report as well.
    pub fn recover(&self) -> Result<RecoverReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let kept = inner.tidy_for_recovery(&mut gate);
        let lock = inner.lock_workspace()?;
        inner.recover_all_under(&lock, kept)
    }

    /// [`recover`](Self::recover) without waiting: none while another process is at an apply, and
    /// then nothing was changed.
    pub fn try_recover(&self) -> Result<Option<RecoverReport>> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let kept = inner.tidy_for_recovery(&mut gate);
        let Some(lock) = inner.workspace.try_lock()? else { return Ok(None) };
        inner.recover_all_under(&lock, kept).map(Some)
    }

    /// What this layer has recovered on its way to something else, since it was opened or since
    /// the last call.
    pub fn take_recovered(&self) -> RecoverReport {
        std::mem::take(&mut unpoisoned(&self.0.recovered))
    }

    /// The applies that recovery could neither finish nor take back.
    pub fn in_doubt(&self) -> Result<Vec<InDoubtApply>> {
        self.0.store.peek(applies::in_doubt)
    }

    /// Gives up an apply in doubt whose files a person has put in order: its patches can be decided
    /// again, and what is left of it beside the files is removed.
    ///
    /// # Errors
    /// `Usage` when the apply is not in doubt.
    pub fn acknowledge(&self, apply: ApplyId) -> Result<RecoverReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let lock = inner.begin(&mut gate)?;
        let set = inner.store.write_durably(|write| {
            let undecided = applies::undecided(write)?.into_iter();
            let found = undecided.map(|(id, set)| (id == apply, set)).find(|(is_it, _)| *is_it);
            let Some((_, set)) = found else {
                let reason = format!("{apply} is not in doubt");
                return Err(StagingError::Usage { reason });
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
        let (undoes, files) = inner.store.read(|connection| contents(connection, apply))?;
        let recovered = RecoveredApply {
            apply: Some(apply),
            set,
            undoes,
            files,
            outcome: ApplyOutcome::RolledBack,
            conflicts: Vec::new(),
            restored: Vec::new(),
            from_record: false,
        };
        Ok(RecoverReport {
            recovered: vec![recovered],
            kept: kept.into_iter().map(|kept| kept.file).collect(),
            ..RecoverReport::default()
        })
    }
}

impl Inner {
    fn tidy_for_recovery(&self, gate: &mut MutexGuard<'_, Option<Tidying>>) -> Vec<PathBuf> {
        self.finish_tidying(gate).map_or_else(
            |error| {
                tracing::warn!(%error, "recovery tidies what the last apply left");
                Vec::new()
            },
            |kept| kept.into_iter().map(|kept| kept.file).collect(),
        )
    }

    /// Everything that [`DiffStagingLayer::recover`] does once nobody else is at it.
    fn recover_all_under(&self, lock: &WorkspaceLock, kept: Vec<PathBuf>) -> Result<RecoverReport> {
        let mut report = RecoverReport { kept, ..RecoverReport::default() };
        self.workspace.reopen_in_doubt(lock)?;
        self.recover_under(lock)?;
        report.add(std::mem::take(&mut unpoisoned(&self.recovered)));
        let is_own = |set: &str| self.is_own_set(set);
        let swept = self.workspace.sweep(lock, &is_own, &|digest| self.blobs.knows(digest))?;
        report.kept.extend(swept.kept.into_iter().map(|kept| kept.file));
        // What a set in doubt needs stays as well, and is nobody else's.
        let is_foreign = |path: &&RelPath| !set_of_slot(path.file_name()).is_some_and(is_own);
        report.foreign_slots =
            swept.foreign.iter().filter(is_foreign).map(RelPath::to_string).collect();
        report.blobs_removed = self.sweep_state(None)?.removed;
        Ok(report)
    }

    /// Recovers if something is left and nobody is at it; whether it did.
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
        // What this process has yet to tidy is no dead process's.
        if gate.is_some() {
            return Ok(false);
        }
        let Some(lock) = self.workspace.try_lock()? else { return Ok(false) };
        self.recover_under(&lock)?;
        Ok(true)
    }

    /// Whether a journal lies about, or an apply is undecided that does not wait for a person.
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

    /// Recovers under the workspace's lock, which proves that whoever left
    /// something is dead. What it did is noted in `recovered`.
    pub(crate) fn recover_under(&self, lock: &WorkspaceLock) -> Result<()> {
        if !self.has_broken()? {
            return Ok(());
        }
        let mut done = Vec::new();
        let outcome = self.workspace.recover(lock, &StoreRecords(self), &mut |recovered| {
            // The journal goes when this returns, so it must be durable.
            let apply = self
                .store
                .write_durably(|write| record(write, recovered))
                .map_err(|error| io::Error::other(error.to_string()))?;
            done.push(self.recovered_apply(apply, recovered));
            Ok(())
        });
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
        for RecoveredApply { apply, outcome, .. } in &done {
            if let (Some(apply), ApplyOutcome::Committed) = (apply, outcome) {
                self.remove_emptied_dirs(lock, *apply)?;
            }
        }
        report.recovered = done;
        if failed.is_none() {
            report.recovered.extend(self.doubt_incomplete()?);
        }
        unpoisoned(&self.recovered).add(report);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// What an apply whose record is incomplete did to the disk nobody knows any more.
    fn doubt_incomplete(&self) -> Result<Vec<RecoveredApply>> {
        let incomplete = self.store.read(|connection| {
            let mut incomplete = Vec::new();
            for (apply, set) in applies::undecided(connection)? {
                if changes(connection, apply)?.is_none() {
                    incomplete.push((apply, set));
                }
            }
            Ok(incomplete)
        })?;
        let reason = "its record in the store is incomplete";
        let mut doubted = Vec::new();
        for (apply, set) in incomplete {
            let is_news = self.store.write(|write| {
                if applies::reason(write, apply)?.as_deref() == Some(reason) {
                    return Ok(false);
                }
                doubt(write, apply, reason.to_owned())?;
                Ok(true)
            })?;
            if is_news {
                let (undoes, files) = self.store.read(|connection| contents(connection, apply))?;
                doubted.push(RecoveredApply {
                    apply: Some(apply),
                    set,
                    undoes,
                    files,
                    outcome: ApplyOutcome::InDoubt,
                    conflicts: vec![reason.to_owned()],
                    restored: Vec::new(),
                    from_record: true,
                });
            }
        }
        Ok(doubted)
    }

    fn recovered_apply(&self, apply: Option<ApplyId>, recovered: &Recovered) -> RecoveredApply {
        let in_words = |Conflict { path, difference }: &Conflict| format!("`{path}`: {difference}");
        // It is decided; that its files cannot be named changes nothing of that.
        let known = apply.and_then(|apply| {
            let read = self.store.read(|connection| contents(connection, apply));
            read.inspect_err(|error| tracing::debug!(%error, "the files of {apply}")).ok()
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
            conflicts: recovered.unresolved.iter().chain(&recovered.edited).map(in_words).collect(),
            restored: recovered.restored.iter().map(RelPath::to_string).collect(),
            from_record: recovered.from_record,
        }
    }

    /// Whether a slot's set was begun by this state.
    fn is_own_set(&self, set: &str) -> bool {
        let answer = self.store.read(|connection| match set_ids::is_own(connection, set)? {
            Some(is_own) => Ok(is_own),
            None => Ok(applies::find_set(connection, set)?.is_some()),
        });
        // What is not known to be ours is not touched.
        answer.unwrap_or(false)
    }
}

/// The store, as recovery asks it.
struct StoreRecords<'i>(&'i Inner);

impl SetRecords for StoreRecords<'_> {
    fn find(&self, set: &str) -> io::Result<Option<RecordedSet>> {
        let found = self.0.store.read(|connection| {
            let Some((apply, state)) = applies::find_set(connection, set)? else {
                return Ok(None);
            };
            let (ended, changes) = match state {
                ApplyState::Committed => (Some(RecoveredOutcome::Committed), None),
                ApplyState::RolledBack => (Some(RecoveredOutcome::RolledBack), None),
                ApplyState::Started | ApplyState::InDoubt => (None, changes(connection, apply)?),
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

/// The changes that an apply or an undo was to make; `None` where its record is incomplete.
fn changes(connection: &Connection, apply: ApplyId) -> Result<Option<Vec<Change>>> {
    let changes: Option<Vec<Change>> = match applies::undoes(connection, apply)? {
        Some(target) => {
            let left = applies::removed_dirs(connection, apply)?;
            reverse_all(&patches::of_apply(connection, target)?, &left)
        }
        None => Some(patches::of_apply(connection, apply)?.iter().flat_map(changes_of).collect()),
    };
    Ok(changes.filter(|changes| !changes.is_empty()))
}

/// What an apply takes back, and the files that it changes.
fn contents(connection: &Connection, apply: ApplyId) -> Result<(Option<ApplyId>, Vec<String>)> {
    let undoes = applies::undoes(connection, apply)?;
    let patches = patches::of_apply(connection, undoes.unwrap_or(apply))?;
    Ok((undoes, patches.iter().map(|patch| patch.path.to_string()).collect()))
}

/// Enters what recovery did; the same news twice changes nothing.
fn record(write: &mut Write<'_>, recovered: &Recovered) -> Result<Option<ApplyId>> {
    let set = recovered.set.clone();
    let Some((apply, state)) = applies::find_set(write, &set)? else { return Ok(None) };
    if matches!(state, ApplyState::Committed | ApplyState::RolledBack) {
        return Ok(Some(apply));
    }
    let committed = match recovered.outcome {
        RecoveredOutcome::Committed => {
            let dirs = ChangedDirs { made: &recovered.made_dirs, removed: &recovered.removed_dirs };
            commit(write, apply, dirs)?;
            true
        }
        RecoveredOutcome::RolledBack => {
            let reason = match reason_of_conflicts(&recovered.edited) {
                edited if edited.is_empty() => "it broke off and was undone".to_owned(),
                edited => {
                    format!("it broke off and was undone, but for what changed since: {edited}")
                }
            };
            roll_back(write, apply, &reason)?;
            false
        }
        RecoveredOutcome::InDoubt => {
            let reason = reason_of_conflicts(&recovered.unresolved);
            // Tried again with the same result, it is no news.
            if applies::reason(write, apply)?.as_deref() != Some(&reason) {
                doubt(write, apply, reason)?;
            }
            return Ok(Some(apply));
        }
    };
    write.log(Event::Recovered { apply: Some(apply), set, committed })?;
    Ok(Some(apply))
}
