//! `init`: what it writes, that it keeps what is there, and that it takes out what it put in.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use end_to_end::{Fixture, Ran};
use rstest::rstest;
use serde_json::{Value, json};

const AGENTS: [&str; 5] = ["claude-code", "codex", "gemini", "opencode", "cursor"];

pub(crate) fn settings(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("it was written")).expect("it is JSON")
}

#[track_caller]
pub(crate) fn check_holds(list: &Value, expected: &[&str]) {
    let list = list.as_array().expect("a list");
    assert!(expected.iter().all(|one| list.contains(&json!(one))), "{list:?}");
}

#[rstest]
#[case("claude-code")]
#[case("codex")]
#[case("gemini")]
#[case("opencode")]
#[case("cursor")]
fn twice_is_once_and_removing_brings_back_what_was(#[case] agent: &str) {
    let stage = Fixture::new();
    // The file that each agent has most likely, with what a person wrote into it.
    let json = "{\n  \"mine\": 1\n}\n";
    for file in [
        ".claude/settings.local.json",
        ".gemini/settings.json",
        "opencode.json",
        ".cursor/mcp.json",
    ] {
        stage.write(file, json);
    }
    stage.write(".codex/config.toml", "# mine\nmodel = \"m\"\n\n[tui]\n");
    let names = |stage: &Fixture| -> Vec<_> {
        let tree = stage.tree();
        tree.keys().filter(|name| !name.starts_with(".git/")).cloned().collect()
    };
    let names_before = names(&stage);
    let contents = |stage: &Fixture| {
        [
            ".claude/settings.local.json",
            ".gemini/settings.json",
            "opencode.json",
            ".cursor/mcp.json",
            ".codex/config.toml",
        ]
        .map(|file| stage.read(file))
    };
    let were = contents(&stage);
    let ran = stage.run(["init", agent, "--yes", "--json"]).expect(0).json();
    assert!(!ran["changed"].as_array().expect("a list").is_empty(), "{ran}");
    assert_ne!(contents(&stage), were);
    let again = stage.run(["init", agent, "--yes", "--json"]).expect(0).json();
    assert_eq!((&again["changed"], &again["apply"]), (&json!([]), &Value::Null));
    stage.run(["init", agent, "--remove", "--yes"]).expect(0);
    assert_eq!((names(&stage), contents(&stage)), (names_before, were), "byte for byte");
    let again = stage.run(["init", agent, "--remove", "--yes"]).expect(0);
    assert_eq!(again.stdout, b"nothing to remove\n");
    assert_eq!(stage.pending(), 0);
}

#[rstest]
#[case::for_oneself(&["init", "claude-code", "--yes"], ".claude/settings.local.json")]
#[case::for_everybody(&["init", "claude-code", "--shared", "--yes"], ".claude/settings.json")]
fn claude_code_gets_the_server_and_no_way_around_it(#[case] init: &[&str], #[case] file: &str) {
    let stage = Fixture::new();
    stage.write(file, "{\n  // mine\n  \"permissions\": { \"deny\": [\"WebFetch\"] }\n}\n");
    let before = stage.tree().len();
    stage.run(init).expect(0);
    assert_eq!(stage.tree().len(), before + 1, "only the server's file is new");
    let server = settings(&stage.path(".mcp.json"))["mcpServers"]["greenroom"].clone();
    assert_eq!(server, json!({"command": "greenroom", "args": ["mcp"]}));
    let text = String::from_utf8(stage.read(file)).expect("text");
    assert!(text.contains("  // mine\n"), "{text}");
    let found: Value = serde_json::from_str(&text.replace("// mine", "")).expect("JSON");
    let writers = ["WebFetch", "Write", "Edit", "NotebookEdit", "Bash"];
    check_holds(&found["permissions"]["deny"], &writers);
    check_holds(&found["permissions"]["allow"], &["mcp__greenroom"]);
    let hook = &found["hooks"]["PreToolUse"][0];
    assert_eq!(hook["hooks"][0]["command"], "greenroom hook claude-code || exit 2");
}

