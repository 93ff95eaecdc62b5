//! The workspace and the records that the processes share.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result, miette};
use orchestrator_adapter::StagingOptions;
use tempfile::TempDir;

/// Files that every session changes, so that sessions conflict.
pub(crate) const SHARED_FILES: u64 = 60;

/// A new folder for workspace and state, below the workspace's target folder.
pub(crate) fn folder() -> Result<TempDir> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/torture");
    fs::create_dir_all(&target).into_diagnostic()?;
    tempfile::tempdir_in(target.canonicalize().into_diagnostic()?).into_diagnostic()
}

pub(crate) fn options(folder: &Path) -> StagingOptions {
    let mut options = StagingOptions::new(folder.join("work"), folder.join("state"));
    options.sweep_every = Duration::from_secs(2);
    options
}

/// The workspace's files as they are before anybody proposes.
pub(crate) fn populate(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for number in 0..SHARED_FILES {
        let name = shared(number);
        let path = folder.join("work").join(&name);
        let content = format!("the user's {number}\n").repeat(20).into_bytes();
        fs::create_dir_all(path.parent().unwrap_or(folder)).into_diagnostic()?;
        fs::write(path, &content).into_diagnostic()?;
        files.insert(name, content);
    }
    Ok(files)
}

pub(crate) fn shared(number: u64) -> String {
    format!("shared/d{}/f{number}.txt", number % 7)
}

/// What a process was answered. A kill tears no line: each is one write to the end of a file that
/// no other process writes.
pub(crate) struct Acknowledged(File);

impl Acknowledged {
    pub(crate) fn open(folder: &Path, who: &str) -> Result<Self> {
        let name = format!("acknowledged-{who}-{}", std::process::id());
        let file = OpenOptions::new().create(true).append(true).open(folder.join(name));
        Ok(Self(file.into_diagnostic()?))
    }

    pub(crate) fn line(&self, words: &[&dyn std::fmt::Display]) -> Result<()> {
        let mut line = words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        line.push('\n');
        (&self.0).write_all(line.as_bytes()).into_diagnostic()
    }
}

/// # Errors
/// What `otherwise` says, when the claim does not hold.
pub(crate) fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(miette!("{}", otherwise())) }
}
