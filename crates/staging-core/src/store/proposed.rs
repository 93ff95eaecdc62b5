//! Rows of patches that are proposed: new ones, those of large calls before they are pending, and new
//! revisions of patches that are pending.
//!
//! A revision is written over the row of its patch, so that the patch keeps its id. What the row
//! proposed before goes to a row with an id of its own, which is discarded and names the patch. The two
//! statements are in one transaction with the event, and they are the only ones that change what a row
//! proposes: a patch's id with its revision names one content for ever.

use atomic_fs::{Fingerprint, RelPath};
use rusqlite::{Connection, params};

use crate::error::{Result, StagingError};
use crate::ids::{PatchId, SessionId};
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::store::columns::{change, exists, from_sql, limited, row, rows, sql, to_json};
use crate::store::patches::{Needs, digests, patch, release, release_but, select_patch};
use crate::store::write::Write;

/// How many earlier revisions of a patch keep their contents, in addition to those that a reviewer
/// has made or seen replaced.
const REVISIONS_KEPT: u32 = 10;

/// What a patch proposes, as the first 28 values of a statement, and the others.
macro_rules! proposed {
    ($patch:ident, $($more:expr),* $(,)?) => {
        params![
            $patch.session,
            $patch.path.as_bytes(),
            $patch.rename_to.as_ref().map(RelPath::as_bytes),
            $patch.operation,
            $patch.batch,
            $patch.revision,
            $patch.base.as_ref().map(|base| base.content.digest.as_bytes()),
            $patch.base.as_ref().map(|base| base.content.mode),
            $patch.base.as_ref().map(|base| sql(base.content.bytes)),
            $patch.base.as_ref().map(|base| base.modified_ns),
            $patch.base.as_ref().map(|base| sql(base.stat.inode)),
            $patch.base.as_ref().map(|base| sql(base.stat.device)),
            $patch.base.as_ref().map(|base| base.stat.changed_ns),
            $patch.base.as_ref().map(|base| base.stat.observed_ns),
            $patch.staged.as_ref().map(|staged| staged.digest.as_bytes()),
            $patch.staged.as_ref().map(|staged| staged.mode),
            $patch.staged.as_ref().map(|staged| sql(staged.bytes)),
            $patch.diff.strategy,
            sql($patch.diff.added),
            sql($patch.diff.removed),
            $patch.diff.full_replace,
            $patch.diff.binary,
            remarks($patch)?,
            $patch.created_at,
            $patch.updated_at,
            risks($patch)?,
            $patch.edited,
            $patch.by_reviewer,
            $($more),*
        ]
    };
}

fn remarks(patch: &Patch) -> Result<Option<String>> {
    Ok(match patch.diff.remarks.as_slice() {
        [] => None,
        some => Some(to_json(&some, "a patch's remarks")?),
    })
}

fn risks(patch: &Patch) -> Result<String> {
    Ok(match patch.diff.risks.as_slice() {
        [] => String::new(),
        some => to_json(&some, "a patch's risks")?,
    })
}

/// How a row is inserted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inserted<'o> {
    /// As a pending patch.
    Pending,
    /// As one that no query finds until [`list_prepared`] makes it pending; with the name of the
    /// process that is to do so. The row of a revision only holds its references to contents, until
    /// the revision is written over the patch that it names.
    Prepared { owner: &'o str, holds_for: Option<PatchId> },
}

/// Inserts a patch as a new row.
pub(crate) fn insert(
    connection: &Connection,
    patch: &Patch,
    inserted: Inserted<'_>,
) -> Result<PatchId> {
    let (state, owner, holds_for) = match inserted {
        Inserted::Pending => (PatchState::Pending.as_str(), None, None),
        Inserted::Prepared { owner, holds_for } => ("prepared", Some(owner), holds_for),
    };
    let statement = "INSERT INTO patches(session, path, rename_to, operation, batch, revision,
         base_digest, base_mode, base_bytes, base_modified_ns, base_inode, base_device,
         base_changed_ns, base_observed_ns, staged_digest, staged_mode, staged_bytes, strategy,
         added, removed, full_replace, binary, remarks, created_ms, updated_ms, risks, edited,
         by_reviewer, state, reason_text, revision_of)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
         ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)";
    change(connection, statement, proposed!(patch, state, owner, holds_for))?;
    Ok(PatchId(from_sql(connection.last_insert_rowid())))
}

