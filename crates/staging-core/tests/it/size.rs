//! Size: holes, streams, sets of many files, and calls that wait for another process.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::mpsc;

use rstest::rstest;
use staging_core::{
    Activity, ApplyRequest, ErrorKind, PatchRequest, Proposal, StagingError, WaitObserver, Waiting,
};

use crate::world::{World, delete, edit, path, write};

const MIB: u64 = 1 << 20;

/// Creates a file with one block of data in each of so many MiB; returns the disk space it takes.
fn sparse(world: &World, name: &str, mib: u64) -> u64 {
    let file = fs::File::create(world.root().join(name)).expect("a file");
    file.set_len(mib * MIB).expect("a length");
    for number in 0..mib {
        let data = format!("data {number}");
        file.write_all_at(data.as_bytes(), number * MIB + 64 * 1024).expect("written");
    }
    file.sync_all().expect("what it takes is known once it is written");
    room(world, name)
}

fn room(world: &World, name: &str) -> u64 {
    let file = fs::File::open(world.root().join(name)).expect("it is there");
    file.sync_all().expect("synced");
    file.metadata().expect("it is open").blocks() * 512
}

fn everything() -> ApplyRequest {
    ApplyRequest { confirm_full_replace: true, ..ApplyRequest::default() }
}

#[test]
fn holes_are_kept_in_the_store_and_by_an_undo() {
    let world = World::new();
    let before = sparse(&world, "sparse", 8);
    if before > MIB {
        eprintln!("skipped: this file system keeps no holes");
        return;
    }
    let content = fs::read(world.root().join("sparse")).expect("read");
    let s = world.session("agent");
    world.layer.propose(s, delete("sparse")).expect("staged");
    // The pack has no content yet, but may take a block.
    let stored = world.content_blocks();
    assert!(stored <= before + 64 * 1024, "{stored} bytes for a file of {before}");
    world.layer.apply(&everything()).expect("deleted");
    world.layer.undo(None).expect("it is back");
    assert_eq!(fs::read(world.root().join("sparse")).expect("read"), content);
    let after = room(&world, "sparse");
    assert!(after <= before + 4096, "{after} bytes where it had {before}");
}

#[rstest]
#[case::short(64 * 1024)]
#[case::long(4 * MIB as usize)]
fn holes_of_staged_content_are_holes_on_disk(#[case] bytes: usize) {
    let world = World::new();
    let mut content = vec![0; bytes];
    content[..5].copy_from_slice(b"begin");
    let s = world.session("agent");
    let file = world.dir.path().join("outside");
    fs::write(&file, &content).expect("written");
    let proposal = Proposal::WriteFrom { path: path("new"), file, mode: None };
    world.layer.propose(s, proposal).expect("staged");
    world.layer.apply(&everything()).expect("applied");
    let there = fs::read(world.root().join("new")).expect("it is there");
    assert!(there == content, "byte by byte, up to its length");
    assert!(room(&world, "new") <= 16 * 1024, "{}", room(&world, "new"));
}

#[test]
fn a_file_without_holes_has_none_afterwards_and_one_that_ends_in_zeros_its_length() {
    let world = World::new();
    let content = [vec![b'x'; 300_000], vec![0; 300_000]].concat();
    world.put("f", "old\n");
    let s = world.session("agent");
    let new = Proposal::Write { path: path("f"), content: content.clone(), mode: None };
    world.layer.propose(s, new).expect("staged");
    world.layer.apply(&everything()).expect("applied");
    assert!(fs::read(world.root().join("f")).expect("it is there") == content);
    world.layer.undo(None).expect("undone");
    assert_eq!(world.disk("f").as_deref(), Some("old\n"));
}

#[test]
fn a_spooled_stream_is_in_the_state_directory_until_its_spool_is_dropped() {
    let world = World::with(|options| options.session_bytes_max = 100_000);
    let content = b"0123456789".repeat(10_000);
    let spool = world.layer.spool(&mut content.as_slice()).expect("it is not too long");
    let file = spool.path().to_owned();
    assert!(file.starts_with(world.state()), "{}", file.display());
    let s = world.session("agent");
    let proposal = Proposal::WriteFrom { path: path("f"), file: file.clone(), mode: None };
    world.layer.propose(s, proposal).expect("staged");
    drop(spool);
    assert!(!file.exists(), "it is removed");
    assert_eq!(world.read(s, "f").map(String::into_bytes), Some(content));
    let too_long = world.layer.spool(&mut io::repeat(1).take(100_001)).err();
    assert_eq!(too_long.map(|error| error.kind()), Some(ErrorKind::Limit));
    let endless = world.layer.spool(&mut io::repeat(1)).err();
    assert_eq!(endless.map(|error| error.kind()), Some(ErrorKind::Limit));
    let left = fs::read_dir(world.state().join("blobs/tmp")).expect("listed").count();
    assert_eq!(left, 0, "nothing of what was refused stays");
}

