//! Edits of a user that could not be put back in place.

use std::io;
use std::path::PathBuf;

use crate::apply::slot_name::{SLOT_SUFFIX, is_slot_name};
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind, Lease, is_unsupported, write_all};
use crate::os::file_reader::FileReader;
use crate::rel_path::{RelPath, escape_bytes, os_string};

/// Where a user's bytes are kept that a swap displaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplacedEdit {
    /// The file they were saved to.
    pub path: RelPath,
    /// Where they are now; a path relative to the workspace's root for a directory or a special
    /// file that could not be moved and stays beside it.
    pub file: PathBuf,
}

/// Moves what a slot holds to `conflicts/`; nothing is removed before its copy is
/// durable.
pub(crate) fn keep<D: Disk>(
    cache: &DirCache<'_, D>,
    slot: &RelPath,
    path: &RelPath,
) -> Result<DisplacedEdit, FsError> {
    let (disk, conflicts) = (cache.disk, &cache.locations.conflicts);
    let dir = cache.parent(slot)?;
    let failed = || FsError::io("keep the displaced content of", path);
    for attempt in 0_u32.. {
        let name = file_name(slot, path, attempt);
        let file = cache.locations.conflicts_path.join(&name);
        let kept = || DisplacedEdit { path: path.clone(), file: file.clone() };
        let (from, to) = ((&*dir, slot.file_name()), (conflicts, name.as_bytes()));
        match disk.rename(from, to) {
            Ok(()) => {
                disk.sync_dir(conflicts).map_err(failed())?;
                return Ok(kept());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error)
                if needs_copy(&error)
                    && disk
                        .stat(from.0, from.1)
                        .is_ok_and(|stat| stat.kind != FileKind::Regular) =>
            {
                // A file system without the exclusive rename; nobody else writes to conflicts/.
                if is_unsupported(&error)
                    && disk.stat(conflicts, name.as_bytes()).is_err()
                    && disk.rename_replacing(from, to).is_ok()
                {
                    disk.sync_dir(conflicts).map_err(failed())?;
                    return Ok(kept());
                }
                // It is not the set's and cannot be copied: it stays.
                let file = PathBuf::from(os_string(slot.as_bytes()));
                return Ok(DisplacedEdit { path: path.clone(), file });
            }
            Err(error) if needs_copy(&error) => {
                let from = disk.open_file(&dir, slot.file_name()).map_err(failed())?;
                // What is written to the file after the copy would be removed with it, so
                // processes that write to it come first.
                let is_busy = disk.lease(&from).map_err(failed())? == Lease::Busy;
                if is_busy {
                    return Err(cache.busy(path, &from));
                }
                match copy(cache, &from, name.as_bytes()) {
                    Ok(()) => {
                        disk.remove_file(&dir, slot.file_name()).map_err(failed())?;
                        return Ok(kept());
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(failed()(error)),
                };
            }
            Err(error) => return Err(failed()(error)),
        }
    }
    unreachable!("some of four billion names is free")
}

/// The state directory may lie on another file system than the workspace, or on one
/// that has no exclusive rename.
fn needs_copy(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::CrossesDevices | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Copies under another name first, so that nothing half copied looks like a user's bytes.
fn copy<D: Disk>(cache: &DirCache<'_, D>, from: &D::File, name: &[u8]) -> io::Result<()> {
    use std::io::Read as _;
    let (disk, conflicts) = (cache.disk, &cache.locations.conflicts);
    if disk.stat(conflicts, name).if_found()?.is_some() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let partial = [b".", name, SLOT_SUFFIX.as_bytes()].concat();
    disk.remove_file(conflicts, &partial).if_found()?;
    let to = disk.create_file(conflicts, &partial)?;
    let mut reader = FileReader { disk, file: from, offset: 0 };
    let mut buffer = vec![0; 128 * 1024];
    let mut offset = 0;
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        write_all(disk, &to, &buffer[..count], offset)?;
        offset += count as u64;
    }
    disk.sync_file(&to)?;
    match disk.rename((conflicts, &partial), (conflicts, name)) {
        // Nobody else writes here, and the name was free a moment ago.
        Err(error) if needs_copy(&error) => {
            disk.rename_replacing((conflicts, &partial), (conflicts, name))?;
        }
        answer => answer?,
    }
    disk.sync_dir(conflicts)
}

/// Removes what a crash left of a copy. Nothing that is kept has such a name: the slot's
/// comes first in it, without its dot.
pub(crate) fn remove_partial<D: Disk>(cache: &DirCache<'_, D>) -> Result<(), FsError> {
    let (disk, conflicts) = (cache.disk, &cache.locations.conflicts);
    for entry in disk.list(conflicts).map_err(FsError::state("list", "conflicts"))? {
        if is_slot_name(&entry.name) {
            disk.remove_file(conflicts, &entry.name)
                .map_err(FsError::state("remove", os_string(&entry.name)))?;
        }
    }
    Ok(())
}

/// Names the kept file after the slot (unique for each set) and the file it was.
fn file_name(slot: &RelPath, path: &RelPath, attempt: u32) -> String {
    let slot = escape_bytes(slot.file_name());
    let slot = slot.trim_start_matches('.').trim_end_matches(".tmp");
    let mut leaf: String = escape_bytes(path.file_name()).replace(['\\', '/'], "_");
    while leaf.len() > 120 {
        leaf.pop();
    }
    match attempt {
        0 => format!("{slot}.{leaf}"),
        again => format!("{slot}.{again}.{leaf}"),
    }
}
