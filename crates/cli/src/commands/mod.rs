//! One function per command.

mod applies;
mod apply;
mod approval;
#[cfg(target_os = "linux")]
mod attend;
#[cfg(target_os = "linux")]
mod caller;
mod cat;
#[cfg(target_os = "linux")]
mod commits;
#[cfg(not(target_os = "linux"))]
#[path = "commits_elsewhere.rs"]
mod commits;
mod completions;
#[cfg(target_os = "linux")]
mod confine;
mod context;
mod diff;
mod discard;
mod doctor;
mod edit;
mod editor;
#[cfg(target_os = "linux")]
mod exec;
mod gc;
mod hook;
#[cfg(target_os = "linux")]
mod host_command;
#[cfg(target_os = "linux")]
mod ignored;
#[cfg(target_os = "linux")]
mod imported;
mod init;
#[cfg(target_os = "linux")]
mod layer_watch;
#[cfg(target_os = "linux")]
mod layers;
#[cfg(not(target_os = "linux"))]
#[path = "layers_elsewhere.rs"]
mod layers;
mod log;
#[cfg(target_os = "linux")]
mod make_view;
mod man;
mod mcp;
mod options;
mod plugin;
mod propose;
#[cfg(target_os = "linux")]
mod propose_copy;
#[cfg(not(target_os = "linux"))]
#[path = "propose_copy_elsewhere.rs"]
mod propose_copy;
#[cfg(target_os = "linux")]
mod propose_private;
#[cfg(not(target_os = "linux"))]
#[path = "propose_private_elsewhere.rs"]
mod propose_private;
mod recover;
mod redo;
mod refresh;
mod review;
#[cfg(target_os = "linux")]
mod run;
#[cfg(not(target_os = "linux"))]
#[path = "run_elsewhere.rs"]
mod run;
mod schema;
mod serve;
mod session;
#[cfg(target_os = "linux")]
mod session_command;
mod short;
mod show;
mod show_apply;
mod staged;
mod status;
mod suggest;
mod text;
mod undo;
mod undo_paths;
#[cfg(target_os = "linux")]
mod view;
mod watch;
mod without_state;
#[cfg(target_os = "linux")]
mod working_copy;

use staging_core::{DiffStagingLayer, DiskOwner, StagingOptions};

use self::context::Context;
use self::options::{options, settings};
use crate::args::{Arguments, Command, Recover, Session, Watch};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;

#[cfg(target_os = "linux")]
pub(crate) use exec::exec as exec_command;
pub(crate) use hook::run as hook;
#[cfg(target_os = "linux")]
pub(crate) use host_command::host_command;
#[cfg(target_os = "linux")]
pub(crate) use imported::failure_of as capture_failure;
#[cfg(not(target_os = "linux"))]
pub(crate) use run::exec as exec_command;
pub(crate) use run::run as run_command;
#[cfg(target_os = "linux")]
pub(crate) use view::KEEPER;

pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<(), Failure> {
    match &arguments.command {
        Command::Plugin(plugin) => return plugin::run(plugin, &arguments.global, console),
        Command::Schema { of } => return schema::schema(*of, console),
        Command::Completions { shell } => return completions::completions(*shell, console),
        Command::Man { dir } => return man::man(dir.as_deref(), console),
        Command::Init(init) => return init::run(init, &arguments.global, console),
        Command::Recover(Recover { all: true, .. }) => {
            return recover::all(&arguments.global, console);
        }
        _ => {}
    }
    let mut location = Location::find(&arguments.global)?;
    if let Command::Recover(Recover { adopt: Some(named), .. }) = &arguments.command {
        location = location.adopt(named.as_deref())?;
        console.remark(&format!("adopted the state in `{}`", shown(&location.state_dir)));
    }
    if matches!(arguments.command, Command::Status { short: true })
        && short::answer(console, &location)?
    {
        return Ok(());
    }
    for note in location.notes() {
        console.remark(&note);
    }
    if matches!(arguments.command, Command::Doctor) {
        return doctor::doctor(console, &location);
    }
    let settings = settings(&arguments.global, &location)?;
    if let Command::Mcp { session } = &arguments.command {
        mcp::recover_first(&settings.options, console);
        return mcp::serve(settings, session.as_deref(), &location);
    }
    console.paging.configure(settings.readers);
    let options = settings.options;
    if let Command::Serve = &arguments.command {
        mcp::recover_first(&options, console);
        return serve::serve(location, options);
    }
    let makes_state = matches!(arguments.command, Command::Propose(_));
    if !makes_state && !location.has_state() {
        return without_state(arguments, location, console);
    }
    if let Command::Gc { dry_run: true } = &arguments.command {
        return gc::preview(console, options);
    }
    open_and_dispatch(&arguments.command, location, options, console)
}

