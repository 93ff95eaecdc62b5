//! Checkpoints: SQLite's write-ahead log is written back into the store while others write.
//!
//! By default whoever commits when the log has become long checkpoints it, and everybody who
//! wants to write waits for the copying and its two syncs. A process that lives on does nearly
//! all of that on a connection of its own: a passive checkpoint runs beside a writer. It cannot
//! let the log begin anew, though, while somebody writes on. So what came meanwhile, which is
//! little, is checkpointed in a second step while no thread of this process writes.
//! See <https://www.sqlite.org/wal.html> and `sqlite3_wal_checkpoint_v2`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{Store, schema, unpoisoned};
use crate::Result;

/// After so many commits the log is worth a checkpoint; each is a few pages.
const COMMITS: u32 = 250;

/// Passive checkpoints are repeated while one takes longer than this: the next one has less to
/// do. What is left then is done while nobody writes.
const SHORT: Duration = Duration::from_millis(2);
const PASSES_MAX: u32 = 4;

/// How long the last step waits for those who read, and others for it.
const READERS_WAIT: Duration = Duration::from_millis(5);

/// How long the log may grow while maintenance does the checkpoints: a limit for when they do not
/// happen.
const LOG_PAGES_MAX: i64 = 32_000;

/// What is known of the log, and the connection that checkpoints it.
#[derive(Default)]
pub(super) struct Checkpoints {
    commits: AtomicU32,
    connection: Mutex<Option<Connection>>,
}

impl Checkpoints {
    /// Notes that the log has grown.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }
}

impl Store {
    pub(crate) fn leave_checkpoints_to_maintenance(&self) -> Result<()> {
        let writer = unpoisoned(&self.writer);
        let pages = LOG_PAGES_MAX;
        Ok(writer.connection().pragma_update(None, "wal_autocheckpoint", pages)?)
    }

    pub(crate) fn has_long_log(&self) -> bool {
        self.checkpoint.commits.load(Ordering::Relaxed) >= COMMITS
    }

    /// Checkpoints the log; what others write meanwhile may stay in it.
    pub(crate) fn checkpoint_log(&self) -> Result<()> {
        self.checkpoint.commits.store(0, Ordering::Relaxed);
        let mut connection = unpoisoned(&self.checkpoint.connection);
        let connection = match &mut *connection {
            Some(connection) => connection,
            none => {
                let connection = schema::connect(&self.path)?;
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
        let writer = unpoisoned(&self.writer);
        if writer.idle().is_some() {
            checkpoint(connection, "RESTART")?;
        }
        Ok(())
    }
}

/// Does as much as can be done; that something was in the way is no error.
fn checkpoint(connection: &Connection, mode: &str) -> Result<()> {
    Ok(connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?)
}
