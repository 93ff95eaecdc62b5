//! What lies in a directory, to be compared.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Names with their permission bits and content; directories have none.
pub(super) type Tree = BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>;

/// Reads a tree.
pub(super) fn read(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    walk(root, &mut |path, metadata| {
        let content = if metadata.is_dir() { None } else { Some(fs::read(path)?) };
        let name = path.strip_prefix(root).unwrap_or(path).to_owned();
        tree.insert(name, (metadata.mode() & 0o7777, content));
        Ok(())
    })?;
    Ok(tree)
}

/// Names with what any change to them would alter: inode, modification and status change
/// in nanoseconds.
pub(super) fn stamps(root: &Path) -> io::Result<BTreeMap<PathBuf, [i64; 5]>> {
    let mut stamps = BTreeMap::new();
    walk(root, &mut |path, metadata| {
        let inode = metadata.ino().cast_signed();
        let (modified, changed) = (metadata.mtime(), metadata.ctime());
        let (modified_ns, changed_ns) = (metadata.mtime_nsec(), metadata.ctime_nsec());
        stamps.insert(path.to_owned(), [inode, modified, modified_ns, changed, changed_ns]);
        Ok(())
    })?;
    Ok(stamps)
}

/// Empties a directory, but for the mount points below it.
pub(super) fn clear(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            clear(&path)?;
            match fs::remove_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                answer => answer?,
            }
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Copies the files of one directory into another one.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

type Visit<'a> = dyn FnMut(&Path, &fs::Metadata) -> io::Result<()> + 'a;

fn walk(dir: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        visit(&path, &metadata)?;
        if metadata.is_dir() {
            walk(&path, visit)?;
        }
    }
    Ok(())
}
