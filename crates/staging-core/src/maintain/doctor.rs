//! The checks of `greenroom doctor`, which change nothing.
//!
//! They also work when the layer cannot be opened.

use std::path::Path;

use atomic_fs::Workspace;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::diffing::Confinement;
use crate::error::Result;
use crate::ids::ApplyId;
use crate::layer::{DiffStagingLayer, policies};
use crate::maintain::states;
use crate::options::{Hosting, StagingOptions, TrustedLibrary};
use crate::store::state_dir;
use crate::watch::WatchHealth;

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// In order.
    Good,
    /// It works, but a person should know about it.
    Notice,
    /// It does not work.
    Bad,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// The result.
    pub health: Health,
    /// The details, and what to do about them.
    pub text: String,
}

/// Runs every check. It does not recover an interrupted apply and creates no state directory.
pub fn examine(options: &StagingOptions) -> Vec<Finding> {
    let mut findings = vec![system(options), plugins(options)];
    if !options.state_dir.exists() {
        let text = format!("none yet: nothing was staged in `{}`", shown(&options.workspace));
        findings.push(good("state directory", text));
        return findings;
    }
    let state = match state_dir::prepare(&options.state_dir) {
        Ok(state) => {
            let text = format!("{}, for you alone", shown(&state));
            findings.push(good("state directory", text));
            state
        }
        Err(error) => {
            findings.push(bad("state directory", error));
            return findings;
        }
    };
    findings.push(workspace(options, &state));
    let intact = integrity(&state);
    let is_sound = intact.health != Health::Bad;
    findings.push(intact);
    if !is_sound {
        return findings;
    }
    match DiffStagingLayer::open_as_it_is(options.clone()) {
        Ok(layer) => findings.extend([log(&layer), contents(&layer), kept(&layer), watch(&layer)]),
        Err(error) => findings.push(bad("opening", error)),
    }
    findings
}

fn system(options: &StagingOptions) -> Finding {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = format!("greenroom {} on {os} {arch}", env!("CARGO_PKG_VERSION"));
    match same_device(&options.workspace, &options.state_dir) {
        Some(false) => notice(
            "system",
            format!("{text}; the state directory is on another file system than the workspace"),
        ),
        _ => good("system", text),
    }
}

/// How the kernel confines the processes of plugins; a notice only when there are plugins.
fn plugins(options: &StagingOptions) -> Finding {
    const NAME: &str = "plugins";
    let in_process = |library: &&TrustedLibrary| library.hosting == Hosting::InProcess;
    if let Some(library) = options.strategies.iter().find(in_process) {
        let name = &library.name;
        return notice(NAME, format!("`{name}` runs in this process without any confinement"));
    }
    let confinement = Confinement::of_this_system();
    let text = format!("this system refuses a plugin's own process {confinement}");
    let is_fine = confinement.is_whole() || options.strategies.is_empty();
    if is_fine { good(NAME, text) } else { notice(NAME, text) }
}

#[cfg(unix)]
fn same_device(a: &Path, b: &Path) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| {
        path.ancestors().find_map(|path| std::fs::metadata(path).ok()).map(|found| found.dev())
    };
    Some(device(a)? == device(b)?)
}

#[cfg(not(unix))]
fn same_device(_: &Path, _: &Path) -> Option<bool> {
    None
}

