//! What a reviewer reads, the status, a selection and its diff, and rejecting patches.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::attempt::{Attempt, CommitError};
use crate::comment::NewComment;
use crate::contested::contested;
use crate::decide::chosen::{lapsed_of, missing, named};
use crate::decide::comments::ByPatch;
use crate::decide::discard::{discard_one, dismiss};
use crate::error::{Result, StagingError};
use crate::ids::{PatchId, SessionId};
use crate::layer::DiffStagingLayer;
use crate::locks::unpoisoned;
use crate::patch::{DiscardReason, Operation, Patch, PatchState};
use crate::request::{DiffOptions, Selection, Selector, SessionStatus, Status, check_read};
use crate::signing::set_signature;
use crate::store::write::Write;
use crate::store::{patches, proposed, sessions};
use atomic_fs::RelPath;

impl DiffStagingLayer {
    /// Everything that is pending. The files are checked first, and stale patches are discarded.
    ///
    /// # Errors
    /// When the store or the workspace cannot be read.
    pub fn status(&self) -> Result<Status> {
        let pending = self.0.store.read(patches::pending)?;
        let (pending, stale) = self.0.revalidate(pending)?;
        let (sessions, lapsed) = self.0.store.read(|connection| {
            Ok((sessions::current(connection)?, patches::lapsed(connection)?))
        })?;
        let signature = set_signature(&pending);
        let contested = contested(&pending);
        let total = pending.len();
        let (mut pending, mut lapsed) = (by_session(pending), by_session(lapsed));
        let sessions = sessions
            .into_iter()
            .map(|session| {
                let patches = pending.remove(&session.id).unwrap_or_default();
                let lapsed = lapsed.remove(&session.id).unwrap_or_default();
                let signature =
                    if patches.len() == total { signature } else { set_signature(&patches) };
                SessionStatus { signature, session, patches, lapsed }
            })
            .collect();
        let open_journals = self.0.workspace.open_journals()?;
        Ok(Status {
            sessions,
            signature,
            stale,
            contested,
            needs_recovery: !open_journals.is_empty(),
            open_journals,
            kept: self.0.workspace.conflicts()?,
            in_doubt: self.in_doubt()?,
            quarantined: self.0.workspace.quarantined_journals()?,
        })
    }

    /// One patch, in any state.
    ///
    /// # Errors
    /// `PatchNotFound`.
    pub fn patch(&self, id: PatchId) -> Result<Patch> {
        self.0.store.peek(|connection| {
            patches::find(connection, id)?.ok_or(StagingError::PatchNotFound { patch: id })
        })
    }

