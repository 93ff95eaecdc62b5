//! What is known of what was at private paths before a session's first command: enough to prove a base
//! when such a path is proposed later.
//!
//! Walking all ignored files before each command would take too long. The walk meets the topmost ones,
//! so that it is known which were there; of what is below an ignored directory it is only known that
//! nothing which has not changed since is another file now.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;

use staging_core::CaptureDir;

use crate::error::Result;
use crate::paths::is_git;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Timestamp};
use crate::walk::stat_beneath;

/// The file of a capture that holds the topmost private entries of the workspace.
pub(crate) const IGNORED: &str = "ignored";
/// The file of a capture that holds when its first view was prepared.
pub(crate) const BEGUN: &str = "begun";

/// What is known of private paths.
pub(crate) struct Hidden {
    /// The topmost private entries; none where they were not recorded.
    pub(crate) ignored: Option<Snapshot>,
    /// When the first view was prepared: what has not changed since is what every view has shown.
    pub(crate) begun: Option<Timestamp>,
}

impl Hidden {
    /// Reads what a capture has recorded; what is lost or damaged proves nothing.
    pub(crate) fn read(dir: &CaptureDir) -> Result<Self> {
        let ignored = dir.read(IGNORED)?.and_then(|bytes| Snapshot::decode(&bytes).ok());
        let begun = dir.read(BEGUN)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self { ignored, begun })
    }

    /// Whether nothing is known of what was at a path: it is below a private directory.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        let Some(ignored) = &self.ignored else { return true };
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut above = slashes.map(|(at, _)| &path[..at]);
        above.any(|above| ignored.get(above).is_some_and(|stat| stat.kind == Kind::Directory))
    }
}

/// The private entries that a walk meets and that are in no other one.
#[derive(Default)]
pub(crate) struct Topmost(BTreeSet<Box<[u8]>>);

impl Topmost {
    /// Adds an entry; the walk meets a directory before what is in it.
    pub(crate) fn add(&mut self, path: &[u8]) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        if !is_git(path) && !slashes.map(|(at, _)| &path[..at]).any(|above| self.0.contains(above))
        {
            self.0.insert(path.into());
        }
    }

    /// Reads what is there, after `begun`.
    pub(crate) fn read(&self, root: BorrowedFd<'_>, begun: Timestamp) -> io::Result<Snapshot> {
        let mut entries = Vec::with_capacity(self.0.len());
        for path in &self.0 {
            if let Some(stat) = stat_beneath(root, path)? {
                entries.push((path.clone(), stat));
            }
        }
        Ok(Snapshot::new(begun, entries))
    }
}
