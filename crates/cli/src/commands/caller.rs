//! The process that asks for a command: the other end of the connection on standard input.
//!
//! It is `greenroom mcp`. It closes its end when the command is to end, and the kernel does when it has died.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use mcp_server::{CommandMessage, CommandRequest};

use crate::console::json_line;
use crate::failure::Failure;

/// The other end.
pub(super) struct Caller(UnixStream);

impl Caller {
    /// Takes the connection from standard input, which is empty from then on: a command inherits it.
    pub(super) fn take() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let empty = File::open("/dev/null")?;
        // SAFETY: both descriptors are open, and nothing here has buffered what came on the old one.
        if unsafe { libc::dup2(empty.as_raw_fd(), libc::STDIN_FILENO) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(stream))
    }

    /// Waits for the request.
    pub(super) fn request(&self) -> Result<CommandRequest, Failure> {
        let failed = |source: io::Error| Failure::io("cannot read which command to run", &source);
        let mut line = String::new();
        BufReader::new(&self.0).read_line(&mut line).map_err(failed)?;
        serde_json::from_str(&line).map_err(|error| failed(error.into()))
    }

    /// Whether the command is to end.
    pub(super) fn has_gone(&self) -> bool {
        let read = self.0.set_nonblocking(true).and_then(|()| (&self.0).read(&mut [0; 64]));
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reports that the command runs.
    pub(super) fn report_start(&self) {
        self.send(&CommandMessage::Started);
    }

    /// Sends a message. Whoever has died needs none.
    pub(super) fn send(&self, message: &CommandMessage) {
        let line = json_line(message) + "\n";
        let sent =
            self.0.set_nonblocking(false).and_then(|()| (&self.0).write_all(line.as_bytes()));
        if let Err(error) = sent {
            tracing::debug!(%error, "the caller has gone");
        }
    }
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
