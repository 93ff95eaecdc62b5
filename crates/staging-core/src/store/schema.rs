//! The tables, and how a connection is set up.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::error::{Result, StagingError};

/// The schema this version writes.
pub(crate) const SCHEMA: u32 = 11;

/// How long a statement waits for another process's transaction.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(10);

/// How much of the store a connection holds in memory, at most; SQLite's own
/// default is too little for the indexes of ten thousand patches.
const CACHE_KIB: i64 = 16 * 1024;

/// How long the log may grow before whoever commits checkpoints it, which syncs:
/// seldom, so that few proposals pay for it. Whoever closes the store checkpoints
/// much less, so that opening stays quick.
const CHECKPOINT_PAGES: i64 = 4000;

/// The newest version, without what is below. The triggers keep each session's counters and its
/// generation, so that no statement can forget them.
const TABLES: &str = "
CREATE TABLE sessions(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    label TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    active_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    active_age_ms INTEGER NOT NULL,
    expires_age_ms INTEGER NOT NULL,
    owner_pid INTEGER,
    owner_start TEXT,
    orphaned_ms INTEGER,
    generation INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    pending_bytes INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX open_labels ON sessions(label) WHERE state = 'open';

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
    undone_by INTEGER REFERENCES applies(id),
    request TEXT,
    forgotten INTEGER NOT NULL DEFAULT 0,
    made_dirs TEXT,
    removed_dirs TEXT,
    approval TEXT,
    agent TEXT,
    own INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX undecided ON applies(state) WHERE state IN ('started', 'in_doubt');
CREATE UNIQUE INDEX apply_requests ON applies(request) WHERE request IS NOT NULL;

CREATE TABLE patches(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES sessions(id),
    path BLOB NOT NULL,
    rename_to BLOB,
    operation TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    reason_text TEXT,
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
    apply INTEGER REFERENCES applies(id),
    kept INTEGER NOT NULL DEFAULT 1,
    lapsed INTEGER NOT NULL DEFAULT 0,
    unreported INTEGER NOT NULL DEFAULT 0,
    batch INTEGER,
    decided_age_ms INTEGER,
    lapsed_after INTEGER
);
CREATE UNIQUE INDEX pending_paths ON patches(session, path) WHERE state = 'pending';
CREATE UNIQUE INDEX pending_targets ON patches(session, rename_to)
    WHERE state = 'pending' AND rename_to IS NOT NULL;
CREATE INDEX pending_anywhere ON patches(path) WHERE state = 'pending';
CREATE INDEX pending_targets_anywhere ON patches(rename_to)
    WHERE state = 'pending' AND rename_to IS NOT NULL;

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
CREATE INDEX applied_patches ON apply_patches(patch);

CREATE TABLE events(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    payload TEXT NOT NULL,
    hash BLOB NOT NULL
);
";

/// Where contents are, and numbers of the whole store, since version 2.
const CONTENTS: &str = "
CREATE TABLE contents(
    digest BLOB PRIMARY KEY,
    pack INTEGER,
    at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    refs INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta(
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES('content_bytes', 0);
CREATE TRIGGER content_added AFTER INSERT ON contents BEGIN
    UPDATE meta SET value = value + NEW.bytes WHERE name = 'content_bytes';
END;
CREATE TRIGGER content_gone AFTER DELETE ON contents BEGIN
    UPDATE meta SET value = value - OLD.bytes WHERE name = 'content_bytes';
END;
";

/// How old everything is, what lapsed and what is to be reported, since version 3.
const AGES: &str = "
CREATE INDEX open_expiry ON sessions(expires_age_ms) WHERE state = 'open';
CREATE INDEX decided ON patches(decided_age_ms) WHERE state <> 'pending';
CREATE INDEX lapsed ON patches(path) WHERE lapsed = 1;
CREATE INDEX unreported ON patches(session) WHERE unreported = 1;
CREATE INDEX batches ON patches(batch) WHERE batch IS NOT NULL;
CREATE TRIGGER patch_reopened AFTER UPDATE OF state ON patches
WHEN OLD.state <> 'pending' AND NEW.state = 'pending' BEGIN
    UPDATE sessions SET generation = generation + 1, pending = pending + 1,
        pending_bytes = pending_bytes + coalesce(NEW.staged_bytes, 0) WHERE id = NEW.session;
END;
CREATE TRIGGER patch_aged AFTER UPDATE OF state ON patches
WHEN NEW.state <> 'pending' AND NEW.decided_age_ms IS OLD.decided_age_ms BEGIN
    UPDATE patches SET decided_age_ms = (SELECT value FROM meta WHERE name = 'age_ms')
        WHERE id = NEW.id;
END;
";

/// What makes version 2 of version 1, together with [`CONTENTS`] and [`FILES_OF_1`]. In version 1
/// every content had a file of its own, and the contents of discarded patches were gone.
const FROM_1: &str = "
ALTER TABLE sessions ADD COLUMN owner_start TEXT;
ALTER TABLE sessions ADD COLUMN orphaned_ms INTEGER;
UPDATE sessions SET owner_pid = NULL;
ALTER TABLE applies ADD COLUMN request TEXT;
ALTER TABLE applies ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
ALTER TABLE applies ADD COLUMN made_dirs TEXT;
CREATE INDEX applied_patches ON apply_patches(patch);
CREATE UNIQUE INDEX apply_requests ON applies(request) WHERE request IS NOT NULL;
ALTER TABLE patches ADD COLUMN kept INTEGER NOT NULL DEFAULT 1;
UPDATE patches SET kept = 0 WHERE state = 'discarded';
DROP INDEX base_in_use;
DROP INDEX staged_in_use;
CREATE INDEX decided ON patches(updated_ms) WHERE state <> 'pending';
";

/// The contents of version 1; the triggers count their bytes.
const FILES_OF_1: &str = "
INSERT INTO contents
    SELECT digest, NULL, 0, max(bytes), count(*) FROM (
        SELECT base_digest AS digest, base_bytes AS bytes FROM patches
            WHERE kept AND base_digest IS NOT NULL
        UNION ALL SELECT staged_digest, staged_bytes FROM patches
            WHERE kept AND staged_digest IS NOT NULL
    ) GROUP BY digest;
";

/// What makes version 5 of version 4, in which every patch was about a regular file: modes name
/// other kinds by their upper bits.
const FROM_4: &str = "
CREATE INDEX pending_links ON patches(session)
    WHERE state = 'pending' AND staged_mode = 40960;
";

/// What makes version 9 of version 8, in which a rejection had one reason for a whole patch.
const FROM_8: &str = "
ALTER TABLE patches ADD COLUMN comments TEXT;
";

/// What makes version 8 of version 7, which knew of a decision only that its agent had not received it.
const FROM_7: &str = "
ALTER TABLE patches ADD COLUMN decision TEXT;
ALTER TABLE patches ADD COLUMN replaced_by INTEGER;
ALTER TABLE patches ADD COLUMN claimed_by TEXT;
CREATE INDEX claimed_decisions ON patches(claimed_by) WHERE claimed_by IS NOT NULL;
";

/// What makes version 6 of version 5, which stored risks among the remarks.
const FROM_5: &str = "
ALTER TABLE patches ADD COLUMN risks TEXT;
";

/// What makes version 7 of version 6, in which an apply had no words of the reviewer, no rule approved
/// one, and every undo was of a whole apply. Since then an undo has rows of its own in `apply_patches`.
const FROM_6: &str = "
ALTER TABLE applies ADD COLUMN message TEXT;
ALTER TABLE applies ADD COLUMN rule TEXT;
";

/// What makes version 10 of version 9, in which only agents made revisions.
const FROM_9: &str = "
ALTER TABLE patches ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
";

/// What makes version 11 of version 10, in which a revision of a patch was another patch: a row is
/// written over with each revision now, and what it proposed before goes to a row of its own. The rows
/// of older versions stay as they are. What lapsed under them counts as a part of every set: the ids
/// of their revisions do not show which patches were pending then.
const FROM_10: &str = "
ALTER TABLE patches ADD COLUMN revision_of INTEGER;
ALTER TABLE patches ADD COLUMN by_reviewer INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patches ADD COLUMN edit_lost INTEGER NOT NULL DEFAULT 0;
UPDATE patches SET by_reviewer = edited WHERE state = 'pending';
UPDATE patches SET lapsed_after = NULL WHERE lapsed = 1;
CREATE INDEX earlier_revisions ON patches(revision_of) WHERE revision_of IS NOT NULL;
CREATE INDEX lost_edits ON patches(path) WHERE edit_lost = 1;
CREATE TRIGGER patch_revised AFTER UPDATE OF revision ON patches
WHEN OLD.state = 'pending' AND NEW.state = 'pending' BEGIN
    UPDATE sessions SET generation = generation + 1, pending_bytes = pending_bytes
        + coalesce(NEW.staged_bytes, 0) - coalesce(OLD.staged_bytes, 0) WHERE id = NEW.session;
END;
";

/// What makes version 4 of version 3, which removed no directories.
const FROM_3: &str = "
ALTER TABLE applies ADD COLUMN removed_dirs TEXT;
";

/// What makes version 3 of version 2, together with [`AGES`]. A signature is computed from what a patch proposes, so
/// the column that held one is gone. What was undone was still called applied. Patches that
/// became stale under version 2 were reported then, and are not listed. Sessions and history
/// begin to age when the store is brought up to date: only a clock says how old they are.
const FROM_2: &str = "
ALTER TABLE applies ADD COLUMN approval TEXT;
ALTER TABLE applies ADD COLUMN agent TEXT;
ALTER TABLE applies ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
UPDATE applies SET own = 1 WHERE id IN (
    SELECT apply_patches.apply FROM apply_patches
    JOIN patches ON patches.id = apply_patches.patch
    JOIN sessions ON sessions.id = patches.session
    WHERE sessions.label = 'greenroom init');
ALTER TABLE patches DROP COLUMN signature;
ALTER TABLE patches ADD COLUMN lapsed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patches ADD COLUMN unreported INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patches ADD COLUMN batch INTEGER;
ALTER TABLE patches ADD COLUMN lapsed_after INTEGER;
UPDATE patches SET state = 'discarded', reason = 'undone'
    WHERE state = 'applied' AND apply IN (SELECT id FROM applies WHERE undone_by IS NOT NULL);
ALTER TABLE sessions ADD COLUMN active_age_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN expires_age_ms INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET expires_age_ms = max(0, expires_ms - active_ms);
DROP INDEX open_expiry;
ALTER TABLE patches ADD COLUMN decided_age_ms INTEGER;
UPDATE patches SET decided_age_ms = 0 WHERE state <> 'pending';
DROP INDEX decided;
";

/// Opens the store, creating the tables where there are none, and bringing those
/// of an older version up to date.
///
/// When the version matches nothing but the connection's own settings is done.
pub(crate) fn connect(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(128);
    // A short-lived process must not pay for a checkpoint when it leaves.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    match version(&connection)? {
        SCHEMA => {}
        0 => {
            switch_to_wal(&connection)?;
            bring_up_to_date(&mut connection)?;
        }
        _ => bring_up_to_date(&mut connection)?,
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // What a savepoint would take back is never more than a few pages.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// A second connection to a store that is open, which cannot change it.
pub(crate) fn connect_reader(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
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

/// One transaction, which looks again: another process may have been faster.
fn bring_up_to_date(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let steps: &[&str] = match version(&transaction)? {
        0 => &[TABLES, CONTENTS, AGES, FROM_4, FROM_5, FROM_6, FROM_7, FROM_8, FROM_9, FROM_10],
        1 => &[
            FROM_1, CONTENTS, FILES_OF_1, FROM_2, AGES, FROM_3, FROM_4, FROM_5, FROM_6, FROM_7,
            FROM_8, FROM_9, FROM_10,
        ],
        2 => &[FROM_2, AGES, FROM_3, FROM_4, FROM_5, FROM_6, FROM_7, FROM_8, FROM_9, FROM_10],
        3 => &[FROM_3, FROM_4, FROM_5, FROM_6, FROM_7, FROM_8, FROM_9, FROM_10],
        4 => &[FROM_4, FROM_5, FROM_6, FROM_7, FROM_8, FROM_9, FROM_10],
        5 => &[FROM_5, FROM_6, FROM_7, FROM_8, FROM_9, FROM_10],
        6 => &[FROM_6, FROM_7, FROM_8, FROM_9, FROM_10],
        7 => &[FROM_7, FROM_8, FROM_9, FROM_10],
        8 => &[FROM_8, FROM_9, FROM_10],
        9 => &[FROM_9, FROM_10],
        10 => &[FROM_10],
        SCHEMA => return Ok(()),
        found => return Err(StagingError::NewerStore { found, known: SCHEMA }),
    };
    for statements in steps {
        transaction.execute_batch(statements)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()?;
    Ok(())
}
