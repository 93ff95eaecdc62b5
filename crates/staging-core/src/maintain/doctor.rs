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

/// The result of a check and its details; an error means that it does not work.
type Checked = Result<(Health, String)>;

fn finding(name: &'static str, checked: Checked) -> Finding {
    let (health, text) = checked.unwrap_or_else(|error| (Health::Bad, error.to_string()));
    Finding { name, health, text }
}

/// Runs every check. It does not recover an interrupted apply and creates no state directory.
pub fn examine(options: &StagingOptions) -> Vec<Finding> {
    let mut findings =
        vec![finding("system", Ok(system(options))), finding("plugins", Ok(plugins(options)))];
    if !options.state_dir.exists() {
        let text = format!("none yet: nothing was staged in `{}`", shown(&options.workspace));
        findings.push(finding("state directory", Ok((Health::Good, text))));
        return findings;
    }
    let state = match state_dir::prepare(&options.state_dir) {
        Ok(state) => state,
        Err(error) => {
            findings.push(finding("state directory", Err(error)));
            return findings;
        }
    };
    let text = format!("{}, for you alone", shown(&state));
    findings.push(finding("state directory", Ok((Health::Good, text))));
    findings.push(finding("workspace", workspace(options, &state)));
    let intact = finding("store", integrity(&state));
    let is_sound = intact.health != Health::Bad;
    findings.push(intact);
    if !is_sound {
        return findings;
    }
    match DiffStagingLayer::open_as_it_is(options.clone()) {
        Ok(layer) => findings.extend([
            finding("log", log(&layer)),
            finding("contents", contents(&layer)),
            finding("displaced edits", kept(&layer)),
            finding("watching", watch(&layer)),
        ]),
        Err(error) => findings.push(finding("opening", Err(error))),
    }
    findings
}

fn system(options: &StagingOptions) -> (Health, String) {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = format!("greenroom {} on {os} {arch}", env!("CARGO_PKG_VERSION"));
    if same_device(&options.workspace, &options.state_dir) == Some(false) {
        let apart = "the state directory is on another file system than the workspace";
        return (Health::Notice, format!("{text}; {apart}"));
    }
    (Health::Good, text)
}

/// How the kernel confines the processes of plugins; a notice only when there are plugins.
fn plugins(options: &StagingOptions) -> (Health, String) {
    let in_process = |library: &&TrustedLibrary| library.hosting == Hosting::InProcess;
    if let Some(TrustedLibrary { name, .. }) = options.strategies.iter().find(in_process) {
        return (Health::Notice, format!("`{name}` runs in this process without any confinement"));
    }
    let confinement = Confinement::of_this_system();
    let is_fine = confinement.is_whole() || options.strategies.is_empty();
    let text = format!("this system refuses a plugin's own process {confinement}");
    (if is_fine { Health::Good } else { Health::Notice }, text)
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

fn workspace(options: &StagingOptions, state: &Path) -> Checked {
    let workspace = Workspace::open(&options.workspace, state, policies(options))?;
    let (in_doubt, quarantined) = (workspace.in_doubt()?, workspace.quarantined_journals()?);
    let open = workspace.open_journals()?;
    // The check of the store reports a store that cannot be read.
    let (doubted, started): (Vec<_>, Vec<_>) =
        states::undecided(state).unwrap_or_default().into_iter().partition(|(_, doubt)| *doubt);
    let names = |applies: &[(ApplyId, bool)]| {
        applies.iter().map(|(apply, _)| apply.to_string()).collect::<Vec<_>>().join(", ")
    };
    Ok(if !open.is_empty() || !started.is_empty() {
        let what = match open.as_slice() {
            [] => format!("{}, without a journal", names(&started)),
            open => format!("journal {}", open.join(", ")),
        };
        let text = format!(
            "an apply is running or was interrupted ({what}): `greenroom recover` finishes it or \
             rolls it back"
        );
        (Health::Notice, text)
    } else if !in_doubt.is_empty() || !doubted.is_empty() {
        let which = if doubted.is_empty() { in_doubt.join(", ") } else { names(&doubted) };
        let text = format!(
            "{which} in doubt: `greenroom status` names the files; put them in order by hand, then \
             run `greenroom recover --acknowledge APPLY`"
        );
        (Health::Bad, text)
    } else if !quarantined.is_empty() {
        let text = format!(
            "recovery does not act on damaged or foreign journals: {} in `journal/`; inspect and \
             remove them",
            quarantined.join(", ")
        );
        (Health::Notice, text)
    } else {
        (Health::Good, format!("{}, no apply was interrupted", shown(workspace.root())))
    })
}

/// SQLite's own check of its file.
fn integrity(state: &Path) -> Checked {
    let path = state.join("store.sqlite");
    if !path.exists() {
        return Ok((Health::Good, "none yet".to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let report: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if report != "ok" {
        return Ok((Health::Bad, report));
    }
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    Ok((Health::Good, format!("schema {version}, {bytes} bytes, in order")))
}

fn log(layer: &DiffStagingLayer) -> Checked {
    let check = layer.verify_log()?;
    Ok(match check.broken_at {
        None => (Health::Good, format!("{} entries as written", check.events)),
        Some(seq) => (Health::Bad, format!("entry {seq} was changed or removed")),
    })
}

fn contents(layer: &DiffStagingLayer) -> Checked {
    let (read, damaged) = layer.check_contents()?;
    if damaged.is_empty() {
        return Ok((Health::Good, format!("{read} stored contents are intact")));
    }
    let patches: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    let text = format!(
        "damaged contents in {}: discard these patches and have them proposed again",
        patches.join(", ")
    );
    Ok((Health::Bad, text))
}

fn kept(layer: &DiffStagingLayer) -> Checked {
    let kept = layer.0.workspace.conflicts()?;
    let files: Vec<String> = kept.iter().map(|file| shown(file)).collect();
    Ok(match files.as_slice() {
        [] => (Health::Good, "none".to_owned()),
        _ => (Health::Notice, format!("merge by hand and remove: {}", files.join(", "))),
    })
}

fn watch(layer: &DiffStagingLayer) -> Checked {
    let health = layer.watch()?.health();
    let is_watching = matches!(health, WatchHealth::Watching { .. });
    Ok((if is_watching { Health::Good } else { Health::Notice }, health.to_string()))
}

fn shown(path: &Path) -> String {
    atomic_fs::escape_path(path.as_os_str())
}
