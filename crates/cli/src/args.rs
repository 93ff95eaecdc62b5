//! The command line as it is typed.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use staging_core::{ApplyId, Digest, PatchId, Signature, Timestamp};

use crate::examples;
use crate::selection_args::{SelectionArgs, SelectionWords};
use crate::shells::Shell;

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

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The session's label, or the id of an open one; what an earlier run of it wrote is there again
    /// [default: a new session]
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// What the command sees in place of the workspace [default: what this machine and the workspace
    /// allow]
    #[arg(long, value_name = "VIEW", default_value = "auto", hide_default_value = true)]
    pub(crate) view: ViewKind,
    /// Where this machine allows no view and cannot keep a command in a copy from writing to the
    /// workspace itself, run it all the same; what it has changed there is named
    #[arg(long)]
    pub(crate) unguarded: bool,
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
    /// What the command sees in place of the workspace [default: what this machine and the workspace
    /// allow]
    #[arg(long, value_name = "VIEW", default_value = "auto", hide_default_value = true)]
    pub(crate) view: ViewKind,
    /// Where this machine allows no view and cannot keep a command in a copy from writing to the
    /// workspace itself, run it all the same; what it has changed there is named
    #[arg(long)]
    pub(crate) unguarded: bool,
    #[command(flatten)]
    pub(crate) confine: ConfineArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Watch {
    /// Start after this entry of the log, to continue where another watch ended [default: now]
    #[arg(long, value_name = "SEQ", value_parser = entry)]
    pub(crate) since: Option<u64>,
    /// Apply what the rules in your configuration approve (`policy.approve`), without asking
    #[arg(long)]
    pub(crate) apply_policy: bool,
    /// Ring the terminal's bell when something new waits, once for what comes together
    #[arg(long)]
    pub(crate) bell: bool,
    /// Run a command of your shell when something new waits, with the events as one JSON object on
    /// its standard input; one at a time
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<OsString>,
    /// Let that command have everything that comes within so many seconds of the first event
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    #[arg(requires = "exec")]
    pub(crate) after: Duration,
    /// Which events that command is run for
    #[arg(long, value_name = "EVENTS", default_value = "waiting", requires = "exec")]
    pub(crate) on: EventsOf,
}

/// The events that a command of `watch` is run for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventsOf {
    /// Those after which something new waits: proposed, changed, stale, or undone
    #[default]
    Waiting,
    /// All
    All,
}

#[derive(Debug, Args)]
pub(crate) struct Review {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Review the rest of a set when some of its patches are stale or expired
    #[arg(long)]
    pub(crate) rest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Stage an empty file when nothing of the text is left
    #[arg(long)]
    pub(crate) allow_empty: bool,
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

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// First adopt the state of the directory that was at this path before, as after a restore from
    /// a backup. DIR names one of several, by its state directory or its old path
    #[arg(long, value_name = "DIR")]
    pub(crate) adopt: Option<Option<PathBuf>>,
    /// Close an apply in doubt, like a3, after you have corrected its files by hand
    #[arg(long, value_name = "APPLY")]
    pub(crate) acknowledge: Option<staging_core::ApplyId>,
    /// Recover all your workspaces with an interrupted apply or one in doubt, as at login or boot.
    /// A workspace that does not exist or is in use is reported, and the others are recovered
    #[arg(long, conflicts_with_all = ["adopt", "acknowledge", "workspace"])]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The agent
    #[arg(value_name = "AGENT")]
    pub(crate) agent: Agent,
    /// Remove what init wrote, from the settings for you alone and from the shared ones
    #[arg(long)]
    pub(crate) remove: bool,
    /// Change the shared settings of the workspace instead of those for you alone; everybody who
    /// works in it then needs Greenroom
    #[arg(long, conflicts_with = "user")]
    pub(crate) shared: bool,
    /// Change your own settings, for every workspace, instead of the workspace's
    #[arg(long, conflicts_with = "workspace")]
    pub(crate) user: bool,
    /// Let the agents of all workspaces run commands by the tool `run_command`, too: sets
    /// `mcp.run_command` in your configuration. With --remove it is taken out again
    #[arg(long)]
    pub(crate) with_shell: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// An agent whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Agent {
    ClaudeCode,
    Codex,
    Gemini,
    Opencode,
    Cursor,
}

