//! What a proposal makes of the session's pending patches.
//!
//! A session has at most one pending patch for each path and one rename to each
//! path. Every proposal becomes a few operations that keep it so: put content at a path, remove a
//! file, move one.

use std::collections::HashSet;

use atomic_fs::{Digest, EntryKind, FileKind, Fingerprint, FsError, RelPath};
use patch_formats::{Edit, EditsError};

use crate::base::Base;
use crate::error::{Result, StagingError};
use crate::patch::{Operation, Patch};
use crate::stage::proposal::{EDIT_BYTES_MAX, Meaning, Proposal, Reading, too_long_to_edit};
use crate::stage::read_base::Stored;
use crate::stage::resolve::{Leaving, Left};
use crate::stage::step::Touched;
use crate::stage::view::{Found, View};
use crate::time::now_ns;

/// The longest target that Linux takes, PATH_MAX without the NUL (symlink(2)).
const LINK_BYTES_MAX: usize = 4095;

/// Content for a path. Without a mode it is a file's, and keeps the mode of the file there.
#[derive(Clone, Copy)]
pub(crate) struct Incoming {
    pub(crate) digest: atomic_fs::Digest,
    pub(crate) bytes: u64,
    pub(crate) mode: Option<u32>,
}

impl Incoming {
    /// What was stored, keeping the file's mode.
    pub(crate) fn of(stored: &Stored) -> Self {
        Self { digest: stored.digest, bytes: stored.bytes, mode: None }
    }

    fn with_mode(self, mode: u32) -> Fingerprint {
        Fingerprint { digest: self.digest, bytes: self.bytes, mode }
    }

    fn kind(&self) -> EntryKind {
        self.mode.map_or(EntryKind::File, EntryKind::of_mode)
    }
}

impl From<Fingerprint> for Incoming {
    fn from(staged: Fingerprint) -> Self {
        Self { digest: staged.digest, bytes: staged.bytes, mode: Some(staged.mode) }
    }
}

