//! Stale and expired patches stay listed until they are refreshed or dismissed, and the rest of
//! their set is applied only on request.

use std::time::Duration;

use rstest::rstest;
use staging_core::{
    ApplyRequest, DiscardReason, ErrorKind, PatchId, Selector, StagingError, Status,
};

use crate::world::{World, delete, path, rename, write};

const AGENT: &str = "agent";

/// Two patches of one session, the first of which has become stale; `together`: staged in one call.
fn half_stale(together: bool) -> World {
    let world = World::new();
    world.put("app", "app\n");
    world.put("lib", "lib\n");
    let session = world.session(AGENT);
    let both = vec![write("app", "new app\n"), write("lib", "new lib\n")];
    if together {
        world.layer.propose_all(session, both).expect("staged");
    } else {
        for one in both {
            world.layer.propose(session, one).expect("staged");
        }
    }
    world.put("app", "the user's\n");
    world
}

fn lapsed(status: &Status) -> Vec<PatchId> {
    status.sessions.iter().flat_map(|one| &one.lapsed).map(|patch| patch.id).collect()
}

fn check_by_status(world: &World) {
    assert_eq!(world.layer.status().expect("a status").stale.len(), 1);
}
fn check_by_select(world: &World) {
    assert_eq!(world.layer.select(&[]).expect("selected").stale.len(), 1);
}
fn check_by_apply(world: &World) {
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("stale");
    assert!(matches!(error, StagingError::Stale { .. }), "{error}");
}
fn check_by_sweep(world: &World) {
    let report = world.layer.sweep(Duration::from_secs(60)).expect("swept");
    assert_eq!(report.stale, [PatchId(1)]);
}
fn check_by_the_agent(world: &World) {
    let session = world.session(AGENT);
    world.layer.propose(session, write("app", "another\n")).expect_err("it has to read again");
}
fn check_by_another_process(world: &World) {
    world.again().status().expect("a status");
}
fn check_by_an_undo(world: &World) {
    // After an undo the file is not what the agent read.
    world.put("app", "app\n");
    let other = world.session("other");
    world.write(other, "app", "other\n");
    let ids = vec![Selector::Session(other)];
    world.layer.apply(&ApplyRequest { ids, ..ApplyRequest::default() }).expect("applied");
    world.layer.status().expect("a status");
}

#[rstest]
#[case::status(check_by_status)]
#[case::select(check_by_select)]
#[case::apply(check_by_apply)]
#[case::sweep(check_by_sweep)]
#[case::agent(check_by_the_agent)]
#[case::another_process(check_by_another_process)]
#[case::another_apply(check_by_an_undo)]
fn whichever_call_finds_a_stale_part_the_rest_is_applied_only_on_request(
    #[case] look: fn(&World),
    #[values(true, false)] everything: bool,
) {
    let world = half_stale(false);
    look(&world);
    let session = world.session(AGENT);
    let ids = if everything { Vec::new() } else { vec![Selector::Session(session)] };
    for _ in 0..2 {
        let shown = lapsed(&world.layer.status().expect("a status"));
        assert_eq!(shown, [PatchId(1)], "it stays listed");
        let selection = world.layer.select(&ids).expect("selected");
        assert_eq!(selection.lapsed.len(), 1);
        let expect = Some(selection.signature);
        for expect in [None, expect] {
            let request = ApplyRequest { ids: ids.clone(), expect, ..ApplyRequest::default() };
            let error = world.layer.apply(&request).expect_err("a part is missing");
            assert!(matches!(error, StagingError::LostParts { .. }), "{error}");
            assert_eq!((error.kind(), error.patches()), (ErrorKind::Stale, vec![PatchId(1)]));
            assert_eq!(world.disk("lib").as_deref(), Some("lib\n"));
        }
    }
    let request = ApplyRequest { ids, rest: true, ..ApplyRequest::default() };
    assert_eq!(world.layer.apply(&request).expect("asked for").patches, [PatchId(2)]);
    assert_eq!(lapsed(&world.layer.status().expect("a status")), [PatchId(1)], "still missing");
}

#[rstest]
#[case::staged_as_one(true)]
#[case::one_by_one(false)]
fn a_named_patch_is_applied_alone_unless_it_was_staged_together_with_a_stale_one(
    #[case] together: bool,
) {
    let world = half_stale(together);
    check_by_status(&world);
    let ids = vec![Selector::Patch(PatchId(2))];
    let outcome = world.layer.apply(&ApplyRequest { ids: ids.clone(), ..Default::default() });
    if together {
        let error = outcome.expect_err("all or none");
        assert_eq!(error.patches(), [PatchId(1)], "{error}");
        let request = ApplyRequest { ids, rest: true, ..ApplyRequest::default() };
        world.layer.apply(&request).expect("asked for");
    } else {
        outcome.expect("a reviewer's choice");
    }
    assert_eq!(world.disk("lib").as_deref(), Some("new lib\n"));
}

