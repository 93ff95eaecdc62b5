//! The user's side: a workspace with real files in it, edited freely.
#![allow(clippy::disallowed_methods, reason = "this is the user, who writes files freely")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use orchestrator_adapter::RelPath;
use tempfile::TempDir;

use crate::story::Story;

/// What every file holds.
pub(crate) type Contents = BTreeMap<RelPath, Vec<u8>>;

/// A temporary workspace and, beside it, Greenroom's state.
pub(crate) struct UserFiles {
    dir: TempDir,
}

impl UserFiles {
    /// Copies the sources of this repository's crates.
    pub(crate) fn copy_of_our_sources() -> Story<Self> {
        let repository = own_folder().join("../..");
        let files = Self { dir: TempDir::with_prefix("greenroom-example-")? };
        for source in sources(&repository.join("crates"))? {
            let to = files.workspace().join(source.strip_prefix(&repository)?);
            fs::create_dir_all(to.parent().ok_or("a file has a folder")?)?;
            fs::copy(&source, &to)?;
        }
        Ok(files)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.path().join("workspace")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The paths of all files.
    pub(crate) fn list(&self) -> Story<Vec<RelPath>> {
        Ok(self.contents()?.into_keys().collect())
    }

    pub(crate) fn contents(&self) -> Story<Contents> {
        let mut contents = Contents::new();
        for file in walk(&self.workspace())? {
            let path = RelPath::from_path(file.strip_prefix(self.workspace())?)?;
            contents.insert(path, fs::read(&file)?);
        }
        Ok(contents)
    }

    pub(crate) fn read(&self, path: &RelPath) -> Story<Option<Vec<u8>>> {
        match fs::read(self.workspace().join(path.to_path_buf())) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A digest over every name, content, mode and time of modification.
    pub(crate) fn hash(&self) -> Story<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        for file in walk(&self.workspace())? {
            let metadata = fs::metadata(&file)?;
            let content = blake3::hash(&fs::read(&file)?);
            let times = (metadata.modified()?, metadata.permissions());
            hasher.update(format!("{file:?} {content} {times:?}\n").as_bytes());
        }
        Ok(hasher.finalize())
    }

    /// Adds to the end of a file, as a user's editor would.
    pub(crate) fn append(&self, path: &str, text: &[u8]) -> Story<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.workspace().join(path))?;
        Ok(file.write_all(text)?)
    }
}

/// This crate's folder, where it lies now: a clone may be moved together with what was built.
fn own_folder() -> PathBuf {
    let compiled_in = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(compiled_in, PathBuf::from)
}

/// The Rust files of every crate's `src` folder. Only names below `crates` count, since the clone
/// itself may lie in a folder named `src`, and hidden files belong to editors.
fn sources(crates: &Path) -> Story<Vec<PathBuf>> {
    let is_hidden =
        |component: Component| component.as_os_str().as_encoded_bytes().starts_with(b".");
    let mut files = Vec::new();
    for file in walk(crates)? {
        let below = file.strip_prefix(crates)?;
        let is_in_src = below.components().any(|component| component.as_os_str() == "src");
        let is_rust = below.extension().is_some_and(|extension| extension == "rs");
        if is_in_src && is_rust && !below.components().any(is_hidden) {
            files.push(file);
        }
    }
    Ok(files)
}

/// Every regular file below a folder, in order.
fn walk(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    let mut files = Vec::new();
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(walk(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}
