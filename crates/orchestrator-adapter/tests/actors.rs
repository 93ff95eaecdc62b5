//! The actors: order, limits, events, and stopping.

#![allow(clippy::disallowed_methods, reason = "the tests play the user, who writes files freely")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use orchestrator_adapter::{
    ActorError, ApplyChangeSet, ApplyPatch, ApproveRule, AskApply, CloseSession, DiscardPatch,
    EventDelivery, ListSessions, OpenSession, OpenedSession, PatchRequest, PathGlobs, Proposal,
    ProposePatch, ReadThrough, Registry, RelPath, SafeDelete, SafeEdit, SafeRename, SafeSetMode,
    SafeWrite, Selector, SessionActor, ShowDiff, Shutdown, Staging, Subscribe,
};
use staging_core::{DiffStagingLayer, DiskOwner, ErrorKind, Event, Patch, StagingOptions};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A workspace and its layer in temporary directories.
struct World {
    layer: DiffStagingLayer,
    dir: TempDir,
}

impl World {
    fn with(change: impl FnOnce(&mut StagingOptions)) -> (Self, DiskOwner) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("a workspace");
        let mut options = StagingOptions::new(dir.path().join("work"), dir.path().join("state"));
        change(&mut options);
        let owner = DiskOwner::open(options).expect("a new state directory opens");
        (Self { layer: owner.layer(), dir }, owner)
    }

    fn again(&self) -> DiskOwner {
        DiskOwner::open(self.layer.options().clone()).expect("the state opens again")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.root().join(name), content).expect("a user's write");
    }

    fn disk(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root().join(name)).ok()
    }

    fn pending(&self) -> Vec<Patch> {
        let status = self.layer.status().expect("a status");
        status.sessions.into_iter().flat_map(|session| session.patches).collect()
    }

    /// The contents of the files right below the root, and the names of its folders.
    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.root()).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
    }

    fn events(&self) -> Vec<String> {
        let records = self.layer.events_since(0, 10_000).expect("the log");
        let name = |record| {
            let json = serde_json::to_value(record).expect("events are JSON");
            json["event"].as_str().expect("each is named").to_owned()
        };
        records.iter().map(name).collect()
    }
}

fn path(name: &str) -> RelPath {
    RelPath::parse(name.as_bytes()).expect("a relative path")
}

fn write(name: &str, content: &str) -> Proposal {
    Proposal::Write { path: path(name), content: content.into(), mode: None }
}

fn run(
    change: impl FnOnce(&mut StagingOptions),
    test: impl AsyncFnOnce(&World, Addr<Registry>),
) -> World {
    let (world, owner) = World::with(change);
    System::new().block_on(async {
        let registry = Registry::launch(owner).await.expect("launched");
        test(&world, registry).await;
    });
    world
}

async fn open(registry: &Addr<Registry>, label: &str) -> OpenedSession {
    let opened = registry.send(OpenSession { label: label.to_owned() }).await;
    opened.expect("it runs").expect("a session")
}

fn safe_write(name: &str, content: &str) -> SafeWrite {
    SafeWrite { path: path(name), content: content.into(), mode: None }
}

async fn staged(actor: &Addr<SessionActor>, name: &str, content: &str) {
    actor.send(safe_write(name, content)).await.expect("it runs").expect("staged");
}

#[test]
fn a_session_stages_shows_and_applies() {
    let world = run(
        |_| {},
        async |world, registry| {
            world.put("a", "a b\n");
            world.put("gone", "gone\n");
            let session = open(&registry, "agent").await.actor;
            let edit = SafeEdit {
                path: path("a"),
                old: b"b".into(),
                new: b"c".into(),
                replace_all: false,
            };
            session.send(edit).await.expect("it runs").expect("staged");
            session
                .send(SafeDelete { path: path("gone") })
                .await
                .expect("it runs")
                .expect("staged");
            staged(&session, "new", "new\n").await;
            let mode = SafeSetMode { path: path("new"), mode: 0o755 };
            session.send(mode).await.expect("it runs").expect("staged");
            let moved = SafeRename { path: path("new"), to: path("bin/new") };
            session.send(moved).await.expect("it runs").expect("staged");
            let read = session.send(ReadThrough { path: path("a") }).await.expect("it runs");
            assert_eq!(read.expect("read").as_deref(), Some(b"a c\n".as_slice()));
            let shown = session.send(ShowDiff::default()).await.expect("it runs").expect("shown");
            assert!(String::from_utf8_lossy(&shown.text).contains("+a c\n"));
            let apply = ApplyChangeSet { expect: Some(shown.signature), ..Default::default() };
            session.send(apply).await.expect("it runs").expect("applied");
            assert_eq!(world.disk("a").as_deref(), Some("a c\n"), "on disk when answered");
            registry.send(Shutdown).await.expect("it runs").expect("stopped");
            let late = session.send(ReadThrough { path: path("a") }).await;
            assert!(late.is_err(), "a stopped session's mailbox is closed");
        },
    );
    assert_eq!(world.tree().len(), 2, "tidied before it stopped: {:?}", world.tree().keys());
    assert!(!world.layer.status().expect("a status").needs_recovery);
}

