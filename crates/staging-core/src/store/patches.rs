//! Rows of the patches table.

use atomic_fs::{Digest, Fingerprint, RelPath};
use rusqlite::{Connection, Row, params};

use crate::base::{Base, BaseStat};
use crate::comment::LineComment;
use crate::decision::Decision;
use crate::error::{Result, StagingError};
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::patch::{DiffSummary, DiscardReason, Patch};
use crate::risk::of_row::of_old_row;
use crate::signature::Signature;
use crate::signing::patch_signature;
use crate::store::applies::{self, was_undone};
use crate::store::columns::{
    change, exists, from_json, from_sql, limited, row, rows, sql, to_json,
};
use crate::store::write::Write;
use crate::store::{contents, decisions};
use crate::time::Age;

/// A statement that selects whole patches, as [`patch`] reads them.
macro_rules! select_patch {
    ($rest:literal) => {
        concat!(
            "SELECT id, session, path, rename_to, operation, state, reason, reason_text, lapsed,
             revision, base_digest, base_mode, base_bytes, base_modified_ns, base_inode,
             base_device, base_changed_ns, base_observed_ns, staged_digest, staged_mode,
             staged_bytes, strategy, added, removed, full_replace, binary, remarks, created_ms,
             updated_ms, apply, kept, batch, risks, comments, edited, revision_of, by_reviewer
             FROM patches WHERE ",
            $rest
        )
    };
}
pub(crate) use select_patch;

/// The row as a patch; the numbers are places in what [`select_patch`] selects.
pub(crate) fn patch(row: &Row<'_>) -> Result<Patch> {
    let mut patch = Patch {
        id: row.get(0)?,
        session: row.get(1)?,
        path: required_path(row, 2)?,
        rename_to: path(row, 3)?,
        operation: row.get(4)?,
        state: row.get(5)?,
        reason: row.get(6)?,
        reason_text: row.get(7)?,
        // Computed, never stored: an approval names what the row contains now.
        signature: Signature::from_bytes([0; 32]),
        lapsed: row.get(8)?,
        revision: row.get(9)?,
        edited: row.get(34)?,
        revision_of: row.get(35)?,
        by_reviewer: row.get(36)?,
        base: base(row)?,
        staged: staged(row)?,
        diff: DiffSummary {
            strategy: row.get(21)?,
            added: from_sql(row.get(22)?),
            removed: from_sql(row.get(23)?),
            full_replace: row.get(24)?,
            binary: row.get(25)?,
            remarks: from_json(row.get(26)?, "a patch's remarks")?,
            risks: Vec::new(),
        },
        created_at: row.get(27)?,
        updated_at: row.get(28)?,
        apply: row.get(29)?,
        content_kept: row.get(30)?,
        batch: row.get(31)?,
        comments: from_json(row.get(33)?, COMMENTS)?,
    };
    patch.signature = patch_signature(&patch);
    patch.diff.risks = match row.get_ref(32)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        // An older version stored it.
        None => of_old_row(&patch),
        Some("") => Vec::new(),
        Some(text) => from_json(Some(text.to_owned()), "a patch's risks")?,
    };
    Ok(patch)
}

/// The path in a column that has one.
pub(crate) fn required_path(row: &Row<'_>, at: usize) -> Result<RelPath> {
    path(row, at)?.ok_or_else(|| StagingError::damaged_store("a patch has no path"))
}

/// The path in a column, if it has one.
pub(crate) fn path(row: &Row<'_>, at: usize) -> Result<Option<RelPath>> {
    let bytes = row.get_ref(at)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
    Ok(bytes.map(RelPath::parse).transpose()?)
}

fn base(row: &Row<'_>) -> Result<Option<Base>> {
    let Some(digest) = row.get::<_, Option<[u8; 32]>>(10)? else { return Ok(None) };
    Ok(Some(Base {
        content: Fingerprint {
            digest: Digest::from_bytes(digest),
            mode: row.get(11)?,
            bytes: from_sql(row.get(12)?),
        },
        modified_ns: row.get(13)?,
        stat: BaseStat {
            inode: from_sql(row.get(14)?),
            device: from_sql(row.get(15)?),
            changed_ns: row.get(16)?,
            observed_ns: row.get(17)?,
        },
    }))
}

fn staged(row: &Row<'_>) -> Result<Option<Fingerprint>> {
    let Some(digest) = row.get::<_, Option<[u8; 32]>>(18)? else { return Ok(None) };
    Ok(Some(Fingerprint {
        digest: Digest::from_bytes(digest),
        mode: row.get(19)?,
        bytes: from_sql(row.get(20)?),
    }))
}

