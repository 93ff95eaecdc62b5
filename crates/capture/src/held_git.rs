//! Holds back what a command writes to a repository outside of the workspace, as that of a linked worktree or
//! of a submodule: each of git's directories gets a layer of its own beside the upper directory.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use staging_core::CaptureDir;

use crate::bytes::Bytes;
use crate::error::{Result, failed};
use crate::files::open;
use crate::plan::{GitWrites, HeldGit};
use crate::repository;
use crate::rules::Private;
use crate::walk::{self, Visit};

/// The file of a capture that names its layers of git's directories.
const FILE: &str = "git";

/// Git's directories outside of the workspace, and the layer of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GitLayer {
    directory: Bytes,
    /// The layer's name in the capture's directory.
    layer: String,
}

impl GitLayer {
    /// The real directory.
    pub(crate) fn directory(&self) -> PathBuf {
        PathBuf::from(std::ffi::OsStr::from_bytes(&self.directory.0))
    }

    /// Where what was written to it is.
    pub(crate) fn upper(&self, dir: &CaptureDir) -> PathBuf {
        dir.beside(&self.layer).upper()
    }
}

/// Makes the layers of a view: for the repositories of these `.git`, paths below the workspace, as far as
/// they lie outside. What a repository is, is read here, before a command starts. The caller holds the
/// lock.
pub(crate) fn hold(
    dir: &CaptureDir,
    workspace: &Path,
    dot_git: &[Box<[u8]>],
) -> Result<Vec<HeldGit>> {
    let mut layers = read(dir)?;
    let mut held = Vec::new();
    for directory in repository::outside(workspace, dot_git.iter().map(|path| &**path)) {
        if workspace.starts_with(&directory) {
            let writes = GitWrites::Refused { reason: "it holds the workspace".to_owned() };
            held.push(HeldGit { directory: directory.into(), writes });
            continue;
        }
        let digest = blake3::hash(directory.as_os_str().as_bytes()).to_hex();
        let layer = GitLayer {
            directory: Bytes(directory.as_os_str().as_bytes().to_vec()),
            layer: format!("git-{}", &digest[..16]),
        };
        let mode = std::fs::metadata(&directory).map_err(failed("read", &directory))?.mode();
        let beside = dir.beside(&layer.layer);
        beside.create(mode)?;
        beside.clean_work()?;
        let writes = GitWrites::Layer { upper: beside.upper().into(), work: beside.work().into() };
        held.push(HeldGit { directory: directory.into(), writes });
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    if !layers.is_empty() {
        let content = serde_json::to_vec(&layers).map_err(io::Error::from);
        dir.write(FILE, &content.map_err(failed("write", &dir.path().join(FILE)))?)?;
    }
    Ok(held)
}

/// Each `.git` of the workspace that is not in a private directory.
pub(crate) fn found_in(workspace: &Path, private: &mut Private<'_>) -> Result<Vec<Box<[u8]>>> {
    let mut dot_git = Vec::new();
    let mut visit = |reached: walk::Reached<'_>| {
        if reached.name == c".git" {
            dot_git.push(Box::from(reached.path));
        }
        let is_private = private.is_private(reached.path, reached.kind);
        Ok(if is_private { Visit::Skip } else { Visit::Enter })
    };
    let walked = walk::walk(open(workspace)?.as_fd(), &mut visit, &mut |_| {});
    walked.map_err(failed("read", workspace))?;
    Ok(dot_git)
}

/// Git's directories outside of the workspace.
pub(crate) fn outside(workspace: &Path, private: &mut Private<'_>) -> Result<Vec<PathBuf>> {
    let dot_git = found_in(workspace, private)?;
    Ok(repository::outside(workspace, dot_git.iter().map(|path| &**path)))
}

/// The layers that a capture has.
pub(crate) fn read(dir: &CaptureDir) -> Result<Vec<GitLayer>> {
    let Some(content) = dir.read(FILE)? else { return Ok(Vec::new()) };
    let parsed = serde_json::from_slice(&content).map_err(io::Error::from);
    parsed.map_err(failed("read", &dir.path().join(FILE)))
}

/// Removes the layers of a capture, and what was written to them. No view of them may live.
pub(crate) fn drop_layers(dir: &CaptureDir) -> Result<()> {
    for layer in read(dir)? {
        dir.beside(&layer.layer).remove()?;
    }
    Ok(())
}
