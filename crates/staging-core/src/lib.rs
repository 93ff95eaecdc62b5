//! Holds agents' writes outside of the workspace until a person decides: sessions, patches,
//! signatures, approvals and the log. Everything here is synchronous.
//!
//! # Map
//! [`DiskOwner`] opens a workspace, and is the only handle that can change its files; clones of its
//! [`DiffStagingLayer`] stage and read. An agent has a [`Session`]; what it proposes
//! ([`Proposal`]) becomes a pending [`Patch`], with the file's [`Base`] and the staged content in a
//! store outside of the workspace. A reviewer reads one diff
//! ([`write_diff`](DiffStagingLayer::write_diff)) of a [`Selection`] and approves its [`Signature`];
//! [`apply`](DiskOwner::apply) brings exactly that to the disk, whole or not at all, and
//! [`undo`](DiskOwner::undo) takes it back. Every change of state is an [`Event`] in a log
//! whose entries are chained by hashes.
//!
//! `stage.rs` lists the steps of a proposal, `decide/apply.rs` those of an apply, `decide/undo.rs`
//! those of an undo, and `maintain/recover.rs` those of a recovery. `store/` has the rows of SQLite,
//! `contents/` the bytes.
//!
//! ```
//! use staging_core::{ApplyRequest, DiffOptions, DiskOwner, Proposal, RelPath, StagingOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (workspace, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! let options = StagingOptions::new(workspace.path(), state.path().join("state"));
//! let owner = DiskOwner::open(options)?;
//! let layer = owner.layer();
//! let session = layer.open_session("refactorer")?;
//!
//! let path = RelPath::parse(b"greeting.txt")?;
//! let content = b"good evening\n".to_vec();
//! layer.propose(session.id, Proposal::Write { path, content, mode: None })?;
//! assert!(!workspace.path().join("greeting.txt").exists());
//!
//! let selection = layer.select(&[])?;
//! let mut diff = Vec::new();
//! layer.write_diff(&selection.patches, &DiffOptions::default(), &mut diff)?;
//! assert!(String::from_utf8(diff)?.contains("+good evening"));
//!
//! let expect = Some(selection.signature);
//! owner.apply(&ApplyRequest { expect, ..ApplyRequest::default() })?;
//! owner.tidy()?;
//! assert_eq!(std::fs::read(workspace.path().join("greeting.txt"))?, b"good evening\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Durability
//! What [`apply`](DiskOwner::apply) and [`undo`](DiskOwner::undo) report is on the disk
//! and survives a power cut. A proposal survives the process when it is answered; it survives a
//! power cut after the next flush (about a second), or at once with
//! [`durable_proposals`](StagingOptions::durable_proposals).
//!
//! # Errors
//! Each call returns a [`StagingError`], whose [`kind`](StagingError::kind) tells programs what
//! happened and whose [`path`](StagingError::path) names the file. Unless the kind is
//! [`InDoubt`](ErrorKind::InDoubt), the workspace is unchanged.
//!
//! # Limitations
//! Several processes may open one state; SQLite's transactions order their decisions, and a lock on
//! the workspace orders what they do to the disk. The crate does not read the home directory, the
//! environment or the terminal: [`StagingOptions`] has all that it depends on.
#![deny(missing_docs)]

mod approval;
mod attempt;
mod base;
mod boot;
mod captures;
mod comment;
mod contents;
mod contested;
mod decide;
mod decision;
mod diffing;
mod disk_owner;
mod error;
mod event;
mod ids;
mod layer;
mod locks;
mod maintain;
mod nameable;
mod options;
mod own_file;
mod owner;
mod patch;
mod plugins;
mod present;
mod quarantine;
mod report;
mod request;
mod risk;
mod rules;
mod session;
mod sessions;
mod signature;
mod signing;
mod stage;
mod store;
mod string_enum;
mod summary;
mod time;
#[cfg(target_os = "linux")]
mod view_layer;
mod waiting;
mod watch;

