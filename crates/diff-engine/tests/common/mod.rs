//! A folder to apply patches in, by the tools that people use.

// Each test program uses some of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use diff_engine::{DiffEngine, FileChange, FileDiff, FileHeader, Policy, RenderOptions, Side};

/// The files of a folder: content and whether it is executable.
pub(crate) type Files = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Git,
    Patch,
}

/// Applies `patch` over `files` and returns what is there then, or what the tool said.
pub(crate) fn apply(tool: Tool, files: &Files, patch: &[u8]) -> Result<Files, String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, (content, executable)) in files {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it can be made");
        fs::write(&path, content).expect("the file can be written");
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("the mode can be set");
    }
    let mut command = match tool {
        Tool::Git => {
            let mut command = Command::new("git");
            command.args(["apply", "--whitespace=nowarn", "-"]);
            command.env("GIT_CEILING_DIRECTORIES", folder.path());
            command.env("GIT_CONFIG_NOSYSTEM", "1");
            command.env("GIT_CONFIG_GLOBAL", "/dev/null");
            command
        }
        Tool::Patch => {
            let mut command = Command::new("patch");
            command.args(["-p1", "--binary", "--batch", "--forward", "--fuzz=0"]);
            command
        }
    };
    let mut child = command
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git and patch are installed");
    let mut input = child.stdin.take().expect("its input is a pipe");
    // A tool that refuses the patch closes its input early; its status tells.
    let _ = input.write_all(patch);
    drop(input);
    let output = child.wait_with_output().expect("the tool ends");
    if !output.status.success() {
        return Err(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let mut after = Files::new();
    collect(folder.path(), folder.path(), &mut after);
    Ok(after)
}

fn collect(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        let metadata = path.symlink_metadata().expect("the entry is there");
        if metadata.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).expect("it is beneath the root");
        let content = fs::read(&path).expect("the file can be read");
        let executable = metadata.permissions().mode() & 0o100 != 0;
        files.insert(name.as_os_str().as_bytes().to_vec(), (content, executable));
    }
}

pub(crate) fn engine(strategy: &str) -> DiffEngine {
    DiffEngine::bundled(Policy {
        strategy: strategy.to_owned(),
        ..Policy::default()
    })
}

/// One file's change: contents are `None` where there is no file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) change: FileChange<'a>,
    pub(crate) old: Option<&'a [u8]>,
    pub(crate) new: Option<&'a [u8]>,
    pub(crate) modes: (u32, u32),
}

impl<'a> Case<'a> {
    pub(crate) fn modify(path: &'a [u8], old: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            change: FileChange::Modify { path },
            old: Some(old),
            new: Some(new),
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn create(path: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            change: FileChange::Create { path },
            old: None,
            new: Some(new),
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn delete(path: &'a [u8], old: &'a [u8]) -> Self {
        Self {
            change: FileChange::Delete { path },
            old: Some(old),
            new: None,
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn rename(from: &'a [u8], to: &'a [u8], old: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            change: FileChange::Rename { from, to },
            old: Some(old),
            new: Some(new),
            modes: (0o644, 0o644),
        }
    }

    pub(crate) fn mode(path: &'a [u8], content: &'a [u8], modes: (u32, u32)) -> Self {
        Self {
            change: FileChange::Mode { path },
            old: Some(content),
            new: Some(content),
            modes,
        }
    }

    pub(crate) fn header(&self) -> FileHeader<'a> {
        FileHeader {
            old_mode: self.old.map(|_| self.modes.0),
            new_mode: self.new.map(|_| self.modes.1),
            ..FileHeader::new(self.change)
        }
    }

    pub(crate) fn sides(&self) -> (Side<'a>, Side<'a>) {
        let side = |content: Option<&'a [u8]>| content.map_or(Side::Absent, Side::Text);
        (side(self.old), side(self.new))
    }

    pub(crate) fn diff(&self, engine: &DiffEngine) -> FileDiff {
        let (old, new) = self.sides();
        engine.diff(old, new)
    }

    pub(crate) fn patch(&self, engine: &DiffEngine) -> Vec<u8> {
        self.patch_with(engine, &RenderOptions::default())
    }

    pub(crate) fn patch_with(&self, engine: &DiffEngine, options: &RenderOptions) -> Vec<u8> {
        let (old, new) = self.sides();
        let diff = engine.diff(old, new);
        let mut out = Vec::new();
        engine
            .render(&self.header(), &diff, old, new, options, &mut out)
            .expect("writing to memory works");
        out
    }

    pub(crate) fn before(&self) -> Files {
        let (from, _) = self.change.paths();
        files(from, self.old, self.modes.0)
    }

    pub(crate) fn after(&self) -> Files {
        let (_, to) = self.change.paths();
        files(to, self.new, self.modes.1)
    }

    /// The patch, applied by `tool`, gives exactly what is staged.
    pub(crate) fn check_applies(&self, engine: &DiffEngine, tool: Tool) {
        let patch = self.patch(engine);
        let shown = String::from_utf8_lossy(&patch);
        match apply(tool, &self.before(), &patch) {
            Ok(after) => assert_eq!(
                after,
                self.after(),
                "{tool:?} must give the staged bytes from\n{shown}"
            ),
            Err(said) => panic!("{tool:?} refused the patch: {said}\n{shown}"),
        }
    }
}

fn files(name: &[u8], content: Option<&[u8]>, mode: u32) -> Files {
    content
        .map(|content| (name.to_vec(), (content.to_vec(), mode & 0o100 != 0)))
        .into_iter()
        .collect()
}
