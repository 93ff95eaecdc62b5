//! A user and a command that change the same files while the command runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::Value;

use crate::running::{Agent, pending};

/// The paths of the stale patches.
fn stale(status: &Value) -> BTreeSet<String> {
    let sessions = status["sessions"].as_array().expect("a list");
    let lapsed = sessions.iter().filter_map(|session| session["lapsed"].as_array()).flatten();
    lapsed.map(|patch| patch["path"].as_str().unwrap_or_default().to_owned()).collect()
}

#[rstest]
#[case::after_the_user("cat n 2> /dev/null; echo reached; read x; echo agent > n")]
#[case::before_the_user("echo agent > n; echo reached; read x")]
fn what_both_create_is_stale_or_reported_and_both_versions_are_kept(#[case] script: &str) {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let mut agent = Agent::start_with(&fixture, &[], script);
    agent.reached();
    user(&fixture, "echo user > n");
    agent.go_on();
    let ran = agent.end().expect(0);
    assert_eq!(fixture.read("n"), b"user\n");
    let status = fixture.status();
    // The command may have seen the user's file before it wrote its own.
    let is_reported = ran.stderr.contains("you changed `n` while the command ran");
    assert_ne!(stale(&status) == ["n".to_owned()].into(), is_reported, "{}", ran.stderr);
    assert_eq!(is_reported, pending(&status) == ["modify n"], "{status}");
    let shown = fixture.run(["show", "p1"]).expect(0);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("+agent"), "the command's version is in the patch: {shown}");
}

/// The user moves a directory away, puts another one in its place, and moves it back.
#[rstest]
#[case::appended("cat d/f > /dev/null", "echo agent >> d/f")]
#[case::replaced("cat d/f > /dev/null", "sed s/one/agent/ d/f > t; echo agent >> t; mv t d/f")]
#[case::removed("cat d/f > /dev/null", "rm d/f")]
#[case::deep("cat d/deep/f > /dev/null", "echo agent >> d/deep/f")]
fn what_was_read_from_another_directory_is_not_taken_for_the_file(
    #[case] look: &str,
    #[case] change: &str,
) {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    for name in ["d/f", "d/deep/f"] {
        fixture.write(name, "one\n");
    }
    thread::sleep(Duration::from_millis(50));
    let script = format!("echo reached; read x; {look}; echo reached; read x; {change}");
    let mut agent = Agent::start_with(&fixture, &[], &script);
    let other = "mv d aside; mkdir -p d/deep; echo other > d/f; echo other > d/deep/f";
    for step in [other, "rm -r d; mv aside d"] {
        agent.reached();
        user(&fixture, step);
        agent.go_on();
    }
    let ran = agent.end();
    let status = fixture.status();
    // The kernel may know the files of the directory that was there in between.
    if ran.code == Some(1) && ran.stderr.contains("No such file") {
        assert_eq!((pending(&status).len(), stale(&status).len()), (0, 0), "{status}");
        return;
    }
    ran.expect(0);
    if pending(&status).is_empty() {
        assert_eq!(stale(&status).len(), 1, "{status}");
        return;
    }
    // The command has seen in time that the first one is back.
    let diff = fixture.run(["diff"]).expect(0);
    let diff = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert!(!diff.contains("other"), "{diff}");
}

#[test]
fn saving_one_file_of_a_directory_makes_no_other_one_stale() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    for name in ["d/f", "d/g", "d/h"] {
        fixture.write(name, "one\n");
    }
    thread::sleep(Duration::from_millis(50));
    let script = "cat d/f > /dev/null; echo reached; read x
        sed s/one/agent/ d/f > d/t; mv d/t d/f; rm d/h; echo reached; read x";
    let mut agent = Agent::start_with(&fixture, &[], script);
    agent.reached();
    user(&fixture, "echo user > d/t; mv d/t d/g; echo user > d/new; mkdir d/e");
    agent.go_on();
    agent.reached();
    user(&fixture, "rmdir d/e; echo user >> d/new");
    agent.go_on();
    agent.end().expect(0);
    let status = fixture.status();
    assert_eq!(pending(&status), ["delete d/h", "modify d/f"], "{status}");
    assert_eq!(stale(&status), BTreeSet::new());
}

