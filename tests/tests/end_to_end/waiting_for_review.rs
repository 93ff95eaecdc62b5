//! What waits, where the person looks: `status --short`, `greenroom` alone, and the hook that runs
//! when an agent stops.

use std::fs;

use end_to_end::{Fixture, Ran, output};
use rstest::rstest;
use serde_json::{Value, json};

/// Two pending patches and one stale one.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for name in ["a", "b", "stale"] {
        stage.write(name, "one\ntwo\n");
        stage.propose(name, "one\n2\n3\n");
    }
    stage.write("stale", "the user's\n");
    stage.run(["status"]).expect(0);
    stage
}

fn text(ran: Ran) -> String {
    String::from_utf8(ran.expect(0).stdout).expect("text")
}

/// What the hook tells the user, from the workspace.
fn stopped(stage: &Fixture, call: &Value) -> String {
    let ran = stage.run_with(["hook", "claude-code", "--stop"], call.to_string().as_bytes());
    assert_eq!(ran.stderr, "", "nothing that the agent is shown");
    let text = text(ran);
    if text.is_empty() {
        return text;
    }
    let answer: Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(1), "and nothing else: {answer}");
    answer["systemMessage"].as_str().expect("a message").to_owned()
}

fn call() -> Value {
    json!({"session_id": "6f0c", "hook_event_name": "Stop", "stop_hook_active": false})
}

#[test]
fn what_waits_is_one_line() {
    let stage = stage();
    assert_eq!(text(stage.run(["status", "--short"])), "2 patches +4 -2, 1 stale\n");
    let object = stage.run(["status", "--short", "--json"]).expect(0).json();
    let expected = json!({"schema": 1, "pending": 2, "added": 4, "removed": 2, "stale": 1,
                          "expired": 0, "in_doubt": 0});
    assert_eq!(object, expected);
    stage.run(["apply", "p1", "p2", "--rest", "--yes"]).expect(0);
    assert_eq!(text(stage.run(["status", "--short"])), "1 stale\n");
    stage.run(["discard", "p3"]).expect(0);
    let ran = stage.run(["status", "--short"]).expect(0);
    assert_eq!((ran.stdout, ran.stderr), (Vec::new(), String::new()), "nothing waits");
}

#[test]
fn a_status_bar_makes_no_state_and_needs_no_configuration() {
    let stage = Fixture::new();
    stage.configure("nonsense = 1\n");
    let ran = stage.run(["status", "--short"]).expect(0);
    assert_eq!((ran.stdout, ran.stderr), (Vec::new(), String::new()));
    assert_eq!(stage.run(["status", "--short", "--json"]).expect(0).json()["pending"], 0);
    assert_eq!(stopped(&stage, &call()), "");
    assert_eq!(fs::read_dir(stage.beside("state")).expect("ours").count(), 0);
}

#[test]
fn without_a_command_greenroom_says_what_waits_and_what_to_do() {
    let stage = Fixture::new();
    let shown = text(stage.run::<&str>([]));
    assert!(shown.starts_with("nothing is pending\n`greenroom init AGENT`"), "{shown}");
    let stage = self::stage();
    // This is found now, since `greenroom` looks at the files as `status` does.
    stage.write("b", "the user's\n");
    let shown = text(stage.run::<&str>([]));
    assert_eq!(
        shown,
        "1 patch +2 -1, 2 stale\n\
         `greenroom review` shows them one by one, `greenroom apply` applies them\n\
         `greenroom status` says what to do about what is stale, expired or in doubt\n"
    );
    let object = stage.run(["--json"]).expect(0).json();
    assert_eq!((&object["pending"], &object["stale"]), (&json!(1), &json!(2)));
}

#[rstest]
#[case::first(false)]
#[case::made_to_go_on(true)]
fn an_agent_that_stops_tells_its_user_what_waits(#[case] is_active: bool) {
    let stage = stage();
    let mut call = call();
    call["stop_hook_active"] = json!(is_active);
    let message = stopped(&stage, &call);
    let expected = "2 patches (+4 -2) wait, 1 stale: `greenroom review` shows them one by one, \
                    `greenroom apply` applies them";
    assert_eq!(message, expected);
    stage.run(["discard", "--yes"]).expect(0);
    assert_eq!(stopped(&stage, &call), "", "silent when nothing waits");
}

#[test]
fn the_project_is_meant_wherever_the_agent_has_gone() {
    let stage = stage();
    let mut command = stage.command(["hook", "claude-code", "--stop"]);
    command.env("CLAUDE_PROJECT_DIR", stage.workspace()).current_dir(stage.beside("home"));
    let ran: Ran = output(&mut command).into();
    assert!(text(ran).contains("2 patches (+4 -2) wait"));
}

#[rstest]
#[case::no_json(b"nonsense".to_vec())]
#[case::nothing(Vec::new())]
#[case::long(vec![b' '; 8 << 20])]
fn the_hook_never_keeps_an_agent_from_stopping(#[case] input: Vec<u8>) {
    let stage = stage();
    stage.configure("nonsense = 1\n");
    let ran = stage.run_with(["hook", "claude-code", "--stop"], &input).expect(0);
    assert_eq!(ran.stderr, "");
    // A store that is not one.
    let store = stage.state_dir().join("store.sqlite");
    for name in ["store.sqlite-wal", "store.sqlite-shm"] {
        let _ = fs::remove_file(store.with_file_name(name));
    }
    fs::write(&store, b"damaged").expect("ours");
    assert_eq!(stopped(&stage, &call()), "");
}

#[test]
fn a_hook_in_a_command_of_run_is_silent() {
    let Some(stage) = Fixture::with_view("auto") else { return };
    stage.propose("a", "x\n");
    let hook = format!(
        "'{}' hook claude-code --stop < /dev/null",
        end_to_end::greenroom_binary().display()
    );
    let ran = stage.run(["run", "-q", "--", "sh", "-c", &hook]).expect(0);
    assert!(
        !String::from_utf8_lossy(&ran.stdout).contains("systemMessage"),
        "its user looks outside"
    );
}
