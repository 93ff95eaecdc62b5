//! Rows of the applies table, and what they do to their patches.

use atomic_fs::{EntryKind, RelPath};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, params};

use crate::approval::{Approval, ApprovalMeans};
use crate::error::{Result, StagingError};
use crate::event::ClientApproval;
use crate::ids::{ApplyId, PatchId, RequestId};
use crate::patch::Patch;
use crate::report::{ApplyOutcome, ApplyRecord, ApplyStatus, InDoubtApply, PatchApply, Totals};
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::columns::{change, from_json, from_sql, limited, row, rows, to_json};
use crate::store::write::Write;

/// A statement that selects what [`read_record`] reads.
macro_rules! record_statement {
    ($rest:literal) => {
        concat!(
            "SELECT id, nullif(state, 'started'), reason, started_ms, approval, agent, rule,
             message, undoes, undone_by, forgotten FROM applies ",
            $rest
        )
    };
}

/// A condition for rows of `apply_patches` joined with `applies`: the patch was undone, with the whole
/// apply or in part.
macro_rules! was_undone {
    () => {
        "(undone_by IS NOT NULL OR (undoes IS NOT NULL AND applies.state = 'committed'))"
    };
}
pub(crate) use was_undone;

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
    /// The apply that it undoes, wholly or in part.
    pub(crate) undoes: Option<ApplyId>,
    /// The undone apply that it repeats, wholly or in part.
    pub(crate) redoes: Option<ApplyId>,
    /// The reviewer's words.
    pub(crate) message: Option<&'s str>,
}

impl<'s> Start<'s> {
    /// An apply that was approved in this way, and has no more to it.
    pub(crate) fn by(approval: &'s Approval) -> Self {
        let (request, client_approved, undoes, redoes) = (None, None, None, None);
        Self { request, client_approved, approval, is_own: false, undoes, redoes, message: None }
    }
}

