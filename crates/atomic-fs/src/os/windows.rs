//! [`Disk`] on Windows.
//!
//! Every name is opened relative to its directory's handle, as on other systems. A file's mode is
//! its read-only attribute: [`WRITABLE`] or [`READ_ONLY`], no other. Instead of a lease a handle
//! is held that lets nobody open the file for writing: who tries fails, rather than waits.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use windows_sys::Wdk::Storage::FileSystem as nt;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CANT_RESOLVE_FILENAME, ERROR_SHARING_VIOLATION, GENERIC_READ,
    GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem as win;

use crate::os::disk::{Carried, Disk, Entry, FileKind, Lease, LinkLike, NameIn, Stat};
use crate::rel_path::RelPath;

mod native;
mod retry;

use native::{Opening, SHARE_ALL};
use retry::while_held;

/// Flushes wait on the device; more of them do not make NTFS write its log less often.
const CALLS_IN_FLIGHT: usize = 16;

/// The mode of a file that can be written to.
const WRITABLE: u32 = 0o644;
/// The mode of a file with the read-only attribute.
const READ_ONLY: u32 = 0o444;
/// The mode of every directory.
const DIRECTORY: u32 = 0o755;

/// Whether the owner may write, of a mode.
const OWNER_WRITES: u32 = 0o200;

/// The attributes that belong to a file's user rather than to the file system.
const KEPT_ATTRIBUTES: u32 = win::FILE_ATTRIBUTE_HIDDEN
    | win::FILE_ATTRIBUTE_SYSTEM
    | win::FILE_ATTRIBUTE_ARCHIVE
    | win::FILE_ATTRIBUTE_NOT_CONTENT_INDEXED;

/// The bit of a reparse tag that says that the name stands for another one: symbolic links and
/// junctions have it, files whose content lies in a cloud have not.
const NAME_SURROGATE: u32 = 0x2000_0000;

/// The machine's own file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowsDisk;

/// An open file.
#[derive(Debug)]
pub struct WindowsFile {
    file: File,
    /// Lets nobody open the file for writing while it is there.
    guard: Mutex<Option<File>>,
}

impl WindowsFile {
    fn of(file: File) -> Self {
        Self { file, guard: Mutex::default() }
    }
}

impl WindowsDisk {
    /// Opens a directory by any path; the caller vouches for it.
    ///
    /// # Errors
    /// What the system says.
    #[allow(clippy::disallowed_methods, reason = "nothing is made by it")]
    pub fn open_dir(&self, path: &Path) -> io::Result<File> {
        let dir = OpenOptions::new()
            .access_mode(DIR_ACCESS | win::SYNCHRONIZE)
            .share_mode(SHARE_ALL)
            .custom_flags(win::FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)?;
        let is_dir = native::status(&dir)?.attributes & win::FILE_ATTRIBUTE_DIRECTORY != 0;
        if is_dir { Ok(dir) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }
}

const DIR_ACCESS: u32 =
    win::FILE_LIST_DIRECTORY | win::FILE_TRAVERSE | win::FILE_READ_ATTRIBUTES | win::FILE_READ_EA;

const OPEN_DIR: Opening = Opening {
    access: DIR_ACCESS,
    share: SHARE_ALL,
    disposition: nt::FILE_OPEN,
    options: nt::FILE_OPEN_FOR_BACKUP_INTENT,
};

/// To look at a name, whatever it is and whoever has it open.
const READ_ATTRIBUTES: Opening = Opening { access: win::FILE_READ_ATTRIBUTES, ..OPEN_DIR };

const OPEN_FILE: Opening = Opening {
    access: GENERIC_READ,
    share: SHARE_ALL,
    disposition: nt::FILE_OPEN,
    options: nt::FILE_NON_DIRECTORY_FILE,
};

/// To rename a name or to remove it.
const MOVE: Opening = Opening {
    access: win::DELETE | win::FILE_READ_ATTRIBUTES | win::FILE_WRITE_ATTRIBUTES,
    share: SHARE_ALL,
    disposition: nt::FILE_OPEN,
    options: nt::FILE_OPEN_FOR_BACKUP_INTENT,
};

/// Opens a file once more for its attributes, whose change is then in the file system's log on the
/// device before the call that makes it returns (`CreateFileW`, "Caching Behavior").
fn through(file: &File) -> io::Result<File> {
    let rights = win::FILE_READ_ATTRIBUTES | win::FILE_WRITE_ATTRIBUTES;
    native::reopen_with(file, rights, SHARE_ALL, win::FILE_FLAG_WRITE_THROUGH)
}

impl Disk for WindowsDisk {
    type Dir = File;
    type File = WindowsFile;