/// An agent's name, as it is typed.
pub(crate) fn agent_name(agent: &impl ValueEnum) -> String {
    agent.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[derive(Debug, Args)]
pub(crate) struct Hook {
    /// The agent
    #[arg(value_name = "AGENT")]
    pub(crate) agent: Harness,
    /// Deny the call when the answer takes longer than this
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(crate) deadline_ms: u64,
    /// Tell the user what waits, for the hook that runs when the agent stops; never denies anything
    #[arg(long, conflicts_with = "deadline_ms")]
    pub(crate) stop: bool,
}

/// An agent whose hooks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Harness {
    ClaudeCode,
    Codex,
}

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

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Print how many lines each file gains and loses instead, and what else happens to it
    #[arg(long, conflicts_with = "name_only")]
    pub(crate) stat: bool,
    /// Print only the paths of the files
    #[arg(long)]
    pub(crate) name_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// The signature that was reviewed, or its first 8 digits or more; refused when it is not
    /// the set's
    #[arg(long, value_name = "SIGNATURE", value_parser = signature)]
    pub(crate) expect: Option<ExpectedSignature>,
    /// Apply what is pending without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Apply the rest of a set when some of its patches are stale or expired
    #[arg(long)]
    pub(crate) rest: bool,
    /// Allow the replacement of files that have no diff, because they are binary or too large
    #[arg(long)]
    pub(crate) confirm_full_replace: bool,
    /// Check everything and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse a set on which the last `exec` did not succeed
    #[arg(long)]
    pub(crate) require_exec: bool,
    /// Keep these words with the apply: `applies`, `show` and `log` print them
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The apply, like a1, and files, directories, globs or patches of it [default: all of the newest apply that
    /// is on the disk, except those of `init`]
    #[arg(value_name = "APPLY|PATH")]
    named: Vec<OsString>,
    /// Only files, directories and globs, whatever they look like
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<OsString>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

impl Undo {
    /// The apply, where one is named.
    pub(crate) fn apply(&self) -> Option<ApplyId> {
        self.named.first()?.to_str()?.parse().ok()
    }

    /// The files, directories, globs and patches; what is behind `--` in a form that is a path.
    pub(crate) fn paths(&self) -> Vec<OsString> {
        let words = self.named.iter().skip(usize::from(self.apply().is_some())).cloned();
        words.chain(self.paths.iter().map(|path| Path::new(".").join(path).into())).collect()
    }
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

/// What entries of the log are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogSelector {
    Patch(PatchId),
    Apply(ApplyId),
    /// A session's id or label.
    Session(String),
}

impl FromStr for LogSelector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let patch = || text.parse().map(Self::Patch).ok();
        let apply = || text.parse().map(Self::Apply).ok();
        Ok(patch().or_else(apply).unwrap_or_else(|| Self::Session(text.to_owned())))
    }
}

pub(crate) fn octal(text: &str) -> Result<u32, String> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let bits = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    bits.ok_or_else(|| "expected three or four octal digits, like 755".to_owned())
}

fn glob(text: &str) -> Result<String, String> {
    match crate::globs::glob_mistake(text) {
        Some(mistake) => Err(mistake),
        None => Ok(text.to_owned()),
    }
}

fn entry(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected the number of an entry, as `greenroom log` shows it".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "expected a number of seconds, like 2 or 0.5".to_owned())
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time: Timestamp =
        text.parse().map_err(|_| "expected a time like 2026-01-31T12:00:00Z".to_owned())?;
    if time > Timestamp::now() { Err("this time is in the future".to_owned()) } else { Ok(time) }
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_| "expected the 64 hex digits of a BLAKE3 digest".to_owned())
}

/// A signature as the reviewer gives it: the first digits, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedSignature(String);

impl ExpectedSignature {
    /// Whether it names this signature.
    pub(crate) fn names(&self, signature: Signature) -> bool {
        signature.to_string().starts_with(&self.0)
    }
}

impl std::fmt::Display for ExpectedSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn signature(text: &str) -> Result<ExpectedSignature, String> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && (8..=64).contains(&text.len()) {
        return Ok(ExpectedSignature(text.to_ascii_lowercase()));
    }
    Err("expected at least 8 hex digits of a signature, as `greenroom status` shows it".to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case("755", Some(0o755))]
    #[case("0644", Some(0o644))]
    #[case("4755", Some(0o4755))]
    #[case("75", None)]
    #[case("789", None)]
    #[case("100644", None)]
    #[case("+75", None)]
    fn a_mode_is_three_or_four_octal_digits(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(octal(text).ok(), expected);
    }
}
