//! Whatever a client sends, the server answers what can be answered and goes on.

use end_to_end::Fixture;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use serde_json::{Value, json};

use super::client::Client;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

#[rstest]
#[case::no_json(b"hello".as_slice(), Value::Null, PARSE_ERROR)]
#[case::cut_off(br#"{"jsonrpc":"2.0","id":7,"met"#, json!(7), PARSE_ERROR)]
#[case::half_a_surrogate_pair(
    br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write_file","arguments":{"path":"f","content":"cut \ud83d here"}}}"#,
    json!(7), PARSE_ERROR
)]
#[case::not_utf8_in_an_argument(
    b"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"x\":\"\xff\"},\"id\":\"a\"}",
    json!("a"), PARSE_ERROR
)]
#[case::a_bare_control_character(
    b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"x\":\"\x01\"}}",
    json!(7), PARSE_ERROR
)]
#[case::a_comma_too_many(br#"{"jsonrpc":"2.0","id":7,"method":"ping",}"#, json!(7), PARSE_ERROR)]
#[case::a_response_that_is_none(
    br#"{"jsonrpc":"2.0","id":7,"result":{"x":"\ud83d"}}"#,
    Value::Null,
    PARSE_ERROR
)]
#[case::not_utf8(b"{\"id\":\"\xff\"}", Value::Null, PARSE_ERROR)]
#[case::a_batch(
    br#"[{"jsonrpc":"2.0","id":7,"method":"ping"},{"jsonrpc":"2.0","method":"x"}]"#,
    json!(7), INVALID_REQUEST
)]
#[case::a_batch_without_a_request(
    br#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#,
    Value::Null,
    INVALID_REQUEST
)]
#[case::an_empty_batch(b"[]", Value::Null, INVALID_REQUEST)]
#[case::a_mark_in_front("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x/y\"}".as_bytes(), json!(7), METHOD_NOT_FOUND)]
#[case::ends_in_crlf(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x/y\"}\r", json!(7), METHOD_NOT_FOUND)]
#[case::a_number_out_of_range(
    br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"x":1e999}}"#,
    json!(7), PARSE_ERROR
)]
#[case::a_number(b"7", Value::Null, INVALID_REQUEST)]
#[case::an_id_that_is_none(
    br#"{"jsonrpc":"2.0","id":[7],"method":"ping"}"#,
    Value::Null,
    INVALID_REQUEST
)]
#[case::an_older_rpc(br#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, json!(7), INVALID_REQUEST)]
#[case::unknown_method(br#"{"jsonrpc":"2.0","id":7,"method":"x/y"}"#, json!(7), METHOD_NOT_FOUND)]
#[case::unknown_tool(
    br#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"apply"}}"#,
    json!("a"), INVALID_PARAMS
)]
#[case::no_tool(br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#, json!(7), INVALID_PARAMS)]
#[case::resources(br#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}"#, json!(7), METHOD_NOT_FOUND)]
fn what_cannot_be_served_is_answered_with_an_error(
    #[case] line: &[u8],
    #[case] id: Value,
    #[case] code: i64,
) {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.send_line(line);
    let answer = client.answer_to(&id);
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
    client.assert_serves();
}

