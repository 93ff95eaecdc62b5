//! The shapes that `--json` prints, and that `serve` answers with.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{
    AppliedPatch, ApplyId, ApplyRecord, ApplyReport, Base, BaseJson, CheckOutcome, ContentJson,
    Contested, Digest, DiscardReason, FittedFile, InDoubtApply, LineComment, Operation, Patch,
    PatchApply, PatchId, PatchState, RecoverReport, RedoReport, RelPath, Risk, Session, SessionId,
    SessionState, SessionStatus, SetRisk, Signature, Status, Timestamp, Totals, UndoReport,
    UndoneFile,
};

use crate::failure::Failure;
use crate::paths::shown;
use crate::recovery::RecoveryView;
use crate::trials::{TrialResult, Trials};

/// The version of every shape here; it grows when a field changes its meaning.
const SCHEMA: u32 = 1;

/// What is printed: the fields behind the version.
#[derive(Serialize)]
pub(crate) struct Object<'a, T> {
    schema: u32,
    #[serde(flatten)]
    fields: T,
    /// What the command recovered on its way; left out when that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoveryView<'a>>,
}

impl<'a, T: Serialize> Object<'a, T> {
    pub(crate) fn new(fields: T) -> Self {
        Self { schema: SCHEMA, fields, recovery: None }
    }

    /// The same with what was recovered on the way.
    pub(crate) fn with_recovery(self, report: &'a RecoverReport) -> Self {
        let recovery = (!report.is_quiet()).then(|| report.into());
        Self { recovery, ..self }
    }
}

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

/// `{"error": …}`.
#[derive(Serialize)]
pub(crate) struct ErrorView<'a> {
    pub(crate) error: &'a Failure,
}

/// What `propose` staged.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProposedView<'a> {
    /// None when nothing was stale.
    pub(crate) session: Option<SessionId>,
    pub(crate) patches: Vec<PatchView<'a>>,
    /// Other sessions that want to change the same file; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) also_pending_in: Vec<SessionId>,
    /// Patches that were withdrawn, or whose place these took; left out when there are none. A patch that
    /// is rewritten keeps its id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) superseded: Vec<PatchId>,
    /// How a patch over many files fitted them, in its order; left out of other proposals.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) fitted: &'a [FittedFile],
}

/// What `propose` staged of a copy of the workspace.
#[cfg(target_os = "linux")]
#[derive(Serialize)]
pub(crate) struct CopiedView<'a> {
    pub(crate) session: SessionId,
    pub(crate) patches: Vec<PatchView<'a>>,
    pub(crate) not_proposed: Vec<NotProposedView>,
}

/// A path that no patch changes, and why.
#[cfg(target_os = "linux")]
#[derive(Serialize)]
pub(crate) struct NotProposedView {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// What `discard` rejected.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DiscardedView<'a> {
    pub(crate) patches: Vec<PatchView<'a>>,
}

/// What `diff` shows.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SelectionView<'a> {
    pub(crate) signature: Signature,
    /// What the reviewer should know first, by kind; left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) risks: Vec<SetRisk<'a>>,
    pub(crate) patches: Vec<PatchView<'a>>,
    /// What the selection lacks, stale or expired; left out when it is whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lapsed: Vec<PatchView<'a>>,
    #[serde(flatten)]
    pub(crate) diff: TextView,
}

/// Bytes: `text` where they are UTF-8, else a null and `base64`.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct TextView {
    /// The bytes as text; null when they are not UTF-8, or are not stored any more.
    text: Option<String>,
    /// The bytes, where they are not UTF-8; left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl From<Vec<u8>> for TextView {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { text: Some(text), base64: None },
            Err(error) => Self { text: None, base64: Some(BASE64.encode(error.as_bytes())) },
        }
    }
}

/// A file as a session sees it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ContentView<'a> {
    pub(crate) session: SessionId,
    #[schemars(with = "String")]
    pub(crate) path: &'a RelPath,
    pub(crate) bytes: usize,
    /// What a proposal names as its base.
    #[schemars(with = "String")]
    pub(crate) blake3: Digest,
    #[serde(flatten)]
    pub(crate) content: TextView,
}

impl<'a> ContentView<'a> {
    pub(crate) fn new(session: SessionId, path: &'a RelPath, content: Vec<u8>) -> Self {
        let (bytes, blake3) = (content.len(), Digest::of(&content));
        Self { session, path, bytes, blake3, content: content.into() }
    }
}

