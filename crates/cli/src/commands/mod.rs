//! One function per command.

mod apply;
mod approval;
mod cat;
mod context;
mod diff;
mod discard;
mod doctor;
mod gc;
mod hook;
mod init;
mod log;
mod mcp;
mod options;
mod plugin;
mod propose;
mod recover;
mod redo;
mod refresh;
mod schema;
mod session;
mod show;
mod status;
mod suggest;
mod text;
mod undo;
mod watch;
mod without_state;

use staging_core::{DiffStagingLayer, StagingOptions};

use self::context::Stage;
use self::options::{elicitation_wait, options};
use crate::args::{Arguments, Command, Recover, Session};
use crate::console::Console;
use crate::failure::Failure;
use crate::paths::shown;
use crate::place::Place;

pub(crate) use hook::run as hook;

pub(crate) fn run(arguments: &Arguments, console: &Console) -> Result<(), Failure> {
    if let Command::Plugin(plugin) = &arguments.command {
        return plugin::run(plugin, &arguments.global, console);
    }
    if matches!(arguments.command, Command::Schema) {
        return schema::schema(console);
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
        return doctor::doctor(console, &arguments.global, &place);
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
        return gc::preview(console, options);
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
        Command::Status => status::status(stage),
        Command::Diff { ids, stat } => diff::diff(stage, ids, *stat),
        Command::Show { id } => show::show(stage, *id),
        Command::Cat { path, session } => cat::cat(stage, path, session),
        Command::Apply(apply) => apply::apply(stage, apply),
        Command::Discard { ids, reason, yes } => {
            discard::discard(stage, ids, reason.as_deref(), *yes)
        }
        Command::Undo { apply, yes } => undo::undo(stage, *apply, *yes),
        Command::Redo { apply, expect, yes } => redo::redo(stage, *apply, expect.as_ref(), *yes),
        Command::Log { verify: true, .. } => log::verify(stage),
        Command::Log { of, max_count, .. } => {
            log::log(stage, &log::Wanted { of, last: *max_count })
        }
        Command::Session(Session::List { all }) => session::list(stage, *all),
        Command::Session(Session::Close { session, reason, yes }) => {
            session::close(stage, session, reason.as_deref(), *yes)
        }
        Command::Recover(recover) => recover::recover(stage, recover.acknowledge),
        Command::Plugin(_) => Ok(()),
        Command::Refresh { ids } => refresh::refresh(stage, ids),
        Command::Gc { .. } => gc::gc(stage),
        Command::Watch { since } => watch::watch(stage, *since),
        // They need no layer, or open one of their own.
        Command::Doctor
        | Command::Schema
        | Command::Mcp { .. }
        | Command::Hook(_)
        | Command::Init(_) => Ok(()),
    }
}
