//! Who could have put a library where it is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::LoadError;

/// What makes a library one to load.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The digest it had when the user allowed it.
    pub expected_digest: blake3::Hash,
    /// Whether folders that others can write are accepted above it where they are sticky, as
    /// `/tmp` is. For tests.
    pub allow_sticky_folders: bool,
    /// Where a copy is made on systems that cannot load from memory; it must be the user's alone.
    /// Linux needs none.
    pub private_folder: Option<PathBuf>,
}

impl Trust {
    /// Trust in one file's bytes.
    pub fn in_digest(expected_digest: blake3::Hash) -> Self {
        Self { expected_digest, allow_sticky_folders: false, private_folder: None }
    }
}

/// The whole library, once who can write it has been checked on the file that is read.
pub(super) fn read_checked(path: &Path, trust: &Trust) -> Result<Vec<u8>, LoadError> {
    let read_error = |source| LoadError::Read { path: path.to_owned(), source };
    let not_plain = |what| LoadError::NotAPlainFile { path: path.to_owned(), what };
    if !path.is_absolute() {
        return Err(not_plain("a relative path"));
    }
    let before = path.symlink_metadata().map_err(read_error)?;
    if before.is_symlink() {
        return Err(not_plain("a symlink"));
    }
    if !before.is_file() {
        return Err(not_plain("no regular file"));
    }
    let mut file = open(path).map_err(read_error)?;
    let opened = file.metadata().map_err(read_error)?;
    if !opened.is_file() {
        return Err(not_plain("no regular file"));
    }
    #[cfg(unix)]
    owners::check(path, &opened, trust)?;
    #[cfg(not(unix))]
    let _ = trust;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(read_error)?;
    Ok(bytes)
}

/// Opens without following a symlink at the end, and without waiting on a pipe.
#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
mod owners {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::{LoadError, Trust};

    /// The file, and every folder above it by its real path, belong to the user or to root and
    /// can be written by nobody else.
    pub(super) fn check(path: &Path, file: &Metadata, trust: &Trust) -> Result<(), LoadError> {
        let refuse = |culprit: &Path, why| LoadError::Unsafe {
            path: path.to_owned(),
            culprit: culprit.to_owned(),
            why,
        };
        let read_error = |source| LoadError::Read { path: path.to_owned(), source };
        if let Some(why) = fault(file, false) {
            return Err(refuse(path, why));
        }
        // Both ways to the file matter: the folders as named, and those that symlinks among them
        // lead to.
        let real = path.canonicalize().map_err(read_error)?;
        for folder in real.ancestors().skip(1).chain(path.ancestors().skip(1)) {
            let metadata = folder.metadata().map_err(read_error)?;
            if let Some(why) = fault(&metadata, trust.allow_sticky_folders) {
                return Err(refuse(folder, why));
            }
        }
        Ok(())
    }

    fn fault(metadata: &Metadata, sticky_is_fine: bool) -> Option<&'static str> {
        const WRITABLE_BY_OTHERS: u32 = 0o022;
        const STICKY: u32 = 0o1000;
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user && metadata.uid() != 0 {
            return Some("belongs to another user");
        }
        let mode = metadata.mode();
        let sticky = sticky_is_fine && mode & STICKY != 0;
        (mode & WRITABLE_BY_OTHERS != 0 && !sticky).then_some("can be written by other users")
    }
}
