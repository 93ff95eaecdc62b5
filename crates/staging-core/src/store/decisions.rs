//! Decisions that agents have not received yet, in the patches table.
//!
//! `unreported` is 1 from the decision until the agent has received it. `claimed_by` names the answer
//! that is about to report it, so that two processes of one session do not report it twice; a later
//! decision removes that name, and is reported as well.

use rusqlite::Connection;

use crate::decision::{Decided, Decision};
use crate::error::Result;
use crate::ids::PatchId;
use crate::owner::{Liveness, Owner};
use crate::store::columns::{change, exists, row, rows};
use crate::store::write::Write;

/// Records the last decision about a patch, which its agent has to receive.
pub(crate) fn note(
    connection: &Connection,
    id: PatchId,
    decision: Decision,
    replaced_by: Option<PatchId>,
) -> Result<()> {
    let statement = "UPDATE patches SET decision = ?2, replaced_by = ?3, unreported = 1,
         claimed_by = NULL WHERE id = ?1";
    change(connection, statement, (id, decision, replaced_by)).map(drop)
}

/// Whether the agent of sessions of this label is yet to receive something, which no other answer is
/// about to report. The few unreported patches are read first: labels have no index.
pub(crate) fn any(connection: &Connection, label: &str) -> Result<bool> {
    let unclaimed = "SELECT 1 FROM patches CROSS JOIN sessions ON sessions.id = patches.session
         WHERE unreported = 1 AND claimed_by IS NULL AND label = ?1";
    if exists(connection, unclaimed, [label])? {
        return Ok(true);
    }
    let claimed = "SELECT DISTINCT claimed_by
         FROM patches CROSS JOIN sessions ON sessions.id = patches.session
         WHERE unreported = 1 AND claimed_by IS NOT NULL AND label = ?1";
    let claims: Vec<String> = rows(connection, claimed, [label], |row| Ok(row.get(0)?))?;
    Ok(claims.iter().any(|claim| is_dead(claim)))
}

/// Whether a patch is decided, or its agent is yet to receive a decision after which it is pending. An
/// answer that is just being written has it already: it is recorded as received a moment later.
pub(crate) fn is_decided(connection: &Connection, id: PatchId) -> Result<bool> {
    let statement = "SELECT state <> 'pending', claimed_by FROM patches
         WHERE id = ?1 AND (state <> 'pending' OR unreported = 1)";
    let found: Option<(bool, Option<String>)> =
        row(connection, statement, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.is_some_and(|(is_decided, claim)| is_decided || is_free(&claim)))
}

/// Claims what is to be reported to the agent of sessions of this label, by the order of the patches,
/// at most `limit`, and returns the patches and how many are left. What another answer has claimed is
/// left out, unless its process has died.
pub(crate) fn claim(
    write: &Write<'_>,
    label: &str,
    answer: &str,
    limit: usize,
) -> Result<(Vec<PatchId>, usize)> {
    let statement = "SELECT patches.id, claimed_by
         FROM patches CROSS JOIN sessions ON sessions.id = patches.session
         WHERE unreported = 1 AND label = ?1 ORDER BY patches.id";
    let open: Vec<(PatchId, Option<String>)> =
        rows(write, statement, [label], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut free: Vec<PatchId> =
        open.into_iter().filter(|(_, by)| is_free(by)).map(|(id, _)| id).collect();
    let left = free.len().saturating_sub(limit);
    free.truncate(limit);
    for id in &free {
        change(write, "UPDATE patches SET claimed_by = ?2 WHERE id = ?1", (id, answer))?;
    }
    Ok((free, left))
}

/// Whether no answer has claimed it, or one that its process will never give.
fn is_free(claim: &Option<String>) -> bool {
    claim.as_deref().is_none_or(is_dead)
}

/// Whether the process that was about to give an answer is dead, as far as it is known: what is
/// not known to be received is reported again.
fn is_dead(answer: &str) -> bool {
    let process = answer.split('/').next().and_then(Owner::parse);
    process.is_none_or(|process| process.liveness() != Liveness::Alive)
}

/// Records that an answer has reached its agent; what was decided since is still unreported.
pub(crate) fn delivered(connection: &Connection, answer: &str) -> Result<()> {
    let statement = "UPDATE patches SET unreported = 0, claimed_by = NULL WHERE claimed_by = ?1";
    change(connection, statement, [answer]).map(drop)
}

/// Gives back what an answer has claimed, also where it was recorded as delivered. What was decided
/// since, or another answer has claimed, stays as it is.
pub(crate) fn undelivered(
    connection: &Connection,
    answer: &str,
    decided: &[Decided],
) -> Result<()> {
    change(connection, "UPDATE patches SET claimed_by = NULL WHERE claimed_by = ?1", [answer])?;
    let again = "UPDATE patches SET unreported = 1
         WHERE id = ?1 AND claimed_by IS NULL AND (decision IS NULL OR decision = ?2)";
    for decided in decided {
        change(connection, again, (decided.patch.id, decided.decision))?;
    }
    Ok(())
}

/// Records that the agent knows the decision, because it is its own.
pub(crate) fn set_reported(connection: &Connection, id: PatchId) -> Result<()> {
    let statement = "UPDATE patches SET unreported = 0, claimed_by = NULL WHERE id = ?1";
    change(connection, statement, [id]).map(drop)
}