    /// The earlier revisions of a patch, oldest first, each under an id of its own. They are kept for as
    /// long as the history is, and the contents of the newest ten, and of what the reviewer has edited.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn earlier_revisions(&self, id: PatchId) -> Result<Vec<Patch>> {
        self.0.store.peek(|connection| proposed::earlier(connection, id))
    }

    /// The selected pending patches, all of them when `ids` is empty, after their files were checked.
    ///
    /// # Errors
    /// `NotPending` when a patch that is named was decided already; one that is stale, or
    /// expired with its session, is reported among the stale ones instead. `NothingAt` when nothing
    /// waits at a path that is named; `NothingLeft` when the exceptions leave nothing; `OtherRevision`
    /// when a patch is not at the revision that is named.
    pub fn select(&self, ids: &[Selector]) -> Result<Selection> {
        let (pending, mut stale) = self.0.store.read(|connection| named(connection, ids))?;
        let (patches, found) = self.0.revalidate(pending)?;
        stale.extend(found);
        let lapsed = self.0.store.read(|connection| missing(connection, ids, &patches))?;
        Ok(Selection { signature: set_signature(&patches), patches, stale, lapsed })
    }

    /// Every patch that waits for a decision, by path: those that are pending, and those that are stale
    /// or expired. They are as they were found last: no file is read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn waiting(&self) -> Result<Vec<Patch>> {
        let (mut waiting, lapsed) = self
            .0
            .store
            .read(|connection| Ok((patches::pending(connection)?, patches::lapsed(connection)?)))?;
        waiting.extend(lapsed);
        waiting.sort_by(|one, other| (&one.path, one.id).cmp(&(&other.path, other.id)));
        Ok(waiting)
    }

    /// Writes one git-style diff of these patches, by path; `git apply` turns the
    /// bases into exactly the staged contents.
    ///
    /// # Errors
    /// `NotPending` when a patch's content is gone because it was discarded
    /// meanwhile; `Damaged` when the content is not what was stored.
    pub fn write_diff(
        &self,
        patches: &[Patch],
        options: &DiffOptions,
        out: &mut dyn io::Write,
    ) -> Result<()> {
        for patch in sorted(patches) {
            let written = self.0.differ.write(patch, &self.0.blobs, options, out);
            if let Err(StagingError::Damaged { .. }) = written {
                // The content of a decided patch is removed after a while.
                let now = self.patch(patch.id)?;
                if !now.content_kept || now.revision != patch.revision {
                    return Err(StagingError::not_as_read(&now, patch.revision));
                }
            }
            written?;
        }
        Ok(())
    }

    /// Writes the diff between two contents of one file, proposed or not.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_edit_diff(
        &self,
        path: &RelPath,
        old: &[u8],
        new: &[u8],
        options: &DiffOptions,
        out: &mut dyn io::Write,
    ) -> Result<()> {
        self.0.differ.write_edit(path, old, new, options, out)
    }

    /// Strategies that failed in [`Self::write_diff`] since the last call, a sentence for each. The diff
    /// is correct all the same. For proposals the patch has a remark instead.
    pub fn take_strategy_warnings(&self) -> Vec<String> {
        std::mem::take(&mut unpoisoned(&self.0.differ.warnings))
    }

    /// Writes one line for each patch, and the totals, in so many columns of text.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_stat(
        &self,
        patches: &[Patch],
        columns: usize,
        out: &mut dyn io::Write,
    ) -> Result<()> {
        self.0.differ.write_stat(&sorted(patches), columns, out)
    }

    /// Writes which files are created, deleted or renamed and which modes change, a line each.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_summary(&self, patches: &[Patch], out: &mut dyn io::Write) -> Result<()> {
        self.0.differ.write_summary(&sorted(patches), out)
    }

    /// Rejects patches, everything pending when `ids` is empty, and dismisses stale and expired
    /// ones, which are no longer listed then. The disk is not touched, and contents are kept as
    /// long as the history.
    ///
    /// # Errors
    /// `NotPending` when a patch that is named was decided already, `Rewritten` when its agent has
    /// rewritten it and its revision is not named, and as [`select`](Self::select); nothing changes
    /// then.
    pub fn discard(&self, ids: &[Selector], reason_text: Option<&str>) -> Result<Vec<Patch>> {
        self.discard_commented(ids, reason_text, &[])
    }

    /// The same, with comments for single lines of what the patches stage, for their agents.
    ///
    /// # Errors
    /// As [`discard`](Self::discard), and `Usage` when a comment is empty or too long, its file is not
    /// staged by exactly one of the patches, or the file has no such line; nothing changes then.
    pub fn discard_commented(
        &self,
        ids: &[Selector],
        reason_text: Option<&str>,
        comments: &[NewComment],
    ) -> Result<Vec<Patch>> {
        self.0.store.with_reserve(|| self.discard_once(ids, reason_text, comments))
    }

    fn discard_once(
        &self,
        ids: &[Selector],
        reason_text: Option<&str>,
        comments: &[NewComment],
    ) -> Result<Vec<Patch>> {
        let keep = self.0.keeps_history();
        let discard = || {
            // The lines are found before the transaction, which checks that they are of what it rejects.
            let (mut read, mut placed) = (Vec::new(), ByPatch::new());
            if !comments.is_empty() {
                read = self.0.store.read(|connection| {
                    let (pending, named) = named(connection, ids)?;
                    let lapsed = lapsed_of(connection, ids)?;
                    Ok([pending, named, lapsed].concat())
                })?;
                placed = self.0.located(&read, comments)?;
            }
            self.0.store.write_on(false, |write| {
                // Read under the write lock, so that no decision comes in between.
                let (pending, stale) = named(write, ids)?;
                if let Some(settled) = stale.iter().find(|patch| !patch.lapsed) {
                    return Err(StagingError::not_pending(settled).into());
                }
                check_read(&pending, ids)?;
                let lapsed = lapsed_of(write, ids)?;
                let rejected = || pending.iter().chain(&stale).chain(&lapsed);
                let name = |patch: &Patch| (patch.id, patch.revision);
                if !comments.is_empty() && !rejected().map(name).eq(read.iter().map(name)) {
                    return Err(CommitError::Raced);
                }
                // Their events have them.
                for (id, comments) in &placed {
                    patches::set_comments(write, *id, comments)?;
                }
                let mut discarded = reject(write, &pending, reason_text, keep)?;
                for patch in stale.iter().chain(&lapsed) {
                    discarded.extend(dismiss(write, patch, reason_text)?);
                }
                Ok(discarded)
            })
        };
        self.0.retry_while_locked(discard(), discard)
    }
}

/// Rejects all of these, or none when an apply holds one.
fn reject(
    write: &mut Write<'_>,
    pending: &[Patch],
    text: Option<&str>,
    keep: bool,
) -> Attempt<Vec<Patch>> {
    let mut discarded = Vec::with_capacity(pending.len());
    for patch in pending {
        match discard_one(write, patch, DiscardReason::Rejected, text, keep)? {
            Some(patch) => discarded.push(patch),
            None => {
                let now = patches::find(write, patch.id)?
                    .ok_or(StagingError::PatchNotFound { patch: patch.id })?;
                return Err(match (now.state, now.apply) {
                    (PatchState::Pending, Some(apply)) => CommitError::LockedByApply(apply),
                    _ => StagingError::not_pending(&now).into(),
                });
            }
        }
    }
    Ok(discarded)
}

/// By path, but a delete whose name another file takes comes first: `git apply`
/// would otherwise delete the file that has just arrived.
fn sorted(patches: &[Patch]) -> Vec<&Patch> {
    let taken: BTreeSet<&RelPath> =
        patches.iter().filter_map(|patch| patch.rename_to.as_ref()).collect();
    let makes_room =
        |patch: &Patch| patch.operation == Operation::Delete && taken.contains(&patch.path);
    let mut sorted: Vec<&Patch> = patches.iter().collect();
    sorted.sort_by_key(|patch| (!makes_room(patch), &patch.path, patch.id));
    sorted
}

/// Patches by their sessions, in their order.
fn by_session(patches: Vec<Patch>) -> BTreeMap<SessionId, Vec<Patch>> {
    let mut by_session: BTreeMap<SessionId, Vec<Patch>> = BTreeMap::new();
    match patches.first() {
        // One session has all of them, which may be thousands.
        Some(first) if patches.iter().all(|patch| patch.session == first.session) => {
            by_session.insert(first.session, patches);
        }
        _ => {
            for patch in patches {
                by_session.entry(patch.session).or_default().push(patch);
            }
        }
    }
    by_session
}