#[test]
fn the_others_get_the_server_and_no_way_around_it() {
    let stage = Fixture::new();
    for agent in &AGENTS[1..] {
        stage.run(["init", agent, "--yes"]).expect(0);
    }
    let codex = String::from_utf8(stage.read(".codex/config.toml")).expect("text");
    assert_eq!(
        codex,
        "sandbox_mode = \"read-only\"\napproval_policy = \"never\"\n\n\
         [mcp_servers.greenroom]\ncommand = \"greenroom\"\nargs = [\"mcp\"]\n"
    );
    let hook = settings(&stage.path(".codex/hooks.json"))["hooks"]["PreToolUse"][0].clone();
    assert_eq!(hook["matcher"], "^apply_patch$");
    assert_eq!(hook["hooks"][0]["command"], "greenroom hook codex || exit 2");
    let server = json!({"command": "greenroom", "args": ["mcp"]});
    let gemini = settings(&stage.path(".gemini/settings.json"));
    assert_eq!(gemini["mcpServers"]["greenroom"], server);
    check_holds(&gemini["tools"]["exclude"], &["write_file", "replace", "run_shell_command"]);
    let opencode = settings(&stage.path("opencode.json"));
    assert_eq!(opencode["mcp"]["greenroom"]["command"], json!(["greenroom", "mcp"]));
    assert_eq!(opencode["permission"], json!({"edit": "deny", "bash": "deny"}));
    assert_eq!(settings(&stage.path(".cursor/mcp.json"))["mcpServers"]["greenroom"], server);
    let cursor = settings(&stage.path(".cursor/cli.json"));
    check_holds(&cursor["permissions"]["deny"], &["Write(**)", "Shell(*)"]);
}

#[test]
fn nothing_changes_without_a_word() {
    let stage = Fixture::new();
    let before = stage.tree();
    let ran = stage.run(["init", "claude-code"]).expect(4);
    let shown = String::from_utf8(ran.stdout).expect("text");
    assert!(shown.contains("+++ b/.mcp.json"), "the change is shown all the same: {shown}");
    assert_eq!((stage.tree(), stage.pending()), (before, 0));
}

#[test]
fn a_change_of_settings_can_be_undone() {
    let stage = Fixture::new();
    stage.write(".codex/config.toml", "sandbox_mode = \"workspace-write\" # for now\n");
    let before = stage.tree();
    stage.run(["init", "codex", "--yes"]).expect(0);
    let text = String::from_utf8(stage.read(".codex/config.toml")).expect("text");
    assert!(text.starts_with("sandbox_mode = \"read-only\" # for now\n"), "{text}");
    stage.run(["undo"]).expect(1);
    stage.run(["undo", "a1"]).expect(0);
    assert_eq!(stage.pending(), 0, "they are not offered again");
    assert_eq!(stage.read(".codex/config.toml"), b"sandbox_mode = \"workspace-write\" # for now\n");
    assert_eq!(stage.tree().len(), before.len());
}

#[test]
fn the_file_that_is_there_is_the_one() {
    let stage = Fixture::new();
    stage.write("opencode.jsonc", "{}\n");
    stage.run(["init", "opencode", "--yes"]).expect(0);
    assert!(!stage.path("opencode.json").exists());
    assert_eq!(settings(&stage.path("opencode.jsonc"))["permission"]["bash"], "deny");
}