#[test]
fn proposals_after_a_part_became_stale_are_a_set_of_their_own() {
    let world = World::new();
    world.put("app", "app\n");
    let session = world.session(AGENT);
    world.write(session, "app", "new app\n");
    world.put("app", "the user's\n");
    check_by_status(&world);
    world.write(session, "later", "later\n");
    for ids in [vec![], vec![Selector::Session(session)]] {
        let request = ApplyRequest { ids, dry_run: true, ..ApplyRequest::default() };
        world.layer.apply(&request).expect("it was never beside the part that was lost");
    }
    world.layer.apply(&ApplyRequest::default()).expect("the same");
    assert_eq!(lapsed(&world.layer.status().expect("a status")), [PatchId(1)], "still listed");

    // A new revision of the patch beside it is not a set of its own.
    let world = half_stale(false);
    let session = world.session(AGENT);
    check_by_status(&world);
    world.write(session, "lib", "newer lib\n");
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("lib was beside app");
    assert_eq!(error.patches(), [PatchId(1)], "{error}");
}

#[test]
fn a_new_revision_stays_in_the_set_that_was_staged_together() {
    let world = half_stale(true);
    let session = world.session(AGENT);
    // A new revision of the part that is pending.
    world.write(session, "lib", "newer lib\n");
    check_by_status(&world);
    let ids = vec![Selector::Revision(PatchId(2), 2)];
    let request = ApplyRequest { ids, ..ApplyRequest::default() };
    world.layer.apply(&request).expect_err("p1 is missing still");
    // A new revision of the part that is stale.
    let app = world.write(session, "app", "newer app\n").patch.expect("pending");
    assert!(lapsed(&world.layer.status().expect("a status")).is_empty());
    assert_eq!(app.batch, world.layer.patch(PatchId(2)).expect("kept").batch);
    world.put("app", "the user's again\n");
    let error = world.layer.apply(&request).expect("nobody has looked at p4 yet").apply;
    assert!(error.is_some());
}

#[test]
fn patches_of_an_expired_session_stay_listed() {
    let world = World::new();
    world.write(world.session(AGENT), "a", "new\n");
    let late = "UPDATE sessions SET expires_age_ms = -1";
    world.store().execute(late, []).expect("a day later");
    world.layer.sweep(Duration::from_secs(60)).expect("swept");
    let status = world.layer.status().expect("a status");
    assert_eq!(lapsed(&status), [PatchId(1)]);
    assert_eq!(status.sessions[0].lapsed[0].reason, Some(DiscardReason::SessionExpired));
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("it expired");
    assert_eq!(error.kind(), ErrorKind::Stale);
    assert!(error.to_string().contains("expired"), "{error}");
    let ids = vec![Selector::Patch(PatchId(1))];
    let error = world.layer.apply(&ApplyRequest { ids, rest: true, ..Default::default() });
    assert_eq!(error.expect_err("named").kind(), ErrorKind::Stale);
    assert_eq!(world.layer.refresh_all(&[]).expect("brought back").len(), 1);
    assert!(lapsed(&world.layer.status().expect("a status")).is_empty());
}

fn dismiss(world: &World) {
    let dismissed =
        world.layer.discard(&[Selector::Patch(PatchId(1))], Some("no")).expect("dismissed");
    assert_eq!(dismissed.len(), 1);
    assert_eq!(dismissed[0].reason, Some(DiscardReason::Stale), "it is still known what happened");
    let error = world.layer.discard(&[Selector::Patch(PatchId(1))], None).expect_err("once");
    assert_eq!(error.kind(), ErrorKind::Closed);
}
fn refresh(world: &World) {
    world.put("app", "app\n");
    world.layer.refresh(PatchId(1)).expect("its file is what it was");
}
fn propose_again(world: &World) {
    world.write(world.session(AGENT), "app", "third app\n");
}
fn propose_the_disk_content(world: &World) {
    let answer = world.write(world.session(AGENT), "app", "the user's\n");
    assert!(answer.withdrawn);
}

#[rstest]
#[case::dismissed(dismiss)]
#[case::refreshed(refresh)]
#[case::proposed_again(propose_again)]
#[case::given_up_by_its_agent(propose_the_disk_content)]
fn a_complete_set_is_applied_as_before(
    #[case] settle: fn(&World),
    #[values(true, false)] together: bool,
) {
    let world = half_stale(together);
    check_by_status(&world);
    settle(&world);
    assert!(lapsed(&world.layer.status().expect("a status")).is_empty());
    world.layer.apply(&ApplyRequest::default()).expect("nothing is missing");
    assert_eq!(world.disk("lib").as_deref(), Some("new lib\n"));
    let events = world.events();
    let settled = ["patch_dismissed", "patch_refreshed"];
    assert_eq!(events.iter().filter(|event| settled.contains(&event.as_str())).count(), 1);
}

