//! A command in a view of the workspace, whose writes are staged in a session.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use capture::{
    Bytes, CaptureError, Confine, Confined, Exit, Foreground, Plan, Report, Rules, SessionCapture,
    Step, Survey, View,
};
use staging_core::{CaptureDir, DiskOwner, ErrorKind, SessionId};

use super::attend::Attendant;
use super::caller::Caller;
use super::ignored::{Tracked, general_rules};
use super::imported::failure_of;
use super::layer_watch::check_layer;
use super::make_view::{Wanted, make_view};
use super::view::{
    Copies, Program, check_uninterrupted, in_view, is_foreign, keeper, no_view, settle,
};
use super::working_copy::{Unguarded, join_copy, report_differences};
use crate::args::ViewKind;
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::settings::Settings;

/// How many paths a remark names.
const NAMED_MAX: usize = 10;

/// With more files of other users and groups than this, the command gets a copy of the workspace.
const FOREIGN_MAX: usize = 10;

/// How long another process's command waits for one that is just beginning or ending, and how often it
/// tries.
const BEGIN_WAIT: Duration = Duration::from_secs(5);
const BEGIN_AGAIN: Duration = Duration::from_millis(50);

/// What is run, and in which view.
pub(super) struct SessionCommand<'a> {
    pub(super) program: Program<'a>,
    /// Where it starts.
    pub(super) directory: PathBuf,
    pub(super) masks: Vec<OsString>,
    pub(super) confine: Option<Confine>,
    pub(super) view: ViewKind,
    pub(super) unguarded: Unguarded,
    /// Globs beside those of the configuration.
    pub(super) propose_ignored: &'a [String],
    /// Who asked for it, if that is another process: it can call the command off.
    pub(super) caller: Option<&'a Caller>,
}

/// How a command has ended.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) took: Duration,
    /// What is staged, or why it is not.
    pub(super) report: Result<Report, Failure>,
}

