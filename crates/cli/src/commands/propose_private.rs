//! `propose --from-session`: stages ignored files that the commands of a session have written.

use std::ffi::OsString;

use capture::{SessionCapture, Taken};
use staging_core::{ErrorKind, RelPath, Session, SessionState};

use super::context::Context;
use super::imported::{failure_of, report_rest};
use super::staged::report_copied;
use crate::failure::Failure;
use crate::nearest::nearest;

/// How many paths a message names.
const NAMED_MAX: usize = 5;

pub(super) fn propose_private(
    context: &Context<'_>,
    named: &[OsString],
    session: &str,
) -> Result<(), Failure> {
    let paths = named.iter().map(|path| context.location.file(path));
    let paths = paths.collect::<Result<Vec<RelPath>, Failure>>()?;
    let session = context.layer.find_session(session)?;
    if session.state != SessionState::Open {
        let message = format!("session {} is {}", session.id, session.state.as_str());
        return Err(Failure::new(ErrorKind::Closed, message)
            .advise("Name an open session: `greenroom session list` shows them."));
    }
    let capture = SessionCapture::of(&context.layer, session.id);
    if !capture.dir().exists() {
        let message = format!("no command was run in session {}", session.id);
        return Err(Failure::new(ErrorKind::NotFound, message));
    }
    match capture.take(&paths).map_err(failure_of)? {
        Taken::Report(report) => {
            let reported = report_copied(context, session.id, &report);
            context.warn_unreported(reported, "the changes are staged");
            report_rest(context.console, &report);
            Ok(())
        }
        Taken::NotPrivate { path, is_imported } => {
            Err(not_private(&capture, &session, &path, is_imported))
        }
    }
}

/// Why there is nothing to take at a path, and what may be meant.
fn not_private(
    capture: &SessionCapture<'_>,
    session: &Session,
    path: &RelPath,
    is_imported: bool,
) -> Failure {
    let id = session.id;
    let about = |failure: Failure| failure.about(path.to_string());
    if path.as_bytes().split(|byte| *byte == b'/').any(|name| name == b".git") {
        let message = format!("`{path}` belongs to git, and is never proposed");
        let advice = format!("`greenroom session commits {id}` shows the commits of the session.");
        return about(Failure::refused(message).advise(advice));
    }
    if is_imported {
        let message =
            format!("`{path}` is not ignored: what {id} has made of it is staged already");
        let advice = format!("`greenroom diff {id}` shows it.");
        return about(Failure::refused(message).advise(advice));
    }
    let message = format!("the commands of {id} have written no ignored file `{path}`");
    let failure = about(Failure::new(ErrorKind::NotFound, message));
    let known = match capture.private_paths() {
        Ok(known) => known,
        Err(error) => return failure_of(error),
    };
    match nearest(&path.to_string(), known.iter().map(String::as_str)) {
        Some(near) => failure.advise(format!("Did you mean `{near}`?")),
        None if known.is_empty() => failure.advise("The session holds no ignored file."),
        None => {
            let named: Vec<String> =
                known.iter().take(NAMED_MAX).map(|path| format!("`{path}`")).collect();
            let more = if known.len() > NAMED_MAX { " and others" } else { "" };
            failure.advise(format!("The session holds {}{more}.", named.join(", ")))
        }
    }
}
