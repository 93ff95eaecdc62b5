//! A reviewer's edit of a pending patch: a new revision of it, with other content.
//!
//! The revision replaces the patch in its session, so the agent sees the edited content from then on.
//! What the agent proposes after that replaces it again, but not unseen: the new patch has the risk
//! [`RiskKind::EditReplaced`], also in its later revisions, and the edited content is kept with the
//! history.

use atomic_fs::{EntryKind, Fingerprint, RelPath};
use diff_engine::is_binary;

use crate::diffing::damaged;
use crate::error::{Result, StagingError};
use crate::ids::PatchId;
use crate::layer::DiffStagingLayer;
use crate::patch::{Operation, Patch};
use crate::request::Selector;
use crate::risk::kind::{Risk, RiskKind};
use crate::stage::Request;
use crate::stage::plan::Incoming;
use crate::stage::proposal::{EDIT_BYTES_MAX, Proposed, too_long_to_edit};
use crate::stage::step::Touched;
use crate::stage::view::View;
use crate::store::patches;

impl DiffStagingLayer {
    /// A pending patch and the text that it stages, for the reviewer to edit. Its file is checked
    /// first.
    ///
    /// # Errors
    /// `Stale` and `NotPending`; `NotEditable` for a deletion, a symbolic link, a directory and a
    /// binary file; `Limit` for a text that is too long.
    pub fn to_edit(&self, id: PatchId) -> Result<(Patch, Vec<u8>)> {
        let mut selection = self.select(&[Selector::Patch(id)])?;
        let Some(patch) = selection.patches.pop() else {
            return Err(StagingError::Stale { patches: selection.stale });
        };
        let staged = editable(&patch)?;
        let content =
            self.0.blobs.read(&staged.digest, None).map_err(damaged(patch.target_or_path()))?;
        if is_binary(&content) {
            return Err(not_editable(&patch, "it is a binary file"));
        }
        Ok((patch, content))
    }

    /// Replaces the staged content of a pending patch by the reviewer's; its mode stays. The new
    /// revision is marked as edited, and the agent receives that.
    ///
    /// # Errors
    /// `NotPending` and `Stale` if the patch was decided or replaced since it was read; `NotEditable`
    /// as for [`to_edit`](Self::to_edit), and if nothing of the patch would be left. Nothing is
    /// staged then.
    pub fn edit(&self, patch: &Patch, content: &[u8]) -> Result<Proposed> {
        let plan = |view: &mut View<'_>| Ok(vec![view.edit_by_reviewer(patch, content)?]);
        let mut proposed = self.0.stage_one(Request::new(patch.session, plan))?;
        Ok(proposed.pop().expect("one edit gives one answer"))
    }
}

impl View<'_> {
    fn edit_by_reviewer(&mut self, patch: &Patch, content: &[u8]) -> Result<Touched> {
        let now = self.stored_at(&patch.path)?;
        if now.is_none_or(|now| now.id != patch.id) {
            let id = patch.id;
            let decided = self.inner.store.peek(|connection| patches::find(connection, id))?;
            let decided = decided.ok_or(StagingError::PatchNotFound { patch: id })?;
            return Err(StagingError::not_pending(&decided));
        }
        let staged = editable(patch)?;
        let stored = self.inner.store_bytes(content)?;
        self.hold(&stored);
        self.is_reviewers = true;
        let incoming = Incoming { mode: Some(staged.mode), ..Incoming::of(&stored) };
        let touched = self.put(patch.target_or_path(), incoming)?;
        if self.planned.get(&patch.path).is_some_and(Option::is_none) {
            let reason = "the edited text is what the file has already, so nothing of it is left";
            return Err(not_editable(patch, reason));
        }
        Ok(touched)
    }

    /// Marks a new patch that has the reviewer's content, and notes where it replaces such content.
    /// `old` is the patch that was at its path, `moved_from` where it was before a move, and `before`
    /// are the risks of the patch that a refresh proposes again.
    pub(crate) fn mark_edits(
        &self,
        old: Option<&Patch>,
        moved_from: Option<&RelPath>,
        new: &mut Patch,
        before: Vec<Risk>,
    ) -> Result<()> {
        if self.is_reviewers {
            new.edited = true;
            return Ok(());
        }
        let replaced = |risks: &[Risk]| -> Vec<Risk> {
            risks.iter().filter(|risk| risk.kind == RiskKind::EditReplaced).cloned().collect()
        };
        let moved = match old {
            None => moved_from.map(|from| self.stored_at(from)).transpose()?.flatten(),
            Some(_) => None,
        };
        let Some(old) = old.or(moved.as_ref()) else {
            new.diff.risks.extend(replaced(&before));
            return Ok(());
        };
        let digest = |patch: &Patch| patch.staged.map(|staged| staged.digest);
        if old.edited && digest(old) == digest(new) {
            new.edited = true;
        } else if old.edited {
            let detail = Some(format!("your edit was {}", old.id));
            new.diff.risks.push(Risk { kind: RiskKind::EditReplaced, detail });
        } else {
            new.diff.risks.extend(replaced(&old.diff.risks));
        }
        Ok(())
    }
}

impl Patch {
    /// Where the file is once the patch is applied, or else where it was.
    fn target_or_path(&self) -> &RelPath {
        self.target().unwrap_or(&self.path)
    }
}

/// The staged content of a patch that can be edited as a text.
fn editable(patch: &Patch) -> Result<Fingerprint> {
    let why = match (patch.operation, patch.kind()) {
        (Operation::Delete, _) => "it is a deletion",
        (_, EntryKind::Symlink) => "it is a symbolic link",
        (_, EntryKind::Directory) => "it is a directory",
        (_, EntryKind::File) => match patch.staged {
            Some(staged) if staged.bytes > EDIT_BYTES_MAX => return Err(too_long_to_edit()),
            Some(staged) => return Ok(staged),
            None => "it stages no content",
        },
    };
    Err(not_editable(patch, why))
}

fn not_editable(patch: &Patch, reason: &str) -> StagingError {
    StagingError::NotEditable {
        patch: patch.id,
        path: patch.path.clone(),
        reason: reason.to_owned(),
    }
}
