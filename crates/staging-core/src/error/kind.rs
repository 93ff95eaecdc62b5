//! The kinds of errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of errors, for programs that react to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense as it is.
    Usage,
    /// There is no such session, patch or file.
    NotFound,
    /// An edit's old text is not in the file exactly once.
    NoMatch,
    /// The file changed since the agent saw it.
    Stale,
    /// The request contradicts something that is pending or on disk.
    Conflict,
    /// The path or the mode is protected.
    Refused,
    /// What is pending now differs from what was approved.
    SignatureMismatch,
    /// Files are replaced as a whole, and the request does not confirm that.
    ConfirmationMissing,
    /// The session is not open any more, or the patch or apply was decided before.
    Closed,
    /// A limit is reached.
    Limit,
    /// Another call or process uses what this call needs; try again.
    Busy,
    /// It is not certain that an apply is on disk, or that it is recorded; recovery decides.
    InDoubt,
    /// A system call failed.
    Io,
    /// Stored content, or the store, is not what was written.
    Damaged,
    /// The store failed.
    Store,
    /// The file system lacks a call that the protocol needs.
    Unsupported,
    /// The actor that answers such calls has stopped.
    Stopped,
    /// The call panicked, which is a defect of Greenroom.
    Panicked,
}
