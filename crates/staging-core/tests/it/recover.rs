//! Leftovers of dead processes: journals, undecided applies, unreferenced contents.

use std::time::Duration;

use atomic_fs::{
    Change, ChangeSet, EmptiedDirs, Expected, Fingerprint, Operation, Options, Outcome, Workspace,
};
use rusqlite::Connection;
use staging_core::{
    ApplyOutcome, ApplyRequest, Digest, DiskOwner, ErrorKind, PatchId, PatchState, RequestId,
};

use crate::world::{World, path, write};

/// Starts an apply of the pending patch of `world`, as a process does that dies then; with a
/// journal when `swap`.
fn die_in_apply(world: &World, content: &str, swap: bool) {
    let patch = world.pending().pop().expect("one is pending");
    let base = patch.base.expect("it was there");
    let store = Connection::open(world.state().join("store.sqlite")).expect("the store");
    store
        .execute_batch(&format!(
            "INSERT INTO applies(set_id, state, started_ms) VALUES('a1-dead', 'started', 1);
             INSERT INTO apply_patches(apply, patch) VALUES(1, {id});
             UPDATE patches SET apply = 1 WHERE id = {id};",
            id = patch.id.0
        ))
        .expect("a row as this version writes it");
    if swap {
        swap_and_die(world, "a1-dead", base.content, content);
    }
}

/// Swaps the file `a` and leaves the journal, as a process does that dies before it cleans up.
fn swap_and_die(world: &World, set: &str, base: atomic_fs::Fingerprint, content: &str) {
    struct Content(Vec<u8>);
    impl atomic_fs::ContentSource for Content {
        fn open(&self, _: &Digest) -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
            Ok(Box::new(self.0.as_slice()))
        }
    }
    let workspace = Workspace::open(&world.root(), &world.state(), Options::default());
    let workspace = workspace.expect("the same workspace");
    let lock = workspace.lock().expect("free");
    let digest = Digest::of(content.as_bytes());
    let staged = Fingerprint::file(digest, content.len() as u64, base.mode);
    let change = Change {
        path: path("a"),
        expected: Expected::Matches(base),
        operation: Operation::Write(staged),
    };
    let set = ChangeSet {
        id: set.to_owned(),
        changes: vec![change],
        emptied_dirs: EmptiedDirs::default(),
    };
    let applied = workspace.apply(&lock, &set, &Content(content.into()));
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
}

#[test]
fn an_apply_that_reached_the_disk_is_recorded_at_the_next_start() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    die_in_apply(&world, "agent\n", true);
    let again = world.again();
    let now = again.patch(patch.id).expect("kept");
    assert_eq!(now.state, PatchState::Applied, "recovery took it from the journal");
    assert_eq!(world.disk("a").as_deref(), Some("agent\n"));
    assert_eq!(world.tree().len(), 1, "no slot is left");
    let events = world.events();
    assert_eq!(events.iter().filter(|event| *event == "recovered").count(), 1);
    let report = again.recover().expect("by hand");
    assert_eq!(report.recovered.len(), 1, "it tells what was recovered when it was opened");
    assert!(again.recover().expect("twice").recovered.is_empty(), "nothing the second time");
    assert_eq!(world.events(), events);
}

#[test]
fn an_interrupted_apply_is_recovered_after_its_workspace_was_moved() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    die_in_apply(&world, "agent\n", true);
    let moved = world.root().with_file_name("moved");
    std::fs::rename(world.root(), &moved).expect("renamed");
    let mut options = world.layer.options().clone();
    options.workspace.clone_from(&moved);
    let again = DiskOwner::open(options).expect("the state is this directory's");
    assert_eq!(again.patch(patch.id).expect("kept").state, PatchState::Applied);
    assert_eq!(std::fs::read_dir(&moved).expect("listed").count(), 1, "no slot is left");
    assert_eq!(std::fs::read(moved.join("a")).expect("there"), b"agent\n");
}

#[test]
fn an_apply_that_never_reached_the_disk_is_rolled_back_and_frees_its_patches() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    die_in_apply(&world, "", false);
    // A change of a patch that an apply holds recovers first.
    let second = world.write(s, "a", "more\n");
    let second = second.patch.expect("pending");
    assert_eq!((second.id, second.revision), (patch.id, 2));
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!(world.disk("a").as_deref(), Some("more\n"));
}

#[test]
fn a_patch_can_be_rejected_when_the_process_of_its_apply_is_dead() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    world.write(s, "a", "agent\n");
    die_in_apply(&world, "", false);
    assert_eq!(world.layer.discard(&[], None).expect("rejected").len(), 1);
    assert_eq!(world.disk("a").as_deref(), Some("base\n"));
}

