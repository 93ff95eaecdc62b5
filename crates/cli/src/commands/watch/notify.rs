//! What tells a person who does not look: the terminal's bell, and a command of theirs.

use std::ffi::{OsStr, OsString};
use std::io::{self, Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use staging_core::{Event, EventRecord, Summary, escape_json_line, summarise};

use crate::args::{EventsOf, Watch};
use crate::commands::context::Context;
use crate::console::Console;
use crate::json::Object;
use crate::paths::shown;

/// What comes within so much of the last new thing belongs to it, and rings no bell of its own.
const TOGETHER: Duration = Duration::from_secs(3);

/// How many events a command is given at most.
const EVENTS_MAX: usize = 1000;

/// Whether something new waits after this event.
fn is_waiting(event: &Event) -> bool {
    matches!(
        event,
        Event::PatchProposed { .. } | Event::PatchReopened { .. } | Event::PatchStale { .. }
    )
}

/// Rings when something new waits.
pub(super) struct Bell {
    is_wanted: bool,
    last: Option<Instant>,
}

impl Bell {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, last: None }
    }

    pub(super) fn hear(&mut self, console: &Console, page: &[EventRecord]) {
        if !self.is_wanted || !page.iter().any(|record| is_waiting(&record.event)) {
            return;
        }
        if self.last.is_none_or(|last| last.elapsed() > TOGETHER) {
            console.ring();
        }
        self.last = Some(Instant::now());
    }
}

/// A command of the user's, which is given what has happened.
pub(super) struct Notified {
    command: OsString,
    after: Duration,
    on: EventsOf,
    events: Vec<EventRecord>,
    /// How many more there were than it is given.
    left_out: u64,
    /// When the first of them came.
    first: Option<Instant>,
    running: Option<Child>,
}

/// What the command reads.
#[derive(Serialize)]
struct Happened<'a> {
    workspace: String,
    /// What waits now, as a sentence that has only numbers in it.
    text: String,
    summary: &'a Summary,
    events: &'a [EventRecord],
    /// Events beyond those.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Notified {
    pub(super) fn new(command: &OsStr, arguments: &Watch) -> Self {
        Self {
            command: command.to_owned(),
            after: arguments.after,
            on: arguments.on,
            events: Vec::new(),
            left_out: 0,
            first: None,
            running: None,
        }
    }

    /// Keeps events until the command is run.
    pub(super) fn gather(&mut self, page: &[EventRecord]) {
        for record in page.iter().filter(|one| self.on == EventsOf::All || is_waiting(&one.event)) {
            self.first.get_or_insert_with(Instant::now);
            match self.events.len() < EVENTS_MAX {
                true => self.events.push(record.clone()),
                false => self.left_out += 1,
            }
        }
    }

    /// Runs the command if it is time and the last one has ended. Whatever becomes of it, watching
    /// goes on.
    pub(super) fn run(&mut self, context: &Context<'_>) {
        if let Some(child) = &mut self.running {
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => self.warn(context, &format!("it has ended with {status}")),
                Err(error) => self.warn(context, &error.to_string()),
            }
            self.running = None;
        }
        if self.first.is_none_or(|first| first.elapsed() < self.after) {
            return;
        }
        match self.start(context) {
            Ok(child) => self.running = Some(child),
            Err(error) => self.warn(context, &error.to_string()),
        }
        (self.first, self.left_out) = (None, 0);
        self.events.clear();
    }

    fn start(&self, context: &Context<'_>) -> io::Result<Child> {
        // "Nothing is pending" must not be reported for a state that cannot be read.
        let summary = summarise(&context.layer.options().state_dir).map_err(io::Error::other)?;
        let text = match summary.is_empty() {
            true => "nothing is pending".to_owned(),
            false => summary.waiting(),
        };
        let object = serde_json::to_string(&Object::new(Happened {
            workspace: shown(&context.location.root),
            text,
            summary: &summary,
            events: &self.events,
            left_out: self.left_out,
        }))?;
        // A command that does not read its input keeps nobody waiting.
        let mut input = tempfile::tempfile()?;
        writeln!(input, "{}", escape_json_line(object))?;
        input.rewind()?;
        let mut command = by_shell(&self.command);
        // Standard output is for the events.
        command.stdin(input).stdout(to_standard_error()?).stderr(Stdio::inherit()).spawn()
    }

    fn warn(&self, context: &Context<'_>, why: &str) {
        context.console.warn(&format!("`{}`: {why}", shown(&self.command)));
    }
}

/// A command line as the system's shell reads it.
#[cfg(unix)]
fn by_shell(line: &OsStr) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line);
    shell
}

#[cfg(not(unix))]
fn by_shell(line: &OsStr) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(line);
    shell
}

#[cfg(unix)]
fn to_standard_error() -> io::Result<Stdio> {
    use std::os::fd::AsFd as _;
    Ok(io::stderr().as_fd().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
fn to_standard_error() -> io::Result<Stdio> {
    Ok(Stdio::null())
}
