//! Approval by a question to the client's user: what it needs, and everything that it refuses.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::client::{Called, Client};

const TURNED_ON: &str = "[mcp]\napprove_by_elicitation = true\n";

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.configure(TURNED_ON);
    stage.write("a.txt", "one\n");
    stage
}

/// A client that says it can ask its user, in a protocol with a handshake.
fn asking(stage: &Fixture) -> Client {
    Client::greeted(stage, &["--session", "shared"], json!({"elicitation": {}}))
}

/// Calls the tool without waiting; its id.
fn ask(client: &mut Client, id: &str) -> Value {
    let params = json!({"name": "request_approval", "arguments": {}});
    let id = json!(id);
    client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    id
}

/// The server's question.
fn question(client: &mut Client) -> Value {
    client.wait_for(|message| message["method"] == "elicitation/create")
}

fn answer(client: &mut Client, question: &Value, result: &Value) {
    client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}));
}

fn approval() -> Value {
    json!({"action": "accept", "content": {"decision": "approve"}})
}

fn write(client: &mut Client, content: &str) {
    client.ok("write_file", json!({"path": "a.txt", "content": content}));
}

#[track_caller]
fn assert_untouched(stage: &Fixture) {
    assert_eq!(stage.read("a.txt"), b"one\n", "the disk is as it was");
    assert!(!stage.events().contains(&"apply_committed".to_owned()), "and nothing was applied");
}

/// The log's words on who approved.
fn client_approval(stage: &Fixture) -> Value {
    let log = stage.run(["log", "--json"]).expect(0).json();
    let events = log["events"].as_array().expect("a list").clone();
    let started: Vec<_> = events.iter().filter(|event| event["event"] == "apply_started").collect();
    assert_eq!(started.len(), 1, "one apply: {started:?}");
    started[0]["attested_by"].clone()
}

#[test]
fn nothing_asks_unless_the_user_turned_it_on() {
    let stage = Fixture::new();
    stage.write(".greenroom.toml", TURNED_ON);
    stage.write("greenroom/config.toml", TURNED_ON);
    let mut client = asking(&stage);
    let listed = client.request("tools/list", json!({}));
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(20));
    let called = client.request("tools/call", json!({"name": "request_approval"}));
    assert_eq!(called["error"]["code"], -32602, "{called}");
    stage.run(["mcp", "--approve-by-elicitation"]).expect(2);
}

#[test]
fn what_was_shown_and_approved_is_applied_as_the_clients_word() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "one\ntwo\u{202e}\n");
    let signature = stage.signature();
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    let message = asked["params"]["message"].as_str().expect("a text");
    for part in ["p1 modify a.txt (+1 -0), 4 -> 11 bytes", &signature, "+two<U+202E>\n"] {
        assert!(message.contains(part), "`{part}` is shown: {message}");
    }
    let schema = &asked["params"]["requestedSchema"];
    assert_eq!(schema["required"], json!(["decision"]));
    assert_eq!(
        schema["properties"]["decision"]["enum"],
        json!(["approve", "reject", "keep pending"])
    );
    assert_untouched(&stage);
    answer(&mut client, &asked, &approval());
    let result = client.answer_to(&id)["result"].clone();
    assert_eq!(result["structuredContent"]["applied"], true, "{result}");
    assert_eq!(stage.read("a.txt"), "one\ntwo\u{202e}\n".as_bytes());
    assert_eq!(client_approval(&stage), json!({"client": "test", "version": "1"}));
    let log = stage.run(["log"]).expect(0).stdout;
    let log = String::from_utf8(log).expect("it is text");
    assert!(log.contains("approved through the client test 1"), "{log}");
    stage.run(["log", "--verify"]).expect(0);
    let schema = stage.run(["schema"]).expect(0).stdout;
    assert!(String::from_utf8_lossy(&schema).contains("\"attested_by\""), "the schema has it");
}

#[test]
fn an_apply_in_a_terminal_names_no_client() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    stage.run(["apply", "p1", "--yes"]).expect(0);
    assert_eq!(client_approval(&stage), Value::Null);
}

