//! The directories in which views of the workspace keep what commands write.
//!
//! `captures/ID/` belongs to the session with that id, `trial/` to commands that try what is pending.
//! `upper/` and `work/` in it are the kernel's while a view lives, `layer/` is what a view shows on top
//! of the workspace, and the files beside them belong to whoever made the view. Nothing here reads
//! `upper/`.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::time::{Duration, UNIX_EPOCH};

use atomic_fs::RelPath;
#[cfg(target_os = "linux")]
use atomic_fs::{EntryKind, Fingerprint};

#[cfg(target_os = "linux")]
use crate::diffing::damaged;
use crate::error::Result;
use crate::ids::SessionId;
use crate::layer::DiffStagingLayer;
use crate::own_file::{self, Access, failed, make_dir, sync_dir};
#[cfg(target_os = "linux")]
use crate::patch::Patch;

const FOLDER: &str = "captures";

/// The directory of views. It may not exist.
#[derive(Clone, Debug)]
pub struct CaptureDir {
    path: PathBuf,
}

impl DiffStagingLayer {
    /// The directory of a session's capture; nothing is created.
    pub fn capture_dir(&self, session: SessionId) -> CaptureDir {
        let path = self.options().state_dir.join(FOLDER).join(session.to_string());
        CaptureDir { path }
    }

    /// The directory of commands that try what is pending; nothing is created.
    pub fn trial_dir(&self) -> CaptureDir {
        CaptureDir { path: self.options().state_dir.join("trial") }
    }

    /// The sessions that have a capture, in their order.
    ///
    /// # Errors
    /// `Io` when the state directory cannot be read.
    pub fn captures(&self) -> Result<Vec<SessionId>> {
        let folder = self.options().state_dir.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &folder))?,
        };
        let mut sessions = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("read", &folder))?.file_name();
            sessions.extend(name.to_str().and_then(|name| name.parse::<SessionId>().ok()));
        }
        sessions.sort_unstable();
        Ok(sessions)
    }
}

impl CaptureDir {
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that receives what a command writes.
    pub fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// The directory beside it that the kernel needs.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// The directory that a view shows on top of the workspace.
    pub fn layer(&self) -> PathBuf {
        self.path.join("layer")
    }

    /// Whether it was created.
    pub fn exists(&self) -> bool {
        self.upper().is_dir()
    }

    /// Creates it, where there is none. The new upper directory has the permission bits `mode`, which
    /// a view shows for the workspace's root.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(&self, mode: u32) -> Result<()> {
        // The state directory exists; `captures` in it may not.
        let folder = self.path.parent().unwrap_or(&self.path);
        for path in [folder, &self.path, &self.work()] {
            make_dir(path).map_err(failed("create", path))?;
        }
        let upper = self.upper();
        if !self.exists() {
            make_dir(&upper).map_err(failed("create", &upper))?;
            set_mode(&upper, mode).map_err(failed("set the mode of", &upper))?;
        }
        Ok(())
    }

    /// The content of a file of the importer; `None` when there is none.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let read = || {
            let mut content = Vec::new();
            own_file::open(&path, Access::Read)?.read_to_end(&mut content)?;
            io::Result::Ok(content)
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(failed("read", &path)),
        }
    }

    /// Waits until no other process imports or writes here, and keeps others out until the answer is
    /// dropped.
    ///
    /// # Errors
    /// `Io`.
    pub fn lock(&self) -> Result<File> {
        let path = self.path.join("lock");
        let lock = || {
            let file = match own_file::open(&path, Access::CreateNew) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    own_file::open(&path, Access::Write)?
                }
                opened => opened?,
            };
            file.lock()?;
            io::Result::Ok(file)
        };
        lock().map_err(failed("lock", &path))
    }

    /// Writes a file of the importer, whole or not at all. The caller holds the lock.
    ///
    /// # Durability
    /// The file survives a power cut when this returns.
    ///
    /// # Errors
    /// `Io`; the file is as it was then.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        // The lock keeps others from writing it; one that was killed may have left it.
        let half = self.path.join(format!("{name}.half"));
        own_file::remove(&half).map_err(failed("remove", &half))?;
        own_file::write_whole(&path, &half, content).map_err(failed("write", &path))?;
        sync_dir(&self.path)
    }

    /// Removes the whole directory; nothing happens when there is none. No view of it may live.
    ///
    /// # Errors
    /// `Io`; a part may be removed then.
    pub fn remove(&self) -> Result<()> {
        remove_tree(&self.path)
    }

    /// Removes entries of the upper directory, by their paths in it, each with everything below it.
    /// No view of it may live.
    ///
    /// # Errors
    /// `Io`; some of them may be removed then.
    pub fn drop_entries<'p>(&self, paths: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        let upper = self.upper();
        for path in paths {
            let Ok(path) = RelPath::parse(path) else { continue };
            let path = upper.join(path.to_path_buf());
            match own_file::remove(&path) {
                Err(_) if path.is_dir() => remove_tree(&path)?,
                removed => drop(removed.map_err(failed("remove", &path))?),
            }
        }
        Ok(())
    }

    /// Empties the kernel's directory, which must hold nothing when a view is made.
    ///
    /// # Errors
    /// `Io`.
    pub fn clean_work(&self) -> Result<()> {
        let work = self.work();
        let clean = || {
            unlock(&work)?;
            for entry in fs::read_dir(&work)? {
                fs::remove_dir_all(entry?.path())?;
            }
            io::Result::Ok(())
        };
        match clean() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            cleaned => cleaned.map_err(failed("clean", &work)),
        }
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    let mut removed = fs::remove_dir_all(path);
    if matches!(&removed, Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
        // The kernel's `work/work`, and directories that a command has locked.
        removed = unlock(path).and_then(|()| fs::remove_dir_all(path));
    }
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", path)),
    }
}

