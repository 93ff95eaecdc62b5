//! A view from outside: starting one, running a command in it, and ending it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, FdFlags};
use thiserror::Error;

use crate::foreground::Foreground;
use crate::keeper::namespaces;
use crate::plan::{Confined, CopyPlan, Failure, Plan, Step};
use crate::processes::{Identity, MARK, Process};
use crate::survey::now;
use crate::wire::{Channel, Exit, Reply, Request};

/// Why a view cannot do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The command could not be started; the view is there.
    #[error("cannot start the command")]
    NotStarted {
        /// Why not.
        source: io::Error,
    },
    /// The kernel could not make the view forget what it remembers.
    #[error("cannot refresh the view")]
    NotRefreshed {
        /// Why not.
        source: io::Error,
    },
    /// The process that keeps the view was killed, and the command with it. What they wrote is in
    /// the upper directory; [`survivors`](crate::survivors) names the processes that still write.
    #[error("the process that keeps the view has ended")]
    KeeperEnded,
    /// The keeper and this process could not talk to each other.
    #[error("cannot talk to the process that keeps the view")]
    Connection {
        /// Why not.
        #[from]
        source: io::Error,
    },
}

impl ViewError {
    /// The exit code that env(1) and timeout(1) use for this: 127 if the command was not found,
    /// 126 if it cannot be executed, 125 for everything else.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::NotStarted { source } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::NotStarted { .. } => 126,
            Self::NotRefreshed { .. } | Self::KeeperEnded | Self::Connection { .. } => 125,
        }
    }
}

/// A view, kept by a process of its own until this value is dropped.
///
/// What the command leaves running goes on when the value is dropped: call [`stop`](Self::stop) before,
/// or look for [`survivors`](crate::survivors), before the upper directory is read for the last time or
/// used again.
///
/// The view belongs to the thread that made it: when that thread ends, the kernel ends the keeper
/// and the command.
///
/// # Durability
///
/// What the command writes is in the upper directory when its system call returns, as in any
/// directory. Nothing is lost when this process, the keeper or the command is killed.
#[derive(Debug)]
pub struct View {
    keeper: Child,
    channel: Channel,
    identity: Identity,
    exit: Option<Exit>,
}

impl View {
    /// Makes a view.
    ///
    /// `keeper` starts a program that calls [`keep`](crate::keep) with its last argument, which is
    /// added here: usually `/proc/self/exe` with a hidden argument. The command will inherit its
    /// environment and its standard input, output and error.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the step. Nothing was started, and nothing has changed.
    pub fn start(plan: &Plan, keeper: Command) -> Result<Self, Failure> {
        let parent = std::process::id();
        Self::open(keeper, &Request::Make { parent, plan: Box::new(plan.clone()) })
    }

    /// Joins a live view, so that a second command runs in it. It ends with this value or with its
    /// command; the view lives on.
    ///
    /// `workspace` and `directory` are as in [`Plan`], `keeper` as for [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// A [`Failure`]: of [`Step::Join`] if the view has ended.
    pub fn join(
        identity: Identity,
        workspace: OsString,
        directory: OsString,
        keeper: Command,
    ) -> Result<Self, Failure> {
        let parent = std::process::id();
        Self::open(keeper, &Request::Join { parent, identity, workspace, directory })
    }

    /// Begins without a view, where none is possible: the command will work in a copy. What joins another
    /// command of that copy passes on its mark.
    ///
    /// `keeper` is as for [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// A [`Failure`] that names the step: of [`Step::Lock`] while the copy is brought up to date.
    pub fn work_in_copy(
        plan: &CopyPlan,
        mark: Option<u64>,
        mut keeper: Command,
    ) -> Result<Self, Failure> {
        let parent = std::process::id();
        let mark = mark.unwrap_or_else(new_mark);
        keeper.env(MARK, mark.to_string()).env("PWD", &plan.directory);
        Self::open(keeper, &Request::Copy { parent, mark, plan: plan.clone() })
    }

