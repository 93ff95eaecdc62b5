//! Which files of the workspace are ignored: what is read before a command starts.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use capture::{Bytes, Repository};

use crate::console::Console;

/// The user's own ignore rules and those of the repository, the weakest first.
pub(super) fn general_rules(root: &Path) -> Vec<Bytes> {
    let own = ignore::gitignore::gitconfig_excludes_path();
    let repository = Repository::at(root).map(|found| found.common_dir.join("info/exclude"));
    let files = own.into_iter().chain(repository);
    files.filter_map(|file| std::fs::read(file).ok().map(Bytes)).collect()
}

/// The files that git tracks although a rule ignores them. Without a repository none are.
pub(super) fn tracked(console: &Console, root: &Path) -> BTreeSet<Bytes> {
    Tracked::ask(root).finish(console)
}

/// Git, which lists the files that it tracks although a rule ignores them. It takes as long as a walk of
/// the workspace.
pub(super) struct Tracked(Option<io::Result<Child>>);

impl Tracked {
    /// Starts git where there is a repository.
    pub(super) fn ask(root: &Path) -> Self {
        let start = || {
            Command::new("git")
                .arg("-C")
                .arg(root)
                // No program of the repository's configuration is started.
                .args(["-c", "core.fsmonitor=false"])
                .args(["ls-files", "-z", "-c", "-i", "--exclude-standard"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        };
        Self(root.join(".git").exists().then(start))
    }

    /// Waits for its answer.
    pub(super) fn finish(mut self, console: &Console) -> BTreeSet<Bytes> {
        let Some(started) = self.0.take() else { return BTreeSet::new() };
        let listed = started.and_then(Child::wait_with_output);
        let reason = match &listed {
            Ok(listed) if listed.status.success() => None,
            Ok(listed) => Some(String::from_utf8_lossy(&listed.stderr).trim_end().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = reason {
            let reason = staging_core::escape_line_for_display(&reason).into_owned();
            console.warn(&format!(
                "git does not say which files it tracks, so that those that a rule ignores are not \
                 proposed: {reason}"
            ));
        }
        let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        paths.map(|path| Bytes(path.to_vec())).collect()
    }
}

impl Drop for Tracked {
    /// Nobody waits for the answer any more.
    fn drop(&mut self) {
        if let Some(Ok(git)) = &mut self.0 {
            let _ = git.kill().and_then(|()| git.wait());
        }
    }
}
