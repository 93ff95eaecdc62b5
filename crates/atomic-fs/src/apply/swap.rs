//! Exchange, verify, put back: one unit's way to the disk.
//!
//! Every step verifies what it took out of place before it counts as done. What is neither base nor
//! staged is a user's edit: it is put back, or, where the user was faster again, moved to
//! `conflicts/`.

use std::io::ErrorKind::{AlreadyExists, NotFound};

use crate::apply::guard::Guard;
use crate::apply::intent::{Action, Unit};
use crate::apply::swapper::{Attempt, Obstacle, Swapper};
use crate::conflict::Difference;
use crate::content::Fingerprint;
use crate::error::{FsError, IfThere as _};
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::FileState;
use crate::policy::check_mode_change;
use crate::rel_path::RelPath;

/// How often a put-back is tried again against a user who keeps saving.
const PUT_BACK_TRIES: usize = 3;

type Step = Result<(), Obstacle>;

impl<D: Disk> Swapper<'_, '_, D> {
    /// Exchanges the slot with the file and verifies what came out.
    pub(crate) fn replace(&self, unit: &Unit, base: &Fingerprint, staged: &Fingerprint) -> Step {
        // Held until the file is verified, or put back: a process that waits to write must not reach
        // the file before.
        let guard = Guard::of(self.cache, &unit.path, base)?;
        match self.exchange(unit, Attempt::First) {
            Ok(()) => {}
            Err(error) if error.is(NotFound) => return conflict(&unit.path, Difference::Missing),
            // A user put a file there while the path was free.
            Err(error) if error.is(AlreadyExists) => {
                return conflict(&unit.path, Difference::Content);
            }
            Err(error) => return Err(error.into()),
        }
        let verified = guard.verify(self.cache, unit, base);
        if verified.is_err() {
            self.put_back(unit, staged)?;
        }
        verified
    }

    /// Gives back a user's version that an exchange took out of place.
    ///
    /// The version that the user saved last ends at the file's path; an older one that was displaced
    /// together with it stays in the slot, and is moved to `conflicts/` when the slots are cleaned.
    pub(crate) fn put_back(&self, unit: &Unit, staged: &Fingerprint) -> Result<(), FsError> {
        self.record.make_durable(self.cache)?;
        // Its own content, and not what a user has saved with the same bytes since.
        let is_own = |state: &FileState| match unit.staged() {
            Some(own) if own == *staged => state.is_arrived(staged, unit.stamp),
            _ => state.matches(staged),
        };
        let mut giving = self.cache.file_state(&unit.slot)?.content();
        let mut given = None;
        for _ in 0..PUT_BACK_TRIES {
            match self.exchange(unit, Attempt::Again) {
                Ok(()) => {}
                // The user removed the file meanwhile, or put another in its place; the version
                // displaced before that is theirs to find.
                Err(error) if error.is(NotFound) || error.is(AlreadyExists) => break,
                Err(error) => return Err(error),
            }
            let out = self.cache.file_state(&unit.slot)?;
            if is_own(&out) {
                return Ok(());
            }
            if given.is_some() && out.content() == given {
                break;
            }
            // Between the exchanges the user saved again and the newest version came
            // out: the next exchange gives it back.
            given = giving;
            giving = out.content();
        }
        // What is in the slot now is kept when the slots are cleaned up.
        Ok(())
    }

    /// Moves the file aside into the slot and verifies it.
    pub(crate) fn move_aside(&self, unit: &Unit, base: &Fingerprint) -> Step {
        let guard = match unit.action {
            // A process that writes to a file that only moves goes on writing to the same file.
            Action::Move { .. } => None,
            _ => Some(Guard::of(self.cache, &unit.path, base)?),
        };
        if self.cache.rename_to_own(&unit.path, &unit.slot).if_found()?.is_none() {
            return conflict(&unit.path, Difference::Missing);
        }
        let verified = match &guard {
            Some(guard) => guard.verify(self.cache, unit, base),
            None => match self.cache.file_state(&unit.slot) {
                Ok(state) => state.check(&unit.path, base).map_err(Obstacle::from),
                Err(error) => Err(error.into()),
            },
        };
        if verified.is_err() {
            self.back_from_aside(unit, guard)?;
        }
        verified
    }

