//! Opens workspaces on a simulated disk.

use std::path::PathBuf;

use crate::atomic_fs::simulated::{SimulatedDir, SimulatedDisk};
use crate::atomic_fs::{Disk as _, Locations, Options, Workspace};

/// A workspace over the tree at `root` with its state at `state`.
pub(crate) fn open(
    disk: SimulatedDisk,
    root: &str,
    state: &str,
    lock_path: PathBuf,
) -> Workspace<SimulatedDisk> {
    let image = disk.image();
    let dir = |path: &str| SimulatedDir(image.lookup(path.as_bytes()).expect("every scene has it"));
    let locations = Locations {
        root: dir(root),
        root_path: PathBuf::from("/tree"),
        journals: dir(&format!("{state}/journal")),
        conflicts: dir(&format!("{state}/conflicts")),
        conflicts_path: PathBuf::from("/state/conflicts"),
        lock_path,
        own_state: None,
    };
    debug_assert_eq!(disk.calls_in_flight(), 1, "the calls of a run have an order");
    // Files may be moved aside where the file system cannot exchange.
    let options = Options { allow_move_aside: true, ..Options::default() };
    Workspace::on_disk(disk, locations, options)
}
