//! Completion of command lines in real shells, and the manual pages.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};

use end_to_end::{Fixture, Ran, greenroom_binary, output};
use rstest::rstest;

use crate::terminal::Terminal;

/// The characters at which bash begins another word of its own.
const BREAKS: &str = " \t\n\"'@><=;|&(:";

/// Patches of two sessions, one of which an agent has named.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for (name, session) in [
        ("docs/only one.md", "agent-1"),
        ("src/a.rs", "agent-1"),
        ("src/b.rs", "agent-1"),
        ("top.txt", "agent:0a-1b"),
    ] {
        stage.run_with(["propose", name, "--session", session], b"x\n").expect(0);
    }
    stage
}

/// What is offered behind these words, for a shell that quotes what it is given.
fn offered(stage: &Fixture, words: &[&str]) -> Vec<String> {
    let index = (words.len() - 1).to_string();
    let asked = ["__complete", "zsh", &index].into_iter().chain(words.iter().copied());
    values(&stage.run(asked).expect(0))
}

/// What bash is offered at the end of a line.
fn offered_to_bash(stage: &Fixture, line: &str) -> Vec<String> {
    values(&stage.run(["__complete", "bash", line, BREAKS]).expect(0))
}

fn values(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.stderr, "");
    let text = String::from_utf8_lossy(&ran.stdout);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("values"), "{text}");
    lines.map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[rstest]
#[case::commands(&["greenroom", "stat"], &["status"])]
#[case::an_alias(&["greenroom", "app"], &["apply", "applies"])]
#[case::what_waits(
    &["greenroom", "apply", ""],
    &["p4", "p3", "p2", "p1", "agent:0a-1b", "s2", "agent-1", "s1", "docs/", "src/", "top.txt"]
)]
#[case::by_an_alias(&["greenroom", "reject", "p"], &["p4", "p3", "p2", "p1"])]
#[case::not_again(&["greenroom", "diff", "p3", "src/a.rs", "src/"], &["src/b.rs"])]
#[case::a_directory(&["greenroom", "diff", "./s"], &["./src/"])]
#[case::only_paths(&["greenroom", "diff", "--", ""], &["docs/", "src/", "top.txt"])]
#[case::nothing_stale(&["greenroom", "refresh", "p"], &[])]
#[case::exceptions(&["greenroom", "apply", "--except", "p"], &["p4", "p3", "p2", "p1"])]
#[case::sessions(&["greenroom", "cat", "x", "--session", "agent"], &["agent:0a-1b", "agent-1"])]
#[case::behind_an_equals_sign(&["greenroom", "run", "--session=agent-"], &["--session=agent-1"])]
#[case::a_nested_command(&["greenroom", "session", "close", "s"], &["s2", "s1"])]
#[case::entries_of_the_log(&["greenroom", "log", "s"], &["s2", "s1"])]
#[case::a_file_and_a_line(
    &["greenroom", "discard", "p1", "--comment", "src/"],
    &["src/a.rs:", "src/b.rs:"]
)]
#[case::the_text_of_a_comment(&["greenroom", "discard", "p1", "--comment", "src/a.rs:1", "s"], &[])]
#[case::no_signature(&["greenroom", "apply", "--expect", ""], &[])]
#[case::options(&["greenroom", "diff", "--st"], &["--stat", "--state-dir"])]
#[case::possible_values(&["greenroom", "init", "c"], &["claude-code", "codex", "cursor"])]
#[case::shells(&["greenroom", "completions", "f"], &["fish"])]
fn what_the_line_can_go_on_with_is_offered(#[case] words: &[&str], #[case] expected: &[&str]) {
    assert_eq!(offered(&stage(), words), expected);
}

#[test]
fn applies_and_their_paths_are_offered_where_they_can_be_undone() {
    let stage = stage();
    stage.run(["apply", "src/", "--yes"]).expect(0);
    stage.run(["apply", "docs/", "--yes"]).expect(0);
    assert_eq!(offered(&stage, &["greenroom", "undo", ""]), ["a2", "a1", "docs/"]);
    assert_eq!(offered(&stage, &["greenroom", "undo", "a1", ""]), ["src/"]);
    stage.run(["undo", "a1", "--yes"]).expect(0);
    assert_eq!(offered(&stage, &["greenroom", "undo", "a"]), ["a2"]);
    assert_eq!(offered(&stage, &["greenroom", "redo", ""]), ["a3", "a1"]);
    assert_eq!(offered(&stage, &["greenroom", "recover", "--acknowledge", ""]), [""; 0]);
}

