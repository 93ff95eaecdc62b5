//! Each kind of risk is in every place in which a set is reviewed, also as the 200th of its kind.

use std::fmt::Write as _;

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use crate::mcp::client::Client;
use crate::terminal::Terminal;

const MANY: usize = 200;

/// A part of a git patch about one file.
fn part(name: &str, header: &str, body: &str) -> String {
    format!("diff --git a/{name} b/{name}\n{header}{body}")
}

fn hunk(name: &str, old: &str, new: &str) -> String {
    let lines = |sign: char, text: &str| -> String {
        text.split_inclusive('\n').map(|line| format!("{sign}{line}")).collect()
    };
    let range = |text: &str| match text.matches('\n').count() {
        0 => "0,0".to_owned(),
        count => format!("1,{count}"),
    };
    let label = |side: char, text: &str| match text {
        "" => "/dev/null".to_owned(),
        _ => format!("{side}/{name}"),
    };
    format!(
        "--- {}\n+++ {}\n@@ -{} +{} @@\n{}{}",
        label('a', old),
        label('b', new),
        range(old),
        range(new),
        lines('-', old),
        lines('+', new)
    )
}

fn create(name: &str) -> String {
    part(name, "new file mode 100644\n", &hunk(name, "", "x\n"))
}

fn link(name: &str) -> String {
    let body =
        format!("--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n");
    part(name, "new file mode 120000\n", &body)
}

fn remove(name: &str) -> String {
    part(name, "deleted file mode 100644\n", &hunk(name, "x\n", ""))
}

/// What raises a kind of risk: the content of the file before, if there is one, and the patch.
type Raise = fn(&str) -> (Option<String>, String);

fn lines(word: &str) -> String {
    (0..30).map(|line| format!("{word} {line}\n")).collect()
}

#[rstest]
#[case::deletion("deletion", "deleted", |n: &str| (Some("x\n".into()), remove(n)))]
#[case::replaced("replaced", "removed and created again", |n: &str| {
    (Some("x\n".into()), remove(n) + &link(n))
})]
#[case::full_replacement("full_replacement", "replaced as a whole", |n: &str| {
    (Some(lines("old")), part(n, "", &hunk(n, &lines("old"), &lines("new"))))
})]
#[case::shrunk("shrunk", "shrunk by more than 90 %", |n: &str| {
    let long = "x".repeat(99) + "\n";
    (Some(long.clone()), part(n, "", &hunk(n, &long, "y\n")))
})]
#[case::encoding("encoding", "encoding or line endings", |n: &str| {
    (Some("x\n".into()), part(n, "", &hunk(n, "x\n", "\u{feff}x\n")))
})]
#[case::executable("executable", "executable", |n: &str| {
    (Some("x\n".into()), part(n, "old mode 100644\nnew mode 100755\n", ""))
})]
#[case::mode("mode", "mode", |n: &str| {
    (None, part(n, "new file mode 100666\n", &hunk(n, "", "x\n")))
})]
#[case::symbolic_link("symbolic_link", "symbolic link", |n: &str| (None, link(n)))]
#[case::automation("automation", "read or run by tools on their own", |n: &str| {
    (None, create(&format!(".husky/{n}")))
})]
#[case::ci("ci", "CI", |n: &str| (None, create(&format!(".github/workflows/{n}.yml"))))]
#[case::lock_file("lock_file", "lock file", |n: &str| (None, create(&format!("{n}/Cargo.lock"))))]
#[case::hidden("hidden", "hidden", |n: &str| (None, create(&format!(".{n}"))))]
fn each_of_many_is_named_in_every_place(
    #[case] kind: &str,
    #[case] title: &str,
    #[case] raise: Raise,
) {
    let stage = Fixture::new();
    stage.configure("[mcp]\napprove_by_elicitation = true\n");
    let mut patch = String::new();
    for number in 0..MANY {
        let name = format!("f{number:04}");
        let (before, part) = raise(&name);
        if let Some(before) = before {
            stage.write(&name, before);
        }
        let _ = write!(patch, "{part}");
    }
    let mut client = Client::greeted(&stage, &[], json!({"elicitation": {}}));
    let check = |text: &str, place: &str| {
        let head = format!("risk: {title} ({MANY}): ");
        let found = text.lines().find(|line| line.trim_end().starts_with(&head));
        let line = found.unwrap_or_else(|| panic!("{place} has `{head}`:\n{text}"));
        for number in 0..MANY {
            assert!(line.contains(&format!("f{number:04}")), "{place} names f{number:04}: {line}");
        }
    };
    let check_data = |risks: &Value, place: &str| {
        let of_kind = |risk: &&Value| risk["kind"] == kind;
        let found = risks.as_array().and_then(|risks| risks.iter().find(of_kind));
        let paths =
            found.unwrap_or_else(|| panic!("{place} has `{kind}`: {risks}"))["paths"].clone();
        let paths = paths.as_array().expect("a list");
        assert_eq!(paths.len(), MANY, "{place}");
        let last = &paths[MANY - 1];
        assert!(
            last["path"].as_str().is_some_and(|path| path.contains("f0199")),
            "{place}: {last}"
        );
        assert!(last["patch"].as_str().is_some_and(|id| id.starts_with('p')), "{place}: {last}");
    };

    let staged = client.call("propose", json!({"patch": patch}));
    assert!(!staged.is_error, "{}", staged.text);
    let others = ["pending", "diff"].map(|tool| (tool, client.call(tool, json!({}))));
    for (tool, called) in others.into_iter().chain([("propose", staged)]) {
        check(&called.text, tool);
        check_data(&called.result["structuredContent"]["risks"], tool);
    }

    let status = String::from_utf8(stage.run(["status"]).expect(0).stdout).expect("text");
    check(&status, "status");
    assert!(status.lines().nth(1).is_some_and(|line| line.starts_with("risk: ")), "at the head");
    check_data(&stage.status()["risks"], "status --json");
    check_data(&stage.run(["diff", "--json"]).expect(0).json()["risks"], "diff --json");
    let diff = stage.run(["diff"]).expect(0);
    check(&diff.stderr, "diff");
    assert!(!String::from_utf8_lossy(&diff.stdout).contains("risk: "), "a patch for programs");
    check(&stage.run(["diff", "--stat"]).expect(0).stderr, "diff --stat");

    let mut terminal = Terminal::run(&stage, &["apply"]);
    let seen = terminal.until_asked().to_owned();
    check(&seen, "the question of apply");
    let (_, question) = seen.rsplit_once("\nrisk: ").expect("it is there");
    assert!(!question.contains("diff --git"), "the risks are below the diff: {question}");
    assert_eq!(terminal.answer("n\n"), Some(4));
    let mut terminal = Terminal::run(&stage, &["apply"]);
    terminal.until_asked();
    assert_eq!(terminal.answer("y\n"), Some(0), "what was shown can be applied");

    stage.run(["undo"]).expect(0);
    stage.run(["apply", "--yes"]).expect(0);
    stage.run(["undo"]).expect(0);
}

