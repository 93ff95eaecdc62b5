//! Applying patches with `git apply` and `patch`.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use diff_engine::DiffEngine;

use super::{Case, Files};

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

impl Case<'_> {
    /// The patch, applied by `tool`, gives exactly what is staged.
    pub(crate) fn check_applies(&self, engine: &DiffEngine, tool: Tool) {
        let patch = self.patch(engine);
        let shown = String::from_utf8_lossy(&patch);
        match apply(tool, &self.before(), &patch) {
            Ok(after) => {
                assert_eq!(after, self.after(), "{tool:?} must give the staged bytes from\n{shown}")
            }
            Err(said) => panic!("{tool:?} refused the patch: {said}\n{shown}"),
        }
    }
}
