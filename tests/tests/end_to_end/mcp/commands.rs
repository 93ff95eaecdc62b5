//! The tool `run_command`: what a command sees, what is answered, and where it is offered.

use std::fs;

use end_to_end::Fixture;
use rstest::rstest;
use serde_json::{Value, json};

use super::client::{Called, Client};
use crate::running::Agent;

pub(super) const ALLOWED: &str = "[mcp]\nrun_command = true\n";

/// Where agents may run commands; nothing, visibly, where this machine has no view.
pub(super) fn allowed() -> Option<Fixture> {
    let fixture = Fixture::with_view("auto")?;
    fixture.configure(ALLOWED);
    Some(fixture)
}

pub(super) fn client(fixture: &Fixture) -> Client {
    Client::greeted(fixture, &["--session", "shared"], json!({}))
}

/// Runs a command, which has to be answered.
#[track_caller]
pub(super) fn run(client: &mut Client, arguments: Value) -> Value {
    let called = client.call("run_command", arguments);
    assert!(!called.is_error, "{}", called.text);
    called.result["structuredContent"].clone()
}

#[track_caller]
pub(super) fn shell(client: &mut Client, script: &str) -> Value {
    run(client, json!({"command": script}))
}

/// Begins a command that prints a line and waits until a file appears outside; its id and the file.
pub(super) fn begin(
    client: &mut Client,
    fixture: &Fixture,
    before: &str,
    after: &str,
) -> (Value, String) {
    let go = fixture.beside("go").display().to_string();
    let wait = format!("{before}\necho reached; until [ -e {go} ]; do sleep 0.05; done\n{after}");
    let params = json!({
        "name": "run_command", "arguments": {"command": wait}, "_meta": {"progressToken": "t"},
    });
    let id = client.begin(params);
    reached(client);
    (id, go)
}

/// Waits until the command has printed its line.
pub(super) fn reached(client: &mut Client) {
    client.wait_for(|message| {
        let said = message["params"]["message"].as_str();
        message["method"] == "notifications/progress" && said.is_some_and(|s| s.contains("reached"))
    });
}

/// What is pending, as `operation path`.
pub(super) fn pending(fixture: &Fixture) -> Vec<String> {
    crate::running::pending(&fixture.status())
}

#[test]
fn no_command_is_run_unless_the_users_own_configuration_allows_it() {
    let fixture = Fixture::new();
    for name in
        [".greenroom.toml", "greenroom/config.toml", "greenroom.toml", ".greenroom/config.toml"]
    {
        fixture.write(name, ALLOWED);
    }
    let mut client = client(&fixture);
    let listed = client.request("tools/list", json!({}));
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(20));
    let refused = client.refused("run_command", json!({"command": "touch ran"}));
    assert!(refused.contains("`run_command = true` under `[mcp]`"), "{refused}");
    assert!(!fixture.path("ran").exists() && fixture.pending() == 0);
    for arguments in [["mcp", "--run-command"], ["mcp", "--with-shell"]] {
        fixture.run(arguments).expect(2);
    }
    fixture.configure("[mcp]\nrun_command = \"yes\"\n");
    fixture.run(["status"]).expect(2);
}

#[test]
fn where_it_is_allowed_the_tool_is_listed_and_described() {
    let Some(fixture) = allowed() else { return };
    let mut client = Client::start(&fixture, &[]);
    let greeted = client.greet("2025-06-18", json!({}));
    let instructions = greeted["result"]["instructions"].as_str().expect("there are some");
    assert!(instructions.contains("`run_command`"), "{instructions}");
    let listed = client.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().expect("a list").clone();
    let tool = tools.iter().find(|tool| tool["name"] == "run_command").expect("it is offered");
    let timeout = &tool["inputSchema"]["properties"]["timeout_s"];
    assert_eq!((&timeout["default"], &timeout["maximum"]), (&json!(120), &json!(3600)));
    assert_eq!(tool["annotations"]["destructiveHint"], false);
}

