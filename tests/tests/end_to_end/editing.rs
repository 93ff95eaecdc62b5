//! `edit`: the reviewer's editor, what comes of its text, and what the agent learns.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use end_to_end::{Fixture, Ran, greenroom_binary, output};
use rstest::rstest;
use serde_json::json;

use crate::mcp::client::Client;

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("src/main.rs", "one\ntwo\n");
    stage.propose("src/main.rs", "1\ntwo\n");
    stage
}

/// Runs `edit` with this editor.
fn edit(stage: &Fixture, editor: &str, arguments: &[&str]) -> Ran {
    let mut command = stage.command(["edit"].iter().chain(arguments));
    output(command.env("GREENROOM_EDITOR", editor).env("TERM", "xterm")).into()
}

/// Directories of edited texts that are left.
fn drafts(stage: &Fixture) -> Vec<PathBuf> {
    let entries = fs::read_dir(stage.state_dir()).expect("the state");
    let all = entries.map(|entry| entry.expect("readable").path());
    all.filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("edit-"))
    })
    .collect()
}

#[test]
fn a_saved_text_is_a_revision_by_the_reviewer() {
    let stage = stage();
    let ran = edit(&stage, "sed -i 's/two/2/'", &["p1"]).expect(0);
    let text = String::from_utf8(ran.stdout).expect("text");
    assert_eq!(text, "p1 modify src/main.rs (+2 -2, revision 2, edited by the reviewer)\n");
    let patch = stage.patch("p1");
    let signature = patch["signature"].as_str().expect("one");
    assert!(ran.stderr.contains(&format!("signature {signature}\n")), "{}", ran.stderr);
    assert_eq!((&patch["edited"], &patch["revision"]), (&json!(true), &json!(2)));
    let shown = String::from_utf8(stage.run(["show", "p1"]).expect(0).stdout).expect("text");
    assert!(shown.contains("  revision   2, edited by the reviewer\n"), "{shown}");
    assert!(shown.contains("  earlier    1 is p2, from 2"), "{shown}");
    assert!(shown.contains(": you edited it\n"), "{shown}");
    let log = String::from_utf8(stage.run(["log"]).expect(0).stdout).expect("text");
    assert!(log.contains("src/main.rs revision 2 edited by the reviewer\n"), "{log}");
    assert_eq!(drafts(&stage), Vec::<PathBuf>::new(), "the text's file is removed");
    stage.run(["apply", "p1", "--expect", signature]).expect(0);
    assert_eq!(stage.read("src/main.rs"), b"1\n2\n");
}

#[test]
fn the_editor_gets_a_private_file_that_is_named_as_the_patchs() {
    let stage = stage();
    let seen = stage.beside("seen");
    let script = stage.beside("my editor.sh");
    let text =
        "#!/bin/sh\nstat -c '%a %n' \"$2\" \"$(dirname \"$2\")\" > \"$1\"\ncat \"$2\" >> \"$1\"\n";
    fs::write(&script, text).expect("ours");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
    let editor = format!("'{}' {}", script.display(), seen.display());
    let ran = edit(&stage, &editor, &["p1"]).expect(0);
    assert!(ran.stderr.contains("p1 is unchanged: nothing was staged"), "{}", ran.stderr);
    let seen = fs::read_to_string(seen).expect("the editor ran");
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].starts_with("600 ") && lines[0].ends_with("/p1-main.rs"), "{seen}");
    assert!(lines[1].starts_with("700 "), "{seen}");
    assert_eq!(lines[2..], ["1", "two"]);
    assert_eq!(stage.events().iter().filter(|event| *event == "patch_proposed").count(), 1);
}

