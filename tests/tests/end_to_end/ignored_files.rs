//! Ignored files that a command of `greenroom run` writes: those that the user wants are proposed.

use std::fs;

use end_to_end::{Fixture, Ran, git};
use rstest::rstest;

use crate::running::{Agent, pending, tick};

/// A repository that ignores `dist/`, `cache` and `.env`.
fn repository() -> Option<Fixture> {
    let fixture = Fixture::with_view("auto")?;
    for (name, content) in [
        (".gitignore", "dist/\ncache\n.env\n"),
        (".env", "KEY=1\n"),
        ("dist/old.js", "old\n"),
        ("dist/kept.js", "old\n"),
        ("cache/x", "old\n"),
        ("f", "one\n"),
    ] {
        fixture.write(name, content);
    }
    git(&fixture.workspace(), &["add", "."]);
    tick();
    Some(fixture)
}

fn run(fixture: &Fixture, globs: &[&str], script: &str) -> Ran {
    let mut arguments = vec!["run", "--session", "agent"];
    arguments.extend(globs.iter().flat_map(|glob| ["--propose-ignored", *glob]));
    fixture.run([&arguments, &["--", "sh", "-c", script][..]].concat())
}

fn take(fixture: &Fixture, paths: &[&str]) -> Ran {
    fixture.run([&["propose", "--from-session", "agent"], paths].concat())
}

