//! The reviewer's terminal: a shell, and the screen as a person sees it.

use std::num::NonZeroU16;
use std::process::Command;
use std::time::{Duration, Instant};

use end_to_end::{Fixture, greenroom_binary};
use vt100::{Parser, Screen};

use crate::terminal::{Terminal, WAIT};

/// What the shell writes when it waits for a command.
const PROMPT: &str = "$ ";

/// Rows and columns.
pub(super) type Size = (u16, u16);

/// A shell in the workspace, on a terminal that interprets what is written to it.
pub(super) struct Shell {
    terminal: Terminal,
    screen: Parser,
    /// What was written since something was last typed.
    since: String,
    /// What was written and not taken yet.
    written: Vec<u8>,
}

impl Shell {
    /// A shell with these variables, at its first prompt.
    pub(super) fn new(stage: &Fixture, size: Size, environment: &[(&str, &str)]) -> Self {
        let template = stage.command([""; 0]);
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "--noediting", "-i"]);
        command.current_dir(stage.workspace()).env_clear();
        command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let programs = greenroom_binary().parent().expect("it lies in a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path).expect("plain names"));
        command.env("PS1", PROMPT).env("TERM", "xterm").envs(environment.iter().copied());
        let mut shell = Self {
            terminal: Terminal::of_shell(command, size),
            screen: Parser::new(cells(size.0), cells(size.1), 0),
            since: String::new(),
            written: Vec::new(),
        };
        shell.until(PROMPT);
        shell
    }

    /// Runs a command to its end.
    pub(super) fn run(&mut self, command: &str) {
        self.ask(command, &format!("\n{PROMPT}"));
    }

    /// Starts a command, which writes this as the last before it waits.
    pub(super) fn ask(&mut self, command: &str, question: &str) {
        self.answer(&format!("{command}\n"), question);
    }

    /// Types this, after which the last that is written is that.
    pub(super) fn answer(&mut self, typed: &str, question: &str) {
        self.since.clear();
        self.terminal.send(typed);
        self.until(question);
    }

    /// Waits until the last that was written is this.
    #[track_caller]
    pub(super) fn until(&mut self, text: &str) {
        self.read_while(text, |since| !since.ends_with(text));
    }

    /// Waits until this was written.
    #[track_caller]
    pub(super) fn until_seen(&mut self, text: &str) {
        self.read_while(text, |since| !since.contains(text));
    }

    #[track_caller]
    fn read_while(&mut self, text: &str, is_missing: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while is_missing(&self.since) {
            let bytes = self.terminal.read_bytes(Duration::from_secs(1));
            self.take(bytes);
            let seen = self.screen.screen().contents();
            assert!(begun.elapsed() < WAIT, "`{text}` has to come, not:\n{seen}");
        }
    }

    fn take(&mut self, bytes: Vec<u8>) {
        self.screen.process(&bytes);
        self.since.push_str(&String::from_utf8_lossy(&bytes));
        self.written.extend(bytes);
    }

    /// What was written since the last call.
    pub(super) fn take_written(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.written)
    }

    /// Empties the screen at a prompt, as a key of most shells does, also on a terminal that cannot.
    pub(super) fn clear(&mut self) {
        self.screen.process(format!("\x1b[2J\x1b[H{PROMPT}").as_bytes());
    }

    /// Types this, and waits for nothing.
    pub(super) fn send(&mut self, typed: &str) {
        self.since.clear();
        self.terminal.send(typed);
    }

    /// Changes the size of the terminal.
    pub(super) fn resize(&mut self, size: Size) {
        self.screen.screen_mut().set_size(cells(size.0), cells(size.1));
        self.terminal.resize(size);
    }

    /// What is on the screen.
    pub(super) fn screen(&self) -> &Screen {
        self.screen.screen()
    }

    /// The rows of the screen, without the empty ones at its end, and with a mark for the cursor.
    pub(super) fn text(&self) -> String {
        let screen = self.screen();
        let (row, column) = screen.cursor_position();
        let (_, columns) = screen.size();
        let mut rows: Vec<String> = screen.rows(0, columns.get()).collect();
        let cursor = &mut rows[usize::from(row)];
        let length = cursor.chars().count();
        let behind = " ".repeat(usize::from(column).saturating_sub(length));
        let at = cursor.char_indices().nth(usize::from(column)).map_or(cursor.len(), |(at, _)| at);
        match behind.is_empty() && at < cursor.len() {
            true => cursor.insert(at, '█'),
            false => cursor.push_str(&format!("{behind}█")),
        }
        let text: String = rows.iter().map(|row| row.trim_end().to_owned() + "\n").collect();
        text.trim_end().to_owned() + "\n"
    }

    /// Whether the shell finds the terminal as it needs it: lines, an echo, and a cursor.
    pub(super) fn is_sane(&self) -> bool {
        let screen = self.screen();
        self.terminal.is_as_before() && !screen.hide_cursor() && !screen.alternate_screen()
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has a size")
}
