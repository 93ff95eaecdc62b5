//! `init AGENT`: changes the settings of an agent so that its writes are staged.
//!
//! The change is made as every other one: it is staged, shown as a diff, and applied on a yes. In a
//! workspace it can be undone.

pub(super) mod agents;
pub(super) mod jsonc;
pub(super) mod offers;
pub(super) mod program;
mod shell;
pub(super) mod toml;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use staging_core::{
    ApplyRequest, Approval, ApprovalMeans, DiffOptions, Digest, DiskOwner, Patch, Proposal,
    RelPath, Selector, StagingOptions, set_signature,
};

use self::agents::{AgentSettings, Format, Scope, Settings, SettingsFile, Want};
use super::approval::{ask, asked, missing, unasked};
use super::context::{Context, tidy};
use super::options::{options, umask, wait_observer};
use super::text::count;
use crate::args::{Global, Init, agent_name};
use crate::console::Console;
use crate::failure::Failure;
use crate::files::{SETTINGS_BYTES_MAX, read_regular};
use crate::json::InitView;
use crate::location::Location;
use crate::paths::shown;
use crate::user_dirs::home;

/// Whose patches these are, in the log.
const LABEL: &str = "greenroom init";

pub(super) fn run(init: &Init, global: &Global, console: &Console) -> Result<(), Failure> {
    let scope = match init {
        Init { user: true, .. } => Scope::User,
        Init { shared: true, .. } => Scope::Shared,
        _ => Scope::Local,
    };
    let done = run_in(init, scope, global, console);
    console.unfollow();
    done
}

fn run_in(init: &Init, scope: Scope, global: &Global, console: &Console) -> Result<(), Failure> {
    let (location, options, folder) = locations(init, scope, global)?;
    shell::check(init, scope, &location, console)?;
    let open = || {
        let layer = DiskOwner::open(options.clone())?;
        console.follow(&layer);
        Ok::<_, Failure>(layer)
    };
    // What an earlier init left half done is recovered before the files are read. Where there was
    // none, no state is made to find out that nothing is to be changed.
    let opened = if location.has_state() { Some(open()?) } else { None };
    let (mut proposals, mut notes) = (Vec::new(), Vec::new());
    for settings in files(init, scope, &location.root, &folder) {
        let mut offered = Vec::new();
        if init.remove {
            offered.extend(settings.file.offers.iter().map(agents::Offer::want));
        } else {
            let found = offers::to(init.agent, scope, &settings, (&location.root, &folder));
            offered.extend(found.wants);
            notes.extend(found.notes);
        }
        proposals.extend(change(&location.root, &folder, &settings, init, &offered)?);
    }
    notes.extend(other_settings(init, scope, &location.root, &folder));
    notes.extend(no_shell(init, &location));
    let location = if proposals.is_empty() {
        report(console, init, scope, notes, &[], None)?;
        location
    } else {
        let context = Context { console, location, layer: opened.map_or_else(open, Ok)? };
        decide(&context, init, scope, notes, proposals)?;
        context.location
    };
    if init.with_shell {
        shell::change(init, scope, &location, console)?;
    }
    if !init.remove && program::on_the_path().is_none() {
        console.remark(match program::is_cached() {
            false => "`greenroom` is not on your PATH: agents cannot start it",
            true => {
                "npx and uvx do not put `greenroom` on your PATH: agents cannot start it. Install it \
                 with `npm install --global greenroom` or `uv tool install greenroom`."
            }
        });
    }
    Ok(())
}

/// The files that are changed. What is taken out is taken out of the user's own and of the shared
/// ones, unless one of them is named.
fn files(init: &Init, scope: Scope, root: &Path, folder: &Path) -> Vec<Settings> {
    let mut files = agents::settings(init.agent, scope);
    if !init.remove || !agents::of(init.agent).has_local {
        return files;
    }
    match scope {
        Scope::Local => {
            let shared = agents::settings(init.agent, Scope::Shared);
            files.extend(shared.into_iter().filter(|settings| !settings.file.is_common));
        }
        Scope::Shared => {
            let local = agents::settings(init.agent, Scope::Local);
            let is_needed = is_set_in(&local, root, folder).is_some();
            files.retain(|settings| !(settings.file.is_common && is_needed));
        }
        Scope::User => {}
    }
    files
}

/// A note about how the agent gets a shell that is held back, where it has none.
fn no_shell(init: &Init, location: &Location) -> Option<String> {
    let is_note = cfg!(target_os = "linux") && !init.remove && !init.with_shell;
    (is_note && !shell::is_allowed(location)).then(|| {
        format!(
            "The agent cannot run commands. `greenroom init {} --with-shell` lets it, held back as its \
             other writes.",
            agent_name(&init.agent)
        )
    })
}

