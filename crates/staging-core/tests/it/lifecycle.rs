//! Sessions, patches and contents as time passes and processes die.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rstest::rstest;
use staging_core::{
    ApplyRequest, DiffStagingLayer, DiscardReason, ErrorKind, PatchState, Selector, SessionState,
    StagingError, SweepPreview, SweepReport,
};

use crate::world::{World, write};

/// Long enough for any sweep here.
const ENOUGH: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 60 * 60 * 1000;

fn sweep(world: &World) -> SweepReport {
    world.layer.sweep(ENOUGH).expect("swept")
}

/// Makes everything that was decided so far a month older.
fn age(world: &World) {
    let month = 30 * 24 * HOUR_MS;
    let store = world.store();
    for statement in [
        "UPDATE patches SET decided_age_ms = decided_age_ms - ?1 WHERE state <> 'pending'",
        "UPDATE sessions SET active_age_ms = active_age_ms - ?1",
    ] {
        store.execute(statement, [month]).expect("aged");
    }
}

/// Makes a process that has ended the owner of every session.
fn kill_owner(world: &World) {
    // A process for which the layer has recorded the owner itself, and which is killed then.
    let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("starts");
    let this = std::process::id();
    let start: String = world
        .store()
        .query_row("SELECT owner_start FROM sessions WHERE owner_pid = ?1", [this], |row| {
            row.get(0)
        })
        .expect("this process owns a session");
    let (rest, _) = start.rsplit_once(':').expect("three parts");
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_ascii_whitespace().nth(19).expect("field 22");
    world
        .store()
        .execute(
            "UPDATE sessions SET owner_pid = ?1, owner_start = ?2",
            (child.id(), format!("{rest}:{ticks}")),
        )
        .expect("owned by the child");
    assert!(sweep(world).orphaned.is_empty(), "it lives");
    child.kill().expect("ours");
    child.wait().expect("ours");
}

#[test]
fn a_session_of_a_dead_process_is_orphaned_and_its_patches_stay_pending_until_it_expires() {
    let world = World::new();
    let s = world.session("agent");
    let patch = world.write(s, "a", "1\n").patch.expect("pending");
    kill_owner(&world);
    assert_eq!(sweep(&world).orphaned, [s], "within one sweep");
    let session = world.layer.find_session("agent").expect("it is there");
    assert_eq!(session.state, SessionState::Open);
    assert!(session.orphaned_at.is_some());
    assert_eq!(world.pending().len(), 1, "still reviewable");
    assert!(sweep(&world).orphaned.is_empty(), "said once");
    world.store().execute("UPDATE sessions SET expires_age_ms = -1", []).expect("a day later");
    assert_eq!(sweep(&world).expired, [s]);
    assert!(world.pending().is_empty(), "then gone");
    let now = world.layer.patch(patch.id).expect("in the history");
    assert_eq!(now.reason, Some(DiscardReason::SessionExpired));
    assert!(world.events().contains(&"session_orphaned".to_owned()));
}

#[test]
fn a_process_that_opens_or_uses_an_orphaned_session_adopts_it() {
    for by_opening in [true, false] {
        let world = World::new();
        let s = world.session("agent");
        kill_owner(&world);
        sweep(&world);
        if by_opening {
            assert_eq!(world.session("agent"), s, "the same session");
        } else {
            world.write(s, "a", "1\n");
        }
        let session = world.layer.find_session("agent").expect("it is there");
        assert_eq!((session.owner_pid, session.orphaned_at), (Some(std::process::id()), None));
        assert!(sweep(&world).orphaned.is_empty(), "this process lives");
        assert_eq!(world.events().iter().filter(|event| *event == "session_adopted").count(), 1);
    }
}

#[test]
fn a_short_lived_process_owns_nothing_and_orphans_nothing() {
    let world = World::with(|options| options.owns_sessions = false);
    world.session("cli");
    let session = world.layer.find_session("cli").expect("it is there");
    assert_eq!(session.owner_pid, None);
    assert_eq!(sweep(&world).orphaned, []);
}

