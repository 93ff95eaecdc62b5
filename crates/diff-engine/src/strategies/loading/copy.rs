//! Makes a private copy of a library that nobody can change, and a path for loading it.

use std::io::{self, Write};
use std::path::PathBuf;

use super::Trust;

/// Copies into sealed memory.
///
/// The descriptor stays open until the process ends: the loader identifies libraries by their path,
/// so a reused number would give the previous library.
#[cfg(target_os = "linux")]
pub(super) fn private_copy(bytes: &[u8], _trust: &Trust) -> io::Result<PathBuf> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::fs::File;
    use std::os::fd::AsRawFd;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut memory = File::from(memfd_create("greenroom-strategy", flags)?);
    memory.write_all(bytes)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&memory, seals)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    std::mem::forget(memory);
    Ok(path)
}

/// Copies into a new file in the caller's private directory, named by its digest.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::disallowed_methods, reason = "the copy is ours, in a folder for such copies")]
pub(super) fn private_copy(bytes: &[u8], trust: &Trust) -> io::Result<PathBuf> {
    let folder = trust.private_folder.as_ref().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "there is no private directory for its copy")
    })?;
    let suffix = std::env::consts::DLL_EXTENSION;
    let stamp = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let name = format!("{}-{}-{stamp}.{suffix}", blake3::hash(bytes).to_hex(), std::process::id());
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o500);
    }
    options.open(&path)?.write_all(bytes)?;
    Ok(path)
}

/// Removes the name of a copy, whether it was loaded or not. A mapped one stays mapped.
#[cfg(all(unix, not(target_os = "linux")))]
#[allow(clippy::disallowed_methods, reason = "the copy is ours, in a folder for such copies")]
pub(super) fn forget(copy: &std::path::Path) {
    // One that cannot be removed is one more file in the state directory.
    let _ = std::fs::remove_file(copy);
}

/// Memory has no name, and Windows keeps the file of a loaded library.
#[cfg(not(all(unix, not(target_os = "linux"))))]
pub(super) fn forget(_copy: &std::path::Path) {}
