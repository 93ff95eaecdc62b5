//! `watch`, `schema`, `doctor` and `gc`: following and keeping order.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use end_to_end::{Fixture, git, spawn};
use serde_json::Value;

/// A `watch --json` and the events it printed.
pub(crate) struct Watch {
    child: Child,
    events: Receiver<Value>,
}

impl Watch {
    pub(crate) fn start(stage: &Fixture, arguments: &[&str]) -> Self {
        Self::of(stage.command(["watch", "--json"].iter().chain(arguments)))
    }

    /// The watch that a command starts.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("one object for each line");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, events }
    }

    /// Events until one of this name.
    pub(crate) fn until(&self, name: &str) -> Vec<Value> {
        let mut seen: Vec<Value> = Vec::new();
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(60));
            let event = event.unwrap_or_else(|_| panic!("no `{name}` came: {seen:?}"));
            let is_it = event["event"] == name;
            seen.push(event);
            if is_it {
                return seen;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect()
}

#[test]
fn watch_prints_each_event_of_every_process_once_and_goes_on_where_it_ended() {
    let stage = Fixture::new();
    stage.propose("before.txt", "x\n");
    let watch = Watch::start(&stage, &["--since", "0"]);
    let mut seen = watch.until("patch_proposed");
    for number in 0..5 {
        stage.propose("a.txt", format!("{number}\n"));
    }
    stage.run(["session", "close", "cli", "--yes"]).expect(0);
    seen.extend(watch.until("session_closed"));
    drop(watch);
    assert_eq!(seqs(&seen), (1..=seen.len() as u64).collect::<Vec<_>>(), "none missed, none twice");
    let logged = stage.run(["log", "--json"]).expect(0).json();
    assert_eq!(Value::Array(seen.clone()), logged["events"], "as the log has them");
    // What happens while nobody watches is not missed either.
    stage.propose("b.txt", "y\n");
    let last = seen.len().to_string();
    let again = Watch::start(&stage, &["--since", &last]);
    let more = again.until("patch_proposed");
    assert_eq!(seqs(&more)[0], seen.len() as u64 + 1);
}

#[test]
fn a_process_that_watches_finds_what_is_stale_at_once() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    stage.propose("a.txt", "new\n");
    let watch = Watch::start(&stage, &["--since", "0"]);
    watch.until("patch_proposed");
    stage.write("a.txt", "the user's\n");
    let stale = watch.until("patch_stale");
    assert_eq!(stale.last().expect("it came")["path"], "a.txt");
}

#[test]
fn checking_out_another_branch_makes_exactly_what_it_changed_stale() {
    let stage = Fixture::new();
    let files = 200;
    for number in 0..files {
        stage.write(format!("d{}/f{number}", number % 9), format!("{number}\n"));
    }
    let commit = |message: &str| {
        git(&stage.workspace(), &["add", "--all"]);
        let identity = ["-c", "user.name=x", "-c", "user.email=x@y"];
        let arguments = [identity.as_slice(), &["commit", "--quiet", "-m", message]].concat();
        git(&stage.workspace(), &arguments);
    };
    commit("one");
    git(&stage.workspace(), &["checkout", "--quiet", "-b", "other"]);
    for number in (0..files).step_by(3) {
        stage.write(format!("d{}/f{number}", number % 9), "other\n");
    }
    commit("two");
    git(&stage.workspace(), &["checkout", "--quiet", "-"]);
    for number in 0..files {
        stage.propose(format!("d{}/f{number}", number % 9), "the agent's\n");
    }
    let newest = stage.events().len().to_string();
    let watch = Watch::start(&stage, &["--since", &newest]);
    // One that it has to notice first proves that it watches.
    stage.write("d0/f0", "noticed\n");
    watch.until("patch_stale");
    stage.write("d0/f0", "0\n");
    git(&stage.workspace(), &["checkout", "--quiet", "other"]);
    let expected = (0..files).step_by(3).count();
    for _ in 1..expected {
        watch.until("patch_stale");
    }
    drop(watch);
    let log = stage.run(["log", "--json"]).expect(0).json();
    let stale = log["events"].as_array().expect("a list").iter();
    let stale = stale.filter(|event| event["event"] == "patch_stale").count();
    assert_eq!(stale, expected, "each that changed, and no other");
    assert_eq!(stage.pending(), files - expected);
}

