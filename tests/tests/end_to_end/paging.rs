//! What a person reads on a terminal, and with which program.

use std::process::Command;

use end_to_end::{Fixture, git, output};
use rstest::rstest;

use crate::terminal::Terminal;

/// A pager that marks what it was given.
const MARKING: &str = "sed 's/^/> /'";

/// One short patch and one file that a terminal shows otherwise than it is.
fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    stage.propose("a.txt", "two\u{202e}\n");
    stage
}

/// A diff that is longer than a screen, and than what a pipe takes.
fn long() -> Fixture {
    let stage = Fixture::new();
    stage.propose("long.txt", "a line of some length\n".repeat(20_000));
    stage
}

fn with(stage: &Fixture, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = stage.command(arguments);
    command.env_remove("PAGER").envs(environment.iter().copied());
    command
}

/// What the command shows on a terminal with this environment.
fn shown(stage: &Fixture, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let terminal = Terminal::of_size(with(stage, arguments, environment), (24, 80));
    let (code, text) = terminal.until_its_end();
    assert_eq!(code, Some(0), "{text}");
    text
}

/// How many lines went through the pager.
fn marked(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("> ")).count()
}

#[rstest]
#[case::diff(&["diff"])]
#[case::show(&["show", "p1"])]
#[case::log(&["log"])]
#[case::stat(&["diff", "--stat"])]
#[case::names(&["diff", "--name-only"])]
fn what_is_read_goes_through_the_pager_on_a_terminal_alone(#[case] arguments: &[&str]) {
    let stage = stage();
    let paged = [("GREENROOM_PAGER", MARKING)];
    let text = shown(&stage, arguments, &paged);
    assert!(marked(&text) > 0, "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    for off in [&["--no-pager"][..], &["--json"]] {
        let text = shown(&stage, &[off, arguments].concat(), &paged);
        assert_eq!(marked(&text), 0, "{text}");
    }
    let dumb = [("GREENROOM_PAGER", MARKING), ("TERM", "dumb")];
    assert_eq!(marked(&shown(&stage, arguments, &dumb)), 0);
    let piped = output(&mut with(&stage, arguments, &paged));
    assert_eq!(marked(&String::from_utf8_lossy(&piped.stdout)), 0);
}

#[rstest]
#[case::status(&["status"])]
#[case::cat(&["cat", "a.txt", "--session", "cli"])]
#[case::sessions(&["session", "list"])]
#[case::dry_run(&["apply", "--dry-run"])]
fn what_is_short_does_not(#[case] arguments: &[&str]) {
    let text = shown(&stage(), arguments, &[("GREENROOM_PAGER", MARKING)]);
    assert_eq!(marked(&text), 0, "{text}");
}

#[rstest]
#[case::its_own_variable(&[("GREENROOM_PAGER", "sed 's/^/own /'"), ("PAGER", MARKING)], true, "own ")]
#[case::the_configuration(&[("PAGER", MARKING)], true, "configured ")]
#[case::everybodys_variable(&[("PAGER", MARKING)], false, "> ")]
#[case::turned_off(&[("GREENROOM_PAGER", ""), ("PAGER", MARKING)], true, "")]
#[case::cat(&[("GREENROOM_PAGER", "cat"), ("PAGER", MARKING)], true, "")]
fn the_first_that_names_a_pager_decides(
    #[case] environment: &[(&str, &str)],
    #[case] is_configured: bool,
    #[case] expected: &str,
) {
    let stage = stage();
    if is_configured {
        stage.configure("pager = \"sed 's/^/configured /'\"\n");
    }
    let text = shown(&stage, &["diff", "--color", "never"], environment);
    assert!(text.starts_with(&format!("{expected}diff --git a/a.txt b/a.txt\n")), "{text}");
}

#[test]
fn a_pager_keeps_the_colours_and_has_the_options_that_git_gives_it() {
    let printing = [("GREENROOM_PAGER", "echo \"LESS=$LESS LV=$LV\"; cat")];
    let text = shown(&stage(), &["diff"], &printing);
    assert!(text.starts_with("LESS=FRX LV=-c\n"), "{text}");
    assert!(text.contains("\x1b[31m-one\x1b[0m"), "{text}");
    // The remarks and the signature stay on the screen behind it.
    assert!(text.ends_with('\n') && text.contains("\n1 patch\nsignature "), "{text}");
    let own = [printing[0], ("LESS", "-S")];
    assert!(shown(&stage(), &["diff"], &own).starts_with("LESS=-S LV=-c\n"));
}

#[rstest]
#[case("no-such-pager")]
#[case("no-such-pager -R")]
#[case("A=1 no-such-pager")]
fn a_pager_that_is_not_there_is_named_and_not_needed(#[case] pager: &str) {
    let text = shown(&stage(), &["diff", "--color", "never"], &[("GREENROOM_PAGER", pager)]);
    let warning = format!("cannot run the pager `{pager}`: there is no such program\n");
    assert!(text.starts_with(&format!("{warning}diff --git ")), "{text}");
    assert!(text.contains("\n1 patch\nsignature "), "{text}");
}

