//! Proposals with concurrent changes: between any two steps of a proposal another process proposes,
//! applies, undoes or discards over the same file. Each change adds one line, so that the file shows
//! at the end which changes it has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rstest::rstest;
use staging_core::{
    ApplyRequest, DiskOwner, PatchRequest, PatchState, Selector, SessionId, StagingError,
};

use crate::world::{World, edit, path, rename, write};

const OLD: &str = "one\ntwo\nthree\n";

/// The action of the other process, with the sessions of the proposal and of the other agent.
type Act = fn(&DiskOwner, SessionId, SessionId) -> Result<(), StagingError>;
type Propose = fn(&World, SessionId) -> Result<(), StagingError>;

/// A proposal during which another process acted.
struct Interleaved {
    world: World,
    session: SessionId,
    other: SessionId,
    proposed: Result<(), StagingError>,
    /// The result of the other process.
    did: Result<(), String>,
    /// The step at which it acted.
    at: usize,
}

/// How long a proposal waits for the other process. That process may wait for the proposal: then the
/// proposal goes on, and the other process after it.
const TURN: Duration = Duration::from_millis(100);

/// Runs `act` at the step with this number; `None` when there were fewer steps.
fn interleave(
    at: usize,
    prepare: fn(&World, SessionId, SessionId),
    propose: Propose,
    act: Act,
) -> Option<Interleaved> {
    let world = World::new();
    world.put("f", OLD);
    let (session, other) = (world.session("agent"), world.session("other"));
    prepare(&world, session, other);
    let layer = world.again();
    let (begin, begun) = mpsc::channel::<()>();
    let (end, ended) = mpsc::channel();
    let process = thread::spawn(move || {
        begun.recv().ok()?;
        let answer = act(&layer, session, other).map_err(|error| error.to_string());
        // The proposal does not wait any more when the other process had to wait for it.
        let _ = end.send(());
        Some(answer)
    });
    let turn = Arc::new(Mutex::new(Some((begin, ended))));
    let (steps, taken) = (AtomicUsize::new(0), Arc::clone(&turn));
    world.layer.observe_reads(Box::new(move |_, name| {
        if *name == path("f") && steps.fetch_add(1, Ordering::SeqCst) == at {
            let turn = taken.lock().expect("no panic").take();
            let Some((begin, ended)) = turn else { return };
            begin.send(()).expect("the thread waits");
            let _ = ended.recv_timeout(TURN);
        }
    }));
    let proposed = propose(&world, session);
    // With fewer steps it has not begun, and it does not begin any more.
    drop(turn.lock().expect("no panic").take());
    let did = process.join().expect("no panic")?;
    Some(Interleaved { world, session, other, proposed, did, at })
}

/// How many steps a proposal of any kind has at most.
const STEPS_MAX: usize = 40;

fn at_every_step(
    prepare: fn(&World, SessionId, SessionId),
    propose: Propose,
    act: Act,
    check: impl Fn(&Interleaved),
) {
    for at in 0..STEPS_MAX {
        let Some(interleaved) = interleave(at, prepare, propose, act) else {
            assert!(at > 0, "a proposal reads its file");
            return;
        };
        check(&interleaved);
        assert!(interleaved.world.layer.verify_log().expect("checked").is_intact());
    }
    panic!("a proposal has more steps than {STEPS_MAX}");
}

fn proposes(layer: &DiskOwner, _: SessionId, other: SessionId) -> Result<(), StagingError> {
    layer.propose(other, edit("f", "three", "THREE")).map(drop)
}

fn applies(layer: &DiskOwner, _: SessionId, other: SessionId) -> Result<(), StagingError> {
    approve(layer, other)
}

/// Applies as a command does, which has ended when the next one begins.
fn approve(layer: &DiskOwner, session: SessionId) -> Result<(), StagingError> {
    let ids = vec![Selector::Session(session)];
    let applied = layer.apply(&ApplyRequest { ids, ..ApplyRequest::default() });
    layer.tidy()?;
    applied.map(drop)
}

fn undoes(layer: &DiskOwner, _: SessionId, _: SessionId) -> Result<(), StagingError> {
    let undone = layer.undo(None);
    layer.tidy()?;
    undone.map(drop)
}

fn nothing_before(_: &World, _: SessionId, _: SessionId) {}

fn other_is_pending(world: &World, _: SessionId, other: SessionId) {
    proposes(&world.layer, other, other).expect("staged");
}

fn other_is_applied(world: &World, session: SessionId, other: SessionId) {
    other_is_pending(world, session, other);
    applies(&world.layer, session, other).expect("applied");
}

fn edits(world: &World, session: SessionId) -> Result<(), StagingError> {
    world.layer.propose(session, edit("f", "one", "ONE")).map(drop)
}

fn edits_twice(world: &World, session: SessionId) -> Result<(), StagingError> {
    world.layer.propose_all(session, vec![edit("f", "one", "1"), edit("f", "1", "ONE")]).map(drop)
}

