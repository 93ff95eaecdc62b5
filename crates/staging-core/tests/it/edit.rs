//! A reviewer's edit of a pending patch.

use rstest::rstest;
use staging_core::{
    ApplyRequest, Decision, DiscardReason, PatchState, Proposal, RiskKind, Selector, SessionId,
    SetRisk, StagingError,
};

use crate::world::{World, delete, edit, path, rename, set_mode, write};

/// A file whose change an agent has proposed.
fn world() -> (World, staging_core::SessionId, staging_core::PatchId) {
    let world = World::new();
    world.put("a", "one\ntwo\n");
    let s = world.session("agent");
    let id = world.write(s, "a", "1\ntwo\n").patch.expect("pending").id;
    (world, s, id)
}

#[test]
fn an_edit_is_a_revision_that_is_signed_shown_and_told() {
    let (world, s, id) = world();
    let (patch, text) = world.layer.to_edit(id).expect("a text");
    assert_eq!(text, b"1\ntwo\n");
    let edited = world.layer.edit(&patch, b"1\n2\n").expect("staged").patch.expect("pending");
    assert!(edited.edited && edited.revision == 2 && edited.signature != patch.signature);
    assert_eq!(edited.base, patch.base, "the base stays");
    assert_eq!(world.read(s, "a").as_deref(), Some("1\n2\n"), "the agent sees it");
    assert_eq!(world.disk("a").as_deref(), Some("one\ntwo\n"));
    assert!(
        staging_core::patch_line(&edited, None)
            .ends_with("(+2 -2, revision 2, edited by the reviewer)")
    );

    let report = world.layer.take_decisions("agent").expect("read").expect("a decision");
    let [told] = &report.decided[..] else { panic!("one decision: {report:?}") };
    assert_eq!((told.patch.id, told.decision, told.replaced_by), (id, Decision::Edited, None));
    assert_eq!((edited.id, told.patch.revision), (id, 2), "the patch keeps its id");
    let earlier = world.layer.earlier_revisions(id).expect("kept");
    assert_eq!(earlier[0].reason, Some(DiscardReason::Edited));
    let mut diff = Vec::new();
    let options = Default::default();
    world.layer.write_diff(&earlier, &options, &mut diff).expect("what the agent wrote is kept");

    world.layer.apply(&ApplyRequest::default()).expect("applied");
    assert_eq!(world.disk("a").as_deref(), Some("1\n2\n"));
}

#[test]
fn the_mode_and_the_name_stay() {
    let world = World::new();
    world.put("a", "one\n");
    let s = world.session("agent");
    world.layer.propose(s, rename("a", "b")).expect("staged");
    world.layer.propose(s, set_mode("b", 0o755)).expect("staged");
    let id = world.pending()[0].id;
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    let edited = world.layer.edit(&patch, b"two\n").expect("staged").patch.expect("pending");
    assert_eq!(edited.rename_to.as_ref().map(ToString::to_string).as_deref(), Some("b"));
    assert_eq!(edited.staged.map(|staged| staged.mode & 0o777), Some(0o755));
    assert_eq!(world.pending().len(), 1);

    world.write(s, "new", "x\n");
    let created = world.pending().into_iter().find(|patch| patch.base.is_none()).expect("it is");
    let edited = world.layer.edit(&created, b"y\n").expect("staged").patch.expect("pending");
    assert_eq!((edited.operation, edited.edited), (created.operation, true));
}

#[rstest]
#[case::replaced(|w: &World, s| { w.write(s, "a", "3\n"); }, "is at revision 2, not 1")]
#[case::rejected(|w: &World, _| { w.layer.discard(&[], None).expect("rejected"); }, "rejected")]
#[case::applied(|w: &World, _| { w.layer.apply(&ApplyRequest::default()).expect("ok"); }, "applied")]
#[case::stale(|w: &World, _| w.put("a", "by hand\n"), "discarded (stale)")]
fn a_patch_that_is_not_as_it_was_read_is_not_edited(
    #[case] meanwhile: fn(&World, staging_core::SessionId),
    #[case] why: &str,
) {
    let (world, s, id) = world();
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    meanwhile(&world, s);
    let before: Vec<_> = world.pending();
    let error = world.layer.edit(&patch, b"mine\n").expect_err("it is another one");
    assert!(error.to_string().contains(why), "{error}");
    assert!(world.pending().iter().all(|patch| !patch.edited));
    assert_eq!(world.pending().len(), before.len());
}