#[rstest]
#[case::no_json("gemini", ".gemini/settings.json", "{\"a\": }", "not valid JSON")]
#[case::no_text("gemini", ".gemini/settings.json", "{\"\u{ff}\": 1}", "")]
#[case::another_shape(
    "claude-code",
    ".claude/settings.local.json",
    "{\"permissions\": \"all\"}",
    "`permissions` is not an object"
)]
#[case::another_version(
    "opencode",
    "opencode.json",
    "{\"permissions\": []}",
    "configures the same in another way"
)]
#[case::a_profile(
    "codex",
    ".codex/config.toml",
    "profile = \"mine\"\n",
    "configures the same in another way"
)]
#[case::no_toml("codex", ".codex/config.toml", "sandbox_mode =\n", "not valid TOML")]
fn what_cannot_be_changed_safely_is_left_with_words_what_to_do(
    #[case] agent: &str,
    #[case] file: &str,
    #[case] content: &str,
    #[case] words: &str,
) {
    let stage = Fixture::new();
    // One case is Latin-1.
    let content: Vec<u8> = match words {
        "" => content.chars().map(|letter| letter as u8).collect(),
        _ => content.into(),
    };
    stage.write(file, content);
    let before = stage.tree();
    let ran = stage.run(["init", agent, "--yes"]).expect(4);
    let words = if words.is_empty() { "is not UTF-8" } else { words };
    assert!(ran.stderr.contains(words) && ran.stderr.contains("by hand"), "{}", ran.stderr);
    assert_eq!((stage.tree(), stage.pending()), (before, 0));
}

#[test]
fn settings_that_lead_out_of_the_workspace_are_left_alone() {
    let stage = Fixture::new();
    fs::write(stage.beside("home/shared.json"), "{}\n").expect("it is ours");
    fs::create_dir(stage.path(".gemini")).expect("it is ours");
    symlink(stage.beside("home/shared.json"), stage.path(".gemini/settings.json")).expect("ours");
    stage.run(["init", "gemini", "--yes"]).expect(4);
    assert_eq!(fs::read(stage.beside("home/shared.json")).expect("there"), b"{}\n");
}

#[test]
fn a_users_own_settings_are_changed_when_that_is_asked_for() {
    let stage = Fixture::new();
    let before = stage.tree();
    for (agent, file) in [
        ("claude-code", ".claude/settings.json"),
        ("codex", ".codex/config.toml"),
        ("gemini", ".gemini/settings.json"),
        ("cursor", ".cursor/mcp.json"),
    ] {
        stage.run(["init", agent, "--user", "--yes"]).expect(0);
        assert!(stage.beside("home").join(file).exists(), "{file}");
        stage.run(["init", agent, "--user", "--remove", "--yes"]).expect(0);
        assert!(!stage.beside("home").join(file).exists(), "{file}");
    }
    stage.run(["init", "opencode", "--user", "--yes"]).expect(0);
    assert!(stage.beside("config/opencode/opencode.json").exists(), "XDG_CONFIG_HOME is heeded");
    assert_eq!(stage.tree(), before, "the workspace is left alone");
}

#[test]
fn the_state_may_lie_in_the_home_whose_settings_are_changed() {
    let stage = Fixture::new();
    let mut command = stage.command(["init", "gemini", "--user", "--yes"]);
    let ran: Ran = end_to_end::output(command.env_remove("GREENROOM_STATE_DIR")).into();
    ran.expect(0);
    assert!(stage.beside("home/.gemini/settings.json").exists());
    assert!(stage.beside("home/.local/state/greenroom").exists());
}

