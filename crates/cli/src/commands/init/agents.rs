//! The settings that each agent needs so that its writes are staged.
//!
//! The server is named `greenroom` and started as `greenroom mcp`; the tools that the agent was
//! built with and that write past it are denied, where its settings can.

use serde_json::{Value, json};

use crate::args::{Agent, agent_name};

/// One thing that a settings file has to say.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// A key has this value.
    Set { at: &'static [&'static str], value: Value },
    /// A list holds this value.
    Include { at: &'static [&'static str], value: Value },
}

impl Want {
    /// For a person who does it by hand.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Set { at, value } => format!("set `{}` to {value}", at.join(".")),
            Self::Include { at, value } => format!("add {value} to the list `{}`", at.join(".")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
}

/// Names of files, below a folder.
type Names = &'static [&'static str];

/// A settings file of an agent.
pub(super) struct Settings {
    /// Names below the workspace, or below the folder of the user that the agent keeps settings in;
    /// the first that is there is the one, else the last.
    pub(super) names: Names,
    pub(super) format: Format,
    pub(super) wants: Vec<Want>,
    /// Keys beside which what is wanted would not count.
    pub(super) unlike: &'static [&'static [&'static str]],
    /// Whether the settings for oneself and the shared ones need it alike.
    pub(super) is_common: bool,
}

/// Whose settings are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of the workspace, for this user alone.
    Local,
    /// Those of the workspace, for everybody who works in it.
    Shared,
    /// Those of the user, for every workspace.
    User,
}

/// Whether an agent reads settings of a workspace that are for one user alone.
pub(super) fn has_local(agent: Agent) -> bool {
    agent == Agent::ClaudeCode
}

fn json(names: Names, wants: Vec<Want>) -> Settings {
    Settings { names, format: Format::Json, wants, unlike: &[], is_common: false }
}

fn set(at: &'static [&'static str], value: Value) -> Want {
    Want::Set { at, value }
}

fn include(at: &'static [&'static str], values: &[&str]) -> Vec<Want> {
    values.iter().map(|value| Want::Include { at, value: json!(value) }).collect()
}

fn server(at: &'static [&'static str]) -> Want {
    set(at, json!({"command": "greenroom", "args": ["mcp"]}))
}

/// The files, and what is in them.
pub(super) fn settings(agent: Agent, scope: Scope) -> Vec<Settings> {
    let of = |workspace: Names, user: Names| if scope == Scope::User { user } else { workspace };
    match agent {
        Agent::ClaudeCode => claude_code(scope),
        Agent::Codex => codex(scope),
        Agent::Gemini => {
            let mut wants = vec![server(&["mcpServers", "greenroom"])];
            let writers = ["write_file", "replace", "run_shell_command"];
            wants.extend(include(&["tools", "exclude"], &writers));
            vec![json(of(&[".gemini/settings.json"], &["settings.json"]), wants)]
        }
        Agent::Opencode => {
            let command = json!(["greenroom", "mcp"]);
            let wants = vec![
                set(
                    &["mcp", "greenroom"],
                    json!({"type": "local", "command": command, "enabled": true}),
                ),
                set(&["permission", "edit"], json!("deny")),
                set(&["permission", "bash"], json!("deny")),
            ];
            let names = of(
                &["opencode.jsonc", "opencode.json"],
                &["opencode/opencode.jsonc", "opencode/opencode.json"],
            );
            // The spelling of its second version, beside which the first does not count.
            vec![Settings {
                unlike: &[&["permissions"], &["mcp", "servers"]],
                ..json(names, wants)
            }]
        }
        Agent::Cursor => {
            let rules = ["Write(**)", "Shell(*)", "Shell(**)"];
            let rules = include(&["permissions", "deny"], &rules);
            let servers = vec![server(&["mcpServers", "greenroom"])];
            vec![
                json(of(&[".cursor/mcp.json"], &["mcp.json"]), servers),
                json(of(&[".cursor/cli.json"], &["cli-config.json"]), rules),
            ]
        }
    }
}

fn claude_code(scope: Scope) -> Vec<Settings> {
    // A rule for a tool that a version does not have is a warning there, so old names are left to
    // the hook.
    let writers =
        ["Write", "Edit", "NotebookEdit", "Bash", "EnterWorktree", "Monitor", "PowerShell"];
    let mut wants = include(&["permissions", "allow"], &["mcp__greenroom"]);
    wants.extend(include(&["permissions", "deny"], &writers));
    // Should somebody take the denials out, what writes files still waits.
    let matcher = "Write|Edit|MultiEdit|NotebookEdit|Read";
    wants.push(hook(matcher, "greenroom hook claude-code || exit 2"));
    let file: &[&str] = match scope {
        Scope::Local => &[".claude/settings.local.json"],
        Scope::Shared => &[".claude/settings.json"],
        Scope::User => return vec![json(&["settings.json"], wants)],
    };
    // Claude Code has no file of a workspace for servers of one user alone.
    let servers = json(&[".mcp.json"], vec![server(&["mcpServers", "greenroom"])]);
    vec![Settings { is_common: true, ..servers }, json(file, wants)]
}

