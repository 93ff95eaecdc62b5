//! Sessions compared with a model of their states, under changes by users, reviewers, time and
//! dying processes.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use staging_core::{ApplyRequest, ErrorKind, Selector, SessionState};

use crate::world::World;

const LABELS: [&str; 3] = ["one", "two", "three"];
const FILES: [&str; 3] = ["a", "b", "d/c"];

#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Write(usize, usize, u8),
    Reject(usize),
    Close(usize),
    Expire(usize),
    Orphan(usize),
    Apply(usize),
    UserWrites(usize, u8),
    UserRemoves(usize),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (label, file) = (0..LABELS.len(), 0..FILES.len());
    let step = prop_oneof![
        1 => label.clone().prop_map(Step::Open),
        8 => (label.clone(), file.clone(), 0..3_u8).prop_map(|(l, f, c)| Step::Write(l, f, c)),
        2 => label.clone().prop_map(Step::Reject),
        1 => label.clone().prop_map(Step::Close),
        1 => label.clone().prop_map(Step::Expire),
        1 => label.clone().prop_map(Step::Orphan),
        3 => label.prop_map(Step::Apply),
        2 => (file.clone(), 0..3_u8).prop_map(|(f, c)| Step::UserWrites(f, c)),
        1 => file.prop_map(Step::UserRemoves),
        1 => Just(Step::Sweep),
    ];
    prop::collection::vec(step, 1..10)
}

/// A pending patch.
#[derive(Clone, Copy)]
struct Part {
    /// The content of its base; `None` when there was no file.
    base: Option<u8>,
    /// The staged content.
    content: u8,
    /// The number of the patch, over all sessions.
    number: u64,
}

type Pending = BTreeMap<&'static str, Part>;

#[derive(Default)]
struct Model {
    /// The pending patches of each open session, and whether its process is dead.
    open: BTreeMap<&'static str, (Pending, bool)>,
    /// How the last session of a label that is not open ended.
    ended: BTreeMap<&'static str, SessionState>,
    disk: BTreeMap<&'static str, u8>,
    /// The files whose patch in an open session is stale and neither refreshed nor dismissed, with
    /// the number of the newest patch at that moment.
    lapsed: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    newest: u64,
}

impl Model {
    fn end(&mut self, label: &'static str, state: SessionState) -> bool {
        let was_open = self.open.remove(label).is_some();
        self.lapsed.remove(label);
        if was_open {
            self.ended.insert(label, state);
        }
        was_open
    }

    /// Drops the patches whose base differs from the disk: they are stale.
    fn drop_stale(&mut self) {
        let (disk, newest) = (&self.disk, self.newest);
        for (label, (pending, _)) in &mut self.open {
            let lapsed = self.lapsed.entry(label).or_default();
            pending.retain(|file, part| {
                let stands = disk.get(file) == part.base.as_ref();
                if !stands {
                    lapsed.insert(file, newest);
                }
                stands
            });
        }
    }

    /// Whether a session's pending patches are only a part of a set: a stale patch was pending
    /// beside them.
    fn lacks_a_part(&self, label: &str) -> bool {
        let Some(lapsed) = self.lapsed.get(label).filter(|lapsed| !lapsed.is_empty()) else {
            return false;
        };
        let pending = &self.open[label].0;
        let was_there = |part: &Part| lapsed.values().any(|after| part.number <= *after);
        pending.is_empty() || pending.values().any(was_there)
    }

    fn pending(&self) -> Vec<(String, String, u8)> {
        let mut pending = Vec::new();
        for (label, (patches, _)) in &self.open {
            for (file, part) in patches {
                pending.push(((*label).to_owned(), (*file).to_owned(), part.content));
            }
        }
        pending
    }
}

