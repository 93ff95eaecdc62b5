//! Crash-proof change sets: the only crate of Greenroom that writes into a
//! workspace.
#![deny(missing_docs)]

mod change_set;
mod content;
mod error;
mod rel_path;

pub use change_set::{Change, ChangeSet, Expected, Operation, Staged};
pub use content::{ContentSource, Digest, DigestParseError, Fingerprint};
pub use error::{Conflict, Difference, FsError, PathError, Refusal};
pub use rel_path::{NAME_BYTES_MAX, PATH_BYTES_MAX, RelPath, escape};
