//! Rows of the applies table, and what they do to their patches.

use atomic_fs::RelPath;
use rusqlite::Connection;
use rusqlite::types::FromSql;

use crate::approval::{Approval, ApprovalMeans};
use crate::error::{Result, StagingError};
use crate::event::ClientApproval;
use crate::ids::{ApplyId, PatchId, RequestId};
use crate::patch::Patch;
use crate::report::{ApplyOutcome, ApplyStatus, InDoubtApply, PatchApply};
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::columns::{change, from_json, from_sql, row, rows, to_json};
use crate::store::write::Write;

/// What is recorded of an apply, an undo or a redo when it starts, in addition to its patches.
pub(crate) struct Start<'s> {
    /// The name that the request gave it.
    pub(crate) request: Option<&'s RequestId>,
    /// The client that reported the approval.
    pub(crate) client_approved: Option<&'s ClientApproval>,
    /// How it was approved.
    pub(crate) approval: &'s Approval,
    /// Whether it changes agents' settings for Greenroom, so that a plain undo passes over it.
    pub(crate) is_own: bool,
    /// The apply that it undoes.
    pub(crate) undoes: Option<ApplyId>,
    /// The undone apply that it repeats.
    pub(crate) redoes: Option<ApplyId>,
}

impl<'s> Start<'s> {
    /// An apply that was approved in this way, and has no more to it.
    pub(crate) fn by(approval: &'s Approval) -> Self {
        let (request, client_approved, undoes, redoes) = (None, None, None, None);
        Self { request, client_approved, approval, is_own: false, undoes, redoes }
    }
}

/// Starts an apply over patches; the caller has checked that they are pending.
/// From now on no other call can decide them. The suffix is the end of its change set's id, unique
/// among those with the same number.
pub(crate) fn start(
    write: &Write<'_>,
    start: &Start<'_>,
    patches: &[Patch],
    set_suffix: &str,
) -> Result<(ApplyId, String)> {
    let Start { request, approval, is_own, undoes, .. } = start;
    let request = request.map(RequestId::as_str);
    // The id is known only after the row was inserted.
    let statement = "INSERT INTO applies(set_id, state, signature, started_ms, approval, agent,
         own, request, undoes) VALUES(?1, 'started', ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (signature, Approval { means, agent }) = (set_signature(patches), approval);
    let values = (set_suffix, signature, write.now, means, agent, is_own, request, undoes);
    change(write, statement, values)?;
    let apply = ApplyId(from_sql(write.last_insert_rowid()));
    let set_id = format!("{apply}-{set_suffix}");
    change(write, "UPDATE applies SET set_id = ?2 WHERE id = ?1", (apply, &set_id))?;
    for patch in patches {
        let statement = "INSERT INTO apply_patches(apply, patch) VALUES(?1, ?2)";
        change(write, statement, (apply, patch.id))?;
        let statement = "UPDATE patches SET apply = ?1, updated_ms = ?3 WHERE id = ?2";
        change(write, statement, (apply, patch.id, write.now))?;
    }
    Ok((apply, set_id))
}

/// The state of the apply of this name.
pub(crate) fn named(connection: &Connection, request: &RequestId) -> Result<Option<ApplyStatus>> {
    let statement = "SELECT id, nullif(state, 'started'), reason FROM applies WHERE request = ?1";
    row(connection, statement, [request.as_str()], |row| {
        let apply = row.get(0)?;
        let (outcome, reason) = (row.get(1)?, row.get(2)?);
        Ok(ApplyStatus { apply, outcome, patches: patches(connection, apply)?, reason })
    })
}

/// The patches of an apply, by path.
fn patches(connection: &Connection, apply: ApplyId) -> Result<Vec<PatchId>> {
    let statement = "SELECT patch FROM apply_patches JOIN patches ON patches.id = patch
         WHERE apply_patches.apply = ?1 ORDER BY path";
    rows(connection, statement, [apply], |row| Ok(row.get(0)?))
}

/// The apply that this one undoes, if it is an undo.
pub(crate) fn undoes(connection: &Connection, apply: ApplyId) -> Result<Option<ApplyId>> {
    column(connection, apply, "SELECT undoes FROM applies WHERE id = ?1")
}

/// One column of an apply.
fn column<T: FromSql>(connection: &Connection, apply: ApplyId, statement: &str) -> Result<T> {
    Ok(connection.prepare_cached(statement)?.query_row([apply], |row| row.get(0))?)
}

const DIRS: &str = "the directories of an apply";

