//! What a session sees, its pending patches over the disk, and the changes that the current call
//! plans.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Read as _};
use std::sync::Arc;

use atomic_fs::{Digest, EntryKind, FileKind, Fingerprint, FsError, Refusal, RelPath};
use diff_engine::HEAD_BYTES;
use rusqlite::Connection;

use crate::base::Base;
use crate::contents::blobs::Put;
use crate::diffing::damaged;
use crate::error::{Result, StagingError};
use crate::ids::{PatchId, SessionId};
use crate::layer::Inner;
use crate::patch::{Operation, Patch};
use crate::stage::proposal::{EDIT_BYTES_MAX, Reading};
use crate::stage::read_base::{BaseRead, ReadLimit, Stored};
use crate::store::contents::Entry;
use crate::store::patches;

/// Contents of one call that are held in memory to be compared.
const HELD_BYTES_MAX: u64 = 32 << 20;

/// What a session sees, and what is planned.
pub(crate) struct View<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) session: SessionId,
    /// The pending patch that each touched path will have; `None` for none.
    pub(crate) planned: BTreeMap<RelPath, Option<Box<Patch>>>,
    /// The source of each planned rename, by its target.
    targets: BTreeMap<RelPath, RelPath>,
    /// The paths at which planned patches create a file, in order.
    brought: BTreeSet<RelPath>,
    /// Pending creates that moved: the path that they have in the store, by where they are now.
    pub(crate) origins: BTreeMap<RelPath, RelPath>,
    /// What the store has at each path that was asked for, read once: the commit checks that the
    /// session has not changed since.
    seen: RefCell<HashMap<RelPath, At>>,
    /// Everything that is pending, for a view that only reads; the store is not asked then.
    all: Option<&'a AllPending>,
    /// What is on the disk at each path that was asked for. A path is read once, so that the
    /// content that is edited and compared is the patch's base; a later save of the user makes
    /// the patch stale.
    bases: HashMap<RelPath, Option<Base>>,
    /// The files of these bases, by device and inode.
    files: HashMap<(u64, u64), RelPath>,
    /// Pending patches whose files were checked.
    looked_at: RefCell<HashSet<PatchId>>,
    held: HashMap<Digest, Arc<[u8]>>,
    held_bytes: u64,
    /// Everything that the call stored.
    pub(crate) stored: Vec<Put>,
    /// Where it is, for contents that were not in the store before.
    entries: HashMap<Digest, Entry>,
    /// The length of these contents, in bytes.
    put_bytes: u64,
    /// Whether another call released a content before this one could read it.
    pub(crate) has_raced: Cell<bool>,
    /// Planned paths of changes that were made from something unknown: their patches are stale at once.
    pub(crate) unproven: BTreeSet<RelPath>,
    /// Discarded patches that are planned again for a reviewer.
    pub(crate) refreshed: Vec<(PatchId, RelPath)>,
    /// Whether the reviewer plans the change, and not the agent.
    pub(crate) is_reviewers: bool,
    /// Whether a reviewer's edit was lost at any path, once that was asked for.
    pub(crate) has_lost_edits: Cell<Option<bool>>,
    /// Whether a symbolic link was planned.
    pub(crate) plans_link: bool,
    /// Whether a pending patch in the store brings one, once that was asked for.
    pub(crate) has_links: Cell<Option<bool>>,
}

/// What is pending in a session, by path: what is below a directory is one range.
pub(crate) type AllPending = BTreeMap<RelPath, At>;

/// What is pending at a path.
#[derive(Clone, Default)]
pub(crate) struct At {
    /// The patch on the path.
    patch: Option<Box<Patch>>,
    /// The rename to it.
    rename: Option<Box<Patch>>,
}

impl At {
    /// Reads it.
    pub(crate) fn read(connection: &Connection, id: SessionId, path: &RelPath) -> Result<Self> {
        let patch = patches::at_path(connection, id, path)?.map(Box::new);
        let rename = patches::at_target(connection, id, path)?.map(Box::new);
        Ok(Self { patch, rename })
    }

