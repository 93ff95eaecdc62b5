//! Whether the agents of this machine write only what a person approves.
//!
//! What is examined are the settings that `init` writes, in every file that the agent reads.

use std::path::Path;

use clap::ValueEnum as _;
use serde::Serialize;
use serde_json::Value;
use staging_core::Health;

use super::agent_settings::AgentFiles;
use super::program::{Program, found_on_the_path};
use crate::args::{Agent, agent_name};
use crate::commands::init::agents::{Role, Scope, Want, of};
use crate::location::Location;
use crate::paths::shown;

/// What is known of one agent.
#[derive(Debug, Serialize)]
pub(super) struct AgentVerdict {
    /// Its name, as `init` has it.
    pub(super) agent: String,
    pub(super) verdict: Verdict,
    /// Where its program is; absent where it is not on the PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) program: Option<String>,
    /// The files of settings that hold something of Greenroom's.
    pub(super) settings: Vec<String>,
    /// What is not in order.
    pub(super) problems: Vec<Problem>,
    /// What to do; absent where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// What no setting of the agent holds back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_held: Option<&'static str>,
}

/// Whether an agent writes only what a person approves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Protected,
    /// It cannot write past Greenroom, but something that is wanted is missing.
    Incomplete,
    /// It can write to files itself.
    Unprotected,
    /// It is on the PATH, and nothing was set up for it here.
    NotSetUp,
}

/// One thing that is not in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Writes,
    Shell,
    Hook,
    Server,
    Program,
}

impl AgentVerdict {
    pub(super) fn health(&self) -> Health {
        match self.verdict {
            Verdict::Protected => Health::Good,
            Verdict::NotSetUp => Health::Notice,
            Verdict::Incomplete | Verdict::Unprotected => Health::Bad,
        }
    }

    /// The verdict in one line, behind the agent's name.
    pub(super) fn line(&self) -> String {
        let because: Vec<&str> = self.problems.iter().map(|one| one.text.as_str()).collect();
        let because = because.join("; ");
        let mut line = match self.verdict {
            Verdict::Protected => format!("protected, by {}", self.settings.join(", ")),
            Verdict::Incomplete => format!("it cannot write past Greenroom, but {because}"),
            Verdict::Unprotected => format!("not protected: {because}"),
            Verdict::NotSetUp => {
                "it is on your PATH and not set up here: it writes to your files itself".to_owned()
            }
        };
        if let Some(remedy) = &self.remedy {
            line.push_str(". ");
            line.push_str(remedy);
        }
        if let Some(not_held) = self.not_held.filter(|_| self.verdict == Verdict::Protected) {
            line.push_str(&format!("; {not_held}"));
        }
        line
    }
}

/// The agents that are set up for the workspace or on the PATH.
pub(super) fn verdicts(location: &Location) -> Vec<AgentVerdict> {
    Agent::value_variants().iter().filter_map(|agent| verdict(*agent, location)).collect()
}

fn verdict(agent: Agent, location: &Location) -> Option<AgentVerdict> {
    let settings = of(agent);
    let program = settings.programs.iter().find_map(|name| found_on_the_path(name));
    let files = AgentFiles::read(agent, &location.root);
    let is_set_up = files.are_set_up(program.is_none());
    if !is_set_up && program.is_none() {
        return None;
    }
    let mut found = AgentVerdict {
        agent: agent_name(&agent),
        verdict: Verdict::NotSetUp,
        program: program.map(shown),
        settings: files.names(),
        problems: Vec::new(),
        remedy: None,
        not_held: settings.not_held.as_deref(),
    };
    let name = &found.agent;
    if !is_set_up {
        let run = settings.programs.first().map(String::as_str).unwrap_or_default();
        let or = match cfg!(target_os = "linux") {
            true => format!(", `greenroom run -- {run}` holds back what one run of it writes"),
            false => String::new(),
        };
        found.remedy = Some(format!("`greenroom init {name}` sets it up{or}"));
        return Some(found);
    }
    let mut examined =
        Examined { agent, files: &files, root: &location.root, problems: Vec::new() };
    for file in files.unreadable() {
        let text = format!("`{}` cannot be read, so that what it allows is not known", shown(file));
        examined.problem(Kind::Writes, text);
    }
    examined.settings();
    examined.overrides();
    examined.programs();
    let problems = examined.problems;
    let is_open = |problem: &Problem| matches!(problem.kind, Kind::Writes | Kind::Shell);
    found.verdict = match problems.iter().any(is_open) {
        _ if problems.is_empty() => Verdict::Protected,
        true => Verdict::Unprotected,
        false => Verdict::Incomplete,
    };
    found.remedy = remedy(name, &files, &problems);
    found.problems = problems;
    Some(found)
}

