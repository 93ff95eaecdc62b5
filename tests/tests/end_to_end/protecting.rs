//! `doctor` answers whether the agents are held back: each way in which they are not, by its own name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use end_to_end::{Fixture, Ran, greenroom_binary, output};
use rstest::rstest;
use serde_json::{Value, json};

/// Writes a program to a directory beside the workspace.
fn program(stage: &Fixture, dir: &str, name: &str, says: &str) {
    let dir = stage.beside(dir);
    fs::create_dir_all(&dir).expect("it is ours");
    let file = dir.join(name);
    fs::write(&file, format!("#!/bin/sh\necho '{says}'\n")).expect("it is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Runs `doctor` with the command under test and the programs in `bin` on the PATH, and nothing else.
fn doctor(stage: &Fixture, arguments: &[&str]) -> Ran {
    let folder = greenroom_binary().parent().expect("it is in a folder");
    let path: OsString = std::env::join_paths([&stage.beside("bin"), folder]).expect("plain names");
    let mut command = stage.command(["doctor"].iter().chain(arguments));
    output(command.env("PATH", path)).into()
}

/// What `doctor` reports of one agent, and its exit code.
fn verdict(stage: &Fixture, agent: &str) -> (Value, Option<i32>) {
    let ran = doctor(stage, &["--json"]);
    let agents = ran.json()["agents"].as_array().expect("a list").clone();
    let found = agents.into_iter().find(|one| one["agent"] == agent);
    (found.unwrap_or(Value::Null), ran.code)
}

fn change(file: &Path, change: impl Fn(&mut Value)) {
    let text = fs::read_to_string(file).unwrap_or_else(|_| "{}".to_owned());
    let mut settings: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut settings);
    fs::create_dir_all(file.parent().expect("it is in a folder")).expect("ours");
    fs::write(file, settings.to_string()).expect("ours");
}

fn remove(list: &mut Value, word: &str) {
    list.as_array_mut().expect("a list").retain(|one| *one != word);
}

const LOCAL: &str = ".claude/settings.local.json";

/// Changes of what `init claude-code` has written.
fn no_change(_: &Fixture) {}

fn shell_allowed(stage: &Fixture) {
    change(&stage.path(LOCAL), |settings| remove(&mut settings["permissions"]["deny"], "Bash"));
}

fn denial_removed(stage: &Fixture) {
    change(&stage.path(LOCAL), |settings| remove(&mut settings["permissions"]["deny"], "Write"));
}

fn hook_removed(stage: &Fixture) {
    change(&stage.path(LOCAL), |settings| settings["hooks"]["PreToolUse"] = json!([]));
}

fn denial_and_hook_removed(stage: &Fixture) {
    denial_removed(stage);
    hook_removed(stage);
}

fn hooks_off(stage: &Fixture) {
    change(&stage.path(".claude/settings.json"), |settings| {
        settings["disableAllHooks"] = json!(true)
    });
}

fn denial_removed_and_hooks_off(stage: &Fixture) {
    denial_removed(stage);
    hooks_off(stage);
}

fn settings_that_are_no_text(stage: &Fixture) {
    fs::write(stage.path(".claude/settings.json"), b"{\xff}").expect("ours");
}

fn hook_that_lets_pass(stage: &Fixture) {
    change(&stage.path(LOCAL), |settings| {
        let hook = &mut settings["hooks"]["PreToolUse"][0]["hooks"][0];
        hook["command"] = json!("greenroom hook claude-code");
    });
}

fn server_removed(stage: &Fixture) {
    change(&stage.path(".mcp.json"), |settings| settings["mcpServers"] = json!({}));
}

fn server_off(stage: &Fixture) {
    change(&stage.path(LOCAL), |settings| {
        settings["disabledMcpjsonServers"] = json!(["other", "greenroom"]);
    });
}

fn start_by(stage: &Fixture, program: &Path) {
    change(&stage.path(".mcp.json"), |settings| {
        settings["mcpServers"]["greenroom"]["command"] = json!(program);
    });
}

fn server_gone(stage: &Fixture) {
    start_by(stage, Path::new("/nowhere/greenroom"));
}

fn server_in_the_workspace(stage: &Fixture) {
    program(stage, "workspace/tools", "greenroom", "greenroom 9.9.9");
    start_by(stage, &stage.path("tools/greenroom"));
}

fn older_binary(stage: &Fixture) {
    program(stage, "old", "greenroom", "greenroom 0.0.1");
    start_by(stage, &stage.beside("old/greenroom"));
}

fn binary_of_everybody(stage: &Fixture) {
    older_binary(stage);
    let file = stage.beside("old/greenroom");
    fs::set_permissions(file, fs::Permissions::from_mode(0o777)).expect("ours");
}

fn binary_without_a_version(stage: &Fixture) {
    program(stage, "old", "greenroom", "who knows");
    start_by(stage, &stage.beside("old/greenroom"));
}

fn shell_denied_by_the_users_own_settings(stage: &Fixture) {
    shell_allowed(stage);
    let own = stage.beside("home/.claude/settings.json");
    change(&own, |settings| settings["permissions"]["deny"] = json!(["Bash(*)"]));
}

fn server_of_the_user(stage: &Fixture) {
    server_removed(stage);
    let server = json!({"type": "stdio", "command": "greenroom", "args": ["mcp"]});
    change(&stage.beside("home/.claude.json"), |own| {
        own["mcpServers"]["greenroom"] = server.clone()
    });
}

fn another_program_that_starts_the_server(stage: &Fixture) {
    start_by(stage, Path::new("npx"));
}

#[rstest]
#[case::as_init_leaves_it(no_change, "protected", None, "")]
#[case::shell_allowed(
    shell_allowed,
    "unprotected",
    Some("shell"),
    "`Bash` is not in `permissions.deny`"
)]
#[case::denial_removed(
    denial_removed,
    "incomplete",
    Some("hook"),
    "only the hook stages what its `Write` writes"
)]
#[case::hook_removed(hook_removed, "incomplete", Some("hook"), "the hook that stages")]
#[case::both(denial_and_hook_removed, "unprotected", Some("writes"), "`Write` is not in")]
#[case::override_of_hooks(
    hooks_off,
    "incomplete",
    Some("hook"),
    "`disableAllHooks` in `.claude/settings.json`"
)]
#[case::override_without_denial(
    denial_removed_and_hooks_off,
    "unprotected",
    Some("writes"),
    "`Write`"
)]
#[case::unreadable(settings_that_are_no_text, "unprotected", Some("writes"), "cannot be read")]
#[case::hook_that_lets_pass(hook_that_lets_pass, "incomplete", Some("hook"), "`|| exit 2`")]
#[case::server_removed(
    server_removed,
    "incomplete",
    Some("server"),
    "the server by which it stages"
)]
#[case::override_of_the_server(
    server_off,
    "incomplete",
    Some("server"),
    "`disabledMcpjsonServers`"
)]
#[case::server_gone(
    server_gone,
    "incomplete",
    Some("program"),
    "`/nowhere/greenroom`, which is not there"
)]
#[case::server_in_the_workspace(
    server_in_the_workspace,
    "incomplete",
    Some("program"),
    "inside the workspace"
)]
#[case::older(older_binary, "incomplete", Some("program"), "which is version 0.0.1; this is ")]
#[case::of_everybody(
    binary_of_everybody,
    "incomplete",
    Some("program"),
    "can be written by others"
)]
#[case::no_version(
    binary_without_a_version,
    "incomplete",
    Some("program"),
    "does not say its version"
)]
#[case::denied_elsewhere(shell_denied_by_the_users_own_settings, "protected", None, "")]
#[case::server_of_the_user(server_of_the_user, "protected", None, "")]
#[case::another_program(another_program_that_starts_the_server, "protected", None, "")]
fn claude_code_is_held_back_or_doctor_says_why_not(
    #[case] change: fn(&Fixture),
    #[case] expected: &str,
    #[case] kind: Option<&str>,
    #[case] words: &str,
) {
    let stage = Fixture::new();
    stage.run(["init", "claude-code", "--yes"]).expect(0);
    change(&stage);
    let (found, code) = verdict(&stage, "claude-code");
    assert_eq!(found["verdict"], expected, "{found}");
    assert_eq!(code, Some(i32::from(expected != "protected")), "{found}");
    let problems = found["problems"].as_array().expect("a list");
    let has_words = |one: &Value| one["text"].as_str().is_some_and(|text| text.contains(words));
    assert_eq!(problems.is_empty(), kind.is_none(), "{found}");
    if let Some(kind) = kind {
        let is_it = |one: &Value| one["kind"] == kind && has_words(one);
        assert!(problems.iter().any(is_it), "{found}");
        assert!(found["remedy"].is_string(), "it says what to do: {found}");
    }
    let said = String::from_utf8(doctor(&stage, &[]).stdout).expect("text");
    let head = match expected {
        "protected" => "protected: claude-code\n",
        "incomplete" => "not in order: claude-code\n",
        _ => "NOT protected: claude-code\n",
    };
    assert!(said.starts_with(head) && said.contains(words), "{said}");
}

