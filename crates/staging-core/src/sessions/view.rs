//! The tree as a session sees it: its pending patches over the files on disk.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use atomic_fs::{EntryKind, FileKind, Overlaid, RelPath, Stat};

use crate::error::Result;
use crate::ids::{PatchId, SessionId};
use crate::layer::DiffStagingLayer;
use crate::patch::Patch;
use crate::stage::proposal::Meaning;
use crate::stage::view::{AllPending, At, View, first_below};
use crate::store::patches;
use crate::time::Timestamp;

/// For how many paths a view reads what is pending there, before it reads all that is pending.
const FEW: usize = 8;

/// The tree of a workspace as one session sees it: the patches that are pending in it, over the disk,
/// both as they are at each call. Once a directory was listed, the patches in it are those of that
/// moment, and once the root was listed or many paths were asked for, all of them are.
///
/// Parent directories of pending files exist in it. A directory that pending deletions empty does
/// not: applying them removes it.
pub struct SessionView {
    layer: DiffStagingLayer,
    session: SessionId,
    /// All that is pending, once more than a few paths were asked for: thousands of patches may be
    /// pending.
    all: OnceLock<AllPending>,
    /// The first directory that was listed, with what is pending in it: those below it may follow.
    listed: OnceLock<(RelPath, AllPending)>,
    /// For how many paths what is pending was read.
    asked: AtomicUsize,
}

/// What is pending at a path, and below it.
struct Around {
    at: At,
    /// Whether something is staged below it.
    brings: bool,
    /// Whether something is removed or moved away below it; it need not say so where something is staged.
    removes: bool,
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
        Ok(SessionView {
            layer: self.clone(),
            session,
            all: OnceLock::new(),
            listed: OnceLock::new(),
            asked: AtomicUsize::new(0),
        })
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
    /// What is known to be pending at a path and below it.
    fn known(&self, path: Option<&RelPath>) -> Option<&AllPending> {
        let listed = || {
            let (dir, pending) = self.listed.get()?;
            path.is_some_and(|path| path == dir || path.starts_with(dir)).then_some(pending)
        };
        self.all.get().or_else(listed)
    }