/// A note about the other settings of the workspace, when they have entries of Greenroom.
fn other_settings(init: &Init, scope: Scope, root: &Path, folder: &Path) -> Option<String> {
    if init.remove || !agents::of(init.agent).has_local {
        return None;
    }
    let agent = agent_name(&init.agent);
    let set_in = |other| is_set_in(&agents::settings(init.agent, other), root, folder);
    match scope {
        Scope::Local => set_in(Scope::Shared).map(|name| {
            format!(
                "`{name}` also has Greenroom's settings, for everybody who uses it: `greenroom \
                 init {agent} --shared --remove` removes them."
            )
        }),
        Scope::Shared => set_in(Scope::Local).map(|name| {
            format!(
                "`{name}` also has Greenroom's settings, for you alone: `greenroom init {agent} \
                 --remove` removes both."
            )
        }),
        Scope::User => None,
    }
}

/// The first of these files that holds something of what is wanted there; files that several need
/// do not count.
fn is_set_in(settings: &[Settings], root: &Path, folder: &Path) -> Option<&'static str> {
    // A file that cannot be changed holds nothing that was put there.
    let is_set = |each: &&Settings| matches!(edit(root, folder, each, &[], true), Ok(Some(_)));
    let own = settings.iter().filter(|each| !each.file.is_common);
    own.filter(is_set).find_map(|each| each.names.last().map(String::as_str))
}

/// Where the settings are, how they are staged there, and the folder below that which their names
/// begin at.
fn locations(
    init: &Init,
    scope: Scope,
    global: &Global,
) -> Result<(Location, StagingOptions, PathBuf), Failure> {
    if scope != Scope::User {
        let location = Location::find(global)?;
        let options = options(global, &location)?;
        return Ok((location, options, PathBuf::new()));
    }
    let AgentSettings { variable, folder, .. } = agents::of(init.agent);
    let named =
        variable.as_ref().and_then(env::var_os).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let (root, folder) = match (named, home()) {
        (Some(named), _) => (named, PathBuf::new()),
        (None, Some(home)) => (home, PathBuf::from(folder)),
        (None, None) => return Err(Failure::usage("there is no home directory")),
    };
    let location = Location::of_settings(global, &root)?;
    let mut options = StagingOptions::new(&location.root, &location.state_dir);
    options.new_file_mode = 0o666 & !umask();
    options.owns_sessions = false;
    options.wait_observer = wait_observer(global);
    Ok((location, options, folder))
}

/// What has to happen to one file; nothing when it says already what it should.
fn change(
    root: &Path,
    folder: &Path,
    settings: &Settings,
    init: &Init,
    offered: &[Want],
) -> Result<Option<Proposal>, Failure> {
    let for_shell = match init.with_shell || init.remove {
        true => settings.file.shell_wants.as_slice(),
        false => &[],
    };
    edit(root, folder, settings, &[for_shell, offered].concat(), init.remove)
}

