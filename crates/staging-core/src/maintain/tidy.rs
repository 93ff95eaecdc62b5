//! The lock on the workspace, and what an apply leaves to tidy once it is answered.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use atomic_fs::{Kept, RelPath, WorkspaceLock};
use rusqlite::Connection;

use crate::error::Result;
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner, Tidying};
use crate::locks::unpoisoned;
use crate::patch::{Operation, Patch};
use crate::store::{applies, patches};
use crate::waiting;
use crate::waiting::{Activity, LockKind, SAID_AFTER, Waiting};

/// How soon the workspace's lock is asked for again, at first and at most, in the time in which
/// nothing is said of it.
const LOCK_POLL: Duration = Duration::from_millis(1);
const LOCK_POLL_MAX: Duration = Duration::from_millis(20);

impl DiffStagingLayer {
    /// Removes what an apply left beside the files, and makes the store's record
    /// of it durable. Gives the files with a user's bytes that were found.
    pub fn tidy(&self) -> Result<Vec<Kept>> {
        self.0.tidy()
    }
}

impl Inner {
    pub(crate) fn tidy(&self) -> Result<Vec<Kept>> {
        self.finish_tidying(&mut unpoisoned(&self.gate))
    }

    /// Takes the workspace's lock; says for whom it waits once that has lasted a while.
    pub(crate) fn lock_workspace(&self) -> Result<WorkspaceLock> {
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
    pub(crate) fn say_waiting(&self, activity: Activity) {
        let lock = self.options.state_dir.join(atomic_fs::LOCK_FILE);
        let process = waiting::holder(&lock, LockKind::Whole);
        self.options.wait_observer.report(&Waiting { activity, process });
    }

    /// Takes the workspace's lock with nothing left of any apply before.
    pub(crate) fn begin(
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
    pub(crate) fn finish_tidying(
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
    pub(crate) fn remove_emptied_dirs(&self, lock: &WorkspaceLock, apply: ApplyId) -> Result<()> {
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
