//! Carrying a file's metadata over to the slot that will take its place.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{self, Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use crate::os::disk::Carried;

/// Both chown and write clear it, so it is set after everything else.
const CAPABILITY: &CStr = c"security.capability";

/// What a security module recorded for this content or inode: a digest, a signature.
const MEASUREMENTS: [&CStr; 2] = [c"security.ima", c"security.evm"];

/// Owner, then extended attributes (POSIX ACLs are among them), then mode, then capabilities:
/// each later step is one that an earlier one would undo.
///
/// The slot is made with mode 0600, so that the mask of an access control list that it inherits
/// is empty: until its list is removed, or replaced by the file's, it grants nothing.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd, mode: u32, content: Carried) -> io::Result<()> {
    let source = fs::fstat(from)?;
    let target = fs::fstat(to)?;
    if (source.st_uid, source.st_gid) != (target.st_uid, target.st_gid) {
        fs::fchown(to, Some(Uid::from_raw(source.st_uid)), Some(Gid::from_raw(source.st_gid)))?;
    }
    let names = attribute_names(from)?;
    for name in attribute_names(to)?.iter().filter(|name| !names.contains(name)) {
        remove_attribute(to, name)?;
    }
    let is_later = |name: &CStr| {
        name == CAPABILITY || (content == Carried::New && MEASUREMENTS.contains(&name))
    };
    for name in names.iter().filter(|name| !is_later(name)) {
        copy_attribute(from, to, name)?;
    }
    // After the ACL, whose mask and the group bits are one and the same: the mode
    // that was approved decides.
    fs::fchmod(to, mode_bits(mode))?;
    if content == Carried::Same && names.iter().any(|name| name.as_c_str() == CAPABILITY) {
        copy_attribute(from, to, CAPABILITY)?;
    }
    Ok(())
}

/// Removes what the directory's default list, or another property of it, has given the new
/// file.
fn remove_attribute(to: &OwnedFd, name: &CStr) -> io::Result<()> {
    match fs::fremovexattr(to, name) {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        // A security module's label is the module's own.
        Err(_) if name.to_bytes().starts_with(b"security.") => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// An attribute's value; `None` also where the file system has no extended attributes, or a sandbox
/// filters the calls.
#[cfg(target_os = "linux")]
fn read_if_supported(file: &OwnedFd, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    match read_attribute(file, name) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        answer => Ok(answer?),
    }
}

/// Whether a file gives capabilities to who runs it.
#[cfg(target_os = "linux")]
pub(super) fn has_capabilities(file: &OwnedFd) -> io::Result<bool> {
    Ok(read_if_supported(file, CAPABILITY)?.is_some())
}

/// The permission bits of a directory's default access control list: owner, mask or group,
/// others.
#[cfg(target_os = "linux")]
pub(super) fn default_mode(dir: &OwnedFd) -> io::Result<Option<u32>> {
    const USER: u16 = 0x01;
    const GROUP: u16 = 0x04;
    const MASK: u16 = 0x10;
    const OTHER: u16 = 0x20;
    let Some(list) = read_if_supported(dir, c"system.posix_acl_default")? else { return Ok(None) };
    // A version of four bytes, then a tag, permissions and an id for each entry.
    let permissions = |wanted: u16| {
        list.get(4..)?.chunks_exact(8).find_map(|entry| {
            let tag = u16::from_le_bytes([entry[0], entry[1]]);
            (tag == wanted).then(|| u32::from(u16::from_le_bytes([entry[2], entry[3]]) & 7))
        })
    };
    let user = permissions(USER);
    let group = permissions(MASK).or_else(|| permissions(GROUP));
    let other = permissions(OTHER);
    Ok(user.zip(group).zip(other).map(|((user, group), other)| user << 6 | group << 3 | other))
}

fn copy_attribute(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<()> {
    let Some(value) = read_attribute(from, name)? else { return Ok(()) };
    // A security module labels the new file by itself; writing its attribute may
    // need a privilege that changing the file does not. Only a real difference is
    // worth failing for.
    if read_attribute(to, name)?.as_ref() == Some(&value) {
        return Ok(());
    }
    Ok(fs::fsetxattr(to, name, &value, XattrFlags::empty())?)
}

fn attribute_names(file: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut list = vec![0_u8; 1024];
    let used = loop {
        match fs::flistxattr(file, &mut list[..]) {
            Ok(used) => break used,
            Err(Errno::RANGE) => list.resize(list.len() * 4, 0),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    };
    Ok(list[..used]
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .map(CStr::to_owned)
        .collect())
}

fn read_attribute(file: &OwnedFd, name: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0_u8; 256];
    loop {
        match fs::fgetxattr(file, name, &mut value[..]) {
            Ok(used) => {
                value.truncate(used);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) => value.resize(value.len() * 8, 0),
            Err(Errno::NODATA) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode as fs::RawMode & 0o7777)
}
