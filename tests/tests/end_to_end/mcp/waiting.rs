//! `wait_for_decision`: what it waits for, what ends it, and what it answers.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::client::Client;

/// Two files that the agent has written.
fn stage() -> (Fixture, Client) {
    let stage = Fixture::new();
    let mut client = Client::greeted(&stage, &["--session", "shared"], json!({}));
    for name in ["a.txt", "b.txt"] {
        client.ok("write_file", json!({"path": name, "content": "x\n"}));
    }
    (stage, client)
}

/// Begins to wait; the request's id.
fn begin(client: &mut Client, id: &str, arguments: Value) -> Value {
    let params = json!({"name": "wait_for_decision", "arguments": arguments,
                        "_meta": {"progressToken": id}});
    client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    // It waits by now, and says so at once.
    let progress = client.wait_for(|message| message["params"]["progressToken"] == id);
    assert_eq!(progress["method"], "notifications/progress");
    json!(id)
}

/// The data of the answer to it.
fn answer(client: &mut Client, id: &Value) -> Value {
    let answer = client.answer_to(id);
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["structuredContent"].clone()
}

/// The data of an answer for which nothing has to happen.
fn at_once(client: &mut Client, arguments: Value) -> Value {
    let called = client.call("wait_for_decision", arguments);
    assert!(!called.is_error, "{}", called.text);
    called.result["structuredContent"].clone()
}

/// What it says of a patch.
fn of(data: &Value, at: usize) -> (Option<&str>, Option<&str>, Option<&str>) {
    let patch = &data["patches"][at];
    (patch["state"].as_str(), patch["decision"].as_str(), patch["reason"].as_str())
}

const PENDING: (Option<&str>, Option<&str>, Option<&str>) = (Some("pending"), None, None);

#[rstest]
#[case::of_named_patches(json!({"patches": ["p1", "p2"]}))]
#[case::of_anything(json!({}))]
fn a_decision_of_another_process_ends_it(#[case] arguments: Value) {
    let (stage, mut client) = stage();
    let id = begin(&mut client, "w", arguments);
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "x\n", "meanwhile");
    stage.run(["discard", "p1", "--reason", "use tabs"]).expect(0);
    let data = answer(&mut client, &id);
    assert_eq!(of(&data, 0), (Some("discarded"), Some("rejected"), Some("use tabs")));
    assert_eq!(of(&data, 1), PENDING);
    assert_eq!(data["timed_out"], false);
    let text = data["content"].as_str().expect("a text");
    assert_eq!(text, "p1 a.txt is discarded (rejected): use tabs\np2 b.txt is pending");
    assert_eq!(data["decisions"][0]["id"], "p1", "as in every answer");
    let next = client.call("pending", json!({}));
    assert_eq!(next.result["structuredContent"]["decisions"], json!([]), "and reported by that");
}

#[rstest]
#[case::an_apply(&["apply", "p1", "--yes"], ("applied", "applied"))]
#[case::the_end_of_the_session(&["session", "close", "shared", "--yes"], ("discarded", "rejected"))]
fn whatever_decides_ends_it(#[case] command: &[&str], #[case] expected: (&str, &str)) {
    let (stage, mut client) = stage();
    let id = begin(&mut client, "w", json!({"patches": ["p1"]}));
    stage.run(command).expect(0);
    let data = answer(&mut client, &id);
    assert_eq!((of(&data, 0).0, of(&data, 0).1), (Some(expected.0), Some(expected.1)));
}

#[test]
fn an_edit_of_the_user_and_an_undo_end_it() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "new\n"}));
    stage.run(["apply", "--yes"]).expect(0);
    client.ok("pending", json!({}));
    stage.run(["undo", "--yes"]).expect(0);
    let data = at_once(&mut client, json!({"patches": ["p1"]}));
    assert_eq!(of(&data, 0), (Some("pending"), Some("undone"), None));
    let id = begin(&mut client, "v", json!({"patches": ["p1"]}));
    // It has received the undo, and waits for the next decision.
    stage.write("a.txt", "the user's\n");
    let data = answer(&mut client, &id);
    assert_eq!(of(&data, 0), (Some("discarded"), Some("stale"), None));
}

