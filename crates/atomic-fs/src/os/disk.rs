//! The calls that a swap needs from a file system, and nothing else.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::rel_path::RelPath;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a socket, a FIFO.
    Other,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, one component.
    pub name: Vec<u8>,
    /// What it stands for, where the directory itself tells.
    pub kind: Option<FileKind>,
}

/// A file's status, never following a symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, `mode & 0o7777`.
    pub mode: u32,
    /// Length in bytes.
    pub bytes: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device the file lies on.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// How many names the inode has.
    pub links: u64,
    /// Modification time, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Status change time, nanoseconds since 1970.
    pub changed_ns: i64,
}

impl Stat {
    /// What tells a file from every other one.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// What a new symbolic link takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkLike {
    /// Owner and group; the process's own when not given.
    pub owner: Option<(u32, u32)>,
    /// The time of modification, in nanoseconds since 1970; now when not given.
    pub modified_ns: Option<i64>,
}

/// What a file system says to a request for a lease; see [`Disk::lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Nobody can open the file for writing without the lease being broken first.
    Held,
    /// Somebody has it open for writing, or mapped so.
    Busy,
    /// The file system, or the file's owner, does not let us have one.
    Unavailable,
}

/// Whether a file goes on with the content of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It has the same content.
    Same,
    /// It has new content. What vouches for the old one, file capabilities above all, is not
    /// carried over: a write to the file would clear it.
    New,
}

/// What a file system says to a request to lock a directory; see [`Disk::lock_dir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirLock {
    /// Nobody else can lock it until it is unlocked or the process ends.
    Held,
    /// Somebody has it locked.
    Busy,
    /// The file system does not lock directories.
    Unavailable,
}

/// Whether a call failed because a symlink stands where none may be followed.
pub(crate) fn is_symlink_error(error: &io::Error) -> bool {
    #[cfg(unix)]
    let code = rustix::io::Errno::LOOP.raw_os_error();
    #[cfg(not(unix))]
    let code = 1921; // ERROR_CANT_RESOLVE_FILENAME
    error.raw_os_error() == Some(code)
}

/// Whether the file system refuses a rename for its flags. Flags that it does not know
/// are EINVAL.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// A single name in an open directory.
pub type NameIn<'n, Dir> = (&'n Dir, &'n [u8]);

