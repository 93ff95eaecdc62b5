//! Keeps the command from moving the masks and the workspace away with a directory above them.
//!
//! A mount goes with its directory: whoever renames a directory above a mask can make another one at the
//! same path, with a state that the next `greenroom` outside would trust. A directory that is a mount
//! point cannot be renamed or removed: rename(2), rmdir(2).

use std::collections::BTreeSet;
use std::path::Path;

use super::mounts;
use crate::plan::{Failure, Plan, Step};

/// Mounts every directory above the masks, the workspace and git's directories at its own path.
pub(super) fn pin(plan: &Plan) -> Result<(), Failure> {
    let git = plan.git.iter().map(|git| &git.directory);
    let needed = plan.masks.iter().chain([&plan.workspace]).chain(git).map(Path::new);
    let above = needed.flat_map(|path| path.ancestors().skip(1));
    // From the outside to the inside: a copy includes what is mounted below. The root is one already.
    let above: BTreeSet<&Path> = above.filter(|path| path.parent().is_some()).collect();
    for path in above {
        let pinned = mounts::copy(path).and_then(|tree| mounts::attach(&tree, path));
        pinned.map_err(Failure::of(Step::Pins, path))?;
    }
    Ok(())
}