/// What `show` shows.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ShownView<'a> {
    pub(crate) session: SessionId,
    pub(crate) patch: PatchView<'a>,
    pub(crate) remarks: &'a [String],
    pub(crate) reason_text: Option<&'a str>,
    /// What the reviewer said about single lines; left out when that is nothing.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) comments: &'a [LineComment],
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) apply: Option<ApplyId>,
    /// Every apply that it was in, oldest first.
    pub(crate) applies: &'a [PatchApply],
    /// What it proposed before, oldest first; left out in its first revision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<EarlierView>,
    #[serde(flatten)]
    pub(crate) diff: TextView,
}

/// An earlier revision of a patch.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EarlierView {
    /// The id under which it is kept.
    id: PatchId,
    revision: u32,
    /// Why it was replaced: by its agent (`superseded`), or by the reviewer (`edited`).
    reason: Option<DiscardReason>,
    created_at: Timestamp,
    replaced_at: Timestamp,
    /// Whether it can still be shown.
    content_kept: bool,
}

impl From<&Patch> for EarlierView {
    fn from(patch: &Patch) -> Self {
        Self {
            id: patch.id,
            revision: patch.revision,
            reason: patch.reason,
            created_at: patch.created_at,
            replaced_at: patch.updated_at,
            content_kept: patch.content_kept,
        }
    }
}

/// What `show` shows of a selection that is not one patch.
#[derive(Serialize)]
pub(crate) struct SeveralShownView<'a> {
    pub(crate) shown: Vec<ShownView<'a>>,
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
            left_out: self::patches(&report.left_out),
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

#[derive(Serialize, JsonSchema)]
pub(crate) struct PatchView<'a> {
    id: PatchId,
    session: SessionId,
    #[schemars(with = "String")]
    path: &'a RelPath,
    operation: Operation,
    #[schemars(with = "Option<String>")]
    rename_to: Option<&'a RelPath>,
    state: PatchState,
    reason: Option<DiscardReason>,
    signature: Signature,
    revision: u32,
    /// Whether the content is the reviewer's; left out where it is the agent's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    edited: bool,
    /// The patch of which it is an earlier revision; left out of every other patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision_of: Option<PatchId>,
    #[schemars(with = "Option<BaseJson>")]
    base: Option<&'a Base>,
    staged: Option<ContentJson>,
    diff: DiffView<'a>,
}

#[derive(Serialize, JsonSchema)]
struct DiffView<'a> {
    strategy: &'a str,
    added: u64,
    removed: u64,
    full_replace: bool,
    binary: bool,
    /// Left out when there is none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    risks: &'a [Risk],
}

impl<'a> From<&'a Patch> for PatchView<'a> {
    fn from(patch: &'a Patch) -> Self {
        let diff = &patch.diff;
        Self {
            id: patch.id,
            session: patch.session,
            path: &patch.path,
            operation: patch.operation,
            rename_to: patch.rename_to.as_ref(),
            state: patch.state,
            reason: patch.reason,
            signature: patch.signature,
            revision: patch.revision,
            edited: patch.edited,
            revision_of: patch.revision_of,
            base: patch.base.as_ref(),
            staged: patch.staged.map(ContentJson::from),
            diff: DiffView {
                strategy: &diff.strategy,
                added: diff.added,
                removed: diff.removed,
                full_replace: diff.full_replace,
                binary: diff.binary,
                risks: &diff.risks,
            },
        }
    }
}

pub(crate) fn patches(patches: &[Patch]) -> Vec<PatchView<'_>> {
    patches.iter().map(PatchView::from).collect()
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct StatusView<'a> {
    pub(crate) workspace: String,
    pub(crate) signature: Signature,
    /// The risks of everything pending, by kind; left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) risks: Vec<SetRisk<'a>>,
    /// The results of commands on the sets with these signatures; left out when none was run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) exec: Vec<&'a TrialResult>,
    pub(crate) sessions: Vec<PendingView<'a>>,
    /// What the commands of sessions have written; left out when there is nothing.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) layers: &'a [LayerView],
    /// Files that several sessions want to change; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) contested: &'a [Contested],
    /// Applies that recovery could not decide; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) in_doubt: &'a [InDoubtApply],
    /// Journals of applies that are running or wait for recovery; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) open_journals: &'a [String],
    /// Journals that are not acted on; left out when there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) quarantined: &'a [String],
    /// Files with users' bytes that could not stay in place; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<String>,
}

