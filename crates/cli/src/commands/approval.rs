//! Approvals: by an option, or by a yes to a question.

use staging_core::{Approval, ApprovalMeans, ErrorKind, Patch, Signature};

use super::context::Context;
use super::options::defaults;
use super::text::lines;
use crate::args::ExpectedSignature;
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::settings::Settings;

/// An approval by the command line or by a program, without a question; `command` names it for a
/// message.
///
/// # Errors
/// `Refused` in the environment of an agent, unless the user's configuration allows it.
pub(super) fn unasked(
    location: &Location,
    means: ApprovalMeans,
    command: &str,
) -> Result<Approval, Failure> {
    if matches!(means, ApprovalMeans::Yes | ApprovalMeans::Library) {
        refuse_under_agents(location, command, "because it does not ask")?;
    }
    let agent = crate::agent::in_environment().map(str::to_owned);
    Ok(Approval { agent, ..Approval::by(means) })
}

/// Refuses a command of the reviewer in the environment of an agent, unless the user's configuration
/// allows it.
///
/// # Errors
/// `Refused`, with the reason.
pub(super) fn refuse_under_agents(
    location: &Location,
    command: &str,
    why: &str,
) -> Result<(), Failure> {
    let Some(agent) = crate::agent::in_environment() else { return Ok(()) };
    let settings = Settings::read(location.config_file.as_deref(), defaults(location))?;
    if settings.allows_yes_under_agents {
        return Ok(());
    }
    let message = format!("`{command}` is refused in the environment of {agent}, {why}");
    Err(Failure::refused(message).advise(
        "The user can run it in a terminal of their own, or set `allow_yes_under_agents = \
         true` in their configuration.",
    ))
}

/// An approval by a yes to a question.
pub(super) fn asked() -> Approval {
    let agent = crate::agent::in_environment().map(str::to_owned);
    Approval { agent, ..Approval::by(ApprovalMeans::Asked) }
}

/// The signature that the first digits name, if it is this one.
pub(super) fn named(expected: &ExpectedSignature, found: Signature) -> Result<Signature, Failure> {
    if expected.names(found) {
        return Ok(found);
    }
    let message = format!("the set's signature is {found}, which does not begin with {expected}");
    Err(Failure::new(ErrorKind::SignatureMismatch, message))
}

/// Lists patches and asks; a no is a failure.
pub(super) fn ask_for(
    context: &Context<'_>,
    patches: &[Patch],
    question: &str,
    otherwise: &str,
) -> Result<(), Failure> {
    context.console.text(&lines(patches))?;
    ask(context.console, question, otherwise, "Nothing was changed.")
}

/// The advice after a no to a question about pending patches.
pub(super) const STAYS_PENDING: &str = "The patches stay pending.";

/// Asks; a no is a failure.
pub(super) fn ask(
    console: &Console,
    question: &str,
    otherwise: &str,
    advice: &str,
) -> Result<(), Failure> {
    if console.ask(question)? {
        return Ok(());
    }
    Err(missing(format!("{otherwise}: the answer was no")).advise(advice))
}

/// The failure where nobody can be asked. It does not show an agent how to avoid the question.
pub(super) fn unconfirmed(command: &str) -> Failure {
    let message = format!("{command} needs confirmation");
    let advice = match crate::agent::in_environment() {
        Some(_) => "Ask the user to run it in a terminal of their own.",
        None => "Pass --expect with the signature that was reviewed, or --yes.",
    };
    missing(message).advise(advice)
}

pub(super) fn missing(message: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::ConfirmationMissing, message)
}
