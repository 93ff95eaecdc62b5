//! Several processes on one state directory, simulated by several layers.

use std::thread;

use staging_core::{ApplyRequest, DiskOwner, ErrorKind, PatchState, RelPath, Selector};

use crate::world::{World, path, write};

#[test]
fn layers_that_open_a_new_state_directory_at_once_agree_on_it() {
    let world = World::new();
    let mut options = world.layer.options().clone();
    options.state_dir = world.dir.path().join("other-state");
    let sessions: Vec<_> = thread::scope(|scope| {
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let options = options.clone();
                scope.spawn(move || {
                    let layer = DiskOwner::open(options).expect("opened");
                    layer.open_session("same").expect("a session").id
                })
            })
            .collect();
        opening.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(sessions.iter().all(|id| *id == sessions[0]), "one session of one label: {sessions:?}");
}

#[test]
fn concurrent_writers_of_one_session_lose_no_write() {
    let world = World::new();
    let s = world.session("agent");
    let (writers, rounds) = (4, 25);
    thread::scope(|scope| {
        for writer in 0..writers {
            let layer = world.again();
            scope.spawn(move || {
                for round in 0..rounds {
                    let own = format!("own-{writer}-{round}");
                    layer.propose(s, write(&own, "1")).expect("its own file");
                    layer.propose(s, write("shared", &own)).expect("everybody's file");
                }
            });
        }
    });
    let pending = world.pending();
    assert_eq!(pending.len(), writers * rounds + 1);
    let shared = pending.iter().find(|patch| patch.path == path("shared")).expect("pending");
    assert_eq!(shared.revision as usize, writers * rounds, "each write replaced one before it");
    assert!(world.layer.verify_log().expect("checked").is_intact());
    // Every referenced content is stored, and no other.
    let earlier = world.layer.earlier_revisions(shared.id).expect("kept");
    assert_eq!(earlier.len(), writers * rounds - 1, "under one id");
    let kept = earlier.iter().filter(|patch| patch.content_kept).count();
    assert_eq!(kept, 10, "the newest");
    assert_eq!(world.blobs(), 2 + kept, "`1`, the last shared content, and those");
}

#[test]
fn a_concurrent_reviewer_sees_and_applies_only_consistent_states() {
    let world = World::new();
    let s = world.session("agent");
    let rounds = 60;
    let writer_layer = world.again();
    // Both files have the same number in every consistent state.
    let pair = |round: usize| ["a", "b"].map(|name| write(name, &format!("{round}\n"))).to_vec();
    let applied = thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for round in 0..rounds {
                loop {
                    match writer_layer.propose_all(s, pair(round)) {
                        Ok(_) => break,
                        // There was an apply in between: the agent reads again.
                        Err(error) if error.kind() == ErrorKind::Stale => {}
                        Err(error) => panic!("a write was lost: {error}"),
                    }
                }
            }
        });
        let mut applied = 0;
        while !writer.is_finished() {
            let selection = world.layer.select(&[Selector::Session(s)]).expect("a selection");
            if selection.patches.is_empty() {
                continue;
            }
            let request = ApplyRequest { expect: Some(selection.signature), ..Default::default() };
            match world.layer.apply(&request) {
                Ok(_) => {
                    applied += 1;
                    assert_eq!(world.disk("a"), world.disk("b"), "half of a pair was applied");
                }
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::SignatureMismatch | ErrorKind::Stale | ErrorKind::NotFound
                    ),
                    "{error}"
                ),
            }
            world.layer.tidy().expect("tidied");
        }
        applied
    });
    // The pending patches are of the last round.
    if !world.pending().is_empty() {
        world.layer.apply(&ApplyRequest::default()).expect("the rest");
    }
    let last = Some(format!("{}\n", rounds - 1));
    assert_eq!((world.disk("a"), world.disk("b")), (last.clone(), last), "after {applied} applies");
    assert!(world.layer.verify_log().expect("checked").is_intact());
    let seen = world.layer.events_since(0, usize::MAX).expect("the log");
    assert!(seen.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "no gap");
}

#[test]
fn a_patch_that_another_process_rejected_is_not_applied() {
    let world = World::new();
    let s = world.session("agent");
    let patch = world.write(s, "a", "1").patch.expect("pending");
    world.again().discard(&[], None).expect("rejected elsewhere");
    let ids = vec![Selector::Patch(patch.id)];
    let error = world.layer.apply(&ApplyRequest { ids, ..Default::default() });
    assert_eq!(error.expect_err("decided").kind(), ErrorKind::Closed);
    assert_eq!(world.layer.patch(patch.id).expect("kept").state, PatchState::Discarded);
    let a: RelPath = path("a");
    assert_eq!(world.layer.read_through(s, &a).expect("the disk"), None);
}
