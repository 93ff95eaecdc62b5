//! Starts the command of a view.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use landlock::RulesetCreated;
use rustix::process::{Pid, Signal, WaitOptions};

use super::{confine, filter, namespaces};
use crate::plan::{Confined, Network};

/// The signals that the keeper takes and that a command gets as if there was no keeper.
pub(super) const TAKEN: [i32; 4] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];

/// The one byte that the child sends when its namespaces are to be mapped.
const UNMAPPED: u8 = b'u';

/// What keeps a command from what it must not change.
pub(super) enum Bounds {
    /// The view that this process has made or joined.
    View(Confined),
    /// Rules of Landlock.
    Rules(RulesetCreated),
    /// Nothing.
    Nothing,
}

impl Bounds {
    /// Whether the command needs namespaces of its own once more: mounts that come from another user
    /// namespace are locked, while root could take away those that are its own.
    fn needs_namespaces(&self) -> bool {
        matches!(self, Self::View(_)) && rustix::process::geteuid().is_root()
    }

    fn apply(&self) -> io::Result<()> {
        match self {
            Self::View(Confined::Not) | Self::Nothing => Ok(()),
            Self::View(_) => confine::scope(),
            Self::Rules(rules) => {
                rules.try_clone()?.restrict_self().map(drop).map_err(io::Error::other)
            }
        }
    }
}

/// Starts a command as a child of this process, which must have one thread only.
pub(super) fn start(
    command: &[OsString],
    environment: &[(OsString, OsString)],
    bounds: &Bounds,
) -> io::Result<Pid> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let keeper = rustix::process::getpid();
    // SAFETY: this process has one thread, so that the child may do all that the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            let error = become_command(command, environment, bounds, keeper, &theirs);
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let _ = (&theirs).write_all(&[&b"e"[..], &errno.to_le_bytes()].concat());
            // SAFETY: it ends the child at once, without what the parent has registered for its end.
            unsafe { libc::_exit(127) }
        }
        id => {
            drop(theirs);
            let child = Pid::from_raw(id).ok_or(io::ErrorKind::InvalidData)?;
            let answer = follow(&mut ours, child);
            if answer.is_err() {
                // It is ending, or waits for a byte that never comes. Until it has ended, it holds
                // the lock of the upper directory as well.
                let _ = rustix::process::kill_process(child, Signal::KILL);
                let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
            }
            answer.map(|()| child)
        }
    }
}

/// Waits until the child has become the command, whose start closes the socket.
fn follow(socket: &mut UnixStream, child: Pid) -> io::Result<()> {
    loop {
        let mut kind = [0; 1];
        if socket.read(&mut kind)? == 0 {
            return Ok(());
        }
        if kind == [UNMAPPED] {
            namespaces::map_all(child.as_raw_nonzero().get().unsigned_abs())?;
            socket.write_all(&kind)?;
        } else {
            let mut errno = [0; 4];
            socket.read_exact(&mut errno)?;
            return Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno)));
        }
    }
}

/// Becomes the command, or returns why not.
fn become_command(
    command: &[OsString],
    environment: &[(OsString, OsString)],
    bounds: &Bounds,
    keeper: Pid,
    mut socket: &UnixStream,
) -> io::Error {
    let mut prepare = || -> io::Result<()> {
        for signal in TAKEN.into_iter().chain([libc::SIGCHLD]) {
            default(signal)?;
        }
        if bounds.needs_namespaces() {
            namespaces::unshare(Network::Shared)?;
            socket.write_all(&[UNMAPPED])?;
            socket.read_exact(&mut [0; 1])?;
        }
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(keeper) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        bounds.apply()?;
        filter::apply()
    };
    if let Err(error) = prepare() {
        return error;
    }
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::from_raw_os_error(libc::EINVAL);
    };
    let variables = environment.iter().map(|(name, value)| (name, value));
    Command::new(program).args(arguments).envs(variables).exec()
}

/// Gives a signal back its default, unless it was ignored when this program began.
fn default(signal: i32) -> io::Result<()> {
    // SAFETY: no handler is installed, and the one that goes away is only called for signals.
    // rustix has no call that changes what a signal does.
    let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if before == libc::SIG_IGN {
        // SAFETY: as above.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}