#[test]
fn discarding_or_closing_a_session_dismisses_its_stale_patches() {
    for close in [false, true] {
        let world = half_stale(false);
        check_by_status(&world);
        let session = world.session(AGENT);
        if close {
            world.layer.close_session(session).expect("closed");
        } else {
            let gone = world.layer.discard(&[Selector::Session(session)], None).expect("rejected");
            assert_eq!(gone.len(), 2);
        }
        let status = world.layer.status().expect("a status");
        assert!(lapsed(&status).is_empty());
        assert_eq!(
            world.layer.apply(&ApplyRequest::default()).expect_err("none").kind(),
            ErrorKind::NotFound
        );
    }
}

#[test]
fn several_patches_are_refreshed_together_or_not_at_all() {
    let world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.put(name, format!("{name}1\n{name}2\n{name}3\n{name}4\n"));
    }
    let session = world.session(AGENT);
    let all = vec![
        delete("b"),
        rename("a", "b"),
        write("c", "c1\nagent\nc3\nc4\n"),
        write("d", "agent\nd2\nd3\nd4\n"),
    ];
    world.layer.propose_all(session, all).expect("staged");
    for name in ["a", "b", "c", "d"] {
        world.chmod(name, 0o600);
    }
    world.put("d", "the user's\nd2\nd3\nd4\n");
    assert_eq!(world.layer.status().expect("a status").stale.len(), 4);
    let events = world.events();
    let error = world.layer.refresh_all(&[Selector::Session(session)]).expect_err("d conflicts");
    assert_eq!((error.kind(), error.path()), (ErrorKind::Conflict, Some(&path("d"))));
    assert_eq!(world.events(), events, "nothing was changed");
    let ids: Vec<Selector> = [1, 2, 3].map(|id| Selector::Patch(PatchId(id))).to_vec();
    assert_eq!(world.layer.refresh_all(&ids).expect("these fit").len(), 3);
    assert_eq!(lapsed(&world.layer.status().expect("a status")), [PatchId(4)]);
    world.layer.discard(&[Selector::Patch(PatchId(4))], None).expect("dismissed");
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!(world.disk("b").as_deref(), Some("a1\na2\na3\na4\n"));
}

#[test]
fn a_missing_patch_stays_listed_after_its_history_has_expired() {
    let world = World::with(|options| options.history_keep_for = Duration::ZERO);
    world.put("a", "old\n");
    world.write(world.session(AGENT), "a", "new\n");
    world.put("a", "the user's\n");
    world.layer.status().expect("a status");
    world.layer.sweep(Duration::from_secs(60)).expect("swept");
    let status = world.layer.status().expect("a status");
    assert_eq!(lapsed(&status), [PatchId(1)]);
    assert!(!status.sessions[0].lapsed[0].content_kept, "its content is gone");
    world.layer.discard(&[], None).expect("dismissed");
    // The time of the dismissal has a resolution of a millisecond: wait until it is over.
    while world.layer.patch(PatchId(1)).is_ok() {
        world.layer.sweep(Duration::from_secs(60)).expect("swept");
    }
}

#[test]
fn a_decision_is_reported_once_by_any_process() {
    let world = half_stale(false);
    check_by_status(&world);
    world.layer.discard(&[Selector::Patch(PatchId(2))], Some("use tabs")).expect("rejected");
    let again = world.again();
    let told = again.unreported_decisions(AGENT).expect("listed");
    let shown: Vec<_> = told.iter().map(|patch| (patch.id, patch.reason)).collect();
    let (stale, rejected) = (Some(DiscardReason::Stale), Some(DiscardReason::Rejected));
    assert_eq!(shown, [(PatchId(1), stale), (PatchId(2), rejected)]);
    assert_eq!(told[1].reason_text.as_deref(), Some("use tabs"));
    again.set_reported(&[PatchId(1), PatchId(2)]).expect("noted");
    assert!(world.layer.unreported_decisions(AGENT).expect("listed").is_empty());
    let session = world.session(AGENT);
    world.write(session, "new", "1\n");
    world.write(session, "new", "2\n");
    assert!(world.layer.unreported_decisions(AGENT).expect("listed").is_empty(), "its own doing");
    world.layer.apply(&ApplyRequest::default()).expect("p1 had lapsed before");
    assert_eq!(world.layer.unreported_decisions(AGENT).expect("listed").len(), 1);
    world.layer.undo(None).expect("undone");
    let told = world.layer.unreported_decisions(AGENT).expect("listed");
    assert_eq!(told.len(), 1, "the last word on it");
    assert_eq!(told[0].state.as_str(), "pending");
}
