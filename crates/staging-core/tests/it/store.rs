//! The store: reopening, migrations, refusals, and the log's hash chain.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rstest::rstest;
use rusqlite::Connection;
use staging_core::{DiskOwner, ErrorKind, StagingError};

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
fn a_closed_session_accepts_no_proposals_and_frees_its_label() {
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
fn labels_that_could_be_confused_with_ids_or_options_are_refused(#[case] label: &str) {
    let world = World::new();
    let error = world.layer.open_session(label).expect_err("no label");
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

#[test]
fn a_state_directory_that_others_can_read_is_refused() {
    let world = World::new();
    fs::set_permissions(world.state(), fs::Permissions::from_mode(0o755)).expect("opened up");
    let error = DiskOwner::open(world.layer.options().clone()).err().expect("refused");
    assert!(matches!(error, StagingError::StateDir { .. }), "{error}");
    let made = fs::metadata(world.state().join("blobs")).expect("made by the store");
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let world = World::new();
    let store = Connection::open(world.state().join("store.sqlite")).expect("the store");
    store.pragma_update(None, "user_version", 99).expect("a later version was here");
    let error = DiskOwner::open(world.layer.options().clone()).err().expect("refused");
    assert!(matches!(error, StagingError::NewerStore { found: 99, .. }), "{error}");
}

/// A state directory of version 1: one patch is pending, one rejected, one applied, and the contents
/// of the first and the last have files of their own.
fn of_version_1() -> World {
    let world = World::new();
    let mut options = world.layer.options().clone();
    options.state_dir = world.dir.path().join("old");
    let blobs = options.state_dir.join("blobs");
    fs::create_dir_all(&blobs).expect("ours");
    fs::set_permissions(&options.state_dir, fs::Permissions::from_mode(0o700)).expect("ours");
    let store = Connection::open(options.state_dir.join("store.sqlite")).expect("a new file");
    store.pragma_update(None, "journal_mode", "WAL").expect("as version 1 did");
    store.execute_batch(include_str!("fixtures/store-1.sql")).expect("its tables");
    let put = |content: &str| {
        let digest = staging_core::Digest::of(content.as_bytes());
        let name = digest.to_string();
        fs::create_dir_all(blobs.join(&name[..2])).expect("ours");
        fs::write(blobs.join(&name[..2]).join(&name), content).expect("ours");
        digest
    };
    let (base, pending, applied) = (put("base\n"), put("pending\n"), put("applied\n"));
    let rejected = staging_core::Digest::of(b"rejected\n");
    store
        .execute_batch(
            "INSERT INTO sessions(label, state, created_ms, active_ms, expires_ms, owner_pid)
                 VALUES('agent', 'open', 1, 1, 99999999999999, 1);
             INSERT INTO applies(set_id, state, started_ms, ended_ms, tidied)
                 VALUES('a1-x', 'committed', 1, 99999999999999, 1);",
        )
        .expect("rows of version 1");
    let patch = |path: &str, state: &str, base: Option<_>, staged: staging_core::Digest, bytes| {
        let operation = if base.is_some() { "modify" } else { "create" };
        let reason = (state == "discarded").then_some("rejected");
        let apply = (state == "applied").then_some(1);
        store
            .execute(
                "INSERT INTO patches(session, path, operation, state, reason, signature, revision,
                 base_digest, base_mode, base_bytes, base_modified_ns, base_inode, base_device,
                 base_changed_ns, base_observed_ns, staged_digest, staged_mode, staged_bytes,
                 strategy, added, removed, full_replace, binary, created_ms, updated_ms, apply)
                 VALUES(1, CAST(?1 AS BLOB), ?2, ?3, ?4, zeroblob(32), 1,
                 ?5, 420, 5, 1, 1, 1, 1, 1, ?6, 420, ?7, 'histogram', 1, 1, 0, 0, 1,
                 99999999999999, ?8)",
                rusqlite::params![
                    path,
                    operation,
                    state,
                    reason,
                    base.map(|digest: staging_core::Digest| *digest.as_bytes()),
                    staged.as_bytes(),
                    bytes,
                    apply
                ],
            )
            .expect("a row of version 1");
    };
    patch("a", "pending", Some(base), pending, 8);
    patch("b", "discarded", Some(base), rejected, 9);
    patch("c", "applied", Some(base), applied, 8);
    store.execute("INSERT INTO apply_patches VALUES(1, 3)", []).expect("a row of version 1");
    drop(store);
    world.put("a", "base\n");
    world.put("c", "applied\n");
    let layer = DiskOwner::open(options).expect("brought up to date");
    World { layer, dir: world.dir }
}

#[test]
fn a_store_of_version_1_is_migrated_with_everything_in_it() {
    let world = of_version_1();
    let pending = world.pending();
    assert_eq!(pending.len(), 1);
    let mut diff = Vec::new();
    world.layer.write_diff(&pending, &Default::default(), &mut diff).expect("its contents");
    assert!(String::from_utf8_lossy(&diff).ends_with("-base\n+pending\n"));
    let ids: Vec<_> =
        [1, 2, 3].map(|id| world.layer.patch(staging_core::PatchId(id)).expect("kept")).to_vec();
    let kept: Vec<_> = ids.iter().map(|patch| patch.content_kept).collect();
    assert_eq!(kept, [true, false, true], "version 1 dropped what was discarded");
    world.layer.undo(None).expect("what version 1 applied can be taken back");
    assert_eq!(world.disk("c").as_deref(), Some("base\n"));
    world.layer.apply(&Default::default()).expect("what version 1 staged can be applied");
    assert_eq!(world.disk("a").as_deref(), Some("pending\n"));
    world.layer.tidy().expect("tidied");
    let session = world.layer.find_session("agent").expect("kept");
    assert_eq!(session.owner_pid, None, "its process is not known well enough");
}

/// A state directory with a store of version 2 and these rows.
fn of_version_2(rows: &str) -> World {
    let world = World::new();
    let mut options = world.layer.options().clone();
    options.state_dir = world.dir.path().join("old");
    fs::create_dir(&options.state_dir).expect("ours");
    fs::set_permissions(&options.state_dir, fs::Permissions::from_mode(0o700)).expect("ours");
    let store = Connection::open(options.state_dir.join("store.sqlite")).expect("a new file");
    store.pragma_update(None, "journal_mode", "WAL").expect("as version 2 did");
    store.execute_batch(include_str!("fixtures/store-2.sql")).expect("its tables");
    store.execute_batch(rows).expect("rows of version 2");
    drop(store);
    let layer = DiskOwner::open(options).expect("brought up to date");
    World { layer, dir: world.dir }
}

#[test]
fn a_store_of_version_2_is_migrated_and_shows_undone_applies() {
    let patch = |id: u32, session: u32, state: &str, reason: &str, apply: &str| {
        format!(
            "INSERT INTO patches(id, session, path, operation, state, reason, signature, revision,
                 staged_digest, staged_mode, staged_bytes, strategy, added, removed, full_replace,
                 binary, created_ms, updated_ms, apply)
             VALUES({id}, {session}, CAST('f{id}' AS BLOB), 'create', '{state}', {reason},
                 zeroblob(32), 1, zeroblob(32), 420, 1, 'histogram', 1, 0, 0, 0, 1,
                 99999999999999, {apply});"
        )
    };
    let world = of_version_2(&format!(
        "INSERT INTO sessions(label, state, created_ms, active_ms, expires_ms)
             VALUES('agent', 'open', 1, 1, 99999999999999),
                   ('greenroom init', 'closed', 1, 1, 99999999999999);
         INSERT INTO applies(set_id, state, started_ms, ended_ms, tidied)
             VALUES('a1-x', 'committed', 1, 99999999999999, 1),
                   ('a2-x', 'committed', 1, 99999999999999, 1),
                   ('a3-x', 'committed', 1, 99999999999999, 1);
         UPDATE applies SET undoes = 1 WHERE id = 2; UPDATE applies SET undone_by = 2 WHERE id = 1;
         {} {} {} {}
         INSERT INTO apply_patches VALUES(1, 1), (3, 3);",
        patch(1, 1, "applied", "NULL", "1"),
        patch(2, 1, "discarded", "'stale'", "NULL"),
        patch(3, 2, "applied", "NULL", "3"),
        patch(4, 1, "pending", "NULL", "NULL"),
    ));
    let of = |id| world.layer.patch(staging_core::PatchId(id)).expect("kept");
    assert_eq!(of(1).reason, Some(staging_core::DiscardReason::Undone), "it is on no disk");
    assert_eq!(world.layer.redoable(None).expect("it was undone").apply.to_string(), "a1");
    assert!(!of(2).lapsed, "version 2 reported it");
    assert_ne!(of(4).signature.as_bytes(), &[0; 32], "computed, whatever a column said");
    let error = world.layer.undoable(None).expect_err("a3 was made by init");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(world.pending().len(), 1);
    world.layer.discard(&[], None).expect("rejected");
}

