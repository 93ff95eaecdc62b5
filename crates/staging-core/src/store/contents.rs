//! Rows of the contents table: the contents, their references, and where they are.

use atomic_fs::Digest;
use rusqlite::{Connection, Row};

use crate::error::Result;
use crate::store::columns::{change, exists, from_sql, row, rows, sql};

/// Where a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Location {
    /// In a file of its own, named by its digest.
    Own,
    /// In a pack, from this byte on.
    Pack { pack: i64, at: u64 },
}

/// A content that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) location: Location,
    pub(crate) bytes: u64,
}

/// A content without references, whose space can be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreferenced {
    pub(crate) digest: Digest,
    pub(crate) entry: Entry,
}

/// Whether a content could be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Referred {
    /// It is where the caller stored it.
    ToOurs,
    /// It was stored elsewhere already.
    ToTheirs,
    /// It was there before, and has been released.
    Gone,
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    let pack: Option<i64> = row.get(0)?;
    let location = match pack {
        None => Location::Own,
        Some(pack) => Location::Pack { pack, at: from_sql(row.get(1)?) },
    };
    Ok(Entry { location, bytes: from_sql(row.get(2)?) })
}

pub(crate) fn find(connection: &Connection, digest: &Digest) -> Result<Option<Entry>> {
    let statement = "SELECT pack, at, bytes FROM contents WHERE digest = ?1";
    row(connection, statement, [digest.as_bytes()], entry)
}

/// Whether any content has this length; scans the table.
pub(crate) fn has_length(connection: &Connection, bytes: u64) -> Result<bool> {
    exists(connection, "SELECT 1 FROM contents WHERE bytes = ?1 LIMIT 1", [sql(bytes)])
}

/// Counts one more reference to a content, which is where the caller stored it unless it was there
/// before.
pub(crate) fn refer(
    connection: &Connection,
    digest: &Digest,
    put: Option<Entry>,
) -> Result<Referred> {
    // A stored content is usually new.
    if let Some(put) = put
        && insert(connection, digest, put)?
    {
        return Ok(Referred::ToOurs);
    }
    let statement = "UPDATE contents SET refs = refs + 1 WHERE digest = ?1";
    let raised = change(connection, statement, [digest.as_bytes()])?;
    Ok(if raised == 1 { Referred::ToTheirs } else { Referred::Gone })
}

/// Adds a content with one reference; whether it was not there yet.
fn insert(connection: &Connection, digest: &Digest, put: Entry) -> Result<bool> {
    let statement = "INSERT OR IGNORE INTO contents(digest, pack, at, bytes, refs)
         VALUES(?1, ?2, ?3, ?4, 1)";
    let (pack, at) = columns(put.location);
    Ok(change(connection, statement, (digest.as_bytes(), pack, at, sql(put.bytes)))? == 1)
}

/// Records another location of a content, if it is still at `from`; whether it was.
pub(crate) fn relocate(
    connection: &Connection,
    digest: &Digest,
    from: Entry,
    to: Entry,
) -> Result<bool> {
    if find(connection, digest)? != Some(from) {
        return Ok(false);
    }
    let (pack, at) = columns(to.location);
    let statement = "UPDATE contents SET pack = ?2, at = ?3 WHERE digest = ?1";
    change(connection, statement, (digest.as_bytes(), pack, at))?;
    Ok(true)
}

fn columns(location: Location) -> (Option<i64>, i64) {
    match location {
        Location::Own => (None, 0),
        Location::Pack { pack, at } => (Some(pack), sql(at)),
    }
}

/// Removes one reference; the content when it was the last one.
pub(crate) fn release(connection: &Connection, digest: &Digest) -> Result<Option<Unreferenced>> {
    let statement = "UPDATE contents SET refs = refs - 1 WHERE digest = ?1
         RETURNING pack, at, bytes, refs > 0";
    let left = |row: &Row<'_>| Ok((entry(row)?, row.get(3)?));
    let Some((entry, false)) = row(connection, statement, [digest.as_bytes()], left)? else {
        return Ok(None);
    };
    change(connection, "DELETE FROM contents WHERE digest = ?1", [digest.as_bytes()])?;
    Ok(Some(Unreferenced { digest: *digest, entry }))
}

/// The contents in a pack: first byte and length, in order.
pub(crate) fn in_pack(connection: &Connection, pack: i64) -> Result<Vec<(u64, u64)>> {
    let statement = "SELECT at, bytes FROM contents WHERE pack = ?1 ORDER BY at";
    rows(connection, statement, [pack], |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))))
}