fn codex(scope: Scope) -> Vec<Settings> {
    let (config, hooks): (&[&str], &[&str]) = match scope {
        Scope::Local | Scope::Shared => (&[".codex/config.toml"], &[".codex/hooks.json"]),
        Scope::User => (&["config.toml"], &["hooks.json"]),
    };
    let config = Settings {
        names: config,
        format: Format::Toml,
        wants: vec![
            set(&["sandbox_mode"], json!("read-only")),
            set(&["approval_policy"], json!("never")),
            set(&["mcp_servers", "greenroom", "command"], json!("greenroom")),
            set(&["mcp_servers", "greenroom", "args"], json!(["mcp"])),
        ],
        // Either names a place further on that says what the sandbox is.
        unlike: &[&["default_permissions"], &["profile"]],
        is_common: false,
    };
    // The sandbox refuses what the agent's own tool writes; the hook stages it instead.
    vec![config, json(hooks, vec![hook("^apply_patch$", "greenroom hook codex || exit 2")])]
}

fn hook(matcher: &str, command: &str) -> Want {
    let hook = json!({"type": "command", "command": command, "timeout": 60});
    Want::Include {
        at: &["hooks", "PreToolUse"],
        value: json!({"matcher": matcher, "hooks": [hook]}),
    }
}

/// Where an agent keeps the settings of a user: a variable that names the folder, and the folder
/// below home when it is not set.
pub(super) fn user_folder(agent: Agent) -> (Option<&'static str>, &'static str) {
    match agent {
        Agent::ClaudeCode => (Some("CLAUDE_CONFIG_DIR"), ".claude"),
        Agent::Codex => (Some("CODEX_HOME"), ".codex"),
        Agent::Gemini => (None, ".gemini"),
        Agent::Opencode => (Some("XDG_CONFIG_HOME"), ".config"),
        Agent::Cursor => (None, ".cursor"),
    }
}

/// What is left to the user, and what these settings do not hold.
pub(super) fn notes(agent: Agent, scope: Scope, remove: bool) -> &'static [&'static str] {
    match (agent, scope) {
        (Agent::ClaudeCode, Scope::User) if remove => &[
            "Claude Code writes the file with the servers of a user itself: run `claude mcp remove --scope user greenroom`.",
        ],
        _ if remove => &[],
        (Agent::ClaudeCode, Scope::User) => &[
            "Claude Code writes the file with the servers of a user itself: run `claude mcp add --scope user greenroom -- greenroom mcp`.",
        ],
        (Agent::ClaudeCode, Scope::Local) => &[
            "`.claude/settings.local.json` is for you alone: if git does not ignore it, add it to `.git/info/exclude`.",
            "`.mcp.json` is for everybody who uses the workspace; without Greenroom its server does not start, and nothing is denied.",
            "Claude Code asks once whether you trust the workspace, and whether to use its servers: answer yes for greenroom.",
        ],
        (Agent::ClaudeCode, Scope::Shared) => &[
            "Claude Code asks once whether you trust the workspace, and whether to use its servers: answer yes for greenroom.",
        ],
        (Agent::Codex, Scope::Local | Scope::Shared) => &[
            "Codex reads the settings of a project only when you trust it.",
            "Codex runs the hook only when you have reviewed it; until then the writes of its own tool are refused instead of staged.",
        ],
        (Agent::Codex, Scope::User) => &[
            "Codex runs the hook only when you have reviewed it; until then the writes of its own tool are refused instead of staged.",
        ],
        (Agent::Gemini, Scope::Local | Scope::Shared) => {
            &["Gemini CLI reads the settings of a project only when you trust it."]
        }
        (Agent::Gemini, Scope::User) => &[],
        (Agent::Opencode, _) => {
            &["An opencode agent with its own permissions in the settings keeps them."]
        }
        (Agent::Cursor, _) => &[
            "These rules apply to Cursor's command-line agent. The editor has no setting that keeps its agent from writing: its writes are not staged.",
        ],
    }
}

/// Who is affected by a change of these settings, for a note before the change.
pub(super) fn reach(agent: Agent, scope: Scope) -> Option<String> {
    let needs =
        "everybody who uses them needs Greenroom: without it the edits of their agents are denied";
    match scope {
        Scope::Shared => Some(format!("These are the shared settings of the workspace: {needs}.")),
        Scope::Local if !has_local(agent) => Some(format!(
            "{} has no workspace settings for you alone. These are shared: {needs}. --user \
             changes your own settings instead, for every workspace.",
            agent_name(&agent)
        )),
        Scope::Local | Scope::User => None,
    }
}
