//! What the files of an agent's settings say together.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::args::Agent;
use crate::commands::init::agents::{Format, Role, Scope, SettingsFile, Want, of};
use crate::commands::init::program::is_same;
use crate::commands::init::{jsonc, offers, toml};
use crate::files::read_settings;
use crate::paths::shown;
use crate::user_dirs::home;

/// The files of an agent that are there, the ones that take precedence first.
pub(super) struct AgentFiles {
    agent: Agent,
    files: Vec<ReadFile>,
    /// What is there and cannot be read.
    unreadable: Vec<PathBuf>,
}

struct ReadFile {
    scope: Scope,
    /// Its path, below the workspace where it is.
    path: PathBuf,
    is_common: bool,
    format: Format,
    text: String,
    wants: Vec<Want>,
    /// The keys of its servers, and where they are in it.
    servers: Vec<Vec<String>>,
}

/// A hook that calls Greenroom before a tool.
pub(super) struct CallHook {
    matcher: String,
    pub(super) program: String,
    /// Whether the harness denies where the program does not start.
    pub(super) denies_without_answer: bool,
}

impl CallHook {
    /// Whether it runs before a tool of this name.
    pub(super) fn covers(&self, tool: &str) -> bool {
        let matcher = self.matcher.trim_start_matches('^').trim_end_matches('$');
        matches!(matcher, "" | "*" | ".*") || matcher.split('|').any(|one| one == tool)
    }
}

impl AgentFiles {
    pub(super) fn read(agent: Agent, root: &Path) -> Self {
        let own = offers::user_folder(agent);
        let mut files: Vec<ReadFile> = Vec::new();
        let mut unreadable = Vec::new();
        for scope in [Scope::Local, Scope::Shared, Scope::User] {
            for file in &of(agent).files {
                let folder = match scope {
                    Scope::User => own.as_deref(),
                    Scope::Local | Scope::Shared => Some(root),
                };
                let names = file.names_in(scope).iter();
                let found = folder
                    .into_iter()
                    .flat_map(|folder| names.clone().map(move |name| folder.join(name)));
                let mut read = |path: PathBuf| match read_settings(&path) {
                    Ok(text) => Some((text, path)),
                    Err(error) => {
                        if !is_absence(&error) && !unreadable.contains(&path) {
                            unreadable.push(path);
                        }
                        None
                    }
                };
                let Some((text, path)) = found.into_iter().find_map(&mut read) else { continue };
                let path = below(root, &path);
                if files.iter().any(|there| there.path == path) {
                    continue;
                }
                let wants = file.wants.iter().map(|one| one.want.clone()).collect();
                let servers = server_keys(file);
                let (is_common, format) = (file.is_common, file.format);
                files.push(ReadFile { scope, path, is_common, format, text, wants, servers });
            }
        }
        files.extend(own_servers(agent, root));
        Self { agent, files, unreadable }
    }

    /// The files that are there and cannot be read.
    pub(super) fn unreadable(&self) -> &[PathBuf] {
        &self.unreadable
    }

    /// Whether one of the files holds something that `init` writes; `but_common` leaves out what
    /// everybody who uses the workspace has.
    pub(super) fn are_set_up(&self, but_common: bool) -> bool {
        self.files.iter().any(|file| file.is_set_up() && !(but_common && file.is_common))
    }

    /// The files that hold something that `init` writes.
    pub(super) fn names(&self) -> Vec<String> {
        let set_up = self.files.iter().filter(|file| file.is_set_up());
        set_up.map(|file| format!("`{}`", shown(&file.path))).collect()
    }

    /// The scope in which the agent is set up.
    pub(super) fn scope(&self) -> Option<Scope> {
        let found = self.files.iter().find(|file| !file.is_common && file.is_set_up())?.scope;
        Some(if of(self.agent).has_local || found == Scope::User { found } else { Scope::Local })
    }

    /// Whether what is wanted of a kind of file is in force.
    pub(super) fn has(&self, file: &SettingsFile, want: &Want) -> bool {
        if file.wants.iter().any(|one| one.is == Role::Server && is_that(&one.want, want)) {
            return self.has_server(want);
        }
        match want {
            Want::Include { value, .. } if is_hook(want) => {
                self.hooks().iter().any(|hook| hook.covers_as(value))
            }
            // Lists of all files count together.
            Want::Include { .. } => self.files.iter().any(|file| file.satisfies(want)),
            Want::Set { at, value } => {
                self.effective(at).is_some_and(|(there, _)| is_as_strict(&there, value))
            }
        }
    }

    fn has_server(&self, want: &Want) -> bool {
        let (Want::Set { at, value } | Want::Include { at, value }) = want;
        match at.last().map(String::as_str) {
            // The arguments of a server that is named key by key.
            Some("args") => self.effective(at).is_some_and(|(there, _)| starts_with(&there, value)),
            _ => self.server().is_some(),
        }
    }

    /// Whether a file has this key.
    pub(super) fn has_key(&self, file: &SettingsFile, key: &[String]) -> bool {
        let is_it = |there: &&ReadFile| there.format == file.format && !there.is_common;
        self.files.iter().filter(is_it).any(|there| there.value(key).is_some())
    }

    /// The value that counts, and its file.
    pub(super) fn effective(&self, at: &[String]) -> Option<(Value, &Path)> {
        self.files.iter().find_map(|file| Some((file.value(at)?, file.path.as_path())))
    }

    /// The file that has a value at a key, or in the list there.
    pub(super) fn with_value(&self, at: &[String], value: &Value) -> Option<&Path> {
        let has = |file: &&ReadFile| match file.value(at) {
            Some(Value::Array(list)) => list.contains(value),
            there => there.as_ref() == Some(value),
        };
        self.files.iter().find(has).map(|file| file.path.as_path())
    }

