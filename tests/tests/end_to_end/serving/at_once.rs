//! Short proposals are staged by the thread that reads, and nobody notices but by the clock.

use end_to_end::Fixture;
use serde_json::{Value, json};

use super::{Server, propose_of};

#[cfg(target_os = "linux")]
#[test]
fn while_a_proposal_waits_for_another_process_other_calls_are_answered() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("propose", &propose_of(&session, "a.txt", "x\n"));
    let lock = end_to_end::StoreLock::take(&stage);
    let waits = server.begin("propose", &propose_of(&session, "b.txt", "x\n"));
    for _ in 0..3 {
        let status = server.begin("status", &json!({}));
        assert_eq!(server.next()["id"], json!(status), "the proposal is not answered yet");
    }
    drop(lock);
    let answer = server.next();
    assert_eq!(answer["id"], json!(waits));
    assert!(answer["error"].is_null(), "{answer}");
    let status = server.result("status", &json!({}));
    assert_eq!(status["sessions"][0]["patches"].as_array().map(Vec::len), Some(2), "{status}");
}

#[test]
fn calls_that_come_together_are_answered_in_their_order() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    let long = "line\n".repeat(20_000);
    let mut begun = Vec::new();
    for round in 0..100 {
        let content = if round % 7 == 0 { long.clone() } else { format!("{round}\n") };
        begun.push(server.begin("propose", &propose_of(&session, "a.txt", &content)));
        if round % 5 == 0 {
            begun.push(server.begin("read", &json!({"session": session, "path": "a.txt"})));
        }
        if round % 10 == 0 {
            // Nothing is under way.
            while !begun.is_empty() {
                assert_eq!(server.next()["id"], json!(begun.remove(0)));
            }
        }
    }
    for id in begun {
        assert_eq!(server.next()["id"], json!(id));
    }
    let read = server.result("read", &json!({"session": session, "path": "a.txt"}));
    assert_eq!(read["text"], "99\n", "{read}");
    let pending = server.result("status", &json!({}));
    assert_eq!(pending["sessions"][0]["patches"][0]["revision"], 100, "{pending}");
}

#[test]
fn events_of_what_is_staged_at_once_are_all_delivered() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("subscribe", &json!({}));
    let mut events = Vec::new();
    for round in 0..20 {
        // Each is the only call under way.
        let id = server.begin("propose", &propose_of(&session, &format!("{round}.txt"), "x\n"));
        loop {
            let message = server.next();
            if message["id"] == json!(id) {
                break;
            }
            events.push(message["params"]["event"]["seq"].clone());
        }
    }
    while events.len() < 20 {
        events.push(server.next()["params"]["event"]["seq"].clone());
    }
    let numbers: Vec<Option<u64>> = events.iter().map(Value::as_u64).collect();
    let first = numbers[0].expect("an event has a number");
    assert_eq!(numbers, (first..first + 20).map(Some).collect::<Vec<_>>());
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_command_of_run_has_written_is_staged_before() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    stage.run(["run", "--session", "agent", "--", "sh", "-c", "echo two >> a.txt"]).expect(0);
    let edit =
        json!({"kind": "edit", "path": "a.txt", "old": {"text": "two"}, "new": {"text": "2"}});
    server.result("propose", &json!({"session": session, "proposals": [edit]}));
    let read = server.result("read", &json!({"session": session, "path": "a.txt"}));
    assert_eq!(read["text"], "one\n2\n", "{read}");
}
