//! What is applied, undone and recovered.

use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{
    AppliedPatch, ApplyId, ApplyRecord, ApplyReport, PatchId, RecoverReport, RedoReport, Signature,
    Totals, UndoReport, UndoneFile,
};

use super::patches::{PatchView, TextView};
use crate::recovery::RecoveryView;

/// The result of `recover`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RecoverView<'a> {
    #[serde(flatten)]
    recovery: RecoveryView<'a>,
    /// How many unreferenced contents were removed.
    blobs_removed: u64,
    /// Temporary files of other Greenroom states, left as they are.
    foreign_slots: &'a [String],
}

impl<'a> From<&'a RecoverReport> for RecoverView<'a> {
    fn from(report: &'a RecoverReport) -> Self {
        let RecoverReport { blobs_removed, foreign_slots, .. } = report;
        Self { recovery: report.into(), blobs_removed: *blobs_removed, foreign_slots }
    }
}

/// The result of `apply`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AppliedView<'a> {
    pub(crate) apply: Option<ApplyId>,
    pub(crate) outcome: &'a str,
    pub(crate) patches: &'a [PatchId],
    /// Always empty: stale patches make an apply fail.
    pub(crate) stale: Vec<PatchId>,
    pub(crate) signature: Signature,
    pub(crate) totals: Totals,
    /// Stale and expired patches that were left out; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<PatchView<'a>>,
    /// Sentences for a person about an apply that succeeded; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) warnings: &'a [String],
    /// Files with users' bytes that could not stay in place; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) kept: &'a [String],
}

impl<'a> AppliedView<'a> {
    pub(crate) fn new(report: &'a ApplyReport, outcome: &'a str) -> Self {
        let ApplyReport { patches, warnings, kept, .. } = report;
        Self {
            apply: report.apply,
            outcome,
            patches,
            stale: Vec::new(),
            signature: report.signature,
            totals: report.totals,
            left_out: super::patches(&report.left_out),
            warnings,
            kept,
        }
    }
}

/// The result of `undo`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UndoneView<'a> {
    pub(crate) apply: ApplyId,
    pub(crate) undone: ApplyId,
    pub(crate) outcome: &'a str,
    pub(crate) patches: &'a [PatchId],
    /// Those that wait for a decision again.
    pub(crate) pending: &'a [PatchId],
    /// The signature of those.
    pub(crate) signature: Signature,
    /// Those that are still applied.
    pub(crate) remaining: &'a [PatchId],
    pub(crate) totals: Totals,
    /// What was undone.
    pub(crate) files: &'a [UndoneFile],
    /// Files with users' bytes that could not stay in place; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) kept: &'a [String],
}

impl<'a> From<&'a UndoReport> for UndoneView<'a> {
    fn from(report: &'a UndoReport) -> Self {
        let UndoReport { patches, pending, remaining, files, kept, .. } = report;
        Self {
            apply: report.apply,
            undone: report.undone,
            outcome: "committed",
            patches,
            pending,
            signature: report.signature,
            remaining,
            totals: report.totals,
            files,
            kept,
        }
    }
}

/// What `applies` lists.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AppliesView<'a> {
    pub(crate) applies: &'a [ApplyRecord],
}

/// What `show` shows of an apply.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ShownApplyView<'a> {
    #[serde(flatten)]
    pub(crate) record: &'a ApplyRecord,
    pub(crate) patches: Vec<AppliedPatchView<'a>>,
    /// Nothing of an undo, and once a content was dropped.
    #[serde(flatten)]
    pub(crate) diff: TextView,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct AppliedPatchView<'a> {
    #[serde(flatten)]
    patch: PatchView<'a>,
    undone_by: Option<ApplyId>,
}

impl<'a> From<&'a AppliedPatch> for AppliedPatchView<'a> {
    fn from(applied: &'a AppliedPatch) -> Self {
        Self { patch: PatchView::from(&applied.patch), undone_by: applied.undone_by }
    }
}

/// The result of `redo`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RedoneView<'a> {
    pub(crate) apply: Option<ApplyId>,
    pub(crate) redone: ApplyId,
    pub(crate) outcome: &'a str,
    pub(crate) patches: &'a [PatchId],
    pub(crate) totals: Totals,
}

impl<'a> From<&'a RedoReport> for RedoneView<'a> {
    fn from(RedoReport { redone, report }: &'a RedoReport) -> Self {
        let patches = &report.patches;
        let (apply, totals) = (report.apply, report.totals);
        Self { apply, redone: *redone, outcome: "committed", patches, totals }
    }
}