/// The store's record of a set is durable before the first swap, so a power cut cannot remove the
/// record and leave swaps. A journal without a record was not written by this state.
#[test]
fn a_journal_without_a_record_in_the_store_changes_nothing_and_is_reported() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    world.layer.discard(&[], None).expect("rejected");
    let base = patch.base.expect("it was there").content;
    swap_and_die(&world, "a7-forgotten", base, "agent\n");
    let before = world.tree();
    let report = world.layer.recover().expect("recovered");
    assert_eq!(report.recovered, []);
    let [journal] = report.quarantined.as_slice() else { panic!("one: {report:?}") };
    assert!(journal.file.exists(), "{journal:?}");
    assert_eq!(world.tree(), before, "nothing is moved on a journal's word");
    let status = world.layer.status().expect("a status");
    assert!(!status.needs_recovery, "work goes on");
    assert_eq!(status.quarantined.len(), 1);
    assert_eq!(world.layer.recover().expect("twice").quarantined, [], "it is no news");
    world.write(s, "a", "next\n");
    world.layer.apply(&ApplyRequest::default()).expect("others can be applied");
}

/// Two patches of one apply whose process died after the swap of the first file and before that of
/// the second; its slots and journal were removed since.
fn die_halfway(world: &World) -> (PatchId, PatchId) {
    world.put("a", "base of a\n");
    world.put("b", "base of b\n");
    let s = world.session("agent");
    let first = world.write(s, "a", "new a\n").patch.expect("pending").id;
    let second = world.write(s, "b", "new b\n").patch.expect("pending").id;
    let store = world.store();
    store
        .execute_batch(&format!(
            "INSERT INTO applies(set_id, state, started_ms)
                 VALUES('a1-0000002a-0123456789abcdef', 'started', 1);
             INSERT INTO apply_patches(apply, patch) VALUES(1, {0}), (1, {1});
             UPDATE patches SET apply = 1 WHERE id IN ({0}, {1});",
            first.0, second.0
        ))
        .expect("a row as this version writes it");
    world.put("a", "new a\n");
    (first, second)
}

fn both(world: &World) -> (Option<String>, Option<String>) {
    (world.disk("a"), world.disk("b"))
}

#[test]
fn a_half_applied_set_without_slots_and_journal_is_completed_from_the_store() {
    let world = World::new();
    let (first, _) = die_halfway(&world);
    let again = world.again();
    let report = again.take_recovered();
    let [recovered] = report.recovered.as_slice() else { panic!("one: {report:?}") };
    assert!(recovered.from_record, "{recovered:?}");
    assert_eq!(recovered.outcome, ApplyOutcome::Committed, "{recovered:?}");
    assert_eq!(both(&world), (Some("new a\n".to_owned()), Some("new b\n".to_owned())));
    assert_eq!(again.patch(first).expect("kept").state, PatchState::Applied);
    assert_eq!(world.tree().len(), 2, "no slot is left");
    again.undo(None).expect("it can be undone as any other");
    assert_eq!(both(&world), (Some("base of a\n".to_owned()), Some("base of b\n".to_owned())));
}

#[test]
fn a_half_applied_set_with_damaged_new_content_is_rolled_back() {
    let world = World::new();
    die_halfway(&world);
    world.tear(b"new b\n");
    let report = world.again().take_recovered();
    let [recovered] = report.recovered.as_slice() else { panic!("one: {report:?}") };
    assert_eq!(recovered.outcome, ApplyOutcome::RolledBack, "{recovered:?}");
    assert_eq!(recovered.restored, ["a"]);
    assert_eq!(both(&world), (Some("base of a\n".to_owned()), Some("base of b\n".to_owned())));
}

#[test]
fn a_half_applied_set_without_its_contents_stays_in_doubt_until_a_person_repairs_it() {
    let world = World::new();
    let (first, _) = die_halfway(&world);
    world.tear(b"new b\n");
    world.tear(b"base of a\n");
    let layer = world.again();
    let report = layer.take_recovered();
    let [recovered] = report.recovered.as_slice() else { panic!("one: {report:?}") };
    assert_eq!(recovered.outcome, ApplyOutcome::InDoubt, "{recovered:?}");
    assert!(recovered.conflicts.iter().any(|conflict| conflict.contains("`a`")), "{recovered:?}");
    assert_eq!(both(&world), (Some("new a\n".to_owned()), Some("base of b\n".to_owned())));
    // It stays, is shown, and a second recovery does not log it again.
    let events = world.events();
    assert_eq!(events.iter().filter(|event| *event == "apply_in_doubt").count(), 1);
    assert!(!events.contains(&"apply_rolled_back".to_owned()), "nobody says that it is undone");
    let layer = world.again();
    assert_eq!(layer.take_recovered().recovered, []);
    let status = layer.status().expect("a status");
    let [in_doubt] = status.in_doubt.as_slice() else { panic!("one: {status:?}") };
    assert!(in_doubt.reason.contains("`a`"), "{in_doubt:?}");
    let report = layer.recover().expect("asked for by hand");
    assert_eq!(report.recovered[0].outcome, ApplyOutcome::InDoubt);
    assert_eq!(world.events().len(), events.len(), "the same result is no news");
    assert_eq!(report.foreign_slots, [""; 0], "its slots are this state's own");
    let held = layer.apply(&ApplyRequest::default()).expect_err("it holds its patches");
    assert_eq!(held.kind(), ErrorKind::InDoubt, "nobody has to try again: {held}");
    // Other patches can be applied meanwhile.
    let other = layer.open_session("other").expect("a session opens").id;
    layer.propose(other, write("c", "unrelated\n")).expect("staged");
    let request =
        ApplyRequest { ids: vec!["other".parse().expect("a label")], ..Default::default() };
    layer.apply(&request).expect("applied");
    assert_eq!(world.disk("c").as_deref(), Some("unrelated\n"));
    // A person restores the old file.
    world.put("a", "base of a\n");
    layer.acknowledge(in_doubt.apply).expect("given up");
    assert_eq!(layer.status().expect("a status").in_doubt, []);
    let patch = layer.patch(first).expect("kept");
    assert_eq!((patch.state, patch.apply), (PatchState::Pending, None), "free to be decided");
    assert_eq!(layer.acknowledge(in_doubt.apply).expect_err("once").kind(), ErrorKind::Usage);
}

