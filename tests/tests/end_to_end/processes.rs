//! Two processes on one workspace at once lose nothing and never see a
//! half-written state.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use end_to_end::Fixture;

const ROUNDS: usize = 40;
const LINES: usize = 3000;

/// Content that betrays a mixture of two rounds.
fn content(round: usize) -> Vec<u8> {
    format!("round {round:04}\n").repeat(LINES).into_bytes()
}

fn is_whole(found: &[u8]) -> bool {
    let line = found.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    line.len() == 11 && found.len() == 11 * LINES && found.chunks(11).all(|chunk| chunk == line)
}

#[test]
fn one_proposes_while_one_reviews() {
    let stage = Fixture::new();
    stage.write("shared.txt", content(0));
    let is_done = AtomicBool::new(false);
    let mut applied = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                stage.propose("shared.txt", content(round));
                stage.propose(format!("own-{round}.txt"), content(round));
            }
            is_done.store(true, Ordering::Release);
        });
        // What readers of the files see while sets are applied.
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                assert!(is_whole(&stage.read("shared.txt")), "a half-written file was seen");
            }
        });
        while !is_done.load(Ordering::Acquire) {
            let signature = stage.signature();
            let ran = stage.run(["apply", "--expect", &signature, "--json"]);
            match ran.code {
                Some(0) => applied += ran.json()["patches"].as_array().map_or(0, Vec::len),
                // Nothing was pending, or the agent went on since the status.
                Some(1 | 4) => {
                    let kind = ran.error_kind();
                    assert!(kind == "not_found" || kind == "signature_mismatch", "{kind}");
                }
                code => panic!("{code:?}: {}", ran.stderr),
            }
            let seen = stage.run(["cat", "shared.txt", "--session", "cli"]);
            assert!(
                seen.code == Some(1) || is_whole(&seen.stdout),
                "a half-written state was seen"
            );
        }
    });
    if stage.pending() > 0 {
        let rest = stage.run(["apply", "--yes", "--json"]).expect(0).json();
        applied += rest["patches"].as_array().map_or(0, Vec::len);
    }

    assert_eq!(stage.read("shared.txt"), content(ROUNDS), "the last proposal is on the disk");
    for round in 1..=ROUNDS {
        assert_eq!(stage.read(format!("own-{round}.txt")), content(round), "none is lost");
    }
    let events = stage.events();
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!(count("patch_proposed"), 2 * ROUNDS, "every acknowledged proposal is in the log");
    assert_eq!(count("patch_applied"), applied, "every patch that was reported applied is too");
    let log = stage.run(["log", "--json"]).expect(0).json();
    let log = log["events"].as_array().expect("a list");
    let revisions = log.iter().filter(|event| event["replaces"].is_string()).count();
    assert_eq!(count("patch_applied") + revisions, 2 * ROUNDS, "and none vanished");
    stage.run(["log", "--verify"]).expect(0);
    let names: BTreeSet<_> =
        stage.tree().into_keys().filter(|path| !path.starts_with(".git")).collect();
    assert_eq!(names.len(), ROUNDS + 2, "no debris: {names:?}");
}

#[test]
fn two_reviewers_apply_each_patch_once() {
    let stage = Fixture::new();
    for round in 0..ROUNDS {
        stage.propose(format!("f{round}"), content(round));
    }
    let approve = |_| {
        let mut applied = 0;
        for round in 1..=ROUNDS {
            let ran = stage.run(["apply", &format!("p{round}"), "--yes", "--json"]);
            match ran.code {
                Some(0) => applied += 1,
                // The other reviewer was first.
                Some(1) => {}
                code => panic!("{code:?}: {}", ran.stderr),
            }
        }
        applied
    };
    let applied: usize = thread::scope(|scope| {
        let reviewers: Vec<_> = [1, 2].map(|who| scope.spawn(move || approve(who))).into();
        reviewers.into_iter().map(|reviewer| reviewer.join().expect("no reviewer fails")).sum()
    });
    assert_eq!(applied, ROUNDS, "each patch is applied by exactly one of them");
    for round in 0..ROUNDS {
        assert_eq!(stage.read(format!("f{round}")), content(round));
    }
}
