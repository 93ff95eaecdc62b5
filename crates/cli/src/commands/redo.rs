//! `redo`: applies an undone set again.

use staging_core::{ApplyId, ApprovalMeans, RedoReport, RedoRequest, Reversible};

use super::approval::{ask_for, asked, named, unasked, unconfirmed};
use super::context::{Context, tidy};
use super::text::{count, names, risks};
use crate::args::ExpectedSignature;
use crate::failure::Failure;
use crate::json::RedoneView;

pub(super) fn redo(
    context: &Context<'_>,
    apply: Option<ApplyId>,
    expect: Option<&ExpectedSignature>,
    yes: bool,
) -> Result<(), Failure> {
    let Reversible { apply, patches, signature } = context.layer.redoable(apply)?;
    let (expect, approval) = if let Some(expected) = expect {
        let approval = unasked(&context.location, ApprovalMeans::Expect, "redo --expect")?;
        (named(expected, signature)?, approval)
    } else if yes {
        (signature, unasked(&context.location, ApprovalMeans::Yes, "redo --yes")?)
    } else if context.console.can_ask {
        context.show_in_question(&patches)?;
        context.remark_patches(&patches);
        context.console.text(&risks(&patches))?;
        let files = count(patches.len(), "file", "files");
        ask_for(context, &[], &format!("Apply {apply} again, {files}?"), "not applied")?;
        (signature, asked())
    } else {
        return Err(unconfirmed("redo"));
    };
    let request = RedoRequest { apply: Some(apply), expect: Some(expect), approval };
    let redone = context.layer.redo(&request)?;
    let printed = if context.console.json {
        context.console.object(RedoneView::from(&redone))
    } else {
        let RedoReport { redone, report } = &redone;
        let (patches, by) = (names(&report.patches), report.apply.map(|by| format!(" as {by}")));
        context.console.report(&format!("redid {redone} ({patches}){}\n", by.unwrap_or_default()))
    };
    context.warn_unreported(printed, "the change set is applied");
    tidy(context, &redone.report.warnings, redone.report.kept);
    Ok(())
}