    /// Everything that is pending.
    fn all(&self) -> Result<&AllPending> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let all = self.layer.0.store.peek(|c| At::read_all(c, self.session))?;
        Ok(self.all.get_or_init(|| all))
    }

    /// Whether a question is one of few, for which all that is pending is not read.
    fn is_one_of_few(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) < FEW
    }

    /// What is pending in a directory, or in the root for `None`.
    fn pending_in(&self, dir: Option<&RelPath>) -> Result<&AllPending> {
        if let Some(known) = self.known(dir) {
            return Ok(known);
        }
        let Some(dir) = dir.filter(|_| self.listed.get().is_none()) else { return self.all() };
        let session = self.session;
        let pending = self.layer.0.store.read(|c| At::read_around(c, session, dir))?;
        // Another thread may have listed another directory meanwhile.
        let _ = self.listed.set((dir.clone(), pending));
        self.known(Some(dir)).map_or_else(|| self.all(), Ok)
    }

    /// What is pending at a path, and whether something is below it.
    fn around(&self, path: &RelPath) -> Result<Around> {
        let known = match self.known(Some(path)) {
            None if !self.is_one_of_few() => Some(self.all()?),
            known => known,
        };
        if let Some(pending) = known {
            let at = pending.get(path).cloned().unwrap_or_default();
            let (brings, removes) = (brings_below(pending, path), removes_below(pending, path));
            return Ok(Around { at, brings, removes });
        }
        self.layer.0.store.read(|c| {
            let at = At::read(c, self.session, path)?;
            let brings = patches::any_staged_below(c, self.session, path)?;
            let removes = patches::any_freed_below(c, self.session, path)?;
            Ok(Around { at, brings, removes })
        })
    }

    fn view(&self) -> View<'_> {
        match self.all.get() {
            Some(all) => View::reading(&self.layer.0, self.session, all),
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
        self.view().resolve(path, Meaning::Content, &HashSet::new())
    }

    /// The path to which a path resolves when it is to be deleted, moved or created: a symlink
    /// that is its last component is not followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_name(&self, path: &RelPath) -> Result<RelPath> {
        self.view().resolve(path, Meaning::Name, &HashSet::new())
    }

    /// The target of the symbolic link that [`status`](Self::status) found at a path, as written in
    /// the link; `None` when there is none.
    ///
    /// # Errors
    /// An error of the disk or the store.
    pub fn read_link(&self, path: &RelPath) -> Result<Option<Vec<u8>>> {
        match self.view().overlaid(path, &HashSet::new())? {
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
        let Around { at, brings, removes } = self.around(path)?;
        let view = self.view();
        let on_disk = || Ok(view.stat(path)?.as_ref().map(FileStatus::on_disk));
        if let Some(patch) = at.staged() {
            return Ok(FileStatus::of(patch));
        }
        if brings {
            let there = on_disk()?.filter(|there| there.kind == FileKind::Directory);
            return Ok(Some(there.unwrap_or_else(FileStatus::new_directory)));
        }
        if at.is_freed() || (removes && view.is_emptied(path, &|_| false)?) {
            return Ok(None);
        }
        on_disk()
    }

    /// The entries of a directory, or of the root for `None`, sorted by name; `None` when it does
    /// not exist, or is not a directory.
    ///
    /// # Errors
    /// `Refused` when the path is protected, or a symlink; else an error of the disk or the store.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Listed>>> {
        let pending = self.pending_in(dir)?;
        let view = self.view();
        let staged = dir.and_then(|dir| pending.get(dir)).and_then(At::staged);
        let is_gone = match (dir, staged) {
            (_, Some(staged)) => staged.kind() != EntryKind::Directory,
            (Some(dir), None) => is_emptied(&view, pending, dir)?,
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
            if kind != FileKind::Directory || !is_emptied(&view, pending, &path)? {
                names.insert(entry.name, kind);
            }
        }
        for (path, at) in below(pending, dir) {
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
}

/// Whether the session removes everything in a directory on disk: applying removes the directory, too.
/// Only a directory in which something is removed is read.
fn is_emptied(view: &View<'_>, pending: &AllPending, dir: &RelPath) -> Result<bool> {
    let may_be = removes_below(pending, dir) && !brings_below(pending, dir);
    let is_freed = |path: &RelPath| pending.get(path).is_some_and(At::is_freed);
    Ok(may_be && view.is_emptied(dir, &is_freed)?)
}

/// Whether something is staged below a path.
fn brings_below(pending: &AllPending, path: &RelPath) -> bool {
    below(pending, Some(path)).any(|(_, at)| at.staged().is_some())
}

/// Whether something is removed or moved away below a path.
fn removes_below(pending: &AllPending, path: &RelPath) -> bool {
    below(pending, Some(path)).any(|(_, at)| at.is_freed())
}

/// What is pending below a directory, or below the root for `None`.
fn below<'p>(
    pending: &'p AllPending,
    dir: Option<&'p RelPath>,
) -> impl Iterator<Item = (&'p RelPath, &'p At)> {
    let from = match dir {
        None => Some(Bound::Unbounded),
        Some(dir) => first_below(dir).map(Bound::Included),
    };
    let after = from.map(|from| pending.range((from, Bound::Unbounded))).into_iter().flatten();
    after.take_while(move |(path, _)| dir.is_none_or(|dir| path.starts_with(dir)))
}

/// The path of an entry of a directory, or of the root for `None`.
fn child(dir: Option<&RelPath>, entry: &atomic_fs::Entry) -> Result<RelPath> {
    Ok(match dir {
        Some(dir) => dir.join(&entry.name)?,
        None => RelPath::parse(&entry.name)?,
    })
}
