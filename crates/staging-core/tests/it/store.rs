//! The store: reopening, refusing, and the log's hash chain.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rstest::rstest;
use rusqlite::Connection;
use staging_core::{DiffStagingLayer, ErrorKind, StagingError};

use crate::world::{World, rename, set_mode, write};

#[test]
fn everything_pending_survives_reopening() {
    let world = World::new();
    world.put("a", "a\n");
    world.put("b", "b\n");
    let s = world.session("agent");
    let all = vec![write("new", "1\n"), set_mode("a", 0o755), rename("b", "c/d")];
    world.layer.propose_all(s, all).expect("staged");
    let before = world.layer.status().expect("a status");
    let again = world.again();
    assert_eq!(again.status().expect("a status").signature, before.signature);
    let session = again.open_session("agent").expect("still open");
    assert_eq!(session.id, s);
    assert_eq!(session.owner_pid, Some(std::process::id()));
}

#[test]
fn a_closed_session_takes_nothing_more_and_frees_its_label() {
    let world = World::new();
    let s = world.session("agent");
    let patch = world.write(s, "a", "1").patch.expect("pending");
    world.layer.close_session(s).expect("closed");
    assert_eq!(
        world.layer.patch(patch.id).expect("kept").reason,
        Some(staging_core::DiscardReason::Rejected)
    );
    let error = world.layer.propose(s, write("b", "1")).expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_ne!(world.session("agent"), s);
    assert_eq!(world.layer.sessions().expect("both").len(), 2);
}

#[rstest]
#[case("")]
#[case(" ")]
#[case("s1")]
#[case("p77")]
#[case("a\nb")]
#[case("-x")]
fn labels_that_could_be_taken_for_something_else_are_refused(#[case] label: &str) {
    let world = World::new();
    let error = world.layer.open_session(label).expect_err("no label");
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

#[test]
fn a_state_directory_that_others_can_read_is_refused() {
    let world = World::new();
    fs::set_permissions(world.state(), fs::Permissions::from_mode(0o755)).expect("opened up");
    let error = DiffStagingLayer::open(world.layer.options().clone()).err().expect("refused");
    assert!(matches!(error, StagingError::StateDir { .. }), "{error}");
    let made = fs::metadata(world.state().join("blobs")).expect("made by the store");
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let world = World::new();
    let store = Connection::open(world.state().join("store.sqlite")).expect("the store");
    store.pragma_update(None, "user_version", 99).expect("a later version was here");
    let error = DiffStagingLayer::open(world.layer.options().clone()).err().expect("refused");
    assert!(matches!(error, StagingError::NewerStore { found: 99, .. }), "{error}");
}

#[test]
fn an_untouched_log_is_intact() {
    let world = World::new();
    assert_eq!(world.layer.verify_log().expect("checked").events, 0);
    let s = world.session("agent");
    world.write(s, "a", "1");
    world.write(s, "a", "2");
    let check = world.layer.verify_log().expect("checked");
    assert!(check.is_intact());
    assert_eq!(check.events, 4, "opened, proposed, superseded, proposed");
    assert_eq!(world.layer.newest_event().expect("there are some"), 4);
}

#[rstest]
#[case::edited("UPDATE events SET payload = replace(payload, 'modify', 'delete') WHERE seq = 2", 2)]
#[case::time("UPDATE events SET at_ms = at_ms + 1 WHERE seq = 3", 3)]
#[case::hash("UPDATE events SET hash = zeroblob(32) WHERE seq = 4", 4)]
#[case::type_of_hash("UPDATE events SET hash = 'x' WHERE seq = 1", 1)]
#[case::removed("DELETE FROM events WHERE seq = 2", 2)]
#[case::cut_off("DELETE FROM events WHERE seq > 3", 4)]
#[case::all_removed("DELETE FROM events", 1)]
fn tampering_with_the_log_is_found(#[case] tampering: &str, #[case] at: u64) {
    let world = World::new();
    world.put("a", "0");
    let s = world.session("agent");
    world.write(s, "a", "1");
    world.write(s, "a", "2");
    let store = Connection::open(world.state().join("store.sqlite")).expect("the store");
    store.execute(tampering, []).expect("tampered");
    assert_eq!(world.layer.verify_log().expect("checked").broken_at, Some(at));
}

#[test]
fn an_event_reads_back_as_the_json_it_was_published_as() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "a", "1\n");
    for record in world.layer.events_since(0, 10).expect("the log") {
        let json = serde_json::to_value(&record).expect("JSON");
        assert_eq!(json["schema"], 1);
        assert_eq!(json["seq"], record.seq);
        assert_eq!(serde_json::from_value::<staging_core::EventRecord>(json).expect("own"), record);
    }
}