pub(crate) fn find(connection: &Connection, id: PatchId) -> Result<Option<Patch>> {
    row(connection, select_patch!("id = ?1 AND state <> 'prepared'"), [id], patch)
}

/// Everything pending, by path.
pub(crate) fn pending(connection: &Connection) -> Result<Vec<Patch>> {
    rows(connection, select_patch!("state = 'pending' ORDER BY path, id"), [], patch)
}

/// The paths that pending patches are about, and those they move files to.
pub(crate) fn pending_paths(connection: &Connection) -> Result<Vec<RelPath>> {
    let statement = "SELECT path FROM patches WHERE state = 'pending'
         UNION SELECT rename_to FROM patches WHERE state = 'pending' AND rename_to IS NOT NULL";
    rows(connection, statement, [], |row| required_path(row, 0))
}

/// Every session's pending patches from or to this path.
pub(crate) fn on_path(connection: &Connection, path: &RelPath) -> Result<Vec<Patch>> {
    let from = select_patch!("state = 'pending' AND path = ?1");
    let to = select_patch!("state = 'pending' AND rename_to IS NOT NULL AND rename_to = ?1");
    let mut found = rows(connection, from, [path.as_bytes()], patch)?;
    found.extend(rows(connection, to, [path.as_bytes()], patch)?);
    Ok(found)
}

/// A session's pending patches, by path.
pub(crate) fn pending_in(connection: &Connection, session: SessionId) -> Result<Vec<Patch>> {
    let statement = select_patch!("session = ?1 AND state = 'pending' ORDER BY path");
    rows(connection, statement, [session], patch)
}

