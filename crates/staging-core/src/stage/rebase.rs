//! Proposing a discarded patch anew: over the file as it is now, merged where the
//! agent's change and the user's do not touch.

use std::collections::BTreeMap;

use atomic_fs::{EntryKind, Fingerprint, RelPath};
use diff_engine::{Merge, MergeConflict};

use crate::base::Base;
use crate::decide::chosen::to_refresh;
use crate::error::{Result, StagingError};
use crate::ids::{PatchId, SessionId};
use crate::layer::{DiffStagingLayer, Inner};
use crate::patch::{DiscardReason, Operation, Patch, PatchState};
use crate::request::Selector;
use crate::session::SessionState;
use crate::stage::plan::Incoming;
use crate::stage::proposal::Reading;
use crate::stage::step::Touched;
use crate::stage::view::View;
use crate::stage::{Request, moves};
use crate::store::sessions;

impl DiffStagingLayer {
    /// Proposes a discarded patch anew, as a new pending patch with a new signature: unchanged when
    /// its file is unchanged, else merged with the changes of the file. It becomes pending in its own
    /// session, or, when that has ended, in the open one of the same label.
    ///
    /// # Errors
    /// `MergeConflict` where both changed the same lines, or lines next to each other,
    /// with these lines; `NotRefreshable` when the patch is pending and its file
    /// unchanged, applied, or too old to be kept. Nothing changes then.
    pub fn refresh(&self, id: PatchId) -> Result<super::Proposed> {
        let mut proposed = self.refresh_all(&[Selector::Patch(id)])?;
        Ok(proposed.pop().expect("one patch gives one answer"))
    }

    /// The same for several patches, and for everything stale or expired in sessions and at paths;
    /// for all of them when `ids` is empty. Those of one session become pending together, or none of them.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh), and as [`select`](Self::select) about the selection. Nothing
    /// changes then in that session and in those opened after
    /// it: sessions are taken in the order in which they were opened.
    pub fn refresh_all(&self, ids: &[Selector]) -> Result<Vec<super::Proposed>> {
        let inner = &*self.0;
        if ids.iter().any(|id| id.patch().is_none()) || ids.is_empty() {
            // Pending patches of the sessions may be stale as well.
            self.recheck()?;
        }
        let mut by_session: BTreeMap<SessionId, Vec<Patch>> = BTreeMap::new();
        for patch in inner.store.read(|connection| to_refresh(connection, ids))? {
            let patch = inner.to_refresh(patch)?;
            by_session.entry(self.session_for(&patch)?).or_default().push(patch);
        }
        let mut proposed = Vec::new();
        for (session, patches) in by_session {
            let paths: Vec<RelPath> = patches.iter().map(|patch| patch.path.clone()).collect();
            self.recheck_paths(&paths)?;
            let ordered = in_order(&patches);
            proposed.extend(inner.stage_one(Request::new(session, |view| {
                ordered.iter().map(|patch| view.reapply_alone(patch)).collect()
            }))?);
        }
        Ok(proposed)
    }

    fn session_for(&self, patch: &Patch) -> Result<SessionId> {
        let session = self
            .0
            .store
            .peek(|connection| sessions::find(connection, patch.session))?
            .ok_or_else(|| StagingError::SessionNotFound { name: patch.session.to_string() })?;
        match session.state {
            SessionState::Open => Ok(session.id),
            SessionState::Closed | SessionState::Expired => {
                Ok(self.open_session(&session.label)?.id)
            }
        }
    }
}

