//! Apply, undo and redo in any order: undone patches are pending again, and a redo applies all of
//! them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use staging_core::{
    ApplyId, ApplyOutcome, ApplyRequest, Approval, ApprovalMeans, DiscardReason, ErrorKind, Patch,
    PatchId, PatchState, Proposal, RedoRequest, Selector, UndoRequest,
};

use crate::world::{World, delete, edit, path, rename, set_mode, write};

type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// The user's files: contents and modes.
fn files(world: &World) -> Files {
    let tree = world.tree();
    let files = tree.into_iter().filter(|(_, (_, mode, ..))| mode & 0o170_000 == 0o100_000);
    files
        .map(|(path, (content, mode, ..))| (path.display().to_string(), (content, mode & 0o7777)))
        .collect()
}

fn populated() -> World {
    let world = World::new();
    for name in ["a", "b", "dir/c", "d", "e"] {
        world.put(name, format!("old {name}\n"));
    }
    world
}

fn apply(world: &World) -> ApplyId {
    let report = world.layer.apply(&ApplyRequest::default()).expect("applied");
    world.layer.tidy().expect("tidied");
    report.apply.expect("it was no dry run")
}

fn propose(world: &World, proposals: Vec<Proposal>) -> Vec<PatchId> {
    let session = world.session("agent");
    let proposed = world.layer.propose_all(session, proposals).expect("staged");
    proposed.into_iter().filter_map(|one| one.patch).map(|patch| patch.id).collect()
}

fn undo(world: &World, apply: Option<ApplyId>) -> staging_core::UndoReport {
    let report = world.layer.undo(apply).expect("undone");
    world.layer.tidy().expect("tidied");
    report
}

fn redo(world: &World) -> staging_core::RedoReport {
    let report = world.layer.redo(&RedoRequest::default()).expect("redone");
    world.layer.tidy().expect("tidied");
    report
}

fn state(world: &World, id: PatchId) -> (PatchState, Option<DiscardReason>) {
    let patch: Patch = world.layer.patch(id).expect("kept");
    (patch.state, patch.reason)
}

#[rstest]
#[case::modify(vec![write("a", "new\n")])]
#[case::create(vec![write("new", "new\n"), write("new dir/x", "")])]
#[case::delete(vec![delete("a"), delete("dir/c")])]
#[case::rename(vec![rename("a", "z"), rename("dir/c", "c")])]
#[case::rename_with_content(vec![rename("a", "z"), edit("z", "old", "new")])]
#[case::mode(vec![set_mode("a", 0o755)])]
#[case::trade_places(vec![rename("a", "t"), rename("b", "a"), rename("t", "b")])]
#[case::onto_a_freed_path(vec![delete("b"), rename("a", "b")])]
fn an_undone_patch_is_pending_as_before_and_can_be_applied_or_redone(
    #[case] proposals: Vec<Proposal>,
    #[values(true, false)] by_redo: bool,
) {
    let world = populated();
    propose(&world, proposals);
    let before = world.layer.select(&[]).expect("selected");
    let first = apply(&world);
    let applied = files(&world);
    let report = undo(&world, None);
    assert_eq!(report.pending, report.patches, "all of it waits again");
    let again = world.layer.select(&[]).expect("selected");
    assert_eq!(again.signature, before.signature, "an approval of it still names it");
    assert!(again.stale.is_empty() && again.lapsed.is_empty());
    let second = if by_redo {
        let report = redo(&world);
        assert_eq!(report.redone, first);
        report.report.apply.expect("an apply")
    } else {
        apply(&world)
    };
    assert_eq!(files(&world), applied);
    let history = world.layer.applies_of(report.patches[0]).expect("listed");
    let shown: Vec<_> = history.iter().map(|one| (one.apply, one.outcome, one.undone_by)).collect();
    let committed = Some(ApplyOutcome::Committed);
    assert_eq!(shown, [(first, committed, Some(report.apply)), (second, committed, None)]);
    assert_eq!(undo(&world, None).undone, second, "what was redone can be undone");
}

#[test]
fn undos_and_redos_of_one_file_can_be_repeated() {
    let world = populated();
    let mut steps = vec![files(&world)];
    let mut ids = Vec::new();
    for round in 0..3 {
        ids.extend(propose(&world, vec![write("a", &format!("{round}\n"))]));
        apply(&world);
        steps.push(files(&world));
    }
    for step in steps.iter().rev().skip(1) {
        undo(&world, None);
        assert_eq!(&files(&world), step);
    }
    assert_eq!(state(&world, ids[0]).0, PatchState::Pending);
    for later in &ids[1..] {
        let undone = (PatchState::Discarded, Some(DiscardReason::Undone));
        assert_eq!(state(&world, *later), undone, "it builds on what is not there");
    }
    assert!(world.layer.select(&[]).expect("selected").lapsed.is_empty(), "nothing was lost");
    for step in steps.iter().skip(1) {
        redo(&world);
        assert_eq!(&files(&world), step);
    }
    let error = world.layer.redo(&RedoRequest::default()).expect_err("all of it is back");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(world.layer.verify_log().expect("checked").is_intact());
}

