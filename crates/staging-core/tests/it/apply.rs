//! Applies: exactly what was approved, as a whole or not at all.

use std::fs;

use rstest::rstest;
use staging_core::{
    ApplyOutcome, ApplyRequest, ErrorKind, PatchState, Proposal, Selector, StagingError,
};

use crate::world::{World, delete, path, rename, set_mode, write};

#[test]
fn an_applied_set_is_on_disk_and_its_patches_are_applied() {
    let world = World::new();
    world.put("changed", "old\n");
    world.put("gone", "gone\n");
    world.put("moved", "moved\n");
    world.put("script", "script\n");
    let s = world.session("agent");
    let all = vec![
        write("changed", "new\n"),
        write("deep/er/created", "new\n"),
        delete("gone"),
        rename("moved", "deep/moved"),
        set_mode("script", 0o755),
    ];
    world.layer.propose_all(s, all).expect("staged");
    let selection = world.layer.select(&[]).expect("all of it");
    let expect = Some(selection.signature);
    let report = world.layer.apply(&ApplyRequest { expect, ..Default::default() });
    let report = report.expect("applied");
    assert_eq!((report.outcome, report.patches.len()), (ApplyOutcome::Committed, 5));
    world.layer.tidy().expect("tidied");
    assert_eq!(world.disk("changed").as_deref(), Some("new\n"));
    assert_eq!(world.disk("deep/er/created").as_deref(), Some("new\n"));
    assert_eq!(world.disk("deep/moved").as_deref(), Some("moved\n"));
    assert_eq!((world.disk("gone"), world.disk("moved")), (None, None));
    let tree = world.tree();
    assert_eq!(tree[&world.root().join("script")].1 & 0o777, 0o755);
    assert_eq!(tree.len(), 6, "no slot is left: {:?}", tree.keys());
    for id in report.patches {
        let patch = world.layer.patch(id).expect("kept");
        assert_eq!((patch.state, patch.apply), (PatchState::Applied, report.apply));
    }
    assert!(world.pending().is_empty());
    assert!(!world.layer.status().expect("a status").needs_recovery);
    assert_eq!(world.read(s, "changed").as_deref(), Some("new\n"));
    let events = world.events();
    assert_eq!(events.iter().filter(|event| *event == "patch_applied").count(), 5);
    assert_eq!(events.last().map(String::as_str), Some("apply_committed"));
}

#[test]
fn a_dry_run_checks_and_changes_nothing() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "a", "1");
    let request = ApplyRequest { dry_run: true, ..Default::default() };
    let report = world.layer.apply(&request).expect("it would go well");
    assert_eq!((report.apply, report.patches.len()), (None, 1));
    assert_eq!((world.disk("a"), world.pending().len()), (None, 1));
}

#[rstest]
#[case::everything(false)]
#[case::by_id(true)]
fn an_approval_of_a_patch_that_was_replaced_since_is_refused(#[case] by_id: bool) {
    let world = World::new();
    let s = world.session("agent");
    let old = world.write(s, "a", "shown").patch.expect("pending");
    let expect = Some(world.layer.select(&[]).expect("all").signature);
    world.write(s, "a", "slipped in");
    let ids = if by_id { vec![Selector::Patch(old.id)] } else { Vec::new() };
    let error = world.layer.apply(&ApplyRequest { ids, expect, ..Default::default() });
    assert_eq!(error.expect_err("not what was shown").kind(), ErrorKind::SignatureMismatch);
    assert_eq!((world.disk("a"), world.pending().len()), (None, 1));
}

#[rstest]
#[case::path("path = CAST('b' AS BLOB)")]
#[case::mode("staged_mode = 493")]
#[case::operation("operation = 'delete', staged_digest = NULL, staged_mode = NULL")]
#[case::target("operation = 'rename', rename_to = CAST('c' AS BLOB)")]
#[case::content("staged_digest = base_digest, staged_bytes = base_bytes")]
#[case::base("base_mode = 384")]
fn a_row_that_was_changed_after_the_review_is_a_signature_mismatch(#[case] change: &str) {
    let world = World::new();
    world.put("a", "old");
    world.put("b", "old");
    let s = world.session("agent");
    let patch = world.write(s, "a", "new").patch.expect("pending");
    let before = world.tree();
    world.store().execute(&format!("UPDATE patches SET {change}"), []).expect("tampered with");
    for ids in [Vec::new(), vec![Selector::Patch(patch.id)]] {
        let expect = Some(patch.signature);
        let outcome = world.layer.apply(&ApplyRequest { ids, expect, ..Default::default() });
        let kind = outcome.expect_err("it was never shown").kind();
        assert!(matches!(kind, ErrorKind::SignatureMismatch | ErrorKind::Stale), "{kind:?}");
        assert_eq!(world.tree(), before, "nothing was changed");
    }
    let now = world.layer.patch(patch.id).expect("kept").signature;
    assert_ne!(now, patch.signature, "what is shown is what the row says");
}

