//! What a view is made of, and at which step making it can fail.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a view is made of. Every path is absolute and leads through no symbolic link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The directory that the view shows at the same path, and whose files it protects.
    pub workspace: OsString,
    /// A copy of the workspace that the view shows in its place; none for the workspace itself, which
    /// must have nothing mounted below it then.
    pub copy: Option<OsString>,
    /// The directory that receives what is written. It must be on a local file system.
    pub upper: OsString,
    /// An empty directory beside `upper`, for the kernel.
    pub work: OsString,
    /// A directory that the view shows on top of the workspace, below what is written; none for the
    /// workspace alone. A character device 0/0 in it hides the entry below.
    pub layer: Option<OsString>,
    /// Directories that the view shows empty, but for a file named `inside`. One of them must
    /// hold `upper` and `work`, or the command could write to them.
    pub masks: Vec<OsString>,
    /// The content of the files named `inside`.
    pub inside: String,
    /// Where the command starts; the path is looked up in the view.
    pub directory: OsString,
    /// Directories outside of the workspace in which git writes for repositories in it; none is in
    /// another one.
    pub git: Vec<HeldGit>,
    /// What else the command must not change or reach; none if other places are real.
    pub confine: Option<Confine>,
}

/// A directory of git outside of the workspace, to which nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldGit {
    /// The directory.
    pub directory: OsString,
    /// What happens to writes.
    pub writes: GitWrites,
}

/// What happens to writes to a directory of git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GitWrites {
    /// They go to `upper`; `work` beside it is for the kernel. Both as in [`Plan`].
    Layer {
        /// The directory that receives what is written.
        upper: OsString,
        /// An empty directory beside it.
        work: OsString,
    },
    /// They fail.
    Refused {
        /// Why there is no layer.
        reason: String,
    },
}

/// What a command without a view works in. Every path is absolute and leads through no symbolic link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyPlan {
    /// The workspace itself, which the command can read and not write.
    pub workspace: OsString,
    /// The copy of it in which the command works.
    pub copy: OsString,
    /// Git's directories outside of the workspace, which the command can read and not write. One that holds
    /// what is hidden cannot be read.
    pub git: Vec<OsString>,
    /// Directories whose files the command can neither read nor write, but for what is in `copy` and
    /// `writable`.
    pub hidden: Vec<OsString>,
    /// Directories in `hidden` that the command can write to.
    pub writable: Vec<OsString>,
    /// Where the command starts.
    pub directory: OsString,
    /// What keeps the command from the rest.
    pub guard: Guard,
}

/// What keeps a command that works in a copy from the real workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    /// A rule set of Landlock: [`can_guard`](crate::can_guard).
    Landlock,
    /// Nothing.
    Nothing,
}

impl CopyPlan {
    /// The directories in which the command can neither make nor remove anything, because they are above
    /// the workspace, a repository or what is hidden.
    #[must_use]
    pub fn above(&self) -> Vec<PathBuf> {
        let needed = self.hidden.iter().chain(&self.git).chain([&self.workspace]);
        let needed = needed.map(Path::new).collect();
        above(&needed).into_iter().map(Path::to_owned).collect()
    }

    /// Checks what no system call would refuse.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let all = self.hidden.iter().chain(&self.git).chain([&self.workspace, &self.copy]);
        for path in all.map(Path::new) {
            let real = fs::canonicalize(path).map_err(Failure::of(Step::Plan, path))?;
            if real != path {
                let detail = format!("`{}` is a link, or leads through one", path.display());
                return Err(Failure::new(Step::Plan, detail));
            }
        }
        if Path::new(&self.copy).starts_with(&self.workspace) {
            return Err(Failure::new(Step::Plan, "the copy is in the workspace"));
        }
        Ok(())
    }
}

/// The directories above these paths, in which nothing can be made: those that are not in one of them.
pub(crate) fn above<'p>(needed: &BTreeSet<&'p Path>) -> BTreeSet<&'p Path> {
    let above = needed.iter().flat_map(|path| path.ancestors().skip(1));
    above.filter(|path| !path.ancestors().any(|above| needed.contains(above))).collect()
}