#[rstest]
#[case::declined(json!({"action": "decline"}))]
#[case::cancelled(json!({"action": "cancel"}))]
#[case::kept(json!({"action": "accept", "content": {"decision": "keep pending"}}))]
#[case::accepted_without_a_word(json!({"action": "accept"}))]
#[case::accepted_empty(json!({"action": "accept", "content": {}}))]
#[case::another_word(json!({"action": "accept", "content": {"decision": "yes"}}))]
#[case::declined_with_the_word(json!({"action": "decline", "content": {"decision": "approve"}}))]
#[case::no_answer_at_all(json!({"tools": []}))]
fn anything_but_the_word_leaves_it_pending(#[case] result: Value) {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    answer(&mut client, &asked, &result);
    client.answer_to(&id);
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 1);
    client.assert_serves();
}

#[test]
fn the_user_can_reject_with_a_reason() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    let content = json!({"decision": "reject", "reason": "use \u{1b}tabs"});
    answer(&mut client, &asked, &json!({"action": "accept", "content": content}));
    let result = client.answer_to(&id)["result"].clone();
    let data = &result["structuredContent"];
    assert_eq!((&data["applied"], &data["decision"]), (&json!(false), &json!("rejected")));
    assert_eq!(data["content"], "The user rejected p1: use ^[tabs.");
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 0);
    let shown = stage.run(["show", "p1", "--json"]).expect(0).json();
    assert_eq!(shown["reason_text"], "rejected through the client test 1: use \u{1b}tabs");
    let next = client.call("pending", json!({}));
    assert_eq!(next.result["structuredContent"]["decisions"], json!([]), "it was reported");
}

#[rstest]
#[case::approved("approve", "p1 p3", &["a.txt", "c.txt"], 1)]
#[case::approved_with_commas("approve", "p3,p1", &["a.txt", "c.txt"], 1)]
#[case::one("approve", "p2", &["b.txt"], 2)]
#[case::all_when_empty("approve", "  ", &["a.txt", "b.txt", "c.txt"], 0)]
#[case::rejected("reject", "p1 p3", &[], 1)]
#[case::not_shown("approve", "p1 p4", &[], 4)]
#[case::no_ids("approve", "all of them", &[], 4)]
fn the_user_can_choose_some_of_the_patches(
    #[case] decision: &str,
    #[case] patches: &str,
    #[case] applied: &[&str],
    #[case] pending: usize,
) {
    let stage = Fixture::new();
    stage.configure(TURNED_ON);
    let mut client = asking(&stage);
    for name in ["a.txt", "b.txt", "c.txt"] {
        client.ok("write_file", json!({"path": name, "content": "x\n"}));
    }
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    assert_eq!(asked["params"]["requestedSchema"]["properties"]["patches"]["type"], "string");
    if pending == 4 {
        client.ok("write_file", json!({"path": "late.txt", "content": "x\n"}));
    }
    let content = json!({"decision": decision, "patches": patches});
    answer(&mut client, &asked, &json!({"action": "accept", "content": content}));
    let result = client.answer_to(&id)["result"].clone();
    assert_eq!(result["isError"] == true, pending == 4, "{result}");
    let there = |name: &&str| stage.path(name).exists();
    let found: Vec<&str> =
        ["a.txt", "b.txt", "c.txt", "late.txt"].into_iter().filter(there).collect();
    assert_eq!(found, applied);
    assert_eq!(stage.pending(), pending);
}

#[test]
fn a_client_that_cannot_ask_receives_the_command() {
    let stage = stage();
    for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
        let mut client = Client::greeted(&stage, &["--session", "shared"], capabilities);
        write(&mut client, "two\n");
        let refused = client.refused("request_approval", json!({}));
        assert!(refused.contains("greenroom apply p1"), "{refused}");
        assert!(!refused.contains("--expect"), "{refused}");
        assert!(client.others.is_empty(), "nothing was asked: {:?}", client.others);
    }
    assert_untouched(&stage);
}

#[rstest]
#[case::hidden(".envrc", "x\n".to_owned(), "never approved through a client")]
#[case::agents_settings("sub/.claude/settings.json", "{}\n".to_owned(), "never approved")]
#[case::git(".git/config", "x\n".to_owned(), "never approved")]
#[case::scripts_of_an_installation(
    "package.json", r#"{"scripts": {"install": "x"}}"#.to_owned(), "never approved"
)]
#[case::unreadable_scripts("web/Package.json", "{\"x\": 1e999}\n".to_owned(), "never approved")]
#[case::binary("b.bin", "a\0b".to_owned(), "replaces a whole file without a diff")]
#[case::too_long("long.txt", "line\n".repeat(6000), "a question can show at most")]
fn what_a_clients_word_does_not_approve_is_not_asked(
    #[case] path: &str,
    #[case] content: String,
    #[case] why: &str,
) {
    let stage = stage();
    stage.configure(&format!("allow_git = true\n{TURNED_ON}"));
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    client.ok("write_file", json!({"path": path, "content": content}));
    let refused = client.refused("request_approval", json!({}));
    assert!(refused.contains(why) && refused.contains("terminal"), "{refused}");
    assert!(client.others.is_empty(), "nothing was asked: {:?}", client.others);
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 2, "all of it is pending");
}

