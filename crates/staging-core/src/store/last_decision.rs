//! The last decision about a patch, whether its agent has received it or not.

use rusqlite::Connection;

use crate::decision::{Decided, Decision};
use crate::error::Result;
use crate::ids::PatchId;
use crate::patch::Patch;
use crate::store::columns::row;
use crate::store::patches;

/// A patch with the last decision about it; without one where it is pending and was never decided.
pub(crate) fn of(connection: &Connection, id: PatchId) -> Result<Option<(Patch, Option<Decided>)>> {
    let Some(patch) = patches::find(connection, id)? else { return Ok(None) };
    let statement = "SELECT decision, replaced_by, unreported FROM patches WHERE id = ?1";
    let noted: Option<(Option<Decision>, Option<PatchId>, bool)> =
        row(connection, statement, [id], |row| Ok(row.try_into()?))?;
    let (decision, replaced_by, is_unreported) = noted.unwrap_or_default();
    // Versions before 7 noted no decision: the state shows it.
    let shown = || Decision::of(&patch).or(is_unreported.then_some(Decision::Undone));
    let decided = decision.or_else(shown).map(|decision| Decided {
        patch: patch.clone(),
        decision,
        replaced_by,
    });
    Ok(Some((patch, decided)))
}