/// What the commands of a session have written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LayerView {
    pub(crate) session: SessionId,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Of the copy of the workspace that they see.
    pub(crate) copy_bytes: u64,
}

/// A session with what is pending in it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PendingView<'a> {
    id: SessionId,
    label: &'a str,
    state: SessionState,
    signature: Signature,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// When the process that serves it was found dead; left out while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    orphaned_at: Option<Timestamp>,
    patches: Vec<PatchView<'a>>,
    /// What it lacks, stale or expired; left out when it is whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lapsed: Vec<PatchView<'a>>,
}

impl<'a> StatusView<'a> {
    /// What `status` shows of the workspace at `root`.
    pub(crate) fn new(
        root: &Path,
        status: &'a Status,
        trials: &'a Trials,
        layers: &'a [LayerView],
    ) -> Self {
        let sessions = status.sessions.iter().map(|each| &each.signature);
        let signatures = sessions.chain([&status.signature]);
        Self {
            workspace: shown(root),
            signature: status.signature,
            risks: SetRisk::of(status.sessions.iter().flat_map(|each| &each.patches)),
            exec: signatures.filter_map(|signature| trials.of(signature)).collect(),
            sessions: status.sessions.iter().map(PendingView::from).collect(),
            layers,
            contested: &status.contested,
            in_doubt: &status.in_doubt,
            open_journals: &status.open_journals,
            quarantined: &status.quarantined,
            kept: status.kept.iter().map(shown).collect(),
        }
    }
}

impl<'a> From<&'a SessionStatus> for PendingView<'a> {
    fn from(status: &'a SessionStatus) -> Self {
        let session = &status.session;
        Self {
            id: session.id,
            label: &session.label,
            state: session.state,
            signature: status.signature,
            created_at: session.created_at,
            expires_at: session.expires_at,
            orphaned_at: session.orphaned_at,
            patches: patches(&status.patches),
            lapsed: patches(&status.lapsed),
        }
    }
}

/// What `session close` did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClosedView<'a> {
    pub(crate) session: &'a Session,
    /// What was pending in it.
    pub(crate) rejected: Vec<PatchView<'a>>,
    /// What was stale or expired in it, and nobody had refreshed or dismissed.
    pub(crate) dismissed: Vec<PatchView<'a>>,
}

/// What `init` changed.
#[derive(Serialize)]
pub(crate) struct InitView<'a> {
    pub(crate) agent: &'a str,
    pub(crate) changed: Vec<&'a RelPath>,
    pub(crate) apply: Option<ApplyId>,
    pub(crate) notes: &'a [String],
}

/// What `plugin list` shows.
#[derive(Serialize)]
pub(crate) struct StrategiesView<'a> {
    pub(crate) strategies: Vec<StrategyView<'a>>,
    pub(crate) confinement: ConfinementView,
}

/// What this system refuses a plugin's own process.
#[derive(Serialize)]
pub(crate) struct ConfinementView {
    pub(crate) files: bool,
    pub(crate) system_calls: bool,
}

#[derive(Serialize)]
pub(crate) struct StrategyView<'a> {
    pub(crate) name: &'a str,
    /// Whether files are compared with it.
    pub(crate) chosen: bool,
    /// `bundled`, `child` or `in_process`.
    pub(crate) runs: &'static str,
    pub(crate) path: Option<String>,
    pub(crate) blake3: Option<Digest>,
    /// What keeps it from being used.
    pub(crate) problem: Option<String>,
}

impl<'a> StrategyView<'a> {
    pub(crate) fn bundled(name: &'a str, chosen: bool) -> Self {
        Self { name, chosen, runs: "bundled", path: None, blake3: None, problem: None }
    }
}

/// What `plugin allow` wrote down.
#[derive(Serialize)]
pub(crate) struct AllowedView<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) path: String,
    pub(crate) blake3: Digest,
    pub(crate) chosen: bool,
}

/// What `plugin test` found.
#[derive(Serialize)]
pub(crate) struct TestedView<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) passed: bool,
    pub(crate) checks: Vec<CheckView<'a>>,
}

#[derive(Serialize)]
pub(crate) struct CheckView<'a> {
    claim: &'a str,
    took_ms: u64,
    failed: Option<&'a str>,
}

impl<'a> From<&'a CheckOutcome> for CheckView<'a> {
    fn from(check: &'a CheckOutcome) -> Self {
        let took_ms = u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX);
        Self { claim: check.claim, took_ms, failed: check.failed.as_deref() }
    }
}
