//! Staging on a thread that must not wait, such as one that serves other calls as well.

use atomic_fs::{FileKind, RelPath};

use crate::attempt::CommitError;
use crate::error::{ErrorKind, Result};
use crate::layer::{DiffStagingLayer, Inner};
use crate::patch::Patch;
use crate::stage::proposal::{Proposal, Proposed};
use crate::stage::view::At;
use crate::stage::{Request, StageRequest};
use crate::store::group_commit::without_waiting;
use crate::store::patches;

/// The greatest length of a content that is read, compared or stored here. Comparing two contents of up to
/// four times this length takes less than a millisecond in 99 of 100 cases (docs/benchmarks.md).
const BYTES_MAX: u64 = 256 << 10;

impl DiffStagingLayer {
    /// Stages a request of one short write or edit where that takes no longer than its own work, usually
    /// less than a millisecond. `None`, and nothing is staged, where it would take longer: with long
    /// contents, with libraries that compare them, where each proposal is made durable, or while something
    /// else writes to the store or applies the same file. Use [`stage`](Self::stage) then, which may wait.
    ///
    /// # Errors
    /// Those of [`propose_all`](Self::propose_all), as the answer.
    pub fn stage_at_once(&self, request: &StageRequest) -> Option<Result<Vec<Proposed>>> {
        let [proposal] = request.proposals.as_slice() else { return None };
        let options = &self.0.options;
        if options.durable_proposals || !options.strategies.is_empty() || !self.0.is_short(proposal)
        {
            return None;
        }
        without_waiting(|| {
            // A link that the session creates may lead to another file.
            let has_links = |connection: &_| patches::any_links(connection, request.session);
            if self.0.store.peek(has_links).ok()? {
                return None;
            }
            let requests = [Request::of(request)];
            let before = self.0.before(&requests).ok()?;
            let has_short = |at: &At| at.patches().all(is_short_patch);
            if !before.iter().flatten().filter_map(|before| before.at.as_ref()).all(has_short) {
                return None;
            }
            match self.0.attempt_on(&requests, before).pop()? {
                Ok(proposed) => Some(Ok(proposed)),
                Err(CommitError::Staging(error)) if error.kind() == ErrorKind::Busy => None,
                Err(CommitError::Staging(error)) => Some(Err(error)),
                Err(CommitError::LockedByApply(_) | CommitError::Raced) => None,
            }
        })
    }
}

impl Inner {
    /// Whether a proposal changes the content of one file, and what is new and what is on the disk is short.
    fn is_short(&self, proposal: &Proposal) -> bool {
        match proposal {
            Proposal::Write { path, .. } | Proposal::Edit { path, .. } => {
                proposal.bytes() as u64 <= BYTES_MAX && self.is_short_on_disk(path)
            }
            Proposal::Expecting { proposal, .. } => self.is_short(proposal),
            Proposal::WriteFrom { .. } | Proposal::Symlink { .. } => false,
            Proposal::CreateDirectory { .. } | Proposal::Delete { .. } => false,
            Proposal::Rename { .. } | Proposal::SetMode { .. } => false,
        }
    }

    fn is_short_on_disk(&self, path: &RelPath) -> bool {
        let Ok(stat) = self.workspace.stat(path) else { return false };
        stat.is_none_or(|stat| stat.kind == FileKind::Regular && stat.bytes <= BYTES_MAX)
    }
}

/// Whether a pending patch needs no other file to be looked at, and stages a short one.
fn is_short_patch(patch: &Patch) -> bool {
    patch.rename_to.is_none() && patch.staged.is_none_or(|staged| staged.bytes <= BYTES_MAX)
}
