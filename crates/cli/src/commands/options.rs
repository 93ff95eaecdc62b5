//! What the libraries are given: the places and the user's configuration.

use std::sync::OnceLock;

use staging_core::{StagingOptions, WaitObserver};

use crate::args::Global;
use crate::console::say;
use crate::failure::Failure;
use crate::location::{Location, check_outside};
use crate::plugin_host;
use crate::settings::Settings;

/// The options of the layer, from the location and the user's configuration.
pub(super) fn options(global: &Global, location: &Location) -> Result<StagingOptions, Failure> {
    Ok(settings(global, location)?.options)
}

/// The same with what else the user's configuration says.
pub(super) fn settings(global: &Global, location: &Location) -> Result<Settings, Failure> {
    let mut options = defaults(location);
    options.wait_observer = wait_observer(global);
    let settings = checked_settings(location, options)?;
    tracing::debug!(workspace = ?location.root, state = ?location.state_dir, ?global, "found");
    Ok(settings)
}

/// The options of the layer without the user's configuration.
pub(super) fn defaults(location: &Location) -> StagingOptions {
    let mut options = StagingOptions::new(&location.root, &location.state_dir);
    options.new_file_mode = new_file_mode();
    options.plugin_host = plugin_host::of_this_program();
    // Most commands end before the session that they open does.
    options.owns_sessions = false;
    options
}

/// These options with the user's configuration, which is outside of the workspace, as its plugins
/// are.
pub(super) fn checked_settings(
    location: &Location,
    options: StagingOptions,
) -> Result<Settings, Failure> {
    let file = location.config_file.as_deref();
    if let Some(file) = file.filter(|file| file.exists()) {
        let advice = "Keep it elsewhere and set XDG_CONFIG_HOME, or protect another directory.";
        check_outside(file, &location.root, "the configuration", advice)?;
    }
    let settings = Settings::read(file, options)?;
    for library in &settings.options.strategies {
        let advice = "Keep it elsewhere and allow it there.";
        check_outside(&library.path, &location.root, "the plugin", advice)?;
    }
    Ok(settings)
}

/// Reports on standard error which process a command waits for.
pub(super) fn wait_observer(global: &Global) -> WaitObserver {
    let is_quiet = global.quiet;
    WaitObserver::new(move |waiting| {
        if !is_quiet {
            say(&waiting.to_string());
        }
    })
}

/// The permission bits of a file that is created without naming any. They stay what they are when
/// they are first asked for, before other threads make files.
pub(super) fn new_file_mode() -> u32 {
    static MODE: OnceLock<u32> = OnceLock::new();
    *MODE.get_or_init(|| 0o666 & !umask())
}

/// The process's mask for new files. It can only be read by setting it, which is
/// safe while no other thread makes files.
#[cfg(unix)]
pub(super) fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.bits() & 0o777
}

/// Where there is none, new files are for everybody to read.
#[cfg(not(unix))]
pub(super) fn umask() -> u32 {
    0o022
}
