//! Checks which users could have written a library.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::LoadError;

/// The conditions on which a library is loaded.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The digest that the user allowed.
    pub expected_digest: blake3::Hash,
    /// Which other users may be able to write or replace it.
    pub writers: Writers,
    /// The directory for the copy on systems that cannot load from memory; only the user may have
    /// access. Linux needs none.
    pub private_folder: Option<PathBuf>,
}

/// Who, apart from the user and root, may be able to write a library or a directory above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Nobody. For a library that a configuration names: the user checked it once, and it is loaded
    /// from then on.
    Nobody,
    /// Nobody, but a directory above it may be writable by everybody if it is sticky, as `/tmp` is.
    /// For tests.
    NobodyBeneathSticky,
    /// Their groups, and everybody for a directory above it that is sticky. For a library that the user
    /// names on the command line, as a build under umask 002 leaves it: a member of the source tree's
    /// group could have written the sources as well.
    Group,
}

impl Trust {
    /// Trust in bytes with this digest, in a file that nobody else can write.
    pub fn in_digest(expected_digest: blake3::Hash) -> Self {
        Self { expected_digest, writers: Writers::Nobody, private_folder: None }
    }
}

/// The bytes of a library, after its writers were checked on the file that is read.
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
        return Err(not_plain("not a regular file"));
    }
    let mut file = open(path).map_err(read_error)?;
    let opened = file.metadata().map_err(read_error)?;
    if !opened.is_file() {
        return Err(not_plain("not a regular file"));
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

    use super::{LoadError, Trust, Writers};
    use crate::error::Danger;

    /// The file, and every folder above it by its real path, belong to the user or to root and
    /// can be written by nobody else but those that the caller accepts.
    pub(super) fn check(path: &Path, file: &Metadata, trust: &Trust) -> Result<(), LoadError> {
        let refuse = |culprit: &Path, danger| LoadError::Unsafe {
            path: path.to_owned(),
            culprit: culprit.to_owned(),
            danger,
        };
        let read_error = |source| LoadError::Read { path: path.to_owned(), source };
        if let Some(danger) = danger(file, Kind::Library, trust.writers) {
            return Err(refuse(path, danger));
        }
        // Both ways to the file matter: the folders as named, and those that symlinks among them
        // lead to.
        let real = path.canonicalize().map_err(read_error)?;
        for folder in real.ancestors().skip(1).chain(path.ancestors().skip(1)) {
            let metadata = folder.metadata().map_err(read_error)?;
            if let Some(danger) = danger(&metadata, Kind::Folder, trust.writers) {
                return Err(refuse(folder, danger));
            }
        }
        Ok(())
    }

    #[derive(PartialEq, Eq)]
    enum Kind {
        Library,
        Folder,
    }

    fn danger(metadata: &Metadata, kind: Kind, writers: Writers) -> Option<Danger> {
        const GROUP: u32 = 0o020;
        const EVERYBODY: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user && metadata.uid() != 0 {
            return Some(Danger::AnotherOwner);
        }
        let (refused, sticky_is_fine) = match writers {
            Writers::Nobody => (GROUP | EVERYBODY, false),
            Writers::NobodyBeneathSticky => (GROUP | EVERYBODY, true),
            Writers::Group => (EVERYBODY, true),
        };
        let mode = metadata.mode();
        let is_sticky = kind == Kind::Folder && sticky_is_fine && mode & STICKY != 0;
        (mode & refused != 0 && !is_sticky).then_some(Danger::OtherWriters)
    }
}
