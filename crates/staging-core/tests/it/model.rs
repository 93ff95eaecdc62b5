//! A session compared with a model: a map from names to content and mode.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use proptest::prelude::*;
use staging_core::{ApplyRequest, Proposal, Proposed, StageRequest, set_signature};

use crate::world::{World, delete, path, rename, set_mode};

const NAMES: [&str; 5] = ["a", "b", "c", "d/e", "d/f"];

type Files = BTreeMap<&'static str, (String, u32)>;

#[derive(Clone, Debug)]
enum Step {
    Write(usize, u8, Option<u32>),
    Edit(usize),
    Delete(usize),
    Rename(usize, usize),
    Mode(usize, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES.len();
    let mode = prop_oneof![Just(0o644_u32), Just(0o755)];
    let step = prop_oneof![
        3 => (name.clone(), 0..3_u8, prop::option::of(mode.clone()))
            .prop_map(|(name, content, mode)| Step::Write(name, content, mode)),
        1 => name.clone().prop_map(Step::Edit),
        3 => name.clone().prop_map(Step::Delete),
        4 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (name, mode).prop_map(|(name, mode)| Step::Mode(name, mode)),
    ];
    prop::collection::vec(step, 1..14)
}

fn start() -> Files {
    [("a", "0"), ("b", "1"), ("d/e", "2")]
        .into_iter()
        .map(|(name, content)| (name, (content.to_owned(), 0o644)))
        .collect()
}

/// The model after the step; `None` when the step must be refused. `mode` is the mode that a write
/// without one gives a new file.
fn take(files: &Files, step: &Step, mode: u32) -> Option<Files> {
    let mut files = files.clone();
    match *step {
        Step::Write(name, content, wanted) => {
            let kept = files.get(NAMES[name]).map_or(mode, |file| file.1);
            files.insert(NAMES[name], (content.to_string(), wanted.unwrap_or(kept)));
        }
        Step::Edit(name) => {
            let file = files.get_mut(NAMES[name])?;
            if file.0 != "0" {
                return None;
            }
            file.0 = "1".to_owned();
        }
        Step::Delete(name) => {
            files.remove(NAMES[name])?;
        }
        Step::Rename(from, to) => {
            if files.contains_key(NAMES[to]) {
                return None;
            }
            let file = files.remove(NAMES[from])?;
            files.insert(NAMES[to], file);
        }
        Step::Mode(name, mode) => files.get_mut(NAMES[name])?.1 = mode,
    }
    Some(files)
}

fn proposal(step: &Step) -> Proposal {
    match *step {
        Step::Write(name, content, mode) => {
            Proposal::Write { path: path(NAMES[name]), content: content.to_string().into(), mode }
        }
        Step::Edit(name) => Proposal::Edit {
            path: path(NAMES[name]),
            old: b"0".into(),
            new: b"1".into(),
            replace_all: false,
        },
        Step::Delete(name) => delete(NAMES[name]),
        Step::Rename(from, to) => rename(NAMES[from], NAMES[to]),
        Step::Mode(name, mode) => set_mode(NAMES[name], mode),
    }
}

fn world() -> World {
    let world = World::with(|options| options.history_keep_for = Duration::ZERO);
    for (name, (content, mode)) in start() {
        world.put(name, content);
        world.chmod(name, mode);
    }
    world
}

fn on_disk(world: &World) -> Files {
    NAMES
        .into_iter()
        .filter_map(|name| {
            let at = world.root().join(name);
            let mode = fs::metadata(&at).ok()?.permissions().mode() & 0o7777;
            Some((name, (world.disk(name)?, mode)))
        })
        .collect()
}

/// An answer without the times and inodes, which differ between two worlds.
fn answered(answer: staging_core::Result<Proposed>) -> Result<String, String> {
    let Proposed { patch, also_changed, superseded, also_pending_in, withdrawn } =
        answer.map_err(|error| error.to_string())?;
    let patches: Vec<_> = patch
        .iter()
        .chain(&also_changed)
        .map(|patch| (patch.id, patch.operation, patch.revision, patch.signature, &patch.diff))
        .collect();
    Ok(format!("{patches:?} {superseded:?} {also_pending_in:?} {withdrawn}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_session_reads_what_it_wrote_and_apply_writes_exactly_that(steps in steps()) {
        let world = world();
        let s = world.session("agent");
        let mut model = start();
        let mut taken = Vec::new();
        for step in &steps {
            // Here the base's mode is the mode of new files, too.
            let expected = take(&model, step, 0o644);
            let answer = world.layer.propose(s, proposal(step));
            match expected {
                Some(files) => {
                    prop_assert!(answer.is_ok(), "{step:?} of {steps:?}: {answer:?}");
                    model = files;
                    taken.push(step);
                }
                None => prop_assert!(answer.is_err(), "{step:?} of {steps:?} was not refused"),
            }
            for name in NAMES {
                let seen = world.read(s, name);
                prop_assert_eq!(seen.as_ref(), model.get(name).map(|file| &file.0));
            }
        }
        prop_assert_eq!(on_disk(&world), start(), "the disk is untouched");
        // The same proposals in one call give the same set.
        let at_once = self::world();
        let t = at_once.session("agent");
        at_once.layer.propose_all(t, taken.into_iter().map(proposal).collect()).expect("all taken");
        let mut pending = world.pending();
        let signature = set_signature(&pending);
        prop_assert_eq!(set_signature(&at_once.pending()), signature);
        pending.reverse();
        prop_assert_eq!(set_signature(&pending), signature, "a set has no order");
        if let Some(without) = pending.get(1..) {
            prop_assert_ne!(set_signature(without), signature);
        }
        if !pending.is_empty() {
            let applied = world.layer.apply(&ApplyRequest::default());
            prop_assert!(applied.is_ok(), "{steps:?}: {applied:?}");
        }
        prop_assert_eq!(on_disk(&world), model);
        prop_assert!(world.layer.verify_log().expect("checked").is_intact());
    }

    #[test]
    fn proposals_staged_together_give_the_same_patches_as_one_by_one(
        steps in steps(),
        groups in prop::collection::vec(1..6_usize, 14),
    ) {
        let (alone, together) = (world(), world());
        let open = |world: &World, n: usize| world.session(&format!("agent-{n}"));
        let ours: Vec<_> = (0..6).map(|n| (open(&alone, n), open(&together, n))).collect();
        let mut left = steps.as_slice();
        for count in groups {
            let (group, rest) = left.split_at(count.min(left.len()));
            left = rest;
            let pairs = || group.iter().zip(&ours);
            let one_by_one: Vec<_> =
                pairs().map(|(step, (s, _))| answered(alone.layer.propose(*s, proposal(step)))).collect();
            let requests: Vec<_> = pairs().map(|(step, (_, session))| StageRequest {
                session: *session,
                proposals: vec![proposal(step)],
                span: tracing::Span::none(),
            }).collect();
            let answers = together.layer.stage(&requests).into_iter();
            let at_once: Vec<_> =
                answers.map(|answer| answered(answer.map(|mut one| one.remove(0)))).collect();
            prop_assert_eq!(at_once, one_by_one, "{:?} of {:?}", group, steps);
        }
        prop_assert_eq!(together.events(), alone.events());
        prop_assert_eq!(together.blobs(), alone.blobs());
        together.layer.discard(&[], None).expect("rejected");
        prop_assert_eq!(together.blobs(), 0, "each need of a content was counted");
        prop_assert!(together.layer.verify_log().expect("checked").is_intact());
    }

    #[test]
    fn rejecting_leaves_the_tree_unchanged_and_no_contents(steps in steps()) {
        let world = world();
        let before = world.tree();
        let s = world.session("agent");
        for step in &steps {
            // Some steps are refused.
            let _ = world.layer.propose(s, proposal(step));
        }
        world.layer.discard(&[], None).expect("rejected");
        prop_assert_eq!(world.tree(), before);
        prop_assert_eq!(world.blobs(), 0);
    }
}
