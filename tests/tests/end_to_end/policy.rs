//! `watch --apply-policy` applies what the user's rules approve, and nothing else.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use end_to_end::Fixture;

use crate::watching::Watch;

const RULES: &str = r#"
[policy]
quiet_for = "1s"

[[policy.approve]]
name = "docs"
paths = ["docs/**"]
max_lines = 20

[[policy.always_ask]]
name = "licence"
paths = ["LICENSE*"]
"#;

#[test]
fn what_a_rule_approves_is_applied_and_the_rest_waits() {
    let stage = Fixture::new();
    stage.configure(RULES);
    let watch = Watch::start(&stage, &["--apply-policy"]);
    let propose = |name: &str, session: &str| {
        stage.run_with(["propose", name, "--session", session], b"one\n").expect(0);
    };
    propose("src/main.rs", "code");
    propose("docs/LICENSE", "legal");
    propose("docs/a.md", "docs");
    propose("docs/b.md", "docs");
    let seen = watch.until("apply_committed");
    let started = seen.iter().find(|event| event["event"] == "apply_started").expect("it began");
    assert_eq!(started["patches"], serde_json::json!(["p3", "p4"]), "the set as a whole");
    assert_eq!(started["approval"], serde_json::json!({"means": "policy", "rule": "docs"}));
    assert_eq!(
        (stage.read("docs/a.md"), stage.read("docs/b.md")),
        (b"one\n".into(), b"one\n".into())
    );
    assert!(!stage.path("src").exists() && !stage.path("docs/LICENSE").exists());
    assert_eq!(stage.pending(), 2);
    let shown = String::from_utf8(stage.run(["show", "p3"]).expect(0).stdout).expect("text");
    assert!(shown.contains("a1 applied, approved by the rule `docs`\n"), "{shown}");
    let listed = String::from_utf8(stage.run(["applies"]).expect(0).stdout).expect("text");
    assert!(
        listed.ends_with(" applied 2 files (+2 -0), approved by the rule `docs`\n"),
        "{listed}"
    );
    // What was undone waits for a person from then on.
    stage.run(["undo", "docs/a.md"]).expect(0);
    propose("docs/c.md", "more");
    watch.until("apply_committed");
    let seen = watch.until("apply_committed");
    assert!(seen.iter().any(|event| event["path"] == "docs/c.md"), "{seen:?}");
    assert!(!stage.path("docs/a.md").exists());
    assert_eq!(stage.pending(), 3);
}

#[test]
fn without_rules_or_under_an_agent_no_policy_is_applied() {
    let stage = Fixture::new();
    stage.propose("docs/a.md", "one\n");
    let refused = stage.run(["watch", "--apply-policy"]).expect(2);
    assert!(refused.stderr.contains("there is no rule that approves"), "{}", refused.stderr);
    stage.configure(RULES);
    let mut command = stage.command(["watch", "--apply-policy"]);
    let output = command.env("CLAUDECODE", "1").stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(stage.pending(), 1);
}

#[test]
fn rules_in_the_workspace_count_for_nothing() {
    let stage = Fixture::new();
    stage.write(".config/greenroom/config.toml", RULES);
    stage.write("greenroom.toml", RULES);
    stage.propose("docs/a.md", "one\n");
    stage.run(["watch", "--apply-policy"]).expect(2);
    // A configuration that lies in the workspace is refused.
    let mut command = stage.command(["watch", "--apply-policy"]);
    command.env("XDG_CONFIG_HOME", stage.path(".config"));
    assert_eq!(command.output().expect("it runs").status.code(), Some(4));
}

#[test]
fn a_set_whose_rule_has_reached_its_limits_is_reported() {
    let stage = Fixture::new();
    stage.configure(&RULES.replace("max_lines = 20", "max_files = 1"));
    let errors = stage.beside("errors");
    let mut command = stage.command(["watch", "--json", "--apply-policy"]);
    command.stderr(File::create(&errors).expect("it is ours"));
    let watch = Watch::of(command);
    stage.run_with(["propose", "docs/a.md", "--session", "one"], b"one\n").expect(0);
    watch.until("apply_committed");
    stage.run_with(["propose", "docs/b.md", "--session", "two"], b"two\n").expect(0);
    let reported = "s2 waits for you, or for its rule: the rule `docs` has approved 1 of at most 1 \
                    files lately\n";
    let begun = Instant::now();
    while !fs::read_to_string(&errors).is_ok_and(|text| text.ends_with(reported)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", fs::read_to_string(&errors));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(stage.pending(), 1);
}