#[test]
fn one_session_is_answered_in_the_order_it_asked() {
    run(
        |options| options.proposals_in_flight_max = 8,
        async |world, registry| {
            let session = open(&registry, "agent").await.actor;
            let sent: Vec<_> =
                (0..40).map(|n| session.send(safe_write("a", &n.to_string()))).collect();
            for (n, answer) in sent.into_iter().enumerate() {
                let patch = answer.await.expect("it runs").expect("staged").patch.expect("pending");
                assert_eq!(patch.revision as usize, n + 1);
            }
            assert_eq!(world.pending().len(), 1);
        },
    );
}

#[test]
fn proposals_that_wait_together_fail_each_by_itself_and_messages_between_them_keep_their_turn() {
    run(
        |options| options.session_patches_max = 20,
        async |world, registry| {
            let one = open(&registry, "one").await.actor;
            let two = open(&registry, "two").await.actor;
            let read = |name: &str| ReadThrough { path: path(name) };
            let mut early = None;
            let mut sent = Vec::new();
            for n in 0..40 {
                let name = if n % 4 == 1 { ".git/config".to_owned() } else { format!("f{n}") };
                sent.push((
                    n,
                    one.send(safe_write(&name, "1\n")),
                    two.send(safe_write("x", "1\n")),
                ));
                if n == 20 {
                    early = Some((one.send(read("f20")), one.send(read("f22"))));
                }
            }
            let (seen, unseen) = early.expect("asked in the middle");
            let mut accepted = 0;
            for (n, first, second) in sent {
                second.await.expect("it runs").expect("the other session's are its own");
                match first.await.expect("it runs") {
                    Ok(proposed) => {
                        accepted += 1;
                        assert_eq!(proposed.patch.expect("pending").path, path(&format!("f{n}")));
                    }
                    Err(refused) if refused.kind() == ErrorKind::Refused => {
                        assert_eq!(n % 4, 1, "only what is protected");
                    }
                    Err(full) if full.kind() == ErrorKind::Limit => {
                        assert_eq!(accepted, 20, "not before it is full")
                    }
                    Err(other) => panic!("{n}: {other:?}"),
                }
            }
            assert_eq!(accepted, 20);
            let content = seen.await.expect("it runs").expect("read");
            assert_eq!(content.as_deref(), Some(b"1\n".as_slice()), "sent before it was asked");
            assert_eq!(unseen.await.expect("it runs").expect("read"), None, "sent after it");
            assert_eq!(world.pending().len(), 21);
        },
    );
}

#[test]
fn a_full_mailbox_refuses_what_does_not_wait() {
    run(
        |options| options.mailbox_capacity = 1,
        async |_, registry| {
            let session = open(&registry, "agent").await.actor;
            let outcomes: Vec<_> =
                (0..50).map(|n| session.try_send(safe_write("a", &n.to_string()))).collect();
            assert!(outcomes.iter().any(Result::is_err), "the queue has a limit");
            staged(&session, "b", "sent with room").await;
        },
    );
}

