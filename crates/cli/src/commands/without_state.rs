//! What commands answer in a workspace without a state, which they do not create.

use std::thread;
use std::time::Duration;

use staging_core::{
    LogCheck, RecoverReport, StagingError, Status, Summary, SweepPreview, SweepReport,
    set_signature,
};

use super::{applies, diff, discard, gc, log, recover, session, short, show, staged, status};
use crate::args::{Command, Global, LogSelector, Session};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;
use crate::selection::check_unknown;
use crate::trials::Trials;

/// How often `watch` looks whether something was staged.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Answers a command that makes no state.
pub(super) fn answer(
    command: &Command,
    location: &Location,
    console: &Console,
) -> Result<(), Failure> {
    let root = shown(&location.root);
    match respond(command, location, console) {
        Ok(()) => {
            console.remark(&format!("nothing was staged in `{root}` yet"));
            if let Some(note) = location.note_of_work_above() {
                console.remark(&note);
            }
            Ok(())
        }
        Err(failure) if failure.is_closed_pipe => Err(failure),
        Err(failure) => Err(failure.advise(format!(
            "Nothing was staged in `{root}` yet; --workspace names another directory."
        ))),
    }
}

fn respond(command: &Command, location: &Location, console: &Console) -> Result<(), Failure> {
    match command {
        Command::Overview => short::print_overview(console, &Summary::default()),
        Command::Status { .. } => status::print_status(
            console,
            &location.root,
            &nothing_pending(),
            &Trials::default(),
            &[],
        ),
        Command::Diff(diff) => {
            check_unknown(&diff.selection, location)?;
            diff::print_empty_diff(console)
        }
        Command::Show { selection } => {
            if let Some(apply) = selection.apply() {
                return Err(StagingError::ApplyNotFound { apply }.into());
            }
            check_unknown(selection, location)?;
            show::print_none(console)
        }
        Command::Review(review) => {
            check_unknown(&review.selection, location)?;
            Err(StagingError::NothingPending.into())
        }
        Command::Edit(edit) => {
            check_unknown(&edit.selection, location)?;
            Err(StagingError::NothingPending.into())
        }
        Command::Cat { session, .. } => Err(unknown_session(session)),
        Command::Apply(apply) => {
            check_unknown(&apply.selection, location)?;
            Err(StagingError::NothingPending.into())
        }
        Command::Discard { selection, .. } => {
            check_unknown(selection, location)?;
            discard::print_discarded(console, &[])
        }
        Command::Undo(undo) => match undo.apply() {
            Some(apply) => {
                let reason = "there is no such apply".to_owned();
                Err(StagingError::NotUndoable { apply, reason }.into())
            }
            None => Err(StagingError::NothingToUndo.into()),
        },
        Command::Redo { apply: Some(apply), .. } => {
            let reason = "there is no such apply".to_owned();
            Err(StagingError::NotRedoable { apply: *apply, reason }.into())
        }
        Command::Redo { apply: None, .. } => Err(StagingError::NothingToRedo.into()),
        Command::Applies { .. } => applies::print(console, &[]),
        Command::Log { verify: false, of, .. } => {
            let unknown = of.iter().find_map(|of| match of {
                LogSelector::Session(session) => Some(session),
                _ => None,
            });
            match unknown {
                Some(session) => Err(unknown_session(session)),
                None => log::print_no_events(console),
            }
        }
        Command::Log { verify: true, .. } => {
            let head = "0".repeat(64);
            log::print_check(console, &LogCheck { events: 0, head, broken_at: None })
        }
        Command::Session(Session::List { .. }) => session::print(console, &[], 0),
        Command::Session(Session::Close { session, .. }) => Err(unknown_session(session)),
        Command::Session(Session::Commits(commits)) => Err(unknown_session(&commits.session)),
        Command::Recover(recover) => match recover.acknowledge {
            Some(apply) => Err(Failure::usage(format!("{apply} is not in doubt"))),
            None => recover::print(console, &RecoverReport::default()),
        },
        Command::Refresh { selection } => {
            check_unknown(selection, location)?;
            staged::print_staged(console, None, &[], &[])
        }
        Command::Gc { dry_run: false } => gc::print_sweep(console, &SweepReport::default()),
        Command::Gc { dry_run: true } => gc::print_preview(console, &SweepPreview::default()),
        // They make a state, open none, or wait for one.
        Command::Propose(_)
        | Command::Plugin(_)
        | Command::Watch(_)
        | Command::Doctor
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Schema { .. }
        | Command::Mcp { .. }
        | Command::Serve
        | Command::Host
        | Command::Hook(_)
        | Command::Run(_)
        | Command::Exec(_)
        | Command::Init(_) => Ok(()),
    }
}

/// Waits until something was staged, here or in a directory above that has a state then.
pub(super) fn wait(
    global: &Global,
    location: Location,
    console: &Console,
) -> Result<Location, Failure> {
    console.remark(&format!(
        "nothing was staged in `{}` yet: waiting for the first patch",
        shown(&location.root)
    ));
    let mut location = location;
    while !location.has_state() {
        thread::sleep(LOOK_EVERY);
        location = Location::find(global)?;
    }
    Ok(location)
}

fn nothing_pending() -> Status {
    Status {
        sessions: Vec::new(),
        signature: set_signature(&[]),
        stale: Vec::new(),
        contested: Vec::new(),
        needs_recovery: false,
        open_journals: Vec::new(),
        in_doubt: Vec::new(),
        quarantined: Vec::new(),
        kept: Vec::new(),
    }
}

fn unknown_session(name: &str) -> Failure {
    StagingError::SessionNotFound { name: name.to_owned() }.into()
}
