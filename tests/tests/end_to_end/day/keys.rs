//! Keys that a person presses at the wrong moment, and a window that changes its size.

use end_to_end::Fixture;
use rstest::rstest;

use super::refactor::{agent, workspace};
use super::shell::{Shell, Size};
use super::{Colours, REASON, Recording, SMALL, YES_OR_NO, question};

const INTERRUPT: &str = "\x03";
const END_OF_INPUT: &str = "\x04";
const SUSPEND: &str = "\x1a";

/// What the shell writes when it waits again.
const PROMPT: &str = "\n$ ";

/// Brings a shell to a question.
#[derive(Clone, Copy, Debug)]
enum At {
    Patch,
    AMarkedPatch,
    Reason,
    TheEnd,
    Apply,
    Discard,
    Undo,
    UndoOfAPath,
    Redo,
}

impl At {
    fn is_about_an_apply(self) -> bool {
        matches!(self, Self::Undo | Self::UndoOfAPath | Self::Redo)
    }

    fn go(self, shell: &mut Shell) {
        let review = |shell: &mut Shell| shell.ask("greenroom review", &question(1, 15));
        match self {
            Self::Patch => review(shell),
            Self::AMarkedPatch | Self::Reason | Self::TheEnd => {
                review(shell);
                shell.answer("y", &question(2, 15));
                shell.answer("n", &question(3, 15));
                match self {
                    Self::Reason => shell.answer("r", REASON),
                    Self::TheEnd => shell.answer("d", YES_OR_NO),
                    _ => {}
                }
            }
            Self::Apply => shell.ask("greenroom apply", YES_OR_NO),
            Self::Discard => shell.ask("greenroom discard", YES_OR_NO),
            Self::Undo => shell.ask("greenroom undo", YES_OR_NO),
            Self::UndoOfAPath => shell.ask("greenroom undo a1 src/cache.rs", YES_OR_NO),
            Self::Redo => shell.ask("greenroom redo", YES_OR_NO),
        }
    }
}

/// A workspace in which a question of this kind has something to ask about.
fn stage_for(at: At) -> Fixture {
    let stage = workspace();
    agent(&stage).end();
    if at.is_about_an_apply() {
        stage.run(["apply", "--yes"]).expect(0);
    }
    if matches!(at, At::Redo) {
        stage.run(["undo", "--yes"]).expect(0);
    }
    stage
}

/// Checks that the shell has the terminal as it was: what is typed is shown, and run.
#[track_caller]
fn check_shell(shell: &mut Shell) {
    assert!(shell.is_sane(), "{}", shell.text());
    shell.clear();
    shell.run("echo $((6 * 7))");
    assert_eq!(shell.text(), "$ echo $((6 * 7))\n42\n$ █\n");
}

#[rstest]
fn a_key_that_ends_a_question_decides_nothing_and_gives_the_terminal_back(
    #[values(
        At::Patch,
        At::AMarkedPatch,
        At::Reason,
        At::TheEnd,
        At::Apply,
        At::Discard,
        At::Undo,
        At::UndoOfAPath,
        At::Redo
    )]
    at: At,
    #[values(INTERRUPT, END_OF_INPUT)] key: &str,
) {
    let stage = stage_for(at);
    let (before, pending) = (stage.tree(), stage.pending());
    let mut shell = Shell::new(&stage, SMALL, &[]);
    at.go(&mut shell);
    if matches!(at, At::Reason) && key == END_OF_INPUT {
        // An empty reason: the patch is asked about again.
        shell.answer(key, &question(3, 15));
        shell.answer("q", PROMPT);
    } else {
        shell.answer(key, PROMPT);
    }
    check_shell(&mut shell);
    assert_eq!(stage.tree(), before, "nothing is applied or undone");
    assert_eq!(stage.pending(), pending, "and nothing is rejected");
}