#[test]
fn a_command_sees_what_the_tools_have_staged_and_its_writes_are_staged_with_them() {
    let Some(fixture) = allowed() else { return };
    for name in ["a", "gone", "old"] {
        fixture.write(name, "one\n");
    }
    let before = fixture.tree();
    let mut client = client(&fixture);
    client.ok("write_file", json!({"path": "a", "content": "two\n"}));
    client.ok("write_file", json!({"path": "new/deep/f", "content": "new\n"}));
    client.ok("delete_file", json!({"path": "gone"}));
    client.ok("move_file", json!({"source": "old", "destination": "moved"}));
    let ran = shell(
        &mut client,
        "cat a new/deep/f moved; ls gone old; echo three >> a; rm -r new; echo four > b",
    );
    assert_eq!(ran["stdout"], "two\nnew\none\n");
    assert_eq!(ran["stderr"].as_str().map(|text| text.lines().count()), Some(2), "{ran}");
    assert_eq!((&ran["exit_code"], &ran["signal"]), (&json!(0), &Value::Null));
    assert_eq!(client.ok("read_text_file", json!({"path": "a"})), "two\nthree\n");
    assert_eq!(client.ok("read_text_file", json!({"path": "b"})), "four\n");
    let expected = ["create b", "delete gone", "modify a", "rename old"];
    let mut found = pending(&fixture);
    found.sort();
    assert_eq!(found, expected, "one set, in one session");
    assert_eq!(fixture.status()["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(fixture.tree(), before, "the disk is as it was");

    let changed: Vec<&Value> = ran["patches"].as_array().expect("a list").iter().collect();
    let path = |patch: &&&Value| patch["changed"] == true;
    let mut paths: Vec<&str> =
        changed.iter().filter(path).filter_map(|patch| patch["path"].as_str()).collect();
    paths.sort_unstable();
    assert_eq!((paths, &ran["patches_pending"]), (vec!["a", "b"], &json!(4)));
    assert_eq!(ran["signature"], json!(fixture.signature()));
    assert!(ran["risks"].to_string().contains("gone"), "a deletion is among them: {ran}");

    // A reviewer applies, and goes on.
    fixture.run(["apply", "--yes"]).expect(0);
    assert_eq!(fixture.read("a"), b"two\nthree\n");
    let ran = shell(&mut client, "cat a b; echo five >> b");
    assert_eq!(ran["stdout"], "two\nthree\nfour\n");
    assert_eq!(pending(&fixture), ["modify b"]);
}

#[test]
fn what_was_rejected_is_not_seen_by_the_next_command() {
    let Some(fixture) = allowed() else { return };
    fixture.write("a", "one\n");
    let mut client = client(&fixture);
    client.ok("write_file", json!({"path": "b", "content": "staged\n"}));
    shell(&mut client, "echo two >> a; echo new > n");
    fixture.run(["discard", "--yes"]).expect(0);
    let ran = shell(&mut client, "cat a; ls");
    assert_eq!(ran["stdout"], "one\na\n");
    assert_eq!((&ran["patches"], &ran["signature"]), (&json!([]), &Value::Null));
    assert_eq!(fixture.pending(), 0);
    assert_eq!(ran["decisions"][0]["decision"], "rejected", "the agent hears of it: {ran}");
}

#[rstest]
#[case::code(json!("exit 3"), json!(3), Value::Null)]
#[case::signal(json!("kill -9 $$"), Value::Null, json!(9))]
#[case::words(json!(["sh", "-c", "exit $0", "4"]), json!(4), Value::Null)]
#[case::words_are_not_read_by_a_shell(json!(["test", "$HOME", "=", "$HOME"]), json!(0), Value::Null)]
#[case::not_found_by_the_shell(json!("no-such-program"), json!(127), Value::Null)]
#[case::empty_input(json!("cat"), json!(0), Value::Null)]
#[case::no_terminal(json!("! cat < /dev/tty"), json!(0), Value::Null)]
fn it_answers_how_the_command_ended(
    #[case] command: Value,
    #[case] code: Value,
    #[case] signal: Value,
) {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let ran = run(&mut client, json!({"command": command}));
    assert_eq!((&ran["exit_code"], &ran["signal"]), (&code, &signal), "{ran}");
    assert_eq!(ran["timed_out"], false);
    assert!(ran["elapsed_ms"].is_u64());
}

#[test]
fn what_cannot_be_started_is_refused() {
    let Some(fixture) = allowed() else { return };
    fixture.write("data", "x\n");
    let mut client = client(&fixture);
    for command in [json!(["no-such-program"]), json!(["./data"]), json!([""]), json!("")] {
        client.refused("run_command", json!({"command": command}));
    }
    client.refused("run_command", json!({"command": "true", "shell": "bash"}));
    assert_eq!(shell(&mut client, "echo it goes on")["stdout"], "it goes on\n");
}

#[test]
fn of_a_long_output_the_beginning_and_the_end_are_answered() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let ran = shell(&mut client, "seq 1 100000; printf x >&2");
    let output = ran["stdout"].as_str().expect("a text");
    assert!(output.starts_with("1\n2\n") && output.ends_with("\n99999\n100000\n"), "{output}");
    let all = (1..=100_000).map(|number| format!("{number}\n").len()).sum::<usize>();
    let left_out = ran["stdout_left_out_bytes"].as_u64().expect("a number") as usize;
    let marker = format!("\n[{left_out} bytes are left out here]\n");
    assert!(output.contains(&marker), "{output}");
    assert_eq!(output.len() - marker.len() + left_out, all, "every byte is counted");
    assert!(output.len() < 30_000);
    assert_eq!((&ran["stderr"], &ran["stderr_left_out_bytes"]), (&json!("x"), &json!(0)));
}

#[test]
fn control_characters_of_the_output_are_spelled_out() {
    let Some(fixture) = allowed() else { return };
    let mut client = client(&fixture);
    let called =
        client.call("run_command", json!({"command": r"printf 'a\033[31mb\377\342\200\256'"}));
    let expected = "a^[[31mb<FF><U+202E>";
    assert_eq!(called.result["structuredContent"]["stdout"], expected);
    assert!(called.text.contains(expected), "{}", called.text);
}

#[rstest]
#[case::confined(&["--confine"], "may write more than a command of a tool")]
#[case::without_a_network(&["--no-network"], "may write more than a command of a tool")]
#[case::not(&[], "runs without `--confine`")]
fn beside_a_run_of_the_session_it_is_refused(#[case] options: &[&str], #[case] expected: &str) {
    let Some(fixture) = allowed() else { return };
    let script = "echo run > f; echo reached; read x";
    let mut agent = Agent::start_as(&fixture, "shared", options, script);
    agent.reached();
    let mut client = client(&fixture);
    let refused = client.refused("run_command", json!({"command": "touch ran"}));
    assert!(refused.contains(expected), "{refused}");
    agent.go_on();
    agent.end().expect(0);
    assert_eq!(pending(&fixture), ["create f"]);
}

#[test]
fn a_directory_of_the_workspace_is_where_it_starts_and_no_other_one() {
    let Some(fixture) = allowed() else { return };
    fixture.write("d/e/f", "x\n");
    fixture.write("private/.gitkeep", "");
    fixture.write(".gitignore", "out/\n");
    std::os::unix::fs::symlink("d/e", fixture.path("within")).expect("ours");
    std::os::unix::fs::symlink("/tmp", fixture.path("outside")).expect("ours");
    let root = fixture.workspace().display().to_string();
    let mut client = client(&fixture);
    client.ok("write_file", json!({"path": "staged/f", "content": "x\n"}));
    shell(&mut client, "mkdir out; echo x > out/f");
    let full = format!("{root}/d/./e");
    for (cwd, expected) in [
        (".", ""),
        ("d", "/d"),
        ("d/../d/e", "/d/e"),
        (full.as_str(), "/d/e"),
        ("within", "/d/e"),
        ("staged", "/staged"),
        ("out", "/out"),
        (root.as_str(), ""),
    ] {
        let ran = run(&mut client, json!({"command": "pwd -P", "cwd": cwd}));
        assert_eq!(ran["stdout"], format!("{root}{expected}\n"), "{cwd}: {ran}");
    }
    for cwd in ["..", "/", "/tmp", "d/../..", "outside", "missing", "d/e/f", "~", "", "a\0b"] {
        let refused = client.refused("run_command", json!({"command": "touch ran", "cwd": cwd}));
        assert!(!refused.is_empty());
    }
    assert!(pending(&fixture).iter().all(|line| !line.contains("ran")), "nothing has run");
}

#[test]
fn a_clients_root_is_where_it_starts() {
    let Some(fixture) = allowed() else { return };
    fixture.write("d/f", "x\n");
    let mut client = Client::start(&fixture, &["--session", "shared"]);
    client.greet("2025-06-18", json!({"roots": {}}));
    let asked = client.wait_for(|message| message["method"] == "roots/list");
    let root = format!("file://{}", fixture.path("d").display());
    let result = json!({"roots": [{"uri": root}]});
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}));
    assert_eq!(shell(&mut client, "ls")["stdout"], "f\n");
    client.refused("run_command", json!({"command": "ls", "cwd": fixture.workspace()}));
}