/// Every folder of the workspace but git's.
fn folders(stage: &Fixture) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![stage.workspace()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).expect("ours") {
            let path = entry.expect("readable").path();
            if path.is_dir() && !path.ends_with(".git") {
                let name = path.strip_prefix(stage.workspace()).expect("it lies below");
                found.push(name.to_string_lossy().into_owned());
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

#[rstest]
#[case("claude-code", ".claude")]
#[case("codex", ".codex")]
#[case("gemini", ".gemini")]
#[case("cursor", ".cursor")]
fn a_folder_that_init_made_goes_with_its_settings_and_one_that_was_there_stays(
    #[case] agent: &str,
    #[case] folder: &str,
) {
    for rounds in [1, 2] {
        let stage = Fixture::new();
        for _ in 0..rounds {
            stage.run(["init", agent, "--yes"]).expect(0);
            assert_eq!(folders(&stage), [folder]);
            stage.run(["init", agent, "--remove", "--yes"]).expect(0);
            assert_eq!(folders(&stage), [""; 0], "round {rounds}");
        }
    }
    let stage = Fixture::new();
    fs::create_dir(stage.path(folder)).expect("ours");
    stage.run(["init", agent, "--yes"]).expect(0);
    stage.run(["init", agent, "--remove", "--yes"]).expect(0);
    assert_eq!(folders(&stage), [folder], "the user made it");
    let stage = Fixture::new();
    stage.run(["init", agent, "--yes"]).expect(0);
    stage.write(format!("{folder}/mine.txt"), "mine\n");
    stage.run(["init", agent, "--remove", "--yes"]).expect(0);
    assert_eq!(folders(&stage), [folder], "something of the user's is in it");
    assert_eq!(stage.read(format!("{folder}/mine.txt")), b"mine\n");
}

#[test]
fn a_folder_in_the_home_directory_goes_as_well() {
    let stage = Fixture::new();
    stage.run(["init", "gemini", "--user", "--yes"]).expect(0);
    stage.run(["init", "gemini", "--user", "--remove", "--yes"]).expect(0);
    assert!(!stage.beside("home/.gemini").exists());
}

#[test]
fn what_is_for_everybody_is_reported_before_it_is_written() {
    let stage = Fixture::new();
    let needs = "everybody who uses them needs Greenroom";
    for arguments in [
        &["init", "claude-code", "--shared", "--yes"][..],
        &["init", "codex", "--yes"],
        &["init", "gemini", "--yes"],
        &["init", "opencode", "--yes"],
        &["init", "cursor", "--shared", "--yes"],
    ] {
        let ran = stage.run(arguments).expect(0);
        assert!(ran.stderr.contains(needs), "{arguments:?}: {}", ran.stderr);
    }
    let stage = Fixture::new();
    let ran = stage.run(["init", "claude-code", "--yes"]).expect(0);
    assert!(!ran.stderr.contains(needs), "{}", ran.stderr);
    assert!(ran.stderr.contains("add it to `.git/info/exclude`"), "{}", ran.stderr);
    let mut terminal = super::terminal::Terminal::run(&stage, &["init", "codex"]);
    let seen = terminal.until_asked();
    assert!(seen.contains(needs) && seen.contains("--user"), "{seen}");
    terminal.answer("n\n");
}

#[test]
fn shared_settings_are_found_and_can_be_exchanged_for_ones_own() {
    let stage = Fixture::new();
    let local = || stage.path(".claude/settings.local.json").exists();
    let shared = || stage.path(".claude/settings.json").exists();
    let server = || stage.path(".mcp.json").exists();
    stage.run(["init", "claude-code", "--shared", "--yes"]).expect(0);
    let ran = stage.run(["init", "claude-code", "--yes"]).expect(0);
    assert!(
        ran.stderr.contains("`.claude/settings.json` also has Greenroom's settings"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("init claude-code --shared --remove"), "{}", ran.stderr);
    assert!(local() && shared() && server());
    stage.run(["init", "claude-code", "--shared", "--remove", "--yes"]).expect(0);
    assert!(local() && !shared() && server(), "the server is needed by one's own settings");
    let ran = stage.run(["init", "claude-code", "--shared", "--yes", "--json"]).expect(0).json();
    assert!(ran["notes"].to_string().contains("settings.local.json` also has"), "{ran}");
    stage.run(["init", "claude-code", "--remove", "--yes"]).expect(0);
    assert!(!local() && !shared() && !server(), "removing takes out both");
    assert_eq!(folders(&stage), [""; 0]);
}

/// Every file of settings that `init` may look at, of every agent.
const FILES: [&str; 10] = [
    ".mcp.json",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".codex/config.toml",
    ".gemini/settings.json",
    "opencode.json",
    "opencode.jsonc",
    ".cursor/mcp.json",
    ".cursor/hooks.json",
    ".cursor/cli.json",
];

/// What a hostile project can put in the place of settings, at a path that is given.
#[rstest]
#[case::fifo(|file: &Path| {
    let made = std::process::Command::new("mkfifo").arg(file).status();
    assert!(made.expect("mkfifo starts").success());
})]
#[case::device(|file: &Path| symlink("/dev/zero", file).expect("a link can be made"))]
#[case::sparse(|file: &Path| {
    let file = fs::File::create(file).expect("it is ours");
    file.set_len(2 << 30).expect("a length of 2 GiB without a block");
})]
fn settings_that_are_no_file_of_a_few_bytes_are_refused_and_nothing_is_waited_for(
    #[case] put: fn(&Path),
    #[values("claude-code", "codex", "gemini", "opencode", "cursor")] agent: &str,
) {
    let stage = Fixture::new();
    for file in FILES {
        let file = stage.path(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("it is ours");
        put(&file);
    }
    let refused = stage.run(["init", agent, "--yes"]);
    assert!(matches!(refused.code, Some(1 | 4)), "{refused:?}");
    assert!(refused.stderr.contains("cannot read"), "{}", refused.stderr);
    assert_eq!(stage.pending(), 0);
}

#[test]
fn a_configuration_that_is_no_regular_file_is_refused() {
    let stage = Fixture::new();
    let folder = stage.beside("config").join("greenroom");
    fs::create_dir_all(&folder).expect("it is ours");
    let made = std::process::Command::new("mkfifo").arg(folder.join("config.toml")).status();
    assert!(made.expect("mkfifo starts").success());
    let refused = stage.run(["status"]).expect(1);
    assert!(refused.stderr.contains("no regular file"), "{}", refused.stderr);
}

#[test]
fn claude_code_also_tells_its_user_what_waits() {
    let stage = Fixture::new();
    stage.run(["init", "claude-code", "--yes"]).expect(0);
    let found = settings(&stage.path(".claude/settings.local.json"));
    let hook = &found["hooks"]["Stop"][0]["hooks"][0];
    assert_eq!(hook["command"], "greenroom hook claude-code --stop || true");
    assert_eq!(found["statusLine"]["command"], "greenroom status --short");
    stage.run(["init", "claude-code", "--remove", "--yes"]).expect(0);
    assert!(!stage.path(".claude").exists(), "all of it goes");
    stage.run(["init", "claude-code", "--shared", "--yes"]).expect(0);
    let shared = settings(&stage.path(".claude/settings.json"));
    assert!(shared["hooks"]["Stop"].is_array());
    assert_eq!(shared["statusLine"], Value::Null, "it would replace everybody's own");
}

#[rstest]
#[case::here(|stage: &Fixture| stage.path(".claude/settings.local.json"))]
#[case::shared(|stage: &Fixture| stage.path(".claude/settings.json"))]
#[case::in_the_users_own_settings(|stage: &Fixture| stage.beside("home/.claude/settings.json"))]
fn a_status_line_of_the_user_is_left_alone(#[case] file: fn(&Fixture) -> std::path::PathBuf) {
    let stage = Fixture::new();
    let file = file(&stage);
    fs::create_dir_all(file.parent().expect("a folder")).expect("ours");
    let mine = json!({"statusLine": {"type": "command", "command": "mine"}});
    fs::write(&file, mine.to_string()).expect("ours");
    let ran = stage.run(["init", "claude-code", "--yes"]).expect(0);
    assert!(ran.stderr.contains("has a status line, which stays"), "{}", ran.stderr);
    let local = settings(&stage.path(".claude/settings.local.json"));
    assert_ne!(local["statusLine"]["command"], "greenroom status --short");
    assert!(local["hooks"]["Stop"].is_array(), "the rest is set");
    assert_eq!(settings(&file)["statusLine"]["command"], "mine");
    stage.run(["init", "claude-code", "--remove", "--yes"]).expect(0);
    assert_eq!(settings(&file), mine, "and stays when init's settings go");
}

#[test]
fn an_approval_in_the_agents_window_is_offered_with_its_caveat() {
    let stage = Fixture::new();
    let ran = stage.run(["init", "claude-code", "--yes"]).expect(0);
    assert!(ran.stderr.contains("mcp.approve_by_elicitation = true"), "{}", ran.stderr);
    assert!(ran.stderr.contains("a hook can answer such a question for you"), "{}", ran.stderr);
    let ran = stage.run(["init", "codex", "--yes"]).expect(0);
    assert!(!ran.stderr.contains("approve_by_elicitation"), "{}", ran.stderr);
}