    /// Moves the slot back to the file's path. Where a user has put a file there, theirs stays, and
    /// the slot's content is moved to `conflicts/` once the processes that wait for it have written.
    pub(crate) fn back_from_aside(
        &self,
        unit: &Unit,
        guard: Option<Guard<D>>,
    ) -> Result<(), FsError> {
        if unit.slot.parent() != unit.path.parent() {
            if self.cache.stat(&unit.slot)?.is_none() {
                return Ok(());
            }
            // The slot of a file in a directory that makes way is outside of it, and is all that is
            // left of the file where somebody has removed the directory since.
            let made = self.cache.make_parents(&unit.path);
            match made.and_then(|()| self.cache.parent(&unit.path)) {
                Ok(_) => {}
                // A file or a link of somebody else is in the way.
                Err(error) if error.is_absence() || matches!(error, FsError::Refused { .. }) => {
                    return self.keep(unit);
                }
                Err(error) => return Err(error),
            }
        }
        match self.cache.rename_own_to(&unit.slot, &unit.path) {
            Ok(()) => Ok(()),
            Err(error) if error.is(NotFound) => Ok(()),
            Err(error) if error.is(AlreadyExists) => {
                let slot = self.cache.stat(&unit.slot)?;
                let file = self.cache.stat(&unit.path)?;
                // Two names of one file: cleaning up drops the slot.
                if slot.map(|slot| slot.identity()) == file.map(|file| file.identity()) {
                    return Ok(());
                }
                drop(guard);
                self.keep(unit)
            }
            Err(error) => Err(error),
        }
    }

    /// Brings the slot to the path where its content is to be.
    pub(crate) fn arrive(&self, unit: &Unit, path: &RelPath) -> Step {
        match self.cache.rename_own_to(&unit.slot, path).unless(&[AlreadyExists])? {
            Some(()) => Ok(()),
            None => conflict(path, Difference::Exists),
        }
    }

    /// Changes the permission bits of a verified file.
    pub(crate) fn set_mode(&self, unit: &Unit, base: &Fingerprint, mode: u32) -> Step {
        let Some(file) = self.cache.open_file(&unit.path).if_found()? else {
            return conflict(&unit.path, Difference::Missing);
        };
        let state = self.cache.open_file_state(&file).map_err(FsError::io("read", &unit.path))?;
        state.check(&unit.path, base)?;
        if let FileState::File { stat, .. } = &state {
            // A name may have come since the check.
            check_mode_change(&unit.path, stat)?;
        }
        let set = |mode| {
            let failed = FsError::io("change the mode of", &unit.path);
            self.cache.disk.set_mode(&file, mode).map_err(failed)
        };
        set(mode)?;
        let changed = Fingerprint { mode, ..*base };
        let found = self.cache.file_state(&unit.path)?;
        if found.inode() != state.inode() {
            // Moved away or replaced in between: wherever the file is now, it is not to have
            // another mode.
            set(base.mode)?;
        }
        // Where it was saved over meanwhile, in place or by another file, theirs stays, and taking the
        // set back gives it the mode it had.
        Ok(found.check(&unit.path, &changed)?)
    }

    /// Makes a directory; an existing one is used as it is.
    pub(crate) fn make_dir(&self, path: &RelPath, mode: Option<u32>) -> Step {
        let disk = self.cache.disk;
        let parent = self.cache.parent(path)?;
        let made = disk.create_dir(&parent, path.file_name()).unless(&[AlreadyExists]);
        if made.map_err(FsError::io("make the directory", path))?.is_none() {
            match self.cache.stat(path)? {
                Some(stat) if stat.kind == FileKind::Directory => {}
                _ => return conflict(path, Difference::Exists),
            }
            // A crash may have come before its mode was set. One that holds something is a user's.
            if mode.is_none() || !self.cache.is_empty_dir(path)? {
                return Ok(());
            }
        }
        let Some(mode) = mode else { return Ok(()) };
        if self.cache.stat(path)?.is_some_and(|stat| stat.mode == mode) {
            return Ok(());
        }
        let failed = || FsError::io("set the mode of the directory", path);
        disk.set_dir_mode(&parent, path.file_name(), mode).map_err(failed())?;
        // Before anything comes into it: recovery sets the mode of an empty one alone.
        disk.sync_dir(&*self.cache.dir(Some(path))?).map_err(failed())?;
        Ok(())
    }
}

fn conflict(path: &RelPath, difference: Difference) -> Step {
    Err(Obstacle::of(path, difference))
}
