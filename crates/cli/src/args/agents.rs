//! Setting up agents, and answering their hooks.

use clap::{Args, ValueEnum};

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
