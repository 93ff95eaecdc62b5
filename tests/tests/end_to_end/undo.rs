//! An applied set is taken back, or nothing is touched.

use end_to_end::Fixture;

fn applied() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "old a\r\n");
    stage.write("b.txt", "old b");
    stage.propose("a.txt", "new a\n");
    stage.propose("created.txt", "");
    stage.run(["propose", "b.txt", "--delete"]).expect(0);
    stage.run(["apply", "--yes"]).expect(0);
    stage
}

#[test]
fn an_undo_brings_back_what_was_there() {
    let stage = applied();
    let undone = stage.run(["undo", "--json"]).expect(0).json();
    assert_eq!((&undone["undone"], &undone["outcome"]), (&"a1".into(), &"committed".into()));
    assert_eq!(undone["patches"].as_array().map(Vec::len), Some(3));
    assert_eq!(undone["pending"], undone["patches"], "they wait for a decision again");
    assert_eq!((stage.read("a.txt"), stage.read("b.txt")), (b"old a\r\n".into(), b"old b".into()));
    assert!(!stage.path("created.txt").exists());
    assert_eq!(stage.run(["undo", "a1", "--json"]).expect(1).error_kind(), "closed");
    assert_eq!(stage.run(["undo", "--json"]).expect(1).error_kind(), "not_found");
    stage.run(["log", "--verify"]).expect(0);
}

#[test]
fn an_undo_over_a_users_edit_is_refused() {
    let stage = applied();
    stage.write("a.txt", "edited since");
    let before = stage.tree();
    let refused = stage.run(["undo", "--json"]).expect(3);
    assert_eq!(refused.error_kind(), "stale");
    assert_eq!(refused.json()["error"]["path"], "a.txt");
    assert_eq!(stage.tree(), before, "nothing was changed");
}

#[test]
fn what_is_undone_is_shown_as_it_is_and_redone() {
    let stage = applied();
    let after = stage.tree();
    let text = String::from_utf8(stage.run(["undo"]).expect(0).stdout).expect("text");
    assert_eq!(text, "undid 3 files (+1 -2) of a1 as a2; `greenroom redo a2` applies it again\n");
    let shown = String::from_utf8(stage.run(["show", "p1"]).expect(0).stdout).expect("text");
    assert!(shown.contains("  state      pending\n"), "{shown}");
    assert!(
        shown.contains("  apply      a1 applied, undone by a2, approved by --yes\n"),
        "{shown}"
    );
    stage.run(["redo"]).expect(4);
    let redone = stage.run(["redo", "--yes", "--json"]).expect(0).json();
    assert_eq!((&redone["redone"], &redone["apply"]), (&"a1".into(), &"a3".into()));
    let names = |tree: end_to_end::Tree| -> Vec<_> {
        tree.into_iter().map(|(path, entry)| (path, entry.content)).collect()
    };
    assert_eq!(names(stage.tree()), names(after));
    let applies = stage.run(["show", "p1", "--json"]).expect(0).json()["applies"].clone();
    let ids: Vec<_> = applies.as_array().expect("a list").iter().map(|one| &one["apply"]).collect();
    assert_eq!(ids, ["a1", "a3"]);
    assert_eq!(stage.run(["redo", "--yes", "--json"]).expect(1).error_kind(), "not_found");
    let log = String::from_utf8(stage.run(["log"]).expect(0).stdout).expect("text");
    assert!(log.contains("apply_started a2 p1,p3,p2 approved by --yes undoes a1\n"), "{log}");
    assert!(log.contains("apply_started a3 p1,p3,p2 approved by --yes redoes a1\n"), "{log}");
    stage.run(["log", "--verify"]).expect(0);
}

#[test]
fn nothing_applied_is_nothing_to_undo() {
    let stage = Fixture::new();
    stage.run(["undo"]).expect(1);
    stage.run(["undo", "p1"]).expect(1);
    stage.run(["undo", "a1", "a.txt"]).expect(1);
}
