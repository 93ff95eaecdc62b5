//! Files that become directories, and directories that become files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rstest::rstest;
use staging_core::{ApplyRequest, PatchRequest, Proposal, Selector, StagingError};

use crate::world::{World, delete, rename, write};

/// How an agent proposes its changes.
#[derive(Clone, Copy)]
enum Staged {
    /// In one call each.
    OneByOne,
    /// All in one call.
    Together,
}

fn stage(world: &World, staged: Staged, proposals: Vec<Proposal>) {
    let session = world.session("agent");
    match staged {
        Staged::OneByOne => {
            for proposal in proposals {
                world.layer.propose(session, proposal).expect("staged");
            }
        }
        Staged::Together => {
            world.layer.propose_all(session, proposals).expect("staged");
        }
    }
}

/// Applies everything, undoes it and redoes it, and checks the tree each time.
fn round_trip(world: &World, expected: &dyn Fn(&World)) {
    let old = world.tree();
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
    expected(world);
    let new = world.tree();
    world.layer.undo(None).expect("undone");
    world.layer.tidy().expect("tidied");
    assert_eq!(shape(&world.tree()), shape(&old), "undone");
    world.layer.apply(&ApplyRequest::default()).expect("applied once more");
    world.layer.tidy().expect("tidied");
    assert_eq!(shape(&world.tree()), shape(&new), "applied once more");
}

type Tree = BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)>;

/// Contents and modes, without times and inode numbers.
fn shape(tree: &Tree) -> Vec<(String, Vec<u8>, u32)> {
    tree.iter()
        .map(|(path, (content, mode, ..))| (path.display().to_string(), content.clone(), *mode))
        .collect()
}

#[rstest]
fn a_file_becomes_a_directory(#[values(Staged::OneByOne, Staged::Together)] staged: Staged) {
    let world = World::new();
    world.put("f", "old\n");
    stage(&world, staged, vec![delete("f"), write("f/x", "new\n"), write("f/sub/y", "new y\n")]);
    round_trip(&world, &|world| {
        assert_eq!(world.disk("f/x").as_deref(), Some("new\n"));
        assert_eq!(world.disk("f/sub/y").as_deref(), Some("new y\n"));
    });
}

#[rstest]
fn a_file_moves_into_a_new_directory_of_its_own_name(
    #[values(Staged::OneByOne, Staged::Together)] staged: Staged,
) {
    let world = World::new();
    world.put("f", "old\n");
    stage(&world, staged, vec![rename("f", "moved"), write("f/x", "new\n")]);
    round_trip(&world, &|world| {
        assert_eq!(world.disk("moved").as_deref(), Some("old\n"));
        assert_eq!(world.disk("f/x").as_deref(), Some("new\n"));
    });
}

#[test]
fn a_file_moves_into_a_directory_of_its_own_name_and_out_again() {
    let world = World::new();
    world.put("f", "old\n");
    stage(&world, Staged::OneByOne, vec![rename("f", "f/x")]);
    round_trip(&world, &|world| assert_eq!(world.disk("f/x").as_deref(), Some("old\n")));
    stage(&world, Staged::OneByOne, vec![rename("f/x", "f")]);
    round_trip(&world, &|world| assert_eq!(world.disk("f").as_deref(), Some("old\n")));
}

#[rstest]
fn a_directory_becomes_a_file(#[values(Staged::OneByOne, Staged::Together)] staged: Staged) {
    let world = World::new();
    world.put("d/a", "old a\n");
    world.put("d/sub/b", "old b\n");
    world.chmod("d", 0o750);
    world.chmod("d/sub", 0o700);
    stage(&world, staged, vec![delete("d/a"), delete("d/sub/b"), write("d", "new\n")]);
    round_trip(&world, &|world| assert_eq!(world.disk("d").as_deref(), Some("new\n")));
}

