//! What rules ask of the store.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use atomic_fs::RelPath;
use rusqlite::Connection;

use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::patch::Patch;
use crate::session::Session;
use crate::store::columns::{from_sql, row, rows};
use crate::store::{patches, sessions};
use crate::time::Timestamp;

/// Everything that is pending in a session.
pub(crate) struct PendingSet {
    pub(crate) session: Session,
    pub(crate) patches: Vec<Patch>,
    /// Whether parts of it are stale or expired.
    pub(crate) lacks_parts: bool,
    /// The files that other sessions change as well.
    pub(crate) contested: HashSet<RelPath>,
}

/// What is pending, by session; without sessions of which an apply holds a patch.
pub(crate) fn pending_sets(connection: &Connection) -> Result<Vec<PendingSet>> {
    let mut by_session: BTreeMap<SessionId, Vec<Patch>> = BTreeMap::new();
    let mut seen: HashSet<(SessionId, RelPath)> = HashSet::new();
    let mut of_several: HashSet<RelPath> = HashSet::new();
    let mut first: BTreeMap<RelPath, SessionId> = BTreeMap::new();
    for patch in patches::pending(connection)? {
        for path in std::iter::once(&patch.path).chain(&patch.rename_to) {
            if seen.insert((patch.session, path.clone()))
                && *first.entry(path.clone()).or_insert(patch.session) != patch.session
            {
                of_several.insert(path.clone());
            }
        }
        by_session.entry(patch.session).or_default().push(patch);
    }
    let lapsed = patches::lapsed(connection)?;
    let set = |(session, patches): (SessionId, Vec<Patch>)| {
        let session = sessions::require(connection, session)?;
        let lacks_parts = lapsed.iter().any(|lapsed| lapsed.session == session.id);
        Ok(PendingSet { session, patches, lacks_parts, contested: of_several.clone() })
    };
    let is_held = |patches: &Vec<Patch>| patches.iter().any(|patch| patch.apply.is_some());
    by_session.into_iter().filter(|(_, patches)| !is_held(patches)).map(set).collect()
}

/// The files of which a person has rejected a patch of sessions of this label, or has undone one, as far
/// as the history goes back.
pub(crate) fn decided_by_person(connection: &Connection, label: &str) -> Result<HashSet<RelPath>> {
    let statement = "SELECT path, rename_to FROM patches
         WHERE session IN (SELECT id FROM sessions WHERE label = ?1)
         AND (reason = 'rejected' OR id IN (
             SELECT patch FROM apply_patches JOIN applies ON applies.id = apply_patches.apply
             WHERE undone_by IS NOT NULL OR (undoes IS NOT NULL AND applies.state = 'committed')))";
    let found: Vec<[Option<Vec<u8>>; 2]> =
        rows(connection, statement, [label], |row| Ok([row.get(0)?, row.get(1)?]))?;
    let parse = |bytes: Vec<u8>| RelPath::parse(&bytes).map_err(StagingError::from);
    found.into_iter().flatten().flatten().map(parse).collect()
}

/// How many patches, lines and bytes a rule has approved within a time before now.
pub(crate) fn approved_lately(
    connection: &Connection,
    rule: &str,
    within: Duration,
) -> Result<[u64; 3]> {
    let statement = "SELECT count(*), coalesce(sum(added + removed), 0),
             coalesce(sum(staged_bytes), 0)
         FROM applies JOIN apply_patches ON apply_patches.apply = applies.id
         JOIN patches ON patches.id = patch
         WHERE approval = 'policy' AND rule = ?1 AND applies.state <> 'rolled_back'
         AND started_ms > ?2";
    let within_ms = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp::now().unix_ms().saturating_sub(within_ms);
    let read = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?].map(from_sql));
    Ok(row(connection, statement, (rule, since), read)?.unwrap_or_default())
}
