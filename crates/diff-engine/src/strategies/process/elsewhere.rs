//! Systems on which a plugin cannot run in a separate process yet.

use std::process::ExitCode;
use std::time::Duration;

use super::{ChildLimits, Confinement, Conformance, PluginHost};
use crate::intern::FilePair;
use crate::strategies::library::Library;
use crate::strategies::runner::{Answer, Failure};

const NOT_HERE: &str =
    "plugins cannot run in a separate process on this system yet: allow it in-process";

impl Confinement {
    /// What this system can refuse a plugin's process: nothing.
    pub fn of_this_system() -> Self {
        Self { files: false, system_calls: false }
    }
}

/// Fails every call.
pub(crate) struct InChild;

impl InChild {
    pub(crate) fn new(_library: Library, _host: PluginHost, _limits: ChildLimits) -> Self {
        Self
    }

    pub(crate) fn run(&self, _pair: &FilePair<'_>, _allowed: Duration) -> Result<Answer, Failure> {
        Err(Failure::not_loaded(NOT_HERE.to_owned()))
    }

    pub(crate) fn stop(&self) {}
}

/// Serves a plugin to the process that started this one; not supported on this system yet.
pub fn serve_plugin() -> ExitCode {
    eprintln!("{NOT_HERE}");
    ExitCode::from(2)
}

/// Runs every check of `strategy-testkit` on a library; not supported on this system yet.
///
/// # Errors
///
/// Always, on this system.
pub fn test_library(
    _host: &PluginHost,
    _library: &Library,
    _limits: ChildLimits,
    _time_allowed: Duration,
) -> Result<Conformance, String> {
    Err(NOT_HERE.to_owned())
}

/// Loads a library in a child and returns its name; not supported on this system yet.
///
/// # Errors
///
/// Always, on this system.
pub fn inspect_library(
    _host: &PluginHost,
    _library: &Library,
    _limits: ChildLimits,
) -> Result<(String, String), String> {
    Err(NOT_HERE.to_owned())
}
