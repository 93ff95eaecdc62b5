//! Taking back one unit's step, unless a user went on from it.

use std::io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory, NotFound};

use crate::apply::intent::{Action, Unit};
use crate::apply::swapper::{Attempt, Swapper};
use crate::conflict::{Conflict, Difference};
use crate::content::Fingerprint;
use crate::error::{FsError, IfThere as _};
use crate::os::disk::Disk;
use crate::os::file_state::FileState;
use crate::rel_path::RelPath;

impl<D: Disk> Swapper<'_, '_, D> {
    /// Takes back a unit that stays at its path. What the user edited on top stays
    /// and is reported.
    pub(crate) fn undo(&self, unit: &Unit) -> Result<Option<Conflict>, FsError> {
        match &unit.action {
            Action::Replace { base, staged, .. } => self.undo_replace(unit, base, staged),
            Action::Create { staged, .. } => {
                if !matches!(self.cache.file_state(&unit.slot)?, FileState::Absent) {
                    return Ok(None);
                }
                self.depart(unit, &unit.path, staged)
            }
            Action::SetMode { base, mode } => self.undo_set_mode(unit, base, *mode),
            // What frees a path goes back by `depart` and `back_from_aside`, since other
            // units may have to go back between the two.
            Action::Delete { .. } | Action::Move { .. } | Action::RemoveDir { .. } => Ok(None),
        }
    }

    fn undo_replace(
        &self,
        unit: &Unit,
        base: &Fingerprint,
        staged: &Fingerprint,
    ) -> Result<Option<Conflict>, FsError> {
        let conflict = |difference| Ok(Some(Conflict::at(&unit.path, difference)));
        let slot = self.cache.file_state(&unit.slot)?;
        if !slot.matches(base) {
            let displaced = slot != FileState::Absent && !slot.matches(staged);
            if displaced && self.cache.file_state(&unit.path)?.is_arrived(staged, unit.stamp) {
                self.put_back(unit, staged)?;
            }
            return Ok(None);
        }
        let state = self.cache.file_state(&unit.path)?;
        // Another file with the same content comes out of the exchange, is seen there, and goes back.
        if let Some(difference) = state.difference(staged) {
            return conflict(difference);
        }
        match self.exchange(unit, Attempt::Again) {
            Ok(()) => {}
            Err(error) if error.is(NotFound) => return conflict(Difference::Missing),
            Err(error) if error.is(AlreadyExists) => return conflict(Difference::Content),
            Err(error) => return Err(error),
        }
        let state = self.cache.file_state(&unit.slot)?;
        if state.is_arrived(staged, unit.stamp) {
            return Ok(None);
        }
        let difference = state.difference(staged).unwrap_or(Difference::Content);
        // The user saved between the look and the exchange: theirs goes back on top.
        self.put_back(unit, base)?;
        conflict(difference)
    }

    fn undo_set_mode(
        &self,
        unit: &Unit,
        base: &Fingerprint,
        mode: u32,
    ) -> Result<Option<Conflict>, FsError> {
        let state = self.cache.file_state(&unit.path)?;
        let FileState::File { stat, .. } = state else { return Ok(None) };
        if stat.mode != mode {
            return Ok(None);
        }
        let parent = self.cache.parent(&unit.path)?;
        let disk = self.cache.disk;
        let failed = || FsError::io("put back the mode of", &unit.path);
        let file = disk.open_file(&parent, unit.path.file_name()).map_err(failed())?;
        disk.set_mode(&file, base.mode).map_err(failed())?;
        let difference = state.difference(&Fingerprint { mode, ..*base });
        Ok(difference.map(|difference| Conflict::at(&unit.path, difference)))
    }

    /// Takes an arrived file back into its slot, unless the user edited it.
    pub(crate) fn depart(
        &self,
        unit: &Unit,
        path: &RelPath,
        arrived: &Fingerprint,
    ) -> Result<Option<Conflict>, FsError> {
        // A user who put the same content there keeps it.
        let is_another = |state: &FileState| match (&unit.action, unit.staged()) {
            (Action::Move { inode, .. }, _) => {
                self.knows_inodes && state.inode().is_some_and(|(_, now)| now != *inode)
            }
            (_, Some(staged)) => !state.is_arrived(&staged, unit.stamp),
            (_, None) => false,
        };
        let difference = |state: &FileState| {
            state.difference(arrived).or_else(|| is_another(state).then_some(Difference::Exists))
        };
        match difference(&self.cache.file_state(path)?) {
            None => {}
            Some(Difference::Missing) => return Ok(None),
            Some(difference) => return Ok(Some(Conflict::at(path, difference))),
        }
        if self.cache.rename_to_own(path, &unit.slot).if_found()?.is_none() {
            return Ok(None);
        }
        let Some(difference) = difference(&self.cache.file_state(&unit.slot)?) else {
            return Ok(None);
        };
        if self.cache.rename_own_to(&unit.slot, path).unless(&[AlreadyExists])?.is_none() {
            self.keep(unit)?;
        }
        Ok(Some(Conflict::at(path, difference)))
    }

    /// Removes a directory that was made for the set, if nothing else is in it.
    pub(crate) fn remove_dir(&self, path: &RelPath) -> Result<(), FsError> {
        let Some(parent) = self.cache.parent(path).if_there()? else { return Ok(()) };
        match self.cache.disk.remove_dir(&parent, path.file_name()) {
            Ok(()) => {
                self.cache.forget_dir(path);
                Ok(())
            }
            Err(error) if matches!(error.kind(), NotFound | DirectoryNotEmpty | NotADirectory) => {
                Ok(())
            }
            Err(error) => Err(FsError::io("remove the directory", path)(error)),
        }
    }
}
