//! What an agent learns of its patches, and what it can take back.

use end_to_end::Stage;
use serde_json::json;

use super::client::Client;

#[test]
fn a_rejection_reaches_the_agent_with_its_reason() {
    let stage = Stage::new();
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
fn only_the_sessions_own_patches_can_be_named() {
    let stage = Stage::new();
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
    assert_eq!(shown["reason_text"], "taken back by the agent: no need");
    assert_eq!(client.ok("pending", json!({})), "Nothing is pending in this session.");
}

#[test]
fn proposing_what_is_there_takes_a_patch_back() {
    let stage = Stage::new();
    stage.write("a.txt", "a\n");
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "b\n"}));
    let text = client.ok("write_file", json!({"path": "a.txt", "content": "a\n"}));
    assert_eq!(text, "Nothing to decide: that is what is on the disk, and p1 is taken back.\n");
    assert_eq!(stage.pending(), 0);
}

#[test]
fn a_file_that_is_replaced_as_a_whole_says_so_and_how_to_confirm_it() {
    let stage = Stage::new();
    stage.write("data.bin", [0_u8; 64]);
    let mut client = Client::new(&stage);
    let text = client.ok("write_file", json!({"path": "data.bin", "content": "\u{0}\u{1}\u{0}"}));
    assert!(text.contains("full replacement"), "{text}");
    assert!(text.ends_with(" --confirm-full-replace"), "{text}");
}