/// Writes everything, however short each write is.
pub(crate) fn write_all<D: Disk>(
    disk: &D,
    file: &D::File,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write_at(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}

/// A file system, as the swap protocol sees it.
///
/// Every call but [`open_dir_beneath`](Disk::open_dir_beneath) works on a single
/// name in a directory that is already open, so that nothing between the root and
/// the name can be exchanged for a symlink. Names are single components.
///
/// # Durability
/// Nothing is durable before [`sync_file`](Disk::sync_file) for content and
/// metadata, and [`sync_dir`](Disk::sync_dir) for names, has returned. After a
/// failed sync the caller must not sync the same object again and believe the
/// answer: Linux marks the pages clean (Rebello et al., "Can Applications Recover
/// from fsync Failures?", ATC 2020).
pub trait Disk: Send + Sync {
    /// An open directory.
    type Dir: Send + Sync;
    /// An open regular file.
    type File: Send + Sync;

    /// How many syncs are worth having in flight at once; with 1 all calls are made one
    /// after the other, in an order that a second run repeats.
    fn calls_in_flight(&self) -> usize;

    /// How many directories may be held open at once.
    fn open_dirs_max(&self) -> usize {
        128
    }

    /// Opens a directory below `root` without following any symlink.
    ///
    /// # Errors
    /// `CrossesDevices` when it lies on another mount and `cross_mounts` is false;
    /// the system's own code for a loop (`ELOOP`) when a component is a symlink,
    /// `NotADirectory` for a file.
    fn open_dir_beneath(
        &self,
        root: &Self::Dir,
        path: Option<&RelPath>,
        cross_mounts: bool,
    ) -> io::Result<Self::Dir>;
    /// The device that a directory lies on, and its inode's number.
    ///
    /// # Errors
    /// What the system says.
    fn identity(&self, dir: &Self::Dir) -> io::Result<(u64, u64)>;
    /// The status of a name.
    ///
    /// # Errors
    /// `NotFound` where the name does not exist; else what the system says.
    fn stat(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<Stat>;
    /// Whether another case, or a short form, names the same file.
    fn has_other_spellings(&self) -> bool {
        false
    }
    /// How the directory itself spells a name that is there.
    ///
    /// # Errors
    /// `NotFound` where the name does not exist; else what the system says.
    fn spelling(&self, _dir: &Self::Dir, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(name.to_vec())
    }
    /// The permission bits that a file has after these were asked for.
    fn kept_mode(&self, mode: u32) -> u32 {
        mode
    }
    /// The permission bits that a directory's default access control list leaves a new file, in
    /// place of the process's umask (acl(5)); `None` where it has no such list.
    ///
    /// # Errors
    /// What the system says.
    fn default_mode(&self, _dir: &Self::Dir) -> io::Result<Option<u32>> {
        Ok(None)
    }
    /// Makes a symbolic link, of this owner and with this time of modification where they are given.
    ///
    /// # Durability
    /// No system syncs a link by itself: it is durable once the directory that it lies in has been
    /// synced ([`sync_dir`](Disk::sync_dir)), with its target.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken, `Unsupported` on file systems without links.
    fn create_symlink(
        &self,
        dir: &Self::Dir,
        name: &[u8],
        target: &[u8],
        like: LinkLike,
    ) -> io::Result<()>;
    /// A symlink's target.
    ///
    /// # Errors
    /// `NotFound` where the name does not exist, `InvalidInput` where it is no symlink.
    fn read_link(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<Vec<u8>>;
    /// The names in a directory, without `.` and `..`, in any order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Self::Dir) -> io::Result<Vec<Entry>>;

    /// Opens for reading; fails on a symlink, never blocks on a FIFO.
    ///
    /// # Errors
    /// `CrossesDevices` for a file that is a mount point by itself.
    fn open_file(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<Self::File>;
    /// Opens an existing file of Greenroom's own for reading and writing.
    ///
    /// # Errors
    /// `NotFound` where the name does not exist; else what the system says.
    fn open_own_file(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<Self::File>;
    /// Creates a file that must not exist, readable and writable by its owner only.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken.
    fn create_file(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<Self::File>;
    /// The status of an open file.
    ///
    /// # Errors
    /// What the system says.
    fn file_stat(&self, file: &Self::File) -> io::Result<Stat>;
    /// Reads; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes; may be short.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, file: &Self::File, buffer: &[u8], offset: u64) -> io::Result<usize>;
    /// Reserves space, so that a full disk shows before the first byte. A file
    /// system that cannot reserve succeeds without doing so.
    ///
    /// # Errors
    /// What the system says.
    fn reserve(&self, _file: &Self::File, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
    /// Makes a file longer that ends with a hole, so that it has so many bytes.
    ///
    /// By default its last byte is written, which takes a block.
    ///
    /// # Errors
    /// What the system says.
    fn lengthen(&self, file: &Self::File, bytes: u64) -> io::Result<()> {
        match bytes.checked_sub(1) {
            Some(last) => self.write_at(file, &[0], last).map(drop),
            None => Ok(()),
        }
    }
    /// Whether the file has capabilities that it gives to who runs it (capabilities(7)).
    ///
    /// # Errors
    /// What the system says.
    fn has_capabilities(&self, _file: &Self::File) -> io::Result<bool> {
        Ok(false)
    }
    /// Gives `to`, which is empty, the flags of `from` (chattr(1)), as far as they can be set.
    ///
    /// # Errors
    /// `PermissionDenied` when `from` is immutable or can only be appended to.
    fn copy_flags(&self, _from: &Self::File, _to: &Self::File) -> io::Result<()> {
        Ok(())
    }
    /// Gives `to` the owner and the extended attributes, access control lists included, of
    /// `from`, and no others, and the mode, in the order that keeps them all: owner,
    /// attributes, mode, capabilities last. At no time can more users read `to` than `from`.
    ///
    /// # Errors
    /// What the system says.
    fn copy_metadata(
        &self,
        from: &Self::File,
        to: &Self::File,
        mode: u32,
        content: Carried,
    ) -> io::Result<()>;
    /// Sets the permission bits.
    ///
    /// # Errors
    /// What the system says.
    fn set_mode(&self, file: &Self::File, mode: u32) -> io::Result<()>;
    /// A time of modification that no other file has, in nanoseconds since 1970: now.
    fn new_stamp(&self) -> i64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_nanos()).unwrap_or(0)
    }
    /// Sets the time of modification, as exactly as the file system keeps it (utimensat(2)).
    ///
    /// # Errors
    /// `Unsupported` where the file system does not keep the time.
    fn set_modified(&self, file: &Self::File, modified_ns: i64) -> io::Result<()>;

    /// Asks to hold off everyone who opens the file for writing, until `file` is
    /// dropped: they wait in their `open` meanwhile (`F_SETLEASE`, fcntl(2)).
    ///
    /// # Errors
    /// What the system says.
    fn lease(&self, _file: &Self::File) -> io::Result<Lease> {
        Ok(Lease::Unavailable)
    }
    /// Whether nobody has asked to open the leased file for writing since.
    ///
    /// # Errors
    /// What the system says.
    fn lease_holds(&self, _file: &Self::File) -> io::Result<bool> {
        Ok(false)
    }
    /// Who has the file open for writing, where the system tells: a name and a
    /// process id.
    fn writer(&self, _file: &Stat) -> Option<String> {
        None
    }

    /// Locks a directory against other Greenroom states over the same tree, without waiting
    /// (`flock(2)`). The lock belongs to this handle: another one of the same directory finds it
    /// locked, in this process as well.
    fn lock_dir(&self, _dir: &Self::Dir) -> DirLock {
        DirLock::Unavailable
    }
    /// How long a directory that another state has locked is waited for.
    fn dir_lock_wait(&self) -> Duration {
        Duration::from_secs(2)
    }
    /// Ends [`lock_dir`](Disk::lock_dir).
    fn unlock_dir(&self, _dir: &Self::Dir) {}

    /// Makes a file's content and metadata durable, not its name.
    ///
    /// # Errors
    /// What the system says.
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;
    /// Makes a directory's names durable, not what they stand for.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()>;

    /// Exchanges two names of one directory atomically; `InvalidInput` or `Unsupported`,
    /// with nothing changed, where the file system cannot.
    ///
    /// The user's file is given first. Linux reports the exchange as two moves, that of the
    /// first name before that of the second: a watcher's last event of `file` is then that
    /// something arrived there, and not that it went away.
    ///
    /// # Errors
    /// `NotFound` where one of the names does not exist, and those named above.
    fn exchange(&self, dir: &Self::Dir, file: &[u8], slot: &[u8]) -> io::Result<()>;
    /// Whether it has [`replace`](Disk::replace) instead of an exchange.
    fn replaces_in_steps(&self) -> bool {
        false
    }
    /// Brings `slot` to the place of the file `target`, which gets the free name `aside`, by
    /// a call of the system's own that is made for it and need not be atomic: whatever it
    /// answers, the names tell what it did. `Unsupported`, with nothing changed, where the
    /// system has none.
    ///
    /// # Errors
    /// Those named above; else what the system says.
    fn replace(
        &self,
        _dir: &Self::Dir,
        _target: &[u8],
        _slot: &[u8],
        _aside: &[u8],
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Renames atomically; `AlreadyExists` rather than replacing anything. Where the file
    /// system cannot promise that, `InvalidInput` or `Unsupported` with nothing changed.
    ///
    /// # Errors
    /// `NotFound` where `from` does not exist, and those named above.
    fn rename(&self, from: NameIn<'_, Self::Dir>, to: NameIn<'_, Self::Dir>) -> io::Result<()>;
    /// Renames atomically, replacing a file that has the name; only ever onto a name of
    /// Greenroom's own.
    ///
    /// # Errors
    /// What the system says.
    fn rename_replacing(
        &self,
        from: NameIn<'_, Self::Dir>,
        to: NameIn<'_, Self::Dir>,
    ) -> io::Result<()>;
    /// Gives a file a second name; `AlreadyExists` rather than replacing anything.
    ///
    /// # Errors
    /// `AlreadyExists` where `to` is taken.
    fn link(&self, from: NameIn<'_, Self::Dir>, to: NameIn<'_, Self::Dir>) -> io::Result<()>;
    /// Removes a file's name; `NotFound` where it does not exist, on a read-only disk too.
    ///
    /// # Errors
    /// As above; else what the system says.
    fn remove_file(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<()>;
    /// Makes a directory.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken.
    fn create_dir(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<()>;
    /// Sets a directory's permission bits.
    ///
    /// # Errors
    /// What the system says.
    fn set_dir_mode(&self, dir: &Self::Dir, name: &[u8], mode: u32) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// `DirectoryNotEmpty` for one that holds something, or that may not be removed.
    fn remove_dir(&self, dir: &Self::Dir, name: &[u8]) -> io::Result<()>;
}