#[test]
fn what_is_no_text_is_not_edited() {
    let world = World::new();
    world.put("gone", "x\n");
    let s = world.session("agent");
    let link = Proposal::Symlink { path: path("link"), target: b"gone".to_vec() };
    for proposal in [
        delete("gone"),
        link,
        Proposal::CreateDirectory { path: path("dir") },
        write("binary", "a\0b"),
    ] {
        world.layer.propose(s, proposal).expect("staged");
    }
    for patch in world.pending() {
        let error = world.layer.to_edit(patch.id).expect_err("no text");
        assert!(matches!(error, StagingError::NotEditable { .. }), "{}: {error}", patch.path);
    }
}

#[test]
fn a_text_that_leaves_nothing_of_the_patch_is_refused() {
    let (world, _, id) = world();
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    let error = world.layer.edit(&patch, b"one\ntwo\n").expect_err("the file has it");
    assert!(matches!(error, StagingError::NotEditable { .. }), "{error}");
    assert_eq!(world.pending()[0].id, id);
}

/// An agent that goes on from what it wrote does not undo the reviewer's work unseen.
#[test]
fn an_agent_that_replaces_an_edit_is_shown_to_do_so() {
    let (world, s, id) = world();
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    let mine = world.layer.edit(&patch, b"1\n2\n").expect("staged").patch.expect("pending");

    // A replacement in the text works on the edited text. It is not the reviewer's any more.
    world.layer.propose(s, edit("a", "1\n", "uno\n")).expect("it is there");
    assert_eq!(world.read(s, "a").as_deref(), Some("uno\n2\n"));
    // A whole file replaces it.
    let whole = world.write(s, "a", "1\nII\n").patch.expect("pending");
    assert!(!whole.edited);
    let risk = whole.diff.risks.iter().find(|risk| risk.kind == RiskKind::EditReplaced);
    let earlier = world.layer.earlier_revisions(mine.id).expect("kept");
    let detail = format!("your edit was {}", earlier[1].id);
    assert_eq!(risk.expect("it is a risk").detail.as_deref(), Some(&*detail));
    let lines: Vec<String> = SetRisk::of(&world.pending()).iter().map(SetRisk::line).collect();
    assert_eq!(lines, [format!("risk: replaces your edit (1): `a` ({detail})")]);

    let kept = earlier[1].clone();
    assert_eq!((kept.edited, kept.revision, kept.revision_of), (true, 2, Some(id)));
    assert_eq!((kept.state, kept.reason), (PatchState::Discarded, Some(DiscardReason::Superseded)));
    let mut diff = Vec::new();
    world.layer.write_diff(&[kept], &Default::default(), &mut diff).expect("it can be shown");
    assert!(String::from_utf8_lossy(&diff).contains("+2\n"));

    // What is rejected is settled.
    world.layer.discard(&[Selector::Session(s)], None).expect("rejected");
    let again = world.write(s, "a", "3\ntwo\n").patch.expect("pending");
    assert_eq!(again.diff.risks, []);
}

#[test]
fn what_an_agent_does_with_an_edited_file_elsewhere_leaves_it_the_reviewers() {
    let (world, s, id) = world();
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    world.layer.edit(&patch, b"1\n2\n").expect("staged");
    world.layer.propose(s, set_mode("a", 0o755)).expect("staged");
    assert!(world.pending()[0].edited, "only the mode changed");
    world.layer.propose(s, rename("a", "b")).expect("staged");
    let [moved] = &world.pending()[..] else { panic!("one patch") };
    assert!(moved.edited, "{moved:?}");
    // The same text again changes nothing.
    world.write(s, "b", "1\n2\n");
    assert!(world.pending()[0].edited);
}

