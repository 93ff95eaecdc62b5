//! Runs plugins in separate processes, so that a crash costs one comparison and nothing else.
//!
//! The host starts a program that calls [`serve_plugin`], with a socket; the child loads one library
//! and compares one pair of files after the other. It has no environment and no files of the host,
//! its own process group, limited memory and no core dump, and ends when the host does. A call has a
//! deadline: a child that exceeds it, crashes, sends an invalid answer or writes to standard output
//! is killed, and the strategy is not run again.
//!
//! Before the library's first instruction the child gives up every file and every system call that
//! comparing does not need, as far as the kernel supports it ([`Confinement`]).
//!
//! The first call starts a process and loads the library; later calls send the ids and receive the
//! script.
//!
//! # Limitations
//!
//! Only Linux confines the child; elsewhere a library can do what its user can. Windows has no such
//! child yet; there a library is loaded into this process or not used.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod confine;
#[cfg(unix)]
mod conformance;
#[cfg(unix)]
mod launch;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod strategy;
#[cfg(unix)]
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
    )),
    path = "process/no_filter.rs"
)]
mod system_calls;
#[cfg(unix)]
mod timed;
#[cfg(unix)]
mod wire;

#[cfg(not(unix))]
mod elsewhere;

#[cfg(unix)]
pub use conformance::{inspect_library, test_library};
#[cfg(unix)]
pub use serve::serve_plugin;
#[cfg(unix)]
pub(crate) use strategy::InChild;

#[cfg(not(unix))]
pub(crate) use elsewhere::InChild;
#[cfg(not(unix))]
pub use elsewhere::{inspect_library, serve_plugin, test_library};

/// A program that serves plugins: it calls [`serve_plugin`] when started with these arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginHost {
    /// The executable.
    pub program: PathBuf,
    /// The arguments that make it a plugin host.
    pub arguments: Vec<OsString>,
}

impl PluginHost {
    /// The argument that makes the `greenroom` command, or another program that checks for it, serve
    /// a plugin.
    const SERVE: &str = "__serve-plugin";

    /// A program that calls [`PluginHost::is_asked_for`] first, as the `greenroom` command does.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: vec![OsString::from(Self::SERVE)] }
    }

    /// Whether these arguments, including the program's own name, ask it to serve a plugin: to call
    /// [`serve_plugin`] before anything else.
    pub fn is_asked_for(arguments: impl IntoIterator<Item = OsString>) -> bool {
        let mut arguments = arguments.into_iter().skip(1);
        arguments.next().is_some_and(|argument| argument == Self::SERVE)
            && arguments.next().is_none()
    }
}

/// The limits of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// The size of the child's memory in bytes, including its program and libraries.
    pub memory_bytes_max: u64,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self { memory_bytes_max: 512 << 20 }
    }
}

/// What the kernel of this machine can refuse a plugin's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Every file: landlock(7), since Linux 5.13.
    pub files: bool,
    /// Every system call that comparing does not need: seccomp(2), since Linux 4.14, on x86-64,
    /// 64-bit ARM and 64-bit RISC-V.
    pub system_calls: bool,
}

impl Confinement {
    /// Whether the kernel refuses everything that a child gives up.
    pub fn is_whole(self) -> bool {
        self.files && self.system_calls
    }
}

/// The refused things, as the object of a sentence.
impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.files, self.system_calls) {
            (true, true) => {
                "every file and every system call that comparing does not need (landlock, seccomp)"
            }
            (false, true) => {
                "every system call that comparing does not need (seccomp), but not reading your \
                 files (no landlock)"
            }
            (true, false) => {
                "every file (landlock), but not sockets, processes, and changes of modes, owners, \
                 times and attributes (no seccomp)"
            }
            (false, false) => "nothing (no landlock, no seccomp)",
        })
    }
}

/// Whether threads can be started in a child, by the library or for it.
///
/// Comparing two files needs none, and a library that starts many would slow down the machine; some
/// checks of the conformance kit run the strategy on threads.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    Refused,
    Allowed,
}

/// The result of the conformance kit for a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conformance {
    /// The name of the strategy.
    pub name: String,
    /// The strategy's version.
    pub version: String,
    /// The outcome of each check.
    pub checks: Vec<CheckOutcome>,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// The claim that it checks.
    pub claim: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; `None` if it passed.
    pub failed: Option<String>,
}

impl Conformance {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.failed.is_none())
    }
}
