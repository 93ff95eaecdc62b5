//! `redo`: applies an undone set again.

use staging_core::{ApplyId, ApprovalMeans, DiffOptions, RedoReport, RedoRequest, Reversible};

use super::approval::{ask_for, asked, named, unasked, unconfirmed};
use super::context::{Stage, tidy};
use super::text::{count, names};
use crate::args::ExpectedSignature;
use crate::failure::Failure;
use crate::json::RedoneView;

pub(super) fn redo(
    stage: &Stage<'_>,
    apply: Option<ApplyId>,
    expect: Option<&ExpectedSignature>,
    yes: bool,
) -> Result<(), Failure> {
    let Reversible { apply, patches, signature } = stage.layer.redoable(apply)?;
    let (expect, approval) = if let Some(expected) = expect {
        let approval = unasked(&stage.place, ApprovalMeans::Expect, "redo --expect")?;
        (named(expected, signature)?, approval)
    } else if yes {
        (signature, unasked(&stage.place, ApprovalMeans::Yes, "redo --yes")?)
    } else if stage.console.can_ask() {
        stage.console.diff(|out| stage.layer.write_diff(&patches, &DiffOptions::default(), out))?;
        stage.remark_patches(&patches);
        let files = count(patches.len(), "file", "files");
        ask_for(stage, &[], &format!("Apply {apply} again, {files}?"), "not applied")?;
        (signature, asked())
    } else {
        return Err(unconfirmed("redo"));
    };
    let request = RedoRequest { apply: Some(apply), expect: Some(expect), approval };
    let RedoReport { redone, report } = stage.layer.redo(&request)?;
    let printed = if stage.console.json {
        let (outcome, patches) = ("committed", &report.patches);
        stage.console.object(RedoneView { apply: report.apply, redone, outcome, patches })
    } else {
        let (patches, by) = (names(&report.patches), report.apply.map(|by| format!(" as {by}")));
        stage.console.report(&format!("redid {redone} ({patches}){}\n", by.unwrap_or_default()))
    };
    stage.told(printed, "the change set is on the disk");
    for warning in &report.warnings {
        stage.console.warn(warning);
    }
    tidy(stage, report.kept);
    Ok(())
}