fn workspace(options: &StagingOptions, state: &Path) -> Finding {
    let opened = Workspace::open(&options.workspace, state, policies(options));
    let found = opened.and_then(|workspace| {
        let waiting = (workspace.in_doubt()?, workspace.quarantined_journals()?);
        Ok((workspace.open_journals()?, waiting, workspace))
    });
    // The check of the store reports a store that cannot be read.
    let (doubted, started): (Vec<_>, Vec<_>) =
        states::undecided(state).unwrap_or_default().into_iter().partition(|(_, doubt)| *doubt);
    let names = |applies: &[(ApplyId, bool)]| {
        applies.iter().map(|(apply, _)| apply.to_string()).collect::<Vec<_>>().join(", ")
    };
    match found {
        Ok((open, ..)) if !open.is_empty() || !started.is_empty() => {
            let what = match open.as_slice() {
                [] => format!("{}, without a journal", names(&started)),
                open => format!("journal {}", open.join(", ")),
            };
            notice(
                "workspace",
                format!(
                    "an apply is running, or was broken off ({what}): `greenroom recover` finishes \
                     it or rolls it back"
                ),
            )
        }
        Ok((_, (in_doubt, _), _)) if !in_doubt.is_empty() || !doubted.is_empty() => {
            let which = if doubted.is_empty() { in_doubt.join(", ") } else { names(&doubted) };
            bad(
                "workspace",
                format!(
                    "{which} in doubt: `greenroom status` names the files; put them in order by \
                     hand, then run `greenroom recover --acknowledge APPLY`"
                ),
            )
        }
        Ok((_, (_, quarantined), _)) if !quarantined.is_empty() => notice(
            "workspace",
            format!(
                "recovery does not act on damaged or foreign journals: {} in `journal/`; inspect \
                 and remove them",
                quarantined.join(", ")
            ),
        ),
        Ok((.., workspace)) => {
            good("workspace", format!("{}, no apply is broken off", shown(workspace.root())))
        }
        Err(error) => bad("workspace", error),
    }
}

/// SQLite's own check of its file.
fn integrity(state: &Path) -> Finding {
    let path = state.join("store.sqlite");
    if !path.exists() {
        return good("store", "none yet".to_owned());
    }
    let checked = || -> Result<(u32, String)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let report = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        Ok((version, report))
    };
    match checked() {
        Ok((version, report)) if report == "ok" => {
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            good("store", format!("schema {version}, {bytes} bytes, in order"))
        }
        Ok((_, report)) => bad("store", report),
        Err(error) => bad("store", error),
    }
}

fn log(layer: &DiffStagingLayer) -> Finding {
    match layer.verify_log() {
        Ok(check) => match check.broken_at {
            None => good("log", format!("{} entries as written", check.events)),
            Some(seq) => bad("log", format!("entry {seq} was changed or removed")),
        },
        Err(error) => bad("log", error),
    }
}

fn contents(layer: &DiffStagingLayer) -> Finding {
    match layer.check_contents() {
        Ok((read, damaged)) if damaged.is_empty() => {
            good("contents", format!("{read} stored contents are intact"))
        }
        Ok((_, damaged)) => {
            let patches: Vec<String> = damaged.iter().map(ToString::to_string).collect();
            bad(
                "contents",
                format!(
                    "damaged contents in {}: discard these patches and have them proposed again",
                    patches.join(", ")
                ),
            )
        }
        Err(error) => bad("contents", error),
    }
}

fn kept(layer: &DiffStagingLayer) -> Finding {
    match layer.kept_files() {
        Ok(kept) if kept.is_empty() => good("displaced edits", "none".to_owned()),
        Ok(kept) => {
            let files: Vec<String> = kept.iter().map(|file| shown(file)).collect();
            notice("displaced edits", format!("merge by hand and remove: {}", files.join(", ")))
        }
        Err(error) => bad("displaced edits", error),
    }
}

fn watch(layer: &DiffStagingLayer) -> Finding {
    match layer.watch().map(|watching| watching.health()) {
        Ok(health @ WatchHealth::Watching { .. }) => good("watching", health.to_string()),
        Ok(health) => notice("watching", health.to_string()),
        Err(error) => bad("watching", error),
    }
}

fn good(name: &'static str, text: String) -> Finding {
    Finding { name, health: Health::Good, text }
}

fn notice(name: &'static str, text: String) -> Finding {
    Finding { name, health: Health::Notice, text }
}

fn bad(name: &'static str, what: impl std::fmt::Display) -> Finding {
    Finding { name, health: Health::Bad, text: what.to_string() }
}

fn shown(path: &Path) -> String {
    atomic_fs::escape_path(path.as_os_str())
}
