//! What outlives a process: sessions, patches, applies and events in SQLite,
//! contents in packs.
//!
//! Several processes share one store. Every state decision is made in an
//! immediate transaction that reads the state again, and each change stands in
//! the same transaction as its event. Threads of one process that want to write
//! at the same time share a transaction, each in a savepoint of its own, so that
//! the pages which all of them change are written once.
//!
//! # Durability
//! A commit survives the process at once, and a power cut once [`Store::sync`]
//! has returned; [`Store::write_durably`] includes that.

pub(crate) mod age;
pub(crate) mod applies;
mod checkpoint;
pub(crate) mod columns;
pub(crate) mod contents;
pub(crate) mod decisions;
pub(crate) mod group_commit;
pub(crate) mod identity;
pub(crate) mod last_decision;
pub(crate) mod log;
pub(crate) mod meta;
pub(crate) mod patches;
pub(crate) mod proposed;
mod reserve;
pub(crate) mod rules;
mod schema;
pub(crate) mod sessions;
pub(crate) mod state_dir;
pub(crate) mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use rusqlite::Connection;

use crate::error::{Result, StagingError};
use crate::event::Notice;
use crate::locks::unpoisoned;
use crate::time::Age;
use crate::waiting::{LockKind, Process, WaitObserver};
use crate::{own_file, waiting};
use age::Aging;
use checkpoint::{Checkpoints, truncate_log};
use contents::Unreferenced;
use write::Write;
use writer::Writer;

type Observer = Box<dyn Fn(Notice) + Send + Sync>;

const FILE: &str = "store.sqlite";

/// The byte of the log's index whose lock is the write lock: behind two copies of its header and
/// what a checkpoint notes.
const WRITE_LOCK_BYTE: u64 = 120;

/// A log longer than this is checkpointed by whoever closes the store, since the
/// next process to open it would have to read all of it.
const CLOSING_LOG_BYTES_MAX: u64 = 1 << 20;

/// The connections to the store.
pub(crate) struct Store {
    path: PathBuf,
    writer: Mutex<Writer>,
    /// How many threads wait for the writer.
    waiting: AtomicUsize,
    /// Told when a shared transaction has ended.
    ended: Condvar,
    /// Opened by the first read while another thread writes.
    reader: Mutex<Option<Connection>>,
    observers: Mutex<Vec<Observer>>,
    observed: AtomicBool,
    /// Contents without references since a commit, until they are reclaimed.
    dead: Mutex<Vec<Unreferenced>>,
    /// Whether something was committed since the last sync.
    dirty: AtomicBool,
    /// Whether the log's own name is durable.
    log_named: AtomicBool,
    checkpoint: Checkpoints,
    aging: Aging,
    wait_observer: WaitObserver,
}

impl Store {
    /// Opens `store.sqlite` in a state directory that was prepared.
    pub(crate) fn open(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(FILE);
        let connection = schema::connect(&path)?;
        let store = Self {
            writer: Mutex::new(Writer::new(connection)),
            path,
            waiting: AtomicUsize::new(0),
            ended: Condvar::new(),
            reader: Mutex::new(None),
            observers: Mutex::new(Vec::new()),
            observed: AtomicBool::new(false),
            dead: Mutex::new(Vec::new()),
            dirty: AtomicBool::new(false),
            log_named: AtomicBool::new(false),
            checkpoint: Checkpoints::default(),
            aging: Aging::default(),
            wait_observer: WaitObserver::default(),
        };
        store.keep_reserve();
        Ok(store)
    }

    /// Reports calls that wait for another process's transaction.
    pub(crate) fn with_wait_observer(mut self, wait_observer: WaitObserver) -> Self {
        self.wait_observer = wait_observer;
        self
    }

    /// The process that has the store's write lock: in SQLite's log it is a lock on a byte of the
    /// log's index (walIndexLock in wal.c; `WAL_WRITE_LOCK`).
    fn writing_process(&self) -> Option<Process> {
        let index = self.path.with_file_name(format!("{FILE}-shm"));
        waiting::holder(&index, LockKind::Byte(WRITE_LOCK_BYTE))
    }

    /// The age of the state, by which sessions and history expire; not the clock.
    pub(crate) fn age(&self) -> Result<Age> {
        match self.aging.known() {
            Some(age) => Ok(age),
            None => self.peek(|connection| self.aging.read(connection)),
        }
    }