#[rstest]
#[case::diff(&["diff"], "\n1 patch\nsignature ")]
#[case::show(&["show", "p1"], "")]
fn a_pager_that_is_left_early_is_no_error(#[case] arguments: &[&str], #[case] behind: &str) {
    let text = shown(&long(), arguments, &[("GREENROOM_PAGER", "head -n 1")]);
    assert!(text.contains(behind), "{text}");
    assert!(!text.contains("greenroom:") && text.lines().count() < 4, "{text}");
}

#[test]
fn a_question_is_not_paged_and_lists_what_left_the_screen() {
    let paged = [("GREENROOM_PAGER", MARKING)];
    let stage = stage();
    let mut terminal = Terminal::of_size(with(&stage, &["apply"], &paged), (24, 80));
    let seen = terminal.until_asked().replace('\r', "");
    assert!(!seen.contains("\np1 modify a.txt"), "it fits on the screen: {seen}");
    assert_eq!(terminal.answer("n\n"), Some(4));
    // The same on a screen that it does not fit on.
    let mut terminal = Terminal::of_size(with(&stage, &["apply"], &paged), (8, 80));
    let seen = terminal.until_asked().replace('\r', "");
    let (_, question) = seen.rsplit_once("+two").expect("the diff");
    assert!(question.contains("\np1 modify a.txt (+1 -1)\n"), "{seen}");
    assert!(question.contains("\nsignature "), "{seen}");
    assert!(question.ends_with("Apply 1 patch? [y/N] "), "{seen}");
    assert_eq!(marked(&seen), 0, "{seen}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!(stage.read("a.txt"), "two\u{202e}\n".as_bytes());
    stage.run(["undo", "--yes"]).expect(0);
    let mut terminal = Terminal::of_size(with(&stage, &["redo"], &paged), (8, 80));
    assert!(terminal.until_asked().contains("\np1 modify a.txt"));
    assert_eq!(terminal.answer("y\n"), Some(0));
}

#[test]
fn less_is_the_pager_of_who_names_none() {
    if output(Command::new("sh").args(["-c", "command -v less"])).stdout.is_empty() {
        return println!("skipped: there is no less");
    }
    let stage = stage();
    let text = shown(&stage, &["diff", "--color", "never"], &[]);
    assert!(text.contains("+two<U+202E>"), "what fits is shown without a key: {text}");
    let stage = long();
    let mut terminal = Terminal::of_size(with(&stage, &["diff"], &[]), (24, 80));
    terminal.until("\x1b[32m+a line of some length");
    // Ctrl-C is less's, which goes on, and so does the command.
    let (code, rest) = terminal.answer_and_read("\x03q");
    assert_eq!(code, Some(0));
    assert!(rest.contains("1 patch\r\nsignature "), "{rest}");
}

#[test]
fn diffs_are_shown_by_the_program_that_the_user_names() {
    let stage = stage();
    stage.configure("[diff]\ncommand = \"sed 's/^/viewed /'\"\n");
    for arguments in [&["diff"][..], &["show", "p1"]] {
        let text = shown(&stage, arguments, &[("GREENROOM_PAGER", MARKING)]);
        assert!(text.contains("viewed +two<U+202E>\n"), "as it is shown, without colours: {text}");
        assert_eq!(marked(&text), 0, "{text}");
    }
    // What is asked about is shown by nobody else.
    let command = with(&stage, &["apply"], &[("GREENROOM_PAGER", MARKING)]);
    let mut terminal = Terminal::of_size(command, (8, 80));
    let seen = terminal.until_asked();
    assert!(!seen.contains("viewed ") && marked(seen) == 0, "{seen}");
    assert_eq!(terminal.answer("n\n"), Some(4));
    for off in [&["--no-pager", "diff"][..], &["diff", "--stat"], &["log"]] {
        assert!(!shown(&stage, off, &[]).contains("viewed "));
    }
    assert!(!String::from_utf8_lossy(&stage.run(["diff"]).expect(0).stdout).contains("viewed "));
    stage.configure("[diff]\ncommand = \"no-such-viewer --dark\"\n");
    let text = shown(&stage, &["diff"], &[("GREENROOM_PAGER", MARKING)]);
    let warning = "cannot run `diff.command`: there is no program `no-such-viewer --dark`\n";
    assert!(text.starts_with(warning) && marked(&text) > 0, "{text}");
}

#[test]
fn binary_content_is_described_on_a_terminal_and_a_patch_in_a_pipe() {
    let stage = Fixture::new();
    stage.write("logo.png", [b"\x89PNG\0".as_slice(), &[1; 1224]].concat());
    stage.write("gone.bin", b"\0gone");
    stage.propose("logo.png", [b"\x89PNG\0".as_slice(), &[2; 3477]].concat());
    stage.propose("new.bin", b"\0new");
    stage.run(["propose", "gone.bin", "--delete"]).expect(0);
    let text = shown(&stage, &["diff"], &[("PAGER", "cat")]);
    for line in [
        "Binary files differ: 1.2 KiB -> 3.4 KiB\n",
        "Binary file is created: 4 bytes\n",
        "Binary file is deleted: 5 bytes\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("GIT binary patch") && !text.contains("literal "), "{text}");
    let command = stage.command(["apply", "--confirm-full-replace"]);
    let mut terminal = Terminal::of_size(command, (40, 80));
    assert!(terminal.until_asked().contains("Binary files differ: 1.2 KiB -> 3.4 KiB"));
    terminal.answer("n\n");
    let patch = stage.run(["diff"]).expect(0).stdout;
    std::fs::write(stage.beside("patch"), &patch).expect("ours");
    git(&stage.workspace(), &["apply", "--check", "../patch"]);
}

#[test]
fn a_diffstat_is_as_wide_as_the_terminal_and_says_what_else_happens() {
    let stage = Fixture::new();
    for name in ["old.txt", "gone.txt", "run.sh"] {
        stage.write(name, "x\n");
    }
    stage.propose("many.txt", "line\n".repeat(500));
    stage.run(["propose", "old.txt", "--rename-to", "dir/new.txt"]).expect(0);
    stage.run(["propose", "gone.txt", "--delete"]).expect(0);
    stage.run(["propose", "run.sh", "--mode", "755"]).expect(0);
    stage.run(["propose", "link", "--symlink", "run.sh"]).expect(0);
    stage.run(["propose", "empty", "--directory"]).expect(0);
    let piped = String::from_utf8(stage.run(["diff", "--stat"]).expect(0).stdout).expect("text");
    let summary = " delete mode 100644 gone.txt\n create mode 120000 link\n \
                   create mode 100644 many.txt\n rename old.txt => dir/new.txt\n \
                   mode change 100644 => 100755 run.sh\n";
    assert!(piped.contains(summary) && piped.contains(" create mode 040755 empty/\n"), "{piped}");
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max();
    assert!(widest(&piped) <= Some(80), "{piped}");
    let environment = [("PAGER", "cat")];
    let command = with(&stage, &["diff", "--stat", "--color", "never"], &environment);
    let (_, wide) = Terminal::of_size(command, (50, 200)).until_its_end();
    let bar = |text: &str| text.lines().find(|line| line.contains("| 500 ")).map(str::len);
    assert!(bar(&wide) > Some(120) && bar(&wide) <= Some(200), "{wide}");
    assert!(shown(&stage, &["diff", "--stat"], &environment).contains("\x1b[32m+++"));
    let names = stage.run(["diff", "--name-only"]).expect(0).stdout;
    let expected = "dir/new.txt\nempty\ngone.txt\nlink\nmany.txt\nrun.sh\n";
    assert_eq!(String::from_utf8(names).expect("text"), expected);
}

#[test]
fn a_signature_is_printed_once() {
    let stage = stage();
    let status =
        |stage: &Fixture| String::from_utf8(stage.run(["status"]).expect(0).stdout).expect("text");
    assert_eq!(status(&stage).matches(&stage.signature()).count(), 1);
    stage.run_with(["propose", "b.txt", "--session", "other"], b"b\n").expect(0);
    assert_eq!(status(&stage).matches("signature ").count(), 3, "of two sessions, and of both");
}

/// The recipes of the documentation: the program, and the command.
fn recipes() -> Vec<(String, String)> {
    let text = include_str!("../../../docs/reading.md").replace("\\|", "\u{0}");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ["));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let recipe = |cells: Vec<String>| {
        let command = cells[1].trim_matches(|letter| " |`".contains(letter)).replace('\u{0}', "|");
        (command.split(' ').next().unwrap_or_default().to_owned(), command)
    };
    cells.map(recipe).collect()
}

#[test]
fn the_viewers_of_the_documentation_show_the_diff() {
    let recipes = recipes();
    assert_eq!(recipes.len(), 5);
    for (program, command) in recipes.iter().take(2) {
        let found = output(Command::new("sh").args(["-c", &format!("command -v {program}")]));
        if found.stdout.is_empty() {
            println!("skipped: there is no {program}");
            continue;
        }
        let stage = Fixture::new();
        stage.write("a.txt", "the first line\nsame\n");
        stage.propose("a.txt", "another beginning\nsame\n");
        stage.configure(&format!("[diff]\ncommand = \"{command}\"\n"));
        let text = shown(&stage, &["diff"], &[]);
        for word in ["first", "another", "1 patch\nsignature "] {
            assert!(text.contains(word), "{command}: {text}");
        }
        assert!(!text.contains("cannot run"), "{command}: {text}");
    }
}
