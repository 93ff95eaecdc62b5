//! What a proposal makes of the session's pending patches.
//!
//! A session has at most one pending patch for each path and one rename to each
//! path. Every proposal is brought to a few moves that keep it so: putting
//! content somewhere, taking a file away, moving one.

use atomic_fs::RelPath;

use super::content::Stored;
use super::formats::check_base;
use super::request::Proposal;
use super::usage;
use super::view::{Found, Reading, View};
use crate::Result;
use crate::base::Base;
use crate::error::StagingError;
use crate::patch::{Operation, Patch, StagedContent};

/// Edits hold the file in memory; what is larger is written whole.
pub(super) const EDIT_BYTES_MAX: u64 = 64 << 20;

/// The patches' paths that a proposal concerned, the main one first.
pub(super) type Touched = Vec<RelPath>;

/// Content on its way to a path; without a mode it keeps the file's.
#[derive(Clone, Copy)]
pub(super) struct Incoming {
    pub(super) digest: atomic_fs::Digest,
    pub(super) bytes: u64,
    pub(super) mode: Option<u32>,
}

impl Incoming {
    /// What was stored, keeping the file's mode.
    pub(super) fn of(stored: &Stored) -> Self {
        Self { digest: stored.digest, bytes: stored.bytes, mode: None }
    }

    fn or_mode(self, mode: u32) -> StagedContent {
        StagedContent { digest: self.digest, bytes: self.bytes, mode: self.mode.unwrap_or(mode) }
    }
}

impl From<StagedContent> for Incoming {
    fn from(staged: StagedContent) -> Self {
        Self { digest: staged.digest, bytes: staged.bytes, mode: Some(staged.mode) }
    }
}

