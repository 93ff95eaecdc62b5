//! Revisions: a patch that its agent rewrites keeps its id, and nothing is decided unread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::prelude::*;
use rstest::rstest;
use staging_core::{
    ApplyRequest, DiskOwner, Event, NewComment, Patch, PatchId, PatchState, Proposal, RedoRequest,
    Selector, SessionId, StagingError, UndoRequest,
};

use crate::size::check_references;
use crate::world::{World, delete, edit, path, rename, set_mode, write};

const NAMES: [&str; 4] = ["a", "b", "new", "dir/c"];

fn proposal(kind: usize, name: usize, other: usize) -> Proposal {
    let (name, to) = (NAMES[name], NAMES[other]);
    match kind {
        0 => delete(name),
        1 => rename(name, to),
        2 => set_mode(name, if other.is_multiple_of(2) { 0o755 } else { 0o644 }),
        // The content of the file on the disk withdraws a patch.
        kind => write(name, &format!("{}\n", kind - 3)),
    }
}

fn generation(world: &World, session: SessionId) -> i64 {
    let statement = "SELECT generation FROM sessions WHERE id = ?1";
    let id = i64::try_from(session.0).expect("small");
    world.store().query_row(statement, [id], |row| row.get(0)).expect("the session is there")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// As long as something is pending at a path, its id stays, and its revision counts what was
    /// staged there. Every revision is kept as it was, and its number is never used again.
    #[test]
    fn an_id_stays_while_its_path_is_pending_and_each_revision_names_one_content(
        calls in prop::collection::vec(
            prop::collection::vec((0..7_usize, 0..4_usize, 0..4_usize), 1..4), 1..12,
        ),
    ) {
        let world = World::new();
        for name in ["a", "b"] {
            world.put(name, "0\n");
        }
        let s = world.session("agent");
        let mut contents: BTreeMap<(PatchId, u32), Patch> = BTreeMap::new();
        for call in calls {
            let before = world.pending();
            let number = generation(&world, s);
            let proposals: Vec<_> = call.iter().map(|(k, n, o)| proposal(*k, *n, *o)).collect();
            // A call that is refused changes nothing.
            let is_staged = world.layer.propose_all(s, proposals).is_ok();
            let after = world.pending();
            let is_same = |one: &Patch, other: &Patch| one.signature == other.signature;
            let changes = before.len() != after.len()
                || !before.iter().zip(&after).all(|(one, other)| is_same(one, other));
            prop_assert!(is_staged || !changes);
            prop_assert_eq!(changes, generation(&world, s) != number, "the generation moves");
            for now in &after {
                if let Some(old) = before.iter().find(|old| old.path == now.path) {
                    prop_assert_eq!(old.id, now.id, "{}", now.path);
                    let step = u32::from(!is_same(old, now));
                    prop_assert_eq!(now.revision, old.revision + step);
                }
            }
            for now in after {
                for one in world.layer.earlier_revisions(now.id).expect("kept") {
                    prop_assert_eq!(one.revision_of, Some(now.id));
                    let known = contents.get(&(now.id, one.revision));
                    prop_assert_eq!(Some(one.signature), known.map(|known| known.signature));
                }
                let known = contents.insert((now.id, now.revision), now.clone());
                prop_assert!(known.is_none_or(|known| is_same(&known, &now)), "{}", now.name());
            }
        }
        check_references(&world);
        prop_assert!(world.layer.verify_log().expect("checked").is_intact());
    }
}

#[test]
fn a_created_file_keeps_its_id_where_it_is_moved() {
    let world = World::new();
    let s = world.session("agent");
    let id = world.write(s, "a", "1\n").patch.expect("pending").id;
    world.layer.propose(s, rename("a", "b")).expect("moved");
    // Twice in one call.
    let moved = world.layer.propose_all(s, vec![rename("b", "c"), rename("c", "d")]);
    assert!(moved.expect("moved").iter().all(|one| one.superseded.is_none()));
    let [now] = &world.pending()[..] else { panic!("one patch") };
    assert_eq!((now.id, now.revision, &now.path), (id, 3, &path("d")));
    // What takes its old place is another patch.
    world.layer.propose_all(s, vec![rename("d", "e"), write("d", "2\n")]).expect("staged");
    let of = |name: &str| world.pending().into_iter().find(|patch| patch.path == path(name));
    assert_eq!(of("d").expect("pending").id, id, "the path has it");
    assert_eq!(of("e").expect("pending").revision, 1);
}