#[rstest]
#[case::version_1(include_str!("fixtures/store-1.sql"))]
#[case::version_2(include_str!("fixtures/store-2.sql"))]
fn a_migrated_store_has_the_tables_of_a_new_one(#[case] tables: &str) {
    let columns = |world: &World, state: &str| -> Vec<String> {
        let store = Connection::open(world.dir.path().join(state).join("store.sqlite"));
        let store = store.expect("the store");
        let mut all = Vec::new();
        let mut names = store
            .prepare("SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'")
            .expect("SQLite's own table");
        let names = names.query_map([], |row| row.get::<_, String>(0)).expect("listed");
        for name in names.map(|name| name.expect("text")) {
            if let Some(table) = name.strip_prefix("table ") {
                let sql = format!("SELECT name || ' ' || type FROM pragma_table_info('{table}')");
                let mut columns = store.prepare(&sql).expect("a table");
                let columns = columns.query_map([], |row| row.get::<_, String>(0)).expect("listed");
                all.extend(columns.map(|column| format!("{table}.{}", column.expect("text"))));
            }
            all.push(name);
        }
        all.sort();
        all
    };
    let world = World::new();
    let mut options = world.layer.options().clone();
    options.state_dir = world.dir.path().join("old");
    fs::create_dir(&options.state_dir).expect("ours");
    fs::set_permissions(&options.state_dir, fs::Permissions::from_mode(0o700)).expect("ours");
    let store = Connection::open(options.state_dir.join("store.sqlite")).expect("a new file");
    store.execute_batch(tables).expect("its tables");
    drop(store);
    drop(DiskOwner::open(options).expect("brought up to date"));
    assert_eq!(columns(&world, "old"), columns(&world, "state"));
}