#[test]
fn what_doctor_advises_puts_it_in_order() {
    for change in
        [shell_allowed, hook_removed, denial_and_hook_removed, server_removed, server_gone]
    {
        let stage = Fixture::new();
        stage.run(["init", "claude-code", "--yes"]).expect(0);
        change(&stage);
        stage.run(["init", "claude-code", "--yes"]).expect(0);
        assert_eq!(verdict(&stage, "claude-code").0["verdict"], "protected");
    }
}

#[test]
fn shared_settings_and_those_of_the_user_hold_an_agent_back_as_well() {
    for scope in ["--shared", "--user"] {
        for agent in ["claude-code", "codex", "gemini", "opencode", "cursor"] {
            let stage = Fixture::new();
            stage.run(["init", agent, "--yes", scope]).expect(0);
            if (agent, scope) == ("claude-code", "--user") {
                // Claude Code writes this file itself.
                server_of_the_user(&stage);
            }
            let (found, code) = verdict(&stage, agent);
            assert_eq!(
                (&found["verdict"], code),
                (&json!("protected"), Some(0)),
                "{scope} {found}"
            );
        }
    }
}

fn codex_may_write(stage: &Fixture) {
    let file = stage.path(".codex/config.toml");
    let text = fs::read_to_string(&file).expect("init wrote it");
    fs::write(&file, text.replace("read-only", "workspace-write")).expect("ours");
}