#[test]
fn rejecting_and_closing_are_answered_with_what_ended() {
    run(
        |_| {},
        async |world, registry| {
            let opened = open(&registry, "agent").await;
            let session = opened.actor;
            staged(&session, "a", "1").await;
            let reason_text = Some("no".to_owned());
            let reject = DiscardPatch { reason_text, ..DiscardPatch::default() };
            let rejected = session.send(reject).await.expect("it runs").expect("rejected");
            assert_eq!(rejected[0].reason_text.as_deref(), Some("no"));
            staged(&session, "b", "1").await;
            let because =
                CloseSession { reason_text: Some("done".to_owned()), ..Default::default() };
            let closed = session.send(because).await.expect("it runs").expect("closed");
            assert_eq!(closed.rejected[0].reason_text.as_deref(), Some("done"));
            assert!(world.pending().is_empty());
            assert!(session.send(CloseSession::default()).await.is_err(), "its actor stopped");
            let again = open(&registry, "agent").await;
            assert_ne!(again.session.id, opened.session.id);
            let listed = registry.send(ListSessions).await.expect("it runs").expect("listed");
            assert_eq!(listed.len(), 2);
        },
    );
}

#[test]
fn an_exception_is_left_out_of_the_session_that_is_asked() {
    run(
        |_| {},
        async |world, registry| {
            let (one, two) =
                (open(&registry, "one").await.actor, open(&registry, "two").await.actor);
            staged(&one, "a", "1").await;
            staged(&one, "b", "2").await;
            staged(&two, "c", "3").await;
            let ids = vec![Selector::Path(path("a")).except()];
            let shown = one.send(ShowDiff { ids: ids.clone(), ..Default::default() }).await;
            let shown = shown.expect("it runs").expect("shown").patches;
            assert_eq!(shown.iter().map(|patch| &patch.path).collect::<Vec<_>>(), [&path("b")]);
            let request = ApplyChangeSet { ids, ..Default::default() };
            one.send(request).await.expect("it runs").expect("applied");
            assert_eq!((world.disk("a"), world.disk("b").as_deref()), (None, Some("2")));
            let ids = vec![Selector::Path(path("c"))];
            let request = ApplyChangeSet { ids, ..Default::default() };
            one.send(request).await.expect("it runs").expect("a path is every session's");
            assert_eq!(world.disk("c").as_deref(), Some("3"));
        },
    );
}

#[test]
fn errors_of_the_layer_keep_their_kind() {
    run(
        |_| {},
        async |_, registry| {
            let session = open(&registry, "agent").await.actor;
            let error = session.send(safe_write(".git/config", "x")).await.expect("it runs");
            assert_eq!(error.expect_err("refused").kind(), ErrorKind::Refused);
            let apply = ApplyPatch {
                patch: staging_core::PatchId(99),
                expect: None,
                confirm_full_replace: false,
                request: None,
            };
            let error = session.send(apply).await.expect("it runs").expect_err("there is none");
            assert_eq!(error.kind(), ErrorKind::NotFound);
        },
    );
}

type Received = Arc<Mutex<Vec<EventDelivery>>>;

struct Listener {
    seen: Received,
    capacity: usize,
    /// What it waits for after the first delivery, if for anything.
    gate: Option<oneshot::Receiver<()>>,
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.capacity);
    }
}

impl Handler<EventDelivery> for Listener {
    type Result = ();

    fn handle(&mut self, delivery: EventDelivery, context: &mut Self::Context) {
        self.seen.lock().expect("no panic").push(delivery);
        if let Some(gate) = self.gate.take() {
            context.wait(fut::wrap_future(gate).map(|_, _, _| ()));
        }
    }
}

async fn listen(
    registry: &Addr<Registry>,
    capacity: usize,
    gate: Option<oneshot::Receiver<()>>,
) -> Received {
    let seen = Received::default();
    let listener = Listener { seen: Arc::clone(&seen), capacity, gate }.start();
    let subscribe = Subscribe { recipient: listener.recipient() };
    registry.send(subscribe).await.expect("it runs").expect("subscribed");
    seen
}

