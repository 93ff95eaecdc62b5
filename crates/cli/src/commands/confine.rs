//! What a confined command can still change and reach, from the command line, the user's
//! configuration and `confine.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use capture::{Confine, Network};
use serde::Deserialize;

use super::view::private_directories;
use crate::args::ConfineArgs;
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;
use crate::settings::Settings;
use crate::user_dirs::home;

/// The lists of `confine.toml`. A path begins with `/`, with `~` for the user's home, or with
/// `$NAME` for a variable that holds an absolute path; `$UID` is the user's number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfinePaths {
    writable: Vec<String>,
    /// Writable too, but for the commands of an agent's tool.
    agents: Vec<String>,
    private: Vec<String>,
    masked: Vec<String>,
    kept: Vec<String>,
    /// By the name of a program.
    made: BTreeMap<String, Vec<String>>,
}

static PATHS: LazyLock<ConfinePaths> = LazyLock::new(|| {
    toml::from_str(include_str!("confine.toml")).expect("the file that is built in is valid")
});

/// What this command can change and reach outside of the workspace; none if it is not confined.
/// `masks` is what it cannot reach in any case.
pub(crate) fn confine(
    command: &[OsString],
    arguments: &ConfineArgs,
    settings: &Settings,
    location: &Location,
    masks: &[OsString],
) -> Result<Option<Confine>, Failure> {
    let asked = arguments.confine || arguments.no_network || !arguments.allow_write.is_empty();
    if !asked && (arguments.no_confine || !settings.confines) {
        return Ok(None);
    }
    let root = location.root.as_path();
    let mut allowed = Vec::new();
    for named in &arguments.allow_write {
        let found = dunce::canonicalize(named).map_err(|source| {
            Failure::io(format_args!("cannot keep {} writable", shown(named)), &source)
                .advise("Create it first, or name another place.")
        })?;
        if found.parent().is_none() {
            return Err(Failure::usage("`--allow-write` names the root, which confines nothing"));
        }
        allowed.push(found);
    }
    allowed.extend(settings.confine_write.iter().filter_map(|path| real(path)));

    // A command of a tool cannot write to them anyway.
    if !arguments.is_tool {
        make_own(command);
    }
    let needed: Vec<&Path> = masks.iter().map(Path::new).chain([root]).collect();
    let holds_needed = |path: &Path| needed.iter().any(|needed| needed.starts_with(path));
    let is_allowed = |path: &Path| allowed.iter().any(|allowed| path.starts_with(allowed));
    let is_outside = |path: &Path| !path.starts_with(root);
    // A variable that is set to the home directory, or above it, would open all of it.
    let home = home().and_then(|home| real(&home));
    let opens_home = |path: &Path| home.as_deref().is_some_and(|home| home.starts_with(path));
    let agents: Vec<PathBuf> = found(&PATHS.agents).collect();
    let own = agents.iter().filter(|_| !arguments.is_tool).cloned();
    let usual = found(&PATHS.writable).chain(own);
    let usual: Vec<PathBuf> =
        usual.filter(|path| path.starts_with("/tmp") || !opens_home(path)).collect();
    let kept: Vec<PathBuf> = found(&PATHS.kept).collect();
    let private: Vec<PathBuf> = found(&PATHS.private)
        .filter(|path| path.is_dir() && is_outside(path) && !holds_needed(path))
        .filter(|path| !is_allowed(path))
        .collect();
    let is_private = |path: &Path| private.iter().any(|private| path.starts_with(private));
    // What stays of a private directory is shown in it again.
    let shown_again = kept.iter().filter(|path| is_private(path)).cloned();
    // Of what is writable nothing can be read-only again: what an agent keeps there is hidden from a tool.
    let is_usual = |path: &Path| usual.iter().any(|usual| path.starts_with(usual));
    let closed: Vec<PathBuf> =
        agents.into_iter().filter(|path| arguments.is_tool && is_usual(path)).collect();
    let writable = usual.into_iter().chain(allowed.iter().cloned()).chain(shown_again);
    let writable = writable.filter(|path| path.parent().is_some() && is_outside(path));

    let is_kept = |path: &Path| kept.iter().any(|kept| path.starts_with(kept));
    let hidden = found(&PATHS.masked).chain(closed).chain(sockets()).chain(disks());
    // A directory that holds something allowed is left to what is hidden in it one by one.
    let holds_allowed = |path: &Path| allowed.iter().any(|allowed| allowed.starts_with(path));
    let masked = hidden.filter(|path| is_outside(path) && !holds_needed(path) && !is_private(path));
    let masked = masked.filter(|path| !is_kept(path) && !is_allowed(path) && !holds_allowed(path));
    let network = if arguments.no_network { Network::Loopback } else { Network::Shared };
    Ok(Some(Confine {
        writable: list(writable),
        masked: list(masked),
        private: list(private),
        network,
        for_tool: arguments.is_tool,
    }))
}

/// Reports what this kernel cannot keep a confined command from.
pub(super) fn remark_scopes(console: &Console) {
    if !capture::can_scope() {
        console.remark(
            "this kernel cannot keep the command from sending signals to your other processes \
             (Landlock scopes, Linux 6.12)",
        );
    }
}

/// Makes the directories that the program keeps for itself, where they are missing: it would make
/// them when it starts for the first time, and cannot in a directory that is read-only.
fn make_own(command: &[OsString]) {
    let name = command.first().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
    let listed = name.and_then(|name| PATHS.made.get(name));
    for path in listed.into_iter().flatten().filter_map(|path| expand(path)) {
        // Where it cannot be made, the program could not do it either.
        let _ = private_directories().create(path);
    }
}

fn list(paths: impl IntoIterator<Item = PathBuf>) -> Vec<OsString> {
    let sorted: BTreeSet<PathBuf> = paths.into_iter().collect();
    sorted.into_iter().map(OsString::from).collect()
}

/// Those of the listed places that exist.
fn found(listed: &[String]) -> impl Iterator<Item = PathBuf> {
    listed.iter().filter_map(|path| real(&expand(path)?))
}

fn real(path: &Path) -> Option<PathBuf> {
    dunce::canonicalize(path).ok()
}

fn expand(listed: &str) -> Option<PathBuf> {
    let number = rustix::process::getuid().as_raw().to_string();
    let listed = listed.replace("$UID", &number);
    let (first, rest) = listed.split_once('/').unwrap_or((listed.as_str(), ""));
    let base = match first.strip_prefix('$') {
        Some(variable) => env::var_os(variable).map(PathBuf::from)?,
        None if first == "~" => home()?,
        None => PathBuf::from("/"),
    };
    base.is_absolute().then(|| if rest.is_empty() { base } else { base.join(rest) })
}

/// The sockets of the file system that a process of this machine has. A path may be another
/// socket's, or of another namespace: what is not a socket now is left out. unix(7)
fn sockets() -> impl Iterator<Item = PathBuf> {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let paths = table.split(|byte| *byte == b'\n').filter_map(|row| {
        let start = row.iter().position(|byte| *byte == b'/')?;
        Some(PathBuf::from(OsString::from_vec(row.get(start..)?.to_vec())))
    });
    let paths: BTreeSet<PathBuf> = paths.filter_map(|path| real(&path)).collect();
    paths
        .into_iter()
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()))
}

/// The disks that the user can write to, past every file system.
fn disks() -> impl Iterator<Item = PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::from("/dev")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_block_device() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    let writes = rustix::fs::Access::WRITE_OK;
    found
        .into_iter()
        .filter(move |path| rustix::fs::access(path.as_os_str().as_bytes(), writes).is_ok())
}
