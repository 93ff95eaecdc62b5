//! Paths as messages show them and as the system follows them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use staging_core::escape_path;

/// A path for a message.
pub(crate) fn shown(path: impl AsRef<OsStr>) -> String {
    escape_path(path.as_ref())
}

/// The path as the system would follow it, symlinks and `..` in their order; what does not exist
/// yet is left as it is.
///
/// # Errors
/// `NotFound` where a part that does not exist is followed by `..`, and for a symlink that leads
/// nowhere: what it will lead to is not known.
pub(crate) fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut found = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        let next = found.join(component);
        match component {
            Component::Prefix(_) | Component::RootDir => found = next,
            _ => match dunce::canonicalize(&next) {
                Ok(canonical) => found = canonical,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let rest = components.as_path();
                    let is_plain =
                        rest.components().all(|part| matches!(part, Component::Normal(_)));
                    if is_plain && fs::symlink_metadata(&next).is_err() {
                        return Ok(if rest.as_os_str().is_empty() {
                            next
                        } else {
                            next.join(rest)
                        });
                    }
                    return Err(error);
                }
                Err(error) => return Err(error),
            },
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]
mod tests {
    #[cfg(unix)]
    use rstest::rstest;

    #[cfg(unix)]
    use super::*;

    /// A directory with `dir/inner`, a link `link` to that, and `ws`.
    #[cfg(unix)]
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let root = dunce::canonicalize(folder.path()).expect("it exists");
        for dir in ["dir/inner", "ws"] {
            fs::create_dir_all(root.join(dir)).expect("writable");
        }
        std::os::unix::fs::symlink(root.join("dir/inner"), root.join("ws/link")).expect("writable");
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).expect("writable");
        (folder, root)
    }

    #[cfg(unix)]
    #[rstest]
    #[case::behind_a_link("ws/link/../st", Some("dir/st"))]
    #[case::back_into("dir/inner/../../ws/st", Some("ws/st"))]
    #[case::not_there("new/deep", Some("new/deep"))]
    #[case::plain("dir/./inner/", Some("dir/inner"))]
    #[case::behind_nothing("new/../ws", None)]
    #[case::dangling("dangling", None)]
    #[case::below_a_dangling_link("dangling/st", None)]
    fn a_path_is_followed_as_the_system_follows_it(
        #[case] path: &str,
        #[case] expected: Option<&str>,
    ) {
        let (_folder, root) = tree();
        let found = resolved(&root.join(path)).ok();
        assert_eq!(found, expected.map(|expected| root.join(expected)));
    }
}
