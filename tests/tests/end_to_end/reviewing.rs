//! `review`: one patch after the other on a terminal.

use end_to_end::Fixture;
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};
use serde_json::json;

use crate::terminal::Terminal;

/// Some changed files, `a.txt` to `d.txt`.
fn stage() -> Fixture {
    let stage = Fixture::new();
    for name in ["a", "b", "c", "d"] {
        stage.write(format!("{name}.txt"), "one\ntwo\n");
        stage.propose(format!("{name}.txt"), "1\ntwo\n");
    }
    stage
}

fn question(number: usize, all: usize) -> String {
    format!("({number}/{all}) Approve? [y,n,r,e,s,b,v,a,d,q,?] ")
}

/// A review of this stage, at its first question.
fn review(stage: &Fixture, all: usize) -> Terminal {
    let mut terminal = Terminal::run(stage, &["review"]);
    terminal.read_until(&question(1, all));
    terminal
}

#[test]
fn what_is_marked_is_applied_and_rejected_at_the_end() {
    let stage = stage();
    let mut command = stage.command(["review"]);
    command.env("GREENROOM_EDITOR", "sed -i s/two/2/");
    let mut terminal = Terminal::of_size(command, (24, 80));
    let first = terminal.read_until(&question(1, 4));
    assert!(first.contains("(1/4) p1 modify a.txt (+1 -1)"), "{first}");
    assert!(first.contains("session s1 cli"), "{first}");
    assert!(first.contains("\x1b[31m-one\x1b[0m"), "{first}");
    terminal.type_until("y", "approved\r\n");
    terminal.read_until(&question(2, 4));
    terminal.type_until("r", "Reason, for the agent: ");
    terminal.type_until("use words\n", &question(3, 4));
    let edited = terminal.type_until("e", &question(3, 4));
    assert!(
        edited.contains("p3 was rewritten and is at revision 2: it is shown again"),
        "{edited}"
    );
    assert!(
        edited.contains("p3 modify c.txt (+2 -2, revision 2, edited by the reviewer)"),
        "{edited}"
    );
    terminal.type_until("y", &question(4, 4));
    let end = terminal.type_until("s", "[y/N] ");
    for part in [
        "approved:\r\n  p1 modify a.txt",
        "  p3 modify c.txt",
        "rejected:\r\n  p2 modify b.txt (+1 -1): use words\r\n",
        "1 patch is not marked, and will stay pending\r\n",
        "Apply 2 patches and reject 1? [y/N] ",
    ] {
        assert!(end.contains(part), "`{part}`: {end}");
    }
    assert_eq!(end.matches("signature ").count(), 1, "{end}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!((stage.read("a.txt"), stage.read("c.txt")), (b"1\ntwo\n".into(), b"1\n2\n".into()));
    assert_eq!(stage.read("b.txt"), b"one\ntwo\n");
    let rejected = stage.run(["show", "p2", "--json"]).expect(0).json();
    assert_eq!(rejected["reason_text"], "use words");
    assert_eq!((stage.patch("p2")["reason"].clone(), stage.pending()), (json!("rejected"), 1));
}

#[test]
fn nothing_happens_before_the_answer_to_the_last_question() {
    for keys in ["q", "\x03", "\x04", "nq"] {
        let stage = stage();
        let mut terminal = review(&stage, 4);
        if keys.len() > 1 {
            terminal.type_until(&keys[..1], &question(2, 4));
        }
        let (code, seen) = terminal.answer_and_read(&keys[keys.len() - 1..]);
        assert_eq!(code, Some(4), "{keys:?}: {seen}");
        assert!(seen.contains("Nothing was applied or rejected."), "{seen}");
        assert_eq!((stage.pending(), stage.read("a.txt")), (4, b"one\ntwo\n".into()));
    }
    let stage = stage();
    let mut terminal = review(&stage, 4);
    terminal.type_until("y", &question(2, 4));
    terminal.type_until("n", &question(3, 4));
    terminal.type_until("d", "[y/N] ");
    let (code, seen) = terminal.answer_and_read("n\n");
    assert_eq!(code, Some(4), "{seen}");
    assert_eq!((stage.pending(), stage.read("a.txt")), (4, b"one\ntwo\n".into()));
}

#[test]
fn a_mark_can_be_changed() {
    let stage = stage();
    let mut terminal = review(&stage, 4);
    terminal.type_until("n", &question(2, 4));
    let back = terminal.type_until("b", &question(1, 4));
    assert!(back.contains("marked: rejected"), "{back}");
    terminal.type_until("y", &question(2, 4));
    let end = terminal.type_until("d", "[y/N] ");
    assert!(end.contains("Apply 1 patch?") && end.contains("3 patches are not marked"), "{end}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!((stage.read("a.txt"), stage.pending()), (b"1\ntwo\n".into(), 3));
}

#[test]
fn all_the_rest_is_shown_before_it_is_approved() {
    let stage = stage();
    stage.propose("logo.png", [0, 1, 2]);
    stage.write("e.txt", "x\n");
    stage.run(["propose", "e.txt", "--delete"]).expect(0);
    let mut terminal = review(&stage, 6);
    terminal.type_until("n", &question(2, 6));
    let end = terminal.type_until("a", "[y/N] ");
    for part in ["+++ b/c.txt", "+++ b/d.txt", "--- a/e.txt", "Apply 4 patches and reject 1? "] {
        assert!(end.contains(part), "`{part}`: {end}");
    }
    assert!(end.contains("risk: deleted (1): `e.txt`\r\n"), "{end}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert!(!stage.path("e.txt").exists());
    assert!(!stage.path("logo.png").exists(), "a full replacement needs a key of its own");
    assert_eq!(stage.pending(), 1);
    let mut terminal = Terminal::run(&stage, &["review"]);
    let seen = terminal.read_until(&question(1, 1));
    assert!(seen.contains("Binary file is created: 3 bytes"), "{seen}");
    terminal.type_until("y", "[y/N] ");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!(stage.read("logo.png"), [0, 1, 2]);
}

#[test]
fn the_risks_of_a_patch_that_is_longer_than_the_screen_are_above_its_question() {
    for (lines, times) in [(5, 1), (50, 2)] {
        let stage = Fixture::new();
        stage.write("old.txt", "a line\n".repeat(lines));
        stage.run(["propose", "old.txt", "--delete"]).expect(0);
        let mut terminal = Terminal::run(&stage, &["review"]);
        let seen = terminal.read_until(&question(1, 1));
        assert_eq!(seen.matches("risk: deleted (1): `old.txt`\r\n").count(), times, "{seen}");
        terminal.answer("q");
    }
}

#[test]
fn all_the_rest_begins_with_the_patch_that_is_shown_whatever_its_mark() {
    let stage = stage();
    let mut terminal = review(&stage, 4);
    terminal.type_until("n", &question(2, 4));
    terminal.type_until("n", &question(3, 4));
    terminal.type_until("b", &question(2, 4));
    let end = terminal.type_until("a", "[y/N] ");
    assert!(end.contains("Apply 3 patches and reject 1? "), "{end}");
    assert!(end.contains("rejected:\r\n  p1 modify a.txt"), "{end}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!((stage.read("b.txt"), stage.pending()), (b"1\ntwo\n".into(), 0));
}

#[test]
fn a_rejection_that_fails_is_a_failure_of_the_review() {
    for approved in [true, false] {
        let stage = stage();
        let mut terminal = review(&stage, 4);
        terminal.type_until(if approved { "y" } else { "s" }, &question(2, 4));
        terminal.type_until("n", &question(3, 4));
        terminal.type_until("n", &question(4, 4));
        terminal.type_until("d", "[y/N] ");
        // Somebody else decides while the question waits.
        stage.run(["apply", "p2", "--yes"]).expect(0);
        let (code, seen) = terminal.answer_and_read("y\n");
        assert_eq!(code, Some(1), "{seen}");
        assert!(seen.contains("p2 is not rejected: "), "{seen}");
        assert!(seen.contains("not everything was rejected: p2 stays as it is"), "{seen}");
        assert_eq!(seen.contains("No file was changed"), !approved, "{seen}");
        assert_eq!(stage.patch("p3")["reason"], "rejected", "the others are rejected");
        assert_eq!(stage.read("a.txt") == b"1\ntwo\n", approved);
    }
}

#[test]
fn a_patch_that_changes_loses_its_mark() {
    let stage = stage();
    let mut terminal = review(&stage, 4);
    terminal.type_until("y", &question(2, 4));
    stage.propose("a.txt", "uno\ntwo\n");
    stage.run(["discard", "p3"]).expect(0);
    let seen = terminal.type_until("y", &question(1, 3));
    assert!(
        seen.contains("p1 was rewritten and is at revision 2, its mark is gone: it is shown again"),
        "{seen}"
    );
    assert!(seen.contains("p3 `c.txt` is no longer pending: it is discarded (rejected)"), "{seen}");
    assert!(seen.contains("+uno"), "{seen}");
    terminal.type_until("y", &question(2, 3));
    let end = terminal.type_until("d", "[y/N] ");
    assert!(end.contains("Apply 2 patches?"), "the mark of b.txt stays: {end}");

    // An agent that is faster than the answer.
    stage.propose("b.txt", "dos\ntwo\n");
    let again = terminal.type_until("y\n", &question(2, 3));
    assert!(again.contains("p2 was rewritten and is at revision 2"), "{again}");
    assert_eq!(stage.read("a.txt"), b"one\ntwo\n", "nothing is applied");
    terminal.type_until("y", &question(3, 3));
    terminal.type_until("d", "[y/N] ");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!(
        (stage.read("a.txt"), stage.read("b.txt")),
        (b"uno\ntwo\n".into(), b"dos\ntwo\n".into())
    );
}

#[test]
fn what_was_typed_before_a_question_is_no_answer() {
    let stage = stage();
    let mut terminal = Terminal::run_with_typed_ahead(&stage, &["review"], "yyyyyy\ny\n");
    let seen = terminal.read_until(&question(1, 4));
    assert!(seen.contains("ignored what was typed before this question"), "{seen}");
    let (code, _) = terminal.answer_and_read("q");
    assert_eq!((code, stage.pending()), (Some(4), 4));
}

/// An arrow ends in a letter, and no letter is meant by it.
#[test]
fn other_keys_are_no_answers() {
    let stage = stage();
    let mut terminal = review(&stage, 4);
    for key in ["\x1b[A", "\x1b[a", "\x1bOd", "ä", "x", "Y", "A", "\r", " "] {
        let seen = terminal.type_until(key, &question(1, 4));
        assert!(seen.contains("`?` lists the keys"), "{key:?}: {seen}");
    }
    let help = terminal.type_until("?", &question(1, 4));
    assert!(help.contains("y  approve this patch\r\n") && help.contains("q  quit: "), "{help}");
    assert!(help.contains("answer it with y and Enter.\r\n"), "{help}");
    let (code, _) = terminal.answer_and_read("q");
    assert_eq!((code, stage.pending()), (Some(4), 4));
}

#[test]
fn the_terminal_is_set_back_whatever_ends_or_suspends_a_review() {
    let stage = stage();
    let mut terminal = review(&stage, 4);
    let pid = terminal.pid();
    terminal.send("\x1a");
    let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("our child");
    assert!(stopped.is_some_and(|(_, status)| status.stopped()), "it is suspended");
    assert!(terminal.is_as_before(), "the shell finds the terminal as it was");
    kill_process(pid, Signal::CONT).expect("our child");
    terminal.read_until(&question(1, 4));
    assert!(!terminal.is_as_before(), "and the review goes on with single keys");
    terminal.type_until("y", &question(2, 4));
    terminal.send("\x03");
    terminal.read_until("Nothing was applied or rejected.");
    assert!(terminal.is_as_before());
    assert_eq!(terminal.answer(""), Some(4));
}

#[test]
fn without_a_terminal_or_as_json_it_points_elsewhere() {
    let stage = stage();
    let ran = stage.run(["review"]).expect(2);
    assert!(ran.stderr.contains("review needs a terminal"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`greenroom diff`"), "{}", ran.stderr);
    let ran = stage.run(["review", "--json"]).expect(2);
    assert_eq!(ran.error_kind(), "usage");
}

#[test]
fn a_review_is_plain_lines() {
    let stage = stage();
    let mut terminal = Terminal::run(&stage, &["review", "--color", "never"]);
    let mut seen = terminal.read_until(&question(1, 4));
    seen += &terminal.type_until("y", &question(2, 4));
    seen += &terminal.type_until("?", &question(2, 4));
    seen += &terminal.type_until("d", "[y/N] ");
    assert!(!seen.contains('\x1b'), "no colour and no movement: {seen:?}");
    assert!(seen.lines().all(|line| line.len() <= 80), "{seen}");
    assert_eq!(terminal.answer("y\n"), Some(0));
}

#[test]
fn a_set_of_which_a_part_became_stale_is_applied_only_with_a_yes_to_that() {
    let stage = Fixture::new();
    for name in ["a.txt", "b.txt"] {
        stage.write(name, "one\n");
    }
    let patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+1\n\
                 --- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-one\n+1\n";
    stage.run_with(["propose", "--patch", "-"], patch.as_bytes()).expect(0);
    let mut terminal = review(&stage, 2);
    stage.write("b.txt", "by hand\n");
    let end = terminal.type_until("y", "[y/N] ");
    assert!(end.contains("p2 `b.txt` is no longer pending: it is discarded (stale)"), "{end}");
    assert!(end.contains("not in it, stale or expired:\r\n  p2 modify b.txt"), "{end}");
    let (code, end) = terminal.answer_and_read("y\n");
    assert_eq!(code, Some(0), "{end}");
    assert!(end.contains("`greenroom refresh p2`"), "what to do about the rest: {end}");
    assert_eq!((stage.read("a.txt"), stage.read("b.txt")), (b"1\n".into(), b"by hand\n".into()));
}
