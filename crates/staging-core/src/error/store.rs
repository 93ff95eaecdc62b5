//! Errors of the store.

use std::io;

use super::staging::{DISK_FULL, StagingError};

/// Maps what a person can act on to an error that says how.
impl From<rusqlite::Error> for StagingError {
    fn from(source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if let rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) = source
        {
            return Self::DamagedStore { reason: source.to_string() };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let reason = format!(
                    "{source}; the workspace is unchanged. `greenroom doctor` shows details. To go \
                     on without the pending patches, move `store.sqlite` and its `-wal` and `-shm` \
                     out of the state directory"
                );
                Self::DamagedStore { reason }
            }
            Some(ErrorCode::DiskFull) => Self::StateUnwritable { reason: DISK_FULL },
            // SQLite does not report why it cannot open a file.
            Some(ErrorCode::CannotOpen) if is_out_of_descriptors() => Self::TooManyFiles,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::StateUnwritable { reason: "make it writable, or name another" }
            }
            _ => Self::Store { source },
        }
    }
}

/// How many files a connection opens: the database, its log, the log's index, their directory.
const SQLITE_FILES: usize = 4;

/// Whether this process has too few free file descriptors for a connection to the store.
fn is_out_of_descriptors() -> bool {
    let mut opened = Vec::with_capacity(SQLITE_FILES);
    for _ in 0..SQLITE_FILES {
        match std::fs::File::open(std::path::Component::CurDir.as_os_str()) {
            Ok(file) => opened.push(file),
            Err(error) => return is_too_many_files(&error),
        }
    }
    false
}

/// Whether opening a file failed at the limit of open files.
#[cfg(unix)]
fn is_too_many_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let too_many = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    too_many.contains(&error.raw_os_error())
}

/// Whether opening a file failed at the limit of open files.
#[cfg(not(unix))]
fn is_too_many_files(error: &io::Error) -> bool {
    const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
    error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES)
}
