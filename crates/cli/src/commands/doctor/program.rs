//! The `greenroom` that an agent's settings name: whether it is there, and this one.

use std::env;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::paths::shown;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long a program may take to print its version.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// What a name in the settings leads to.
#[derive(Debug)]
pub(super) enum Program {
    /// This program.
    Same,
    /// A program of another name, which is not looked into.
    Other,
    Missing,
    /// Where agents write.
    InWorkspace(PathBuf),
    /// Another user could have put it there.
    NotOurs(PathBuf),
    /// Another file, of this version where that is known.
    Version(PathBuf, Option<String>),
}

impl Program {
    /// Finds the program that an agent would start in the workspace.
    pub(super) fn find(name: &str, root: &Path) -> Self {
        if file_name(name) != Some("greenroom") {
            return Self::Other;
        }
        let found = match name.contains(['/', '\\']) {
            true => Some(root.join(name)).filter(|path| is_program(path)),
            false => found_on_the_path(name),
        };
        let Some(path) = found else { return Self::Missing };
        let real = dunce::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let this = env::current_exe().and_then(dunce::canonicalize);
        if this.is_ok_and(|this| this == real) {
            return Self::Same;
        }
        if real.starts_with(root) || path.starts_with(root) {
            return Self::InWorkspace(path);
        }
        // What is run here was named by a file that an agent may have written.
        if !real.metadata().is_ok_and(|found| is_trusted(&found)) {
            return Self::NotOurs(path);
        }
        let version = version(&real);
        Self::Version(path, version)
    }

    /// What is wrong with it; nothing where it is this version.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        match self {
            Self::Same | Self::Other => None,
            Self::Missing if name.contains(['/', '\\']) => {
                Some(format!("its settings start `{}`, which is not there", shown(name)))
            }
            Self::Missing => Some(format!("`{}` is not on the PATH", shown(name))),
            Self::InWorkspace(path) => Some(format!(
                "its settings start `{}`, which is inside the workspace, where agents write",
                shown(path)
            )),
            Self::NotOurs(path) => Some(format!(
                "its settings start `{}`, which belongs to another user or can be written by others",
                shown(path)
            )),
            Self::Version(_, Some(version)) if version == VERSION => None,
            Self::Version(path, Some(version)) => Some(format!(
                "its settings start `{}`, which is version {version}; this is {VERSION}",
                shown(path)
            )),
            Self::Version(path, None) => Some(format!(
                "its settings start `{}`, which does not say its version",
                shown(path)
            )),
        }
    }
}

/// The name of a program's file.
fn file_name(program: &str) -> Option<&str> {
    Path::new(program).file_stem().and_then(OsStr::to_str)
}

/// The program of a name on the PATH.
pub(super) fn found_on_the_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let named = |dir: PathBuf| dir.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    env::split_paths(&path).map(named).find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(unix)]
fn is_trusted(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let us = rustix::process::geteuid().as_raw();
    (found.uid() == us || found.uid() == 0) && found.mode() & 0o002 == 0
}

#[cfg(not(unix))]
fn is_trusted(_: &Metadata) -> bool {
    true
}

/// What a program prints as its version; nothing where it prints something else, or takes too long.
fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if begun.elapsed() < WAIT_MAX => thread::sleep(Duration::from_millis(5)),
            _ => break false,
        }
    };
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let mut text = String::new();
    child.stdout.take()?.take(200).read_to_string(&mut text).ok()?;
    let version = text.strip_prefix("greenroom ")?.lines().next()?.trim();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-+".contains(letter);
    (!version.is_empty() && version.chars().all(is_plain)).then(|| version.to_owned())
}
