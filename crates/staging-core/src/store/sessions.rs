//! Rows of the sessions table.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::owner::Owner;
use crate::session::{Session, SessionState};
use crate::store::numbers::{from_sql, sql};
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

/// What else the store counts of a session.
pub(crate) struct Counters {
    /// Grows with every change of its pending patches.
    pub(crate) generation: i64,
    pub(crate) pending: u64,
    pub(crate) pending_bytes: u64,
}

fn session(row: &Row<'_>) -> Result<Session> {
    let word: String = row.get(2)?;
    let state = SessionState::from_word(&word)
        .ok_or_else(|| StagingError::damaged_store(format!("a session is `{word}`")))?;
    Ok(Session {
        id: SessionId(from_sql(row.get(0)?)),
        label: row.get(1)?,
        state,
        created_at: Timestamp::from_unix_ms(row.get(3)?),
        last_active_at: Timestamp::from_unix_ms(row.get(4)?),
        expires_at: Timestamp::from_unix_ms(row.get(5)?),
        owner_pid: row.get(6)?,
        orphaned_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix_ms),
        active_age: Age(row.get(8)?),
        expires_age: Age(row.get(9)?),
    })
}

pub(crate) fn find(connection: &Connection, id: SessionId) -> Result<Option<Session>> {
    let mut statement = connection.prepare_cached(select!("id = ?1"))?;
    let mut rows = statement.query([sql(id.0)])?;
    rows.next()?.map(session).transpose()
}

/// The open session of this label; else the last one that had it.
pub(crate) fn find_label(connection: &Connection, label: &str) -> Result<Option<Session>> {
    let mut statement = connection
        .prepare_cached(select!("label = ?1 ORDER BY state = 'open' DESC, id DESC LIMIT 1"))?;
    let mut rows = statement.query([label])?;
    rows.next()?.map(session).transpose()
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<Session>> {
    list(connection, select!("TRUE ORDER BY id"), [].as_slice())
}

/// Those that are open and not known to be without a process, or that have something pending or
/// lapsed.
pub(crate) fn current(connection: &Connection) -> Result<Vec<Session>> {
    list(
        connection,
        select!(
            "(state = 'open' AND orphaned_ms IS NULL) OR pending > 0
             OR id IN (SELECT session FROM patches WHERE lapsed = 1) ORDER BY id"
        ),
        [].as_slice(),
    )
}

/// Open ones whose time has run out.
pub(crate) fn overdue(connection: &Connection, now: Age) -> Result<Vec<Session>> {
    let statement = select!("state = 'open' AND expires_age_ms <= ?1 ORDER BY id");
    list(connection, statement, &[now.0])
}

fn list(connection: &Connection, statement: &str, values: &[i64]) -> Result<Vec<Session>> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(session(row)?);
    }
    Ok(sessions)
}

pub(crate) fn insert(
    write: &Write<'_>,
    label: &str,
    expires_after: Duration,
    owner: Option<&Owner>,
) -> Result<SessionId> {
    let (now, age) = (write.now, write.age);
    write
        .prepare_cached(
            "INSERT INTO sessions(label, state, created_ms, active_ms, expires_ms, active_age_ms,
             expires_age_ms, owner_pid, owner_start) VALUES(?1, 'open', ?2, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            label,
            now.unix_ms(),
            now.plus(expires_after).unix_ms(),
            age.0,
            age.plus(expires_after).0,
            owner.map(|owner| owner.pid),
            owner.and_then(|owner| owner.start.as_deref()),
        ])?;
    Ok(SessionId(from_sql(write.last_insert_rowid())))
}

/// Open sessions that a process owns which was not found dead.
pub(crate) fn owned(connection: &Connection) -> Result<Vec<(SessionId, Owner)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, owner_pid, owner_start FROM sessions
         WHERE state = 'open' AND owner_pid IS NOT NULL AND orphaned_ms IS NULL",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((SessionId(from_sql(row.get(0)?)), Owner { pid: row.get(1)?, start: row.get(2)? }))
    })?;
    let found: rusqlite::Result<Vec<_>> = rows.collect();
    Ok(found?)
}

/// Notes that a session's owner is dead; whether it still was the owner.
pub(crate) fn orphan(
    connection: &Connection,
    id: SessionId,
    owner: &Owner,
    now: Timestamp,
) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE sessions SET orphaned_ms = ?2 WHERE id = ?1 AND state = 'open'
             AND owner_pid = ?3 AND owner_start IS ?4 AND orphaned_ms IS NULL",
        )?
        .execute(params![sql(id.0), now.unix_ms(), owner.pid, owner.start])?;
    Ok(changed == 1)
}

/// Gives a session whose owner is gone, or that had none, to another process.
pub(crate) fn adopt(connection: &Connection, id: SessionId, owner: &Owner) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE sessions SET owner_pid = ?2, owner_start = ?3, orphaned_ms = NULL WHERE id = ?1",
        )?
        .execute(params![sql(id.0), owner.pid, owner.start])?;
    Ok(())
}

/// Removes ended sessions without patches that were last active before this.
pub(crate) fn forget(connection: &Connection, before: Age, limit: usize) -> Result<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE state <> 'open' AND active_age_ms < ?1
                 AND id NOT IN (SELECT session FROM patches) LIMIT ?2)",
        )?
        .execute(params![before.0, limit])?)
}

/// Puts a session's expiry off.
pub(crate) fn touch(write: &Write<'_>, id: SessionId, expires_after: Duration) -> Result<()> {
    let (now, age) = (write.now, write.age);
    write
        .prepare_cached(
            "UPDATE sessions SET active_ms = ?2, expires_ms = ?3, active_age_ms = ?4,
             expires_age_ms = ?5 WHERE id = ?1",
        )?
        .execute(params![
            sql(id.0),
            now.unix_ms(),
            now.plus(expires_after).unix_ms(),
            age.0,
            age.plus(expires_after).0,
        ])?;
    Ok(())
}

pub(crate) fn set_state(connection: &Connection, id: SessionId, state: SessionState) -> Result<()> {
    connection
        .prepare_cached("UPDATE sessions SET state = ?2 WHERE id = ?1")?
        .execute(params![sql(id.0), state.as_str()])?;
    Ok(())
}

pub(crate) fn counters(connection: &Connection, id: SessionId) -> Result<Option<Counters>> {
    let found = connection
        .prepare_cached("SELECT generation, pending, pending_bytes FROM sessions WHERE id = ?1")?
        .query_row([sql(id.0)], |row| {
            Ok(Counters {
                generation: row.get(0)?,
                pending: from_sql(row.get(1)?),
                pending_bytes: from_sql(row.get(2)?),
            })
        })
        .optional()?;
    Ok(found)
}

/// The session of this id.
pub(crate) fn require(connection: &Connection, id: SessionId) -> Result<Session> {
    find(connection, id)?.ok_or_else(|| StagingError::SessionNotFound { name: id.to_string() })
}
