//! The state directory, which no other user may read or change.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Result, StagingError};

/// Creates the directory where there is none, and refuses one that others could
/// read or change. Gives its canonical path.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let io = |action| move |source| StagingError::Io { action, path: path.to_owned(), source };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io("create the state directory"))?;
    let canonical = dunce::canonicalize(path).map_err(io("find the state directory"))?;
    let metadata = fs::metadata(&canonical).map_err(io("look at the state directory"))?;
    check_private(&canonical, &metadata)?;
    Ok(canonical)
}

#[cfg(unix)]
fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let refused = |reason: String| StagingError::StateDir { path: path.to_owned(), reason };
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Err(refused(format!(
            "belongs to user {}, not to you: name another",
            metadata.uid()
        )));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refused("is open to other users: `chmod 700` it, or name another".to_owned()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &fs::Metadata) -> Result<()> {
    // The default state directory lies in the user's profile, which Windows
    // keeps from other users.
    Ok(())
}
