//! Which session a call belongs to, and what becomes of it.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::client::Client;

fn labels(stage: &Fixture) -> Vec<String> {
    let status = stage.status();
    let sessions = status["sessions"].as_array().expect("sessions are a list").clone();
    sessions.iter().map(|s| s["label"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn when_the_input_ends_the_session_stays_with_what_is_pending() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    // Not waited for: what was read before the end is answered all the same.
    for id in 100..110 {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params":
            {"name": "write_file", "arguments": {"path": format!("{id}.txt"), "content": "x"}}}));
    }
    let (answers, code) = client.end();
    let ids: Vec<u64> = answers.iter().filter_map(|answer| answer["id"].as_u64()).collect();
    assert_eq!(ids, (100..110).collect::<Vec<_>>(), "in the order in which they were asked");
    assert_eq!(code, Some(0));
    assert_eq!(stage.pending(), 10);
    let sessions = stage.run(["session", "list", "--json"]).expect(0).json();
    let session = &sessions["sessions"][0];
    assert_eq!(session["state"], "open");
    assert!(session["owner_pid"].is_u64(), "its process is recorded: {session}");
    stage.run(["apply", "s1", "--yes"]).expect(0);
    assert_eq!(stage.read("100.txt"), b"x");
}

#[test]
fn a_client_that_calls_no_tool_leaves_no_session() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.request("tools/list", json!({}));
    assert_eq!(client.end(), (Vec::new(), Some(0)));
    assert_eq!(labels(&stage), [""; 0]);
}

#[test]
fn the_command_line_names_the_session_before_the_client_does() {
    let stage = Fixture::new();
    let mut client = Client::greeted(&stage, &["--session", "mine"], json!({}));
    client.call_with(json!({"name": "write_file", "_meta": {"sessionId": "theirs"},
                            "arguments": {"path": "a.txt", "content": "a"}}));
    assert_eq!(labels(&stage), ["mine"]);
    assert_eq!(stage.run(["cat", "a.txt", "--session", "mine"]).expect(0).stdout, b"a");
}

#[rstest]
#[case("0a1b-2c", "agent:0a1b-2c")]
#[case("not an id", "mcp-")]
#[case("", "mcp-")]
fn an_agents_own_name_for_its_session_is_a_label(#[case] id: &str, #[case] label: &str) {
    let stage = Fixture::new();
    let mut command = stage.command(["mcp"]);
    command.env("CLAUDE_CODE_SESSION_ID", id);
    let mut client = Client::of(command);
    client.greet("2025-11-25", json!({}));
    client.ok("write_file", json!({"path": "a.txt", "content": "a"}));
    let found = labels(&stage);
    assert!(found.len() == 1 && found[0].starts_with(label), "{found:?}");
}

#[test]
fn calls_of_different_sessions_do_not_see_each_other() {
    let stage = Fixture::new();
    stage.run_with(["propose", "a.txt", "--session", "one"], b"a person's\n").expect(0);
    let mut client = Client::new(&stage);
    let call = |session: Value, tool: &str, arguments: Value| json!({"name": tool, "arguments": arguments, "_meta": {"sessionId": session}});
    let write = json!({"path": "a.txt", "content": "agent's\n"});
    let written = client.call_with(call(json!("one"), "write_file", write));
    assert!(written.text.contains("also pending in s1"), "{}", written.text);
    let read = json!({"path": "a.txt"});
    let own = client.call_with(call(json!("one"), "read_text_file", read.clone()));
    assert_eq!(own.text, "agent's\n");
    let other = client.call_with(call(json!("two"), "read_text_file", read));
    assert!(other.is_error, "{}", other.text);
    assert_eq!(labels(&stage), ["one", "agent:one", "agent:two"], "a claim is kept apart");
    for claim in [json!(5), json!(""), json!("a b"), json!("x".repeat(1000))] {
        let refused = client.call_with(call(claim, "pending", json!({})));
        assert!(refused.is_error, "{}", refused.text);
    }
}

#[test]
fn an_agent_learns_when_its_session_has_ended() {
    let stage = Fixture::new();
    let mut client = Client::greeted(&stage, &["--session", "mine"], json!({}));
    client.ok("write_file", json!({"path": "a.txt", "content": "a"}));
    stage.run(["session", "close", "mine", "--yes"]).expect(0);
    let mut told = 0;
    for tool in ["write_file", "read_text_file"] {
        if tool == "read_text_file" {
            stage.run(["session", "close", "mine", "--yes"]).expect(0);
        }
        let mut arguments = json!({"path": "b.txt"});
        if tool == "write_file" {
            arguments["content"] = json!("b");
        }
        let called = client.call(tool, arguments);
        let text = &called.text;
        assert!(called.is_error && text.contains("is closed"), "{text}");
        assert!(text.contains("is open now"), "{text}");
        told += called.result.to_string().matches("p1 a.txt is discarded (rejected)").count();
    }
    assert_eq!(told, 2, "the first answer told it, in words and as data");
    client.ok("write_file", json!({"path": "b.txt", "content": "b"}));
    assert_eq!(stage.pending(), 1);
}
