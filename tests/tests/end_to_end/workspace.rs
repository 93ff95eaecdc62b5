//! Which directory is the workspace, and that looking at one makes no state.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use end_to_end::{Fixture, Ran, git, output, spawn};
use rstest::rstest;
use serde_json::Value;

fn run_in(stage: &Fixture, dir: &Path, arguments: &[&str]) -> Ran {
    output(stage.command(arguments).current_dir(dir)).into()
}

/// A directory outside of every repository, with one below it.
fn plain(stage: &Fixture) -> (PathBuf, PathBuf) {
    let plain = stage.beside("plain");
    let below = plain.join("src/deep");
    fs::create_dir_all(&below).expect("it is new");
    (plain, below)
}

fn propose_in(stage: &Fixture, dir: &Path, name: &str) {
    run_in(stage, dir, &["propose", name, "--from", "/dev/null"]).expect(0);
}

fn workspace(ran: &Ran) -> PathBuf {
    ran.json()["workspace"].as_str().expect("a status names it").into()
}

fn states(stage: &Fixture) -> Vec<OsString> {
    let entries = fs::read_dir(stage.beside("state")).expect("the folder is there");
    entries.map(|entry| entry.expect("readable").file_name()).collect()
}

#[test]
fn outside_of_repositories_a_folder_belongs_to_the_workspace_above_it() {
    let stage = Fixture::new();
    let (plain, below) = plain(&stage);
    propose_in(&stage, &plain, "a.txt");
    let status = run_in(&stage, &below, &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), plain);
    assert_eq!(status.json()["sessions"][0]["patches"][0]["path"], "a.txt");
    propose_in(&stage, &below, "b.txt");
    propose_in(&stage, &below, "../../c.txt");
    run_in(&stage, &below, &["apply", "--yes"]).expect(0);
    for file in ["a.txt", "c.txt", "src/deep/b.txt"] {
        assert!(plain.join(file).exists(), "{file}");
    }
    assert_eq!(states(&stage).len(), 1, "one workspace has one state");
}

#[test]
fn the_nearest_of_several_is_the_workspace_and_a_repository_comes_first() {
    let stage = Fixture::new();
    let (plain, below) = plain(&stage);
    propose_in(&stage, &below, "own.txt");
    propose_in(&stage, &plain, "above.txt");
    let repository = plain.join("vendor/lib");
    fs::create_dir_all(repository.join("src")).expect("ours");
    git(&repository, &["init", "--quiet"]);
    for (from, expected) in [
        (below.as_path(), below.as_path()),
        (&plain.join("src"), &plain),
        (&plain.join("vendor"), &plain),
        (&repository.join("src"), &repository),
    ] {
        let status = run_in(&stage, from, &["status", "--json"]).expect(0);
        assert_eq!(workspace(&status), expected, "from {}", from.display());
    }
    // What waits above is not lost from sight.
    let note = format!("greenroom --workspace {} status", plain.display());
    let status = run_in(&stage, &repository, &["status"]).expect(0);
    assert!(status.stderr.contains(&note), "{}", status.stderr);
    propose_in(&stage, &repository, "inner.txt");
    let status = run_in(&stage, &repository, &["status"]).expect(0);
    assert!(!status.stderr.contains(&note), "{}", status.stderr);
}

#[test]
fn a_workspace_that_moved_is_found_from_below() {
    let stage = Fixture::new();
    let (plain, _) = plain(&stage);
    propose_in(&stage, &plain, "a.txt");
    let moved = stage.beside("moved");
    fs::rename(&plain, &moved).expect("both lie in one folder");
    let status = run_in(&stage, &moved.join("src/deep"), &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), moved);
    symlink(moved.join("src"), stage.beside("link")).expect("the name is free");
    let status = run_in(&stage, &stage.beside("link"), &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), moved, "by the directory, not by the link's name");
}

#[test]
fn a_directory_for_everybody_and_the_users_own_are_not_found_by_accident() {
    let stage = Fixture::new();
    // As /tmp is: what was staged there once says nothing of what lies below.
    let (plain, below) = plain(&stage);
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o1777)).expect("ours");
    propose_in(&stage, &plain, "a.txt");
    let status = run_in(&stage, &below, &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), below);
    let status = run_in(&stage, &plain, &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), plain, "in it, it is the workspace");
    // Settings of the user's own have a state, for the home directory and for the configuration.
    for agent in ["gemini", "opencode"] {
        stage.run(["init", agent, "--user", "--yes"]).expect(0);
    }
    for dir in ["home/project", "config/project"] {
        let dir = stage.beside(dir);
        fs::create_dir(&dir).expect("ours");
        let status = run_in(&stage, &dir, &["status", "--json"]).expect(0);
        assert_eq!(workspace(&status), dir);
    }
}

#[test]
fn gits_own_directory_is_no_workspace() {
    let stage = Fixture::new();
    // Dotfiles: a repository in the home directory, which is no workspace itself.
    git(&stage.beside("home"), &["init", "--quiet"]);
    let before = stage.tree();
    for (dir, arguments) in [
        (stage.beside("home/.git/hooks"), &["propose", "x", "--from", "/dev/null"][..]),
        (stage.workspace(), &["--workspace", ".git", "propose", "x", "--from", "/dev/null"]),
    ] {
        let ran = run_in(&stage, &dir, arguments).expect(4);
        assert!(ran.stderr.contains("part of git's own directory"), "{}", ran.stderr);
    }
    let status = run_in(&stage, &stage.path(".git/hooks"), &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), stage.workspace());
    assert_eq!(stage.tree(), before);
    // A working tree that git keeps in there is one like any other.
    stage.write("a.txt", "a\n");
    git(&stage.workspace(), &["add", "a.txt"]);
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    git(&stage.workspace(), &[&identity[..], &["commit", "--quiet", "-m", "a"]].concat());
    git(&stage.workspace(), &["worktree", "add", "--quiet", ".git/side"]);
    let status = run_in(&stage, &stage.path(".git/side"), &["status", "--json"]).expect(0);
    assert_eq!(workspace(&status), stage.path(".git/side"));
}

