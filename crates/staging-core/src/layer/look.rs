//! Looking around as a session sees the tree: what is pending in it over the disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::OnceLock;

use atomic_fs::{FileKind, FsError, RelPath, Stat};

use super::DiffStagingLayer;
use super::resolve::past_what_is_freed;
use crate::Result;
use crate::ids::{PatchId, SessionId};
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
type Pending = BTreeMap<Vec<u8>, Overlaid>;

/// What is pending at a path.
enum Overlaid {
    Gone,
    File(FileStatus),
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
    pub fn look(&self, session: SessionId) -> Result<SessionView> {
        let found = self.0.require_open(session)?;
        self.0.note_activity(&found)?;
        Ok(SessionView { layer: self.clone(), session, pending: OnceLock::new() })
    }
}

impl FileStatus {
    fn of(patch: &Patch) -> Option<Self> {
        let staged = patch.staged?;
        Some(Self {
            kind: FileKind::Regular,
            bytes: staged.bytes,
            mode: staged.mode,
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
            self.layer.0.store.look(|connection| patches::pending_in(connection, self.session))?;
        let mut pending = BTreeMap::new();
        for patch in &patches {
            if matches!(patch.operation, Operation::Delete | Operation::Rename) {
                pending.insert(patch.path.as_bytes().to_vec(), Overlaid::Gone);
            }
        }
        // A file may take a place that another patch frees.
        for patch in &patches {
            if let (Some(target), Some(status)) = (patch.target(), FileStatus::of(patch)) {
                pending.insert(target.as_bytes().to_vec(), Overlaid::File(status));
            }
        }
        Ok(self.pending.get_or_init(|| pending))
    }

    /// The path that a path really concerns: symlinks below the root are followed.
    ///
    /// # Errors
    /// `Refused` when it is protected or leads out of the workspace.
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath> {
        self.past_what_is_gone(path, self.layer.0.workspace.resolve(path))
    }

    /// The name that a path really means when what is there is deleted or moved, or something
    /// else arrives there.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), and `Refused` when a symlink is there.
    pub fn resolve_name(&self, path: &RelPath) -> Result<RelPath> {
        self.past_what_is_gone(path, self.layer.0.workspace.resolve_name(path))
    }

    /// A file, or a link, on the way to a path may be one that the session takes away.
    fn past_what_is_gone(
        &self,
        path: &RelPath,
        resolved: Result<RelPath, FsError>,
    ) -> Result<RelPath> {
        let pending = self.pending()?;
        let is_freed =
            |path: &RelPath| Ok(matches!(pending.get(path.as_bytes()), Some(Overlaid::Gone)));
        past_what_is_freed(&self.layer.0.workspace, path, resolved, &is_freed)
    }

    /// What is at a path that [`resolve`](Self::resolve) gave, or that was listed; `None` when
    /// nothing is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn status(&self, path: &RelPath) -> Result<Option<FileStatus>> {
        match self.pending()?.get(path.as_bytes()) {
            Some(Overlaid::File(status)) => return Ok(Some(*status)),
            _ if self.comes_with_files(path)? => {
                let there = self.layer.0.workspace.stat(path)?;
                let there = there.filter(|stat| stat.kind == FileKind::Directory);
                let status = there.as_ref().map(FileStatus::on_disk);
                return Ok(Some(status.unwrap_or_else(FileStatus::new_directory)));
            }
            Some(Overlaid::Gone) => return Ok(None),
            None if self.is_emptied(path)? => return Ok(None),
            None => {}
        }
        Ok(self.layer.0.workspace.stat(path)?.as_ref().map(FileStatus::on_disk))
    }

    /// The names in a directory, the root when none is given, by name; `None` when it is
    /// absent, or no directory.
    ///
    /// # Errors
    /// `Refused` when the path is protected, or a symlink.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Listed>>> {
        let on_disk = match dir {
            Some(dir) if matches!(self.pending()?.get(dir.as_bytes()), Some(Overlaid::File(_))) => {
                return Ok(None);
            }
            Some(dir) if self.is_emptied(dir)? => return Ok(None),
            dir => self.layer.0.workspace.list(dir)?,
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
                Overlaid::Gone if direct => {
                    // A directory may have come to be where a file goes.
                    if names.get(below).is_some_and(|kind| *kind != FileKind::Directory) {
                        names.remove(below);
                    }
                }
                Overlaid::Gone => {}
                Overlaid::File(status) => {
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

    /// What a listed name is, where the directory itself did not tell.
    fn kind_of(&self, dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<Option<FileKind>> {
        if let Some(kind) = entry.kind {
            return Ok(Some(kind));
        }
        Ok(self.layer.0.workspace.stat(&child(dir, entry)?)?.map(|stat| stat.kind))
    }

    /// Whether a directory on the disk holds nothing but what the session takes away: applying
    /// removes it, too.
    fn is_emptied(&self, dir: &RelPath) -> Result<bool> {
        let takes_any =
            self.below(Some(dir))?.any(|(_, overlaid)| matches!(overlaid, Overlaid::Gone));
        if !takes_any || self.comes_with_files(dir)? {
            return Ok(false);
        }
        let Some(entries) = self.layer.0.workspace.list(Some(dir))? else { return Ok(false) };
        for entry in &entries {
            let path = child(Some(dir), entry)?;
            let is_gone = match self.kind_of(Some(dir), entry)? {
                Some(FileKind::Directory) => self.is_emptied(&path)?,
                _ => matches!(self.pending()?.get(path.as_bytes()), Some(Overlaid::Gone)),
            };
            if !is_gone {
                return Ok(false);
            }
        }
        Ok(!entries.is_empty())
    }

    /// Whether a pending file lies below a path.
    fn comes_with_files(&self, path: &RelPath) -> Result<bool> {
        Ok(self.below(Some(path))?.any(|(_, overlaid)| matches!(overlaid, Overlaid::File(_))))
    }

    /// What is pending below a directory, by the path from there.
    fn below<'v>(
        &'v self,
        dir: Option<&RelPath>,
    ) -> Result<impl Iterator<Item = (&'v [u8], &'v Overlaid)> + use<'v>> {
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