#[rstest]
#[case::missing("write_file", json!({"path": "a"}))]
#[case::of_another_kind("write_file", json!({"path": "a", "content": 7}))]
#[case::too_many("write_file", json!({"path": "a", "content": "", "mode": "777"}))]
#[case::inside("edit_file", json!({"path": "a", "edits": [{"oldText": "a"}]}))]
#[case::none_at_all("read_multiple_files", json!({"paths": []}))]
#[case::no_such_choice("list_directory_with_sizes", json!({"path": ".", "sortBy": "age"}))]
#[case::nul("read_text_file", json!({"path": "a\u{0}b"}))]
#[case::empty("read_text_file", json!({"path": ""}))]
#[case::deep("read_text_file", json!({"path": "a/".repeat(5000)}))]
#[case::huge_pattern("search_files", json!({"path": ".", "pattern": "{a,b}".repeat(900)}))]
#[case::bad_pattern("search_files", json!({"path": ".", "pattern": "[z-a]"}))]
fn arguments_that_are_none_are_refused_by_the_tool(#[case] tool: &str, #[case] arguments: Value) {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    let text = client.refused(tool, arguments);
    assert!(!text.is_empty() && text.len() < 5000, "a sentence: {} bytes", text.len());
    client.assert_serves();
    assert_eq!(stage.pending(), 0);
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_id_and_the_next_one_is_read() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    let content = "x".repeat(100 << 20);
    client.send(&json!({"jsonrpc": "2.0", "method": "tools/call", "params":
        {"name": "write_file", "arguments": {"path": "big", "content": content}}, "id": 77}));
    let answer = client.answer_to(&json!(77));
    assert_eq!(answer["error"]["code"], INVALID_REQUEST, "{answer}");
    client.assert_serves();
    assert_eq!(stage.pending(), 0, "nothing of it is staged");
}

#[test]
fn json_that_is_nested_too_deep_is_refused() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 1_000_000;
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let head = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":"#;
        client.send_line(format!("{head}{nested}}}").as_bytes());
        assert_eq!(client.answer_to(&json!(7))["error"]["code"], PARSE_ERROR);
        client.assert_serves();
    }
}

#[test]
fn every_request_of_a_batch_is_answered() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.send_line(
        br#"[{"jsonrpc":"2.0","id":7,"method":"ping"},{"jsonrpc":"2.0","id":"b","method":"ping"}]"#,
    );
    for id in [json!(7), json!("b")] {
        assert_eq!(client.answer_to(&id)["error"]["code"], INVALID_REQUEST);
    }
    client.assert_serves();
}

#[test]
fn a_write_with_half_a_character_is_refused_and_stages_nothing() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.send_line(
        br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"write_file","arguments":{"path":"f","content":"cut \ud83d here"}}}"#,
    );
    let answer = client.answer_to(&json!(7));
    let told = answer["error"]["message"].as_str().expect("a sentence");
    assert!(told.contains("half of a surrogate pair is not a character"), "{told}");
    client.assert_serves();
    assert_eq!(stage.pending(), 0, "nothing is put in place of what cannot be read");
}

#[test]
fn a_tree_that_is_too_deep_is_refused_and_named() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    let deep = "d/".repeat(200);
    client.ok("write_file", json!({"path": format!("{deep}x"), "content": ""}));
    for tool in ["directory_tree", "search_files"] {
        let mut arguments = json!({"path": "."});
        if tool == "search_files" {
            arguments["pattern"] = json!("**");
        }
        let text = client.refused(tool, arguments);
        assert!(text.contains("deeper than 128 directories"), "{text}");
    }
    assert_eq!(client.ok("list_directory", json!({"path": deep})), "[FILE] x");
}

#[test]
fn requests_before_the_handshake_are_answered_and_do_not_end_it() {
    let stage = Fixture::new();
    let mut client = Client::start(&stage, &[]);
    client.assert_serves();
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
    );
    client.send(&json!({"jsonrpc": "2.0", "id": 5, "result": {"roots": []}}));
    let early = client.request("tools/call", json!({"name": "pending", "arguments": {}}));
    assert_eq!(early["error"]["code"], INVALID_PARAMS, "{early}");
    let early = client.request("initialize", json!({"protocolVersion": 7}));
    assert!(early["error"]["code"].is_i64(), "{early}");
    client.greet("2025-11-25", json!({}));
    assert_eq!(client.ok("pending", json!({})), "Nothing is pending in this session.");
}