impl View<'_> {
    /// Plans one proposal after those that are planned.
    pub(crate) fn propose(&mut self, proposal: &Proposal) -> Result<Touched> {
        let path = self.resolve(proposal.path(), proposal.meaning(), &HashSet::new())?;
        self.propose_at(&path, proposal)
    }

    /// Plans proposals in their order. Consecutive edits of one file are made together: each by itself
    /// would read, hash and store the whole file.
    pub(crate) fn propose_all(&mut self, proposals: &[Proposal]) -> Result<Vec<Touched>> {
        let mut touched = Vec::with_capacity(proposals.len());
        let mut rest = proposals;
        while let Some(first) = rest.first() {
            let edits = edits_of_one_file(rest);
            if edits.len() < 2 {
                touched.push(self.propose(first)?);
                rest = &rest[1..];
                continue;
            }
            let path = self.resolve(first.path(), Meaning::Content, &HashSet::new())?;
            let concerned = self.edit(&path, &edits)?;
            touched.extend(std::iter::repeat_n(concerned, edits.len()));
            rest = &rest[edits.len()..];
        }
        Ok(touched)
    }

    /// The same at the resolved path.
    pub(crate) fn propose_at(&mut self, path: &RelPath, proposal: &Proposal) -> Result<Touched> {
        match proposal {
            Proposal::Write { content, mode, .. } => {
                check_mode(path, *mode)?;
                let stored = self.inner.store_bytes(content)?;
                self.hold(&stored);
                self.put(path, Incoming { mode: *mode, ..Incoming::of(&stored) })
            }
            Proposal::WriteFrom { file, mode, .. } => {
                check_mode(path, *mode)?;
                let stored = self.inner.store_file(file)?;
                self.hold(&stored);
                self.put(path, Incoming { mode: *mode, ..Incoming::of(&stored) })
            }
            Proposal::Edit { old, new, .. } if old.is_empty() => self.fill(path, new),
            Proposal::Edit { old, new, replace_all, .. } => {
                self.edit(path, &[Edit { old, new, all: *replace_all }])
            }
            Proposal::Symlink { target, .. } => {
                let link = self.link(path, target)?;
                self.put(path, link)
            }
            Proposal::CreateDirectory { .. } => self.make_directory(path),
            Proposal::Delete { .. } => self.remove(path),
            Proposal::Expecting { base, proposal } => {
                let found = self.find(path, proposal.reading())?.content();
                check_base(path, *base, found)?;
                self.propose_at(path, proposal)
            }
            Proposal::Rename { to, .. } => {
                // It may move into a directory that takes its name.
                let to = self.resolve(to, Meaning::Name, &HashSet::from([path.clone()]))?;
                self.check_moved_link(path, &to)?;
                self.rename(path, &to)
            }
            Proposal::SetMode { mode, .. } => {
                check_mode(path, Some(*mode))?;
                let found = self.require_file(path, Reading::BaseToStage)?;
                self.inner.workspace.check_mode_change(path)?;
                self.put(path, Incoming { mode: Some(*mode), ..found.into() })
            }
        }
    }

    /// The content of a path; without a mode it keeps that of the file that was there, or gets that
    /// of a new file.
    fn staged(
        &self,
        path: &RelPath,
        incoming: Incoming,
        before: Option<u32>,
    ) -> Result<Fingerprint> {
        let of_file = before.filter(|mode| EntryKind::of_mode(*mode) == EntryKind::File);
        let mode = match incoming.mode.or(of_file) {
            Some(mode) => mode,
            None => self.new_file_mode(path)?,
        };
        Ok(incoming.with_mode(mode))
    }

    /// The mode of a file that is created without one.
    pub(crate) fn new_file_mode(&self, path: &RelPath) -> Result<u32> {
        match self.inner.new_file_mode(path) {
            Err(StagingError::Fs(FsError::Refused { .. })) if self.is_off_disk(path)? => {
                Ok(self.inner.options.new_file_mode)
            }
            mode => mode,
        }
    }

    /// Makes a path hold this.
    pub(crate) fn put(&mut self, path: &RelPath, incoming: Incoming) -> Result<Touched> {
        let kept = |mode| match EntryKind::of_mode(mode) {
            EntryKind::File => self.inner.workspace.kept_mode(mode),
            EntryKind::Symlink | EntryKind::Directory => mode,
        };
        let incoming = Incoming { mode: incoming.mode.map(kept), ..incoming };
        if let Some(rename) = self.at_target(path)? {
            self.require_fresh(&rename)?;
            let from = rename.path.clone();
            let before = rename.staged.map(|staged| staged.mode);
            let staged = self.staged(path, incoming, before)?;
            if rename.staged.is_some_and(|moved| moved.kind() == staged.kind()) {
                self.plan(&from, Some(anew(Patch { staged: Some(staged), ..rename })));
                return Ok(vec![from]);
            }
            // What moved here is replaced by something of another kind.
            let planned = rename
                .base
                .map(|b| Patch::draft(self.session, &from, Operation::Delete, Some(b), None));
            self.plan(&from, planned);
            let mut touched = self.put(path, incoming)?;
            touched.push(from);
            return Ok(touched);
        }
        let Some(patch) = self.at_path(path)? else {
            let planned = match self.base(path, Reading::Base)? {
                Some(base) => {
                    if base.kind() != incoming.kind() {
                        self.check_room(path, incoming.kind())?;
                    }
                    let staged = self.staged(path, incoming, Some(base.content.mode))?;
                    self.settled(path, base, staged)
                }
                None => {
                    self.check_room(path, incoming.kind())?;
                    self.keep_above(path)?;
                    let staged = self.staged(path, incoming, None)?;
                    Some(Patch::draft(self.session, path, Operation::Create, None, Some(staged)))
                }
            };
            self.plan(path, planned);
            return Ok(vec![path.clone()]);
        };
        self.require_fresh(&patch)?;
        let was_directory = patch.staged.map(|staged| staged.kind()) == Some(EntryKind::Directory);
        if patch.frees(path) || (was_directory && incoming.kind() != EntryKind::Directory) {
            // Only while the session creates nothing below it, and no file above it.
            self.check_room(path, incoming.kind())?;
        }
        let Some(base) = patch.base else {
            let staged = self.staged(path, incoming, patch.staged.map(|before| before.mode))?;
            let planned = Patch::draft(self.session, path, Operation::Create, None, Some(staged));
            self.plan(path, Some(planned));
            return Ok(vec![path.clone()]);
        };
        if patch.staged.is_none() {
            self.keep_above(path)?;
        }
        let kept_mode = match patch.operation {
            Operation::Modify | Operation::Mode => {
                patch.staged.map_or(base.content.mode, |s| s.mode)
            }
            _ => base.content.mode,
        };
        let staged = self.staged(path, incoming, Some(kept_mode))?;
        let planned = self.settled(path, base, staged);
        self.plan(path, planned);
        let mut touched = vec![path.clone()];
        if let (Operation::Rename, Some(to), Some(moved)) =
            (patch.operation, patch.rename_to, patch.staged)
        {
            // The file moved away, and a new one takes its place: one file is changed and another is
            // created.
            touched.extend(self.put(&to, moved.into())?);
        }
        Ok(touched)
    }

    /// A symbolic link for a path, with its target stored.
    pub(crate) fn link(&mut self, path: &RelPath, target: &[u8]) -> Result<Incoming> {
        if target.is_empty() || target.contains(&0) || target.len() > LINK_BYTES_MAX {
            return Err(StagingError::usage(format!(
                "`{path}` cannot be a symbolic link to that: a target has 1 to {LINK_BYTES_MAX} \
                 bytes, and no NUL"
            )));
        }
        self.check_link(path, target)?;
        let stored = self.inner.store_bytes(target)?;
        self.hold(&stored);
        Ok(Fingerprint::symlink_to(stored.digest, stored.bytes).into())
    }

    /// Creates a directory at a path, unless the session sees one there already, also one that is
    /// created with a file in it.
    fn make_directory(&mut self, path: &RelPath) -> Result<Touched> {
        if self.at_path(path)?.is_none() && self.brought_below(path)?.is_some() {
            self.plan(path, None);
            return Ok(vec![path.clone()]);
        }
        self.bring_directory(path, None)
    }

    /// The same, where no pending file implies one. Without permission bits it gets those of a new
    /// file, with the execute bits that reading needs.
    pub(crate) fn bring_directory(&mut self, path: &RelPath, mode: Option<u32>) -> Result<Touched> {
        let exists = || StagingError::TargetExists { path: path.clone() };
        if self.at_target(path)?.is_some() {
            return Err(exists());
        }
        match self.at_path(path)? {
            Some(patch) if patch.frees(path) => {
                if patch.base.as_ref().is_some_and(|base| base.kind() == EntryKind::Directory) {
                    // Its removal is withdrawn.
                    self.plan(path, None);
                    self.keep_above(path)?;
                    return Ok(vec![path.clone()]);
                }
            }
            Some(patch) if patch.kind() == EntryKind::Directory => {
                self.plan(path, Some(patch));
                return Ok(vec![path.clone()]);
            }
            Some(_) => return Err(exists()),
            None => {
                let on_disk = self.stat(path)?.map(|stat| stat.kind);
                let is_there = match on_disk {
                    Some(FileKind::Directory) => !self.is_emptied(path, &|_| false)?,
                    Some(_) => return Err(exists()),
                    None => false,
                };
                if is_there {
                    self.plan(path, None);
                    return Ok(vec![path.clone()]);
                }
            }
        }
        let mode = match mode {
            Some(mode) => mode,
            // Whoever may read a file may enter the directory.
            None => {
                let plain = self.new_file_mode(path)?;
                plain | ((plain & 0o444) >> 2)
            }
        };
        let staged = Fingerprint::directory(mode);
        self.inner.store_bytes(b"").map(|stored| self.hold(&stored))?;
        self.put(path, staged.into())
    }

    /// Removes the file, the symbolic link or the empty directory at a path.
    pub(crate) fn remove(&mut self, path: &RelPath) -> Result<Touched> {
        if let Some(touched) = self.remove_directory(path, &|_| false)? {
            return Ok(touched);
        }
        match self.find(path, Reading::Base)? {
            Found::Absent => Err(StagingError::NoSuchFile { path: path.clone() }),
            Found::Disk(base) => {
                let planned =
                    Patch::draft(self.session, path, Operation::Delete, Some(*base), None);
                self.plan(path, Some(planned));
                Ok(vec![path.clone()])
            }
            Found::Pending(patch) => {
                let from = patch.path.clone();
                let planned = patch.base.map(|base| {
                    Patch::draft(self.session, &from, Operation::Delete, Some(base), None)
                });
                self.plan(&from, planned);
                Ok(vec![from])
            }
        }
    }

    /// The same for a directory, which has to be empty except for what is about to move out of it;
    /// `None` where the session sees no directory.
    pub(crate) fn remove_directory(
        &mut self,
        path: &RelPath,
        leaving: &Leaving<'_>,
    ) -> Result<Option<Touched>> {
        let pending = match self.at_target(path)? {
            None => self.at_path(path)?,
            renamed => renamed,
        };
        let not_empty = || StagingError::DirectoryNotEmpty { path: path.clone() };
        let base = match pending {
            Some(patch) if patch.kind() != EntryKind::Directory || patch.staged.is_none() => {
                return Ok(None);
            }
            Some(patch) => {
                if self.brought_below(path)?.is_some() {
                    return Err(not_empty());
                }
                self.require_fresh(&patch)?;
                patch.base
            }
            None => {
                let stat = self.stat(path)?;
                let Some(stat) = stat.filter(|stat| stat.kind == FileKind::Directory) else {
                    return match self.brought_below(path)? {
                        Some(_) => Err(not_empty()),
                        None => Ok(None),
                    };
                };
                // A directory whose files are all removed is removed with them.
                match self.left_in(path, leaving)? {
                    _ if self.brought_below(path)?.is_some() => return Err(not_empty()),
                    Some(Left::Nothing | Left::NothingOfSome) => {}
                    Some(Left::Some) => return Err(not_empty()),
                    None => return Ok(None),
                }
                self.inner.store_bytes(b"").map(|stored| self.hold(&stored))?;
                Some(Base::new(Fingerprint::directory(stat.mode), &stat, now_ns()))
            }
        };
        let planned =
            base.map(|base| Patch::draft(self.session, path, Operation::Delete, Some(base), None));
        self.plan(path, planned);
        Ok(Some(vec![path.clone()]))
    }

    /// Refuses to move a symbolic link to where its relative target would lead out of the workspace.
    fn check_moved_link(&mut self, path: &RelPath, to: &RelPath) -> Result<()> {
        match self.find(path, Reading::BaseToStage)?.content() {
            Some(link) if link.kind() == EntryKind::Symlink => {
                let target = self.content(path, &link.digest)?;
                self.check_link(to, &target)
            }
            _ => Ok(()),
        }
    }

    /// Moves the file at a path to a free one. The target of a symbolic link was checked before.
    pub(crate) fn rename(&mut self, path: &RelPath, to: &RelPath) -> Result<Touched> {
        if path == to {
            return Err(StagingError::usage(format!("`{path}` cannot be moved onto itself")));
        }
        let found = self.find(path, Reading::BaseToStage)?;
        if matches!(found, Found::Absent) {
            return Err(StagingError::NoSuchFile { path: path.clone() });
        }
        self.check_vacant(to, Some(path))?;
        let (from, base, staged) = match found {
            Found::Absent => return Err(StagingError::NoSuchFile { path: path.clone() }),
            Found::Disk(base) => {
                let staged = base.content;
                (path.clone(), Some(*base), staged)
            }
            Found::Pending(patch) => {
                let staged =
                    patch.staged.ok_or_else(|| StagingError::NoSuchFile { path: path.clone() })?;
                (patch.path.clone(), patch.base, staged)
            }
        };
        if staged.kind() == EntryKind::Directory {
            return Err(StagingError::is_a_directory(path));
        }
        self.check_room(to, staged.kind())?;
        self.keep_above(to)?;
        let Some(base) = base else {
            // A file that is not on the disk yet is created at its new path.
            self.plan(&from, None);
            let origin = self.origins.remove(&from).unwrap_or_else(|| from.clone());
            self.origins.insert(to.clone(), origin);
            let mut touched = self.put(to, staged.into())?;
            touched.push(from);
            return Ok(touched);
        };
        if *to != from && base.kind() != staged.kind() {
            // No diff has a rename to another kind: it is a deletion and a creation.
            let planned = Patch::draft(self.session, &from, Operation::Delete, Some(base), None);
            self.plan(&from, Some(planned));
            let mut touched = self.put(to, staged.into())?;
            touched.push(from);
            return Ok(touched);
        }
        let planned = if *to == from {
            self.settled(&from, base, staged)
        } else {
            let mut patch =
                Patch::draft(self.session, &from, Operation::Rename, Some(base), Some(staged));
            patch.rename_to = Some(to.clone());
            Some(patch)
        };
        self.plan(&from, planned);
        Ok(vec![from])
    }

    /// Makes edits in turn; none of them has an empty text to replace.
    fn edit(&mut self, path: &RelPath, edits: &[Edit<'_>]) -> Result<Touched> {
        let found = self.require_file(path, Reading::BaseToEdit)?;
        let content = self.editable(path, found)?;
        let bytes_max = usize::try_from(EDIT_BYTES_MAX).unwrap_or(usize::MAX);
        let edited = patch_formats::replace_in_turn(&content, edits, bytes_max);
        let edited = edited.map_err(|error| match error {
            EditsError::TooLong { .. } => too_long_to_edit(),
            EditsError::Occurrences { found, near, .. } => {
                StagingError::NoMatch { path: path.clone(), found, near }
            }
        })?;
        let stored = self.inner.store_bytes(&edited)?;
        self.hold(&stored);
        self.put(path, Incoming { mode: Some(found.mode), ..Incoming::of(&stored) })
    }

    /// Gives an absent or empty file its first text.
    fn fill(&mut self, path: &RelPath, new: &[u8]) -> Result<Touched> {
        let found = self.find(path, Reading::BaseToEdit)?.content();
        if found.is_some_and(|found| found.bytes > 0) {
            return Err(StagingError::usage(format!(
                "an edit needs some text to replace: `{path}` is not empty"
            )));
        }
        let stored = self.inner.store_bytes(new)?;
        self.hold(&stored);
        let mode = found.map(|found| found.mode);
        self.put(path, Incoming { mode, ..Incoming::of(&stored) })
    }

    /// The content and mode of a file that the session must see; a directory is refused.
    pub(crate) fn require_file(&mut self, path: &RelPath, reading: Reading) -> Result<Fingerprint> {
        let found = self.require(path, reading)?;
        match found.kind() {
            EntryKind::Directory => Err(StagingError::is_a_directory(path)),
            EntryKind::File | EntryKind::Symlink => Ok(found),
        }
    }

    /// The content and mode of what the session must see at a path.
    pub(crate) fn require(&mut self, path: &RelPath, reading: Reading) -> Result<Fingerprint> {
        let found = self.find(path, reading)?.content();
        found.ok_or_else(|| StagingError::NoSuchFile { path: path.clone() })
    }

    /// Refuses a path that is not free once `leaving` has moved.
    pub(crate) fn check_vacant(&mut self, path: &RelPath, leaving: Option<&RelPath>) -> Result<()> {
        let freed = self.at_path(path)?.map(|patch| patch.frees(path));
        let taken = match freed {
            Some(freed) => !freed,
            None => !self.is_vacant(path, leaving)?,
        };
        if taken || self.at_target(path)?.is_some() {
            return Err(StagingError::TargetExists { path: path.clone() });
        }
        Ok(())
    }

    /// The patch that turns a base into this; `None` when they are equal.
    pub(crate) fn settled(&self, path: &RelPath, base: Base, staged: Fingerprint) -> Option<Patch> {
        let operation =
            match (base.content.digest == staged.digest, base.content.mode == staged.mode) {
                (true, true) => return None,
                (true, false) if base.kind() == staged.kind() => Operation::Mode,
                _ => Operation::Modify,
            };
        Some(Patch::draft(self.session, path, operation, Some(base), Some(staged)))
    }
}