#[test]
fn history_is_kept_for_a_while_and_then_removed_with_its_contents() {
    let world = World::new();
    world.put("a", "old\n");
    let s = world.session("agent");
    world.write(s, "a", "applied\n");
    let report = world.layer.apply(&ApplyRequest::default()).expect("applied");
    let rejected = world.write(s, "b", "rejected\n").patch.expect("pending").id;
    world.layer.discard(&[], None).expect("rejected");
    let pending = world.write(s, "c", "pending\n").patch.expect("pending").id;
    world.layer.tidy().expect("tidied");
    assert_eq!(sweep(&world).forgotten, 0, "none is old");
    assert!(world.layer.patch(rejected).expect("kept").content_kept);
    age(&world);
    assert_eq!(sweep(&world).forgotten, 2);
    let gone = world.layer.patch(rejected).expect_err("forgotten");
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let undone = world.layer.undo(report.apply).expect_err("its snapshot is gone");
    assert!(matches!(undone, StagingError::NotUndoable { .. }), "{undone}");
    assert_eq!(world.layer.undo(None).expect_err("nothing").kind(), ErrorKind::NotFound);
    assert_eq!(world.layer.patch(pending).expect("kept").state, PatchState::Pending);
    assert_eq!(world.blobs(), 1, "only what is pending");
    assert!(world.layer.verify_log().expect("checked").is_intact(), "the log keeps what happened");
}

#[test]
fn the_history_of_an_apply_is_removed_as_a_whole() {
    let world = World::new();
    let s = world.session("agent");
    world.layer.propose_all(s, vec![write("a", "1"), write("b", "2")]).expect("staged");
    let apply = world.layer.apply(&ApplyRequest::default()).expect("applied").apply;
    world.layer.tidy().expect("tidied");
    world
        .store()
        .execute(
            "UPDATE patches SET decided_age_ms = -30000000000 WHERE path = CAST('a' AS BLOB)",
            [],
        )
        .expect("one patch is older");
    assert_eq!(sweep(&world).forgotten, 1);
    let error = world.layer.undo(apply).expect_err("half of it would come back");
    assert!(matches!(error, StagingError::NotUndoable { .. }), "{error}");
}

#[test]
fn a_preview_reports_what_a_sweep_would_decide_and_changes_nothing() {
    let world = World::new();
    let (overdue, dead) = (world.session("overdue"), world.session("dead"));
    let lapsing = world.write(overdue, "lapsing", "1\n").patch.expect("pending").id;
    world.put("stale", "old\n");
    let stale = world.write(dead, "stale", "new\n").patch.expect("pending").id;
    world.write(dead, "rejected", "x\n");
    let rejected = world.layer.patch(staging_core::PatchId(3)).expect("the third").id;
    world.layer.discard(&[Selector::Patch(rejected)], None).expect("discarded");
    age(&world);
    kill_owner(&world);
    world.put("stale", "the user's\n");
    world
        .store()
        .execute("UPDATE sessions SET expires_age_ms = -1 WHERE label = 'overdue'", [])
        .expect("a day later");
    let before = world.events();
    let preview = DiffStagingLayer::preview_sweep(world.layer.options().clone()).expect("looked");
    let (expired, orphaned, stale) = (vec![overdue], vec![dead], vec![stale]);
    let (lapsed, forgotten) = (vec![lapsing], preview.forgotten);
    assert_eq!(preview, SweepPreview { expired, lapsed, orphaned, stale, forgotten });
    assert_eq!(world.events(), before, "nothing was decided");
    let done = sweep(&world);
    assert_eq!(
        (done.expired, done.orphaned, done.stale),
        (preview.expired, preview.orphaned, preview.stale)
    );
    assert_eq!(
        world.layer.patch(lapsing).expect("there").reason,
        Some(DiscardReason::SessionExpired)
    );
}

