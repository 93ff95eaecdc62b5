//! What the methods take.
//!
//! A parameter that no method has is an error: a misspelled `expect` must not approve anything. A path is
//! text here, so that one that leads out is refused as everywhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use staging_core::{ApplyId, Digest, PatchId, RequestId, SessionId, Signature};

use super::by_name::ByName;
use super::content::{Content, Mode, parsed, parsed_if_given};

/// Parameters of a method that has none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParams {}

/// Parameters of `open_session`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenSession {
    /// A label, whose session is opened if none is open; or the id of an open session.
    pub(super) session: String,
}

/// Parameters of `close_session`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseSession {
    /// The session.
    pub(super) session: SessionId,
    /// The signature that its pending patches must have; the session stays open otherwise.
    #[serde(default)]
    pub(super) expect: Option<Signature>,
    /// The reason, which the agent is shown.
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// Parameters of `propose`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Propose {
    /// The session.
    pub(super) session: SessionId,
    /// The changes, in order.
    #[schemars(with = "Vec<Change>")]
    pub(super) proposals: Vec<ByName<Change>>,
}

/// A proposed change. A `base` is the digest of the file that the change was made from: the call is
/// refused as stale when the session sees another content.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Change {
    /// New content, whole.
    Write {
        path: String,
        content: Content,
        /// Its permission bits; without them those of the existing file stay.
        #[serde(default)]
        mode: Option<Mode>,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
    /// New content, whole, streamed from a file outside the workspace.
    WriteFrom {
        path: String,
        /// An absolute path.
        file: String,
        #[serde(default)]
        mode: Option<Mode>,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
    /// One piece of text replaced by another; it must occur exactly once, unless `replace_all` is set.
    Edit {
        path: String,
        old: Content,
        new: Content,
        #[serde(default)]
        replace_all: bool,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
    /// A symbolic link, also in place of a file or a link.
    Symlink {
        path: String,
        /// Where it leads, as it is written.
        target: Content,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
    /// A directory, and those above it.
    CreateDirectory { path: String },
    /// The deletion of a file, of a symbolic link itself, or of an empty directory.
    Delete {
        path: String,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
    /// A move to where no file is.
    Rename {
        path: String,
        to: String,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
    /// Permission bits.
    SetMode {
        path: String,
        mode: Mode,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        base: Option<Digest>,
    },
}

/// Parameters of `propose_patch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposePatch {
    /// The session.
    pub(super) session: SessionId,
    /// A unified diff, a git diff, or a `*** Begin Patch`.
    pub(super) patch: Content,
    /// The directory to which its names are relative; without one the workspace's root.
    #[serde(default)]
    pub(super) directory: Option<String>,
    /// What files have to hold, as the session sees them: digests by path.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) bases: BTreeMap<String, Digest>,
}

/// Parameters of `read`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// The session.
    pub(super) session: SessionId,
    /// The file.
    pub(super) path: String,
}

/// What selects patches: the id of a patch or a session, a session's label, or an object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Selected {
    /// A patch (`p1`), a patch at a revision (`p1@2`), a session (`s1`), or a session's label.
    Named(String),
    /// A path, or an exception.
    By(SelectedBy),
}

/// A path, or an exception.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SelectedBy {
    /// The patches of every session of this file, or of the files below this directory.
    Path(String),
    /// Leaves out what this selects.
    Except(Box<Selected>),
}

/// Parameters of `diff`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Diff {
    /// Answers in the order of this session, which is meant without `ids`.
    #[serde(default)]
    pub(super) session: Option<SessionId>,
    /// What is meant; without any, or with exceptions only, everything pending.
    #[serde(default)]
    pub(super) ids: Vec<Selected>,
    /// Unchanged lines around each hunk; 3 by default.
    #[serde(default)]
    pub(super) context_lines: Option<u32>,
}

/// Parameters of `show`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Show {
    /// The patch.
    pub(super) patch: PatchId,
}

