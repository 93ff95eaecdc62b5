//! The audit log: each event's hash covers the one before it.
//!
//! `hash = BLAKE3(previous hash, seq, at, payload)`, numbers in 8 bytes little
//! endian, the payload's length before it; the first event's previous hash is
//! all zeros. Editing, removing or reordering any event breaks every hash from
//! there on; removing the last ones is seen by SQLite's own count of rows ever
//! inserted.
//!
//! # Limitations
//! Whoever can write the state directory can also write the whole chain anew.

use rusqlite::Connection;

use crate::error::{Result, StagingError};
use crate::event::{EVENT_SCHEMA, Event, EventRecord, LogCheck};
use crate::store::columns::{change, from_sql, limited, row, sql, to_json};
use crate::time::Timestamp;

/// The last event's place and hash.
#[derive(Clone, Copy, Default)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    hash: [u8; 32],
}

pub(crate) fn head(connection: &Connection) -> Result<Head> {
    let statement = "SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1";
    let last = row(connection, statement, [], |row| {
        Ok(Head { seq: from_sql(row.get(0)?), hash: row.get(1)? })
    })?;
    Ok(last.unwrap_or_default())
}

/// Appends an event behind `head`, which moves on.
pub(crate) fn append(
    connection: &Connection,
    head: &mut Head,
    at: Timestamp,
    event: Event,
) -> Result<EventRecord> {
    let payload = to_json(&event, "an event")?;
    let seq = head.seq + 1;
    let hash = chain(&head.hash, seq, at, &payload);
    let statement = "INSERT INTO events(seq, at_ms, payload, hash) VALUES(?1, ?2, ?3, ?4)";
    change(connection, statement, (sql(seq), at, payload, hash))?;
    *head = Head { seq, hash };
    Ok(EventRecord { schema: EVENT_SCHEMA, seq, at, event })
}

fn chain(previous: &[u8; 32], seq: u64, at: Timestamp, payload: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("greenroom 2026 event log v1");
    hasher.update(previous);
    hasher.update(&seq.to_le_bytes());
    hasher.update(&at.unix_ms().to_le_bytes());
    hasher.update(&(payload.len() as u64).to_le_bytes());
    hasher.update(payload.as_bytes());
    hasher.finalize().into()
}

/// So much text is read at once, at most, unless a single event has more.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// The events behind `seq`, in order: at most `limit`, and fewer where they are long.
pub(crate) fn since(connection: &Connection, seq: u64, limit: usize) -> Result<Vec<EventRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at_ms, payload FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let from = i64::try_from(seq).unwrap_or(i64::MAX);
    let mut rows = statement.query((from, limited(limit)))?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (seq, payload): (u64, String) = (from_sql(row.get(0)?), row.get(2)?);
        bytes += payload.len();
        if bytes > PAGE_BYTES_MAX && !records.is_empty() {
            break;
        }
        let event = serde_json::from_str(&payload).map_err(|error| {
            StagingError::damaged_store(format!("event {seq} cannot be read: {error}"))
        })?;
        let at = row.get(1)?;
        records.push(EventRecord { schema: EVENT_SCHEMA, seq, at, event });
    }
    Ok(records)
}

/// Recomputes every hash.
pub(crate) fn check(connection: &Connection) -> Result<LogCheck> {
    let mut statement =
        connection.prepare_cached("SELECT seq, at_ms, payload, hash FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut head = Head::default();
    let shown = |head: Head, broken_at| LogCheck {
        events: head.seq,
        head: blake3::Hash::from_bytes(head.hash).to_hex().to_string(),
        broken_at,
    };
    while let Some(row) = rows.next()? {
        let expected = head.seq + 1;
        // A tampered row may hold values of any type.
        let read = || -> rusqlite::Result<(u64, i64, String, [u8; 32])> {
            Ok((from_sql(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let Ok((seq, at, payload, hash)) = read() else {
            return Ok(shown(head, Some(expected)));
        };
        let computed = chain(&head.hash, seq, Timestamp::from_unix_ms(at), &payload);
        if seq != expected || hash != computed {
            return Ok(shown(head, Some(expected)));
        }
        head = Head { seq, hash };
    }
    let statement = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let written = row(connection, statement, [], |row| Ok(row.get(0)?))?;
    let broken_at = (written.map_or(0, from_sql) > head.seq).then_some(head.seq + 1);
    Ok(shown(head, broken_at))
}
