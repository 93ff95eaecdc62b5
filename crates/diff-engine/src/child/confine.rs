//! What a child gives up before it loads a library.
//!
//! This keeps a faulty library from harming anything by mistake. A hostile one can still read what
//! its user can, and more where the system is not Linux: it is only loaded once that user allowed
//! it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

/// Takes the protocol's socket from standard input and gives up everything that was inherited.
///
/// Call it first thing in a process, before anything else is opened.
pub(super) fn take_protocol() -> io::Result<UnixStream> {
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
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
    }
    let protocol = UnixStream::from(protocol);
    end_with_the_host(&protocol)?;
    Ok(protocol)
}

/// Limits the memory this process can have, mapped files included.
pub(super) fn limit_memory(bytes_max: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(bytes_max), maximum: Some(bytes_max) };
    // Where the system has no such limit, or less is left already, what there is must do.
    match setrlimit(Resource::As, limit) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Gives up writing: no file can be made, changed or removed from here on, no network be used, and
/// no process outside of this one's own be signalled, as far as the kernel knows how to keep that.
///
/// This thread and all that it starts are bound by it, so what a library starts is too. Reading
/// stays possible, because the library may need others.
///
/// The rules are those of landlock(7), which a kernel knows since Linux 5.13, each since its own
/// version; an older one is asked for what it has.
#[cfg(target_os = "linux")]
pub(super) fn give_up_writing() -> io::Result<()> {
    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, Scope};
    const KNOWN: ABI = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_write(KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.map(|_| ()).map_err(io::Error::other)
}

/// Other systems have nothing of the kind that a process could ask for itself.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_up_writing() -> io::Result<()> {
    Ok(())
}

/// Closes what a careless host left open across the start of this process.
fn close_inherited() {
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

/// Ends this process when the host is gone, whatever the library is doing.
fn end_with_the_host(protocol: &UnixStream) -> io::Result<()> {
    const STACK_BYTES: usize = 64 << 10;
    let watched = protocol.try_clone()?;
    thread::Builder::new().name("host-watch".to_owned()).stack_size(STACK_BYTES).spawn(
        move || {
            loop {
                let mut watched = [PollFd::new(&watched, PollFlags::empty())];
                let polled = poll(&mut watched, None);
                let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
                if polled.is_ok() && watched[0].revents().intersects(gone) {
                    // Everything that the library started goes along; exiting would run its code.
                    let _ = rustix::process::kill_current_process_group(Signal::KILL);
                }
            }
        },
    )?;
    Ok(())
}
