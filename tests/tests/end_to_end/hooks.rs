//! Hooks: a write of an agent's own tools is staged and denied, and whatever fails is denied too.

use std::process::Stdio;

use end_to_end::{Fixture, Ran, spawn};
use rstest::rstest;
use serde_json::{Value, json};

fn call(stage: &Fixture, tool: &str, input: Value) -> Value {
    json!({
        "session_id": "6f0c", "transcript_path": "/dev/null", "cwd": stage.workspace(),
        "permission_mode": "default", "hook_event_name": "PreToolUse", "tool_name": tool,
        "tool_input": input, "tool_use_id": "toolu_1",
    })
}

fn hook(stage: &Fixture, agent: &str, call: &Value) -> Ran {
    stage.run_with(["hook", agent], call.to_string().as_bytes())
}

/// The reason with which a call was denied that went well.
#[track_caller]
fn reason(ran: Ran) -> String {
    let ran = ran.expect(0);
    let answer: Value = serde_json::from_slice(&ran.stdout).expect("one JSON object");
    let output = &answer["hookSpecificOutput"];
    assert_eq!(output["hookEventName"], "PreToolUse");
    assert_eq!(output["permissionDecision"], "deny", "the agent's own write does not happen");
    output["permissionDecisionReason"].as_str().expect("a reason").to_owned()
}

#[track_caller]
fn passed(ran: Ran) {
    assert!(ran.expect(0).stdout.is_empty(), "the call goes the way it goes without a hook");
}

fn write(stage: &Fixture, name: &str, content: &str) -> Value {
    call(stage, "Write", json!({"file_path": stage.path(name), "content": content}))
}

fn edit(stage: &Fixture, name: &str, old: &str, new: &str) -> Value {
    let path = stage.path(name);
    let input =
        json!({"file_path": path, "old_string": old, "new_string": new, "replace_all": false});
    call(stage, "Edit", input)
}

fn read(stage: &Fixture, name: &str) -> Value {
    call(stage, "Read", json!({"file_path": stage.path(name)}))
}

#[test]
fn writes_of_claude_code_wait_and_are_read_back() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\r\ntwo\r\n");
    let before = stage.tree();
    passed(hook(&stage, "claude-code", &read(&stage, "a.txt")));
    let told = reason(hook(&stage, "claude-code", &edit(&stage, "a.txt", "two\n", "2\n")));
    assert!(told.contains("p1 modify a.txt (+1 -1)"), "{told}");
    assert!(told.contains(&stage.signature()), "{told}");
    assert!(!told.contains("greenroom apply"), "no command that approves: {told}");
    let edits = json!([
        {"old_string": "one", "new_string": "1"},
        {"old_string": "2", "new_string": "zwei", "replace_all": true},
    ]);
    let input = json!({"file_path": stage.path("a.txt"), "edits": edits});
    reason(hook(&stage, "claude-code", &call(&stage, "MultiEdit", input)));
    reason(hook(&stage, "claude-code", &write(&stage, "dir/new.txt", "new\n")));
    reason(hook(&stage, "claude-code", &edit(&stage, "made.txt", "", "made\n")));
    let told = reason(hook(&stage, "claude-code", &read(&stage, "a.txt")));
    assert!(told.contains("lines 1 to 2 of 2:\n\n1\r\nzwei\r\n"), "{told}");
    let told = reason(hook(&stage, "claude-code", &read(&stage, "dir/new.txt")));
    assert!(told.ends_with("\n\nnew\n"), "{told}");
    assert_eq!(stage.tree(), before, "nothing reaches the disk before an approval");
    let sessions = stage.status()["sessions"].clone();
    assert_eq!((sessions[0]["label"].as_str(), sessions[1].is_null()), (Some("agent:6f0c"), true));
    stage.run(["apply", "--expect", &stage.signature()]).expect(0);
    assert_eq!(stage.read("a.txt"), b"1\r\nzwei\r\n");
    assert_eq!(
        (stage.read("dir/new.txt"), stage.read("made.txt")),
        (b"new\n".into(), b"made\n".into())
    );
    let told = hook(&stage, "claude-code", &read(&stage, "a.txt")).expect(0).stdout;
    let told = String::from_utf8(told).expect("text");
    assert!(told.contains("additionalContext") && told.contains("are applied"), "{told}");
    passed(hook(&stage, "claude-code", &read(&stage, "a.txt")));
}

#[test]
fn a_patch_of_codex_waits_and_is_relative_to_where_the_agent_is() {
    let stage = Fixture::new();
    stage.write("dir/a.txt", "one\ntwo  \n");
    let before = stage.tree();
    let patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-two\n+2\n*** Add File: b.txt\n+b\n*** End Patch\n";
    let mut call = call(&stage, "apply_patch", json!({"command": patch}));
    call["cwd"] = json!(stage.path("dir"));
    let told = reason(hook(&stage, "codex", &call));
    assert!(told.contains("p1 modify dir/a.txt") && told.contains("p2 create dir/b.txt"), "{told}");
    assert!(told.contains("but for blanks at the ends of lines"), "{told}");
    assert_eq!(stage.tree(), before, "nothing reaches the disk before an approval");
    stage.run(["apply", "p1", "p2", "--expect", &stage.signature()]).expect(0);
    assert_eq!(
        (stage.read("dir/a.txt"), stage.read("dir/b.txt")),
        (b"one\n2\n".into(), b"b\n".into())
    );
}

