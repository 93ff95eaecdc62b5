//! Deleting, moving, changing modes, and what a session sees of it.

use std::process::Command;

use end_to_end::{Fixture, git, greenroom_binary, output};
use rstest::rstest;

/// Proposes with these arguments, has git check the diff, and applies.
fn decide(stage: &Fixture, proposals: &[&[&str]]) {
    for proposal in proposals {
        stage.run([&["propose"], *proposal].concat()).expect(0);
    }
    let diff = stage.beside("change.patch");
    std::fs::write(&diff, stage.run(["diff"]).expect(0).stdout).expect("it is ours");
    git(&stage.workspace(), &["apply", "--check", diff.to_str().expect("a plain path")]);
    stage.run(["apply", "--expect", &stage.signature()]).expect(0);
}

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\nthree\n");
    stage
}

#[test]
fn a_deleted_file_is_gone() {
    let stage = stage();
    decide(&stage, &[&["a.txt", "--delete"]]);
    assert!(!stage.path("a.txt").exists());
}

#[rstest]
#[case::beside("b.txt")]
#[case::into_a_new_folder("new/folder/b.txt")]
fn a_renamed_file_is_elsewhere(#[case] to: &str) {
    let stage = stage();
    decide(&stage, &[&["a.txt", "--rename-to", to]]);
    assert!(!stage.path("a.txt").exists());
    assert_eq!(stage.read(to), b"one\ntwo\nthree\n");
}

#[test]
fn a_changed_mode_keeps_the_content() {
    let stage = stage();
    decide(&stage, &[&["a.txt", "--mode", "755"]]);
    assert_eq!((stage.mode("a.txt"), stage.read("a.txt")), (0o755, b"one\ntwo\nthree\n".to_vec()));
}

#[test]
fn a_renamed_file_can_be_written_to_where_it_will_be() {
    let stage = stage();
    stage.run(["propose", "a.txt", "--rename-to", "b.txt"]).expect(0);
    stage.propose("b.txt", "one\n2\nthree\n");
    assert_eq!(stage.pending(), 1, "it is one rename with new content");
    decide(&stage, &[]);
    assert!(!stage.path("a.txt").exists());
    assert_eq!(stage.read("b.txt"), b"one\n2\nthree\n");
}

#[test]
fn two_files_can_swap_their_names_through_a_third() {
    let stage = stage();
    stage.write("b.txt", "b\n");
    for (from, to) in [("a.txt", "c.txt"), ("b.txt", "a.txt"), ("c.txt", "b.txt")] {
        stage.run(["propose", from, "--rename-to", to]).expect(0);
    }
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!(stage.read("a.txt"), b"b\n");
    assert_eq!(stage.read("b.txt"), b"one\ntwo\nthree\n");
    assert!(!stage.path("c.txt").exists());
}

#[test]
fn a_symlink_inside_the_workspace_is_followed_and_stays() {
    let stage = stage();
    std::os::unix::fs::symlink("a.txt", stage.path("link")).expect("the name is free");
    let id = stage.propose("link", "through the link\n");
    assert_eq!(stage.patch(&id)["path"], "a.txt", "the diff names the file that will change");
    stage.run(["apply", "--yes"]).expect(0);
    assert!(stage.path("link").is_symlink(), "the link is still one");
    assert_eq!(stage.read("a.txt"), b"through the link\n");
}

#[test]
fn a_rename_never_overwrites() {
    let stage = stage();
    stage.write("b.txt", "mine\n");
    let ran = stage.run(["propose", "a.txt", "--rename-to", "b.txt", "--json"]).expect(3);
    assert_eq!(ran.error_kind(), "conflict");
    assert_eq!(stage.pending(), 0);
}

#[test]
fn what_is_proposed_as_it_is_on_disk_is_taken_back() {
    let stage = stage();
    stage.propose("a.txt", "other\n");
    stage.run_with(["propose", "a.txt"], b"one\ntwo\nthree\n").expect(0);
    assert_eq!(stage.pending(), 0, "nothing is left to decide");
}