#[test]
fn a_patch_over_too_many_files_is_refused_before_any_is_read() {
    let world = World::with(|options| options.session_patches_max = 2);
    let s = world.session("agent");
    let text: String =
        (0..3).map(|n| format!("--- /dev/null\n+++ b/.git/f{n}\n@@ -0,0 +1 @@\n+x\n")).collect();
    let request = PatchRequest { text: text.into(), ..PatchRequest::default() };
    let refused = world.layer.propose_patch(s, &request).expect_err("three are too many");
    assert!(matches!(refused, StagingError::PatchTooLarge { files: 3, max: 2 }), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Limit);
}

#[test]
fn edits_of_one_file_store_only_the_last_content() {
    let world = World::new();
    let content: String = (0..1000).map(|number| format!("line {number:04}\n")).collect();
    world.put("f", &content);
    world.put("g", "one\n");
    let s = world.session("agent");
    let edits = (0..500).map(|n| edit("f", &format!("line {n:04}\n"), &format!("LINE {n}\n")));
    let edits: Vec<_> = edits.chain([edit("g", "one", "two"), edit("f", "LINE 7\n", "")]).collect();
    let proposed = world.layer.propose_all(s, edits).expect("they fit");
    assert_eq!(proposed.len(), 502, "each is answered");
    let ids: Vec<_> = proposed.iter().filter_map(|one| Some(one.patch.as_ref()?.id)).collect();
    assert!(ids[..500].iter().all(|id| *id == ids[0]) && ids[501] == ids[0] && ids[500] != ids[0]);
    let expected = (500..1000).map(|number| format!("line {number:04}\n"));
    let expected: String =
        (0..500).filter(|n| *n != 7).map(|n| format!("LINE {n}\n")).chain(expected).collect();
    assert_eq!(world.read(s, "f"), Some(expected));
    // Two bases and two staged contents.
    assert_eq!(world.blobs(), 4);
}

#[test]
fn an_edit_that_does_not_fit_stages_no_edit_of_its_call() {
    let world = World::new();
    world.put("f", "a\nb\n");
    let s = world.session("agent");
    let edits = vec![edit("f", "a", "x"), edit("f", "a", "y"), edit("f", "b", "z")];
    let refused = world.layer.propose_all(s, edits).expect_err("the second finds nothing");
    assert!(matches!(refused, StagingError::NoMatch { found: 0, .. }), "{refused}");
    assert!(world.pending().is_empty());
}

/// New files, directories, modifications, deletions and renames, each of a path of its own.
#[test]
fn a_set_of_many_files_is_staged_applied_undone_and_discarded_whole() {
    const EACH: usize = 300;
    let world = World::new();
    let (mut text, mut renames) = (String::new(), String::new());
    for n in 0..EACH {
        world.put(&format!("m/{n}"), "old\n");
        world.put(&format!("d/{n}"), format!("gone {n}\n"));
        // Each file moves to the name of the one before it.
        world.put(&format!("r/{n}"), format!("moved {n}\n"));
        text.push_str(&format!(
            "--- /dev/null\n+++ b/n{n}/f\n@@ -0,0 +1 @@\n+new {n}\n\
             --- a/m/{n}\n+++ b/m/{n}\n@@ -1 +1 @@\n-old\n+new\n\
             --- a/d/{n}\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone {n}\n",
        ));
        let to = n + 1;
        renames.push_str(&format!(
            "diff --git a/r/{n} b/r/{to}\nrename from r/{n}\nrename to r/{to}\n"
        ));
    }
    text.push_str(&renames);
    let before = world.tree();
    let s = world.session("agent");
    let request = PatchRequest { text: text.into(), ..PatchRequest::default() };
    let proposed = world.layer.propose_patch(s, &request).expect("it fits").proposed;
    assert_eq!(proposed.len(), 4 * EACH);
    let batches: Vec<_> = world.pending().iter().map(|patch| patch.batch).collect();
    assert!(batches.len() == 4 * EACH && batches.iter().all(|batch| *batch == batches[0]));
    assert_eq!(batches[0], world.pending().iter().map(|patch| patch.id).min(), "by its first one");
    world.layer.apply(&everything()).expect("applied");
    assert_eq!(world.disk("r/0"), None);
    for n in 0..EACH {
        assert_eq!(world.disk(&format!("n{n}/f")), Some(format!("new {n}\n")));
        assert_eq!(world.disk(&format!("m/{n}")).as_deref(), Some("new\n"));
        assert_eq!(world.disk(&format!("d/{n}")), None);
        assert_eq!(world.disk(&format!("r/{}", n + 1)), Some(format!("moved {n}\n")));
    }
    world.layer.undo(None).expect("undone");
    world.layer.tidy().expect("tidied");
    let content = |tree: &std::collections::BTreeMap<_, (Vec<u8>, u32, i64, i64)>| {
        let files = tree
            .iter()
            .map(|(path, file): (&std::path::PathBuf, _)| (path.clone(), file.0.clone()));
        files.collect::<Vec<_>>()
    };
    assert_eq!(content(&world.tree()), content(&before));
    assert_eq!(world.layer.discard(&[], None).expect("discarded").len(), 4 * EACH);
}

