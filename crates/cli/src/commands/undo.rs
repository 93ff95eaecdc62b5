//! `undo`: takes an applied set back, or some of its files.

use staging_core::{ApprovalMeans, Reversible, Totals, UndoReport, UndoRequest};

use super::approval::{ask_for, asked, unasked};
use super::context::{Context, tidy};
use super::text::{names, risks};
use super::undo_paths::{Named, at_paths};
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
        let paths = paths.iter().map(|word| Named::word(word, &context.location));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let chosen = match paths.as_slice() {
            [] => patches,
            paths => at_paths(&context.layer, apply, patches, paths)?,
        };
        request.apply = Some(apply);
        request.patches = chosen.iter().map(|patch| patch.id).collect();
        if asks {
            let files = Totals::of(&chosen);
            let left = match all - chosen.len() {
                0 => String::new(),
                left => format!(", and keep {left}"),
            };
            context.console.text(&risks(&context.layer.reversed(apply, &chosen)?))?;
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
    let left = match remaining.len() {
        0 => String::new(),
        1 => format!("1 patch of {undone} stays applied\n"),
        left => format!("{left} patches of {undone} stay applied\n"),
    };
    context.console.report(&format!(
        "undid {totals} of {undone} as {apply}; `greenroom redo {apply}` applies it again\n{left}"
    ))?;
    match pending.as_slice() {
        [] => return Ok(()),
        [one] => context.console.remark(&format!("{one} is pending again")),
        several => context.console.remark(&format!("{} are pending again", names(several))),
    }
    context.console.remark(&format!("signature {signature}"));
    Ok(())
}
