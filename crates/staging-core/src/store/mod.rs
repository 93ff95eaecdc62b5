//! What outlives a process: sessions, patches, applies and events in SQLite,
//! contents as blobs.
//!
//! Several processes share one store. Every state decision is made in an
//! immediate transaction that reads the state again, and each change stands in
//! the same transaction as its event.
//!
//! # Durability
//! A commit survives the process at once and a power cut within about a second;
//! [`Store::write_durably`] returns when it survives a power cut as well.

pub(crate) mod applies;
pub(crate) mod blobs;
pub(crate) mod log;
pub(crate) mod patches;
mod schema;
pub(crate) mod sessions;
pub(crate) mod set_aside;
pub(crate) mod state_dir;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::Result;
use crate::error::StagingError;
use crate::events::{Event, Notice};
use crate::time::Timestamp;

type Observer = Box<dyn Fn(Notice) + Send + Sync>;

/// The connection to the store.
pub(crate) struct Store {
    connection: Mutex<Connection>,
    observers: Mutex<Vec<Observer>>,
    observed: AtomicBool,
}

impl Store {
    /// Opens `store.sqlite` in a state directory that was prepared.
    pub(crate) fn open(state_dir: &Path) -> Result<Self> {
        Ok(Self {
            connection: Mutex::new(schema::connect(&state_dir.join("store.sqlite"))?),
            observers: Mutex::new(Vec::new()),
            observed: AtomicBool::new(false),
        })
    }

    /// Hands every event written from now on to `observer`.
    pub(crate) fn observe(&self, observer: Observer) {
        unpoisoned(&self.observers).push(observer);
        self.observed.store(true, Ordering::Release);
    }

    /// Whether anybody observes; else nobody needs a diff's text.
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Acquire)
    }

    /// Reads one consistent state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = unpoisoned(&self.connection);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let answer = work(&transaction)?;
        transaction.commit()?;
        Ok(answer)
    }

    /// Runs one statement or a few that need not agree with each other.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&unpoisoned(&self.connection))
    }

    /// Changes the state; everything in it happens or, on an error, nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Write<'_>) -> Result<T>) -> Result<T> {
        self.write_or(work)
    }

    /// The same with an error of the caller's own.
    pub(crate) fn write_or<T, E: From<StagingError>>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_on(&mut unpoisoned(&self.connection), work)
    }

    /// The same, and back only when it survives a power cut, together with
    /// everything that any process committed before.
    pub(crate) fn write_durably<T>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut connection = unpoisoned(&self.connection);
        connection.pragma_update(None, "synchronous", "FULL")?;
        let outcome = self.write_on(&mut connection, work);
        if let Err(error) = connection.pragma_update(None, "synchronous", "NORMAL") {
            tracing::warn!(%error, "every commit stays durable, and slow");
        }
        outcome
    }

    fn write_on<T, E: From<StagingError>>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StagingError::from)?;
        let mut write =
            Write { transaction, now: Timestamp::now(), head: None, notices: Vec::new() };
        let answer = work(&mut write)?;
        write.transaction.commit().map_err(StagingError::from)?;
        // Under the connection's lock, so that observers see the log's order.
        let observers = unpoisoned(&self.observers);
        for notice in write.notices {
            for observer in observers.iter() {
                observer(notice.clone());
            }
        }
        Ok(answer)
    }
}

/// A change of state on its way.
pub(crate) struct Write<'c> {
    transaction: Transaction<'c>,
    /// The time of everything in it.
    pub(crate) now: Timestamp,
    head: Option<log::Head>,
    notices: Vec<Notice>,
}

impl Write<'_> {
    /// Logs an event with the change it is about.
    pub(crate) fn log(&mut self, event: Event) -> Result<()> {
        self.log_with_diff(event, None)
    }

    /// The same, with a diff for whoever observes in this process.
    pub(crate) fn log_with_diff(&mut self, event: Event, diff: Option<Arc<[u8]>>) -> Result<()> {
        let mut head = match self.head {
            Some(head) => head,
            None => log::head(&self.transaction)?,
        };
        let record = log::append(&self.transaction, &mut head, self.now, event)?;
        self.head = Some(head);
        self.notices.push(Notice { record: Arc::new(record), diff });
        Ok(())
    }
}

impl std::ops::Deref for Write<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

/// A panic under one of these locks leaves nothing half-done: transactions roll
/// back when they are dropped.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row that this version cannot have written.
pub(crate) fn damaged(reason: impl Into<String>) -> StagingError {
    StagingError::DamagedStore { reason: reason.into() }
}

/// SQLite's numbers are signed; ours fit, by how they are parsed and made.
pub(crate) fn sql(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The reverse of [`sql`].
pub(crate) fn unsql(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