impl SessionCommand<'_> {
    /// Runs the command to its end, and stages what it wrote. It joins the view of a command of the session
    /// that runs.
    pub(super) fn run(
        self,
        console: &Console,
        owner: &DiskOwner,
        capture: &SessionCapture<'_>,
        session: SessionId,
        location: &Location,
        settings: &Settings,
    ) -> Result<Ended, Failure> {
        check_layer(capture, session, settings.layer_bytes_max)?;
        let plan = Plan {
            workspace: location.root.clone().into(),
            copy: None,
            upper: capture.dir().upper().into(),
            work: capture.dir().work().into(),
            layer: None,
            masks: self.masks.clone(),
            inside: session.to_string(),
            directory: self.directory.clone().into(),
            git: Vec::new(),
            confine: self.confine.clone(),
        };
        let start = |foreground: &Foreground| {
            let _alone = self.begin_alone(capture, foreground)?;
            let view = self.begin(console, capture, session, location, settings, &plan)?;
            self.check_called_off()?;
            capture.record(view.identity()).map_err(failure_of)?;
            Ok(view)
        };
        let (begun, took) = (Cell::new(Instant::now()), Cell::new(Duration::ZERO));
        let start =
            |foreground: &Foreground| start(foreground).inspect(|_| begun.set(Instant::now()));
        let limit = settings.layer_bytes_max;
        let mut attendant = Attendant::new(console, owner, capture, session, limit, self.caller);
        let ended = in_view(start, self.program, Some(&mut attendant), |view| {
            took.set(begun.get().elapsed());
            let is_over = settle(console, view);
            let report = capture.import().map_err(failure_of);
            // What is staged is reported, whatever else fails.
            if view.identity().mark.is_some() {
                match capture.differences().map_err(failure_of) {
                    Ok(found) => report_differences(console, self.unguarded, &found),
                    Err(failure) => console.warn(&format!(
                        "whether the command changed the workspace itself is not known: {}",
                        failure.message
                    )),
                }
            }
            if is_over && let Err(error) = capture.record_end(view.identity()) {
                tracing::warn!(%error, "the end of the view is not recorded");
            }
            report
        });
        if let Err(error) = capture.measure() {
            tracing::warn!(%error, "what the session holds is not measured");
        }
        let (exit, mut report) = ended?;
        if let Ok(report) = &mut report {
            attendant.complete(report);
        }
        Ok(Ended { exit, took: took.get(), report })
    }

    /// Waits until no other command makes a view of the session, or the command is called off.
    fn begin_alone(
        &self,
        capture: &SessionCapture<'_>,
        foreground: &Foreground,
    ) -> Result<File, Failure> {
        loop {
            if let Some(alone) = capture.try_begin_alone().map_err(failure_of)? {
                return Ok(alone);
            }
            self.check_called_off()?;
            check_uninterrupted(foreground)?;
            std::thread::sleep(BEGIN_AGAIN);
        }
    }

    fn check_called_off(&self) -> Result<(), Failure> {
        match self.caller.is_some_and(Caller::has_gone) {
            true => Err(Failure::new(ErrorKind::Usage, "the command was called off")),
            false => Ok(()),
        }
    }

    /// Joins the view of another command, or makes one. For a caller it tries again for a while: a program
    /// cannot tell that this helps while another command begins or ends.
    fn begin(
        &self,
        console: &Console,
        capture: &SessionCapture<'_>,
        session: SessionId,
        location: &Location,
        settings: &Settings,
        plan: &Plan,
    ) -> Result<View, Failure> {
        let until = Instant::now() + self.caller.map_or(Duration::ZERO, |_| BEGIN_WAIT);
        loop {
            if let Some(view) = self.join(console, capture, session, plan)? {
                return Ok(view);
            }
            match self.make(console, capture, location, settings, plan.clone()) {
                Err(failure)
                    if failure.kind == ErrorKind::Busy
                        && Instant::now() < until
                        && !self.caller.is_some_and(Caller::has_gone) =>
                {
                    std::thread::sleep(BEGIN_AGAIN);
                }
                made => return made,
            }
        }
    }

    /// Makes a view, which begins with what is pending in the session.
    fn make(
        &self,
        console: &Console,
        capture: &SessionCapture<'_>,
        location: &Location,
        settings: &Settings,
        plan: Plan,
    ) -> Result<View, Failure> {
        let tracked = Tracked::ask(&location.root);
        let globs = settings.propose_ignored.iter().chain(self.propose_ignored);
        let rules = Rules {
            general: general_rules(&location.root),
            proposed: globs.map(|glob| Bytes(glob.clone().into_bytes())).collect(),
            ..Rules::default()
        };
        let beginning = capture.prepare(rules, || tracked.finish(console)).map_err(failure_of)?;
        let surveyed = beginning.surveyed;
        let is_foreign = surveyed.foreign.len() > FOREIGN_MAX || is_foreign(&location.root);
        remark_survey(console, &surveyed, self.view == ViewKind::Copy || is_foreign);
        let plan = Plan {
            layer: beginning.layer.map(Into::into),
            git: capture.hold_git(&surveyed).map_err(failure_of)?,
            ..plan
        };
        let wanted = Wanted { kind: self.view, is_foreign, unguarded: self.unguarded };
        make_view(console, plan, wanted, capture)
    }

    /// Joins the view or the working copy of a command of the session that runs; none if there is none.
    fn join(
        &self,
        console: &Console,
        capture: &SessionCapture<'_>,
        session: SessionId,
        plan: &Plan,
    ) -> Result<Option<View>, Failure> {
        let Some(identity) = capture.live_view().map_err(failure_of)? else { return Ok(None) };
        check_globs(capture, self.propose_ignored)?;
        if let Some(mark) = identity.mark {
            let git = capture.git_outside().map_err(failure_of)?;
            let view = join_copy(console, plan, git, self.unguarded, capture.dir(), mark)?;
            console.remark(&format!("{session}: joins the copy of its other command"));
            return Ok(Some(view));
        }
        check_joined(identity.confined, Confined::of(plan.confine.as_ref()))?;
        if self.caller.is_some() && !identity.for_tool {
            let message =
                "the other command of this session may write more than a command of a tool";
            return Err(Failure::new(ErrorKind::Busy, message)
                .advise("Wait for its end, or use another session.")
                .exits_with(125));
        }
        match View::join(identity, plan.workspace.clone(), plan.directory.clone(), keeper()) {
            Ok(view) => {
                console.remark(&format!("{session}: joins the view of its other command"));
                Ok(Some(view))
            }
            Err(failure) if failure.step == Step::Directory => Err(no_view(failure)),
            // Its keeper may just be ending.
            Err(_) => Ok(None),
        }
    }
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
