//! The file system below the protocol: the trait that it is asked through, and who answers.

pub(crate) mod disk;
#[cfg(unix)]
pub(crate) mod posix;
#[cfg(windows)]
pub(crate) mod windows;
#[cfg(any(windows, test))]
#[path = "os/windows/names.rs"]
pub(crate) mod windows_names;

pub(crate) mod dir_cache;
pub(crate) mod dir_locks;
pub(crate) mod file_reader;
pub(crate) mod file_state;
pub(crate) mod lock;
pub(crate) mod parallel;
