//! Rows of the applies table, and what they do to their patches.

use atomic_fs::RelPath;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::approval::{Approval, ApprovalMeans};
use crate::error::{Result, StagingError};
use crate::ids::{ApplyId, PatchId, RequestId};
use crate::report::InDoubtApply;
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::numbers::{from_sql, sql};
use crate::time::Timestamp;

/// How an apply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApplyState {
    Started,
    Committed,
    RolledBack,
    InDoubt,
}

impl ApplyState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Committed => "committed",
            Self::RolledBack => "rolled_back",
            Self::InDoubt => "in_doubt",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Started, Self::Committed, Self::RolledBack, Self::InDoubt]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// What is noted of an apply when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Start<'s> {
    /// What tells its change set's id from others of the same number.
    pub(crate) set_suffix: &'s str,
    /// What was approved.
    pub(crate) signature: Signature,
    /// How.
    pub(crate) approval: &'s Approval,
    /// Whether it changes agents' settings for Greenroom, so that a plain undo passes over it.
    pub(crate) is_own: bool,
}

/// Starts an apply over patches; the caller has checked that they are pending.
/// From now on nobody else decides about them.
pub(crate) fn start(
    connection: &Connection,
    start: &Start<'_>,
    patches: &[PatchId],
    now: Timestamp,
) -> Result<(ApplyId, String)> {
    let Start { set_suffix, signature, approval, is_own } = start;
    // The id is only known once the row is there.
    connection.execute(
        "INSERT INTO applies(set_id, state, signature, started_ms, approval, agent, own)
         VALUES(?1, 'started', ?2, ?3, ?4, ?5, ?6)",
        params![
            set_suffix,
            signature.as_bytes(),
            now.unix_ms(),
            approval.means.as_str(),
            approval.agent,
            is_own
        ],
    )?;
    let apply = ApplyId(from_sql(connection.last_insert_rowid()));
    let set_id = format!("{apply}-{set_suffix}");
    connection
        .execute("UPDATE applies SET set_id = ?2 WHERE id = ?1", params![sql(apply.0), set_id])?;
    for patch in patches {
        connection
            .prepare_cached("INSERT INTO apply_patches(apply, patch) VALUES(?1, ?2)")?
            .execute([sql(apply.0), sql(patch.0)])?;
        connection
            .prepare_cached("UPDATE patches SET apply = ?1, updated_ms = ?3 WHERE id = ?2")?
            .execute([sql(apply.0), sql(patch.0), now.unix_ms()])?;
    }
    Ok((apply, set_id))
}

/// Gives an apply a name to be asked for by.
pub(crate) fn name(connection: &Connection, apply: ApplyId, request: &RequestId) -> Result<()> {
    connection.execute(
        "UPDATE applies SET request = ?2 WHERE id = ?1",
        params![sql(apply.0), request.as_str()],
    )?;
    Ok(())
}

/// The apply of this name, how it stands, and why.
pub(crate) fn named(
    connection: &Connection,
    request: &RequestId,
) -> Result<Option<(ApplyId, ApplyState, Option<String>)>> {
    let found = connection
        .query_row(
            "SELECT id, state, reason FROM applies WHERE request = ?1",
            [request.as_str()],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?)),
        )
        .optional()?;
    found
        .map(|(id, word, reason)| {
            let state = ApplyState::from_word(&word)
                .ok_or_else(|| StagingError::damaged_store(format!("an apply is `{word}`")))?;
            Ok((ApplyId(from_sql(id)), state, reason))
        })
        .transpose()
}

/// The patches of an apply, by path.
pub(crate) fn patches(connection: &Connection, apply: ApplyId) -> Result<Vec<PatchId>> {
    let mut statement = connection.prepare_cached(
        "SELECT patch FROM apply_patches JOIN patches ON patches.id = patch
         WHERE apply_patches.apply = ?1 ORDER BY path",
    )?;
    let rows = statement.query_map([sql(apply.0)], |row| row.get(0))?;
    let ids: rusqlite::Result<Vec<i64>> = rows.collect();
    Ok(ids?.into_iter().map(|id| PatchId(from_sql(id))).collect())
}

