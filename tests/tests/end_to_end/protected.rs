//! Nothing outside the workspace, and nothing of git's, can be staged.

use std::fs;
use std::os::unix::fs::symlink;

use end_to_end::{Fixture, output, tree_of};
use rstest::rstest;

/// Every way to propose is refused, nothing is staged, nothing changes anywhere.
fn check(stage: &Fixture, path: &str) {
    let (inside, outside) = (stage.tree(), tree_of(&stage.beside("outside")));
    stage.write("mine.txt", "mine\n");
    let attempts: [&[&str]; 4] = [
        &["propose", path, "--json"],
        &["propose", path, "--delete", "--json"],
        &["propose", path, "--mode", "755", "--json"],
        &["propose", "mine.txt", "--rename-to", path, "--json"],
    ];
    for attempt in attempts {
        let ran = stage.run_with(attempt, b"evil\n").expect(4);
        assert_eq!(ran.error_kind(), "refused", "{attempt:?}");
        assert!(ran.stderr.contains("Nothing was staged"), "{}", ran.stderr);
    }
    fs::remove_file(stage.path("mine.txt")).expect("it is there");
    assert_eq!(stage.pending(), 0, "nothing is staged");
    let sessions = stage.status()["sessions"].clone();
    assert_eq!(sessions.as_array().map(Vec::len), Some(0), "no session is left open for it");
    assert_eq!(tree_of(&stage.beside("outside")), outside, "nothing outside changed");
    let names = |tree: end_to_end::Tree| tree.into_keys().collect::<Vec<_>>();
    assert_eq!(names(stage.tree()), names(inside), "nothing inside changed");
}

fn stage() -> Fixture {
    let stage = Fixture::new();
    fs::create_dir(stage.beside("outside")).expect("it is new");
    fs::write(stage.beside("outside").join("x"), "theirs\n").expect("ours");
    stage.write("sub/a.txt", "a\n");
    stage
}

#[rstest]
#[case::parent("../outside/x")]
#[case::parent_that_is_not_there("../nowhere")]
#[case::through_a_folder("sub/../../outside/x")]
#[case::far_up("../../../../../../../../etc/hostname")]
#[case::absolute("/etc/hostname")]
#[case::git_config(".git/config")]
#[case::git_hook("./.git/hooks/pre-commit")]
#[case::git_in_capitals(".GIT/config")]
#[case::git_in_mixed_case("sub/.Git/config")]
#[case::git_itself(".git")]
#[case::git_with_an_ignorable_character(".g\u{200b}it/hooks/post-commit")]
#[case::git_behind_a_soft_hyphen("\u{ad}.git/config")]
#[case::git_with_a_variation_selector("sub/.git\u{e0100}/config")]
#[case::git_in_wide_letters(".\u{ff47}it/config")]
#[case::git_by_another_short_name("GIT~2/config")]
#[case::a_slot_in_capitals(".GREENROOM-a1-0.tmp")]
#[case::a_slot_with_an_ignorable_character("sub/.greenroom-\u{2060}a1-0.tmp")]
fn a_path_that_leads_out_or_is_gits_is_refused(#[case] path: &str) {
    check(&stage(), path);
}

#[test]
fn an_absolute_path_outside_is_refused() {
    let stage = stage();
    let path = stage.beside("outside").join("x");
    check(&stage, path.to_str().expect("a plain path"));
}

#[rstest]
#[case::file_through_a_folder("", "link/x")]
#[case::new_file_through_a_folder("", "link/new")]
fn a_symlink_that_leads_out_is_refused(#[case] target: &str, #[case] path: &str) {
    let stage = stage();
    symlink(stage.beside("outside").join(target), stage.path("link")).expect("the name is free");
    check(&stage, path);
}

#[test]
fn a_symlink_that_leads_out_is_not_written_through_and_can_be_deleted() {
    let stage = stage();
    symlink(stage.beside("outside").join("x"), stage.path("link")).expect("the name is free");
    let outside = tree_of(&stage.beside("outside"));
    for attempt in [&["propose", "link"][..], &["propose", "link", "--rename-to", "moved"]] {
        stage.run_with(attempt, b"evil\n").expect(4);
    }
    stage.run(["propose", "new", "--symlink", "../outside/x"]).expect(4);
    assert_eq!(stage.pending(), 0, "nothing is staged");
    stage.run(["propose", "link", "--delete"]).expect(0);
    stage.run(["apply", "--yes"]).expect(0);
    assert!(stage.path("link").symlink_metadata().is_err(), "the link itself is gone");
    assert_eq!(tree_of(&stage.beside("outside")), outside, "nothing outside changed");
}

#[test]
fn a_relative_symlink_that_leads_out_is_refused() {
    let stage = stage();
    symlink("../outside", stage.path("link")).expect("the name is free");
    check(&stage, "link/x");
}

#[test]
fn a_folder_swapped_for_a_symlink_after_the_proposal_leads_nowhere() {
    let stage = stage();
    stage.propose("sub/a.txt", "agent\n");
    let signature = stage.signature();
    fs::remove_dir_all(stage.path("sub")).expect("ours");
    symlink(stage.beside("outside"), stage.path("sub")).expect("the name is free");
    fs::write(stage.beside("outside").join("a.txt"), "a\n").expect("ours");
    let outside = tree_of(&stage.beside("outside"));
    stage.run(["apply", "--expect", &signature]).expect(3);
    assert_eq!(tree_of(&stage.beside("outside")), outside, "nothing outside changed");
}

#[test]
fn an_absolute_path_inside_is_the_file_it_names() {
    let stage = stage();
    let path = stage.path("sub/a.txt");
    stage.run_with([std::ffi::OsStr::new("propose"), path.as_os_str()], b"b\n").expect(0);
    assert_eq!(stage.patch("p1")["path"], "sub/a.txt");
}

#[test]
fn a_path_is_relative_to_the_current_directory() {
    let stage = stage();
    let mut command = stage.command(["propose", "a.txt", "--delete"]);
    let output = output(command.current_dir(stage.path("sub")));
    assert!(output.status.success());
    assert_eq!(stage.patch("p1")["path"], "sub/a.txt");
}

#[test]
fn what_the_user_allows_may_be_staged() {
    let stage = stage();
    stage.configure("allow_git = true\n");
    stage.propose(".git/info/exclude", "*.o\n");
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!(stage.read(".git/info/exclude"), b"*.o\n");
}

#[test]
fn setuid_is_refused() {
    let stage = stage();
    let ran = stage.run(["propose", "sub/a.txt", "--mode", "4755", "--json"]).expect(4);
    assert_eq!(ran.error_kind(), "refused");
    assert_eq!(stage.pending(), 0);
}

#[rstest]
#[case::root("/")]
#[case::home("HOME")]
fn the_root_and_the_home_directory_are_no_workspace(#[case] dir: &str) {
    let stage = stage();
    let home = stage.beside("home");
    let dir = if dir == "HOME" { home.to_str().expect("a plain path") } else { dir };
    let ran = stage.run(["--workspace", dir, "status", "--json"]).expect(4);
    assert_eq!(ran.error_kind(), "refused");
}

#[test]
fn state_inside_the_workspace_is_refused() {
    let stage = stage();
    stage.run(["--state-dir", "sub/state", "status"]).expect(4);
    assert!(!stage.path("sub/state").exists(), "nothing was made");
}