/// Parameters of `apply`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    /// Answers in the order of this session, which is meant without `ids`.
    #[serde(default)]
    pub(super) session: Option<SessionId>,
    /// What is meant; without any, or with exceptions only, everything pending.
    #[serde(default)]
    pub(super) ids: Vec<Selected>,
    /// The signature that was approved; the call is refused when the set has another one.
    #[serde(default)]
    pub(super) expect: Option<Signature>,
    /// Whether files without a diff may be replaced.
    #[serde(default)]
    pub(super) confirm_full_replace: bool,
    /// Whether to apply the other patches of a set of which some are stale or expired.
    #[serde(default)]
    pub(super) rest: bool,
    /// Whether to check everything and change nothing.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// The reviewer's words, which are kept with the apply.
    #[serde(default)]
    pub(super) message: Option<String>,
    /// A name for `apply_status`: 1 to 128 printable ASCII characters without spaces. A call with
    /// the name of an earlier one is not applied again.
    #[serde(default, deserialize_with = "parsed_if_given")]
    #[schemars(with = "Option<String>")]
    pub(super) request: Option<RequestId>,
}

/// Parameters of `apply_status`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskApply {
    /// The name of the apply.
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "String")]
    pub(super) request: RequestId,
}

/// Parameters of `applies`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Applies {
    /// How many of the newest at most; without it all.
    #[serde(default)]
    pub(super) limit: Option<usize>,
}

/// Parameters of `show_apply`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowApply {
    /// The apply or undo.
    pub(super) apply: ApplyId,
}

/// Parameters of `discard`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Discard {
    /// Answers in the order of this session, which is meant without `ids`.
    #[serde(default)]
    pub(super) session: Option<SessionId>,
    /// What is meant; without any, or with exceptions only, everything pending.
    #[serde(default)]
    pub(super) ids: Vec<Selected>,
    /// The reason, which the agent is shown.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// Comments for single lines of what the patches stage, which the agent is shown; at most 100.
    #[serde(default)]
    #[schemars(with = "Vec<Comment>")]
    pub(super) comments: Vec<ByName<Comment>>,
}

/// A comment for a line of what a rejected patch stages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    /// The file, where one of the patches stages it.
    pub(super) path: String,
    /// The line, counted from 1.
    pub(super) line: u64,
    /// The comment, of at most 4,000 bytes.
    pub(super) comment: String,
}

/// Parameters of `refresh`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// Answers in the order of this session, which is meant without `ids`.
    #[serde(default)]
    pub(super) session: Option<SessionId>,
    /// What is meant; without any, or with exceptions only, everything stale or expired.
    #[serde(default)]
    pub(super) ids: Vec<Selected>,
}

/// Parameters of `undo`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Undo {
    /// Answers in the order of this session.
    #[serde(default)]
    pub(super) session: Option<SessionId>,
    /// The apply; without one the newest that is on the disk.
    #[serde(default)]
    pub(super) apply: Option<ApplyId>,
    /// Which of its patches; without any all, and with exceptions only all others.
    #[serde(default)]
    pub(super) ids: Vec<Selected>,
}

/// Parameters of `redo`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Redo {
    /// Answers in the order of this session.
    #[serde(default)]
    pub(super) session: Option<SessionId>,
    /// The undone apply; without one the one that was undone last.
    #[serde(default)]
    pub(super) apply: Option<ApplyId>,
    /// The signature that was approved.
    #[serde(default)]
    pub(super) expect: Option<Signature>,
}

/// Parameters of `events`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Events {
    /// The entry of the log after which to begin; 0 for the first.
    pub(super) since: u64,
    /// How many entries at most; 256 by default, and never more than 1000.
    #[serde(default)]
    pub(super) limit: Option<usize>,
}

/// Parameters of `subscribe`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    /// The entry of the log after which to begin; without one from now on.
    #[serde(default)]
    pub(super) since: Option<u64>,
    /// Whether to send the diffs of proposed patches that are not long.
    #[serde(default)]
    pub(super) diffs: bool,
}

/// Parameters of `unsubscribe`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unsubscribe {
    /// The subscription.
    pub(super) subscription: u64,
}