/// Starts taking an apply back.
pub(crate) fn start_undo(
    connection: &Connection,
    set_suffix: &str,
    target: ApplyId,
    approval: &Approval,
    now: Timestamp,
) -> Result<(ApplyId, String)> {
    let signature = set_signature(&[]);
    let (apply, set_id) =
        start(connection, &Start { set_suffix, signature, approval, is_own: false }, &[], now)?;
    connection
        .execute("UPDATE applies SET undoes = ?2 WHERE id = ?1", [sql(apply.0), sql(target.0)])?;
    Ok((apply, set_id))
}

/// The apply that this one takes back, if it is an undo.
pub(crate) fn undoes(connection: &Connection, apply: ApplyId) -> Result<Option<ApplyId>> {
    let target = connection.query_row(
        "SELECT undoes FROM applies WHERE id = ?1",
        [sql(apply.0)],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    Ok(target.map(|id| ApplyId(from_sql(id))))
}

/// Notes which directories an apply made, for whoever takes it back.
pub(crate) fn set_made_dirs(
    connection: &Connection,
    apply: ApplyId,
    dirs: &[RelPath],
) -> Result<()> {
    if !dirs.is_empty() {
        let text = serde_json::to_string(dirs)
            .map_err(|error| StagingError::damaged_store(error.to_string()))?;
        connection.execute(
            "UPDATE applies SET made_dirs = ?2 WHERE id = ?1",
            params![sql(apply.0), text],
        )?;
    }
    Ok(())
}

/// The directories that an apply made; none when it made none, or when an older version
/// applied it.
pub(crate) fn made_dirs(connection: &Connection, apply: ApplyId) -> Result<Vec<RelPath>> {
    let text: Option<String> = connection.query_row(
        "SELECT made_dirs FROM applies WHERE id = ?1",
        [sql(apply.0)],
        |row| row.get(0),
    )?;
    text.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(|error| StagingError::damaged_store(error.to_string()))
    })
}

/// A directory, and its permission bits where they are known.
pub(crate) type RemovedDir = (RelPath, Option<u32>);

/// Notes which directories an apply took away or emptied, for whoever takes it back.
pub(crate) fn set_removed_dirs(
    connection: &Connection,
    apply: ApplyId,
    dirs: &[RemovedDir],
) -> Result<()> {
    let text = serde_json::to_string(dirs)
        .map_err(|error| StagingError::damaged_store(error.to_string()))?;
    connection.execute(
        "UPDATE applies SET removed_dirs = ?2
         WHERE id = ?1 AND (removed_dirs IS NOT NULL OR ?3)",
        params![sql(apply.0), text, !dirs.is_empty()],
    )?;
    Ok(())
}

/// The directories that an apply took away or emptied, outermost first.
pub(crate) fn removed_dirs(connection: &Connection, apply: ApplyId) -> Result<Vec<RemovedDir>> {
    let text: Option<String> = connection.query_row(
        "SELECT removed_dirs FROM applies WHERE id = ?1",
        [sql(apply.0)],
        |row| row.get(0),
    )?;
    text.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(|error| StagingError::damaged_store(error.to_string()))
    })
}

/// The directories that changes of agents' settings for Greenroom made.
pub(crate) fn own_made_dirs(connection: &Connection) -> Result<Vec<RelPath>> {
    let mut statement = connection.prepare_cached(
        "SELECT made_dirs FROM applies WHERE own = 1 AND undone_by IS NULL
         AND state = 'committed' AND made_dirs IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut dirs = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let made: Vec<RelPath> = serde_json::from_str(&text)
            .map_err(|error| StagingError::damaged_store(error.to_string()))?;
        dirs.extend(made);
    }
    Ok(dirs)
}

/// Notes that an apply was taken back.
pub(crate) fn set_undone(connection: &Connection, target: ApplyId, by: ApplyId) -> Result<()> {
    connection
        .execute("UPDATE applies SET undone_by = ?2 WHERE id = ?1", [sql(target.0), sql(by.0)])?;
    Ok(())
}

