//! A scenario as it would be on Windows.

use crate::atomic_fs::simulated::{ACCESS_LIST, Body, Image};
use crate::atomic_fs::{ChangeSet, Expected, Operation};

use super::builder::{Builder, ROOT};
use super::content::Content;

const WRITABLE: u32 = 0o644;
const READ_ONLY: u32 = 0o444;

/// What the other scenarios make executable is made read-only here, so that as much changes.
fn mode_of(mode: u32) -> u32 {
    if mode == 0o755 { READ_ONLY } else { WRITABLE }
}

/// The same tree and the same set with the modes that Windows keeps; a file with attributes
/// has an access control list among them, and nobody's owner.
pub(super) fn moved_to(mut image: Image, set: ChangeSet, content: Content) -> Builder {
    for inode in 0..image.inodes() {
        let inode = u32::try_from(inode).expect("simulated disks are small");
        if !matches!(image.node(inode).body, Body::File { .. }) {
            continue;
        }
        let node = image.edit(inode);
        (node.mode, node.owner) = (mode_of(node.mode), (1000, 1000));
        if !node.attributes.is_empty() {
            let attributes = std::sync::Arc::make_mut(&mut node.attributes);
            attributes.insert(ACCESS_LIST.to_vec(), b"its owner's alone".to_vec());
        }
    }
    let root = image.lookup(ROOT.as_bytes()).expect("the root was built");
    let ChangeSet { id, mut changes, emptied_dirs } = set;
    for change in &mut changes {
        if let Expected::Matches(base) = &mut change.expected {
            base.mode = mode_of(base.mode);
        }
        match &mut change.operation {
            Operation::Write(staged) | Operation::Rename { staged: Some(staged), .. } => {
                staged.mode = mode_of(staged.mode);
            }
            Operation::SetMode { mode } => *mode = mode_of(*mode),
            _ => {}
        }
    }
    let set = ChangeSet { id, changes, emptied_dirs };
    Builder { image, root, set, content }
}
