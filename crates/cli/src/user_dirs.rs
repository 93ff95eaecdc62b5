//! The directories of the user: home, configuration, state.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file of the user's configuration, which may not exist.
pub(crate) fn config_file() -> Option<PathBuf> {
    let dir = CONFIG.find(home().as_deref())?;
    Some(dir.join("config.toml"))
}

/// The user's home directory.
pub(crate) fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

/// Where a kind of the user's own files lies: the directory that the XDG rules say, whose
/// variable is ignored when it is relative, else the system's own below home.
pub(crate) struct UserDir {
    variable: &'static str,
    /// What Windows calls it; `%LOCALAPPDATA%` does not roam to other machines.
    on_windows: (&'static str, &'static str),
    elsewhere: &'static str,
}

pub(crate) const STATE: UserDir = UserDir {
    variable: "XDG_STATE_HOME",
    on_windows: ("LOCALAPPDATA", "AppData/Local"),
    elsewhere: ".local/state",
};

const CONFIG: UserDir = UserDir {
    variable: "XDG_CONFIG_HOME",
    on_windows: ("APPDATA", "AppData/Roaming"),
    elsewhere: ".config",
};

impl UserDir {
    /// Greenroom's directory in it.
    pub(crate) fn find(&self, home: Option<&Path>) -> Option<PathBuf> {
        let set = |variable| {
            let set: Option<OsString> = env::var_os(variable);
            set.map(PathBuf::from).filter(|dir| dir.is_absolute())
        };
        let base = match cfg!(windows) {
            true => set(self.variable)
                .or_else(|| set(self.on_windows.0))
                .or_else(|| Some(home?.join(self.on_windows.1))),
            false => set(self.variable).or_else(|| Some(home?.join(self.elsewhere))),
        };
        Some(base?.join("greenroom"))
    }
}
