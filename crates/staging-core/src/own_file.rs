//! Opens files of the state directory, never through a symbolic link and without waiting for a
//! FIFO.
//!
//! A symbolic link in the place of such a file must not make the store write elsewhere, and a FIFO
//! or a device must not block a command.
#![allow(clippy::disallowed_methods, reason = "the store owns its files")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Result, StagingError};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; the file must not exist.
    CreateNew,
}

/// Opens a regular file of the state directory.
///
/// # Errors
/// The system's error; [`io::ErrorKind::InvalidData`] when something other than a regular file has
/// the name.
pub(crate) fn open(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    match access {
        Access::Read => {}
        Access::Write => {
            options.write(true);
        }
        Access::CreateNew => {
            options.write(true).create_new(true);
        }
    }
    do_not_follow(&mut options);
    let file = match options.open(path) {
        Err(error) if is_not_regular(path) => return Err(not_regular(&error.to_string())),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(not_regular("it is not a regular file"));
    }
    Ok(file)
}

fn not_regular(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not the file that was stored: {reason}"))
}

/// Whether something other than a regular file has the name.
pub(crate) fn is_not_regular(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file())
}

#[cfg(unix)]
fn do_not_follow(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    // `custom_flags` takes the signed type that open(2) has.
    options.mode(0o600).custom_flags(flags.bits() as i32);
}

#[cfg(windows)]
fn do_not_follow(options: &mut OpenOptions) {
    /// Opens a link itself, not its target.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    std::os::windows::fs::OpenOptionsExt::custom_flags(options, FILE_FLAG_OPEN_REPARSE_POINT);
}

/// Whether the path names this open file.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let file = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (file.dev(), file.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the path names this open file. On these systems an open file keeps its name.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_a_fifo_does_not_block() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "content").expect("written");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("linked");
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).expect("linked");
        std::os::unix::fs::symlink("/dev/zero", at("device")).expect("linked");
        std::fs::create_dir(at("dir")).expect("made");
        let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status();
        assert!(fifo.expect("mkfifo starts").success());
        for access in [Access::Read, Access::Write] {
            open(&at("file"), access).expect("a regular file");
            for name in ["link", "dangling", "device", "dir", "fifo"] {
                let error = open(&at(name), access).expect_err(name);
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
            }
            let error = open(&at("absent"), access).expect_err("absent");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        assert!(!at("nowhere").exists(), "nothing is created through a link");
    }

    #[test]
    fn a_file_that_was_removed_or_replaced_is_not_at_its_path_any_more() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("file");
        let file = open(&path, Access::CreateNew).expect("made");
        assert!(is_at(&file, &path).expect("asked"));
        std::fs::remove_file(&path).expect("removed");
        assert!(!is_at(&file, &path).expect("asked"));
        let other = open(&path, Access::CreateNew).expect("made anew");
        assert!(!is_at(&file, &path).expect("asked") && is_at(&other, &path).expect("asked"));
    }
}

/// Creates a directory that only its owner may enter; one that exists stays as it is.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    #[cfg_attr(windows, allow(unused_mut, reason = "there is no mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file as a whole or not at all, by way of another name that no file has.
///
/// # Durability
/// Durable on return, except for the name, which comes with the next sync of the directory.
pub(crate) fn write_whole(path: &Path, temporary: &Path, content: &[u8]) -> io::Result<()> {
    let written = open(temporary, Access::CreateNew).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()?;
        fs::rename(temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(temporary);
    }
    written
}

/// The folders in a directory, sorted.
pub(crate) fn folders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// Removes a file; returns false when there is none.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// Makes the entries of a directory durable.
#[cfg(unix)]
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed("sync", path))
}

#[cfg(not(unix))]
pub(crate) fn sync_dir(_: &Path) -> Result<()> {
    // Windows has no call for this; NTFS journals the entry.
    Ok(())
}

/// Maps the error of a system call on a path of the state directory.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StagingError {
    let path = path.to_owned();
    move |source| StagingError::Io { action, path, source }
}
