//! Starts a child that inherits nothing from this process and ends with it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use super::PluginHost;

/// A process that was just started, and this side of its socket and pipes.
pub(super) struct Launched {
    pub(super) process: Child,
    /// Its standard input, for the protocol.
    pub(super) stream: UnixStream,
    /// What it writes to standard output; never waits.
    pub(super) stdout: File,
    /// What it writes to standard error; never waits.
    pub(super) stderr: File,
}

/// Starts the host's program with a socket as standard input and pipes as its output.
pub(super) fn launch(host: &PluginHost) -> io::Result<Launched> {
    let (ours, theirs) = UnixStream::pair()?;
    let (stdout, their_stdout) = silent_pipe()?;
    let (stderr, their_stderr) = silent_pipe()?;
    let mut command = Command::new(&host.program);
    command
        .args(&host.arguments)
        .env_clear()
        // The limit is one of addresses, and glibc sets 64 MiB of them aside for every thread that
        // gets an arena of its own: mallopt(3).
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(their_stdout)
        .stderr(their_stderr);
    Ok(Launched {
        process: spawn_from_a_lasting_thread(command)?,
        stream: ours,
        stdout: File::from(stdout),
        stderr: File::from(stderr),
    })
}

/// A pipe on which neither side waits: a plugin that fills it gets an error.
fn silent_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    {
        use rustix::pipe::{PipeFlags, pipe_with};
        Ok(pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
    }
    #[cfg(target_vendor = "apple")]
    {
        use rustix::fs::{OFlags, fcntl_setfl};
        use rustix::io::{FdFlags, fcntl_setfd};
        let (reader, writer) = rustix::pipe::pipe()?;
        for end in [&reader, &writer] {
            fcntl_setfd(end, FdFlags::CLOEXEC)?;
            fcntl_setfl(end, OFlags::NONBLOCK)?;
        }
        Ok((reader, writer))
    }
}

type Request = (Command, Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this program.
///
/// The child asks Linux for a signal when its parent dies. The parent is the thread that started it,
/// not the program, and the threads that run diffs are short-lived.
fn spawn_from_a_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Option<Sender<Request>>>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts plugin hosts has ended");
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        let thread = thread::Builder::new().name("plugin-spawner".to_owned()).spawn(move || {
            for (mut command, reply) in requests {
                // The caller may have given up.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(thread.is_ok().then_some(sender))
    });
    let (reply, replied) = mpsc::channel();
    let spawner = spawner.lock().unwrap_or_else(PoisonError::into_inner);
    spawner.as_ref().ok_or_else(gone)?.send((command, reply)).map_err(|_| gone())?;
    drop(spawner);
    replied.recv().map_err(|_| gone())?
}
