//! The protocol's versions, and what the server says of itself in each.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::client::Client;

const REFERENCE: &str = include_str!("../fixtures/reference-tools.json");

#[rstest]
#[case("2024-11-05", "2024-11-05")]
#[case("2025-03-26", "2025-03-26")]
#[case("2025-06-18", "2025-06-18")]
#[case("2025-11-25", "2025-11-25")]
#[case("1999-01-01", "2025-11-25")]
fn a_client_with_a_handshake_is_served_in_its_version(#[case] asked: &str, #[case] expected: &str) {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let mut client = Client::start(&stage, &[]);
    let answer = client.greet(asked, json!({}));
    assert_eq!(answer["result"]["protocolVersion"], expected);
    assert_eq!(answer["result"]["serverInfo"]["name"], "greenroom");
    assert_eq!(answer["result"]["capabilities"], json!({"tools": {}}), "and nothing else");
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "a\n");
}

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

#[test]
fn a_client_without_a_handshake_is_served() {
    let stage = Fixture::new();
    let before = stage.tree();
    let mut client = Client::start(&stage, &[]);
    let found = client.request("server/discover", json!({"_meta": meta()}));
    let versions = found["result"]["supportedVersions"].as_array().expect("a list").clone();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let tools = client.request("tools/list", json!({"_meta": meta()}));
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(20));
    let called = client.call_with(json!({
        "name": "write_file", "arguments": {"path": "a.txt", "content": "a\n"}, "_meta": meta(),
    }));
    assert!(called.text.starts_with("Staged p1 create a.txt"), "{}", called.text);
    assert_eq!(called.result["resultType"], "complete");
    let read = client.call_with(json!({
        "name": "read_text_file", "arguments": {"path": "a.txt"}, "_meta": meta(),
    }));
    assert_eq!(read.text, "a\n");
    let without = client.request("tools/list", json!({}));
    assert_eq!(without["error"]["code"], -32602, "each request says what it speaks: {without}");
    assert_eq!(stage.tree(), before, "nothing reached the disk");
}

#[test]
fn the_fourteen_tools_are_those_of_the_reference_server() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    let listed = client.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().expect("tools are a list").clone();
    let reference: Vec<Value> = serde_json::from_str(REFERENCE).expect("the fixture is JSON");
    assert_eq!(reference.len(), 14);
    for (tool, expected) in tools.iter().zip(&reference) {
        let mut tool = tool.clone();
        let told =
            tool["outputSchema"]["properties"].as_object_mut().map(|all| all.remove("decisions"));
        assert!(told.flatten().is_some(), "an answer may tell decisions");
        for field in ["name", "inputSchema", "outputSchema"] {
            assert_eq!(tool[field], expected[field], "{field} of {}", expected["name"]);
        }
    }
    let own: Vec<&str> = tools[14..].iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(own, ["delete_file", "propose", "pending", "diff", "discard", "wait_for_decision"]);
    for tool in &tools {
        let hints = &tool["annotations"];
        assert!(hints["readOnlyHint"] == true || hints["destructiveHint"] == false, "{tool}");
    }
}