    fn open(mut command: Command, request: &Request) -> Result<Self, Failure> {
        let (ours, theirs) = UnixStream::pair().map_err(Failure::at(Step::Keeper))?;
        let number = theirs.as_raw_fd();
        command.arg(number.to_string());
        // SAFETY: the closure makes one system call and allocates nothing. The descriptor is open
        // until after the start; only the child keeps it beyond, so that no other program that
        // this process starts at the same time gets it.
        unsafe {
            command.pre_exec(move || {
                let theirs = BorrowedFd::borrow_raw(number);
                Ok(rustix::io::fcntl_setfd(theirs, FdFlags::empty())?)
            });
        }
        let keeper = command.spawn().map_err(Failure::at(Step::Keeper))?;
        drop(theirs);
        let identity = Identity {
            keeper: keeper.id(),
            user_namespace: 0,
            mount_namespace: 0,
            confined: Confined::Not,
            for_tool: false,
            mark: None,
        };
        // From here on the keeper ends with this value.
        let mut view = Self { keeper, channel: Channel::new(ours), identity, exit: None };
        view.channel.send(request).map_err(Failure::at(Step::Keeper))?;
        loop {
            match view.channel.receive().map_err(Failure::at(Step::Keeper))? {
                Some(Reply::Unmapped) => {
                    namespaces::map_all(view.identity.keeper).map_err(Failure::at(Step::Map))?;
                    view.channel.send(&Request::Mapped).map_err(Failure::at(Step::Keeper))?;
                }
                Some(Reply::Ready(identity)) => {
                    view.identity = identity;
                    return Ok(view);
                }
                Some(Reply::Failed(failure)) => return Err(failure),
                Some(_) => return Err(Failure::new(Step::Keeper, "an answer out of order")),
                None => return Err(Failure::new(Step::Keeper, "it has ended")),
            }
        }
    }

    /// What another process needs to find or to join this view.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Starts the command: the program, looked for in `PATH`, and its arguments. A view runs one
    /// command at a time.
    ///
    /// # Errors
    ///
    /// [`ViewError::NotStarted`] if there is no such program, if it cannot be executed, or if
    /// another command still runs;
    /// [`ViewError::KeeperEnded`] and [`ViewError::Connection`] if the view is lost.
    pub fn run(&mut self, command: Vec<OsString>) -> Result<(), ViewError> {
        self.run_with(command, Vec::new())
    }

    /// [`run`](Self::run) with variables for the command's environment, beside those that the keeper was
    /// started with.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_with(
        &mut self,
        command: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<(), ViewError> {
        match self.ask(&Request::Run { command, environment })? {
            Reply::Started => {
                self.exit = None;
                Ok(())
            }
            Reply::NotStarted { errno } => {
                Err(ViewError::NotStarted { source: io::Error::from_raw_os_error(errno) })
            }
            _ => Err(out_of_order()),
        }
    }

    /// Waits until the command has ended, at most for `timeout`; none if it still runs then.
    ///
    /// Signals that `foreground` takes are passed on to the command.
    ///
    /// # Errors
    ///
    /// [`ViewError::KeeperEnded`] and [`ViewError::Connection`] if the view is lost.
    pub fn wait(
        &mut self,
        foreground: Option<&Foreground>,
        timeout: Option<Duration>,
    ) -> Result<Option<Exit>, ViewError> {
        self.wait_with(foreground, &[], timeout)
    }