#[rstest]
#[case::to_a_directory(
    "f",
    "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\ndiff --git a/f/x b/f/x\nnew file mode 100644\n--- /dev/null\n+++ b/f/x\n@@ -0,0 +1 @@\n+new\n",
    "f/x"
)]
#[case::to_a_file(
    "d/a",
    "diff --git a/d b/d\nnew file mode 100644\n--- /dev/null\n+++ b/d\n@@ -0,0 +1 @@\n+new\ndiff --git a/d/a b/d/a\ndeleted file mode 100644\n--- a/d/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n",
    "d"
)]
#[case::to_a_directory_as_agents_write(
    "f",
    "*** Begin Patch\n*** Delete File: f\n*** Add File: f/x\n+new\n*** End Patch\n",
    "f/x"
)]
#[case::to_a_file_as_agents_write(
    "d/a",
    "*** Begin Patch\n*** Add File: d\n+new\n*** Delete File: d/a\n*** End Patch\n",
    "d"
)]
fn a_patch_changes_the_kind_of_a_path(#[case] old: &str, #[case] patch: &str, #[case] new: &str) {
    let world = World::new();
    world.put(old, "old\n");
    let session = world.session("agent");
    let request = PatchRequest { text: patch.as_bytes().to_vec(), ..PatchRequest::default() };
    world.layer.propose_patch(session, &request).expect("staged");
    round_trip(&world, &|world| assert_eq!(world.disk(new).as_deref(), Some("new\n")));
}

#[test]
fn a_set_that_empties_directories_removes_them_and_undo_brings_them_back() {
    let world = World::new();
    world.put("d/sub/a", "old a\n");
    world.put("d/b", "old b\n");
    world.put("kept/c", "old c\n");
    world.put("kept/users", "theirs\n");
    world.chmod("d", 0o750);
    world.chmod("d/sub", 0o700);
    let gone = vec![delete("d/sub/a"), rename("d/b", "b"), delete("kept/c")];
    stage(&world, Staged::Together, gone);
    round_trip(&world, &|world| {
        assert!(!world.root().join("d").exists(), "nothing is left in it");
        assert_eq!(world.disk("kept/users").as_deref(), Some("theirs\n"));
    });
}

#[test]
fn a_directory_that_was_empty_before_stays_when_its_only_file_is_undone() {
    let world = World::new();
    fs::create_dir(world.root().join("d")).expect("made");
    stage(&world, Staged::Together, vec![write("d/a", "new\n")]);
    round_trip(&world, &|world| assert_eq!(world.disk("d/a").as_deref(), Some("new\n")));
}

#[test]
fn a_directory_with_a_users_file_is_not_replaced() {
    let world = World::new();
    world.put("d/a", "old\n");
    stage(&world, Staged::Together, vec![delete("d/a"), write("d", "new\n")]);
    world.put("d/users", "theirs\n");
    let before = world.tree();
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("refused");
    assert!(matches!(error, StagingError::Stale { .. }), "{error}");
    assert_eq!(shape(&world.tree()), shape(&before));
}

#[rstest]
#[case::of_a_file(&[("f", "old\n")], vec![delete("f"), write("f/x", "new\n")])]
#[case::of_a_directory(&[("d/a", "old\n")], vec![delete("d/a"), write("d", "new\n")])]
fn a_patch_is_refused_without_the_patch_that_frees_its_path(
    #[case] files: &[(&str, &str)],
    #[case] proposals: Vec<Proposal>,
) {
    let world = World::new();
    for (name, content) in files {
        world.put(name, content);
    }
    let session = world.session("agent");
    let proposed = world.layer.propose_all(session, proposals).expect("staged");
    let arriving = proposed.into_iter().filter_map(|one| one.patch).next_back().expect("one");
    let request =
        ApplyRequest { ids: vec![Selector::Patch(arriving.id)], ..ApplyRequest::default() };
    let error = world.layer.apply(&request).expect_err("refused");
    assert!(matches!(error, StagingError::Incomplete { .. }), "{error}");
}
