//! This very program as the host of plugins, each in a process of its own.

use std::env;
use std::path::{Path, PathBuf};

use staging_core::PluginHost;

/// How another process of this program is started to serve a plugin.
pub(crate) fn of_this_program() -> Option<PluginHost> {
    // The same file even when an upgrade has just put another in its place.
    let running = Path::new("/proc/self/exe");
    let program: PathBuf =
        if running.exists() { running.to_owned() } else { env::current_exe().ok()? };
    Some(PluginHost::new(program))
}
