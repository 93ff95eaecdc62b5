//! Calls that are refused before they begin, and calls that are answered whatever happens.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Server, propose_of, write_of};

/// Calls that name a session, with parameters that are right otherwise.
fn calls_of(session: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("propose", propose_of(session, "b.txt", "x\n")),
        ("propose_patch", json!({"session": session, "patch": {"text": ""}})),
        ("read", json!({"session": session, "path": "a.txt"})),
        ("diff", json!({"session": session})),
        ("apply", json!({"session": session})),
        ("discard", json!({"session": session})),
        ("refresh", json!({"session": session, "ids": ["p1"]})),
        ("undo", json!({"session": session})),
        ("redo", json!({"session": session})),
        ("close_session", json!({ "session": session })),
    ]
}

#[test]
fn every_call_with_a_session_needs_one_that_was_opened_here() {
    let stage = Fixture::new();
    let (mut owner, mut other) = (Server::start(&stage), Server::start(&stage));
    let session = owner.open("agent");
    owner.result("propose", &propose_of(&session, "a.txt", "x\n"));
    owner.result("apply", &json!({ "session": session }));
    owner.result("propose", &propose_of(&session, "a.txt", "y\n"));
    for (method, params) in calls_of(&session) {
        let error = other.error(method, &params);
        assert_eq!(
            (&error["kind"], &error["session"]),
            (&json!("closed"), &json!(session)),
            "{method}"
        );
        assert!(
            error["message"].as_str().is_some_and(|text| text.contains("open_session")),
            "{error}"
        );
    }
    assert_eq!((stage.pending(), stage.read("a.txt")), (1, b"x\n".to_vec()), "nothing was done");
    // Once it is opened, each of them is about this session.
    other.open("agent");
    assert_eq!(other.result("diff", &json!({ "session": session }))["patches"][0]["path"], "a.txt");
}

#[rstest]
#[case::of_no_parameters("status", json!([]))]
#[case::in_their_order("open_session", json!(["agent"]))]
#[case::of_optional_ones("diff", json!([null, [], null]))]
#[case::of_a_change("propose", json!({"session": "s1", "proposals": [["write", "a.txt", {"text": "x"}]]}))]
#[case::of_a_change_without_fields("propose", json!({"session": "s1", "proposals": [["create_directory", "d"]]}))]
#[case::of_a_text("status", json!("x"))]
fn a_list_in_place_of_an_object_is_refused(#[case] method: &str, #[case] params: Value) {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    server.open("first");
    let answer = server.call(method, &params);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(stage.pending(), 0);
    let sessions = server.result("sessions", &json!({}));
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));
}

#[test]
fn calls_in_flight_at_the_end_of_the_input_are_answered() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    let writes: Vec<Value> = (0..200).map(|it| write_of(&format!("{it}.txt"), "x\n")).collect();
    server.result("propose", &json!({"session": session, "proposals": writes}));
    // None of them is in the queue of a session, and the apply takes longest.
    let mut begun = vec![server.begin("apply", &json!({ "ids": [session] }))];
    begun.extend((0..50).map(|_| server.begin("status", &json!({}))));
    server.end_input();
    let (code, left) = server.wait();
    let mut answered: Vec<u64> = left.iter().filter_map(|one| one["id"].as_u64()).collect();
    answered.sort_unstable();
    assert_eq!((code, answered), (Some(0), begun));
    assert!(left.iter().all(|message| message["error"].is_null()), "{left:?}");
    assert_eq!(stage.read("199.txt"), b"x\n");
}

#[test]
fn a_session_that_was_ended_elsewhere_is_closed_here() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    stage.run(["session", "close", "agent"]).expect(0);
    let error = server.error("propose", &propose_of(&session, "a.txt", "x\n"));
    assert_eq!((&error["kind"], &error["session"]), (&json!("closed"), &json!(session)));
    let again = server.open("agent");
    assert_ne!(again, session);
    server.result("propose", &propose_of(&again, "a.txt", "x\n"));
}

#[test]
fn sessions_that_were_ended_elsewhere_are_forgotten_once_there_are_many() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let ended = server.open("ended");
    let kept = server.open("kept");
    stage.run(["session", "close", "ended"]).expect(0);
    for number in 0..70 {
        server.open(&format!("agent{number}"));
    }
    let error = server.error("diff", &json!({ "session": ended }));
    assert!(
        error["message"].as_str().is_some_and(|text| text.contains("not open here")),
        "{error}"
    );
    assert_eq!(server.result("diff", &json!({ "session": kept }))["patches"], json!([]));
}
