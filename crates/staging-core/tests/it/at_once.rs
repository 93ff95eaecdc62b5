//! Staging without waiting stages what `stage` does, or nothing.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use staging_core::{
    Digest, ErrorKind, Proposal, Proposed, Result, SessionId, StageRequest, StagingOptions,
};

use crate::world::{World, delete, edit, path, rename, set_mode, write};
use rstest::rstest;

fn at_once(
    world: &World,
    session: SessionId,
    proposals: Vec<Proposal>,
) -> Option<Result<Vec<Proposed>>> {
    world.layer.stage_at_once(&StageRequest { session, proposals, span: tracing::Span::none() })
}

#[test]
fn a_short_request_is_staged_as_any_other() {
    let (at_once_world, world) = (World::new(), World::new());
    let edited = || {
        let proposal = Box::new(edit("a", "two", "2"));
        Proposal::Expecting { base: Digest::of(b"one\ntwo\n"), proposal }
    };
    let requests = [
        vec![write("new", "x\n")],
        vec![edited()],
        vec![write("new", "z\n")],
        // What is there already takes the patch back.
        vec![write("a", "one\ntwo\n")],
    ];
    for world in [&at_once_world, &world] {
        world.put("a", "one\ntwo\n");
    }
    let (s, other) = (at_once_world.session("agent"), world.session("agent"));
    for proposals in requests {
        let staged = at_once(&at_once_world, s, proposals.clone()).expect("nothing is waited for");
        let ids = |proposed: Vec<Proposed>| -> Vec<_> {
            proposed.into_iter().map(|one| one.patch.map(|patch| patch.id)).collect()
        };
        let propose = world.layer.propose_all(other, proposals);
        assert_eq!(ids(staged.expect("staged")), ids(propose.expect("staged")));
    }
    let shown = |world: &World| -> Vec<_> {
        let pending = world.pending().into_iter();
        pending.map(|patch| (patch.id, patch.path, patch.revision, patch.staged)).collect()
    };
    assert_eq!(shown(&at_once_world), shown(&world));
    assert_eq!(shown(&world).len(), 1);
}

#[test]
fn what_is_refused_is_refused_at_once() {
    let world = World::new();
    let s = world.session("agent");
    world.put("a", "user\n");
    let stale = Proposal::Expecting {
        base: Digest::of(b"another\n"),
        proposal: Box::new(write("a", "new\n")),
    };
    for (proposal, kind) in [
        (stale, ErrorKind::Stale),
        (write(".git/config", "x\n"), ErrorKind::Refused),
        (edit("a", "not there", "x"), ErrorKind::NoMatch),
    ] {
        let refused = at_once(&world, s, vec![proposal]);
        assert_eq!(refused.expect("it is answered").expect_err("refused").kind(), kind);
    }
    assert_eq!(world.pending(), []);
}

#[rstest]
#[case::a_long_content(vec![write("new", &"x".repeat((256 << 10) + 1))])]
#[case::a_long_file(vec![write("long", "x\n")])]
#[case::behind_a_link(vec![write("link", "x\n")])]
#[case::several_changes(vec![write("new", "x\n"), write("newer", "x\n")])]
#[case::none(vec![])]
#[case::a_file_from_elsewhere(vec![Proposal::WriteFrom {
    path: path("new"), file: "/etc/hostname".into(), mode: None,
}])]
#[case::a_deletion(vec![delete("a")])]
#[case::a_move(vec![rename("a", "b")])]
#[case::a_mode(vec![set_mode("a", 0o755)])]
#[case::a_link(vec![Proposal::Symlink { path: path("new"), target: b"a".to_vec() }])]
#[case::a_directory(vec![Proposal::CreateDirectory { path: path("new") }])]
fn what_may_take_long_is_left_to_stage(#[case] proposals: Vec<Proposal>) {
    let world = World::new();
    let s = world.session("agent");
    world.put("a", "one\n");
    world.put("long", vec![b'x'; (256 << 10) + 1]);
    std::os::unix::fs::symlink("long", world.root().join("link")).expect("a link");
    assert!(at_once(&world, s, proposals).is_none());
    assert_eq!(world.pending(), []);
}

