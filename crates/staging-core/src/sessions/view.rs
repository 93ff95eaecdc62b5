//! The tree as a session sees it: its pending patches over the files on disk.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::OnceLock;

use atomic_fs::{EntryKind, FileKind, Overlaid, RelPath, Stat};

use crate::error::Result;
use crate::ids::{PatchId, SessionId};
use crate::layer::DiffStagingLayer;
use crate::patch::Patch;
use crate::stage::proposal::Meaning;
use crate::stage::view::{AllPending, At, View, first_below};
use crate::time::Timestamp;

/// The tree of a workspace as one session sees it: the patches that were pending in it at the
/// first call of [`status`](Self::status) or [`list`](Self::list), over the disk as it is at each call.
///
/// Parent directories of pending files exist in it. A directory that pending deletions empty does
/// not: applying them removes it.
pub struct SessionView {
    layer: DiffStagingLayer,
    session: SessionId,
    /// Loaded when it is needed: thousands of patches may be pending.
    pending: OnceLock<AllPending>,
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
    fn pending(&self) -> Result<&AllPending> {
        if let Some(pending) = self.pending.get() {
            return Ok(pending);
        }
        let pending = self.layer.0.store.peek(|c| At::read_all(c, self.session))?;
        Ok(self.pending.get_or_init(|| pending))
    }

    fn view(&self) -> Result<View<'_>> {
        Ok(View::reading(&self.layer.0, self.session, self.pending()?))
    }

    /// A view for a question about few paths: without all that is pending, unless that is known.
    fn view_of_few(&self) -> View<'_> {
        match self.pending.get() {
            Some(pending) => View::reading(&self.layer.0, self.session, pending),
            None => View::new(&self.layer.0, self.session),
        }
    }

    /// The path to which a path resolves: symlinks below the root are followed, as the session
    /// sees them.
    ///
    /// # Errors
    /// `Refused` when it is protected or leads out of the workspace; else an error of the disk or
    /// the store.
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath> {
        self.view_of_few().resolve(path, Meaning::Content, &HashSet::new())
    }

    /// The path to which a path resolves when it is to be deleted, moved or created: a symlink
    /// that is its last component is not followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_name(&self, path: &RelPath) -> Result<RelPath> {
        self.view_of_few().resolve(path, Meaning::Name, &HashSet::new())
    }

    /// The target of the symbolic link that [`status`](Self::status) found at a path, as written in
    /// the link; `None` when there is none.
    ///
    /// # Errors
    /// An error of the disk or the store.
    pub fn read_link(&self, path: &RelPath) -> Result<Option<Vec<u8>>> {
        match self.view_of_few().overlaid(path, &HashSet::new())? {
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
        let view = self.view()?;
        let on_disk = || Ok(view.stat(path)?.as_ref().map(FileStatus::on_disk));
        match self.pending()?.get(path) {
            Some(at) if at.staged().is_some() => Ok(at.staged().and_then(FileStatus::of)),
            _ if self.brings_below(path)? => {
                let there = on_disk()?.filter(|there| there.kind == FileKind::Directory);
                Ok(Some(there.unwrap_or_else(FileStatus::new_directory)))
            }
            Some(_) => Ok(None),
            None if self.is_emptied(&view, path)? => Ok(None),
            None => on_disk(),
        }
    }

    /// The entries of a directory, or of the root for `None`, sorted by name; `None` when it does
    /// not exist, or is not a directory.
    ///
    /// # Errors
    /// `Refused` when the path is protected, or a symlink; else an error of the disk or the store.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Listed>>> {
        let view = self.view()?;
        let staged = match dir {
            Some(dir) => self.pending()?.get(dir).and_then(At::staged),
            None => None,
        };
        let is_gone = match (dir, staged) {
            (_, Some(staged)) => staged.kind() != EntryKind::Directory,
            (Some(dir), None) => self.is_emptied(&view, dir)?,
            (None, None) => false,
        };
        if is_gone {
            return Ok(None);
        }
        let on_disk = view.list(dir)?;
        let mut exists = on_disk.is_some() || staged.is_some();
        let mut names: BTreeMap<Vec<u8>, FileKind> = BTreeMap::new();
        for entry in on_disk.into_iter().flatten() {
            let path = child(dir, &entry)?;
            let Some(kind) = view.kind_of(&path, &entry)? else { continue };
            if kind != FileKind::Directory || !self.is_emptied(&view, &path)? {
                names.insert(entry.name, kind);
            }
        }
        for (path, at) in self.below(dir)? {
            let below = &path.as_bytes()[dir.map_or(0, |dir| dir.as_bytes().len() + 1)..];
            let name = below.split(|byte| *byte == b'/').next().unwrap_or(below);
            let is_direct = name == below;
            match at.staged() {
                // Paths below this one that are staged in its place come later in the range.
                None if is_direct => {
                    names.remove(name);
                }
                None => {}
                Some(patch) => {
                    let kind = patch.kind().file_kind();
                    names.insert(name.to_vec(), if is_direct { kind } else { FileKind::Directory });
                    exists = true;
                }
            }
        }
        let listed = names.into_iter().map(|(name, kind)| Listed { name, kind });
        Ok(exists.then(|| listed.collect()))
    }

    /// Whether the session removes everything in a directory on disk: applying removes the
    /// directory, too. Only a directory in which something is removed is read.
    fn is_emptied(&self, view: &View<'_>, dir: &RelPath) -> Result<bool> {
        let removes_any = self.below(Some(dir))?.any(|(_, at)| at.staged().is_none());
        Ok(removes_any && !self.brings_below(dir)? && view.is_emptied(dir, &|_| false)?)
    }

    /// Whether something is staged below a path.
    fn brings_below(&self, path: &RelPath) -> Result<bool> {
        Ok(self.below(Some(path))?.any(|(_, at)| at.staged().is_some()))
    }

    /// What is pending below a directory, or below the root for `None`.
    fn below<'v>(
        &'v self,
        dir: Option<&'v RelPath>,
    ) -> Result<impl Iterator<Item = (&'v RelPath, &'v At)>> {
        let from = match dir {
            None => Some(Bound::Unbounded),
            Some(dir) => first_below(dir).map(Bound::Included),
        };
        let pending = self.pending()?;
        let after = from.map(|from| pending.range((from, Bound::Unbounded))).into_iter().flatten();
        Ok(after.take_while(move |(path, _)| dir.is_none_or(|dir| path.starts_with(dir))))
    }
}

/// The path of an entry of a directory, or of the root for `None`.
fn child(dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<RelPath> {
    Ok(match dir {
        Some(dir) => dir.join(&entry.name)?,
        None => RelPath::parse(&entry.name)?,
    })
}
