//! `session list` and `session close`.

use std::fmt::Write as _;

use serde_json::json;
use staging_core::{
    ClosedSession, ErrorKind, Patch, Selector, Session, SessionState, Signature, StagingError,
};

use super::approval::{STAYS_PENDING, ask, missing};
use super::context::Context;
use super::layers::give_back;
use super::text::{count, line, lines};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::{ClosedView, patches};

/// Lists the sessions that `status` knows, or all of them.
pub(super) fn list(context: &Context<'_>, all: bool) -> Result<(), Failure> {
    let sessions = context.layer.sessions()?;
    if all {
        return print(context.console, &sessions, 0);
    }
    let current = context.layer.status()?.sessions;
    let current: Vec<Session> = current.into_iter().map(|each| each.session).collect();
    print(context.console, &current, sessions.len().saturating_sub(current.len()))
}

/// Prints sessions, and how many are not among them.
pub(super) fn print(
    console: &Console,
    sessions: &[Session],
    left_out: usize,
) -> Result<(), Failure> {
    if console.json {
        return console.object(json!({ "sessions": sessions }));
    }
    let mut text = String::new();
    for session in sessions {
        let until = match (session.state, session.orphaned_at) {
            (SessionState::Open, Some(_)) => {
                format!("its process ended, expires {}", session.expires_at)
            }
            (SessionState::Open, None) => format!("expires {}", session.expires_at),
            _ => format!("last active {}", session.last_active_at),
        };
        let (id, state, label) = (session.id, session.state.as_str(), &session.label);
        let _ = writeln!(text, "{id} {state} {label} ({until})");
    }
    if sessions.is_empty() {
        text.push_str(if left_out == 0 { "no session yet\n" } else { "no open session\n" });
    }
    console.text(&text)?;
    if left_out > 0 {
        let others = count(left_out, "session that ended is", "sessions that ended are");
        console.remark(&format!("{others} not listed: `greenroom session list --all` lists all"));
    }
    Ok(())
}

/// Ends a session. What is pending in it is rejected, which is asked for.
pub(super) fn close(
    context: &Context<'_>,
    named: &str,
    reason: Option<&str>,
    yes: bool,
) -> Result<(), Failure> {
    let found = context.layer.find_session(named)?;
    let expect = if yes { None } else { Some(confirm(context, &found)?) };
    let closed = match context.layer.close_reviewed(found.id, expect, reason) {
        Err(StagingError::SignatureMismatch { .. }) => {
            let message =
                format!("patches of {} were proposed or decided since you were asked", found.id);
            return Err(Failure::new(ErrorKind::SignatureMismatch, message)
                .advise("Run `greenroom status`, then close the session again."));
        }
        closed => closed?,
    };
    context.warn_unreported(print_closed(context.console, &closed), "the session is closed");
    context.warn_unreported(give_back(context, found.id), "the session is closed");
    Ok(())
}

/// Shows what closing would reject, and asks; the signature of what was shown.
fn confirm(context: &Context<'_>, session: &Session) -> Result<Signature, Failure> {
    let selection = context.layer.select(&[Selector::Session(session.id)])?;
    let pending = &selection.patches;
    if pending.is_empty() {
        return Ok(selection.signature);
    }
    let (id, label) = (session.id, &session.label);
    let rejected = count(pending.len(), "patch", "patches");
    if !context.console.json {
        context.console.text(&lines(pending))?;
    }
    if !context.console.can_ask {
        let message = format!("closing {id} {label} rejects {rejected}, which needs confirmation");
        return Err(missing(message)
            .of_patches(pending.iter().map(|patch| patch.id))
            .advise("Pass --yes, or apply or discard them first."));
    }
    let question = format!("Close {id} {label} and reject {rejected}?");
    ask(context.console, &question, "not closed", STAYS_PENDING)?;
    Ok(selection.signature)
}

fn print_closed(console: &Console, closed: &ClosedSession) -> Result<(), Failure> {
    let ClosedSession { session, rejected, dismissed } = closed;
    if console.json {
        return console.object(ClosedView {
            session,
            rejected: patches(rejected),
            dismissed: patches(dismissed),
        });
    }
    let each = |done: &str, those: &[Patch]| -> String {
        those.iter().map(|patch| format!("{done} {}\n", line(patch))).collect()
    };
    let (id, label, state) = (session.id, &session.label, session.state.as_str());
    let (rejected, dismissed) = (each("rejected", rejected), each("dismissed", dismissed));
    console.report(&format!("{rejected}{dismissed}{id} {label} is {state}\n"))
}
