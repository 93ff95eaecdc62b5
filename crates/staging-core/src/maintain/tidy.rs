//! The workspace's lock, and the cleaning up that an apply leaves until after its answer.

use std::collections::HashSet;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use atomic_fs::{DisplacedEdit, RelPath, WorkspaceLock};
use rusqlite::Connection;

use crate::decide::set_ids;
use crate::disk_owner::DiskOwner;
use crate::error::Result;
use crate::ids::ApplyId;
use crate::layer::{Inner, Tidying};
use crate::locks::unpoisoned;
use crate::patch::{Operation, Patch};
use crate::store::{applies, patches};
use crate::waiting;
use crate::waiting::{Activity, LockKind, REPORT_AFTER, Waiting};

/// The first and the longest pause between two tries to lock the workspace, before the wait is
/// reported.
const LOCK_POLL: Duration = Duration::from_millis(1);
const LOCK_POLL_MAX: Duration = Duration::from_millis(20);

impl DiskOwner {
    /// Removes the temporary files of the last apply of this process, and makes its record in the
    /// store durable. Returns the files with displaced edits of a user that it found.
    ///
    /// # Errors
    /// An error of the workspace or the store; the journal stays then, and the next recovery
    /// finishes.
    pub fn tidy(&self) -> Result<Vec<DisplacedEdit>> {
        self.0.tidy()
    }
}

impl Inner {
    pub(crate) fn tidy(&self) -> Result<Vec<DisplacedEdit>> {
        self.finish_tidying(&mut unpoisoned(&self.gate))
    }

    /// Locks the workspace; reports which process it waits for when that takes long.
    pub(crate) fn lock_workspace(&self) -> Result<WorkspaceLock> {
        let begun = Instant::now();
        let mut pause = LOCK_POLL;
        while begun.elapsed() < REPORT_AFTER {
            if let Some(lock) = self.workspace.try_lock()? {
                return Ok(lock);
            }
            std::thread::sleep(pause);
            pause = LOCK_POLL_MAX.min(pause * 2);
        }
        self.report_waiting(Activity::ChangesWorkspace);
        Ok(self.workspace.lock()?)
    }

    /// Reports that a call waits for the process that holds the workspace's lock.
    pub(crate) fn report_waiting(&self, activity: Activity) {
        let lock = self.options.state_dir.join(atomic_fs::LOCK_FILE);
        let process = waiting::holder(&lock, LockKind::Whole);
        self.options.wait_observer.report(&Waiting { activity, process });
    }

    /// Locks the workspace, and finishes or rolls back earlier applies first.
    pub(crate) fn begin(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
    ) -> Result<WorkspaceLock> {
        self.tidy_before_recovery(gate);
        let lock = self.lock_workspace()?;
        self.recover_under(&lock)?;
        Ok(lock)
    }

    /// The same, before a set is made.
    pub(crate) fn begin_set(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
    ) -> Result<WorkspaceLock> {
        let lock = self.begin(gate)?;
        set_ids::tag_state(&self.store)?;
        Ok(lock)
    }

    /// Cleans up after the last apply, as far as that is possible: recovery does the rest.
    pub(crate) fn tidy_before_recovery(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
    ) -> Vec<DisplacedEdit> {
        self.finish_tidying(gate).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot clean up after the last apply: recovery does it");
            Vec::new()
        })
    }

    /// Cleans up after the last apply. On an error the journal stays, and recovery finishes.
    pub(crate) fn finish_tidying(
        &self,
        gate: &mut MutexGuard<'_, Option<Tidying>>,
    ) -> Result<Vec<DisplacedEdit>> {
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

    /// After an undo: removes the directories that the undone apply created, if they are empty.
    /// After an apply that removed Greenroom's settings from an agent's: removes the directories
    /// that were created for them. Nothing promises that they are removed: on an error they stay.
    pub(crate) fn remove_emptied_dirs(&self, lock: &WorkspaceLock, apply: ApplyId) -> Result<()> {
        let dirs = self.store.read(|connection| match applies::undoes(connection, apply)? {
            Some(target) => made_for_undone(connection, target),
            None if applies::is_own(connection, apply)? => made_for_deleted(connection, apply),
            None => Ok(Vec::new()),
        })?;
        if let Err(error) = self.workspace.remove_empty_dirs(lock, &dirs) {
            tracing::warn!(%apply, %error, "cannot remove a directory that it created");
        }
        Ok(())
    }
}

/// The directories that an apply created, except those that it is still to have created after it was
/// undone in part.
fn made_for_undone(connection: &Connection, target: ApplyId) -> Result<Vec<RelPath>> {
    let applied = patches::applied_by(connection, target)?;
    let applied: HashSet<&RelPath> = applied.iter().filter_map(Patch::target).collect();
    let mut made = applies::made_dirs(connection, target)?;
    made.retain(|dir| !applied.contains(dir));
    Ok(made)
}

/// The directories that Greenroom's own applies created, above files that this apply deleted.
fn made_for_deleted(connection: &Connection, apply: ApplyId) -> Result<Vec<RelPath>> {
    let patches = patches::of_apply(connection, apply)?;
    let is_above = |dir: &RelPath| {
        let is_below =
            |patch: &Patch| patch.operation == Operation::Delete && patch.path.starts_with(dir);
        patches.iter().any(is_below)
    };
    Ok(applies::own_made_dirs(connection)?.into_iter().filter(is_above).collect())
}