#[test]
fn what_is_stale_is_offered_to_refresh_and_not_to_apply() {
    let stage = stage();
    stage.write("top.txt", "the user's\n");
    stage.run(["status"]).expect(0);
    assert_eq!(offered(&stage, &["greenroom", "refresh", "p"]), ["p4"]);
    assert_eq!(offered(&stage, &["greenroom", "apply", "p"]), ["p3", "p2", "p1"]);
    assert_eq!(offered(&stage, &["greenroom", "discard", "p"]), ["p4", "p3", "p2", "p1"]);
}

#[test]
fn paths_are_typed_from_the_current_directory_and_of_the_named_workspace() {
    let stage = stage();
    fs::create_dir(stage.path("src")).expect("it is new");
    let ask = |words: &[&str], dir: &str| {
        let index = (words.len() - 1).to_string();
        let mut command = stage.command(["__complete", "zsh", &index].iter().chain(words.iter()));
        command.current_dir(stage.beside(dir));
        values(&Ran::from(output(&mut command)).expect(0))
    };
    assert_eq!(ask(&["greenroom", "diff", "a."], "workspace/src"), ["a.rs"]);
    assert_eq!(ask(&["greenroom", "diff", "../"], "workspace/src"), ["../docs/", "../top.txt"]);
    let workspace = stage.workspace();
    let workspace = workspace.to_str().expect("a plain path");
    assert_eq!(ask(&["greenroom", "--workspace", workspace, "diff", "p4"], "home"), ["p4"]);
    let typed = format!("{workspace}/src/");
    let found = ask(&["greenroom", "--workspace", workspace, "diff", &typed], "home");
    assert_eq!(found, [format!("{workspace}/src/a.rs"), format!("{workspace}/src/b.rs")]);
}

#[test]
fn bash_gets_words_that_it_runs_as_they_are() {
    let stage = stage();
    assert_eq!(offered_to_bash(&stage, "greenroom diff docs/"), ["docs/only\\ one.md"]);
    assert_eq!(offered_to_bash(&stage, "greenroom diff 'docs/"), ["docs/only one.md"]);
    assert_eq!(offered_to_bash(&stage, "greenroom diff agent:"), ["0a-1b"], "behind a break");
    assert_eq!(offered_to_bash(&stage, "greenroom cat x --session=agent-"), ["agent-1"]);
    let ran = stage.run(["__complete", "bash", "greenroom run -- car", BREAKS]).expect(0);
    assert_eq!(ran.stdout, b"command\n");
}

/// The files of the state, but for what SQLite's readers share.
fn listed(stage: &Fixture) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(stage.state_dir()).expect("it is there");
    let entries = entries.map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| entry.file_name() != "store.sqlite-shm");
    files.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap_or_default())).collect()
}

#[test]
fn completing_makes_and_changes_nothing_and_never_prints_an_error() {
    let stage = Fixture::new();
    assert!(offered(&stage, &["greenroom", "diff", ""]).contains(&"--stat".to_owned()));
    assert_eq!(fs::read_dir(stage.beside("state")).expect("ours").count(), 0, "no state");
    let stage = self::stage();
    let (tree, before) = (stage.tree(), listed(&stage));
    for words in
        [&["greenroom", "diff", ""][..], &["greenroom", "undo", ""], &["greenroom", "log", ""]]
    {
        offered(&stage, words);
    }
    assert!(stage.tree() == tree && listed(&stage) == before, "something was changed");
    // Without anything that can be read, the commands are still known.
    let store = stage.state_dir().join("store.sqlite");
    for name in ["store.sqlite-wal", "store.sqlite-shm"] {
        let _ = fs::remove_file(store.with_file_name(name));
    }
    fs::write(&store, b"damaged").expect("ours");
    stage.configure("nonsense = 1\n");
    assert_eq!(offered(&stage, &["greenroom", "diff", "p"]), [""; 0]);
    assert_eq!(offered(&stage, &["greenroom", "stat"]), ["status"]);
    for asked in [&["__complete"][..], &["__complete", "ksh"], &["__complete", "zsh", "9", "x"]] {
        let ran = stage.run(asked).expect(1);
        assert_eq!((ran.stdout, ran.stderr), (Vec::new(), String::new()), "{asked:?}");
    }
}

