//! `recover`: what a dead process left, here or in every workspace.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;
use staging_core::{
    ApplyId, DiskOwner, ErrorKind, Finding, Health, InDoubtApply, KnownState, RecoverReport,
    StagingOptions, known_states,
};

use super::context::Context;
use super::options::defaults;
use super::text::{count, names};
use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;
use crate::json::RecoverView;
use crate::location::{Location, states_of};
use crate::paths::shown;
use crate::recovery;
use crate::settings::Settings;

pub(super) fn recover(context: &Context<'_>, acknowledged: Option<ApplyId>) -> Result<(), Failure> {
    let report = match acknowledged {
        Some(apply) => context.layer.acknowledge(apply)?,
        None => context.layer.recover()?,
    };
    print(context.console, &report)?;
    // Also what no recovery speaks of any more, because it is no news.
    match context.layer.in_doubt()?.first() {
        None => Ok(()),
        Some(InDoubtApply { apply, .. }) => {
            Err(Failure::new(ErrorKind::InDoubt, format!("{apply} is in doubt"))
                .advise(recovery::acknowledging(*apply))
                .in_the_object())
        }
    }
}

pub(super) fn print(console: &Console, report: &RecoverReport) -> Result<(), Failure> {
    if console.json {
        return console.object(RecoverView::from(report));
    }
    if console.is_quiet && !recovery::needs_a_person(report) {
        return Ok(());
    }
    console.text(&text(report, console.is_verbose))
}

fn text(report: &RecoverReport, names_all: bool) -> String {
    let mut text = String::new();
    if report.recovered.is_empty() {
        text.push_str("no interrupted apply\n");
    }
    for line in recovery::lines(report, names_all) {
        let _ = writeln!(text, "{line}");
    }
    if !report.foreign_slots.is_empty() {
        let files = count(report.foreign_slots.len(), "temporary file", "temporary files");
        let _ = writeln!(text, "left {files} of another Greenroom state unchanged");
    }
    if report.blobs_removed > 0 {
        let _ = writeln!(text, "removed {} unreferenced contents", report.blobs_removed);
    }
    text
}

/// What became of a workspace that was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Visit {
    /// Nothing is undecided in it any more.
    Recovered,
    /// An apply cannot be finished or rolled back.
    InDoubt,
    /// Another process is at an apply there.
    Locked,
    /// No directory is there, or another one.
    Gone,
    /// It could not be opened or recovered.
    Failed,
}

#[derive(Serialize)]
struct Visited {
    workspace: Option<String>,
    state: String,
    result: Visit,
    /// Why it is not recovered.
    problem: Option<String>,
    #[serde(flatten, serialize_with = "recovery::serialize")]
    report: RecoverReport,
}

/// Visits every workspace of the user with something undecided.
pub(super) fn all(global: &Global, console: &Console) -> Result<(), Failure> {
    let base = states_of(global)?;
    let known = known_states(&base)?.into_iter().filter(|known| known.needs_recovery);
    let visited: Vec<Visited> = known.map(|known| visit(global, known)).collect();
    if console.json {
        console.object(json!({ "workspaces": visited }))?;
    } else {
        let mut text = String::new();
        let is_reported = |each: &&Visited| {
            !console.is_quiet || each.problem.is_some() || recovery::needs_a_person(&each.report)
        };
        for each in visited.iter().filter(is_reported) {
            let _ = match &each.workspace {
                Some(root) => writeln!(text, "workspace {root}"),
                None => writeln!(text, "state {}", each.state),
            };
            for line in recovery::lines(&each.report, console.is_verbose) {
                let _ = writeln!(text, "  {line}");
            }
            if let Some(problem) = &each.problem {
                let _ = writeln!(text, "  not recovered: {problem}");
            } else if each.report.is_quiet() {
                text.push_str("  nothing to recover\n");
            }
        }
        if visited.is_empty() && !console.is_quiet {
            text.push_str("no workspace has an interrupted apply\n");
        }
        console.text(&text)?;
    }
    let left = visited.iter().filter(|each| each.result != Visit::Recovered).count();
    if left == 0 {
        return Ok(());
    }
    let workspaces = count(left, "workspace has", "workspaces have");
    Err(Failure::new(ErrorKind::InDoubt, format!("{workspaces} an apply that is not finished"))
        .advise("The report of each workspace says what to do.")
        .in_the_object())
}