fn take(world: &World, model: &mut Model, step: &Step) {
    match *step {
        Step::Open(label) => {
            world.session(LABELS[label]);
            model.open.entry(LABELS[label]).or_default().1 = false;
        }
        Step::Write(label, file, content) => {
            let s = world.session(LABELS[label]);
            world.write(s, FILES[file], &content.to_string());
            let disk = model.disk.get(FILES[file]).copied();
            let (pending, orphaned) = model.open.entry(LABELS[label]).or_default();
            *orphaned = false;
            model.lapsed.entry(LABELS[label]).or_default().remove(FILES[file]);
            let before = pending.get(FILES[file]).copied();
            let base = before.map_or(disk, |before| before.base);
            if base == Some(content) {
                pending.remove(FILES[file]);
            } else if before.is_none_or(|before| before.content != content) {
                model.newest += 1;
                // A revision keeps the number of its patch; the one before gets the new one.
                let number = before.map_or(model.newest, |before| before.number);
                pending.insert(FILES[file], Part { base, content, number });
            }
        }
        Step::Reject(label) => {
            let Some((pending, _)) = model.open.get_mut(LABELS[label]) else { return };
            let ids = [Selector::Label(LABELS[label].to_owned())];
            let discarded = world.layer.discard(&ids, None).expect("rejected");
            let lapsed = model.lapsed.remove(LABELS[label]).unwrap_or_default();
            assert_eq!(discarded.len(), pending.len() + lapsed.len());
            pending.clear();
        }
        Step::Close(label) => {
            if model.end(LABELS[label], SessionState::Closed) {
                let s = world.layer.find_session(LABELS[label]).expect("open").id;
                world.layer.close_session(s).expect("closed");
            }
        }
        Step::Expire(label) => {
            let late =
                "UPDATE sessions SET expires_age_ms = -1 WHERE label = ?1 AND state = 'open'";
            world.store().execute(late, [LABELS[label]]).expect("a day later");
            model.end(LABELS[label], SessionState::Expired);
            world.layer.sweep(Duration::from_secs(60)).expect("swept");
        }
        Step::Orphan(label) => {
            let dead = "UPDATE sessions SET owner_pid = 4999999, orphaned_ms = NULL
                        WHERE label = ?1 AND state = 'open'";
            world.store().execute(dead, [LABELS[label]]).expect("its process died");
            world.layer.sweep(Duration::from_secs(60)).expect("swept");
            if let Some((_, orphaned)) = model.open.get_mut(LABELS[label]) {
                *orphaned = true;
            }
        }
        Step::Apply(label) => {
            if !model.open.contains_key(LABELS[label]) {
                return;
            }
            let ids = vec![Selector::Label(LABELS[label].to_owned())];
            let lost = model.lacks_a_part(LABELS[label]);
            let (pending, _) = model.open.get_mut(LABELS[label]).expect("looked for above");
            if lost {
                let whole = ApplyRequest { ids: ids.clone(), ..Default::default() };
                let refused = world.layer.apply(&whole).expect_err("a part is missing");
                assert_eq!(refused.kind(), ErrorKind::Stale);
            }
            let request = ApplyRequest { ids, rest: lost, ..Default::default() };
            let applied = world.layer.apply(&request);
            if pending.is_empty() {
                assert_eq!(applied.expect_err("nothing").kind(), ErrorKind::NotFound);
                return;
            }
            assert_eq!(applied.expect("applied").patches.len(), pending.len());
            world.layer.tidy().expect("tidied");
            for (file, part) in std::mem::take(pending) {
                model.disk.insert(file, part.content);
            }
        }
        Step::UserWrites(file, content) => {
            world.put(FILES[file], content.to_string());
            model.disk.insert(FILES[file], content);
        }
        Step::UserRemoves(file) => {
            if model.disk.remove(FILES[file]).is_some() {
                fs::remove_file(world.root().join(FILES[file])).expect("the user's file");
            }
        }
        Step::Sweep => {
            world.layer.sweep(Duration::from_secs(60)).expect("swept");
        }
    }
}

/// Compares everything that the layer reports about sessions with the model.
fn compare(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let status = world.layer.status().expect("a status");
    let mut pending = Vec::new();
    for each in &status.sessions {
        for patch in &each.patches {
            let content = world.read(each.session.id, &patch.path.to_string());
            let content = content.expect("it sees its own").parse().expect("a number");
            pending.push((each.session.label.clone(), patch.path.to_string(), content));
        }
    }
    let lapsed = status.sessions.iter().filter(|one| one.session.state == SessionState::Open);
    let lapsed: usize = lapsed.map(|one| one.lapsed.len()).sum();
    prop_assert_eq!(lapsed, model.lapsed.values().map(BTreeMap::len).sum::<usize>());
    pending.sort();
    let mut expected = model.pending();
    expected.sort();
    prop_assert_eq!(pending, expected);
    for label in LABELS {
        let found = world.layer.find_session(label).ok();
        match (model.open.get(label), model.ended.get(label)) {
            (Some((_, orphaned)), _) => {
                let session = found.expect("it is open");
                prop_assert_eq!(session.state, SessionState::Open);
                prop_assert_eq!(session.orphaned_at.is_some(), *orphaned);
            }
            (None, Some(state)) => prop_assert_eq!(found.map(|s| s.state), Some(*state)),
            (None, None) => {}
        }
    }
    for file in FILES {
        let on_disk = world.disk(file).map(|content| content.parse().expect("a number"));
        prop_assert_eq!(on_disk, model.disk.get(file).copied());
    }
    Ok(())
}

/// Closes every session and removes every file that the case before left.
fn clear(world: &World) {
    world.layer.discard(&[], None).expect("rejected and dismissed");
    for session in world.layer.sessions().expect("listed") {
        if session.state == SessionState::Open {
            world.layer.close_session(session.id).expect("closed");
        }
    }
    for file in FILES {
        let _ = fs::remove_file(world.root().join(file));
    }
}

#[test]
fn sessions_behave_as_their_model() {
    let world = World::new();
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let lived = TestRunner::new(config).run(&steps(), |steps| {
        clear(&world);
        let mut model = Model::default();
        for step in &steps {
            take(&world, &mut model, step);
            // The status checks the files, and so finds stale patches.
            model.drop_stale();
            compare(&world, &model)?;
        }
        Ok(())
    });
    lived.unwrap_or_else(|error| panic!("{error}"));
    assert!(world.layer.verify_log().expect("checked").is_intact());
    let (_, damaged) = world.layer.check_contents().expect("read");
    assert!(damaged.is_empty(), "{damaged:?}");
}
