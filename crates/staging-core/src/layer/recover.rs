//! Finishing or undoing what a dead process left.

use std::io;
use std::sync::TryLockError;

use atomic_fs::{Recovered, RecoveredOutcome, WorkspaceLock};

use super::apply::{commit, roll_back};
use super::request::{ApplyOutcome, RecoverReport, RecoveredApply};
use super::{DiffStagingLayer, Inner};
use crate::Result;
use crate::events::Event;
use crate::ids::ApplyId;
use crate::store::applies::{self, ApplyState};
use crate::store::{Write, unpoisoned};

impl DiffStagingLayer {
    /// Finishes or undoes every broken apply, removes stray slots by a walk over
    /// the whole tree, and contents that nobody needs. Waits for an apply that is
    /// running. Doing it twice changes nothing the second time.
    pub fn recover(&self) -> Result<RecoverReport> {
        let inner = &*self.0;
        let mut gate = unpoisoned(&inner.gate);
        let mut report = RecoverReport::default();
        match inner.finish_tidying(&mut gate) {
            Ok(kept) => report.kept.extend(kept.into_iter().map(|kept| kept.file)),
            Err(error) => tracing::warn!(%error, "recovery tidies what the last apply left"),
        }
        let lock = inner.workspace.lock()?;
        let (recovered, kept) = inner.recover_under(&lock)?;
        report.recovered = recovered;
        report.kept.extend(kept);
        let stray = inner.workspace.sweep(&lock, &|digest| inner.blobs.knows(digest))?;
        report.kept.extend(stray.into_iter().map(|kept| kept.file));
        report.blobs_removed = inner.sweep_state(None)?.removed;
        Ok(report)
    }
}

impl Inner {
    /// Recovers if something is left and nobody is at it; whether it did.
    pub(super) fn recover_if_free(&self) -> Result<bool> {
        let undecided = self.store.look(applies::undecided)?;
        if undecided.is_empty() && !self.workspace.needs_recovery()? {
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

    /// Recovers under the workspace's lock, which proves that whoever left
    /// something is dead.
    pub(super) fn recover_under(
        &self,
        lock: &WorkspaceLock,
    ) -> Result<(Vec<RecoveredApply>, Vec<std::path::PathBuf>)> {
        let mut done = Vec::new();
        let mut kept = Vec::new();
        if self.workspace.needs_recovery()? {
            let recovered = self.workspace.recover(lock, &mut |recovered| {
                // The journal goes when this returns, so it must be durable.
                let apply = self
                    .store
                    .write_durably(|write| record(write, recovered))
                    .map_err(|error| io::Error::other(error.to_string()))?;
                done.push(RecoveredApply {
                    apply,
                    set: recovered.set.clone(),
                    outcome: outcome(recovered.outcome),
                    conflicts: recovered
                        .edited
                        .iter()
                        .map(|conflict| format!("`{}`: {}", conflict.path, conflict.difference))
                        .collect(),
                });
                Ok(())
            })?;
            kept.extend(recovered.into_iter().flat_map(|recovered| recovered.kept));
            for RecoveredApply { apply, outcome, .. } in &done {
                if let (Some(apply), ApplyOutcome::Committed) = (apply, outcome) {
                    self.remove_emptied_dirs(lock, *apply)?;
                }
            }
        }
        done.extend(self.end_unjournaled()?);
        Ok((done, kept.into_iter().map(|kept| kept.file).collect()))
    }

    /// Applies that nobody decided and that have no journal never reached the
    /// disk: a journal goes only once the store's record is durable.
    fn end_unjournaled(&self) -> Result<Vec<RecoveredApply>> {
        if self.store.look(applies::undecided)?.is_empty() {
            return Ok(Vec::new());
        }
        self.store.write(|write| {
            let undecided = applies::undecided(write)?;
            let mut ended = Vec::with_capacity(undecided.len());
            for (apply, set) in undecided {
                roll_back(write, apply, "its process died before it reached the disk")?;
                write.log(Event::Recovered {
                    apply: Some(apply),
                    set: set.clone(),
                    committed: false,
                })?;
                let outcome = ApplyOutcome::RolledBack;
                ended.push(RecoveredApply {
                    apply: Some(apply),
                    set,
                    outcome,
                    conflicts: Vec::new(),
                });
            }
            Ok(ended)
        })
    }
}

/// Enters what recovery did; the same news twice changes nothing.
fn record(write: &mut Write<'_>, recovered: &Recovered) -> Result<Option<ApplyId>> {
    let committed = recovered.outcome == RecoveredOutcome::Committed;
    let set = recovered.set.clone();
    let now = write.now;
    match applies::find_set(write, &set)? {
        Some((apply, ApplyState::Started | ApplyState::InDoubt)) => {
            if committed {
                commit(write, apply, &recovered.made_dirs)?;
            } else {
                roll_back(write, apply, "it broke off and was undone")?;
            }
            write.log(Event::Recovered { apply: Some(apply), set, committed })?;
            Ok(Some(apply))
        }
        Some((apply, ApplyState::Committed | ApplyState::RolledBack)) => Ok(Some(apply)),
        None => {
            let state = if committed { ApplyState::Committed } else { ApplyState::RolledBack };
            applies::insert_unknown(write, &set, state, now)?;
            write.log(Event::Recovered { apply: None, set, committed })?;
            Ok(None)
        }
    }
}

fn outcome(outcome: RecoveredOutcome) -> ApplyOutcome {
    match outcome {
        RecoveredOutcome::Committed => ApplyOutcome::Committed,
        RecoveredOutcome::RolledBack => ApplyOutcome::RolledBack,
    }
}
