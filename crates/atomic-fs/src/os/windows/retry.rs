//! Trying again while somebody has a file open for a moment.
//!
//! A virus scanner, an indexer, a backup or an editor that looks at a new file holds it open for
//! milliseconds, and what would rename or remove it meanwhile fails. Go's and LLVM's tools wait
//! two seconds in all, SQLite one and a third.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION,
    ERROR_UNABLE_TO_MOVE_REPLACEMENT, ERROR_UNABLE_TO_REMOVE_REPLACED, ERROR_USER_MAPPED_FILE,
};

use super::native::is_one_of;

const FIRST_WAIT: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_millis(100);
const WAIT_TOTAL: Duration = Duration::from_secs(2);

/// Does it, and again with growing pauses as long as somebody else is in the way.
pub(super) fn while_held<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let (begun, mut wait) = (Instant::now(), FIRST_WAIT);
    loop {
        match attempt() {
            Err(error) if is_held(&error) && begun.elapsed() < WAIT_TOTAL => {
                // Two that wait for each other must not do so in step.
                let jitter = RandomState::new().hash_one(0) % 64;
                std::thread::sleep(wait.mul_f64(1.0 - jitter as f64 / 128.0));
                wait = (wait * 2).min(WAIT_MAX);
            }
            answer => return answer,
        }
    }
}

/// Whether somebody has the file open who does not share it. A file that is about to go with its
/// last handle reads as one that is forbidden. Where a backup was named, the two codes of a
/// replacement mean that all names are kept; should they not be, the next try finds no file.
pub(super) fn is_held(error: &io::Error) -> bool {
    is_one_of(
        error,
        &[
            ERROR_ACCESS_DENIED,
            ERROR_SHARING_VIOLATION,
            ERROR_LOCK_VIOLATION,
            ERROR_USER_MAPPED_FILE,
            ERROR_UNABLE_TO_REMOVE_REPLACED,
            ERROR_UNABLE_TO_MOVE_REPLACEMENT,
        ],
    )
}
