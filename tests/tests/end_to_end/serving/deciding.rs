//! Decisions over `serve` that the command has as well: a message, comments, and parts of an undo.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Server, propose_of};

/// A server whose session has applied `src/a`, `src/b` and `docs/c`.
fn applied(stage: &Fixture) -> Server {
    let mut server = Server::start(stage);
    let session = server.open("agent");
    for path in ["src/a", "src/b", "docs/c"] {
        server.result("propose", &propose_of(&session, path, "x\n"));
    }
    server.result("apply", &json!({ "session": session }));
    server
}

#[rstest]
#[case::a_patch(json!(["p1"]), &["src/a"])]
#[case::a_directory(json!([{"path": "src"}]), &["src/a", "src/b"])]
#[case::a_file_and_a_patch(json!([{"path": "src/b"}, "p3"]), &["src/b", "docs/c"])]
#[case::a_label(json!(["agent"]), &["src/a", "src/b", "docs/c"])]
#[case::all_but_a_directory(json!([{"except": {"path": "src"}}]), &["docs/c"])]
#[case::a_directory_but_a_patch(json!([{"path": "src"}, {"except": "p1"}]), &["src/b"])]
fn a_part_of_an_apply_is_undone(#[case] ids: Value, #[case] undone: &[&str]) {
    let stage = Fixture::new();
    let mut server = applied(&stage);
    let report = server.result("undo", &json!({ "ids": ids }));
    assert_eq!(report["pending"].as_array().map(Vec::len), Some(undone.len()), "{report}");
    assert_eq!(report["remaining"].as_array().map(Vec::len), Some(3 - undone.len()), "{report}");
    for path in ["src/a", "src/b", "docs/c"] {
        assert_eq!(stage.path(path).exists(), !undone.contains(&path), "{path}");
    }
    // Its rest is undone by the next one, and each of the two can be redone.
    if undone.len() < 3 {
        server.result("undo", &json!({"apply": "a1"}));
        assert!(!stage.path("docs/c").exists() && !stage.path("src/a").exists());
    }
    let error = server.error("undo", &json!({"apply": "a1", "ids": ids}));
    assert_eq!(error["kind"], "closed", "{error}");
}

#[rstest]
#[case::at_no_file(json!([{"path": "nothing"}]), "not_found", "a1 has no file at `nothing`")]
#[case::of_no_patch(json!(["p9"]), "not_found", "a1 has no file at `p9`")]
#[case::of_no_session(json!(["nobody"]), "not_found", "nobody")]
#[case::outside(json!([{"path": "../x"}]), "refused", "../x")]
#[case::of_nothing_left(json!([{"except": {"path": "src"}}, {"except": "p3"}]), "not_found", "")]
fn what_no_part_is_undoes_nothing(#[case] ids: Value, #[case] kind: &str, #[case] says: &str) {
    let stage = Fixture::new();
    let mut server = applied(&stage);
    let error = server.error("undo", &json!({ "ids": ids }));
    assert_eq!(error["kind"], kind, "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(says)), "{error}");
    assert!(stage.path("src/a").exists() && stage.path("docs/c").exists());
}

#[test]
fn a_part_that_was_undone_is_named_with_its_undo() {
    let stage = Fixture::new();
    let mut server = applied(&stage);
    server.result("undo", &json!({"ids": [{"path": "src/a"}]}));
    let error = server.error("undo", &json!({"apply": "a1", "ids": [{"path": "src/a"}]}));
    assert_eq!(error["kind"], "closed");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("undone by a2")), "{error}");
}

#[test]
fn the_reviewers_words_are_kept_with_the_apply() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    for (number, message) in ["good\nwork", " \n", ""].iter().enumerate() {
        server.result("propose", &propose_of(&session, &format!("{number}"), "x\n"));
        server.result("apply", &json!({"session": session, "message": message}));
    }
    let applies = stage.run(["applies", "--json"]).expect(0).json();
    let messages: Vec<_> = (0..3).map(|at| applies["applies"][at]["message"].clone()).collect();
    assert_eq!(messages, [Value::Null, Value::Null, json!("good\nwork")], "the newest is first");
}

#[test]
fn a_rejections_comments_reach_the_agent() {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("propose", &propose_of(&session, "a.txt", "one\ntwo\n"));
    server.result("subscribe", &json!({}));
    let comment = json!({"path": "a.txt", "line": 2, "comment": "call it 2"});
    server.begin("discard", &json!({"session": session, "comments": [comment]}));
    let event = std::iter::repeat_with(|| server.next())
        .find(|message| message["params"]["event"]["event"] == "patch_discarded");
    let expected = json!([{"path": "a.txt", "line": 2, "text": "two", "comment": "call it 2"}]);
    assert_eq!(event.expect("endless")["params"]["event"]["comments"], expected);
    assert_eq!(server.result("show", &json!({"patch": "p1"}))["comments"], expected);
}

#[rstest]
#[case::without_a_line(json!({"path": "a.txt", "line": 3, "comment": "x"}), "has 2 lines")]
#[case::of_another_file(json!({"path": "b.txt", "line": 1, "comment": "x"}), "b.txt")]
#[case::without_words(json!({"path": "a.txt", "line": 1, "comment": " "}), "empty")]
#[case::with_more(json!({"path": "a.txt", "line": 1, "comment": "x", "txt": ""}), "txt")]
#[case::as_a_list(json!(["a.txt", 1, "x"]), "an object")]
fn a_comment_that_fits_no_line_rejects_nothing(#[case] comment: Value, #[case] says: &str) {
    let stage = Fixture::new();
    let mut server = Server::start(&stage);
    let session = server.open("agent");
    server.result("propose", &propose_of(&session, "a.txt", "one\ntwo\n"));
    let error = server.error("discard", &json!({"session": session, "comments": [comment]}));
    assert_eq!(error["kind"], "usage", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(says)), "{error}");
    assert_eq!(stage.pending(), 1);
}