#[test]
fn variables_are_for_the_command_alone() {
    let Some(fixture) = allowed() else { return };
    fixture.write("bin/tool", "#!/bin/sh\necho found\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(fixture.path("bin/tool"), mode).expect("ours");
    let mut client = client(&fixture);
    let env = json!({
        "A": "one two\n", "EMPTY": "", "HOME": "/nowhere", "LD_PRELOAD": "/no/such/library",
        "GREENROOM_STATE_DIR": "/nowhere", "XDG_CONFIG_HOME": "/nowhere",
    });
    let command = "printf '%s|%s|%s' \"$A\" \"${EMPTY-unset}\" \"$HOME\"; echo x > f";
    let ran = run(&mut client, json!({"command": command, "env": env}));
    assert_eq!(ran["stdout"], "one two\n||/nowhere", "{ran}");
    assert_eq!(pending(&fixture), ["create f"], "Greenroom's own parts have not got them");
    assert_eq!(shell(&mut client, "echo ${A-unset}")["stdout"], "unset\n");
    let path = format!("{}:/usr/bin:/bin", fixture.path("bin").display());
    let ran = run(&mut client, json!({"command": ["tool"], "env": {"PATH": path}}));
    assert_eq!(ran["stdout"], "found\n", "{ran}");
    for env in [json!({"A=B": "x"}), json!({"": "x"}), json!({"A": "\0"}), json!({"A": 1})] {
        client.refused("run_command", json!({"command": "true", "env": env}));
    }
}

#[test]
fn what_is_stale_and_what_is_not_proposed_is_noted() {
    let Some(fixture) = allowed() else { return };
    fixture.write("a", "one\n");
    let mut client = client(&fixture);
    let (id, go) = begin(&mut client, &fixture, "echo two >> a; mkfifo pipe", "");
    fixture.write("a", "user\n");
    fs::write(go, "").expect("ours");
    let ran = client.answer_to(&id)["result"]["structuredContent"].clone();
    let notes = ran["notes"].to_string();
    assert!(notes.contains("stale: `a`") && notes.contains("not proposed: `pipe`"), "{ran}");
    assert_eq!(fixture.read("a"), b"user\n");
    assert_eq!(ran["patches_pending"], 0);
}

#[test]
fn ignored_files_and_commits_are_there_for_the_next_command() {
    let Some(fixture) = allowed() else { return };
    fixture.write(".gitignore", "target/\n");
    let mut client = client(&fixture);
    let commit = "git add . && git -c user.name=a -c user.email=a@b commit --quiet -m inside";
    shell(&mut client, &format!("mkdir target; echo object > target/o; {commit}"));
    let ran = shell(&mut client, "cat target/o; git log --format=%s");
    assert_eq!(ran["stdout"], "object\ninside\n", "{ran}");
    assert!(!fixture.path("target").exists());
    assert_eq!(fixture.pending(), 0);
}

#[test]
fn a_session_at_its_limit_starts_no_command() {
    let Some(fixture) = allowed() else { return };
    fixture.configure(&format!("{ALLOWED}[limits]\nlayer_bytes_max = 100000\n"));
    fixture.write(".gitignore", "big\n");
    let mut client = client(&fixture);
    shell(&mut client, "head -c 200000 /dev/zero > big");
    let refused = client.refused("run_command", json!({"command": "echo x > f"}));
    assert!(refused.contains("limits.layer_bytes_max"), "{refused}");
    assert_eq!(fixture.pending(), 0);
}

#[test]
fn in_the_version_without_a_handshake_it_is_the_same() {
    let Some(fixture) = allowed() else { return };
    let mut client = Client::start(&fixture, &["--session", "shared"]);
    let params = json!({
        "name": "run_command", "arguments": {"command": "echo reached; sleep 0.6; echo x > f"},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "2"},
            "io.modelcontextprotocol/clientCapabilities": {},
            "progressToken": "t",
        },
    });
    let Called { result, is_error, text } = client.call_with(params);
    assert!(!is_error && result["structuredContent"]["stdout"] == "reached\n", "{text}");
    reached(&mut client);
    assert_eq!(pending(&fixture), ["create f"]);
}
