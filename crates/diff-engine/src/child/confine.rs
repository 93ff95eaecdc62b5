//! What a child gives up before it loads a library.
//!
//! Nothing here keeps a hostile library from harming the user it runs as: a library is only loaded
//! once that user allowed it. It keeps a faulty one from harming anything by mistake.

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
