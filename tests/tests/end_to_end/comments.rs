//! `discard --comment`: what a reviewer says about single lines reaches the agent, and is kept.

use end_to_end::{Fixture, Ran};
use rstest::rstest;
use serde_json::{Value, json};

use super::mcp::client::Client;

/// A file, a renamed file and a deletion of one agent; `p1` to `p3`.
fn stage() -> (Fixture, Client) {
    let stage = Fixture::new();
    stage.write("old.txt", "a\n");
    stage.write("gone.txt", "a\n");
    let mut client = Client::greeted(&stage, &["--session", "shared"], json!({}));
    let content = "one\n\ttwo\u{1b}\u{202e}\r\nthree";
    client.ok("write_file", json!({"path": "dir/a.txt", "content": content}));
    client.ok("move_file", json!({"source": "old.txt", "destination": "new.txt"}));
    client.ok("delete_file", json!({"path": "gone.txt"}));
    (stage, client)
}

fn reject(stage: &Fixture, rest: &[&str]) -> Ran {
    stage.run([&["discard", "p1", "p2", "--reason", "not yet"], rest].concat())
}

fn expected() -> Value {
    json!([
        {"path": "dir/a.txt", "line": 2, "text": "\ttwo\u{1b}\u{202e}", "comment": "use \u{1b}[31mspaces"},
        {"path": "dir/a.txt", "line": 3, "text": "three", "comment": "and -- a newline"},
    ])
}

#[test]
fn comments_reach_the_agent_as_data_and_are_kept() {
    let (stage, mut client) = stage();
    reject(
        &stage,
        &[
            "--comment",
            "dir/a.txt:2",
            "use \u{1b}[31mspaces",
            "--comment",
            "dir/a.txt:3",
            "and -- a newline",
            "--comment",
            "new.txt:1",
            "call it b",
        ],
    )
    .expect(0);
    let called = client.call("list_directory", json!({"path": "."}));
    let decisions = &called.result["structuredContent"]["decisions"];
    assert_eq!(decisions[0]["comments"], expected());
    assert_eq!(decisions[0]["reason"], "not yet");
    assert_eq!(decisions[1]["comments"][0]["path"], "new.txt", "where the patch stages it");
    let text = called.result["content"][1]["text"].as_str().expect("a text");
    let line = "\n  dir/a.txt:2 `\ttwo^[<U+202E>`: use ^[[31mspaces\n  dir/a.txt:3 `three`: and";
    assert!(text.contains(line), "{text}");
    let shown = stage.run(["show", "p1", "--json"]).expect(0).json();
    assert_eq!(shown["comments"], expected());
    let shown = String::from_utf8(stage.run(["show", "p1"]).expect(0).stdout).expect("text");
    assert!(
        shown.contains("comment    dir/a.txt:2 `\ttwo^[<U+202E>`: use ^[[31mspaces"),
        "{shown}"
    );
    let log = stage.run(["log", "--json", "p1"]).expect(0).json();
    let events = log["events"].as_array().expect("a list");
    let discarded = events.iter().find(|event| event["event"] == "patch_discarded");
    assert_eq!(discarded.expect("it is logged")["comments"], expected());
    let log = String::from_utf8(stage.run(["log", "p1"]).expect(0).stdout).expect("text");
    assert!(log.contains("dir/a.txt:2 use ^[[31mspaces"), "{log}");
    stage.run(["log", "--verify"]).expect(0);
}

#[test]
fn a_stale_patch_can_be_dismissed_with_comments() {
    let stage = Fixture::new();
    stage.write("a.txt", "old\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "new\n"}));
    stage.write("a.txt", "the user's\n");
    stage.run(["status"]).expect(0);
    stage.run(["discard", "p1", "--comment", "a.txt:1", "I did it myself"]).expect(0);
    let called = client.call("pending", json!({}));
    let decision = &called.result["structuredContent"]["decisions"][0];
    assert_eq!(decision["decision"], "dismissed");
    assert_eq!(decision["comments"][0]["text"], "new", "the line as it was staged");
}

#[rstest]
#[case::no_such_line(&["--comment", "dir/a.txt:4", "x"], "what p1 stages has 3 lines")]
#[case::line_zero(&["--comment", "dir/a.txt:0", "x"], "what p1 stages has 3 lines")]
#[case::not_rejected(&["--comment", "gone.txt:1", "x"], "none of the patches that are rejected")]
#[case::the_old_name(&["--comment", "old.txt:1", "x"], "none of the patches that are rejected")]
#[case::a_deletion(&["p3", "--comment", "gone.txt:1", "x"], "p3 stages no content")]
#[case::empty(&["--comment", "dir/a.txt:1", " "], "the comment is empty")]
#[case::no_line(&["--comment", "dir/a.txt", "x"], "is not FILE:LINE")]
#[case::no_number(&["--comment", "dir/a.txt:x", "x"], "is not FILE:LINE")]
#[case::outside(&["--comment", "../a.txt:1", "x"], "outside of the workspace")]
#[case::no_text(&["--comment", "dir/a.txt:1"], "2 values required")]
fn a_comment_that_fits_nothing_rejects_nothing(#[case] rest: &[&str], #[case] words: &str) {
    let (stage, _client) = stage();
    let ran = reject(&stage, rest);
    assert!(matches!(ran.code, Some(2 | 4)), "{ran:?}");
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    assert_eq!(stage.pending(), 3);
}

#[test]
fn comments_are_of_limited_number_and_length() {
    let (stage, _client) = stage();
    let long = "x".repeat(4001);
    let ran = reject(&stage, &["--comment", "dir/a.txt:1", &long]).expect(2);
    assert!(ran.stderr.contains("more than 4000 bytes"), "{}", ran.stderr);
    let many = ["--comment", "dir/a.txt:1", "x"].repeat(101);
    let ran = reject(&stage, &many).expect(2);
    assert!(ran.stderr.contains("at most 100 lines"), "{}", ran.stderr);
    assert_eq!(stage.pending(), 3);
    reject(&stage, &many[3..]).expect(0);
}

#[test]
fn a_file_of_two_rejected_patches_is_ambiguous() {
    let (stage, _client) = stage();
    stage.propose("dir/a.txt", "mine\n");
    let ran = stage.run(["discard", "p1", "p4", "--comment", "dir/a.txt:1", "x"]).expect(2);
    assert!(ran.stderr.contains("p1 and p4 both stage this file"), "{}", ran.stderr);
    assert_eq!(stage.pending(), 4);
}