impl View<'_> {
    /// Plans one proposal on top of what is planned already.
    pub(super) fn propose(&mut self, proposal: &Proposal) -> Result<Touched> {
        let workspace = &self.inner.workspace;
        let path = match proposal.acts_on_name() {
            true => workspace.resolve_name(proposal.path())?,
            false => workspace.resolve(proposal.path())?,
        };
        self.propose_at(&path, proposal)
    }

    /// The same at the path that the proposal's really concerns, which is found out once.
    fn propose_at(&mut self, path: &RelPath, proposal: &Proposal) -> Result<Touched> {
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
            Proposal::Edit { old, new, replace_all, .. } => self.edit(path, old, new, *replace_all),
            Proposal::Delete { .. } => self.remove(path),
            Proposal::Expecting { base, proposal } => {
                let found = self.find(path, proposal.reading())?.content();
                check_base(path, *base, found)?;
                self.propose_at(path, proposal)
            }
            Proposal::Rename { to, .. } => {
                let to = self.inner.workspace.resolve_name(to)?;
                self.rename(path, &to)
            }
            Proposal::SetMode { mode, .. } => {
                check_mode(path, Some(*mode))?;
                let found = self.require(path, Reading::BaseToStage)?;
                self.inner.workspace.check_mode_change(path)?;
                self.put(path, Incoming { mode: Some(*mode), ..found.into() })
            }
        }
    }

    /// A created file's bits, when nobody has named any.
    fn or_new_file_mode(&self, path: &RelPath, incoming: Incoming) -> Result<StagedContent> {
        let mode = match incoming.mode {
            Some(mode) => mode,
            None => self.inner.new_file_mode(path)?,
        };
        Ok(incoming.or_mode(mode))
    }

    /// Makes the file at a path hold this.
    pub(super) fn put(&mut self, path: &RelPath, incoming: Incoming) -> Result<Touched> {
        let kept = |mode| self.inner.workspace.kept_mode(mode);
        let incoming = Incoming { mode: incoming.mode.map(kept), ..incoming };
        if let Some(rename) = self.at_target(path)? {
            self.require_fresh(&rename)?;
            let from = rename.path.clone();
            let staged = rename.staged.map(|staged| incoming.or_mode(staged.mode));
            self.plan(&from, Some(anew(Patch { staged, ..rename })));
            return Ok(vec![from]);
        }
        let Some(patch) = self.at_path(path)? else {
            let planned = match self.base(path, Reading::Base)? {
                Some(base) => {
                    let staged = incoming.or_mode(base.mode);
                    self.settled(path, base, staged)
                }
                None => {
                    self.check_room(path)?;
                    let staged = self.or_new_file_mode(path, incoming)?;
                    Some(self.draft(path, Operation::Create, None, Some(staged)))
                }
            };
            self.plan(path, planned);
            return Ok(vec![path.clone()]);
        };
        self.require_fresh(&patch)?;
        let Some(base) = patch.base else {
            let staged = match patch.staged {
                Some(before) => incoming.or_mode(before.mode),
                None => self.or_new_file_mode(path, incoming)?,
            };
            let planned = self.draft(path, Operation::Create, None, Some(staged));
            self.plan(path, Some(planned));
            return Ok(vec![path.clone()]);
        };
        let kept_mode = match patch.operation {
            Operation::Modify | Operation::Mode => patch.staged.map_or(base.mode, |s| s.mode),
            _ => base.mode,
        };
        let planned = self.settled(path, base, incoming.or_mode(kept_mode));
        self.plan(path, planned);
        let mut touched = vec![path.clone()];
        if let (Operation::Rename, Some(to), Some(moved)) =
            (patch.operation, patch.rename_to, patch.staged)
        {
            // The file moved away, and a new one takes its place: that is one
            // file changed and another one brought.
            touched.extend(self.put(&to, moved.into())?);
        }
        Ok(touched)
    }

    /// Takes the file at a path away.
    pub(super) fn remove(&mut self, path: &RelPath) -> Result<Touched> {
        match self.find(path, Reading::Base)? {
            Found::Absent => Err(StagingError::NoSuchFile { path: path.clone() }),
            Found::Disk(base) => {
                let planned = self.draft(path, Operation::Delete, Some(*base), None);
                self.plan(path, Some(planned));
                Ok(vec![path.clone()])
            }
            Found::Pending(patch) => {
                let from = patch.path.clone();
                let planned =
                    patch.base.map(|base| self.draft(&from, Operation::Delete, Some(base), None));
                self.plan(&from, planned);
                Ok(vec![from])
            }
        }
    }

    /// Moves the file at a path to where none is.
    pub(super) fn rename(&mut self, path: &RelPath, to: &RelPath) -> Result<Touched> {
        if path == to {
            return Err(usage(format!("`{path}` cannot be moved onto itself")));
        }
        let found = self.find(path, Reading::BaseToStage)?;
        if matches!(found, Found::Absent) {
            return Err(StagingError::NoSuchFile { path: path.clone() });
        }
        self.check_vacant(to)?;
        self.check_room(to)?;
        let (from, base, staged) = match found {
            Found::Absent => return Err(StagingError::NoSuchFile { path: path.clone() }),
            Found::Disk(base) => {
                let staged =
                    StagedContent { digest: base.digest, mode: base.mode, bytes: base.bytes };
                (path.clone(), Some(*base), staged)
            }
            Found::Pending(patch) => {
                let staged =
                    patch.staged.ok_or_else(|| StagingError::NoSuchFile { path: path.clone() })?;
                (patch.path.clone(), patch.base, staged)
            }
        };
        let Some(base) = base else {
            // What is not on disk yet is simply brought elsewhere.
            self.plan(&from, None);
            self.moved.insert(from.clone(), to.clone());
            let mut touched = self.put(to, staged.into())?;
            touched.push(from);
            return Ok(touched);
        };
        let planned = if *to == from {
            self.settled(&from, base, staged)
        } else {
            let mut patch = self.draft(&from, Operation::Rename, Some(base), Some(staged));
            patch.rename_to = Some(to.clone());
            Some(patch)
        };
        self.plan(&from, planned);
        Ok(vec![from])
    }

    fn edit(&mut self, path: &RelPath, old: &[u8], new: &[u8], all: bool) -> Result<Touched> {
        if old.is_empty() {
            return self.fill(path, new);
        }
        let found = self.require(path, Reading::BaseToEdit)?;
        let content = self.editable(path, found)?;
        let edited = patch_formats::replace(&content, old, new, all).map_err(|error| {
            let path = path.clone();
            let found = error.found;
            let near = (found == 0).then(|| patch_formats::near_miss(&content, old)).flatten();
            StagingError::NoMatch { path, found, near }
        })?;
        let stored = self.inner.store_bytes(&edited)?;
        self.hold(&stored);
        self.put(path, Incoming { mode: Some(found.mode), ..Incoming::of(&stored) })
    }

    /// Gives a file that is absent or empty its first text.
    fn fill(&mut self, path: &RelPath, new: &[u8]) -> Result<Touched> {
        let found = self.find(path, Reading::BaseToEdit)?.content();
        if found.is_some_and(|found| found.bytes > 0) {
            return Err(usage(format!(
                "an edit needs some text to replace: `{path}` is not empty"
            )));
        }
        let stored = self.inner.store_bytes(new)?;
        self.hold(&stored);
        let mode = found.map(|found| found.mode);
        self.put(path, Incoming { mode, ..Incoming::of(&stored) })
    }

    /// The content and mode of a file that the session must see.
    pub(super) fn require(&mut self, path: &RelPath, reading: Reading) -> Result<StagedContent> {
        let found = self.find(path, reading)?.content();
        found.ok_or_else(|| StagingError::NoSuchFile { path: path.clone() })
    }

    pub(super) fn check_vacant(&mut self, path: &RelPath) -> Result<()> {
        let freed = self.at_path(path)?.map(|patch| patch.frees(path));
        let taken = match freed {
            Some(freed) => !freed,
            None => !self.is_vacant(path)?,
        };
        if taken || self.at_target(path)?.is_some() {
            return Err(StagingError::TargetExists { path: path.clone() });
        }
        Ok(())
    }

    /// The patch that turns a base into this; none when it is that already.
    pub(super) fn settled(
        &self,
        path: &RelPath,
        base: Base,
        staged: StagedContent,
    ) -> Option<Patch> {
        let operation = match (base.digest == staged.digest, base.mode == staged.mode) {
            (true, true) => return None,
            (true, false) => Operation::Mode,
            (false, _) => Operation::Modify,
        };
        Some(self.draft(path, operation, Some(base), Some(staged)))
    }
}

/// A pending patch as a new one.
fn anew(patch: Patch) -> Patch {
    Patch { id: super::view::PLANNED, ..patch }
}

pub(super) fn check_mode(path: &RelPath, mode: Option<u32>) -> Result<()> {
    match mode {
        Some(mode) if mode & !0o1777 != 0 => {
            Err(StagingError::ModeRefused { path: path.clone(), mode })
        }
        _ => Ok(()),
    }
}
