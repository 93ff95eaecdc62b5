//! Exchange, verify, put back: one unit's way to the disk.
//!
//! Every step looks at what came out of it before it is called done. What comes
//! out and is neither base nor staged is a user's edit: it goes back, or, where the
//! user has been faster once more, to `conflicts/`.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::apply::intent::{Action, Unit};
use crate::apply::swap_record::SwapRecord;
use crate::content::Fingerprint;
use crate::error::{Conflict, Difference, FsError};
use crate::mutants::mutant;
use crate::os::dir_cache::DirCache;
use crate::os::disk::is_unsupported;
use crate::os::disk::{Disk, FileKind, Lease};
use crate::os::file_state::FileState;
use crate::policy::check_mode_change;
use crate::recovery::conflicts::{self, Kept};
use crate::rel_path::RelPath;

/// How often a put-back is tried again against a user who keeps saving.
const PUT_BACK_TRIES: usize = 3;

/// What stood in the way of a step.
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

impl Obstacle {
    fn of(path: &RelPath, difference: Difference) -> Self {
        Self::Conflict(Conflict { path: path.clone(), difference })
    }
}

type Step = Result<(), Obstacle>;

/// A file that was looked at and is about to be moved.
pub(crate) struct Guard<D: Disk> {
    /// The open file, where writers are held off for as long as it is open.
    leased: Option<D::File>,
    inode: Option<(u64, u64)>,
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
    /// Whether an inode's number is still that of the file that was checked: some file systems
    /// give new ones when they are mounted again.
    pub knows_inodes: bool,
    kept: Mutex<Vec<Kept>>,
}

impl<'g, 'a, D: Disk> Swapper<'g, 'a, D> {
    pub(crate) fn new(cache: &'g DirCache<'a, D>) -> Self {
        Self { cache, record: SwapRecord::none(), knows_inodes: false, kept: Mutex::default() }
    }

    /// For the process that checked the files.
    pub(crate) fn of_apply(cache: &'g DirCache<'a, D>, record: SwapRecord<D>) -> Self {
        Self { record, knows_inodes: true, ..Self::new(cache) }
    }

    /// The user's bytes that went to `conflicts/` so far.
    pub(crate) fn take_kept(&self) -> Vec<Kept> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn keep(&self, unit: &Unit) -> Result<(), FsError> {
        self.note_kept(conflicts::keep(self.cache, &unit.slot, &unit.path)?);
        Ok(())
    }

    pub(crate) fn note_kept(&self, kept: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }

    /// Exchanges the slot with the file and verifies what came out.
    pub(crate) fn replace(&self, unit: &Unit, base: &Fingerprint, staged: &Fingerprint) -> Step {
        // Kept until the file is verified, or put back: who waits to write must not get
        // at the file before.
        let guard = self.guard(unit, base)?;
        match self.exchange(unit, Attempt::First) {
            Ok(()) => {}
            Err(error) if error.is(io::ErrorKind::NotFound) => {
                return conflict(&unit.path, Difference::Missing);
            }
            // Put there while the path was free.
            Err(error) if error.is(io::ErrorKind::AlreadyExists) => {
                return conflict(&unit.path, Difference::Content);
            }
            Err(error) => return Err(error.into()),
        }
        let verified = match mutant!(ReplaceUnverified) || mutant!(SuccessTrusted) {
            true => Ok(()),
            false => self.verify(unit, base, &guard),
        };
        if verified.is_err() {
            self.put_back(unit, staged)?;
        }
        verified
    }

    /// Looks at the file before it is moved, and holds off writers where it can.
    fn guard(&self, unit: &Unit, base: &Fingerprint) -> Result<Guard<D>, Obstacle> {
        let (disk, path) = (self.cache.disk, &unit.path);
        let missing = || Err(Obstacle::of(path, Difference::Missing));
        if !base.kind.is_file() {
            // Nobody writes to a link.
            let state = self.cache.file_state(path)?;
            return match state.difference(base) {
                None => Ok(Guard { leased: None, inode: state.inode() }),
                Some(difference) => Err(Obstacle::of(path, difference)),
            };
        }
        match self.cache.stat(path)? {
            None => return missing(),
            Some(stat) if stat.kind != FileKind::Regular => {
                return Err(Obstacle::of(path, Difference::Kind));
            }
            Some(_) => {}
        }
        let file = match self.cache.open_file(path) {
            Ok(file) => file,
            Err(error) if error.is(io::ErrorKind::NotFound) => return missing(),
            Err(error) => return Err(error.into()),
        };
        let leased = match disk.lease(&file).map_err(FsError::io("guard", path))? {
            Lease::Held => true,
            Lease::Unavailable => false,
            Lease::Busy if mutant!(BusyIgnored) => false,
            Lease::Busy => return Err(self.cache.busy(path, &file).into()),
        };
        // Without a lease this look decides nothing, but it spares the user's editor the
        // sight of a file that is taken out and put back.
        let state = self.cache.open_file_state(&file).map_err(FsError::io("read", path))?;
        match state.difference(base) {
            None => Ok(Guard { leased: leased.then_some(file), inode: state.inode() }),
            Some(difference) => Err(Obstacle::of(path, difference)),
        }
    }

