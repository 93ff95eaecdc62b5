//! Opens directories, and reads and writes the files of a capture.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use staging_core::CaptureDir;

use crate::error::{Result, failed};

/// Opens a directory to be read.
pub(crate) fn open(directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty()).map_err(io::Error::from);
    opened.map_err(failed("open", directory))
}

/// Reads a file of a capture; none when there is none.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(
    dir: &CaptureDir,
    name: &str,
) -> Result<Option<T>> {
    let Some(content) = dir.read(name)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&content).map_err(io::Error::from);
    parsed.map(Some).map_err(failed("read", &dir.path().join(name)))
}

/// Writes a file of a capture. The caller holds the lock.
pub(crate) fn write_json<T: Serialize>(dir: &CaptureDir, name: &str, value: &T) -> Result<()> {
    let content = serde_json::to_vec(value).map_err(io::Error::from);
    let content = content.map_err(failed("write", &dir.path().join(name)))?;
    Ok(dir.write(name, &content)?)
}