pub use atomic_fs::{
    Digest, DisplacedEdit, EntryKind, FileKind, Fingerprint, FsError, HashingReader, PathError,
    Refusal, RelPath, escape_bytes, escape_for_display, escape_json_line, escape_line_for_display,
    escape_path, folds_alike, is_invisible, is_slot_name,
};

pub use approval::{Approval, ApprovalMeans};
pub use base::{Base, BaseJson, BaseStat, ContentJson};
pub use captures::CaptureDir;
pub use comment::{LineComment, NewComment};
pub use decide::by_rules::{RuleOutcome, RuleRunner};
pub use decide::client_approved::{check_client_approval, check_diffs};
pub use decision::{Decided, Decision};
pub use diffing::{ChildLimits, Confinement, PluginHost, Policy};
pub use disk_owner::DiskOwner;
pub use error::{ErrorKind, Result, StagingError, with_causes};
pub use event::{ClientApproval, EVENT_SCHEMA, Event, EventRecord, LogCheck, Notice, event_schema};
pub use ids::{ApplyId, IdParseError, PatchId, RequestId, RequestIdError, SessionId};
pub use layer::DiffStagingLayer;
pub use maintain::doctor::{Finding, Health, examine};
pub use maintain::states::{
    KnownState, StateFound, UnclaimedState, WorkspaceState, adopt_state, find_state, first_used,
    first_with_work, is_closed, known_states,
};
pub use maintain::sweep::{SweepPreview, SweepReport};
pub use nameable::{
    Nameable, NameableApply, NameablePatch, NameableSession, nameable, nameable_paths_of,
};
pub use options::{Hosting, StagingOptions, TrustedLibrary, workspace_key};
pub use patch::{DiffSummary, DiscardReason, Operation, Patch, PatchState};
pub use plugins::{PluginError, PluginIdentity, check_plugin, identify_plugin, test_plugin};
pub use present::{
    AGENT_NAME_BYTES_MAX, HOW_TO_REVIEW, ReviewCommands, agent_label, below_root, decision_json,
    decision_lines, patch_line, placement_remarks, report_lines,
};
pub use quarantine::Quarantine;
pub use report::{
    AppliedPatch, ApplyOutcome, ApplyRecord, ApplyReport, ApplyStatus, Contested, InDoubtApply,
    PatchApply, QuarantinedJournal, RecoverReport, RecoveredApply, RedoReport, Reversible, Totals,
    UndoReport, UndoneFile,
};
pub use request::{
    ApplyRequest, DiffOptions, RedoRequest, Selection, Selector, SessionStatus, Status, UndoRequest,
};
pub use risk::kind::{Risk, RiskKind};
pub use risk::set::{RiskyPath, SetRisk};
pub use rules::{
    ApprovalRules, ApproveRule, AskGlobs, AskRule, GlobMistake, LabelGlobs, PathGlobs,
};
pub use session::{Session, SessionState};
pub use sessions::decisions::{AnswerId, DecisionReport};
pub use sessions::lifecycle::ClosedSession;
pub use sessions::view::{FileStatus, Listed, SessionView};
pub use signature::Signature;
pub use signing::set_signature;
pub use stage::StageRequest;
pub use stage::import::{FileStamp, Gone, ImportItem, Imported, Proof};
pub use stage::patch_text::{FittedFile, PatchProposed};
pub use stage::proposal::{PatchNames, PatchRequest, Proposal, Proposed};
pub use stage::read_base::{Spool, open_without_waiting};
#[doc(hidden)]
pub use stage::read_step::ReadStep;
pub use summary::{Summary, summarise};
pub use time::Timestamp;
#[cfg(target_os = "linux")]
pub use view_layer::WrittenAt;
pub use waiting::{Activity, Process, WaitObserver, Waiting};
pub use watch::{StoreWatch, WatchHealth, Watching};

pub use patch_formats::{
    Edit, EditsError, MatchLevel, NearMiss, PATCH_BYTES_MAX, PatchError, Placement, replace_in_turn,
};

pub use diff_engine::{BinaryMode, CheckOutcome, Conformance, serve_plugin};