    /// Records the age of the state, unless that was done a moment ago or the state is read-only; every
    /// other change records it as well.
    pub(crate) fn note_age(&self) -> Result<()> {
        self.age()?;
        if self.aging.known().is_some() {
            return Ok(());
        }
        match self.write(|_| Ok(())) {
            Err(error) if error.is_unwritable() => {
                tracing::debug!(%error, "the age of the state is not written down");
                Ok(())
            }
            noted => noted,
        }
    }

    /// Passes every event written from now on to `observer`.
    pub(crate) fn observe(&self, observer: Observer) {
        unpoisoned(&self.observers).push(observer);
        self.observed.store(true, Ordering::Release);
    }

    /// Whether there is an observer; without one no text of diffs is needed.
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Acquire)
    }

    /// Waits until observers have received every commit of this process that can be read by now.
    pub(crate) fn wait_for_observers(&self) {
        // The thread that commits passes events to them while it has the writer.
        drop(unpoisoned(&self.writer));
    }

    /// Reads one consistent state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.peek(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        })
    }

    /// Runs one statement, or a few that need not be consistent with each other.
    pub(crate) fn peek<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // What a shared transaction has not committed yet must not be seen.
        if let Ok(writer) = self.writer.try_lock()
            && let Some(connection) = writer.idle()
        {
            return work(connection);
        }
        let mut reader = unpoisoned(&self.reader);
        let connection = match &mut *reader {
            Some(connection) => connection,
            none => none.insert(schema::connect_reader(&self.path)?),
        };
        work(connection)
    }

    /// Changes the state; everything in it happens or, on an error, nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Write<'_>) -> Result<T>) -> Result<T> {
        self.write_on(false, work)
    }

    /// The same, and returns only when it survives a power cut, together with everything that any
    /// process committed before.
    pub(crate) fn write_durably<T>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T>,
    ) -> Result<T> {
        self.write_on(true, work)
    }

    /// Contents that lost their last reference; their space may be released once the commits that
    /// removed it are durable.
    pub(crate) fn take_unreferenced(&self) -> Vec<Unreferenced> {
        std::mem::take(&mut *unpoisoned(&self.dead))
    }

    /// Adds contents that no row ever named.
    pub(crate) fn note_unreferenced(&self, dead: impl IntoIterator<Item = Unreferenced>) {
        unpoisoned(&self.dead).extend(dead);
    }

    /// Whether something was committed that a power cut could still undo.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Makes durable what was committed, by any process.
    pub(crate) fn sync(&self) -> Result<()> {
        self.dirty.store(false, Ordering::Release);
        let synced = self.sync_log();
        if synced.is_err() {
            self.dirty.store(true, Ordering::Release);
        }
        synced
    }

    /// SQLite writes the log and syncs it only when it is checkpointed. No lock
    /// lies on it, so it may be opened beside SQLite.
    fn sync_log(&self) -> Result<()> {
        let log = self.log_path();
        let io = |source| StagingError::Io { action: "sync", path: log.clone(), source };
        // What is open only to be read cannot be flushed on Windows.
        let access = if cfg!(windows) { own_file::Access::Write } else { own_file::Access::Read };
        match own_file::open(&log, access) {
            Ok(file) => file.sync_data().map_err(io)?,
            // It was checkpointed, which syncs.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        }
        if !self.log_named.swap(true, Ordering::AcqRel) {
            own_file::sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    /// Leaves checkpoints to [`checkpoint_log`](Self::checkpoint_log), which somebody calls from now
    /// on.
    pub(crate) fn leave_checkpoints_to_maintenance(&self) -> Result<()> {
        Checkpoints::leave_to_maintenance(&self.writer)
    }

    pub(crate) fn has_long_log(&self) -> bool {
        self.checkpoint.is_due()
    }

    pub(crate) fn checkpoint_log(&self) -> Result<()> {
        self.checkpoint.run(&self.path, &self.writer)
    }

    /// The file to which every commit is written.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.with_file_name(format!("{FILE}-wal"))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let long = std::fs::metadata(self.log_path())
            .is_ok_and(|metadata| metadata.len() > CLOSING_LOG_BYTES_MAX);
        if long {
            // Another process that has it open checkpoints when it closes.
            let writer = unpoisoned(&self.writer);
            let no_wait = writer.connection.busy_timeout(std::time::Duration::ZERO);
            let checkpointed = no_wait.map_err(StagingError::from);
            if let Err(error) = checkpointed.and_then(|()| truncate_log(&writer.connection)) {
                tracing::debug!(%error, "the store's log stays as long as it is");
            }
        }
    }
}

#[cfg(test)]
mod tests;
