//! Files that have two names after a power cut.

use std::io;

use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::swapper::Swapper;
use crate::error::FsError;
use crate::os::disk::Disk;
use crate::rel_path::RelPath;

/// A file system that writes its directories in any order can show both names of a
/// rename after a power cut. One inode, one content: the extra name goes.
pub(crate) fn drop_second_names<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
) -> Result<(), FsError> {
    let cache = swapper.cache;
    for unit in &intent.units {
        let Action::Move { inode, to, .. } = &unit.action else { continue };
        let has = |path: &RelPath| {
            Ok::<_, FsError>(cache.stat(path)?.is_some_and(|stat| stat.inode == *inode))
        };
        let (at_path, in_slot, at_goal) = (has(&unit.path)?, has(&unit.slot)?, has(to)?);
        if in_slot && (at_path || at_goal) {
            cache.drop_name(&unit.slot, if at_goal { to } else { &unit.path })?;
        }
        if at_path && at_goal {
            drop_name(swapper, unit, to, *inode)?;
        }
    }
    Ok(())
}

/// Drops one of an inode's two names by way of the slot, so that a file that a user
/// puts there in the same moment is moved, seen and given back, not unlinked.
fn drop_name<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    unit: &Unit,
    name: &RelPath,
    inode: u64,
) -> Result<(), FsError> {
    let cache = swapper.cache;
    cache.rename_to_own(name, &unit.slot)?;
    if cache.stat(&unit.slot)?.is_some_and(|stat| stat.inode == inode) {
        return cache.remove_name(&unit.slot);
    }
    match cache.rename_own_to(&unit.slot, name) {
        Err(error) if error.is(io::ErrorKind::AlreadyExists) => swapper.keep(unit),
        answer => answer,
    }
}
