//! What recovery says, whoever recovers, and which workspaces `recover --all` visits.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use end_to_end::{Fixture, Ran, output, spawn};
use serde_json::Value;

/// Attempts at killing an apply; each waits for two seconds for what the test keeps locked.
const KILLS_MAX: usize = 20;

fn run_in(stage: &Fixture, dir: &Path, arguments: &[&str]) -> Ran {
    output(stage.command(arguments).current_dir(dir)).into()
}

fn text(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn events(stage: &Fixture, dir: &Path) -> Vec<Value> {
    let log = run_in(stage, dir, &["log", "--json"]).expect(0).json();
    log["events"].as_array().expect("a list").clone()
}

/// Changes of the files `a` and `b` in an apply that is killed after it began and before it
/// changed anything: it waits for a lock on the workspace's directory, which the test holds.
fn break_apply(stage: &Fixture, dir: &Path) {
    for name in ["a", "b"] {
        fs::write(dir.join(name), format!("base of {name}\n")).expect("it is ours");
        let content = stage.beside("content");
        fs::write(&content, format!("new {name}\n")).expect("it is ours");
        let content = content.to_str().expect("a plain path");
        run_in(stage, dir, &["propose", name, "--from", content]).expect(0);
    }
    let held = File::open(dir).expect("a directory opens");
    held.lock().expect("nobody else locks it");
    for _ in 0..KILLS_MAX {
        let begun = |events: &[Value]| {
            events.iter().filter(|event| event["event"] == "apply_started").count()
        };
        let before = begun(&events(stage, dir));
        let mut command = stage.command(["apply", "--yes"]);
        command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let mut apply = spawn(&mut command);
        while begun(&events(stage, dir)) == before {}
        apply.kill().expect("it is our child");
        // Else it has grown tired of waiting, and gave up.
        if apply.wait().expect("it is our child").code().is_none() {
            return;
        }
    }
    panic!("every apply ended before it was killed");
}

/// The same with one of the two files changed.
fn break_half_way(stage: &Fixture, dir: &Path) {
    break_apply(stage, dir);
    fs::write(dir.join("a"), "new a\n").expect("it is ours");
}

/// Damages a stored content.
fn tear(stage: &Fixture, content: &[u8]) {
    let blobs = fs::read_dir(stage.state_dir().join("blobs")).expect("listed");
    let mut torn = 0;
    for pack in blobs.map(|entry| entry.expect("readable").path()).filter(|path| path.is_file()) {
        let bytes = fs::read(&pack).expect("ours");
        for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(content)) {
            let pack = File::options().write(true).open(&pack).expect("ours");
            pack.write_all_at(&vec![b'!'; content.len()], at as u64).expect("ours");
            torn += 1;
        }
    }
    assert!(torn > 0, "it is stored somewhere");
}

/// Another workspace with states beside the stage's own.
fn another(stage: &Fixture, name: &str) -> PathBuf {
    let dir = stage.beside(name);
    fs::create_dir_all(dir.join(".git")).expect("it is new");
    dir
}

/// The state directory of a workspace that has just been made.
fn state_of(stage: &Fixture, dir: &Path) -> PathBuf {
    let name = dir.file_name().expect("named").to_str().expect("plain");
    let states = fs::read_dir(stage.beside("state")).expect("listed");
    let mut states = states.map(|entry| entry.expect("readable").path());
    let is_its = |state: &PathBuf| {
        let state = state.file_name().and_then(|state| state.to_str());
        state.is_some_and(|state| state.starts_with(&format!("{name}-")))
    };
    states.find(is_its).expect("a command has run there")
}

#[test]
fn a_command_says_once_which_broken_apply_it_finished_on_its_way() {
    let stage = Fixture::new();
    break_half_way(&stage, &stage.workspace());
    let status = stage.run(["status", "-v"]).expect(0);
    assert_eq!(stage.read("b"), b"new b\n");
    let apply = events(&stage, &stage.workspace())
        .iter()
        .rfind(|event| event["event"] == "recovered")
        .map(|event| event["apply"].as_str().expect("an id").to_owned());
    let apply = apply.expect("it was recovered");
    for part in [
        format!("recovered: {apply} was interrupted and is now finished (2 files)"),
        format!("`greenroom undo {apply}` takes it back"),
        "files: a, b".to_owned(),
        "the store's record was used".to_owned(),
    ] {
        assert!(status.stderr.contains(&part), "{part}: {}", status.stderr);
    }
    let again = stage.run(["status"]).expect(0);
    assert!(!again.stderr.contains("recovered"), "{}", again.stderr);
    stage.run(["undo", &apply]).expect(0);
    assert_eq!(stage.read("a"), b"base of a\n", "the next step is one");
}

