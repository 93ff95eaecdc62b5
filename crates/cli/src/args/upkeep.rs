//! Sessions, plugins and recovery.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use staging_core::ApplyId;

use crate::examples;

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// First adopt the state of the directory that was at this path before, as after a restore from
    /// a backup. DIR names one of several, by its state directory or its old path
    #[arg(long, value_name = "DIR")]
    pub(crate) adopt: Option<Option<PathBuf>>,
    /// Close an apply in doubt, like a3, after you have corrected its files by hand
    #[arg(long, value_name = "APPLY")]
    pub(crate) acknowledge: Option<ApplyId>,
    /// Recover all your workspaces with an interrupted apply or one in doubt, as at login or boot.
    /// A workspace that does not exist or is in use is reported, and the others are recovered
    #[arg(long, conflicts_with_all = ["adopt", "acknowledge", "workspace"])]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List the open sessions, and those with patches that wait for a decision
    #[command(after_help = examples::SESSION_LIST)]
    List {
        /// Also list sessions that ended, and those whose process ended
        #[arg(long)]
        all: bool,
    },
    /// Close a session and reject its pending patches, after a question
    #[command(after_help = examples::SESSION_CLOSE)]
    Close {
        /// The session, an id or a label
        session: String,
        /// The reason for rejecting the patches, which the agent is shown
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do not ask before pending patches are rejected
        #[arg(long)]
        yes: bool,
    },
    /// List the commits that the session's commands have made, and write them for your repository
    #[command(after_help = examples::SESSION_COMMITS)]
    Commits(SessionCommits),
}

#[derive(Debug, Args)]
pub(crate) struct SessionCommits {
    /// The session, an id or a label
    pub(crate) session: String,
    /// Write a git bundle, which `git fetch` reads
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write a file for each commit, which `git am` reads, to a directory
    #[arg(long, value_name = "DIR")]
    pub(crate) format_patch: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// List all strategies, bundled and allowed, and why one is not used
    #[command(after_help = examples::PLUGIN_LIST)]
    List,
    /// Allow a library, with its current content, to be loaded in its own process
    #[command(after_help = examples::PLUGIN_ALLOW)]
    Allow {
        /// The library
        path: PathBuf,
        /// Use it from now on
        #[arg(long = "use")]
        chosen: bool,
        /// Load it into greenroom's own process: nothing confines it, and if it crashes, greenroom
        /// crashes
        #[arg(long)]
        in_process: bool,
    },
    /// Run the conformance kit on a library, in its own process
    #[command(after_help = examples::PLUGIN_TEST)]
    Test {
        /// The library
        path: PathBuf,
    },
}
