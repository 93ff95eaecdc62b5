//! Which directory a state belongs to, known by more than its path.
//!
//! A path is reused: a project is deleted and another one made in its place, or renamed. So the
//! state remembers the root's path together with its device, inode and time of birth (statx(2)),
//! in the file `workspace`. From that it is found again after the directory was moved, and by
//! every other name of the directory, and is not offered to another directory at the old path.
//!
//! # Limitations
//! Without a time of birth a reused inode cannot be distinguished from the old one, so such a state does
//! not follow its directory by itself. FUSE file systems without one number their inodes as they
//! like: there the path alone counts. A copy of a device has all the same numbers but the
//! device's.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::own_file;
use crate::own_file::Access;

const FILE: &str = "workspace";

/// The format's version; a record with another is not understood, and not written over.
const VERSION: u32 = 1;

/// A path and a few numbers.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// What tells a directory from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Changes with every mount on some file systems.
    pub(crate) device: u64,
    /// 0 where it says nothing.
    pub(crate) inode: u64,
    /// Nanoseconds since 1970, where the file system keeps it.
    pub(crate) born_ns: Option<i64>,
}

/// Whose a state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The root, canonical, as it was opened last.
    pub(crate) root: PathBuf,
    pub(crate) identity: Identity,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// For people; of a path that is not UTF-8 only nearly right.
    root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root_bytes: Option<Vec<u8>>,
    #[serde(flatten)]
    identity: Identity,
}

