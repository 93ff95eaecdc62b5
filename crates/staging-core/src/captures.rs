//! The directories in which views of the workspace keep what commands write.
//!
//! `captures/ID/` belongs to the session with that id, `trial/` to commands that try what is pending.
//! `upper/` and `work/` in it are the kernel's while a view lives, `layer/` is what a view shows on top
//! of the workspace, `working-copy/` is where commands work that get no view, directories beside them may
//! have an `upper/` and a `work/` of their own, and the files beside them
//! belong to whoever made the view. Nothing here reads `upper/`.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::ids::SessionId;
use crate::layer::DiffStagingLayer;
use crate::own_file::{self, Access, failed, make_dir, sync_dir};

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
        let found = CaptureDir::all_in(&self.options().state_dir)?;
        Ok(found.into_iter().map(|(session, _)| session).collect())
    }
}

impl CaptureDir {
    /// The captures in a state directory, by the sessions that they belong to, in their order. The state
    /// is not opened.
    ///
    /// # Errors
    /// `Io` when the state directory cannot be read.
    pub fn all_in(state_dir: &Path) -> Result<Vec<(SessionId, Self)>> {
        let folder = state_dir.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &folder))?,
        };
        let mut sessions: Vec<SessionId> = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("read", &folder))?.file_name();
            sessions.extend(name.to_str().and_then(|name| name.parse::<SessionId>().ok()));
        }
        sessions.sort_unstable();
        let dir = |session: SessionId| Self { path: folder.join(session.to_string()) };
        Ok(sessions.into_iter().map(|session| (session, dir(session))).collect())
    }

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

    /// A directory in this one with an `upper/` and a `work/` of its own; it may not exist.
    pub fn beside(&self, name: &str) -> Self {
        Self { path: self.path.join(name) }
    }

    /// The directory of a copy of the workspace, which a view shows where it cannot show the workspace.
    pub fn copy(&self) -> PathBuf {
        self.path.join("copy")
    }

    /// Whether a view has shown a copy.
    pub fn has_copy(&self) -> bool {
        self.copy().is_dir()
    }

    /// Creates the directory of a copy, where there is none.
    ///
    /// # Errors
    /// `Io`.
    pub fn create_copy(&self) -> Result<()> {
        let copy = self.copy();
        make_dir(&copy).map_err(failed("create", &copy))
    }

    /// Removes the copy; nothing happens when there is none. No view of it may live.
    ///
    /// # Errors
    /// `Io`; a part may be removed then.
    pub fn remove_copy(&self) -> Result<()> {
        remove_tree(&self.copy())
    }

    /// The directory of a copy of the workspace in which commands work where no view is possible.
    pub fn working_copy(&self) -> PathBuf {
        self.path.join("working-copy")
    }

    /// Whether commands have worked in a copy.
    pub fn has_working_copy(&self) -> bool {
        self.working_copy().is_dir()
    }

    /// Creates the directory of a working copy, where there is none, and lets its owner in.
    ///
    /// # Errors
    /// `Io`.
    pub fn create_working_copy(&self) -> Result<()> {
        let copy = self.working_copy();
        make_dir(&copy).map_err(failed("create", &copy))?;
        set_mode(&copy, 0o700).map_err(failed("set the mode of", &copy))
    }

    /// Removes the working copy; nothing happens when there is none. No command may work in it.
    ///
    /// # Errors
    /// `Io`; a part may be removed then.
    pub fn remove_working_copy(&self) -> Result<()> {
        remove_tree(&self.working_copy())
    }

    /// The directory of [`create_temporary`](Self::create_temporary); it may not exist.
    pub fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// An empty directory for the temporary files of a command that works in a copy.
    ///
    /// # Errors
    /// `Io`.
    pub fn create_temporary(&self) -> Result<PathBuf> {
        let temporary = self.temporary();
        make_dir(&temporary).map_err(failed("create", &temporary))?;
        Ok(temporary)
    }

    /// Removes the temporary files of commands that have worked in a copy.
    ///
    /// # Errors
    /// `Io`; a part may be removed then.
    pub fn remove_temporary(&self) -> Result<()> {
        remove_tree(&self.temporary())
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

    /// Waits until no other process works here, and keeps others out until the answer is dropped.
    ///
    /// # Errors
    /// `Io`.
    pub fn lock(&self) -> Result<File> {
        let (file, path) = self.lock_file("lock")?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }

    /// Keeps other processes from making a view until the file is closed or the process has died; `None`
    /// while another one makes its own. Taken before [`lock`](Self::lock), which is free meanwhile.
    ///
    /// # Errors
    /// `Io`.
    pub fn try_lock_beginning(&self) -> Result<Option<File>> {
        self.try_lock_file("beginning")
    }

    /// [`lock`](Self::lock) without waiting: `None` while another process works here.
    ///
    /// # Errors
    /// `Io`.
    pub fn try_lock(&self) -> Result<Option<File>> {
        self.try_lock_file("lock")
    }

    fn try_lock_file(&self, name: &str) -> Result<Option<File>> {
        let (file, path) = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
        }
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf)> {
        let path = self.path.join(name);
        let opened = match own_file::open(&path, Access::CreateNew) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                own_file::open(&path, Access::Write)
            }
            opened => opened,
        };
        Ok((opened.map_err(failed("open", &path))?, path))
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

    /// Makes it the directory of another session, which must have none; returns whether it had none.
    ///
    /// # Errors
    /// `Io`.
    pub fn move_to(&self, other: &Self) -> Result<bool> {
        if other.path.try_exists().map_err(failed("read", &other.path))? {
            return Ok(false);
        }
        fs::rename(&self.path, &other.path).map_err(failed("move", &self.path))?;
        Ok(true)
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

pub(crate) fn remove_tree(path: &Path) -> Result<()> {
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
pub(crate) fn unlock(directory: &Path) -> io::Result<()> {
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

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
