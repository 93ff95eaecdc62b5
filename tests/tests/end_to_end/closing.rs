//! Closing a session rejects what is pending in it, so it says what and asks; and which sessions
//! are worth a look.

use end_to_end::{Fixture, Ran};
use serde_json::{Value, json};

use super::mcp::client::Client;
use super::terminal::Terminal;

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    stage.propose("a.txt", "two\n");
    stage.propose("b.txt", "new\n");
    stage
}

fn text(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn state(stage: &Fixture) -> Value {
    stage.run(["session", "list", "--all", "--json"]).expect(0).json()["sessions"][0]["state"]
        .clone()
}

#[test]
fn closing_a_session_with_patches_needs_a_yes_and_names_them() {
    let stage = stage();
    let refused = stage.run(["session", "close", "cli"]).expect(4);
    let listed = "p1 modify a.txt (+1 -1)\np2 create b.txt (+1 -0)\n";
    assert_eq!(text(&refused), listed);
    assert!(refused.stderr.contains("rejects 2 patches"), "{}", refused.stderr);
    assert!(refused.stderr.contains("The session was not closed."), "{}", refused.stderr);
    let refused = stage.run(["session", "close", "cli", "--json"]).expect(4);
    assert_eq!(refused.error_kind(), "confirmation_missing");
    assert_eq!(refused.json()["error"]["patches"], json!(["p1", "p2"]));
    assert_eq!((stage.pending(), state(&stage)), (2, "open".into()));
    let closed = stage.run(["session", "close", "cli", "--yes", "--reason", "use tabs"]).expect(0);
    let said =
        "rejected p1 modify a.txt (+1 -1)\nrejected p2 create b.txt (+1 -0)\ns1 cli is closed\n";
    assert_eq!(text(&closed), said);
    assert_eq!(stage.pending(), 0);
    let shown = text(&stage.run(["show", "p1"]).expect(0));
    assert!(shown.contains("because    use tabs"), "{shown}");
}

#[test]
fn without_pending_patches_nothing_is_asked_and_what_is_dismissed_is_named() {
    let stage = stage();
    stage.run(["discard", "p2"]).expect(0);
    stage.write("a.txt", "by hand\n");
    let closed = stage.run(["session", "close", "cli", "--json"]).expect(0).json();
    assert_eq!((&closed["session"]["state"], &closed["rejected"]), (&"closed".into(), &json!([])));
    let dismissed = &closed["dismissed"][0];
    assert_eq!((&dismissed["id"], &dismissed["reason"]), (&"p1".into(), &"stale".into()));
    let again = stage.run(["session", "close", "cli"]).expect(0);
    assert_eq!(text(&again), "s1 cli is closed\n", "twice is once");
}

#[test]
fn a_yes_rejects_what_was_shown_and_nothing_else() {
    for (answer, code) in [("n\n", 4), ("y\n", 0)] {
        let stage = stage();
        let mut terminal = Terminal::run(&stage, &["session", "close", "cli"]);
        let seen = terminal.until_asked();
        assert!(seen.contains("p1 modify a.txt (+1 -1)"), "{seen}");
        assert!(seen.contains("Close s1 cli and reject 2 patches? [y/N] "), "{seen}");
        assert_eq!(terminal.answer(answer), Some(code));
        assert_eq!(stage.pending(), if code == 0 { 0 } else { 2 });
    }
    let stage = stage();
    let mut terminal = Terminal::run(&stage, &["session", "close", "cli"]);
    terminal.until_asked();
    stage.propose("late.txt", "late\n");
    let (code, said) = terminal.answer_and_read("y\n");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("proposed or decided since you were asked"), "{said}");
    assert_eq!((stage.pending(), state(&stage)), (3, "open".into()));
}

#[test]
fn the_agent_receives_what_closing_its_session_rejected() {
    let stage = Fixture::new();
    let mut client = Client::greeted(&stage, &["--session", "mine"], json!({}));
    client.ok("write_file", json!({"path": "a.txt", "content": "a"}));
    stage.run(["session", "close", "mine", "--yes", "--reason", "use tabs"]).expect(0);
    let called = client.call("pending", json!({}));
    assert!(called.is_error, "its session is closed: {}", called.text);
    let told = called.result["content"][1]["text"].as_str().expect("a text").to_owned();
    assert!(told.contains("p1 a.txt is discarded (rejected): use tabs"), "{told}");
}

#[test]
fn a_session_without_process_and_without_patches_is_listed_only_when_all_are() {
    let stage = Fixture::new();
    let mut clients: Vec<Client> = ["idle", "busy"]
        .into_iter()
        .map(|label| {
            let mut client = Client::greeted(&stage, &["--session", label], json!({}));
            client.ok("write_file", json!({"path": format!("{label}.txt"), "content": "x"}));
            client
        })
        .collect();
    stage.run(["discard", "idle"]).expect(0);
    let labels = |arguments: &[&str]| -> Vec<Value> {
        let found = stage.run(arguments).expect(0).json();
        found["sessions"].as_array().expect("a list").iter().map(|s| s["label"].clone()).collect()
    };
    assert_eq!(labels(&["status", "--json"]), ["idle", "busy"], "both have a process");
    let status = text(&stage.run(["status"]).expect(0));
    assert!(status.contains("\nopen without patches: s1 idle\n"), "{status}");
    for mut client in clients.drain(..) {
        client.end();
    }
    assert_eq!(labels(&["status", "--json"]), ["busy"], "its patch waits for a decision");
    assert_eq!(labels(&["session", "list", "--json"]), ["busy"]);
    assert_eq!(labels(&["session", "list", "--all", "--json"]), ["idle", "busy"]);
    let status = text(&stage.run(["status"]).expect(0));
    assert!(!status.contains("idle") && status.contains("busy, its process ended"), "{status}");
    let list = stage.run(["session", "list"]).expect(0);
    assert!(list.stderr.contains("session list --all"), "{}", list.stderr);
    let all = text(&stage.run(["session", "list", "--all"]).expect(0));
    assert!(all.contains("s1 open idle (its process ended, expires "), "{all}");
}

#[test]
fn gc_says_beforehand_what_it_would_decide() {
    let stage = stage();
    stage.write("a.txt", "by hand\n");
    let preview = stage.run(["gc", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&preview["stale"], &preview["expired"]), (&json!(["p1"]), &json!([])));
    let told = text(&stage.run(["gc", "--dry-run"]).expect(0));
    assert!(told.starts_with("would discard as stale: p1\n"), "{told}");
    let patch = |stage: &Fixture| {
        // `show` would look at the file, and so decide.
        let log = stage.run(["log", "--json"]).expect(0).json();
        let events = log["events"].as_array().expect("a list").clone();
        events.iter().filter(|event| event["event"] == "patch_stale").count()
    };
    assert_eq!(patch(&stage), 0, "nothing was decided");
    let done = text(&stage.run(["gc"]).expect(0));
    assert!(done.contains("discarded p1 as stale"), "{done}");
    assert_eq!(patch(&stage), 1);
}
