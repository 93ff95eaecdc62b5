//! The lock that orders disk swaps between processes.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::error::FsError;

/// The workspace's lock, held until dropped.
///
/// Every change to the workspace, recovery included, is made by whoever holds it. The
/// system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct WorkspaceLock {
    file: File,
}

impl WorkspaceLock {
    #[allow(clippy::disallowed_methods, reason = "the lock is no file of the workspace")]
    pub(crate) fn open(path: &Path) -> Result<File, FsError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // What was put in its place may be a link, or a FIFO.
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.mode(0o600).custom_flags(flags.bits().cast_signed());
        }
        let failed = || FsError::state("open the lock", path);
        let file = options.open(path).map_err(failed())?;
        if !file.metadata().map_err(failed())?.is_file() {
            let error = std::io::Error::other("it is no regular file: remove it");
            return Err(failed()(error));
        }
        Ok(file)
    }

    /// Waits until the lock is free.
    pub(crate) fn wait(path: &Path) -> Result<Self, FsError> {
        let file = Self::open(path)?;
        file.lock().map_err(FsError::state("take the lock", path))?;
        Ok(Self { file })
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>, FsError> {
        let file = Self::open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(FsError::state("take the lock", path)(error))
            }
        }
    }
}

impl Drop for WorkspaceLock {
    fn drop(&mut self) {
        // Closing would do; a file descriptor inherited by a child would not.
        let _ = self.file.unlock();
    }
}
