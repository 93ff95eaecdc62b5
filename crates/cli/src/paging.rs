//! Which output goes through a pager, and until when.

use std::cell::{OnceCell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

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

    /// Output that goes through the pager if it is longer than so many lines of so many columns.
    pub(crate) fn longer_than(&self, rows: usize, columns: usize) -> Long {
        let whether = match self.pager() {
            Some(command) => Whether::Undecided { command, held: Vec::new(), rows },
            None => Whether::Straight,
        };
        Long { whether, columns, warn: self.warn, ended: false }
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

/// How something that a question is about was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All of it is on the screen.
    OnScreen,
    /// In a pager.
    Paged,
    /// In a pager that was left before it had all of it.
    CutShort,
}

/// Output of which the length decides whether it goes through a pager.
pub(crate) struct Long {
    whether: Whether,
    columns: usize,
    warn: fn(&str),
    /// The reader has left the pager before it had everything.
    ended: bool,
}

enum Whether {
    Straight,
    Undecided { command: OsString, held: Vec<u8>, rows: usize },
    Paged(Pager),
}

impl Long {
    /// Shows the rest, and waits until the reader has left the pager.
    pub(crate) fn finish(self) -> io::Result<Reading> {
        match self.whether {
            Whether::Straight => {}
            Whether::Undecided { held, .. } => write_out(&held)?,
            Whether::Paged(pager) => {
                finish(pager);
                return Ok(if self.ended { Reading::CutShort } else { Reading::Paged });
            }
        }
        Ok(Reading::OnScreen)
    }
}

impl Write for Long {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.whether {
            Whether::Straight => write_out(bytes)?,
            Whether::Undecided { command, held, rows } => {
                held.extend_from_slice(bytes);
                if rows_of(held, self.columns) <= *rows {
                    return Ok(bytes.len());
                }
                let (held, pager) = (std::mem::take(held), start(command, self.warn));
                self.whether = pager.map_or(Whether::Straight, Whether::Paged);
                self.write_all(&held)?;
            }
            Whether::Paged(pager) => {
                let written = pager.write_all(bytes);
                // What comes behind the diff is shown all the same.
                self.ended |=
                    written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
                written?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// How many rows of a terminal the text takes, by its characters; sequences that colour it take none.
fn rows_of(text: &[u8], columns: usize) -> usize {
    let lines = text.split(|byte| *byte == b'\n');
    lines.map(|line| width(line).div_ceil(columns.max(1)).max(1)).sum::<usize>() - 1
}

fn width(line: &[u8]) -> usize {
    let text = String::from_utf8_lossy(line);
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().chars().count();
    let behind = parts.map(|part| part.split_once('m').map_or(part, |(_, behind)| behind));
    first + behind.map(|part| part.chars().count()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", 0)]
    #[case("one\n", 1)]
    #[case("\n\n", 2)]
    #[case("0123456789\n", 1)]
    #[case("0123456789x\n", 2)]
    #[case("\x1b[31m0123456789\x1b[0m\n", 1)]
    #[case("äöüäöüäöüä\n", 1)]
    fn a_long_line_takes_several_rows_and_a_colour_none(
        #[case] text: &str,
        #[case] expected: usize,
    ) {
        assert_eq!(rows_of(text.as_bytes(), 10), expected);
    }
}
