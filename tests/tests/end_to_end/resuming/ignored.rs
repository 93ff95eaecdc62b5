//! Ignored files and the pending patches with which a view begins.

use end_to_end::{Fixture, Ran};
use rstest::rstest;

use super::{run, step, workspace};
use crate::running::{pending, tick};

fn run_with(fixture: &Fixture, globs: &[&str], script: &str) -> Ran {
    let mut arguments = vec!["run", "--session", "agent"];
    arguments.extend(globs.iter().flat_map(|glob| ["--propose-ignored", *glob]));
    fixture.run([&arguments, &["--", "sh", "-c", script][..]].concat()).expect(0)
}

fn take(fixture: &Fixture, path: &str) -> Ran {
    fixture.run(["propose", "--from-session", "agent", path]).expect(0)
}

/// A workspace with an ignored directory that nobody changes.
fn with_dist() -> Option<Fixture> {
    let fixture = workspace()?;
    fixture.write(".gitignore", "*.log\ndist/\n.env\n");
    fixture.write("dist/old.js", "old\n");
    fixture.write("dist/old.map", "old\n");
    fixture.write("dist/sub/deep.js", "old\n");
    fixture.write(".env", "KEY=1\n");
    tick();
    Some(fixture)
}

#[rstest]
#[case::beside_a_removed_file("run rm -r mixed", "")]
#[case::in_a_directory_that_was_made_again(
    "run rm -r mixed; mkdir mixed; echo new > mixed/new.log; echo x > mixed/n",
    "mixed/new.log\n"
)]
#[case::in_a_private_directory(
    "run rm -r mixed; mkdir -p mixed/x.log; echo new > mixed/x.log/y; echo x > mixed/n",
    "mixed/x.log\nmixed/x.log/y\n"
)]
fn a_removed_ignored_file_stays_removed(#[case] first: &str, #[case] expected: &str) {
    let Some(fixture) = workspace() else { return };
    fixture.write("mixed/x.log/old", "ignored\n");
    step(&fixture, "auto", first);
    for end in ["reject all", "run true"] {
        let listed = run(&fixture, "auto", "find mixed -path '*log*' | sort").expect(0);
        assert_eq!(String::from_utf8_lossy(&listed.stdout), expected, "before {end}");
        step(&fixture, "auto", end);
    }
    let listed = run(&fixture, "auto", "cat mixed/a; ls mixed/n").stdout;
    assert_eq!(String::from_utf8_lossy(&listed), "in mixed\n", "what was rejected is not seen");
    assert!(fixture.path("mixed/x.log/old").exists() && fixture.path("mixed/old.log").exists());
}

#[test]
fn a_new_directory_keeps_its_ignored_files_and_is_not_proposed_without_others() {
    let Some(fixture) = workspace() else { return };
    step(
        &fixture,
        "auto",
        "run mkdir -p n/out; echo x > n/m; echo y > n/out/y.log; echo z > n/z.log",
    );
    assert_eq!(pending(&fixture.status()), ["create n/m", "create n/out"]);
    step(&fixture, "auto", "reject all");
    let seen = run(&fixture, "auto", "find n | sort; cat n/z.log").expect(0);
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "n\nn/out\nn/out/y.log\nn/z.log\nz\n");
    assert_eq!(pending(&fixture.status()), [""; 0]);
    step(&fixture, "auto", "run echo again > n/m");
    assert_eq!(pending(&fixture.status()), ["create n/m"]);
}

#[test]
fn a_patch_of_an_ignored_file_is_seen_and_changed() {
    let Some(fixture) = workspace() else { return };
    step(&fixture, "auto", "put x.log new");
    step(&fixture, "auto", "run echo more >> x.log; echo private > y.log");
    assert_eq!(pending(&fixture.status()), ["create x.log"]);
    let seen = run(&fixture, "auto", "cat x.log y.log").expect(0);
    assert_eq!(seen.stdout, b"new\nmore\nprivate\n");
    // A private file of the session is not hidden by a patch, and not proposed.
    step(&fixture, "auto", "put y.log proposed");
    step(&fixture, "auto", "run grep -q private y.log; echo more >> y.log");
    assert_eq!(fixture.run(["cat", "y.log", "--session", "agent"]).stdout, b"proposed\n");
    // A move to its path does not hide it either, and removes the file at the other one.
    step(&fixture, "auto", "reject y.log");
    step(&fixture, "auto", "mv f y.log");
    step(&fixture, "auto", "run test ! -e f; grep -q private y.log; echo more >> y.log");
    assert_eq!(fixture.run(["cat", "y.log", "--session", "agent"]).stdout, b"one\n");
    assert_eq!(pending(&fixture.status()), ["create x.log", "rename f"]);
}