    /// Reads it for every path at which something is pending.
    pub(crate) fn read_all(connection: &Connection, id: SessionId) -> Result<AllPending> {
        Ok(Self::by_path(patches::pending_in(connection, id)?))
    }

    /// Reads it for a path and those below it. What it says about other paths is not all.
    pub(crate) fn read_around(
        connection: &Connection,
        id: SessionId,
        path: &RelPath,
    ) -> Result<AllPending> {
        Ok(Self::by_path(patches::pending_around(connection, id, path)?))
    }

    fn by_path(patches: Vec<Patch>) -> AllPending {
        let mut all = AllPending::new();
        for patch in patches {
            let patch = Box::new(patch);
            if let Some(to) = &patch.rename_to {
                all.entry(to.clone()).or_default().rename = Some(patch.clone());
            }
            let path = patch.path.clone();
            all.entry(path).or_default().patch = Some(patch);
        }
        all
    }

    /// The patch on the path, and the rename to it.
    pub(crate) fn patches(&self) -> impl Iterator<Item = &Patch> {
        self.patch.iter().chain(&self.rename).map(|patch| &**patch)
    }

    /// Whether a patch removes what was at the path, or moves it away.
    pub(crate) fn is_freed(&self) -> bool {
        self.patch.is_some() && self.staged().is_none()
    }

    /// The patch that stages what is at the path; without one, what was there is removed.
    pub(crate) fn staged(&self) -> Option<&Patch> {
        let stays = |patch: &&Patch| patch.target() == Some(&patch.path);
        self.rename.as_deref().or(self.patch.as_deref().filter(stays))
    }
}

/// What the session, or the current call, makes of a path.
pub(crate) enum Pending {
    /// The patch stages what is there.
    Staged(Patch),
    /// The patch deletes what was there, or moves it away.
    Removed(Patch),
}

/// A file as the session sees it.
pub(crate) enum Found {
    /// A pending patch determines it.
    Pending(Box<Patch>),
    /// It is as on the disk.
    Disk(Box<Base>),
    /// There is none.
    Absent,
}

