//! Which output goes through a pager, and until when.

use std::cell::{OnceCell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io;

use crate::pager::{self, Pager};
use crate::paths::shown;

/// The user's programs for reading.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// The pager that the configuration names.
    pub(crate) pager: Option<String>,
    /// The program that diffs are given to.
    pub(crate) diff: Option<String>,
}

/// The pager of a command.
pub(crate) struct Paging {
    /// A person reads standard output, and wants a pager for it.
    is_wanted: bool,
    /// Says that a program could not be started.
    warn: fn(&str),
    readers: OnceCell<Readers>,
    state: RefCell<State>,
}

enum State {
    /// Output goes to standard output.
    Off,
    /// The next output starts this program.
    Next(OsString),
    On(Pager),
}

impl Paging {
    pub(crate) fn new(is_wanted: bool, warn: fn(&str)) -> Self {
        Self { is_wanted, warn, readers: OnceCell::new(), state: RefCell::new(State::Off) }
    }

    /// Takes what the configuration names.
    pub(crate) fn configure(&self, readers: Readers) {
        // A command reads the configuration once.
        let _ = self.readers.set(readers);
    }

    /// The user's pager, if there is one and a person reads.
    fn pager(&self) -> Option<OsString> {
        let configured = self.readers.get().and_then(|readers| readers.pager.as_deref());
        if self.is_wanted { pager::chosen(configured) } else { None }
    }

    /// The program that the user wants to see diffs in, if a person reads and it is there.
    pub(crate) fn diff_command(&self) -> Option<&str> {
        let command = self.readers.get()?.diff.as_deref();
        let command = command.filter(|named| self.is_wanted && !named.trim().is_empty())?;
        if pager::is_found(command.as_ref()) {
            return Some(command);
        }
        (self.warn)(&format!(
            "cannot run `diff.command`: there is no program `{}`",
            shown(command)
        ));
        None
    }

    /// Has what is written from now on go through the user's pager.
    pub(crate) fn begin(&self) {
        if let Some(pager) = self.pager() {
            self.state.replace(State::Next(pager));
        }
    }

    /// The same through this program.
    pub(crate) fn begin_with(&self, command: &str) {
        self.state.replace(State::Next(command.into()));
    }

    /// The pager that output goes to, which is started now if that has not been done, until
    /// [`put_back`](Self::put_back).
    pub(crate) fn take(&self) -> Option<Pager> {
        match self.state.replace(State::Off) {
            State::Off => None,
            State::Next(command) => start(&command, self.warn),
            State::On(pager) => Some(pager),
        }
    }

    pub(crate) fn put_back(&self, pager: Option<Pager>) {
        if let Some(pager) = pager {
            self.state.replace(State::On(pager));
        }
    }

    /// Waits until the reader has left the pager; whether there was one.
    pub(crate) fn finish(&self) -> bool {
        let State::On(pager) = self.state.replace(State::Off) else { return false };
        finish(pager);
        true
    }
}

fn start(command: &OsStr, warn: fn(&str)) -> Option<Pager> {
    match Pager::start(command) {
        Ok(pager) => Some(pager),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such program".to_owned(),
                _ => error.to_string(),
            };
            warn(&format!("cannot run the pager `{}`: {why}", shown(command)));
            None
        }
    }
}

fn finish(pager: Pager) {
    if let Err(error) = pager.finish() {
        tracing::debug!(%error, "the pager has ended unseen");
    }
}
