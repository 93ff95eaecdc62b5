//! The tables, and how a connection is set up.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::Result;
use crate::error::StagingError;

/// The schema this version writes.
pub(crate) const SCHEMA: u32 = 1;

/// How long a statement waits for another process's transaction.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// How much of the store a connection holds in memory, at most; SQLite's own
/// default is too little for the indexes of ten thousand patches.
const CACHE_KIB: i64 = 16 * 1024;

/// How long the log may grow before it is folded back, which syncs: seldom, so
/// that few proposals pay for it, and soon enough that opening stays quick.
const CHECKPOINT_PAGES: i64 = 4000;

/// Version 1. The triggers keep each session's counters and its generation, so
/// that no statement can forget them.
const TABLES: &str = "
CREATE TABLE sessions(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    label TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    active_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    owner_pid INTEGER,
    generation INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    pending_bytes INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX open_labels ON sessions(label) WHERE state = 'open';
CREATE INDEX open_expiry ON sessions(expires_ms) WHERE state = 'open';

CREATE TABLE applies(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    set_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    signature BLOB,
    reason TEXT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    tidied INTEGER NOT NULL DEFAULT 0,
    undoes INTEGER REFERENCES applies(id),
    undone_by INTEGER REFERENCES applies(id)
);
CREATE INDEX undecided ON applies(state) WHERE state IN ('started', 'in_doubt');

CREATE TABLE patches(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES sessions(id),
    path BLOB NOT NULL,
    rename_to BLOB,
    operation TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    reason_text TEXT,
    signature BLOB NOT NULL,
    revision INTEGER NOT NULL,
    base_digest BLOB,
    base_mode INTEGER,
    base_bytes INTEGER,
    base_modified_ns INTEGER,
    base_inode INTEGER,
    base_device INTEGER,
    base_changed_ns INTEGER,
    base_observed_ns INTEGER,
    staged_digest BLOB,
    staged_mode INTEGER,
    staged_bytes INTEGER,
    strategy TEXT NOT NULL,
    added INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    full_replace INTEGER NOT NULL,
    binary INTEGER NOT NULL,
    remarks TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    apply INTEGER REFERENCES applies(id)
);
CREATE UNIQUE INDEX pending_paths ON patches(session, path) WHERE state = 'pending';
CREATE UNIQUE INDEX pending_targets ON patches(session, rename_to)
    WHERE state = 'pending' AND rename_to IS NOT NULL;
CREATE INDEX pending_anywhere ON patches(path) WHERE state = 'pending';
CREATE INDEX pending_targets_anywhere ON patches(rename_to)
    WHERE state = 'pending' AND rename_to IS NOT NULL;
CREATE INDEX base_in_use ON patches(base_digest)
    WHERE state <> 'discarded' AND base_digest IS NOT NULL;
CREATE INDEX staged_in_use ON patches(staged_digest)
    WHERE state <> 'discarded' AND staged_digest IS NOT NULL;

CREATE TRIGGER patch_added AFTER INSERT ON patches WHEN NEW.state = 'pending' BEGIN
    UPDATE sessions SET generation = generation + 1, pending = pending + 1,
        pending_bytes = pending_bytes + coalesce(NEW.staged_bytes, 0) WHERE id = NEW.session;
END;
CREATE TRIGGER patch_decided AFTER UPDATE OF state ON patches
WHEN OLD.state = 'pending' AND NEW.state <> 'pending' BEGIN
    UPDATE sessions SET generation = generation + 1, pending = pending - 1,
        pending_bytes = pending_bytes - coalesce(OLD.staged_bytes, 0) WHERE id = OLD.session;
END;

CREATE TABLE apply_patches(
    apply INTEGER NOT NULL REFERENCES applies(id),
    patch INTEGER NOT NULL REFERENCES patches(id),
    PRIMARY KEY(apply, patch)
) WITHOUT ROWID;

CREATE TABLE events(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    payload TEXT NOT NULL,
    hash BLOB NOT NULL
);
";

/// Opens the store, creating the tables where there are none.
///
/// When the version matches nothing but the connection's own settings is done.
pub(crate) fn connect(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(96);
    // A short-lived process must not pay for a checkpoint when it leaves.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let version = version(&connection)?;
    if version == 0 {
        switch_to_wal(&connection)?;
        create_tables(&mut connection)?;
    } else if version > SCHEMA {
        return Err(StagingError::NewerStore { found: version, known: SCHEMA });
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The switch wants the file for itself and does not wait for it by itself.
fn switch_to_wal(connection: &Connection) -> Result<()> {
    let deadline = Instant::now() + BUSY_WAIT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn create_tables(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version(&transaction)? {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()?;
        }
        // Another process was faster.
        SCHEMA => {}
        found => return Err(StagingError::NewerStore { found, known: SCHEMA }),
    }
    Ok(())
}