#[test]
fn an_edit_survives_a_refresh() {
    let world = World::new();
    let text = |first: &str, last: &str| format!("{first}\n\n\n\n\n\n{last}\n");
    world.put("a", text("one", "two"));
    let s = world.session("agent");
    let patch = world.write(s, "a", &text("1", "two")).patch.expect("pending");
    world.layer.edit(&patch, text("I", "two").as_bytes()).expect("staged");
    world.put("a", text("one", "2"));
    let status = world.layer.status().expect("it is stale");
    let lapsed = status.sessions[0].lapsed[0].id;
    let again = world.layer.refresh(lapsed).expect("merged").patch.expect("pending");
    assert!(again.edited);
    assert_eq!(world.read(s, "a"), Some(text("I", "2")));
}

/// What an agent withdraws, or loses because its file changes, it cannot propose again without the
/// reviewer's edit being named.
#[rstest]
#[case::withdrawn(|w: &World, s| { w.write(s, "a", "one\ntwo\n"); }, 0)]
#[case::replaced_and_withdrawn(|w: &World, s| {
    w.write(s, "a", "3\n");
    w.write(s, "a", "one\ntwo\n");
}, 1)]
#[case::withdrawn_twice(|w: &World, s| {
    for text in ["one\ntwo\n", "3\n", "one\ntwo\n"] {
        w.write(s, "a", text);
    }
}, 0)]
#[case::stale(|w: &World, s| {
    w.put("a", "by hand\n");
    w.layer.propose(s, write("a", "3\n")).expect_err("it is stale");
}, 0)]
#[case::expired(|w: &World, _| {
    w.store().execute("UPDATE sessions SET expires_age_ms = -1", []).expect("a day later");
    w.layer.sweep(std::time::Duration::from_secs(60)).expect("swept");
}, 0)]
fn an_edit_that_is_lost_is_named_by_the_next_proposal(
    #[case] lose: fn(&World, SessionId),
    #[case] earlier: usize,
) {
    let (world, s, id) = world();
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    world.layer.edit(&patch, b"1\n2\n").expect("staged");
    lose(&world, s);
    assert!(world.pending().is_empty());
    let s = world.session("agent");
    let edit = match earlier {
        0 => id,
        earlier => world.layer.earlier_revisions(id).expect("kept")[earlier].id,
    };
    let details = |patch: &staging_core::Patch| -> Vec<Option<String>> {
        let of_edits = |risk: &&staging_core::Risk| risk.kind == RiskKind::EditReplaced;
        patch.diff.risks.iter().filter(of_edits).map(|risk| risk.detail.clone()).collect()
    };
    let named = [Some(format!("your edit was {edit}"))];
    for text in ["4\n", "5\n"] {
        let again = world.write(s, "a", text).patch.expect("pending");
        assert_eq!(details(&again), named, "{text}");
    }
    // What a person decides settles it.
    world.layer.discard(&[Selector::Session(s)], None).expect("rejected");
    let settled = world.write(s, "a", "6\n").patch.expect("pending");
    assert_eq!(details(&settled), []);
}

/// The reviewer's own text is not reported as lost.
#[test]
fn an_agent_that_withdraws_an_edit_and_proposes_its_text_has_it() {
    let (world, s, id) = world();
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    world.layer.edit(&patch, b"1\n2\n").expect("staged");
    world.write(s, "a", "one\ntwo\n");
    let again = world.write(s, "a", "1\n2\n").patch.expect("pending");
    assert!(again.edited && again.diff.risks.is_empty(), "{again:?}");
}

#[test]
fn an_edit_that_moves_into_the_place_of_another_patch_is_still_the_reviewers() {
    let world = World::new();
    world.put("b", "old\n");
    let s = world.session("agent");
    let id = world.write(s, "a", "1\n").patch.expect("pending").id;
    let (patch, _) = world.layer.to_edit(id).expect("a text");
    world.layer.edit(&patch, b"2\n").expect("staged");
    world.layer.propose(s, delete("b")).expect("staged");
    world.layer.propose(s, rename("a", "b")).expect("staged");
    let [moved] = &world.pending()[..] else { panic!("one patch") };
    assert!(moved.edited && moved.path == path("b"), "{moved:?}");
}
