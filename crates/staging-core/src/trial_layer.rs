//! What a trial shows on top of the workspace, and what it drops of what its command wrote.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use atomic_fs::{EntryKind, Fingerprint, RelPath};

use crate::captures::{CaptureDir, remove_tree, set_mode, unlock};
use crate::diffing::damaged;
use crate::error::Result;
use crate::layer::DiffStagingLayer;
use crate::own_file::{self, Access, failed, make_dir};
use crate::patch::Patch;
use crate::stage::view::first_below;

impl DiffStagingLayer {
    /// Writes what patches make of the workspace into the layer of a directory, whose old one is
    /// removed. An overlay of the layer over the workspace is the workspace with the patches
    /// applied; a directory that they empty stays in it.
    ///
    /// # Errors
    /// `Damaged` for a content; `Io`.
    pub fn write_layer(&self, patches: &[Patch], dir: &CaptureDir) -> Result<()> {
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
        let freed: BTreeSet<&RelPath> = freed.map(|patch| &patch.path).collect();
        // What is staged at a path, or below it, hides what was there.
        let is_whiteout = |path: &RelPath| {
            let first = first_below(path);
            let below = first.and_then(|first| staged.range::<RelPath, _>(&first..).next());
            freed.contains(path)
                && !staged.contains_key(path)
                && below.is_none_or(|(below, _)| !below.starts_with(path))
        };
        // So does what is removed or replaced above it.
        let is_hidden = |path: &RelPath| {
            std::iter::successors(path.parent(), RelPath::parent).any(|above| {
                let kind = staged.get(&above);
                is_whiteout(&above) || kind.is_some_and(|kind| *kind != EntryKind::Directory)
            })
        };
        for path in freed.iter().filter(|path| is_whiteout(path) && !is_hidden(path)) {
            let path = self.room_in(&layer, path)?;
            whiteout(&path).map_err(failed("write", &path))?;
        }
        for patch in patches {
            if let (Some(target), Some(content)) = (patch.target(), patch.staged) {
                let path = self.room_in(&layer, target)?;
                self.write_entry(patch, &content, &path)?;
            }
        }
        Ok(())
    }

    /// The path in the layer, in directories with the modes that they have in the workspace.
    fn room_in(&self, layer: &Path, path: &RelPath) -> Result<PathBuf> {
        let above: Vec<RelPath> = std::iter::successors(path.parent(), RelPath::parent).collect();
        for dir in above.iter().rev() {
            let made = layer.join(dir.to_path_buf());
            if !made.is_dir() {
                make_dir(&made).map_err(failed("create", &made))?;
                // A directory that is new, or that replaces something else, is refused or not there.
                let there = self.0.workspace.stat(dir).ok().flatten();
                let mode = there.map_or(0o755, |stat| stat.mode);
                set_mode(&made, mode).map_err(failed("set the mode of", &made))?;
            }
        }
        Ok(layer.join(path.to_path_buf()))
    }

    fn write_entry(&self, patch: &Patch, content: &Fingerprint, path: &Path) -> Result<()> {
        let made = match content.kind() {
            EntryKind::Directory => make_dir(path).and_then(|()| set_mode(path, content.mode)),
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
                    // A build tool sees a new file only where a patch is new.
                    let ms = u64::try_from(patch.updated_at.unix_ms()).unwrap_or_default();
                    file.set_modified(UNIX_EPOCH + Duration::from_millis(ms))?;
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