/// Revisions are written over their rows one after the other.
#[test]
fn renames_exchange_their_targets_in_one_call() {
    let world = World::new();
    for name in ["a", "b"] {
        world.put(name, name);
    }
    let s = world.session("agent");
    world.layer.propose_all(s, vec![rename("a", "x"), rename("b", "y")]).expect("staged");
    let exchange = vec![rename("x", "z"), rename("y", "x"), rename("z", "y")];
    world.layer.propose_all(s, exchange).expect("staged");
    let ends: Vec<_> = world
        .pending()
        .iter()
        .map(|patch| (patch.id, patch.revision, patch.rename_to.clone().expect("moved")))
        .collect();
    assert_eq!(ends, [(PatchId(1), 2, path("y")), (PatchId(2), 2, path("x"))]);
    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!((world.disk("x").as_deref(), world.disk("y").as_deref()), (Some("b"), Some("a")));
}

#[test]
fn the_log_has_each_revision_with_its_signature_and_where_the_one_before_is() {
    let world = World::new();
    let s = world.session("agent");
    let first = world.write(s, "a", "1\n").patch.expect("pending");
    let second = world.write(s, "a", "2\n").patch.expect("pending");
    let earlier = world.layer.earlier_revisions(first.id).expect("kept")[0].id;
    let logged: Vec<_> = world
        .layer
        .events_since(0, 100)
        .expect("the log")
        .into_iter()
        .filter(|record| record.event.names_patch(first.id))
        .map(|record| match record.event {
            Event::PatchProposed { patch, revision, signature, replaces, .. } => {
                (patch, revision, signature, replaces)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let one = (first.id, 1, first.signature, None);
    assert_eq!(logged, [one, (first.id, 2, second.signature, Some(earlier))]);
    assert!(
        world
            .layer
            .events_since(0, 100)
            .expect("the log")
            .iter()
            .any(|record| { record.event.names_patch(earlier) })
    );
}

fn by_id(ids: Vec<Selector>) -> ApplyRequest {
    ApplyRequest { ids, ..ApplyRequest::default() }
}

#[test]
fn a_rewritten_patch_is_not_decided_by_its_id_alone() {
    let world = World::new();
    let s = world.session("agent");
    let first = world.write(s, "a", "1\n").patch.expect("pending");
    let second = world.write(s, "a", "2\n").patch.expect("pending");
    let id = Selector::Patch(first.id);
    let decided = [
        world.layer.apply(&by_id(vec![id.clone()])).map(drop),
        world.layer.apply(&by_id(vec![id.clone(), Selector::Session(s)])).map(drop),
        world.layer.discard(std::slice::from_ref(&id), None).map(drop),
    ];
    for decided in decided {
        let error = decided.expect_err("revision 1 may be what was read");
        assert!(matches!(error, StagingError::Rewritten { .. }), "{error}");
        assert_eq!(error.to_string(), "p1 was rewritten: it is at revision 2");
        assert_eq!(error.patches(), [first.id]);
    }
    let old = Selector::Revision(first.id, 1);
    for ids in [vec![old.clone()], vec![old.clone().except(), Selector::Session(s)]] {
        for decided in [
            world.layer.apply(&by_id(ids.clone())).map(drop),
            world.layer.discard(&ids, None).map(drop),
            world.layer.select(&ids).map(drop),
            world.layer.refresh_all(&ids).map(drop),
        ] {
            let error = decided.expect_err("it is at another revision");
            assert!(matches!(error, StagingError::OtherRevision { .. }), "{error}");
        }
    }
    assert_eq!(world.pending().len(), 1);
    let approved = ApplyRequest { expect: Some(first.signature), ..by_id(vec![id.clone()]) };
    let error = world.layer.apply(&approved).expect_err("approved was revision 1");
    assert!(matches!(error, StagingError::SignatureMismatch { .. }), "{error}");
    // Reading needs no revision; a check changes nothing.
    assert_eq!(
        world.layer.select(std::slice::from_ref(&id)).expect("read").signature,
        second.signature
    );
    world.layer.apply(&ApplyRequest { dry_run: true, ..by_id(vec![id]) }).expect("it could be");
    world.layer.apply(&by_id(vec![Selector::seen(&second)])).expect("the one that was read");
    assert_eq!(world.disk("a").as_deref(), Some("2\n"));
}

/// What the reviewer wrote last, the reviewer has read.
#[test]
fn a_patch_that_the_reviewer_edited_is_decided_by_its_id_until_the_agent_changes_it() {
    let world = World::new();
    let s = world.session("agent");
    let id = world.write(s, "a", "1\n").patch.expect("pending").id;
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    world.layer.edit(&patch, b"2\n").expect("staged");
    let request = || ApplyRequest { dry_run: false, ..by_id(vec![Selector::Patch(id)]) };
    world.layer.propose(s, set_mode("a", 0o755)).expect("staged");
    let error = world.layer.apply(&request()).expect_err("the mode was not read");
    assert!(world.pending()[0].edited, "the text is the reviewer's still");
    assert!(matches!(error, StagingError::Rewritten { .. }), "{error}");
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    world.layer.edit(&patch, b"3\n").expect("staged");
    world.layer.apply(&request()).expect("the reviewer's");
}

#[test]
fn an_earlier_revision_can_be_shown_and_not_decided() {
    let world = World::new();
    let s = world.session("agent");
    let id = world.write(s, "a", "1\n").patch.expect("pending").id;
    for n in 2..=13 {
        world.write(s, "a", &format!("{n}\n"));
    }
    let earlier = world.layer.earlier_revisions(id).expect("kept");
    assert_eq!(earlier.iter().map(|one| one.revision).collect::<Vec<_>>(), Vec::from_iter(1..=12));
    let kept: Vec<_> = earlier.iter().filter(|one| one.content_kept).collect();
    assert_eq!(kept.len(), 10, "the newest");
    let mut diff = Vec::new();
    world.layer.write_diff(&[kept[0].clone()], &Default::default(), &mut diff).expect("kept");
    assert!(String::from_utf8_lossy(&diff).contains("+3\n"));
    for one in &earlier {
        let ids = [Selector::Patch(one.id)];
        for decided in [
            world.layer.apply(&by_id(ids.to_vec())).map(drop),
            world.layer.discard(&ids, None).map(drop),
        ] {
            let error = decided.expect_err("it goes on as another revision");
            assert!(
                matches!(error, StagingError::EarlierRevision { of, .. } if of == id),
                "{error}"
            );
        }
    }
    check_references(&world);
}

/// An undone apply names what it has applied, not what the agent made of it since.
#[test]
fn what_is_rewritten_after_an_undo_leaves_the_apply_as_it_was() {
    let world = World::new();
    for name in ["a", "b"] {
        world.put(name, "0\n");
    }
    let s = world.session("agent");
    world.layer.propose_all(s, vec![write("a", "1\n"), write("b", "1\n")]).expect("staged");
    let apply = world.layer.apply(&ApplyRequest::default()).expect("applied").apply.expect("done");
    let part = UndoRequest { patches: vec![PatchId(1)], ..UndoRequest::default() };
    world.layer.undo_part(&part).expect("undone");
    let [undone] = &world.pending()[..] else { panic!("one is pending again") };
    assert_eq!((undone.id, undone.revision), (PatchId(1), 1));
    world.write(s, "a", "2\n");
    let [now] = &world.pending()[..] else { panic!("one patch") };
    assert_eq!((now.id, now.revision), (PatchId(1), 2));
    let again = RedoRequest { apply: Some(apply), ..RedoRequest::default() };
    let error = world.layer.redo(&again).expect_err("it is another content");
    assert!(error.to_string().contains("p1 was rewritten since"), "{error}");
    assert_eq!(world.layer.applies_of(PatchId(1)).expect("known")[0].apply, apply);
    // Its record is still what was approved.
    world.layer.undo(Some(apply)).expect("the rest of it");
    assert_eq!(world.disk("b").as_deref(), Some("0\n"));
    let [one, two] = &world.pending()[..] else { panic!("two patches") };
    assert_eq!((one.revision, two.revision), (2, 1));
    check_references(&world);
}

/// Comments are for lines of what is rejected, whatever the agent does meanwhile.
#[test]
fn comments_arrive_with_the_patch_that_is_rejected() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "a", "0\n");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let layer = world.again();
        let is_over = &is_over;
        scope.spawn(move || {
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                layer.propose(s, write("a", &format!("{n}\n"))).expect("staged");
            }
        });
        for _ in 0..20 {
            let comment = NewComment { path: path("a"), line: 1, comment: "why?".to_owned() };
            let selected = [Selector::Session(s)];
            let rejected = match world.layer.discard_commented(&selected, None, &[comment]) {
                Ok(rejected) => rejected,
                // Nothing is pending for a moment after each rejection.
                Err(StagingError::Usage { .. } | StagingError::Busy { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            for patch in rejected {
                let patch = world.layer.patch(patch.id).expect("known");
                let [comment] = &patch.comments[..] else { panic!("one comment: {patch:?}") };
                let staged = staging_core::Digest::of(format!("{}\n", comment.text).as_bytes());
                assert_eq!(patch.staged.map(|staged| staged.digest), Some(staged), "its line");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// What an agent rewrites while it is decided is applied as it was read, or not at all.
#[rstest]
#[case::signed(|layer: &DiskOwner, patch: &Patch| {
    let expect = Some(patch.signature);
    layer.apply(&ApplyRequest { expect, ..by_id(vec![Selector::Patch(patch.id)]) }).map(drop)
})]
#[case::by_revision(|layer: &DiskOwner, patch: &Patch| {
    layer.apply(&by_id(vec![Selector::seen(patch)])).map(drop)
})]
fn what_is_rewritten_while_it_is_decided_is_applied_as_it_was_read(
    #[case] decide: fn(&DiskOwner, &Patch) -> Result<(), StagingError>,
) {
    let world = World::new();
    let s = world.session("agent");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let layer = world.again();
        let is_over = &is_over;
        let agent = scope.spawn(move || {
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                match layer.propose(s, write("a", &format!("{n}\n"))) {
                    Ok(_) | Err(StagingError::Stale { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let (mut applied, mut refused) = (0, 0);
        while (applied < 5 || refused < 5) && !agent.is_finished() {
            let read = world.pending();
            let Some(patch) = read.iter().find(|patch| patch.state == PatchState::Pending) else {
                continue;
            };
            match decide(&world.layer, patch) {
                Ok(()) => {
                    applied += 1;
                    let found = world.disk("a").expect("applied");
                    let staged = staging_core::Digest::of(found.as_bytes());
                    assert_eq!(patch.staged.map(|staged| staged.digest), Some(staged));
                }
                Err(_) => refused += 1,
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Rows of version 10 stay as they are, and go on as revisions of their own.
#[test]
fn a_store_of_version_10_keeps_its_superseded_patches() {
    let world = World::new();
    let s = world.session("agent");
    world.write(s, "a", "1\n");
    world.write(s, "a", "2\n");
    // As version 10 wrote it: the new revision is another patch.
    world
        .store()
        .execute_batch(
            "DROP TRIGGER patch_revised; DROP INDEX earlier_revisions; DROP INDEX lost_edits;
             UPDATE patches SET state = 'discarded', reason = 'superseded' WHERE id = 1;
             UPDATE patches SET state = 'pending', reason = NULL, decided_age_ms = NULL, edited = 1,
                 revision = 2 WHERE id = 2;
             ALTER TABLE patches DROP COLUMN revision_of;
             ALTER TABLE patches DROP COLUMN by_reviewer;
             ALTER TABLE patches DROP COLUMN edit_lost;
             PRAGMA user_version = 10;",
        )
        .expect("the older schema");
    let layer = world.again();
    let old = layer.patch(PatchId(1)).expect("kept");
    assert_eq!((old.state, old.revision_of), (PatchState::Discarded, None));
    assert!(matches!(
        layer.apply(&by_id(vec![Selector::Patch(PatchId(1))])),
        Err(StagingError::NotPending { .. })
    ));
    let now = layer.propose(s, edit("a", "1", "3")).expect("staged").patch.expect("pending");
    assert_eq!((now.id, now.revision), (PatchId(2), 3));
    assert_eq!(layer.earlier_revisions(PatchId(2)).expect("kept").len(), 1);
    assert!(now.diff.risks.iter().any(|risk| risk.kind.as_str() == "edit_replaced"), "{now:?}");
}
