//! The answer of every tool tells the agent what was decided since the last one.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use end_to_end::{Fixture, spawn};
use rstest::rstest;
use serde_json::{Value, json};

use super::client::{Called, Client};

/// The decisions in an answer's data: the patch, the decision and the reviewer's words.
#[track_caller]
fn received(called: &Called) -> Vec<(String, String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let data = match called.is_error {
        true => &called.result["_meta"]["greenroom/decisions"],
        false => &called.result["structuredContent"]["decisions"],
    };
    let list = data.as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|one| (word(&one["id"]), word(&one["decision"]), word(&one["reason"])))
        .collect()
}

/// The texts of an answer, a block each.
fn texts(called: &Called) -> Vec<String> {
    let blocks = called.result["content"].as_array().expect("a list").clone();
    blocks.iter().map(|block| block["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn one(id: &str, decision: &str, reason: &str) -> Vec<(String, String, String)> {
    vec![(id.to_owned(), decision.to_owned(), reason.to_owned())]
}

/// A workspace with a rejected patch whose agent has not received the decision.
fn rejected(client: &mut Client, stage: &Fixture) {
    client.ok("write_file", json!({"path": "no.txt", "content": "no\n"}));
    stage.run(["discard", "p1", "--reason", "use tabs"]).expect(0);
}

#[rstest]
#[case("read_text_file", json!({"path": "a.txt"}))]
#[case("read_multiple_files", json!({"paths": ["a.txt"]}))]
#[case("read_media_file", json!({"path": "a.txt"}))]
#[case("list_directory", json!({"path": "."}))]
#[case("search_files", json!({"path": ".", "pattern": "*"}))]
#[case("list_allowed_directories", json!({}))]
#[case("write_file", json!({"path": "b.txt", "content": "b\n"}))]
#[case("edit_file", json!({"path": "a.txt", "edits": [{"oldText": "a", "newText": "b"}]}))]
#[case("create_directory", json!({"path": "dir"}))]
#[case("move_file", json!({"source": "a.txt", "destination": "b.txt"}))]
#[case("delete_file", json!({"path": "a.txt"}))]
#[case("propose", json!({"patch": "*** Begin Patch\n*** Add File: b.txt\n+b\n*** End Patch\n"}))]
#[case("pending", json!({}))]
#[case("diff", json!({}))]
#[case("discard", json!({}))]
fn every_tool_reports_a_decision_as_text_and_as_data_and_once(
    #[case] tool: &str,
    #[case] arguments: Value,
) {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let mut client = Client::new(&stage);
    rejected(&mut client, &stage);
    let called = client.call(tool, arguments.clone());
    assert_eq!(received(&called), one("p1", "rejected", "use tabs"), "{}", called.result);
    let sentence = "p1 no.txt is discarded (rejected): use tabs";
    let last = texts(&called).pop().expect("a block");
    assert!(last.contains(sentence), "{last}");
    let message = &called.result["structuredContent"]["decisions"][0]["message"];
    assert_eq!(message, sentence, "for a model that is shown the data alone");
    let again = client.call(tool, arguments);
    assert_eq!(received(&again), [], "{}", again.result);
    assert!(!again.result.to_string().contains("use tabs"), "{}", again.result);
}

#[test]
fn a_files_content_is_not_mixed_with_decisions() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let mut client = Client::new(&stage);
    rejected(&mut client, &stage);
    let called = client.call("read_text_file", json!({"path": "a.txt"}));
    assert_eq!(texts(&called)[0], "a\n");
    assert_eq!(called.result["structuredContent"]["content"], "a\n");
}

#[test]
fn a_call_that_fails_reports_as_well() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    rejected(&mut client, &stage);
    let called = client.call("read_text_file", json!({"path": "none.txt"}));
    assert!(called.is_error);
    assert_eq!(received(&called), one("p1", "rejected", "use tabs"));
    assert!(texts(&called)[1].contains("use tabs"), "{:?}", texts(&called));
    assert_eq!(received(&client.call("pending", json!({}))), []);
}

