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

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_recorded_is_known_to_others_until_it_is_lifted() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let record = SetAside::new(state.path(), LONG);
        assert_eq!(record.reason(&one), None, "nothing happened yet");
        record.record(&one, "it crashed");
        record.record(&one, "it crashed\x1b[31m again");
        let elsewhere = SetAside::new(state.path(), LONG);
        let reason = elsewhere.reason(&one).expect("it is on the disk");
        assert!(reason.starts_with("it crashed") && reason.ends_with(" again"), "{reason}");
        assert!(!reason.contains('\x1b'), "a terminal is not upset by it");
        assert_eq!(elsewhere.reason(&other), None);
        elsewhere.lift(&one).expect("it is ours");
        assert_eq!(record.reason(&one), None);
        elsewhere.lift(&one).expect("what is not there is lifted");
    }

    #[test]
    fn what_happened_long_ago_is_forgotten() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let one = Digest::of(b"one");
        let record = SetAside::new(state.path(), LONG);
        record.record(&one, "it crashed");
        for (now, known) in [(SystemTime::now() - 2 * LONG, false), (SystemTime::now(), true)] {
            let file =
                fs::File::options().write(true).open(record.path(&one)).expect("it is there");
            file.set_modified(now).expect("it is ours");
            assert_eq!(record.reason(&one).is_some(), known);
        }
        // A clock that was set back.
        let file = fs::File::options().write(true).open(record.path(&one)).expect("it is there");
        file.set_modified(SystemTime::now() + 2 * LONG).expect("it is ours");
        assert_eq!(record.reason(&one), None);
    }
}
