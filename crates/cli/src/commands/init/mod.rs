//! `init AGENT`: an agent's settings are changed so that its writes wait.
//!
//! The settings are files like any other, so the change goes the way that every change goes here: it
//! is staged, shown as a diff, and applied whole on a yes. In a workspace it can be undone.

mod agents;
mod jsonc;
mod toml;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use staging_core::{
    ApplyRequest, Approval, ApprovalMeans, DiffOptions, DiffStagingLayer, Digest, ErrorKind, Patch,
    Proposal, RelPath, Selector, StagingOptions, set_signature,
};

use self::agents::{Format, Scope, Settings};
use super::{Stage, asked, count, decide, options, umask, unasked};
use crate::args::{Global, Init};
use crate::console::Console;
use crate::failure::Failure;
use crate::json::InitView;
use crate::place::{Place, home, shown};

/// Whose patches these are, in the log.
const LABEL: &str = "greenroom init";

pub(super) fn run(init: &Init, global: &Global, console: &Console) -> Result<(), Failure> {
    let scope = if init.user { Scope::User } else { Scope::Project };
    let (stage, folder) = open(init, scope, global, console)?;
    console.follow(&stage.layer);
    let done = run_in(&stage, &folder, init, scope);
    console.unfollow();
    done
}

fn run_in(stage: &Stage<'_>, folder: &Path, init: &Init, scope: Scope) -> Result<(), Failure> {
    let mut proposals = Vec::new();
    for settings in agents::settings(init.agent, scope) {
        proposals.extend(change(&stage.place.root, folder, &settings, init.remove)?);
    }
    if proposals.is_empty() {
        report(stage, init, scope, &[], None)?;
    } else {
        decide(stage, init, scope, proposals)?;
    }
    if !init.remove && !is_on_the_path() {
        stage.console.remark("`greenroom` is not on your PATH: agents will not find it");
    }
    Ok(())
}

/// Where the settings are, and the folder below that which their names begin at.
fn open<'a>(
    init: &Init,
    scope: Scope,
    global: &Global,
    console: &'a Console,
) -> Result<(Stage<'a>, PathBuf), Failure> {
    if scope == Scope::Project {
        let place = Place::find(global)?;
        let layer = DiffStagingLayer::open(options(global, &place)?)?;
        return Ok((Stage { console, place, layer }, PathBuf::new()));
    }
    let (variable, folder) = agents::user_folder(init.agent);
    let named = variable.and_then(env::var_os).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let (root, folder) = match (named, home()) {
        (Some(named), _) => (named, PathBuf::new()),
        (None, Some(home)) => (home, PathBuf::from(folder)),
        (None, None) => return Err(Failure::usage("there is no home directory")),
    };
    let place = Place::of_settings(global, &root)?;
    let mut options = StagingOptions::new(&place.root, &place.state_dir);
    options.new_file_mode = 0o666 & !umask();
    options.owns_sessions = false;
    let layer = DiffStagingLayer::open(options)?;
    Ok((Stage { console, place, layer }, folder))
}

/// What has to happen to one file; nothing when it says already what it should.
fn change(
    root: &Path,
    folder: &Path,
    settings: &Settings,
    remove: bool,
) -> Result<Option<Proposal>, Failure> {
    let is_there = |name: &&&str| fs::symlink_metadata(root.join(folder).join(name)).is_ok();
    let name = settings.names.iter().find(is_there).or(settings.names.last());
    let name = folder.join(name.copied().unwrap_or_default());
    let path = RelPath::from_path(&name).map_err(|error| Failure::refused(error.to_string()))?;
    let file = root.join(&name);
    let before = match fs::read(&file) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(Failure::io(format_args!("cannot read `{}`", shown(&file)), &error));
        }
    };
    let by_hand = |why: &str| {
        let verb = if remove {
            "Take out by hand what init puts there"
        } else {
            "Do by hand what is missing"
        };
        let words: Vec<_> = settings.wants.iter().map(agents::Want::in_words).collect();
        Failure::refused(format!("`{}` is not changed: {why}", shown(&file)))
            .about(path.to_escaped())
            .advise(format!("{verb}: {}.", words.join("; ")))
    };
    let bytes = before.as_deref().unwrap_or_default();
    let text = std::str::from_utf8(bytes).map_err(|_| by_hand("it is not UTF-8"))?;
    let has = match settings.format {
        Format::Json => jsonc::has,
        Format::Toml => toml::has,
    };
    if !remove && let Some(key) = settings.unlike.iter().find(|key| has(text, key)) {
        return Err(by_hand(&format!(
            "it has `{}`, which is another way to say it",
            key.join(".")
        )));
    }
    let wants = &settings.wants;
    let edited = match settings.format {
        _ if remove && before.is_none() => return Ok(None),
        Format::Json => jsonc::edit(text, wants, remove),
        Format::Toml => toml::edit(text, wants, remove),
    };
    let edited = edited.map_err(|why| by_hand(&why))?;
    if edited == text {
        return Ok(None);
    }
    let is_empty = match settings.format {
        Format::Json => jsonc::is_empty(&edited),
        Format::Toml => toml::is_empty(&edited),
    };
    let proposal = if remove && is_empty {
        Proposal::Delete { path }
    } else {
        Proposal::Write { path, content: edited.into(), mode: None }
    };
    Ok(Some(match before {
        // What was read is what is changed.
        Some(before) => {
            Proposal::Expecting { base: Digest::of(&before), proposal: Box::new(proposal) }
        }
        None => proposal,
    }))
}