#[test]
fn processes_that_open_an_old_store_at_once_migrate_it_once() {
    let world = World::new();
    let mut options = world.layer.options().clone();
    options.state_dir = world.dir.path().join("old");
    fs::create_dir(&options.state_dir).expect("ours");
    fs::set_permissions(&options.state_dir, fs::Permissions::from_mode(0o700)).expect("ours");
    let store = Connection::open(options.state_dir.join("store.sqlite")).expect("a new file");
    store.pragma_update(None, "journal_mode", "WAL").expect("as version 1 did");
    store.execute_batch(include_str!("fixtures/store-1.sql")).expect("its tables");
    drop(store);
    std::thread::scope(|scope| {
        for label in ["a", "b", "c", "d"] {
            let options = options.clone();
            scope.spawn(move || {
                let layer = DiskOwner::open(options).expect("opened");
                layer.open_session(label).expect("a session");
            });
        }
    });
    let layer = DiskOwner::open(options).expect("opened");
    assert_eq!(layer.sessions().expect("listed").len(), 4);
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
    assert_eq!(check.events, 3, "opened, proposed, and proposed as a revision");
    assert_eq!(world.layer.newest_event().expect("there are some"), 3);
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
    for content in ["1", "2", "3"] {
        world.write(s, "a", content);
    }
    let store = Connection::open(world.state().join("store.sqlite")).expect("the store");
    store.execute(tampering, []).expect("tampered");
    assert_eq!(world.layer.verify_log().expect("checked").broken_at, Some(at));
}

#[test]
fn an_event_is_parsed_back_from_its_published_json() {
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
