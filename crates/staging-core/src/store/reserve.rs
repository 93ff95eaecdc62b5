//! Room on the disk that is kept for what must be recorded when the disk is full.
//!
//! SQLite appends to its log before anything else, so a full disk would keep even a discard or a
//! sweep from being recorded, which give space back. The file `reserve` is removed for them, and
//! made again from what they leave.
//!
//! # Limitations
//! Somebody else may take the space as soon as it is given back. File systems that copy on write
//! or compress may keep less than was asked for.
#![allow(clippy::disallowed_methods, reason = "the store owns the reserve")]

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use crate::error::Result;
use crate::locks::unpoisoned;
use crate::own_file;
use crate::own_file::Access;
use crate::store::Store;
use crate::store::checkpoint::truncate_log;

const FILE: &str = "reserve";

/// Enough for the log of some thousand decided patches.
const BYTES_MAX: u64 = 1 << 20;

/// A smaller reserve is not useful.
const BYTES_MIN: u64 = 64 << 10;

/// The largest part of the free space that is reserved: one of so many.
const PART_MAX: u64 = 16;

impl Store {
    /// Does work that frees space, with the reserve when the disk is full: then the work is done again
    /// from its beginning.
    pub(crate) fn with_reserve<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if error.is_disk_full() && self.release_reserve() => {
                self.give_log_back();
                let outcome = work();
                self.give_log_back();
                self.make_reserve(BYTES_MAX);
                outcome
            }
            outcome => outcome,
        }
    }

    /// Reserves space, unless that was done before; goes on without it when there is none.
    pub(crate) fn keep_reserve(&self) {
        let is_kept = fs::symlink_metadata(self.reserve_path())
            .is_ok_and(|found| found.is_file() && found.len() >= BYTES_MIN);
        if !is_kept {
            self.make_reserve((self.available_bytes() / PART_MAX).min(BYTES_MAX));
        }
    }

    fn make_reserve(&self, mut bytes: u64) {
        let path = self.reserve_path();
        if bytes < BYTES_MIN || own_file::is_not_regular(&path) {
            return;
        }
        let opened = match own_file::open(&path, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                own_file::open(&path, Access::CreateNew)
            }
            opened => opened,
        };
        let Ok(file) = opened else { return };
        while bytes >= BYTES_MIN {
            if allocate(&file, bytes).is_ok() {
                return;
            }
            bytes /= 2;
        }
        drop(file);
        let _ = fs::remove_file(path);
    }

    /// Releases the reserve; whether there was any.
    fn release_reserve(&self) -> bool {
        fs::remove_file(self.reserve_path()).is_ok()
    }

    /// Checkpoints the log, which releases its space.
    fn give_log_back(&self) {
        let writer = unpoisoned(&self.writer);
        let Some(connection) = writer.idle() else { return };
        if let Err(error) = truncate_log(connection) {
            tracing::debug!(%error, "the store's log stays as long as it is");
        }
    }

    fn reserve_path(&self) -> PathBuf {
        self.path.with_file_name(FILE)
    }

    #[cfg(unix)]
    fn available_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.path)
            .map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// The standard library does not tell; as much as would be enough.
    #[cfg(not(unix))]
    fn available_bytes(&self) -> u64 {
        BYTES_MAX * PART_MAX
    }
}

/// `fallocate(2)`, or zeros where the file system does not know it.
#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, bytes),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    write_zeros(file, bytes)
}

fn write_zeros(mut file: &File, bytes: u64) -> io::Result<()> {
    use io::Seek as _;
    file.rewind()?;
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::meta;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path()).expect("a new store");
        (dir, store)
    }

    fn set_pages_max(store: &Store, pages: i64) {
        let writer = unpoisoned(&store.writer);
        writer.connection.pragma_update(None, "max_page_count", pages).expect("a setting");
    }

    /// Writes more than the pages that there are.
    fn fill(store: &Store) -> Result<()> {
        store.write(|write| {
            for number in 0..2_000 {
                meta::set(write, &format!("{number}-{}", "x".repeat(200)), number)?;
            }
            Ok(())
        })
    }

    #[test]
    fn work_on_a_full_disk_is_done_again_with_what_was_reserved() {
        let (_dir, store) = store();
        assert!(store.reserve_path().exists(), "kept from the beginning");
        set_pages_max(&store, 1);
        let mut times = 0;
        let outcome = store.with_reserve(|| {
            times += 1;
            if !store.reserve_path().exists() {
                // As the file system finds room when a file goes.
                set_pages_max(&store, 1 << 30);
            }
            fill(&store)
        });
        outcome.expect("there is room now");
        assert_eq!(times, 2);
        assert!(store.reserve_path().exists(), "and kept again");
    }

    #[test]
    fn without_a_reserve_a_full_disk_is_reported() {
        let (_dir, store) = store();
        assert!(store.release_reserve());
        set_pages_max(&store, 1);
        let mut times = 0;
        let error = store.with_reserve(|| {
            times += 1;
            fill(&store)
        });
        assert!(error.expect_err("full").is_disk_full());
        assert_eq!(times, 1);
    }

    #[test]
    fn a_reserve_takes_blocks_of_the_disk_and_is_made_once() {
        let (dir, store) = store();
        let kept = || fs::metadata(store.reserve_path()).expect("kept");
        let bytes = kept().len();
        assert!((BYTES_MIN..=BYTES_MAX).contains(&bytes), "{bytes}");
        #[cfg(unix)]
        assert!(std::os::unix::fs::MetadataExt::blocks(&kept()) * 512 >= bytes);
        let again = Store::open(dir.path()).expect("opened");
        again.keep_reserve();
        assert_eq!(kept().len(), bytes);
    }
}