/// A shell with the fixture's environment, in which `greenroom` is the command under test; nothing,
/// visibly, where there is no such shell.
fn shell(stage: &Fixture, program: &str, arguments: &[&str]) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|dir| dir.join(program).is_file()) {
        println!("skipped: there is no {program} here");
        return None;
    }
    let folder = greenroom_binary().parent().expect("it is in a folder");
    let path = std::env::join_paths(
        std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path)),
    );
    let mut command = Command::new(program);
    command.args(arguments).current_dir(stage.workspace()).env_clear().stdin(Stdio::null());
    let variables = stage.command([""; 0]);
    command.envs(variables.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", path.expect("plain names")).env("LC_ALL", "C.UTF-8").env("PS1", "> ");
    Some(command)
}

/// Types a line, has it completed, and returns what is there then.
fn completed(terminal: &mut Terminal, typed: &str) -> String {
    terminal.send(&format!("{typed}\t\x18p"));
    terminal.read_until("LINE[");
    let line = terminal.read_until("]END");
    terminal.send("\x15");
    line.trim_end_matches("]END").to_owned()
}

/// Bash with a key that prints the line.
fn bash(stage: &Fixture) -> Option<Terminal> {
    let command = shell(stage, "bash", &["--norc", "--noprofile", "-i"])?;
    let mut terminal = Terminal::of_size(command, (40, 200));
    terminal.send("bind 'set bell-style none'; bind -x '\"\\C-xp\": printf \"\\nLINE[%s]%s\\n\" \"$READLINE_LINE\" END'\n");
    terminal.send("source <(greenroom completions bash) && echo READ''Y\n");
    terminal.read_until("READY");
    Some(terminal)
}

/// Zsh with the same key.
fn zsh(stage: &Fixture) -> Option<Terminal> {
    let command = shell(stage, "zsh", &["-f", "-i"])?;
    let mut terminal = Terminal::of_size(command, (40, 200));
    terminal.send("unsetopt beep; autoload -Uz compinit; compinit -u -D; bindkey -e\n");
    terminal.send("show() { print -r -- \"LINE[$BUFFER]\"END }; zle -N show; bindkey '^Xp' show\n");
    terminal.send("source <(greenroom completions zsh) && echo READ''Y\n");
    terminal.read_until("READY");
    Some(terminal)
}

#[rstest]
#[case::bash(bash)]
#[case::zsh(zsh)]
fn a_shell_completes_commands_labels_and_paths(#[case] start: fn(&Fixture) -> Option<Terminal>) {
    let stage = stage();
    let Some(mut terminal) = start(&stage) else { return };
    for (typed, expected) in [
        ("greenroom stat", "greenroom status "),
        ("greenroom diff agent-", "greenroom diff agent-1 "),
        ("greenroom diff agent:", "greenroom diff agent:0a-1b "),
        ("greenroom diff sr", "greenroom diff src/"),
        ("greenroom diff docs/", "greenroom diff docs/only\\ one.md "),
        ("greenroom diff docs/only\\ ", "greenroom diff docs/only\\ one.md "),
        ("greenroom diff 'docs/on", "greenroom diff 'docs/only one.md' "),
        ("greenroom show p3 --no-p", "greenroom show p3 --no-pager "),
        ("greenroom status --col", "greenroom status --color "),
        ("greenroom frobnicate xy", "greenroom frobnicate xy"),
    ] {
        assert_eq!(completed(&mut terminal, typed), expected, "{typed}");
    }
    terminal.send("exit\n");
    terminal.answer("");
}

