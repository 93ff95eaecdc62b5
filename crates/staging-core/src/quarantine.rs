//! The record of strategy libraries that misbehaved, so that other processes do not run them.
//!
//! One file for each library, named by the library's digest, holds the reason; its modification
//! time is when the library misbehaved. A rebuilt library has another digest, and so no record.
#![allow(clippy::disallowed_methods, reason = "the store owns the state directory")]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use atomic_fs::Digest;

use crate::own_file;
use crate::own_file::Access;
use crate::owner::Owner;

/// The record of one state directory.
#[derive(Clone, Debug)]
pub struct Quarantine {
    folder: PathBuf,
    keep_for: Duration,
}

/// A longer reason is cut when it is read.
const REASON_BYTES_MAX: u64 = 4096;

impl Quarantine {
    /// The record of this state directory, which need not exist. Entries older than `keep_for` do
    /// not count.
    pub fn new(state_dir: &Path, keep_for: Duration) -> Self {
        Self { folder: state_dir.join("strategies"), keep_for }
    }

    /// Why this library is quarantined; `None` when it is not.
    pub fn reason(&self, library: &Digest) -> Option<String> {
        let file = own_file::open(&self.path(library), Access::Read).ok()?;
        let happened = file.metadata().and_then(|found| found.modified()).ok()?;
        // When the clock was set back, the entry does not count: else it could last forever.
        let ago = SystemTime::now().duration_since(happened).unwrap_or(self.keep_for);
        if ago >= self.keep_for {
            return None;
        }
        let mut reason = Vec::new();
        file.take(REASON_BYTES_MAX).read_to_end(&mut reason).ok()?;
        Some(atomic_fs::escape_bytes(&reason))
    }

    /// Quarantines a library for a while. A failure is logged.
    pub fn record(&self, library: &Digest, why: &str) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let write = || {
            self.prepare()?;
            // Renamed when complete, so that no process reads a part of it; the temporary name
            // is unique to this call.
            let (owner, number) = (Owner::this().name(), NEXT.fetch_add(1, Ordering::Relaxed));
            let half = self.folder.join(format!("{library}.{owner}-{number}.tmp"));
            own_file::write_whole(&self.path(library), &half, why.as_bytes())
        };
        if let Err(error) = write() {
            tracing::warn!(%error, "cannot quarantine a strategy: other processes will run it");
        }
    }

    /// Ends a library's quarantine.
    ///
    /// # Errors
    /// When the entry cannot be removed.
    pub fn lift(&self, library: &Digest) -> std::io::Result<()> {
        own_file::remove(&self.path(library)).map(drop)
    }

    /// Removes expired entries and temporary files as old as those; returns how many.
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
            // On some systems copies of libraries are in this folder, too.
            let is_ours = name.parse::<Digest>().is_ok() || name.ends_with(".tmp");
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let is_old = modified.is_ok_and(|modified| {
                SystemTime::now().duration_since(modified).is_ok_and(|ago| ago >= self.keep_for)
            });
            if is_ours && is_old {
                removed += u64::from(own_file::remove(&entry.path())?);
            }
        }
        Ok(removed)
    }

    /// Creates the folder; the state directory must be private.
    pub(crate) fn prepare(&self) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    /// The folder of the entries. Systems that cannot load a library from memory copy it there.
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
    fn a_quarantine_is_seen_by_other_processes_until_it_is_lifted() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let record = Quarantine::new(state.path(), LONG);
        assert_eq!(record.reason(&one), None, "nothing happened yet");
        record.record(&one, "it crashed");
        record.record(&one, "it crashed\x1b[31m again");
        let elsewhere = Quarantine::new(state.path(), LONG);
        let reason = elsewhere.reason(&one).expect("it is on disk");
        assert!(reason.starts_with("it crashed") && reason.ends_with(" again"), "{reason}");
        assert!(!reason.contains('\x1b'), "control characters are escaped");
        assert_eq!(elsewhere.reason(&other), None);
        elsewhere.lift(&one).expect("it is ours");
        assert_eq!(record.reason(&one), None);
        elsewhere.lift(&one).expect("lifting it twice is no error");
    }

    #[test]
    fn a_sweep_removes_expired_and_half_written_entries_and_nothing_else() {
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
    fn an_entry_expires_and_one_from_the_future_does_not_count() {
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
