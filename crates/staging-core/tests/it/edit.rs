//! A reviewer's edit of a pending patch.

use rstest::rstest;
use staging_core::{
    ApplyRequest, Decision, DiscardReason, PatchState, Proposal, RiskKind, Selector, SetRisk,
    StagingError,
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
    let expected = (id, Decision::Edited, Some(edited.id));
    assert_eq!((told.patch.id, told.decision, told.replaced_by), expected);
    let told = [told.patch.clone()];
    let mut diff = Vec::new();
    let options = Default::default();
    world.layer.write_diff(&told, &options, &mut diff).expect("what the agent wrote is kept");

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
#[case::replaced(|w: &World, s| { w.write(s, "a", "3\n"); }, "discarded (superseded)")]
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
    let detail = format!("your edit was {}", mine.id);
    assert_eq!(risk.expect("it is a risk").detail.as_deref(), Some(&*detail));
    let lines: Vec<String> = SetRisk::of(&world.pending()).iter().map(SetRisk::line).collect();
    assert_eq!(lines, [format!("risk: replaces your edit (1): `a` ({detail})")]);

    let kept = world.layer.patch(mine.id).expect("known");
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

/// The patch as an agent that never edits has it: the content is not kept.
#[test]
fn an_agents_own_revisions_are_not_kept() {
    let (world, s, id) = world();
    world.write(s, "a", "2\ntwo\n");
    assert!(!world.layer.patch(id).expect("known").content_kept);
}