impl Inner {
    /// The patch if it can be proposed anew; a pending one whose file has changed is
    /// discarded for it.
    fn to_refresh(&self, patch: Patch) -> Result<Patch> {
        let id = patch.id;
        let refused = |reason: &str| {
            Err(StagingError::NotRefreshable { patch: id, reason: reason.to_owned() })
        };
        if let (Some(of), Some(DiscardReason::Superseded)) = (patch.revision_of, patch.reason) {
            return refused(&format!("it is an earlier revision of {of}"));
        }
        let patch = match patch.state {
            PatchState::Applied => return refused("it is on the disk"),
            PatchState::Discarded => patch,
            PatchState::Pending => {
                let (_, mut stale) = self.revalidate(vec![patch])?;
                match stale.pop() {
                    Some(stale) => stale,
                    None => return refused("it is pending, and its file is what the agent saw"),
                }
            }
        };
        if patch.content_kept { Ok(patch) } else { refused("its content is no longer kept") }
    }
}

/// Deletions first, then moves, each after the one that frees its target, then contents.
fn in_order<'p>(patches: &'p [Patch]) -> Vec<&'p Patch> {
    let of = |operations: fn(&Operation) -> bool| {
        patches.iter().filter(move |patch| operations(&patch.operation))
    };
    let mut ordered: Vec<&Patch> = of(|operation| *operation == Operation::Delete).collect();
    let renames = of(|operation| *operation == Operation::Rename);
    let ends =
        |patch: &'p Patch| (patch, (&patch.path, patch.rename_to.as_ref().unwrap_or(&patch.path)));
    match moves::in_order(renames.map(ends)) {
        Ok(moves) => ordered.extend(moves),
        // Moves in a circle are refused where they are planned.
        Err(_) => ordered.extend(of(|operation| *operation == Operation::Rename)),
    }
    ordered.extend(of(|operation| !matches!(operation, Operation::Delete | Operation::Rename)));
    ordered
}

