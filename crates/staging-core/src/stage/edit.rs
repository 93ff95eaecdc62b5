//! A reviewer's edit of a pending patch: a new revision of it, with other content.
//!
//! The agent sees the edited content from then on. What the agent proposes after that replaces it, but not
//! unseen: the new revision has the risk [`RiskKind::EditReplaced`], also in its later revisions, and the
//! edited content is kept with the history. The same holds for what the agent proposes after it has
//! withdrawn the edited patch, or after that has lapsed.

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
use crate::stage::step::{Step, Touched, step_at};
use crate::stage::view::View;
use crate::store::{patches, proposed};

impl DiffStagingLayer {
    /// A pending patch and the text that it stages, for the reviewer to edit: the one that a selector
    /// names by its id, at whichever revision it is or at the named one. Its file is checked first.
    ///
    /// # Errors
    /// `Stale` and `NotPending`; `NotEditable` for a deletion, a symbolic link, a directory and a
    /// binary file; `Limit` for a text that is too long.
    pub fn to_edit(&self, patch: impl Into<Selector>) -> Result<(Patch, Vec<u8>)> {
        let mut selection = self.select(&[patch.into()])?;
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
    /// `OtherRevision`, `NotPending` and `Stale` if the patch was rewritten or decided since it was read; `NotEditable`
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
        let is_it = |now: &Patch| (now.id, now.revision) == (patch.id, patch.revision);
        if !now.as_ref().is_some_and(is_it) {
            let id = patch.id;
            let now = self.inner.store.peek(|connection| patches::find(connection, id))?;
            let now = now.ok_or(StagingError::PatchNotFound { patch: id })?;
            return Err(StagingError::not_as_read(&now, patch.revision));
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

    /// The reviewer's edit whose place a new patch takes, or a patch that shows that it replaces one: what
    /// was pending at its path, or where its file was before, or where it moves its file; else what the
    /// agent has withdrawn there, or what has lapsed there.
    pub(crate) fn edit_before(&self, steps: &[Step], index: usize) -> Result<Option<EditBefore>> {
        let step = &steps[index];
        let Some(new) = &step.new else { return Ok(None) };
        let left = self.origins.get(&step.path).and_then(|from| step_at(steps, from));
        let left = left.filter(|left| left.moved_to.as_ref() == Some(&step.path));
        let taken = new.rename_to.as_ref().and_then(|to| step_at(steps, to));
        let pending = [
            step.before(),
            left.and_then(|left| left.old.as_deref()),
            taken.and_then(Step::withdrawn),
        ];
        if let Some(patch) = pending.into_iter().flatten().find(|patch| patch.carries_edit()) {
            return Ok(Some(EditBefore { patch: patch.clone(), was_lost: false }));
        }
        let is_refreshed = self.refreshed.iter().any(|(_, path)| *path == step.path);
        if step.before().is_some() || is_refreshed || self.is_reviewers || !self.any_edit_lost()? {
            return Ok(None);
        }
        for path in std::iter::once(&step.path).chain(&new.rename_to) {
            let lost = self.inner.store.peek(|c| proposed::lost_edit(c, self.session, path))?;
            if let Some(patch) = lost {
                return Ok(Some(EditBefore { patch, was_lost: true }));
            }
        }
        Ok(None)
    }

    /// Asked once in a call: usually there is none.
    fn any_edit_lost(&self) -> Result<bool> {
        if let Some(any) = self.has_lost_edits.get() {
            return Ok(any);
        }
        let any = self.inner.store.peek(proposed::any_lost_edit)?;
        self.has_lost_edits.set(Some(any));
        Ok(any)
    }

    /// Marks a new patch that has the reviewer's content, and notes where it replaces such content.
    /// `risks` are those of the patch that a refresh proposes again.
    pub(crate) fn mark_edits(&self, step: &mut Step, edit: Option<EditBefore>, risks: Vec<Risk>) {
        let before = step.before().map(|before| before.id);
        let Some(new) = &mut step.new else { return };
        if self.is_reviewers {
            (new.edited, new.by_reviewer) = (true, true);
            return;
        }
        let replaced = |risks: &[Risk]| -> Vec<Risk> {
            risks.iter().filter(|risk| risk.kind == RiskKind::EditReplaced).cloned().collect()
        };
        let Some(EditBefore { patch: old, was_lost }) = edit else {
            if before.is_none() {
                new.diff.risks.extend(replaced(&risks));
            }
            return;
        };
        step.settles_edit = was_lost;
        let digest = |patch: &Patch| patch.staged.map(|staged| staged.digest);
        if old.edited && digest(&old) == digest(new) {
            new.edited = true;
        } else if old.edited {
            // The revision that this one replaces has yet to get an id of its own.
            let detail = (before != Some(old.id)).then(|| your_edit(old.id));
            new.diff.risks.push(Risk { kind: RiskKind::EditReplaced, detail });
        } else {
            new.diff.risks.extend(replaced(&old.diff.risks));
        }
    }
}

/// A reviewer's edit, or a patch that shows that it replaces one.
pub(crate) struct EditBefore {
    patch: Patch,
    /// Whether it was not pending any more.
    was_lost: bool,
}

/// Names the reviewer's edit in the risk of the revision that replaces it.
pub(crate) fn name_edit(new: &mut Patch, edit: PatchId) {
    let unnamed = |risk: &&mut Risk| risk.kind == RiskKind::EditReplaced && risk.detail.is_none();
    for risk in new.diff.risks.iter_mut().filter(unnamed) {
        risk.detail = Some(your_edit(edit));
    }
}

fn your_edit(id: PatchId) -> String {
    format!("your edit was {id}")
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
