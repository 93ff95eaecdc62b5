//! The process that keeps a view: it makes the namespaces, starts the command in them, and waits.
//!
//! It is a program of its own, started with one thread, because the kernel moves only such a
//! process into a new user namespace. It never starts another program itself, and so keeps the
//! capabilities in its namespace that the command loses. It opens no database and reads no
//! configuration. When the process that started it ends, it ends at once, and the command with it.

mod command;
mod confine;
mod filter;
mod guard;
mod masks;
mod mounts;
pub(crate) mod namespaces;
mod overlay;
mod pins;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::FdFlags;
use rustix::mount::MountPropagationFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::ThreadNameSpaceType;

use crate::plan::{Confined, CopyPlan, Failure, GitWrites, Guard, Network, Plan, Step};
use crate::processes::{self, Identity, Process};
use crate::signals::Signals;
use crate::wire::{Channel, Exit, Reply, Request};

use command::Bounds;
pub use confine::can_scope;
pub use guard::can_guard;
pub use masks::INSIDE;
use namespaces::Owner;

/// Runs the keeper of a view; `descriptor` is the last argument that
/// [`View::start`](crate::View::start) or [`View::join`](crate::View::join) gave to the program.
///
/// The program must have one thread, and should do nothing else, since the keeper closes every other
/// descriptor above 2. What goes wrong is reported to the process at the other end.
#[must_use]
pub fn keep(descriptor: &OsStr) -> ExitCode {
    let number = descriptor.to_str().and_then(|text| text.parse().ok());
    let Some(number) = number.filter(|number: &RawFd| *number > 2) else {
        return ExitCode::from(125);
    };
    // SAFETY: the descriptor was opened for this process by the one that started it, and nothing
    // else here knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let served = Keeper::serve(Channel::new(UnixStream::from(socket)));
    ExitCode::from(if served.is_ok() { 0 } else { 125 })
}

struct Keeper {
    channel: Channel,
    signals: Signals,
    /// Where the view has overlays, as far as they are known.
    overlays: Vec<OsString>,
    bounds: Bounds,
    command: Option<Pid>,
    /// Held as long as this process lives: no second view may use the upper directory.
    _lock: Option<OwnedFd>,
}

