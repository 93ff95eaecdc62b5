//! The libraries that misbehaved, so that the next process does not wait for them again.
//!
//! One file for each, named by the library's digest, holds the reason; its time of modification
//! is when it happened. A library that was built anew has another digest and starts afresh.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use atomic_fs::Digest;

/// The record in one state directory.
#[derive(Clone, Debug)]
pub struct SetAside {
    folder: PathBuf,
    keep_for: Duration,
}

/// A reason is a sentence.
const REASON_BYTES_MAX: usize = 4096;

impl SetAside {
    /// The record of this state directory, whether that is there or not. What happened longer ago
    /// than `keep_for` is forgotten.
    pub fn new(state_dir: &Path, keep_for: Duration) -> Self {
        Self { folder: state_dir.join("strategies"), keep_for }
    }

    /// Why this library is not asked now, if so.
    pub fn reason(&self, library: &Digest) -> Option<String> {
        let path = self.path(library);
        let happened = fs::metadata(&path).and_then(|found| found.modified()).ok()?;
        // A clock that was set back must not keep a library out for ever.
        let ago = SystemTime::now().duration_since(happened).unwrap_or(self.keep_for);
        if ago >= self.keep_for {
            return None;
        }
        let reason = fs::read(path).ok()?;
        let reason = &reason[..reason.len().min(REASON_BYTES_MAX)];
        Some(atomic_fs::escape(reason))
    }

    /// Keeps a library from being asked for a while.
    pub fn record(&self, library: &Digest, why: &str) {
        let write = || {
            self.prepare()?;
            // Renamed, so that nobody reads half a sentence.
            let half = self.folder.join(format!("{library}.{}.tmp", std::process::id()));
            fs::write(&half, why)?;
            fs::rename(half, self.path(library))
        };
        if let Err(error) = write() {
            tracing::warn!(%error, "the next process will ask a strategy that misbehaved again");
        }
    }

    /// Lets a library be asked again.
    ///
    /// # Errors
    ///
    /// When the record cannot be removed.
    pub fn lift(&self, library: &Digest) -> std::io::Result<()> {
        match fs::remove_file(self.path(library)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Makes the folder, in a state directory that is private already.
    pub(crate) fn prepare(&self) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    /// Where the records are, and where systems that cannot load from memory copy libraries to.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, library: &Digest) -> PathBuf {
        self.folder().join(library.to_string())
    }
}
