//! What an agent learns of its patches, and what it can take back.

use end_to_end::Fixture;
use serde_json::json;

use super::client::Client;

#[test]
fn a_rejection_reaches_the_agent_with_its_reason() {
    let stage = Fixture::new();
    stage.write("b.txt", "old\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "a\n"}));
    client.ok("write_file", json!({"path": "b.txt", "content": "b\n"}));
    stage.run(["discard", "p1", "--reason", "not this way"]).expect(0);
    stage.write("b.txt", "the user's\n");
    let text = client.ok("pending", json!({}));
    assert!(text.starts_with("p1 a.txt is discarded (rejected): not this way\n"), "{text}");
    assert!(text.contains("p2 b.txt is discarded (stale); read the file again"), "{text}");
    assert!(text.ends_with("Nothing is pending in this session."), "{text}");
    assert_eq!(client.ok("read_text_file", json!({"path": "b.txt"})), "the user's\n");
}

#[test]
fn a_decision_reaches_the_agent_over_a_restart_of_its_server_and_once() {
    let stage = Fixture::new();
    for name in ["applied", "undone", "stale"] {
        stage.write(format!("{name}.txt"), "old\n");
    }
    let start = || Client::greeted(&stage, &["--session", "shared"], json!({}));
    let mut client = start();
    for name in ["undone", "rejected", "stale", "applied"] {
        let path = format!("{name}.txt");
        client.ok("write_file", json!({"path": &path, "content": "first\n"}));
        client.ok("write_file", json!({"path": &path, "content": "second\n"}));
    }
    client.end();
    stage.run(["apply", "p1@2", "--yes"]).expect(0);
    stage.run(["undo"]).expect(0);
    stage.run(["apply", "p7@2", "--yes"]).expect(0);
    stage.run(["discard", "p3@2", "--reason", "use tabs"]).expect(0);
    stage.write("stale.txt", "the user's\n");
    let mut client = start();
    let called = client.call("pending", json!({}));
    assert!(
        called.text.contains("p3@2 rejected.txt is discarded (rejected): use tabs\n"),
        "{}",
        called.text
    );
    assert!(
        called.text.contains("p1@2 undone.txt was undone: the file is as it was before"),
        "{}",
        called.text
    );
    assert!(!called.text.contains("p2 "), "what it replaced itself is no news: {}", called.text);
    let structured = &called.result["structuredContent"];
    let decisions: Vec<_> = structured["decisions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["id"].as_str(), one["decision"].as_str(), one["reason"].as_str()))
        .collect();
    assert_eq!(
        decisions,
        [
            (Some("p1"), Some("undone"), None),
            (Some("p3"), Some("rejected"), Some("use tabs")),
            (Some("p5"), Some("stale"), None),
            (Some("p7"), Some("applied"), None),
        ]
    );
    assert_eq!(structured["patches"][0]["id"], "p1", "it waits again");
    assert_eq!(structured["lapsed"][0]["id"], "p5");
    let again = client.call("pending", json!({}));
    assert_eq!(again.result["structuredContent"]["decisions"], json!([]), "{}", again.text);
    assert!(again.text.starts_with("still missing: p5@2 stale.txt"), "{}", again.text);
    client.ok("write_file", json!({"path": "stale.txt", "content": "third\n"}));
    let whole = client.call("pending", json!({}));
    assert_eq!(whole.result["structuredContent"]["lapsed"], json!([]), "{}", whole.text);
}

#[test]
fn only_the_sessions_own_patches_can_be_named() {
    let stage = Fixture::new();
    stage.propose("theirs.txt", "theirs\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "mine.txt", "content": "mine\n"}));
    for tool in ["diff", "discard"] {
        let text = client.refused(tool, json!({"ids": ["p1"]}));
        assert_eq!(text, "this session has no patch p1");
        assert_eq!(client.refused(tool, json!({"ids": ["p99"]})), "this session has no patch p99");
        client.refused(tool, json!({"ids": ["s1"]}));
        client.refused(tool, json!({"ids": []}));
    }
    assert!(!client.ok("diff", json!({})).contains("theirs"));
    assert!(!client.ok("pending", json!({})).contains("theirs"));
    client.refused("read_text_file", json!({"path": "theirs.txt"}));
    let text = client.ok("discard", json!({"reason": "no need"}));
    assert_eq!(text, "Discarded p2 create mine.txt (+1 -0).");
    assert_eq!(stage.pending(), 1, "the other session's patch stays");
    let shown = stage.run(["show", "p2", "--json"]).expect(0).json();
    assert_eq!(shown["reason_text"], "withdrawn by the agent: no need");
    assert_eq!(client.ok("pending", json!({})), "Nothing is pending in this session.");
}

#[test]
fn proposing_what_is_there_takes_a_patch_back() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "b\n"}));
    let text = client.ok("write_file", json!({"path": "a.txt", "content": "a\n"}));
    assert_eq!(text, "Nothing to stage: the file already has that content, and p1 is withdrawn.\n");
    assert_eq!(stage.pending(), 0);
}

#[test]
fn a_file_that_is_replaced_as_a_whole_says_so_and_how_to_confirm_it() {
    let stage = Fixture::new();
    stage.write("data.bin", [0_u8; 64]);
    let mut client = Client::new(&stage);
    let text = client.ok("write_file", json!({"path": "data.bin", "content": "\u{0}\u{1}\u{0}"}));
    assert!(text.contains("full replacement"), "{text}");
    assert!(text.ends_with(" --confirm-full-replace"), "{text}");
}
