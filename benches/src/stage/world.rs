//! Workspaces of files that proposals change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result};
use orchestrator_adapter::{RelPath, StagingOptions};
use tempfile::TempDir;

use crate::apply::sync;

const FILE_BYTES: usize = 10 * 1024;

/// A workspace of files with a state directory beside it.
pub(super) struct World {
    dir: TempDir,
}

impl World {
    pub(super) fn new(target: &Path, files: usize) -> Result<Self> {
        let world = Self { dir: tempfile::tempdir_in(target).into_diagnostic()? };
        for index in 0..files {
            let path = world.root().join(name(index));
            fs::create_dir_all(path.parent().unwrap_or(&path)).into_diagnostic()?;
            fs::write(path, content(index, 0)).into_diagnostic()?;
        }
        sync(world.dir.path())?;
        Ok(world)
    }

    /// Holds the workspace and the state directory.
    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(super) fn options(&self) -> StagingOptions {
        StagingOptions::new(self.root(), self.dir.path().join("state"))
    }
}

/// Files that changed just now could change again within the clock's tick, and are
/// looked into; agents and reviewers come later.
pub(super) fn settle() {
    std::thread::sleep(Duration::from_millis(1100));
}

pub(super) fn name(index: usize) -> String {
    format!("d{}/f{index}.rs", index % 60)
}

pub(super) fn path(index: usize) -> Result<RelPath> {
    RelPath::parse(name(index).as_bytes()).into_diagnostic()
}

/// 10 KiB of lines; a later revision differs in a few of them, as an agent's edit does.
///
/// Stamped into a text that is made once, so that making it costs next to nothing beside
/// what is measured.
pub(super) fn content(index: usize, revision: usize) -> Vec<u8> {
    static TEXT: LazyLock<(Vec<u8>, Vec<usize>)> = LazyLock::new(|| {
        let (mut text, mut stamps, mut line) = (String::new(), Vec::new(), 0);
        while text.len() < FILE_BYTES {
            line += 1;
            text.push_str(&format!("    let value_{line} = compute({line}, "));
            if line % 60 == 7 {
                stamps.push(text.len());
            }
            text.push_str("000000, 000000);\n");
        }
        (text.into_bytes(), stamps)
    });
    let (text, stamps) = &*TEXT;
    let mut content = text.clone();
    let stamp = format!("{index:06}, {revision:06}");
    for at in stamps {
        content[*at..at + stamp.len()].copy_from_slice(stamp.as_bytes());
    }
    content
}