/// Shows the change and makes it on a yes; leaves nothing pending on a no.
fn decide(
    stage: &Stage<'_>,
    init: &Init,
    scope: Scope,
    proposals: Vec<Proposal>,
) -> Result<(), Failure> {
    let session = stage.layer.open_session(LABEL)?.id;
    let ours = [Selector::Session(session)];
    // An earlier init may have been broken off before its answer.
    if !stage.layer.select(&ours)?.patches.is_empty() {
        stage.layer.discard(&ours, Some("init was begun anew"))?;
    }
    let decided =
        stage.layer.propose_all(session, proposals).map_err(Failure::from).and_then(|proposed| {
            let patches: Vec<Patch> = proposed.into_iter().filter_map(|one| one.patch).collect();
            let approval = confirm(stage, init, &patches)?;
            let request = ApplyRequest {
                ids: patches.iter().map(|patch| Selector::Patch(patch.id)).collect(),
                expect: Some(set_signature(&patches)),
                approval,
                is_own: true,
                ..ApplyRequest::default()
            };
            Ok((patches, stage.layer.apply(&request)?))
        });
    // Closing rejects what is still pending, which after an apply is nothing.
    let closed = stage.layer.close_session(session);
    let (patches, applied) = decided?;
    stage.told(report(stage, init, scope, &patches, applied.apply), "the settings are changed");
    for warning in &applied.warnings {
        stage.console.warn(warning);
    }
    decide::tidy(stage, applied.kept);
    closed?;
    Ok(())
}

fn confirm(stage: &Stage<'_>, init: &Init, patches: &[Patch]) -> Result<Approval, Failure> {
    if !stage.console.json {
        stage.console.diff(|out| stage.layer.write_diff(patches, &DiffOptions::default(), out))?;
    }
    if init.yes {
        return unasked(&stage.place, ApprovalMeans::Yes, "init --yes");
    }
    let missing = |why| Failure::new(ErrorKind::ConfirmationMissing, why);
    if !stage.console.can_ask() {
        let advice = match crate::agent::in_environment() {
            Some(_) => "The user gives it in a terminal of their own.",
            None => "Read the diff and pass --yes.",
        };
        return Err(missing("init needs confirmation; nothing was changed").advise(advice));
    }
    if stage.console.ask(&format!("Change {}?", count(patches.len(), "file", "files")))? {
        return Ok(asked());
    }
    Err(missing("nothing was changed: the answer was no").advise("Nothing stays pending."))
}

fn report(
    stage: &Stage<'_>,
    init: &Init,
    scope: Scope,
    patches: &[Patch],
    apply: Option<staging_core::ApplyId>,
) -> Result<(), Failure> {
    let notes = agents::notes(init.agent, scope, init.remove);
    let console = stage.console;
    if console.json {
        let changed = patches.iter().map(|patch| &patch.path).collect();
        return console.object(InitView { agent: init.agent.name(), changed, apply, notes });
    }
    let mut text = match (patches.len(), init.remove) {
        (0, false) => "nothing to change: it is set up\n".to_owned(),
        (0, true) => "nothing to take out\n".to_owned(),
        (number, _) => format!("changed {}\n", count(number, "file", "files")),
    };
    if let (Some(apply), Scope::Project) = (apply, scope) {
        text.push_str(&format!("`greenroom undo {apply}` takes it back as it was\n"));
    }
    console.text(&text)?;
    for note in notes {
        console.remark(note);
    }
    Ok(())
}

fn is_on_the_path() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join("greenroom").is_file())
}