fn patches(world: &World, session: SessionId) -> Result<(), StagingError> {
    let text = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-one\n+ONE\n two\n";
    let request = PatchRequest { text: text.into(), ..PatchRequest::default() };
    world.layer.propose_patch(session, &request).map(drop)
}

fn moves(world: &World, session: SessionId) -> Result<(), StagingError> {
    world.layer.propose_all(session, vec![edit("f", "one", "ONE"), rename("f", "g")]).map(drop)
}

/// The file's content at the end, under either name.
fn on_disk(world: &World) -> String {
    let there: Vec<String> = ["f", "g"].iter().filter_map(|name| world.disk(name)).collect();
    assert_eq!(there.len(), 1, "one file: {there:?}");
    there.concat()
}

#[rstest]
fn a_concurrent_apply_or_undo_is_not_reverted(
    #[values(edits, edits_twice, patches, moves)] propose: Propose,
    #[values(true, false)] is_undo: bool,
) {
    let prepare = if is_undo { other_is_applied } else { other_is_pending };
    let act: Act = if is_undo { undoes } else { applies };
    at_every_step(
        prepare,
        propose,
        act,
        |Interleaved { world, session, proposed, did, at, .. }| {
            assert_eq!(*did, Ok(()), "step {at}");
            let applied = approve(&world.layer, *session);
            let now = on_disk(world);
            assert_eq!(
                now.contains("THREE"),
                !is_undo,
                "step {at}: {now:?}, {proposed:?}, {applied:?}"
            );
            let is_there = proposed.is_ok() && applied.is_ok();
            assert_eq!(
                now.contains("ONE"),
                is_there,
                "step {at}: {now:?}, {proposed:?}, {applied:?}"
            );
        },
    );
}

#[rstest]
fn a_concurrent_proposal_is_kept_and_applied_once(
    #[values(edits, edits_twice, patches, moves)] propose: Propose,
) {
    at_every_step(
        nothing_before,
        propose,
        proposes,
        |Interleaved { world, session, other, proposed, did, at }| {
            assert_eq!(*did, Ok(()), "step {at}");
            let of = |session| {
                let of_session = |patch: &&staging_core::Patch| patch.session == session;
                world.pending().iter().filter(of_session).count()
            };
            assert_eq!(of(*other), 1, "step {at}: what was acknowledged is pending");
            assert_eq!(of(*session) > 0, proposed.is_ok(), "step {at}: {proposed:?}");
            applies(&world.layer, *session, *other).expect("it rests on what is on the disk");
            assert!(on_disk(world).contains("THREE"), "step {at}");
            let _ = approve(&world.layer, *session);
            assert!(
                on_disk(world).contains("THREE"),
                "step {at}: applied over by what had not seen it"
            );
        },
    );
}

#[rstest]
fn two_writers_of_one_session_lose_no_acknowledged_change(
    #[values(edits, edits_twice, patches, moves)] propose: Propose,
) {
    let writes: Act =
        |layer, session, _| layer.propose(session, edit("f", "three", "THREE")).map(drop);
    at_every_step(
        nothing_before,
        propose,
        writes,
        |Interleaved { world, session, proposed, did, at, .. }| {
            let seen =
                ["f", "g"].iter().find_map(|name| world.read(*session, name)).expect("there");
            assert_eq!(
                seen.contains("THREE"),
                did.is_ok(),
                "step {at}: {seen:?}, {proposed:?}, {did:?}"
            );
            assert_eq!(seen.contains("ONE"), proposed.is_ok(), "step {at}: {seen:?}, {proposed:?}");
            world.layer.apply(&ApplyRequest::default()).expect("the user changed nothing");
            assert_eq!(on_disk(world), seen, "step {at}: what the session saw is what is applied");
        },
    );
}

#[rstest]
fn a_concurrent_discard_of_the_session_leaves_no_half_proposal(
    #[values(edits, edits_twice, patches, moves)] propose: Propose,
) {
    let prepare = |world: &World, session: SessionId, _: SessionId| {
        world.layer.propose(session, write("kept", "k\n")).map(drop).expect("staged");
    };
    let discards: Act =
        |layer, session, _| layer.discard(&[Selector::Session(session)], None).map(drop);
    at_every_step(
        prepare,
        propose,
        discards,
        |Interleaved { world, session, proposed, did, at, .. }| {
            assert_eq!(*did, Ok(()), "step {at}");
            let pending = world.pending();
            assert!(pending.iter().all(|patch| patch.path != path("kept")), "step {at}");
            assert_eq!(!pending.is_empty(), proposed.is_ok(), "step {at}: {proposed:?}");
            assert!(pending.iter().all(|patch| patch.state == PatchState::Pending), "step {at}");
            let seen =
                ["f", "g"].iter().find_map(|name| world.read(*session, name)).expect("there");
            assert_eq!(seen.contains("ONE"), proposed.is_ok(), "step {at}: {seen:?}");
        },
    );
}
