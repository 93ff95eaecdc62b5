//! The errors of strategies and plugins, with what to do about them.

use std::path::PathBuf;

/// Why a strategy's script was not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptError {
    /// More operations than there are lines.
    #[error("the script has {ops} operations for {lines} lines")]
    TooManyOps {
        /// How many operations there are.
        ops: usize,
        /// How many lines both files have together.
        lines: usize,
    },
    /// An operation of no known kind.
    #[error("operation {at} has the unknown kind {kind}")]
    UnknownKind {
        /// Which operation, from 0.
        at: usize,
        /// Its kind.
        kind: u32,
    },
    /// An operation over no lines.
    #[error("operation {at} is empty")]
    Empty {
        /// Which operation, from 0.
        at: usize,
    },
    /// An operation that does not start where the previous one ended.
    #[error("operation {at} does not start where the previous one ended")]
    NotContiguous {
        /// Which operation, from 0.
        at: usize,
    },
    /// An operation past the end of a file.
    #[error("operation {at} goes past the end of the file")]
    OutOfRange {
        /// Which operation, from 0.
        at: usize,
    },
    /// A kept line that differs between the files.
    #[error("old line {old} and new line {new} are kept but differ")]
    NotEqual {
        /// The line in the old file, from 0.
        old: u32,
        /// The line in the new file, from 0.
        new: u32,
    },
    /// Lines that no operation covers.
    #[error("the script leaves out {old} old and {new} new lines")]
    Incomplete {
        /// Old lines left out.
        old: u32,
        /// New lines left out.
        new: u32,
    },
}

/// Why a strategy could not be registered or chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is taken.
    #[error("a strategy named {name:?} exists already: rename or remove one of the two")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The name is not one that users can type.
    #[error("{name:?} cannot name a strategy: use 1 to 64 lower-case letters, digits and hyphens")]
    BadName {
        /// The name.
        name: String,
    },
}

/// Why another user could have replaced a library, with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Danger {
    /// The file or directory belongs to another user.
    #[error("belongs to another user: copy the plugin to a directory that only you can write")]
    AnotherOwner,
    /// Other users can write it.
    #[error(
        "can be written by other users: run `chmod go-w` on it, or copy the plugin to a directory \
         that only you can write"
    )]
    OtherWriters,
}

/// Why a library was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the plugin {path}")]
    Read {
        /// The library.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The path is relative, a symlink, or not a regular file.
    #[error("the plugin {path} is not loaded because it is {what}: allow the file itself")]
    NotAPlainFile {
        /// The library.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Another user could have replaced the file.
    #[error("the plugin {path} is not loaded because {culprit} {danger}")]
    Unsafe {
        /// The library.
        path: PathBuf,
        /// The file or directory that another user can change.
        culprit: PathBuf,
        /// What is wrong with it.
        danger: Danger,
    },
    /// The file is not the one that was allowed.
    #[error(
        "the plugin {path} has changed since it was allowed (its digest is {actual} now): allow it again if you changed it"
    )]
    DigestMismatch {
        /// The library.
        path: PathBuf,
        /// The BLAKE3 digest it has, in hexadecimal.
        actual: String,
    },
    /// The file is not a complete library.
    #[error("the plugin {path} is not a complete library for this system: {why}")]
    NotALibrary {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The library needs another one, which no digest covers.
    #[error(
        "the plugin {path} is not loaded because it needs the library {needs}, which its digest does not cover: link that into it statically"
    )]
    NeedsAnotherLibrary {
        /// The library.
        path: PathBuf,
        /// The library that it needs, as its own table names it, escaped.
        needs: String,
    },
    /// The library is not a strategy, or one for another interface.
    #[error("the plugin {path} is not a strategy for interface {interface}: {why}")]
    NotAStrategy {
        /// The library.
        path: PathBuf,
        /// The interface this program has.
        interface: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The private copy for loading could not be made.
    #[error("cannot make a private copy of the plugin {path}")]
    Copy {
        /// The library.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}
