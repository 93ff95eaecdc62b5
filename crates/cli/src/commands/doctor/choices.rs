//! What the user's configuration and environment choose: programs, and who decides.

use std::ffi::OsStr;

use staging_core::{Finding, Health};

use crate::commands::editor;
use crate::pager::{chosen, is_found};
use crate::paths::shown;
use crate::settings::Settings;

/// The programs in which a person reads and edits.
pub(super) fn programs(settings: &Settings) -> [Finding; 3] {
    let pager = chosen(settings.readers.pager.as_deref());
    let pager = match &pager {
        Some(pager) => program("pager", pager),
        None => good("pager", "none: output goes to the terminal"),
    };
    let diff = match settings.readers.diff.as_deref().filter(|named| !named.trim().is_empty()) {
        Some(command) => program("diff command", command.as_ref()),
        None => good("diff command", "none: greenroom colours diffs itself"),
    };
    let chosen_editor = editor::command(settings.editor.as_deref());
    let is_named = settings.editor.is_some()
        || ["GREENROOM_EDITOR", "VISUAL", "EDITOR"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let editor = match is_named || is_found(&chosen_editor) {
        true => program("editor", &chosen_editor),
        false => good("editor", "none is set: `edit` uses VISUAL or EDITOR"),
    };
    [pager, editor, diff]
}

fn program(name: &'static str, command: &OsStr) -> Finding {
    match is_found(command) {
        true => good(name, format!("`{}`", shown(command))),
        false => {
            let text = format!("there is no program `{}`", shown(command));
            Finding { name, health: Health::Notice, text }
        }
    }
}

/// Who approves, beside the person in a terminal.
pub(super) fn approvals(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    if settings.allows_yes_under_agents {
        found.push(notice(
            "approval",
            "`allow_yes_under_agents` is set: an agent with a shell can approve its own work",
        ));
    }
    if settings.elicitation_wait().is_some() {
        found.push(notice(
            "approval",
            "`mcp.approve_by_elicitation` is set: a yes in the agent's window approves, which a \
             hook of the agent can answer for you",
        ));
    }
    let rules: Vec<String> =
        settings.policy.approve.iter().map(|rule| format!("`{}`", rule.name)).collect();
    if !rules.is_empty() {
        found.push(notice(
            "approval",
            format!(
                "rules approve without you where a process applies them, as `watch --apply-policy` \
                 does: {}",
                rules.join(", ")
            ),
        ));
    }
    if found.is_empty() {
        found.push(good("approval", "only you approve"));
    }
    found
}

/// Whether agents run commands.
pub(super) fn commands(settings: &Settings) -> Finding {
    match settings.offers_run_command {
        true => good(
            "run_command",
            "agents can run commands by a tool of the server, held back as their other writes",
        ),
        false => good("run_command", "off: agents run no commands by the server"),
    }
}

fn good(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, health: Health::Good, text: text.into() }
}

fn notice(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, health: Health::Notice, text: text.into() }
}
