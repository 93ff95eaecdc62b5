//! Values as SQLite's columns have them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::approval::ApprovalMeans;
use crate::decision::Decision;
use crate::error::{Result, StagingError};
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiscardReason, Operation, PatchState};
use crate::report::ApplyOutcome;
use crate::session::SessionState;
use crate::signature::Signature;
use crate::time::{Age, Timestamp};

/// SQLite's numbers are signed; a number beyond them is stored as the negative one of its bits.
pub(crate) fn sql(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The reverse of [`sql`].
pub(crate) fn from_sql(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// A number of rows, as a limit in a statement.
pub(crate) fn limited(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The rows that a statement gives, each read by `read`.
pub(crate) fn rows<T>(
    connection: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare_cached(statement)?.query_and_then(values, read)?.collect()
}

/// The first row that a statement gives, if it gives any.
pub(crate) fn row<T>(
    connection: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    connection.prepare_cached(statement)?.query_and_then(values, read)?.next().transpose()
}

/// Whether a statement gives a row.
pub(crate) fn exists(
    connection: &Connection,
    statement: &str,
    values: impl Params,
) -> Result<bool> {
    Ok(connection.prepare_cached(statement)?.exists(values)?)
}

/// Runs a statement that changes rows; returns how many.
pub(crate) fn change(
    connection: &Connection,
    statement: &str,
    values: impl Params,
) -> Result<usize> {
    Ok(connection.prepare_cached(statement)?.execute(values)?)
}

/// The data in a column of JSON; empty when the column is.
pub(crate) fn from_json<T: DeserializeOwned + Default>(
    text: Option<String>,
    what: &str,
) -> Result<T> {
    let Some(text) = text else { return Ok(T::default()) };
    serde_json::from_str(&text)
        .map_err(|error| StagingError::damaged_store(format!("{what} cannot be read: {error}")))
}

/// Data for a column of JSON.
pub(crate) fn to_json(data: &impl Serialize, what: &str) -> Result<String> {
    serde_json::to_string(data)
        .map_err(|error| StagingError::damaged_store(format!("{what} cannot be written: {error}")))
}

macro_rules! column {
    ($name:ty, $to:expr, $from:expr) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let to: fn(&Self) -> _ = $to;
                Ok(ToSqlOutput::from(to(self)))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let from: fn(_) -> _ = $from;
                FromSql::column_result(value).map(from)
            }
        }
    };
}

column!(SessionId, |id| sql(id.0), |id| SessionId(from_sql(id)));
column!(PatchId, |id| sql(id.0), |id| PatchId(from_sql(id)));
column!(ApplyId, |id| sql(id.0), |id| ApplyId(from_sql(id)));
column!(Timestamp, |at| at.unix_ms(), Timestamp::from_unix_ms);
column!(Age, |age| age.0, Age);

impl ToSql for Signature {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_bytes().as_slice()))
    }
}

impl FromSql for Signature {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self::from_bytes)
    }
}

macro_rules! word_column {
    ($($name:ty),+) => { $(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    )+ };
}

word_column!(
    Operation,
    PatchState,
    DiscardReason,
    SessionState,
    ApplyOutcome,
    ApprovalMeans,
    Decision
);
