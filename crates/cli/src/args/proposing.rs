//! `propose`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use staging_core::{Digest, Timestamp};

use super::values::{digest, octal, time};

#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// The file, relative to the current directory; several with --from-session
    #[arg(required_unless_present_any = ["patch", "from_tree", "from_upper"])]
    pub(crate) path: Vec<OsString>,
    /// Stage what the commands of `run` have made of ignored files: each path is one, or a directory with
    /// those in it. They are staged in this session as they are now
    #[arg(long, value_name = "SESSION",
          conflicts_with_all = ["session", "patch", "from", "delete", "rename_to", "mode", "base",
                                "symlink", "directory", "from_tree", "from_upper"])]
    pub(crate) from_session: Option<String>,
    /// Stage a unified or git diff, or a `*** Begin Patch`, over many files, all or none; `-` is
    /// standard input. Its names are relative to the current directory
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["path", "from", "delete", "rename_to", "mode", "base", "symlink",
                                "directory"])]
    pub(crate) patch: Option<PathBuf>,
    /// The digest of the file that the change was made from; the proposal is refused as stale when
    /// the session sees another content
    #[arg(long, value_name = "BLAKE3", value_parser = digest)]
    pub(crate) base: Option<Digest>,
    /// The session's label, or the id of an open one; opened when there is none
    #[arg(long, value_name = "SESSION", default_value = "cli")]
    pub(crate) session: String,
    /// The file with the new content; `-` is standard input [default: -]
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["delete", "rename_to", "symlink", "directory"])]
    pub(crate) from: Option<PathBuf>,
    /// Stage the deletion of a file, a symbolic link or an empty directory
    #[arg(long, conflicts_with_all = ["rename_to", "mode", "symlink", "directory"])]
    pub(crate) delete: bool,
    /// Stage a rename
    #[arg(long, value_name = "NEW", conflicts_with_all = ["mode", "symlink", "directory"])]
    pub(crate) rename_to: Option<OsString>,
    /// Stage a symbolic link with this target, which must not lead out of the workspace
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["mode", "directory"])]
    pub(crate) symlink: Option<OsString>,
    /// Stage a directory
    #[arg(long, conflicts_with = "mode")]
    pub(crate) directory: bool,
    /// The file's permission bits, like 755; the content is unchanged without --from
    #[arg(long, value_name = "BITS", value_parser = octal)]
    pub(crate) mode: Option<u32>,
    #[command(flatten)]
    pub(crate) copy: ProposeCopy,
}

/// The options of `propose` for a copy of the workspace.
#[derive(Debug, Args)]
pub(crate) struct ProposeCopy {
    /// Stage what a changed copy of the workspace differs in, such as a git worktree. What is not
    /// proven to be made from the workspace's file is stale from the start
    #[arg(long, value_name = "DIR", conflicts_with_all = ["path", "patch", "from", "delete",
          "rename_to", "mode", "base", "symlink", "directory", "from_upper"])]
    pub(crate) from_tree: Option<PathBuf>,
    /// Stage what the upper directory of an overlay over the workspace holds
    #[arg(long, value_name = "DIR", conflicts_with_all = ["path", "patch", "from", "delete",
          "rename_to", "mode", "base", "symlink", "directory"])]
    pub(crate) from_upper: Option<PathBuf>,
    /// The commit from which the copy was made [default: of a git worktree, the merge base of its
    /// HEAD and the workspace's]
    #[arg(long, value_name = "REV", conflicts_with_all = ["path", "patch"])]
    pub(crate) base_commit: Option<String>,
    /// A time before the copy or the overlay was made, as `date -Is` prints it: what has not changed
    /// since is what it was made from
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with_all = ["path", "patch"])]
    pub(crate) copied_at: Option<Timestamp>,
    /// The copy has some of the files only: stage no deletion
    #[arg(long, requires = "from_tree")]
    pub(crate) no_delete: bool,
}
