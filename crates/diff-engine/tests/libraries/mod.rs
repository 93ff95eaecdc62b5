//! The libraries that the tests load, built by cargo.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use diff_engine::{Library, Trust, Writers};
use tempfile::TempDir;

/// The folder of the libraries that were built with this test.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let deps = test.parent().expect("a program is in a folder");
    deps.parent().expect("the folder is in another").to_owned()
}

/// A library's bytes.
pub(crate) fn library(file: &str, build: &[&str]) -> Vec<u8> {
    fs::read(path_of(file, build)).expect("the library can be read")
}

/// What cargo built; where it is not up to date with its sources, it is built now.
pub(crate) fn path_of(file: &str, build: &[&str]) -> PathBuf {
    let folder = build_folder();
    let places =
        [folder.join("deps").join(file), folder.join("examples").join(file), folder.join(file)];
    let find = || places.iter().find(|path| path.is_file());
    // The strategies are dependencies of the test, so they are as new as it is; an example is not.
    let is_dependency = |path: &Path| path.parent().is_some_and(|dir| dir.ends_with("deps"));
    if !find().is_some_and(|path| is_dependency(path) || is_current(path)) {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--profile", profile])
            .args(build)
            .arg("--target-dir")
            .arg(folder.parent().expect("profiles are in the target folder"))
            .status()
            .expect("cargo is installed");
        assert!(status.success(), "{file} must build");
    }
    find().expect("a build leaves it in one of the places").clone()
}

/// Whether a file is newer than every source that it was built from.
fn is_current(path: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let Some(built) = modified(path) else { return false };
    // What cargo wrote beside it: `file: source source …`, with spaces escaped.
    let Ok(sources) = fs::read_to_string(path.with_extension("d")) else { return false };
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split_whitespace().skip(1).map(|path| path.replace('\0', " "));
    sources.all(|source| modified(Path::new(&source)).is_some_and(|changed| changed <= built))
}

pub(crate) fn misbehaving() -> Vec<u8> {
    library("libmisbehaving_plugin.so", &["--example", "misbehaving_plugin"])
}

pub(crate) fn myers() -> Vec<u8> {
    library("libstrategy_myers.so", &["-p", "greenroom-strategy-myers"])
}

/// A library in a folder that only the user can write.
pub(crate) struct Installed {
    _folder: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) trust: Trust,
}

impl Installed {
    /// It as the user allowed it, under a name.
    pub(crate) fn library(&self, name: &str) -> Library {
        Library { name: name.to_owned(), path: self.path.clone(), trust: self.trust.clone() }
    }
}

pub(crate) fn install(bytes: &[u8]) -> Installed {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("plugin.so");
    fs::write(&path, bytes).expect("the library can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode can be set");
    let mut trust = Trust::in_digest(blake3::hash(bytes));
    trust.writers = Writers::NobodyBeneathSticky;
    Installed { _folder: folder, path, trust }
}
