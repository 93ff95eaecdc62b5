//! A day of review on a terminal, screen by screen: an agent has refactored fifteen files.

mod cast;
mod demo;
mod keys;
mod refactor;
mod shell;

use std::fmt::Write as _;

use end_to_end::Fixture;
use regex::Regex;
use rstest::rstest;
use serde_json::json;
use vt100::Color;

use self::refactor::{agent, edit_by_hand, workspace};
use self::shell::{Shell, Size};

const SMALL: Size = (24, 80);
const LARGE: Size = (50, 200);

/// The end of a question that is answered with a line.
const YES_OR_NO: &str = "[y/N] ";
const REASON: &str = "Reason, for the agent: ";
/// What the reviewer's editor makes of a comment that is too long.
const EDITOR: (&str, &str) = ("EDITOR", "sed -i 's/: that of their names.*/./'");

/// The question about a patch.
fn question(number: usize, all: usize) -> String {
    format!("({number}/{all}) Approve? [y,n,r,e,s,b,v,a,d,q,?] ")
}

/// Whether a terminal shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    Some,
    None,
}

/// Screens that are compared with those that are stored.
struct Recording<'s> {
    stage: &'s Fixture,
    colours: Colours,
    text: String,
}

impl<'s> Recording<'s> {
    fn new(stage: &'s Fixture, colours: Colours) -> Self {
        Self { stage, colours, text: String::new() }
    }

    fn take(&mut self, shell: &Shell, name: &str) {
        check_colours(shell, self.colours);
        let text = normalise(&shell.text(), self.stage);
        let _ = write!(self.text, "=== {name}\n{text}");
    }
}

/// The text with what differs from run to run replaced by something of the same length: the
/// workspace's path, signatures and times.
fn normalise(text: &str, stage: &Fixture) -> String {
    let root = stage.workspace().to_string_lossy().into_owned();
    let text = text.replace(&root, &format!("{:x<1$}", "/tmp/WORKSPACE", root.len()));
    let same = |pattern: &str, text: &str, name: &str| {
        let pattern = Regex::new(pattern).expect("a pattern");
        pattern
            .replace_all(text, |found: &regex::Captures<'_>| {
                format!("{name:x<0$}", found[0].chars().count())
            })
            .into_owned()
    };
    let text = same(r"\b[0-9a-f]{64}\b", &text, "SIGNATURE");
    same(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", &text, "TIME")
}

/// With colours a removed line is red and an added one green, with its changed words reversed;
/// without them nothing on the screen differs from plain text.
#[track_caller]
fn check_colours(shell: &Shell, colours: Colours) {
    let screen = shell.screen();
    let (rows, columns) = screen.size();
    let rows = (0..rows.get()).map(|row| {
        let text = screen.rows(0, columns.get()).nth(usize::from(row)).unwrap_or_default();
        let cells = (0..columns.get()).filter_map(|column| screen.cell(row, column).cloned());
        (text, cells.collect::<Vec<_>>())
    });
    let mut is_in_hunk = false;
    for (text, cells) in rows {
        if colours == Colours::None {
            let is_plain = |cell: &vt100::Cell| {
                (cell.fgcolor(), cell.bgcolor()) == (Color::Default, Color::Default)
                    && !cell.inverse()
                    && !cell.bold()
            };
            assert!(cells.iter().all(is_plain), "`{text}` has no colours");
            continue;
        }
        let expected = match text.chars().next() {
            Some('@') => Some(Color::Idx(6)),
            Some('-') if is_in_hunk => Some(Color::Idx(1)),
            Some('+') if is_in_hunk => Some(Color::Idx(2)),
            _ => None,
        };
        is_in_hunk |= text.starts_with("@@ ");
        is_in_hunk &= !text.starts_with('(') && !text.starts_with("diff --git ");
        if let Some(expected) = expected {
            assert_eq!(cells[0].fgcolor(), expected, "`{text}` is coloured by its kind");
        }
        // Both colours of a cell are the terminal's own, or one of them is: it can be read on a
        // dark terminal and on a light one.
        assert!(cells.iter().all(|cell| cell.bgcolor() == Color::Default), "`{text}` is legible");
    }
}

