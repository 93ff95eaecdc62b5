//! Bytes of a user's edit that could not be put back in place.

use std::io;
use std::path::PathBuf;

use crate::disk::Disk;
use crate::error::FsError;
use crate::ground::{FileReader, Ground};
use crate::journal::write_all;
use crate::rel_path::{RelPath, escape};

/// Where a user's bytes are kept that a swap displaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file they were saved to.
    pub path: RelPath,
    /// Where they are now.
    pub file: PathBuf,
}

/// Moves what a slot holds to `conflicts/`; nothing is removed before its copy is
/// durable.
pub(crate) fn keep<D: Disk>(
    ground: &Ground<'_, D>,
    slot: &RelPath,
    path: &RelPath,
) -> Result<Kept, FsError> {
    let (disk, conflicts) = (ground.disk, ground.conflicts);
    let dir = ground.parent(slot)?;
    let failed = || FsError::io("keep the displaced content of", path);
    for attempt in 0_u32.. {
        let name = file_name(slot, path, attempt);
        let kept = || Kept { path: path.clone(), file: ground.conflicts_path.join(&name) };
        match disk.rename(&dir, slot.file_name(), conflicts, name.as_bytes()) {
            Ok(()) => {
                disk.sync_dir(conflicts).map_err(failed())?;
                return Ok(kept());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if needs_copy(&error) => {
                match copy(ground, slot, name.as_bytes()) {
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
fn copy<D: Disk>(ground: &Ground<'_, D>, slot: &RelPath, name: &[u8]) -> io::Result<()> {
    use std::io::Read as _;
    let (disk, conflicts) = (ground.disk, ground.conflicts);
    let dir = ground.parent(slot).map_err(io::Error::other)?;
    let is_absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match disk.stat(conflicts, name) {
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if is_absent(&error) => {}
        Err(error) => return Err(error),
    }
    let partial = [name, b".part"].concat();
    match disk.remove_file(conflicts, &partial) {
        Err(error) if !is_absent(&error) => return Err(error),
        _ => {}
    }
    let from = disk.open_file(&dir, slot.file_name())?;
    let to = disk.create_file(conflicts, &partial)?;
    let mut reader = FileReader { disk, file: &from, offset: 0 };
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
    match disk.rename(conflicts, &partial, conflicts, name) {
        // Nobody else writes here, and the name was free a moment ago.
        Err(error) if needs_copy(&error) => {
            disk.rename_replacing(conflicts, &partial, conflicts, name)?;
        }
        answer => answer?,
    }
    disk.sync_dir(conflicts)
}

/// Names the kept file after the slot (unique for each set) and the file it was.
fn file_name(slot: &RelPath, path: &RelPath, attempt: u32) -> String {
    let slot = escape(slot.file_name());
    let slot = slot.trim_start_matches('.').trim_end_matches(".tmp");
    let mut leaf: String = escape(path.file_name()).replace(['\\', '/'], "_");
    while leaf.len() > 120 {
        leaf.pop();
    }
    match attempt {
        0 => format!("{slot}.{leaf}"),
        again => format!("{slot}.{again}.{leaf}"),
    }
}