#[test]
fn the_object_of_any_command_has_what_it_recovered_and_errors_have_it_too() {
    let stage = Fixture::new();
    break_half_way(&stage, &stage.workspace());
    let failed = stage.run(["show", "p99", "--json"]).expect(1);
    let object = failed.json();
    assert_eq!(object["error"]["kind"], "not_found");
    let recovered = &object["recovery"]["recovered"][0];
    assert_eq!(recovered["outcome"], "committed", "{object}");
    assert_eq!(recovered["files"], serde_json::json!(["a", "b"]), "{object}");
    assert_eq!(recovered["from_record"], true, "{object}");
    assert!(failed.stderr.contains("recovered: "), "{}", failed.stderr);
    assert!(stage.status().get("recovery").is_none(), "what did not happen is left out");
}

#[test]
fn gc_says_what_it_recovered() {
    let stage = Fixture::new();
    break_apply(&stage, &stage.workspace());
    let swept = stage.run(["gc", "--json"]).expect(0);
    assert_eq!(swept.json()["recovery"]["recovered"][0]["outcome"], "rolled_back");
    assert!(swept.stderr.contains("is now rolled back (2 files)"), "{}", swept.stderr);
}

#[test]
fn recover_says_what_it_rolled_back_and_what_can_be_done_with_it() {
    let stage = Fixture::new();
    break_apply(&stage, &stage.workspace());
    let recovered = text(&stage.run(["recover"]).expect(0));
    assert!(recovered.contains("was interrupted and is now rolled back (2 files)"), "{recovered}");
    assert!(recovered.contains("its patches can be decided again"), "{recovered}");
    assert_eq!(stage.pending(), 2);
    assert_eq!(text(&stage.run(["recover"]).expect(0)), "no interrupted apply\n");
}

#[test]
fn an_apply_in_doubt_is_reported_with_what_to_do_by_every_recovery_until_it_is_acknowledged() {
    let stage = Fixture::new();
    break_half_way(&stage, &stage.workspace());
    tear(&stage, b"new b\n");
    tear(&stage, b"base of a\n");
    let status = stage.run(["status", "--json"]).expect(0);
    let apply = status.json()["in_doubt"][0]["apply"].as_str().expect("one").to_owned();
    assert!(status.stderr.contains(&format!("{apply} is in doubt (2 files)")), "{}", status.stderr);
    for _ in 0..2 {
        let recovered = stage.run(["recover"]).expect(5);
        assert!(text(&recovered).contains("cannot be finished or rolled back"));
        let remedy = format!("`greenroom recover --acknowledge {apply}`");
        assert!(recovered.stderr.contains(&remedy), "{}", recovered.stderr);
    }
    let all = stage.run(["recover", "--all", "--json"]).expect(5).json();
    assert_eq!(all["workspaces"][0]["result"], "in_doubt", "{all}");
    let doctor = text(&stage.run(["doctor"]).expect(1));
    assert!(doctor.contains(&format!("BAD  workspace: {apply} in doubt")), "{doctor}");
    stage.write("a", "base of a\n");
    stage.run(["recover", "--acknowledge", &apply]).expect(0);
    stage.run(["recover", "--all"]).expect(0);
}

