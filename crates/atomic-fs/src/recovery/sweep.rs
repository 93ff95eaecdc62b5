//! Slots that no journal knows.
//!
//! A power cut can keep a slot and lose the journal that was written with it, since
//! neither name is durable before barrier 1. Nothing was swapped then, so what such a
//! slot holds is new content, whole or torn; but a slot is a file in the user's tree,
//! so anything in it that is not known content is kept.
//!
//! Another Greenroom state may be over the same tree, or over a part of it. Its slots are its own:
//! they may hold the only copy of what it has yet to take back.

use crate::apply::slot_name::{is_slot_name, set_of_slot};
use crate::content::Digest;
use crate::error::{FsError, IfThere as _};
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::FileState;
use crate::recovery::conflicts::{self, DisplacedEdit};
use crate::rel_path::RelPath;

/// What a sweep of the tree found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Unknown content, and where it is kept now.
    pub kept: Vec<DisplacedEdit>,
    /// Slots of other sets, left as they are.
    pub foreign: Vec<RelPath>,
}

/// Walks the tree and removes the slots of the sets that `is_own` names; the caller holds the
/// lock and has recovered every journal.
pub(crate) fn run<D: Disk>(
    cache: &DirCache<'_, D>,
    skip: Option<&RelPath>,
    is_own: &dyn Fn(&str) -> bool,
    is_known: &dyn Fn(&Digest) -> bool,
) -> Result<Swept, FsError> {
    conflicts::remove_partial(cache)?;
    let mut swept = Swept::default();
    let mut dirs: Vec<Option<RelPath>> = vec![None];
    while let Some(dir) = dirs.pop() {
        let opened = match cache.disk.open_dir_beneath(
            &cache.locations.root,
            dir.as_ref(),
            cache.options.allow_other_mounts,
        ) {
            Ok(opened) => opened,
            // Removed meanwhile, not ours to read, or another file system: no slot of
            // ours can have been put there.
            Err(_) if dir.is_some() => continue,
            Err(error) => return Err(FsError::io("open", None)(error)),
        };
        for entry in cache.disk.list(&opened).map_err(FsError::io("list", dir.as_ref()))? {
            let Ok(path) = RelPath::in_dir(dir.as_ref(), &entry.name) else { continue };
            if skip.is_some_and(|skip| path == *skip) {
                continue;
            }
            let looked_at = || cache.disk.stat(&opened, &entry.name).ok().map(|stat| stat.kind);
            let Some(kind) = entry.kind.or_else(looked_at) else { continue };
            match kind {
                FileKind::Directory if !is_slot_name(&entry.name) => dirs.push(Some(path)),
                FileKind::Regular | FileKind::Symlink | FileKind::Directory
                    if is_slot_name(&entry.name) =>
                {
                    if set_of_slot(&entry.name).is_some_and(is_own) {
                        swept.kept.extend(drop_slot(cache, &path, is_known)?);
                    } else {
                        swept.foreign.push(path);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(swept)
}

fn drop_slot<D: Disk>(
    cache: &DirCache<'_, D>,
    slot: &RelPath,
    is_known: &dyn Fn(&Digest) -> bool,
) -> Result<Option<DisplacedEdit>, FsError> {
    match cache.file_state(slot).if_there()? {
        None | Some(FileState::Absent) => Ok(None),
        // A directory that its set has taken away, or what somebody has put into it.
        Some(FileState::Other(FileKind::Directory)) if cache.remove_empty_tree(slot)? => Ok(None),
        Some(FileState::File { stat, digest }) if stat.bytes == 0 || is_known(&digest) => {
            cache.remove_name(slot).map(|()| None)
        }
        Some(_) => conflicts::keep(cache, slot, slot).map(Some),
    }
}