#[test]
fn an_answer_for_what_is_not_there_any_more_is_refused() {
    for (change, kept) in [("proposed anew", "one\n"), ("edited", "mine\n")] {
        let stage = stage();
        let mut client = asking(&stage);
        write(&mut client, "two\n");
        let id = ask(&mut client, "q");
        let asked = question(&mut client);
        if change == "edited" {
            stage.write("a.txt", "mine\n");
        } else {
            write(&mut client, "other\n");
        }
        answer(&mut client, &asked, &approval());
        let result = client.answer_to(&id)["result"].clone();
        assert_eq!(result["isError"], true, "{change}: {result}");
        assert_eq!(stage.read("a.txt"), kept.as_bytes(), "{change}");
        assert!(!stage.events().contains(&"apply_committed".to_owned()), "{change}");
    }
}

#[test]
fn without_an_answer_in_time_nothing_is_applied() {
    let stage = stage();
    stage.configure(&format!("{TURNED_ON}elicitation_wait = \"1s\"\n"));
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    let result = client.answer_to(&id)["result"].clone();
    assert!(result["content"][0]["text"].as_str().is_some_and(|text| text.contains("in time")));
    answer(&mut client, &asked, &approval());
    client.assert_serves();
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_client_that_leaves_approves_nothing() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    ask(&mut client, "q");
    question(&mut client);
    let (left, code) = client.end();
    assert_eq!(code, Some(0), "{left:?}");
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_cancelled_question_approves_nothing() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    let params = json!({"requestId": id});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    client.assert_serves();
    answer(&mut client, &asked, &approval());
    client.assert_serves();
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn the_first_answer_is_the_only_one() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    answer(&mut client, &asked, &json!({"action": "decline"}));
    answer(&mut client, &asked, &approval());
    client.answer_to(&id);
    client.assert_serves();
    assert_untouched(&stage);
    // An answer to a question that nobody asked.
    answer(&mut client, &json!({"id": 99}), &approval());
    client.assert_serves();
    assert_untouched(&stage);
}

#[test]
fn other_calls_are_served_while_a_question_is_open() {
    let stage = stage();
    let mut client = asking(&stage);
    write(&mut client, "two\n");
    let id = ask(&mut client, "q");
    let asked = question(&mut client);
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "two\n");
    answer(&mut client, &asked, &approval());
    client.answer_to(&id);
    assert_eq!(stage.read("a.txt"), b"two\n");
}

#[test]
fn two_clients_at_once_apply_it_once() {
    let stage = stage();
    let mut clients = [asking(&stage), asking(&stage)];
    write(&mut clients[0], "two\n");
    let ids: Vec<Value> = clients.iter_mut().map(|client| ask(client, "q")).collect();
    let asked: Vec<Value> = clients.iter_mut().map(question).collect();
    for (client, asked) in clients.iter_mut().zip(&asked) {
        answer(client, asked, &approval());
    }
    let errors = clients.iter_mut().zip(&ids).filter_map(|(client, id)| {
        let result = client.answer_to(id)["result"].clone();
        (result["isError"] == true).then_some(result)
    });
    assert_eq!(errors.count(), 1, "one of them fails because the question is decided");
    assert_eq!(stage.read("a.txt"), b"two\n");
    client_approval(&stage);
}

/// A client of the protocol without a handshake.
struct Modern(Client);

impl Modern {
    fn new(stage: &Fixture) -> Self {
        let mut client = Self(Client::start(stage, &["--session", "shared"]));
        client.write("two\n");
        client
    }

