//! Checkpoints: SQLite's write-ahead log is written back into the store while others write.
//!
//! By default the process whose commit makes the log long checkpoints it, and all others that write
//! wait for the copying and its two syncs. A long-lived process does nearly all of that on a separate
//! connection: a passive checkpoint runs beside a writer. It cannot restart the log, though, while
//! others write. So the little that was written meanwhile is checkpointed in a second step, while no
//! thread of this process writes.
//! See <https://www.sqlite.org/wal.html> and `sqlite3_wal_checkpoint_v2`.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::error::Result;
use crate::locks::unpoisoned;
use crate::store::schema;
use crate::store::writer::Writer;

/// After so many commits the log is worth a checkpoint; each is a few pages.
const COMMITS: u32 = 250;

/// Passive checkpoints are repeated while one takes longer than this: the next one has less to
/// do. What is left then is done while nobody writes.
const SHORT: Duration = Duration::from_millis(2);
const PASSES_MAX: u32 = 4;

/// How long the last step waits for readers; writers wait for it as long.
const READERS_WAIT: Duration = Duration::from_millis(5);

/// The length of the log at which SQLite checkpoints by itself, in case maintenance does not.
const LOG_PAGES_MAX: i64 = 32_000;

/// What is known of the log, and the connection that checkpoints it.
#[derive(Default)]
pub(crate) struct Checkpoints {
    commits: AtomicU32,
    connection: Mutex<Option<Connection>>,
}

impl Checkpoints {
    /// Notes that the log has grown.
    pub(crate) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the log has grown enough for a checkpoint.
    pub(crate) fn is_due(&self) -> bool {
        self.commits.load(Ordering::Relaxed) >= COMMITS
    }

    /// Leaves the log to checkpoints by [`run`](Self::run), up to a length that it should not reach.
    pub(crate) fn leave_to_maintenance(writer: &Mutex<Writer>) -> Result<()> {
        let writer = unpoisoned(writer);
        Ok(writer.connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?)
    }

    /// Checkpoints the log of the store at `path`; what others write meanwhile may stay in it.
    pub(crate) fn run(&self, path: &Path, writer: &Mutex<Writer>) -> Result<()> {
        self.commits.store(0, Ordering::Relaxed);
        let mut connection = unpoisoned(&self.connection);
        let connection = match &mut *connection {
            Some(connection) => connection,
            none => {
                let connection = schema::connect(path)?;
                connection.busy_timeout(READERS_WAIT)?;
                none.insert(connection)
            }
        };
        for _ in 0..PASSES_MAX {
            let begun = Instant::now();
            checkpoint(connection, "PASSIVE")?;
            if begun.elapsed() < SHORT {
                break;
            }
        }
        let writer = unpoisoned(writer);
        if writer.idle().is_some() {
            checkpoint(connection, "RESTART")?;
        }
        Ok(())
    }
}

/// Checkpoints the whole log, which releases its space.
pub(crate) fn truncate_log(connection: &Connection) -> Result<()> {
    checkpoint(connection, "TRUNCATE")
}

/// Checkpoints as much as is possible; a busy reader or writer is not an error.
fn checkpoint(connection: &Connection, mode: &str) -> Result<()> {
    Ok(connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?)
}