#[test]
fn a_patch_based_on_an_undone_set_is_stale_and_listed() {
    let world = populated();
    let [first] = propose(&world, vec![write("a", "1\n")])[..] else { panic!("one patch") };
    apply(&world);
    let [second] = propose(&world, vec![write("a", "2\n")])[..] else { panic!("one patch") };
    undo(&world, None);
    assert_eq!(state(&world, first), (PatchState::Pending, None));
    assert_eq!(state(&world, second), (PatchState::Discarded, Some(DiscardReason::Stale)));
    let lapsed = world.layer.select(&[]).expect("selected").lapsed;
    assert_eq!(lapsed.iter().map(|patch| patch.id).collect::<Vec<_>>(), [second]);
    redo(&world);
    world.layer.refresh(second).expect("its file is what the agent saw again");
    apply(&world);
    assert_eq!(world.disk("a").as_deref(), Some("2\n"));
}

#[test]
fn an_undone_patch_is_discarded_when_a_newer_patch_of_its_file_is_pending() {
    let world = populated();
    let [first] = propose(&world, vec![rename("a", "z")])[..] else { panic!("one patch") };
    apply(&world);
    let newer = propose(&world, vec![rename("z", "y"), rename("b", "z")]);
    let report = undo(&world, None);
    assert!(report.pending.is_empty());
    assert_eq!(state(&world, first), (PatchState::Discarded, Some(DiscardReason::Undone)));
    assert_eq!(state(&world, newer[1]).0, PatchState::Pending, "b -> z is as good as before");
    let error = world.layer.redo(&RedoRequest::default()).expect_err("another patch needs z");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert_eq!(world.disk("a").as_deref(), Some("old a\n"));
    world.layer.discard(&[Selector::Patch(newer[1])], None).expect("rejected");
    redo(&world);
    assert_eq!((world.disk("a"), world.disk("z").as_deref()), (None, Some("old a\n")));
}

#[test]
fn a_patch_that_was_decided_since_is_not_redone() {
    let world = populated();
    let [first] = propose(&world, vec![write("a", "1\n")])[..] else { panic!("one patch") };
    let applied = apply(&world);
    undo(&world, None);
    world.layer.discard(&[Selector::Patch(first)], Some("no")).expect("rejected");
    let request = RedoRequest { apply: Some(applied), ..RedoRequest::default() };
    let error = world.layer.redo(&request).expect_err("it is rejected");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("p1 is discarded (rejected)"), "{error}");
    assert_eq!(world.disk("a").as_deref(), Some("old a\n"));
}

#[test]
fn a_redo_over_a_users_edit_is_refused_as_stale() {
    let world = populated();
    propose(&world, vec![write("a", "1\n"), write("b", "1\n")]);
    apply(&world);
    undo(&world, None);
    world.put("b", "the user's\n");
    let before = files(&world);
    let error = world.layer.redo(&RedoRequest::default()).expect_err("b was changed");
    assert_eq!(error.kind(), ErrorKind::Stale);
    world.layer.tidy().expect("tidied");
    assert_eq!(files(&world), before, "nothing was changed");
    let error = world.layer.apply(&ApplyRequest::default()).expect_err("a part is missing");
    assert_eq!(error.kind(), ErrorKind::Stale);
    assert_eq!(error.patches(), [PatchId(2)]);
}