#[rstest]
#[case::status(&["status"], 0)]
#[case::diff(&["diff"], 0)]
#[case::diff_stat(&["diff", "--stat"], 0)]
#[case::diff_of_a_session(&["diff", "agent-1"], 1)]
#[case::show(&["show", "p1"], 1)]
#[case::cat(&["cat", "a.txt", "--session", "cli"], 1)]
#[case::log(&["log"], 0)]
#[case::verify(&["log", "--verify"], 0)]
#[case::session_list(&["session", "list"], 0)]
#[case::session_close(&["session", "close", "cli"], 1)]
#[case::gc(&["gc"], 0)]
#[case::gc_dry_run(&["gc", "--dry-run"], 0)]
#[case::recover(&["recover"], 0)]
#[case::acknowledge(&["recover", "--acknowledge", "a1"], 2)]
#[case::apply(&["apply", "--yes"], 1)]
#[case::apply_one(&["apply", "p1", "--yes"], 1)]
#[case::discard(&["discard", "--yes"], 0)]
#[case::discard_one(&["discard", "p1"], 1)]
#[case::undo(&["undo"], 1)]
#[case::undo_one(&["undo", "a1"], 1)]
#[case::redo(&["redo", "--yes"], 1)]
#[case::refresh(&["refresh"], 0)]
#[case::refresh_one(&["refresh", "p1"], 1)]
#[case::doctor(&["doctor"], 0)]
#[case::init_remove(&["init", "codex", "--remove", "--yes"], 0)]
#[case::plugin_list(&["plugin", "list"], 0)]
#[case::schema(&["schema"], 0)]
fn reading_commands_make_no_state_and_answer_as_with_nothing_pending(
    #[case] arguments: &[&str],
    #[case] code: i32,
) {
    let stage = Fixture::new();
    let (plain, _) = plain(&stage);
    let ran = run_in(&stage, &plain, arguments).expect(code);
    let json = [&["--json"], arguments].concat();
    let in_json = run_in(&stage, &plain, &json).expect(code);
    assert_eq!(states(&stage), [""; 0], "no state was made");
    let is_about_a_workspace = !matches!(arguments[0], "plugin" | "schema" | "init");
    if is_about_a_workspace {
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
        let named = format!("othing was staged in `{}`", plain.display());
        assert!(said.contains(&named), "it names the directory: {said}");
    }
    // Where there is a state without any patch, the answer has the same shape.
    if !is_about_a_workspace || arguments[0] == "doctor" {
        return;
    }
    run_in(&stage, &plain, &["propose", "missing", "--delete"]).expect(1);
    assert_eq!(states(&stage).len(), 1, "whoever writes makes one");
    let with_state = run_in(&stage, &plain, &json);
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().expect("an object");
        let inner = object.values().filter_map(Value::as_object).flat_map(|inner| inner.keys());
        object.keys().chain(inner).cloned().collect()
    };
    // One session was opened for what was refused.
    if !arguments.contains(&"cli") {
        assert_eq!(with_state.code, Some(code), "{}", with_state.stderr);
        assert_eq!(keys(&in_json.json()), keys(&with_state.json()));
    }
}

#[test]
fn a_read_through_a_hook_makes_no_state() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let call = serde_json::json!({
        "session_id": "one", "cwd": stage.workspace(), "hook_event_name": "PreToolUse",
        "tool_name": "Read", "tool_input": {"file_path": stage.path("a.txt")},
    });
    let ran = stage.run_with(["hook", "claude-code"], call.to_string().as_bytes()).expect(0);
    assert_eq!((ran.stdout.as_slice(), states(&stage)), (&b""[..], Vec::new()));
}

#[test]
fn a_watch_waits_for_the_first_patch_also_in_a_directory_above() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let stage = Fixture::new();
    let (plain, below) = plain(&stage);
    let mut command = stage.command(["watch", "--json"]);
    command.current_dir(&below).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = spawn(&mut command);
    let mut errors = BufReader::new(watch.stderr.take().expect("it is piped"));
    let mut said = String::new();
    errors.read_line(&mut said).expect("it says what it waits for");
    assert!(said.contains("waiting for the first patch"), "{said}");
    assert_eq!(states(&stage), [""; 0]);
    propose_in(&stage, &plain, "a.txt");
    let output = BufReader::new(watch.stdout.take().expect("it is piped"));
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).expect("an object");
            if sender.send(event["event"].clone()).is_err() {
                return;
            }
        }
    });
    let mut events = Vec::new();
    while !events.contains(&Value::from("patch_proposed")) {
        let event = received.recv_timeout(Duration::from_secs(60));
        events.push(event.unwrap_or_else(|_| panic!("no patch came: {events:?}")));
    }
    assert_eq!(events, ["session_opened", "patch_proposed"], "from the first event on");
    watch.kill().expect("it is our child");
    watch.wait().expect("it is our child");
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
    assert_eq!(states(&stage).len(), 1);
}