#[rstest]
#[case::a_directory("dist/")]
#[case::some_in_a_directory("dist/**/*.js")]
fn what_a_glob_proposes_is_seen_until_it_is_rejected(#[case] glob: &str) {
    let Some(fixture) = with_dist() else { return };
    let script =
        "echo a > dist/app.js; echo m > dist/app.map; echo two > dist/old.js; echo K > .env";
    run_with(&fixture, &[glob], script);
    let proposed = pending(&fixture.status());
    let seen = "cat dist/app.js dist/app.map dist/old.js .env";
    let ran = run(&fixture, "auto", seen).expect(0);
    assert_eq!(ran.stdout, b"a\nm\ntwo\nK\n", "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), proposed, "nothing is proposed twice");
    let told = "ignored, but proposed by your globs: dist/app.js";
    assert!(ran.stderr.contains(told), "a pending patch makes no tracked file: {}", ran.stderr);
    step(&fixture, "auto", "reject all");
    let script = "test ! -e dist/app.js; cat dist/old.js .env; ls dist/app.map";
    let ran = run(&fixture, "auto", script);
    let is_whole = glob == "dist/";
    let expected: &[u8] = if is_whole { b"old\nK\n" } else { b"old\nK\ndist/app.map\n" };
    assert_eq!(ran.stdout, expected, "what is private stays: {}", ran.stderr);
    assert_eq!(pending(&fixture.status()), [""; 0], "what was rejected does not come back");
    run(&fixture, "auto", "echo b > dist/app.js").expect(0);
    assert_eq!(pending(&fixture.status()), ["create dist/app.js"]);
}

#[test]
fn a_removed_ignored_directory_of_which_some_is_proposed_is_rejected_in_part() {
    let Some(fixture) = with_dist() else { return };
    run_with(&fixture, &["dist/**/*.js"], "rm -r dist");
    let expected = ["delete dist/old.js", "delete dist/sub/deep.js"];
    assert_eq!(pending(&fixture.status()), expected);
    let seen = "find dist -type f | sort";
    assert_eq!(run(&fixture, "auto", seen).stdout, b"");
    assert_eq!(pending(&fixture.status()), expected);
    step(&fixture, "auto", "reject all");
    for _ in 0..2 {
        let ran = run(&fixture, "auto", seen).expect(0);
        let seen = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(seen, "dist/old.js\ndist/sub/deep.js\n", "what is private stays removed");
        assert_eq!(pending(&fixture.status()), [""; 0], "{}", ran.stderr);
    }
    assert!(fixture.path("dist/old.map").exists());
}

#[test]
fn what_was_taken_stays_private_to_the_session() {
    let Some(fixture) = with_dist() else { return };
    run(&fixture, "auto", "echo a > dist/app.js; echo KEY=2 > .env").expect(0);
    take(&fixture, "dist/app.js");
    let ran = run(&fixture, "auto", "cat dist/app.js; echo b >> dist/app.js").expect(0);
    assert_eq!(ran.stdout, b"a\n");
    let cat = ["cat", "dist/app.js", "--session", "agent"];
    assert_eq!(fixture.run(cat).stdout, b"a\n", "what a command writes to it later stays private");
    step(&fixture, "auto", "reject all");
    let ran = run(&fixture, "auto", "cat dist/app.js .env").expect(0);
    assert_eq!(ran.stdout, b"a\nb\nKEY=2\n", "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), [""; 0], "what was rejected does not come back");
    take(&fixture, "dist/app.js");
    run(&fixture, "auto", "rm dist/app.js; test ! -e dist/app.js").expect(0);
    take(&fixture, "dist");
    assert_eq!(pending(&fixture.status()), [""; 0], "what has gone is withdrawn");
}

#[test]
fn a_patch_below_what_a_session_has_removed_is_hidden_and_kept() {
    let Some(fixture) = with_dist() else { return };
    run(&fixture, "auto", "rm -r dist").expect(0);
    step(&fixture, "auto", "put dist/other.js new");
    for script in ["test ! -e dist", "mkdir dist; echo private > dist/mine"] {
        let ran = run(&fixture, "auto", script).expect(0);
        assert_eq!(pending(&fixture.status()), ["create dist/other.js"], "{}", ran.stderr);
    }
}

#[test]
fn a_new_file_beside_ignored_ones_is_proven_when_the_user_has_changed_the_directory() {
    let Some(fixture) = with_dist() else { return };
    run_with(&fixture, &["dist/"], "echo x > d/x.log; echo two >> d/a");
    fixture.write("d/user", "mine\n");
    let ran = run(&fixture, "auto", "echo x > d/new; echo two >> d/sub/b; rm d/user").expect(0);
    let expected = ["create d/new", "delete d/user", "modify d/a", "modify d/sub/b"];
    assert_eq!(pending(&fixture.status()), expected, "{}", ran.stderr);
}

/// The session's version was made from what the user had when it was written.
#[rstest]
#[case::edited("echo mine > .env", true)]
#[case::removed("rm .env", true)]
#[case::left_alone("true", false)]
fn a_private_file_that_is_wanted_later_keeps_its_base(#[case] user: &str, #[case] is_stale: bool) {
    let Some(fixture) = with_dist() else { return };
    run(&fixture, "auto", "echo two >> .env").expect(0);
    let shell = ["-c", user];
    let mut user = std::process::Command::new("sh");
    assert!(user.args(shell).current_dir(fixture.workspace()).status().expect("it runs").success());
    tick();
    for _ in 0..2 {
        run(&fixture, "auto", "grep -q two .env").expect(0);
        assert_eq!(pending(&fixture.status()), [""; 0], "it is private");
    }
    run_with(&fixture, &[".env"], "true");
    let expected: &[&str] = if is_stale { &[] } else { &["modify .env"] };
    assert_eq!(pending(&fixture.status()), expected);
}