#[test]
fn an_undo_skips_greenrooms_own_settings_unless_it_names_their_apply() {
    let world = populated();
    let [settings] = propose(&world, vec![write("settings", "{}\n")])[..] else { panic!("one") };
    let request = ApplyRequest { is_own: true, ..ApplyRequest::default() };
    let own = world.layer.apply(&request).expect("applied").apply.expect("an apply");
    let error = world.layer.undo(None).expect_err("there is nothing else");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(undo(&world, Some(own)).pending.is_empty(), "nobody is asked for them again");
    assert_eq!(world.disk("settings"), None);
    assert_eq!(state(&world, settings), (PatchState::Discarded, Some(DiscardReason::Undone)));
    let error = world.layer.redo(&RedoRequest::default()).expect_err("not redone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn an_undo_is_refused_when_the_record_was_changed() {
    let world = populated();
    propose(&world, vec![write("a", "new\n")]);
    apply(&world);
    world.put("b", "new\n");
    let before = files(&world);
    world.store().execute("UPDATE patches SET path = CAST('b' AS BLOB)", []).expect("tampered");
    let error = world.layer.undo(None).expect_err("it was never applied like that");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(files(&world), before);
}

#[test]
fn the_means_of_an_approval_are_logged_with_the_apply_and_stored_with_the_patch() {
    let world = populated();
    let [patch] = propose(&world, vec![write("a", "1\n")])[..] else { panic!("one patch") };
    let asked = Approval::by(ApprovalMeans::Asked);
    let agent = Some("an agent".to_owned());
    let yes = Approval { agent, ..Approval::by(ApprovalMeans::Yes) };
    let request = ApplyRequest { approval: asked.clone(), ..ApplyRequest::default() };
    world.layer.apply(&request).expect("applied");
    let request = UndoRequest { approval: yes.clone(), ..UndoRequest::default() };
    world.layer.undo_part(&request).expect("undone");
    let expect = Approval::by(ApprovalMeans::Expect);
    let request = RedoRequest { approval: expect.clone(), ..RedoRequest::default() };
    world.layer.redo(&request).expect("redone");
    let records = world.layer.events_since(0, 1000).expect("the log");
    let starts: Vec<_> = records
        .into_iter()
        .filter_map(|record| match record.event {
            staging_core::Event::ApplyStarted { approval, undoes, redoes, .. } => {
                Some((approval.expect("it is new"), undoes, redoes))
            }
            _ => None,
        })
        .collect();
    let first = Some(ApplyId(1));
    assert_eq!(
        starts,
        [(asked.clone(), None, None), (yes, first, None), (expect.clone(), None, first)]
    );
    let applies = world.layer.applies_of(patch).expect("listed");
    let approvals: Vec<_> = applies.into_iter().filter_map(|one| one.approval).collect();
    assert_eq!(approvals, [asked, expect]);
}

const NAMES: [&str; 4] = ["a", "b", "c", "d/e"];

#[derive(Clone, Debug)]
enum Step {
    Propose(Vec<(usize, usize)>),
    Apply,
    Undo,
    Redo,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0..NAMES.len(), 0..6_usize);
    let step = prop_oneof![
        3 => prop::collection::vec(change, 1..3).prop_map(Step::Propose),
        3 => Just(Step::Apply),
        3 => Just(Step::Undo),
        3 => Just(Step::Redo),
    ];
    prop::collection::vec(step, 1..24)
}

fn change(name: usize, what: usize) -> Proposal {
    match what {
        0 => delete(NAMES[name]),
        1 => set_mode(NAMES[name], 0o755),
        2 | 3 => rename(NAMES[name], NAMES[(name + what) % NAMES.len()]),
        content => Proposal::Write {
            path: path(NAMES[name]),
            content: format!("{content}\n").into(),
            mode: None,
        },
    }
}

fn tidied<T>(world: &World, outcome: staging_core::Result<T>) -> staging_core::Result<T> {
    world.layer.tidy().expect("tidied");
    outcome
}

fn redone(world: &World) -> staging_core::Result<staging_core::RedoReport> {
    tidied(world, world.layer.redo(&RedoRequest::default()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// The model has two stacks of the disk's states: those of applies, and those of undos since
    /// the agent or the reviewer last did something else.
    #[test]
    fn undo_and_redo_restore_the_applied_states(steps in steps()) {
        let world = populated();
        let session = world.session("agent");
        let mut done: Vec<(Files, Files)> = Vec::new();
        let mut undone: Vec<(Files, Files)> = Vec::new();
        for step in &steps {
            let before = files(&world);
            match step {
                Step::Propose(changes) => {
                    for (name, what) in changes {
                        // Some steps are refused.
                        let _ = world.layer.propose(session, change(*name, *what));
                    }
                    prop_assert_eq!(files(&world), before, "proposing changes nothing");
                    undone.clear();
                }
                Step::Apply => {
                    let request = ApplyRequest { rest: true, ..ApplyRequest::default() };
                    let outcome = world.layer.apply(&request);
                    world.layer.tidy().expect("tidied");
                    if outcome.is_ok() {
                        done.push((before, files(&world)));
                        undone.clear();
                    } else {
                        prop_assert_eq!(files(&world), before, "a refusal changes nothing");
                    }
                }
                Step::Undo => match (tidied(&world, world.layer.undo(None)), done.pop()) {
                    (Ok(_), Some((earlier, later))) => {
                        prop_assert_eq!(&files(&world), &earlier, "{:?}", steps);
                        undone.push((earlier, later));
                    }
                    (outcome, None) => prop_assert!(outcome.is_err(), "{steps:?}: {outcome:?}"),
                    (Err(error), Some(_)) => prop_assert!(false, "{steps:?}: {error}"),
                },
                Step::Redo => match (redone(&world), undone.pop()) {
                    (Ok(_), Some((earlier, later))) => {
                        prop_assert_eq!(&files(&world), &later, "{:?}", steps);
                        done.push((earlier, later));
                    }
                    (Err(error), Some(_)) => prop_assert!(false, "{steps:?}: {error}"),
                    // A set that was undone before something else happened may still be redone.
                    (Ok(_), None) => done.push((before, files(&world))),
                    (Err(_), None) => prop_assert_eq!(files(&world), before),
                },
            }
            let pending = world.pending();
            for patch in &pending {
                prop_assert_eq!(patch.state, PatchState::Pending);
            }
            let counted: i64 = world
                .store()
                .query_row("SELECT sum(pending) FROM sessions", [], |row| row.get(0))
                .expect("counted");
            prop_assert_eq!(usize::try_from(counted).expect("none below 0"), pending.len());
        }
        prop_assert!(world.layer.verify_log().expect("checked").is_intact());
    }
}
