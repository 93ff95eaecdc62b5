//! `run`: runs a command in a view of the workspace, and stages what it writes there.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use capture::{PrivateFiles, Report, SessionCapture};
use staging_core::{DiskOwner, ErrorKind, Operation, Patch, Session, set_signature};

use super::confine::{confine, remark_scopes};
use super::imported::{failure_of, report_rest};
use super::options::settings;
use super::session_command::{Ended, SessionCommand};
use super::view::{Program, current, masks};
use super::working_copy::Unguarded;
use crate::args::{Global, Run};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::private_commits::PrivateCommits;

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

/// Runs the command. The answer is its exit code, or 125 when Greenroom failed before it began.
pub(crate) fn run(run: &Run, global: &Global, console: &Console) -> Result<ExitCode, Failure> {
    let location = Location::find(global)?;
    let settings = settings(global, &location)?;
    let (masks, directory) = (masks(&location)?, current()?);
    let confine = confine(&run.command, &run.confine, &settings, &location, &masks)?;
    if confine.is_some() {
        remark_scopes(console);
    }
    let mut options = settings.options.clone();
    options.owns_sessions = true;
    let owner = DiskOwner::open(options)?;
    super::import_first(&owner, console, false);
    let session = owner.open_session(&label(run))?;
    let capture = SessionCapture::of(&owner, session.id);
    let command = SessionCommand {
        program: Program::new(&run.command),
        directory,
        masks,
        confine,
        view: run.view.kind,
        unguarded: if run.view.unguarded { Unguarded::Allowed } else { Unguarded::Refused },
        propose_ignored: &run.propose_ignored,
        caller: None,
    };
    let ended = command.run(console, &owner, &capture, session.id, &location, &settings);
    let private = capture.private_files().map_err(failure_of)?;
    let done = ended.and_then(|Ended { exit, report, .. }| {
        summarise(console, &owner, &session, report, &private)?;
        Ok(ExitCode::from(exit.code()))
    });
    // A session that nobody has named and that has nothing is of no use.
    let has_nothing = run.session.is_none()
        && private == PrivateFiles::default()
        && capture.import().is_ok()
        && capture.processes().map_err(failure_of)?.is_empty();
    if has_nothing && owner.close_unused_session(session.id)? {
        capture.remove_ended().map_err(failure_of)?;
    }
    done
}

/// Names the ignored files that are pending because the user wants them proposed.
pub(super) fn remark_ignored(
    console: &Console,
    capture: &SessionCapture<'_>,
    patches: &[Patch],
) -> Result<(), Failure> {
    let paths = patches.iter().map(|patch| patch.rename_to.as_ref().unwrap_or(&patch.path));
    let ignored = capture.ignored_among(paths).map_err(failure_of)?;
    let named: Vec<String> = ignored.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if !named.is_empty() {
        let more = match ignored.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        console.remark(&format!("ignored, but proposed by your globs: {}{more}", named.join(", ")));
    }
    Ok(())
}

fn label(run: &Run) -> String {
    run.session.clone().unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("run-{}-{}", std::process::id(), since.as_millis())
    })
}

/// Reports on standard error what is staged; standard output belongs to the command.
fn summarise(
    console: &Console,
    owner: &DiskOwner,
    session: &Session,
    report: Result<Report, Failure>,
    private: &PrivateFiles,
) -> Result<(), Failure> {
    let report = match report {
        Ok(report) => report,
        Err(failure) => {
            console.warn(failure.to_text(None).trim_end());
            console.warn(if failure.kind == ErrorKind::Closed {
                "what the command wrote since is not staged"
            } else {
                "what the command wrote is kept: the next `greenroom` command stages it"
            });
            return Ok(());
        }
    };
    let status = owner.status()?;
    let pending = status.sessions.iter().find(|found| found.session.id == session.id);
    let patches = pending.map(|found| found.patches.as_slice()).unwrap_or_default();
    let id = session.id;
    if patches.is_empty() {
        console.remark(&format!("{id}: nothing is pending"));
    } else {
        let count = |operation| patches.iter().filter(|patch| patch.operation == operation).count();
        use Operation::{Create, Delete, Mode, Modify, Rename};
        let counts: Vec<String> = [Create, Modify, Delete, Rename, Mode]
            .iter()
            .map(|operation| (count(*operation), operation.as_str()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, operation)| format!("{count} {operation}"))
            .collect();
        console.remark(&format!(
            "{id}: {} pending ({}), signature {}",
            super::text::count(patches.len(), "patch", "patches"),
            counts.join(", "),
            set_signature(patches)
        ));
    }
    report_rest(console, &report);
    let capture = SessionCapture::of(owner, id);
    remark_ignored(console, &capture, patches)?;
    if private.files > 0 {
        let changed = match private.changed.as_slice() {
            [] => String::new(),
            changed => format!("; changed: {}", changed.join(", ")),
        };
        console.remark(&format!(
            "{} ignored files ({} bytes) stay in the session{changed}",
            private.files, private.bytes
        ));
    }
    if private.git {
        console.remark("changes in .git stay in the session: commits are not proposed, files are");
        match PrivateCommits::find(&capture, &owner.options().workspace) {
            Ok(found) if !found.commits.is_empty() => {
                let number = super::text::count(found.commits.len(), "commit", "commits");
                console.remark(&format!(
                    "{number} in the session: `greenroom session commits {id} --output FILE` writes \
                     a bundle"
                ));
            }
            Ok(_) => {}
            Err(failure) => tracing::warn!(error = failure.message, "commits are not counted"),
        }
    }
    if !patches.is_empty() {
        console.remark(&format!("review with `greenroom diff {id}`"));
    }
    Ok(())
}
