//! The tree as a session sees it: its pending patches over the files on disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::OnceLock;

use atomic_fs::{Digest, FileKind, FsError, Overlaid, RelPath, Stat};

use crate::diffing::damaged;
use crate::error::Result;
use crate::ids::{PatchId, SessionId};
use crate::layer::DiffStagingLayer;
use crate::patch::{Operation, Patch};
use crate::store::patches;
use crate::time::Timestamp;

/// The tree of a workspace as one session sees it: the patches that were pending in it at the
/// first call, over the disk as it is at each call.
///
/// Parent directories of pending files exist in it. A directory that pending deletions empty does
/// not: applying them removes it.
pub struct SessionView {
    layer: DiffStagingLayer,
    session: SessionId,
    /// Loaded at the first call: thousands of patches may be pending.
    pending: OnceLock<Pending>,
}

/// By the path's bytes, so that the paths below a directory are one range.
type Pending = BTreeMap<Vec<u8>, Pended>;

/// The pending change at a path.
enum Pended {
    /// A patch deletes or moves what is on disk.
    Gone,
    /// A patch stages a file, a symbolic link or a directory, with this digest of its content.
    There(FileStatus, Digest),
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name, one component.
    pub name: Vec<u8>,
    /// The kind of the entry; symlinks are not followed.
    pub kind: FileKind,
}

/// What a session sees at a path; symlinks are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// A file, a directory, a symlink or something else.
    pub kind: FileKind,
    /// The length in bytes; it has no meaning for a directory.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// When the content last changed, or was proposed; `None` for a directory that does not exist
    /// on disk yet.
    pub modified_at: Option<Timestamp>,
    /// The pending patch that stages it; `None` when it is as on disk.
    pub patch: Option<PatchId>,
}

impl DiffStagingLayer {
    /// The tree as this session sees it now.
    ///
    /// # Errors
    /// `SessionNotFound` and `SessionNotOpen`; else an error of the store.
    pub fn session_view(&self, session: SessionId) -> Result<SessionView> {
        let found = self.0.require_open(session)?;
        self.0.note_activity(&found)?;
        Ok(SessionView { layer: self.clone(), session, pending: OnceLock::new() })
    }
}

impl FileStatus {
    fn of(patch: &Patch) -> Option<Self> {
        let staged = patch.staged?;
        Some(Self {
            kind: staged.kind().file_kind(),
            bytes: staged.bytes,
            mode: staged.mode & 0o7777,
            modified_at: Some(patch.updated_at),
            patch: Some(patch.id),
        })
    }

    fn on_disk(stat: &Stat) -> Self {
        Self {
            kind: stat.kind,
            bytes: stat.bytes,
            mode: stat.mode,
            modified_at: Some(Timestamp::from_unix_ns(stat.modified_ns)),
            patch: None,
        }
    }

    /// A directory that will be created with the pending files below it.
    fn new_directory() -> Self {
        let (kind, bytes, mode) = (FileKind::Directory, 0, 0o755);
        Self { kind, bytes, mode, modified_at: None, patch: None }
    }
}

impl SessionView {
    fn pending(&self) -> Result<&Pending> {
        if let Some(pending) = self.pending.get() {
            return Ok(pending);
        }
        let patches =
            self.layer.0.store.peek(|connection| patches::pending_in(connection, self.session))?;
        let mut pending = BTreeMap::new();
        for patch in &patches {
            if matches!(patch.operation, Operation::Delete | Operation::Rename) {
                pending.insert(patch.path.as_bytes().to_vec(), Pended::Gone);
            }
        }
        // After the deletions: a patch may stage a file at a path that another patch frees.
        for patch in &patches {
            let digest = patch.staged.map(|staged| staged.digest);
            if let (Some(target), Some(status), Some(digest)) =
                (patch.target(), FileStatus::of(patch), digest)
            {
                pending.insert(target.as_bytes().to_vec(), Pended::There(status, digest));
            }
        }
        Ok(self.pending.get_or_init(|| pending))
    }

    /// The path to which a path resolves: symlinks below the root are followed, as the session
    /// sees them.
    ///
    /// # Errors
    /// `Refused` when it is protected or leads out of the workspace; else an error of the disk or
    /// the store.
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath> {
        self.layer.0.workspace.resolve_over(path, &mut |path| self.overlaid(path))
    }

