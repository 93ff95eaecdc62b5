//! A workspace with one staged change of each operation, laid anew for each try.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use crate::tree::{self, Tree};
use crate::volume::Volume;

/// So few descriptors that the apply makes one call after the other, which makes the
/// number of a system call mean the same in each run.
const DESCRIPTORS: &str = "--nofile=31:31";

/// The binary over a workspace of its own.
pub(super) struct Fixture<'a> {
    pub greenroom: &'a Path,
    pub tree: PathBuf,
    pub state: PathBuf,
    config: PathBuf,
}

impl<'a> Fixture<'a> {
    pub(super) fn new(greenroom: &'a Path, volume: &Volume) -> Result<Self> {
        Self::with_state_in(&volume.folder, greenroom, volume)
    }

    /// With the state on another file system than the workspace.
    pub(super) fn with_state_in(
        folder: &Path,
        greenroom: &'a Path,
        volume: &Volume,
    ) -> Result<Self> {
        let tree = volume.folder.join("tree");
        let (state, config) = (folder.join("state"), folder.join("config"));
        let settings = config.join("greenroom");
        for dir in [&tree, &state, &settings] {
            fs::create_dir_all(dir).into_diagnostic()?;
        }
        fs::write(settings.join("config.toml"), "allow_other_mounts = true\n").into_diagnostic()?;
        Ok(Self { greenroom, tree, state, config })
    }

    /// `greenroom ARGUMENTS`, after the words of another program that runs it.
    pub(super) fn command(&self, runner: &[&str], arguments: &[&str]) -> Command {
        let binary = self.greenroom.display().to_string();
        let words: Vec<&str> = runner.iter().copied().chain([binary.as_str()]).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg("--workspace")
            .arg(&self.tree)
            .arg("--state-dir")
            .arg(&self.state)
            .args(arguments)
            .current_dir(&self.tree)
            .env("XDG_CONFIG_HOME", &self.config)
            .env("HOME", &self.config);
        command
    }

    pub(super) fn greenroom(&self, arguments: &[&str]) -> Result<Output> {
        self.command(&[], arguments).output().into_diagnostic()
    }

    /// The same, for what must succeed.
    pub(super) fn must(&self, arguments: &[&str]) -> Result<String> {
        let output = self.greenroom(arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(miette!("`greenroom {}`: {said}", arguments.join(" ")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Stages content; returns what `--json` says.
    pub(super) fn propose(&self, path: &str, content: &[u8]) -> Result<serde_json::Value> {
        let from = self.state.join("proposed");
        fs::write(&from, content).into_diagnostic()?;
        let from = from.display().to_string();
        let arguments = ["--json", "propose", path, "--from", &from, "--session", "trial"];
        serde_json::from_str(&self.must(&arguments)?).into_diagnostic()
    }

    /// How many patches are pending.
    pub(super) fn pending(&self) -> Result<usize> {
        let status = self.must(&["--json", "status"])?;
        let status: serde_json::Value = serde_json::from_str(&status).into_diagnostic()?;
        let sessions = status["sessions"].as_array().cloned().unwrap_or_default();
        Ok(sessions
            .iter()
            .filter_map(|session| session["patches"].as_array())
            .flatten()
            .filter(|patch| patch["state"] == "pending")
            .count())
    }

    /// Slots in the tree, and journals and kept bytes in the state.
    pub(super) fn debris(&self) -> Result<Vec<PathBuf>> {
        let names = tree::read(&self.tree).into_diagnostic()?.into_keys();
        let slots = names.filter(|path| {
            path.file_name().is_some_and(|name| atomic_fs::is_slot_name(name.as_encoded_bytes()))
        });
        let mut debris: Vec<PathBuf> = slots.collect();
        for workspace in fs::read_dir(&self.state).into_diagnostic()? {
            let workspace = workspace.into_diagnostic()?.path();
            for dir in ["journal", "conflicts"] {
                let Ok(entries) = fs::read_dir(workspace.join(dir)) else { continue };
                debris.extend(entries.flatten().map(|entry| entry.path()));
            }
        }
        Ok(debris)
    }

    /// What is in `conflicts/`.
    pub(super) fn kept(&self) -> Result<Vec<Vec<u8>>> {
        let mut kept = Vec::new();
        for workspace in fs::read_dir(&self.state).into_diagnostic()? {
            let dir = workspace.into_diagnostic()?.path().join("conflicts");
            let Ok(entries) = fs::read_dir(dir) else { continue };
            for entry in entries.flatten() {
                kept.push(fs::read(entry.path()).into_diagnostic()?);
            }
        }
        Ok(kept)
    }
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Old,
    New,
}

/// One of each operation, and two for each further file system in the tree.
pub(super) struct Trial<'a> {
    pub fixture: Fixture<'a>,
    files: Vec<(String, Vec<u8>)>,
    template: PathBuf,
    old: Tree,
    new: Tree,
    changes: usize,
}

impl<'a> Trial<'a> {
    pub(super) fn new(greenroom: &'a Path, volume: &Volume) -> Result<Self> {
        let fixture = Fixture::new(greenroom, volume)?;
        let mut files: Vec<(String, Vec<u8>)> = ["modify", "sub/delete", "rename", "mode"]
            .map(|name| (name.to_owned(), format!("the old {name}\n").into_bytes()))
            .into();
        let inner: Vec<String> = volume
            .inner
            .iter()
            .filter_map(|dir| Some(dir.strip_prefix(&fixture.tree).ok()?.display().to_string()))
            .collect();
        for dir in &inner {
            files.push((format!("{dir}/modify"), b"old there\n".to_vec()));
        }
        let mut trial = Self {
            template: volume.folder.join("template"),
            fixture,
            files,
            old: Tree::new(),
            new: Tree::new(),
            changes: 0,
        };
        trial.lay_files()?;
        trial.propose(&inner)?;
        trial.changes = trial.fixture.pending()?;
        trial.old = tree::read(&trial.fixture.tree).into_diagnostic()?;
        tree::copy(&trial.fixture.state, &trial.template).into_diagnostic()?;
        trial.fixture.must(&["apply", "--yes"]).wrap_err("an apply without a failure")?;
        trial.new = tree::read(&trial.fixture.tree).into_diagnostic()?;
        trial.lay()?;
        Ok(trial)
    }

    fn propose(&self, inner: &[String]) -> Result<()> {
        let fixture = &self.fixture;
        fixture.propose("modify", b"the new content\n")?;
        fixture.propose("fresh/deep/created", b"created\n")?;
        fixture.must(&["propose", "sub/delete", "--delete", "--session", "trial"])?;
        fixture.must(&["propose", "mode", "--mode", "755", "--session", "trial"])?;
        // Onto a path that another change of the set frees, or over to another mount.
        let goal = inner.first().map_or("sub/delete".to_owned(), |dir| format!("{dir}/moved"));
        fixture.must(&["propose", "rename", "--rename-to", &goal, "--session", "trial"])?;
        for dir in inner {
            fixture.propose(&format!("{dir}/modify"), b"new there\n")?;
        }
        Ok(())
    }

    /// Lays files and state as they were before the first apply.
    pub(super) fn lay(&self) -> Result<()> {
        self.lay_files()?;
        tree::clear(&self.fixture.state).into_diagnostic()?;
        tree::copy(&self.template, &self.fixture.state).into_diagnostic()
    }

    fn lay_files(&self) -> Result<()> {
        tree::clear(&self.fixture.tree).into_diagnostic()?;
        for (name, content) in &self.files {
            let file = self.fixture.tree.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&self.fixture.tree)).into_diagnostic()?;
            fs::write(&file, content).into_diagnostic()?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).into_diagnostic()?;
        }
        Ok(())
    }