/// The newest apply that is on the disk and was not taken back, but for changes of agents'
/// settings for Greenroom.
pub(crate) fn newest_undoable(connection: &Connection) -> Result<Option<ApplyId>> {
    let found = connection
        .query_row(
            "SELECT max(id) FROM applies
             WHERE state = 'committed' AND undoes IS NULL AND undone_by IS NULL
             AND forgotten = 0 AND own = 0",
            [],
            |row| row.get::<_, Option<i64>>(0),
        )
        .optional()?;
    Ok(found.flatten().map(|id| ApplyId(from_sql(id))))
}

/// The apply that was taken back last and can be applied again as far as its patches tell.
pub(crate) fn newest_undone(connection: &Connection) -> Result<Option<ApplyId>> {
    let found = connection
        .query_row(
            "SELECT id FROM applies WHERE undone_by IS NOT NULL AND forgotten = 0 AND own = 0
             AND EXISTS (SELECT 1 FROM apply_patches JOIN patches ON patches.id = patch
                 WHERE apply_patches.apply = applies.id
                 AND (patches.state = 'pending' OR patches.reason = 'undone'))
             ORDER BY undone_by DESC LIMIT 1",
            [],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    Ok(found.map(|id| ApplyId(from_sql(id))))
}

/// What was approved for an apply; none of an undo, or of one known from its journal alone.
pub(crate) fn approved_signature(
    connection: &Connection,
    apply: ApplyId,
) -> Result<Option<Signature>> {
    let bytes: Option<[u8; 32]> = connection.query_row(
        "SELECT signature FROM applies WHERE id = ?1",
        [sql(apply.0)],
        |row| row.get(0),
    )?;
    Ok(bytes.map(Signature::from_bytes))
}

/// Whether it changed agents' settings for Greenroom.
pub(crate) fn is_own(connection: &Connection, apply: ApplyId) -> Result<bool> {
    Ok(connection
        .query_row("SELECT own FROM applies WHERE id = ?1", [sql(apply.0)], |row| row.get(0))?)
}

/// One apply of a patch.
pub(crate) struct OfPatch {
    pub(crate) apply: ApplyId,
    pub(crate) state: ApplyState,
    pub(crate) undone_by: Option<ApplyId>,
    /// None when an older version applied it.
    pub(crate) approval: Option<Approval>,
}

/// The applies that a patch was in, oldest first.
pub(crate) fn of_patch(connection: &Connection, patch: PatchId) -> Result<Vec<OfPatch>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, state, undone_by, approval, agent FROM applies
         WHERE id IN (SELECT apply FROM apply_patches WHERE patch = ?1) ORDER BY id",
    )?;
    let mut rows = statement.query([sql(patch.0)])?;
    let mut applies = Vec::new();
    while let Some(row) = rows.next()? {
        let word: String = row.get(1)?;
        let means: Option<String> = row.get(3)?;
        let agent = row.get(4)?;
        let approval = means
            .and_then(|word| ApprovalMeans::parse(&word))
            .map(|means| Approval { means, agent });
        applies.push(OfPatch {
            apply: ApplyId(from_sql(row.get(0)?)),
            state: ApplyState::from_word(&word)
                .ok_or_else(|| StagingError::damaged_store(format!("an apply is `{word}`")))?,
            undone_by: row.get::<_, Option<i64>>(2)?.map(|id| ApplyId(from_sql(id))),
            approval,
        });
    }
    Ok(applies)
}

/// What an apply is, for whoever wants to take it back.
pub(crate) struct Reversal {
    pub(crate) state: ApplyState,
    pub(crate) is_undo: bool,
    pub(crate) undone_by: Option<ApplyId>,
    /// Whether some of its patches were older than the history is kept.
    pub(crate) is_forgotten: bool,
}