    /// Whether what came out into the slot is the base.
    fn verify(&self, unit: &Unit, base: &Fingerprint, guard: &Guard<D>) -> Step {
        if let Some(leased) = &guard.leased {
            let out = self.cache.stat(&unit.slot)?;
            let is_guarded = out.is_some_and(|out| Some((out.device, out.inode)) == guard.inode);
            let holds = self.cache.disk.lease_holds(leased);
            let holds = holds.map_err(FsError::io("guard", &unit.path))? || mutant!(LeaseUnchecked);
            if is_guarded && !holds {
                // Somebody waits in open(2) to write to what is in the slot now.
                return Err(self.cache.busy(&unit.path, leased).into());
            }
            if is_guarded && out.is_some_and(|out| out.mode == base.mode) {
                return Ok(());
            }
        }
        match self.cache.file_state(&unit.slot)?.difference(base) {
            None => Ok(()),
            Some(difference) => conflict(&unit.path, difference),
        }
    }

    /// Gives back a user's version that an exchange took out of place.
    ///
    /// Whatever the user saved last ends at the file's path; an older version that was displaced
    /// together with a newer one stays in the slot, and is kept when the slots are cleaned up.
    pub(crate) fn put_back(&self, unit: &Unit, staged: &Fingerprint) -> Result<(), FsError> {
        if mutant!(PutBackSkipped) {
            return Ok(());
        }
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
                // The user removed the file meanwhile; the version displaced before
                // that is theirs to find.
                Err(error) if error.is(io::ErrorKind::NotFound) => break,
                // And put another in its place.
                Err(error) if error.is(io::ErrorKind::AlreadyExists) => break,
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
            // Who writes to a file that only moves goes on writing to the same file.
            Action::Move { .. } => None,
            _ => Some(self.guard(unit, base)?),
        };
        if mutant!(DeleteUnlinks) && matches!(unit.action, Action::Delete { .. }) {
            return Ok(self.cache.remove_name(&unit.path)?);
        }
        match self.cache.rename_to_own(&unit.path, &unit.slot) {
            Ok(()) => {}
            Err(error) if error.is(io::ErrorKind::NotFound) => {
                return conflict(&unit.path, Difference::Missing);
            }
            Err(error) => return Err(error.into()),
        }
        let verified = match &guard {
            _ if mutant!(DeleteUnverified) => Ok(()),
            Some(guard) => self.verify(unit, base, guard),
            None => match self.cache.file_state(&unit.slot) {
                Ok(state) => match state.difference(base) {
                    None => Ok(()),
                    Some(difference) => conflict(&unit.path, difference),
                },
                Err(error) => Err(error.into()),
            },
        };
        if verified.is_err() {
            self.back_from_aside(unit, guard)?;
        }
        verified
    }

    /// Moves the slot back to the file's path; where the user has put something there, theirs
    /// stays and the slot's content is kept, with what is written to it by whoever waits for that.
    pub(crate) fn back_from_aside(
        &self,
        unit: &Unit,
        guard: Option<Guard<D>>,
    ) -> Result<(), FsError> {
        if unit.slot.parent() != unit.path.parent() && !mutant!(ParentsForgotten) {
            if self.cache.stat(&unit.slot)?.is_none() {
                return Ok(());
            }
            // The slot of a file in a directory that makes way lies outside of it, and is all that
            // is left of the file where somebody has removed the directory since.
            let made = self.cache.make_parents(&unit.path);
            match made.and_then(|()| self.cache.parent(&unit.path)) {
                Ok(_) => {}
                // Somebody's file or link is in the way.
                Err(error) if error.is_absence() || matches!(error, FsError::Refused { .. }) => {
                    return self.keep(unit);
                }
                Err(error) => return Err(error),
            }
        }
        match self.cache.rename_own_to(&unit.slot, &unit.path) {
            Ok(()) => Ok(()),
            Err(error) if error.is(io::ErrorKind::NotFound) => Ok(()),
            Err(error) if error.is(io::ErrorKind::AlreadyExists) => {
                let slot = self.cache.stat(&unit.slot)?;
                let file = self.cache.stat(&unit.path)?;
                let identity =
                    |stat: Option<crate::os::disk::Stat>| stat.map(|s| (s.device, s.inode));
                // Two names of one file: cleaning up drops the slot.
                if identity(slot) == identity(file) {
                    return Ok(());
                }
                let _kept = guard.filter(|_| mutant!(WaitersShutOut));
                self.keep(unit)
            }
            Err(error) => Err(error),
        }
    }

    /// Brings the slot to the path where its content is to be.
    pub(crate) fn arrive(&self, unit: &Unit, path: &RelPath) -> Step {
        if mutant!(ArrivalReplaces) {
            let (from, to) = (self.cache.parent(&unit.slot)?, self.cache.parent(path)?);
            let disk = self.cache.disk;
            disk.rename_replacing(&from, unit.slot.file_name(), &to, path.file_name())
                .map_err(FsError::io("move", path))?;
            return Ok(());
        }
        match self.cache.rename_own_to(&unit.slot, path) {
            Ok(()) => Ok(()),
            Err(error) if error.is(io::ErrorKind::AlreadyExists) => {
                conflict(path, Difference::Exists)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the permission bits of a verified file.
    pub(crate) fn set_mode(&self, unit: &Unit, base: &Fingerprint, mode: u32) -> Step {
        let file = match self.cache.open_file(&unit.path) {
            Ok(file) => file,
            Err(error) if error.is(io::ErrorKind::NotFound) => {
                return conflict(&unit.path, Difference::Missing);
            }
            Err(error) => return Err(error.into()),
        };
        let state = self.cache.open_file_state(&file).map_err(FsError::io("read", &unit.path))?;
        if let Some(difference) = state.difference(base) {
            return conflict(&unit.path, difference);
        }
        if let FileState::File { stat, .. } = &state {
            // A name may have come since the check.
            check_mode_change(&unit.path, stat)?;
        }
        let set = |mode| {
            let failed = FsError::io("change the mode of", &unit.path);
            self.cache.disk.set_mode(&file, mode).map_err(failed)
        };
        set(mode)?;
        if mutant!(ModeUnverified) {
            return Ok(());
        }
        let changed = Fingerprint { mode, ..*base };
        let found = self.cache.file_state(&unit.path)?;
        if found.inode() != state.inode() {
            // Moved away or replaced in between: wherever the file is now, it is not to have
            // another mode.
            set(base.mode)?;
        }
        match found.difference(&changed) {
            None => Ok(()),
            // Saved over meanwhile, in place or by another file: theirs stays, and taking the set
            // back gives it the mode it had.
            Some(difference) => conflict(&unit.path, difference),
        }
    }

    /// Makes a directory; one that is there already will do.
    pub(crate) fn make_dir(&self, path: &RelPath, mode: Option<u32>) -> Step {
        let disk = self.cache.disk;
        let parent = self.cache.parent(path)?;
        match disk.create_dir(&parent, path.file_name()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.cache.stat(path)? {
                    Some(stat) if stat.kind == FileKind::Directory => {}
                    _ => return conflict(path, Difference::Exists),
                }
                // A crash may have come before its mode was set; where a user has made it, it is
                // theirs.
                if mode.is_none() || !self.cache.is_empty_dir(path)? {
                    return Ok(());
                }
            }
            Err(error) => return Err(FsError::io("make the directory", path)(error).into()),
        }
        let Some(mode) = mode else { return Ok(()) };
        if self.cache.stat(path)?.is_some_and(|stat| stat.mode == mode) {
            return Ok(());
        }
        let failed = || FsError::io("set the mode of the directory", path);
        disk.set_dir_mode(&parent, path.file_name(), mode).map_err(failed())?;
        // Before anything comes into it: recovery sets the mode of an empty one alone.
        if !mutant!(DirModeUnsynced) {
            disk.sync_dir(&*self.cache.dir(Some(path))?).map_err(failed())?;
        }
        Ok(())
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
                    return self.exchange_by_replacing(unit, &parent);
                }
                if self.cache.options.allow_move_aside {
                    if attempt == Attempt::Again && !mutant!(AsideReusedUnsynced) {
                        // The name is taken again that the file was moved away from last time.
                        self.cache.sync_parent(&unit.path)?;
                    }
                    return self.exchange_by_moving_aside(unit);
                }
                Err(FsError::NoExchange { path: unit.path.clone() })
            }
            answer => answer.map_err(FsError::io("swap", &unit.path)),
        }
    }
}

fn conflict(path: &RelPath, difference: Difference) -> Step {
    Err(Obstacle::of(path, difference))
}
