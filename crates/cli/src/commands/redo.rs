//! `redo`: applies an undone set again.

use staging_core::{ApplyId, ApprovalMeans, RedoReport, RedoRequest, Reversible, Totals};

use super::approval::{ask_for, asked, named, unasked, unconfirmed};
use super::context::{Context, tidy};
use super::text::{risks, taken_back_by};
use crate::args::ExpectedSignature;
use crate::failure::Failure;
use crate::json::RedoneView;

pub(super) fn redo(
    context: &Context<'_>,
    apply: Option<ApplyId>,
    expect: Option<&ExpectedSignature>,
    yes: bool,
) -> Result<(), Failure> {
    let Reversible { apply, undo, patches, signature } = context.layer.redoable(apply)?;
    let (expect, approval) = if let Some(expected) = expect {
        let approval = unasked(&context.location, ApprovalMeans::Expect, "redo --expect")?;
        (named(expected, signature)?, approval)
    } else if yes {
        (signature, unasked(&context.location, ApprovalMeans::Yes, "redo --yes")?)
    } else if context.console.can_ask {
        context.show_in_question(&patches)?;
        context.remark_patches(&patches);
        context.console.text(&risks(&patches))?;
        let files = Totals::of(&patches);
        ask_for(context, &[], &format!("Apply {files} of {apply} again?"), "not applied")?;
        (signature, asked())
    } else {
        return Err(unconfirmed("redo"));
    };
    let request = RedoRequest { apply: undo.or(Some(apply)), expect: Some(expect), approval };
    let redone = context.layer.redo(&request)?;
    let printed = if context.console.json {
        context.console.object(RedoneView::from(&redone))
    } else {
        let RedoReport { redone, report } = &redone;
        let what = format!("{} of {redone} again", report.totals);
        context.console.report(&format!("applied {what}{}\n", taken_back_by(report.apply)))
    };
    context.warn_unreported(printed, "the change set is applied");
    tidy(context, &redone.report.warnings, redone.report.kept);
    Ok(())
}
