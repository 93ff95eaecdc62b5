//! `doctor`: whether the agents are held back, and whether the configuration, the state and this
//! machine are in order.

mod agent_settings;
mod agents;
mod choices;
mod program;

use std::fmt::Write as _;

use serde_json::json;
use staging_core::{ErrorKind, Finding, Health, examine};

use self::agents::{AgentVerdict, Verdict, verdicts};
use super::options::{checked_settings, defaults};
use super::{layers, recover};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;
use crate::settings::Settings;

pub(super) fn doctor(console: &Console, location: &Location) -> Result<(), Failure> {
    let agents = verdicts(location);
    let mut findings = vec![configuration(location)];
    // With a mistake in the configuration, everything else is looked at with the defaults.
    let settings = checked_settings(location, defaults(location))
        .unwrap_or_else(|_| Settings::new(defaults(location)));
    findings.extend(choices::approvals(&settings));
    findings.push(choices::commands(&settings));
    findings.extend(view(location));
    findings.extend(choices::programs(&settings));
    findings.extend(examine(&settings.options));
    findings.extend(recover::others(location));
    findings.extend(layers::finding(&location.state_dir));
    if console.json {
        let protected = is_protected(&agents);
        console
            .object(json!({ "protected": protected, "agents": agents, "findings": findings }))?;
    } else {
        console.text(&text(console, &agents, &findings))?;
    }
    let agents = agents.iter().filter(|agent| agent.health() == Health::Bad);
    let bad = findings.iter().filter(|finding| finding.health == Health::Bad);
    let bad: Vec<&str> =
        agents.map(|agent| agent.agent.as_str()).chain(bad.map(|finding| finding.name)).collect();
    if bad.is_empty() {
        return Ok(());
    }
    // Its object is printed; a second one would be no JSON.
    Err(Failure::new(ErrorKind::Damaged, format!("not in order: {}", bad.join(", ")))
        .in_the_object())
}

/// Whether an agent is set up, and every one that is can write only what is approved.
fn is_protected(agents: &[AgentVerdict]) -> bool {
    let mut set_up = agents.iter().filter(|agent| agent.verdict != Verdict::NotSetUp).peekable();
    set_up.peek().is_some() && set_up.all(|agent| agent.verdict == Verdict::Protected)
}

fn text(console: &Console, agents: &[AgentVerdict], findings: &[Finding]) -> String {
    let mut text = String::new();
    if !console.is_quiet {
        let _ = writeln!(text, "{}", head(agents));
    }
    let agents = agents.iter().map(|one| (one.health(), one.agent.as_str(), one.line()));
    let findings = findings.iter().map(|one| (one.health, one.name, one.text.clone()));
    for (health, name, about) in agents.chain(findings) {
        let mark = match health {
            Health::Good if console.is_quiet => continue,
            Health::Good => "ok",
            Health::Notice => "note",
            Health::Bad => "BAD",
        };
        let _ = writeln!(text, "{mark:<4} {name}: {about}");
    }
    text
}

/// The answer to "am I protected?".
fn head(agents: &[AgentVerdict]) -> String {
    let names = |verdicts: &[Verdict]| {
        let named = agents.iter().filter(|agent| verdicts.contains(&agent.verdict));
        let named: Vec<&str> = named.map(|agent| agent.agent.as_str()).collect();
        named.join(", ")
    };
    let parts = [
        ("NOT protected: ", names(&[Verdict::Unprotected])),
        ("not in order: ", names(&[Verdict::Incomplete])),
        ("protected: ", names(&[Verdict::Protected])),
        ("not set up: ", names(&[Verdict::NotSetUp])),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}{names}"))
        .collect();
    match parts.is_empty() {
        true => {
            "no agent is set up for this workspace: `greenroom init AGENT` sets one up".to_owned()
        }
        false => parts.join("; "),
    }
}

/// Whether `greenroom run` can show a command a view here: it is tried.
#[cfg(target_os = "linux")]
fn view(location: &Location) -> Option<Finding> {
    let directory = [&location.state_dir, &location.base].into_iter().find(|dir| dir.is_dir())?;
    let finding = |health, text| Some(Finding { name: "run", health, text });
    let probe = |workspace| capture::probe(directory, workspace, super::view::keeper());
    match probe(None) {
        Ok(()) => match super::view::copy_reason(&location.root, || probe(Some(&location.root))) {
            None => finding(Health::Good, "commands can run in a view of the workspace".to_owned()),
            Some(reason) => {
                finding(Health::Notice, format!("commands get a copy of the workspace: {reason}"))
            }
        },
        Err(obstacle) => finding(Health::Notice, super::working_copy::report_refusal(&obstacle)),
    }
}

#[cfg(not(target_os = "linux"))]
fn view(_: &Location) -> Option<Finding> {
    None
}

fn configuration(location: &Location) -> Finding {
    let finding = |health, text| Finding { name: "configuration", health, text };
    let Some(file) = &location.config_file else {
        return finding(Health::Good, "none: there is no home directory".to_owned());
    };
    if !file.exists() {
        return finding(Health::Good, format!("none in `{}`: the defaults", shown(file)));
    }
    match checked_settings(location, defaults(location)) {
        Ok(_) => finding(Health::Good, format!("`{}`", shown(file))),
        Err(failure) => finding(Health::Bad, failure.message.clone()),
    }
}
