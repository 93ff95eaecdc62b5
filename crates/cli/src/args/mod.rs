//! The command line as it is typed.

mod agents;
mod following;
mod proposing;
mod reviewing;
mod running;
mod upkeep;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::examples;
use crate::selection_args::SelectionArgs;
use crate::shells::Shell;

pub(crate) use self::agents::{Agent, Harness, Hook, Init, agent_name};
pub(crate) use self::following::{EventsOf, LogSelector, Watch};
pub(crate) use self::proposing::{Propose, ProposeCopy};
use self::reviewing::signature;
pub(crate) use self::reviewing::{Apply, Diff, Edit, ExpectedSignature, Review, Undo};
pub(crate) use self::running::{ConfineArgs, Exec, Run, ViewKind};
pub(crate) use self::upkeep::{Plugin, Recover, Session, SessionCommits};
pub(crate) use self::values::octal;

/// Holds the file changes of AI agents until you approve them.
///
/// Every write becomes a patch outside the workspace. Read them as one diff, then apply all of it
/// or none of it.
///
/// Without a command: what waits in short, and what to do next.
#[derive(Debug, Parser)]
#[command(name = "greenroom", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 failed, nothing changed; 2 usage; 3 stale or in \
    conflict, nothing changed; 4 refused; 5 in doubt, run `greenroom recover`.")]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The command line, with the command that is meant where none is typed.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) global: Global,
    pub(crate) command: Command,
}

impl From<CommandLine> for Arguments {
    fn from(CommandLine { global, command }: CommandLine) -> Self {
        Self { global, command: command.unwrap_or(Command::Overview) }
    }
}

impl Parser for Arguments {}

impl CommandFactory for Arguments {
    fn command() -> clap::Command {
        CommandLine::command()
    }

    fn command_for_update() -> clap::Command {
        CommandLine::command_for_update()
    }
}