/// What puts these problems in order.
fn remedy(agent: &str, files: &AgentFiles, problems: &[Problem]) -> Option<String> {
    let is_program = |problem: &Problem| problem.kind == Kind::Program;
    let is_override = |problem: &Problem| problem.text.contains(OVERRIDES);
    let rest = problems.iter().filter(|one| !is_program(one) && !is_override(one)).count();
    let scope = match files.scope() {
        Some(Scope::Shared) => " --shared",
        Some(Scope::User) => " --user",
        _ => "",
    };
    let mut steps = Vec::new();
    if rest > 0 {
        steps.push(format!("`greenroom init {agent}{scope}` adds what is missing"));
    }
    if problems.iter().any(is_override) {
        steps.push("take out by hand what overrides it".to_owned());
    }
    if problems.iter().any(is_program) {
        steps.push("install this version on the PATH that the agent has".to_owned());
    }
    (!steps.is_empty()).then(|| steps.join(", and "))
}

/// The words of a problem that only the user can put in order.
const OVERRIDES: &str = " overrides it";

struct Examined<'a> {
    agent: Agent,
    files: &'a AgentFiles,
    root: &'a Path,
    problems: Vec<Problem>,
}

impl Examined<'_> {
    fn problem(&mut self, kind: Kind, text: String) {
        let problem = Problem { kind, text };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What is wanted and not there.
    fn settings(&mut self) {
        for file in &of(self.agent).files {
            for wanted in &file.wants {
                let (Want::Set { at, value } | Want::Include { at, value }) = &wanted.want;
                if wanted.is == Role::Comfort || self.files.has(file, &wanted.want) {
                    continue;
                }
                let key = at.join(".");
                match wanted.is {
                    Role::Writes if self.is_hooked(value) => {
                        let text = format!("only the hook stages what its {} writes", word(value));
                        self.problem(Kind::Hook, text);
                    }
                    Role::Writes | Role::Shell => {
                        let kind =
                            if wanted.is == Role::Shell { Kind::Shell } else { Kind::Writes };
                        let text = self.unwanted(&wanted.want, key);
                        self.problem(kind, text);
                    }
                    Role::Hook => {
                        let text = "the hook that stages what its own tools write is missing";
                        self.problem(Kind::Hook, text.to_owned());
                    }
                    Role::Server => {
                        let text = "the server by which it stages is missing";
                        self.problem(Kind::Server, text.to_owned());
                    }
                    Role::Comfort => {}
                }
            }
            for key in file.unlike.iter().filter(|key| self.files.has_key(file, key)) {
                let text = format!("`{}`{OVERRIDES}", key.join("."));
                self.problem(Kind::Writes, text);
            }
        }
    }

    fn unwanted(&self, want: &Want, key: String) -> String {
        match want {
            Want::Include { value, .. } => format!("{} is not in `{key}`", word(value)),
            Want::Set { at, value } => match self.files.effective(at) {
                Some((there, file)) => {
                    format!("`{key}` is {there} in `{}`, not {value}", shown(file))
                }
                None => format!("`{key}` is not set to {value}"),
            },
        }
    }

    /// Whether a hook that is in force stages what a tool writes.
    fn is_hooked(&self, tool: &Value) -> bool {
        let Some(tool) = tool.as_str() else { return false };
        let is_off = |one: &&crate::commands::init::agents::Override| one.is == Role::Hook;
        let mut overrides = of(self.agent).overrides.iter().filter(is_off);
        !overrides.any(|one| self.files.with_value(&one.at, &one.value).is_some())
            && self.files.hooks().iter().any(|hook| hook.covers(tool))
    }

    fn overrides(&mut self) {
        for one in &of(self.agent).overrides {
            if let Some(file) = self.files.with_value(&one.at, &one.value) {
                let kind = if one.is == Role::Hook { Kind::Hook } else { Kind::Server };
                let key = one.at.join(".");
                let what = if one.is == Role::Hook { "hook" } else { "server" };
                let text = format!("its {what} is off: `{key}` in `{}`{OVERRIDES}", shown(file));
                self.problem(kind, text);
            }
        }
    }

    /// The programs that the settings name.
    fn programs(&mut self) {
        let hooks = self.files.hooks();
        for hook in &hooks {
            if !hook.denies_without_answer {
                let text = "its hook lets a write pass where greenroom cannot start: it lacks \
                            `|| exit 2`";
                self.problem(Kind::Hook, text.to_owned());
            }
        }
        let named = hooks.into_iter().map(|hook| hook.program).chain(self.files.server());
        let mut named: Vec<String> = named.collect();
        named.sort_unstable();
        named.dedup();
        for name in named {
            if let Some(text) = Program::find(&name, self.root).problem(&name) {
                self.problem(Kind::Program, text);
            }
        }
    }
}

fn word(value: &Value) -> String {
    match value.as_str() {
        Some(text) => format!("`{text}`"),
        None => value.to_string(),
    }
}