#[test]
fn a_second_state_of_the_same_tree_leaves_the_slots_of_the_first() {
    let world = World::new();
    world.put(".greenroom-a1-0000002a-0123456789abcdef-0.tmp", "undo data of another state");
    world.put(".greenroom-a1-0123456789abcdef-0.tmp", "of an older version of it");
    let report = world.layer.recover().expect("recovered");
    assert_eq!(report.foreign_slots.len(), 2, "{report:?}");
    assert_eq!(report.kept.len(), 0);
    assert_eq!(world.tree().len(), 2);
}

#[test]
fn an_idle_session_expires_and_its_patches_are_discarded() {
    let world = World::with(|options| options.session_expires_after = Duration::from_millis(1));
    let s = world.session("agent");
    std::thread::sleep(Duration::from_millis(5));
    let error = world.layer.propose(s, write("a", "1")).expect_err("it has expired");
    assert_eq!(error.kind(), staging_core::ErrorKind::Closed, "{error}");
    let again = world.again();
    let session = again.find_session("agent").expect("kept in the history");
    assert_eq!(session.state, staging_core::SessionState::Expired);
    let new = again.open_session("agent").expect("its label is free");
    assert_ne!(new.id, s);
}

#[test]
fn pending_patches_of_an_expired_session_are_discarded_with_that_reason() {
    let world = World::new();
    let s = world.session("agent");
    let patch = world.write(s, "a", "1").patch.expect("pending");
    let store = Connection::open(world.state().join("store.sqlite")).expect("the store");
    store.execute("UPDATE sessions SET expires_age_ms = -1", []).expect("long ago");
    let again: DiskOwner = world.again();
    let now = again.patch(patch.id).expect("kept");
    assert_eq!(now.reason, Some(staging_core::DiscardReason::SessionExpired));
    let events = world.events();
    assert!(events.ends_with(&["patch_discarded".to_owned(), "session_expired".to_owned()]));
}

#[test]
fn patches_of_a_running_apply_are_busy_after_a_while_and_stay_pending() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    die_in_apply(&world, "", false);
    let workspace = Workspace::open(&world.root(), &world.state(), Options::default());
    let workspace = workspace.expect("the same workspace");
    // A process that applies holds the lock, so that it is not taken for dead.
    let lock = workspace.lock().expect("free");
    let (proposed, discarded) = std::thread::scope(|scope| {
        let proposing = scope.spawn(|| world.layer.propose(s, write("a", "more\n")));
        let discarded = world.layer.discard(&[], None);
        (proposing.join().expect("it answers"), discarded)
    });
    assert_eq!(proposed.expect_err("held").kind(), ErrorKind::Busy);
    assert_eq!(discarded.expect_err("held").kind(), ErrorKind::Busy);
    drop(lock);
    let now = world.layer.patch(patch.id).expect("kept");
    assert_eq!(now.state, PatchState::Pending, "nobody decided");
    assert_eq!(world.layer.discard(&[], None).expect("free now").len(), 1);
}

#[test]
fn an_apply_in_doubt_is_reported_and_then_decided_by_recovery() {
    let world = World::new();
    world.put("a", "base\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "agent\n").patch.expect("pending");
    die_in_apply(&world, "agent\n", true);
    let request: RequestId = "mine".parse().expect("a name");
    let store = world.store();
    store
        .execute("UPDATE applies SET state = 'in_doubt', request = 'mine' WHERE id = 1", [])
        .expect("as after a sync that failed");
    let status = world.layer.apply_status(&request).expect("asked").expect("it is known");
    assert_eq!(status.outcome, Some(ApplyOutcome::InDoubt));
    assert_eq!(world.layer.recover().expect("recovered").recovered.len(), 1);
    let status = world.layer.apply_status(&request).expect("asked").expect("it is known");
    assert_eq!(status.outcome, Some(ApplyOutcome::Committed), "its bytes are on the disk");
    assert_eq!(world.layer.patch(patch.id).expect("kept").state, PatchState::Applied);
}
