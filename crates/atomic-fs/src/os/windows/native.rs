//! The calls that the standard library does not offer, each behind a safe function.
//!
//! Names are opened relative to a directory's handle by `NtCreateFile`, as `openat(2)` does
//! elsewhere: nothing between the root and the name can be exchanged for a link meanwhile. Its
//! documentation is that of `ntifs.h` in the Windows Driver Kit.

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr;

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem as nt;
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_NAME, ERROR_MORE_DATA, ERROR_NO_MORE_FILES, HANDLE, INVALID_HANDLE_VALUE,
    NTSTATUS, OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, UNICODE_STRING,
};
use windows_sys::Win32::Security as win_security;
use windows_sys::Win32::Storage::FileSystem as win;
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, IO_STATUS_BLOCK_0};

use crate::os::windows_names as names;

/// Everybody may do anything with the file while it is open here.
pub(super) const SHARE_ALL: u32 =
    win::FILE_SHARE_READ | win::FILE_SHARE_WRITE | win::FILE_SHARE_DELETE;

/// How a name is opened.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    /// Rights; waiting for the end of each call is added.
    pub access: u32,
    /// What others may do meanwhile.
    pub share: u32,
    /// What if the name is there, or is not.
    pub disposition: u32,
    /// More of the native call's options.
    pub options: u32,
}

/// What a handle shows of a file.
pub(super) struct Status {
    pub attributes: u32,
    /// What kind of reparse point it is; 0 when it is none.
    pub reparse_tag: u32,
    pub bytes: u64,
    pub volume: u64,
    pub id: u64,
    pub links: u64,
    /// In steps of 100 ns since 1601.
    pub written: i64,
    /// The same.
    pub changed: i64,
}

fn answered(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: it takes a number and gives one.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(error(code))
}

/// The error of a code of the system's.
pub(super) fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// Whether an error has one of these codes.
pub(super) fn is_one_of(error: &io::Error, codes: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

fn succeeded(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn handle(file: &File) -> HANDLE {
    file.as_raw_handle()
}

fn wide(name: &[u8]) -> io::Result<Vec<u16>> {
    let invalid = || error(ERROR_INVALID_NAME);
    // An empty name is the directory itself.
    if !name.is_empty() && names::fault(name).is_some() {
        return Err(invalid());
    }
    Ok(std::str::from_utf8(name).map_err(|_| invalid())?.encode_utf16().collect())
}

fn status_block() -> IO_STATUS_BLOCK {
    IO_STATUS_BLOCK { Anonymous: IO_STATUS_BLOCK_0 { Status: 0 }, Information: 0 }
}

/// Opens a single name in a directory, or the directory itself anew when the name is empty. A
/// link in its place is opened itself.
pub(super) fn open_in(dir: &File, name: &[u8], how: Opening) -> io::Result<File> {
    let name = wide(name)?;
    let bytes = u16::try_from(name.len() * 2).map_err(|_| error(ERROR_INVALID_NAME))?;
    let object_name =
        UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_ptr().cast_mut() };
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: handle(dir),
        ObjectName: &raw const object_name,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let mut opened: HANDLE = INVALID_HANDLE_VALUE;
    let mut block = status_block();
    // SAFETY: every pointer is to a value that lives until the call is over, `name` among them;
    // the name's length is the buffer's, in bytes.
    let status = unsafe {
        nt::NtCreateFile(
            &raw mut opened,
            how.access | win::SYNCHRONIZE,
            &raw const attributes,
            &raw mut block,
            ptr::null(),
            win::FILE_ATTRIBUTE_NORMAL,
            how.share,
            how.disposition,
            how.options | nt::FILE_SYNCHRONOUS_IO_NONALERT | nt::FILE_OPEN_REPARSE_POINT,
            ptr::null(),
            0,
        )
    };
    answered(status)?;
    // SAFETY: the call has succeeded, so this is a handle, and nobody else has it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(opened) }))
}

/// Gives one open file the access control list of another. Both handles need their rights to it.
pub(super) fn copy_access(from: &File, to: &File) -> io::Result<()> {
    let mut length = 0;
    // SAFETY: no buffer is given, so that only the length is asked for.
    unsafe {
        win_security::GetKernelObjectSecurity(
            handle(from),
            win_security::DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            0,
            &raw mut length,
        );
    }
    // Of words, so that it is aligned as a descriptor has to be.
    let mut descriptor = vec![0_u64; (length as usize).div_ceil(8).max(1)];
    // SAFETY: the buffer has the length that was asked for, and lives until both calls are over.
    succeeded(unsafe {
        win_security::GetKernelObjectSecurity(
            handle(from),
            win_security::DACL_SECURITY_INFORMATION,
            descriptor.as_mut_ptr().cast(),
            length,
            &raw mut length,
        )
    })?;
    // SAFETY: as above; the call before has filled the buffer.
    succeeded(unsafe {
        win_security::SetKernelObjectSecurity(
            handle(to),
            win_security::DACL_SECURITY_INFORMATION,
            descriptor.as_mut_ptr().cast(),
        )
    })
}

/// Opens an open file anew with other rights, whatever its name is by now.
pub(super) fn reopen(file: &File, access: u32, share: u32) -> io::Result<File> {
    reopen_with(file, access, share, 0)
}

/// The same with `FILE_FLAG_` bits.
pub(super) fn reopen_with(file: &File, access: u32, share: u32, flags: u32) -> io::Result<File> {
    // SAFETY: the handle is open for as long as `file` is borrowed; the rest are numbers.
    let opened = unsafe { win::ReOpenFile(handle(file), access, share, flags) };
    if opened == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so this is a handle, and nobody else has it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(opened) }))
}

