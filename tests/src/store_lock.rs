//! The store as another process locks it that writes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use crate::Fixture;

/// The lock of whoever writes to the store; dropping it gives it back.
pub struct StoreLock {
    _index: File,
}

impl StoreLock {
    /// Takes it, once nobody else has it. In the index of the store's log it is a lock on byte 120
    /// (`WAL_WRITE_LOCK` in SQLite's wal.c).
    ///
    /// # Panics
    /// When it cannot be had.
    pub fn take(stage: &Fixture) -> Self {
        let index = stage.state_dir().join("store.sqlite-shm");
        let index = File::options().read(true).write(true).open(index).expect("the log's index");
        let short = |number: i32| libc::c_short::try_from(number).expect("it is small");
        let (l_type, l_whence) = (short(libc::F_WRLCK), short(libc::SEEK_SET));
        let lock = libc::flock { l_type, l_whence, l_start: 120, l_len: 1, l_pid: 0 };
        // SAFETY: the file is open, and the structure lives as long as the call.
        let taken = unsafe { libc::fcntl(index.as_raw_fd(), libc::F_OFD_SETLKW, &raw const lock) };
        assert_eq!(taken, 0, "{}", io::Error::last_os_error());
        Self { _index: index }
    }
}
