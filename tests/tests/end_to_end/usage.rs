//! How the command takes its arguments, its configuration and its output.

use std::fs;
use std::process::Stdio;

use end_to_end::{Fixture, Ran, output, spawn};
use rstest::rstest;

#[rstest]
#[case::unknown_command(&["frobnicate"])]
#[case::no_path(&["propose"])]
#[case::two_operations(&["propose", "a", "--delete", "--rename-to", "b"])]
#[case::delete_with_content(&["propose", "a", "--delete", "--from", "b"])]
#[case::no_mode(&["propose", "a", "--mode", "rwx"])]
#[case::no_signature(&["apply", "--expect", "abc"])]
#[case::no_apply(&["redo", "p1"])]
#[case::no_session(&["cat", "a"])]
#[case::quiet_and_verbose(&["status", "-q", "-v"])]
#[case::no_entry(&["watch", "--since", "abc"])]
#[case::label_like_an_option(&["propose", "a", "--session", ""])]
#[case::empty_path(&["propose", ""])]
fn a_mistake_on_the_command_line_exits_2(#[case] arguments: &[&str]) {
    let stage = Fixture::new();
    let before = stage.tree();
    let ran = stage.run(arguments).expect(2);
    assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "the error is on standard error");
    assert_eq!(stage.tree(), before);
}

#[rstest]
#[case::unknown_key("colour = true\n", ", line 1, column 1: there is no key `colour`; known are")]
#[case::misspelt_key(
    "[diff]\nstrateyg = \"myers\"\n",
    ", line 2, column 1: there is no key `diff.strateyg`; did you mean `diff.strategy`?"
)]
#[case::no_duration(
    "[session]\nexpires_after = \"soon\"\n",
    ", line 2, column 17: `session.expires_after` is `\"soon\"`; expected text"
)]
#[case::unknown_strategy(
    "[diff]\nstrategy = \"patiance\"\n",
    ", line 2, column 12: `diff.strategy` is `\"patiance\"`, which is no strategy; did you mean `patience`?"
)]
#[case::no_toml("[diff\n", ", line 1, column ")]
#[case::several("a = 1\n\nb = 2\n", "has 2 mistakes:\n  line 1, column 1: ")]
#[case::library_by_a_relative_path(
    "strategies = [{ name = \"x\", path = \"nowhere.so\", blake3 = \"0000000000000000000000000000000000000000000000000000000000000000\" }]\n",
    "nowhere.so"
)]
fn a_mistake_in_the_configuration_is_named(#[case] text: &str, #[case] expected: &str) {
    let stage = Fixture::new();
    stage.propose("a.txt", "a\n");
    stage.configure(text);
    let file = stage.beside("config/greenroom/config.toml");
    let named = format!("the configuration `{}`", file.display());
    for arguments in
        [&["status"][..], &["propose", "b.txt"], &["apply", "--yes"], &["plugin", "list"]]
    {
        let ran = stage.run(arguments).expect(2);
        assert!(ran.stderr.contains(&named) && ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let doctor = stage.run(["doctor"]).expect(1);
    let said = String::from_utf8(doctor.stdout).expect("text");
    assert!(said.contains("BAD  configuration: ") && said.contains(expected), "{said}");
    assert!(said.contains("ok   store: "), "the rest is looked at all the same: {said}");
    let ran = stage.run_with(["hook", "claude-code"], WRITE).expect(2);
    assert!(ran.stderr.contains(expected), "a hook denies: {}", ran.stderr);
    stage.configure("");
    assert_eq!(stage.pending(), 1, "nothing was changed");
}

/// A call that a hook has to answer for.
const WRITE: &[u8] = br#"{"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "Write",
    "tool_input": {"file_path": "b.txt", "content": "b"}}"#;

#[test]
fn a_configuration_that_is_not_text_is_named_with_the_place() {
    let stage = Fixture::new();
    stage.configure("");
    let file = stage.beside("config/greenroom/config.toml");
    fs::write(&file, b"# \xc3\xa4\nallow_git = \xff\n").expect("ours");
    let ran = stage.run(["status"]).expect(2);
    assert!(ran.stderr.contains(", line 2, column 13: this is not UTF-8"), "{}", ran.stderr);
}

#[rstest]
#[case::a_patch(&["show", "p12"], "Did you mean `p1`?")]
#[case::a_patch_to_apply(&["apply", "p3", "--yes"], "Pending are p1, p2.")]
#[case::a_session(&["diff", "agent-2"], "Did you mean `agent-1`?")]
#[case::a_session_to_close(&["session", "close", "agnet-1"], "Did you mean `agent-1`?")]
#[case::a_session_to_read(&["cat", "a.txt", "--session", "agent1"], "Did you mean `agent-1`?")]
fn what_is_not_there_is_answered_with_what_may_be_meant(
    #[case] arguments: &[&str],
    #[case] expected: &str,
) {
    let stage = Fixture::new();
    stage.run_with(["propose", "a.txt", "--session", "agent-1"], b"a\n").expect(0);
    stage.run_with(["propose", "src/b.txt", "--session", "agent-1"], b"b\n").expect(0);
    let ran = stage.run(arguments).expect(1);
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    assert_eq!(stage.pending(), 2);
}

#[test]
fn nothing_inside_the_workspace_configures_greenroom() {
    let stage = Fixture::new();
    stage.write(".config/greenroom/config.toml", "allow_git = true\n");
    stage.write("greenroom.toml", "allow_git = true\n");
    stage.run_with(["propose", ".git/config"], b"x").expect(4);
    let mut command = stage.command(["status"]);
    command.env("XDG_CONFIG_HOME", stage.path(".config"));
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(4), "agents write there, so it is refused");
}

