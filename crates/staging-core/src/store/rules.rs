//! What rules ask of the store.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use atomic_fs::RelPath;
use rusqlite::Connection;

use crate::contested::by_path;
use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::patch::Patch;
use crate::rules::folded_path;
use crate::session::Session;
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::applies::was_undone;
use crate::store::columns::{from_sql, row, rows};
use crate::store::{patches, sessions};
use crate::time::Timestamp;

/// Everything that is pending, at one moment.
pub(crate) struct PendingSets {
    /// By session; without sessions of which an apply holds a patch.
    pub(crate) sets: Vec<PendingSet>,
    /// The files that several sessions change, folded.
    pub(crate) contested: HashSet<Vec<u8>>,
    /// The files about which a person has decided against a patch, folded.
    pub(crate) decided: HashSet<Vec<u8>>,
}

/// Everything that is pending in a session.
pub(crate) struct PendingSet {
    pub(crate) session: Session,
    pub(crate) patches: Vec<Patch>,
    pub(crate) signature: Signature,
    /// Whether parts of it are stale or expired.
    pub(crate) lacks_parts: bool,
}

impl PendingSets {
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let pending = patches::pending(connection)?;
        let by = by_path(&pending, folded_path).into_iter();
        let contested = by.filter(|(_, by)| by.is_contested()).map(|(path, _)| path).collect();
        let lapsed = patches::lapsed(connection)?;
        let mut by_session: BTreeMap<SessionId, Vec<Patch>> = BTreeMap::new();
        for patch in pending {
            by_session.entry(patch.session).or_default().push(patch);
        }
        let set = |(session, patches): (SessionId, Vec<Patch>)| {
            Ok(PendingSet {
                session: sessions::require(connection, session)?,
                signature: set_signature(&patches),
                patches,
                lacks_parts: lapsed.iter().any(|lapsed| lapsed.session == session),
            })
        };
        let is_held = |patches: &Vec<Patch>| patches.iter().any(|patch| patch.apply.is_some());
        let free = by_session.into_iter().filter(|(_, patches)| !is_held(patches));
        let sets = free.map(set).collect::<Result<Vec<_>>>()?;
        Ok(Self { sets, contested, decided: decided_by_person(connection)? })
    }
}

/// The files of which a person has rejected, dismissed or edited a patch, or has undone one, as far as
/// the history goes back. It does not matter which session proposed it: an agent names its sessions.
fn decided_by_person(connection: &Connection) -> Result<HashSet<Vec<u8>>> {
    let statement = concat!(
        "SELECT path, rename_to FROM patches
         WHERE reason IN ('rejected', 'edited') OR edited OR decision = 'dismissed'
         OR id IN (SELECT patch FROM apply_patches JOIN applies ON applies.id = apply
             WHERE ",
        was_undone!(),
        ")"
    );
    let found: Vec<[Option<Vec<u8>>; 2]> =
        rows(connection, statement, [], |row| Ok([row.get(0)?, row.get(1)?]))?;
    let fold = |bytes: Vec<u8>| {
        RelPath::parse(&bytes).map(|path| folded_path(&path)).map_err(StagingError::from)
    };
    found.into_iter().flatten().flatten().map(fold).collect()
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
