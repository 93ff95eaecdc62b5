//! One function per command.

mod care;
mod decide;
mod history;
mod hook;
mod init;
mod mcp;
mod plugin;
mod propose;
mod recover;
mod review;
mod sessions;
mod suggest;
mod watch;
mod without_state;

use std::path::Path;
use std::sync::OnceLock;

use staging_core::{
    Approval, ApprovalMeans, DiffStagingLayer, DiscardReason, Patch, StagingOptions, WaitObserver,
    patch_line,
};

use crate::args::{Arguments, Command, Global, Recover, Session};
use crate::console::{Console, say};
use crate::failure::Failure;
use crate::place::{Place, check_outside, shown};
use crate::plugin_host;
use crate::settings::Settings;

pub(crate) use hook::run as hook;

/// A command's surroundings.
struct Stage<'a> {
    console: &'a Console,
    place: Place,
    layer: DiffStagingLayer,
}

pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<(), Failure> {
    if let Command::Plugin(plugin) = &arguments.command {
        return plugin::run(plugin, &arguments.global, console);
    }
    if matches!(arguments.command, Command::Schema) {
        return watch::schema(console);
    }
    if let Command::Init(init) = &arguments.command {
        return init::run(init, &arguments.global, console);
    }
    if let Command::Recover(Recover { all: true, .. }) = &arguments.command {
        return recover::all(&arguments.global, console);
    }
    let mut place = Place::find(&arguments.global)?;
    if let Command::Recover(Recover { adopt: Some(named), .. }) = &arguments.command {
        place = place.adopt(named.as_deref())?;
        console.remark(&format!("took over the state in `{}`", shown(&place.state_dir)));
    }
    for note in place.notes() {
        console.remark(&note);
    }
    if matches!(arguments.command, Command::Doctor) {
        return care::doctor(console, &arguments.global, &place);
    }
    let options = options(&arguments.global, &place)?;
    if let Command::Mcp { session } = &arguments.command {
        mcp::recover_first(&options, console);
        return mcp::serve(options, session.as_deref(), elicitation_wait(&place)?);
    }
    let makes_state = matches!(arguments.command, Command::Propose(_));
    if !makes_state && !place.has_state() {
        return without_state(arguments, place, console);
    }
    if let Command::Gc { dry_run: true } = &arguments.command {
        return care::preview(console, options);
    }
    open_and_dispatch(&arguments.command, place, options, console)
}

/// Answers a command that only looks where there is nothing to look at.
fn without_state(arguments: &Arguments, place: Place, console: &Console) -> Result<(), Failure> {
    if !matches!(arguments.command, Command::Watch { .. }) {
        return without_state::answer(&arguments.command, &place, console);
    }
    let place = without_state::wait(&arguments.global, place, console)?;
    let options = options(&arguments.global, &place)?;
    // What made the state is a part of what was waited for.
    let from_the_first = Command::Watch { since: Some(0) };
    let command = match &arguments.command {
        Command::Watch { since: None } => &from_the_first,
        command => command,
    };
    open_and_dispatch(command, place, options, console)
}

fn open_and_dispatch(
    command: &Command,
    place: Place,
    options: StagingOptions,
    console: &Console,
) -> Result<(), Failure> {
    let layer = DiffStagingLayer::open(options)?;
    // What `recover` itself does is its answer.
    if !matches!(command, Command::Recover(_)) {
        console.follow(&layer);
    }
    let stage = Stage { console, place, layer };
    let done = dispatch(command, &stage).map_err(|failure| suggest::suggest(&stage, failure));
    console.unfollow();
    done
}

fn dispatch(command: &Command, stage: &Stage<'_>) -> Result<(), Failure> {
    match command {
        Command::Propose(propose) => propose::propose(stage, propose),
        Command::Status => review::status(stage),
        Command::Diff { ids, stat } => review::diff(stage, ids, *stat),
        Command::Show { id } => review::show(stage, *id),
        Command::Cat { path, session } => review::cat(stage, path, session),
        Command::Apply(apply) => decide::apply(stage, apply),
        Command::Discard { ids, reason, yes } => {
            decide::discard(stage, ids, reason.as_deref(), *yes)
        }
        Command::Undo { apply, yes } => decide::undo(stage, *apply, *yes),
        Command::Redo { apply, expect, yes } => decide::redo(stage, *apply, expect.as_ref(), *yes),
        Command::Log { verify: true, .. } => history::verify(stage),
        Command::Log { of, max_count, .. } => {
            history::log(stage, &history::Wanted { of, last: *max_count })
        }
        Command::Session(Session::List { all }) => sessions::list(stage, *all),
        Command::Session(Session::Close { session, reason, yes }) => {
            sessions::close(stage, session, reason.as_deref(), *yes)
        }
        Command::Recover(recover) => recover::recover(stage, recover.acknowledge),
        Command::Plugin(_) => Ok(()),
        Command::Refresh { ids } => propose::refresh(stage, ids),
        Command::Gc { .. } => care::gc(stage),
        Command::Watch { since } => watch::watch(stage, *since),
        // They need no layer, or open one of their own.
        Command::Doctor
        | Command::Schema
        | Command::Mcp { .. }
        | Command::Hook(_)
        | Command::Init(_) => Ok(()),
    }
}

/// What the user's configuration says of questions to an agent's client.
fn elicitation_wait(place: &Place) -> Result<Option<std::time::Duration>, Failure> {
    match &place.config_file {
        Some(file) => Ok(Settings::read(file)?.elicitation_wait()),
        None => Ok(None),
    }
}