#[test]
fn a_wait_for_the_store_is_reported_with_the_process_and_goes_on() {
    let (sender, told) = mpsc::channel::<Waiting>();
    let world = World::with(move |options| {
        let sender = std::sync::Mutex::new(sender);
        options.wait_observer = WaitObserver::new(move |waiting| {
            let sender = sender.lock().expect("nobody panics with it");
            sender.send(waiting.clone()).expect("the test listens");
        });
    });
    let s = world.session("agent");
    let other = world.store();
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    std::thread::scope(|scope| {
        let proposing = scope.spawn(|| world.layer.propose(s, write("f", "new\n")));
        let waiting = told.recv().expect("it says that it waits");
        assert_eq!(waiting.activity, Activity::WritesStore);
        if cfg!(target_os = "linux") {
            let process = waiting.process.expect("it is this one");
            assert_eq!(process.pid, std::process::id());
        }
        other.execute_batch("COMMIT").expect("ended");
        proposing.join().expect("no panic").expect("it is staged after that");
    });
    assert!(told.try_recv().is_err(), "it is reported once");
}

#[test]
fn a_wait_for_the_workspace_is_reported_with_the_process_and_goes_on() {
    let (sender, told) = mpsc::channel::<Waiting>();
    let world = World::with(move |options| {
        let sender = std::sync::Mutex::new(sender);
        options.wait_observer = WaitObserver::new(move |waiting| {
            let sender = sender.lock().expect("nobody panics with it");
            sender.send(waiting.clone()).expect("the test listens");
        });
    });
    let s = world.session("agent");
    world.write(s, "f", "new\n");
    let lock = fs::File::options().write(true).open(world.state().join("lock"));
    let lock = lock.or_else(|_| fs::File::create(world.state().join("lock"))).expect("the lock");
    type Call = fn(&World) -> staging_core::Result<()>;
    let calls: [Call; 3] = [
        |world| world.layer.apply(&everything()).map(drop),
        |world| world.layer.undo(None).map(drop),
        |world| world.layer.recover().map(drop),
    ];
    for call in calls {
        lock.lock().expect("nobody has it");
        std::thread::scope(|scope| {
            let calling = scope.spawn(|| call(&world));
            let waiting = told.recv().expect("it says that it waits");
            assert_eq!(waiting.activity, Activity::ChangesWorkspace);
            if cfg!(target_os = "linux") {
                assert_eq!(waiting.process.expect("this one").pid, std::process::id());
            }
            lock.unlock().expect("ours");
            calling.join().expect("no panic").expect("it goes on");
            world.layer.tidy().expect("tidied");
        });
    }
    assert!(told.try_recv().is_err(), "each says it once");
}

/// A patch that creates so many files.
fn creating(files: usize) -> PatchRequest {
    let text: String =
        (0..files).map(|n| format!("--- /dev/null\n+++ b/f{n}\n@@ -0,0 +1 @@\n+x{n}\n")).collect();
    PatchRequest { text: text.into(), ..PatchRequest::default() }
}

/// More files than are stored in one transaction.
const LARGE: usize = 1500;

/// Compares the number of references to each content with the number that the store has recorded.
pub(crate) fn check_references(world: &World) {
    let wrong: i64 = world
        .store()
        .query_row(
            "WITH needs AS (
                 SELECT base_digest AS digest FROM patches WHERE kept AND base_digest IS NOT NULL
                 UNION ALL SELECT staged_digest FROM patches
                     WHERE kept AND staged_digest IS NOT NULL)
             SELECT (SELECT count(*) FROM contents WHERE refs <>
                     (SELECT count(*) FROM needs WHERE needs.digest = contents.digest))
                 + (SELECT count(*) FROM needs WHERE digest NOT IN (SELECT digest FROM contents))",
            [],
            |row| row.get(0),
        )
        .expect("the tables are there");
    assert_eq!(wrong, 0, "each content is needed as often as the store says");
}

