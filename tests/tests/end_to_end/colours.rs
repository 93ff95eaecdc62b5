//! Colours: on a terminal, where the user wants them, and nowhere else.

use end_to_end::{Fixture, output};
use rstest::rstest;

use crate::terminal::Terminal;

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    stage.propose("a.txt", "two\n");
    stage.propose(".hidden", "x\n");
    stage
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[rstest]
#[case::status(&["status"], &["\x1b[33mrisk: \x1b[0m", "\x1b[33mmodify\x1b[0m a.txt (\x1b[32m+1\x1b[0m \x1b[31m-1\x1b[0m)"])]
#[case::log(&["log"], &["\x1b[33mpatch_proposed\x1b[0m p1"])]
#[case::diffstat(&["diff", "--stat"], &["\x1b[32m+\x1b[0m"])]
#[case::what_was_done(&["apply", "p1", "--yes"], &["\x1b[32mapplied\x1b[0m 1 file (\x1b[32m+1\x1b[0m \x1b[31m-1\x1b[0m) as a1"])]
fn a_terminal_has_colours_and_a_pipe_has_none(#[case] arguments: &[&str], #[case] has: &[&str]) {
    let (code, seen) = Terminal::run(&stage(), arguments).until_its_end();
    assert_eq!(code, Some(0), "{seen}");
    for piece in has {
        assert!(seen.contains(piece), "{piece:?} in {seen:?}");
    }
    let piped = stage().run(arguments).expect(0);
    let piped = String::from_utf8(piped.stdout).expect("text") + &piped.stderr;
    assert!(!piped.contains('\x1b'), "{piped:?}");
    // Only the colours differ, and what stands above the output on a terminal stands beside it in a
    // pipe.
    let lines = |text: &str| -> Vec<String> {
        let is_same = |line: &&str| !line.contains("workspace") && !line.contains("T");
        let lines = text.lines().filter(is_same).map(|line| line.trim_end().to_owned());
        let mut lines: Vec<String> = lines.collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&without_colours(&seen)), lines(&piped));
}

#[rstest]
#[case::a_pipe("status", &[], &[], false)]
#[case::wanted("status", &["--color", "always"], &[], true)]
#[case::forced("status", &[], &[("CLICOLOR_FORCE", "1")], true)]
#[case::not_forced("status", &[], &[("CLICOLOR_FORCE", "0")], false)]
#[case::forced_and_not_wanted("status", &[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false)]
#[case::forced_and_never("status", &["--color", "never"], &[("CLICOLOR_FORCE", "1")], false)]
#[case::json("status", &["--json", "--color", "always"], &[], false)]
#[case::the_log("log", &[], &[("CLICOLOR_FORCE", "1")], true)]
fn who_wants_colours_gets_them(
    #[case] command: &str,
    #[case] options: &[&str],
    #[case] variables: &[(&str, &str)],
    #[case] expected: bool,
) {
    let stage = stage();
    let mut command = stage.command([&[command], options].concat());
    command.envs(variables.iter().copied());
    let printed = String::from_utf8(output(&mut command).stdout).expect("text");
    assert_eq!(printed.contains('\x1b'), expected, "{printed:?}");
}

#[test]
fn no_color_and_a_dumb_terminal_have_no_colours() {
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let stage = stage();
        let mut command = stage.command(["status"]);
        command.env(name, value);
        let (_, seen) = Terminal::of_size(command, (24, 80)).until_its_end();
        assert!(!seen.contains('\x1b'), "{name}: {seen:?}");
    }
}
