//! `init` of a command that a script starts, as the one of npm's package is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use end_to_end::{Fixture, Ran, greenroom_binary, output};
use serde_json::{Value, json};

use crate::init::settings;

const LOCAL: &str = ".claude/settings.local.json";

/// Runs the binary with a script of this name and content first on the PATH.
fn init(stage: &Fixture, script: Option<&str>, arguments: &[&str]) -> Ran {
    let folder = stage.beside("bin");
    fs::create_dir_all(&folder).expect("it is ours");
    let file = folder.join("greenroom");
    match script {
        Some(script) => fs::write(&file, script).expect("it is ours"),
        None => drop(fs::remove_file(&file)),
    }
    if script.is_some() {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let mut command = stage.command(["init"].iter().chain(arguments));
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    output(&mut command).into()
}

const SCRIPT: Option<&str> = Some("#!/usr/bin/env node\n");

fn hook(stage: &Fixture, file: &str) -> Value {
    let hooks = settings(&stage.path(file))["hooks"]["PreToolUse"].clone();
    assert_eq!(hooks.as_array().map(Vec::len), Some(1), "one hook: {hooks}");
    hooks[0]["hooks"][0]["command"].clone()
}

#[test]
fn hooks_start_the_binary_and_not_the_script_before_it() {
    let stage = Fixture::new();
    let binary = fs::canonicalize(greenroom_binary()).expect("it is there");
    init(&stage, SCRIPT, &["claude-code", "--yes"]).expect(0);
    let started = hook(&stage, LOCAL);
    let started = started.as_str().expect("it is text").trim_start_matches('\'');
    assert!(started.starts_with(binary.to_str().expect("it is UTF-8")), "{started}");
    assert!(started.ends_with(" hook claude-code || exit 2"), "{started}");
    let server = settings(&stage.path(".mcp.json"))["mcpServers"]["greenroom"].clone();
    assert_eq!(server["command"], "greenroom", "everybody reads this file");
    let again = init(&stage, SCRIPT, &["claude-code", "--yes", "--json"]).expect(0).json();
    assert_eq!(again["changed"], json!([]), "once is enough");

    init(&stage, None, &["claude-code", "--yes"]).expect(0);
    assert_eq!(hook(&stage, LOCAL), "greenroom hook claude-code || exit 2", "in its place");
    init(&stage, SCRIPT, &["claude-code", "--remove", "--yes"]).expect(0);
    assert!(!stage.path(".claude").exists(), "whatever it is named by, it goes");
}

#[test]
fn settings_of_everybody_name_no_path_of_one_machine() {
    let stage = Fixture::new();
    init(&stage, SCRIPT, &["claude-code", "--shared", "--yes"]).expect(0);
    assert_eq!(hook(&stage, ".claude/settings.json"), "greenroom hook claude-code || exit 2");
    init(&stage, SCRIPT, &["codex", "--yes"]).expect(0);
    assert_eq!(hook(&stage, ".codex/hooks.json"), "greenroom hook codex || exit 2");
}