/// Runs a script as the user, in the workspace.
fn user(fixture: &Fixture, script: &str) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-ec", script]).current_dir(fixture.workspace());
    let ran = end_to_end::output(&mut shell);
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_trial_while_the_command_runs_sees_what_is_pending_and_nothing_else() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    for name in ["f", "g"] {
        fixture.write(name, "one\n");
    }
    let script = "echo two >> f; echo two >> g; echo new > n; echo reached; read x
        echo three >> f; echo reached; read x";
    let mut agent = Agent::start_with(&fixture, &[], script);
    agent.reached();
    let see = |expected: &str| {
        let ran = fixture.run(["exec", "--", "sh", "-c", "cat f g; cat n 2> /dev/null || echo -"]);
        assert_eq!(String::from_utf8_lossy(&ran.expect(0).stdout), expected);
    };
    see("one\ntwo\none\ntwo\nnew\n");
    // What is rejected is still in the view of the command.
    fixture.run(["discard", "p2", "p3", "--yes"]).expect(0);
    see("one\ntwo\none\n-\n");
    agent.go_on();
    agent.reached();
    see("one\ntwo\nthree\none\n-\n");
    agent.go_on();
    agent.end().expect(0);
    assert_eq!(pending(&fixture.status()), ["modify f"]);
}

/// A generator that gives the same numbers on every machine: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const FILES: u64 = 20;
const STEPS: u64 = 40;

fn name(number: u64) -> String {
    format!("d{}/f{number}", number % 3)
}

/// A line of the command, which drops no line that it sees.
fn command_step(random: &mut Random, number: u64) -> String {
    let (name, line) = (name(random.below(FILES)), format!("command-{number}"));
    match random.below(6) {
        0 | 1 => format!("cat {name} > /dev/null 2>&1 || :"),
        2 | 3 => format!("echo {line} >> {name}"),
        4 => format!("cat {name} > t 2> /dev/null; echo {line} >> t; mv t {name}"),
        _ => format!("touch {name}"),
    }
}

/// What the user does: each write adds a line that is nowhere else.
fn user_step(fixture: &Fixture, random: &mut Random, number: u64) {
    let path = fixture.path(name(random.below(FILES)));
    let content = fs::read_to_string(&path).unwrap_or_default() + &format!("user-{number}\n");
    match random.below(5) {
        0 | 1 => fs::write(&path, content).expect("ours"),
        2 | 3 => {
            let beside = path.with_extension("beside");
            fs::write(&beside, content).expect("ours");
            fs::rename(beside, &path).expect("ours");
        }
        _ => {
            let _ = fs::remove_file(&path);
        }
    }
}

fn lines_of_the_user(path: &Path) -> BTreeSet<String> {
    let content = fs::read_to_string(path).unwrap_or_default();
    content.lines().filter(|line| line.starts_with("user-")).map(str::to_owned).collect()
}

/// One schedule; how many patches were applied.
fn schedule(seed: u64) -> Option<usize> {
    let fixture = Fixture::with_view("auto")?;
    for number in 0..FILES {
        fixture.write(name(number), "one\n");
    }
    thread::sleep(Duration::from_millis(50));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut script = String::new();
    for number in 0..STEPS {
        let step = command_step(&mut random, number);
        writeln!(script, "{step}; echo reached; read x").expect("text");
    }
    let mut agent = Agent::start_with(&fixture, &[], &script);
    for number in 0..STEPS {
        agent.reached();
        match random.below(8) {
            0..4 => user_step(&fixture, &mut random, number),
            4 => drop(fixture.status()),
            5 => thread::sleep(Duration::from_millis(20)),
            _ => {}
        }
        agent.go_on();
    }
    agent.end().expect(0);
    let status = fixture.status();
    let applied = pending(&status).len();
    let paths: Vec<_> = (0..FILES).map(|number| fixture.path(name(number))).collect();
    let before: Vec<_> = paths.iter().map(|path| lines_of_the_user(path)).collect();
    if applied > 0 {
        fixture.run(["apply", "--yes", "--rest"]).expect(0);
    }
    for (path, before) in paths.iter().zip(before) {
        let after = lines_of_the_user(path);
        assert!(
            after.is_superset(&before),
            "seed {seed}: {path:?} lost {:?}: {script}",
            &before - &after
        );
    }
    Some(applied)
}

#[test]
fn no_line_of_the_user_is_lost_by_any_schedule() {
    let schedules = std::env::var("SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let applied: Option<Vec<usize>> = (1..=schedules).map(schedule).collect();
    let Some(applied) = applied else { return };
    assert!(applied.iter().sum::<usize>() > 0, "everything was stale");
}
