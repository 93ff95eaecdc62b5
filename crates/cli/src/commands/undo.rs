//! `undo`: takes an applied set back, or some of its files.

use staging_core::{ApprovalMeans, Reversible, Totals, UndoReport, UndoRequest};

use super::approval::{ask_for, asked, unasked};
use super::context::{Context, tidy};
use super::text::names;
use super::undo_paths::at_paths;
use crate::args::Undo;
use crate::failure::Failure;
use crate::json::UndoneView;

pub(super) fn undo(context: &Context<'_>, arguments: &Undo) -> Result<(), Failure> {
    let paths = arguments.paths();
    let asks = !arguments.yes && context.console.can_ask;
    let mut request = UndoRequest { apply: arguments.apply(), ..UndoRequest::default() };
    if asks || !paths.is_empty() {
        let Reversible { apply, patches, .. } = context.layer.undoable(request.apply)?;
        let all = patches.len();
        let chosen = match paths.as_slice() {
            [] => patches,
            paths => at_paths(context, apply, patches, paths)?,
        };
        request.apply = Some(apply);
        request.patches = chosen.iter().map(|patch| patch.id).collect();
        if asks {
            let files = Totals::of(&chosen);
            let left = match all - chosen.len() {
                0 => String::new(),
                left => format!(", and keep {left}"),
            };
            ask_for(context, &chosen, &format!("Undo {files} of {apply}{left}?"), "not undone")?;
        }
    }
    request.approval = match asks {
        true => asked(),
        false => unasked(&context.location, ApprovalMeans::Yes, "undo")?,
    };
    let report = context.layer.undo_part(&request)?;
    context.warn_unreported(print(context, &report), "the change set is undone");
    tidy(context, &[], report.kept);
    Ok(())
}

fn print(context: &Context<'_>, report: &UndoReport) -> Result<(), Failure> {
    let UndoReport { apply, undone, pending, signature, remaining, totals, .. } = report;
    if context.console.json {
        return context.console.object(UndoneView::from(report));
    }
    let rest = match remaining.as_slice() {
        [] => String::new(),
        [one] => format!("{one} of it stays applied; "),
        several => format!("{} of it stay applied; ", names(several)),
    };
    context.console.report(&format!(
        "undid {totals} of {undone} as {apply}; {rest}`greenroom redo {apply}` applies it again\n"
    ))?;
    match pending.as_slice() {
        [] => {}
        [one] => context.console.remark(&format!("{one} is pending again, signature {signature}")),
        several => {
            let several = names(several);
            context.console.remark(&format!("{several} are pending again, signature {signature}"));
        }
    }
    Ok(())
}
