//! What is asked of the layer, and what it answers.

use std::path::PathBuf;
use std::str::FromStr;

use crate::approval::Approval;
use crate::event::ClientApproval;
use crate::ids::{ApplyId, IdParseError, PatchId, RequestId, SessionId};
use crate::patch::Patch;
use crate::report::{Contested, InDoubtApply};
use crate::session::Session;
use crate::signature::Signature;

/// Picks patches by patch or by session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// One patch.
    Patch(PatchId),
    /// Everything pending in a session.
    Session(SessionId),
    /// Everything pending in the session of this label.
    Label(String),
}

impl FromStr for Selector {
    type Err = IdParseError;

    /// `p1` is a patch, `s1` a session, anything else a session's label.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Patch(id));
        }
        Ok(text.parse().map_or_else(|_| Self::Label(text.to_owned()), Self::Session))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Patch(id) => id.fmt(f),
            Self::Session(id) => id.fmt(f),
            Self::Label(label) => f.write_str(label),
        }
    }
}

/// Patches that were picked, with what approving them names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The pending ones, by path.
    pub patches: Vec<Patch>,
    /// Their signature as a set.
    pub signature: Signature,
    /// Picked ones that turned out stale and are discarded now.
    pub stale: Vec<Patch>,
    /// What is missing of the picked sessions, and of what was staged together with a picked
    /// patch: stale and expired patches that nobody has refreshed or dismissed. Applying the
    /// rest has to be asked for.
    pub lapsed: Vec<Patch>,
}

/// Everything that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The open sessions; one that ended, or whose process is gone, only if a patch of it is
    /// pending or lapsed.
    pub sessions: Vec<SessionStatus>,
    /// The signature of everything pending as one set.
    pub signature: Signature,
    /// Patches that turned out stale and are discarded now.
    pub stale: Vec<Patch>,
    /// Files that several sessions want to change: once one of them is applied,
    /// the others are stale.
    pub contested: Vec<Contested>,
    /// Whether an earlier apply was broken off and waits for recovery.
    pub needs_recovery: bool,
    /// Names of files in `journal/` of applies that are running, or wait for recovery.
    pub open_journals: Vec<String>,
    /// Applies that recovery could not decide and that wait for a person.
    pub in_doubt: Vec<InDoubtApply>,
    /// Names of files in `journal/` that recovery does not act on.
    pub quarantined: Vec<String>,
    /// Files in `conflicts/`: bytes of users' edits that could not stay in place, until
    /// somebody takes them away.
    pub kept: Vec<PathBuf>,
}

/// One session's part of the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The session.
    pub session: Session,
    /// The signature of its pending patches as one set.
    pub signature: Signature,
    /// Its pending patches, by path.
    pub patches: Vec<Patch>,
    /// Its stale and expired patches that nobody has refreshed or dismissed, by path.
    pub lapsed: Vec<Patch>,
}

/// How to write a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// Unchanged lines around each hunk.
    pub context_lines: u32,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { context_lines: 3 }
    }
}

/// What to bring to the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyRequest {
    /// Which patches; everything pending when empty.
    pub ids: Vec<Selector>,
    /// The signature that was approved.
    pub expect: Option<Signature>,
    /// Whether files may be replaced as a whole, without a diff.
    pub confirm_full_replace: bool,
    /// Whether to check everything and change nothing.
    pub dry_run: bool,
    /// Whether to apply what is left of a set that lost patches to staleness or expiry; it is
    /// refused otherwise.
    pub rest: bool,
    /// A name for asking how it ended; the same name is applied once at most.
    pub request: Option<RequestId>,
    /// The client by whose word it is approved, when no reviewer said so to Greenroom itself.
    /// It approves less: see [`check_client_approval`](crate::check_client_approval).
    pub client_approved: Option<ClientApproval>,
    /// How the approval was given, for the log.
    pub approval: Approval,
    /// Whether it changes agents' settings for Greenroom itself: a plain undo passes over it.
    pub is_own: bool,
}

/// An undone apply to be applied again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedoRequest {
    /// Which; the one that was undone last when not given.
    pub apply: Option<ApplyId>,
    /// The signature that was approved.
    pub expect: Option<Signature>,
    /// How the approval was given, for the log.
    pub approval: Approval,
}
