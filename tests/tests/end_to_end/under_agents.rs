//! In an agent's environment nothing is changed without a question to its user.

use end_to_end::{Fixture, Ran};
use rstest::rstest;

fn run(stage: &Fixture, variable: &str, arguments: &[&str]) -> Ran {
    let mut command = stage.command(arguments);
    command.env(variable, "1");
    end_to_end::output(&mut command).into()
}

#[rstest]
#[case("CLAUDECODE", "claude-code")]
#[case("CODEX_SANDBOX", "codex")]
#[case("CODEX_THREAD_ID", "codex")]
#[case("GEMINI_CLI", "gemini")]
#[case("CURSOR_AGENT", "cursor")]
#[case("OPENCODE", "opencode")]
fn no_agent_approves_what_it_proposed(#[case] variable: &str, #[case] agent: &str) {
    let stage = Fixture::new();
    stage.write("a.txt", "a\n");
    run(&stage, variable, &["propose", "a.txt", "--delete"]).expect(0);
    let before = stage.tree();
    let ran = run(&stage, variable, &["apply", "--yes", "--json"]).expect(4);
    assert_eq!(ran.error_kind(), "refused");
    assert!(ran.stderr.contains(agent), "{}", ran.stderr);
    assert!(ran.stderr.contains("allow_yes_under_agents"), "it names the remedy: {}", ran.stderr);
    let ran = run(&stage, variable, &["apply"]).expect(4);
    assert!(!ran.stderr.contains("--yes"), "no way around the question is shown: {}", ran.stderr);
    assert_eq!(stage.tree(), before);
    stage.run(["apply", "--yes"]).expect(0);
}

#[test]
fn no_agent_undoes_redoes_or_takes_its_guard_away() {
    let stage = Fixture::new();
    stage.run(["init", "codex", "--yes"]).expect(0);
    stage.propose("a.txt", "a\n");
    stage.run(["apply", "--yes"]).expect(0);
    let before = stage.tree();
    for arguments in [
        &["undo"][..],
        &["undo", "a1"],
        &["undo", "--yes"],
        &["init", "codex", "--remove", "--yes"],
        &["init", "codex", "--remove"],
    ] {
        run(&stage, "CODEX_CI", arguments).expect(4);
        assert_eq!(stage.tree(), before, "{arguments:?}");
    }
    stage.run(["undo"]).expect(0);
    for arguments in [&["redo"][..], &["redo", "--yes"]] {
        run(&stage, "CODEX_CI", arguments).expect(4);
    }
    assert!(!stage.path("a.txt").exists());
}

#[test]
fn the_users_own_configuration_allows_it_and_the_log_names_the_agent() {
    let stage = Fixture::new();
    stage.configure("allow_yes_under_agents = true\n");
    stage.propose("a.txt", "a\n");
    run(&stage, "CLAUDECODE", &["apply", "--yes"]).expect(0);
    stage.propose("b.txt", "b\n");
    run(&stage, "CLAUDECODE", &["apply", "--expect", &stage.signature()]).expect(0);
    let log = String::from_utf8(stage.run(["log"]).expect(0).stdout).expect("text");
    assert!(log.contains("apply_started a1 p1 approved by --yes under claude-code\n"), "{log}");
    assert!(log.contains("apply_started a2 p2 approved by --expect under claude-code\n"), "{log}");
    let log = stage.run(["log", "--json"]).expect(0).json();
    let started = log["events"].as_array().expect("a list").iter();
    let started = started.filter(|event| event["event"] == "apply_started").nth(1).expect("two");
    assert_eq!(started["approval"]["means"], "expect");
    assert_eq!(started["approval"]["agent"], "claude-code");
    let applies = stage.run(["show", "p1", "--json"]).expect(0).json()["applies"].clone();
    assert_eq!(applies[0]["approval"]["means"], "yes");
}
