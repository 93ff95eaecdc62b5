//! The contents of patches, by digest, in the state directory.

pub(crate) mod blobs;
pub(crate) mod packs;