#[test]
fn a_session_of_a_dead_process_is_in_the_status_only_with_patches() {
    let world = World::new();
    let s = world.session("agent");
    let listed = || -> Vec<_> {
        let status = world.layer.status().expect("a status");
        status.sessions.iter().map(|each| each.session.id).collect()
    };
    assert_eq!(listed(), [s], "its process lives");
    world.put("a", "old\n");
    world.write(s, "a", "1\n");
    kill_owner(&world);
    assert_eq!(sweep(&world).orphaned, [s]);
    assert_eq!(listed(), [s], "a patch is pending");
    world.put("a", "the user's\n");
    assert_eq!(listed(), [s], "a patch is stale, and nobody has dismissed it");
    world.layer.discard(&[Selector::Session(s)], None).expect("dismissed");
    assert_eq!(listed(), [], "nothing is left to decide");
    assert_eq!(world.layer.find_session("agent").expect("there").state, SessionState::Open);
}

#[test]
fn a_session_is_closed_only_with_the_reviewed_patches() {
    let world = World::new();
    let s = world.session("agent");
    let patch = world.write(s, "a", "1\n").patch.expect("pending").id;
    let reviewed = world.layer.select(&[Selector::Session(s)]).expect("selected").signature;
    world.write(s, "b", "2\n");
    let error = world.layer.close_reviewed(s, Some(reviewed), None).expect_err("one more came");
    assert_eq!(error.kind(), ErrorKind::SignatureMismatch, "{error}");
    assert_eq!(world.pending().len(), 2, "nothing was rejected");
    let reviewed = world.layer.select(&[Selector::Session(s)]).expect("selected").signature;
    let closed = world.layer.close_reviewed(s, Some(reviewed), Some("use tabs")).expect("closed");
    assert_eq!(closed.session.state, SessionState::Closed);
    assert_eq!((closed.rejected.len(), closed.dismissed.len()), (2, 0));
    let rejected = world.layer.patch(patch).expect("in the history");
    assert_eq!(rejected.reason_text.as_deref(), Some("use tabs"));
}

#[test]
fn a_sweep_finds_stale_patches() {
    let world = World::new();
    world.put("a", "old\n");
    let s = world.session("agent");
    let patch = world.write(s, "a", "new\n").patch.expect("pending").id;
    world.put("a", "the user's\n");
    assert_eq!(sweep(&world).stale, [patch]);
}

#[test]
fn ended_sessions_without_patches_are_removed_and_open_ones_stay() {
    let world = World::new();
    let ended = world.session("ended");
    world.layer.close_session(ended).expect("closed");
    let open = world.session("open");
    age(&world);
    sweep(&world);
    let left: Vec<_> = world.layer.sessions().expect("listed").iter().map(|s| s.id).collect();
    assert_eq!(left, [open]);
}

#[rstest]
#[case::short(10_000)]
#[case::long(400_000)]
fn contents_of_dead_processes_are_removed_and_referenced_ones_stay(#[case] bytes: usize) {
    let world = World::new();
    let s = world.session("agent");
    let kept = "needed\n".repeat(bytes / 7);
    world.write(s, "a", &kept);
    // A process that died before it committed the rows of the contents that it had stored.
    let blobs = world.state().join("blobs");
    fs::write(blobs.join("00000000deadbeef.pack"), vec![7; bytes]).expect("a dead pack");
    let stray = staging_core::Digest::of(b"stray").to_string();
    fs::create_dir_all(blobs.join(&stray[..2])).expect("its folder");
    fs::write(blobs.join(&stray[..2]).join(&stray), "x").expect("a blob");
    fs::write(blobs.join("tmp/1.0_0_1-1"), "torn").expect("a write that broke off");
    let report = sweep(&world);
    assert_eq!(report.removed, 3, "{report:?}");
    assert!(report.complete && report.bytes >= bytes as u64);
    assert_eq!(world.read(s, "a").as_deref(), Some(kept.as_str()));
    let again = sweep(&world);
    assert_eq!((again.removed, again.bytes), (0, 0), "the second time nothing is left");
}

#[test]
fn the_space_of_replaced_contents_is_freed() {
    let world = World::new();
    let s = world.session("agent");
    for round in 0..50 {
        world.write(s, "a", &format!("{round}\n").repeat(20_000));
    }
    world.layer.flush().expect("flushed");
    let blocks = world.content_blocks();
    assert!(blocks < 1_000_000, "11 contents of 50, not all of them: {blocks}");
}