#[test]
fn a_full_replacement_needs_a_confirmation() {
    let world = World::new();
    world.put("big", vec![b'a'; 2 << 20]);
    let s = world.session("agent");
    let content = vec![b'b'; 2 << 20];
    let proposal = Proposal::Write { path: path("big"), content: content.clone(), mode: None };
    world.layer.propose(s, proposal).expect("staged");
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("nobody has read it");
    assert_eq!(error.kind(), ErrorKind::ConfirmationMissing, "{error}");
    let request = ApplyRequest { confirm_full_replace: true, ..Default::default() };
    world.layer.apply(&request).expect("confirmed");
    assert_eq!(fs::read(world.root().join("big")).expect("the file"), content);
}

#[test]
fn two_sessions_on_one_file_are_a_conflict_that_names_both() {
    let world = World::new();
    world.put("a", "a");
    let (one, two) = (world.session("one"), world.session("two"));
    let first = world.write(one, "a", "1").patch.expect("pending").id;
    let second = world.write(two, "a", "2").patch.expect("pending").id;
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("they disagree");
    let StagingError::Conflict { patches, .. } = &error else { panic!("{error}") };
    assert_eq!(*patches, (first, second));
    let ids = vec![Selector::Session(one)];
    world.layer.apply(&ApplyRequest { ids, ..Default::default() }).expect("one of them");
    let status = world.layer.status().expect("a status");
    assert_eq!(status.stale.len(), 1, "the other one's base is gone");
}

#[test]
fn a_rename_is_refused_without_the_patch_that_frees_its_target() {
    let world = World::new();
    world.put("a", "a");
    world.put("b", "b");
    let s = world.session("agent");
    let staged = world.layer.propose_all(s, vec![delete("b"), rename("a", "b")]).expect("staged");
    let id = staged[1].patch.as_ref().expect("pending").id;
    let ids = vec![Selector::Patch(id)];
    let error = world.layer.apply(&ApplyRequest { ids, ..Default::default() });
    assert_eq!(error.expect_err("b is there").kind(), ErrorKind::Conflict);
    world.layer.apply(&ApplyRequest::default()).expect("both together");
    assert_eq!((world.disk("a"), world.disk("b").as_deref()), (None, Some("a")));
}

#[test]
fn a_damaged_blob_is_refused_and_nothing_changes() {
    let world = World::new();
    world.put("a", "base");
    let s = world.session("agent");
    let patch = world.write(s, "a", "shown").patch.expect("pending");
    world.tear(b"shown");
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("not what was shown");
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(world.disk("a").as_deref(), Some("base"));
    world.layer.tidy().expect("tidied");
    assert_eq!(world.tree().len(), 1, "no debris");
    assert_eq!(world.layer.patch(patch.id).expect("kept").state, PatchState::Pending);
    assert!(world.layer.patch(patch.id).expect("kept").apply.is_none(), "it can be decided again");
    world.layer.discard(&[], None).expect("rejected");
    world.write(s, "a", "shown");
    world.layer.apply(&ApplyRequest::default()).expect("whole again");
}

#[test]
fn an_apply_with_nothing_pending_is_an_error() {
    let world = World::new();
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("nothing");
    assert!(matches!(error, StagingError::NothingPending), "{error}");
}

#[test]
fn applies_follow_each_other_with_and_without_cleaning_up_in_between() {
    let world = World::new();
    let s = world.session("agent");
    for round in 0..4 {
        let content = round.to_string();
        world.write(s, "a", &content);
        world.layer.apply(&ApplyRequest::default()).expect("applied");
        if round % 2 == 0 {
            world.layer.tidy().expect("tidied");
        }
        assert_eq!(world.disk("a"), Some(content));
    }
    let other = world.layer.options().clone();
    let root = world.root();
    let dir = world.dir;
    drop(world.layer);
    let names: Vec<_> = fs::read_dir(&root).expect("the root").collect();
    assert_eq!(names.len(), 1, "dropping the layer tidies");
    let again = staging_core::DiskOwner::open(other).expect("opens");
    assert!(!again.status().expect("a status").needs_recovery);
    drop(dir);
}
