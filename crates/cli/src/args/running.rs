//! `run` and `exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::glob;
use crate::selection_args::SelectionWords;

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The session's label, or the id of an open one; what an earlier run of it wrote is there again
    /// [default: a new session]
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
    #[command(flatten)]
    pub(crate) confine: ConfineArgs,
    /// Propose ignored files that match, too: a glob as in a `.gitignore` of the workspace's root. The
    /// session's later commands do as well
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(crate) propose_ignored: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Where a command works.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// What the command sees in place of the workspace [default: what this machine and the workspace
    /// allow]
    #[arg(long = "view", value_name = "VIEW", default_value = "auto", hide_default_value = true)]
    pub(crate) kind: ViewKind,
    /// Where this machine allows no view and cannot keep a command in a copy from writing to the
    /// workspace itself, run it all the same; what it has changed there is named
    #[arg(long)]
    pub(crate) unguarded: bool,
}

/// What a command sees in place of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViewKind {
    /// An overlay; a copy of the workspace below it where the workspace itself is not possible; a copy at
    /// another path where no overlay is possible
    Auto,
    /// An overlay over the workspace
    Overlay,
    /// An overlay over a copy of the workspace; a copy at another path where no overlay is possible
    Copy,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) selection: SelectionWords,
    /// Use the rest of a set when some of its patches are stale or expired
    #[arg(long)]
    pub(crate) rest: bool,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
    #[command(flatten)]
    pub(crate) confine: ConfineArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// What a command may change outside of the workspace.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfineArgs {
    /// Make other places read-only, but for temporary files, caches and the agents' own directories,
    /// and hide the sockets of programs that act outside [default: run.confine]
    #[arg(long, conflicts_with = "no_confine")]
    pub(crate) confine: bool,
    /// Keep a file or directory writable, with its sockets; implies --confine
    #[arg(long, value_name = "PATH", conflicts_with = "no_confine")]
    pub(crate) allow_write: Vec<PathBuf>,
    /// Give the command no network but a loopback of its own; implies --confine
    #[arg(long, conflicts_with = "no_confine")]
    pub(crate) no_network: bool,
    /// Leave other places as they are, whatever run.confine says
    #[arg(long)]
    pub(crate) no_confine: bool,
    /// Whether it is a command of an agent's tool, which cannot write to the agents' own directories.
    #[arg(skip)]
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no command is run there"))]
    pub(crate) is_tool: bool,
}
