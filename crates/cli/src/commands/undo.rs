//! `undo`: takes an applied set back.

use staging_core::{ApplyId, ApprovalMeans, Reversible, UndoReport};

use super::approval::{ask_for, asked, unasked};
use super::context::{Stage, tidy};
use super::text::{count, names};
use crate::failure::Failure;
use crate::json::UndoneView;

pub(super) fn undo(stage: &Stage<'_>, apply: Option<ApplyId>, yes: bool) -> Result<(), Failure> {
    let (apply, approval) = if yes || !stage.console.can_ask() {
        (apply, unasked(&stage.place, ApprovalMeans::Yes, "undo")?)
    } else {
        let Reversible { apply, patches, .. } = stage.layer.undoable(apply)?;
        let files = count(patches.len(), "file", "files");
        ask_for(stage, &patches, &format!("Undo {apply}, {files}?"), "not undone")?;
        (Some(apply), asked())
    };
    let UndoReport { apply, undone, patches, pending, kept } =
        stage.layer.undo_by(apply, &approval)?;
    let printed = if stage.console.json {
        let outcome = "committed";
        let (patches, pending) = (&patches, &pending);
        stage.console.object(UndoneView { apply, undone, outcome, patches, pending })
    } else {
        let again = match pending.as_slice() {
            [] => String::new(),
            [one] => format!("; {one} is pending again"),
            several => format!("; {} are pending again", names(several)),
        };
        stage.console.report(&format!("undid {undone} ({}) as {apply}{again}\n", names(&patches)))
    };
    stage.told(printed, "the change set is undone");
    tidy(stage, kept);
    Ok(())
}