#[test]
fn the_editor_is_chosen_as_git_chooses_it() {
    let stage = stage();
    let names = ["GREENROOM_EDITOR", "configured", "VISUAL", "EDITOR"];
    for first in 0..names.len() {
        let of = |name: &str| format!("echo {name} >&2; false");
        stage.configure(&match first <= 1 {
            true => format!("editor = \"{}\"\n", of("configured")),
            false => String::new(),
        });
        let mut command = stage.command(["edit", "p1"]);
        command.env("TERM", "xterm");
        for name in names.iter().skip(first).filter(|name| **name != "configured") {
            command.env(name, of(name));
        }
        let ran = Ran::from(output(&mut command)).expect(4);
        assert!(ran.stderr.starts_with(&format!("{}\n", names[first])), "{}", ran.stderr);
    }
    let mut command = stage.command(["edit", "p1"]);
    command
        .env("TERM", "dumb")
        .env("VISUAL", "echo no >&2;false")
        .env("EDITOR", "echo e >&2;false");
    let ran = Ran::from(output(&mut command)).expect(4);
    assert!(ran.stderr.starts_with("e\n"), "a dumb terminal has no visual editor: {}", ran.stderr);
}

#[test]
fn an_emptied_text_is_staged_only_if_that_is_asked_for() {
    let stage = stage();
    let ran = edit(&stage, "truncate -s 0", &["p1"]).expect(4);
    assert!(ran.stderr.contains("the edited text of p1 is empty"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--allow-empty"), "{}", ran.stderr);
    assert_eq!(stage.patch("p1")["state"], "pending");
    edit(&stage, "truncate -s 0", &["p1", "--allow-empty"]).expect(0);
    assert_eq!(stage.patch("p1")["staged"]["bytes"], 0);
}

/// Where a failure says that the text is, and what it is.
#[track_caller]
fn kept(ran: &Ran) -> String {
    let (_, behind) =
        ran.stderr.split_once("The edited text is kept in `").expect("its file is named");
    let (path, _) = behind.split_once('`').expect("a path");
    fs::read_to_string(path).expect("it is there")
}

#[test]
fn the_text_of_an_editor_that_fails_is_kept() {
    let stage = stage();
    let ran = edit(&stage, "f() { echo mine > \"$1\"; exit 3; }; f", &["p1"]).expect(4);
    assert!(ran.stderr.contains("Nothing was staged"), "{}", ran.stderr);
    assert_eq!(kept(&ran), "mine\n");
    assert_eq!(stage.patch("p1")["state"], "pending");
    let ran = edit(&stage, "no-such-editor-anywhere", &["p1"]).expect(4);
    assert!(ran.stderr.contains("no-such-editor-anywhere"), "{}", ran.stderr);
    assert!(ran.stderr.contains("GREENROOM_EDITOR, the key `editor`"), "{}", ran.stderr);
    assert_eq!(drafts(&stage).len(), 1, "what was not changed is not kept");
}

#[rstest]
#[case::longer_than_is_read("truncate -s 65M", "/p1-main.rs`")]
#[case::longer_and_the_editor_failed("f() { truncate -s 65M \"$1\"; exit 3; }; f", "/p1-main.rs`")]
#[case::a_directory("f() { rm \"$1\"; mkdir \"$1\"; }; f", "/p1-main.rs`")]
#[case::moved("f() { mv \"$1\" \"$1.mine\"; }; f", "/edit-")]
fn a_text_that_cannot_be_read_back_is_kept(#[case] editor: &str, #[case] names: &str) {
    let stage = stage();
    let ran = edit(&stage, editor, &["p1"]);
    assert!(matches!(ran.code, Some(1 | 4)), "{}", ran.stderr);
    let (_, named) = ran.stderr.split_once("is kept in `").expect("its file is named");
    assert!(named.contains(names), "{}", ran.stderr);
    let [draft] = drafts(&stage).try_into().expect("one directory is left");
    assert_eq!(fs::read_dir(draft).expect("ours").count(), 1, "with what the editor left");
    assert_eq!(stage.patch("p1")["state"], "pending");
}

#[test]
fn where_the_editor_left_nothing_nothing_is_kept() {
    let stage = stage();
    let ran = edit(&stage, "rm", &["p1"]).expect(1);
    assert!(ran.stderr.contains("cannot read the edited text"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("is kept"), "{}", ran.stderr);
    assert_eq!(drafts(&stage), Vec::<PathBuf>::new());
}

#[rstest]
#[case::rejected("discard p1", "", "rejected")]
#[case::replaced("propose src/main.rs", "3\n", "is at revision 2, not 1")]
#[case::applied("apply p1 --yes", "", "applied")]
fn the_text_for_a_patch_that_changed_meanwhile_is_kept(
    #[case] meanwhile: &str,
    #[case] input: &str,
    #[case] why: &str,
) {
    let stage = stage();
    let greenroom = greenroom_binary();
    let script = format!(
        "f() {{ echo mine > \"$1\"; printf '{input}' | '{}' {meanwhile} >&2; }}; f",
        greenroom.display()
    );
    let ran = edit(&stage, &script, &["p1"]);
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert_eq!(kept(&ran), "mine\n");
    assert!(!stage.events().is_empty());
    assert_ne!(stage.read("src/main.rs"), b"mine\n");
}

#[test]
fn what_is_no_text_is_refused_with_what_to_do() {
    let stage = stage();
    stage.run(["propose", "src/main.rs", "--delete"]).expect(0);
    let ran = edit(&stage, "true", &["p1"]).expect(4);
    assert!(
        ran.stderr.contains("p1 `src/main.rs` cannot be edited: it is a deletion"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("greenroom discard p1"), "{}", ran.stderr);
}

#[test]
fn an_agent_cannot_give_out_its_text_as_the_reviewers() {
    let stage = stage();
    let mut command = stage.command(["edit", "p1"]);
    command.env("CLAUDECODE", "1").env("GREENROOM_EDITOR", "sed -i s/1/2/");
    let ran = Ran::from(output(&mut command)).expect(4);
    assert!(ran.stderr.contains("its result counts as the reviewer's"), "{}", ran.stderr);
}

#[test]
fn the_object_is_all_of_standard_output() {
    let stage = stage();
    let ran = edit(&stage, "echo noise; sed -i s/two/2/", &["p1", "--json"]).expect(0);
    assert_eq!(ran.json()["patches"][0]["edited"], true);
    assert!(ran.stderr.contains("noise"), "{}", ran.stderr);
    let ran = edit(&stage, "true", &["p1", "--json"]).expect(0);
    assert_eq!(ran.json()["patches"], json!([]));
}

#[test]
fn the_agent_receives_the_edited_text_and_works_on_it() {
    let stage = Fixture::new();
    let mut client = Client::new(&stage);
    client.ok("write_file", json!({"path": "a.txt", "content": "1\ntwo\n"}));
    edit(&stage, "sed -i s/two/2/", &["p1"]).expect(0);
    let told = client.call("pending", json!({}));
    assert!(told.text.starts_with("p1@2 a.txt was edited by the user"), "{}", told.text);
    let structured = &told.result["structuredContent"];
    assert_eq!(structured["decisions"][0]["decision"], "edited");
    assert_eq!(structured["patches"][0]["edited"], true);
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "1\n2\n");
    let edits = json!([{"oldText": "1\n", "newText": "uno\n"}]);
    let text = client.ok("edit_file", json!({"path": "a.txt", "edits": edits}));
    assert!(text.contains("risk: replaces your edit (1): `a.txt` (your edit was p3)"), "{text}");
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "uno\n2\n");
    let status = String::from_utf8(stage.run(["status"]).expect(0).stdout).expect("text");
    assert!(status.contains("risk: replaces your edit (1): "), "{status}");
    let shown = String::from_utf8(stage.run(["show", "p3"]).expect(0).stdout).expect("text");
    assert!(shown.contains("revision 2 of p1, edited by the reviewer"), "{shown}");
}