impl FromArgMatches for Arguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        CommandLine::from_arg_matches(matches).map(Self::from)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The heading of the options that every command has.
const EVERYWHERE: &str = "Options of every command";

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The directory tree to protect [default: the nearest parent directory with .git, else the
    /// nearest one with a Greenroom state, else the current directory]
    #[arg(long, value_name = "DIR", global = true, help_heading = EVERYWHERE)]
    pub(crate) workspace: Option<PathBuf>,
    /// Where Greenroom keeps its state, a directory per workspace [default:
    /// $XDG_STATE_HOME/greenroom]
    #[arg(long, value_name = "DIR", env = "GREENROOM_STATE_DIR", hide_env_values = true)]
    #[arg(global = true, help_heading = EVERYWHERE)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// When to colour; never with NO_COLOR set
    #[arg(long, value_name = "WHEN", global = true, help_heading = EVERYWHERE, default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// Print to the terminal without a pager
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) no_pager: bool,
    /// Print more on standard error; -vv prints more than -v
    #[arg(short, long, global = true, help_heading = EVERYWHERE, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print only errors, questions, and requested output such as a diff
    #[arg(short, long, global = true, help_heading = EVERYWHERE, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Stage a change; the workspace is not touched
    #[command(after_help = examples::PROPOSE)]
    Propose(Box<Propose>),
    /// Run a command in a view of the workspace: what it writes becomes patches
    #[command(after_help = examples::RUN)]
    Run(Run),
    /// Run a command on the workspace with pending patches applied; what it writes is thrown away
    #[command(after_help = examples::EXEC)]
    Exec(Exec),
    /// Show what is pending, and the signatures that approve it
    #[command(after_help = examples::STATUS)]
    Status {
        /// Print one line for prompts and status bars, like `3 patches +64 -41, 1 stale`, and nothing
        /// when nothing is pending. Reads what is recorded, without a look at the files
        #[arg(long)]
        short: bool,
    },
    /// What waits in short, where no command is typed.
    #[command(skip)]
    Overview,
    /// Print what is pending as a git-style patch
    #[command(after_help = examples::DIFF)]
    Diff(Diff),
    /// Show patches in full, a patch that is named by its id in any state; or one apply, like a1
    #[command(after_help = examples::SHOW)]
    Show {
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Print a file as a session sees it, with its pending patches
    #[command(after_help = examples::CAT)]
    Cat {
        /// The file
        path: OsString,
        /// The session, an id or a label
        #[arg(long, value_name = "SESSION")]
        session: String,
    },
    /// Decide about one patch after the other on a terminal, then apply and reject at once
    #[command(after_help = examples::REVIEW)]
    Review(Review),
    /// Edit what a patch stages, in your editor; saved, it is a new revision of the patch
    #[command(after_help = examples::EDIT)]
    Edit(Edit),
    /// Apply patches to the workspace: all of them or none
    #[command(visible_alias = "approve", after_help = examples::APPLY)]
    Apply(Apply),
    /// Reject patches, and dismiss stale and expired ones; the disk stays as it is
    #[command(visible_alias = "reject", after_help = examples::DISCARD)]
    Discard {
        #[command(flatten)]
        selection: SelectionArgs,
        /// The reason, which the agent is shown
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// A comment for a line of what a rejected patch stages, which the agent is shown; can be
        /// repeated
        #[arg(long, num_args = 2, value_names = ["FILE:LINE", "TEXT"], allow_hyphen_values = true)]
        comment: Vec<OsString>,
        /// Do not ask before everything pending is discarded
        #[arg(long)]
        yes: bool,
    },
    /// Undo an apply, or some of its files, if they are unchanged since; the patches are pending again
    #[command(after_help = examples::UNDO)]
    Undo(Undo),
    /// Apply again what was undone
    #[command(after_help = examples::REDO)]
    Redo {
        /// The undone apply, like a1, for all that was undone of it, or an undo [default: the newest
        /// undo]
        apply: Option<staging_core::ApplyId>,
        /// The signature that was reviewed; refused when it is not the set's
        #[arg(long, value_name = "SIGNATURE", value_parser = signature)]
        expect: Option<ExpectedSignature>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List what was applied and undone, the newest first
    #[command(after_help = examples::APPLIES)]
    Applies {
        /// Only the newest N
        #[arg(short = 'n', long, value_name = "N")]
        max_count: Option<usize>,
    },
    /// Show the log of events
    #[command(after_help = examples::LOG)]
    Log {
        /// Entries of patches (p1), applies (a1), or sessions (s1, or a label) [default: all
        /// entries]
        of: Vec<LogSelector>,
        /// Only the last N entries
        #[arg(short = 'n', long, value_name = "N")]
        max_count: Option<u64>,
        /// Check that no entry was changed or removed
        #[arg(long, conflicts_with_all = ["of", "max_count"])]
        verify: bool,
    },
    /// List or close sessions
    #[command(subcommand)]
    Session(Session),
    /// List, allow or test diff strategies from libraries
    #[command(subcommand)]
    Plugin(Plugin),
    /// Finish or roll back an interrupted apply, and remove its temporary files
    #[command(after_help = examples::RECOVER)]
    Recover(Recover),
    /// Propose stale, expired or rejected patches again, merged with the current files
    #[command(after_help = examples::REFRESH)]
    Refresh {
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Print the events of every process as they happen, and find stale patches at once
    #[command(after_help = examples::WATCH)]
    Watch(Watch),
    /// Say whether the agents are held back, check the configuration, the state and this machine, and
    /// print what to do
    #[command(after_help = examples::DOCTOR)]
    Doctor,
    /// Print what a shell reads to complete commands, patches, sessions, applies and paths
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write one for each command
    #[command(after_help = examples::MAN)]
    Man {
        /// The directory that the pages are written to [default: the main page, on standard output]
        dir: Option<PathBuf>,
    },
    /// Print the JSON Schema of the events that log and watch print, or of what `serve` speaks
    #[command(after_help = examples::SCHEMA)]
    Schema {
        /// What to print
        #[arg(value_name = "OF", default_value = "events")]
        of: SchemaOf,
    },
    /// Remove leftovers of dead processes, expired history and unreferenced contents
    #[command(after_help = examples::GC)]
    Gc {
        /// Print what would be removed, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Serve an agent over the Model Context Protocol, on standard input and output
    #[command(after_help = examples::MCP)]
    Mcp {
        /// The label of the session that the agent works in [default: one for each client]
        #[arg(long, value_name = "LABEL", env = "GREENROOM_SESSION", hide_env_values = true)]
        session: Option<String>,
    },
    /// Serve a program that runs agents: JSON-RPC, a message a line, on standard input and output
    #[command(after_help = examples::SERVE)]
    Serve,
    /// Run one command for the tool of an MCP server, which asks for it on standard input
    #[command(name = "__run-command", hide = true)]
    Host,
    /// Stage what an agent's own tools are about to write; for the hook of an agent, with the call on
    /// standard input
    #[command(after_help = examples::HOOK)]
    Hook(Hook),
    /// Change an agent's settings so that its writes are staged; shows the change and asks
    #[command(after_help = examples::INIT)]
    Init(Init),
}

/// What a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The events of the log
    Events,
    /// The methods, answers, errors and notifications of `serve`
    Serve,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }
}