/// An approval by the command line, without a question; `command` names it for a message.
///
/// # Errors
/// `Refused` in the environment of an agent, unless the user's configuration allows it.
fn unasked(place: &Place, means: ApprovalMeans, command: &str) -> Result<Approval, Failure> {
    let agent = crate::agent::in_environment();
    if let (Some(agent), ApprovalMeans::Yes) = (agent, means) {
        let allowed = match &place.config_file {
            Some(file) => Settings::read(file)?.allows_yes_under_agents(),
            None => false,
        };
        if !allowed {
            return Err(Failure::refused(format!(
                "`{command}` without a question is refused in the environment of {agent}"
            ))
            .advise(
                "The user runs it in a terminal of their own, or sets `allow_yes_under_agents = \
                 true` in their configuration.",
            ));
        }
    }
    Ok(Approval { means, agent: agent.map(str::to_owned) })
}

/// An approval by a yes to a question.
fn asked() -> Approval {
    let agent = crate::agent::in_environment().map(str::to_owned);
    Approval { means: ApprovalMeans::Asked, agent }
}

/// What the libraries are told, from the places and the user's configuration.
fn options(global: &Global, place: &Place) -> Result<StagingOptions, Failure> {
    let mut options = defaults(place);
    options.wait_observer = wait_observer(global);
    if let Some(file) = &place.config_file {
        checked_settings(file, place)?.configure(&mut options);
    }
    tracing::debug!(workspace = ?place.root, state = ?place.state_dir, ?global, "found");
    Ok(options)
}

/// What the libraries are told where the user's configuration says nothing.
fn defaults(place: &Place) -> StagingOptions {
    let mut options = StagingOptions::new(&place.root, &place.state_dir);
    options.new_file_mode = new_file_mode();
    options.plugin_host = plugin_host::of_this_program();
    // Most commands end before the session that they open does.
    options.owns_sessions = false;
    options
}

/// The user's configuration, which lies outside of the workspace, and so do its plugins.
fn checked_settings(file: &Path, place: &Place) -> Result<Settings, Failure> {
    if file.exists() {
        let advice = "Keep it elsewhere and set XDG_CONFIG_HOME, or protect another directory.";
        check_outside(file, &place.root, "the configuration", advice)?;
    }
    let settings = Settings::read(file)?;
    for library in settings.libraries() {
        let advice = "Keep it elsewhere and allow it there.";
        check_outside(library, &place.root, "the plugin", advice)?;
    }
    Ok(settings)
}

/// Says on standard error for whom a command waits.
fn wait_observer(global: &Global) -> WaitObserver {
    let is_quiet = global.quiet;
    WaitObserver::new(move |waiting| {
        if !is_quiet {
            say(&waiting.to_string());
        }
    })
}

/// The permission bits of a file that is created without naming any. They stay what they are when
/// they are first asked for, before other threads make files.
fn new_file_mode() -> u32 {
    static MODE: OnceLock<u32> = OnceLock::new();
    *MODE.get_or_init(|| 0o666 & !umask())
}

/// The process's mask for new files. It can only be read by setting it, which is
/// safe while no other thread makes files.
#[cfg(unix)]
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.bits() & 0o777
}

/// Where there is none, new files are for everybody to read.
#[cfg(not(unix))]
fn umask() -> u32 {
    0o022
}

impl Stage<'_> {
    /// A change is made; that its report cannot be written does not unmake it.
    fn told(&self, printed: Result<(), Failure>, done: &str) {
        match printed {
            Err(failure) if !failure.is_closed_pipe() => {
                self.console.warn(&format!("{done}, but {}", failure.message()));
            }
            _ => {}
        }
    }

    fn remark_stale(&self, stale: &[Patch]) {
        remark_stale(self.console, stale);
    }

    /// What a selection lacks, and what to do about it.
    fn remark_lapsed(&self, lapsed: &[Patch]) {
        self.remark_stale(lapsed);
        if !lapsed.is_empty() {
            let ids: Vec<_> = lapsed.iter().map(|patch| patch.id.to_string()).collect();
            let ids = ids.join(" ");
            self.console.remark(&format!(
                "propose anew with `greenroom refresh {ids}`, or dismiss with `greenroom discard {ids}`"
            ));
        }
    }

    /// What is to be said beside patches that were shown or staged.
    fn remark_patches<'p>(&self, patches: impl IntoIterator<Item = &'p Patch>) {
        for warning in self.layer.take_strategy_warnings() {
            self.console.remark(&warning);
        }
        for patch in patches {
            for remark in &patch.diff.remarks {
                self.console.remark(&format!("{} `{}`: {remark}", patch.id, patch.path));
            }
        }
    }
}

fn remark_stale(console: &Console, stale: &[Patch]) {
    for patch in stale {
        console.remark(&format!("{} `{}` {}", patch.id, patch.path, why_lapsed(patch)));
    }
}

/// Why a patch is stale or expired, behind its name.
fn why_lapsed(patch: &Patch) -> &'static str {
    match patch.reason {
        Some(DiscardReason::SessionExpired) => "is not pending any more: its session expired",
        _ => "is stale: it changed on the disk since the agent read it",
    }
}

/// A patch in one line.
fn line(patch: &Patch) -> String {
    patch_line(patch, Some(new_file_mode()))
}

/// `1 patch`, `2 patches`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn names(ids: &[impl ToString]) -> String {
    const SHOWN_MAX: usize = 20;
    let shown: Vec<String> = ids.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    match ids.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
