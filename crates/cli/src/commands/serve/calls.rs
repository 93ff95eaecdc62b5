//! The methods, each with its parameters and its result.

use serde::Deserialize;
use staging_core::SessionId;

use super::by_name::ByName;
use super::params::{
    Applies, Apply, AskApply, CloseSession, Diff, Discard, Events, NoParams, OpenSession, Propose,
    ProposePatch, Read, Redo, Refresh, Show, ShowApply, Subscribe, Undo, Unsubscribe,
};
use super::views::{
    ApplyStatusView, EventsView, HelloView, SessionView, SessionsView, SubscribedView,
    UnsubscribedView,
};
use crate::json::{
    AppliedView, AppliesView, ClosedView, ContentView, DiscardedView, ProposedView, RecoverView,
    RedoneView, SelectionView, ShownApplyView, ShownView, StatusView, UndoneView,
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
    /// What was applied and undone, the newest first.
    "applies" Applies(Applies) -> AppliesView<'static>;
    /// One apply or undo in full.
    "show_apply" ShowApply(ShowApply) -> ShownApplyView<'static>;
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
            | Self::Applies(_)
            | Self::ShowApply(_)
            | Self::Recover(_)
            | Self::Events(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_) => None,
        }
    }
}

/// The parameters in a message.
fn params<'m, P: Deserialize<'m>>(message: &'m [u8], has_params: bool) -> serde_json::Result<P> {
    #[derive(Deserialize)]
    struct Message<P> {
        params: ByName<P>,
    }
    if has_params {
        return serde_json::from_slice::<Message<P>>(message).map(|message| message.params.0);
    }
    serde_json::from_str("{}")
}
