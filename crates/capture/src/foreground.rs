//! What a program that runs a command in the foreground does with its terminal and its signals.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{OptionalActions, Termios};

use crate::signals::Signals;

/// A process whose command has the terminal.
///
/// The keys that interrupt and quit reach the command, which is in the same process group. They do
/// not end this process or the keeper. `SIGTERM` and `SIGHUP` are passed on to the command. The key
/// that stops stops all of them, as the shell expects.
#[derive(Debug)]
pub struct Foreground {
    signals: Signals,
    terminal: Option<(File, Termios)>,
}

impl Foreground {
    /// Takes the signals for the rest of the process's life, except those that it was started to
    /// ignore, and remembers how the terminal is set. Orphans of the view become children of this
    /// process should the keeper be killed.
    ///
    /// # Errors
    ///
    /// Any error of installing a handler.
    pub fn take() -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let signals = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];
        let terminal = File::open("/dev/tty").ok();
        let terminal = terminal.and_then(|terminal| {
            let set = rustix::termios::tcgetattr(&terminal).ok()?;
            Some((terminal, set))
        });
        Ok(Self { signals: Signals::take(&signals)?, terminal })
    }

    /// Sets the terminal as it was, which a command that was killed may have left raw. Does nothing
    /// without a terminal, or while another process group has it.
    ///
    /// # Errors
    ///
    /// Any error of setting the terminal.
    pub fn restore(&self) -> io::Result<()> {
        let Some((terminal, set)) = &self.terminal else { return Ok(()) };
        // Another group's terminal would stop this process.
        if rustix::termios::tcgetpgrp(terminal).ok() == Some(rustix::process::getpgrp()) {
            rustix::termios::tcsetattr(terminal, OptionalActions::Now, set)?;
        }
        Ok(())
    }

    /// A signal that came since the last call, before there is a command that gets it: whoever sent it wants
    /// none to begin.
    #[must_use]
    pub fn interrupted_by(&self) -> Option<i32> {
        self.signals.come().last()
    }

    /// The signals that came since the last call and that the command should get.
    pub(crate) fn to_pass_on(&self) -> impl Iterator<Item = i32> {
        self.signals.come().filter(|signal| matches!(*signal, libc::SIGTERM | libc::SIGHUP))
    }
}

impl AsFd for Foreground {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}
