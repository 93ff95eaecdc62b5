//! The names that journals have in the state directory, and what each says of its set.

use crate::error::{FsError, IfThere as _};
use crate::os::disk::Disk;
use crate::rel_path::os_string;

const SUFFIX: &[u8] = b".journal";
/// A set that recovery could not decide and that waits for a person.
pub(crate) const DOUBT_SUFFIX: &[u8] = b".doubt";
/// A journal that is not acted on.
const QUARANTINE_SUFFIX: &[u8] = b".quarantined";

/// The journals in a directory, oldest set first as far as names tell.
pub(crate) fn names<D: Disk>(disk: &D, dir: &D::Dir) -> Result<Vec<Vec<u8>>, FsError> {
    names_where(disk, dir, |name| name.ends_with(SUFFIX))
}

fn names_where<D: Disk>(
    disk: &D,
    dir: &D::Dir,
    is_one: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>, FsError> {
    let entries = disk.list(dir).map_err(FsError::state("list", "journal"))?;
    let mut names: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| is_one(name));
    names.sort();
    Ok(names)
}

/// The sets that wait for a person, and the names of their journals.
pub(crate) fn parked<D: Disk>(disk: &D, dir: &D::Dir) -> Result<Vec<(String, Vec<u8>)>, FsError> {
    let names = names_where(disk, dir, |name| name.ends_with(DOUBT_SUFFIX))?.into_iter();
    let set = |name: &[u8]| {
        let stem = name.strip_suffix(DOUBT_SUFFIX)?;
        String::from_utf8(stem.to_vec()).ok()
    };
    Ok(names.filter_map(|name| Some((set(&name)?, name))).collect())
}

/// The journals that are not acted on, by name.
pub(crate) fn quarantined<D: Disk>(disk: &D, dir: &D::Dir) -> Result<Vec<Vec<u8>>, FsError> {
    let is_one = |name: &[u8]| {
        name.windows(QUARANTINE_SUFFIX.len()).any(|window| window == QUARANTINE_SUFFIX)
    };
    names_where(disk, dir, is_one)
}

/// Renames a journal so that recovery does not act on it, and returns the new name.
pub(crate) fn quarantine<D: Disk>(disk: &D, dir: &D::Dir, name: &[u8]) -> Result<Vec<u8>, FsError> {
    let failed = || FsError::state("move the journal away", os_string(name));
    for attempt in 0_u32.. {
        let number = if attempt == 0 { String::new() } else { format!(".{attempt}") };
        let aside = [name, QUARANTINE_SUFFIX, number.as_bytes()].concat();
        if disk.stat(dir, &aside).if_found().map_err(failed())?.is_some() {
            continue;
        }
        // Nobody else writes here while the workspace's lock is held.
        disk.rename_replacing((dir, name), (dir, &aside)).map_err(failed())?;
        disk.sync_dir(dir).map_err(failed())?;
        return Ok(aside);
    }
    unreachable!("some of four billion names is free")
}

/// The set whose journal has this name.
pub(crate) fn set_of(name: &[u8]) -> Option<&str> {
    std::str::from_utf8(name.strip_suffix(SUFFIX)?).ok()
}

pub(crate) fn file_name(set: &str) -> Vec<u8> {
    [set.as_bytes(), SUFFIX].concat()
}
