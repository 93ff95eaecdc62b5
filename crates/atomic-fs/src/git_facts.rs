//! What is known of a directory as git sees it.

use crate::rel_path::RelPath;

/// What git reads of a directory.
#[derive(Debug, Default)]
pub(crate) struct GitFacts {
    /// It holds what a git directory holds.
    pub is_git_dir: bool,
    /// Directories that its `.git` leads to.
    pub named: Vec<RelPath>,
}
