//! Rejecting leaves the file system as it was, and tells the agent why.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use end_to_end::Fixture;
use rstest::rstest;

/// A workspace with a bit of everything, and a pending patch of every kind.
fn full_stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("src/a.rs", "fn a() {}\n");
    stage.write("src/b.rs", "fn b() {}\r\n");
    stage.write("gone.txt", "soon\n");
    stage.write("run.sh", "#!/bin/sh\n");
    stage.write("data.bin", b"\0\x01\x02");
    fs::set_permissions(stage.path("run.sh"), fs::Permissions::from_mode(0o750)).expect("ours");
    symlink("a.rs", stage.path("src/link.rs")).expect("the name is free");
    stage
}

fn propose_everything(stage: &Fixture) {
    stage.propose("src/a.rs", "fn a() { todo() }\n");
    stage.propose("new/folder/c.rs", "fn c() {}\n");
    stage.propose("data.bin", b"\0\x03");
    stage.run(["propose", "gone.txt", "--delete"]).expect(0);
    stage.run(["propose", "src/b.rs", "--rename-to", "src/d.rs"]).expect(0);
    stage.run(["propose", "run.sh", "--mode", "644"]).expect(0);
}

#[rstest]
#[case::everything(&["discard", "--yes"])]
#[case::by_label(&["discard", "cli"])]
#[case::by_session(&["discard", "s1", "--reason", "not now"])]
#[case::one_by_one(&["discard", "p1", "p2", "p3", "p4", "p5", "p6"])]
#[case::by_closing_the_session(&["session", "close", "cli", "--yes"])]
fn the_tree_is_identical_after_a_rejection(#[case] reject: &[&str]) {
    let stage = full_stage();
    let before = stage.tree();
    propose_everything(&stage);
    assert_eq!(stage.pending(), 6, "one patch of every kind");
    stage.run(["diff"]).expect(0);
    stage.run(reject).expect(0);
    assert_eq!(stage.tree(), before, "names, bytes, modes and mtimes are as they were");
    assert_eq!(stage.pending(), 0, "the buffer is clear");
    for id in ["p1", "p2", "p3", "p4", "p5", "p6"] {
        let patch = stage.patch(id);
        assert_eq!((&patch["state"], &patch["reason"]), (&"discarded".into(), &"rejected".into()));
    }
}

#[test]
fn rejected_content_is_kept_for_as_long_as_the_history_and_goes_then() {
    let stage = Fixture::new();
    stage.configure("[history]\nkeep_for = \"1s\"\n");
    let secret = "a line that nobody else has\n".repeat(20);
    stage.propose("a.txt", &secret);
    let held = |stage: &Fixture| {
        let state = end_to_end::tree_of(&stage.beside("state"));
        let blobs = state.iter().filter(|(path, _)| path.to_string_lossy().contains("/blobs/"));
        blobs.filter(|(_, entry)| entry.content.is_some()).count()
    };
    assert!(held(&stage) > 0, "the staged content is held outside of the workspace");
    stage.run(["discard", "p1"]).expect(0);
    let shown = stage.run(["show", "p1"]).expect(0);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("+a line that nobody else has"));
    // Until the second that it is kept for is over.
    while stage.run(["show", "p1"]).code == Some(0) {
        stage.run(["gc"]).expect(0);
    }
    stage.run(["gc"]).expect(0);
    assert_eq!(held(&stage), 0, "nothing of it is left");
}

#[test]
fn the_reason_is_kept_for_the_agent() {
    let stage = Fixture::new();
    stage.propose("a.txt", "x\n");
    stage.run(["discard", "p1", "--reason", "use the helper instead"]).expect(0);
    let shown = stage.run(["show", "p1", "--json"]).expect(0).json();
    assert_eq!(shown["reason_text"], "use the helper instead");
    let log = String::from_utf8(stage.run(["log"]).expect(0).stdout).expect("text");
    assert!(log.contains("use the helper instead"), "{log}");
}

#[test]
fn a_decided_patch_cannot_be_decided_again() {
    let stage = Fixture::new();
    let before = stage.tree();
    stage.propose("a.txt", "x\n");
    stage.run(["discard", "p1"]).expect(0);
    stage.run(["apply", "p1", "--yes"]).expect(1);
    stage.run(["discard", "p1"]).expect(1);
    assert_eq!(stage.tree(), before, "nothing changed");
}

#[test]
fn off_a_terminal_discarding_everything_wants_yes() {
    let stage = Fixture::new();
    stage.propose("a.txt", "x\n");
    let ran = stage.run(["discard", "--json"]).expect(4);
    assert_eq!(ran.error_kind(), "confirmation_missing");
    assert_eq!(stage.pending(), 1, "it is still pending");
}