    /// Applies under strace, one call after the other, with strace's own options.
    pub(super) fn apply_traced(&self, options: &[&str]) -> Result<Output> {
        let runner: Vec<&str> = ["prlimit", DESCRIPTORS, "strace", "-f", "-o"]
            .into_iter()
            .chain(options.iter().copied())
            .collect();
        let mut command = self.fixture.command(&runner, &["apply", "--yes"]);
        command.output().into_diagnostic()
    }

    /// Whether a tree is all old or all new, if it is one of them.
    pub(super) fn ending_of(&self, tree: &Tree) -> Option<Ending> {
        match tree {
            tree if *tree == self.old => Some(Ending::Old),
            tree if *tree == self.new => Some(Ending::New),
            _ => None,
        }
    }

    /// Recovers twice and checks the files.
    ///
    /// # Errors
    /// When a promise is broken.
    pub(super) fn check(&self, case: &str) -> Result<Ending> {
        let broken = |what: String| Err(miette!("{case}: {what}"));
        self.fixture.must(&["recover"]).wrap_err_with(|| case.to_owned())?;
        let tree = tree::read(&self.fixture.tree).into_diagnostic()?;
        let Some(ending) = self.ending_of(&tree) else {
            return broken(format!("neither all old nor all new: {:?}", tree.keys()));
        };
        let debris = self.fixture.debris()?;
        if !debris.is_empty() {
            return broken(format!("left behind: {debris:?}"));
        }
        let before = tree::stamps(&self.fixture.tree).into_diagnostic()?;
        self.fixture.must(&["recover"]).wrap_err_with(|| case.to_owned())?;
        if before != tree::stamps(&self.fixture.tree).into_diagnostic()? {
            return broken("a second recovery changed something".to_owned());
        }
        let pending = self.fixture.pending()?;
        let expected = if ending == Ending::Old { self.changes } else { 0 };
        if pending != expected {
            return broken(format!("{ending:?}, but {pending} patches are pending"));
        }
        Ok(ending)
    }

    /// Checks that a set that was rolled back can be applied again.
    pub(super) fn retry(&self, case: &str) -> Result<()> {
        self.fixture.must(&["apply", "--yes"]).wrap_err_with(|| format!("{case}, tried again"))?;
        match tree::read(&self.fixture.tree).into_diagnostic()? == self.new {
            true => Ok(()),
            false => Err(miette!("{case}: tried again, it is not all new")),
        }
    }
}