#[rstest]
#[case::above("../b/f")]
#[case::absolute("{root}/packages/b/f")]
fn codex_names_any_file_of_the_workspace_from_a_directory_in_it(#[case] name: &str) {
    let stage = Fixture::new();
    stage.write("packages/b/f", "one\n");
    std::fs::create_dir_all(stage.path("packages/a")).expect("it is ours");
    let name = name.replace("{root}", stage.workspace().to_str().expect("it is text"));
    let patch = format!("*** Begin Patch\n*** Update File: {name}\n-one\n+two\n*** End Patch\n");
    let mut call = call(&stage, "apply_patch", json!({"command": patch}));
    call["cwd"] = json!(stage.path("packages/a"));
    let told = reason(hook(&stage, "codex", &call));
    assert!(told.contains("p1 modify packages/b/f"), "{told}");
    let out = patch.replace(&name, "../../../f");
    call["tool_input"] = json!({"command": out});
    let denied = hook(&stage, "codex", &call).expect(2);
    assert!(denied.stderr.contains("leads out of the workspace"), "{}", denied.stderr);
}

#[test]
fn the_workspace_is_the_projects_wherever_the_agent_has_gone() {
    let stage = Fixture::new();
    let call = call(&stage, "Write", json!({"file_path": "b.txt", "content": "b\n"}));
    let mut elsewhere = call.clone();
    elsewhere["cwd"] = json!(stage.beside("home"));
    for (call, code) in [(elsewhere, 2), (call, 0)] {
        let mut command = stage.command(["hook", "claude-code"]);
        command.env("CLAUDE_PROJECT_DIR", stage.workspace()).current_dir(stage.beside("home"));
        let input = stage.beside("call.json");
        std::fs::write(&input, call.to_string()).expect("it is ours");
        command.stdin(std::fs::File::open(&input).expect("it is there"));
        let ran: Ran = end_to_end::output(&mut command).into();
        ran.expect(code);
    }
    assert_eq!(stage.patch("p1")["path"], "b.txt");
    assert_eq!(stage.pending(), 1);
}

#[test]
fn a_file_that_is_staged_to_go_is_gone_for_its_agent() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.run(["propose", "a.txt", "--delete", "--session", "agent:6f0c"]).expect(0);
    let told = reason(hook(&stage, "claude-code", &read(&stage, "a.txt")));
    assert!(told.contains("Treat it as deleted"), "{told}");
    let mut another = read(&stage, "a.txt");
    another["session_id"] = json!("another");
    passed(hook(&stage, "claude-code", &another));
}

#[test]
fn the_next_write_is_answered_with_what_was_decided_and_once() {
    let stage = Fixture::new();
    stage.write("b.txt", "old\n");
    reason(hook(&stage, "claude-code", &write(&stage, "a.txt", "first\n")));
    reason(hook(&stage, "claude-code", &write(&stage, "a.txt", "a\n")));
    reason(hook(&stage, "claude-code", &write(&stage, "b.txt", "b\n")));
    stage.run(["discard", "p1@2", "--reason", "use tabs"]).expect(0);
    stage.run(["apply", "p3", "--yes"]).expect(0);
    stage.run(["undo"]).expect(0);
    let told = reason(hook(&stage, "claude-code", &write(&stage, "a.txt", "again\n")));
    assert!(told.contains("\np1@2 a.txt is discarded (rejected): use tabs\n"), "{told}");
    assert!(told.contains("\np3 b.txt was undone"), "{told}");
    assert!(!told.contains("p2 a.txt"), "its own doing is no news: {told}");
    let told = reason(hook(&stage, "claude-code", &write(&stage, "a.txt", "third\n")));
    assert!(!told.contains("Decisions"), "{told}");
}

#[test]
fn an_agent_cannot_name_its_way_into_a_persons_session() {
    let stage = Fixture::new();
    stage.propose("mine.txt", "mine\n");
    for name in ["cli", "s1"] {
        let mut call = write(&stage, "a.txt", "x");
        call["session_id"] = json!(name);
        reason(hook(&stage, "claude-code", &call));
        let labels = stage.status()["sessions"].clone();
        assert_eq!(labels[0]["patches"].as_array().map(Vec::len), Some(1), "{labels}");
    }
}

#[test]
fn what_is_written_as_it_is_already_stages_nothing() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    let told = reason(hook(&stage, "claude-code", &write(&stage, "a.txt", "a\n")));
    assert!(told.contains("staged nothing"), "{told}");
    assert_eq!(stage.pending(), 0);
}