    /// The path to which a path resolves when it is to be deleted, moved or created: a symlink
    /// that is its last component is not followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_name(&self, path: &RelPath) -> Result<RelPath> {
        self.layer.0.workspace.resolve_entry_over(path, &mut |path| self.overlaid(path))
    }

    /// What is staged at a path in place of what is on disk.
    fn overlaid(&self, path: &RelPath) -> Result<Option<Overlaid>> {
        let Some(Pended::There(status, digest)) = self.pending()?.get(path.as_bytes()) else {
            let is_gone = self.pending()?.contains_key(path.as_bytes());
            return Ok(is_gone.then_some(Overlaid::Absent));
        };
        Ok(Some(match status.kind {
            FileKind::Symlink => {
                let target = self.layer.0.blobs.read(digest);
                Overlaid::Symlink(target.map_err(damaged(path))?)
            }
            kind => {
                // When the kind stays the same, the path resolves as on disk.
                match self.stat(path) {
                    Ok(Some(there)) if there.kind == kind => return Ok(None),
                    _ if kind == FileKind::Directory => Overlaid::Directory,
                    _ => Overlaid::File,
                }
            }
        }))
    }

    /// The target of the symbolic link that [`status`](Self::status) found at a path, as written in
    /// the link; `None` when there is none.
    ///
    /// # Errors
    /// An error of the disk or the store.
    pub fn read_link(&self, path: &RelPath) -> Result<Option<Vec<u8>>> {
        match self.overlaid(path)? {
            Some(Overlaid::Symlink(target)) => Ok(Some(target)),
            Some(_) => Ok(None),
            None => Ok(self.layer.0.workspace.read_link(path)?.map(|(target, _)| target)),
        }
    }

    /// What is at a path that [`resolve`](Self::resolve) or [`list`](Self::list) returned; `None`
    /// when there is nothing.
    ///
    /// # Errors
    /// An error of the disk or the store.
    pub fn status(&self, path: &RelPath) -> Result<Option<FileStatus>> {
        match self.pending()?.get(path.as_bytes()) {
            Some(Pended::There(status, _)) => return Ok(Some(*status)),
            _ if self.comes_with_files(path)? => {
                let there = self.stat(path)?;
                let there = there.filter(|stat| stat.kind == FileKind::Directory);
                let status = there.as_ref().map(FileStatus::on_disk);
                return Ok(Some(status.unwrap_or_else(FileStatus::new_directory)));
            }
            Some(Pended::Gone) => return Ok(None),
            None if self.is_emptied(path)? => return Ok(None),
            None => {}
        }
        Ok(self.stat(path)?.as_ref().map(FileStatus::on_disk))
    }

    /// The entries of a directory, or of the root for `None`, sorted by name; `None` when it does
    /// not exist, or is not a directory.
    ///
    /// # Errors
    /// `Refused` when the path is protected, or a symlink; else an error of the disk or the store.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Listed>>> {
        let on_disk = match dir {
            Some(dir) => match self.pending()?.get(dir.as_bytes()) {
                Some(Pended::There(status, _)) if status.kind != FileKind::Directory => {
                    return Ok(None);
                }
                Some(Pended::There(..)) => Some(self.entries(Some(dir))?.unwrap_or_default()),
                _ if self.is_emptied(dir)? => return Ok(None),
                _ => self.entries(Some(dir))?,
            },
            None => self.entries(None)?,
        };
        let mut names: BTreeMap<Vec<u8>, FileKind> = BTreeMap::new();
        let is_absent = on_disk.is_none();
        for entry in on_disk.into_iter().flatten() {
            let Some(kind) = self.kind_of(dir, &entry)? else { continue };
            let is_gone = kind == FileKind::Directory && self.is_emptied(&child(dir, &entry)?)?;
            if !is_gone {
                names.insert(entry.name, kind);
            }
        }
        let mut brings_any = false;
        for (below, overlaid) in self.below(dir)? {
            let direct = !below.contains(&b'/');
            match overlaid {
                // Paths below this one that are staged in its place come later in the range.
                Pended::Gone if direct => {
                    names.remove(below);
                }
                Pended::Gone => {}
                Pended::There(status, _) => {
                    let first = below.split(|byte| *byte == b'/').next().unwrap_or(below);
                    let kind = if direct { status.kind } else { FileKind::Directory };
                    names.insert(first.to_vec(), kind);
                    brings_any = true;
                }
            }
        }
        if is_absent && !brings_any {
            return Ok(None);
        }
        Ok(Some(names.into_iter().map(|(name, kind)| Listed { name, kind }).collect()))
    }

    /// The status of a path on disk; `None` when the session removes one of its parents.
    fn stat(&self, path: &RelPath) -> Result<Option<Stat>> {
        self.unless_off_disk(Some(path), self.layer.0.workspace.stat(path))
    }

    /// The entries of a directory on disk; `None` when the session removes one of its parents.
    fn entries(&self, dir: Option<&RelPath>) -> Result<Option<Vec<atomic_fs::Entry>>> {
        self.unless_off_disk(dir, self.layer.0.workspace.list(dir))
    }

    /// The disk's answer; `None` when the disk refuses the path and the session changes the path or
    /// one of its parents: that is a symbolic link or a file on disk, which the session replaces.
    fn unless_off_disk<T>(
        &self,
        path: Option<&RelPath>,
        answer: Result<Option<T>, FsError>,
    ) -> Result<Option<T>> {
        match answer {
            Err(FsError::Refused { path: refused, refusal }) => {
                let pending = self.pending()?;
                let mut above = std::iter::successors(path.cloned(), RelPath::parent);
                match above.any(|dir| pending.contains_key(dir.as_bytes())) {
                    true => Ok(None),
                    false => Err(FsError::Refused { path: refused, refusal }.into()),
                }
            }
            answer => Ok(answer?),
        }
    }

    /// The kind of a listed entry, also when the directory does not report kinds.
    fn kind_of(&self, dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<Option<FileKind>> {
        if let Some(kind) = entry.kind {
            return Ok(Some(kind));
        }
        Ok(self.stat(&child(dir, entry)?)?.map(|stat| stat.kind))
    }

    /// Whether the session removes everything in a directory on disk: applying removes the
    /// directory, too.
    fn is_emptied(&self, dir: &RelPath) -> Result<bool> {
        let takes_any =
            self.below(Some(dir))?.any(|(_, overlaid)| matches!(overlaid, Pended::Gone));
        if !takes_any || self.comes_with_files(dir)? {
            return Ok(false);
        }
        let Some(entries) = self.entries(Some(dir))? else { return Ok(false) };
        for entry in &entries {
            let path = child(Some(dir), entry)?;
            let is_gone = matches!(self.pending()?.get(path.as_bytes()), Some(Pended::Gone))
                || (self.kind_of(Some(dir), entry)? == Some(FileKind::Directory)
                    && self.is_emptied(&path)?);
            if !is_gone {
                return Ok(false);
            }
        }
        Ok(!entries.is_empty())
    }

    /// Whether a file is staged below a path.
    fn comes_with_files(&self, path: &RelPath) -> Result<bool> {
        Ok(self.below(Some(path))?.any(|(_, overlaid)| matches!(overlaid, Pended::There(..))))
    }

    /// What is pending below a directory, by the path relative to it.
    fn below<'v>(
        &'v self,
        dir: Option<&RelPath>,
    ) -> Result<impl Iterator<Item = (&'v [u8], &'v Pended)> + use<'v>> {
        let mut prefix = dir.map(|dir| dir.as_bytes().to_vec()).unwrap_or_default();
        if dir.is_some() {
            prefix.push(b'/');
        }
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let pending = self.pending()?.range::<Vec<u8>, _>(from);
        Ok(pending.map_while(move |(path, overlaid)| {
            Some((path.strip_prefix(prefix.as_slice())?, overlaid))
        }))
    }
}

/// The path of an entry of a directory, or of the root for `None`.
fn child(dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<RelPath> {
    Ok(match dir {
        Some(dir) => dir.join(&entry.name)?,
        None => RelPath::parse(&entry.name)?,
    })
}