#[test]
fn a_second_write_is_a_revision_and_keeps_the_id_and_the_first_base() {
    let stage = stage();
    let first = stage.propose("a.txt", "first\n");
    let base = stage.patch(&first)["base"].clone();
    let second = stage.propose("a.txt", "second\n");
    let patch = stage.patch(&second);
    assert_eq!((&patch["revision"], &patch["base"]), (&2.into(), &base));
    assert_eq!((&first, stage.pending()), (&second, 1));
    assert_eq!(stage.patch("p2")["reason"], "superseded");
    assert_eq!(stage.patch("p2")["revision_of"], "p1");
}

#[test]
fn a_session_sees_its_own_changes_and_no_others() {
    let stage = stage();
    stage.run_with(["propose", "a.txt", "--session", "one"], b"mine\r\n").expect(0);
    stage.run(["propose", "a.txt", "--session", "two", "--delete"]).expect(0);
    stage.run_with(["propose", "b.txt", "--session", "three"], b"x").expect(0);
    let cat = |session: &str| stage.run(["cat", "a.txt", "--session", session]);
    assert_eq!(cat("one").expect(0).stdout, b"mine\r\n");
    cat("two").expect(1);
    assert_eq!(cat("three").expect(0).stdout, b"one\ntwo\nthree\n");
}

#[test]
fn a_session_is_found_by_label_and_ends_when_closed() {
    let stage = stage();
    stage.run_with(["propose", "a.txt", "--session", "robot"], b"x\n").expect(0);
    stage.run_with(["propose", "b.txt", "--session", "s1"], b"y\n").expect(0);
    assert_eq!(stage.status()["sessions"][0]["patches"].as_array().map(Vec::len), Some(2));
    stage.run(["session", "close", "robot", "--yes"]).expect(0);
    stage.run_with(["propose", "c.txt", "--session", "s1"], b"z\n").expect(1);
    let anew = stage.run_with(["propose", "c.txt", "--session", "robot", "--json"], b"z\n");
    assert_eq!(anew.expect(0).json()["session"], "s2", "a closed label opens a new session");
}

#[test]
fn content_comes_from_a_file_from_standard_input_or_from_a_pipe() {
    let stage = stage();
    stage.write("source", "content\n");
    stage.run(["propose", "one", "--from", "source"]).expect(0);
    stage.run_with(["propose", "two", "--from", "-", "--mode", "700"], b"content\n").expect(0);
    stage.run_with(["propose", "three", "--from", "/dev/stdin"], b"content\n").expect(0);
    stage.run(["apply", "--yes"]).expect(0);
    for name in ["one", "two", "three"] {
        assert_eq!(stage.read(name), b"content\n");
    }
    assert_eq!(stage.mode("two"), 0o700);
    stage.run(["propose", "four", "--from", "nowhere"]).expect(1);
    stage.run(["propose", "four", "--from", "."]).expect(2);
}

#[test]
fn a_new_files_mode_follows_the_umask() {
    let stage = stage();
    let script = r#"umask 027 && printf x | "$0" propose new.txt && "$0" apply --yes"#;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .arg(greenroom_binary())
        .current_dir(stage.workspace())
        .env("HOME", stage.beside("home"))
        .env("XDG_CONFIG_HOME", stage.beside("config"))
        .env("GREENROOM_STATE_DIR", stage.beside("state"));
    let ran = output(&mut shell);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(stage.mode("new.txt"), 0o640);
}

#[test]
fn the_log_tells_what_happened_and_is_checked() {
    let stage = stage();
    stage.propose("a.txt", "x\n");
    stage.run(["apply", "--yes"]).expect(0);
    stage.propose("a.txt", "y\n");
    stage.run(["discard", "p2"]).expect(0);
    let expected = [
        "session_opened",
        "patch_proposed",
        "apply_started",
        "patch_applied",
        "apply_committed",
        "patch_proposed",
        "patch_discarded",
    ];
    assert_eq!(stage.events(), expected);
    stage.run(["log", "--verify"]).expect(0);
}