#[test]
fn a_large_set_becomes_pending_at_once_and_does_not_block_others() {
    let world = World::new();
    let (s, other) = (world.session("agent"), world.session("other"));
    let watching = world.again();
    std::thread::scope(|scope| {
        let proposing = scope.spawn(|| world.layer.propose_patch(s, &creating(LARGE)));
        let (mut seen, mut number) = (0, 0);
        while seen == 0 {
            number += 1;
            watching.propose(other, write("theirs", &format!("{number}\n"))).expect("staged");
            let status = watching.status().expect("a status");
            let of_session = status.sessions.iter().find(|of| of.session.id == s);
            seen = of_session.map_or(0, |of| of.patches.len());
            assert!(seen == 0 || seen == LARGE, "{seen} of them are pending");
        }
        let proposed = proposing.join().expect("no panic").expect("staged").proposed;
        assert_eq!(proposed.len(), LARGE);
        let pending = world.pending();
        for one in proposed {
            assert!(pending.contains(&one.patch.expect("pending")), "as it is answered");
        }
    });
    check_references(&world);
    world.layer.discard(&[], None).expect("discarded");
    check_references(&world);
}

#[test]
fn a_large_set_revises_the_pending_patches_of_its_files() {
    let world = World::new();
    let s = world.session("agent");
    world.layer.propose_patch(s, &creating(LARGE)).expect("staged");
    let before = world.pending();
    let rewrites: Vec<_> = (0..LARGE)
        // Some patches stage the same content as before.
        .map(|n| {
            write(&format!("f{n}"), &if n % 5 == 0 { format!("x{n}\n") } else { "y\n".into() })
        })
        .collect();
    let proposed = world.layer.propose_all(s, rewrites).expect("staged");
    let after = world.pending();
    assert_eq!(after.len(), LARGE);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.id, new.id, "{} {}", old.path, new.path);
        let stays = old.signature == new.signature;
        assert_eq!(new.revision, if stays { 1 } else { 2 });
        assert_eq!(new.batch, old.batch, "they are still one set");
    }
    assert!(proposed.iter().all(|one| one.superseded.is_none()));
    let earlier: usize = after
        .iter()
        .map(|patch| world.layer.earlier_revisions(patch.id).expect("kept").len())
        .sum();
    assert_eq!(earlier, LARGE - LARGE / 5);
    check_references(&world);
    let names = world.store().query_row(
        "SELECT count(*) FROM patches WHERE state = 'prepared'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(names.expect("counted"), 0);
}

#[test]
fn a_large_set_that_is_refused_at_the_end_leaves_no_contents() {
    let world = World::with(|options| options.session_patches_max = 2000);
    let s = world.session("agent");
    for n in 0..600 {
        world.write(s, &format!("before{n}"), "x\n");
    }
    let (events, blobs) = (world.events().len(), world.blobs());
    let refused = world.layer.propose_patch(s, &creating(LARGE)).expect_err("2100 are too many");
    assert_eq!(refused.kind(), ErrorKind::Limit, "{refused}");
    assert_eq!((world.events().len(), world.blobs()), (events, blobs));
    assert_eq!(world.pending().len(), 600);
    check_references(&world);
}

#[test]
fn unfinished_proposals_of_a_dead_process_are_not_listed_and_are_swept() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "kept", "kept\n");
    world.write(s, "f", "of the dead\n");
    let store = world.store();
    // As after a process that was killed before its patches became pending.
    store
        .execute_batch(
            "DELETE FROM events WHERE seq > 2;
             UPDATE patches SET state = 'prepared', batch = id, reason_text = '4999999.0_0_1',
                 decided_age_ms = NULL WHERE path = CAST('f' AS BLOB);
             UPDATE patches SET decided_age_ms = NULL WHERE state = 'prepared';",
        )
        .expect("as it was");
    assert!(world.layer.patch(staging_core::PatchId(2)).is_err(), "nobody finds it by its id");
    assert_eq!(world.pending().len(), 1);
    assert_eq!(world.read(s, "f"), None);
    world.write(s, "f", "of the living\n");
    check_references(&world);
    world.layer.sweep(std::time::Duration::from_secs(60)).expect("swept");
    assert_eq!(world.blobs(), 2, "what it needed is given back");
    assert_eq!(world.pending().len(), 2);
    check_references(&world);
}
