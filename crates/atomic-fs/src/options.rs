//! What a workspace allows.

/// What the user allows beyond the strict default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Changes below `.git`.
    pub allow_git: bool,
    /// Changes to files with more than one name; the swap breaks such hard links.
    pub allow_hard_links: bool,
    /// Changes below mount points that lie in the workspace.
    pub allow_other_mounts: bool,
    /// Replacing files on file systems that cannot exchange two names: the file is moved
    /// aside first, so for a moment its path names nothing.
    pub allow_move_aside: bool,
}