impl Identity {
    /// The identity of the directory at a path; none when no directory is there.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => found,
            Ok(_) => return Ok(None),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let born_ns = found
            .created()
            .ok()
            .and_then(|born| born.duration_since(UNIX_EPOCH).ok())
            .and_then(|born| i64::try_from(born.as_nanos()).ok())
            .filter(|born| *born > 0);
        let (device, inode) = numbers(path, &found);
        let inode = if born_ns.is_none() && numbers_as_it_likes(path) { 0 } else { inode };
        Ok(Some(Self { device, inode, born_ns }))
    }

    /// Whether a directory at the path of this one is this one. The device may have changed: a
    /// restart or a new mount does that.
    pub(crate) fn is_still(&self, found: &Self) -> bool {
        let has_numbers = self.inode != 0 && found.inode != 0;
        if has_numbers && NUMBERS_ARE_UNIQUE {
            return self.inode == found.inode;
        }
        (!has_numbers || self.inode == found.inode)
            && self.born_ns.zip(found.born_ns).is_none_or(|(then, now)| then == now)
    }

    /// Whether a directory at another path is certainly this one.
    pub(crate) fn is_certainly(&self, found: &Self) -> bool {
        self == found && self.inode != 0 && self.born_ns.is_some()
    }

    /// Whether a directory at another path may be this one, which only a person can say.
    pub(crate) fn may_be(&self, found: &Self) -> bool {
        self.inode != 0
            && self.inode == found.inode
            && self.born_ns == found.born_ns
            && (self.born_ns.is_some() || self.device == found.device)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a file's number is never given to another file. NTFS counts the uses of a number in it
/// (FILE_ID_INFO), and FAT does not. The time of birth does not count there: anybody can set it, and
/// Wine reports the last change instead.
const NUMBERS_ARE_UNIQUE: bool = cfg!(windows);

#[cfg(unix)]
fn numbers(_: &Path, found: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

/// Nothing where the directory cannot be opened.
#[cfg(windows)]
fn numbers(path: &Path, _: &fs::Metadata) -> (u64, u64) {
    use atomic_fs::Disk as _;
    let disk = atomic_fs::WindowsDisk;
    disk.open_dir(path).and_then(|dir| disk.identity(&dir)).unwrap_or((0, 0))
}

/// Whether the file system gives a directory another inode number every now and then.
#[cfg(target_os = "linux")]
fn numbers_as_it_likes(path: &Path) -> bool {
    const FUSE_SUPER_MAGIC: i64 = 0x6573_5546;
    #[allow(clippy::useless_conversion, reason = "the field's type differs by architecture")]
    let is_fuse = |found: rustix::fs::StatFs| i64::from(found.f_type) == FUSE_SUPER_MAGIC;
    rustix::fs::statfs(path).is_ok_and(is_fuse)
}

#[cfg(not(target_os = "linux"))]
fn numbers_as_it_likes(_: &Path) -> bool {
    false
}

/// Reads whose a state is; none when it does not say.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when a newer version wrote it.
pub(crate) fn read(state: &Path) -> io::Result<Option<Record>> {
    let mut bytes = Vec::new();
    match own_file::open(&state.join(FILE), Access::Read) {
        Ok(file) => file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stored: Stored = match serde_json::from_slice(&bytes) {
        Ok(stored) => stored,
        // It is written whole or not at all: what a damaged disk left says nothing.
        Err(error) => {
            tracing::warn!(%error, state = %state.display(), "whose state this is cannot be read");
            return Ok(None);
        }
    };
    if stored.version != VERSION {
        let reason = format!("`{FILE}` was written by a newer version of Greenroom");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let root = match stored.root_bytes {
        Some(bytes) => path_of(bytes).unwrap_or_else(|| PathBuf::from(&stored.root)),
        None => PathBuf::from(&stored.root),
    };
    Ok(Some(Record { root, identity: stored.identity }))
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    Some(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes)))
}

#[cfg(not(unix))]
fn path_of(_: Vec<u8>) -> Option<PathBuf> {
    None
}

/// Writes whose a state is.
///
/// # Durability
/// Durable on return, but for its name, which comes with the next sync of the directory.
pub(crate) fn write(state: &Path, record: &Record) -> io::Result<()> {
    let (root, root_bytes) = match record.root.to_str() {
        Some(root) => (root.to_owned(), None),
        None => {
            let bytes = record.root.as_os_str().as_encoded_bytes().to_vec();
            (record.root.to_string_lossy().into_owned(), Some(bytes))
        }
    };
    let stored = Stored { version: VERSION, root, root_bytes, identity: record.identity };
    let text = serde_json::to_vec(&stored).map_err(io::Error::other)?;
    let whole = state.join(FILE);
    let half = state.join(format!("{FILE}.{}.tmp", crate::owner::Owner::this().name()));
    own_file::remove(&half)?;
    own_file::write_whole(&whole, &half, &text)
}

/// Forgets whose a state is, so that it is nobody's.
pub(crate) fn remove(state: &Path) -> io::Result<()> {
    own_file::remove(&state.join(FILE)).map(drop)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn identity(device: u64, inode: u64, born_ns: Option<i64>) -> Identity {
        Identity { device, inode, born_ns }
    }

    #[rstest]
    #[case::the_same(identity(1, 2, Some(3)), true, true)]
    #[case::another_mount(identity(9, 2, Some(3)), true, false)]
    #[case::a_reused_inode(identity(1, 2, Some(4)), false, false)]
    #[case::a_copy(identity(1, 5, Some(4)), false, false)]
    #[case::no_birth_any_more(identity(1, 2, None), true, false)]
    fn a_directory_is_judged_by_all_that_the_file_system_tells(
        #[case] found: Identity,
        #[case] is_still: bool,
        #[case] is_certainly: bool,
    ) {
        let known = identity(1, 2, Some(3));
        assert_eq!(known.is_still(&found), is_still, "at the same path");
        assert_eq!(known.is_certainly(&found), is_certainly, "at another path");
    }

    #[rstest]
    #[case::the_same_numbers(identity(1, 2, None), true)]
    #[case::another_inode(identity(1, 3, None), false)]
    #[case::another_mount(identity(9, 2, None), true)]
    #[case::numbers_that_say_nothing(identity(1, 0, None), true)]
    fn without_a_time_of_birth_nothing_is_certain(#[case] found: Identity, #[case] is_still: bool) {
        let known = identity(1, 2, None);
        assert_eq!(known.is_still(&found), is_still);
        assert!(!known.is_certainly(&found));
    }

    #[test]
    fn a_record_reads_back() {
        let state = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(read(state.path()).expect("none yet"), None);
        for number in [1, 2] {
            let identity = identity(number, 2, Some(3));
            let record = Record { root: PathBuf::from("/w/äpp"), identity };
            write(state.path(), &record).expect("written");
            assert_eq!(read(state.path()).expect("read"), Some(record));
        }
        assert_eq!(fs::read_dir(state.path()).expect("listed").count(), 1, "nothing half-written");
        remove(state.path()).expect("removed");
        remove(state.path()).expect("removed already");
        assert_eq!(read(state.path()).expect("none"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_root_that_is_not_utf8_reads_back() {
        use std::os::unix::ffi::OsStrExt as _;
        let state = tempfile::tempdir().expect("a temporary directory");
        let root = PathBuf::from(std::ffi::OsStr::from_bytes(b"/w/\xff"));
        let record = Record { root, identity: identity(1, 2, None) };
        write(state.path(), &record).expect("written");
        assert_eq!(read(state.path()).expect("read"), Some(record));
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused_and_a_damaged_one_says_nothing() {
        let state = tempfile::tempdir().expect("a temporary directory");
        let newer = "{\"version\":2,\"root\":\"/w\",\"device\":1,\"inode\":2,\"born_ns\":null}";
        fs::write(state.path().join(FILE), newer).expect("written");
        assert!(read(state.path()).is_err());
        fs::write(state.path().join(FILE), "\0\0\0").expect("written");
        assert_eq!(read(state.path()).expect("nothing to go by"), None);
    }
}