#[test]
fn recover_all_visits_every_workspace_and_one_that_is_gone_or_in_use_does_not_stop_it() {
    let stage = Fixture::new();
    let dirs: Vec<PathBuf> =
        ["gone", "in-use", "last"].iter().map(|name| another(&stage, name)).collect();
    let [gone, in_use, last] = dirs.as_slice() else { panic!("three") };
    run_in(&stage, &stage.workspace(), &["status"]).expect(0);
    for dir in &dirs {
        break_half_way(&stage, dir);
    }
    let away = stage.beside("away");
    fs::rename(gone, &away).expect("renamed");
    let lock = File::open(state_of(&stage, in_use).join("lock")).expect("there is one");
    lock.lock().expect("nobody is at it");

    let elsewhere = Path::new("/");
    let ran = run_in(&stage, elsewhere, &["recover", "--all", "--json"]).expect(5);
    let object = ran.json();
    let mut results: Vec<_> = object["workspaces"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|each| {
            let named = each["workspace"].as_str().expect("known").to_owned();
            (PathBuf::from(named), each["result"].as_str().expect("a word").to_owned())
        })
        .collect();
    results.sort();
    let expected = [(gone, "gone"), (in_use, "locked"), (last, "recovered")];
    let expected: Vec<_> =
        expected.iter().map(|(dir, word)| ((*dir).clone(), (*word).to_owned())).collect();
    assert_eq!(results, expected, "{object}");
    assert!(ran.stderr.contains("2 workspaces have an apply that is not finished"));
    assert_eq!(fs::read(last.join("b")).expect("there"), b"new b\n");
    assert_eq!(fs::read(in_use.join("b")).expect("there"), b"base of b\n", "left to the other");

    drop(lock);
    fs::rename(&away, gone).expect("renamed");
    let ran = run_in(&stage, elsewhere, &["recover", "--all"]).expect(0);
    for dir in [gone, in_use] {
        assert!(text(&ran).contains(&format!("workspace {}\n", dir.display())), "{}", text(&ran));
        assert_eq!(fs::read(dir.join("b")).expect("there"), b"new b\n");
    }
    assert_eq!(text(&ran).matches("is now finished (2 files)").count(), 2, "{}", text(&ran));
    let ran = run_in(&stage, elsewhere, &["recover", "--all"]).expect(0);
    assert_eq!(text(&ran), "no workspace has an interrupted apply\n");
}

#[test]
fn recover_all_is_about_no_single_workspace() {
    let stage = Fixture::new();
    stage.run(["recover", "--all", "--adopt"]).expect(2);
    stage.run(["recover", "--all", "--acknowledge", "a1"]).expect(2);
    stage.run(["recover", "--all", "--workspace", "."]).expect(2);
}

#[test]
fn doctor_reports_broken_applies_here_and_elsewhere_and_leaves_them() {
    let stage = Fixture::new();
    let other = another(&stage, "other");
    break_apply(&stage, &stage.workspace());
    run_in(&stage, &other, &["propose", "a", "--from", "/dev/null"]).expect(0);
    for _ in 0..2 {
        let here = text(&stage.run(["doctor"]).expect(0));
        assert!(here.contains("an apply is running or was interrupted (a1"), "{here}");
        assert!(here.contains("other workspaces: no apply was interrupted in them"), "{here}");
        let there = text(&run_in(&stage, &other, &["doctor"]).expect(0));
        assert!(there.contains("no apply was interrupted\n"), "{there}");
        let line = format!("in `{}`: `greenroom recover --all`", stage.workspace().display());
        assert!(there.contains(&line), "{there}");
    }
    let recovered = text(&stage.run(["recover"]).expect(0));
    assert!(recovered.contains("is now rolled back (2 files)"), "{recovered}");
    let here = text(&stage.run(["doctor"]).expect(0));
    assert!(here.contains("no apply was interrupted\n"), "{here}");
}

#[test]
fn an_open_journal_is_reported_and_a_foreign_one_is_quarantined_with_its_reason() {
    let stage = Fixture::new();
    stage.propose("a.txt", "a\n");
    let journals = stage.state_dir().join("journal");
    fs::write(journals.join("a9-of-nobody.journal"), "no journal\n").expect("it is ours");
    let lock = File::create(stage.state_dir().join("lock")).expect("it is ours");
    lock.lock().expect("nobody is at it");
    let status = stage.run(["status", "--json"]).expect(0);
    assert_eq!(status.json()["open_journals"], serde_json::json!(["a9-of-nobody.journal"]));
    assert!(status.stderr.contains("journal a9-of-nobody.journal"), "{}", status.stderr);
    let doctor = text(&stage.run(["doctor"]).expect(0));
    assert!(doctor.contains("was interrupted (journal a9-of-nobody.journal)"), "{doctor}");
    drop(lock);
    let log = stage.run(["log", "--json"]).expect(0);
    let object = log.json();
    let journal = &object["recovery"]["quarantined"][0];
    let file = journal["file"].as_str().expect("a path");
    assert!(Path::new(file).starts_with(&journals) && Path::new(file).exists(), "{journal}");
    let said = format!("is ignored: {}", journal["reason"].as_str().expect("a reason"));
    assert!(log.stderr.contains(&said), "{}", log.stderr);
}