#[test]
fn what_was_decided_before_is_answered_at_once() {
    let (stage, mut client) = stage();
    stage.run(["discard", "p1"]).expect(0);
    let data = at_once(&mut client, json!({}));
    assert_eq!(data["decisions"][0]["id"], "p1");
    assert_eq!(of(&data, 0), PENDING, "p2 is what is left");
    let data = at_once(&mut client, json!({"patches": ["p1"]}));
    assert_eq!(of(&data, 0).1, Some("rejected"));
    stage.run(["discard", "p2"]).expect(0);
    client.ok("pending", json!({}));
    let data = at_once(&mut client, json!({}));
    assert_eq!(data["content"], "Nothing is pending in this session.");
    assert_eq!((&data["patches"], &data["timed_out"]), (&json!([]), &json!(false)));
}

#[test]
fn without_a_decision_in_time_it_says_so() {
    let (_stage, mut client) = stage();
    let called = client.call("wait_for_decision", json!({"timeout_s": 0}));
    let data = &called.result["structuredContent"];
    assert_eq!(data["timed_out"], true);
    assert_eq!((of(data, 0), of(data, 1)), (PENDING, PENDING));
    assert!(called.text.contains("The user has not decided yet"), "{}", called.text);
}

#[test]
fn a_cancelled_wait_reports_nothing_and_keeps_nobody_waiting() {
    let (stage, mut client) = stage();
    for number in 0..20 {
        let id = begin(&mut client, &format!("w{number}"), json!({}));
        let params = json!({"requestId": id});
        client.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}),
        );
    }
    client.assert_serves();
    stage.run(["discard", "p1", "--reason", "use tabs"]).expect(0);
    assert!(
        client.ok("pending", json!({})).starts_with("p1 a.txt is discarded (rejected): use tabs")
    );
}

#[test]
fn the_end_of_the_input_ends_it() {
    let (_stage, mut client) = stage();
    begin(&mut client, "w", json!({"timeout_s": 3600}));
    let (answers, code) = client.end();
    assert_eq!((answers.len(), code), (1, Some(0)), "{answers:?}");
    assert_eq!(answers[0]["result"]["structuredContent"]["timed_out"], true);
}

#[test]
fn not_more_calls_wait_than_leave_room_for_others() {
    let (stage, mut client) = stage();
    let ids: Vec<Value> =
        (0..16).map(|number| begin(&mut client, &format!("w{number}"), json!({}))).collect();
    let refused = client.refused("wait_for_decision", json!({}));
    assert!(refused.contains("16 calls are already waiting"), "{refused}");
    stage.run(["discard", "p1"]).expect(0);
    let reported: usize = ids
        .iter()
        .map(|id| answer(&mut client, id)["decisions"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(reported, 1, "one of them reports it");
}

#[rstest]
#[case(json!({"timeout_s": -1}), "`timeout_s` must be from 0 to 3600")]
#[case(json!({"timeout_s": 3601}), "`timeout_s` must be from 0 to 3600")]
#[case(json!({"timeout_s": "5"}), "do not match the tool's schema")]
#[case(json!({"timeoutS": 5}), "do not match the tool's schema")]
#[case(json!({"patches": []}), "name 1 to")]
#[case(json!({"patches": ["p3"]}), "this session has no patch p3")]
fn a_call_that_makes_no_sense_is_refused(#[case] arguments: Value, #[case] words: &str) {
    let (stage, mut client) = stage();
    stage.propose("theirs.txt", "theirs\n");
    let refused = client.refused("wait_for_decision", arguments);
    assert!(refused.contains(words), "{refused}");
}
