//! Importing what a command wrote in a view of its own, as one transaction.
//!
//! An import is made of what has changed since the last one. A change counts against what is on disk
//! only if that is proven to be what the command saw; else its patch is stale from the start.

use std::cell::RefCell;
use std::collections::BTreeMap;

use atomic_fs::{EntryKind, Fingerprint, RelPath};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing was at the path, or what has this status.
    Made(Option<FileStamp>),
    /// Nothing, or what has this content and mode: whichever of these is on the disk. Where none is,
    /// the patch is stale from the start: its content is kept, and it is not applied before a person
    /// has refreshed it.
    OneOf(Vec<Option<Fingerprint>>),
}

impl Proof {
    fn holds_for(&self, base: Option<&Base>) -> bool {
        match self {
            Self::Made(stamp) => *stamp == base.map(FileStamp::of),
            Self::OneOf(contents) => contents.contains(&base.map(|base| base.content)),
        }
    }

    fn may_be_directory(&self) -> bool {
        match self {
            Self::Made(_) => true,
            Self::OneOf(contents) => {
                contents.iter().flatten().any(|content| content.kind() == EntryKind::Directory)
            }
        }
    }
}

/// A path that a command does not change any more, which an earlier import has staged.
#[derive(Clone, Debug)]
pub struct Gone {
    /// The path.
    pub path: RelPath,
    /// What the import has staged there, or that it was removed: another patch at the path is left
    /// alone. Without it every patch is withdrawn.
    pub staged: Option<Option<Fingerprint>>,
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
    /// What each proven change was made from; nothing, or this content and mode.
    pub made_from: Vec<(RelPath, Option<Fingerprint>)>,
    /// The files whose patches are stale, because what they were made from is not on the disk.
    pub unproven: Vec<RelPath>,
    /// The files whose changes are not staged, because the same holds for them and another patch is
    /// pending at the path, such as a refreshed one. It is left alone.
    pub withheld: Vec<RelPath>,
}

impl DiffStagingLayer {
    /// The patches that are pending in a session. Those whose file has changed are discarded as stale
    /// before.
    ///
    /// # Errors
    /// An error of the store or the workspace.
    pub fn fresh_patches(&self, session: SessionId) -> Result<Vec<Patch>> {
        let pending = self.0.store.peek(|connection| patches::pending_in(connection, session))?;
        Ok(self.0.revalidate(pending)?.0)
    }

    /// Stages what a command has changed, as one transaction, and withdraws the patches of `gone`.
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
        gone: &[Gone],
    ) -> Result<Imported> {
        self.fresh_patches(session)?;
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
        gone: &[Gone],
        imported: &mut Imported,
    ) -> Result<Vec<Touched>> {
        let mut touched = Vec::new();
        for Gone { path, staged } in gone {
            let (patch, there) = match self.pending(path)? {
                Some(Pending::Staged(patch)) => (patch.path, patch.staged),
                Some(Pending::Removed(patch)) => (patch.path, None),
                None => continue,
            };
            if staged.is_none_or(|staged| staged == there) {
                self.plan(&patch, None);
            }
        }
        for item in items {
            let path = item.proposal.path();
            match self.import_one(path, item, imported) {
                Ok(paths) => touched.extend(paths),
                Err(error) if is_about_one(&error) => imported.refused.push((path.clone(), error)),
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

    /// Plans one change; none where there is nothing to plan.
    fn import_one(
        &mut self,
        path: &RelPath,
        item: &ImportItem,
        imported: &mut Imported,
    ) -> Result<Option<Touched>> {
        let resolved = self.resolve(path, Meaning::Name, &Default::default())?;
        if resolved != *path {
            return Err(StagingError::PathBlocked { path: path.clone(), other: resolved });
        }
        let pending = self.pending(path)?;
        let is_deletion = matches!(item.proposal, Proposal::Delete { .. });
        if is_deletion && pending.is_none() && self.stat(path)?.is_none() {
            // The command has removed what was pending when its view was made, and is not any more.
            imported.made_from.push((path.clone(), None));
            return Ok(None);
        }
        let is_removed = matches!(pending, Some(Pending::Removed(_)));
        let base = match &pending {
            Some(Pending::Staged(patch) | Pending::Removed(patch)) if patch.path == *path => {
                self.require_fresh(patch)?;
                Ok(patch.base)
            }
            _ => self.base(path, Reading::Base),
        };
        let is_proven = match &base {
            Ok(base) => item.proof.holds_for(base.as_ref()),
            // A directory is compared when it is removed; what is refused is refused again.
            Err(_) => item.proof.may_be_directory(),
        };
        if !is_proven && pending.is_some() && !self.planned.contains_key(path) {
            imported.withheld.push(path.clone());
            return Ok(None);
        }
        let paths = match is_deletion && is_removed {
            true => None,
            false => Some(self.propose_at(path, &item.proposal)?),
        };
        let base = base.ok().flatten().map(|base| base.content);
        if is_proven || self.pending(path)?.is_none() {
            imported.made_from.push((path.clone(), base));
        } else {
            self.unproven.extend(paths.iter().flatten().cloned());
            imported.unproven.push(path.clone());
        }
        Ok(paths)
    }
}

/// Whether a change alone is at fault, and the others can be staged without it. A file that the user
/// saved just now, or that the command is still writing, is for the next import.
fn is_about_one(error: &StagingError) -> bool {
    use ErrorKind::{Busy, Conflict, NotFound, Refused, Stale, Usage};
    matches!(error.kind(), Busy | Conflict | NotFound | Refused | Stale | Usage)
}
