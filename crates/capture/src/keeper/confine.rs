//! Makes everything outside of the workspace read-only, but for the places that the plan names.
//!
//! It is done with mounts: a nested namespace cannot make a read-only mount writable again, and
//! unlike a rule set of Landlock they refuse changes of modes, times and attributes too, and leave
//! sandboxes that the command makes itself as they are. mount_setattr(2)

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{ABI, Access as _, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::mounts;
use crate::plan::{Confine, Failure, Step};

/// Makes everything read-only but what stays writable, and mounts the private directories.
pub(super) fn restrict(confine: &Confine) -> Result<(), Failure> {
    let mut places: Vec<(PathBuf, OwnedFd)> = Vec::new();
    for path in confine.writable.iter().map(PathBuf::from) {
        match mounts::copy(&path) {
            Ok(tree) => places.push((path, tree)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::of(Step::Confine, &path)(error)),
        }
    }
    for path in confine.private.iter().map(PathBuf::from).filter(|path| path.is_dir()) {
        let empty = empty().map_err(Failure::of(Step::Confine, &path))?;
        places.push((path, empty));
    }
    // What is inside comes on top of what is outside. A place that is both is private.
    places.sort_by(|(one, _), (other, _)| one.cmp(other));
    let everything = mounts::open_path(Path::new("/")).map_err(Failure::at(Step::Confine))?;
    mounts::read_only(&everything).map_err(Failure::at(Step::Confine))?;
    for (path, tree) in places {
        let placed = mount_point(&path, &tree).and_then(|()| mounts::attach(&tree, &path));
        placed.map_err(Failure::of(Step::Confine, &path))?;
    }
    Ok(())
}

/// Makes an empty file system in memory for the user alone.
fn empty() -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("source", "greenroom"), ("mode", "0700"), ("size", "10%")] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Makes what something can be mounted at, where a private directory hides what was there.
fn mount_point(path: &Path, tree: &OwnedFd) -> io::Result<()> {
    match mounts::open_path(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map(drop),
    }
    let parents: Vec<&Path> = path.ancestors().skip(1).collect();
    for parent in parents.into_iter().rev() {
        directory(parent)?;
    }
    let mode = rustix::fs::fstat(tree.as_fd())?.st_mode;
    if FileType::from_raw_mode(mode) == FileType::Directory {
        return directory(path);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).map(drop)?)
}

fn directory(path: &Path) -> io::Result<()> {
    match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
        // Above the private directory nothing is missing, and everything is read-only.
        Ok(()) | Err(Errno::EXIST | Errno::ROFS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Keeps this process, and what it starts, from sending signals to processes outside and from
/// connecting to abstract sockets there. A kernel without these scopes does nothing:
/// [`can_scope`].
pub(super) fn scope() -> io::Result<()> {
    let scopes = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::from_all(ABI::V6))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.restrict_self());
    scopes.map(drop).map_err(io::Error::other)
}

/// Whether this kernel can keep a confined command from sending signals to processes outside and
/// from connecting to abstract sockets there: Landlock's scopes, Linux 6.12.
#[must_use]
pub fn can_scope() -> bool {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(ABI::V6));
    ruleset.and_then(Ruleset::create).is_ok()
}
