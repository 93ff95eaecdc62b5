//! A review that is killed has decided nothing by halves, and the next review shows what is left.

use std::fmt::Write as _;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::Fixture;
use rustix::process::{Signal, kill_process};

use crate::terminal::Terminal;

const APPROVED: usize = 6;
/// Many: the time that they take is what the kills have to hit.
const ALL: usize = 46;
/// A busy machine may let the review end before it is killed.
const ATTEMPTS: usize = 20;
const KILLS: u32 = 12;

const OLD: &[u8] = b"old\n";
const NEW: &[u8] = b"new\n";

/// In the order of the patches, which is that of the paths.
fn name(number: usize) -> String {
    format!("dir{}/file{number:02}", number / 16)
}

/// A patch for each file, in the order of their numbers.
fn stage() -> Fixture {
    let stage = Fixture::new();
    let mut patch = String::new();
    for number in 1..=ALL {
        stage.write(name(number), OLD);
        let name = name(number);
        let _ = write!(patch, "--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-old\n+new\n");
    }
    stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(0);
    stage
}

fn question(number: usize, all: usize) -> String {
    format!("({number}/{all}) Approve? [y,n,r,e,s,b,v,a,d,q,?] ")
}

/// A review in which so many patches are marked: the first are approved, all others rejected.
fn marked(stage: &Fixture, count: usize) -> Terminal {
    let mut terminal = Terminal::run(stage, &["review", "--color", "never"]);
    terminal.read_until(&question(1, ALL));
    for number in 1..=count {
        let key = if number <= APPROVED { "y" } else { "n" };
        let next = if number == ALL { "[y/N] ".to_owned() } else { question(number + 1, ALL) };
        terminal.type_until(key, &next);
    }
    terminal
}

/// Kills the review, unless it has ended already; whether it was killed.
fn kill(terminal: Terminal) -> bool {
    // The process is not waited for yet, so that the number is its own.
    kill_process(terminal.pid(), Signal::KILL).expect("our child");
    terminal.answer("").is_none()
}

/// What a killed review has done of what was marked.
#[derive(Debug)]
struct Done {
    is_applied: bool,
    rejected: usize,
}

/// Checks that nothing is decided by halves, and that the next review shows the rest.
fn check(stage: &Fixture) -> Done {
    stage.run(["recover"]).expect(0);
    let is_new = |numbers: Range<usize>| numbers.clone().all(|at| stage.read(name(at)) == NEW);
    let is_old = |numbers: Range<usize>| numbers.clone().all(|at| stage.read(name(at)) == OLD);
    let (approved, others) = (1..APPROVED + 1, APPROVED + 1..ALL + 1);
    let is_applied = is_new(approved.clone());
    assert!(is_applied || is_old(approved), "the set is applied whole or not at all");
    assert!(is_old(others), "what was not approved is as it was");

    stage.run(["log", "--verify"]).expect(0);
    let rejected = stage.events().iter().filter(|event| *event == "patch_discarded").count();
    assert!(is_applied || rejected == 0, "nothing is rejected of a set that is not applied");
    let left = if is_applied { ALL - APPROVED - rejected } else { ALL };
    assert_eq!(stage.pending(), left, "what is not decided is pending");

    let mut terminal = Terminal::run(stage, &["review", "--color", "never"]);
    if left == 0 {
        terminal.read_until("nothing is pending");
    } else {
        let first = format!("(1/{left}) p{} modify ", ALL - left + 1);
        terminal.read_until(&first);
        terminal.read_until(&question(1, left));
        assert_eq!(terminal.answer("q"), Some(4));
    }
    Done { is_applied, rejected }
}

#[test]
fn a_review_that_is_killed_before_the_yes_has_decided_nothing() {
    for count in [0, APPROVED + 2, ALL] {
        let stage = stage();
        assert!(kill(marked(&stage, count)), "it waits for an answer");
        let done = check(&stage);
        assert!(!done.is_applied && done.rejected == 0, "{count} marks: {done:?}");
    }
}

#[test]
fn a_review_that_is_killed_behind_its_apply_leaves_the_rest_pending() {
    for shown in ["applied 6 files", "rejected p7 ", "rejected p9 "] {
        let hit = (0..ATTEMPTS).find_map(|_| {
            let stage = stage();
            let mut terminal = marked(&stage, ALL);
            terminal.type_until("y\n", shown);
            let is_killed = kill(terminal);
            let done = check(&stage);
            assert!(done.is_applied, "it has reported that: {done:?}");
            (is_killed && done.rejected < ALL - APPROVED).then_some(done)
        });
        println!("killed at `{shown}`: {hit:?}");
        assert!(hit.is_some(), "no kill has hit the time between `{shown}` and the end");
    }
}

#[test]
fn a_review_that_is_killed_while_it_decides_has_decided_nothing_by_halves() {
    let takes = {
        let stage = stage();
        let terminal = marked(&stage, ALL);
        let begun = Instant::now();
        assert_eq!(terminal.answer("y\n"), Some(0));
        let takes = begun.elapsed();
        let done = check(&stage);
        assert!(done.is_applied && done.rejected == ALL - APPROVED, "{done:?}");
        takes
    };
    let mut killed = 0;
    for at in 0..KILLS {
        let stage = stage();
        let mut terminal = marked(&stage, ALL);
        terminal.send("y\n");
        thread::sleep(takes.max(Duration::from_millis(1)) * at / KILLS);
        killed += u32::from(kill(terminal));
        println!("kill {at}: {:?}", check(&stage));
    }
    assert!(killed > 0, "no kill has hit a review");
}
