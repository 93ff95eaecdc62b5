//! What the layer is told by whoever embeds it: plain data, nothing read from
//! home, environment or terminal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atomic_fs::Digest;

use crate::diffing::{ChildLimits, PluginHost, Policy};
use crate::waiting::WaitObserver;

/// How to stage one workspace.
#[derive(Clone, Debug)]
pub struct StagingOptions {
    /// The directory tree that is protected.
    pub workspace: PathBuf,
    /// This workspace's own state directory, outside of it; created 0700.
    pub state_dir: PathBuf,
    /// Permission bits of files that an agent creates without naming any; a default access
    /// control list of their directory takes precedence.
    pub new_file_mode: u32,
    /// How long a session without activity stays open.
    pub session_expires_after: Duration,
    /// How long decided patches are kept with their contents, to be looked at,
    /// proposed again or undone; with zero nothing of a discarded one is kept.
    pub history_keep_for: Duration,
    /// Whether this process serves the sessions that it opens, so that they are
    /// orphaned when it dies. Not of processes that end by nature.
    pub owns_sessions: bool,
    /// How often a process that runs the actors sweeps.
    pub sweep_every: Duration,
    /// How often the log is asked for what other processes wrote, for subscribers.
    pub follow_every: Duration,
    /// Whether a process that runs the actors watches the files of pending patches.
    pub watch_files: bool,
    /// Whether each proposal survives a power cut before it is acknowledged.
    pub durable_proposals: bool,
    /// Which diff strategy for which file.
    pub diff: Policy,
    /// Whether changes to `.git` may be staged.
    pub allow_git: bool,
    /// Whether files with several names may be replaced, which severs them.
    pub allow_hard_links: bool,
    /// Whether files on other mounts below the root may be changed.
    pub allow_other_mounts: bool,
    /// Whether files may be replaced on file systems that cannot exchange two names,
    /// where a path names nothing for a moment.
    pub allow_move_aside: bool,
    /// Strategy libraries that the user allowed, each an explicit choice.
    pub strategies: Vec<TrustedLibrary>,
    /// Whether a library may lie below folders that others can write where they are sticky,
    /// as `/tmp` is. For tests.
    pub allow_sticky_folders: bool,
    /// The program that serves libraries in a process of their own; needed where one is to run
    /// there. It may be this program itself.
    pub plugin_host: Option<PluginHost>,
    /// What such a process may use.
    pub plugin_limits: ChildLimits,
    /// How many messages each actor's mailbox holds.
    pub mailbox_capacity: usize,
    /// How many calls of all sessions run at once on the blocking pool.
    pub proposals_in_flight_max: usize,
    /// How many bytes a session's pending patches may stage.
    pub session_bytes_max: u64,
    /// How many bytes the contents of all patches may have, pending and decided,
    /// each content counted once.
    pub stored_bytes_max: u64,
    /// How many patches a session may have pending.
    pub session_patches_max: u32,
    /// Who is told that a call waits for another process, before it has waited for a second.
    pub wait_observer: WaitObserver,
}

/// A strategy library that may be loaded, pinned by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedLibrary {
    /// What its strategy calls itself, for [`Policy::strategy`].
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it must hold.
    pub blake3: Digest,
    /// Where it runs.
    pub hosting: Hosting,
}

/// Where a strategy library runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosting {
    /// In a process of its own, so that its crash or hang is its own.
    #[default]
    Child,
    /// In this process, whose end its crash is. A choice to make in so many words.
    InProcess,
}

impl StagingOptions {
    /// The defaults for this workspace and its state directory.
    pub fn new(workspace: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            workspace: workspace.into(),
            state_dir: state_dir.into(),
            new_file_mode: 0o644,
            session_expires_after: Duration::from_secs(24 * 60 * 60),
            history_keep_for: Duration::from_secs(7 * 24 * 60 * 60),
            owns_sessions: true,
            watch_files: true,
            sweep_every: Duration::from_secs(60),
            follow_every: Duration::from_millis(100),
            durable_proposals: false,
            diff: Policy::default(),
            allow_git: false,
            allow_hard_links: false,
            allow_other_mounts: false,
            allow_move_aside: false,
            strategies: Vec::new(),
            allow_sticky_folders: false,
            plugin_host: None,
            plugin_limits: ChildLimits::default(),
            mailbox_capacity: 64,
            proposals_in_flight_max: 16,
            session_bytes_max: 1 << 30,
            stored_bytes_max: 16 << 30,
            session_patches_max: 100_000,
            wait_observer: WaitObserver::default(),
        }
    }
}

/// The name that a workspace's directory below the state directory is made with: the root's
/// own name for people, and 16 hex digits of its path's BLAKE3 to tell
/// namesakes apart. The root must be canonical.
///
/// [`find_state`](crate::find_state) finds the directory also after the workspace was moved.
pub fn workspace_key(canonical_root: &Path) -> String {
    let name: String = canonical_root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .take(40)
        .collect();
    let name = name.trim_start_matches('.');
    let hex = blake3::hash(canonical_root.as_os_str().as_encoded_bytes()).to_hex();
    format!("{}-{}", if name.is_empty() { "root" } else { name }, &hex[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namesakes_have_different_keys() {
        let (a, b) = (workspace_key(Path::new("/a/app")), workspace_key(Path::new("/b/app")));
        assert!(a.starts_with("app-") && b.starts_with("app-") && a != b, "{a} {b}");
    }

    #[test]
    fn a_key_is_one_plain_file_name() {
        for root in ["/", "/a/..b c/ä", "/.hidden"] {
            let key = workspace_key(Path::new(root));
            assert!(!key.contains('/') && !key.starts_with('.'), "{key}");
        }
    }
}
