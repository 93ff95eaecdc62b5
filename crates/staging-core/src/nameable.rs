//! What a command line can name, for a shell's completion: read without opening the state.

use std::path::Path;

use atomic_fs::RelPath;
use rusqlite::Connection;

use crate::error::Result;
use crate::ids::{ApplyId, PatchId, SessionId};
use crate::maintain::states::read_store;
use crate::patch::Operation;
use crate::session::SessionState;
use crate::store::columns::{from_sql, limited, rows};
use crate::store::patches::{path, required_path};

/// Names of a state, the newest first.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Nameable {
    /// The patches that are pending, and those that are stale or expired and listed.
    pub patches: Vec<NameablePatch>,
    /// The sessions.
    pub sessions: Vec<NameableSession>,
    /// The applies, undos and redos.
    pub applies: Vec<NameableApply>,
}

/// A patch that waits.
#[derive(Debug)]
#[non_exhaustive]
pub struct NameablePatch {
    /// The patch.
    pub id: PatchId,
    /// Its session.
    pub session: SessionId,
    /// What it does.
    pub operation: Operation,
    /// Its file.
    pub path: RelPath,
    /// The target of a rename.
    pub rename_to: Option<RelPath>,
    /// How many lines it adds.
    pub added: u64,
    /// How many lines it removes.
    pub removed: u64,
    /// Whether it is stale or expired.
    pub is_lapsed: bool,
}

/// A session.
#[derive(Debug)]
#[non_exhaustive]
pub struct NameableSession {
    /// The session.
    pub id: SessionId,
    /// Its label, which an agent may have chosen.
    pub label: String,
    /// Its state.
    pub state: SessionState,
    /// How many patches are pending in it.
    pub pending: u64,
}

/// An apply, an undo or a redo.
#[derive(Debug)]
#[non_exhaustive]
pub struct NameableApply {
    /// The apply.
    pub id: ApplyId,
    /// How many patches are part of it.
    pub patches: u64,
    /// The apply that it undoes.
    pub undoes: Option<ApplyId>,
    /// The undo of all of it.
    pub undone_by: Option<ApplyId>,
    /// Whether its changes reached the disk.
    pub is_committed: bool,
    /// Whether its outcome is not known.
    pub is_in_doubt: bool,
}

/// Reads what a command line can name: up to `max` of each kind. As
/// [`summarise`](crate::summarise), it creates, recovers and waits for nothing.
///
/// # Errors
/// When the store cannot be read, or is of a version that has to be brought up to date first.
pub fn nameable(state_dir: &Path, max: usize) -> Result<Nameable> {
    let Some(connection) = read_store(state_dir)? else { return Ok(Nameable::default()) };
    Ok(Nameable {
        patches: patches(&connection, max)?,
        sessions: sessions(&connection, max)?,
        applies: applies(&connection, max)?,
    })
}

/// Reads the paths of an apply's patches, with both names of a rename, in the same way; those of the
/// newest one that is on the disk where none is named.
///
/// # Errors
/// As [`nameable`].
pub fn nameable_paths_of(state_dir: &Path, apply: Option<ApplyId>) -> Result<Vec<RelPath>> {
    let Some(connection) = read_store(state_dir)? else { return Ok(Vec::new()) };
    let statement = "SELECT path, rename_to FROM patches
         JOIN apply_patches ON apply_patches.patch = patches.id
         WHERE apply_patches.apply = coalesce(?1, (SELECT max(id) FROM applies
             WHERE state = 'committed' AND undoes IS NULL AND undone_by IS NULL AND own = 0))";
    let both = rows(&connection, statement, [apply], |row| {
        Ok([Some(required_path(row, 0)?), path(row, 1)?])
    })?;
    Ok(both.into_iter().flatten().flatten().collect())
}

fn patches(connection: &Connection, max: usize) -> Result<Vec<NameablePatch>> {
    let statement = "SELECT id, session, operation, path, rename_to, added, removed, lapsed
         FROM patches WHERE state = 'pending' OR lapsed = 1 ORDER BY id DESC LIMIT ?1";
    rows(connection, statement, [limited(max)], |row| {
        Ok(NameablePatch {
            id: row.get(0)?,
            session: row.get(1)?,
            operation: row.get(2)?,
            path: required_path(row, 3)?,
            rename_to: path(row, 4)?,
            added: from_sql(row.get(5)?),
            removed: from_sql(row.get(6)?),
            is_lapsed: row.get(7)?,
        })
    })
}

fn sessions(connection: &Connection, max: usize) -> Result<Vec<NameableSession>> {
    let statement = "SELECT id, label, state, pending FROM sessions ORDER BY id DESC LIMIT ?1";
    rows(connection, statement, [limited(max)], |row| {
        Ok(NameableSession {
            id: row.get(0)?,
            label: row.get(1)?,
            state: row.get(2)?,
            pending: from_sql(row.get(3)?),
        })
    })
}

fn applies(connection: &Connection, max: usize) -> Result<Vec<NameableApply>> {
    let statement = "SELECT id, undoes, undone_by, state,
             (SELECT count(*) FROM apply_patches WHERE apply = applies.id)
         FROM applies ORDER BY id DESC LIMIT ?1";
    rows(connection, statement, [limited(max)], |row| {
        let state: String = row.get(3)?;
        Ok(NameableApply {
            id: row.get(0)?,
            undoes: row.get(1)?,
            undone_by: row.get(2)?,
            patches: from_sql(row.get(4)?),
            is_committed: state == "committed",
            is_in_doubt: state == "in_doubt",
        })
    })
}
