//! What cargo knows of the workspace, and how it is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde::Deserialize;

/// The cargo that runs this task, so that every step uses the same toolchain.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The parts of `cargo metadata` that the rules read.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    workspace_root: PathBuf,
    #[serde(default)]
    pub(crate) target_directory: PathBuf,
    /// The crates of the workspace.
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) rust_version: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// The registries to which it may go; none if it may go to any.
    publish: Option<Vec<String>>,
    targets: Vec<Target>,
}

impl Package {
    /// What cargo names its archive, and the directory in it.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// A dependency as a manifest declares it; `kind` is nothing, `dev` or `build`.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    src_path: PathBuf,
}

impl Workspace {
    /// The packages that may be published.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.publish.is_none())
    }

    /// Asks cargo for the workspace at `root`.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let arguments = ["metadata", "--format-version=1", "--locked", "--no-deps"];
        serde_json::from_slice(&output_of(root, &arguments)?)
            .into_diagnostic()
            .wrap_err("cannot read the output of cargo metadata")
    }

    /// The root source of every library, binary, test, bench and example, by its path from the
    /// workspace's root with `/` between the parts.
    pub(crate) fn source_roots(&self) -> Vec<String> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let paths = targets.filter_map(|t| t.src_path.strip_prefix(&self.workspace_root).ok());
        paths.map(|path| path.display().to_string().replace('\\', "/")).collect()
    }
}

/// Every crate that reaches `used` through normal dependencies, each on a line with its version,
/// with every feature on and for every platform, so that nothing hides.
pub(crate) fn users_of(root: &Path, used: &str) -> Result<String> {
    let tree = ["tree", "--workspace", "--all-features", "--target=all", "--locked"];
    let shown = ["--edges=normal", "--prefix=none", "--format={p}", "--invert", used];
    let output = output_of(root, &[tree.as_slice(), &shown].concat())?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

pub(crate) fn output_of(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(cargo()).args(arguments).current_dir(root).output();
    let output = output.into_diagnostic().wrap_err("cannot start cargo")?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(miette!("cargo {} failed: {}", arguments[0], message.trim()))
}