impl Keeper {
    fn serve(mut channel: Channel) -> io::Result<()> {
        let Some(request) = channel.receive()? else { return Ok(()) };
        let entered = match request {
            Request::Make { parent, plan } => {
                let git =
                    plan.git.iter().filter(|git| matches!(git.writes, GitWrites::Layer { .. }));
                let overlays = [&plan.workspace].into_iter().chain(git.map(|git| &git.directory));
                let overlays = overlays.cloned().collect();
                make(&mut channel, parent, &plan).map(|view| (view, overlays))
            }
            Request::Join { parent, identity, workspace, directory } => {
                join(&channel, parent, &identity, &directory).map(|view| (view, vec![workspace]))
            }
            Request::Copy { parent, mark, plan } => {
                work_in_copy(&channel, parent, mark, &plan).map(|view| (view, Vec::new()))
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let (Entered { identity, signals, bounds, lock }, overlays) = match entered {
            Ok(entered) => entered,
            Err(failure) => return channel.send(&Reply::Failed(failure)),
        };
        channel.send(&Reply::Ready(identity))?;
        Self { channel, signals, overlays, bounds, command: None, _lock: lock }.run()
    }

    /// Answers requests until the other end is gone.
    fn run(mut self) -> io::Result<()> {
        loop {
            let mut ready = [
                PollFd::new(&self.channel, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            match rustix::event::poll(&mut ready, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let requested = !ready[0].revents().is_empty();
            self.reap()?;
            if !requested {
                continue;
            }
            let Some(request) = self.channel.receive()? else { return Ok(()) };
            let reply = match request {
                Request::Run { .. } if self.command.is_some() => {
                    Reply::NotStarted { errno: libc::EBUSY }
                }
                Request::Run { command, environment } => {
                    match command::start(&command, &environment, &self.bounds) {
                        Ok(id) => {
                            self.command = Some(id);
                            Reply::Started
                        }
                        Err(error) => {
                            Reply::NotStarted { errno: error.raw_os_error().unwrap_or(libc::EIO) }
                        }
                    }
                }
                Request::Signal { number } => {
                    if let (Some(id), Some(signal)) = (self.command, Signal::from_named_raw(number))
                    {
                        // It was not waited for, so that the id is still its own.
                        let _ = rustix::process::kill_process(id, signal);
                    }
                    continue;
                }
                Request::Refresh => {
                    let mut overlays = self.overlays.iter().map(Path::new);
                    let refreshed = overlays.try_for_each(overlay::refresh);
                    let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
                    Reply::Refreshed { errno: refreshed.err().map(errno) }
                }
                Request::Leftovers => Reply::Leftovers(processes::descendants()?),
                Request::Stop { grace_ms } => {
                    Reply::Leftovers(self.stop(Duration::from_millis(grace_ms))?)
                }
                Request::Make { .. }
                | Request::Join { .. }
                | Request::Copy { .. }
                | Request::Mapped => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            };
            self.channel.send(&reply)?;
        }
    }

    /// Waits for every child that has ended, orphans of the view among them.
    fn reap(&mut self) -> io::Result<()> {
        let _ = self.signals.come().count();
        // An error says that there is no child.
        while let Ok(Some((id, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if self.command != Some(id) {
                continue;
            }
            self.command = None;
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code as u8),
                (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL) as u8),
            };
            self.channel.send(&Reply::Exited(exit))?;
        }
        Ok(())
    }

    /// Ends every process of the view, and returns which there were.
    fn stop(&mut self, grace: Duration) -> io::Result<Vec<Process>> {
        let first = processes::descendants()?;
        let deadline = Instant::now().checked_add(grace);
        let mut asked: Vec<u32> = Vec::new();
        loop {
            self.reap()?;
            let left = processes::descendants()?;
            if left.is_empty() {
                return Ok(first);
            }
            let patient = deadline.is_none_or(|deadline| Instant::now() < deadline);
            for process in &left {
                let signal = if patient { Signal::TERM } else { Signal::KILL };
                if !patient || !asked.contains(&process.id) {
                    asked.push(process.id);
                    processes::signal(process, signal);
                }
            }
            // The end of a grandchild wakes nobody here.
            let soon = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let _ =
                rustix::event::poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&soon));
        }
    }
}

/// A process that is in its view.
struct Entered {
    identity: Identity,
    signals: Signals,
    bounds: Bounds,
    lock: Option<OwnedFd>,
}

/// Makes a view, step by step. Whatever fails, nothing outside of this process has changed.
fn make(channel: &mut Channel, parent: u32, plan: &Plan) -> Result<Entered, Failure> {
    let signals = begin(channel, parent)?;
    plan.check()?;
    let upper = Path::new(&plan.upper);
    let lock = lock(upper).map_err(Failure::of(Step::Lock, upper))?;
    let owner = Owner::current();
    let network = plan.confine.as_ref().map(|confine| confine.network).unwrap_or_default();
    namespaces::unshare(network).map_err(Failure::at(Step::Namespaces))?;
    if network == Network::Loopback {
        namespaces::turn_on_loopback().map_err(Failure::at(Step::Network))?;
    }
    map(channel, owner)?;
    // The kernel clears it when credentials change.
    tie_to(parent).map_err(Failure::at(Step::Keeper))?;
    let outwards = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    rustix::mount::mount_change("/", outwards).map_err(Failure::at(Step::Propagation))?;
    pins::pin(plan)?;
    overlay::mount(plan)?;
    masks::hide(plan)?;
    enter(&plan.directory)?;
    let confined = Confined::of(plan.confine.as_ref());
    let for_tool = plan.confine.as_ref().is_some_and(|confine| confine.for_tool);
    let identity = identity(confined).map_err(Failure::at(Step::Keeper))?;
    let identity = Identity { for_tool, ..identity };
    Ok(Entered { identity, signals, bounds: Bounds::View(confined), lock: Some(lock) })
}

/// Begins without a view: the command works in a copy. Nothing outside of this process has changed.
fn work_in_copy(
    channel: &Channel,
    parent: u32,
    mark: u64,
    plan: &CopyPlan,
) -> Result<Entered, Failure> {
    let signals = begin(channel, parent)?;
    plan.check()?;
    let copy = Path::new(&plan.copy);
    let lock = lock_shared(copy).map_err(Failure::of(Step::Lock, copy))?;
    let bounds = match plan.guard {
        Guard::Landlock => Bounds::Rules(guard::rules(plan)?),
        Guard::Nothing => Bounds::Nothing,
    };
    enter(&plan.directory)?;
    let identity = identity(Confined::Not).map_err(Failure::at(Step::Keeper))?;
    let identity = Identity { mark: Some(mark), ..identity };
    Ok(Entered { identity, signals, bounds, lock: Some(lock) })
}

/// Joins the view of another keeper.
fn join(
    channel: &Channel,
    parent: u32,
    wanted: &Identity,
    directory: &OsStr,
) -> Result<Entered, Failure> {
    let signals = begin(channel, parent)?;
    let failed = Failure::at(Step::Join);
    let ended = || Failure::new(Step::Join, "the process that keeps it has ended");
    let keeper = i32::try_from(wanted.keeper).ok().and_then(Pid::from_raw).ok_or_else(ended)?;
    let handle = rustix::process::pidfd_open(keeper, PidfdFlags::empty()).map_err(|_| ended())?;
    // The id may be another process's by now; while the handle is open it does not change again.
    let number = |kind| processes::namespace(&wanted.keeper.to_string(), kind);
    let found = number("user").and_then(|user| Ok((user, number("mnt")?)));
    if found.ok() != Some((wanted.user_namespace, wanted.mount_namespace)) {
        return Err(ended());
    }
    let mut kinds = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    if wanted.confined == Confined::FilesAndNetwork {
        kinds |= ThreadNameSpaceType::NETWORK;
    }
    rustix::thread::move_into_thread_name_spaces(handle.as_fd(), kinds).map_err(failed)?;
    // The kernel clears it when credentials change.
    tie_to(parent).map_err(Failure::at(Step::Keeper))?;
    enter(directory)?;
    let identity = identity(wanted.confined).map_err(Failure::at(Step::Keeper))?;
    Ok(Entered { identity, signals, bounds: Bounds::View(wanted.confined), lock: None })
}

/// What comes before a view is made or joined.
fn begin(channel: &Channel, parent: u32) -> Result<Signals, Failure> {
    tie_to(parent).map_err(Failure::at(Step::Keeper))?;
    close_descriptors(channel)?;
    let signals = [&command::TAKEN[..], &[libc::SIGCHLD]].concat();
    Signals::take(&signals).map_err(Failure::at(Step::Keeper))
}

/// Ends this process with its parent, and makes it the parent of what is orphaned in the view.
fn tie_to(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // It may have ended before.
    let actual = rustix::process::getppid().map(|id| id.as_raw_nonzero().get().unsigned_abs());
    if actual == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// Closes every descriptor but the first three and the ones of this process. An inherited directory
/// would lead around the view.
fn close_descriptors(channel: &Channel) -> Result<(), Failure> {
    for number in 0..=2 {
        // SAFETY: the number is only asked about, and nothing here closes it.
        let standard = unsafe { BorrowedFd::borrow_raw(number) };
        let Ok(stat) = rustix::fs::fstat(standard) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let detail = format!("descriptor {number} is a directory");
            return Err(Failure::new(Step::Descriptors, detail));
        }
    }
    let close = |first: RawFd, last: RawFd| {
        // SAFETY: what is closed was inherited, and nothing here knows of it: this is called
        // before anything but the channel is opened. rustix has no such call.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        if first <= last && closed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let own = channel.as_fd().as_raw_fd();
    close(3, own - 1).map_err(Failure::at(Step::Descriptors))?;
    close(own + 1, RawFd::MAX).map_err(Failure::at(Step::Descriptors))?;
    rustix::io::fcntl_setfd(channel, FdFlags::CLOEXEC).map_err(Failure::at(Step::Descriptors))
}

/// No second view may use an upper directory.
fn lock(upper: &Path) -> io::Result<OwnedFd> {
    lock_as(upper, FlockOperation::NonBlockingLockExclusive)
}

/// Several commands may work in a copy, and none while it is brought up to date.
fn lock_shared(copy: &Path) -> io::Result<OwnedFd> {
    lock_as(copy, FlockOperation::NonBlockingLockShared)
}

fn lock_as(directory: &Path, operation: FlockOperation) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(CWD, directory, flags, Mode::empty())?;
    rustix::fs::flock(&handle, operation)?;
    Ok(handle)
}

/// Maps users and groups; root asks the process outside to map all of them.
fn map(channel: &mut Channel, owner: Owner) -> Result<(), Failure> {
    if !owner.is_root() {
        return namespaces::map_self(owner).map_err(Failure::at(Step::Map));
    }
    let mut ask = || -> io::Result<bool> {
        channel.send(&Reply::Unmapped)?;
        Ok(matches!(channel.receive()?, Some(Request::Mapped)))
    };
    match ask() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Step::Map, "the process outside has gone")),
        Err(error) => Err(Failure::at(Step::Map)(error)),
    }
}

/// Changes to a directory of the view. The inherited one is the real one, below the overlay.
fn enter(directory: &OsStr) -> Result<(), Failure> {
    let directory = Path::new(directory);
    rustix::process::chdir(directory).map_err(Failure::of(Step::Directory, directory))
}

fn identity(confined: Confined) -> io::Result<Identity> {
    Ok(Identity {
        keeper: std::process::id(),
        user_namespace: processes::namespace("self", "user")?,
        mount_namespace: processes::namespace("self", "mnt")?,
        confined,
        for_tool: false,
        mark: None,
    })
}