/// Records the directories that an apply made, for its undo.
pub(crate) fn set_made_dirs(
    connection: &Connection,
    apply: ApplyId,
    dirs: &[RelPath],
) -> Result<()> {
    if !dirs.is_empty() {
        let statement = "UPDATE applies SET made_dirs = ?2 WHERE id = ?1";
        change(connection, statement, (apply, to_json(&dirs, DIRS)?))?;
    }
    Ok(())
}

/// The directories that an apply made; none when it made none, or when an older version
/// applied it.
pub(crate) fn made_dirs(connection: &Connection, apply: ApplyId) -> Result<Vec<RelPath>> {
    from_json(column(connection, apply, "SELECT made_dirs FROM applies WHERE id = ?1")?, DIRS)
}

/// A directory, and its permission bits where they are known.
pub(crate) type RemovedDir = (RelPath, Option<u32>);

/// Records the directories that an apply removed or emptied, for its undo.
pub(crate) fn set_removed_dirs(
    connection: &Connection,
    apply: ApplyId,
    dirs: &[RemovedDir],
) -> Result<()> {
    let statement = "UPDATE applies SET removed_dirs = ?2
         WHERE id = ?1 AND (removed_dirs IS NOT NULL OR ?3)";
    change(connection, statement, (apply, to_json(&dirs, DIRS)?, !dirs.is_empty())).map(drop)
}

/// The directories that an apply removed or emptied, outermost first.
pub(crate) fn removed_dirs(connection: &Connection, apply: ApplyId) -> Result<Vec<RemovedDir>> {
    from_json(column(connection, apply, "SELECT removed_dirs FROM applies WHERE id = ?1")?, DIRS)
}

/// The directories that changes of agents' settings for Greenroom made.
pub(crate) fn own_made_dirs(connection: &Connection) -> Result<Vec<RelPath>> {
    let statement = "SELECT made_dirs FROM applies WHERE own = 1 AND undone_by IS NULL
         AND state = 'committed' AND made_dirs IS NOT NULL";
    let made: Vec<Vec<RelPath>> =
        rows(connection, statement, [], |row| from_json(row.get(0)?, DIRS))?;
    Ok(made.into_iter().flatten().collect())
}

/// Records that an apply was undone.
pub(crate) fn set_undone(connection: &Connection, target: ApplyId, by: ApplyId) -> Result<()> {
    let statement = "UPDATE applies SET undone_by = ?2 WHERE id = ?1";
    change(connection, statement, [target, by]).map(drop)
}

/// The newest apply that is on the disk and was not undone, except changes of agents' settings for
/// Greenroom.
pub(crate) fn newest_undoable(connection: &Connection) -> Result<Option<ApplyId>> {
    let statement = "SELECT max(id) FROM applies
         WHERE state = 'committed' AND undoes IS NULL AND undone_by IS NULL
         AND forgotten = 0 AND own = 0";
    Ok(connection.query_row(statement, [], |row| row.get(0))?)
}

/// The apply that was undone last and whose patches allow to apply it again.
pub(crate) fn newest_undone(connection: &Connection) -> Result<Option<ApplyId>> {
    let statement = "SELECT id FROM applies
         WHERE undone_by IS NOT NULL AND forgotten = 0 AND own = 0
         AND EXISTS (SELECT 1 FROM apply_patches JOIN patches ON patches.id = patch
             WHERE apply_patches.apply = applies.id
             AND (patches.state = 'pending' OR patches.reason = 'undone'))
         ORDER BY undone_by DESC LIMIT 1";
    row(connection, statement, [], |row| Ok(row.get(0)?))
}

/// The signature that was approved; `None` for an undo, or for an apply known from its journal alone.
pub(crate) fn approved_signature(
    connection: &Connection,
    apply: ApplyId,
) -> Result<Option<Signature>> {
    column(connection, apply, "SELECT signature FROM applies WHERE id = ?1")
}

/// Whether it changed agents' settings for Greenroom.
pub(crate) fn is_own(connection: &Connection, apply: ApplyId) -> Result<bool> {
    column(connection, apply, "SELECT own FROM applies WHERE id = ?1")
}

/// The applies that a patch was in, oldest first.
pub(crate) fn of_patch(connection: &Connection, patch: PatchId) -> Result<Vec<PatchApply>> {
    let statement = "SELECT id, nullif(state, 'started'), undone_by, approval, agent FROM applies
         WHERE id IN (SELECT apply FROM apply_patches WHERE patch = ?1) ORDER BY id";
    rows(connection, statement, [patch], |row| {
        let (apply, outcome, undone_by) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (means, agent): (Option<ApprovalMeans>, _) = (row.get(3)?, row.get(4)?);
        let approval = means.map(|means| Approval { means, agent });
        Ok(PatchApply { apply, outcome, undone_by, approval })
    })
}

