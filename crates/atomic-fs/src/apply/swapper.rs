//! The state that the steps of all units share, and the exchange of two names.

use std::sync::{Arc, Mutex, PoisonError};

use crate::apply::intent::Unit;
use crate::apply::journal::Journal;
use crate::apply::swap_record::SwapRecord;
use crate::conflict::{Conflict, Difference};
use crate::error::FsError;
use crate::fallback::{move_aside, replace_file};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, is_unsupported};
use crate::recovery::conflicts::{self, DisplacedEdit};
use crate::rel_path::RelPath;

/// Why a step was not made.
pub(crate) enum Obstacle {
    /// The file is not what is expected; the step has been taken back.
    Conflict(Conflict),
    /// A call failed; the step was not made, or has been taken back.
    Failed(FsError),
}

impl From<FsError> for Obstacle {
    fn from(error: FsError) -> Self {
        Self::Failed(error)
    }
}

impl From<Conflict> for Obstacle {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl Obstacle {
    pub(crate) fn of(path: &RelPath, difference: Difference) -> Self {
        Self::Conflict(Conflict::at(path, difference))
    }
}

/// Whether a unit's slot and file have been exchanged before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Again,
}

/// Makes and takes back the steps of units.
pub(crate) struct Swapper<'g, 'a, D: Disk> {
    pub cache: &'g DirCache<'a, D>,
    pub record: SwapRecord<D>,
    /// Whether inode numbers are those of the check: some file systems give new ones when they are
    /// mounted again.
    pub knows_inodes: bool,
    kept: Mutex<Vec<DisplacedEdit>>,
}

impl<'g, 'a, D: Disk> Swapper<'g, 'a, D> {
    pub(crate) fn new(cache: &'g DirCache<'a, D>) -> Self {
        Self { cache, record: SwapRecord::of(None), knows_inodes: false, kept: Mutex::default() }
    }

    /// For the process that checked the files.
    pub(crate) fn of_apply(cache: &'g DirCache<'a, D>, journal: Arc<Journal<D>>) -> Self {
        let record = SwapRecord::of(Some(journal));
        Self { record, knows_inodes: true, ..Self::new(cache) }
    }

    /// The edits of a user that were moved to `conflicts/` so far.
    pub(crate) fn take_kept(&self) -> Vec<DisplacedEdit> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn keep(&self, unit: &Unit) -> Result<(), FsError> {
        self.note_kept(conflicts::keep(self.cache, &unit.slot, &unit.path)?);
        Ok(())
    }

    pub(crate) fn note_kept(&self, kept: DisplacedEdit) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }

    /// Exchanges the slot with the file.
    ///
    /// # Errors
    /// `NotFound` when there is no file at the path; `AlreadyExists` when the file system
    /// cannot exchange and a user was faster than the replacement.
    pub(crate) fn exchange(&self, unit: &Unit, attempt: Attempt) -> Result<(), FsError> {
        let parent = self.cache.parent(&unit.path)?;
        let (slot, name) = (unit.slot.file_name(), unit.path.file_name());
        match self.cache.disk.exchange(&parent, name, slot) {
            Err(error) if is_unsupported(&error) => {
                if self.cache.disk.replaces_in_steps() {
                    return replace_file::exchange(self.cache, &self.record, unit, &parent);
                }
                if self.cache.options.allow_move_aside {
                    if attempt == Attempt::Again {
                        // The name is taken again that the file was moved away from last time.
                        self.cache.sync_parent(&unit.path)?;
                    }
                    return move_aside::exchange(self.cache, &self.record, unit);
                }
                Err(FsError::NoExchange { path: unit.path.clone() })
            }
            answer => answer.map_err(FsError::io("swap", &unit.path)),
        }
    }
}