#[rstest]
#[case::small(SMALL, Colours::Some, &[])]
#[case::large(LARGE, Colours::Some, &[])]
#[case::small_without_colour(SMALL, Colours::None, &[("NO_COLOR", "1")])]
#[case::small_and_dumb(SMALL, Colours::None, &[("TERM", "dumb")])]
#[case::large_and_dumb(LARGE, Colours::None, &[("TERM", "dumb")])]
fn every_screen_of_a_days_review_is_as_stored(
    #[case] size: Size,
    #[case] colours: Colours,
    #[case] environment: &[(&str, &str)],
) {
    let stage = workspace();
    let mut agent = agent(&stage);
    let mut shell = Shell::new(&stage, size, &[&[EDITOR], environment].concat());
    let mut screens = Recording::new(&stage, colours);

    morning(&mut shell, &mut screens);
    review(&mut shell, &mut screens, &stage);
    evening(&mut shell, &mut screens, &stage);

    assert!(shell.is_sane());
    let heard = normalise(&agent.ok("pending", json!({})), &stage);
    let _ = write!(screens.text, "=== the agent hears\n{heard}\n");
    let (rows, columns) = size;
    insta::assert_snapshot!(format!("{columns}x{rows}"), screens.text);
}

/// What waits.
fn morning(shell: &mut Shell, screens: &mut Recording<'_>) {
    shell.run("greenroom");
    screens.take(shell, "what waits");
    shell.run("greenroom status");
    screens.take(shell, "status");
    shell.clear();
    shell.run("greenroom diff --stat");
    screens.take(shell, "the diffstat");
}

/// Two patches are rejected, one is edited, one becomes stale, and the rest is applied.
fn review(shell: &mut Shell, screens: &mut Recording<'_>, stage: &Fixture) {
    shell.clear();
    shell.ask("greenroom review", &question(1, 15));
    screens.take(shell, "p1 is shown");
    shell.answer("?", &question(1, 15));
    screens.take(shell, "the keys");
    for number in 2..=8 {
        shell.answer("y", &question(number, 15));
        screens.take(shell, &format!("p{number} is shown"));
    }
    shell.answer("r", REASON);
    screens.take(shell, "p8: a reason is asked for");
    shell.answer("titles are not only in ASCII\n", &question(9, 15));
    screens.take(shell, "p9 is shown");
    shell.answer("b", &question(8, 15));
    screens.take(shell, "back at p8");
    shell.answer("r", REASON);
    shell.answer("titles are not only in ASCII: keep to_lowercase\n", &question(9, 15));
    for number in 10..=12 {
        shell.answer("y", &question(number, 15));
        screens.take(shell, &format!("p{number} is shown"));
    }
    shell.answer("e", &question(12, 15));
    screens.take(shell, "p12 is edited and shown again");
    shell.answer("y", &question(13, 15));
    screens.take(shell, "p13 is shown");
    edit_by_hand(stage);
    shell.answer("y", &question(14, 14));
    screens.take(shell, "p14 is shown, and p15 has become stale");
    shell.answer("r", REASON);
    shell.answer("do not delete notes on the other side\n", YES_OR_NO);
    screens.take(shell, "the question about all");
    shell.run("y");
    screens.take(shell, "applied and rejected");
}

/// The stale patch is refreshed and applied, and one path is undone.
fn evening(shell: &mut Shell, screens: &mut Recording<'_>, stage: &Fixture) {
    shell.clear();
    shell.run("greenroom status");
    screens.take(shell, "status with a stale patch");
    shell.clear();
    shell.run("greenroom refresh p15");
    screens.take(shell, "the stale patch is refreshed");
    let id = stage.status()["sessions"][0]["patches"][0]["id"].clone();
    let id = id.as_str().expect("it is pending");
    shell.ask(&format!("greenroom apply {id}"), YES_OR_NO);
    screens.take(shell, "the question about the refreshed one");
    shell.run("y");
    screens.take(shell, "the refreshed one is applied");
    shell.clear();
    shell.ask("greenroom undo a1 src/cache.rs", YES_OR_NO);
    screens.take(shell, "the question about an undo");
    shell.run("y");
    screens.take(shell, "one path is undone");
    shell.clear();
    shell.run("greenroom status");
    screens.take(shell, "status in the evening");
    shell.clear();
    shell.run("greenroom log");
    screens.take(shell, "the log");
}
