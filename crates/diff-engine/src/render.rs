//! Writes a diff as a patch that `git apply` and `patch` read, or as a short list.

mod binary;
pub(crate) mod header;
pub(crate) mod names;
pub(crate) mod stat;
pub(crate) mod summary;
pub(crate) mod unified;
pub(crate) mod whole_file;