#[test]
fn fish_completes_commands_labels_and_paths() {
    let stage = stage();
    let asks = |line: &str| {
        let script = "greenroom completions fish | source; complete --do-complete $argv[1]";
        let mut command = shell(&stage, "fish", &["--no-config", "-c", script, "--", line])?;
        let ran = Ran::from(output(&mut command)).expect(0);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        Some(text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let Some(found) = asks("greenroom stat") else { return };
    assert!(found.len() == 1 && found[0].starts_with("status\t"), "{found:?}");
    assert_eq!(
        asks("greenroom diff agent:").expect("as before"),
        ["agent:0a-1b\ts2, 1 patch pending"]
    );
    let found = asks("greenroom diff docs/").expect("as before");
    assert_eq!(found, ["docs/only one.md\tp1 create (+1 -0)"]);
    let found = asks("greenroom diff 'docs/on").expect("as before");
    assert_eq!(found, ["docs/only one.md\tp1 create (+1 -0)"]);
    let found = asks("greenroom run -- greenroom stat").expect("as before");
    assert!(
        found.len() == 1 && found[0].starts_with("status\t"),
        "of the inner command: {found:?}"
    );
}

#[rstest]
#[case::bash(bash)]
#[case::zsh(zsh)]
fn the_name_of_an_agents_file_is_never_run(#[case] start: fn(&Fixture) -> Option<Terminal>) {
    let stage = Fixture::new();
    let name = "x$(touch pwned)`touch pwned`;touch pwned;'\"!x*?~ .md";
    stage.propose(name, "hostile content\n");
    let Some(mut terminal) = start(&stage) else { return };
    terminal.send("greenroom cat x\t--session cli; echo DO''NE\n");
    let seen = terminal.read_until("DONE");
    terminal.send("exit\n");
    terminal.answer("");
    assert!(seen.contains("hostile content"), "the word means the file: {seen}");
    assert!(!stage.path("pwned").exists(), "{seen}");
}

#[test]
fn every_shell_that_has_a_script_can_read_it() {
    let stage = Fixture::new();
    for (name, program, arguments) in [
        ("bash", "bash", &["-n"][..]),
        ("zsh", "zsh", &["-n"]),
        ("fish", "fish", &["--no-execute"]),
    ] {
        let script = stage.run(["completions", name]).expect(0).stdout;
        let file = stage.beside(&format!("script.{name}"));
        fs::write(&file, &script).expect("ours");
        let Some(mut command) = shell(&stage, program, arguments) else { continue };
        let ran = Ran::from(output(command.arg(&file))).expect(0);
        assert_eq!(ran.stderr, "", "{name}");
    }
    let script = stage.run(["completions", "powershell"]).expect(0).stdout;
    let script = String::from_utf8(script).expect("text");
    assert!(!script.contains("Invoke-Expression"), "nothing that is typed is run");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let stage = Fixture::new();
    let main = String::from_utf8(stage.run(["man"]).expect(0).stdout).expect("text");
    assert!(main.contains(".TH greenroom 1") && main.contains("greenroom\\-review(1)"), "{main}");
    let dir = stage.beside("man/man1");
    let said = stage.run(["man".as_ref(), dir.as_os_str()]).expect(0).stdout;
    let mut names: Vec<String> = fs::read_dir(&dir)
        .expect("it was made")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("plain"))
        .collect();
    names.sort_unstable();
    let said = String::from_utf8(said).expect("text");
    assert!(said.starts_with(&format!("wrote {} pages to ", names.len())), "{said}");
    for name in ["greenroom.1", "greenroom-apply.1", "greenroom-session-close.1"] {
        assert!(names.iter().any(|there| there == name), "{name} is missing: {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("__") || name.contains("help")), "{names:?}");
    let pages = |dir: &std::path::Path| -> Vec<Vec<u8>> {
        names.iter().map(|name| fs::read(dir.join(name)).expect("it is there")).collect()
    };
    let first = pages(&dir);
    stage.run(["man".as_ref(), dir.as_os_str()]).expect(0);
    assert_eq!(pages(&dir), first, "a second run writes the same");
    assert_eq!(fs::read_dir(&dir).expect("it is there").count(), names.len(), "and nothing else");
}