pub(crate) fn reversal(connection: &Connection, apply: ApplyId) -> Result<Option<Reversal>> {
    let found = connection
        .query_row(
            "SELECT state, undoes, undone_by, forgotten FROM applies WHERE id = ?1",
            [sql(apply.0)],
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, Option<i64>>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                    row.get::<_, bool>(3)?,
                ))
            },
        )
        .optional()?;
    found
        .map(|(word, undoes, undone_by, is_forgotten)| {
            let state = ApplyState::from_word(&word)
                .ok_or_else(|| StagingError::damaged_store(format!("an apply is `{word}`")))?;
            let undone_by = undone_by.map(|id| ApplyId(from_sql(id)));
            Ok(Reversal { state, is_undo: undoes.is_some(), undone_by, is_forgotten })
        })
        .transpose()
}

/// Applies that recovery could not decide, and why.
pub(crate) fn in_doubt(connection: &Connection) -> Result<Vec<InDoubtApply>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, coalesce(reason, '') FROM applies WHERE state = 'in_doubt' ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(InDoubtApply { apply: ApplyId(from_sql(row.get(0)?)), reason: row.get(1)? })
    })?;
    let found: rusqlite::Result<Vec<_>> = rows.collect();
    Ok(found?)
}

/// Why an apply ended as it did, or is in doubt.
pub(crate) fn reason(connection: &Connection, apply: ApplyId) -> Result<Option<String>> {
    Ok(connection
        .query_row("SELECT reason FROM applies WHERE id = ?1", [sql(apply.0)], |row| row.get(0))?)
}

pub(crate) fn find_set(
    connection: &Connection,
    set_id: &str,
) -> Result<Option<(ApplyId, ApplyState)>> {
    let found = connection
        .query_row("SELECT id, state FROM applies WHERE set_id = ?1", [set_id], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    found
        .map(|(id, word)| {
            let state = ApplyState::from_word(&word)
                .ok_or_else(|| StagingError::damaged_store(format!("an apply is `{word}`")))?;
            Ok((ApplyId(from_sql(id)), state))
        })
        .transpose()
}

/// Applies that nobody has decided yet.
pub(crate) fn undecided(connection: &Connection) -> Result<Vec<(ApplyId, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, set_id FROM applies WHERE state IN ('started', 'in_doubt') ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| Ok((ApplyId(from_sql(row.get(0)?)), row.get(1)?)))?;
    let found: rusqlite::Result<Vec<_>> = rows.collect();
    Ok(found?)
}

/// Records how it ended. Its pending patches become applied, or are free again.
pub(crate) fn decide(
    connection: &Connection,
    apply: ApplyId,
    state: ApplyState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    connection.execute(
        "UPDATE applies SET state = ?2, reason = ?3, ended_ms = ?4 WHERE id = ?1",
        params![sql(apply.0), state.as_str(), reason, now.unix_ms()],
    )?;
    let patches = match state {
        ApplyState::Committed => {
            "UPDATE patches SET state = 'applied', unreported = 1, updated_ms = ?2
             WHERE apply = ?1 AND state = 'pending'
             AND id IN (SELECT patch FROM apply_patches WHERE apply = ?1)"
        }
        ApplyState::RolledBack => {
            "UPDATE patches SET apply = NULL, updated_ms = ?2
             WHERE apply = ?1 AND state = 'pending'
             AND id IN (SELECT patch FROM apply_patches WHERE apply = ?1)"
        }
        ApplyState::Started | ApplyState::InDoubt => return Ok(()),
    };
    connection.execute(patches, params![sql(apply.0), now.unix_ms()])?;
    Ok(())
}

/// Notes that nothing of it is left to tidy.
pub(crate) fn set_tidied(connection: &Connection, apply: ApplyId) -> Result<()> {
    connection.execute("UPDATE applies SET tidied = 1 WHERE id = ?1", [sql(apply.0)])?;
    Ok(())
}

/// Why patches that an apply holds cannot be decided: it is under way, or waits for a person.
pub(crate) fn held_by(connection: &Connection, apply: ApplyId) -> Result<StagingError> {
    if in_doubt(connection)?.iter().any(|it| it.apply == apply) {
        return Ok(StagingError::HeldInDoubt { apply });
    }
    Ok(StagingError::Busy { what: format!("{apply} is bringing these patches to the disk") })
}