/// Waits until a listener has seen an event that satisfies.
async fn until(seen: &Received, enough: impl Fn(&[EventDelivery]) -> bool) {
    for _ in 0..500 {
        if enough(&seen.lock().expect("no panic")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came: {:?}", seen.lock().expect("no panic"));
}

#[test]
fn a_subscriber_gets_every_event_in_order_with_its_diff() {
    run(
        |_| {},
        async |world, registry| {
            world.put("a", "old\n");
            let before = open(&registry, "before").await.actor;
            staged(&before, "b", "1").await;
            let seen = listen(&registry, 100, None).await;
            staged(&before, "a", "new\n").await;
            // Another process's events come too.
            let other = world.again();
            let theirs = other.open_session("other").expect("a session").id;
            other.propose(theirs, write("c", "1")).expect("staged");
            staged(&before, "b", "2").await;
            until(&seen, |seen| seen.len() >= 4).await;
            let seen = seen.lock().expect("no panic");
            assert!(seen.windows(2).all(|pair| pair[0].record.seq + 1 == pair[1].record.seq));
            assert!(
                matches!(&seen[0].record.event, Event::PatchProposed { path: p, .. } if *p == path("a"))
            );
            let diff = seen[0].diff.as_deref().expect("a short diff comes along");
            assert!(String::from_utf8_lossy(diff).ends_with("-old\n+new\n"));
        },
    );
}

#[test]
fn a_subscriber_that_falls_behind_receives_how_many_it_missed() {
    run(
        |_| {},
        async |world, registry| {
            let session = open(&registry, "agent").await.actor;
            let (open_gate, gate) = oneshot::channel();
            let seen = listen(&registry, 1, Some(gate)).await;
            for n in 0..20 {
                staged(&session, &format!("file-{n}"), "1").await;
            }
            open_gate.send(()).expect("it waits");
            staged(&session, "last", "1").await;
            // A subscriber that missed the newest event learns it with the next one, which is one
            // event by itself and finds room.
            let heard = || seen.lock().expect("no panic").last().map(|last| last.record.seq);
            for number in 0.. {
                open(&registry, &format!("more-{number}")).await;
                let newest = world.layer.newest_event().ok();
                for _ in 0..100 {
                    if heard() != newest {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                if heard() == newest {
                    break;
                }
            }
            let seen = seen.lock().expect("no panic");
            let missed: u64 = seen.iter().map(|delivery| delivery.missed).sum();
            assert!(missed > 0, "its mailbox was full");
            let newest = world.layer.newest_event().expect("there are some");
            let told = seen.last().expect("the newest").record.seq - seen[0].record.seq + 1;
            assert_eq!(
                told,
                seen.len() as u64 + missed,
                "each event was received or counted as missed"
            );
            assert_eq!(seen.last().expect("the newest").record.seq, newest);
        },
    );
}

#[test]
fn a_subscriber_hears_of_other_processes_while_this_one_is_silent() {
    run(
        |options| options.follow_every = Duration::from_millis(5),
        async |world, registry| {
            let seen = listen(&registry, 100, None).await;
            let other = world.again();
            let theirs = other.open_session("other").expect("a session").id;
            for n in 0..10 {
                other.propose(theirs, write("a", &n.to_string())).expect("staged");
            }
            // One that is opened, and ten that are proposed, nine of them as revisions.
            until(&seen, |seen| seen.len() >= 11).await;
            let seen = seen.lock().expect("no panic");
            let seqs: Vec<u64> = seen.iter().map(|delivery| delivery.record.seq).collect();
            assert_eq!(seqs, (1..=11).collect::<Vec<_>>(), "each once, in order");
        },
    );
}

fn named(request: &str) -> ApplyChangeSet {
    ApplyChangeSet {
        request: Some(request.parse().expect("a plain name")),
        ..ApplyChangeSet::default()
    }
}

#[test]
fn an_apply_that_nobody_waited_for_can_be_asked_for_and_is_never_done_twice() {
    run(
        |_| {},
        async |world, registry| {
            let session = open(&registry, "agent").await.actor;
            staged(&session, "a", "1\n").await;
            let ask = async || {
                let request = "deploy-7".parse().expect("a plain name");
                let asked = registry.send(AskApply { request }).await.expect("it runs");
                asked.expect("the store is read")
            };
            assert_eq!(ask().await, None, "it has not begun");
            let request = session.send(named("deploy-7"));
            // Whoever sent it does not wait for the answer.
            drop(tokio::time::timeout(Duration::ZERO, request).await);
            session.send(named("deploy-7")).await.expect("it runs").expect("applied, once");
            let status = ask().await.expect("it is known");
            assert_eq!(status.outcome, Some(staging_core::ApplyOutcome::Committed));
            assert_eq!(status.patches.len(), 1);
            staged(&session, "b", "1\n").await;
            let again = session.send(named("deploy-7")).await.expect("it runs").expect("as before");
            assert_eq!(again.apply, Some(status.apply));
            assert_eq!(world.disk("b"), None, "the name stands for what it was given to");
            let commits = world.events().into_iter().filter(|event| event == "apply_committed");
            assert_eq!(commits.count(), 1);
            // Another process, or this one after a restart, gets the same answer.
            let request = "deploy-7".parse().expect("a plain name");
            assert_eq!(world.again().apply_status(&request).expect("asked"), Some(status));
        },
    );
}

#[test]
fn an_apply_that_was_refused_has_not_begun_and_may_be_sent_again() {
    run(
        |_| {},
        async |world, registry| {
            world.put("a", "old\n");
            let session = open(&registry, "agent").await.actor;
            staged(&session, "a", "new\n").await;
            world.put("a", "the user's\n");
            let refused = session.send(named("x")).await.expect("it runs").expect_err("stale");
            let kind = refused.kind();
            assert!(matches!(kind, ErrorKind::Stale | ErrorKind::NotFound), "{refused}");
            let request = "x".parse().expect("a plain name");
            assert_eq!(world.layer.apply_status(&request).expect("asked"), None);
            staged(&session, "a", "new\n").await;
            session.send(named("x")).await.expect("it runs").expect("applied");
        },
    );
}

#[test]
fn a_panic_is_reported_and_the_next_call_works() {
    run(
        |_| {},
        async |world, registry| {
            let session = open(&registry, "agent").await.actor;
            let fuse = Arc::new(std::sync::atomic::AtomicU32::new(0));
            let burning = Arc::clone(&fuse);
            world.layer.observe(Box::new(move |_| {
                let burns = burning.load(std::sync::atomic::Ordering::Acquire) > 0;
                if burns {
                    burning.store(0, std::sync::atomic::Ordering::Release);
                    std::panic::panic_any("wanted");
                }
            }));
            let light = || fuse.store(1, std::sync::atomic::Ordering::Release);
            light();
            let error = session.send(safe_write("a", "1\n")).await.expect("it runs");
            assert!(matches!(error, Err(ActorError::Panicked)));
            staged(&session, "a", "2\n").await;
            light();
            let error = session.send(named("x")).await.expect("it runs");
            assert!(matches!(error, Err(ActorError::Panicked)));
            staged(&session, "b", "2\n").await;
            session.send(ApplyChangeSet::default()).await.expect("it runs").expect("applied");
            assert_eq!(world.disk("a").as_deref(), Some("2\n"));
            assert_eq!(world.disk("b").as_deref(), Some("2\n"));
            assert!(world.layer.verify_log().expect("checked").is_intact());
        },
    );
}

#[test]
fn shutting_down_in_the_middle_loses_nothing_that_was_acknowledged() {
    let world = run(
        |_| {},
        async |_, registry| {
            let session = open(&registry, "agent").await.actor;
            let sent: Vec<_> = (0..30)
                .map(|n| actix::spawn(session.send(safe_write(&format!("file-{n}"), "1\n"))))
                .collect();
            staged(&session, "first", "1\n").await;
            registry.send(Shutdown).await.expect("it runs").expect("stopped");
            let mut acknowledged = 1;
            for answer in sent {
                // A closed mailbox is an answer as well.
                if let Ok(Ok(outcome)) = answer.await {
                    outcome.expect("staged");
                    acknowledged += 1;
                }
            }
            ACKNOWLEDGED.store(acknowledged, std::sync::atomic::Ordering::Release);
        },
    );
    let acknowledged = ACKNOWLEDGED.load(std::sync::atomic::Ordering::Acquire);
    assert_eq!(world.pending().len(), acknowledged);
    assert!(!world.layer.needs_flush(), "and a power cut takes none of it");
}

static ACKNOWLEDGED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

#[test]
fn an_actor_stages_a_patch_whole_or_not_at_all() {
    run(
        |_| {},
        async |world, registry| {
            world.put("a", "one\ntwo\n");
            let session = open(&registry, "agent").await.actor;
            let propose = |text: &str| {
                let request = PatchRequest { text: text.into(), ..PatchRequest::default() };
                session.send(ProposePatch { request })
            };
            let add = "*** Add File: b\n+b\n*** End Patch\n";
            let misfit = format!("*** Begin Patch\n*** Update File: a\n-none\n+2\n{add}");
            let refused = propose(&misfit).await.expect("it runs").expect_err("no such line");
            assert_eq!(refused.kind(), ErrorKind::NoMatch, "{refused}");
            assert!(world.pending().is_empty(), "`b` is not staged without `a`");
            let fits = format!("*** Begin Patch\n*** Update File: a\n-two\n+2\n{add}");
            let answer = propose(&fits).await.expect("it runs").expect("staged");
            assert_eq!((answer.proposed.len(), world.pending().len()), (2, 2));
            assert_eq!(answer.fitted[0].placements[0].line, 2);
        },
    );
}

#[test]
fn a_program_without_actix_embeds_it_and_reads_events_as_a_stream() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("work")).expect("a workspace");
    fs::write(dir.path().join("work/a"), "old\n").expect("a user's write");
    let options = || StagingOptions::new(dir.path().join("work"), dir.path().join("state"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let staging = Staging::spawn(options()).await.expect("spawned");
        let mut events = staging.events().await.expect("a stream");
        let session = staging.open_session("agent").await.expect("a session").actor;
        let proposed = session.send(safe_write("a", "new\n")).await.expect("it runs");
        let patch = proposed.expect("staged").patch.expect("pending");
        let named = loop {
            let delivery = events.next().await.expect("the actors run");
            if let Event::PatchProposed { patch, .. } = &delivery.record.event {
                break *patch;
            }
        };
        assert_eq!(named, patch.id);
        let status = staging.status().await.expect("asked");
        let shown = staging.diff(Vec::new(), Default::default()).await.expect("shown");
        assert_eq!((shown.signature, shown.patches.len()), (status.signature, 1));
        let request = orchestrator_adapter::ApplyRequest {
            expect: Some(shown.signature),
            ..Default::default()
        };
        let applied = staging.apply(request).await.expect("applied");
        let disk = || fs::read_to_string(dir.path().join("work/a")).expect("the user's file");
        assert_eq!(disk(), "new\n");
        let undone = staging.undo(applied.apply, Default::default()).await.expect("undone");
        assert_eq!((disk().as_str(), undone.pending.len()), ("old\n", 1));
        staging.redo(Default::default()).await.expect("redone");
        assert_eq!(disk(), "new\n");
        assert!(staging.recover().await.expect("recovered").is_quiet());
        session.send(safe_write("b", "b\n")).await.expect("it runs").expect("staged");
        assert_eq!(staging.discard(Vec::new(), None).await.expect("discarded").len(), 1);
        assert!(staging.refresh(Vec::new()).await.expect("asked").is_empty());
        staging.clone().shutdown().await.expect("stopped");
        let stopped = staging.status().await.expect_err("nobody answers");
        assert_eq!(stopped.kind(), ErrorKind::Stopped);
        while events.next().await.is_some() {}
    });
    // The state is free again.
    DiskOwner::open(options()).expect("it opens").status().expect("asked");
}

#[test]
fn rules_of_the_embedding_program_apply_sets_and_leave_the_others_to_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir_all(dir.path().join("work/docs")).expect("a workspace");
    let mut options = StagingOptions::new(dir.path().join("work"), dir.path().join("state"));
    let globs = PathGlobs::parse(["docs/**"]).expect("globs");
    options.approval_rules.approve.push(ApproveRule::new("docs", globs));
    options.approval_rules.quiet_for = Duration::ZERO;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let staging = Staging::spawn(options).await.expect("spawned");
        let mut events = staging.events().await.expect("a stream");
        let code = staging.open_session("code").await.expect("a session").actor;
        code.send(safe_write("main.rs", "x\n")).await.expect("it runs").expect("staged");
        let docs = staging.open_session("docs").await.expect("a session").actor;
        docs.send(safe_write("docs/a.md", "x\n")).await.expect("it runs").expect("staged");
        let approval = loop {
            let delivery = events.next().await.expect("the actors run");
            if let Event::ApplyStarted { approval, .. } = &delivery.record.event {
                break approval.clone().expect("recorded");
            }
        };
        assert_eq!(approval.rule.as_deref(), Some("docs"));
        loop {
            let delivery = events.next().await.expect("the actors run");
            if matches!(delivery.record.event, Event::ApplyCommitted { .. }) {
                break;
            }
        }
        assert!(dir.path().join("work/docs/a.md").exists());
        assert!(!dir.path().join("work/main.rs").exists());
        staging.shutdown().await.expect("stopped");
    });
}
