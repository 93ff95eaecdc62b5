//! An applied set is taken back, or nothing is touched.

use end_to_end::Stage;

fn applied() -> Stage {
    let stage = Stage::new();
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
fn nothing_applied_is_nothing_to_undo() {
    let stage = Stage::new();
    stage.run(["undo"]).expect(1);
    stage.run(["undo", "p1"]).expect(2);
}
