//! Patches, their diffs, and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;
use staging_core::{
    ApplyId, Base, BaseJson, ContentJson, Digest, DiscardReason, LineComment, Operation, Patch,
    PatchApply, PatchId, PatchState, RelPath, Risk, SessionId, SetRisk, Signature, Timestamp,
};

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
