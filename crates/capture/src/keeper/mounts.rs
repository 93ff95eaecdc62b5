//! Reads the table of mounts: where else a directory can be reached, and what is mounted below it.
//! Mounts what is mounted nowhere yet.

use std::ffi::OsString;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

/// A row of `/proc/self/mountinfo`.
#[derive(Debug)]
struct Mount {
    id: u64,
    device: String,
    /// Which directory of the file system is mounted.
    root: PathBuf,
    /// Where it is mounted.
    point: PathBuf,
}

/// The mounts of this process's namespace.
#[derive(Debug)]
pub(super) struct Mounts(Vec<Mount>);

/// Another place where a directory, or something in it, can be reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The place.
    pub(super) path: PathBuf,
    /// What lies there, below the directory; empty for the directory itself.
    pub(super) below: PathBuf,
}

impl Mounts {
    pub(super) fn read() -> io::Result<Self> {
        let table = std::fs::read("/proc/self/mountinfo")?;
        Ok(Self(table.split(|byte| *byte == b'\n').filter_map(parse).collect()))
    }

    /// Finds what is mounted below a directory.
    pub(super) fn below(&self, directory: &Path) -> Option<&Path> {
        let mut points = self.0.iter().map(|mount| mount.point.as_path());
        points.find(|point| *point != directory && point.starts_with(directory))
    }

    /// Finds every other place where the directory, or something in it, can be reached: a second
    /// mount of its file system, or a bind mount. A mount that another one covers is left out;
    /// nobody in the view can take that other one away.
    pub(super) fn other_names(&self, directory: &Path) -> io::Result<Vec<Name>> {
        let own = mount_id(&open_path(directory)?)?;
        let Some(mount) = self.0.iter().find(|mount| mount.id == own) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let Ok(inner) = directory.strip_prefix(&mount.point) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let directory = join(&mount.root, inner);
        let names = self.names(mount, &directory);
        let visible = names.filter(|(id, name)| {
            open_path(&name.path).and_then(|path| mount_id(&path)).is_ok_and(|found| found == *id)
        });
        Ok(visible.map(|(_, name)| name).collect())
    }

    /// Compares every other mount of a file system with a directory of it.
    fn names(&self, own: &Mount, directory: &Path) -> impl Iterator<Item = (u64, Name)> {
        let others = self.0.iter().filter(|other| other.device == own.device && other.id != own.id);
        others.filter_map(move |other| {
            let name = if let Ok(inner) = directory.strip_prefix(&other.root) {
                Name { path: join(&other.point, inner), below: PathBuf::new() }
            } else if let Ok(below) = other.root.strip_prefix(directory) {
                Name { path: other.point.clone(), below: below.to_owned() }
            } else {
                return None;
            };
            Some((other.id, name))
        })
    }
}

/// Joins without a slash at the end, which a file would not take.
fn join(base: &Path, inner: &Path) -> PathBuf {
    if inner.as_os_str().is_empty() { base.to_owned() } else { base.join(inner) }
}

/// Opens something to name it, without following a link at the end.
pub(super) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Copies a mount, or what of it is below a path, with all that is mounted there.
pub(super) fn copy(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    Ok(rustix::mount::open_tree(CWD, path, flags)?)
}

/// Mounts a copy of a mount, or of something in it, at another name.
pub(super) fn attach_copy(mount: &OwnedFd, name: &Name) -> io::Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let copy = rustix::mount::open_tree(mount, &name.below, flags)?;
    attach(&copy, &name.path)
}

/// Mounts something that is mounted nowhere yet.
pub(super) fn attach(mount: impl AsFd, path: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, c"", CWD, path, flags)?)
}

/// Makes a mount, and every one below it, read-only.
pub(super) fn read_only(mount: &OwnedFd) -> io::Result<()> {
    // SAFETY: the structure is plain data, for which zeros are valid: they change nothing.
    let mut attributes: libc::mount_attr = unsafe { mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the path ends with a zero, and the structure has the size that is passed. rustix has
    // no such call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            mem::size_of::<libc::mount_attr>(),
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn mount_id(handle: &OwnedFd) -> io::Result<u64> {
    let found = rustix::fs::statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(found.stx_mnt_id)
}

/// Reads a row: id, parent, device, root, mount point, and more that is of no use here.
fn parse(row: &[u8]) -> Option<Mount> {
    let mut fields = row.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = String::from_utf8_lossy(fields.nth(1)?).into_owned();
    Some(Mount { id, device, root: unescape(fields.next()?), point: unescape(fields.next()?) })
}

/// The kernel writes blank, tab, newline and backslash as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.first_chunk::<3>().filter(|_| *first == b'\\');
        let byte =
            octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> Mounts {
        Mounts(rows.iter().filter_map(|row| parse(row.as_bytes())).collect())
    }

    fn names(mounts: &Mounts, directory: &str) -> Vec<(String, String)> {
        let found = mounts.names(&mounts.0[0], Path::new(directory));
        let text = |path: &Path| path.display().to_string();
        found.map(|(_, name)| (text(&name.path), text(&name.below))).collect()
    }

    #[test]
    fn every_way_to_a_directory_and_into_it_is_found() {
        let mounts = table(&[
            "1 0 8:1 / / rw - ext4 /dev/a rw",
            "2 1 8:2 / /other rw - ext4 /dev/b rw",
            "3 1 8:1 / /mnt/second rw - ext4 /dev/a rw",
            "4 1 8:1 /home /srv/home rw - ext4 /dev/a rw",
            "5 1 8:1 /home/user/app /bound rw - ext4 /dev/a rw",
            "6 1 8:1 /home/user/app/a\\040b /inner rw - ext4 /dev/a rw",
            "7 1 8:1 /home/user/application /neighbour rw - ext4 /dev/a rw",
        ]);
        let expected = [
            ("/mnt/second/home/user/app", ""),
            ("/srv/home/user/app", ""),
            ("/bound", ""),
            ("/inner", "a b"),
        ];
        let expected = expected.map(|(path, below)| (path.to_owned(), below.to_owned()));
        assert_eq!(names(&mounts, "/home/user/app"), expected);
    }

    #[test]
    fn what_is_mounted_below_a_directory_is_found() {
        let mounts = table(&[
            "1 0 8:1 / /app rw - ext4 a rw",
            "2 1 8:1 / /app-2/x rw - ext4 a rw",
            "3 1 8:1 / /app/node\\134modules rw - ext4 a rw",
        ]);
        assert_eq!(mounts.below(Path::new("/app")), Some(Path::new("/app/node\\modules")));
        assert_eq!(mounts.below(Path::new("/app-2/x")), None);
        assert_eq!(unescape(b"a\\12").as_os_str(), "a\\12", "what is no escape is kept");
    }
}
