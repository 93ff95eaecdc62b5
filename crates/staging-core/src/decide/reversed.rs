//! What an undo does, as patches: it deletes files and gives permissions as any other change.

use std::collections::HashSet;

use atomic_fs::{EntryKind, Fingerprint, RelPath};

use crate::base::{Base, BaseStat};
use crate::diffing::Sided;
use crate::error::Result;
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::patch::{Operation, Patch};

impl DiffStagingLayer {
    /// What an undo of these patches of an apply does, each as a patch with its risks. A directory that
    /// they made and that stays, because something else is in it, is left out.
    ///
    /// # Errors
    /// When the store or the workspace cannot be read.
    pub fn reversed(&self, apply: ApplyId, patches: &[Patch]) -> Result<Vec<Patch>> {
        let left = self.0.left_empty(apply, patches)?;
        let left: HashSet<RelPath> = left.into_iter().map(|(dir, _)| dir).collect();
        let stays = |patch: &&Patch| {
            let is_made =
                patch.operation == Operation::Create && patch.kind() == EntryKind::Directory;
            is_made && !left.contains(&patch.path)
        };
        let undone = patches.iter().filter(|patch| !stays(patch)).map(reversed);
        Ok(undone.map(|patch| self.0.examined(patch)).collect())
    }
}

impl Inner {
    /// The patch with the summary of its diff, as when it is staged.
    fn examined(&self, mut patch: Patch) -> Patch {
        let [old, new] = patch.contents().map(|content| {
            let Some((digest, bytes)) = content else { return Sided::Absent };
            let held = || self.blobs.read(&digest, None).ok();
            // What cannot be read is refused by the undo.
            match (bytes <= self.differ.bytes_max()).then(held).flatten() {
                Some(content) => Sided::Held(content.into()),
                None => Sided::TooLarge(bytes, Vec::new()),
            }
        });
        (patch.diff, _) = self.differ.summarise(&patch, &old, &new, false);
        patch
    }
}

fn reversed(patch: &Patch) -> Patch {
    let base = |content: Fingerprint| Base {
        content,
        modified_ns: 0,
        stat: BaseStat { inode: 0, device: 0, changed_ns: 0, observed_ns: 0 },
    };
    let (path, rename_to) = match (&patch.rename_to, patch.operation) {
        (Some(to), Operation::Rename) => (to.clone(), Some(patch.path.clone())),
        _ => (patch.path.clone(), None),
    };
    let operation = match patch.operation {
        Operation::Create => Operation::Delete,
        Operation::Delete => Operation::Create,
        same @ (Operation::Modify | Operation::Rename | Operation::Mode) => same,
    };
    Patch {
        path,
        rename_to,
        operation,
        base: patch.staged.map(base),
        staged: patch.base.map(|base| base.content),
        ..patch.clone()
    }
}
