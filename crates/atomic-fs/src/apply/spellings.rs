//! Two names of one set that a directory takes for one.

use std::collections::{BTreeMap, HashSet};

use crate::apply::intent::Intent;
use crate::case_fold::folded_name;
use crate::contradiction::Contradiction;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::rel_path::RelPath;

/// Refuses a set that brings files to two spellings of one name, `New` and `NEW`, in a directory
/// that does not tell them apart. No inode tells while neither is there, so the directory is
/// asked with a name that it holds; after the slots are written it holds one.
///
/// # Errors
/// [`FsError::BadChangeSet`].
pub(crate) fn check<D: Disk>(cache: &DirCache<'_, D>, intent: &Intent) -> Result<(), FsError> {
    let arriving = intent.units.iter().filter_map(|unit| unit.arrives_at());
    let mut names: BTreeMap<Vec<Vec<u8>>, &RelPath> = BTreeMap::new();
    // A directory is asked once, however many pairs of names arrive in it.
    let mut answers: BTreeMap<Option<RelPath>, bool> = BTreeMap::new();
    for path in arriving.chain(&intent.new_dirs) {
        let folded = path.components().map(|name| folded_name(name).into_owned()).collect();
        let Some(other) = names.insert(folded, path) else { continue };
        if other == path {
            continue;
        }
        let folds = match answers.get(&path.parent()) {
            Some(folds) => *folds,
            None => {
                let folds = folds_case(cache, path)?;
                answers.insert(path.parent(), folds);
                folds
            }
        };
        if folds {
            let (one, other) = (other.clone(), path.clone());
            return Err(Contradiction::OneName { one, other }.into());
        }
    }
    Ok(())
}

/// Whether the nearest directory above a path finds a name in another case.
fn folds_case<D: Disk>(cache: &DirCache<'_, D>, path: &RelPath) -> Result<bool, FsError> {
    let (_, dir) = cache.nearest_dir(path.parent())?;
    let failed = || FsError::io("look beside", path);
    let entries = cache.disk.list(&dir).map_err(failed())?;
    let names: HashSet<&[u8]> = entries.iter().map(|entry| entry.name.as_slice()).collect();
    for entry in &entries {
        let other: Vec<u8> = entry.name.iter().map(|byte| byte ^ case_bit(*byte)).collect();
        if other == entry.name || names.contains(other.as_slice()) {
            continue;
        }
        let found = cache.disk.stat(&dir, &other).if_found().map_err(failed())?;
        return Ok(found.is_some());
    }
    Ok(false)
}

fn case_bit(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() { 0x20 } else { 0 }
}
