//! Undos of a part of a set: those files are as before, the others stay applied.

use rstest::rstest;
use staging_core::{
    ApplyId, ApplyRequest, ErrorKind, Operation, Patch, PatchId, PatchState, Proposal, RedoRequest,
    Selector, UndoReport, UndoRequest,
};

use crate::world::{World, delete, path, rename, write};

/// Makes these patches older than the history is kept, and sweeps.
fn forget(world: &World, names: &[&str]) {
    let old = "UPDATE patches SET decided_age_ms = -30000000000 WHERE path = CAST(?1 AS BLOB)";
    for name in names {
        world.store().execute(old, [name]).expect("the column is there");
    }
    world.layer.sweep(std::time::Duration::from_secs(60)).expect("swept");
}

#[test]
fn an_undo_of_a_part_that_is_forgotten_is_not_one_of_the_whole() {
    let world = populated();
    let applied = apply(&world, vec![write("a", "new\n"), write("b", "new\n")]);
    let by = undo(&world, applied, &["a"]).expect("undone").apply;
    world.layer.discard(&[], None).expect("rejected");
    forget(&world, &["a"]);
    let (record, patches) = world.layer.applied(by).expect("it is there");
    assert!(patches.is_empty(), "{patches:?}");
    assert_eq!((record.totals.files, record.forgotten), (0, true), "{record:?}");
    let refused = redo(&world, Some(by)).expect_err("it is forgotten");
    assert_eq!(refused.kind(), ErrorKind::Closed);
    assert!(refused.to_string().contains("older than old contents are kept"), "{refused}");
    assert_eq!(world.disk("b").as_deref(), Some("new\n"));
}

#[test]
fn an_undo_that_is_not_over_keeps_its_patches() {
    let world = populated();
    let other = world.again();
    let applied = apply(&world, vec![write("a", "new\n"), write("b", "new\n")]);
    let by = undo(&world, applied, &["a"]).expect("undone").apply;
    world.layer.discard(&[], None).expect("rejected");
    // Another process has the workspace, so that nothing is recovered meanwhile.
    other.propose(world.session("other"), write("d", "new\n")).expect("staged");
    other.apply(&ApplyRequest::default()).expect("applied, and not tidied yet");
    let started = "UPDATE applies SET state = 'started' WHERE undoes IS NOT NULL";
    world.store().execute(started, []).expect("the column is there");
    forget(&world, &["a"]);
    let (_, patches) = world.layer.applied(by).expect("it is there");
    let paths: Vec<String> = patches.iter().map(|one| one.patch.path.to_string()).collect();
    assert_eq!(paths, ["a"]);
}

fn populated() -> World {
    let world = World::new();
    for name in ["a", "b", "dir/c", "d", "e"] {
        world.put(name, format!("old {name}\n"));
    }
    world
}

/// The user's files and directories: names, contents and modes.
fn files(world: &World) -> Vec<(String, Vec<u8>, u32)> {
    world
        .tree()
        .into_iter()
        .map(|(path, (content, mode, ..))| {
            let below = path.strip_prefix(world.root()).expect("it is in the workspace");
            (below.display().to_string(), content, mode)
        })
        .collect()
}

fn apply(world: &World, proposals: Vec<Proposal>) -> ApplyId {
    let session = world.session("agent");
    world.layer.propose_all(session, proposals).expect("staged");
    let report = world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
    report.apply.expect("it was no dry run")
}

/// The patch of an apply at one of its paths.
fn patch_at(world: &World, apply: ApplyId, name: &str) -> PatchId {
    let (_, patches) = world.layer.applied(apply).expect("it is there");
    let name = path(name);
    let at = |patch: &&staging_core::AppliedPatch| {
        patch.patch.path == name || patch.patch.rename_to.as_ref() == Some(&name)
    };
    patches.iter().find(at).expect("it changes this file").patch.id
}

fn undo(world: &World, apply: ApplyId, names: &[&str]) -> staging_core::Result<UndoReport> {
    let patches = names.iter().map(|name| patch_at(world, apply, name)).collect();
    let request = UndoRequest { apply: Some(apply), patches, ..UndoRequest::default() };
    let report = world.layer.undo_part(&request);
    world.layer.tidy().expect("tidied");
    report
}

fn redo(world: &World, apply: Option<ApplyId>) -> staging_core::Result<ApplyId> {
    let request = RedoRequest { apply, ..RedoRequest::default() };
    let report = world.layer.redo(&request);
    world.layer.tidy().expect("tidied");
    report.map(|report| report.report.apply.expect("an apply"))
}

fn make_dir(name: &str) -> Proposal {
    Proposal::CreateDirectory { path: path(name) }
}