#[test]
fn a_restarted_agent_receives_each_kind_of_decision() {
    let stage = Fixture::new();
    for name in ["undone", "redone", "stale", "dismissed", "refreshed", "applied"] {
        stage.write(format!("{name}.txt"), "one\ntwo\nthree\nfour\nfive\n");
    }
    let start = || Client::greeted(&stage, &["--session", "shared"], json!({}));
    let mut client = start();
    for name in ["undone", "redone", "rejected", "stale", "dismissed", "refreshed", "applied"] {
        let content = "one\ntwo\nthree\nfour\n5\n";
        client.ok("write_file", json!({"path": format!("{name}.txt"), "content": content}));
    }
    client.end();
    stage.run(["apply", "p1", "--yes"]).expect(0);
    stage.run(["undo", "--yes"]).expect(0);
    stage.run(["apply", "p2", "--yes"]).expect(0);
    stage.run(["undo", "--yes"]).expect(0);
    stage.run(["redo", "--yes"]).expect(0);
    stage.run(["discard", "p3", "--reason", "use tabs"]).expect(0);
    for name in ["stale", "dismissed", "refreshed"] {
        stage.write(format!("{name}.txt"), "1\ntwo\nthree\nfour\nfive\n");
    }
    stage.run(["status"]).expect(0);
    stage.run(["discard", "p5", "--reason", "not needed"]).expect(0);
    stage.run(["refresh", "p6"]).expect(0);
    stage.run(["apply", "p7", "--yes"]).expect(0);
    let mut client = start();
    let called = client.call("list_directory", json!({"path": "."}));
    let expected = [
        ("p1", "undone", ""),
        ("p2", "redone", ""),
        ("p3", "rejected", "use tabs"),
        ("p4", "stale", ""),
        ("p5", "dismissed", "not needed"),
        ("p6", "refreshed", ""),
        ("p7", "applied", ""),
    ];
    let expected: Vec<_> = expected.iter().flat_map(|(id, word, why)| one(id, word, why)).collect();
    assert_eq!(received(&called), expected);
    assert_eq!(called.result["structuredContent"]["decisions"][5]["replaced_by"], "p8");
    let text = texts(&called).pop().expect("a block");
    assert!(text.contains("p6 refreshed.txt was proposed again by the user as p8"), "{text}");
    client.end();
    assert_eq!(received(&start().call("pending", json!({}))), [], "once in the session");
}

#[test]
fn many_patches_of_one_decision_are_one_line() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    for number in 0..60 {
        client.ok("write_file", json!({"path": format!("{number}.txt"), "content": "x\n"}));
    }
    stage.run(["apply", "--yes"]).expect(0);
    let first = client.call("pending", json!({}));
    assert_eq!(received(&first).len(), 50);
    assert!(first.text.contains(" and 30 more are applied\nand 10 more,"), "{}", first.text);
    assert_eq!(received(&client.call("diff", json!({}))).len(), 10, "the next answer has the rest");
}

#[test]
fn what_an_agent_replaces_itself_does_not_hide_an_undo() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "new\n"}));
    stage.run(["apply", "--yes"]).expect(0);
    stage.run(["undo", "--yes"]).expect(0);
    let called = client.call("write_file", json!({"path": "a.txt", "content": "newer\n"}));
    assert_eq!(received(&called), one("p1", "undone", ""));
}

#[test]
fn two_servers_of_a_session_and_its_hook_report_each_decision_once() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let meta = json!({"sessionId": "6f0c"});
    let write = |name: &str| {
        json!({"name": "write_file", "_meta": meta,
               "arguments": {"path": name, "content": "x\n"}})
    };
    let pending = json!({"name": "pending", "_meta": meta, "arguments": {}});
    let mut clients = [Client::new(&stage), Client::new(&stage)];
    clients[0].call_with(write("1.txt"));
    clients[1].call_with(write("2.txt"));
    clients[0].call_with(write("3.txt"));
    stage.run(["discard", "p1"]).expect(0);
    assert_eq!(received(&clients[1].call_with(pending.clone())), one("p1", "rejected", ""));
    assert_eq!(received(&clients[0].call_with(pending.clone())), []);
    stage.run(["discard", "p2"]).expect(0);
    let read = json!({
        "session_id": "6f0c", "cwd": stage.workspace(), "hook_event_name": "PreToolUse",
        "tool_name": "Read", "tool_input": {"file_path": stage.path("a.txt")},
    });
    let hook = || {
        let ran = stage.run_with(["hook", "claude-code"], read.to_string().as_bytes()).expect(0);
        String::from_utf8(ran.stdout).expect("text")
    };
    let answer: Value = serde_json::from_str(&hook()).expect("an answer");
    let output = &answer["hookSpecificOutput"];
    assert!(output["permissionDecision"].is_null(), "the harness decides about the call: {answer}");
    let context = output["additionalContext"].as_str().unwrap_or_default();
    assert!(context.contains("p2 2.txt is discarded (rejected)"), "{context}");
    assert_eq!(hook(), "", "there is nothing more to tell");
    stage.run(["discard", "p3"]).expect(0);
    assert_eq!(received(&clients[0].call_with(pending.clone())), one("p3", "rejected", ""));
    assert_eq!(received(&clients[1].call_with(pending)), []);
    assert_eq!(hook(), "");
}

