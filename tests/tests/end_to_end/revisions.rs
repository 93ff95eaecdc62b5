//! Revisions: a patch that its agent rewrites keeps its id, and is decided as it was read.

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::json;

use crate::mcp::client::Client;
use crate::terminal::Terminal;

/// A file whose patch its agent has rewritten once.
fn rewritten() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    assert_eq!(stage.propose("a.txt", "two\n"), "p1");
    assert_eq!(stage.propose("a.txt", "three\n"), "p1");
    stage
}

fn text(stage: &Fixture, arguments: &[&str]) -> String {
    String::from_utf8(stage.run(arguments).expect(0).stdout).expect("text")
}

#[rstest]
#[case::apply(&["apply", "p1", "--yes"])]
#[case::number(&["apply", "1", "--yes"])]
#[case::beside_its_session(&["apply", "p1", "cli", "--yes"])]
#[case::discard(&["discard", "p1"])]
#[case::discard_with_yes(&["discard", "p1", "--yes"])]
fn what_an_agent_has_rewritten_is_not_decided_by_its_id_alone(#[case] decide: &[&str]) {
    let stage = rewritten();
    let ran = stage.run(decide).expect(4);
    assert!(ran.stderr.contains("p1 was rewritten: it is at revision 2\n"), "{}", ran.stderr);
    let advice = "Read it with `greenroom diff p1`, then name the revision: `p1@2`.";
    assert!(ran.stderr.contains(advice), "{}", ran.stderr);
    assert_eq!(ran.stderr.contains("--expect SIGNATURE"), decide[0] == "apply", "{}", ran.stderr);
    assert_eq!(stage.read("a.txt"), b"one\n");
    assert_eq!(stage.pending(), 1);
    let failed = stage.run([decide, &["--json"]].concat()).expect(4).json();
    assert_eq!(failed["error"]["kind"], "signature_mismatch");
    assert_eq!(failed["error"]["patches"], json!(["p1"]));
}

#[rstest]
#[case::revision(&["apply", "p1@2", "--yes"])]
#[case::number(&["apply", "1@2", "--yes"])]
#[case::session(&["apply", "cli", "--yes"])]
#[case::path(&["apply", "a.txt", "--yes"])]
#[case::everything(&["apply", "--yes"])]
fn what_was_read_is_applied(#[case] apply: &[&str]) {
    let stage = rewritten();
    stage.run(apply).expect(0);
    assert_eq!(stage.read("a.txt"), b"three\n");
}

#[test]
fn a_signature_needs_no_revision() {
    let stage = rewritten();
    let signature = stage.signature();
    stage.run(["apply", "p1", "--expect", &signature]).expect(0);
    assert_eq!(stage.read("a.txt"), b"three\n");
}

#[test]
fn a_success_of_exec_is_no_reading() {
    let stage = rewritten();
    stage.configure("");
    let ran = stage.run(["apply", "p1", "--yes", "--require-exec"]);
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("p1 was rewritten") || ran.stderr.contains("exec"),
        "{}",
        ran.stderr
    );
    assert_eq!(stage.read("a.txt"), b"one\n");
}