#[rstest]
fn a_question_that_was_suspended_is_answered_in_the_foreground(
    #[values(At::AMarkedPatch, At::Reason, At::TheEnd, At::Apply)] at: At,
) {
    let stage = stage_for(at);
    let before = stage.tree();
    let mut shell = Shell::new(&stage, SMALL, &[]);
    at.go(&mut shell);
    shell.answer(SUSPEND, PROMPT);
    assert!(shell.text().contains("Stopped"), "{}", shell.text());
    check_shell(&mut shell);
    // The shell names the command that it continues.
    match at {
        At::AMarkedPatch => {
            shell.ask("fg", &question(3, 15));
            shell.answer("b", &question(2, 15));
            assert!(shell.text().contains("marked: rejected"), "{}", shell.text());
            shell.answer("q", PROMPT);
        }
        At::Reason => {
            shell.ask("fg", "greenroom review\r\n");
            shell.answer("too early\n", &question(4, 15));
            shell.answer("q", PROMPT);
        }
        At::TheEnd | At::Apply => {
            shell.send("fg\n");
            shell.until_seen("greenroom ");
            shell.answer("n\n", PROMPT);
        }
        _ => unreachable!("no such case"),
    }
    check_shell(&mut shell);
    assert_eq!((stage.tree(), stage.pending()), (before, 15), "nothing is decided");
}

#[test]
fn an_editor_has_the_keys_and_what_it_leaves_is_asked_about() {
    let stage = stage_for(At::Patch);
    // As an editor that is suspended and interrupted: the review waits for it.
    let editor = "sh -c 'echo editing; read line; echo done' editor";
    let mut shell = Shell::new(&stage, SMALL, &[("EDITOR", editor)]);
    At::Patch.go(&mut shell);
    shell.answer("e", "editing\r\n");
    shell.answer(INTERRUPT, &question(1, 15));
    assert!(shell.text().contains("signal: 2"), "{}", shell.text());
    shell.answer("e", "editing\r\n");
    shell.answer("\n", &question(1, 15));
    assert!(shell.text().contains("p1 is unchanged: nothing was staged"), "{}", shell.text());
    shell.answer(INTERRUPT, PROMPT);
    check_shell(&mut shell);
    assert_eq!(stage.pending(), 15);
}

#[rstest]
#[case::before_the_review("greenroom review\nyyyyyyyyyyyyyyyyyyyy\ny\n", 1)]
#[case::at_the_first_patch("yyyyyyyyyyyyyyyyyyyy\ny\n", 2)]
fn what_is_typed_ahead_never_approves(#[case] typed: &str, #[case] number: usize) {
    let stage = stage_for(At::Patch);
    let before = stage.tree();
    let mut shell = Shell::new(&stage, SMALL, &[]);
    if number > 1 {
        At::Patch.go(&mut shell);
    }
    shell.answer(typed, &question(number, 15));
    let text = shell.text();
    assert!(text.contains("ignored what was typed before this question"), "{text}");
    // One key, one patch: the next that is approved is the one that is shown.
    shell.answer("y", &question(number + 1, 15));
    shell.answer("d", YES_OR_NO);
    assert!(shell.text().contains(&format!("Apply {number} patch")), "{}", shell.text());
    shell.answer("n\n", PROMPT);
    assert_eq!((stage.tree(), stage.pending()), (before, 15));
}

#[test]
fn a_yes_behind_the_last_mark_is_no_answer_to_the_question_about_all() {
    let stage = stage_for(At::Patch);
    let before = stage.tree();
    let mut shell = Shell::new(&stage, SMALL, &[]);
    At::Patch.go(&mut shell);
    shell.answer("y", &question(2, 15));
    shell.answer("dy\n", YES_OR_NO);
    shell.answer("\n", PROMPT);
    check_shell(&mut shell);
    assert_eq!((stage.tree(), stage.pending()), (before, 15));
}

#[rstest]
#[case::larger(SMALL, (50, 200))]
#[case::smaller(SMALL, (12, 60))]
fn a_review_goes_on_in_a_window_of_another_size(#[case] first: Size, #[case] then: Size) {
    let stage = stage_for(At::Patch);
    let mut shell = Shell::new(&stage, first, &[]);
    let mut screens = Recording::new(&stage, Colours::Some);
    At::Patch.go(&mut shell);
    for number in 2..=4 {
        shell.answer("y", &question(number, 15));
    }
    screens.take(&shell, "p4 is longer than the first window");
    shell.resize(then);
    shell.clear();
    shell.answer("b", &question(3, 15));
    screens.take(&shell, "p3 in the second window");
    shell.answer("y", &question(4, 15));
    screens.take(&shell, "p4 in the second window");
    shell.answer("d", YES_OR_NO);
    screens.take(&shell, "the question about all");
    shell.answer("n\n", PROMPT);
    check_shell(&mut shell);
    let (rows, columns) = then;
    insta::assert_snapshot!(format!("resized-to-{columns}x{rows}"), screens.text);
}
