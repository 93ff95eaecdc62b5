//! Importing what a command wrote in a view of its own, as one transaction.
//!
//! An import is a scan of everything that the command has changed so far, so it is made again and
//! again: the same change makes no new revision, and what the command has taken back is withdrawn.
//! A change counts against the file on disk only if that is proven to be what the command saw.

use std::cell::RefCell;
use std::collections::BTreeMap;

use atomic_fs::{EntryKind, RelPath};

use crate::base::Base;
use crate::error::{ErrorKind, Result, StagingError};
use crate::ids::SessionId;
use crate::layer::DiffStagingLayer;
use crate::patch::{Operation, Patch};
use crate::stage::Request;
use crate::stage::proposal::{Meaning, Proposal, Proposed, Reading};
use crate::stage::step::Touched;
use crate::stage::view::{Pending, View};
use crate::store::patches;

/// The reason of a patch that is stale from the start.
pub(crate) const UNPROVEN: &str = "it changed while the command ran, or may have";

/// One change that a command has made.
#[derive(Clone, Debug)]
pub struct ImportItem {
    /// The change. Its path is literal: no symbolic link is followed.
    pub proposal: Proposal,
    /// What it was made from.
    pub proof: Proof,
}

/// What a change was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing was at the path, or what has this status.
    Made(Option<FileStamp>),
    /// It is not known. Unless a pending patch of the session proves it, the patch is stale from the
    /// start: its content is kept, and it is not applied before a person has refreshed it.
    Unknown,
}

/// The status of a file or a symbolic link, by which it is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The inode's number.
    pub inode: u64,
    /// The length in bytes.
    pub bytes: u64,
    /// When the content last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When the inode last changed, in nanoseconds since 1970.
    pub changed_ns: i64,
}

impl FileStamp {
    fn of(base: &Base) -> Self {
        Self {
            inode: base.stat.inode,
            bytes: base.content.bytes,
            modified_ns: base.modified_ns,
            changed_ns: base.stat.changed_ns,
        }
    }
}

/// What an import has staged.
#[derive(Debug, Default)]
pub struct Imported {
    /// The answers for the changes that are staged, in their order; without a patch where the
    /// change leaves the file as it is on disk.
    pub proposed: Vec<Proposed>,
    /// The changes that cannot be patches, and why.
    pub refused: Vec<(RelPath, StagingError)>,
    /// The files that the command has left, or made, as they are on disk, with their status there.
    pub equal: Vec<(RelPath, FileStamp)>,
    /// The files whose patches are stale, because what they were made from is not known.
    pub unproven: Vec<RelPath>,
}

impl DiffStagingLayer {
    /// Stages everything that a command has changed, as one transaction, and withdraws the patches of
    /// `gone`: paths that an earlier import has staged and that the command has not changed any
    /// more.
    ///
    /// A change that no patch can make is left out, and named in the answer. Patches whose file has
    /// changed are discarded as stale before.
    ///
    /// # Errors
    /// As [`propose_all`](Self::propose_all), but for the refusals of single changes. Nothing is
    /// staged then.
    pub fn import(
        &self,
        session: SessionId,
        items: &[ImportItem],
        gone: &[RelPath],
    ) -> Result<Imported> {
        let pending = self.0.store.peek(|connection| patches::pending_in(connection, session))?;
        self.0.revalidate(pending)?;
        let imported = RefCell::new(Imported::default());
        let proposed = self.0.stage_one(Request::new(session, |view| {
            let mut found = Imported::default();
            let touched = view.import(items, gone, &mut found)?;
            imported.replace(found);
            Ok(touched)
        }))?;
        Ok(Imported { proposed, ..imported.into_inner() })
    }
}