impl Found {
    /// What the session sees there.
    pub(crate) fn content(self) -> Option<Fingerprint> {
        match self {
            Self::Absent => None,
            Self::Disk(base) => Some(base.content),
            Self::Pending(patch) => patch.staged,
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(inner: &'a Inner, session: SessionId) -> Self {
        Self {
            inner,
            session,
            planned: BTreeMap::new(),
            targets: BTreeMap::new(),
            brought: BTreeSet::new(),
            origins: BTreeMap::new(),
            seen: RefCell::default(),
            all: None,
            bases: HashMap::new(),
            files: HashMap::new(),
            looked_at: RefCell::default(),
            held: HashMap::new(),
            held_bytes: 0,
            stored: Vec::new(),
            entries: HashMap::new(),
            put_bytes: 0,
            has_raced: Cell::new(false),
            unproven: BTreeSet::new(),
            refreshed: Vec::new(),
            is_reviewers: false,
            has_lost_edits: Cell::new(None),
            plans_link: false,
            has_links: Cell::new(None),
        }
    }

    /// A view that only reads, of a session whose pending patches are all known.
    pub(crate) fn reading(inner: &'a Inner, session: SessionId, all: &'a AllPending) -> Self {
        Self { all: Some(all), ..Self::new(inner, session) }
    }

    /// What is pending at a path.
    pub(crate) fn pending(&self, path: &RelPath) -> Result<Option<Pending>> {
        if let Some(rename) = self.at_target(path)? {
            return Ok(Some(Pending::Staged(rename)));
        }
        Ok(self.at_path(path)?.map(|patch| match patch.frees(path) {
            true => Pending::Removed(patch),
            false => Pending::Staged(patch),
        }))
    }

    /// The pending patch on a path.
    pub(crate) fn at_path(&self, path: &RelPath) -> Result<Option<Patch>> {
        match self.planned.get(path) {
            Some(planned) => Ok(planned.as_deref().cloned()),
            None => self.stored_at(path),
        }
    }

    /// The pending patch on a path in the store, before this call.
    pub(crate) fn stored_at(&self, path: &RelPath) -> Result<Option<Patch>> {
        self.seen(path, |at| at.patch.as_deref().cloned())
    }

    /// Notes what the store had at a path.
    pub(crate) fn note(&self, path: RelPath, at: At) {
        self.seen.borrow_mut().insert(path, at);
    }

    fn seen<T>(&self, path: &RelPath, take: impl FnOnce(&At) -> T) -> Result<T> {
        if let Some(all) = self.all {
            return Ok(take(all.get(path).unwrap_or(&At::default())));
        }
        if let Some(at) = self.seen.borrow().get(path) {
            return Ok(take(at));
        }
        let at = self.inner.store.read(|c| At::read(c, self.session, path))?;
        let taken = take(&at);
        self.note(path.clone(), at);
        Ok(taken)
    }

    /// The pending rename to a path.
    pub(crate) fn at_target(&self, path: &RelPath) -> Result<Option<Patch>> {
        if let Some(from) = self.targets.get(path) {
            return self.at_path(from);
        }
        let found = self.seen(path, |at| at.rename.as_deref().cloned())?;
        Ok(found.filter(|patch| !self.planned.contains_key(&patch.path)))
    }

    /// The file at a path; its base is stored when it is read from the disk.
    pub(crate) fn find(&mut self, path: &RelPath, reading: Reading) -> Result<Found> {
        match self.pending(path)? {
            Some(Pending::Staged(patch)) => {
                self.require_fresh(&patch)?;
                Ok(Found::Pending(Box::new(patch)))
            }
            Some(Pending::Removed(patch)) => {
                self.require_fresh(&patch)?;
                Ok(Found::Absent)
            }
            None => {
                let base = self.base(path, reading)?;
                Ok(base.map_or(Found::Absent, |base| Found::Disk(Box::new(base))))
            }
        }
    }

    /// The base of a path without a pending patch, read once in a call.
    pub(crate) fn base(&mut self, path: &RelPath, reading: Reading) -> Result<Option<Base>> {
        if let Some(base) = self.bases.get(path) {
            return Ok(*base);
        }
        let (what, bytes_max) = match reading {
            Reading::Base => ("a file, in bytes,", u64::MAX),
            Reading::BaseToStage => {
                ("what a session stages, in bytes,", self.inner.options.session_bytes_max)
            }
            Reading::BaseToEdit => ("a file that is edited, in bytes,", EDIT_BYTES_MAX),
        };
        let limit = ReadLimit { what, bytes_max, put_bytes: self.put_bytes };
        let read = match self.inner.read_base(path, limit) {
            Err(error) if is_directory(&error) && self.is_emptied(path, &|_| false)? => None,
            Err(StagingError::Fs(FsError::Refused { .. })) if self.is_off_disk(path)? => None,
            read => read?,
        };
        let base = match read {
            None => None,
            Some(BaseRead { base, stored, has_one_name }) => {
                self.hold(&stored);
                if has_one_name && base.kind() == EntryKind::File {
                    self.refuse_second_spelling(path, &base)?;
                }
                Some(base)
            }
        };
        self.bases.insert(path.clone(), base);
        Ok(base)
    }

    /// Whether nothing is on the disk at a path without a pending patch; if so, that is the base of
    /// what is created there.
    pub(crate) fn is_vacant(&mut self, path: &RelPath, leaving: Option<&RelPath>) -> Result<bool> {
        if let Some(base) = self.bases.get(path) {
            return Ok(base.is_none());
        }
        let is_vacant = match self.stat(path)? {
            None => true,
            Some(stat) => {
                stat.kind == FileKind::Directory
                    && self.is_emptied(path, &|path| leaving == Some(path))?
            }
        };
        if is_vacant {
            self.bases.insert(path.clone(), None);
        }
        Ok(is_vacant)
    }

    /// Refuses a file that was read by another path in this call and has one name: a file system
    /// that folds names, or a mount, shows one file twice, and two patches of it would undo each
    /// other.
    fn refuse_second_spelling(&mut self, path: &RelPath, base: &Base) -> Result<()> {
        let file = (base.stat.device, base.stat.inode);
        match self.files.insert(file, path.clone()) {
            Some(other) if other != *path => Err(StagingError::usage(format!(
                "`{other}` and `{path}` are one file: bring its changes together under one name"
            ))),
            _ => Ok(()),
        }
    }

    /// Notes content that was stored, and holds it while there is room.
    pub(crate) fn hold(&mut self, stored: &Stored) {
        let put = stored.put();
        self.stored.push(put);
        if let Some(entry) = put.entry
            && self.entries.insert(put.digest, entry).is_none()
        {
            self.put_bytes += entry.bytes;
        }
        if let Some(content) = &stored.content
            && self.held_bytes + stored.bytes <= HELD_BYTES_MAX
            && self.held.insert(stored.digest, Arc::clone(content)).is_none()
        {
            self.held_bytes += stored.bytes;
        }
    }

    /// Where this call put a content, if it did.
    pub(crate) fn entry(&self, digest: &Digest) -> Option<Entry> {
        self.entries.get(digest).copied()
    }

    pub(crate) fn held(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        self.held.get(digest).cloned()
    }

    /// The first bytes of such a content, which may be of any length; they are not verified.
    pub(crate) fn head(&self, path: &RelPath, digest: &Digest) -> Result<Vec<u8>> {
        let read = || {
            let mut head = Vec::with_capacity(HEAD_BYTES);
            let blob = self.inner.blobs.open_blob(digest, self.entry(digest))?;
            blob.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
            Ok(head)
        };
        read().map_err(|error| self.unread(path, digest, error))
    }

    /// A content that this call put, or that is in the store.
    pub(crate) fn content(&self, path: &RelPath, digest: &Digest) -> Result<Arc<[u8]>> {
        if let Some(held) = self.held(digest) {
            return Ok(held);
        }
        // It has no row before the call is committed.
        let read = self.inner.blobs.read(digest, self.entry(digest));
        read.map(Into::into).map_err(|error| self.unread(path, digest, error))
    }

    /// The error of a content that could not be read. Another call may have released it: then this
    /// one is tried again.
    fn unread(&self, path: &RelPath, digest: &Digest, error: io::Error) -> StagingError {
        let is_gone = error.kind() == io::ErrorKind::NotFound && !self.inner.blobs.knows(digest);
        self.has_raced.set(self.has_raced.get() || is_gone);
        damaged(path)(error)
    }

    /// Frees what was found on the disk once everything is planned: for a large call that is much.
    pub(crate) fn forget_disk(&mut self) {
        self.bases = HashMap::new();
        self.files = HashMap::new();
        self.looked_at = RefCell::default();
        self.brought = BTreeSet::new();
    }

    /// Frees everything that is not needed to commit the plan.
    pub(crate) fn forget_plan(&mut self) {
        self.forget_disk();
        self.seen = RefCell::default();
        self.held = HashMap::new();
        self.targets = BTreeMap::new();
        self.planned = BTreeMap::new();
    }

    /// Plans the pending patch that a path will have.
    pub(crate) fn plan(&mut self, path: &RelPath, patch: Option<Patch>) {
        if let Some(Some(before)) = self.planned.get(path) {
            if let Some(target) = &before.rename_to {
                self.targets.remove(target);
            }
            if let Some(target) = before.brought() {
                self.brought.remove(target);
            }
        }
        if let Some(target) = patch.as_ref().and_then(|patch| patch.rename_to.clone()) {
            self.targets.insert(target, path.clone());
        }
        self.brought.extend(patch.as_ref().and_then(Patch::brought).cloned());
        self.plans_link |= patch.as_ref().is_some_and(|patch| patch.kind() == EntryKind::Symlink);
        self.planned.insert(path.clone(), patch.map(Box::new));
    }

    /// Refuses a path below a file that the session creates, and one for anything but a directory
    /// above what it creates. What is on the disk was checked when the path was resolved.
    pub(crate) fn check_room(&self, path: &RelPath, kind: EntryKind) -> Result<()> {
        let blocked = |other: &RelPath| StagingError::PathBlocked {
            path: path.clone(),
            other: other.clone(),
        };
        let holds_nothing = |patch: &Patch| {
            let is_new = patch.base.is_none() || patch.changes_kind();
            is_new && patch.staged.is_some_and(|staged| staged.kind() != EntryKind::Directory)
        };
        let mut above = path.parent();
        while let Some(parent) = above {
            let there = self.at_path(&parent)?;
            let is_renamed = there.as_ref().is_some_and(|patch| patch.rename_to.is_some());
            if there.is_some_and(|patch| !is_renamed && holds_nothing(&patch))
                || self.at_target(&parent)?.is_some()
            {
                return Err(blocked(&parent));
            }
            above = parent.parent();
        }
        if kind == EntryKind::Directory {
            return Ok(());
        }
        match self.brought_below(path)? {
            Some(target) => Err(blocked(&target)),
            None => Ok(()),
        }
    }

    /// A path below this one at which the session creates something.
    pub(crate) fn brought_below(&self, path: &RelPath) -> Result<Option<RelPath>> {
        let next = first_below(path).and_then(|first| self.brought.range(first..).next());
        if let Some(target) = next.filter(|target| target.starts_with(path)) {
            return Ok(Some(target.clone()));
        }
        let below = self.inner.store.peek(|c| patches::brought_below(c, self.session, path))?;
        let standing = below.iter().filter(|patch| !self.planned.contains_key(&patch.path));
        let mut targets = standing.filter_map(|patch| patch.brought());
        Ok(targets.find(|target| target.starts_with(path)).cloned())
    }

    /// Keeps directories above a path, in which something is created: what the session does to them
    /// is withdrawn, be it that it removes them, or that it has removed all of their files and makes
    /// them anew.
    pub(crate) fn keep_above(&mut self, path: &RelPath) -> Result<()> {
        for dir in std::iter::successors(path.parent(), RelPath::parent) {
            let Some(patch) = self.at_path(&dir)? else { continue };
            let is_kept = patch.kind() == EntryKind::Directory
                && match patch.operation {
                    Operation::Delete => true,
                    Operation::Create => {
                        self.stat(&dir)?.is_some_and(|stat| stat.kind == FileKind::Directory)
                    }
                    _ => false,
                };
            if is_kept {
                self.plan(&dir, None);
            }
        }
        Ok(())
    }

    /// Discards a patch whose base has changed. The agent has to read the file again: its proposal
    /// rests on what it saw then.
    pub(crate) fn require_fresh(&self, patch: &Patch) -> Result<()> {
        // One that this call planned has just been checked.
        if patch.id == Patch::PLANNED || !self.looked_at.borrow_mut().insert(patch.id) {
            return Ok(());
        }
        let (_, stale) = self.inner.revalidate(vec![patch.clone()])?;
        if stale.is_empty() { Ok(()) } else { Err(StagingError::Stale { patches: stale }) }
    }
}

/// The least path that may be below this one, in the order of paths; nothing can be below a path that
/// has the greatest length.
pub(crate) fn first_below(path: &RelPath) -> Option<RelPath> {
    RelPath::parse(&[path.as_bytes(), b"/\x01"].concat()).ok()
}

/// Whether a path was refused because a directory is there.
pub(crate) fn is_directory(error: &StagingError) -> bool {
    let StagingError::Fs(FsError::Refused { refusal, .. }) = error else { return false };
    *refusal == Refusal::NotAFile { kind: "directory" }
}