/// A server that is killed while it writes the answer with the decision.
#[test]
fn a_server_that_was_killed_in_its_answer_has_delivered_nothing() {
    let stage = Fixture::new();
    // Longer than a pipe holds, so that the answer cannot be written to its end.
    stage.write("long.txt", "line\n".repeat(200_000));
    let mut client = Client::greeted(&stage, &["--session", "shared"], json!({}));
    rejected(&mut client, &stage);
    client.end();
    let mut command = stage.command(["mcp", "--session", "shared"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn(&mut command);
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = child.stdout.take().expect("it is piped");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params =
        json!({"name": "read_text_file", "arguments": {"path": "long.txt"}, "_meta": meta});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    writeln!(input, "{call}").expect("the server reads");
    let mut first = [0];
    output.read_exact(&mut first).expect("it has begun to answer");
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    let mut client = Client::greeted(&stage, &["--session", "shared"], json!({}));
    assert_eq!(received(&client.call("pending", json!({}))), one("p1", "rejected", "use tabs"));
}

#[test]
fn a_call_that_is_cancelled_leaves_it_to_the_next_one() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    rejected(&mut client, &stage);
    // A client does not read the answer to a call that it has cancelled, whether one is written or not.
    for _ in 0..3 {
        let id = client.begin(json!({"name": "diff", "arguments": {}}));
        client.send(&cancellation(&id));
    }
    let rejection = one("p1", "rejected", "use tabs");
    let started = Instant::now();
    // A cancelled call may claim it, and give it back, after the next one has asked.
    while received(&client.call("diff", json!({}))) != rejection {
        assert!(started.elapsed() < Duration::from_secs(60), "it is received");
    }
    for _ in 0..3 {
        assert_eq!(received(&client.call("diff", json!({}))), [], "it is received once");
    }
}

/// The client gives the call up at the moment at which the answer is written.
#[test]
fn a_call_that_is_cancelled_after_its_answer_leaves_it_to_the_next_one() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    rejected(&mut client, &stage);
    let rejection = one("p1", "rejected", "use tabs");
    let late = client.begin(json!({"name": "diff", "arguments": {}}));
    let answer = client.answer_to(&late);
    assert!(answer.to_string().contains("use tabs"), "{answer}");
    client.send(&cancellation(&late));
    assert_eq!(received(&client.call("diff", json!({}))), rejection);
    // The same again is about an answer that nobody waits for.
    client.send(&cancellation(&late));
    assert_eq!(received(&client.call("diff", json!({}))), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_decision_that_cannot_be_given_back_is_not_lost_and_keeps_no_call_waiting() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    let mut client = Client::new(&stage);
    rejected(&mut client, &stage);
    let late = client.begin(json!({"name": "diff", "arguments": {}}));
    assert!(client.answer_to(&late).to_string().contains("use tabs"));
    let lock = end_to_end::StoreLock::take(&stage);
    client.send(&cancellation(&late));
    // Whoever writes to the store gives up after ten seconds.
    let asked = Instant::now();
    client.ok("get_file_info", json!({"path": "a.txt"}));
    assert!(asked.elapsed() < Duration::from_secs(8), "it does not wait for the store");
    std::thread::sleep(Duration::from_secs(11));
    client.ok("get_file_info", json!({"path": "a.txt"}));
    drop(lock);
    let rejection = one("p1", "rejected", "use tabs");
    let started = Instant::now();
    while received(&client.call("diff", json!({}))) != rejection {
        assert!(started.elapsed() < Duration::from_secs(60), "it is received");
    }
    assert_eq!(received(&client.call("diff", json!({}))), []);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_being_given_back_at_the_end_is_received_by_the_next_server() {
    let stage = Fixture::new();
    let mut client = Client::greeted(&stage, &["--session", "shared"], json!({}));
    rejected(&mut client, &stage);
    let late = client.begin(json!({"name": "diff", "arguments": {}}));
    assert!(client.answer_to(&late).to_string().contains("use tabs"));
    let lock = end_to_end::StoreLock::take(&stage);
    client.send(&cancellation(&late));
    let release = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(500));
        drop(lock);
    });
    client.end();
    release.join().expect("no panic");
    let mut client = Client::greeted(&stage, &["--session", "shared"], json!({}));
    let received = received(&client.call("pending", json!({})));
    assert_eq!(received, one("p1", "rejected", "use tabs"));
}

/// The notification that a client gives a call up.
fn cancellation(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

#[test]
fn a_reason_cannot_write_into_the_agents_terminal() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "no.txt", "content": "no\n"}));
    stage.run(["discard", "p1", "--reason", "a\u{1b}[2Jb\u{202e}c"]).expect(0);
    let called = client.call("diff", json!({}));
    let text = texts(&called).pop().expect("a block");
    assert!(text.contains("a^[[2Jb<U+202E>c"), "{text}");
}