/// The session's pending patch on this path.
pub(crate) fn at_path(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Option<Patch>> {
    let statement = select_patch!("session = ?1 AND path = ?2 AND state = 'pending'");
    row(connection, statement, (session, path.as_bytes()), patch)
}

/// The session's pending rename to this path.
pub(crate) fn at_target(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Option<Patch>> {
    let statement = select_patch!(
        "session = ?1 AND rename_to = ?2 AND rename_to IS NOT NULL AND state = 'pending'"
    );
    row(connection, statement, (session, path.as_bytes()), patch)
}

/// A session's pending patches of this path and of those below it, under their old names or their new
/// ones; of a few other paths as well.
pub(crate) fn pending_around(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Vec<Patch>> {
    let (from, (_, to)) = (path.as_bytes(), bounds_below(path));
    let here = select_patch!("session = ?1 AND state = 'pending' AND path >= ?2 AND path < ?3");
    let moved = select_patch!(
        "session = ?1 AND state = 'pending' AND rename_to IS NOT NULL
         AND rename_to >= ?2 AND rename_to < ?3"
    );
    let mut found = rows(connection, here, (session, from, &to), patch)?;
    found.extend(rows(connection, moved, (session, from, &to), patch)?);
    Ok(found)
}

/// Whether a session stages something below a path.
pub(crate) fn any_staged_below(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<bool> {
    let (from, to) = bounds_below(path);
    let here = "SELECT 1 FROM patches WHERE session = ?1 AND state = 'pending'
         AND path > ?2 AND path < ?3 AND operation NOT IN ('delete', 'rename')";
    let moved = "SELECT 1 FROM patches WHERE session = ?1 AND state = 'pending'
         AND rename_to IS NOT NULL AND rename_to > ?2 AND rename_to < ?3";
    Ok(exists(connection, here, (session, &from, &to))?
        || exists(connection, moved, (session, &from, &to))?)
}

/// Whether a session removes or moves something below a path.
pub(crate) fn any_freed_below(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<bool> {
    let (from, to) = bounds_below(path);
    let statement = "SELECT 1 FROM patches WHERE session = ?1 AND state = 'pending'
         AND path > ?2 AND path < ?3 AND operation IN ('delete', 'rename')";
    exists(connection, statement, (session, from, to))
}

/// The session's pending patches that create a file below this path.
pub(crate) fn brought_below(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Vec<Patch>> {
    let (from, to) = bounds_below(path);
    let created = select_patch!(
        "session = ?1 AND state = 'pending' AND path > ?2 AND path < ?3 AND operation = 'create'"
    );
    let moved = select_patch!(
        "session = ?1 AND state = 'pending' AND rename_to IS NOT NULL
         AND rename_to > ?2 AND rename_to < ?3"
    );
    let mut found = rows(connection, created, (session, &from, &to), patch)?;
    found.extend(rows(connection, moved, (session, &from, &to), patch)?);
    Ok(found)
}

/// Whether a session has a pending patch that creates a symbolic link.
pub(crate) fn any_links(connection: &Connection, session: SessionId) -> Result<bool> {
    let statement = "SELECT 1 FROM patches INDEXED BY pending_links
         WHERE state = 'pending' AND staged_mode = 40960 AND session = ?1";
    exists(connection, statement, [session])
}

/// The bounds of the paths below this one, as bytes; `0` is the byte after `/`.
fn bounds_below(path: &RelPath) -> (Vec<u8>, Vec<u8>) {
    ([path.as_bytes(), b"/"].concat(), [path.as_bytes(), b"0"].concat())
}

/// A session's pending patches that remove or move files below a path.
pub(crate) fn freeing_below(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Vec<Patch>> {
    let (from, to) = bounds_below(path);
    let statement = select_patch!(
        "session = ?1 AND state = 'pending' AND path > ?2 AND path < ?3
         AND operation IN ('delete', 'rename')"
    );
    rows(connection, statement, (session, from, to), patch)
}

/// Other sessions with a pending patch that concerns this path.
pub(crate) fn sessions_at(
    connection: &Connection,
    path: &RelPath,
    but: SessionId,
) -> Result<Vec<SessionId>> {
    let statement = "SELECT session FROM patches
             WHERE state = 'pending' AND path = ?1 AND session <> ?2
         UNION SELECT session FROM patches
             WHERE state = 'pending' AND rename_to IS NOT NULL AND rename_to = ?1 AND session <> ?2
         ORDER BY session";
    rows(connection, statement, (path.as_bytes(), but), |row| Ok(row.get(0)?))
}

/// The patches of an apply, by path.
pub(crate) fn of_apply(connection: &Connection, apply: ApplyId) -> Result<Vec<Patch>> {
    let statement =
        select_patch!("id IN (SELECT patch FROM apply_patches WHERE apply = ?1) ORDER BY path");
    rows(connection, statement, [apply], patch)
}

/// The patches of an apply that are on the disk by it, by path: those that no undo undid.
pub(crate) fn applied_by(connection: &Connection, apply: ApplyId) -> Result<Vec<Patch>> {
    let statement = select_patch!(
        "id IN (SELECT patch FROM apply_patches WHERE apply = ?1)
         AND state = 'applied' AND apply = ?1 ORDER BY path"
    );
    rows(connection, statement, [apply], patch)
}

/// The patches that an undo undoes, by path. One of an older version has none of its own: it is of
/// the whole apply. One whose patches are older than the history has none any more.
pub(crate) fn of_undo(
    connection: &Connection,
    undo: ApplyId,
    undone: ApplyId,
) -> Result<Vec<Patch>> {
    match applies::is_of_whole(connection, undo)? {
        true => of_apply(connection, undone),
        false => of_apply(connection, undo),
    }
}

/// Patches that were discarded because their file changed or their session expired, and that
/// nobody has refreshed or dismissed, by path.
pub(crate) fn lapsed(connection: &Connection) -> Result<Vec<Patch>> {
    rows(connection, select_patch!("lapsed = 1 ORDER BY path, id"), [], patch)
}

/// Whether there is any.
pub(crate) fn any_lapsed(connection: &Connection) -> Result<bool> {
    exists(connection, "SELECT 1 FROM patches WHERE lapsed = 1", [])
}

/// The newest patch there was when a lapsed one lapsed: what is newer was proposed afterwards.
pub(crate) fn lapsed_after(connection: &Connection, id: PatchId) -> Result<Option<PatchId>> {
    let statement = "SELECT lapsed_after FROM patches WHERE id = ?1";
    Ok(row(connection, statement, [id], |row| Ok(row.get(0)?))?.flatten())
}

/// Those of a session, by path.
pub(crate) fn lapsed_in(connection: &Connection, session: SessionId) -> Result<Vec<Patch>> {
    let statement = select_patch!("lapsed = 1 AND session = ?1 ORDER BY path, id");
    rows(connection, statement, [session], patch)
}

/// Those on this path that were proposed in sessions of the same label.
pub(crate) fn lapsed_at(
    connection: &Connection,
    session: SessionId,
    path: &RelPath,
) -> Result<Vec<Patch>> {
    let statement = select_patch!(
        "lapsed = 1 AND path = ?2 AND session IN (SELECT id FROM sessions
         WHERE label = (SELECT label FROM sessions WHERE id = ?1)) ORDER BY id"
    );
    rows(connection, statement, (session, path.as_bytes()), patch)
}

/// Records that a lapsed patch is refreshed or dismissed, with the reviewer's text; whether it was
/// still lapsed.
pub(crate) fn settle(write: &Write<'_>, id: PatchId, text: Option<&str>) -> Result<bool> {
    let statement =
        "UPDATE patches SET lapsed = 0, edit_lost = 0, reason_text = coalesce(?2, reason_text),
         updated_ms = ?3 WHERE id = ?1 AND lapsed = 1";
    Ok(change(write, statement, (id, text, write.now))? == 1)
}

/// Records that a pending patch was staged together with others.
pub(crate) fn set_batch(connection: &Connection, id: PatchId, batch: PatchId) -> Result<()> {
    change(connection, "UPDATE patches SET batch = ?2 WHERE id = ?1", [id, batch]).map(drop)
}

/// Joins two batches.
pub(crate) fn join_batches(connection: &Connection, from: PatchId, to: PatchId) -> Result<()> {
    change(connection, "UPDATE patches SET batch = ?2 WHERE batch = ?1", [from, to]).map(drop)
}

const COMMENTS: &str = "a patch's comments";

/// Records the reviewer's comments for lines of what a patch stages.
pub(crate) fn set_comments(
    connection: &Connection,
    id: PatchId,
    comments: &[LineComment],
) -> Result<()> {
    let statement = "UPDATE patches SET comments = ?2 WHERE id = ?1";
    change(connection, statement, (id, to_json(&comments, COMMENTS)?)).map(drop)
}

/// Makes a patch pending again that an undo reverted or discarded.
pub(crate) fn reopen(write: &Write<'_>, id: PatchId) -> Result<()> {
    let statement = "UPDATE patches SET state = 'pending', reason = NULL, reason_text = NULL,
         apply = NULL, lapsed = 0, updated_ms = ?2 WHERE id = ?1 AND state <> 'pending'";
    change(write, statement, (id, write.now))?;
    decisions::note(write, id, Decision::Undone, None)
}

/// Discards an applied patch that an undo reverted and that cannot be pending again.
pub(crate) fn discard_undone(write: &Write<'_>, id: PatchId) -> Result<()> {
    let statement = "UPDATE patches SET state = 'discarded', reason = 'undone', updated_ms = ?2
         WHERE id = ?1 AND state = 'applied'";
    change(write, statement, (id, write.now))?;
    decisions::note(write, id, Decision::Undone, None)
}

/// Whether an apply of this patch, or of an earlier revision, was undone, at least in part with it.
pub(crate) fn was_undone(connection: &Connection, id: PatchId) -> Result<bool> {
    let statement = concat!(
        "SELECT 1 FROM apply_patches JOIN applies ON applies.id = apply
         WHERE (patch = ?1 OR patch IN (SELECT id FROM patches WHERE revision_of = ?1)) AND ",
        was_undone!()
    );
    exists(connection, statement, [id])
}

/// Decided patches of sessions of this label whose decision no answer reports yet.
pub(crate) fn unreported(connection: &Connection, label: &str) -> Result<Vec<Patch>> {
    let statement = select_patch!(
        "unreported = 1 AND claimed_by IS NULL AND session IN (SELECT id FROM sessions WHERE label = ?1) ORDER BY id"
    );
    rows(connection, statement, [label], patch)
}

/// What happens to a discarded patch's references to contents.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs<'c> {
    /// They stay, so that the patch can be shown and proposed again.
    Stay,
    /// They end, except those to these contents, which another patch takes over.
    End { taken_over: &'c [Digest] },
}

/// Discards a pending patch that no apply holds, unless its agent has rewritten it since it was read;
/// whether there was one.
pub(crate) fn discard(
    write: &mut Write<'_>,
    patch: &Patch,
    reason: DiscardReason,
    text: Option<&str>,
    needs: Needs<'_>,
) -> Result<bool> {
    let keep = matches!(needs, Needs::Stay);
    let statement = "UPDATE patches SET state = 'discarded', reason = ?2, reason_text = ?3,
         updated_ms = ?4, kept = ?5, lapsed = ?6, decided_age_ms = ?7, edit_lost = ?8,
         lapsed_after = CASE WHEN ?6 THEN (SELECT max(id) FROM patches) END
         WHERE id = ?1 AND state = 'pending' AND apply IS NULL AND revision = ?9
         RETURNING base_digest, staged_digest";
    let is_edit_lost = !reason.is_by_person() && patch.carries_edit();
    let values = params![
        patch.id,
        reason,
        text,
        write.now,
        keep,
        reason.lapses(),
        write.age,
        is_edit_lost,
        patch.revision,
    ];
    let Some(digests) = row(write, statement, values, digests)? else { return Ok(false) };
    // What an agent replaces itself does not hide an earlier decision that it has not received.
    if reason.is_to_be_reported() {
        decisions::note(write, patch.id, Decision::by(reason), None)?;
    }
    if let Needs::End { taken_over } = needs {
        release_but(write, digests, taken_over)?;
    }
    Ok(true)
}

/// Ends references to contents, except to these.
pub(crate) fn release_but(
    write: &mut Write<'_>,
    mut digests: Digests,
    taken_over: &[Digest],
) -> Result<()> {
    for taken in taken_over {
        let held = digests.iter_mut().find(|held| held.as_ref() == Some(taken.as_bytes()));
        if let Some(held) = held {
            *held = None;
        }
    }
    release(write, digests)
}

pub(crate) type Digests = [Option<[u8; 32]>; 2];

pub(crate) fn digests(row: &Row<'_>) -> Result<Digests> {
    Ok([row.get(0)?, row.get(1)?])
}

pub(crate) fn release(write: &mut Write<'_>, digests: Digests) -> Result<()> {
    for digest in digests.into_iter().flatten() {
        let dead = contents::release(write, &Digest::from_bytes(digest))?;
        write.note_unreferenced(dead);
    }
    Ok(())
}

/// Drops the contents of a decided patch, unless that was done before.
fn drop_contents(write: &mut Write<'_>, id: PatchId) -> Result<()> {
    let statement = "UPDATE patches SET kept = 0 WHERE id = ?1 AND kept AND state <> 'pending'
         RETURNING base_digest, staged_digest";
    match row(write, statement, [id], digests)? {
        Some(digests) => release(write, digests),
        None => Ok(()),
    }
}

/// Patches that were decided before this, oldest first, except those of an apply
/// that is not over yet.
pub(crate) fn decided_before(
    connection: &Connection,
    before: Age,
    limit: usize,
) -> Result<Vec<PatchId>> {
    let statement = "SELECT id FROM patches WHERE state <> 'pending' AND decided_age_ms < ?1
         AND (lapsed = 0 OR kept)
         AND NOT EXISTS (SELECT 1 FROM applies WHERE applies.id = patches.apply
             AND (ended_ms IS NULL OR state IN ('started', 'in_doubt')))
         AND NOT EXISTS (SELECT 1 FROM apply_patches JOIN applies ON applies.id = apply_patches.apply
             WHERE patch = patches.id AND applies.state IN ('started', 'in_doubt'))
         ORDER BY decided_age_ms LIMIT ?2";
    rows(connection, statement, (before, limited(limit)), |row| Ok(row.get(0)?))
}

/// The contents that each patch refers to, by patch.
pub(crate) fn contents_needed(connection: &Connection) -> Result<Vec<(PatchId, Digest)>> {
    let statement = "SELECT id, base_digest FROM patches WHERE kept AND base_digest IS NOT NULL
         UNION SELECT id, staged_digest FROM patches WHERE kept AND staged_digest IS NOT NULL
         ORDER BY 1";
    rows(connection, statement, [], |row| Ok((row.get(0)?, Digest::from_bytes(row.get(1)?))))
}

/// Removes a decided patch, its contents with it; the log keeps what happened. A lapsed one
/// stays listed without its contents.
pub(crate) fn forget(write: &mut Write<'_>, id: PatchId) -> Result<()> {
    drop_contents(write, id)?;
    if exists(write, "SELECT 1 FROM patches WHERE id = ?1 AND lapsed", [id])? {
        return Ok(());
    }
    for statement in [
        // Without it its apply cannot be undone.
        "UPDATE applies SET forgotten = 1
         WHERE id IN (SELECT apply FROM apply_patches WHERE patch = ?1)",
        "DELETE FROM apply_patches WHERE patch = ?1",
        "DELETE FROM patches WHERE id = ?1 AND state <> 'pending'",
    ] {
        change(write, statement, [id])?;
    }
    Ok(())
}

/// Records the new status of a file whose content is unchanged.
pub(crate) fn update_stat(connection: &Connection, id: PatchId, base: &Base) -> Result<()> {
    let statement = "UPDATE patches SET base_modified_ns = ?2, base_inode = ?3, base_device = ?4,
         base_changed_ns = ?5, base_observed_ns = ?6 WHERE id = ?1 AND base_digest = ?7";
    let BaseStat { inode, device, changed_ns, observed_ns } = base.stat;
    let (digest, inode, device) = (base.content.digest.as_bytes(), sql(inode), sql(device));
    let values = (id, base.modified_ns, inode, device, changed_ns, observed_ns, digest);
    change(connection, statement, values).map(drop)
}
