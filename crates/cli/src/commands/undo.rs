//! `undo`: takes an applied set back.

use staging_core::{ApplyId, ApprovalMeans, Reversible, UndoReport};

use super::approval::{ask_for, asked, unasked};
use super::context::{Context, tidy};
use super::text::{count, names};
use crate::failure::Failure;
use crate::json::UndoneView;

pub(super) fn undo(
    context: &Context<'_>,
    apply: Option<ApplyId>,
    yes: bool,
) -> Result<(), Failure> {
    let (apply, approval) = if yes || !context.console.can_ask {
        (apply, unasked(&context.location, ApprovalMeans::Yes, "undo")?)
    } else {
        let Reversible { apply, patches, .. } = context.layer.undoable(apply)?;
        let files = count(patches.len(), "file", "files");
        ask_for(context, &patches, &format!("Undo {apply}, {files}?"), "not undone")?;
        (Some(apply), asked())
    };
    let report = context.layer.undo_by(apply, &approval)?;
    let printed = if context.console.json {
        context.console.object(UndoneView::from(&report))
    } else {
        let UndoReport { apply, undone, patches, pending, .. } = &report;
        let again = match pending.as_slice() {
            [] => String::new(),
            [one] => format!("; {one} is pending again"),
            several => format!("; {} are pending again", names(several)),
        };
        context.console.report(&format!("undid {undone} ({}) as {apply}{again}\n", names(patches)))
    };
    context.warn_unreported(printed, "the change set is undone");
    tidy(context, &[], report.kept);
    Ok(())
}
