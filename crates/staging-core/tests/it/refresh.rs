//! Refreshing: proposing a discarded patch again.

use rstest::rstest;
use staging_core::{ApplyRequest, DiscardReason, ErrorKind, PatchState, Selector};

use crate::world::{World, delete, path, rename, set_mode, write};

const OLD: &str = "1\n2\n3\n4\n5\n";

/// A world in which the agent changed line 2 of `a` and the file then became `now`.
fn stale(now: &str) -> (World, staging_core::PatchId, staging_core::Signature) {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let patch = world.write(s, "a", "1\nagent\n3\n4\n5\n").patch.expect("pending");
    world.put("a", now);
    assert!(world.pending().is_empty(), "it is stale");
    (world, patch.id, patch.signature)
}

#[test]
fn changes_of_different_lines_are_both_in_the_new_patch() {
    let (world, id, signature) = stale("1\n2\n3\n4\nuser\n");
    let proposed = world.layer.refresh(id).expect("they are apart");
    let patch = proposed.patch.expect("pending");
    assert_ne!((patch.id, patch.signature), (id, signature), "a new patch, to be approved anew");
    assert_eq!(world.disk("a").as_deref(), Some("1\n2\n3\n4\nuser\n"), "the disk is untouched");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!(world.disk("a").as_deref(), Some("1\nagent\n3\n4\nuser\n"));
    assert_eq!(world.layer.patch(id).expect("kept").reason, Some(DiscardReason::Stale));
}

#[test]
fn a_pending_patch_whose_file_has_just_changed_is_refreshed_too() {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let patch = world.write(s, "a", "1\nagent\n3\n4\n5\n").patch.expect("pending");
    world.put("a", "1\n2\n3\n4\nuser\n");
    world.layer.refresh(patch.id).expect("nobody had noticed yet");
    assert_eq!(world.read(s, "a").as_deref(), Some("1\nagent\n3\n4\nuser\n"));
}

#[test]
fn changes_of_the_same_lines_are_refused_with_their_lines() {
    let (world, id, _) = stale("1\nuser\n3\n4\n5\n");
    let events = world.events();
    let error = world.layer.refresh(id).expect_err("the same line");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("line 2 of the file"), "{error}");
    assert_eq!(error.path(), Some(&path("a")));
    assert!(world.pending().is_empty());
    assert_eq!(world.events(), events);
}

#[test]
fn refreshing_a_change_that_the_file_has_already_makes_no_patch() {
    let (world, id, _) = stale("1\nagent\n3\n4\n5\n");
    let proposed = world.layer.refresh(id).expect("nothing to do");
    assert!(proposed.withdrawn && proposed.patch.is_none());
}

#[test]
fn refreshing_a_rejected_patch_proposes_the_same_change() {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    world.layer.discard(&[], None).expect("rejected");
    let again = world.layer.refresh(patch.id).expect("proposed again").patch.expect("pending");
    assert_eq!(again.signature, patch.signature, "the same change of the same file");
    assert_ne!(again.id, patch.id);
}

#[test]
fn a_patch_of_an_ended_session_is_refreshed_in_a_session_of_the_same_label() {
    let world = World::new();
    let s = world.session("agent");
    let patch = world.write(s, "a", "1\n").patch.expect("pending");
    world.layer.close_session(s).expect("closed");
    let again = world.layer.refresh(patch.id).expect("proposed again").patch.expect("pending");
    let session = world.layer.find_session("agent").expect("open");
    assert_eq!((again.session, again.session != s), (session.id, true));
}

#[test]
fn a_patch_that_cannot_be_refreshed_is_refused_with_the_reason() {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending").id;
    let error = world.layer.refresh(patch).expect_err("it is pending");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    world.layer.discard(&[Selector::Patch(patch)], None).expect("rejected");
    world.write(s, "a", "another\n");
    let error = world.layer.refresh(patch).expect_err("another one is pending");
    assert!(error.to_string().contains("p2"), "{error}");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    let applied = world.layer.refresh(staging_core::PatchId(2)).expect_err("on the disk");
    assert_eq!(applied.kind(), ErrorKind::Closed, "{applied}");
}

#[test]
fn a_superseded_patch_cannot_be_refreshed() {
    let world = World::new();
    let s = world.session("agent");
    let first = world.write(s, "a", "1\n").patch.expect("pending").id;
    world.write(s, "a", "2\n");
    world.layer.discard(&[], None).expect("rejected");
    let earlier = world.layer.earlier_revisions(first).expect("kept")[0].id;
    let error = world.layer.refresh(earlier).expect_err("its agent replaced it");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

#[test]
fn a_mode_and_a_content_are_merged_with_each_other() {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let patch = world.layer.propose(s, set_mode("a", 0o755)).expect("staged").patch;
    world.put("a", "user\n");
    assert!(world.pending().is_empty());
    world.layer.refresh(patch.expect("pending").id).expect("they are apart");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!(world.disk("a").as_deref(), Some("user\n"));
}

#[rstest]
#[case::delete_of_a_changed_file(delete("a"), Some("user\n"))]
#[case::modify_of_a_file_that_is_gone(write("a", "agent\n"), None)]
#[case::rename_of_a_file_that_is_gone(rename("a", "b"), None)]
#[case::create_of_a_file_that_came(write("new", "agent\n"), Some("user\n"))]
fn changes_that_cannot_be_merged_by_lines_are_a_conflict(
    #[case] proposal: staging_core::Proposal,
    #[case] then: Option<&str>,
) {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let name = proposal.path().to_string();
    let patch = world.layer.propose(s, proposal).expect("staged").patch.expect("pending").id;
    match then {
        Some(content) => world.put(&name, content),
        None => std::fs::remove_file(world.root().join(&name)).expect("the user's file"),
    }
    assert!(world.pending().is_empty(), "it is stale");
    let error = world.layer.refresh(patch).expect_err("a conflict");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[test]
fn a_refreshed_rename_keeps_the_users_changes() {
    let world = World::new();
    world.put("a", OLD);
    let s = world.session("agent");
    let patch = world.layer.propose(s, rename("a", "b")).expect("staged").patch.expect("pending");
    world.put("a", "user\n");
    assert!(world.pending().is_empty());
    let again = world.layer.refresh(patch.id).expect("a move touches no line").patch;
    assert_eq!(again.expect("pending").state, PatchState::Pending);
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!((world.disk("a"), world.disk("b").as_deref()), (None, Some("user\n")));
}
