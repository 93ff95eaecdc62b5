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
    /// Who else may be able to write it, or put another file in its place.
    pub writers: Writers,
    /// Where a copy is made on systems that cannot load from memory; it must be the user's alone.
    /// Linux needs none.
    pub private_folder: Option<PathBuf>,
}

/// Who may be able to write a library or a folder above it, beside the user and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Nobody. For a library that a configuration names: the user looked at it once, and it is
    /// loaded for as long as it stays there.
    Nobody,
    /// Nobody, but a folder above it that everybody can write may be sticky, as `/tmp` is. For
    /// tests.
    NobodyBeneathSticky,
    /// Their groups, and everybody a folder above it that is sticky. For a library that the user
    /// names here and now, as a build under umask 002 left it: whoever is in the group of a source
    /// tree could have written the sources as well.
    Group,
}

impl Trust {
    /// Trust in one file's bytes, that nobody else can write.
    pub fn in_digest(expected_digest: blake3::Hash) -> Self {
        Self { expected_digest, writers: Writers::Nobody, private_folder: None }
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