/// What the question to a client's user says; it shows few patches.
#[test]
fn a_question_of_a_client_begins_with_the_risks() {
    let stage = Fixture::new();
    stage.configure("[mcp]\napprove_by_elicitation = true\n");
    stage.write("a.txt", "x\n");
    let mut client = Client::greeted(&stage, &[], json!({"elicitation": {}}));
    client.ok("delete_file", json!({"path": "a.txt"}));
    client.ok("write_file", json!({"path": "Cargo.lock", "content": "x\n"}));
    let params = json!({"name": "request_approval", "arguments": {}});
    client.send(&json!({"jsonrpc": "2.0", "id": "q", "method": "tools/call", "params": params}));
    let asked = client.wait_for(|message| message["method"] == "elicitation/create");
    let message = asked["params"]["message"].as_str().expect("a text");
    let risks: Vec<&str> = message.lines().skip(2).take(2).collect();
    assert_eq!(
        risks,
        ["risk: deleted (1): `a.txt`", "risk: lock file (1): `Cargo.lock`"],
        "{message}"
    );
    let answer = json!({"action": "decline"});
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer}));
    client.answer_to(&json!("q"));
}

/// It takes back what was applied, and is a change of the files as any other.
#[test]
fn the_question_of_an_undo_has_its_risks() {
    let stage = Fixture::new();
    stage.write("run.sh", "x\n");
    stage.run(["propose", "run.sh", "--mode", "755"]).expect(0);
    stage.propose("new.txt", "x\n");
    stage.write("old.txt", "x\n");
    stage.run(["propose", "old.txt", "--delete"]).expect(0);
    stage.run(["apply", "--yes"]).expect(0);
    let mut terminal = Terminal::run(&stage, &["undo"]);
    let seen = terminal.until_asked().to_owned();
    let risks: Vec<&str> =
        seen.lines().map(str::trim_end).filter(|line| line.starts_with("risk: ")).collect();
    assert_eq!(risks, ["risk: deleted (1): `new.txt`", "risk: mode (1): `run.sh` (755 -> 644)"]);
    assert_eq!(terminal.answer("n\n"), Some(4));
    let mut terminal = Terminal::run(&stage, &["undo", "old.txt"]);
    let seen = terminal.until_asked().to_owned();
    assert!(!seen.contains("risk: "), "of the files that are undone: {seen}");
    assert_eq!(terminal.answer("n\n"), Some(4));
}

#[test]
fn one_patch_is_shown_and_staged_with_its_risks() {
    let stage = Fixture::new();
    let ran = stage.run_with(["propose", ".envrc"], b"x\n").expect(0);
    assert!(ran.stderr.contains("risk: hidden (1): `.envrc`\n"), "{}", ran.stderr);
    let shown = String::from_utf8(stage.run(["show", "p1"]).expect(0).stdout).expect("text");
    assert!(shown.contains("  risk       read or run by tools on their own\n"), "{shown}");
    let risks = stage.patch("p1")["diff"]["risks"].clone();
    assert_eq!(risks, json!([{"kind": "automation"}, {"kind": "hidden"}]));
    let log = stage.run(["log", "--json"]).expect(0).json();
    let proposed = log["events"]
        .as_array()
        .and_then(|events| events.iter().find(|event| event["event"] == "patch_proposed").cloned());
    assert_eq!(proposed.expect("an event")["diff"]["risks"], risks);
}
