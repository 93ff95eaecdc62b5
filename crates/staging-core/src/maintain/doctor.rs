//! Looking a workspace's state over, without changing it: what `doctor` says.
//!
//! It works where the layer does not open.

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

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works; somebody should know.
    Notice,
    /// It does not work.
    Bad,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The thing, in a word or two.
    pub name: &'static str,
    /// How it stands.
    pub health: Health,
    /// What was found, and what to do about it.
    pub text: String,
}

/// Looks everything over, and leaves a broken apply as it is. Makes no state directory.
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
            format!("{text}; the state lies on another file system than the workspace"),
        ),
        _ => good("system", text),
    }
}

/// What the kernel refuses the processes of plugins; worth a notice once there are plugins.
fn plugins(options: &StagingOptions) -> Finding {
    const NAME: &str = "plugins";
    let in_process = |library: &&TrustedLibrary| library.hosting == Hosting::InProcess;
    if let Some(library) = options.strategies.iter().find(in_process) {
        let name = &library.name;
        return notice(NAME, format!("`{name}` runs in this process, which refuses it nothing"));
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
    let looked = opened.and_then(|workspace| {
        let waiting = (workspace.in_doubt()?, workspace.quarantined_journals()?);
        Ok((workspace.open_journals()?, waiting, workspace))
    });
    // A store that cannot be read is a finding of its own.
    let (doubted, started): (Vec<_>, Vec<_>) =
        states::undecided(state).unwrap_or_default().into_iter().partition(|(_, doubt)| *doubt);
    let names = |applies: &[(ApplyId, bool)]| {
        applies.iter().map(|(apply, _)| apply.to_string()).collect::<Vec<_>>().join(", ")
    };
    match looked {
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
                "journals that are damaged or foreign are not acted on: {} in `journal/`; look at \
                 them, and remove them",
                quarantined.join(", ")
            ),
        ),
        Ok((.., workspace)) => {
            good("workspace", format!("{}, no apply is broken off", shown(workspace.root())))
        }
        Err(error) => bad("workspace", error),
    }
}

/// What SQLite says of its own file.
fn integrity(state: &Path) -> Finding {
    let path = state.join("store.sqlite");
    if !path.exists() {
        return good("store", "none yet".to_owned());
    }
    let checked = || -> Result<(u32, String)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let said = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        Ok((version, said))
    };
    match checked() {
        Ok((version, said)) if said == "ok" => {
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            good("store", format!("schema {version}, {bytes} bytes, in order"))
        }
        Ok((_, said)) => bad("store", said),
        Err(error) => bad("store", error),
    }
}

fn log(layer: &DiffStagingLayer) -> Finding {
    match layer.verify_log() {
        Ok(check) => match check.broken_at {
            None => good("log", format!("{} entries as written", check.events)),
            Some(seq) => bad("log", format!("entry {seq} is not what was written, or is gone")),
        },
        Err(error) => bad("log", error),
    }
}

fn contents(layer: &DiffStagingLayer) -> Finding {
    match layer.check_contents() {
        Ok((read, damaged)) if damaged.is_empty() => {
            good("contents", format!("{read} stored contents are what was stored"))
        }
        Ok((_, damaged)) => {
            let patches: Vec<String> = damaged.iter().map(ToString::to_string).collect();
            bad(
                "contents",
                format!(
                    "damaged ones in {}: discard these patches and have them proposed again",
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
