//! Paths below the workspace, as people and agents write them.

use std::path::{Component, Path, PathBuf};

/// The part below the root that an absolute path names by its text, without `.` and `..`; none where
/// it leads elsewhere. The root is canonical.
///
/// A parent of the path may be another name of the root or of a directory in it, by a symbolic link.
/// A link at the end is not followed: what is to be deleted or renamed is what the path names.
pub fn below_root(root: &Path, path: &Path) -> Option<PathBuf> {
    let full = normalised(path);
    if let Ok(below) = full.strip_prefix(root) {
        return Some(below.to_owned());
    }
    full.ancestors().find_map(|ancestor| {
        let canonical = dunce::canonicalize(ancestor).ok()?;
        let below = canonical.strip_prefix(root).ok()?;
        if ancestor == full && !below.as_os_str().is_empty() {
            return None;
        }
        Some(below.join(full.strip_prefix(ancestor).ok()?))
    })
}

fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("work/a", Some("a"))]
    #[case("work/./x/../a/", Some("a"))]
    #[case("work", Some(""))]
    #[case("work/..", None)]
    #[case("workshop/a", None)]
    #[case("link-to-work", Some(""))]
    #[case("link-to-work/a", Some("a"))]
    #[case("link-to-sub/a", Some("sub/a"))]
    #[case("link-to-sub/../a", None)]
    #[case("link-to-file", None)]
    fn a_path_is_below_the_root_by_its_text_or_by_another_name_of_a_parent(
        #[case] path: &str,
        #[case] expected: Option<&str>,
    ) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let top = dunce::canonicalize(folder.path()).expect("it exists");
        let work = top.join("work");
        fs::create_dir_all(work.join("sub")).expect("writable");
        fs::write(work.join("file"), "").expect("writable");
        for (name, target) in [("work", "work"), ("sub", "work/sub"), ("file", "work/file")] {
            symlink(top.join(target), top.join(format!("link-to-{name}"))).expect("writable");
        }
        let found = below_root(&work, &top.join(path));
        assert_eq!(found.as_deref(), expected.map(Path::new));
    }
}
