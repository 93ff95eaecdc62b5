//! A directory tree as a value that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Everything below a directory, by its path relative to it.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// One file, directory or symlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Type and permission bits.
    pub mode: u32,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
    /// A file's bytes, a symlink's target; none for a directory.
    pub content: Option<Vec<u8>>,
}

/// Everything below `root`, the root's own times included as ``.
pub fn tree_of(root: &Path) -> Tree {
    let mut tree = Tree::new();
    add(root, Path::new(""), &mut tree);
    tree
}

fn add(root: &Path, below: &Path, tree: &mut Tree) {
    let path = root.join(below);
    let metadata = fs::symlink_metadata(&path).expect("what was listed is there");
    let content = if metadata.is_symlink() {
        let target = fs::read_link(&path).expect("a symlink has a target");
        Some(target.into_os_string().into_encoded_bytes())
    } else if metadata.is_file() {
        Some(fs::read(&path).expect("the test's own file can be read"))
    } else {
        None
    };
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    tree.insert(below.to_owned(), Entry { mode: metadata.mode(), modified, content });
    if metadata.is_dir() {
        for entry in fs::read_dir(&path).expect("the test's own directory can be listed") {
            add(root, &below.join(entry.expect("an entry").file_name()), tree);
        }
    }
}