#[rstest]
#[case::misfit(|stage: &Fixture| edit(stage, "a.txt", "none", "x"), "occurs 0 times")]
#[case::two_edits_of_which_one_misfits(|stage: &Fixture| call(stage, "MultiEdit", json!({
    "file_path": stage.path("a.txt"),
    "edits": [{"old_string": "one", "new_string": "1"}, {"old_string": "none", "new_string": ""}],
})), "occurs 0 times")]
#[case::protected(|stage: &Fixture| write(stage, ".git/hooks/pre-commit", "x"), ".git")]
#[case::out_of_the_workspace(|stage: &Fixture| write(stage, "../home/x", "x"), "outside of the workspace")]
#[case::home(|stage: &Fixture| call(stage, "Write", json!({"file_path": "~/x", "content": "x"})), "begins with `~`")]
#[case::notebook(|stage: &Fixture| call(stage, "NotebookEdit", json!({"notebook_path": stage.path("n.ipynb"), "new_source": "x"})), "notebook")]
#[case::shell(|stage: &Fixture| call(stage, "Bash", json!({"command": "echo x > a.txt"})), "a hook cannot stage what")]
#[case::unknown(|stage: &Fixture| call(stage, "WriteAnew", json!({"file_path": stage.path("a.txt")})), "a hook cannot stage what")]
#[case::no_content(|stage: &Fixture| call(stage, "Write", json!({"file_path": stage.path("a.txt")})), "missing field `content`")]
#[case::another_event(|stage: &Fixture| {
    let mut call = write(stage, "a.txt", "x");
    call["hook_event_name"] = json!("PostToolUse");
    call
}, "only `PreToolUse`")]
#[case::a_session_that_is_no_name(|stage: &Fixture| {
    let mut call = write(stage, "a.txt", "x");
    call["session_id"] = json!("a\nb");
    call
}, "without spaces")]
#[case::a_patch_that_is_none(|_: &Fixture| json!("please write x"), "cannot be read")]
fn whatever_fails_is_denied_and_stages_nothing(
    #[case] call: fn(&Fixture) -> Value,
    #[case] words: &str,
) {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    let before = stage.tree();
    let ran = hook(&stage, "claude-code", &call(&stage)).expect(2);
    assert!(ran.stdout.is_empty(), "nothing that could be taken for a yes");
    assert!(
        ran.stderr.contains("the call is denied") && ran.stderr.contains(words),
        "{}",
        ran.stderr
    );
    assert_eq!((stage.pending(), stage.tree()), (0, before));
}

#[rstest]
#[case::shell("Bash", json!({"command": "echo x > a.txt"}))]
#[case::misfit("apply_patch", json!({"command": "*** Begin Patch\n*** Update File: none\n-a\n+b\n*** End Patch"}))]
#[case::no_patch("apply_patch", json!({"command": ["apply_patch", "x"]}))]
fn codex_is_denied_what_fails(#[case] tool: &str, #[case] input: Value) {
    let stage = Fixture::new();
    hook(&stage, "codex", &call(&stage, tool, input)).expect(2);
    assert_eq!(stage.pending(), 0);
}

#[rstest]
#[case::nothing(b"".to_vec())]
#[case::cut_off(b"{\"hook_event_name\":\"PreToolUse\",\"tool_na".to_vec())]
#[case::no_text(vec![0xff; 100])]
#[case::deep(b"[".repeat(1_000_000))]
#[case::too_long(b" ".repeat((128 << 20) + 1))]
fn input_that_is_no_call_is_denied(#[case] input: Vec<u8>) {
    let stage = Fixture::new();
    for agent in ["claude-code", "codex"] {
        stage.run_with(["hook", agent], &input).expect(2);
    }
    assert_eq!(stage.pending(), 0);
}

#[test]
fn a_broken_configuration_denies() {
    let stage = Fixture::new();
    stage.configure("nonsense = 1\n");
    let ran = hook(&stage, "claude-code", &write(&stage, "a.txt", "x")).expect(2);
    assert!(ran.stderr.contains("nonsense"), "{}", ran.stderr);
}

#[test]
fn a_call_that_does_not_end_is_denied() {
    let stage = Fixture::new();
    let mut command = stage.command(["hook", "claude-code", "--deadline-ms", "50"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    let stdin = child.stdin.take();
    let ran: Ran = child.wait_with_output().expect("it ends by itself").into();
    drop(stdin);
    let ran = ran.expect(2);
    assert!(ran.stderr.contains("took too long"), "{}", ran.stderr);
}

#[test]
fn an_answer_that_nobody_can_read_denies() {
    let stage = Fixture::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let input = stage.beside("call.json");
    std::fs::write(&input, write(&stage, "a.txt", "x").to_string()).expect("it is ours");
    let mut command = stage.command(["hook", "claude-code"]);
    command.stdin(std::fs::File::open(&input).expect("it is there")).stdout(writer);
    let ran: Ran =
        spawn(command.stderr(Stdio::piped())).wait_with_output().expect("it ends").into();
    ran.expect(2);
}
