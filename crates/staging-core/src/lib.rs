//! Sessions, patches, signatures and events. Everything here is synchronous.

mod approval;
mod base;
mod boot;
mod config;
mod diffing;
mod doctor;
mod error;
mod events;
mod ids;
mod layer;
mod owner;
mod patch;
mod plugins;
mod present;
mod session;
mod signature;
mod states;
mod store;
mod time;
mod waiting;
mod watching;

pub use atomic_fs::{
    Digest, EntryKind, FileKind, Fingerprint, FsError, Kept, PathError, Refusal, RelPath, escape,
    escape_for_display, escape_json_line, escape_line_for_display, escape_path, folds_alike,
    is_invisible,
};

pub use approval::{Approval, ApprovalMeans};
pub use base::{Base, ContentJson, Seen};
pub use config::{Hosting, StagingOptions, TrustedLibrary, workspace_key};
pub use diffing::{ChildLimits, Confinement, PluginHost, Policy};
pub use doctor::{Finding, Health, examine};
pub use error::{ErrorKind, StagingError, with_causes};
pub use events::{
    ClientAttestation, EVENT_SCHEMA, Event, EventRecord, LogCheck, Notice, event_schema,
};
pub use ids::{ApplyId, IdParseError, PatchId, RequestId, RequestIdError, SessionId};
#[doc(hidden)]
pub use layer::ReadStep;
pub use layer::Spool;
pub use layer::{
    ApplyOutcome, ApplyReport, ApplyRequest, ApplyStatus, ClosedSession, Contested, Decision,
    DiffOptions, DiffStagingLayer, FileStatus, FittedFile, InDoubtApply, Listed, PatchApply,
    PatchNames, PatchProposed, PatchRequest, Proposal, Proposed, QuarantinedJournal, RecoverReport,
    RecoveredApply, RedoReport, RedoRequest, Reversible, Selection, Selector, SessionStatus,
    SessionView, StageRequest, Status, SweepPreview, SweepReport, UndoReport, attestable,
};
pub use patch::{DiffSummary, DiscardReason, Operation, Patch, PatchState};
pub use plugins::{PluginError, PluginIdentity, check_plugin, identify_plugin, test_plugin};
pub use present::patch_line;
pub use session::{Session, SessionState};
pub use signature::{Signature, set_signature};
pub use states::{
    KnownState, StateFound, UnclaimedState, WorkspaceState, adopt_state, find_state, first_used,
    first_with_work, known_states,
};
pub use store::set_aside::SetAside;
pub use time::Timestamp;
pub use waiting::{Activity, Process, WaitObserver, Waiting};
pub use watching::{WatchHealth, Watching};

pub use patch_formats::{
    Edit, EditsError, MatchLevel, NearMiss, PATCH_BYTES_MAX, PatchError, Placement, replace_in_turn,
};

pub use diff_engine::{CheckOutcome, Conformance, serve_plugin};

/// What every call of the layer comes to.
pub type Result<T, E = StagingError> = std::result::Result<T, E>;
