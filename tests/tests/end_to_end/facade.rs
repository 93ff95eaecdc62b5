//! The Rust door: the same promises, by actor messages.

use std::fs;
use std::path::PathBuf;

use actix::prelude::*;
use end_to_end::Fixture;
use orchestrator_adapter::{
    ApplyChangeSet, ApplyOutcome, CloseSession, DiscardPatch, ErrorKind, Event, EventDelivery,
    ReadThrough, RedoApply, RefreshPatches, RelPath, SafeDelete, SafeEdit, SafeRename, ShowDiff,
    Staging, StagingOptions, UndoApply, safe_write, workspace_key,
};
use tokio::sync::mpsc;

/// The options of the command's default places, so that both doors share them.
fn options(stage: &Fixture) -> StagingOptions {
    let state: PathBuf = stage.beside("state").join(workspace_key(&stage.workspace()));
    StagingOptions::new(stage.workspace(), state)
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).expect("a plain path")
}

/// Passes events on to the test.
struct Listener(mpsc::UnboundedSender<EventDelivery>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<EventDelivery> for Listener {
    type Result = ();

    fn handle(&mut self, delivery: EventDelivery, _: &mut Context<Self>) {
        // The test may have heard enough.
        let _ = self.0.send(delivery);
    }
}

#[test]
fn a_session_proposes_shows_and_applies() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\n");
    stage.write("b.txt", "b\n");
    stage.write("c.txt", "c\n");
    System::new().block_on(async {
        let staging = Staging::open(options(&stage)).await.expect("the workspace opens");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        let before = stage.tree();
        safe_write(&session, "new/d.txt", "d\n").await.expect("the change is staged");
        let edit = SafeEdit {
            path: path("a.txt"),
            old: b"two".to_vec(),
            new: b"2".to_vec(),
            replace_all: false,
        };
        session.send(edit).await.expect("it runs").expect("the change is staged");
        session.send(SafeDelete { path: path("b.txt") }).await.expect("it runs").expect("staged");
        let rename = SafeRename { path: path("c.txt"), to: path("e.txt") };
        session.send(rename).await.expect("it runs").expect("the change is staged");
        assert_eq!(stage.tree(), before, "proposals leave the workspace alone");

        let read = session.send(ReadThrough { path: path("a.txt") }).await.expect("it runs");
        assert_eq!(read.expect("it can be read"), Some(b"one\n2\n".to_vec()));
        let shown = session.send(ShowDiff::default()).await.expect("it runs").expect("it shows");
        assert_eq!(shown.text, stage.run(["diff"]).expect(0).stdout, "both doors show the same");
        assert_eq!(shown.signature.to_string(), stage.signature(), "and sign the same");
        let approval = ApplyChangeSet { expect: Some(shown.signature), ..Default::default() };
        let report = session.send(approval).await.expect("it runs").expect("it is applied");
        assert_eq!((report.outcome, report.patches.len()), (ApplyOutcome::Committed, 4));
        staging.shutdown().await.expect("the actors stop");
    });
    assert_eq!(stage.read("a.txt"), b"one\n2\n");
    assert_eq!(stage.read("new/d.txt"), b"d\n");
    assert_eq!(stage.read("e.txt"), b"c\n");
    assert!(!stage.path("b.txt").exists() && !stage.path("c.txt").exists());
}

#[test]
fn subscribers_receive_events_with_the_diff_and_the_reason() {
    let stage = Fixture::new();
    System::new().block_on(async {
        let staging = Staging::open(options(&stage)).await.expect("the workspace opens");
        let (sender, mut heard) = mpsc::unbounded_channel();
        let listener = Listener(sender).start();
        staging.subscribe(listener.recipient()).await.expect("it subscribes");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        safe_write(&session, "a.txt", "hello\n").await.expect("the change is staged");
        let reason_text = Some("not today".to_owned());
        let reject = DiscardPatch { reason_text, ..DiscardPatch::default() };
        session.send(reject).await.expect("it runs").expect("it is rejected");
        session.send(CloseSession::default()).await.expect("it runs").expect("it ends");

        let mut deliveries = Vec::new();
        for _ in 0..4 {
            deliveries.push(heard.recv().await.expect("four things happened"));
        }
        let [opened, proposed, rejected, closed] = &deliveries[..] else { unreachable!() };
        assert!(
            matches!(&opened.record.event, Event::SessionOpened { label, .. } if label == "agent")
        );
        assert!(matches!(&proposed.record.event, Event::PatchProposed { .. }));
        let diff = proposed.diff.as_deref().expect("a short diff is delivered");
        assert!(diff.ends_with(b"+hello\n"), "{}", String::from_utf8_lossy(diff));
        assert!(matches!(&rejected.record.event,
            Event::PatchDiscarded { text: Some(text), .. } if text == "not today"));
        assert!(matches!(&closed.record.event, Event::SessionClosed { .. }));
        staging.shutdown().await.expect("the actors stop");
    });
    assert!(!stage.path("a.txt").exists());
}

