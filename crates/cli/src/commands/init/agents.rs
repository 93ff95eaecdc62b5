//! The settings that each agent needs so that its writes are staged, as `agents.toml` lists them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::program::by_path;
use crate::args::{Agent, agent_name};

/// What `agents.toml` says about one agent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentSettings {
    /// The names of its program.
    pub(crate) programs: Vec<String>,
    /// A variable that names the folder where the agent keeps the settings of a user.
    pub(crate) variable: Option<String>,
    /// That folder, below home, when the variable is not set.
    pub(crate) folder: String,
    /// Whether the agent reads settings of a workspace that are for one user alone.
    #[serde(default)]
    pub(crate) has_local: bool,
    pub(crate) files: Vec<SettingsFile>,
    /// What undoes settings that are there, in any of the agent's files.
    #[serde(default)]
    pub(crate) overrides: Vec<Override>,
    /// A file of the user's, beside the folder below home and in the one that the variable names, in
    /// which the agent itself writes servers.
    pub(crate) own_servers: Option<String>,
    /// What no setting holds back.
    pub(crate) not_held: Option<String>,
    #[serde(default)]
    notes: Vec<Note>,
}

/// A settings file of an agent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsFile {
    /// Names below the workspace, or below the folder of the user that the agent keeps settings in;
    /// the first that is there is the one, else the last.
    names: BTreeMap<Scope, Vec<String>>,
    #[serde(default)]
    pub(crate) format: Format,
    pub(crate) wants: Vec<Wanted>,
    /// What the tool `run_command` needs, too.
    #[serde(default)]
    pub(crate) shell_wants: Vec<Want>,
    /// What is added where the user has nothing in its place.
    #[serde(default)]
    pub(crate) offers: Vec<Offer>,
    /// Keys beside which what is wanted would not count.
    #[serde(default)]
    pub(crate) unlike: Vec<Vec<String>>,
    /// Whether the settings for oneself and the shared ones need it alike.
    #[serde(default)]
    pub(crate) is_common: bool,
}

/// A key of which only one value counts, in whatever file of the agent it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    pub(crate) at: Vec<String>,
    /// The scopes in which it is added.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) value: Value,
    /// What is reported of a file that has another value, after its name.
    pub(crate) kept: String,
}

impl Offer {
    pub(crate) fn want(&self) -> Want {
        Want::Set { at: self.at.clone(), value: self.value.clone() }
    }
}

impl SettingsFile {
    /// Its names in a scope.
    pub(crate) fn names_in(&self, scope: Scope) -> &[String] {
        self.names.get(&scope).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A settings file under the names that it has in one scope.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) names: &'static [String],
    pub(crate) file: &'static SettingsFile,
    /// Whether one user alone reads them, on whose machine a path is the same.
    pub(super) is_own: bool,
}

/// Whose settings are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Those of the workspace, for this user alone.
    Local,
    /// Those of the workspace, for everybody who works in it.
    Shared,
    /// Those of the user, for every workspace.
    User,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Json,
    Toml,
}

/// A setting with what it is for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(flatten)]
    pub(crate) want: Want,
    pub(crate) is: Role,
}

/// What becomes of an agent's writes without a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// A tool writes files.
    Writes,
    /// A shell does.
    Shell,
    /// What its own tools write is not staged.
    Hook,
    /// The agent cannot stage by the server's tools.
    Server,
    /// The person is asked or told less.
    Comfort,
}

/// A setting that takes others out of force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    pub(crate) at: Vec<String>,
    /// The value, or one that a list has.
    pub(crate) value: Value,
    pub(crate) is: Role,
}

/// One thing that a settings file has to say.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Want {
    /// A key has this value.
    Set { at: Vec<String>, value: Value },
    /// A list holds this value.
    Include { at: Vec<String>, value: Value },
}

impl Want {
    /// The same with the command by its path.
    pub(super) fn by_path(&self, path: &str) -> Self {
        match self {
            Self::Set { at, value } => Self::Set { at: at.clone(), value: by_path(value, path) },
            Self::Include { at, value } => {
                Self::Include { at: at.clone(), value: by_path(value, path) }
            }
        }
    }

    /// For a person who does it by hand.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Set { at, value } => format!("set `{}` to {value}", at.join(".")),
            Self::Include { at, value } => format!("add {value} to the list `{}`", at.join(".")),
        }
    }
}

/// A sentence for the user after the change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    scopes: Vec<Scope>,
    /// Whether it is for those who remove the settings, not for those who add them.
    #[serde(default)]
    on_removal: bool,
    text: String,
}

/// What is known of an agent.
pub(crate) fn of(agent: Agent) -> &'static AgentSettings {
    static ALL: LazyLock<BTreeMap<String, AgentSettings>> = LazyLock::new(|| {
        toml::from_str(include_str!("agents.toml")).expect("the file can be read, as tested")
    });
    ALL.get(&agent_name(&agent)).expect("each agent is in the file, as tested")
}

/// The files, and what is in them.
pub(crate) fn settings(agent: Agent, scope: Scope) -> Vec<Settings> {
    let is_own = match scope {
        Scope::Shared => false,
        Scope::Local => of(agent).has_local,
        Scope::User => true,
    };
    let in_scope = |file: &'static SettingsFile| {
        let names = file.names.get(&scope)?;
        Some(Settings { names, file, is_own: is_own && !(file.is_common && scope == Scope::Local) })
    };
    of(agent).files.iter().filter_map(in_scope).collect()
}

/// What is left to the user, and what these settings do not hold.
pub(crate) fn notes(agent: Agent, scope: Scope, remove: bool) -> impl Iterator<Item = String> {
    let notes = of(agent).notes.iter();
    notes
        .filter(move |note| note.on_removal == remove && note.scopes.contains(&scope))
        .map(|note| note.text.clone())
}

/// Who is affected by a change of these settings, for a note before the change.
pub(crate) fn reach(agent: Agent, scope: Scope) -> Option<String> {
    let needs =
        "everybody who uses them needs Greenroom: without it the edits of their agents are denied";
    match scope {
        Scope::Shared => Some(format!("These are the shared settings of the workspace: {needs}.")),
        Scope::Local if !of(agent).has_local => Some(format!(
            "{} has no workspace settings for you alone. These are shared: {needs}. --user \
             changes your own settings instead, for every workspace.",
            agent_name(&agent)
        )),
        Scope::Local | Scope::User => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn each_agent_has_settings_in_each_scope() {
        for agent in Agent::value_variants() {
            for scope in [Scope::Local, Scope::Shared, Scope::User] {
                let settings = settings(*agent, scope);
                let is_own = |each: &Settings| !each.file.is_common && !each.names.is_empty();
                assert!(settings.iter().any(is_own), "{agent:?} in {scope:?}");
            }
        }
    }
}
