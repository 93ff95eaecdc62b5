//! The changes that a client proposes, as the layer takes them.

use std::path::PathBuf;

use staging_core::Proposal;

use super::params::{Change, Propose};
use super::selecting::file;
use crate::failure::Failure;

impl Propose {
    /// The changes in their order.
    pub(super) fn into_proposals(self) -> Result<Vec<Proposal>, Failure> {
        self.proposals.into_iter().map(|change| Proposal::try_from(change.0)).collect()
    }
}

impl TryFrom<Change> for Proposal {
    type Error = Failure;

    fn try_from(change: Change) -> Result<Self, Failure> {
        let (proposal, base) = match change {
            Change::Write { path, content, mode, base } => {
                let (path, mode) = (file(&path)?, mode.map(|mode| mode.0));
                (Self::Write { path, content: content.into(), mode }, base)
            }
            Change::WriteFrom { path, file: from, mode, base } => {
                let (path, mode) = (file(&path)?, mode.map(|mode| mode.0));
                (Self::WriteFrom { path, file: PathBuf::from(from), mode }, base)
            }
            Change::Edit { path, old, new, replace_all, base } => {
                let (path, old, new) = (file(&path)?, old.into(), new.into());
                (Self::Edit { path, old, new, replace_all }, base)
            }
            Change::Symlink { path, target, base } => {
                (Self::Symlink { path: file(&path)?, target: target.into() }, base)
            }
            Change::CreateDirectory { path } => {
                (Self::CreateDirectory { path: file(&path)? }, None)
            }
            Change::Delete { path, base } => (Self::Delete { path: file(&path)? }, base),
            Change::Rename { path, to, base } => {
                (Self::Rename { path: file(&path)?, to: file(&to)? }, base)
            }
            Change::SetMode { path, mode, base } => {
                (Self::SetMode { path: file(&path)?, mode: mode.0 }, base)
            }
        };
        Ok(match base {
            Some(base) => Self::Expecting { base, proposal: Box::new(proposal) },
            None => proposal,
        })
    }
}
