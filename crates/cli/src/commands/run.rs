//! `run`: runs a command in a view of the workspace, and stages what it writes there.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use capture::{
    Bytes, CaptureError, Confined, Plan, PrivateFiles, Report, Rules, SessionCapture, Survey, View,
};
use staging_core::{
    CaptureDir, DiskOwner, ErrorKind, Operation, Patch, Session, SessionId, set_signature,
};

use super::attend::Attendant;
use super::confine::{confine, remark_scopes};
use super::ignored::{general_rules, tracked};
use super::imported::{failure_of, report_rest};
use super::layer_watch::check_layer;
use super::make_view::{Wanted, make_view};
use super::options::settings;
use super::view::{Copies, current, in_view, is_foreign, keeper, masks, settle};
use super::working_copy::{Unguarded, join_copy, report_differences};
use crate::args::{Global, Run, ViewKind};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::private_commits::PrivateCommits;

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

/// With more files of other users and groups than this, the command gets a copy of the workspace.
const FOREIGN_MAX: usize = 10;

/// Runs the command. The answer is its exit code, or 125 when Greenroom failed before it began.
pub(crate) fn run(run: &Run, global: &Global, console: &Console) -> Result<ExitCode, Failure> {
    let location = Location::find(global)?;
    let settings = settings(global, &location)?;
    let (masks, directory) = (masks(&location)?, current()?);
    let confine = confine(&run.command, &run.confine, &settings, &location, &masks)?;
    if confine.is_some() {
        remark_scopes(console);
    }
    let mut options = settings.options;
    options.owns_sessions = true;
    let owner = DiskOwner::open(options)?;
    super::import_first(&owner, console, false);
    let session = owner.open_session(&label(run))?;
    let capture = SessionCapture::of(&owner, session.id);
    check_layer(&capture, session.id, settings.layer_bytes_max)?;
    let plan = Plan {
        workspace: location.root.clone().into(),
        copy: None,
        upper: capture.dir().upper().into(),
        work: capture.dir().work().into(),
        layer: None,
        masks,
        inside: session.id.to_string(),
        directory: directory.into(),
        git: Vec::new(),
        confine,
    };
    let unguarded = unguarded(run);
    let start = || {
        let view = match join(console, &capture, session.id, &plan, run)? {
            Some(view) => view,
            None => {
                let globs = settings.propose_ignored.iter().chain(&run.propose_ignored);
                let rules = Rules {
                    general: general_rules(&location.root),
                    tracked: tracked(console, &location.root),
                    proposed: globs.map(|glob| Bytes(glob.clone().into_bytes())).collect(),
                    ..Rules::default()
                };
                let beginning = capture.prepare(rules).map_err(failure_of)?;
                let surveyed = beginning.surveyed;
                let is_foreign = surveyed.foreign.len() > FOREIGN_MAX || is_foreign(&location.root);
                let is_copied = run.view == ViewKind::Copy || is_foreign;
                remark_survey(console, &surveyed, is_copied);
                let plan = Plan {
                    layer: beginning.layer.map(Into::into),
                    git: capture.hold_git(&surveyed).map_err(failure_of)?,
                    ..plan
                };
                let wanted = Wanted { kind: run.view, is_foreign, unguarded };
                make_view(console, plan, wanted, &capture)?
            }
        };
        capture.record(view.identity()).map_err(failure_of)?;
        Ok(view)
    };
    let mut attendant =
        Attendant::new(console, &owner, &capture, session.id, settings.layer_bytes_max);
    let ended = in_view(start, &run.command, Some(&mut attendant), |view| {
        let is_over = settle(console, view);
        let report = capture.import().map_err(failure_of);
        if view.identity().mark.is_some() {
            let differences = capture.differences().map_err(failure_of)?;
            report_differences(console, unguarded, &differences);
        }
        if is_over {
            capture.record_end(view.identity()).map_err(failure_of)?;
        }
        report
    });
    let private = capture.private_files().map_err(failure_of)?;
    if let Err(error) = capture.measure() {
        tracing::warn!(%error, "what the session holds is not measured");
    }
    let done = ended.and_then(|(exit, mut report)| {
        if let Ok(report) = &mut report {
            attendant.complete(report);
        }
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

fn unguarded(run: &Run) -> Unguarded {
    if run.unguarded { Unguarded::Allowed } else { Unguarded::Refused }
}

/// Joins the view or the working copy of a command of the session that runs; none if there is none.
fn join(
    console: &Console,
    capture: &SessionCapture<'_>,
    session: SessionId,
    plan: &Plan,
    run: &Run,
) -> Result<Option<View>, Failure> {
    let Some(identity) = capture.live_view().map_err(failure_of)? else { return Ok(None) };
    check_globs(capture, &run.propose_ignored)?;
    if let Some(mark) = identity.mark {
        let git = capture.git_outside().map_err(failure_of)?;
        let view = join_copy(console, plan, git, unguarded(run), capture.dir(), mark)?;
        console.remark(&format!("{session}: joins the copy of its other command"));
        return Ok(Some(view));
    }
    check_joined(identity.confined, Confined::of(plan.confine.as_ref()))?;
    // Its keeper may just be ending.
    let joined = View::join(identity, plan.workspace.clone(), plan.directory.clone(), keeper());
    Ok(joined.ok().inspect(|_| {
        console.remark(&format!("{session}: joins the view of its other command"));
    }))
}

impl Copies for SessionCapture<'_> {
    fn dir(&self) -> &CaptureDir {
        SessionCapture::dir(self)
    }

    fn copy_workspace(&self) -> Result<Vec<String>, CaptureError> {
        SessionCapture::copy_workspace(self)
    }

    fn renew_working_copy(&self) -> Result<Vec<String>, CaptureError> {
        SessionCapture::renew_working_copy(self)
    }

    fn is_bound_to_working_copy(&self) -> bool {
        SessionCapture::dir(self).has_working_copy()
    }
}

/// A command that is to be confined cannot join a view that is less so.
fn check_joined(view: Confined, wanted: Confined) -> Result<(), Failure> {
    if view >= wanted {
        return Ok(());
    }
    let missing = match wanted {
        Confined::FilesAndNetwork => "--no-network",
        Confined::Files | Confined::Not => "--confine",
    };
    let message = format!("the other command of this session runs without `{missing}`");
    Err(Failure::new(ErrorKind::Busy, message)
        .advise("Wait for its end, or give this command another session.")
        .exits_with(125))
}

/// A view shows what was recorded before it was made: no other ignored files can be proposed from it.
fn check_globs(capture: &SessionCapture<'_>, wanted: &[String]) -> Result<(), Failure> {
    let known = capture.proposed_globs().map_err(failure_of)?;
    let Some(missing) = wanted.iter().find(|glob| !known.contains(glob)) else { return Ok(()) };
    let message =
        format!("the other command of this session runs without `--propose-ignored {missing}`");
    Err(Failure::new(ErrorKind::Busy, message)
        .advise(
            "Wait for its end, give this command another session, or take single files: `greenroom \
             propose PATH --from-session SESSION`.",
        )
        .exits_with(125))
}

/// What a command in the view cannot change, unless it gets a copy, or what of it is not seen.
fn remark_survey(console: &Console, surveyed: &Survey, is_copied: bool) {
    for unreadable in surveyed.unreadable.iter().take(NAMED_MAX) {
        let unreadable = staging_core::escape_bytes(unreadable);
        console.remark(&format!("`{unreadable}` cannot be read: changes in it are not seen"));
    }
    if let Some(foreign) = surveyed.foreign.first().filter(|_| !is_copied) {
        let first = staging_core::escape_bytes(foreign);
        let more = match surveyed.foreign.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        console.remark(&format!(
            "of another user or group, so that the command cannot write it: `{first}`{more}"
        ));
    }
}

/// Names the ignored files that are pending because the user wants them proposed.
fn remark_ignored(
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