/// Puts what a pending patch proposes in a row of its own, before a revision is written over it, and
/// returns that row's id; `None` if an apply holds the patch, or it is no longer the one that was read.
///
/// The applies that the patch was in before they were undone refer to that row from then on: it is what
/// they have applied.
pub(crate) fn archive(
    write: &mut Write<'_>,
    patch: &Patch,
    reason: DiscardReason,
    needs: Needs<'_>,
) -> Result<Option<PatchId>> {
    let statement = "INSERT INTO patches(session, path, rename_to, operation, batch, revision,
         base_digest, base_mode, base_bytes, base_modified_ns, base_inode, base_device,
         base_changed_ns, base_observed_ns, staged_digest, staged_mode, staged_bytes, strategy,
         added, removed, full_replace, binary, remarks, created_ms, risks, edited, by_reviewer,
         state, reason, updated_ms, kept, decided_age_ms, revision_of)
         SELECT session, path, rename_to, operation, batch, revision,
         base_digest, base_mode, base_bytes, base_modified_ns, base_inode, base_device,
         base_changed_ns, base_observed_ns, staged_digest, staged_mode, staged_bytes, strategy,
         added, removed, full_replace, binary, remarks, created_ms, risks, edited, by_reviewer,
         'discarded', ?3, ?4, ?5, ?6, id FROM patches
         WHERE id = ?1 AND revision = ?2 AND state = 'pending' AND apply IS NULL";
    let keep = matches!(needs, Needs::Stay);
    let values = (patch.id, patch.revision, reason, write.now, keep, write.age);
    if change(write, statement, values)? == 0 {
        return Ok(None);
    }
    let archived = PatchId(from_sql(write.last_insert_rowid()));
    let statement = "UPDATE apply_patches SET patch = ?2 WHERE patch = ?1";
    change(write, statement, [patch.id, archived])?;
    if let Needs::End { taken_over } = needs {
        let digest = |content: Fingerprint| *content.digest.as_bytes();
        let held = [patch.base.map(|base| base.content), patch.staged];
        release_but(write, held.map(|content| content.map(digest)), taken_over)?;
    }
    drop_older(write, patch.id)?;
    Ok(Some(archived))
}

/// Drops the contents of the newest revision beyond [`REVISIONS_KEPT`], after another one was archived.
/// The search begins at the newest, so its time does not depend on how often a file was rewritten.
fn drop_older(write: &mut Write<'_>, id: PatchId) -> Result<()> {
    let statement = "UPDATE patches SET kept = 0
         WHERE id = (SELECT id FROM patches WHERE revision_of = ?1 AND state <> 'prepared'
             ORDER BY id DESC LIMIT 1 OFFSET ?2)
         AND kept AND edited = 0 AND reason = 'superseded'
         RETURNING base_digest, staged_digest";
    match row(write, statement, (id, REVISIONS_KEPT), digests)? {
        Some(dropped) => release(write, dropped),
        None => Ok(()),
    }
}

/// Frees the place to which a pending patch moves its file, before revisions of several patches are
/// written over them one after the other: two of them may exchange their places.
pub(crate) fn free_target(connection: &Connection, id: PatchId) -> Result<()> {
    change(connection, "UPDATE patches SET rename_to = NULL WHERE id = ?1", [id]).map(drop)
}

/// Writes a revision over the row of its patch, which was archived in the same transaction.
pub(crate) fn revise(connection: &Connection, patch: &Patch) -> Result<()> {
    // SQLite writes the indexes of every column that a statement sets, also where the value stays, and a
    // revision usually has the path of what it replaces. So the path has a statement of its own.
    let statement = "UPDATE patches SET path = ?2, rename_to = ?3
         WHERE id = ?1 AND (path <> ?2 OR rename_to IS NOT ?3)";
    let rename_to = patch.rename_to.as_ref().map(RelPath::as_bytes);
    change(connection, statement, (patch.id, patch.path.as_bytes(), rename_to))?;
    let statement = "UPDATE patches SET operation = ?4, batch = ?5, revision = ?6,
         base_digest = ?7, base_mode = ?8, base_bytes = ?9, base_modified_ns = ?10,
         base_inode = ?11, base_device = ?12, base_changed_ns = ?13, base_observed_ns = ?14,
         staged_digest = ?15, staged_mode = ?16, staged_bytes = ?17, strategy = ?18, added = ?19,
         removed = ?20, full_replace = ?21, binary = ?22, remarks = ?23, created_ms = ?24,
         updated_ms = ?25, risks = ?26, edited = ?27, by_reviewer = ?28, comments = NULL
         WHERE id = ?29 AND state = 'pending' AND revision = ?6 - 1";
    let written = change(connection, statement, proposed!(patch, patch.id))?;
    if written == 1 {
        return Ok(());
    }
    Err(StagingError::damaged_store(format!("{} is not there to be revised", patch.id)))
}

