//! Rows of the sessions table.

use std::time::Duration;

use rusqlite::{Connection, Row};

use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::owner::Owner;
use crate::session::{Session, SessionState};
use crate::store::columns::{change, from_sql, limited, row, rows};
use crate::store::write::Write;
use crate::time::{Age, Timestamp};

/// A statement that selects whole sessions, as [`session`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, label, state, created_ms, active_ms, expires_ms, owner_pid, orphaned_ms,
             active_age_ms, expires_age_ms
             FROM sessions WHERE ",
            $rest
        )
    };
}

/// What the store counts of a session.
pub(crate) struct Counters {
    /// Grows with every change of its pending patches.
    pub(crate) generation: i64,
    pub(crate) pending: u64,
    pub(crate) pending_bytes: u64,
}

fn session(row: &Row<'_>) -> Result<Session> {
    Ok(Session {
        id: row.get(0)?,
        label: row.get(1)?,
        state: row.get(2)?,
        created_at: row.get(3)?,
        last_active_at: row.get(4)?,
        expires_at: row.get(5)?,
        owner_pid: row.get(6)?,
        orphaned_at: row.get(7)?,
        active_age: row.get(8)?,
        expires_age: row.get(9)?,
    })
}

pub(crate) fn find(connection: &Connection, id: SessionId) -> Result<Option<Session>> {
    row(connection, select!("id = ?1"), [id], session)
}

/// The open session of this label; else the last one that had it.
pub(crate) fn find_label(connection: &Connection, label: &str) -> Result<Option<Session>> {
    let statement = select!("label = ?1 ORDER BY state = 'open' DESC, id DESC LIMIT 1");
    row(connection, statement, [label], session)
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<Session>> {
    rows(connection, select!("TRUE ORDER BY id"), [], session)
}

/// Those that are open and not known to be without a process, or that have something pending or
/// lapsed.
pub(crate) fn current(connection: &Connection) -> Result<Vec<Session>> {
    let statement = select!(
        "(state = 'open' AND orphaned_ms IS NULL) OR pending > 0
         OR id IN (SELECT session FROM patches WHERE lapsed = 1) ORDER BY id"
    );
    rows(connection, statement, [], session)
}

/// Open sessions whose time has run out.
pub(crate) fn overdue(connection: &Connection, now: Age) -> Result<Vec<Session>> {
    let statement = select!("state = 'open' AND expires_age_ms <= ?1 ORDER BY id");
    rows(connection, statement, [now], session)
}

pub(crate) fn insert(
    write: &Write<'_>,
    label: &str,
    expires_after: Duration,
    owner: Option<&Owner>,
) -> Result<SessionId> {
    let statement = "INSERT INTO sessions(label, state, created_ms, active_ms, expires_ms,
         active_age_ms, expires_age_ms, owner_pid, owner_start)
         VALUES(?1, 'open', ?2, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (now, age) = (write.now, write.age);
    let (expires, expires_age) = (now.plus(expires_after), age.plus(expires_after));
    let (pid, start) = owner.map(|owner| (owner.pid, owner.start.as_deref())).unzip();
    change(write, statement, (label, now, expires, age, expires_age, pid, start.flatten()))?;
    Ok(SessionId(from_sql(write.last_insert_rowid())))
}

/// Open sessions with an owner that is not known to be dead.
pub(crate) fn owned(connection: &Connection) -> Result<Vec<(SessionId, Owner)>> {
    let statement = "SELECT id, owner_pid, owner_start FROM sessions
         WHERE state = 'open' AND owner_pid IS NOT NULL AND orphaned_ms IS NULL";
    rows(connection, statement, [], |row| {
        Ok((row.get(0)?, Owner { pid: row.get(1)?, start: row.get(2)? }))
    })
}

/// Records that a session's owner is dead; whether it still was the owner.
pub(crate) fn orphan(
    connection: &Connection,
    id: SessionId,
    owner: &Owner,
    now: Timestamp,
) -> Result<bool> {
    let statement = "UPDATE sessions SET orphaned_ms = ?2 WHERE id = ?1 AND state = 'open'
         AND owner_pid = ?3 AND owner_start IS ?4 AND orphaned_ms IS NULL";
    Ok(change(connection, statement, (id, now, owner.pid, &owner.start))? == 1)
}

/// Makes another process the owner of a session that has none, or whose owner is dead.
pub(crate) fn adopt(connection: &Connection, id: SessionId, owner: &Owner) -> Result<()> {
    let statement = "UPDATE sessions SET owner_pid = ?2, owner_start = ?3, orphaned_ms = NULL
         WHERE id = ?1";
    change(connection, statement, (id, owner.pid, &owner.start)).map(drop)
}

/// Removes ended sessions without patches that were last active before this.
pub(crate) fn forget(connection: &Connection, before: Age, limit: usize) -> Result<usize> {
    let statement = "DELETE FROM sessions WHERE id IN (
             SELECT id FROM sessions WHERE state <> 'open' AND active_age_ms < ?1
             AND id NOT IN (SELECT session FROM patches) LIMIT ?2)";
    change(connection, statement, (before, limited(limit)))
}

/// Extends a session's expiry.
pub(crate) fn touch(write: &Write<'_>, id: SessionId, expires_after: Duration) -> Result<()> {
    let (now, age) = (write.now, write.age);
    let statement = "UPDATE sessions SET active_ms = ?2, expires_ms = ?3, active_age_ms = ?4,
         expires_age_ms = ?5 WHERE id = ?1";
    let values = (id, now, now.plus(expires_after), age, age.plus(expires_after));
    change(write, statement, values).map(drop)
}

pub(crate) fn set_state(connection: &Connection, id: SessionId, state: SessionState) -> Result<()> {
    change(connection, "UPDATE sessions SET state = ?2 WHERE id = ?1", (id, state)).map(drop)
}

pub(crate) fn counters(connection: &Connection, id: SessionId) -> Result<Option<Counters>> {
    let statement = "SELECT generation, pending, pending_bytes FROM sessions WHERE id = ?1";
    row(connection, statement, [id], |row| {
        let (generation, pending, bytes) = row.try_into()?;
        Ok(Counters { generation, pending: from_sql(pending), pending_bytes: from_sql(bytes) })
    })
}

/// The session of this id.
pub(crate) fn require(connection: &Connection, id: SessionId) -> Result<Session> {
    find(connection, id)?.ok_or_else(|| StagingError::SessionNotFound { name: id.to_string() })
}
