//! Numbers as SQLite has them.

/// SQLite's numbers are signed; ours fit, by how they are parsed and made.
pub(crate) fn sql(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The reverse of [`sql`].
pub(crate) fn from_sql(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
