//! Systems where a plugin has no process of its own yet.

use std::process::ExitCode;
use std::time::Duration;

use super::{ChildLimits, Confinement, Conformance, PluginHost};
use crate::intern::Interned;
use crate::lines::Lines;
use crate::strategies::library::Library;
use crate::strategies::runner::{Answer, Failure};

const NOT_HERE: &str = "a plugin in a process of its own is not available on this system yet; allow it in this process";

impl Confinement {
    /// What this system can refuse a plugin's process; nothing, here.
    pub fn of_this_system() -> Self {
        Self { files: false, system_calls: false }
    }
}

/// Says that there is none.
pub(crate) struct InChild;

impl InChild {
    pub(crate) fn new(_library: Library, _host: PluginHost, _limits: ChildLimits) -> Self {
        Self
    }

    pub(crate) fn run(
        &self,
        _ids: &Interned,
        _old: &Lines<'_>,
        _new: &Lines<'_>,
        _time_allowed: Duration,
    ) -> Result<Answer, Failure> {
        Err(Failure::not_loaded(NOT_HERE.to_owned()))
    }

    pub(crate) fn stop(&self) {}
}

/// Serves a plugin to the process that started this one; not on this system yet.
pub fn serve_plugin() -> ExitCode {
    eprintln!("{NOT_HERE}");
    ExitCode::from(2)
}

/// Runs every check of `strategy-testkit` over a library; not on this system yet.
///
/// # Errors
///
/// Always, here.
pub fn test_library(
    _host: &PluginHost,
    _library: &Library,
    _limits: ChildLimits,
    _time_allowed: Duration,
) -> Result<Conformance, String> {
    Err(NOT_HERE.to_owned())
}

/// Loads a library in a child and asks what it is called; not on this system yet.
///
/// # Errors
///
/// Always, here.
pub fn inspect_library(
    _host: &PluginHost,
    _library: &Library,
    _limits: ChildLimits,
) -> Result<(String, String), String> {
    Err(NOT_HERE.to_owned())
}
