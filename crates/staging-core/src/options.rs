//! The layer's options: plain data. The layer reads no home directory, environment or terminal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atomic_fs::Digest;

use crate::diffing::{ChildLimits, PluginHost, Policy};
use crate::rules::ApprovalRules;
use crate::waiting::WaitObserver;

/// Options of the staging layer for one workspace.
#[derive(Clone, Debug)]
pub struct StagingOptions {
    /// The root of the directory tree whose changes are staged.
    pub workspace: PathBuf,
    /// This workspace's own state directory, outside of the workspace; created with mode 0700.
    pub state_dir: PathBuf,
    /// Permission bits of files that an agent creates without naming a mode; a default access
    /// control list of their directory takes precedence.
    pub new_file_mode: u32,
    /// How long a session without activity stays open.
    pub session_expires_after: Duration,
    /// How long decided patches are kept with their contents, so that they can be shown, proposed
    /// again or undone. With zero the contents of discarded patches are removed at once.
    pub history_keep_for: Duration,
    /// Whether this process serves the sessions that it opens, so that they are orphaned when it
    /// dies. False in processes that run one command and end.
    pub owns_sessions: bool,
    /// How often a process that runs the actors sweeps the state.
    pub sweep_every: Duration,
    /// How often the log is read for events of other processes, for subscribers.
    pub follow_every: Duration,
    /// Whether a process that runs the actors watches the files of pending patches.
    pub watch_files: bool,
    /// Whether each proposal survives a power cut before it is acknowledged.
    pub durable_proposals: bool,
    /// Which diff strategy compares which files, and its limits.
    pub diff: Policy,
    /// Whether changes to `.git` may be staged.
    pub allow_git: bool,
    /// Whether files with several hard links may be replaced, which breaks the links.
    pub allow_hard_links: bool,
    /// Whether files on other mounts below the root may be changed.
    pub allow_other_mounts: bool,
    /// Whether files may be replaced on file systems that cannot exchange two names. There is no
    /// file at the path for a moment then.
    pub allow_move_aside: bool,
    /// Strategy libraries that the user allowed.
    pub strategies: Vec<TrustedLibrary>,
    /// Whether a library may be below a sticky folder that others can write to, such as `/tmp`.
    /// For tests.
    pub allow_sticky_folders: bool,
    /// The program that runs libraries with [`Hosting::Child`], and is required for them. It may
    /// be this program itself.
    pub plugin_host: Option<PluginHost>,
    /// The limits of such a process.
    pub plugin_limits: ChildLimits,
    /// How many messages each actor's mailbox holds.
    pub mailbox_capacity: usize,
    /// How many calls of all sessions run at once on the blocking pool.
    pub proposals_in_flight_max: usize,
    /// How many bytes a session's pending patches may stage.
    pub session_bytes_max: u64,
    /// How many bytes the contents of all patches may have, pending and decided; each content
    /// counts once.
    pub stored_bytes_max: u64,
    /// How many patches a session may have pending.
    pub session_patches_max: u32,
    /// The rules by which a process that runs the actors applies sets without asking. A process that
    /// runs one command ignores them.
    pub approval_rules: ApprovalRules,
    /// Receives a report of each call that waits for another process, within a second.
    pub wait_observer: WaitObserver,
}

/// A strategy library that may be loaded, identified by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedLibrary {
    /// The name of its strategy, for [`Policy::strategy`].
    pub name: String,
    /// The library file.
    pub path: PathBuf,
    /// The digest that the file must have.
    pub blake3: Digest,
    /// Whether it runs in a process of its own.
    pub hosting: Hosting,
}

/// Where a strategy library runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosting {
    /// In a process of its own, so that a crash or hang does not affect this process.
    #[default]
    Child,
    /// In this process: if the library crashes, this process crashes. Must be chosen explicitly.
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
            approval_rules: ApprovalRules::default(),
            wait_observer: WaitObserver::default(),
        }
    }
}

/// The name under which a workspace's state directory is created: the root's own name for
/// people, and 16 hex digits of the BLAKE3 of its path to distinguish roots of the same name. The
/// root must be canonical.
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
    fn roots_of_the_same_name_have_different_keys() {
        let (a, b) = (workspace_key(Path::new("/a/app")), workspace_key(Path::new("/b/app")));
        assert!(a.starts_with("app-") && b.starts_with("app-") && a != b, "{a} {b}");
    }

    #[test]
    fn a_key_is_a_single_file_name_that_is_not_hidden() {
        for root in ["/", "/a/..b c/ä", "/.hidden"] {
            let key = workspace_key(Path::new(root));
            assert!(!key.contains('/') && !key.starts_with('.'), "{key}");
        }
    }
}
