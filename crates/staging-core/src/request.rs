//! Requests to the layer, and its answers about pending patches.

use std::collections::HashSet;
use std::path::PathBuf;
use std::str::FromStr;

use atomic_fs::RelPath;
use diff_engine::BinaryMode;

use crate::approval::Approval;
use crate::error::StagingError;
use crate::event::ClientApproval;
use crate::ids;
use crate::ids::{ApplyId, IdParseError, PatchId, RequestId, SessionId};
use crate::patch::Patch;
use crate::report::{Contested, InDoubtApply};
use crate::session::Session;
use crate::signature::Signature;

/// Selects patches that wait for a decision: by patch, by session, or by path.
///
/// A list of selectors selects what any of them selects, without what its exceptions select. A list
/// of nothing but exceptions, and an empty one, selects everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// One patch. A decision about one that its agent has rewritten is refused: the id alone does not
    /// show which revision was read.
    Patch(PatchId),
    /// One patch at this revision; it is refused at any other one.
    Revision(PatchId, u32),
    /// Everything in a session.
    Session(SessionId),
    /// Everything in the session of this label.
    Label(String),
    /// The patches of every session that change this file, or a file below this directory. A rename
    /// is found by either of its names.
    Path(RelPath),
    /// Leaves out what this selects, whatever else selects it; of stale and expired patches too,
    /// which a set does not lack then.
    Except(Box<Selector>),
}

impl Selector {
    /// One patch, at the revision that it has here: what a decision is about.
    pub fn seen(patch: &Patch) -> Self {
        Self::Revision(patch.id, patch.revision)
    }

    /// The one patch that it selects by its id.
    pub fn patch(&self) -> Option<PatchId> {
        match self {
            Self::Patch(id) | Self::Revision(id, _) => Some(*id),
            _ => None,
        }
    }

    /// An exception.
    pub fn except(self) -> Self {
        Self::Except(Box::new(self))
    }

    /// Whether it is an exception.
    pub fn is_exception(&self) -> bool {
        matches!(self, Self::Except(_))
    }

    /// Whether these select everything, but for exceptions.
    pub fn are_everything(selectors: &[Self]) -> bool {
        selectors.iter().all(Self::is_exception)
    }
}

impl From<PatchId> for Selector {
    fn from(id: PatchId) -> Self {
        Self::Patch(id)
    }
}

impl FromStr for Selector {
    type Err = IdParseError;

    /// `p1` is a patch, `p1@2` a patch at a revision, `s1` a session, anything else a session's label.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Patch(id));
        }
        if let Some((id, revision)) = ids::revision(text) {
            return Ok(Self::Revision(id, revision));
        }
        Ok(text.parse().map_or_else(|_| Self::Label(text.to_owned()), Self::Session))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Patch(id) => id.fmt(f),
            Self::Revision(id, revision) => write!(f, "{id}@{revision}"),
            Self::Session(id) => id.fmt(f),
            Self::Label(label) => f.write_str(label),
            Self::Path(path) => path.fmt(f),
            Self::Except(selector) => write!(f, "except {selector}"),
        }
    }
}

/// Selected patches, and the signature that approves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The selected pending patches, by path.
    pub patches: Vec<Patch>,
    /// Their signature as a set.
    pub signature: Signature,
    /// Selected patches that were found stale and are discarded now.
    pub stale: Vec<Patch>,
    /// Stale and expired patches of the selected sessions, or staged together with a selected
    /// patch, that were neither refreshed nor dismissed. An apply refuses to leave them out
    /// unless [`ApplyRequest::rest`] is set.
    pub lapsed: Vec<Patch>,
}

impl Selection {
    /// Refuses patches that `ids` name by their ids alone and that their agents have rewritten: the
    /// request does not show that they were read since.
    ///
    /// # Errors
    /// `Rewritten`.
    pub fn check_read(&self, ids: &[Selector]) -> Result<(), StagingError> {
        check_read(&self.patches, ids)
    }

    /// The selection, if an apply of it would not leave out a patch. When only the `rest` is wanted,
    /// the stale ones are among the lapsed ones, which are left out.
    ///
    /// # Errors
    /// `Stale` when selected patches were found stale; `LostParts` when patches have lapsed.
    pub fn whole(mut self, rest: bool) -> Result<Self, StagingError> {
        if rest && !self.patches.is_empty() {
            let listed: HashSet<PatchId> = self.lapsed.iter().map(|patch| patch.id).collect();
            let unlisted = self.stale.drain(..).filter(|patch| !listed.contains(&patch.id));
            self.lapsed.extend(unlisted);
            return Ok(self);
        }
        if !self.stale.is_empty() {
            return Err(StagingError::Stale { patches: self.stale });
        }
        if !self.lapsed.is_empty() && !rest {
            return Err(StagingError::LostParts { patches: self.lapsed });
        }
        Ok(self)
    }
}