#[rstest]
#[case::of_a_long_pending_content(vec![write("a", &"x\n".repeat(200_000))], edit("a", "x\nx\n", "y\n"))]
#[case::where_a_long_file_is_moved(vec![rename("long", "b")], write("b", "x\n"))]
#[case::where_a_long_file_was(vec![rename("long", "b")], write("long", "x\n"))]
#[case::behind_a_pending_link(
    vec![Proposal::Symlink { path: path("to"), target: b"dir".to_vec() }], write("to/long", "x\n")
)]
fn what_is_pending_may_take_long_as_well(
    #[case] pending: Vec<Proposal>,
    #[case] proposal: Proposal,
) {
    let world = World::new();
    let s = world.session("agent");
    world.put("a", "one\n");
    world.put("long", vec![b'x'; 300 << 10]);
    world.put("dir/long", vec![b'x'; 300 << 10]);
    world.layer.propose_all(s, pending).expect("staged");
    let before = world.pending();
    assert!(at_once(&world, s, vec![proposal]).is_none());
    assert_eq!(world.pending(), before);
}

#[test]
fn durable_proposals_are_left_to_stage() {
    let world = World::with(|options: &mut StagingOptions| options.durable_proposals = true);
    let s = world.session("agent");
    assert!(at_once(&world, s, vec![write("new", "x\n")]).is_none());
}

#[test]
fn while_another_process_writes_nothing_is_staged_and_nothing_waits() {
    let world = World::new();
    let s = world.session("agent");
    let other = world.store();
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let begun = Instant::now();
    assert!(at_once(&world, s, vec![write("new", "x\n")]).is_none());
    assert!(begun.elapsed() < Duration::from_secs(2), "it does not wait");
    other.execute_batch("COMMIT").expect("ended");
    assert_eq!(world.pending(), []);
    assert!(at_once(&world, s, vec![write("new", "x\n")]).expect("nobody writes").is_ok());
    assert_eq!(world.pending().len(), 1);
    assert_eq!(world.blobs(), 1, "the content is stored once");
    // Whoever may wait still does.
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let (sender, staged) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(world.layer.propose(s, write("b", "x\n"))).expect("awaited"));
        assert!(staged.recv_timeout(Duration::from_millis(200)).is_err(), "it waits");
        other.execute_batch("COMMIT").expect("ended");
        staged.recv().expect("it goes on").expect("staged");
    });
}

#[test]
fn what_is_found_out_while_it_is_planned_waits_for_nobody_either() {
    let world = World::new();
    let s = world.session("agent");
    world.put("a", "one\n");
    world.write(s, "a", "agent\n");
    world.put("a", "the user's\n");
    let other = world.store();
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let begun = Instant::now();
    assert!(at_once(&world, s, vec![write("a", "x\n")]).is_none());
    assert!(begun.elapsed() < Duration::from_secs(2), "it does not wait");
    other.execute_batch("COMMIT").expect("ended");
    let refused = at_once(&world, s, vec![write("a", "x\n")]).expect("nobody writes");
    assert_eq!(refused.expect_err("the patch is stale").kind(), ErrorKind::Stale);
}

#[test]
fn many_threads_at_once_lose_no_write() {
    let world = World::new();
    let sessions: Vec<SessionId> = (0..4).map(|it| world.session(&format!("agent{it}"))).collect();
    std::thread::scope(|scope| {
        for session in &sessions {
            let world = &world;
            scope.spawn(move || {
                for round in 0..100 {
                    let proposals = vec![write(&format!("f{round}"), "x\n")];
                    let staged = at_once(world, *session, proposals.clone());
                    let propose = || world.layer.propose_all(*session, proposals);
                    staged.unwrap_or_else(propose).expect("staged, one way or the other");
                }
            });
        }
    });
    assert_eq!(world.pending().len(), 400);
    assert!(world.layer.verify_log().expect("checked").is_intact());
}