/// The paths of the patches that are stale.
fn stale(fixture: &Fixture) -> Vec<String> {
    let status = fixture.status();
    let sessions = status["sessions"].as_array().expect("a list").iter();
    let lapsed = sessions.flat_map(|session| session["lapsed"].as_array()).flatten();
    lapsed.map(|patch| patch["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn ignored_files_that_match_a_glob_are_proposed() {
    let Some(fixture) = repository() else { return };
    let before = fixture.tree();
    let script = "echo a > dist/app.js; echo m > dist/app.map; rm dist/old.js
        echo x > dist/deep.js.txt; mkdir dist/sub empty; echo KEY=2 > .env; echo two >> f";
    let ran = run(&fixture, &["dist/**/*.js", "empty"], script).expect(0);
    let expected = ["create dist/app.js", "create empty", "delete dist/old.js", "modify f"];
    assert_eq!(pending(&fixture.status()), expected);
    for part in [
        "ignored, but proposed by your globs: dist/app.js, dist/old.js\n",
        "3 ignored files (10 bytes) stay in the session; changed: .env\n",
    ] {
        assert!(ran.stderr.contains(part), "{part}{}", ran.stderr);
    }
    assert_eq!(fixture.tree(), before);
    // The session's later commands propose them as well.
    run(&fixture, &[], "rm -r dist; test ! -e dist/app.js").expect(0);
    let expected = ["create empty", "delete dist/kept.js", "delete dist/old.js", "modify f"];
    assert_eq!(pending(&fixture.status()), expected);
    fixture.run(["apply", "--yes"]).expect(0);
    assert!(!fixture.path("dist/kept.js").exists());
    assert_eq!(fixture.read(".env"), b"KEY=1\n");
}

#[rstest]
#[case::by_glob("*")]
#[case::by_name(".git")]
#[case::by_path("/.git/**")]
fn git_s_own_files_are_never_proposed(#[case] glob: &str) {
    let Some(fixture) = repository() else { return };
    let script = "echo x > .git/description; git init -q cache/inner; echo y > cache/y";
    run(&fixture, &[glob], script).expect(0);
    let expected: &[&str] =
        if glob == "*" { &["create cache/inner", "create cache/y"] } else { &[] };
    assert_eq!(pending(&fixture.status()), expected);
    for path in [".git", ".git/description", "cache/inner/.git/config"] {
        let ran = take(&fixture, &[path]).expect(4);
        assert!(ran.stderr.contains("belongs to git"), "{}", ran.stderr);
    }
}

#[test]
fn the_configuration_names_ignored_files_that_are_proposed() {
    let Some(fixture) = repository() else { return };
    fixture.configure("[run]\npropose_ignored = [\"dist/\", \"!*.map\"]\n");
    run(&fixture, &[], "echo a > dist/app.js; echo m > dist/app.map").expect(0);
    assert_eq!(pending(&fixture.status()), ["create dist/app.js"]);
    fixture.configure("[run]\npropose_ignored = [\"\"]\n");
    let ran = run(&fixture, &[], "true").expect(125);
    assert!(ran.stderr.contains("expected a list of globs"), "{}", ran.stderr);
}

#[rstest]
#[case::a_file(".env", "echo two >> .env", None, false)]
#[case::a_file_that_the_user_edited(".env", "echo two >> .env", Some(".env"), true)]
#[case::below_an_ignored_directory("dist/kept.js", "echo two >> dist/kept.js", None, false)]
#[case::below_an_edited_directory("dist/kept.js", "echo two >> dist/kept.js", Some("dist/x"), true)]
#[case::edited_below("dist/kept.js", "echo two >> dist/kept.js", Some("dist/kept.js"), true)]
#[case::replaced("dist/kept.js", "echo two > t; mv t dist/kept.js", Some("dist/kept.js"), true)]
#[case::removed("cache/x", "rm cache/x", None, false)]
#[case::removed_and_edited("cache/x", "rm cache/x", Some("cache/x"), true)]
#[case::created_by_both("cache/new", "echo two > cache/new", Some("cache/new"), true)]
fn a_base_of_an_ignored_file_is_proven_or_the_patch_is_stale(
    #[case] path: &str,
    #[case] script: &str,
    #[case] edited: Option<&str>,
    #[case] is_stale: bool,
    #[values(false, true)] by_glob: bool,
) {
    let Some(fixture) = repository() else { return };
    run(&fixture, &[], script).expect(0);
    assert_eq!(pending(&fixture.status()), [""; 0]);
    if let Some(edited) = edited {
        fixture.write(edited, "user\n");
        tick();
    }
    if by_glob {
        // What the session has written is no newer for being wanted later.
        run(&fixture, &["*"], "true").expect(0);
    } else {
        take(&fixture, &[path]).expect(0);
    }
    let expected: &[&str] = if is_stale { &[path] } else { &[] };
    assert_eq!(stale(&fixture), expected);
    assert_eq!(pending(&fixture.status()).len(), usize::from(!is_stale));
    if let Some(edited) = edited {
        assert_eq!(fixture.read(edited), b"user\n");
    }
}

#[rstest]
fn an_ignored_file_that_the_user_removed_is_not_created_again(
    #[values(".env", "dist/kept.js")] path: &str,
    #[values(false, true)] by_glob: bool,
) {
    let Some(fixture) = repository() else { return };
    run(&fixture, &[], &format!("echo two >> {path}")).expect(0);
    fs::remove_file(fixture.path(path)).expect("it is there");
    if by_glob {
        run(&fixture, &["*"], "true").expect(0);
    } else {
        take(&fixture, &[path]).expect(0);
    }
    assert_eq!(stale(&fixture), [path]);
    assert_eq!(pending(&fixture.status()), [""; 0]);
}

#[test]
fn ignored_files_are_taken_while_the_command_runs_and_again_later() {
    let Some(fixture) = repository() else { return };
    let script = "mkdir -p dist/sub; echo 1 > dist/sub/a; echo 1 > cache/b; echo reached; read x
        echo 2 > dist/sub/a; echo reached; read x";
    let mut agent = Agent::start(&fixture, script);
    agent.reached();
    let ran = take(&fixture, &["dist"]).expect(0);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("create dist/sub/a"));
    assert_eq!(pending(&fixture.status()), ["create dist/sub/a"], "nothing else is taken");
    fixture.run(["apply", "--yes"]).expect(0);
    agent.go_on();
    agent.reached();
    assert_eq!(pending(&fixture.status()), [""; 0], "it is taken as it was");
    take(&fixture, &["dist/sub/a", "cache"]).expect(0);
    let expected = ["create cache/b", "modify dist/sub/a"];
    assert_eq!(pending(&fixture.status()), expected, "it was made from what was applied");
    agent.go_on();
    agent.end().expect(0);
    fixture.run(["discard", "agent"]).expect(0);
    take(&fixture, &["cache/b"]).expect(0);
    assert_eq!(pending(&fixture.status()), ["create cache/b"], "who asks again gets it again");
    run(&fixture, &[], "rm cache/b").expect(0);
    take(&fixture, &["cache"]).expect(0);
    assert_eq!(pending(&fixture.status()), [""; 0], "what has gone is withdrawn");
}

#[test]
fn a_removed_ignored_directory_is_taken_whole() {
    let Some(fixture) = repository() else { return };
    let ran = run(&fixture, &[], "rm -r dist cache; mkdir dist; echo new > dist/kept.js").expect(0);
    assert!(!ran.stderr.contains("stale"), "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), [""; 0]);
    take(&fixture, &["cache", "dist"]).expect(0);
    let expected = ["delete cache/x", "delete dist/old.js", "modify dist/kept.js"];
    assert_eq!(pending(&fixture.status()), expected);
}

#[rstest]
#[case::misspelt(&["--from-session", "agent", "dist/ap.js"], "Did you mean `dist/app.js`?")]
#[case::nothing_there(&["--from-session", "agent", "zzz"], "have written no ignored file `zzz`")]
#[case::not_ignored(&["--from-session", "agent", "f"], "`f` is not ignored")]
#[case::unknown_session(&["--from-session", "agnet", "dist"], "Did you mean `agent`?")]
#[case::outside(&["--from-session", "agent", "../x"], "is outside of the workspace")]
#[case::one_of_several(&["--from-session", "agent", "dist", "zzz"], "no ignored file `zzz`")]
#[case::with_content(&["--from-session", "agent", "dist", "--from", "x"], "cannot be used with")]
#[case::several_without_a_session(&["dist", "cache"], "several are taken with --from-session")]
fn what_cannot_be_taken_is_refused_with_a_remedy(#[case] arguments: &[&str], #[case] part: &str) {
    let Some(fixture) = repository() else { return };
    run(&fixture, &[], "echo a > dist/app.js; echo two >> f").expect(0);
    let ran = fixture.run([&["propose"], arguments].concat());
    assert!(ran.code != Some(0) && ran.stderr.contains(part), "{}", ran.stderr);
    assert_eq!(pending(&fixture.status()), ["modify f"], "nothing is staged");
}

#[test]
fn a_command_that_joins_a_view_cannot_propose_other_ignored_files() {
    let Some(fixture) = repository() else { return };
    let script = "echo a > dist/a.js; echo reached; read x";
    let mut agent = Agent::start_with(&fixture, &["--propose-ignored", "dist/"], script);
    agent.reached();
    let ran = run(&fixture, &["cache"], "true").expect(125);
    assert!(ran.stderr.contains("runs without `--propose-ignored cache`"), "{}", ran.stderr);
    run(&fixture, &["dist/"], "echo b > dist/b.js").expect(0);
    run(&fixture, &[], "echo c > dist/c.js").expect(0);
    let expected = ["create dist/a.js", "create dist/b.js", "create dist/c.js"];
    assert_eq!(pending(&fixture.status()), expected);
    agent.go_on();
    agent.end().expect(0);
}
