//! Looking around as a session sees the tree: what is pending in it over the disk.

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

/// The directories of a workspace as one session sees them: what was pending in it when the
/// first name was looked for, over the disk as it is at each call.
///
/// Directories that a pending file needs are there; those that pending deletions empty stay,
/// as they do when the deletions are applied.
pub struct SessionView {
    layer: DiffStagingLayer,
    session: SessionId,
    /// Loaded when it is needed: thousands of patches may be pending.
    pending: OnceLock<Pending>,
}

/// By the path's bytes, so that what lies below a directory is one range.
type Pending = BTreeMap<Vec<u8>, Pended>;

/// What is pending at a path.
enum Pended {
    Gone,
    /// A file, a symbolic link with its target's digest, or a directory.
    There(FileStatus, Digest),
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name, one component.
    pub name: Vec<u8>,
    /// What it stands for; symlinks are not followed.
    pub kind: FileKind,
}

/// What a session sees of a name, never following a symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// What it is.
    pub kind: FileKind,
    /// The length in bytes; of no meaning for a directory.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// When the content last changed, or was proposed. A directory that is on no disk yet has
    /// no such time.
    pub modified_at: Option<Timestamp>,
    /// The pending patch that makes it what it is.
    pub patch: Option<PatchId>,
}

impl DiffStagingLayer {
    /// The tree as this session sees it now.
    ///
    /// # Errors
    /// When the session is not open.
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

    /// A directory that comes with the files that are pending in it.
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
        // A file may take a place that another patch frees.
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

    /// The path that a path really concerns: symlinks below the root are followed, as the session
    /// sees them.
    ///
    /// # Errors
    /// `Refused` when it is protected or leads out of the workspace.
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath> {
        self.layer.0.workspace.resolve_over(path, &mut |path| self.overlaid(path))
    }

    /// The name that a path really means when what is there is deleted or moved, or something
    /// else arrives there: a symlink that it is itself is not followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_name(&self, path: &RelPath) -> Result<RelPath> {
        self.layer.0.workspace.resolve_entry_over(path, &mut |path| self.overlaid(path))
    }

    /// What is pending at a path in place of what is on the disk.
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
                // What stays of a kind is as it is on the disk, in another directory perhaps.
                match self.stat(path) {
                    Ok(Some(there)) if there.kind == kind => return Ok(None),
                    _ if kind == FileKind::Directory => Overlaid::Directory,
                    _ => Overlaid::File,
                }
            }
        }))
    }

    /// Where the symbolic link leads that [`status`](Self::status) found at a path, as it is
    /// written; `None` where none is.
    ///
    /// # Errors
    /// When the disk or the store fails.
    pub fn read_link(&self, path: &RelPath) -> Result<Option<Vec<u8>>> {
        match self.overlaid(path)? {
            Some(Overlaid::Symlink(target)) => Ok(Some(target)),
            Some(_) => Ok(None),
            None => Ok(self.layer.0.workspace.read_link(path)?.map(|(target, _)| target)),
        }
    }

    /// What is at a path that [`resolve`](Self::resolve) gave, or that was listed; `None` when
    /// nothing is.
    ///
    /// # Errors
    /// When the disk fails.
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

    /// The names in a directory, the root when none is given, by name; `None` when it is
    /// absent, or no directory.
    ///
    /// # Errors
    /// `Refused` when the path is protected, or a symlink.
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
                // What comes into a directory in its place is behind it.
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

    /// The status of what is on the disk at a path, where the session leaves what is on the way.
    fn stat(&self, path: &RelPath) -> Result<Option<Stat>> {
        self.unless_off_disk(Some(path), self.layer.0.workspace.stat(path))
    }

    /// The names on the disk in a directory, where the session leaves what is on the way.
    fn entries(&self, dir: Option<&RelPath>) -> Result<Option<Vec<atomic_fs::Entry>>> {
        self.unless_off_disk(dir, self.layer.0.workspace.list(dir))
    }

    /// What the disk answers; nothing where it refuses a path on whose way the session takes
    /// something away: that is a symbolic link or a file, of which nothing is meant any more.
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

    /// What a listed name is, where the directory itself did not tell.
    fn kind_of(&self, dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<Option<FileKind>> {
        if let Some(kind) = entry.kind {
            return Ok(Some(kind));
        }
        Ok(self.stat(&child(dir, entry)?)?.map(|stat| stat.kind))
    }

    /// Whether a directory on the disk holds nothing but what the session takes away: applying
    /// removes it, too.
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

    /// Whether a pending file lies below a path.
    fn comes_with_files(&self, path: &RelPath) -> Result<bool> {
        Ok(self.below(Some(path))?.any(|(_, overlaid)| matches!(overlaid, Pended::There(..))))
    }

    /// What is pending below a directory, by the path from there.
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

/// The path of a name in a directory, the root when none is given.
fn child(dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<RelPath> {
    Ok(match dir {
        Some(dir) => dir.join(&entry.name)?,
        None => RelPath::parse(&entry.name)?,
    })
}
