//! `init --with-shell`: agents may run commands by a tool, and only the user allows it.

use std::fs;

use end_to_end::{Fixture, Ran};
use rstest::rstest;
use serde_json::json;

use crate::init::{check_holds, settings};

const CONFIGURATION: &str = "config/greenroom/config.toml";

#[rstest]
#[case("claude-code")]
#[case("codex")]
fn with_a_shell_commands_are_allowed_in_the_users_configuration_and_nothing_else(
    #[case] agent: &str,
) {
    let stage = Fixture::new();
    let plain = stage.run(["init", agent, "--yes"]).expect(0);
    assert!(plain.stderr.contains("--with-shell"), "it is offered: {}", plain.stderr);
    assert!(!stage.beside(CONFIGURATION).exists());
    stage.run(["init", agent, "--remove", "--yes"]).expect(0);

    let mine = "# mine\n[mcp] # theirs\nelicitation_wait = \"1m\"\n";
    stage.configure(mine);
    let before = stage.tree();
    stage.run(["init", agent, "--with-shell"]).expect(4);
    let configured = || fs::read_to_string(stage.beside(CONFIGURATION)).expect("there");
    assert_eq!((stage.tree(), configured()), (before, mine.to_owned()), "nothing without a yes");
    let ran = stage.run(["init", agent, "--with-shell", "--yes"]).expect(0);
    assert!(ran.stderr.contains("the agents of all your workspaces"), "{}", ran.stderr);
    assert_eq!(configured(), format!("{mine}run_command = true\n"));
    let again = stage.run(["--json", "init", agent, "--with-shell", "--yes"]).expect(0).json();
    assert_eq!(again["changed"], json!([]));
    assert!(!again["notes"].to_string().contains("--with-shell"), "it is there: {again}");
    stage.run(["init", agent, "--remove", "--yes"]).expect(0);
    assert_eq!(configured(), format!("{mine}run_command = true\n"), "other agents may use it");
    stage.run(["init", agent, "--remove", "--with-shell", "--yes"]).expect(0);
    assert_eq!(configured(), mine);
}

#[test]
fn the_own_shell_stays_denied_and_codex_may_use_the_other_one() {
    let stage = Fixture::new();
    stage.run(["init", "claude-code", "--with-shell", "--yes"]).expect(0);
    let found = settings(&stage.path(".claude/settings.local.json"));
    check_holds(&found["permissions"]["deny"], &["Bash"]);
    check_holds(&found["permissions"]["allow"], &["mcp__greenroom"]);
    stage.run(["init", "codex", "--with-shell", "--yes"]).expect(0);
    let codex = String::from_utf8(stage.read(".codex/config.toml")).expect("text");
    for line in [
        "sandbox_mode = \"read-only\"\n",
        "tool_timeout_sec = 3660\n",
        "[mcp_servers.greenroom.tools.run_command]\napproval_mode = \"approve\"\n",
    ] {
        assert!(codex.contains(line), "{codex}");
    }
    stage.run(["init", "codex", "--remove", "--yes"]).expect(0);
    assert!(!stage.path(".codex").exists());
}

#[rstest]
#[case::wrong("[mcp]\nrun_comand = true\n", "did you mean")]
#[case::no_table("mcp = 1\n", "expected a table")]
#[case::no_toml("[mcp\n", "this is no TOML")]
fn a_configuration_that_cannot_be_changed_leaves_the_agents_settings_alone(
    #[case] text: &str,
    #[case] words: &str,
) {
    let stage = Fixture::new();
    stage.configure(text);
    let before = stage.tree();
    for scope in [&[][..], &["--user"]] {
        let arguments = [&["init", "claude-code", "--with-shell", "--yes"], scope].concat();
        let ran = stage.run(arguments).expect(2);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    assert_eq!(stage.tree(), before);
    assert!(!stage.beside("home/.claude").exists());
}

#[test]
fn an_agent_does_not_allow_itself_commands() {
    let stage = Fixture::new();
    let mut command = stage.command(["init", "gemini", "--user", "--with-shell", "--yes"]);
    let ran: Ran = end_to_end::output(command.env("CLAUDECODE", "1")).into();
    ran.expect(4);
    assert!(!stage.beside(CONFIGURATION).exists() && !stage.beside("home/.gemini").exists());
    // The configuration would be where agents write.
    let mut command = stage.command(["init", "gemini", "--with-shell", "--yes"]);
    let inside = stage.path("config");
    let ran: Ran = end_to_end::output(command.env("XDG_CONFIG_HOME", &inside)).into();
    ran.expect(4);
    assert!(!inside.exists() && !stage.path(".gemini").exists());
}