#[test]
fn one_id_is_one_request_at_a_time() {
    let stage = Fixture::new();
    for name in 0..2000 {
        stage.write(format!("many/{name}"), "");
    }
    let mut client = Client::new(&stage);
    let search = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params":
        {"name": "search_files", "arguments": {"path": ".", "pattern": "**/none"}}});
    let lines = format!("{search}\n{search}");
    client.send_line(lines.as_bytes());
    let mut answers = [client.answer_to(&json!(9)), client.answer_to(&json!(9))];
    answers.sort_by_key(|answer| answer.get("error").is_some());
    assert_eq!(answers[0]["result"]["isError"], false, "{}", answers[0]);
    assert_eq!(answers[1]["error"]["code"], INVALID_REQUEST, "{}", answers[1]);
    client.assert_serves();
}

#[test]
fn more_requests_than_are_taken_at_once_are_all_answered() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    for id in 1000..2000 {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}));
    }
    for id in 1000..2000 {
        assert!(client.answer_to(&json!(id))["result"]["tools"].is_array());
    }
}

#[rstest]
#[case::whole(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, json!(7), "result")]
#[case::cut_off(
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"na"#,
    json!(7),
    "error"
)]
fn the_last_line_may_lack_its_end(#[case] line: &str, #[case] id: Value, #[case] field: &str) {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.send_unended(line.as_bytes());
    let (answers, code) = client.end();
    assert_eq!(code, Some(0));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0]["id"] == id && answers[0].get(field).is_some(), "{answers:?}");
}

/// Lines that are nearly right, and lines that are not.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("write_file"),
        Just("edit_file"),
        Just("move_file"),
        Just("read_text_file"),
        Just("directory_tree"),
        Just("search_files"),
        Just("propose"),
        Just("discard"),
    ];
    let path =
        prop_oneof!["[a-c./~%]{0,12}", any::<String>().prop_map(|s| s.chars().take(20).collect())];
    let call = (name, path.clone(), path, "[ab\n]{0,6}", -3_i64..40).prop_map(
        |(name, one, other, text, number)| {
            let arguments = match name {
                "write_file" => json!({"path": one, "content": text}),
                "edit_file" => json!({"path": one, "edits": [{"oldText": text, "newText": other}]}),
                "move_file" => json!({"source": one, "destination": other}),
                "read_text_file" => json!({"path": one, "head": number}),
                "directory_tree" => json!({"path": one, "excludePatterns": [other]}),
                "search_files" => json!({"path": one, "pattern": other}),
                "propose" => {
                    json!({"patch": format!("--- a/{one}\n+++ b/{one}\n@@ -0,0 +1 @@\n+{text}")})
                }
                _ => json!({"ids": [format!("p{number}")]}),
            };
            let params = json!({"name": name, "arguments": arguments});
            json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
                .to_string()
                .into_bytes()
        },
    );
    let mutated =
        (call.clone(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6))
            .prop_map(|(mut line, changes)| {
                for (at, byte) in changes {
                    let at = at.index(line.len());
                    line[at] = byte;
                }
                line
            });
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![2 => call, 3 => mutated, 1 => noise]
}

#[test]
fn the_server_goes_on_whatever_it_is_sent() {
    let stage = Fixture::new();
    stage.write("a/b", "ab\n");
    let before = stage.tree();
    let client = std::cell::RefCell::new(Client::new(&stage));
    let pings = std::cell::Cell::new(0_u64);
    let config = Config { failure_persistence: None, ..Config::default() };
    let sent = TestRunner::new(config).run(&prop::collection::vec(lines(), 1..20), |lines| {
        let mut client = client.borrow_mut();
        for line in &lines {
            client.send_line(line);
        }
        pings.set(pings.get() + 1);
        let id = json!(format!("ping-{}", pings.get()));
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
        prop_assert_eq!(&client.answer_to(&id)["result"], &json!({}), "it goes on");
        client.others.clear();
        Ok(())
    });
    sent.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(client.borrow_mut().end().1, Some(0));
    assert_eq!(stage.tree(), before, "nothing reached the disk");
    stage.run(["log", "--verify"]).expect(0);
}