/// What a command can change and reach outside of the workspace. Everything that is not named is
/// read-only. Every path is absolute and leads through no symbolic link; one that does not exist is
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confine {
    /// Directories and files that stay writable, with all that is mounted below. They weaken neither
    /// [`Plan::masks`] nor the overlay, which lie on top of them.
    pub writable: Vec<OsString>,
    /// Directories that the view shows empty and writable, in memory, until it ends. What is
    /// `writable` below one of them is shown there.
    pub private: Vec<OsString>,
    /// Directories and files, sockets above all, that the view shows empty and read-only.
    pub masked: Vec<OsString>,
    /// What the command can connect to.
    pub network: Network,
    /// Nothing is writable beyond what commands of an agent's tool may write.
    pub for_tool: bool,
}

/// What a command can connect to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// What its user can.
    #[default]
    Shared,
    /// A loopback interface of its own, and nothing else.
    Loopback,
}

/// How far a view is confined; more is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Confined {
    /// Not at all.
    #[default]
    Not,
    /// By [`Confine`], with the network of its user.
    Files,
    /// By [`Confine`], with [`Network::Loopback`].
    FilesAndNetwork,
}

impl Confined {
    /// How far this confines a view.
    #[must_use]
    pub fn of(confine: Option<&Confine>) -> Self {
        match confine.map(|confine| confine.network) {
            None => Self::Not,
            Some(Network::Shared) => Self::Files,
            Some(Network::Loopback) => Self::FilesAndNetwork,
        }
    }
}

impl Plan {
    /// Checks what no system call would refuse.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let refused = |path: &Path, why: &str| {
            Err(Failure::new(Step::Plan, format!("`{}` {why}", path.display())))
        };
        let workspace = Path::new(&self.workspace);
        let masks: Vec<&Path> = self.masks.iter().map(Path::new).collect();
        let layers = [&self.upper, &self.work].map(Path::new);
        let others = || {
            let git = self.git.iter().flat_map(|git| match &git.writes {
                GitWrites::Layer { upper, work } => vec![upper, work],
                GitWrites::Refused { .. } => Vec::new(),
            });
            self.layer.iter().chain(&self.copy).chain(git).map(Path::new)
        };
        let git = || self.git.iter().map(|git| Path::new(&git.directory));
        let used = masks.iter().copied().chain(layers).chain(others());
        for path in used.chain(git()).chain([workspace]) {
            let real = fs::canonicalize(path).map_err(Failure::of(Step::Plan, path))?;
            if real != path {
                return refused(path, "is a link, leads through one, or is not absolute");
            }
        }
        for layer in layers.into_iter().chain(others()) {
            if layer.starts_with(workspace) {
                return refused(layer, "is in the workspace, which would hold itself");
            }
            if !masks.iter().any(|mask| layer.starts_with(mask)) {
                return refused(layer, "is in none of the masked directories");
            }
        }
        if let Some(mask) = masks.iter().find(|mask| workspace.starts_with(mask)) {
            return refused(mask, "holds the workspace, and would hide it");
        }
        for git in git() {
            if masks.iter().any(|mask| mask.starts_with(git) || git.starts_with(mask)) {
                return refused(git, "is git's, and holds a masked directory or is in one");
            }
            if git.starts_with(workspace) {
                return refused(git, "is git's, and is in the workspace, which holds it back");
            }
        }
        self.confine.as_ref().map_or(Ok(()), |confine| confine.check(workspace, &masks))
    }
}

impl Confine {
    fn check(&self, workspace: &Path, masks: &[&Path]) -> Result<(), Failure> {
        let refused = |path: &Path, why: &str| {
            Err(Failure::new(Step::Confine, format!("`{}` {why}", path.display())))
        };
        for path in self.writable.iter().chain(&self.private).chain(&self.masked).map(Path::new) {
            match fs::canonicalize(path) {
                Ok(real) if real == path && path.parent().is_some() => {}
                Ok(_) => {
                    return refused(
                        path,
                        "is the root, a link, leads through one, or is not absolute",
                    );
                }
                Err(_) => continue,
            }
            if path.starts_with(workspace) {
                return refused(path, "is in the workspace, and cannot be mounted there");
            }
        }
        let hides = |path: &&OsString| {
            masks.iter().chain([&workspace]).any(|needed| needed.starts_with(path))
        };
        match self.private.iter().chain(&self.masked).find(hides) {
            Some(path) => refused(Path::new(path), "holds the workspace or a masked directory"),
            None => Ok(()),
        }
    }
}