    /// The hooks before calls of tools that call Greenroom.
    pub(super) fn hooks(&self) -> Vec<CallHook> {
        let at = ["hooks".to_owned(), "PreToolUse".to_owned()];
        let groups = self.files.iter().filter_map(|file| match file.value(&at) {
            Some(Value::Array(groups)) => Some(groups),
            _ => None,
        });
        let calls = |group: Value| {
            let matcher = group["matcher"].as_str().unwrap_or_default().to_owned();
            let commands = group["hooks"].as_array().cloned().unwrap_or_default();
            commands.into_iter().filter_map(move |hook| {
                let command = hook["command"].as_str()?;
                let (program, rest) = command.split_once(" hook ")?;
                Some(CallHook {
                    matcher: matcher.clone(),
                    program: program.trim().trim_matches(['"', '\'']).to_owned(),
                    denies_without_answer: rest.contains("|| exit 2"),
                })
            })
        };
        groups.flatten().flat_map(calls).collect()
    }

    /// The program that the agent starts as its server.
    pub(super) fn server(&self) -> Option<String> {
        let find = |file: &ReadFile| {
            file.servers.iter().find_map(|key| {
                let server = file.value(key)?;
                let is_off = server["enabled"] == false || server["disabled"] == true;
                let program = match &server["command"] {
                    Value::Array(words) => words.first()?.as_str()?.to_owned(),
                    command => command.as_str()?.to_owned(),
                };
                (!is_off).then_some(program)
            })
        };
        self.files.iter().find_map(find)
    }
}

impl CallHook {
    /// Whether it runs before every tool of the hook that is wanted.
    fn covers_as(&self, wanted: &Value) -> bool {
        let matcher = wanted["matcher"].as_str().unwrap_or_default();
        let matcher = matcher.trim_start_matches('^').trim_end_matches('$');
        // What reads changes nothing, and old names are those of old versions.
        let mut tools = matcher.split('|').filter(|tool| !["Read", "MultiEdit"].contains(tool));
        tools.all(|tool| self.covers(tool))
    }
}

impl ReadFile {
    fn value(&self, at: &[String]) -> Option<Value> {
        match self.format {
            Format::Json => jsonc::value(&self.text, at),
            Format::Toml => toml::value(&self.text, at),
        }
    }

    /// Whether it holds something that `init` writes.
    fn is_set_up(&self) -> bool {
        self.wants.iter().any(|want| self.satisfies(want))
    }

    fn satisfies(&self, want: &Want) -> bool {
        match want {
            Want::Set { at, value } => self.value(at).is_some_and(|there| is_same(&there, value)),
            Want::Include { at, value } => match self.value(at) {
                Some(Value::Array(list)) => list.iter().any(|there| is_as_strict(there, value)),
                _ => false,
            },
        }
    }
}

/// Where the server is in a file of this kind.
fn server_keys(file: &SettingsFile) -> Vec<Vec<String>> {
    let servers = file.wants.iter().filter(|one| one.is == Role::Server);
    let key = |want: &Want| {
        let (Want::Set { at, .. } | Want::Include { at, .. }) = want;
        at.iter().take_while(|key| !["command", "args"].contains(&key.as_str())).cloned().collect()
    };
    let mut keys: Vec<Vec<String>> = servers.map(|one| key(&one.want)).collect();
    keys.dedup();
    keys
}

/// Whether an error says that there is no such file.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The file in which the agent itself writes the servers of its user.
fn own_servers(agent: Agent, root: &Path) -> Option<ReadFile> {
    let settings = of(agent);
    let name = settings.own_servers.as_deref()?;
    let named = settings.variable.as_ref().and_then(std::env::var_os).map(PathBuf::from);
    let path = named.filter(|dir| dir.is_absolute()).or_else(home)?.join(name);
    let text = read_settings(&path).ok()?;
    let key = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<String>>();
    let project = root.to_str().unwrap_or_default();
    let servers = vec![
        key(&["projects", project, "mcpServers", "greenroom"]),
        key(&["mcpServers", "greenroom"]),
    ];
    let (scope, format, wants) = (Scope::User, Format::Json, Vec::new());
    Some(ReadFile { scope, path, is_common: true, format, text, wants, servers })
}

fn is_that(one: &Want, other: &Want) -> bool {
    let (Want::Set { at, value } | Want::Include { at, value }) = one;
    let (Want::Set { at: other_at, value: other } | Want::Include { at: other_at, value: other }) =
        other;
    (at, value) == (other_at, other)
}

fn is_hook(want: &Want) -> bool {
    let (Want::Set { at, .. } | Want::Include { at, .. }) = want;
    at.first().is_some_and(|key| key == "hooks")
}

/// Whether a value refuses what the wanted one does: as `Bash(*)` is `Bash`, and `{"*": "deny"}` is
/// `"deny"`.
fn is_as_strict(there: &Value, wanted: &Value) -> bool {
    let all = |word: &str| there.as_str() == Some(&format!("{word}(*)"));
    let all_denied = |rules: &serde_json::Map<String, Value>| {
        rules.contains_key("*") && rules.values().all(|rule| rule == wanted)
    };
    is_same(there, wanted)
        || wanted.as_str().is_some_and(all)
        || there.as_object().is_some_and(|rules| wanted == "deny" && all_denied(rules))
}

fn starts_with(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Array(there), Value::Array(wanted)) => there.starts_with(wanted),
        _ => there == wanted,
    }
}

/// The path of a file for a message, below the workspace where it is.
fn below(root: &Path, file: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_owned()
}
