//! What a process and the keeper of its view say to each other.
//!
//! A frame is its length (4 bytes, little-endian) and that much JSON. Both ends are the same
//! program, so that there is no version.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::plan::{CopyPlan, Failure, Plan};
use crate::processes::{Identity, Process};

/// The longest frame that is read. A command line of Linux has at most 6 MiB, and each of its
/// bytes may take four here.
const FRAME_BYTES_MAX: u32 = 32 << 20;

/// To the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first: make a view, for the process with this id.
    Make { parent: u32, plan: Box<Plan> },
    /// The first: join the view of another keeper.
    Join { parent: u32, identity: Identity, workspace: OsString, directory: OsString },
    /// The first: no view; the command works in a copy, for the process with this id, and its processes
    /// have this mark.
    Copy { parent: u32, mark: u64, plan: CopyPlan },
    /// The users and groups of the keeper's namespace are mapped.
    Mapped,
    /// Start the command, with these variables beside the keeper's own.
    Run { command: Vec<OsString>, environment: Vec<(OsString, OsString)> },
    /// Pass a signal to the command.
    Signal { number: i32 },
    /// Forget what the view remembers of names that are not in use.
    Refresh,
    /// Name every process of the view.
    Leftovers,
    /// End every process of the view: ask them, and kill those that are left after a while.
    Stop { grace_ms: u64 },
}

/// From the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The namespaces are there; their users and groups are to be mapped.
    Unmapped,
    /// The view could not be made.
    Failed(Failure),
    /// The view is there.
    Ready(Identity),
    /// The command runs.
    Started,
    /// The command could not be started, with this error number.
    NotStarted { errno: i32 },
    /// The command has ended.
    Exited(Exit),
    /// The view was refreshed, or this error number says why not.
    Refreshed { errno: Option<i32> },
    /// The processes that live in the view, or those that did when they were asked to end.
    Leftovers(Vec<Process>),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
}

impl Exit {
    /// The exit code by which a shell reports it: 128 and the number for a signal.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => number.saturating_add(128),
        }
    }
}

/// One end of the connection.
#[derive(Debug)]
pub(crate) struct Channel(UnixStream);

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    pub(crate) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, message)?;
        let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        frame[..4].copy_from_slice(&length.to_le_bytes());
        self.0.write_all(&frame)
    }

    /// Waits for a message; none when the other end is gone.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(None);
            }
            read => read?,
        }
        let length = u32::from_le_bytes(length);
        if length > FRAME_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length as usize];
        self.0.read_exact(&mut frame)?;
        Ok(Some(serde_json::from_slice(&frame)?))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
