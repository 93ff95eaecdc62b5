//! What waits for the reviewer in numbers, for prompts and status bars.

use std::fmt;
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use crate::error::Result;
use crate::maintain::states::read_store;
use crate::patch::{DiscardReason, Patch};
use crate::request::Status;
use crate::store::columns::from_sql;

/// How much waits for a reviewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// How many patches are pending.
    pub pending: u64,
    /// How many lines they add.
    pub added: u64,
    /// How many lines they remove.
    pub removed: u64,
    /// How many patches are stale, and neither refreshed nor dismissed.
    pub stale: u64,
    /// How many have expired with their session, and are neither refreshed nor dismissed.
    pub expired: u64,
    /// How many applies are in doubt.
    pub in_doubt: u64,
}

/// Reads what waits from a state without opening the state: nothing is created, recovered or waited
/// for, and no file of the workspace is looked at. Where there is no state, nothing waits.
///
/// # Errors
/// When the store cannot be read, or is of a version that has to be brought up to date first.
///
/// # Limitations
/// A file that the user has changed makes its patch stale only when some other call finds that out,
/// and what commands in views have written counts once it is imported.
pub fn summarise(state_dir: &Path) -> Result<Summary> {
    let Some(connection) = read_store(state_dir)? else { return Ok(Summary::default()) };
    let number = |statement: &str| -> Result<u64> {
        Ok(from_sql(connection.query_row(statement, [], |row| row.get(0))?))
    };
    let (pending, added, removed) = pending(&connection)?;
    let lapsed = number("SELECT count(*) FROM patches WHERE lapsed = 1")?;
    let expired =
        number("SELECT count(*) FROM patches WHERE lapsed = 1 AND reason = 'session_expired'")?;
    let in_doubt = number("SELECT count(*) FROM applies WHERE state = 'in_doubt'")?;
    Ok(Summary { pending, added, removed, stale: lapsed - expired, expired, in_doubt })
}

fn pending(connection: &Connection) -> Result<(u64, u64, u64)> {
    let statement = "SELECT count(*), coalesce(sum(added), 0), coalesce(sum(removed), 0)
         FROM patches WHERE state = 'pending'";
    let [pending, added, removed] = connection
        .query_row(statement, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?
        .map(from_sql);
    Ok((pending, added, removed))
}

impl Summary {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is not pending and waits all the same, each after a comma: `, 1 stale`.
    fn rest(&self) -> String {
        let applies = if self.in_doubt == 1 { "apply in doubt" } else { "applies in doubt" };
        let rest = [(self.stale, "stale"), (self.expired, "expired"), (self.in_doubt, applies)];
        let some = rest.into_iter().filter(|(number, _)| *number > 0);
        some.map(|(number, what)| format!(", {number} {what}")).collect()
    }

    /// A sentence about what waits, to be followed by what to do about it.
    pub fn waiting(&self) -> String {
        let Self { pending, added, removed, .. } = self;
        let rest = self.rest();
        match pending {
            0 => rest.trim_start_matches(", ").to_owned(),
            1 => format!("1 patch (+{added} -{removed}) waits{rest}"),
            _ => format!("{pending} patches (+{added} -{removed}) wait{rest}"),
        }
    }
}

/// As in `3 patches +64 -41, 1 stale`; empty when nothing waits.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pending, added, removed, .. } = self;
        let rest = self.rest();
        match pending {
            0 => f.write_str(rest.trim_start_matches(", ")),
            1 => write!(f, "1 patch +{added} -{removed}{rest}"),
            _ => write!(f, "{pending} patches +{added} -{removed}{rest}"),
        }
    }
}

impl From<&Status> for Summary {
    fn from(status: &Status) -> Self {
        let patches = || status.sessions.iter().flat_map(|session| &session.patches);
        let lapsed = || status.sessions.iter().flat_map(|session| &session.lapsed);
        let is_expired = |patch: &&Patch| patch.reason == Some(DiscardReason::SessionExpired);
        let expired = lapsed().filter(is_expired).count() as u64;
        Self {
            pending: patches().count() as u64,
            added: patches().map(|patch| patch.diff.added).sum(),
            removed: patches().map(|patch| patch.diff.removed).sum(),
            stale: lapsed().count() as u64 - expired,
            expired,
            in_doubt: status.in_doubt.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Summary::default(), "", "")]
    #[case(
        Summary { pending: 3, added: 64, removed: 41, stale: 1, ..Summary::default() },
        "3 patches +64 -41, 1 stale",
        "3 patches (+64 -41) wait, 1 stale"
    )]
    #[case(
        Summary { pending: 1, added: 1, expired: 2, in_doubt: 1, ..Summary::default() },
        "1 patch +1 -0, 2 expired, 1 apply in doubt",
        "1 patch (+1 -0) waits, 2 expired, 1 apply in doubt"
    )]
    #[case(Summary { stale: 2, ..Summary::default() }, "2 stale", "2 stale")]
    fn a_summary_is_one_line(#[case] summary: Summary, #[case] line: &str, #[case] waiting: &str) {
        assert_eq!(summary.to_string(), line);
        assert_eq!(summary.waiting(), waiting);
        assert_eq!(summary.is_empty(), line.is_empty());
    }
}