fn codex_may_ask(stage: &Fixture) {
    let file = stage.path(".codex/config.toml");
    let text = fs::read_to_string(&file).expect("init wrote it");
    fs::write(&file, text.replace("\"never\"", "\"on-request\"")).expect("ours");
}

fn codex_has_a_profile(stage: &Fixture) {
    let file = stage.beside("home/.codex/config.toml");
    fs::create_dir_all(file.parent().expect("a folder")).expect("ours");
    fs::write(file, "profile = \"mine\"\n").expect("ours");
}

fn gemini_may_replace(stage: &Fixture) {
    let file = stage.path(".gemini/settings.json");
    change(&file, |settings| remove(&mut settings["tools"]["exclude"], "replace"));
}

fn opencode_asks(stage: &Fixture) {
    let file = stage.path("opencode.json");
    change(&file, |settings| settings["permission"]["bash"] = json!({"*": "deny", "ls": "allow"}));
}

fn opencode_denies_all(stage: &Fixture) {
    let file = stage.path("opencode.json");
    change(&file, |settings| settings["permission"]["bash"] = json!({"*": "deny"}));
}

fn opencode_has_it_off(stage: &Fixture) {
    let file = stage.path("opencode.json");
    change(&file, |settings| settings["mcp"]["greenroom"]["enabled"] = json!(false));
}

fn cursor_has_a_shell(stage: &Fixture) {
    let file = stage.path(".cursor/cli.json");
    change(&file, |settings| remove(&mut settings["permissions"]["deny"], "Shell(**)"));
}

#[rstest]
#[case::codex_sandbox(
    "codex",
    codex_may_write,
    "unprotected",
    "`sandbox_mode` is \"workspace-write\""
)]
#[case::codex_asks("codex", codex_may_ask, "unprotected", "`approval_policy` is \"on-request\"")]
#[case::codex_profile("codex", codex_has_a_profile, "unprotected", "`profile` overrides it")]
#[case::gemini("gemini", gemini_may_replace, "unprotected", "`replace` is not in `tools.exclude`")]
#[case::opencode("opencode", opencode_asks, "unprotected", "`permission.bash` is {")]
#[case::opencode_denies("opencode", opencode_denies_all, "protected", "")]
#[case::opencode_off(
    "opencode",
    opencode_has_it_off,
    "incomplete",
    "the server by which it stages"
)]
#[case::cursor("cursor", cursor_has_a_shell, "unprotected", "`Shell(**)` is not in")]
fn so_are_the_other_agents(
    #[case] agent: &str,
    #[case] change: fn(&Fixture),
    #[case] expected: &str,
    #[case] words: &str,
) {
    let stage = Fixture::new();
    stage.run(["init", agent, "--yes"]).expect(0);
    assert_eq!(verdict(&stage, agent).0["verdict"], "protected");
    change(&stage);
    let (found, _) = verdict(&stage, agent);
    assert_eq!(found["verdict"], expected, "{found}");
    assert!(found.to_string().replace("\\\"", "\"").contains(words), "{found}");
}