/// What `FileRenameInformation` and `FileLinkInformation` begin with, and a name behind it.
///
/// `FILE_RENAME_INFORMATION` and `FILE_LINK_INFORMATION` are the same to the byte.
fn set_name(file: &File, to_dir: &File, to: &[u8], replace: bool, class: i32) -> io::Result<()> {
    let name = wide(to)?;
    let offset = std::mem::offset_of!(nt::FILE_RENAME_INFORMATION, FileName);
    let length = offset + name.len() * 2;
    // Of words, so that it is aligned as the structure has to be.
    let mut buffer =
        vec![0_u64; length.div_ceil(8).max(size_of::<nt::FILE_RENAME_INFORMATION>() / 8)];
    let start = buffer.as_mut_ptr().cast::<u8>();
    let name_bytes = u32::try_from(name.len() * 2).map_err(io::Error::other)?;
    let mut block = status_block();
    // SAFETY: the buffer is as long as the structure and the name behind it, aligned to 8 bytes,
    // and lives until the call is over; so do the two handles.
    let status = unsafe {
        let information = start.cast::<nt::FILE_RENAME_INFORMATION>();
        (*information).Anonymous.Flags = u32::from(replace);
        (*information).RootDirectory = handle(to_dir);
        (*information).FileNameLength = name_bytes;
        ptr::copy_nonoverlapping(name.as_ptr().cast::<u8>(), start.add(offset), name.len() * 2);
        nt::NtSetInformationFile(
            handle(file),
            &raw mut block,
            start.cast(),
            u32::try_from(buffer.len() * 8).map_err(io::Error::other)?,
            class,
        )
    };
    answered(status)
}

/// Renames an open file, which needs the right to delete it.
pub(super) fn rename(file: &File, to_dir: &File, to: &[u8], replace: bool) -> io::Result<()> {
    set_name(file, to_dir, to, replace, nt::FileRenameInformation)
}

/// Gives an open file a second name.
pub(super) fn link(file: &File, to_dir: &File, to: &[u8]) -> io::Result<()> {
    set_name(file, to_dir, to, false, nt::FileLinkInformation)
}

/// Removes an open file's name, which needs the right to delete it: at once where the system
/// knows how, else with the last handle.
pub(super) fn delete(file: &File) -> io::Result<()> {
    let flags = nt::FILE_DISPOSITION_DELETE
        | nt::FILE_DISPOSITION_POSIX_SEMANTICS
        | nt::FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
    let at_once = set(file, nt::FileDispositionInformationEx, &flags);
    // Before Windows 10 1809, and on file systems other than NTFS.
    match at_once {
        Err(error) if is_unknown(&error) => set(file, nt::FileDispositionInformation, &1_u8),
        answer => answer,
    }
}

