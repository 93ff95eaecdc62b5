//! The methods, their parameters and their results.
//!
//! A parameter that no method has is an error: a misspelled `expect` must not approve anything. A path is
//! text here, so that one that leads out is refused as everywhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use staging_core::{
    ApplyId, ApplyStatus, Digest, EventRecord, PatchId, RequestId, Session, SessionId, Signature,
};

use super::content::{Content, Mode, parsed, parsed_if_given};
use crate::json::{
    AppliedView, ClosedView, ContentView, DiscardedView, ProposedView, RecoverView, RedoneView,
    SelectionView, ShownView, StatusView, UndoneView,
};

/// Declares the methods: for each its name, its parameters and its result.
macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $name:literal $variant:ident($params:ty) -> $result:ty;)+) => {
        /// A call of a method.
        #[derive(Debug)]
        pub(super) enum Call {
            $($(#[doc = $doc])+ $variant($params),)+
        }

        /// The names of the methods.
        pub(super) const NAMES: &[&str] = &[$($name),+];

        impl Call {
            /// The call of this method with the parameters in a message; nothing where there is no
            /// such method.
            pub(super) fn read(
                method: &str,
                message: &[u8],
                has_params: bool,
            ) -> Option<serde_json::Result<Self>> {
                Some(match method {
                    $($name => params(message, has_params).map(Self::$variant),)+
                    _ => return None,
                })
            }
        }

        /// The schema of each method.
        pub(super) fn schemas(
            params: &mut schemars::SchemaGenerator,
            results: &mut schemars::SchemaGenerator,
        ) -> serde_json::Map<String, serde_json::Value> {
            let mut methods = serde_json::Map::new();
            $(methods.insert($name.to_owned(), serde_json::json!({
                "description": concat!($($doc),+).trim(),
                "params": params.subschema_for::<$params>(),
                "result": results.subschema_for::<$result>(),
            }));)+
            methods
        }
    };
}

methods! {
    /// What this server is: its version, the workspace, and its limits.
    "hello" Hello(NoParams) -> HelloView;
    /// Opens the session of a label, or finds it open.
    "open_session" OpenSession(OpenSession) -> SessionView;
    /// Ends a session: its pending patches are rejected, its stale and expired ones dismissed.
    "close_session" CloseSession(CloseSession) -> ClosedView<'static>;
    /// Every session, ended ones too.
    "sessions" Sessions(NoParams) -> SessionsView;
    /// Stages changes, all or none. Each sees those before it.
    "propose" Propose(Propose) -> ProposedView<'static>;
    /// Stages a patch over many files, all of it or nothing.
    "propose_patch" ProposePatch(ProposePatch) -> ProposedView<'static>;
    /// A file as a session sees it: its pending patches over the disk.
    "read" Read(Read) -> ContentView<'static>;
    /// Everything that is pending, by session, with the signatures that approve it.
    "status" Status(NoParams) -> StatusView<'static>;
    /// The diff of pending patches, and the signature that approves them.
    "diff" Diff(Diff) -> SelectionView<'static>;
    /// One patch in full, in any state.
    "show" Show(Show) -> ShownView<'static>;
    /// Applies patches together, all or none.
    "apply" Apply(Apply) -> AppliedView<'static>;
    /// The status of the apply with this name; null while none of that name has begun.
    "apply_status" ApplyStatus(AskApply) -> ApplyStatusView;
    /// Rejects pending patches, and dismisses stale and expired ones.
    "discard" Discard(Discard) -> DiscardedView<'static>;
    /// Proposes stale, expired or rejected patches again, merged with the current files.
    "refresh" Refresh(Refresh) -> ProposedView<'static>;
    /// Undoes an applied set; its patches are pending again.
    "undo" Undo(Undo) -> UndoneView<'static>;
    /// Applies an undone set again.
    "redo" Redo(Redo) -> RedoneView<'static>;
    /// Finishes or rolls back the applies of dead processes.
    "recover" Recover(NoParams) -> RecoverView<'static>;
    /// Entries of the log.
    "events" Events(Events) -> EventsView;
    /// Sends every event as an `event` notification, from an entry of the log or from now on.
    "subscribe" Subscribe(Subscribe) -> SubscribedView;
    /// Ends a subscription.
    "unsubscribe" Unsubscribe(Unsubscribe) -> UnsubscribedView;
}

fn params<'m, P: Deserialize<'m>>(message: &'m [u8], has_params: bool) -> serde_json::Result<P> {
    #[derive(Deserialize)]
    struct Message<P> {
        params: P,
    }
    if has_params {
        return serde_json::from_slice::<Message<P>>(message).map(|message| message.params);
    }
    serde_json::from_str("{}")
}

impl Call {
    /// The session in whose order it is answered.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Propose(Propose { session, .. })
            | Self::ProposePatch(ProposePatch { session, .. })
            | Self::Read(Read { session, .. })
            | Self::CloseSession(CloseSession { session, .. }) => Some(*session),
            Self::Diff(Diff { session, .. })
            | Self::Apply(Apply { session, .. })
            | Self::Discard(Discard { session, .. })
            | Self::Refresh(Refresh { session, .. })
            | Self::Undo(Undo { session, .. })
            | Self::Redo(Redo { session, .. }) => *session,
            Self::Hello(_)
            | Self::OpenSession(_)
            | Self::Sessions(_)
            | Self::Status(_)
            | Self::Show(_)
            | Self::ApplyStatus(_)
            | Self::Recover(_)
            | Self::Events(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_) => None,
        }
    }
}

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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Propose {
    /// The session.
    pub(super) session: SessionId,
    /// The changes, in order.
    pub(super) proposals: Vec<Change>,
}

/// A proposed change. A `base` is the digest of the file that the change was made from: the call is
/// refused as stale when the session sees another content.
#[derive(Debug, Deserialize, JsonSchema)]
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
    /// A patch (`p1`), a session (`s1`), or a session's label.
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

/// The result of `hello`.
#[derive(Serialize, JsonSchema)]
pub(super) struct HelloView {
    /// The version of Greenroom.
    pub(super) version: &'static str,
    /// The version of the protocol; it grows when something changes its meaning.
    pub(super) protocol: u32,
    /// The workspace's root.
    pub(super) workspace: String,
    /// The names of the methods.
    pub(super) methods: &'static [&'static str],
    /// The longest line that is read, in bytes.
    pub(super) line_bytes_max: usize,
    /// How many calls may wait for their answer before the next line is read.
    pub(super) calls_in_flight_max: usize,
    /// The agent in whose environment the server runs; null where none says so.
    pub(super) agent: Option<&'static str>,
}

/// The result of `open_session`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionView {
    pub(super) session: Session,
}

/// The result of `sessions`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionsView {
    pub(super) sessions: Vec<Session>,
}

/// The result of `apply_status`.
#[derive(Serialize, JsonSchema)]
pub(super) struct ApplyStatusView {
    /// Null while no apply of that name has begun.
    pub(super) status: Option<ApplyStatus>,
}

/// The result of `events`.
#[derive(Serialize, JsonSchema)]
pub(super) struct EventsView {
    pub(super) events: Vec<EventRecord>,
}

/// The result of `subscribe`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SubscribedView {
    /// The subscription, which its notifications name.
    pub(super) subscription: u64,
    /// The entry of the log after which it begins.
    pub(super) since: u64,
}

/// The result of `unsubscribe`.
#[derive(Serialize, JsonSchema)]
pub(super) struct UnsubscribedView {
    pub(super) subscription: u64,
}