#[rstest]
#[case::modify(vec![write("a", "new\n")], "a")]
#[case::create(vec![write("new/x", "new\n")], "new/x")]
#[case::delete_the_last_of_a_directory(vec![delete("dir/c")], "dir/c")]
#[case::rename_by_its_old_name(vec![rename("a", "z")], "a")]
#[case::rename_by_its_new_name(vec![rename("dir/c", "z")], "z")]
fn an_undone_path_is_as_before_and_the_rest_stays_until_it_is_undone_too(
    #[case] part: Vec<Proposal>,
    #[case] name: &str,
) {
    let world = populated();
    let before = files(&world);
    let rest = || vec![write("d", "new\n"), delete("e")];
    let applied = apply(&world, part.into_iter().chain(rest()).collect());
    let all = files(&world);
    let report = undo(&world, applied, &[name]).expect("undone");
    assert_eq!((report.undone, report.pending.len(), report.remaining.len()), (applied, 1, 2));
    let without = populated();
    apply(&without, rest());
    assert_eq!(files(&world), files(&without), "as if it never was in the set");
    // It waits as before, under the same signature.
    let selected = world.layer.select(&[Selector::Patch(report.patches[0])]).expect("selected");
    assert_eq!((selected.signature, selected.stale.len()), (report.signature, 0));
    let (record, patches) = world.layer.applied(applied).expect("recorded");
    assert_eq!((record.undone, record.undone_by), (1, None));
    let by: Vec<_> =
        patches.iter().filter_map(|one| Some((one.patch.id, one.undone_by?))).collect();
    assert_eq!(by, [(report.patches[0], report.apply)]);
    // Redone, and undone with the rest.
    let again = redo(&world, None).expect("redone");
    assert_eq!(files(&world), all);
    world.layer.undo(Some(again)).expect("what was redone is undone");
    world.layer.tidy().expect("tidied");
    let rest = world.layer.undo(None).expect("the rest");
    world.layer.tidy().expect("tidied");
    assert_eq!((rest.undone, rest.remaining.len()), (applied, 0));
    assert_eq!(files(&world), before);
    assert!(world.layer.verify_log().expect("checked").is_intact());
}

#[test]
fn a_path_is_undone_once() {
    let world = populated();
    let applied = apply(&world, vec![write("a", "new\n"), write("b", "new\n")]);
    let first = undo(&world, applied, &["a"]).expect("undone");
    let before = world.tree();
    let again = undo(&world, applied, &["a"]).expect_err("it is undone");
    assert_eq!(again.kind(), ErrorKind::Closed);
    assert!(again.to_string().contains(&format!("p1 was undone by {}", first.apply)), "{again}");
    assert_eq!(world.tree(), before);
    undo(&world, applied, &["b"]).expect("the rest");
    let over = undo(&world, applied, &["b"]).expect_err("nothing of it is left");
    assert_eq!(over.kind(), ErrorKind::Closed);
    assert_eq!(world.disk("b").as_deref(), Some("old b\n"));
}

#[rstest]
#[case::a_move_onto_a_freed_path(vec![delete("b"), rename("a", "b")], "b", Operation::Delete)]
#[case::one_side_of_a_swap(vec![rename("a", "t"), rename("b", "a"), rename("t", "b")], "a", Operation::Rename)]
#[case::a_directory_with_files(vec![make_dir("new"), write("new/x", "")], "new", Operation::Create)]
#[case::a_file_that_became_a_directory(vec![delete("a"), write("a/x", "")], "a", Operation::Delete)]
#[case::a_directory_that_became_a_file(vec![delete("dir/c"), write("dir", "")], "dir/c", Operation::Delete)]
fn a_path_that_the_rest_needs_is_not_undone_alone(
    #[case] proposals: Vec<Proposal>,
    #[case] name: &str,
    #[case] operation: Operation,
) {
    let world = populated();
    let start = files(&world);
    let applied = apply(&world, proposals);
    let (before, log) = (world.tree(), world.events());
    let (_, patches) = world.layer.applied(applied).expect("recorded");
    let patches: Vec<Patch> = patches.into_iter().map(|one| one.patch).collect();
    let (needed, others): (Vec<&Patch>, Vec<&Patch>) =
        patches.iter().partition(|one| one.path == path(name) && one.operation == operation);
    let undo = |ids: &[&Patch]| {
        let patches = ids.iter().map(|patch| patch.id).collect();
        let request = UndoRequest { apply: Some(applied), patches, ..UndoRequest::default() };
        world.layer.undo_part(&request)
    };
    let error = undo(&needed).expect_err("the rest needs it");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.to_string().contains("cannot be undone without"), "{error}");
    assert_eq!((world.tree(), world.events()), (before, log), "nothing has changed");
    undo(&[needed, others].concat()).expect("together they can be undone");
    world.layer.tidy().expect("tidied");
    assert_eq!(files(&world), start);
}