/// Whether the system, or the file system, does not know a request.
pub(super) fn is_unknown(error: &io::Error) -> bool {
    use windows_sys::Win32::Foundation as codes;
    is_one_of(
        error,
        &[
            codes::ERROR_INVALID_FUNCTION,
            codes::ERROR_INVALID_PARAMETER,
            codes::ERROR_NOT_SUPPORTED,
            codes::ERROR_CALL_NOT_IMPLEMENTED,
        ],
    )
}

fn set<T: Copy>(file: &File, class: i32, value: &T) -> io::Result<()> {
    let mut block = status_block();
    // SAFETY: the value lives until the call is over, and its length is given.
    let status = unsafe {
        nt::NtSetInformationFile(
            handle(file),
            &raw mut block,
            ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
            class,
        )
    };
    answered(status)
}

/// `ReplaceFileW`, always with a backup: without one its failures can lose the file.
///
/// The call knows no handles, so the directory's path is asked for. Were the directory moved
/// between the two calls, a file that is not Greenroom's could only be replaced if a slot of the
/// same random name lay beside it.
pub(super) fn replace(dir: &File, target: &[u8], slot: &[u8], backup: &[u8]) -> io::Result<()> {
    let dir = path_of(dir)?;
    let path = |name: &[u8]| {
        let name = wide(name)?;
        let path = [dir.as_slice(), &[u16::from(b'\\')], &name, &[0]].concat();
        Ok::<_, io::Error>(path)
    };
    let (target, slot, backup) = (path(target)?, path(slot)?, path(backup)?);
    // SAFETY: the three end with a zero and live until the call is over; the last two are
    // reserved and must be null.
    succeeded(unsafe {
        win::ReplaceFileW(
            target.as_ptr(),
            slot.as_ptr(),
            backup.as_ptr(),
            0,
            ptr::null(),
            ptr::null(),
        )
    })
}

/// No path of Windows is longer, in units of UTF-16.
const PATH_UNITS_MAX: usize = 32_767;

/// An open file's path in the form that is not limited in length, without a zero at its end.
pub(super) fn path_of(file: &File) -> io::Result<Vec<u16>> {
    let mut path = vec![0_u16; 512];
    loop {
        let room = u32::try_from(path.len()).map_err(io::Error::other)?;
        // SAFETY: the buffer lives until the call is over, and its length is given.
        let length =
            unsafe { win::GetFinalPathNameByHandleW(handle(file), path.as_mut_ptr(), room, 0) }
                as usize;
        match length {
            0 => {
                let error = io::Error::last_os_error();
                // Wine says so for a path of more than 512 characters, rather than how many.
                let is_short = is_one_of(&error, &[ERROR_MORE_DATA]);
                if !is_short || path.len() > PATH_UNITS_MAX {
                    return Err(error);
                }
                path.resize(path.len() * 2, 0);
            }
            fits if fits < path.len() => {
                path.truncate(length);
                if path.last() == Some(&u16::from(b'\\')) {
                    path.pop();
                }
                return Ok(path);
            }
            // The length that it needs, with the zero.
            more => path.resize(more, 0),
        }
    }
}

/// Sets times and attributes; what is 0 stays.
pub(super) fn set_basic(file: &File, basic: &win::FILE_BASIC_INFO) -> io::Result<()> {
    set_by_handle(file, win::FileBasicInfo, basic)
}

/// Sets the attributes, of which 0 would leave them as they are.
pub(super) fn set_attributes(file: &File, attributes: u32) -> io::Result<()> {
    let basic = win::FILE_BASIC_INFO { FileAttributes: attributes, ..Default::default() };
    set_basic(file, &basic)
}

/// Reserves space.
pub(super) fn allocate(file: &File, bytes: i64) -> io::Result<()> {
    let info = win::FILE_ALLOCATION_INFO { AllocationSize: bytes };
    set_by_handle(file, win::FileAllocationInfo, &info)
}

