//! Undos: exactly the tree before the apply, or no change.

use std::fs;

use rstest::rstest;
use staging_core::{ApplyId, ApplyRequest, ErrorKind, Proposal};

use crate::world::{World, delete, edit, rename, set_mode, write};

/// The user's files and directories: names, contents and modes.
fn files(world: &World) -> Vec<(String, Vec<u8>, u32)> {
    world
        .tree()
        .into_iter()
        .map(|(path, (content, mode, ..))| (path.display().to_string(), content, mode))
        .collect()
}

fn populated() -> World {
    let world = World::new();
    for name in ["a", "b", "dir/c", "d", "e"] {
        world.put(name, format!("old {name}\n"));
    }
    world
}

fn apply(world: &World, proposals: Vec<Proposal>) -> ApplyId {
    let session = world.session("agent");
    world.layer.propose_all(session, proposals).expect("staged");
    let report = world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
    report.apply.expect("it was no dry run")
}

#[rstest]
#[case::modify(vec![write("a", "new\n")])]
#[case::create(vec![write("new", "new\n"), write("new dir/x", "")])]
#[case::delete(vec![delete("a"), delete("dir/c")])]
#[case::rename(vec![rename("a", "z"), rename("dir/c", "c")])]
#[case::rename_with_content(vec![rename("a", "z"), edit("z", "old", "new")])]
#[case::mode(vec![set_mode("a", 0o755)])]
#[case::trade_places(vec![rename("a", "t"), rename("b", "a"), rename("t", "b")])]
#[case::onto_a_freed_path(vec![delete("b"), rename("a", "b")])]
#[case::a_new_file_on_a_moved_ones_path(vec![rename("a", "z"), write("a", "another\n")])]
#[case::all(vec![write("a", "x"), delete("b"), rename("dir/c", "q"), set_mode("d", 0o700), write("n", "")])]
fn an_undo_restores_every_file(#[case] proposals: Vec<Proposal>) {
    let world = populated();
    let before = files(&world);
    let applied = apply(&world, proposals);
    assert_ne!(files(&world), before, "the apply changed something");
    let report = world.layer.undo(None).expect("taken back");
    world.layer.tidy().expect("tidied");
    assert_ne!(report.apply, applied, "an undo has an id of its own");
    assert_eq!(report.undone, applied);
    assert_eq!(files(&world), before);
    let events = world.events();
    assert!(events.contains(&"apply_undone".to_owned()), "{events:?}");
    let again = world.layer.undo(Some(applied)).expect_err("it is undone already");
    assert_eq!(again.kind(), ErrorKind::Closed);
    assert_eq!(world.layer.undo(None).expect_err("nothing is left").kind(), ErrorKind::NotFound);
}

#[rstest]
#[case::edited(|w: &World| w.put("b", "the user's"))]
#[case::removed(|w: &World| fs::remove_file(w.root().join("b")).expect("there"))]
#[case::mode(|w: &World| w.chmod("b", 0o600))]
#[case::in_the_way(|w: &World| w.put("a", "the user's"))]
fn an_undo_is_refused_when_the_user_changed_a_file_since(#[case] user: fn(&World)) {
    let world = populated();
    apply(&world, vec![delete("a"), write("b", "new\n"), write("d", "new\n")]);
    user(&world);
    let before = world.tree();
    let error = world.layer.undo(None).expect_err("it would overwrite the user");
    assert_eq!(error.kind(), ErrorKind::Stale);
    assert!(error.path().is_some(), "it says which file: {error}");
    assert_eq!(world.tree(), before, "nothing was changed");
}

#[test]
fn undos_revert_one_apply_after_the_other() {
    let world = populated();
    let start = files(&world);
    let first = apply(&world, vec![write("a", "1\n")]);
    let between = files(&world);
    apply(&world, vec![write("a", "2\n"), write("b", "2\n")]);
    let out_of_order = world.layer.undo(Some(first)).expect_err("a was changed again");
    assert_eq!(out_of_order.kind(), ErrorKind::Stale);
    world.layer.undo(None).expect("the second");
    world.layer.tidy().expect("tidied");
    assert_eq!(files(&world), between);
    let undo = world.layer.undo(None).expect("the first").apply;
    world.layer.tidy().expect("tidied");
    assert_eq!(files(&world), start);
    assert_eq!(world.layer.undo(Some(undo)).expect_err("an undo").kind(), ErrorKind::Closed);
}

#[test]
fn a_patch_that_was_never_applied_cannot_be_undone() {
    let world = populated();
    assert_eq!(world.layer.undo(None).expect_err("nothing").kind(), ErrorKind::NotFound);
    let unknown = world.layer.undo(Some(ApplyId(7))).expect_err("unknown");
    assert_eq!(unknown.kind(), ErrorKind::Closed);
}

#[test]
fn an_undo_with_damaged_content_is_refused_and_nothing_changes() {
    let world = populated();
    apply(&world, vec![write("a", "new\n")]);
    world.tear(b"old a\n");
    let before = world.tree();
    let error = world.layer.undo(None).expect_err("the old content is damaged");
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert_eq!(world.tree(), before);
}