/// The same for these patches.
pub(crate) fn check_read(patches: &[Patch], ids: &[Selector]) -> Result<(), StagingError> {
    let is_unread = |patch: &&Patch| {
        let is_named = |id: &Selector| *id == Selector::Patch(patch.id);
        let is_read = |id: &Selector| *id == Selector::Revision(patch.id, patch.revision);
        patch.is_rewritten() && ids.iter().any(is_named) && !ids.iter().any(is_read)
    };
    let unread: Vec<Patch> = patches.iter().filter(is_unread).cloned().collect();
    if unread.is_empty() { Ok(()) } else { Err(StagingError::Rewritten { patches: unread }) }
}

/// Everything that is pending, and what waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The open sessions. A session that ended, or whose process is dead, is listed only while
    /// it has pending or lapsed patches.
    pub sessions: Vec<SessionStatus>,
    /// The signature of everything pending as one set.
    pub signature: Signature,
    /// Patches that were found stale and are discarded now.
    pub stale: Vec<Patch>,
    /// Files that patches of several sessions change: when one of them is applied, the others
    /// become stale.
    pub contested: Vec<Contested>,
    /// Whether an earlier apply was interrupted and waits for recovery.
    pub needs_recovery: bool,
    /// Names of files in `journal/` of applies that are running, or wait for recovery.
    pub open_journals: Vec<String>,
    /// Applies that recovery could not decide, which wait for a person.
    pub in_doubt: Vec<InDoubtApply>,
    /// Names of files in `journal/` that recovery does not act on.
    pub quarantined: Vec<String>,
    /// Files in `conflicts/`: bytes of users' edits that could not stay in place. They are
    /// listed until a person removes them.
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
    /// Its stale and expired patches that were neither refreshed nor dismissed, by path.
    pub lapsed: Vec<Patch>,
}

/// How to write a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// Unchanged lines around each hunk.
    pub context_lines: u32,
    /// How files are shown that have no diff.
    pub binary: BinaryMode,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { context_lines: 3, binary: BinaryMode::Patch }
    }
}

/// A request to apply patches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyRequest {
    /// The selection; everything pending when empty.
    pub ids: Vec<Selector>,
    /// The signature that was approved; the apply is refused when the set has another one. Without it
    /// the apply is refused as well when the selection names a patch by its id alone that its agent has
    /// rewritten.
    pub expect: Option<Signature>,
    /// Whether files may be replaced as a whole, without a diff.
    pub confirm_full_replace: bool,
    /// Whether to check everything and change nothing.
    pub dry_run: bool,
    /// Whether to apply what is left of a set of which patches became stale or expired; such a
    /// set is refused otherwise.
    pub rest: bool,
    /// A name under which the outcome can be read later; each name is applied at most once.
    pub request: Option<RequestId>,
    /// The client that reports the approval; `None` when the reviewer approved in Greenroom
    /// itself. A client can approve less: see [`check_client_approval`](crate::check_client_approval).
    pub client_approved: Option<ClientApproval>,
    /// How the approval was given, for the log.
    pub approval: Approval,
    /// The reviewer's words, which are kept with the apply.
    pub message: Option<String>,
    /// Whether it changes agents' settings for Greenroom itself: an undo that names no apply
    /// skips it.
    pub is_own: bool,
}

/// A request to undo an applied set, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoRequest {
    /// The apply; the newest one that is on the disk when `None`.
    pub apply: Option<ApplyId>,
    /// Those of its patches that are undone; all that are still applied when empty.
    pub patches: Vec<PatchId>,
    /// How it was approved, for the log.
    pub approval: Approval,
}

/// A request to apply an undone set again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedoRequest {
    /// An undone apply, of which everything that was undone is applied again, or an undo, for what it
    /// undid; the undo that was made last when `None`.
    pub apply: Option<ApplyId>,
    /// The signature that was approved.
    pub expect: Option<Signature>,
    /// How the approval was given, for the log.
    pub approval: Approval,
}
