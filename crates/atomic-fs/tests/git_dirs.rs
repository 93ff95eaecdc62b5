//! Git's own directories are protected whatever they are called.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]
#![cfg(unix)]

mod common;

use atomic_fs::*;
use common::{Fixture, rel};
use rstest::rstest;

fn git_dir(fixture: &Fixture, at: &str) {
    for (name, content) in [("HEAD", "ref: refs/heads/main\n"), ("config", ""), ("refs/.keep", "")]
    {
        fixture.put(&format!("{at}/{name}"), content.as_bytes());
    }
    std::fs::create_dir_all(fixture.at(at).join("objects")).expect("writable");
}

#[rstest]
#[case::relative("gitdir: ./.bare\n", ".bare/hooks/post-commit")]
#[case::relative_without_blank("gitdir:.bare", ".bare/config")]
#[case::absolute("gitdir: ROOT/store/bare\n", "store/bare/hooks/x")]
#[case::with_dots("gitdir: a/../.bare/.\n", ".bare/hooks/x")]
fn the_directory_that_a_dot_git_file_names_is_protected(#[case] dot_git: &str, #[case] path: &str) {
    let mut fixture = Fixture::default();
    let root = fixture.root();
    let dot_git = dot_git.replace("ROOT", root.to_str().expect("a plain path"));
    fixture.put(".git", dot_git.as_bytes());
    fixture.put("inside/plain", b"");
    check(&mut fixture, path);
}

#[rstest]
#[case::bare_beside_its_worktrees("repo.git", "repo.git/hooks/update")]
#[case::deep("vendor/lib/store", "vendor/lib/store/info/attributes")]
fn a_directory_that_holds_what_git_keeps_is_protected(#[case] at: &str, #[case] path: &str) {
    let mut fixture = Fixture::default();
    git_dir(&fixture, at);
    check(&mut fixture, path);
}

#[test]
fn the_common_directory_of_a_linked_worktree_is_protected() {
    let mut fixture = Fixture::default();
    fixture.put("main/.git", b"gitdir: ../meta/worktrees/main\n");
    for (name, content) in [("HEAD", "ref: refs/heads/main\n"), ("commondir", "../../../common\n")]
    {
        fixture.put(&format!("meta/worktrees/main/{name}"), content.as_bytes());
    }
    git_dir(&fixture, "common");
    check(&mut fixture, "meta/worktrees/main/config.worktree");
    check(&mut fixture, "common/hooks/post-commit");
}

#[test]
fn what_a_dot_git_link_leads_to_is_protected() {
    let mut fixture = Fixture::default();
    std::os::unix::fs::symlink("store", fixture.at(".git")).expect("writable");
    check(&mut fixture, "store/hooks/x");
}

fn check(fixture: &mut Fixture, path: &str) {
    let is_git = |error: &FsError| matches!(error, FsError::Refused { refusal: Refusal::Git, .. });
    let workspace = fixture.open();
    let refused = workspace.resolve(&rel(path)).expect_err(path);
    assert!(is_git(&refused), "{path}: {refused:?}");
    fixture.put("plain", b"plain");
    for change in [fixture.create(path, b"#!/bin/sh\n"), fixture.rename("plain", path)] {
        let applied = fixture.apply(vec![change]);
        let Outcome::RolledBack(error) = applied.outcome else { panic!("{:?}", applied.outcome) };
        assert!(is_git(&error), "{path}: {error:?}");
    }
    assert!(!fixture.at(path).exists(), "{path}");
    let allowed = fixture.open_with(Options { allow_git: true, ..Options::default() });
    assert_eq!(allowed.resolve(&rel(path)).expect("the user allows it"), rel(path));
}

#[rstest]
#[case::a_file_called_head(&["d/HEAD"], "d/x")]
#[case::not_all_of_it(&["d/HEAD", "d/objects/x"], "d/x")]
#[case::beside_one(&["bare/HEAD", "bare/objects/x", "bare/refs/x"], "bare-not/x")]
fn what_is_no_git_directory_is_not_protected(#[case] files: &[&str], #[case] path: &str) {
    let fixture = Fixture::default();
    for file in files {
        fixture.put(file, b"");
    }
    fixture.put(".git", b"gitdir: /somewhere/else\n");
    fixture.open().resolve(&rel(path)).expect("an ordinary file");
}