/// The same; `more` is wanted beside what always is.
fn edit(
    root: &Path,
    folder: &Path,
    settings: &Settings,
    more: &[Want],
    remove: bool,
) -> Result<Option<Proposal>, Failure> {
    let Settings { names, file: SettingsFile { format, wants, unlike, .. }, is_own } = settings;
    let always = wants.iter().map(|wanted| &wanted.want);
    let mut wants: Vec<Want> = always.chain(more).cloned().collect();
    if let Some(path) = program::behind_a_script().filter(|_| *is_own) {
        wants.iter_mut().for_each(|want| *want = want.by_path(&path));
    }
    let wants = &wants;
    let is_there = |name: &&String| fs::symlink_metadata(root.join(folder).join(name)).is_ok();
    let name = names.iter().find(is_there).or(names.last());
    let name = folder.join(name.map_or("", String::as_str));
    let path = RelPath::from_path(&name).map_err(|error| Failure::refused(error.to_string()))?;
    let file = root.join(&name);
    let before = match read_regular(&file, SETTINGS_BYTES_MAX) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(Failure::io(format_args!("cannot read `{}`", shown(&file)), &error));
        }
    };
    let by_hand = |why: &str| {
        let verb =
            if remove { "Remove by hand what init adds" } else { "Add by hand what is missing" };
        let words: Vec<_> = wants.iter().map(Want::in_words).collect();
        Failure::refused(format!("`{}` is not changed: {why}", shown(&file)))
            .about(path.to_escaped())
            .advise(format!("{verb}: {}.", words.join("; ")))
    };
    let bytes = before.as_deref().unwrap_or_default();
    let text = std::str::from_utf8(bytes).map_err(|_| by_hand("it is not UTF-8"))?;
    let has = match format {
        Format::Json => jsonc::has,
        Format::Toml => toml::has,
    };
    if !remove && let Some(key) = unlike.iter().find(|key| has(text, key)) {
        return Err(by_hand(&format!(
            "it has `{}`, which configures the same in another way",
            key.join(".")
        )));
    }
    let edited = match format {
        _ if remove && before.is_none() => return Ok(None),
        Format::Json => jsonc::edit(text, wants, remove),
        Format::Toml => toml::edit(text, wants, remove),
    };
    let edited = edited.map_err(|why| by_hand(&why))?;
    if edited == text {
        return Ok(None);
    }
    let is_empty = match format {
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
    context: &Context<'_>,
    init: &Init,
    scope: Scope,
    more: Vec<String>,
    proposals: Vec<Proposal>,
) -> Result<(), Failure> {
    let session = context.layer.open_session(LABEL)?.id;
    let ours = [Selector::Session(session)];
    // An earlier init may have been interrupted before its answer.
    if !context.layer.select(&ours)?.patches.is_empty() {
        context.layer.discard(&ours, Some("init was started again"))?;
    }
    let decided =
        context.layer.propose_all(session, proposals).map_err(Failure::from).and_then(|proposed| {
            let patches: Vec<Patch> = proposed.into_iter().filter_map(|one| one.patch).collect();
            let approval = confirm(context, init, scope, &patches)?;
            let request = ApplyRequest {
                ids: patches.iter().map(|patch| Selector::Patch(patch.id)).collect(),
                expect: Some(set_signature(&patches)),
                approval,
                is_own: true,
                ..ApplyRequest::default()
            };
            Ok((patches, context.layer.apply(&request)?))
        });
    // Closing rejects what is still pending, which after an apply is nothing.
    let closed = context.layer.close_session(session);
    let (patches, applied) = decided?;
    let reported = report(context.console, init, scope, more, &patches, applied.apply);
    context.warn_unreported(reported, "the settings are changed");
    tidy(context, &applied.warnings, applied.kept);
    closed?;
    Ok(())
}

fn confirm(
    context: &Context<'_>,
    init: &Init,
    scope: Scope,
    patches: &[Patch],
) -> Result<Approval, Failure> {
    let is_asked = !init.yes && context.console.can_ask;
    if !context.console.json && (is_asked || !context.console.is_quiet) {
        context
            .console
            .diff(|out| context.layer.write_diff(patches, &DiffOptions::default(), out))?;
    }
    if !init.remove
        && let Some(reach) = agents::reach(init.agent, scope)
    {
        // Whoever is asked has to know it.
        match is_asked {
            true => context.console.warn(&reach),
            false => context.console.remark(&reach),
        }
    }
    if init.yes {
        return unasked(&context.location, ApprovalMeans::Yes, "init --yes");
    }
    if !context.console.can_ask {
        let advice = match crate::agent::in_environment() {
            Some(_) => "Ask the user to run it in a terminal of their own.",
            None => "Read the diff and pass --yes.",
        };
        return Err(missing("init needs confirmation; nothing was changed").advise(advice));
    }
    let question = format!("Change {}?", count(patches.len(), "file", "files"));
    ask(context.console, &question, "nothing was changed", "Nothing stays pending.")?;
    Ok(asked())
}

fn report(
    console: &Console,
    init: &Init,
    scope: Scope,
    more: Vec<String>,
    patches: &[Patch],
    apply: Option<staging_core::ApplyId>,
) -> Result<(), Failure> {
    let reach = agents::reach(init.agent, scope).filter(|_| !init.remove);
    let notes = agents::notes(init.agent, scope, init.remove).chain(more);
    if console.json {
        let changed = patches.iter().map(|patch| &patch.path).collect();
        let notes: Vec<String> = reach.into_iter().chain(notes).collect();
        let agent = &agent_name(&init.agent);
        return console.object(InitView { agent, changed, apply, notes: &notes });
    }
    let mut text = match (patches.len(), init.remove) {
        (0, false) => "nothing to change: the settings are complete\n".to_owned(),
        (0, true) => "nothing to remove\n".to_owned(),
        (number, _) => format!("changed {}\n", count(number, "file", "files")),
    };
    if let (Some(apply), Scope::Local | Scope::Shared) = (apply, scope) {
        text.push_str(&format!("`greenroom undo {apply}` restores the files\n"));
    }
    console.report(&text)?;
    for note in notes {
        console.remark(&note);
    }
    Ok(())
}
