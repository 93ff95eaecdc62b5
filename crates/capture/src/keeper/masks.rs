//! Hides directories that the command must not read or write.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags};

use super::mounts::{self, Mounts, Name};
use crate::plan::{Failure, Plan, Step};

/// The file in each mask, by which a program finds out that it runs in a view.
pub const INSIDE: &str = "inside";

/// Mounts an empty directory or file over what is masked, and over every other name of it.
pub(super) fn hide(plan: &Plan) -> Result<(), Failure> {
    let masked = plan.confine.iter().flat_map(|confine| &confine.masked).map(Path::new);
    let masks = plan.masks.iter().map(|mask| (Path::new(mask), false));
    let table = Mounts::read().map_err(Failure::at(Step::Masks))?;
    let mut names = Vec::new();
    for (mask, may_be_gone) in masks.chain(masked.map(|mask| (mask, true))) {
        let others = match table.other_names(mask) {
            Err(_) if may_be_gone && is_gone(mask) => continue,
            others => others.map_err(Failure::of(Step::Masks, mask))?,
        };
        names.extend(others.into_iter().map(|name| (name.path, may_be_gone)));
        names.push((PathBuf::from(mask), may_be_gone));
    }
    let mask = create(&plan.inside).map_err(Failure::at(Step::Masks))?;
    for (path, may_be_gone) in names {
        let mut covered = cover(&mask, path.clone());
        // A program that starts again makes its socket anew.
        if covered.is_err() && may_be_gone && !is_gone(&path) {
            covered = cover(&mask, path.clone());
        }
        match covered {
            Err(_) if may_be_gone && is_gone(&path) => {}
            covered => covered.map_err(Failure::of(Step::Masks, &path))?,
        }
    }
    Ok(())
}

/// A private directory may have taken it out of sight, the user may not reach it, or the program that serves
/// a socket has ended.
fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}

/// Makes a file system in memory that holds one file and can no longer be changed.
fn create(inside: &str) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("source", "greenroom"), ("mode", "0555"), ("size", "64k")] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mask = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&mask, INSIDE, flags, Mode::from_raw_mode(0o444))?;
    rustix::io::write(&file, inside.as_bytes())?;
    drop(file);
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(&mask, c"", flags)?;
    rustix::mount::fsconfig_set_flag(&context, "ro")?;
    rustix::mount::fsconfig_reconfigure(&context)?;
    Ok(mask)
}

/// Mounts a copy of the mask over a directory, or its file over a file.
fn cover(mask: &OwnedFd, path: PathBuf) -> io::Result<()> {
    let mode = rustix::fs::fstat(mounts::open_path(&path)?)?.st_mode;
    let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
    let below = if is_directory { PathBuf::new() } else { PathBuf::from(INSIDE) };
    mounts::attach_copy(mask, &Name { path, below })
}
