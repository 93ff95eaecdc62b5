//! The hook that runs when an agent stops: tells the user what waits.
//!
//! It never keeps the agent from stopping: whatever fails, it ends with exit code 0 and no answer,
//! so that it cannot make the agent go on in a circle either.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use staging_core::{HOW_TO_REVIEW, Summary, escape_for_display, escape_json_line, summarise};

use crate::args::{Global, Harness};
use crate::failure::Failure;
use crate::location::{Location, current_dir, inside, states_of};

/// So much of what the harness says is read.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// Prints what waits, as the harness shows it to its user; nothing where nothing waits.
pub(super) fn run(agent: Harness, global: &Global) -> ExitCode {
    // The harness writes what it is about, and may wait until somebody has read it.
    let _ = io::copy(&mut io::stdin().lock().take(INPUT_BYTES_MAX), &mut io::sink());
    match message(agent, global) {
        Ok(Some(message)) => {
            let object = json!({ "systemMessage": escape_for_display(&message) }).to_string();
            let _ = writeln!(io::stdout(), "{}", escape_json_line(object));
        }
        Ok(None) => {}
        Err(failure) => tracing::debug!(failure.message, "what waits is not known"),
    }
    ExitCode::SUCCESS
}

fn message(agent: Harness, global: &Global) -> Result<Option<String>, Failure> {
    // A command in a view sees no state, and its user reviews outside.
    if inside(&states_of(global)?).is_some() {
        return Ok(None);
    }
    let project = match agent {
        Harness::ClaudeCode => std::env::var_os("CLAUDE_PROJECT_DIR").map(PathBuf::from),
        Harness::Codex => None,
    };
    let from = match project.filter(|dir| dir.is_absolute()) {
        Some(project) => project,
        None => current_dir()?,
    };
    let location = Location::find_from(global, &from)?;
    if !location.has_state() {
        return Ok(None);
    }
    let summary = summarise(&location.state_dir)?;
    Ok((!summary.is_empty()).then(|| sentence(&summary)))
}

fn sentence(summary: &Summary) -> String {
    let waiting = summary.waiting();
    match summary.pending {
        0 => format!("{waiting}: `greenroom status` says what to do"),
        _ => format!("{waiting}: {HOW_TO_REVIEW}"),
    }
}