fn set_by_handle<T: Copy>(file: &File, class: i32, value: &T) -> io::Result<()> {
    // SAFETY: the value lives until the call is over, and its length is given.
    succeeded(unsafe {
        win::SetFileInformationByHandle(
            handle(file),
            class,
            ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    })
}

fn get_by_handle<T: Copy + Default>(file: &File, class: i32) -> io::Result<T> {
    let mut value = T::default();
    // SAFETY: the value lives until the call is over, its length is given, and every pattern of
    // bits is one of these plain structures of numbers.
    succeeded(unsafe {
        win::GetFileInformationByHandleEx(
            handle(file),
            class,
            (&raw mut value).cast(),
            size_of::<T>() as u32,
        )
    })?;
    Ok(value)
}

/// A file's times and attributes.
pub(super) fn basic(file: &File) -> io::Result<win::FILE_BASIC_INFO> {
    get_by_handle(file, win::FileBasicInfo)
}

/// What a handle shows of its file; the right to read attributes is enough.
pub(super) fn status(file: &File) -> io::Result<Status> {
    let mut found = win::BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the structure lives until the call is over.
    succeeded(unsafe { win::GetFileInformationByHandle(handle(file), &raw mut found) })?;
    let basic = basic(file)?;
    let is_reparse = found.dwFileAttributes & win::FILE_ATTRIBUTE_REPARSE_POINT != 0;
    let reparse_tag = if is_reparse {
        get_by_handle::<win::FILE_ATTRIBUTE_TAG_INFO>(file, win::FileAttributeTagInfo)?.ReparseTag
    } else {
        0
    };
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    // ReFS has ids of 128 bits, which the older call cannot tell.
    let (volume, id) = match get_by_handle::<win::FILE_ID_INFO>(file, win::FileIdInfo) {
        Ok(found) => {
            let id = u128::from_le_bytes(found.FileId.Identifier);
            (found.VolumeSerialNumber, (id >> 64) as u64 ^ id as u64)
        }
        Err(_) => {
            (u64::from(found.dwVolumeSerialNumber), pair(found.nFileIndexHigh, found.nFileIndexLow))
        }
    };
    Ok(Status {
        attributes: found.dwFileAttributes,
        reparse_tag,
        bytes: pair(found.nFileSizeHigh, found.nFileSizeLow),
        volume,
        id,
        links: found.nNumberOfLinks.into(),
        written: basic.LastWriteTime,
        changed: basic.ChangeTime,
    })
}

/// Every name in a directory with its attributes. The handle must be the caller's alone: it
/// remembers how far it was read.
pub(super) fn list(dir: &File) -> io::Result<Vec<(String, u32)>> {
    const WORDS: usize = 8 << 10;
    let mut buffer = vec![0_u64; WORDS];
    let mut names = Vec::new();
    let name_offset = std::mem::offset_of!(win::FILE_FULL_DIR_INFO, FileName);
    let mut class = win::FileFullDirectoryRestartInfo;
    loop {
        // SAFETY: the buffer lives until the call is over, its length is given in bytes, and it
        // is aligned to 8 bytes, as the entries are.
        let answer = succeeded(unsafe {
            win::GetFileInformationByHandleEx(
                handle(dir),
                class,
                buffer.as_mut_ptr().cast(),
                (WORDS * 8) as u32,
            )
        });
        match answer {
            Err(error) if is_one_of(&error, &[ERROR_NO_MORE_FILES]) => return Ok(names),
            answer => answer?,
        }
        class = win::FileFullDirectoryInfo;
        let mut at = 0;
        loop {
            // SAFETY: the system has written an entry here, with its name behind it; entries
            // begin at multiples of 8 bytes within the buffer.
            let (next, attributes, name) = unsafe {
                let start = buffer.as_ptr().cast::<u8>().add(at);
                let entry = start.cast::<win::FILE_FULL_DIR_INFO>();
                let length = (*entry).FileNameLength as usize / 2;
                let name = std::slice::from_raw_parts(start.add(name_offset).cast::<u16>(), length);
                ((*entry).NextEntryOffset, (*entry).FileAttributes, name)
            };
            let name = String::from_utf16(name).map_err(|_| {
                let lossy = String::from_utf16_lossy(name);
                let what = format!("the name {lossy:?} in it is not Unicode");
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?;
            names.push((name, attributes));
            if next == 0 {
                break;
            }
            at += next as usize;
        }
    }
}