/// Lets the owner into every directory below a path. Symbolic links are not followed.
fn unlock(directory: &Path) -> io::Result<()> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        set_mode(&directory, 0o700)?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

impl DiffStagingLayer {
    /// Writes what patches make of the workspace into the layer of a directory, whose old one is
    /// removed. An overlay of the layer over the workspace is the workspace with the patches
    /// applied; a directory that they empty stays in it.
    ///
    /// # Errors
    /// `Damaged` for a content; `Io`.
    #[cfg(target_os = "linux")]
    pub fn write_layer(&self, patches: &[Patch], dir: &CaptureDir) -> Result<()> {
        let layer = dir.layer();
        remove_tree(&layer)?;
        make_dir(&layer).map_err(failed("create", &layer))?;
        let root = fs::metadata(&self.options().workspace).map(|found| found.permissions());
        let root = root.map_err(failed("read", &self.options().workspace))?;
        fs::set_permissions(&layer, root).map_err(failed("set the mode of", &layer))?;
        let staged: BTreeSet<&RelPath> = patches.iter().filter_map(Patch::target).collect();
        for patch in patches.iter().filter(|patch| patch.frees(&patch.path)) {
            // What is staged at the path, or below it, hides what was there.
            let next = staged.range::<RelPath, _>(&patch.path..).next();
            if next.is_none_or(|next| !next.starts_with(&patch.path)) {
                let path = self.room_in(&layer, &patch.path)?;
                whiteout(&path).map_err(failed("write", &path))?;
            }
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
    #[cfg(target_os = "linux")]
    fn room_in(&self, layer: &Path, path: &RelPath) -> Result<PathBuf> {
        let above: Vec<RelPath> = std::iter::successors(path.parent(), RelPath::parent).collect();
        for dir in above.iter().rev() {
            let made = layer.join(dir.to_path_buf());
            if !made.is_dir() {
                make_dir(&made).map_err(failed("create", &made))?;
                let there = self.0.workspace.stat(dir).ok().flatten();
                let mode = there.map_or(0o755, |stat| stat.mode);
                set_mode(&made, mode).map_err(failed("set the mode of", &made))?;
            }
        }
        Ok(layer.join(path.to_path_buf()))
    }

    #[cfg(target_os = "linux")]
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
#[cfg(target_os = "linux")]
fn whiteout(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode};
    Ok(rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0)?)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
