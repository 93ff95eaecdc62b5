//! What git makes of trees and patches.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::entry::{Entry, Files};

/// A folder in which git applies patches, and what lies in it.
pub(crate) struct Git {
    folder: tempfile::TempDir,
    laid: Option<Files>,
}

impl Git {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made"), laid: None }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("git")
            .args(["-c", "core.safecrlf=false", "-c", "core.autocrlf=false"])
            .args(arguments)
            .current_dir(self.work())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CEILING_DIRECTORIES", self.folder.path())
            .output()
            .expect("git starts")
    }

    fn lay(&mut self, files: &Files) {
        if self.laid.as_ref() == Some(files) {
            return;
        }
        let work = self.work();
        if work.exists() {
            fs::remove_dir_all(&work).expect("it is ours");
        }
        fs::create_dir(&work).expect("it can be made");
        for (name, entry) in files {
            let path = work.join(name);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("it can be made");
            match entry {
                Entry::File { content, is_executable } => {
                    fs::write(&path, content).expect("the file can be written");
                    let mode = if *is_executable { 0o755 } else { 0o644 };
                    fs::set_permissions(path, fs::Permissions::from_mode(mode))
                        .expect("it is ours");
                }
                Entry::Link { target } => {
                    symlink(OsStr::from_bytes(target), path).expect("the link can be made");
                }
            }
        }
        self.laid = Some(files.clone());
    }

    /// The files after `git apply`; nothing when it refuses.
    pub(crate) fn apply(
        &mut self,
        before: &Files,
        patch: &[u8],
        strip: Option<&str>,
    ) -> Option<Files> {
        self.lay(before);
        fs::write(self.folder.path().join("p"), patch).expect("the patch can be written");
        let mut arguments = vec!["apply", "--whitespace=nowarn"];
        arguments.extend(strip);
        arguments.push("../p");
        let is_taken = self.run(&arguments).status.success();
        let mut files = Files::new();
        read(&self.work(), &self.work(), &mut files);
        // Where a link cannot be made, git refuses in the middle of its work.
        self.laid = self.laid.take().filter(|laid| *laid == files);
        is_taken.then_some(files)
    }

    /// `git diff` between two trees, and the same without prefixes.
    pub(crate) fn diff(&mut self, old: &Files, new: &Files) -> [Vec<u8>; 2] {
        let mut trees = Vec::new();
        let index = self.folder.path().join("index");
        for files in [old, new] {
            self.lay(files);
            self.laid = None;
            let _ = fs::remove_dir_all(self.work().join(".git"));
            let repository = self.folder.path().join("repository");
            let at = format!("--git-dir={}", repository.display());
            if !repository.exists() {
                self.run(&["init", "-q", "--bare", &repository.display().to_string()]);
            }
            let _ = fs::remove_file(&index);
            self.run(&[&at, "--work-tree=.", "add", "-A", "."]);
            let tree = self.run(&[&at, "--work-tree=.", "write-tree"]).stdout;
            trees.push(String::from_utf8(tree).expect("an id is text").trim().to_owned());
        }
        let at = format!("--git-dir={}", self.folder.path().join("repository").display());
        ["--default-prefix", "--no-prefix"].map(|prefix| {
            self.run(&[&at, "diff", "-M", "--text", prefix, &trees[0], &trees[1]]).stdout
        })
    }
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("it is there");
        if metadata.is_dir() {
            read(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).expect("it lies there").to_string_lossy().into_owned();
        let entry = if metadata.is_symlink() {
            let target = fs::read_link(&path).expect("a link").into_os_string().into_vec();
            Entry::Link { target }
        } else {
            let is_executable = metadata.permissions().mode() & 0o100 != 0;
            Entry::File { content: fs::read(&path).expect("a file"), is_executable }
        };
        files.insert(name, entry);
    }
}
