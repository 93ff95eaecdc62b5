//! Staging on a thread that must not wait, such as one that serves other calls as well.

use atomic_fs::FileKind;

use crate::attempt::CommitError;
use crate::error::{ErrorKind, Result};
use crate::layer::DiffStagingLayer;
use crate::stage::proposal::{Proposal, Proposed};
use crate::stage::{Request, StageRequest};
use crate::store::group_commit::Patience;

/// How many changes a request may have.
const CHANGES_MAX: usize = 8;
/// How many bytes of content it may have, all in all.
const BYTES_MAX: usize = 64 << 10;
/// How long each file may be that it changes, so that the comparison takes less than a millisecond.
const FILE_BYTES_MAX: u64 = 256 << 10;

impl DiffStagingLayer {
    /// Stages a short request where that takes no longer than its own work, usually less than a
    /// millisecond. `None`, and nothing is staged, where it would take longer: with long files, with
    /// libraries that compare them, where each proposal is made durable, or while something else writes
    /// to the store or applies the same files. Use [`stage`](Self::stage) then, which may wait.
    ///
    /// # Errors
    /// Those of [`propose_all`](Self::propose_all), as the answer.
    pub fn stage_at_once(&self, request: &StageRequest) -> Option<Result<Vec<Proposed>>> {
        if !self.is_short(request) {
            return None;
        }
        let attempted = self.0.attempt(&[Request::of(request)], Patience::AtOnce).pop()?;
        match attempted {
            Ok(proposed) => Some(Ok(proposed)),
            Err(CommitError::Staging(error)) if error.kind() == ErrorKind::Busy => None,
            Err(CommitError::Staging(error)) => Some(Err(error)),
            Err(CommitError::LockedByApply(_) | CommitError::Raced) => None,
        }
    }

    fn is_short(&self, request: &StageRequest) -> bool {
        let options = &self.0.options;
        let proposals = &request.proposals;
        !options.durable_proposals
            && options.strategies.is_empty()
            && proposals.len() <= CHANGES_MAX
            && proposals.iter().map(Proposal::bytes).sum::<usize>() <= BYTES_MAX
            && proposals.iter().all(|proposal| self.is_of_a_short_file(proposal))
    }

    /// Whether it changes the content of one file that is short, or not there.
    fn is_of_a_short_file(&self, proposal: &Proposal) -> bool {
        match proposal {
            Proposal::Write { path, .. } | Proposal::Edit { path, .. } => {
                let Ok(stat) = self.0.workspace.stat(path) else { return false };
                stat.is_none_or(|stat| {
                    stat.kind == FileKind::Regular && stat.bytes <= FILE_BYTES_MAX
                })
            }
            Proposal::Expecting { proposal, .. } => self.is_of_a_short_file(proposal),
            Proposal::WriteFrom { .. } | Proposal::Symlink { .. } => false,
            Proposal::CreateDirectory { .. } | Proposal::Delete { .. } => false,
            Proposal::Rename { .. } | Proposal::SetMode { .. } => false,
        }
    }
}
