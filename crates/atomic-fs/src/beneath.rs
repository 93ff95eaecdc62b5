//! Finding the file that a path really means, without ever leaving the root.

use std::collections::VecDeque;
use std::path::Path;

use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::{Disk, FileKind};
use crate::refusal::Refusal;
use crate::rel_path::RelPath;

/// As many as Linux follows before it says ELOOP.
const SYMLINKS_MAX: u32 = 40;

/// What is done with a symlink that the last component of a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastSymlink {
    /// It is followed, as by whoever reads or writes.
    Followed,
    /// It is what the path means.
    Meant,
}

/// What is at a path, as far as the caller knows better than the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlaid {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A directory, of which nothing is on the disk.
    Directory,
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
    /// Anything: it is about to change.
    Unknown,
}

/// Tells what is at a path instead of what is on the disk; `None` where the disk counts.
pub(crate) type Overlay<'o, E> = dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E> + 'o;

/// The overlay that knows of nothing.
pub(crate) fn disk_alone(_: &RelPath) -> Result<Option<Overlaid>, FsError> {
    Ok(None)
}

/// A path whose symlinks are followed.
pub(crate) struct Resolved {
    pub(crate) path: RelPath,
    /// Whether it is as on the disk up to its parent.
    pub(crate) is_on_disk: bool,
}

/// Follows symlinks below the root, and returns the path of the file behind them; the file itself
/// may be absent.
///
/// # Errors
/// [`Refusal::LeadsOut`] for a symlink that leaves the root or never ends.
pub(crate) fn resolve<D: Disk, E: From<FsError>>(
    cache: &DirCache<'_, D>,
    root: &Path,
    path: &RelPath,
    last: LastSymlink,
    overlay: &mut Overlay<'_, E>,
) -> Result<Resolved, E> {
    let left = path.components().map(<[u8]>::to_vec).collect();
    let resolved = Walk { cache, root, path, last, overlay }.follow(Way::default(), left)?;
    let refusal = Refusal::NotAFile { kind: "directory" };
    Ok(resolved.ok_or_else(|| FsError::refused(path, refusal))?)
}