#[rstest]
#[case::diff(&["diff", "p1@1"])]
#[case::show(&["show", "p1@1"])]
#[case::apply(&["apply", "p1@1", "--yes"])]
#[case::apply_later(&["apply", "p1@3", "--yes"])]
#[case::discard(&["discard", "p1@1"])]
#[case::refresh(&["refresh", "p1@1"])]
#[case::edit(&["edit", "p1@1"])]
#[case::except(&["apply", "--yes", "--except", "p1@1"])]
fn another_revision_is_refused_everywhere(#[case] command: &[&str]) {
    let stage = rewritten();
    let ran = stage.run(command).expect(4);
    let named = command.iter().find_map(|word| word.strip_prefix("p1@")).expect("one");
    let expected = format!("p1 is at revision 2, not {named}: review it again\n");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_revision_that_is_also_a_path_is_refused() {
    let stage = rewritten();
    stage.propose("p1@2", "x\n");
    let ran = stage.run(["diff", "p1@2"]).expect(2);
    assert!(ran.stderr.contains("`p1@2` is a revision of a patch and a path"), "{}", ran.stderr);
    assert!(text(&stage, &["diff", "./p1@2"]).contains("+x\n"));
    let ran = stage.run(["diff", "p9@2"]).expect(1);
    assert!(ran.stderr.contains("there is no patch p9"), "{}", ran.stderr);
    let ran = stage.run(["propose", "b.txt", "--session", "p1@2", "--delete"]);
    assert!(ran.stderr.contains("it looks like an id"), "{}", ran.stderr);
}

#[test]
fn earlier_revisions_are_listed_and_shown() {
    let stage = rewritten();
    let shown = text(&stage, &["show", "p1"]);
    assert!(shown.contains("p1 modify a.txt (+1 -1, revision 2)\n"), "{shown}");
    assert!(shown.contains("  earlier    1 is p2, from "), "{shown}");
    assert!(shown.contains(": the agent replaced it\n"), "{shown}");
    let json = stage.run(["show", "p1", "--json"]).expect(0).json();
    assert_eq!(json["earlier"][0]["id"], "p2");
    assert_eq!(json["earlier"][0]["revision"], 1);
    assert_eq!(json["earlier"][0]["reason"], "superseded");

    let old = stage.run(["diff", "p2"]).expect(0);
    assert!(String::from_utf8_lossy(&old.stdout).contains("+two\n"));
    assert!(old.stderr.contains("p2, revision 1 of p1, is kept"), "{}", old.stderr);
    assert!(text(&stage, &["show", "p2"]).contains("(+1 -1, revision 1 of p1)"));
    let ran = stage.run(["apply", "p2", "--yes"]).expect(1);
    assert!(ran.stderr.contains("p2 is an earlier revision of p1"), "{}", ran.stderr);
    let now = stage.run(["diff", "p1"]).expect(0);
    assert!(now.stderr.contains("rewritten since first proposed: p1@2"), "{}", now.stderr);
    let log = text(&stage, &["log", "p1"]);
    assert_eq!(log.lines().count(), 2, "{log}");
}

/// Whatever rewrites it.
#[test]
fn the_id_stays_through_every_door() {
    let Some(stage) = Fixture::with_view("overlay") else { return };
    stage.write("a.txt", "0\n");
    let mut client = Client::greeted(&stage, &["--session", "agent"], json!({}));
    client.ok("write_file", json!({"path": "a.txt", "content": "1\n"}));
    let edits = json!([{"oldText": "1\n", "newText": "2\n"}]);
    let edited = client.ok("edit_file", json!({"path": "a.txt", "edits": edits}));
    assert!(edited.contains("p1 modify a.txt (+1 -1, revision 2)"), "{edited}");
    let propose = ["propose", "a.txt", "--session", "agent"];
    stage.run_with(propose, b"3\n").expect(0);
    let run = ["run", "--session", "agent", "--", "sh", "-c", "echo 4 > a.txt"];
    stage.run(run).expect(0);
    let patch = stage.patch("p1");
    assert_eq!((&patch["revision"], &patch["state"]), (&json!(4), &json!("pending")));
    assert_eq!(stage.pending(), 1);
    client.ok("write_file", json!({"path": "new.txt", "content": "1\n"}));
    let moved = json!({"source": "new.txt", "destination": "moved.txt"});
    client.ok("move_file", moved);
    let pending = client.call("pending", json!({}));
    let ids: Vec<_> = pending.result["structuredContent"]["patches"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|patch| (patch["path"].clone(), patch["revision"].clone()))
        .collect();
    let expected = [(json!("a.txt"), json!(4)), (json!("moved.txt"), json!(2))];
    assert_eq!(ids, expected);
}

#[test]
fn a_patch_that_is_rewritten_while_apply_asks_is_not_applied() {
    let stage = rewritten();
    let mut terminal = Terminal::run(&stage, &["apply", "p1"]);
    let shown = terminal.read_until("Apply 1 patch? [y/N] ");
    assert!(shown.contains("+three"), "{shown}");
    stage.propose("a.txt", "four\n");
    assert_eq!(terminal.answer("y\n"), Some(4));
    assert_eq!(stage.read("a.txt"), b"one\n");
    assert_eq!(stage.patch("p1")["revision"], 3);
}

/// An agent withdraws what it has written itself, and what its user has edited only after it has read that.
#[test]
fn an_agent_withdraws_its_own_revisions_by_id() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    for content in ["1\n", "2\n"] {
        client.ok("write_file", json!({"path": "a.txt", "content": content}));
        client.ok("write_file", json!({"path": "b.txt", "content": content}));
    }
    client.ok("discard", json!({"ids": ["p1"]}));
    let mut edit = stage.command(["edit", "p2"]);
    let edited = end_to_end::output(edit.env("GREENROOM_EDITOR", "sed -i s/2/mine/"));
    assert!(edited.status.success());
    let refused = client.refused("discard", json!({"ids": ["p2"]}));
    assert!(refused.contains("p2 was edited by the user"), "{refused}");
    client.ok("discard", json!({"ids": ["p2@3"]}));
    assert_eq!(stage.pending(), 0);
}

/// The last decision is reported; that the user's text was applied is a part of it.
#[test]
fn an_agent_receives_that_its_patch_was_applied_as_the_user_edited_it() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "1\n"}));
    let mut edit = stage.command(["edit", "p1"]);
    assert!(end_to_end::output(edit.env("GREENROOM_EDITOR", "sed -i s/1/2/")).status.success());
    stage.run(["apply", "p1", "--yes"]).expect(0);
    let told = client.ok("pending", json!({}));
    assert!(told.starts_with("p1@2 a.txt is applied, as the user has edited it"), "{told}");
}
