//! Staleness: a user's edit makes a patch stale, a bare touch does not.

use std::fs;
use std::time::{Duration, SystemTime};

use rstest::rstest;
use staging_core::{DiscardReason, ErrorKind, PatchState, StagingError};

use crate::world::{World, delete, rename, set_mode, write};

#[rstest]
#[case::edited(|world: &World| world.put("a", "user\n"))]
#[case::edited_to_the_same_length(|world: &World| world.put("a", "bade\n"))]
#[case::gone(|world: &World| fs::remove_file(world.root().join("a")).expect("removed"))]
#[case::chmodded(|world: &World| world.chmod("a", 0o600))]
#[case::a_directory_now(|world: &World| {
    fs::remove_file(world.root().join("a")).expect("removed");
    fs::create_dir(world.root().join("a")).expect("a directory");
})]
#[case::a_symlink_now(|world: &World| {
    world.put("b", "base\n");
    fs::remove_file(world.root().join("a")).expect("removed");
    std::os::unix::fs::symlink("b", world.root().join("a")).expect("a link");
})]
fn a_patch_is_discarded_as_stale_when_it_is_listed_after_its_file_changed(
    #[case] change: fn(&World),
) {
    for proposal in [write("a", "agent\n"), delete("a"), set_mode("a", 0o755), rename("a", "c")] {
        let world = World::new();
        world.put("a", "base\n");
        let s = world.session("agent");
        let patch = world.layer.propose(s, proposal).expect("staged").patch.expect("pending");
        change(&world);
        let tree = world.tree();
        let status = world.layer.status().expect("a status");
        assert_eq!(status.stale.iter().map(|patch| patch.id).collect::<Vec<_>>(), [patch.id]);
        let now = world.layer.patch(patch.id).expect("kept in the history");
        assert_eq!((now.state, now.reason), (PatchState::Discarded, Some(DiscardReason::Stale)));
        assert!(world.pending().is_empty());
        assert_eq!(world.tree(), tree, "looking changes nothing on disk");
        assert_eq!(world.events().last().map(String::as_str), Some("patch_stale"));
    }
}

#[test]
fn a_bare_touch_is_not_a_change() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    let file = fs::File::options().write(true).open(world.root().join("a")).expect("the file");
    file.set_modified(SystemTime::now() + Duration::from_secs(100)).expect("touched");
    drop(file);
    assert_eq!(world.pending().len(), 1);
    let fresh = world.layer.patch(patch.id).expect("pending");
    let seen = |patch: &staging_core::Patch| patch.base.expect("a base").modified_ns;
    assert!(seen(&fresh) > seen(&patch), "the new time stamps are remembered");
    assert_eq!(fresh.signature, patch.signature, "an approval of it still stands");
    // Writing the same bytes to another inode is not a change.
    fs::remove_file(world.root().join("a")).expect("removed");
    world.put("a", "base\n");
    assert_eq!(world.pending().len(), 1);
}

#[test]
fn a_create_is_stale_once_the_file_exists() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "a", "agent\n");
    world.put("a", "agent\n");
    assert_eq!(world.layer.status().expect("a status").stale.len(), 1);
}

#[test]
fn a_rename_is_stale_once_its_target_exists() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    world.layer.propose(s, rename("a", "b")).expect("staged");
    world.put("b", "user\n");
    assert_eq!(world.layer.status().expect("a status").stale.len(), 1);
}

#[test]
fn a_rename_onto_a_file_that_its_session_deletes_is_not_stale() {
    let world = World::new();
    world.put("a", "a\n");
    world.put("b", "b\n");
    let s = world.session("agent");
    world.layer.propose_all(s, vec![delete("b"), rename("a", "b")]).expect("staged");
    assert_eq!(world.pending().len(), 2);
}

#[test]
fn a_write_over_a_file_that_the_user_changed_is_stale() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "one\n").patch.expect("pending");
    world.put("a", "user\n");
    let error = world.layer.propose(s, write("a", "two\n")).expect_err("the base is gone");
    let StagingError::Stale { patches } = &error else { panic!("{error}") };
    assert_eq!(patches[0].id, patch.id);
    assert_eq!(world.read(s, "a").as_deref(), Some("user\n"), "what the agent reads now");
    let fresh = world.write(s, "a", "two\n").patch.expect("pending");
    assert_eq!(fresh.base.expect("a base").content.bytes, 5);
    assert_eq!(fresh.revision, 1);
}

#[test]
fn a_users_edit_between_propose_and_apply_stays_and_other_patches_stay_pending() {
    let world = World::new();
    world.put("a", "a\n");
    world.put("b", "b\n");
    let s = world.session("agent");
    let a = world.write(s, "a", "agent\n").patch.expect("pending");
    let b = world.write(s, "b", "agent\n").patch.expect("pending");
    world.put("a", "user\n");
    let error = world.layer.apply(&Default::default()).expect_err("stale");
    assert_eq!(error.kind(), ErrorKind::Stale, "{error}");
    assert_eq!(world.disk("a").as_deref(), Some("user\n"));
    assert_eq!(world.disk("b").as_deref(), Some("b\n"));
    assert_eq!(world.layer.patch(a.id).expect("kept").reason, Some(DiscardReason::Stale));
    assert_eq!(world.layer.patch(b.id).expect("kept").state, PatchState::Pending);
}
