//! Contents of patches by their digest, outside of the workspace.

pub(crate) mod blobs;
pub(crate) mod packs;