#[test]
fn an_edit_by_the_user_holds_back_its_own_path_alone() {
    let world = populated();
    let applied = apply(&world, vec![write("a", "new\n"), write("b", "new\n")]);
    world.put("a", "the user's\n");
    let error = undo(&world, applied, &["a"]).expect_err("it would overwrite the user");
    assert_eq!(error.kind(), ErrorKind::Stale);
    undo(&world, applied, &["b"]).expect("nobody changed it");
    assert_eq!(world.disk("a").as_deref(), Some("the user's\n"));
    assert_eq!(world.disk("b").as_deref(), Some("old b\n"));
}

#[test]
fn directories_that_the_rest_needs_stay_when_they_are_left_empty() {
    let world = populated();
    let applied = apply(&world, vec![make_dir("kept"), write("new/x", ""), write("new/y", "")]);
    undo(&world, applied, &["new/x", "new/y"]).expect("undone");
    assert!(world.root().join("kept").is_dir(), "it is a patch that stays applied");
    assert!(!world.root().join("new").exists(), "nothing is left in it");
    undo(&world, applied, &["kept"]).expect("undone");
    assert!(!world.root().join("kept").exists());
}

#[test]
fn only_the_directories_above_an_undone_path_come_back() {
    let world = populated();
    world.put("other/x", "old\n");
    let applied = apply(&world, vec![delete("dir/c"), delete("other/x")]);
    assert!(!world.root().join("dir").exists() && !world.root().join("other").exists());
    undo(&world, applied, &["dir/c"]).expect("undone");
    assert!(!world.root().join("other").exists(), "what was in it is still deleted");
    undo(&world, applied, &["other/x"]).expect("undone");
    assert_eq!(world.disk("other/x").as_deref(), Some("old\n"));
}

#[test]
fn a_redo_takes_the_newest_undo_and_that_of_an_apply_all_that_was_undone_of_it() {
    let world = populated();
    let applied = apply(&world, vec![write("a", "1\n"), write("b", "1\n"), write("d", "1\n")]);
    undo(&world, applied, &["a"]).expect("undone");
    let second = undo(&world, applied, &["b"]).expect("undone").apply;
    redo(&world, None).expect("the newest undo");
    assert_eq!(
        (world.disk("a").as_deref(), world.disk("b").as_deref()),
        (Some("old a\n"), Some("1\n"))
    );
    let error = redo(&world, Some(second)).expect_err("it is applied");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    redo(&world, Some(applied)).expect("what is left of it");
    assert_eq!(world.disk("a").as_deref(), Some("1\n"));
    let error = redo(&world, Some(applied)).expect_err("all of it is applied");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert_eq!(redo(&world, None).expect_err("nothing is left").kind(), ErrorKind::NotFound);
}

/// A process that died in an undo of `a` and `b` of three files, after the swap of `a`; its slots and
/// journal were removed since.
fn die_in_undo(world: &World) -> ApplyId {
    let applied = apply(world, vec![write("a", "1\n"), write("b", "1\n"), write("d", "1\n")]);
    world
        .store()
        .execute_batch(
            "INSERT INTO applies(set_id, state, started_ms, undoes)
                 VALUES('a2-0000002a-0123456789abcdef', 'started', 1, 1);
             INSERT INTO apply_patches(apply, patch) VALUES(2, 1), (2, 2);",
        )
        .expect("rows as this version writes them");
    world.put("a", "old a\n");
    applied
}

fn disk(world: &World) -> [Option<String>; 3] {
    ["a", "b", "d"].map(|name| world.disk(name))
}

#[test]
fn an_interrupted_undo_of_a_part_is_completed_and_leaves_the_rest_applied() {
    let world = populated();
    let applied = die_in_undo(&world);
    let again = world.again();
    let report = again.take_recovered();
    let [recovered] = report.recovered.as_slice() else { panic!("one: {report:?}") };
    assert_eq!((recovered.undoes, recovered.files.len()), (Some(applied), 2), "{recovered:?}");
    assert_eq!(disk(&world), ["old a\n", "old b\n", "1\n"].map(|text| Some(text.to_owned())));
    let states = [1, 2, 3].map(|id| again.patch(PatchId(id)).expect("kept").state);
    assert_eq!(states, [PatchState::Pending, PatchState::Pending, PatchState::Applied]);
    assert_eq!(again.undo(None).expect("the rest").undone, applied);
    assert_eq!(disk(&world), ["old a\n", "old b\n", "old d\n"].map(|text| Some(text.to_owned())));
}

#[test]
fn an_interrupted_undo_of_a_part_is_rolled_back_where_an_old_content_is_damaged() {
    let world = populated();
    let applied = die_in_undo(&world);
    world.tear(b"old b\n");
    let again = world.again();
    assert_eq!(disk(&world), ["1\n", "1\n", "1\n"].map(|text| Some(text.to_owned())));
    let (record, _) = again.applied(applied).expect("recorded");
    assert_eq!((record.undone, record.undone_by), (0, None), "all of it is applied");
}
