//! What a view shows of pending patches on top of the workspace, and what leaves its upper directory.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use atomic_fs::{Entry, EntryKind, FileKind, Fingerprint, RelPath};

use crate::captures::{CaptureDir, remove_tree, set_mode, unlock};
use crate::diffing::damaged;
use crate::error::Result;
use crate::layer::DiffStagingLayer;
use crate::own_file::{self, Access, failed, make_dir, sync_dir};
use crate::patch::Patch;
use crate::stage::view::first_below;

/// The attribute of a directory that hides what the layers below have in it.
const OPAQUE: &str = "user.overlay.opaque";

/// When the content that is staged at a path was written, where that is known.
pub type WrittenAt<'t> = dyn Fn(&RelPath, &Fingerprint) -> Option<SystemTime> + 't;

impl DiffStagingLayer {
    /// Writes what patches make of the workspace into the layer of a directory, whose old one is
    /// removed. An overlay of the layer over the workspace is the workspace with the patches
    /// applied. Returns the directories that are removed because nothing is left in them.
    ///
    /// A file has the time of its patch, unless `written_at` knows another one.
    ///
    /// # Errors
    /// `Damaged` for a content; `Io`.
    pub fn write_layer(
        &self,
        patches: &[Patch],
        dir: &CaptureDir,
        written_at: &WrittenAt<'_>,
    ) -> Result<BTreeSet<RelPath>> {
        let layer = dir.layer();
        remove_tree(&layer)?;
        make_dir(&layer).map_err(failed("create", &layer))?;
        let root = fs::metadata(&self.options().workspace).map(|found| found.permissions());
        let root = root.map_err(failed("read", &self.options().workspace))?;
        fs::set_permissions(&layer, root).map_err(failed("set the mode of", &layer))?;
        let staged: BTreeMap<&RelPath, EntryKind> = patches
            .iter()
            .filter_map(|patch| Some((patch.target()?, patch.staged?.kind())))
            .collect();
        let freed = patches.iter().filter(|patch| patch.frees(&patch.path));
        let mut freed: BTreeSet<RelPath> = freed.map(|patch| patch.path.clone()).collect();
        // What is staged at a path, or below it, hides what was there.
        let is_bare = |path: &RelPath| {
            let first = first_below(path);
            let below = first.and_then(|first| staged.range::<RelPath, _>(&first..).next());
            !staged.contains_key(path) && below.is_none_or(|(below, _)| !below.starts_with(path))
        };
        let emptied = self.emptied_by(&freed, is_bare);
        freed.extend(emptied.iter().cloned());
        let is_whiteout = |path: &RelPath| freed.contains(path) && is_bare(path);
        // So does what is removed or replaced above it.
        let is_hidden = |path: &RelPath| {
            std::iter::successors(path.parent(), RelPath::parent).any(|above| {
                let kind = staged.get(&above);
                is_whiteout(&above) || kind.is_some_and(|kind| *kind != EntryKind::Directory)
            })
        };
        // A directory that nobody may write to gets its mode when everything is in it.
        let mut modes = BTreeMap::new();
        for path in freed.iter().filter(|path| is_whiteout(path) && !is_hidden(path)) {
            let path = self.room_in(&layer, path, &mut modes)?;
            whiteout(&path).map_err(failed("write", &path))?;
        }
        for patch in patches {
            if let (Some(target), Some(content)) = (patch.target(), patch.staged) {
                let path = self.room_in(&layer, target, &mut modes)?;
                if content.kind() == EntryKind::Directory {
                    make_dir(&path).map_err(failed("create", &path))?;
                    modes.insert(path, content.mode);
                    continue;
                }
                let ms = u64::try_from(patch.updated_at.unix_ms()).unwrap_or_default();
                // A build tool sees a new file only where a patch is new.
                let patched_at = || UNIX_EPOCH + Duration::from_millis(ms);
                let time = written_at(target, &content).unwrap_or_else(patched_at);
                self.write_entry(patch, &content, &path, time)?;
            }
        }
        for (path, mode) in modes.iter().rev() {
            set_mode(path, *mode).map_err(failed("set the mode of", path))?;
        }
        Ok(emptied)
    }