/// The edits of one file at the beginning of these proposals that each have a text to replace.
fn edits_of_one_file(proposals: &[Proposal]) -> Vec<Edit<'_>> {
    let first = proposals.first().map(Proposal::path);
    let edits = proposals.iter().map_while(|proposal| match proposal {
        Proposal::Edit { path, old, new, replace_all } => {
            let is_one = Some(path) == first && !old.is_empty();
            is_one.then_some(Edit { old, new, all: *replace_all })
        }
        _ => None,
    });
    edits.collect()
}

/// A pending patch as a new one.
fn anew(patch: Patch) -> Patch {
    Patch { id: Patch::PLANNED, edited: false, by_reviewer: false, ..patch }
}

pub(crate) fn check_mode(path: &RelPath, mode: Option<u32>) -> Result<()> {
    match mode {
        Some(mode) if mode & !0o1777 != 0 => {
            Err(StagingError::ModeRefused { path: path.clone(), mode })
        }
        _ => Ok(()),
    }
}

/// Refuses a file whose content is not the expected one.
pub(crate) fn check_base(
    path: &RelPath,
    expected: Digest,
    found: Option<Fingerprint>,
) -> Result<()> {
    let found = found.map(|found| found.digest);
    if found == Some(expected) {
        return Ok(());
    }
    Err(StagingError::NotTheBase { path: path.clone(), expected, found })
}