#[test]
fn a_stale_set_and_an_old_signature_are_refused() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    System::new().block_on(async {
        let staging = Staging::open(options(&stage)).await.expect("the workspace opens");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        safe_write(&session, "a.txt", "agent\n").await.expect("the change is staged");
        let shown = session.send(ShowDiff::default()).await.expect("it runs").expect("it shows");
        let approval = ApplyChangeSet { expect: Some(shown.signature), ..Default::default() };
        safe_write(&session, "a.txt", "evil\n").await.expect("the change is staged");
        let refused = session.send(approval.clone()).await.expect("it runs");
        assert_eq!(refused.expect_err("it changed").kind(), ErrorKind::SignatureMismatch);
        assert_eq!(stage.read("a.txt"), b"a\n");

        fs::write(stage.path("a.txt"), "hand\n").expect("ours");
        let refused = session.send(ApplyChangeSet::default()).await.expect("it runs");
        assert_eq!(refused.expect_err("it is stale").kind(), ErrorKind::Stale);
        assert_eq!(stage.read("a.txt"), b"hand\n", "the hand's edit stands");
        staging.shutdown().await.expect("the actors stop");
    });
}

#[test]
fn a_lost_part_is_data_and_is_refreshed_and_what_is_applied_is_undone_and_redone() {
    let stage = Fixture::new();
    stage.write("a.txt", "a1\na2\na3\n");
    System::new().block_on(async {
        let staging = Staging::open(options(&stage)).await.expect("the workspace opens");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        safe_write(&session, "a.txt", "agent\na2\na3\n").await.expect("the change is staged");
        safe_write(&session, "b.txt", "b\n").await.expect("the change is staged");
        fs::write(stage.path("a.txt"), "a1\na2\nhand\n").expect("ours");
        let shown = session.send(ShowDiff::default()).await.expect("it runs").expect("it shows");
        assert_eq!(shown.lapsed.len(), 1);
        let refused = session.send(ApplyChangeSet::default()).await.expect("it runs");
        let refused = refused.expect_err("a part is missing");
        assert_eq!(refused.kind(), ErrorKind::Stale, "{refused}");
        let lost = refused.staging().map(|error| error.patches());
        assert_eq!(lost, Some(vec![shown.lapsed[0].id]));
        let refreshed = session.send(RefreshPatches::default()).await.expect("it runs");
        assert_eq!(refreshed.expect("they are apart").len(), 1);
        session.send(ApplyChangeSet::default()).await.expect("it runs").expect("it is applied");
        assert_eq!(stage.read("a.txt"), b"agent\na2\nhand\n");
        let undone = session.send(UndoApply::default()).await.expect("it runs").expect("undone");
        assert_eq!(undone.pending.len(), 2);
        assert_eq!(stage.read("a.txt"), b"a1\na2\nhand\n");
        let redone = session.send(RedoApply::default()).await.expect("it runs").expect("redone");
        assert_eq!(redone.redone, undone.undone);
        let again = session.send(RedoApply::default()).await.expect("it runs");
        assert_eq!(again.expect_err("it is done").kind(), ErrorKind::NotFound);
        staging.shutdown().await.expect("the actors stop");
    });
    assert_eq!(stage.read("b.txt"), b"b\n");
}

#[test]
fn a_path_that_leads_out_is_refused() {
    let stage = Fixture::new();
    System::new().block_on(async {
        let staging = Staging::open(options(&stage)).await.expect("the workspace opens");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        for outside in ["../x", "/etc/hostname", ".git/config", ".GIT/config"] {
            let refused = safe_write(&session, outside, "evil").await.expect_err("it leads out");
            assert_eq!(refused.kind(), ErrorKind::Refused, "{outside}");
        }
        assert_eq!(stage.pending(), 0, "nothing is staged");
        staging.shutdown().await.expect("the actors stop");
    });
}

#[test]
fn what_was_proposed_by_messages_is_decided_by_the_command() {
    let stage = Fixture::new();
    System::new().block_on(async {
        let staging = Staging::open(options(&stage)).await.expect("the workspace opens");
        let session = staging.open_session("agent").await.expect("a session opens").actor;
        safe_write(&session, "a.txt", "a\n").await.expect("the change is staged");
        stage.run(["apply", "agent", "--expect", &stage.signature()]).expect(0);
        assert_eq!(stage.read("a.txt"), b"a\n");
        let read = session.send(ReadThrough { path: path("a.txt") }).await.expect("it runs");
        assert_eq!(read.expect("it can be read"), Some(b"a\n".to_vec()));
        staging.shutdown().await.expect("the actors stop");
    });
}