    fn call(&mut self, mut params: Value, capabilities: Value) -> Called {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "modern client\n", "version": "2"},
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        self.0.call_with(params)
    }

    fn write(&mut self, content: &str) {
        let arguments = json!({"path": "a.txt", "content": content});
        let called = self.call(json!({"name": "write_file", "arguments": arguments}), json!({}));
        assert!(!called.is_error, "{}", called.text);
    }

    fn ask(&mut self) -> String {
        let params = json!({"name": "request_approval", "arguments": {}});
        let called = self.call(params, json!({"elicitation": {}}));
        assert_eq!(called.result["resultType"], "input_required", "{}", called.result);
        let asked = &called.result["inputRequests"]["approval"];
        assert_eq!(asked["method"], "elicitation/create");
        assert!(asked["params"]["message"].as_str().is_some_and(|text| text.contains("+two")));
        called.result["requestState"].as_str().expect("a state comes with it").to_owned()
    }

    fn answer(&mut self, state: &str, result: &Value) -> Called {
        self.answer_with(json!({
            "name": "request_approval", "arguments": {}, "requestState": state,
            "inputResponses": {"approval": result},
        }))
    }

    fn answer_with(&mut self, params: Value) -> Called {
        self.call(params, json!({"elicitation": {}}))
    }
}

#[test]
fn without_a_handshake_the_question_is_an_answer_and_its_state_works_once() {
    let stage = stage();
    let mut client = Modern::new(&stage);
    let state = client.ask();
    assert_untouched(&stage);
    let called = client.answer(&state, &approval());
    assert!(!called.is_error, "{}", called.text);
    assert_eq!(called.result["structuredContent"]["applied"], true);
    assert_eq!(stage.read("a.txt"), b"two\n");
    assert_eq!(client_approval(&stage), json!({"client": "modern_client_", "version": "2"}));
    stage.run(["undo"]).expect(0);
    client.write("two\n");
    let replayed = client.answer(&state, &approval());
    assert!(replayed.is_error && replayed.text.contains("answered already"), "{}", replayed.text);
    assert_eq!(stage.read("a.txt"), b"one\n", "a replayed approval applies nothing");
}

#[test]
fn a_declined_state_cannot_be_accepted_later() {
    let stage = stage();
    let mut client = Modern::new(&stage);
    let state = client.ask();
    assert!(!client.answer(&state, &json!({"action": "decline"})).is_error);
    assert!(client.answer(&state, &approval()).is_error);
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_state_that_is_not_the_servers_own_is_refused() {
    let stage = stage();
    let mut client = Modern::new(&stage);
    let state = client.ask();
    let mut other = Modern::new(&stage);
    let of_another_server = other.ask();
    let mut forged = state.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.insert(forged.len() / 2, last);
    for forged in [of_another_server.as_str(), &forged, "", "rs1.e30.AAAA"] {
        let called = client.answer(forged, &approval());
        assert!(called.is_error && called.text.contains("nothing is applied"), "{}", called.text);
    }
    let other_arguments = json!({
        "name": "request_approval", "arguments": {"ids": ["p1"]}, "requestState": state,
        "inputResponses": {"approval": approval()},
    });
    assert!(client.answer_with(other_arguments).is_error, "it is bound to its call");
    for part in [
        json!({"requestState": state}),
        json!({"inputResponses": {"approval": approval()}}),
        json!({"requestState": state, "inputResponses": {"other": approval()}}),
    ] {
        let mut params = json!({"name": "request_approval", "arguments": {}});
        for (name, value) in part.as_object().expect("an object") {
            params[name] = value.clone();
        }
        assert!(client.answer_with(params).is_error, "{part}");
    }
    assert_untouched(&stage);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_state_for_what_is_not_there_any_more_is_refused() {
    let stage = stage();
    let mut client = Modern::new(&stage);
    let state = client.ask();
    client.write("other\n");
    assert!(client.answer(&state, &approval()).is_error);
    assert_untouched(&stage);
    client.write("two\n");
    let state = client.ask();
    stage.write("a.txt", "mine\n");
    assert!(client.answer(&state, &approval()).is_error);
    assert_eq!(stage.read("a.txt"), b"mine\n");
    assert!(!stage.events().contains(&"apply_committed".to_owned()));
}

#[test]
fn without_a_handshake_the_client_has_to_say_that_it_can_ask() {
    let stage = stage();
    let mut client = Modern::new(&stage);
    let params = json!({"name": "request_approval", "arguments": {}});
    let called = client.call(params, json!({}));
    assert!(called.is_error && called.text.contains("greenroom apply p1"), "{}", called.text);
    assert_untouched(&stage);
}