#[test]
fn an_agent_that_is_installed_and_not_set_up_is_named_with_what_to_do() {
    let stage = Fixture::new();
    let said = String::from_utf8(doctor(&stage, &[]).expect(0).stdout).expect("text");
    assert!(
        said.starts_with("no agent is set up for this workspace: `greenroom init AGENT`"),
        "{said}"
    );
    assert_eq!(doctor(&stage, &["--json"]).json()["protected"], false);
    program(&stage, "bin", "codex", "codex 1");
    let (found, code) = verdict(&stage, "codex");
    assert_eq!((&found["verdict"], code), (&json!("not_set_up"), Some(0)), "{found}");
    let said = String::from_utf8(doctor(&stage, &[]).expect(0).stdout).expect("text");
    assert!(said.starts_with("not set up: codex\nnote codex: "), "{said}");
    assert!(said.contains("`greenroom init codex` sets it up"), "{said}");
    // That a colleague has shared a server says nothing of this user, who has no such agent.
    stage.write(
        ".mcp.json",
        r#"{"mcpServers": {"greenroom": {"command": "greenroom", "args": ["mcp"]}}}"#,
    );
    assert_eq!(verdict(&stage, "claude-code").0, Value::Null);
    program(&stage, "bin", "claude", "2");
    assert_eq!(verdict(&stage, "claude-code").0["verdict"], "unprotected");
}

#[test]
fn without_greenroom_on_the_path_no_agent_can_start_it() {
    let stage = Fixture::new();
    stage.run(["init", "claude-code", "--yes"]).expect(0);
    let mut command = stage.command(["doctor"]);
    let ran = Ran::from(output(command.env("PATH", stage.beside("bin")))).expect(1);
    let said = String::from_utf8(ran.stdout).expect("text");
    assert!(said.contains("`greenroom` is not on the PATH"), "{said}");
}

#[test]
fn nothing_that_the_workspace_names_is_run() {
    let stage = Fixture::new();
    stage.run(["init", "claude-code", "--yes"]).expect(0);
    let tools = stage.path("tools");
    fs::create_dir(&tools).expect("it is new");
    for name in ["greenroom", "other"] {
        let file = tools.join(name);
        fs::write(&file, format!("#!/bin/sh\ntouch '{}'\n", stage.beside("ran").display()))
            .expect("ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("ours");
        for named in
            [file.as_path(), &Path::new("./tools").join(name), &Path::new("tools").join(name)]
        {
            start_by(&stage, named);
            verdict(&stage, "claude-code");
            assert!(!stage.beside("ran").exists(), "{}", named.display());
        }
    }
}

#[test]
fn doctor_names_the_programs_and_who_approves() {
    let stage = Fixture::new();
    let finding = |name: &str| {
        let found = doctor(&stage, &["--json"]).json()["findings"].clone();
        let found =
            found.as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("there is no `{name}`"))
    };
    assert_eq!(finding("approval")["text"], "only you approve");
    assert_eq!(finding("run_command")["health"], "good");
    assert_eq!(finding("pager")["text"], "none: output goes to the terminal", "PAGER is cat");
    stage.configure(
        "allow_yes_under_agents = true\npager = \"no-such-pager -R\"\neditor = \"no-such-editor\"\n\
         [diff]\ncommand = \"no-such-delta\"\n[mcp]\nrun_command = true\n\
         [[policy.approve]]\nname = \"docs only\"\npaths = [\"docs/**\"]\n",
    );
    for (name, words) in [
        ("pager", "there is no program `no-such-pager -R`"),
        ("editor", "there is no program `no-such-editor`"),
        ("diff command", "there is no program `no-such-delta`"),
        ("approval", "an agent with a shell can approve its own work"),
    ] {
        let found = finding(name);
        assert!(found["text"].as_str().is_some_and(|text| text.contains(words)), "{found}");
        assert_eq!(found["health"], "notice", "{found}");
    }
    let all = doctor(&stage, &[]).expect(0).stdout;
    let all = String::from_utf8(all).expect("text");
    assert!(
        all.contains("note approval: rules approve without you") && all.contains("`docs only`"),
        "{all}"
    );
    assert!(all.contains("ok   run_command: agents can run commands"), "{all}");
}