fn visit(global: &Global, known: KnownState) -> Visited {
    let mut report = RecoverReport::default();
    let (result, problem) = match recover_known(global, &known, &mut report) {
        Ok(None) => (Visit::Recovered, None),
        Ok(Some((result, problem))) => (result, Some(problem)),
        Err(failure) => (Visit::Failed, Some(failure.message)),
    };
    let (workspace, state) = (known.root.as_deref().map(shown), shown(&known.dir));
    Visited { workspace, state, result, problem, report }
}

/// Recovers a workspace, and says what is left to do in it; what it did goes to `report` also where
/// it fails later.
fn recover_known(
    global: &Global,
    known: &KnownState,
    report: &mut RecoverReport,
) -> Result<Option<(Visit, String)>, Failure> {
    let state = shown(&known.dir);
    let failed = |problem| Ok(Some((Visit::Failed, problem)));
    if let Some(problem) = &known.problem {
        return failed(problem.clone());
    }
    let Some(root) = known.root.clone() else {
        return failed(format!(
            "the state `{state}` does not name its workspace: run `greenroom recover` in that \
             workspace"
        ));
    };
    if !known.is_there {
        let problem = format!(
            "the workspace does not exist; if it was moved, run `greenroom recover` in it; if it \
             was deleted, remove the state `{state}`"
        );
        return Ok(Some((Visit::Gone, problem)));
    }
    let location = Location::of_state(global, root)?;
    if location.state_dir != known.dir {
        let own = shown(&location.state_dir);
        return failed(format!(
            "the workspace's state is `{own}`, and `{state}` claims it too: one is a copy, remove it"
        ));
    }
    let layer = DiskOwner::open(options(&location)?)?;
    report.add(layer.take_recovered());
    let Some(done) = layer.try_recover()? else {
        let problem = "an apply is running there: run `greenroom recover --all` again when it has \
                       ended";
        return Ok(Some((Visit::Locked, problem.to_owned())));
    };
    report.add(done);
    Ok(layer.in_doubt()?.first().map(|InDoubtApply { apply, reason }| {
        let remedy = recovery::acknowledging(*apply);
        (Visit::InDoubt, format!("{apply} is in doubt: {reason}. In that workspace: {remedy}"))
    }))
}

/// The options for recovery: the user's configuration without strategies, which recovery does not
/// use. The configuration may be in the workspace where that is a folder of the user's settings.
fn options(location: &Location) -> Result<StagingOptions, Failure> {
    let StagingOptions { strategies, diff, .. } = defaults(location);
    let file = location.config_file.as_deref();
    let options = Settings::read(file, defaults(location))?.options;
    Ok(StagingOptions { strategies, diff, ..options })
}

/// The finding of `doctor` about all other workspaces of the user.
pub(super) fn others(location: &Location) -> Option<Finding> {
    let finding = |health, text| Some(Finding { name: "other workspaces", health, text });
    let known = match known_states(&location.base) {
        Ok(known) => known,
        Err(error) => return finding(Health::Notice, Failure::from(error).message),
    };
    let broken: Vec<String> = known
        .iter()
        .filter(|known| known.needs_recovery && known.dir != location.state_dir)
        .map(|known| format!("`{}`", shown(known.root.as_deref().unwrap_or(&known.dir))))
        .collect();
    if broken.is_empty() {
        return finding(Health::Good, "no apply was interrupted in them".to_owned());
    }
    let text = format!(
        "an apply is running, was interrupted or is in doubt in {}: `greenroom recover --all` \
         decides them",
        names(&broken)
    );
    finding(Health::Notice, text)
}
