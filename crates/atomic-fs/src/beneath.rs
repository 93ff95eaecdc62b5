//! Finding the file that a path really means, without ever leaving the root.

use std::collections::VecDeque;
use std::path::Path;

use crate::disk::{Disk, FileKind};
use crate::error::{FsError, Refusal};
use crate::ground::Ground;
use crate::rel_path::{RelPath, escape};

/// As many as Linux follows before it says ELOOP.
const SYMLINKS_MAX: u32 = 40;

/// What is done with a symlink that the last component of a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastSymlink {
    /// It is followed, as by whoever reads or writes.
    Followed,
    /// It is refused: whoever takes a name away or moves it means the name, not what is behind it.
    Refused,
    /// It is what the path means.
    Meant,
}

/// Follows symlinks below the root, and returns the path of the file behind them; the file itself
/// may be absent.
///
/// # Errors
/// [`Refusal::LeadsOut`] for a symlink that leaves the root or never ends, and
/// [`Refusal::Symlink`] for the last one, if it is not to be followed.
pub(crate) fn resolve<D: Disk>(
    ground: &Ground<'_, D>,
    root: &Path,
    path: &RelPath,
    last: LastSymlink,
) -> Result<RelPath, FsError> {
    let left = path.components().map(<[u8]>::to_vec).collect();
    walk(ground, root, path, left, last)?.ok_or(FsError::Refused {
        path: path.clone(),
        refusal: Refusal::NotAFile { kind: "directory" },
    })
}

/// Where a symbolic link at a path would lead; `None` for the root, and for what no path leads to
/// because a part of it is a file. What it leads to may be absent.
///
/// # Errors
/// [`Refusal::LeadsOut`].
pub(crate) fn resolve_link<D: Disk>(
    ground: &Ground<'_, D>,
    root: &Path,
    path: &RelPath,
    target: &[u8],
) -> Result<Option<RelPath>, FsError> {
    let split = |path: &[u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
    let left: VecDeque<Vec<u8>> = if target.first() == Some(&b'/') {
        let refused = FsError::Refused { path: path.clone(), refusal: Refusal::LeadsOut };
        split(&below_root(root, target).ok_or(refused)?)
    } else {
        let mut left: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        left.pop_back();
        let below: VecDeque<Vec<u8>> = split(target);
        left.extend(below);
        left
    };
    match walk(ground, root, path, left, LastSymlink::Followed) {
        Err(FsError::Refused { refusal: Refusal::ParentNotADirectory, .. }) => Ok(None),
        answer => answer,
    }
}

/// Follows names from the root; `None` when they lead to the root itself.
fn walk<D: Disk>(
    ground: &Ground<'_, D>,
    root: &Path,
    path: &RelPath,
    mut left: VecDeque<Vec<u8>>,
    last: LastSymlink,
) -> Result<Option<RelPath>, FsError> {
    let refused = |refusal| FsError::Refused { path: path.clone(), refusal };
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut symlinks = 0;
    while let Some(name) = left.pop_front() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                done.pop().ok_or_else(|| refused(Refusal::LeadsOut))?;
                continue;
            }
            _ => {}
        }
        done.push(name);
        let here = RelPath::parse(&done.join(&b'/'))?;
        let Some(stat) = ground.stat(&here)? else { continue };
        if ground.disk.has_other_spellings() {
            let spelling = ground.disk.spelling(&*ground.parent(&here)?, here.file_name());
            done.pop();
            done.push(spelling.map_err(FsError::io("look at", &here))?);
        }
        match stat.kind {
            FileKind::Directory => {}
            FileKind::Symlink => {
                symlinks += 1;
                if symlinks > SYMLINKS_MAX {
                    return Err(refused(Refusal::LeadsOut));
                }
                if left.is_empty() && last == LastSymlink::Meant {
                    continue;
                }
                let parent = ground.parent(&here)?;
                let target = ground
                    .disk
                    .read_link(&parent, here.file_name())
                    .map_err(FsError::io("read the symlink", &here))?;
                if left.is_empty() && last == LastSymlink::Refused {
                    return Err(refused(Refusal::Symlink { target: escape(&target) }));
                }
                done.pop();
                let relative = if target.first() == Some(&b'/') {
                    done.clear();
                    below_root(root, &target).ok_or_else(|| refused(Refusal::LeadsOut))?
                } else {
                    target
                };
                for component in relative.rsplit(|byte| *byte == b'/') {
                    left.push_front(component.to_vec());
                }
            }
            FileKind::Regular | FileKind::Other if left.is_empty() => {}
            FileKind::Regular | FileKind::Other => {
                return Err(refused(Refusal::ParentNotADirectory));
            }
        }
    }
    if done.is_empty() {
        return Ok(None);
    }
    Ok(Some(RelPath::parse(&done.join(&b'/'))?))
}

/// What is left of an absolute path below the root, if it lies there as written.
pub(crate) fn below_root(root: &Path, target: &[u8]) -> Option<Vec<u8>> {
    let target = std::path::PathBuf::from(crate::rel_path::os_string(target));
    let rest = target.strip_prefix(root).ok()?;
    // `..` may climb out again: the walk counts it.
    let bytes = rest.components().map(|part| part.as_os_str().as_encoded_bytes().to_vec());
    Some(bytes.collect::<Vec<_>>().join(&b'/'))
}