    /// The directories in which nothing is left of what is on the disk, and that an apply removes. What
    /// cannot be read is no such directory.
    fn emptied_by(
        &self,
        freed: &BTreeSet<RelPath>,
        is_bare: impl Fn(&RelPath) -> bool,
    ) -> BTreeSet<RelPath> {
        let above = |path: &RelPath| std::iter::successors(path.parent(), RelPath::parent);
        let above: BTreeSet<RelPath> = freed.iter().flat_map(above).collect();
        let mut emptied = BTreeSet::new();
        // What is in a directory comes before it.
        for dir in above.iter().rev().filter(|dir| is_bare(dir)) {
            let Ok(Some(entries)) = self.0.workspace.list(Some(dir)) else { continue };
            let is_gone = |entry: &Entry| {
                let path = dir.join(&entry.name);
                path.is_ok_and(|path| freed.contains(&path) || emptied.contains(&path))
            };
            if !entries.is_empty() && entries.iter().all(is_gone) {
                emptied.insert(dir.clone());
            }
        }
        emptied
    }

    /// The path in the layer, in directories that will get the modes that they have in the workspace.
    fn room_in(
        &self,
        layer: &Path,
        path: &RelPath,
        modes: &mut BTreeMap<PathBuf, u32>,
    ) -> Result<PathBuf> {
        let above: Vec<RelPath> = std::iter::successors(path.parent(), RelPath::parent).collect();
        for dir in above.iter().rev() {
            let made = layer.join(dir.to_path_buf());
            if !made.is_dir() {
                make_dir(&made).map_err(failed("create", &made))?;
                // A directory that is new, or that replaces something else, is refused or not there.
                let there = self.0.workspace.stat(dir).ok().flatten();
                let there = there.filter(|stat| stat.kind == FileKind::Directory);
                modes.insert(made, there.map_or(0o755, |stat| stat.mode));
            }
        }
        Ok(layer.join(path.to_path_buf()))
    }

    fn write_entry(
        &self,
        patch: &Patch,
        content: &Fingerprint,
        path: &Path,
        time: SystemTime,
    ) -> Result<()> {
        let made = match content.kind() {
            EntryKind::Directory => make_dir(path),
            EntryKind::Symlink => {
                let target =
                    self.0.blobs.read(&content.digest, None).map_err(damaged(&patch.path))?;
                let target = std::ffi::OsString::from_vec(target);
                std::os::unix::fs::symlink(target, path)
            }
            EntryKind::File => {
                let mut staged =
                    self.0.blobs.open_blob(&content.digest, None).map_err(damaged(&patch.path))?;
                own_file::open(path, Access::CreateNew).and_then(|mut file| {
                    io::copy(&mut staged, &mut file)?;
                    file.set_modified(time)?;
                    set_mode(path, content.mode)
                })
            }
        };
        made.map_err(failed("write", path))
    }
}

/// Makes what hides an entry of a lower layer: a character device 0/0, which every user may make
/// (overlayfs.rst, "whiteouts and opaque directories").
fn whiteout(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode};
    Ok(rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0)?)
}

impl CaptureDir {
    /// Removes entries of the upper directory, by their paths in it, each with everything below it.
    /// No process of a view of it may run.
    ///
    /// # Errors
    /// `Io`; some of them may be removed then.
    pub fn drop_entries<'p>(&self, paths: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        let upper = self.upper();
        for path in paths {
            let path = upper.join(OsStr::from_bytes(path));
            let remove = || match fs::symlink_metadata(&path)?.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            let mut removed = remove();
            if matches!(&removed, Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
                // A command has locked the directory, or what is in it.
                let above = path.parent().unwrap_or(&upper);
                removed = unlock(above).and_then(|()| remove());
            }
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(failed("remove", &path))?,
            }
        }
        Ok(())
    }

    /// Removes those of these directories of the upper directory that are empty; the others get the mode
    /// that is given. No process of a view of it may run.
    ///
    /// # Errors
    /// `Io`; some of them may be removed then.
    pub fn drop_directories<'p>(
        &self,
        directories: impl Iterator<Item = (&'p [u8], Option<u32>)>,
    ) -> Result<()> {
        let upper = self.upper();
        for (path, mode) in directories {
            let path = upper.join(OsStr::from_bytes(path));
            let done = match (fs::remove_dir(&path), mode) {
                (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                (Err(error), Some(mode)) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    set_mode(&path, mode)
                }
                (Err(error), None) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
                (removed, _) => removed,
            };
            done.map_err(failed("remove", &path))?;
        }
        Ok(())
    }
}

