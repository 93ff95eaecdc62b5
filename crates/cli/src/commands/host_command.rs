//! The process that runs one command for the tool `run_command` of `greenroom mcp`.
//!
//! It is a process of its own, so that the command ends in order when the server is killed: the connection
//! closes then, and this process ends what the command has started and stages what it wrote.

use std::ffi::OsString;
use std::process::ExitCode;

use capture::{Exit, SessionCapture};
use mcp_server::{CommandEnded, CommandExit, CommandMessage, CommandRequest};
use staging_core::{DiskOwner, ErrorKind, Selector, WaitObserver, escape_for_display};

use super::caller::Caller;
use super::confine::{confine, remark_scopes};
use super::imported::report_rest;
use super::options::settings;
use super::run::remark_ignored;
use super::session_command::{Ended, SessionCommand};
use super::view::{Program, masks};
use super::working_copy::Unguarded;
use crate::args::{ConfineArgs, Global, ViewKind};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;

/// How many remarks are passed on.
const NOTES_MAX: usize = 30;

/// Runs the command that the process at the other end of standard input asks for, and reports to it.
/// Standard output and standard error belong to the command.
pub(crate) fn host_command(global: &Global) -> ExitCode {
    // Without a terminal, so that a command that asks for a password fails at once. It fails in a process
    // that leads a group, which has one of its own.
    let _ = rustix::process::setsid();
    let Ok(caller) = Caller::take() else { return ExitCode::from(125) };
    let console = Console::taking_notes(global);
    let ended = caller.request().and_then(|request| run(request, global, &caller, &console));
    caller.send(&match ended {
        Ok((exit, elapsed_ms)) => {
            CommandMessage::Ended(CommandEnded { exit, elapsed_ms, notes: notes(&console) })
        }
        Err(failure) if failure.kind == ErrorKind::Unsupported => {
            let advice = "Nothing was run: `greenroom doctor` says what the user can change.";
            CommandMessage::Failed { reason: failure.advise(advice).sentences() }
        }
        Err(failure) => CommandMessage::Failed { reason: failure.sentences() },
    });
    ExitCode::SUCCESS
}

fn run(
    request: CommandRequest,
    global: &Global,
    caller: &Caller,
    console: &Console,
) -> Result<(CommandExit, u64), Failure> {
    let CommandRequest { session, command, environment, directory } = request;
    let location = Location::find(global)?;
    let mut settings = settings(global, &location)?;
    settings.options.wait_observer = WaitObserver::default();
    let masks = masks(&location)?;
    let command: Vec<OsString> = command.into_iter().map(OsString::from).collect();
    let environment: Vec<_> =
        environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    // An agent is never less confined than this.
    let arguments = ConfineArgs { confine: true, is_tool: true, ..ConfineArgs::default() };
    let confine = confine(&command, &arguments, &settings, &location, &masks)?;
    remark_scopes(console);
    let owner = DiskOwner::open(settings.options.clone())?;
    let session = owner.find_session(&session)?;
    // It has to be open.
    owner.session_view(session.id)?;
    let capture = SessionCapture::of(&owner, session.id);
    let command = SessionCommand {
        program: Program { command: &command, environment: &environment },
        directory: location.root.join(directory),
        masks,
        confine,
        view: ViewKind::Auto,
        unguarded: Unguarded::Refused,
        propose_ignored: &[],
        caller: Some(caller),
    };
    let Ended { exit, took, report } =
        command.run(console, &owner, &capture, session.id, &location, &settings)?;
    match report {
        Ok(report) => {
            report_rest(console, &report);
            // The command has run, whatever is known of its patches.
            let named = owner
                .select(&[Selector::Session(session.id)])
                .map_err(Failure::from)
                .and_then(|found| remark_ignored(console, &capture, &found.patches));
            if let Err(failure) = named {
                console.warn(&failure.sentences());
            }
        }
        Err(failure) if failure.kind == ErrorKind::Closed => {
            console.warn("the session was closed: what the command wrote since is not staged");
        }
        Err(failure) => {
            let reason = failure.sentences();
            console.warn(&format!("what the command wrote is kept, and not staged yet: {reason}"));
        }
    }
    let exit = match exit {
        Exit::Code(code) => CommandExit::Code(code),
        Exit::Signal(number) => CommandExit::Signal(number),
    };
    Ok((exit, u64::try_from(took.as_millis()).unwrap_or(u64::MAX)))
}

/// The remarks for the agent.
fn notes(console: &Console) -> Vec<String> {
    let mut notes = console.take_notes();
    let more = notes.len().saturating_sub(NOTES_MAX);
    notes.truncate(NOTES_MAX);
    notes.extend((more > 0).then(|| format!("and {more} more remarks")));
    // Names of files are among it.
    notes.iter().map(|note| escape_for_display(note).into_owned()).collect()
}