impl View<'_> {
    fn import(
        &mut self,
        items: &[ImportItem],
        gone: &[RelPath],
        imported: &mut Imported,
    ) -> Result<Vec<Touched>> {
        let mut touched = Vec::new();
        for path in gone {
            if let Some(Pending::Staged(patch) | Pending::Removed(patch)) = self.pending(path)? {
                self.plan(&patch.path, None);
            }
        }
        for item in items {
            let path = item.proposal.path();
            let is_deletion = matches!(item.proposal, Proposal::Delete { .. });
            if let Some(Pending::Removed(removed)) = self.pending(path)?
                && is_deletion
            {
                self.require_fresh(&removed)?;
                continue;
            }
            let is_proven = self.is_proven(path, item.proof)?;
            match self.import_one(path, item) {
                Ok(paths) if self.pending(path)?.is_none() => {
                    let base = self.base(path, Reading::Base)?;
                    let equal = base.map(|base| (path.clone(), FileStamp::of(&base)));
                    imported.equal.extend(equal);
                    touched.push(paths);
                }
                Ok(paths) if is_proven => touched.push(paths),
                Ok(paths) if self.is_kept(path)? => {
                    // The same content is stale already, with its content kept.
                    for path in &paths {
                        self.plan(path, None);
                        self.planned.remove(path);
                    }
                    imported.unproven.push(path.clone());
                }
                Ok(paths) => {
                    self.unproven.extend(paths.iter().cloned());
                    imported.unproven.push(path.clone());
                    touched.push(paths);
                }
                Err(error) if is_about_one(&error) => {
                    imported.refused.push((path.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        self.pair_moves();
        Ok(touched)
    }

    /// Turns each deletion and creation of one content into a move, where there is one of each.
    fn pair_moves(&mut self) {
        /// Where a content was, and where it is now; unless there are several, or none.
        type Ends = (Vec<RelPath>, Vec<RelPath>);
        let mut ends: BTreeMap<([u8; 32], u32), Ends> = BTreeMap::new();
        for (path, patch) in &self.planned {
            let Some(patch) = patch.as_deref().filter(|_| !self.unproven.contains(path)) else {
                continue;
            };
            let (content, is_new) = match (patch.operation, &patch.base, patch.staged) {
                (Operation::Delete, Some(base), _) => (base.content, false),
                (Operation::Create, _, Some(staged)) => (staged, true),
                _ => continue,
            };
            if content.kind() == EntryKind::File && content.bytes > 0 {
                let ends = ends.entry((*content.digest.as_bytes(), content.mode)).or_default();
                if is_new { &mut ends.1 } else { &mut ends.0 }.push(path.clone());
            }
        }
        for ends in ends.into_values() {
            let ([from], [to]) = (&ends.0[..], &ends.1[..]) else { continue };
            let at = |path: &RelPath| self.planned.get(path).and_then(Option::as_deref);
            let (Some(base), Some(staged)) =
                (at(from).and_then(|patch| patch.base), at(to).and_then(|patch| patch.staged))
            else {
                continue;
            };
            let moved = Some(staged);
            let mut patch = Patch::draft(self.session, from, Operation::Rename, Some(base), moved);
            patch.rename_to = Some(to.clone());
            self.plan(to, None);
            self.plan(from, Some(patch));
        }
    }

    fn import_one(&mut self, path: &RelPath, item: &ImportItem) -> Result<Touched> {
        let resolved = self.resolve(path, Meaning::Name, &Default::default())?;
        if resolved != *path {
            return Err(StagingError::PathBlocked { path: path.clone(), other: resolved });
        }
        self.propose_at(path, &item.proposal)
    }

    /// Whether the change was made from what is on the disk at a path.
    fn is_proven(&mut self, path: &RelPath, proof: Proof) -> Result<bool> {
        if self.pending(path)?.is_some() {
            // It was proven when that was staged, and its file was checked just now. What the
            // command wrote since was made from what it had written before.
            return Ok(true);
        }
        let Proof::Made(stamp) = proof else { return Ok(false) };
        // A path that is refused is refused again when it is proposed.
        let Ok(base) = self.base(path, Reading::Base) else {
            return Ok(true);
        };
        Ok(match (stamp, base) {
            (None, None) => true,
            (Some(stamp), Some(base)) => stamp == FileStamp::of(&base),
            _ => false,
        })
    }

    /// Whether what is planned at a path is stale in the session already.
    fn is_kept(&self, path: &RelPath) -> Result<bool> {
        let Some(planned) = self.at_path(path)? else { return Ok(false) };
        let lapsed = self
            .inner
            .store
            .peek(|connection| patches::lapsed_at(connection, self.session, path))?;
        let content = |patch: &Patch| patch.base.map(|base| base.content);
        let is_same = |old: &Patch| {
            old.staged == planned.staged && content(old) == content(&planned) && old.content_kept
        };
        Ok(lapsed.iter().any(is_same))
    }
}

/// Whether a change alone is at fault, and the others can be staged without it. A file that the user
/// saved just now, or that the command is still writing, is for the next import.
fn is_about_one(error: &StagingError) -> bool {
    use ErrorKind::{Busy, Conflict, NotFound, Refused, Stale, Usage};
    matches!(error.kind(), Busy | Conflict | NotFound | Refused | Stale | Usage)
}
