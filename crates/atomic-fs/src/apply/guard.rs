//! Looking at a file before it is moved, holding off its writers, and looking at it after.

use crate::apply::intent::Unit;
use crate::apply::swapper::Obstacle;
use crate::conflict::Difference;
use crate::content::Fingerprint;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind, Lease};
use crate::rel_path::RelPath;

/// A file that was looked at and is about to be moved.
pub(crate) struct Guard<D: Disk> {
    /// The open file, where writers are held off for as long as it is open.
    leased: Option<D::File>,
    inode: Option<(u64, u64)>,
}

impl<D: Disk> Guard<D> {
    /// Looks at the file before it is moved, and holds off writers where it can.
    pub(crate) fn of(
        cache: &DirCache<'_, D>,
        path: &RelPath,
        base: &Fingerprint,
    ) -> Result<Self, Obstacle> {
        let disk = cache.disk;
        let missing = || Err(Obstacle::of(path, Difference::Missing));
        if !base.is_file() {
            // Nobody writes to a link.
            let state = cache.file_state(path)?;
            state.check(path, base)?;
            return Ok(Self { leased: None, inode: state.inode() });
        }
        match cache.stat(path)? {
            None => return missing(),
            Some(stat) if stat.kind != FileKind::Regular => {
                return Err(Obstacle::of(path, Difference::Kind));
            }
            Some(_) => {}
        }
        let Some(file) = cache.open_file(path).if_found()? else { return missing() };
        let leased = match disk.lease(&file).map_err(FsError::io("guard", path))? {
            Lease::Held => true,
            Lease::Unavailable => false,
            Lease::Busy => return Err(cache.busy(path, &file).into()),
        };
        // Without a lease this check decides nothing, but it avoids that an editor sees a file taken
        // out and put back.
        let state = cache.open_file_state(&file).map_err(FsError::io("read", path))?;
        state.check(path, base)?;
        Ok(Self { leased: leased.then_some(file), inode: state.inode() })
    }

    /// Whether what came out into the slot is the base.
    pub(crate) fn verify(
        &self,
        cache: &DirCache<'_, D>,
        unit: &Unit,
        base: &Fingerprint,
    ) -> Result<(), Obstacle> {
        if let Some(leased) = &self.leased {
            let out = cache.stat(&unit.slot)?;
            let is_guarded = out.is_some_and(|out| Some(out.identity()) == self.inode);
            let holds = cache.disk.lease_holds(leased);
            let holds = holds.map_err(FsError::io("guard", &unit.path))?;
            if is_guarded && !holds {
                // A process waits in open(2) to write to the file that is in the slot now.
                return Err(cache.busy(&unit.path, leased).into());
            }
            if is_guarded && out.is_some_and(|out| out.mode == base.mode) {
                return Ok(());
            }
        }
        Ok(cache.file_state(&unit.slot)?.check(&unit.path, base)?)
    }
}
