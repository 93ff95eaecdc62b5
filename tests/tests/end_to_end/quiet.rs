//! `-q`: only errors, questions, and what a command is asked for.

use end_to_end::{Fixture, Ran};
use rstest::rstest;

/// Something pending in two sessions, something stale, something applied, and something that every
/// command would remark on.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for name in ["a.txt", "b.txt", "c.txt"] {
        stage.write(name, "one\ntwo\n");
    }
    stage.propose("applied.txt", "x\n");
    stage.run(["apply", "--yes"]).expect(0);
    stage.propose("a.txt", "one\r\ntwo\r\n");
    stage.run_with(["propose", "a.txt", "--session", "other"], b"one\n").expect(0);
    stage.propose("b.txt", "2\n");
    stage.write("b.txt", "by hand\n");
    stage
}

#[rstest]
#[case::propose(&["propose", "c.txt", "--delete"])]
#[case::propose_over(&["propose", "a.txt", "--from", "/dev/null"])]
#[case::apply(&["apply", "p2", "--yes", "--rest"])]
#[case::apply_dry_run(&["apply", "p2", "--dry-run", "--rest"])]
#[case::discard(&["discard", "cli"])]
#[case::discard_all(&["discard", "--yes"])]
#[case::undo(&["undo", "--yes"])]
#[case::refresh(&["refresh", "merged"])]
#[case::session_close(&["session", "close", "cli", "--yes"])]
#[case::gc(&["gc"])]
#[case::recover(&["recover"])]
#[case::recover_all(&["recover", "--all"])]
#[case::init(&["init", "codex", "--yes"])]
#[case::init_again(&["init", "codex", "--remove", "--yes"])]
fn a_command_that_changes_something_says_nothing(#[case] arguments: &[&str]) {
    let stage = stage();
    // Something that a merge brings back.
    stage.write("d.txt", "1\n2\n3\n4\n5\n");
    let propose = ["propose", "d.txt", "--session", "merged"];
    stage.run_with(propose, b"one\n2\n3\n4\n5\n").expect(0);
    stage.write("d.txt", "1\n2\n3\n4\nfive\n");
    let ran = stage.run([&["-q"], arguments].concat()).expect(0);
    assert_eq!((String::from_utf8_lossy(&ran.stdout).as_ref(), ran.stderr.as_str()), ("", ""));
}

#[rstest]
#[case::status(&["status"])]
#[case::diff(&["diff"])]
#[case::stat(&["diff", "--stat"])]
#[case::show(&["show", "p2"])]
#[case::cat(&["cat", "a.txt", "--session", "other"])]
#[case::log(&["log"])]
#[case::verify(&["log", "--verify"])]
#[case::session_list(&["session", "list"])]
#[case::plugin_list(&["plugin", "list"])]
#[case::schema(&["schema"])]
#[case::gc_dry_run(&["gc", "--dry-run"])]
#[case::json(&["discard", "cli", "--json"])]
fn what_is_asked_for_is_printed_without_remarks(#[case] arguments: &[&str]) {
    let loud = stage().run(arguments).expect(0).stdout;
    let stage = stage();
    let ran = stage.run([&["-q"], arguments].concat()).expect(0);
    assert_eq!(ran.stderr, "");
    let length = |text: &[u8]| text.split(|byte| *byte == b'\n').count();
    assert!(!ran.stdout.is_empty() && length(&ran.stdout) == length(&loud), "all of it is there");
}

#[test]
fn doctor_says_only_what_is_not_in_order() {
    let stage = stage();
    let ran = stage.run(["-q", "doctor"]).expect(0);
    let said = String::from_utf8(ran.stdout).expect("text");
    assert!(said.lines().all(|line| !line.starts_with("ok")), "{said}");
    stage.configure("colour = true\n");
    let ran = stage.run(["-q", "doctor"]).expect(1);
    assert!(String::from_utf8_lossy(&ran.stdout).starts_with("BAD  configuration: "));
}

#[rstest]
#[case::unknown(&["show", "p99"], 1)]
#[case::no_session(&["cat", "a.txt", "--session", "nobody"], 1)]
#[case::stale(&["apply", "--yes"], 3)]
#[case::no_yes(&["apply"], 4)]
#[case::no_yes_to_init(&["init", "codex"], 4)]
fn an_error_is_reported(#[case] arguments: &[&str], #[case] code: i32) {
    let stage = stage();
    let ran: Ran = stage.run([&["-q"], arguments].concat()).expect(code);
    assert!(ran.stderr.starts_with("greenroom: "), "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn a_question_is_asked_with_what_it_is_about() {
    let stage = Fixture::new();
    stage.propose("a.txt", "a\n");
    for (arguments, shown) in [
        (&["-q", "apply"][..], "+a"),
        (&["-q", "discard"], "p1 create a.txt"),
        (&["-q", "session", "close", "cli"], "p1 create a.txt"),
        (&["-q", "init", "codex"], "sandbox_mode"),
    ] {
        let mut terminal = super::terminal::Terminal::run(&stage, arguments);
        let seen = terminal.until_asked();
        assert!(seen.contains(shown), "{arguments:?}: {seen}");
        assert_eq!(terminal.answer("n\n"), Some(4));
    }
}