/// A step of making a view, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Starting the keeper, and talking to it.
    Keeper,
    /// Checking the paths of the [`Plan`].
    Plan,
    /// Closing what the keeper inherited. A directory as standard input, output or error is
    /// refused: it leads around the view.
    Descriptors,
    /// Locking the upper directory: a second view must not use it.
    Lock,
    /// Making a user namespace and a mount namespace.
    Namespaces,
    /// Turning on the loopback interface of a network namespace.
    Network,
    /// Mapping users and groups to themselves.
    Map,
    /// Keeping mounts of the view out of the namespace outside.
    Propagation,
    /// Keeping the directories above the workspace and the masks at their paths.
    Pins,
    /// Reading the table of mounts. A mount below the workspace is refused: no overlay can hold it.
    Mounts,
    /// Opening the directories of the overlay, or making those of a probe.
    Layers,
    /// Making the overlay.
    Create,
    /// Making everything else read-only, as [`Confine`] has it.
    Confine,
    /// Mounting the overlay at the workspace and wherever else the workspace can be reached.
    Attach,
    /// Holding back what is written to git's directories outside of the workspace.
    Git,
    /// Hiding the masked directories.
    Masks,
    /// Changing to the command's directory.
    Directory,
    /// Joining the namespaces of another view.
    Join,
    /// Writing the rules that keep a command in its copy from the workspace.
    Guard,
}

impl Step {
    fn what(self) -> &'static str {
        match self {
            Self::Keeper => "start the process that keeps the view",
            Self::Plan => "use these directories",
            Self::Descriptors => "close inherited descriptors",
            Self::Lock => "lock the upper directory",
            Self::Namespaces => "make user and mount namespaces",
            Self::Network => "turn on the loopback interface",
            Self::Map => "map the user to itself",
            Self::Propagation => "separate the mounts of the view",
            Self::Pins => "keep directories at their paths",
            Self::Mounts => "show what is mounted below the workspace",
            Self::Layers => "open the directories of the overlay",
            Self::Create => "make the overlay",
            Self::Confine => "make other places read-only",
            Self::Attach => "mount the overlay",
            Self::Git => "hold back what is written to git's directory",
            Self::Masks => "hide the state directory",
            Self::Directory => "change to the directory of the command",
            Self::Join => "join the view",
            Self::Guard => "keep the command from writing to the workspace",
        }
    }
}

/// A view could not be made; nothing has been started and nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("cannot {}: {detail}", step.what())]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// The error number of the system call, if one failed.
    pub errno: Option<i32>,
    /// What went wrong.
    pub detail: String,
}

impl Failure {
    /// A failure that no system call reported.
    pub(crate) fn new(step: Step, detail: impl Into<String>) -> Self {
        Self { step, errno: None, detail: detail.into() }
    }

    /// Turns errors into failures of one step.
    pub(crate) fn at<E: Into<io::Error>>(step: Step) -> impl Fn(E) -> Self {
        move |error| {
            let error = error.into();
            Self { step, errno: error.raw_os_error(), detail: error.to_string() }
        }
    }

    /// Like [`at`](Self::at), and names what was worked on.
    pub(crate) fn of<E: Into<io::Error>>(step: Step, path: &Path) -> impl Fn(E) -> Self {
        move |error| {
            let failure = Self::at(step)(error);
            Self { detail: format!("`{}`: {}", path.display(), failure.detail), ..failure }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directories_above_what_is_closed_are_open_to_their_entries() {
        let needed =
            ["/home/user/app", "/home/user/.local/state/x", "/home/user/.local/state/x/config"];
        let needed = needed.iter().map(Path::new).collect();
        let found: Vec<_> = above(&needed).into_iter().collect();
        let expected = ["/", "/home", "/home/user", "/home/user/.local", "/home/user/.local/state"];
        assert_eq!(found, expected.map(Path::new));
    }
}
