//! Finds what was built with the tests: the `greenroom` command and a plugin.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The command, up to date with the sources.
///
/// `cargo test --workspace` builds it together with the tests. When only these
/// tests are built it may be missing or old, and cargo is asked to build it.
pub fn greenroom_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let file = format!("greenroom{}", env::consts::EXE_SUFFIX);
        built(Path::new(&file), &["--workspace", "--bin", "greenroom"])
    })
}

/// A program that runs a command on a machine that allows no namespaces.
pub fn without_namespaces() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let file = format!("without-namespaces{}", env::consts::EXE_SUFFIX);
        built(Path::new(&file), &["--workspace", "--bin", "without-namespaces"])
    })
}

/// The library of a diff strategy that does what a line of the new file tells it to.
pub fn misbehaving_plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let (prefix, suffix) = (env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        let file = Path::new("examples").join(format!("{prefix}misbehaving_plugin{suffix}"));
        built(&file, &["--workspace", "--example", "misbehaving_plugin"])
    })
}

/// A file below the profile's folder, built by cargo unless it is up to date.
fn built(file: &Path, selection: &[&str]) -> PathBuf {
    let test = env::current_exe().expect("a running test has a path");
    let profile_dir = test
        .ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .expect("cargo puts tests into a folder `deps` below the profile's");
    let path = profile_dir.join(file);
    if !is_current(&path) {
        build(profile_dir, selection);
    }
    assert!(path.is_file(), "{} must be there once it is built", path.display());
    path
}

fn build(profile_dir: &Path, selection: &[&str]) {
    let profile = profile_dir.file_name().and_then(|name| name.to_str()).expect("a plain name");
    let target_dir = profile_dir.parent().expect("a profile's folder lies in the target folder");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace_root()).arg("build").args(selection);
    cargo.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    cargo.arg("--target-dir").arg(target_dir);
    let output = cargo.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo must build {selection:?}:\n{errors}");
}

fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the workspace")
}

/// What programs and plugins are built from, below the workspace.
const SOURCES: [&str; 4] = ["Cargo.lock", "Cargo.toml", "crates", "tests/src"];

/// Whether a file is newer than every source that it was built from.
fn is_current(path: &Path) -> bool {
    let Some(built) = modified(path) else { return false };
    // `cargo build` writes beside it: `file: source source …`, with spaces escaped. `cargo test` does not.
    let Ok(sources) = fs::read_to_string(path.with_extension("d")) else {
        return SOURCES.iter().all(|source| is_older(&workspace_root().join(source), built));
    };
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split_whitespace().skip(1).map(|path| path.replace('\0', " "));
    sources.all(|source| modified(Path::new(&source)).is_some_and(|changed| changed <= built))
}

/// Whether a file, or each file in a directory, has not changed since a time.
fn is_older(path: &Path, than: SystemTime) -> bool {
    let Ok(entries) = fs::read_dir(path) else {
        return modified(path).is_some_and(|changed| changed <= than);
    };
    entries.flatten().all(|entry| is_older(&entry.path(), than))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}