#[test]
fn the_workspace_is_the_nearest_repository_above() {
    let stage = Fixture::new();
    stage.write("deep/er/a.txt", "a\n");
    let mut command = stage.command(["status", "--json"]);
    let output = output(command.current_dir(stage.path("deep/er")));
    let ran = Ran::from(output);
    assert_eq!(ran.json()["workspace"], stage.workspace().to_str().expect("a plain path"));
    let named = stage.run(["--workspace", "deep", "status", "--json"]).expect(0).json();
    assert_eq!(named["workspace"], stage.path("deep").to_str().expect("a plain path"));
}

#[test]
fn without_a_repository_the_current_directory_is_the_workspace() {
    let stage = Fixture::new();
    fs::create_dir(stage.beside("plain")).expect("it is new");
    let mut command = stage.command(["propose", "a.txt", "--delete", "--json"]);
    let output = output(command.current_dir(stage.beside("plain")));
    let ran = Ran::from(output).expect(1);
    assert_eq!(ran.error_kind(), "not_found", "it looked for the file right there");
}

#[test]
fn two_workspaces_share_nothing() {
    let (stage, other) = (Fixture::new(), Fixture::new());
    stage.propose("a.txt", "x\n");
    let mut command = other.command(["status"]);
    command.env("GREENROOM_STATE_DIR", stage.beside("state"));
    let output = output(&mut command);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is pending"));
}

#[test]
fn a_pipe_gets_no_colour_unless_it_is_asked_for() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    stage.propose("a.txt", "b\n");
    let plain = stage.run(["diff"]).expect(0).stdout;
    assert!(!plain.contains(&0x1b));
    let coloured = stage.run(["--color", "always", "diff"]).expect(0).stdout;
    assert!(String::from_utf8_lossy(&coloured).contains("\x1b[32m+b\x1b[0m"));
    assert_eq!(stage.run(["diff", "--color", "never"]).expect(0).stdout, plain);
}

#[test]
fn remarks_go_to_standard_error() {
    let stage = Fixture::new();
    stage.write("a.txt", "a\nb\n");
    stage.propose("a.txt", "a\r\nb\r\n");
    let ran = stage.run(["diff"]).expect(0);
    assert!(ran.stderr.contains("line ending"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with(b"diff --git"));
    assert_eq!(stage.run(["-q", "diff"]).expect(0).stderr, "");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let stage = Fixture::new();
    stage.propose("a.txt", "a line of some length\n".repeat(40_000));
    let mut command = stage.command(["diff", "--quiet"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the command ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""), "no panic and no complaint");
}

#[test]
fn output_that_cannot_be_written_is_an_error_only_while_nothing_is_done() {
    let stage = Fixture::new();
    stage.propose("a.txt", "x\n");
    let run = |arguments: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let mut command = stage.command(arguments);
        let child = spawn(command.stdout(full).stderr(Stdio::piped()));
        child.wait_with_output().expect("it is our child")
    };
    assert_eq!(run(&["diff"]).status.code(), Some(1));
    let output = run(&["apply", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "it is applied, whatever becomes of the report");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("the change set is applied"), "{errors}");
    assert_eq!(stage.read("a.txt"), b"x\n");
}

#[test]
fn a_session_expires_after_what_the_user_says() {
    let stage = Fixture::new();
    stage.configure("[session]\nexpires_after = \"7d\"\n");
    stage.propose("a.txt", "x\n");
    let session = stage.status()["sessions"][0].clone();
    let day = |time: &serde_json::Value| time.as_str().map(|time| time[..10].to_owned());
    assert_ne!(day(&session["created_at"]), day(&session["expires_at"]));
}
