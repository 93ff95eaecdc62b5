//! Which view of a capture was the last one, and which of its processes still run.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use staging_core::CaptureDir;

use crate::error::{Result, failed};
use crate::processes::{Identity, Process, survivors};

/// The file that holds it.
const FILE: &str = "view";

/// A view that was made and did not end in order, and in which boot.
#[derive(Serialize, Deserialize)]
struct LastView {
    identity: Identity,
    boot: String,
}

/// Records the view that was made, before a command runs in it. The caller holds the lock.
pub(crate) fn record(dir: &CaptureDir, identity: Identity) -> Result<()> {
    write(dir, Some(&LastView { identity, boot: boot_id()? }))
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
pub(crate) fn identity(dir: &CaptureDir) -> Result<Option<Identity>> {
    let Some(content) = dir.read(FILE)? else { return Ok(None) };
    let view: Option<LastView> = serde_json::from_slice(&content)
        .map_err(io::Error::from)
        .map_err(failed("read", &dir.path().join(FILE)))?;
    let boot = boot_id()?;
    Ok(view.filter(|view| view.boot == boot).map(|view| view.identity))
}

/// The processes of the last view that still run: they still write.
pub(crate) fn processes(dir: &CaptureDir, workspace: &Path) -> Result<Vec<Process>> {
    let Some(identity) = identity(dir)? else { return Ok(Vec::new()) };
    let mut found = survivors(&identity).map_err(failed("read", Path::new("/proc")))?;
    let real = std::fs::metadata(workspace).map_err(failed("read", workspace))?.dev();
    // The kernel may have given the numbers of the view to one of another workspace, where the
    // workspace is the real one. Where nothing can be read, the process counts.
    found.retain(|process| {
        let root = Path::new("/proc").join(process.id.to_string()).join("root");
        let below = workspace.strip_prefix("/").unwrap_or(workspace);
        std::fs::metadata(root.join(below)).map_or(true, |seen| seen.dev() != real)
    });
    Ok(found)
}

/// Names the present boot: random(4).
fn boot_id() -> Result<String> {
    let file = Path::new("/proc/sys/kernel/random/boot_id");
    std::fs::read_to_string(file).map_err(failed("read", file))
}
