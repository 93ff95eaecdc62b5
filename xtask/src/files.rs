//! Finds the repository and lists the files that the rules look at.

use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic, WrapErr, miette};

/// One file of the repository, by its path from the root with `/` between the parts.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl File {
    /// The content, when it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Whether the file is data for a test rather than a file we wrote for its own sake.
    ///
    /// Its bytes are then the point of it, and the house has no say in them.
    pub(crate) fn is_fixture(&self) -> bool {
        self.path.split('/').any(|part| part == "fixtures")
    }
}

/// The root of the repository, from what cargo tells the program it runs.
pub(crate) fn root() -> miette::Result<PathBuf> {
    let own_folder = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| miette!("CARGO_MANIFEST_DIR is not set: run this as `cargo xtask`"))?;
    let root = Path::new(&own_folder).parent();
    root.map(Path::to_path_buf).ok_or_else(|| miette!("xtask has no parent folder"))
}

/// Every file that git tracks or would track, in the order of their paths.
///
/// New files are listed before `git add` as well, so that a rule speaks up before the commit.
/// Symlinks are listed as files whose content is the path that they hold.
pub(crate) fn list(root: &Path) -> miette::Result<Vec<File>> {
    // A checkout may belong to another user than the one who runs CI in it; we only read.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .into_diagnostic()
        .wrap_err("git could not be started")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(miette!("git ls-files failed: {}", complaint.trim()));
    }
    let listing = String::from_utf8(output.stdout)
        .into_diagnostic()
        .wrap_err("a file name of the repository is not UTF-8")?;
    let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        if let Some(bytes) = read(&root.join(path))? {
            let path = path.to_owned();
            files.push(File { path, bytes });
        }
    }
    Ok(files)
}

/// The bytes at `path`; nothing for a file that is in git's index and gone from the disk.
fn read(path: &Path) -> miette::Result<Option<Vec<u8>>> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(None);
    };
    if metadata.is_symlink() {
        let target = path.read_link().into_diagnostic()?;
        return Ok(Some(target.into_os_string().into_encoded_bytes()));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} could not be read", path.display()))?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_are_listed_and_ignored_ones_are_not() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let root = folder.path();
        let started = Command::new("git").args(["init", "--quiet"]).current_dir(root).status();
        assert!(started.expect("git is installed").success());
        for (path, content) in [(".gitignore", "/target\n"), ("new.md", "new"), ("target", "")] {
            std::fs::write(root.join(path), content).expect("the temporary folder is writable");
        }
        let files = list(root).expect("the folder is a repository");
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".gitignore", "new.md"]);
        assert_eq!(files[1].text(), Some("new"));
    }

    #[test]
    fn a_folder_that_is_no_repository_is_an_error() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let error = list(folder.path()).expect_err("there is no repository here");
        assert!(error.to_string().starts_with("git ls-files failed"), "{error}");
    }
}
