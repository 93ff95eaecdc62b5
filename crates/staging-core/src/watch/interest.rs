//! The watched files, and which of them have changed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use atomic_fs::RelPath;
use notify::EventKind;
use notify::event::ModifyKind;

/// The files of pending patches, by absolute path.
#[derive(Default)]
pub(crate) struct Interest {
    files: HashMap<PathBuf, RelPath>,
}

impl Interest {
    /// Adds files, and returns their absolute paths.
    pub(crate) fn add(
        &mut self,
        root: &Path,
        paths: impl IntoIterator<Item = RelPath>,
    ) -> Vec<PathBuf> {
        let mut new = Vec::new();
        for path in paths {
            let file = root.join(path.to_path_buf());
            // Also files that are known: one that is proposed again may have changed before.
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

/// The changes that the system has reported since the last check.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) interesting: HashSet<PathBuf>,
    pub(crate) directories: HashSet<PathBuf>,
    pub(crate) paths: HashSet<PathBuf>,
    structure: bool,
    /// Whether everything pending must be checked: the system lost events, or the last check
    /// failed.
    pub(crate) everything: bool,
}

impl Changed {
    /// Records an event of the system; returns whether files must be checked.
    pub(crate) fn take(&mut self, event: notify::Result<notify::Event>) -> bool {
        let Ok(event) = event else {
            self.everything = true;
            return true;
        };
        if event.need_rescan() {
            self.everything = true;
            return true;
        }
        // Checking a file opens it, which is reported as an access.
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

    /// Takes the changed files, and whether a directory was created, removed or moved.
    pub(crate) fn drain(&mut self) -> (HashSet<PathBuf>, bool) {
        (std::mem::take(&mut self.paths), std::mem::take(&mut self.structure))
    }
}
