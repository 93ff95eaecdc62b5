//! `exec`: runs a command on the workspace with pending patches applied, and throws its writes away.

use std::process::ExitCode;
use std::time::Instant;

use capture::{CaptureError, Exit, Plan, Trial, View};
use staging_core::{
    ApplyRequest, CaptureDir, DiskOwner, ErrorKind, Selection, Selector, Timestamp,
};

use super::confine::{confine, remark_scopes};
use super::ignored::{general_rules, tracked};
use super::imported::failure_of;
use super::make_view::{Wanted, make_view};
use super::options::settings;
use super::text::count;
use super::view::{Copies, Program, current, in_view, is_foreign, masks, settle};
use super::working_copy::{Unguarded, report_differences};
use crate::args::{Exec, Global};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::selection::resolve_words;
use crate::trials::{TrialResult, Trials};

/// How many dropped paths are named.
const NAMED_MAX: usize = 5;

/// Runs the command. The answer is its exit code, 3 when a patch is stale or in conflict, or 125 when
/// Greenroom failed before it began.
pub(crate) fn exec(exec: &Exec, global: &Global, console: &Console) -> Result<ExitCode, Failure> {
    let location = Location::find(global)?;
    let settings = settings(global, &location)?;
    let (masks, directory) = (masks(&location)?, current()?);
    let confine = confine(&exec.command, &exec.confine, &settings, &location, &masks)?;
    if confine.is_some() {
        remark_scopes(console);
    }
    let options = settings.options;
    let owner = DiskOwner::open(options)?;
    super::import_first(&owner, console, false);
    let ids = resolve_words(&exec.selection, &owner, &location)?;
    let selection = check(&owner, &ids, exec.rest)?;
    let (general, tracked) = (general_rules(&location.root), tracked(console, &location.root));
    let waiting = || console.remark("waiting for another `exec` of this workspace");
    let trial = Trial::prepare(&owner, &selection.patches, general, tracked, waiting);
    let trial = trial.map_err(failure_of)?;
    let plan = Plan {
        workspace: location.root.clone().into(),
        copy: None,
        upper: trial.dir().upper().into(),
        work: trial.dir().work().into(),
        layer: Some(trial.dir().layer().into()),
        masks,
        inside: "trial".to_owned(),
        directory: directory.into(),
        git: trial.hold_git().map_err(failure_of)?,
        confine,
    };
    let begun = Instant::now();
    let unguarded = if exec.view.unguarded { Unguarded::Allowed } else { Unguarded::Refused };
    let is_foreign = is_foreign(&location.root);
    let start = |_: &_| {
        let wanted = Wanted { kind: exec.view.kind, is_foreign, unguarded };
        let view = make_view(console, plan, wanted, &trial)?;
        trial.record(view.identity()).map_err(failure_of)?;
        Ok(view)
    };
    let end = |view: &mut View| (settle(console, view), view.identity().mark.is_some());
    let (exit, (is_over, is_in_copy)) = in_view(start, Program::new(&exec.command), None, end)?;
    if is_in_copy {
        let differences = trial.differences().map_err(failure_of)?;
        report_differences(console, unguarded, &differences);
    }
    if is_over {
        trial.record_end().map_err(failure_of)?;
    }
    let result = TrialResult {
        signature: selection.signature,
        command: words(&exec.command),
        code: Exit::code(exit),
        at: Timestamp::now(),
        took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let dropped = if is_in_copy { trial.outputs_of_working_copy() } else { trial.drop_outputs() };
    let dropped = dropped.map_err(failure_of)?;
    if !dropped.is_empty() {
        let named: Vec<&str> = dropped.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = if dropped.len() > NAMED_MAX { " …" } else { "" };
        console.remark(&format!(
            "dropped {} that the command changed: {}{more}",
            count(dropped.len(), "file", "files"),
            named.join(", ")
        ));
    }
    console.remark(&format!(
        "{} on {}, signature {}",
        result.sentence(),
        count(selection.patches.len(), "patch", "patches"),
        selection.signature
    ));
    Trials::add(trial.dir(), result)?;
    Ok(ExitCode::from(exit.code()))
}

impl Copies for Trial<'_> {
    fn dir(&self) -> &CaptureDir {
        Trial::dir(self)
    }

    fn copy_workspace(&self) -> Result<Vec<String>, CaptureError> {
        Trial::copy_workspace(self)
    }

    fn renew_working_copy(&self) -> Result<Vec<String>, CaptureError> {
        Trial::renew_working_copy(self)
    }

    /// What is in it are outputs, which can be made again.
    fn is_bound_to_working_copy(&self) -> bool {
        false
    }
}

/// The patches to apply, which have to be a set that could be applied.
fn check(owner: &DiskOwner, ids: &[Selector], rest: bool) -> Result<Selection, Failure> {
    let request = ApplyRequest {
        ids: ids.to_vec(),
        rest,
        // Its diff does not matter to a command.
        confirm_full_replace: true,
        dry_run: true,
        ..ApplyRequest::default()
    };
    let checked = owner.apply(&request).and_then(|_| owner.select(ids));
    checked.map_err(|error| {
        let failure = Failure::from(error);
        match failure.kind {
            ErrorKind::Stale | ErrorKind::Conflict => failure.exits_with(3),
            _ => failure,
        }
    })
}

fn words(command: &[std::ffi::OsString]) -> String {
    let words = command.iter().map(|word| word.to_string_lossy());
    staging_core::escape_for_display(&words.collect::<Vec<_>>().join(" ")).into_owned()
}