/// The earlier revisions of a patch, oldest first.
pub(crate) fn earlier(connection: &Connection, id: PatchId) -> Result<Vec<Patch>> {
    rows(
        connection,
        select_patch!("revision_of = ?1 AND state <> 'prepared' ORDER BY revision, id"),
        [id],
        patch,
    )
}

/// Whether a reviewer's edit was lost at any path.
pub(crate) fn any_lost_edit(connection: &Connection) -> Result<bool> {
    exists(connection, "SELECT 1 FROM patches WHERE edit_lost = 1", [])
}

/// The newest patch at a path, of sessions of the same label, with which a reviewer's edit was lost:
/// its agent withdrew it, or it lapsed, and the agent has not proposed the path again since.
pub(crate) fn lost_edit(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Option<Patch>> {
    let statement = select_patch!(
        "edit_lost = 1 AND path = ?2 AND session IN (SELECT id FROM sessions
         WHERE label = (SELECT label FROM sessions WHERE id = ?1)) ORDER BY id DESC LIMIT 1"
    );
    row(connection, statement, (session, path.as_bytes()), patch)
}

/// Records that a new patch at a path shows that it replaces the reviewer's edit, or has it.
pub(crate) fn settle_lost_edits(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<()> {
    let statement = "UPDATE patches SET edit_lost = 0
         WHERE edit_lost = 1 AND path = ?2 AND session IN (SELECT id FROM sessions
         WHERE label = (SELECT label FROM sessions WHERE id = ?1))";
    change(connection, statement, (session, path.as_bytes())).map(drop)
}

/// Makes prepared patches of one call pending, which are marked by its first one's id: those from
/// one id to another one, as a part of a batch; how many there were. SQLite keeps in memory what one
/// such statement changes, so the range should be short.
pub(crate) fn list_prepared(
    write: &Write<'_>,
    first: PatchId,
    ids: (PatchId, PatchId),
    batch: PatchId,
) -> Result<usize> {
    let statement = "UPDATE patches SET state = 'pending', batch = ?2, reason_text = NULL,
         created_ms = ?3, updated_ms = ?3
         WHERE id BETWEEN ?4 AND ?5 AND batch = ?1 AND state = 'prepared'";
    change(write, statement, (first, batch, write.now, ids.0, ids.1))
}

/// Removes some of the prepared rows that held references for revisions, which have them now; whether
/// there were as many as `limit`.
pub(crate) fn drop_holders(write: &Write<'_>, first: PatchId, limit: usize) -> Result<bool> {
    let statement = "DELETE FROM patches WHERE id IN (
             SELECT id FROM patches WHERE batch = ?1 AND state = 'prepared'
             AND revision_of IS NOT NULL LIMIT ?2)";
    Ok(change(write, statement, (first, limited(limit)))? == limit)
}

/// Removes prepared patches of an abandoned call with their references to contents; whether there
/// were as many as `limit`.
pub(crate) fn drop_prepared(write: &mut Write<'_>, first: PatchId, limit: usize) -> Result<bool> {
    let statement = "DELETE FROM patches WHERE id IN (
             SELECT id FROM patches WHERE batch = ?1 AND state = 'prepared' LIMIT ?2)
         RETURNING base_digest, staged_digest";
    let dropped = rows(write, statement, (first, limited(limit)), digests)?;
    let are_more = dropped.len() == limit;
    for needed in dropped {
        release(write, needed)?;
    }
    Ok(are_more)
}

/// The calls that have prepared patches: the first one's id, and the process. That no patch but
/// these is undecided and not pending is what makes the search short.
pub(crate) fn unlisted(connection: &Connection) -> Result<Vec<(PatchId, String)>> {
    let statement = "SELECT DISTINCT batch, reason_text FROM patches
         WHERE state <> 'pending' AND decided_age_ms IS NULL AND state = 'prepared'
         AND batch IS NOT NULL AND reason_text IS NOT NULL";
    rows(connection, statement, [], |row| Ok((row.get(0)?, row.get(1)?)))
}
