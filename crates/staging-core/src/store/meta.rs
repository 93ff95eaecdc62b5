//! A few numbers that are true of the whole store.

use rusqlite::Connection;

use crate::error::Result;
use crate::store::columns::{change, from_sql, row};

/// When contents were last swept completely, in milliseconds since 1970.
pub(crate) const SWEPT_MS: &str = "swept_ms";

/// A random number that tells this state's change sets from those of every other state.
pub(crate) const STATE_TAG: &str = "state_tag";
/// How long the state has lived, in milliseconds, when it was looked at last; see [`age`](super::age).
pub(crate) const AGE_MS: &str = "age_ms";
/// That look's boot; negative where the system does not name it.
pub(crate) const AGE_BOOT: &str = "age_boot";
/// That look's time since the boot, in milliseconds.
pub(crate) const AGE_SINCE_BOOT_MS: &str = "age_since_boot_ms";
/// What the clock said then, in milliseconds since 1970.
pub(crate) const AGE_CLOCK_MS: &str = "age_clock_ms";

pub(crate) fn get(connection: &Connection, name: &str) -> Result<Option<i64>> {
    row(connection, "SELECT value FROM meta WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

pub(crate) fn set(connection: &Connection, name: &str, value: i64) -> Result<()> {
    let statement = "INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)";
    change(connection, statement, (name, value)).map(drop)
}

/// How many bytes all contents have, each counted once; triggers keep it.
pub(crate) fn content_bytes(connection: &Connection) -> Result<u64> {
    Ok(get(connection, "content_bytes")?.map_or(0, from_sql))
}