#[test]
fn concurrent_proposals_and_sweeps_lose_nothing() {
    let world = World::new();
    let rounds = 150;
    thread::scope(|scope| {
        let sweeping = world.again();
        let writers: Vec<_> = ["one", "two"]
            .into_iter()
            .map(|label| {
                let layer = world.again();
                scope.spawn(move || {
                    let s = layer.open_session(label).expect("a session").id;
                    for round in 0..rounds {
                        // Both use the same contents, so that one releases what the other is
                        // about to refer to.
                        let long = format!("{}\n", round % 3).repeat(1 + (round % 2) * 140_000);
                        layer.propose(s, write("a", &long)).expect("staged");
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            sweeping.sweep(ENOUGH).expect("swept");
        }
    });
    for patch in world.pending() {
        let mut diff = Vec::new();
        world.layer.write_diff(&[patch], &Default::default(), &mut diff).expect("its content");
    }
    let last = format!("{}\n", (rounds - 1) % 3).repeat(140_001);
    for label in ["one", "two"] {
        let s = world.layer.find_session(label).expect("open").id;
        assert_eq!(world.read(s, "a"), Some(last.clone()));
    }
}

#[test]
fn the_total_size_of_all_contents_is_limited() {
    let world = World::with(|options| options.stored_bytes_max = 10_000);
    let s = world.session("agent");
    world.write(s, "a", &"x".repeat(6_000));
    let error = world.layer.propose(s, write("b", &"y".repeat(6_000))).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert_eq!(world.pending().len(), 1, "nothing else changed");
    // The same content counts once.
    world.write(s, "c", &"x".repeat(6_000));
    world.layer.discard(&[], None).expect("rejected");
    age(&world);
    sweep(&world);
    world.write(s, "b", &"y".repeat(6_000));
}

#[test]
fn a_sweep_without_time_left_is_incomplete_and_the_next_one_completes_it() {
    let world = World::new();
    let stray = staging_core::Digest::of(b"stray").to_string();
    let blob = world.state().join("blobs").join(&stray[..2]).join(&stray);
    fs::create_dir_all(blob.parent().expect("a folder")).expect("its folder");
    fs::write(&blob, "x").expect("a blob that no row names");
    // A strategy that misbehaved a month ago, and one that misbehaved just now.
    let record = |name: &[u8]| {
        let name = staging_core::Digest::of(name).to_string();
        world.state().join("strategies").join(name)
    };
    fs::create_dir_all(world.state().join("strategies")).expect("its folder");
    for name in [b"old", b"new"] {
        fs::write(record(name), "it crashed").expect("a record");
    }
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    let file = fs::File::options().write(true).open(record(b"old")).expect("it is there");
    file.set_modified(std::time::SystemTime::now() - month).expect("ours");
    let hurried = world.layer.sweep(Duration::ZERO).expect("swept");
    assert_eq!((hurried.complete, hurried.removed), (false, 0));
    assert!(blob.exists() && record(b"old").exists());
    let report = sweep(&world);
    assert_eq!((report.complete, report.removed), (true, 2));
    assert!(!blob.exists() && !record(b"old").exists() && record(b"new").exists());
}

#[test]
fn a_durable_proposal_leaves_nothing_to_flush() {
    for durable in [true, false] {
        let world = World::with(|options| options.durable_proposals = durable);
        let s = world.session("agent");
        world.layer.flush().expect("the session itself");
        for bytes in [1, 400_000] {
            world.write(s, "a", &"x".repeat(bytes));
            assert_eq!(world.layer.needs_flush(), !durable);
        }
    }
}

#[test]
fn an_unused_session_can_be_closed_and_a_used_one_stays() {
    let world = World::with(|options| options.owns_sessions = false);
    let (used, unused) = (world.session("used"), world.session("unused"));
    world.write(used, "a", "1\n");
    world.layer.discard(&[], None).expect("rejected");
    assert!(!world.layer.close_unused_session(used).expect("asked"), "it has a history");
    assert!(world.layer.close_unused_session(unused).expect("asked"));
    assert!(!world.layer.close_unused_session(unused).expect("asked"), "it has ended");
    let state = |label: &str| world.layer.find_session(label).expect("it is there").state;
    assert_eq!((state("used"), state("unused")), (SessionState::Open, SessionState::Closed));
}
