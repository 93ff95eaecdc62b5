//! What a later view shows of files that a user, a reviewer or a command has changed meanwhile, and what stays
//! in the session.

use std::fs;
use std::process::Command;

use end_to_end::Fixture;

use super::{run, step, workspace};
use crate::running::{Agent, pending};

#[test]
fn what_cannot_be_proposed_stays_in_the_session() {
    let Some(fixture) = workspace() else { return };
    let ran = run(&fixture, "auto", "mkfifo fifo; truncate -s 3G long; chmod 750 d; echo two >> f");
    let told = ran.expect(0).stderr;
    for _ in 0..2 {
        let ran = run(&fixture, "auto", "test -p fifo; stat -c '%s %a' long d; cat f").expect(0);
        let seen = String::from_utf8_lossy(&ran.stdout);
        assert!(seen.starts_with("3221225472 "), "{seen}");
        assert!(seen.contains(" 750\n") && seen.ends_with("one\ntwo\n"), "{seen}");
        for part in ["`fifo`: a socket", "`long`: it is longer", "`d`: only the mode"] {
            assert!(told.contains(part) && ran.stderr.contains(part), "{part}{}", ran.stderr);
        }
    }
    assert_eq!(pending(&fixture.status()), ["modify f"]);
}

#[test]
fn a_refreshed_patch_is_seen_and_changed_on_its_new_base() {
    let Some(fixture) = workspace() else { return };
    let lines = |second: &str, last: &str| format!("1\n{second}\n3\n4\n5\n6\n7\n8\n9\n{last}\n");
    fixture.write("f", lines("2", "10"));
    step(&fixture, "auto", "run sed -i s/^2$/two/ f");
    fixture.write("f", lines("2", "user"));
    fixture.run(["status"]).expect(0);
    fixture.run(["refresh", "p1"]).expect(0);
    let ran = run(&fixture, "auto", "cat f; sed -i s/^4$/four/ f").expect(0);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), lines("two", "user"));
    assert_eq!(pending(&fixture.status()), ["modify f"], "{}", ran.stderr);
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("f"), lines("two", "user").replace("4", "four").into_bytes());
}

#[test]
fn a_user_s_save_of_a_file_that_a_view_shows_patched_is_not_lost() {
    let Some(fixture) = workspace() else { return };
    step(&fixture, "auto", "put f two");
    let saved = format!("echo mine > '{}'", fixture.path("f").display());
    let mut user = Command::new("sh");
    user.args([
        "-c",
        &format!(
            "until [ -e '{0}' ]; do sleep 0.02; done; {saved}; : > '{1}'",
            fixture.beside("now").display(),
            fixture.beside("saved").display()
        ),
    ]);
    let mut user = end_to_end::spawn(&mut user);
    let script = format!(
        ": > '{}'; until [ -e '{}' ]; do sleep 0.02; done; cat f; echo three >> f",
        fixture.beside("now").display(),
        fixture.beside("saved").display()
    );
    let ran = run(&fixture, "auto", &script).expect(0);
    user.wait().expect("it ends");
    assert_eq!(ran.stdout, b"two\n");
    assert!(ran.stderr.contains("stale: `f` changed while the command ran"), "{}", ran.stderr);
    assert_eq!(fixture.read("f"), b"mine\n");
    assert_eq!(pending(&fixture.status()), [""; 0]);
    let seen = run(&fixture, "auto", "cat f").expect(0);
    assert_eq!(seen.stdout, b"mine\n", "a stale patch is not shown");
}

#[test]
fn a_file_keeps_the_time_at_which_a_command_has_written_it() {
    let Some(fixture) = workspace() else { return };
    step(
        &fixture,
        "auto",
        "run echo x > n; touch -d '2020-01-02 03:04:05.678 UTC' n; echo o > built.log",
    );
    for _ in 0..2 {
        let ran = run(&fixture, "auto", "test built.log -nt n && stat -c %Y n").expect(0);
        assert_eq!(ran.stdout, b"1577934245\n");
    }
}

/// The state directory of the only capture.
fn capture(fixture: &Fixture) -> std::path::PathBuf {
    let mut all = fs::read_dir(fixture.state_dir().join("captures")).expect("readable");
    all.next().expect("one").expect("readable").path()
}

#[test]
fn what_is_staged_is_not_in_the_upper_directory_any_more() {
    let Some(fixture) = workspace() else { return };
    step(
        &fixture,
        "auto",
        "run echo two >> f; rm g; rm -r d; mkdir -p d n/o; echo x > d/n; ln -s f l",
    );
    step(&fixture, "auto", "run true");
    let left = fs::read_dir(capture(&fixture).join("upper")).expect("readable");
    let left: Vec<_> = left.map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(left, [""; 0]);
}

/// The decision is made while the view lives: nothing has left the upper directory yet.
#[test]
fn what_was_applied_in_the_same_view_and_goes_with_its_directory_is_proposed() {
    let Some(fixture) = workspace() else { return };
    let script = "echo two > d/new; mkdir e; echo two > e/new; echo reached; read x; rm -r d e";
    let mut agent = Agent::start(&fixture, script);
    agent.reached();
    fixture.run(["apply", "--yes"]).expect(0);
    agent.go_on();
    agent.end().expect(0);
    let expected = ["delete d/a", "delete d/new", "delete d/sub/b", "delete e/new"];
    assert_eq!(pending(&fixture.status()), expected);
    fixture.run(["apply", "--yes"]).expect(0);
    assert!(!fixture.path("d").exists() && !fixture.path("e").exists());
}
