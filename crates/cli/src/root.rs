//! Which directory is the workspace, where no option says so.

use std::fs;
use std::path::{Component, Path};

use staging_core::first_used;

use crate::failure::Failure;
use crate::paths::{resolved, shown};
use crate::user_dirs::config_file;

/// The workspace of a directory: the nearest repository upwards; else the nearest directory
/// upwards in which something was staged before; else the directory itself. `current` and `home`
/// are canonical, and the states of all workspaces are below `states`.
///
/// # Errors
/// When the states cannot be looked at.
pub(crate) fn find_root<'p>(
    current: &'p Path,
    home: Option<&Path>,
    states: &Path,
) -> Result<&'p Path, Failure> {
    match nearest_repository(current, home) {
        Some(root) => Ok(root),
        None => nearest_used(current, home, states),
    }
}

/// The nearest directory upwards that holds a `.git` of somebody we trust.
///
/// The home directory and the root of the file system cannot be a workspace, so a repository of
/// dotfiles there says nothing of the projects below it.
fn nearest_repository<'p>(current: &'p Path, home: Option<&Path>) -> Option<&'p Path> {
    let is_workspace = |dir: &&Path| {
        dir.parent().is_some()
            && home != Some(*dir)
            && fs::symlink_metadata(dir.join(".git"))
                .is_ok_and(|git| is_trusted(&git, dir, current))
    };
    current.ancestors().find(is_workspace)
}

/// The nearest directory upwards in which something was staged before, else the one we are in.
///
/// A directory that holds one of the user's own directories is never found this way, and neither is one
/// that every user may write to, such as `/tmp`: its state says nothing about the projects below it.
fn nearest_used<'p>(
    current: &'p Path,
    home: Option<&Path>,
    states: &Path,
) -> Result<&'p Path, Failure> {
    let config = config_file().and_then(|file| resolved(&file).ok());
    let own = [home.map(Path::to_owned), config, resolved(states).ok()];
    let is_candidate = |dir: &&Path| {
        dir.parent().is_some()
            && !own.iter().flatten().any(|own| own.starts_with(dir))
            && (*dir == current || !is_writable_by_all(dir))
    };
    Ok(first_used(states, current.ancestors().filter(is_candidate))?.unwrap_or(current))
}

#[cfg(unix)]
fn is_writable_by_all(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(dir).is_ok_and(|found| found.mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_writable_by_all(_: &Path) -> bool {
    false
}

/// Whether a `.git` may say where the workspace begins: another user could put one into a
/// directory that everybody writes to, `/tmp` above all, and so widen what agents may change.
/// As git's `safe.directory` has it, it must belong to us, to root, or to who called sudo.
/// Beyond that, whoever owns it together with its directory and the one that we are in has
/// nothing to gain, as with a container's root in a mounted project.
#[cfg(unix)]
fn is_trusted(git: &fs::Metadata, dir: &Path, current: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let us = rustix::process::geteuid().as_raw();
    let by_sudo = || std::env::var("SUDO_UID").ok()?.parse::<u32>().ok();
    let owner = git.uid();
    if owner == us || owner == 0 || (us == 0 && by_sudo() == Some(owner)) {
        return true;
    }
    let owns = |path: &Path| fs::metadata(path).is_ok_and(|found| found.uid() == owner);
    owns(dir) && owns(current)
}

#[cfg(not(unix))]
fn is_trusted(_git: &fs::Metadata, _dir: &Path, _current: &Path) -> bool {
    true
}

/// Refuses what cannot be a workspace.
///
/// # Errors
/// `Refused`, with the reason and what to do.
pub(crate) fn check_root(root: &Path, home: Option<&Path>) -> Result<(), Failure> {
    let advice = "Name a directory below it with --workspace, or change to one.";
    let refused = |what| Failure::refused(format!("{what} cannot be a workspace")).advise(advice);
    if !root.is_dir() {
        return Err(Failure::refused(format!("`{}` is not a directory", shown(root))));
    }
    if root.parent().is_none() {
        return Err(refused(format!("`{}`, the root of the file system,", shown(root))));
    }
    if home == Some(root) {
        return Err(refused(format!("`{}`, the home directory,", shown(root))));
    }
    // A path in it would not begin with `.git`, so nothing would protect what git runs. A working
    // tree that git keeps there holds a `.git` of its own.
    let is_git = |part: Component<'_>| part.as_os_str().eq_ignore_ascii_case(".git");
    if root.components().any(is_git) && fs::symlink_metadata(root.join(".git")).is_err() {
        return Err(refused(format!("`{}`, a part of git's own directory,", shown(root))));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]
mod tests {
    #[cfg(unix)]
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_repository_in_the_home_directory_is_not_one_of_the_projects_below() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let home = dunce::canonicalize(folder.path()).expect("it exists");
        for dir in [".git", "project/src", "other/.git", "other/src"] {
            fs::create_dir_all(home.join(dir)).expect("writable");
        }
        for (from, root) in [("project/src", "project/src"), ("other/src", "other")] {
            let from = home.join(from);
            let found = nearest_repository(&from, Some(&home));
            assert_eq!(found.unwrap_or(&from), home.join(root));
        }
        let elsewhere = home.join("project");
        let found = nearest_repository(&elsewhere, None);
        assert_eq!(found, Some(&*home), "it is no home directory");
    }

    /// Root can give directories away; nobody else can play another user.
    #[cfg(unix)]
    #[rstest]
    #[case::planted((0, 1, 0), false)]
    #[case::of_another_users_whole_project((1, 1, 1), true)]
    #[case::in_ours_by_another_user((1, 2, 1), false)]
    fn only_the_repository_of_somebody_trusted_is_a_workspace(
        #[case] (dir, git, inner): (u32, u32, u32),
        #[case] is_root: bool,
    ) {
        use std::os::unix::fs::chown;
        let folder = tempfile::tempdir().expect("a temporary directory");
        let root = dunce::canonicalize(folder.path()).expect("it exists");
        for name in ["shared/.git", "shared/mine"] {
            fs::create_dir_all(root.join(name)).expect("writable");
        }
        for (name, owner) in [("shared", dir), ("shared/.git", git), ("shared/mine", inner)] {
            let owner = if owner == 0 { 0 } else { 65_530 + owner };
            if chown(root.join(name), Some(owner), None).is_err() {
                eprintln!("skipped: only root can give directories to another user");
                return;
            }
        }
        let mine = root.join("shared/mine");
        let expected = is_root.then(|| root.join("shared"));
        assert_eq!(nearest_repository(&mine, None), expected.as_deref());
    }
}
