//! What `greenroom run` writes in a session, as the session's tools and hooks see it meanwhile.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use end_to_end::{Fixture, spawn};
use serde_json::json;

use super::client::Client;

/// A command in the session `agent:s` that has run the script and waits; none, visibly, where this
/// machine allows no view.
fn waiting(stage: &Fixture, script: &str) -> Option<Child> {
    let script = format!("{script}; echo reached; read line");
    let mut command = stage.command(["run", "--session", "agent:s", "--", "sh", "-c", &script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = spawn(&mut command);
    let mut line = String::new();
    let output = run.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("it can be read");
    if line == "reached\n" {
        return Some(run);
    }
    let ran = run.wait_with_output().expect("it ends");
    assert_eq!(ran.status.code(), Some(125), "{}", String::from_utf8_lossy(&ran.stderr));
    println!("skipped: {}", String::from_utf8_lossy(&ran.stderr));
    None
}

#[test]
fn the_tools_of_a_session_see_what_its_command_has_written_so_far() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    let Some(run) = waiting(&stage, "echo two >> a.txt; echo new > b.txt") else { return };
    let mut client = Client::greeted(&stage, &["--session", "agent:s"], json!({}));
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "one\ntwo\n");
    assert_eq!(client.ok("read_text_file", json!({"path": "b.txt"})), "new\n");
    let pending = client.ok("pending", json!({}));
    assert!(pending.contains("modify a.txt") && pending.contains("create b.txt"), "{pending}");
    let edits = json!([{"oldText": "two", "newText": "2"}]);
    client.ok("edit_file", json!({"path": "a.txt", "edits": edits}));
    run.wait_with_output().expect("it ends with its input");
    assert_eq!(client.ok("read_text_file", json!({"path": "a.txt"})), "one\n2\n");
    assert_eq!(stage.read("a.txt"), b"one\n");
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!((stage.read("a.txt"), stage.read("b.txt")), (b"one\n2\n".into(), b"new\n".into()));
}

#[test]
fn another_session_sees_nothing_of_it() {
    let stage = Fixture::new();
    let Some(run) = waiting(&stage, "echo new > b.txt") else { return };
    let mut client = Client::new(&stage);
    client.refused("read_text_file", json!({"path": "b.txt"}));
    run.wait_with_output().expect("it ends with its input");
}

#[test]
fn a_killed_command_has_written_what_the_next_tool_reads() {
    let stage = Fixture::new();
    let Some(mut run) = waiting(&stage, "echo new > b.txt") else { return };
    run.kill().and_then(|()| run.wait()).expect("it is our child");
    let mut client = Client::greeted(&stage, &["--session", "agent:s"], json!({}));
    assert_eq!(client.ok("read_text_file", json!({"path": "b.txt"})), "new\n");
}

#[test]
fn a_hook_shows_what_a_command_of_its_session_has_written() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    let Some(run) = waiting(&stage, "echo two > a.txt") else { return };
    let call = json!({
        "session_id": "s", "cwd": stage.workspace(), "hook_event_name": "PreToolUse",
        "tool_name": "Read", "tool_input": {"file_path": stage.path("a.txt")},
    });
    let ran = stage.run_with(["hook", "claude-code"], call.to_string().as_bytes()).expect(0);
    let answer = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(answer.contains("lines 1 to 1 of 1") && answer.contains("two"), "{answer}");
    run.wait_with_output().expect("it ends with its input");
}