#[test]
fn every_event_that_is_printed_is_in_the_schema() {
    let stage = Fixture::new();
    let schema: Value =
        serde_json::from_slice(&stage.run(["schema"]).expect(0).stdout).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let variants = schema["oneOf"].as_array().expect("one for each event").clone();
    let properties = |name: &str| -> Option<Vec<String>> {
        let variant = variants.iter().find(|v| v["properties"]["event"]["const"] == name)?;
        let own = variant["properties"].as_object()?.keys();
        let common = schema["properties"].as_object()?.keys();
        Some(own.chain(common).cloned().collect())
    };
    stage.propose("a.txt", "1\n");
    stage.propose("a.txt", "2\n");
    stage.run(["apply", "--yes"]).expect(0);
    stage.run(["undo"]).expect(0);
    stage.propose("b.txt", "1\n");
    stage.run(["discard", "--yes"]).expect(0);
    let log = stage.run(["log", "--json"]).expect(0).json();
    for event in log["events"].as_array().expect("a list") {
        let name = event["event"].as_str().expect("a name");
        let known = properties(name).unwrap_or_else(|| panic!("`{name}` is not in the schema"));
        for field in event.as_object().expect("an object").keys() {
            assert!(known.contains(field), "`{field}` of `{name}` is not in the schema");
        }
    }
}

#[test]
fn schema_needs_no_workspace() {
    let stage = Fixture::new();
    let mut command = stage.command(["schema"]);
    command.current_dir("/").env_remove("HOME").env_remove("GREENROOM_STATE_DIR");
    assert_eq!(end_to_end::output(&mut command).status.code(), Some(0));
}

#[test]
fn doctor_finds_nothing_where_nothing_is_wrong_and_changes_nothing() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    stage.propose("a.txt", "new\n");
    let before = stage.tree();
    let findings = stage.run(["doctor", "--json"]).expect(0).json()["findings"].clone();
    for finding in findings.as_array().expect("a list") {
        assert_eq!(finding["health"], "good", "{finding}");
    }
    assert_eq!(stage.tree(), before);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_corrupt_store_is_reported_with_what_to_do_and_the_workspace_stays_as_it_was() {
    for garbage in ["no database at all".repeat(1000), String::from("SQLite format 3\0garbage")] {
        let stage = Fixture::new();
        stage.write("a.txt", "old\n");
        stage.propose("a.txt", "new\n");
        let before = stage.tree();
        let state = stage.state_dir();
        for name in ["store.sqlite-wal", "store.sqlite-shm"] {
            let _ = fs::remove_file(state.join(name));
        }
        fs::write(state.join("store.sqlite"), garbage).expect("the state is ours");
        for command in [["status"].as_slice(), &["apply", "--yes"], &["gc"]] {
            let ran = stage.run(command).expect(1);
            assert!(ran.stderr.contains("greenroom doctor"), "{}", ran.stderr);
            assert!(ran.stderr.contains("store.sqlite"), "{}", ran.stderr);
        }
        let ran = stage.run(["doctor", "--json"]).expect(1);
        let findings = ran.json()["findings"].clone();
        let store = findings.as_array().expect("a list").iter().find(|f| f["name"] == "store");
        assert_eq!(store.expect("it is looked at")["health"], "bad");
        assert_eq!(stage.tree(), before);
        // What the message says is a way on.
        for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
            let _ = fs::rename(state.join(name), state.join(format!("{name}.damaged")));
        }
        stage.propose("a.txt", "new\n");
        stage.run(["apply", "--yes"]).expect(0);
    }
}

#[test]
fn two_sessions_that_want_one_file_are_warned_of_each_other() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    stage.propose("a.txt", "one\n");
    let arguments = ["propose", "a.txt", "--session", "other", "--json"];
    let ran = stage.run_with(arguments, b"two\n").expect(0);
    assert_eq!(ran.json()["also_pending_in"], serde_json::json!(["s1"]));
    assert!(ran.stderr.contains("also pending in s1"), "{}", ran.stderr);
    let contested = stage.status()["contested"].clone();
    let expected = serde_json::json!([
        { "path": "a.txt", "patches": ["p1", "p2"], "sessions": ["s1", "s2"] }
    ]);
    assert_eq!(contested, expected);
    let text = String::from_utf8(stage.run(["status"]).expect(0).stdout).expect("text");
    assert!(text.contains("a.txt is changed by p1, p2"), "{text}");
    stage.run(["apply", "p1", "--yes"]).expect(0);
    stage.status();
    assert_eq!(stage.patch("p2")["reason"], "stale");
}

#[test]
fn gc_says_what_it_did_and_then_that_nothing_is_left() {
    let stage = Fixture::new();
    stage.propose("a.txt", "x\n");
    let blobs = stage.state_dir().join("blobs");
    fs::write(blobs.join("00000000deadbeef.pack"), vec![1; 9000]).expect("the state is ours");
    let ran = stage.run(["gc", "--json"]).expect(0).json();
    assert_eq!((&ran["removed"], &ran["complete"]), (&1.into(), &true.into()), "{ran}");
    let again = stage.run(["gc"]).expect(0);
    assert_eq!(String::from_utf8_lossy(&again.stdout), "nothing to remove\n");
}