/// Directories of the upper directory, and what they hide, while no view is made of it: the kernel allows
/// changes of it then (overlayfs.rst, "Changes to underlying filesystems").
impl CaptureDir {
    /// Makes directories show what the layers below have in them, beside what they have themselves.
    ///
    /// # Errors
    /// `Io`; some of them may do so then.
    pub fn merge<'p>(&self, directories: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        self.mark(directories, |path| rustix::fs::removexattr(path, OPAQUE))
    }

    /// Makes directories hide what the layers below have in them.
    ///
    /// # Errors
    /// `Io`; some of them may do so then.
    pub fn separate<'p>(&self, directories: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        self.mark(directories, |path| rustix::fs::setxattr(path, OPAQUE, b"y", XattrFlags::empty()))
    }

    fn mark<'p>(
        &self,
        directories: impl Iterator<Item = &'p [u8]>,
        mark: impl Fn(&Path) -> rustix::io::Result<()>,
    ) -> Result<()> {
        let upper = self.upper();
        for path in directories {
            let path = upper.join(OsStr::from_bytes(path));
            let marked = match mark(&path) {
                Err(Errno::ACCESS) => {
                    // A command has locked it.
                    let mode = fs::metadata(&path).map(|found| found.permissions().mode());
                    let mode = mode.map_err(failed("read", &path))?;
                    set_mode(&path, mode | 0o700).map_err(failed("set the mode of", &path))?;
                    let marked = mark(&path);
                    set_mode(&path, mode).map_err(failed("set the mode of", &path))?;
                    marked
                }
                marked => marked,
            };
            match marked {
                Ok(()) | Err(Errno::NODATA | Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => Err(failed("change", &path)(error.into()))?,
            }
        }
        Ok(())
    }

    /// Hides entries of the layers below, by their paths. `mode` knows the mode of a directory that has to
    /// be made for it.
    ///
    /// # Errors
    /// `Io`; some of them may be hidden then.
    pub fn hide<'p>(
        &self,
        paths: impl Iterator<Item = &'p [u8]>,
        mode: impl Fn(&[u8]) -> u32,
    ) -> Result<()> {
        let upper = self.upper();
        for path in paths {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            for above in slashes.map(|(at, _)| &path[..at]) {
                let made = upper.join(OsStr::from_bytes(above));
                if !made.is_dir() {
                    make_dir(&made).map_err(failed("create", &made))?;
                    set_mode(&made, mode(above) | 0o700)
                        .map_err(failed("set the mode of", &made))?;
                }
            }
            let path = upper.join(OsStr::from_bytes(path));
            match whiteout(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(failed("hide", &path))?,
            }
        }
        Ok(())
    }

    /// Makes durable what was removed of these paths of the upper directory, or made there.
    ///
    /// # Errors
    /// `Io`.
    pub fn sync_upper<'p>(&self, paths: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        let upper = self.upper();
        let parents =
            paths.map(|path| path.iter().rposition(|byte| *byte == b'/').map(|at| &path[..at]));
        for parent in parents.collect::<BTreeSet<_>>() {
            let parent = upper.join(OsStr::from_bytes(parent.unwrap_or_default()));
            // What was removed with its directory is made durable by the one above.
            if parent.is_dir() {
                sync_dir(&parent)?;
            }
        }
        Ok(())
    }
}
