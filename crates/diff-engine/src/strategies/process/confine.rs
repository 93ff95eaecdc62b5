//! Gives up files and system calls before a child loads a library.
//!
//! Everything here applies to the whole process and cannot be undone, so it also binds the library's
//! constructors. Linux has landlock and seccomp; other systems have neither, as [`Confinement`]
//! reports.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Confinement, Threads, system_calls};

/// Takes the protocol's socket from standard input and closes everything that was inherited.
///
/// It is a file, so that it is read and written by read(2) and write(2) alone: the calls of sockets
/// are refused later. Call it first in a process, before anything else is opened.
pub(super) fn take_protocol() -> io::Result<File> {
    close_inherited();
    let stdin = io::stdin();
    let protocol: OwnedFd = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    {
        // The host starts its children from a thread that lives as long as the host, because the
        // signal comes when that thread ends.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
    }
    Ok(File::from(protocol))
}

/// Limits this process's memory, including mapped files.
pub(super) fn limit_memory(bytes_max: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(bytes_max), maximum: Some(bytes_max) };
    // If the system has no such limit, or a lower one is set, that has to be enough.
    match setrlimit(Resource::As, limit) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Gives up files, the network and every system call that comparing does not need, as far as the
/// kernel can refuse them ([`Confinement::of_this_system`]).
///
/// # Errors
///
/// If the kernel has landlock or seccomp and it fails; then the library is not loaded.
pub(super) fn confine(protocol: &File, threads: Threads) -> io::Result<()> {
    let available = Confinement::of_this_system();
    if available.files {
        give_up_files()?;
    }
    // After landlock, which binds this thread and those that it starts later, and before seccomp,
    // which binds every thread and refuses to start more.
    end_with_the_host(protocol)?;
    if available.system_calls {
        system_calls::restrict(threads)?;
    }
    Ok(())
}

impl Confinement {
    /// What this system can refuse a plugin's process.
    pub fn of_this_system() -> Self {
        Self { files: can_refuse_files(), system_calls: system_calls::can_be_restricted() }
    }
}

/// The rules of landlock(7), without an exception: no file can be opened, made, changed or removed,
/// no network be used, and no process outside of this one's own be signalled. A kernel knows them
/// since Linux 5.13, each since its own version; an older one is asked for what it has.
///
/// The memory that the library is loaded from is no file in this sense, and what it needs of the
/// system is loaded already.
#[cfg(target_os = "linux")]
fn give_up_files() -> io::Result<()> {
    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, Scope};
    const KNOWN: ABI = ABI::V10;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.map(|_| ()).map_err(io::Error::other)
}

#[cfg(target_os = "linux")]
fn can_refuse_files() -> bool {
    use landlock::{AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::ReadFile);
    rules.and_then(Ruleset::create).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn give_up_files() -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn can_refuse_files() -> bool {
    false
}

/// Closes descriptors that the host left open when it started this process.
fn close_inherited() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: nothing in this process owns a descriptor beyond its standard ones: it has just
        // begun.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
        if closed == 0 {
            return;
        }
        // A kernel older than Linux 5.9.
    }
    let Ok(listing) = std::fs::read_dir("/dev/fd") else { return };
    let names = listing.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let open: Vec<RawFd> = names.filter_map(|name| name.parse().ok()).collect();
    // The listing itself was one of them.
    let is_open = |descriptor: &RawFd| {
        *descriptor > 2 && std::fs::symlink_metadata(format!("/dev/fd/{descriptor}")).is_ok()
    };
    for descriptor in open.into_iter().filter(is_open) {
        // SAFETY: it is open, and nothing in this process owns it: the process has just begun,
        // and the listing was all that it opened.
        unsafe { rustix::io::close(descriptor) };
    }
}

/// Ends this process when the host is gone, whatever the library does.
fn end_with_the_host(protocol: &File) -> io::Result<()> {
    const STACK_BYTES: usize = 64 << 10;
    let watched = protocol.try_clone()?;
    thread::Builder::new().name("host-watch".to_owned()).stack_size(STACK_BYTES).spawn(
        move || {
            loop {
                let mut watched = [PollFd::new(&watched, PollFlags::empty())];
                let polled = poll(&mut watched, None);
                let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
                if polled.is_ok() && watched[0].revents().intersects(gone) {
                    end_at_once();
                }
            }
        },
    )?;
    Ok(())
}

/// Ends this process without running code of the library, as exit(3) would.
#[cfg(target_os = "linux")]
fn end_at_once() {
    // SAFETY: it has no preconditions.
    unsafe { libc::_exit(1) }
}

/// Ends this process and everything that the library started.
#[cfg(not(target_os = "linux"))]
fn end_at_once() {
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
}