/// Where a symbolic link at a path would lead; `None` for the root, and for what no path leads to
/// because a part of it is a file. What it leads to may be absent.
///
/// # Errors
/// [`Refusal::LeadsOut`], also for a `..` behind what is absent or about to change: nobody knows
/// where it will lead.
pub(crate) fn resolve_link<D: Disk, E: From<FsError>>(
    cache: &DirCache<'_, D>,
    root: &Path,
    path: &RelPath,
    target: &[u8],
    overlay: &mut Overlay<'_, E>,
) -> Result<Option<Resolved>, E> {
    let split = |path: &[u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
    let mut walk = Walk { cache, root, path, last: LastSymlink::Followed, overlay };
    if target.first() == Some(&b'/') {
        let below = below_root(root, target);
        let left = split(&below.ok_or_else(|| FsError::refused(path, Refusal::LeadsOut))?);
        return walk.follow(Way::default(), left);
    }
    let way = walk.way_to_parent()?;
    walk.follow(way, split(target))
}

/// Follows names from the root for one path.
struct Walk<'w, 'g, D: Disk, E> {
    cache: &'w DirCache<'g, D>,
    root: &'w Path,
    path: &'w RelPath,
    last: LastSymlink,
    overlay: &'w mut Overlay<'w, E>,
}

/// What is at a name on the way.
enum Step {
    /// A directory, or nothing yet.
    Passed,
    Symlink(Vec<u8>),
    /// Something that has nothing below it.
    Blocked,
}

/// What was followed so far.
#[derive(Default)]
struct Way {
    done: Vec<Vec<u8>>,
    /// From how many components on it is not as on the disk.
    off_disk: Option<usize>,
    /// From how many components on nobody knows what is there.
    unknown: Option<usize>,
}

impl Way {
    fn here(&self) -> Result<RelPath, FsError> {
        Ok(RelPath::parse(&self.done.join(&b'/'))?)
    }

    /// Goes back by a component; whether there was one.
    fn pop(&mut self) -> bool {
        let popped = self.done.pop().is_some();
        self.cut();
        popped
    }

    fn clear(&mut self) {
        self.done.clear();
        self.cut();
    }

    fn cut(&mut self) {
        let depth = self.done.len();
        self.off_disk = self.off_disk.filter(|from| *from <= depth);
        self.unknown = self.unknown.filter(|from| *from <= depth);
    }
}

impl<D: Disk, E: From<FsError>> Walk<'_, '_, D, E> {
    fn refused(&self, refusal: Refusal) -> FsError {
        FsError::refused(self.path, refusal)
    }

    /// The way to the directory of the path, which is resolved: it is, or comes to be, a directory.
    fn way_to_parent(&mut self) -> Result<Way, E> {
        let mut way = Way::default();
        let depth_max = self.path.components().count() - 1;
        for component in self.path.components().take(depth_max) {
            way.done.push(component.to_vec());
            if way.off_disk.is_some() {
                continue;
            }
            let here = way.here()?;
            let is_there = (self.overlay)(&here)?.is_none()
                && matches!(self.cache.stat(&here), Ok(Some(stat)) if stat.kind == FileKind::Directory);
            if !is_there {
                way.off_disk = Some(way.done.len());
            }
        }
        Ok(way)
    }

    /// Where the names lead; `None` when it is the root itself.
    fn follow(&mut self, mut way: Way, mut left: VecDeque<Vec<u8>>) -> Result<Option<Resolved>, E> {
        let mut symlinks = 0;
        while let Some(name) = left.pop_front() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    if way.unknown.is_some() || !way.pop() {
                        return Err(self.refused(Refusal::LeadsOut).into());
                    }
                    continue;
                }
                _ => {}
            }
            way.done.push(name);
            let target = match self.step(&mut way, left.is_empty())? {
                Step::Passed => continue,
                Step::Blocked if left.is_empty() => continue,
                Step::Blocked => return Err(self.refused(Refusal::ParentNotADirectory).into()),
                Step::Symlink(target) => target,
            };
            symlinks += 1;
            if symlinks > SYMLINKS_MAX {
                return Err(self.refused(Refusal::LeadsOut).into());
            }
            way.pop();
            let relative = if target.first() == Some(&b'/') {
                way.clear();
                below_root(self.root, &target).ok_or_else(|| self.refused(Refusal::LeadsOut))?
            } else {
                target
            };
            for component in relative.rsplit(|byte| *byte == b'/') {
                left.push_front(component.to_vec());
            }
        }
        if way.done.is_empty() {
            return Ok(None);
        }
        let is_on_disk = way.off_disk.is_none_or(|from| from == way.done.len());
        Ok(Some(Resolved { path: way.here()?, is_on_disk }))
    }

    /// What is at the name that was added last, which gets the spelling that it has on the disk.
    fn step(&mut self, way: &mut Way, is_last: bool) -> Result<Step, E> {
        let cache = self.cache;
        let depth = way.done.len();
        let here = way.here()?;
        let is_meant = is_last && self.last == LastSymlink::Meant;
        if let Some(overlaid) = (self.overlay)(&here)? {
            way.off_disk.get_or_insert(depth);
            return Ok(match overlaid {
                Overlaid::Symlink(_) if is_meant => Step::Passed,
                Overlaid::Symlink(target) => Step::Symlink(target),
                Overlaid::File => Step::Blocked,
                Overlaid::Directory => Step::Passed,
                Overlaid::Absent | Overlaid::Unknown => {
                    way.unknown.get_or_insert(depth);
                    Step::Passed
                }
            });
        }
        let there = if way.off_disk.is_some() { None } else { cache.stat(&here)? };
        let Some(stat) = there else {
            way.unknown.get_or_insert(depth);
            return Ok(Step::Passed);
        };
        if cache.disk.has_other_spellings() {
            let spelling = cache.disk.spelling(&*cache.parent(&here)?, here.file_name());
            way.done.pop();
            way.done.push(spelling.map_err(FsError::io("look at", &here))?);
        }
        Ok(match stat.kind {
            FileKind::Directory => Step::Passed,
            FileKind::Symlink if is_meant => Step::Passed,
            FileKind::Symlink => {
                let parent = cache.parent(&here)?;
                let target = cache.disk.read_link(&parent, here.file_name());
                Step::Symlink(target.map_err(FsError::io("read the symlink", &here))?)
            }
            FileKind::Regular | FileKind::Other => Step::Blocked,
        })
    }
}

/// What is left of an absolute path below the root, if it lies there as written.
pub(crate) fn below_root(root: &Path, target: &[u8]) -> Option<Vec<u8>> {
    let target = std::path::PathBuf::from(crate::rel_path::os_string(target));
    let rest = target.strip_prefix(root).ok()?;
    // `..` may climb out again: the walk counts it.
    let bytes = rest.components().map(|part| part.as_os_str().as_encoded_bytes().to_vec());
    Some(bytes.collect::<Vec<_>>().join(&b'/'))
}