/// Why an apply with a forgotten patch can be neither undone nor redone.
pub(crate) const FORGOTTEN: &str = "it is older than old contents are kept";

/// What decides whether an apply can be undone or redone.
pub(crate) struct Reversal {
    pub(crate) is_committed: bool,
    pub(crate) is_undo: bool,
    pub(crate) undone_by: Option<ApplyId>,
    /// Whether some of its patches were older than the history is kept.
    pub(crate) is_forgotten: bool,
}

pub(crate) fn reversal(connection: &Connection, apply: ApplyId) -> Result<Option<Reversal>> {
    let statement = "SELECT state = 'committed', undoes IS NOT NULL, undone_by, forgotten
         FROM applies WHERE id = ?1";
    row(connection, statement, [apply], |row| {
        let (is_committed, is_undo, undone_by, is_forgotten) = row.try_into()?;
        Ok(Reversal { is_committed, is_undo, undone_by, is_forgotten })
    })
}

/// Applies that recovery could not decide, and why.
pub(crate) fn in_doubt(connection: &Connection) -> Result<Vec<InDoubtApply>> {
    let statement = "SELECT id, coalesce(reason, '') FROM applies
         WHERE state = 'in_doubt' ORDER BY id";
    rows(connection, statement, [], |row| {
        Ok(InDoubtApply { apply: row.get(0)?, reason: row.get(1)? })
    })
}

/// Why an apply ended as it did, or is in doubt.
pub(crate) fn reason(connection: &Connection, apply: ApplyId) -> Result<Option<String>> {
    column(connection, apply, "SELECT reason FROM applies WHERE id = ?1")
}

/// The apply of a change set and how it ended; `None` while it runs.
pub(crate) fn find_set(
    connection: &Connection,
    set_id: &str,
) -> Result<Option<(ApplyId, Option<ApplyOutcome>)>> {
    let statement = "SELECT id, nullif(state, 'started') FROM applies WHERE set_id = ?1";
    row(connection, statement, [set_id], |row| Ok(row.try_into()?))
}

/// Applies that are not decided yet.
pub(crate) fn undecided(connection: &Connection) -> Result<Vec<(ApplyId, String)>> {
    let statement = "SELECT id, set_id FROM applies
         WHERE state IN ('started', 'in_doubt') ORDER BY id";
    rows(connection, statement, [], |row| Ok(row.try_into()?))
}

/// Records how an apply ended. Its pending patches become applied, or can be decided again; those
/// of an apply in doubt stay.
pub(crate) fn decide(
    write: &Write<'_>,
    apply: ApplyId,
    outcome: ApplyOutcome,
    reason: Option<&str>,
) -> Result<()> {
    let statement = "UPDATE applies SET state = ?2, reason = ?3, ended_ms = ?4 WHERE id = ?1";
    change(write, statement, (apply, outcome, reason, write.now))?;
    let patches = match outcome {
        ApplyOutcome::Committed => {
            "UPDATE patches SET state = 'applied', unreported = 1, updated_ms = ?2
             WHERE apply = ?1 AND state = 'pending'
             AND id IN (SELECT patch FROM apply_patches WHERE apply = ?1)"
        }
        ApplyOutcome::RolledBack => {
            "UPDATE patches SET apply = NULL, updated_ms = ?2
             WHERE apply = ?1 AND state = 'pending'
             AND id IN (SELECT patch FROM apply_patches WHERE apply = ?1)"
        }
        ApplyOutcome::InDoubt => return Ok(()),
    };
    change(write, patches, (apply, write.now)).map(drop)
}

/// Records that nothing is left to tidy.
pub(crate) fn set_tidied(connection: &Connection, apply: ApplyId) -> Result<()> {
    change(connection, "UPDATE applies SET tidied = 1 WHERE id = ?1", [apply]).map(drop)
}

/// Why patches that an apply holds cannot be decided: it is running, or waits for a person.
pub(crate) fn held_by(connection: &Connection, apply: ApplyId) -> Result<StagingError> {
    if in_doubt(connection)?.iter().any(|it| it.apply == apply) {
        return Ok(StagingError::HeldInDoubt { apply });
    }
    Ok(StagingError::Busy { what: format!("{apply} is bringing these patches to the disk") })
}