    fn calls_in_flight(&self) -> usize {
        CALLS_IN_FLIGHT
    }

    fn open_dir_beneath(
        &self,
        root: &File,
        path: Option<&RelPath>,
        cross_mounts: bool,
    ) -> io::Result<File> {
        let Some(path) = path else { return root.try_clone() };
        let volume = native::status(root)?.volume;
        let mut dir = root.try_clone()?;
        for name in path.components() {
            dir = native::open_in(&dir, name, OPEN_DIR)?;
            let status = native::status(&dir)?;
            if is_link(&status) {
                return Err(native::error(ERROR_CANT_RESOLVE_FILENAME));
            }
            if status.attributes & win::FILE_ATTRIBUTE_DIRECTORY == 0 {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if !cross_mounts && status.volume != volume {
                return Err(io::ErrorKind::CrossesDevices.into());
            }
        }
        Ok(dir)
    }

    fn identity(&self, dir: &File) -> io::Result<(u64, u64)> {
        let status = native::status(dir)?;
        Ok((status.volume, status.id))
    }

    fn stat(&self, dir: &File, name: &[u8]) -> io::Result<Stat> {
        Ok(stat_from(&native::status(&native::open_in(dir, name, READ_ATTRIBUTES)?)?))
    }

    fn has_other_spellings(&self) -> bool {
        true
    }

    fn spelling(&self, dir: &File, name: &[u8]) -> io::Result<Vec<u8>> {
        let path = native::path_of(&native::open_in(dir, name, READ_ATTRIBUTES)?)?;
        let last = path.rsplit(|unit| *unit == u16::from(b'\\')).next().unwrap_or_default();
        String::from_utf16(last).map(String::into_bytes).map_err(io::Error::other)
    }

    fn kept_mode(&self, mode: u32) -> u32 {
        if mode & OWNER_WRITES == 0 { READ_ONLY } else { WRITABLE }
    }

    fn create_symlink(
        &self,
        _dir: &File,
        _name: &[u8],
        _target: &[u8],
        _like: LinkLike,
    ) -> io::Result<()> {
        let what = "symbolic links are not made on Windows";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }

    fn read_link(&self, _dir: &File, _name: &[u8]) -> io::Result<Vec<u8>> {
        let what = "links are not followed on Windows: name the file that is meant";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }

    fn list(&self, dir: &File) -> io::Result<Vec<Entry>> {
        // A handle remembers how far it was read, and this one may be shared.
        let own = native::open_in(dir, b"", OPEN_DIR)?;
        let names = native::list(&own)?.into_iter().filter(|(name, _)| name != "." && name != "..");
        let entry = |(name, attributes): (String, u32)| Entry {
            name: name.into_bytes(),
            kind: if attributes & win::FILE_ATTRIBUTE_REPARSE_POINT != 0 {
                None
            } else if attributes & win::FILE_ATTRIBUTE_DIRECTORY != 0 {
                Some(FileKind::Directory)
            } else {
                Some(FileKind::Regular)
            },
        };
        Ok(names.map(entry).collect())
    }

    fn open_file(&self, dir: &File, name: &[u8]) -> io::Result<WindowsFile> {
        open(dir, name, OPEN_FILE)
    }

    fn open_own_file(&self, dir: &File, name: &[u8]) -> io::Result<WindowsFile> {
        open(dir, name, Opening { access: GENERIC_READ | GENERIC_WRITE, ..OPEN_FILE })
    }

    fn create_file(&self, dir: &File, name: &[u8]) -> io::Result<WindowsFile> {
        let how = Opening {
            access: GENERIC_READ | GENERIC_WRITE | win::DELETE,
            disposition: nt::FILE_CREATE,
            ..OPEN_FILE
        };
        Ok(WindowsFile::of(native::open_in(dir, name, how)?))
    }

    fn file_stat(&self, file: &WindowsFile) -> io::Result<Stat> {
        Ok(stat_from(&native::status(&file.file)?))
    }

    fn read_at(&self, file: &WindowsFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.file.seek_read(buffer, offset)
    }

    fn write_at(&self, file: &WindowsFile, buffer: &[u8], offset: u64) -> io::Result<usize> {
        file.file.seek_write(buffer, offset)
    }

    fn reserve(&self, file: &WindowsFile, bytes: u64) -> io::Result<()> {
        match native::allocate(&file.file, i64::try_from(bytes).unwrap_or(i64::MAX)) {
            Err(error) if native::is_unknown(&error) => Ok(()),
            answer => answer,
        }
    }

    /// Times of creation and attributes. The access control list and the streams of the file that
    /// is replaced are kept by the replacement itself.
    fn copy_metadata(
        &self,
        from: &WindowsFile,
        to: &WindowsFile,
        mode: u32,
        _content: Carried,
    ) -> io::Result<()> {
        // The call that replaces a file does it as well, but the renames that are made where it
        // is not supported, and for read-only files, do not.
        let rights = win::READ_CONTROL | win::WRITE_DAC;
        native::copy_access(&from.file, &native::reopen(&to.file, rights, SHARE_ALL)?)?;
        let original = native::basic(&from.file)?;
        let kept = original.FileAttributes & KEPT_ATTRIBUTES;
        let basic = win::FILE_BASIC_INFO {
            CreationTime: original.CreationTime,
            FileAttributes: attributes(kept, mode),
            ..Default::default()
        };
        native::set_basic(&to.file, &basic)
    }

    fn set_mode(&self, file: &WindowsFile, mode: u32) -> io::Result<()> {
        let file = through(&file.file)?;
        let kept = native::basic(&file)?.FileAttributes & !win::FILE_ATTRIBUTE_READONLY;
        native::set_attributes(&file, attributes(kept, mode))
    }

    fn set_modified(&self, file: &WindowsFile, modified_ns: i64) -> io::Result<()> {
        // An attribute of 0 leaves all of them as they are, and so does a time of 0.
        let basic =
            win::FILE_BASIC_INFO { LastWriteTime: since_1601(modified_ns), ..Default::default() };
        native::set_basic(&file.file, &basic)
    }

    fn lease(&self, file: &WindowsFile) -> io::Result<Lease> {
        let share = win::FILE_SHARE_READ | win::FILE_SHARE_DELETE;
        match native::reopen(&file.file, GENERIC_READ, share) {
            Ok(guard) => {
                *file.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
                Ok(Lease::Held)
            }
            Err(error) if native::is_one_of(&error, &[ERROR_SHARING_VIOLATION]) => Ok(Lease::Busy),
            Err(_) => Ok(Lease::Unavailable),
        }
    }

    fn lease_holds(&self, file: &WindowsFile) -> io::Result<bool> {
        Ok(file.guard.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    fn sync_file(&self, file: &WindowsFile) -> io::Result<()> {
        let denied = |error: &io::Error| native::is_one_of(error, &[ERROR_ACCESS_DENIED]);
        // Flushing takes the right to write, which a file that was opened to be read lacks.
        match file.file.sync_all() {
            Err(error) if denied(&error) => {}
            answer => return answer,
        }
        match native::reopen(&file.file, GENERIC_WRITE, SHARE_ALL) {
            Err(error) if denied(&error) => {}
            answer => return answer?.sync_all(),
        }
        // And which nobody gets to a read-only file, whose attributes can be written through.
        let file = through(&file.file)?;
        let basic = native::basic(&file)?;
        if basic.FileAttributes & win::FILE_ATTRIBUTE_READONLY == 0 {
            return Err(native::error(ERROR_ACCESS_DENIED));
        }
        native::set_attributes(&file, basic.FileAttributes)
    }

    fn sync_dir(&self, dir: &File) -> io::Result<()> {
        let rights = win::FILE_ADD_FILE | win::FILE_ADD_SUBDIRECTORY;
        let writable = native::open_in(dir, b"", Opening { access: rights, ..OPEN_DIR })?;
        match writable.sync_all() {
            Err(error) if native::is_unknown(&error) => Ok(()),
            answer => answer,
        }
    }

    fn exchange(&self, _dir: &File, _one: &[u8], _other: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn replaces_in_steps(&self) -> bool {
        true
    }

    fn replace(&self, dir: &File, target: &[u8], slot: &[u8], aside: &[u8]) -> io::Result<()> {
        // The call refuses read-only files, the one or the other; renames do not.
        for name in [target, slot] {
            let status = native::status(&native::open_in(dir, name, READ_ATTRIBUTES)?)?;
            if status.attributes & win::FILE_ATTRIBUTE_READONLY != 0 {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        // Without write-through, which the call does not support: names are flushed later.
        while_held(|| native::replace(dir, target, slot, aside))
    }

    fn rename(&self, from: NameIn<'_, File>, to: NameIn<'_, File>) -> io::Result<()> {
        while_held(|| native::rename(&native::open_in(from.0, from.1, MOVE)?, to.0, to.1, false))
    }

    fn rename_replacing(&self, from: NameIn<'_, File>, to: NameIn<'_, File>) -> io::Result<()> {
        while_held(|| native::rename(&native::open_in(from.0, from.1, MOVE)?, to.0, to.1, true))
    }

    fn link(&self, from: NameIn<'_, File>, to: NameIn<'_, File>) -> io::Result<()> {
        while_held(|| native::link(&native::open_in(from.0, from.1, MOVE)?, to.0, to.1))
    }

    fn remove_file(&self, dir: &File, name: &[u8]) -> io::Result<()> {
        remove(dir, name, nt::FILE_NON_DIRECTORY_FILE)
    }

    fn create_dir(&self, dir: &File, name: &[u8]) -> io::Result<()> {
        let how =
            Opening { disposition: nt::FILE_CREATE, options: nt::FILE_DIRECTORY_FILE, ..OPEN_DIR };
        native::open_in(dir, name, how).map(drop)
    }

    fn set_dir_mode(&self, _dir: &File, _name: &[u8], _mode: u32) -> io::Result<()> {
        // The one bit that Windows knows does not keep anybody from making files in it.
        Ok(())
    }

    fn remove_dir(&self, dir: &File, name: &[u8]) -> io::Result<()> {
        remove(dir, name, nt::FILE_DIRECTORY_FILE)
    }
}

/// Opens a regular file, and no link.
fn open(dir: &File, name: &[u8], how: Opening) -> io::Result<WindowsFile> {
    let file = native::open_in(dir, name, how)?;
    if is_link(&native::status(&file)?) {
        return Err(native::error(ERROR_CANT_RESOLVE_FILENAME));
    }
    Ok(WindowsFile::of(file))
}

fn remove(dir: &File, name: &[u8], kind: u32) -> io::Result<()> {
    while_held(|| {
        let how = Opening { options: MOVE.options | kind, ..MOVE };
        let file = native::open_in(dir, name, how)?;
        let basic = native::basic(&file)?;
        // Where the system cannot be asked to ignore it.
        if basic.FileAttributes & win::FILE_ATTRIBUTE_READONLY != 0 {
            let kept = basic.FileAttributes & !win::FILE_ATTRIBUTE_READONLY;
            native::set_attributes(&file, attributes(kept, WRITABLE))?;
        }
        native::delete(&file)
    })
}

/// Attributes with the one that a mode stands for; never 0, which would leave them as they are.
fn attributes(others: u32, mode: u32) -> u32 {
    let read_only = if mode & OWNER_WRITES == 0 { win::FILE_ATTRIBUTE_READONLY } else { 0 };
    match others | read_only {
        0 => win::FILE_ATTRIBUTE_NORMAL,
        some => some,
    }
}

fn is_link(status: &native::Status) -> bool {
    status.reparse_tag & NAME_SURROGATE != 0
}

fn stat_from(status: &native::Status) -> Stat {
    let has = |attribute: u32| status.attributes & attribute != 0;
    let (kind, mode) = if is_link(status) {
        (FileKind::Symlink, WRITABLE)
    } else if has(win::FILE_ATTRIBUTE_DIRECTORY) {
        (FileKind::Directory, DIRECTORY)
    } else if has(win::FILE_ATTRIBUTE_DEVICE) {
        (FileKind::Other, WRITABLE)
    } else if has(win::FILE_ATTRIBUTE_READONLY) {
        (FileKind::Regular, READ_ONLY)
    } else {
        (FileKind::Regular, WRITABLE)
    };
    Stat {
        kind,
        mode,
        bytes: status.bytes,
        uid: 0,
        gid: 0,
        device: status.volume,
        inode: status.id,
        links: status.links,
        modified_ns: since_1970_ns(status.written),
        changed_ns: since_1970_ns(status.changed),
    }
}

/// 1970 in steps of 100 ns since 1601.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

fn since_1970_ns(steps: i64) -> i64 {
    steps.saturating_sub(UNIX_EPOCH).saturating_mul(100)
}

fn since_1601(ns: i64) -> i64 {
    UNIX_EPOCH + ns.div_euclid(100)
}
