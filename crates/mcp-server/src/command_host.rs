//! What the server and the process that runs a command say to each other: one request, and lines of JSON
//! as answers.
//!
//! The request goes to the process's standard input, a socket on which it also answers. The server closes its
//! end when the command is to end; the kernel does when the server dies.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::{Deserialize, Serialize};

/// How the process is started that runs a command for the tool `run_command`.
#[derive(Clone, Debug)]
pub struct CommandHost {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A command to run.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommandRequest {
    /// The session's id.
    pub session: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables beside those that the process has.
    pub environment: BTreeMap<String, String>,
    /// Where the command starts, below the workspace; empty for its root.
    pub directory: OsString,
}

/// What the process answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandMessage {
    /// The command runs.
    Started,
    /// The last message: the command and everything that it started has ended.
    Ended(CommandEnded),
    /// The last message: the command was not started.
    Failed {
        /// Why, and what to do next.
        reason: String,
    },
}

/// How a command has ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct CommandEnded {
    /// How it ended.
    pub exit: CommandExit,
    /// How long it ran, in milliseconds.
    pub elapsed_ms: u64,
    /// Sentences for the agent: what is not staged, and what else there is to know.
    pub notes: Vec<String>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandExit {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
}
