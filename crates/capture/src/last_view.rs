//! Which view of a capture was the last one, and which of its processes still run.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use staging_core::CaptureDir;

use crate::error::{Result, failed};
use crate::processes::{Identity, Process, is_being_killed, lives, survivors};

/// The file that holds it.
const FILE: &str = "view";

/// A view that was made and did not end in order, and in which boot.
#[derive(Serialize, Deserialize)]
struct LastView {
    identity: Identity,
    /// The keepers of the commands that have joined the view.
    #[serde(default)]
    joined: Vec<u32>,
    boot: String,
}

impl LastView {
    /// The view by each of its keepers.
    fn identities(&self) -> impl Iterator<Item = Identity> {
        let keepers = [self.identity.keeper].into_iter().chain(self.joined.iter().copied());
        keepers.map(|keeper| Identity { keeper, ..self.identity })
    }
}

/// Records the view that was made or joined, before a command runs in it. The caller holds the lock.
pub(crate) fn record(dir: &CaptureDir, identity: Identity) -> Result<()> {
    let view = match read(dir)? {
        Some(mut view) if live_keeper(&view)?.is_some() => {
            view.joined.push(identity.keeper);
            view
        }
        _ => LastView { identity, joined: Vec::new(), boot: boot_id()? },
    };
    write(dir, Some(&view))
}

/// Records that all processes of the view have ended. The caller holds the lock.
pub(crate) fn record_end(dir: &CaptureDir) -> Result<()> {
    write(dir, None)
}

fn write(dir: &CaptureDir, view: Option<&LastView>) -> Result<()> {
    let content = serde_json::to_vec(&view).map_err(io::Error::from);
    Ok(dir.write(FILE, &content.map_err(failed("write", &dir.path().join(FILE)))?)?)
}

/// The last view, unless it ended in order or the machine was restarted since.
fn read(dir: &CaptureDir) -> Result<Option<LastView>> {
    let Some(content) = dir.read(FILE)? else { return Ok(None) };
    let view: Option<LastView> = serde_json::from_slice(&content)
        .map_err(io::Error::from)
        .map_err(failed("read", &dir.path().join(FILE)))?;
    let boot = boot_id()?;
    Ok(view.filter(|view| view.boot == boot))
}

/// The last view by a keeper that lives; a command can join it, and `/proc` leads into it.
pub(crate) fn live(dir: &CaptureDir) -> Result<Option<Identity>> {
    read(dir)?.map_or(Ok(None), |view| live_keeper(&view))
}

fn live_keeper(view: &LastView) -> Result<Option<Identity>> {
    let found = survivors(&view.identity).map_err(failed("read", Path::new("/proc")))?;
    let holds = |identity: &Identity| {
        found.iter().any(|process| process.id == identity.keeper)
            && !is_being_killed(identity.keeper)
    };
    Ok(view.identities().find(holds))
}

/// The processes of the last view that still run: they still write.
pub(crate) fn processes(dir: &CaptureDir, workspace: &Path) -> Result<Vec<Process>> {
    let Some(view) = read(dir)? else { return Ok(Vec::new()) };
    let mut found = survivors(&view.identity).map_err(failed("read", Path::new("/proc")))?;
    if view.identity.mark.is_some() {
        return Ok(found);
    }
    let real = std::fs::metadata(workspace).map_err(failed("read", workspace))?.dev();
    // The kernel may have given the numbers of the view to one of another workspace, where the
    // workspace is the real one. Where nothing can be read, the process counts while it lives.
    found.retain(|process| {
        let root = Path::new("/proc").join(process.id.to_string()).join("root");
        let below = workspace.strip_prefix("/").unwrap_or(workspace);
        match std::fs::metadata(root.join(below)) {
            Ok(seen) => seen.dev() != real,
            Err(_) => lives(process),
        }
    });
    Ok(found)
}

/// Names the present boot: random(4).
fn boot_id() -> Result<String> {
    let file = Path::new("/proc/sys/kernel/random/boot_id");
    std::fs::read_to_string(file).map_err(failed("read", file))
}
