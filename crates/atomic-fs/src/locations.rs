//! Where a workspace lies.

use std::path::PathBuf;

use crate::os::disk::Disk;
use crate::rel_path::RelPath;

/// Where a workspace's tree and state lie on a disk.
pub struct Locations<D: Disk> {
    /// The tree.
    pub root: D::Dir,
    /// The tree's path, canonical; absolute symlinks are read against it.
    pub root_path: PathBuf,
    /// Where journals are written.
    pub journals: D::Dir,
    /// Where displaced bytes of users are kept.
    pub conflicts: D::Dir,
    /// The same as a path, to tell people.
    pub conflicts_path: PathBuf,
    /// The lock's file, always on the machine's own file system.
    pub lock_path: PathBuf,
    /// The state directory as a path below the root, if it lies there.
    pub own_state: Option<RelPath>,
}