/// Answers a command that only reads, in a workspace without a state.
fn without_state(
    arguments: &Arguments,
    location: Location,
    console: &Console,
) -> Result<(), Failure> {
    if !matches!(arguments.command, Command::Watch(_)) {
        return without_state::answer(&arguments.command, &location, console);
    }
    let location = without_state::wait(&arguments.global, location, console)?;
    let options = options(&arguments.global, &location)?;
    // The events that created the state belong to those that were waited for.
    let from_the_first = match &arguments.command {
        Command::Watch(watch) if watch.since.is_none() => {
            Some(Command::Watch(Watch { since: Some(0), ..watch.clone() }))
        }
        _ => None,
    };
    let command = from_the_first.as_ref().unwrap_or(&arguments.command);
    open_and_dispatch(command, location, options, console)
}

fn open_and_dispatch(
    command: &Command,
    location: Location,
    options: StagingOptions,
    console: &Console,
) -> Result<(), Failure> {
    let layer = DiskOwner::open(options)?;
    // `recover` reports what it does as its answer.
    if !matches!(command, Command::Recover(_)) {
        console.follow(&layer);
    }
    import_first(&layer, console, matches!(command, Command::Status { .. }));
    let context = Context { console, location, layer };
    let done = dispatch(command, &context).map_err(|failure| suggest::suggest(&context, failure));
    console.unfollow();
    done
}

/// Stages what commands in views have written so far, also those that were killed.
#[cfg(target_os = "linux")]
fn import_captures(
    layer: &DiffStagingLayer,
    report: impl Fn(&capture::Report),
    warn: impl Fn(&str),
) {
    let imported = match capture::import_all(layer) {
        Ok(imported) => imported,
        Err(error) => return warn(&imported::failure_of(error).message),
    };
    for imported in imported {
        match imported {
            Ok(imported) => report(&imported),
            Err(error) => warn(&imported::failure_of(error).message),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn import_captures(_: &DiffStagingLayer, _: impl Fn(&()), _: impl Fn(&str)) {}

/// The same before a command of the reviewer. What cannot be staged is reported only by commands that
/// show what is pending.
#[cfg(target_os = "linux")]
fn import_first(owner: &DiskOwner, console: &Console, reports: bool) {
    let report = |report: &capture::Report| {
        if reports {
            imported::report_rest(console, report);
        }
    };
    import_captures(owner, report, |warning| console.warn(warning));
}

#[cfg(not(target_os = "linux"))]
fn import_first(_: &DiskOwner, _: &Console, _: bool) {}

fn dispatch(command: &Command, context: &Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Propose(propose) => propose::propose(context, propose),
        Command::Overview => short::overview(context),
        Command::Status { short: true } => short::short(context),
        Command::Status { short: false } => status::status(context),
        Command::Diff(diff) => diff::diff(context, diff),
        Command::Show { selection } => match selection.apply() {
            Some(apply) => show_apply::show(context, apply),
            None => show::show(context, selection),
        },
        Command::Review(arguments) => review::review(context, arguments),
        Command::Edit(arguments) => edit::edit(context, arguments),
        Command::Cat { path, session } => cat::cat(context, path, session),
        Command::Apply(apply) => apply::apply(context, apply),
        Command::Discard { selection, reason, comment, yes } => {
            discard::discard(context, selection, reason.as_deref(), comment, *yes)
        }
        Command::Undo(undo) => undo::undo(context, undo),
        Command::Redo { apply, expect, yes } => redo::redo(context, *apply, expect.as_ref(), *yes),
        Command::Applies { max_count } => applies::applies(context, *max_count),
        Command::Log { verify: true, .. } => log::verify(context),
        Command::Log { of, max_count, .. } => log::log(context, of, *max_count),
        Command::Session(Session::List { all }) => session::list(context, *all),
        Command::Session(Session::Close { session, reason, yes }) => {
            session::close(context, session, reason.as_deref(), *yes)
        }
        Command::Session(Session::Commits(arguments)) => commits::commits(context, arguments),
        Command::Recover(recover) => recover::recover(context, recover.acknowledge),
        Command::Plugin(_) => Ok(()),
        Command::Refresh { selection } => refresh::refresh(context, selection),
        Command::Gc { .. } => gc::gc(context),
        Command::Watch(arguments) => watch::watch(context, arguments),
        // They need no layer, or open one of their own.
        Command::Doctor
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
