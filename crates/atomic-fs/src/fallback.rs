//! File systems that lack what the protocol asks for.

pub(crate) mod move_aside;
pub(crate) mod replace_file;