    /// [`wait`](Self::wait) that also returns when one of `others` can be read.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_with(
        &mut self,
        foreground: Option<&Foreground>,
        others: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> Result<Option<Exit>, ViewError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while self.exit.is_none() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut ready = vec![PollFd::new(&self.channel, PollFlags::IN)];
            ready.extend(foreground.map(|foreground| PollFd::new(foreground, PollFlags::IN)));
            let first_other = ready.len();
            ready.extend(others.iter().map(|other| PollFd::new(other, PollFlags::IN)));
            match rustix::event::poll(&mut ready, timeout.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let answered = !ready[0].revents().is_empty();
            let is_other = ready[first_other..].iter().any(|other| !other.revents().is_empty());
            for number in foreground.into_iter().flat_map(Foreground::to_pass_on) {
                self.send(&Request::Signal { number })?;
            }
            if answered {
                self.receive()?;
            }
            if is_other {
                break;
            }
        }
        Ok(self.exit)
    }

    /// Makes the command see what was changed in the workspace since it looked there: the kernel
    /// forgets names of the view that are not in use. A file that is held open stays as it was.
    ///
    /// # Errors
    ///
    /// [`ViewError::NotRefreshed`] if the kernel refuses; [`ViewError::KeeperEnded`] and
    /// [`ViewError::Connection`] if the view is lost.
    pub fn refresh(&mut self) -> Result<(), ViewError> {
        match self.ask(&Request::Refresh)? {
            Reply::Refreshed { errno: None } => Ok(()),
            Reply::Refreshed { errno: Some(errno) } => {
                Err(ViewError::NotRefreshed { source: io::Error::from_raw_os_error(errno) })
            }
            _ => Err(out_of_order()),
        }
    }

    /// Names the processes that the command has started and that have not ended, itself included.
    ///
    /// # Errors
    ///
    /// [`ViewError::KeeperEnded`] and [`ViewError::Connection`] if the view is lost.
    pub fn leftovers(&mut self) -> Result<Vec<Process>, ViewError> {
        match self.ask(&Request::Leftovers)? {
            Reply::Leftovers(found) => Ok(found),
            _ => Err(out_of_order()),
        }
    }

    /// Ends every process that the command has started, itself included: each gets `SIGTERM`, and
    /// `SIGKILL` when `grace` is over. Returns which there were. The view stays; nothing writes to
    /// the upper directory any more, but for what has joined the view.
    ///
    /// # Errors
    ///
    /// [`ViewError::KeeperEnded`] and [`ViewError::Connection`] if the view is lost.
    pub fn stop(&mut self, grace: Duration) -> Result<Vec<Process>, ViewError> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        match self.ask(&Request::Stop { grace_ms })? {
            Reply::Leftovers(found) => Ok(found),
            _ => Err(out_of_order()),
        }
    }

    /// Asks the keeper, and keeps the end of the command if it comes before the answer.
    fn ask(&mut self, request: &Request) -> Result<Reply, ViewError> {
        self.send(request)?;
        loop {
            if let Some(reply) = self.receive()? {
                return Ok(reply);
            }
        }
    }

    fn send(&mut self, request: &Request) -> Result<(), ViewError> {
        self.channel.send(request).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ViewError::KeeperEnded,
            _ => error.into(),
        })
    }

    /// Takes one message; none if it was the end of the command.
    fn receive(&mut self) -> Result<Option<Reply>, ViewError> {
        match self.channel.receive()? {
            Some(Reply::Exited(exit)) => {
                self.exit = Some(exit);
                Ok(None)
            }
            Some(reply) => Ok(Some(reply)),
            None => Err(ViewError::KeeperEnded),
        }
    }
}

impl Drop for View {
    /// Ends the keeper, and the command if it still runs. What the command has started goes on unless
    /// [`stop`](View::stop) was called before. The keeper has nothing to tidy up: its
    /// mounts go with the last process of the view.
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A number that no other command has.
fn new_mark() -> u64 {
    let now = now();
    let number = [now.seconds.to_le_bytes(), u64::from(now.nanos).to_le_bytes()];
    let hash = blake3::hash(&[number.concat(), std::process::id().to_le_bytes().into()].concat());
    let first = hash.as_bytes().first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_default())
}

fn out_of_order() -> ViewError {
    io::Error::new(io::ErrorKind::InvalidData, "an answer out of order").into()
}
