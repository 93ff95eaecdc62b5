//! The libraries that misbehaved, so that the next process does not wait for them again.
//!
//! One file for each, named by the library's digest, holds the reason; its time of modification
//! is when it happened. A library that was built anew has another digest and starts afresh.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use atomic_fs::Digest;

use crate::own_file;
use crate::own_file::Access;
use crate::owner::Owner;

/// The record in one state directory.
#[derive(Clone, Debug)]
pub struct Quarantine {
    folder: PathBuf,
    keep_for: Duration,
}

/// A reason is a sentence.
const REASON_BYTES_MAX: u64 = 4096;

impl Quarantine {
    /// The record of this state directory, whether that is there or not. What happened longer ago
    /// than `keep_for` is forgotten.
    pub fn new(state_dir: &Path, keep_for: Duration) -> Self {
        Self { folder: state_dir.join("strategies"), keep_for }
    }

    /// Why this library is not asked now, if so.
    pub fn reason(&self, library: &Digest) -> Option<String> {
        let file = own_file::open(&self.path(library), Access::Read).ok()?;
        let happened = file.metadata().and_then(|found| found.modified()).ok()?;
        // A clock that was set back must not keep a library out for ever.
        let ago = SystemTime::now().duration_since(happened).unwrap_or(self.keep_for);
        if ago >= self.keep_for {
            return None;
        }
        let mut reason = Vec::new();
        file.take(REASON_BYTES_MAX).read_to_end(&mut reason).ok()?;
        Some(atomic_fs::escape(&reason))
    }

    /// Keeps a library from being asked for a while.
    pub fn record(&self, library: &Digest, why: &str) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let write = || {
            self.prepare()?;
            // Renamed, so that nobody reads half a sentence; named for this call alone.
            let (owner, number) = (Owner::this().name(), NEXT.fetch_add(1, Ordering::Relaxed));
            let half = self.folder.join(format!("{library}.{owner}-{number}.tmp"));
            own_file::open(&half, Access::CreateNew)?.write_all(why.as_bytes())?;
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

    /// Removes records that are forgotten, and what a dead process left half-written; how
    /// many.
    pub(crate) fn sweep(&self) -> std::io::Result<u64> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            // Copies of libraries lie here as well, where a system needs them.
            let is_ours = name.parse::<Digest>().is_ok() || name.ends_with(".tmp");
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let is_old = modified.is_ok_and(|modified| {
                SystemTime::now().duration_since(modified).is_ok_and(|ago| ago >= self.keep_for)
            });
            if is_ours && is_old {
                match fs::remove_file(entry.path()) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    outcome => {
                        outcome?;
                        removed += 1;
                    }
                }
            }
        }
        Ok(removed)
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
        let record = Quarantine::new(state.path(), LONG);
        assert_eq!(record.reason(&one), None, "nothing happened yet");
        record.record(&one, "it crashed");
        record.record(&one, "it crashed\x1b[31m again");
        let elsewhere = Quarantine::new(state.path(), LONG);
        let reason = elsewhere.reason(&one).expect("it is on the disk");
        assert!(reason.starts_with("it crashed") && reason.ends_with(" again"), "{reason}");
        assert!(!reason.contains('\x1b'), "a terminal is not upset by it");
        assert_eq!(elsewhere.reason(&other), None);
        elsewhere.lift(&one).expect("it is ours");
        assert_eq!(record.reason(&one), None);
        elsewhere.lift(&one).expect("what is not there is lifted");
    }

    #[test]
    fn a_sweep_removes_what_is_forgotten_or_half_written_and_nothing_else() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let record = Quarantine::new(state.path(), LONG);
        assert_eq!(record.sweep().expect("there is no folder yet"), 0);
        record.record(&old, "it crashed");
        record.record(&new, "it crashed");
        let half = record.folder().join(format!("{old}.1.tmp"));
        let other = record.folder().join("a library's copy");
        for path in [&half, &other] {
            fs::write(path, "half").expect("it is ours");
        }
        for path in [record.path(&old), half.clone(), other.clone()] {
            let file = fs::File::options().write(true).open(path).expect("it is there");
            file.set_modified(SystemTime::now() - 2 * LONG).expect("it is ours");
        }
        assert_eq!(record.sweep().expect("swept"), 2);
        assert!(!record.path(&old).exists() && !half.exists());
        assert!(record.reason(&new).is_some() && other.exists());
    }

    #[test]
    fn what_happened_long_ago_is_forgotten() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let one = Digest::of(b"one");
        let record = Quarantine::new(state.path(), LONG);
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
