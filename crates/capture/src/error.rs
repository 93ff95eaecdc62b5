//! Why a capture cannot be prepared or imported.

use std::io;
use std::path::Path;

use staging_core::{SessionId, StagingError, escape_bytes};
use thiserror::Error;

use crate::processes::Process;

/// Why a capture cannot be prepared or imported. What commands wrote is in the upper directory as it
/// was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The store or the state directory.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// A file or a directory cannot be used.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path, escaped.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The upper directory of an overlay does not hold what the overlay shows.
    #[error(
        "`{path}` was renamed, or only its attributes were copied, and its content is elsewhere in \
         the overlay; nothing is staged"
    )]
    Elsewhere {
        /// The path in the upper directory, escaped.
        path: String,
    },
    /// A directory that is named as a copy of the workspace holds no file.
    #[error("`{path}` holds no file: it is no copy of the workspace")]
    NoCopy {
        /// The directory, escaped.
        path: String,
    },
    /// A command works in the copy, or begins to.
    #[error("another command of this session has just begun")]
    InUse,
    /// What commands of the session have written is in an overlay, which cannot be had now.
    #[error("what earlier commands of this session have written is in an overlay")]
    Layered,
    /// Processes of the last view still write.
    #[error("processes of an earlier command still run: {}", names(.processes))]
    Live {
        /// The processes.
        processes: Vec<Process>,
    },
    /// A session has expired with its capture, and the open session of its label has one of its own.
    #[error("session {session} has expired; what its command wrote last is in `{path}`")]
    Expired {
        /// The session.
        session: SessionId,
        /// The upper directory, escaped.
        path: String,
    },
}

pub(crate) type Result<T, E = CaptureError> = std::result::Result<T, E>;

fn names(processes: &[Process]) -> String {
    let names = processes.iter().map(|process| format!("{} ({})", process.name, process.id));
    names.collect::<Vec<_>>().join(", ")
}

pub(crate) fn failed(
    action: &'static str,
    path: &Path,
) -> impl Fn(io::Error) -> CaptureError + use<> {
    let path = escape_bytes(path.as_os_str().as_encoded_bytes());
    move |source| CaptureError::Io { action, path: path.clone(), source }
}