/// Starts an apply over patches; the caller has checked that they are pending, or that they are applied
/// when this is an undo. From now on no other call can decide pending ones; those of an undo stay with
/// their apply. The suffix is the end of its change set's id, unique among those with the same number.
pub(crate) fn start(
    write: &Write<'_>,
    start: &Start<'_>,
    patches: &[Patch],
    set_suffix: &str,
) -> Result<(ApplyId, String)> {
    let Start { request, approval, is_own, undoes, message, .. } = start;
    let request = request.map(RequestId::as_str);
    // The id is known only after the row was inserted.
    let statement = "INSERT INTO applies(set_id, state, signature, started_ms, approval, agent,
         rule, own, request, undoes, message)
         VALUES(?1, 'started', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let (signature, Approval { means, agent, rule }) = (set_signature(patches), approval);
    let (set, now) = (set_suffix, write.now);
    change(
        write,
        statement,
        params![set, signature, now, means, agent, rule, is_own, request, undoes, message],
    )?;
    let apply = ApplyId(from_sql(write.last_insert_rowid()));
    let set_id = format!("{apply}-{set_suffix}");
    change(write, "UPDATE applies SET set_id = ?2 WHERE id = ?1", (apply, &set_id))?;
    for patch in patches {
        let statement = "INSERT INTO apply_patches(apply, patch) VALUES(?1, ?2)";
        change(write, statement, (apply, patch.id))?;
        if undoes.is_some() {
            continue;
        }
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

/// The patches of an apply, by path. One that was rewritten after an undo is named by the id that it
/// had when it was applied.
fn patches(connection: &Connection, apply: ApplyId) -> Result<Vec<PatchId>> {
    let statement = "SELECT coalesce(revision_of, patch)
         FROM apply_patches JOIN patches ON patches.id = patch
         WHERE apply_patches.apply = ?1 ORDER BY path";
    rows(connection, statement, [apply], |row| Ok(row.get(0)?))
}

/// The apply that this one undoes, if it is an undo.
pub(crate) fn undoes(connection: &Connection, apply: ApplyId) -> Result<Option<ApplyId>> {
    column(connection, apply, "SELECT undoes FROM applies WHERE id = ?1")
}

/// Whether an undo is of an older version, which gave it no patches of its own: it undid the whole
/// apply. One that has lost its patches with the history is marked as forgotten.
pub(crate) fn is_of_whole(connection: &Connection, undo: ApplyId) -> Result<bool> {
    let statement = "SELECT forgotten = 0 AND NOT EXISTS (
             SELECT 1 FROM apply_patches WHERE apply_patches.apply = applies.id)
         FROM applies WHERE id = ?1";
    column(connection, undo, statement)
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

/// The newest undo whose patches allow to apply them again. One of an older version has no patches
/// of its own: it undid the whole apply.
pub(crate) fn newest_undone(connection: &Connection) -> Result<Option<ApplyId>> {
    let statement =
        "SELECT undo.id FROM applies undo JOIN applies undone ON undone.id = undo.undoes
         WHERE undo.state = 'committed' AND undo.forgotten = 0 AND undone.own = 0
         AND EXISTS (SELECT 1 FROM apply_patches JOIN patches ON patches.id = patch
             WHERE apply_patches.apply = CASE
                 WHEN EXISTS (SELECT 1 FROM apply_patches WHERE apply = undo.id) THEN undo.id
                 WHEN undone.forgotten = 0 THEN undone.id END
             AND (patches.state = 'pending' OR patches.reason = 'undone'))
         ORDER BY undo.id DESC LIMIT 1";
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

/// The applies that a patch or an earlier revision of it was in, oldest first; an undo is not among
/// them.
pub(crate) fn of_patch(connection: &Connection, patch: PatchId) -> Result<Vec<PatchApply>> {
    let statement = "SELECT id, nullif(state, 'started'), approval, agent, rule FROM applies
         WHERE undoes IS NULL AND id IN (SELECT apply FROM apply_patches WHERE patch = ?1
             OR patch IN (SELECT id FROM patches WHERE revision_of = ?1))
         ORDER BY id";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, approval(row, 2)?));
    let applies = rows(connection, statement, [patch], read)?;
    let of_one = |(apply, outcome, approval)| {
        let undone_by = undo_of(connection, apply, patch)?;
        Ok(PatchApply { apply, outcome, undone_by, approval })
    };
    applies.into_iter().map(of_one).collect()
}

/// The undo that undid a patch of an apply. One of an older version names no patch.
pub(crate) fn undo_of(
    connection: &Connection,
    apply: ApplyId,
    patch: PatchId,
) -> Result<Option<ApplyId>> {
    let statement = "SELECT coalesce(
             (SELECT max(id) FROM applies WHERE undoes = ?1 AND state = 'committed'
                 AND id IN (SELECT apply FROM apply_patches WHERE patch = ?2
                     OR patch IN (SELECT id FROM patches WHERE revision_of = ?2))),
             (SELECT undone_by FROM applies WHERE id = ?1))";
    Ok(row(connection, statement, (apply, patch), |row| Ok(row.get(0)?))?.flatten())
}

/// How an apply was approved, in three columns of a row.
fn approval(row: &Row<'_>, at: usize) -> Result<Option<Approval>> {
    let means: Option<ApprovalMeans> = row.get(at)?;
    let (agent, rule) = (row.get(at + 1)?, row.get(at + 2)?);
    Ok(means.map(|means| Approval { means, agent, rule }))
}

/// The applies and undos, the newest first, at most `limit`.
pub(crate) fn records(connection: &Connection, limit: usize) -> Result<Vec<ApplyRecord>> {
    let statement = record_statement!("ORDER BY id DESC LIMIT ?1");
    let found = rows(connection, statement, [limited(limit)], read_record)?;
    found.into_iter().map(|record| with_totals(connection, record)).collect()
}

/// One of them.
pub(crate) fn record(connection: &Connection, apply: ApplyId) -> Result<Option<ApplyRecord>> {
    let found = row(connection, record_statement!("WHERE id = ?1"), [apply], read_record)?;
    found.map(|record| with_totals(connection, record)).transpose()
}

fn read_record(row: &Row<'_>) -> Result<ApplyRecord> {
    Ok(ApplyRecord {
        apply: row.get(0)?,
        outcome: row.get(1)?,
        reason: row.get(2)?,
        started_at: row.get(3)?,
        approval: approval(row, 4)?,
        message: row.get(7)?,
        undoes: row.get(8)?,
        undone_by: row.get(9)?,
        forgotten: row.get(10)?,
        totals: Totals::default(),
        undone: 0,
    })
}

/// The record with its patches in numbers, and how many of them were undone.
fn with_totals(connection: &Connection, mut record: ApplyRecord) -> Result<ApplyRecord> {
    let statement = "SELECT coalesce(staged_mode, base_mode, 0), added, removed,
             patches.state = 'applied' AND patches.apply = ?1
         FROM apply_patches JOIN patches ON patches.id = patch WHERE apply_patches.apply = ?1";
    let mut undone = 0;
    let mut count = |apply: ApplyId| {
        let mut statement = connection.prepare_cached(statement)?;
        let mut found = statement.query([apply])?;
        while let Some(row) = found.next()? {
            let kind = EntryKind::of_mode(row.get(0)?);
            record.totals.add(kind, from_sql(row.get(1)?), from_sql(row.get(2)?));
            undone += u64::from(!row.get::<_, bool>(3)?);
        }
        Ok::<_, StagingError>(())
    };
    count(record.apply)?;
    match record.undoes {
        Some(target) if is_of_whole(connection, record.apply)? => count(target)?,
        Some(_) => {}
        None if record.outcome == Some(ApplyOutcome::Committed) => record.undone = undone,
        None => {}
    }
    Ok(record)
}

/// Why an apply with a forgotten patch can be neither undone nor redone.
pub(crate) const FORGOTTEN: &str = "it is older than old contents are kept";

/// What decides whether an apply can be undone or redone.
pub(crate) struct Reversal {
    pub(crate) is_committed: bool,
    /// The apply that it undoes, if it is an undo.
    pub(crate) undoes: Option<ApplyId>,
    pub(crate) undone_by: Option<ApplyId>,
    /// Whether some of its patches were older than the history is kept.
    pub(crate) is_forgotten: bool,
}

pub(crate) fn reversal(connection: &Connection, apply: ApplyId) -> Result<Option<Reversal>> {
    let statement = "SELECT state = 'committed', undoes, undone_by, forgotten
         FROM applies WHERE id = ?1";
    row(connection, statement, [apply], |row| {
        let (is_committed, undoes, undone_by, is_forgotten) = row.try_into()?;
        Ok(Reversal { is_committed, undoes, undone_by, is_forgotten })
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
            "UPDATE patches SET state = 'applied', updated_ms = ?2, unreported = 1, claimed_by = NULL,
             decision = CASE WHEN decision = 'undone' THEN 'redone' ELSE 'applied' END
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
