//! Sessions, patches, signatures and events. Everything here is synchronous.

mod approval;
mod attempt;
mod base;
mod boot;
mod contents;
mod decide;
mod diffing;
mod error;
mod event;
mod ids;
mod layer;
mod locks;
mod maintain;
mod options;
mod own_file;
mod owner;
mod patch;
mod plugins;
mod present;
mod quarantine;
mod report;
mod request;
mod session;
mod sessions;
mod signature;
mod signing;
mod stage;
mod store;
mod string_enum;
mod time;
mod waiting;
mod watch;

pub use atomic_fs::{
    Digest, EntryKind, FileKind, Fingerprint, FsError, Kept, PathError, Refusal, RelPath, escape,
    escape_for_display, escape_json_line, escape_line_for_display, escape_path, folds_alike,
    is_invisible,
};

pub use approval::{Approval, ApprovalMeans};
pub use base::{Base, BaseStat, ContentJson};
pub use decide::client_approved::check_client_approval;
pub use diffing::{ChildLimits, Confinement, PluginHost, Policy};
pub use error::{ErrorKind, Result, StagingError, with_causes};
pub use event::{ClientApproval, EVENT_SCHEMA, Event, EventRecord, LogCheck, Notice, event_schema};
pub use ids::{ApplyId, IdParseError, PatchId, RequestId, RequestIdError, SessionId};
pub use layer::DiffStagingLayer;
pub use maintain::doctor::{Finding, Health, examine};
pub use maintain::states::{
    KnownState, StateFound, UnclaimedState, WorkspaceState, adopt_state, find_state, first_used,
    first_with_work, known_states,
};
pub use maintain::sweep::{SweepPreview, SweepReport};
pub use options::{Hosting, StagingOptions, TrustedLibrary, workspace_key};
pub use patch::{DiffSummary, DiscardReason, Operation, Patch, PatchState};
pub use plugins::{PluginError, PluginIdentity, check_plugin, identify_plugin, test_plugin};
pub use present::patch_line;
pub use quarantine::Quarantine;
pub use report::{
    ApplyOutcome, ApplyReport, ApplyStatus, Contested, InDoubtApply, PatchApply,
    QuarantinedJournal, RecoverReport, RecoveredApply, RedoReport, Reversible, UndoReport,
};
pub use request::{
    ApplyRequest, DiffOptions, RedoRequest, Selection, Selector, SessionStatus, Status,
};
pub use session::{Session, SessionState};
pub use sessions::decisions::Decision;
pub use sessions::lifecycle::ClosedSession;
pub use sessions::view::{FileStatus, Listed, SessionView};
pub use signature::Signature;
pub use signing::set_signature;
pub use stage::StageRequest;
pub use stage::patch_text::{FittedFile, PatchProposed};
pub use stage::proposal::{PatchNames, PatchRequest, Proposal, Proposed};
pub use stage::read_base::Spool;
#[doc(hidden)]
pub use stage::read_step::ReadStep;
pub use time::Timestamp;
pub use waiting::{Activity, Process, WaitObserver, Waiting};
pub use watch::{WatchHealth, Watching};

pub use patch_formats::{
    Edit, EditsError, MatchLevel, NearMiss, PATCH_BYTES_MAX, PatchError, Placement, replace_in_turn,
};

pub use diff_engine::{CheckOutcome, Conformance, serve_plugin};
