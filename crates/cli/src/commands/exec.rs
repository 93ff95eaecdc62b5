//! `exec`: runs a command on the workspace with pending patches applied, and throws its writes away.

use std::process::ExitCode;
use std::time::Instant;

use capture::{Exit, Foreground, Plan, Trial};
use staging_core::{DiskOwner, StagingError, Timestamp};

use super::options::options;
use super::run::{current, failure_of, general_rules, masks, settle, tracked, within_view};
use super::text::count;
use crate::args::{Exec, Global};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::trials::{Result as TrialResult, Trials};

/// How many dropped paths are named.
const NAMED_MAX: usize = 5;

/// Runs the command. The answer is its exit code, 3 when a patch is stale, or 125 when Greenroom failed
/// before it began.
pub(crate) fn exec(exec: &Exec, global: &Global, console: &Console) -> Result<ExitCode, Failure> {
    let location = Location::find(global)?;
    let options = options(global, &location)?;
    let (masks, directory) = (masks(&location)?, current()?);
    let owner = DiskOwner::open(options)?;
    super::import_captures(&owner, console);
    let selection = owner.select(&exec.ids)?;
    if !selection.stale.is_empty() {
        let failure = Failure::from(StagingError::Stale { patches: selection.stale });
        return Err(failure.exits_with(3));
    }
    if selection.patches.is_empty() {
        return Err(StagingError::NothingPending.into());
    }
    let (general, tracked) = (general_rules(&location.root), tracked(&location.root));
    let trial = Trial::prepare(&owner, &selection.patches, general, tracked).map_err(failure_of)?;
    let plan = Plan {
        workspace: location.root.clone().into(),
        upper: trial.dir().upper().into(),
        work: trial.dir().work().into(),
        layer: Some(trial.dir().layer().into()),
        masks,
        inside: "trial".to_owned(),
        directory: directory.into(),
    };
    let foreground =
        Foreground::take().map_err(|source| Failure::io("cannot take signals", &source))?;
    let begun = Instant::now();
    let ended = within_view(
        &plan,
        &exec.command,
        &foreground,
        |_| Ok(()),
        |view| {
            settle(console, view);
        },
    );
    if let Err(error) = foreground.restore() {
        tracing::debug!(%error, "the terminal stays as the command left it");
    }
    let (exit, ()) = ended?;
    let result = TrialResult {
        signature: selection.signature,
        command: words(&exec.command),
        code: Exit::code(exit),
        at: Timestamp::now(),
        took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let dropped = trial.drop_outputs().map_err(failure_of)?;
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

fn words(command: &[std::ffi::OsString]) -> String {
    let words = command.iter().map(|word| word.to_string_lossy());
    staging_core::escape_for_display(&words.collect::<Vec<_>>().join(" ")).into_owned()
}