impl View<'_> {
    /// Plans a discarded patch again, unless something else is pending on its file.
    fn reapply_alone(&mut self, patch: &Patch) -> Result<Touched> {
        let there = match self.at_path(&patch.path)? {
            None => self.at_target(&patch.path)?,
            there => there,
        };
        if let Some(other) = there.filter(|other| !self.planned.contains_key(&other.path)) {
            let reason = format!("{} is pending on the same file", other.id);
            return Err(StagingError::NotRefreshable { patch: patch.id, reason });
        }
        self.refreshed.push((patch.id, patch.path.clone()));
        let touched = self.reapply(patch)?;
        if let Some(planned) = touched.first().and_then(|path| self.planned.get_mut(path)) {
            planned.iter_mut().for_each(|planned| {
                planned.edited |= patch.edited;
                planned.diff.risks.clone_from(&patch.diff.risks);
            });
        }
        Ok(touched)
    }

    /// Plans a discarded patch again, on the file as it is now.
    fn reapply(&mut self, patch: &Patch) -> Result<Touched> {
        let path = &patch.path;
        if patch.kind() == EntryKind::Directory && !patch.changes_kind() {
            return match patch.operation {
                Operation::Create => {
                    self.bring_directory(path, patch.staged.map(|staged| staged.mode & 0o7777))
                }
                _ => self.remove(path),
            };
        }
        let now = self.base(path, Reading::Base)?;
        let planned = match (patch.operation, now, patch.staged) {
            (Operation::Create, None, Some(staged)) => {
                return self.put(path, Incoming::from(staged));
            }
            (Operation::Create, Some(now), Some(staged)) if now.content.digest == staged.digest => {
                self.settled(path, now, staged)
            }
            (Operation::Create, Some(_), _) => {
                return Err(whole(patch, "it has been created since"));
            }
            (Operation::Delete, None, _) => None,
            (Operation::Delete, Some(now), _) => {
                let is_base = |base: &Base| {
                    base.content.digest == now.content.digest && base.kind() == now.kind()
                };
                if !patch.base.as_ref().is_some_and(is_base) {
                    return Err(whole(patch, "what was to be deleted has been changed since"));
                }
                Some(Patch::draft(self.session, path, Operation::Delete, Some(now), None))
            }
            (_, None, _) => return Err(whole(patch, "it is gone")),
            (_, Some(now), None) => {
                // Every other operation stages something.
                Some(Patch::draft(self.session, path, patch.operation, Some(now), None))
            }
            (Operation::Rename, Some(now), Some(staged)) => {
                let staged = self.merged(patch, &now, staged)?;
                let to = patch.rename_to.as_ref().unwrap_or(path);
                self.check_vacant(to, Some(path))?;
                self.check_room(to, staged.kind())?;
                let mut renamed =
                    Patch::draft(self.session, path, Operation::Rename, Some(now), Some(staged));
                renamed.rename_to = Some(to.clone());
                Some(renamed)
            }
            (Operation::Modify | Operation::Mode, Some(now), Some(staged)) => {
                let staged = self.merged(patch, &now, staged)?;
                self.settled(path, now, staged)
            }
        };
        self.plan(path, planned);
        Ok(vec![path.clone()])
    }

    /// The staged content, merged with the changes of the file since.
    fn merged(&mut self, patch: &Patch, now: &Base, staged: Fingerprint) -> Result<Fingerprint> {
        let Some(base) = &patch.base else { return Ok(staged) };
        if now.kind() != base.kind() {
            return Err(whole(patch, "it is of another kind now"));
        }
        let mode = match (staged.mode == base.content.mode, now.content.mode == base.content.mode) {
            (true, _) => now.content.mode,
            (false, true) => staged.mode,
            (false, false) if now.content.mode == staged.mode => now.content.mode,
            (false, false) => return Err(whole(patch, "both changed its mode")),
        };
        if now.content.digest == base.content.digest || now.content.digest == staged.digest {
            return Ok(Fingerprint { mode, ..staged });
        }
        if staged.digest == base.content.digest {
            return Ok(Fingerprint { mode, ..now.content });
        }
        if now.kind() != EntryKind::File || staged.kind() != EntryKind::File {
            return Err(whole(patch, "it was changed since, and symbolic links are not merged"));
        }
        let bytes_max = self.inner.differ.bytes_max();
        let sides = [(base.content.digest, base.content.bytes), (staged.digest, staged.bytes)];
        let contents = sides.into_iter().chain([(now.content.digest, now.content.bytes)]).map(
            |(digest, bytes)| {
                // A content that is too large is not compared; a NUL makes it binary for the merge.
                let is_compared = bytes <= bytes_max;
                if is_compared { self.content(&patch.path, &digest) } else { Ok([0].into()) }
            },
        );
        let contents = contents.collect::<Result<Vec<_>>>()?;
        let [base, ours, theirs] = &contents[..] else {
            unreachable!("each side has its content");
        };
        match self.inner.differ.merge(base, ours, theirs) {
            Merge::Merged(merged) => {
                let stored = self.inner.store_bytes(&merged)?;
                self.hold(&stored);
                Ok(Fingerprint { digest: stored.digest, bytes: stored.bytes, mode })
            }
            Merge::Conflicts(conflicts) => Err(StagingError::MergeConflict {
                patch: patch.id,
                path: patch.path.clone(),
                reason: conflicts.iter().map(lines).collect::<Vec<_>>().join("; "),
            }),
            Merge::NotCompared => Err(whole(patch, "it is too large or binary to be merged")),
        }
    }
}

/// A conflict that is not about single lines.
fn whole(patch: &Patch, reason: &str) -> StagingError {
    let (path, reason) = (patch.path.clone(), reason.to_owned());
    StagingError::MergeConflict { patch: patch.id, path, reason }
}

/// The lines of a conflict, counted from 1.
fn lines(conflict: &MergeConflict) -> String {
    let shown = |range: &std::ops::Range<u32>| match range.end - range.start {
        0 => format!("before line {}", range.start + 1),
        1 => format!("line {}", range.end),
        _ => format!("lines {} to {}", range.start + 1, range.end),
    };
    format!(
        "{} of what the agent saw became {} of the patch and {} of the file",
        shown(&conflict.base),
        shown(&conflict.ours),
        shown(&conflict.theirs)
    )
}
