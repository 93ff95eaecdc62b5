//! Which files are of interest, and which of them have changed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use atomic_fs::RelPath;
use notify::EventKind;
use notify::event::ModifyKind;

/// The files that pending patches are about, by where they lie.
#[derive(Default)]
pub(crate) struct Interest {
    files: HashMap<PathBuf, RelPath>,
}

impl Interest {
    /// Adds files; gives those that are new.
    pub(crate) fn add(
        &mut self,
        root: &Path,
        paths: impl IntoIterator<Item = RelPath>,
    ) -> Vec<PathBuf> {
        let mut new = Vec::new();
        for path in paths {
            let file = root.join(path.to_path_buf());
            // One that is proposed again may have changed before it was.
            new.push(file.clone());
            self.files.insert(file, path);
        }
        new
    }

    pub(crate) fn rel_path(&self, file: &Path) -> Option<&RelPath> {
        self.files.get(file)
    }

    pub(crate) fn files(&self) -> HashSet<PathBuf> {
        self.files.keys().cloned().collect()
    }

    /// Every directory between the root and a file.
    pub(crate) fn directories(&self, root: &Path) -> HashSet<PathBuf> {
        let mut directories = HashSet::new();
        for file in self.files.keys() {
            for directory in file.ancestors().skip(1) {
                if !directories.insert(directory.to_owned()) || directory == root {
                    break;
                }
            }
        }
        directories
    }
}

/// What the system told of since the last look.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) interesting: HashSet<PathBuf>,
    pub(crate) directories: HashSet<PathBuf>,
    pub(crate) paths: HashSet<PathBuf>,
    structure: bool,
    /// The system lost count, or the last look failed.
    pub(crate) everything: bool,
}

impl Changed {
    /// Takes in what the system says; whether somebody has to look.
    pub(crate) fn take(&mut self, event: notify::Result<notify::Event>) -> bool {
        let Ok(event) = event else {
            self.everything = true;
            return true;
        };
        if event.need_rescan() {
            self.everything = true;
            return true;
        }
        // Looking at a file opens it.
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        let mut concerns = false;
        for path in &event.paths {
            if self.interesting.contains(path) {
                self.paths.insert(path.clone());
                concerns = true;
            }
            let moved = matches!(
                event.kind,
                EventKind::Create(_)
                    | EventKind::Remove(_)
                    | EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Any)
                    | EventKind::Any
                    | EventKind::Other
            );
            if moved && self.directories.contains(path) {
                self.structure = true;
                concerns = true;
            }
        }
        concerns
    }

    /// The changed files, and whether a directory came or went.
    pub(crate) fn drain(&mut self) -> (HashSet<PathBuf>, bool) {
        (std::mem::take(&mut self.paths), std::mem::take(&mut self.structure))
    }
}
