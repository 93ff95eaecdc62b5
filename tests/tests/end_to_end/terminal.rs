//! On a terminal the reviewer is shown the diff and asked.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::Duration;

use end_to_end::{Fixture, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Far longer than anything takes, so that a machine under load fails no test.
pub(crate) const WAIT: Duration = Duration::from_secs(120);

/// The command on a pseudo-terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    controller: File,
    seen: String,
    /// How much of that was returned by [`read_until`](Self::read_until).
    read: usize,
}

impl Terminal {
    pub(crate) fn run(stage: &Fixture, arguments: &[&str]) -> Self {
        Self::run_with_typed_ahead(stage, arguments, "")
    }

    /// The same, with something typed before the command has begun.
    pub(crate) fn run_with_typed_ahead(stage: &Fixture, arguments: &[&str], typed: &str) -> Self {
        Self::start(stage.command(arguments), (24, 80), typed)
    }

    /// A command on a terminal of so many rows and columns.
    pub(crate) fn of_size(command: Command, size: (u16, u16)) -> Self {
        Self::start(command, size, "")
    }

    /// A shell that has the terminal to itself, as a login gives it one: its jobs can be suspended.
    pub(crate) fn of_shell(mut command: Command, size: (u16, u16)) -> Self {
        // SAFETY: the closure makes system calls only.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(std::io::stdin())?;
                Ok(())
            });
        }
        Self::on_terminal(command, size, "")
    }

    fn start(mut command: Command, size: (u16, u16), typed: &str) -> Self {
        // A key that suspends stops this group, which is not that of the tests.
        command.process_group(0);
        Self::on_terminal(command, size, typed)
    }

    fn on_terminal(mut command: Command, (rows, columns): (u16, u16), typed: &str) -> Self {
        let mut controller: File =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .expect("a terminal")
                .into();
        grantpt(&controller).expect("it is ours");
        unlockpt(&controller).expect("it is ours");
        let name = ptsname(&controller, Vec::new()).expect("it has a name");
        let open = || -> OwnedFd {
            rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
                .expect("ours")
        };
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size).expect("it is ours");
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm");
        }
        command.stdin(open()).stdout(open()).stderr(open());
        with_usual_signals(&mut command);
        controller.write_all(typed.as_bytes()).expect("the terminal takes it");
        let child = spawn(&mut command);
        Self { child, controller, seen: String::new(), read: 0 }
    }

    /// The command's process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether the terminal gives lines and shows what is typed, as a shell needs it.
    pub(crate) fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&self.controller).expect("a terminal").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Changes the size of the terminal.
    pub(crate) fn resize(&mut self, (rows, columns): (u16, u16)) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.controller, size).expect("it is ours");
    }

    /// What the terminal's programs write next; nothing within this time, or at their end.
    pub(crate) fn read_bytes(&mut self, within: Duration) -> Vec<u8> {
        let mut ready = [PollFd::new(&self.controller, PollFlags::IN)];
        let within = Timespec::try_from(within).expect("a short time");
        if poll(&mut ready, Some(&within)).expect("a terminal") == 0 {
            return Vec::new();
        }
        let mut buffer = [0; 4096];
        let count = self.controller.read(&mut buffer).unwrap_or_default();
        buffer[..count].to_vec()
    }

    /// Takes what comes next, which has to be something.
    #[track_caller]
    fn take_more(&mut self, awaited: &str) {
        let more = self.read_bytes(WAIT);
        assert!(!more.is_empty(), "`{awaited}` comes:\n{}", self.seen);
        self.seen.push_str(&String::from_utf8_lossy(&more));
    }

    /// Reads until this has come; what came since the last call.
    #[track_caller]
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen[self.read..].find(text) {
                let end = self.read + at + text.len();
                let new = self.seen[self.read..end].to_owned();
                self.read = end;
                return new;
            }
            self.take_more(text);
        }
    }

    /// Types this.
    pub(crate) fn send(&mut self, typed: &str) {
        self.controller.write_all(typed.as_bytes()).expect("the command listens");
    }

    /// Types this, and reads until that has come.
    pub(crate) fn type_until(&mut self, typed: &str, text: &str) -> String {
        self.send(typed);
        self.read_until(text)
    }

    /// Reads until the command has asked.
    pub(crate) fn until_asked(&mut self) -> &str {
        self.until("[y/N] ")
    }

    /// Reads until this is on the terminal.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) -> &str {
        while !self.seen.contains(text) {
            self.take_more(text);
        }
        &self.seen
    }

    /// Everything that the command writes, without a carriage return in it, and its exit code.
    pub(crate) fn until_its_end(self) -> (Option<i32>, String) {
        let seen = self.seen.clone();
        let (code, rest) = self.answer_and_read("");
        (code, (seen + &rest).replace('\r', ""))
    }

    /// Answers; the exit code.
    pub(crate) fn answer(self, answer: &str) -> Option<i32> {
        self.answer_and_read(answer).0
    }

    /// The same, with what the command wrote since.
    pub(crate) fn answer_and_read(mut self, answer: &str) -> (Option<i32>, String) {
        self.controller.write_all(answer.as_bytes()).expect("the command listens");
        let mut rest = Vec::new();
        // A terminal that nobody has open any more reads as an error.
        let _ = self.controller.read_to_end(&mut rest);
        let code = self.child.wait().expect("the command ends").code();
        (code, String::from_utf8_lossy(&rest).into_owned())
    }
}

/// Has the command receive the signals of a terminal, although the tests may have been started to ignore them,
/// as by `nohup` or in the background.
pub(crate) fn with_usual_signals(command: &mut Command) {
    // SAFETY: the closure makes system calls only.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
}

fn stage() -> Fixture {
    let stage = Fixture::new();
    stage.write("a.txt", "one\n");
    stage.propose("a.txt", "two\n");
    stage
}

#[test]
fn yes_applies_what_was_shown() {
    let stage = stage();
    let signature = stage.signature();
    let mut terminal = Terminal::run(&stage, &["apply"]);
    let seen = terminal.until_asked();
    assert!(seen.contains("\x1b[31m-one\x1b[0m") && seen.contains("\x1b[32m+two\x1b[0m"), "{seen}");
    assert!(seen.contains(&signature), "{seen}");
    assert!(seen.contains("Apply 1 patch? [y/N] "), "{seen}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!(stage.read("a.txt"), b"two\n");
}

#[test]
fn anything_else_applies_nothing() {
    for answer in ["n\n", "\n", "yep\n"] {
        let stage = stage();
        let mut terminal = Terminal::run(&stage, &["apply"]);
        terminal.until_asked();
        assert_eq!(terminal.answer(answer), Some(4), "{answer:?}");
        assert_eq!(stage.read("a.txt"), b"one\n");
        assert_eq!(stage.pending(), 1, "it stays pending");
    }
}

#[test]
fn a_yes_is_bound_to_what_was_shown() {
    let stage = stage();
    let mut terminal = Terminal::run(&stage, &["apply"]);
    terminal.until_asked();
    stage.propose("a.txt", "evil\n");
    assert_eq!(terminal.answer("y\n"), Some(4), "the agent went on while the reviewer read");
    assert_eq!(stage.read("a.txt"), b"one\n");
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    for (arguments, typed) in [
        (&["apply"][..], "y\n"),
        (&["apply", "p1"], "y\ny\ny\n"),
        (&["discard"], "yes\n"),
        (&["init", "codex"], "y\n"),
    ] {
        let stage = stage();
        let mut terminal = Terminal::run_with_typed_ahead(&stage, arguments, typed);
        terminal.until_asked();
        assert_eq!(terminal.answer("n\n"), Some(4), "{arguments:?}");
        assert_eq!((stage.read("a.txt"), stage.pending()), (b"one\n".into(), 1));
        assert!(!stage.path(".codex").exists());
    }
}

#[test]
fn a_yes_applies_what_was_shown_and_what_came_meanwhile_stays_pending() {
    let stage = stage();
    let mut terminal = Terminal::run(&stage, &["apply"]);
    terminal.until_asked();
    stage.propose("late.txt", "late\n");
    stage.run_with(["propose", "other.txt", "--session", "other"], b"late\n").expect(0);
    let (code, said) = terminal.answer_and_read("y\n");
    assert_eq!(code, Some(0));
    assert!(said.contains("p2, p3 have arrived meanwhile and stay pending"), "{said}");
    assert_eq!((stage.read("a.txt"), stage.pending()), (b"two\n".into(), 2));
    let log = String::from_utf8(stage.run(["log"]).expect(0).stdout).expect("text");
    assert!(log.contains("apply_started a1 p1 approved by a yes on a terminal\n"), "{log}");
    let shown = String::from_utf8(stage.run(["show", "p1"]).expect(0).stdout).expect("text");
    assert!(shown.contains("a1 applied, approved by a yes on a terminal\n"), "{shown}");
}

#[test]
fn a_set_of_which_parts_are_missing_is_not_asked_about() {
    let stage = stage();
    stage.propose("b.txt", "b\n");
    stage.write("a.txt", "by hand\n");
    stage.run(["status"]).expect(0);
    let terminal = Terminal::run(&stage, &["apply"]);
    assert_eq!(terminal.answer("y\n"), Some(3));
    let mut terminal = Terminal::run(&stage, &["apply", "--rest"]);
    let seen = terminal.until_asked().to_owned();
    assert!(seen.contains("p1 `a.txt` is stale"), "it says what is missing: {seen}");
    assert!(seen.contains("Apply 1 patch and leave out 1? [y/N] "), "{seen}");
    assert!(seen.contains(&stage.signature()) && !seen.contains("-one"), "the rest alone: {seen}");
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!(stage.read("b.txt"), b"b\n");
}

#[test]
fn an_undo_shows_its_files_and_asks_and_so_does_a_redo() {
    let stage = stage();
    stage.run(["apply", "--yes"]).expect(0);
    for (answer, code, content) in [("n\n", 4, "two\n"), ("y\n", 0, "one\n")] {
        let mut terminal = Terminal::run(&stage, &["undo"]);
        let seen = terminal.until_asked();
        assert!(seen.contains("p1 modify a.txt (+1 -1)"), "{seen}");
        assert!(seen.contains("Undo 1 file (+1 -1) of a1? [y/N] "), "{seen}");
        assert_eq!(terminal.answer(answer), Some(code));
        assert_eq!(stage.read("a.txt"), content.as_bytes());
    }
    for (answer, code, content) in [("n\n", 4, "one\n"), ("y\n", 0, "two\n")] {
        let mut terminal = Terminal::run(&stage, &["redo"]);
        let seen = terminal.until_asked();
        assert!(
            seen.contains("+two") && seen.contains("Apply 1 file (+1 -1) of a1 again? [y/N] "),
            "{seen}"
        );
        assert_eq!(terminal.answer(answer), Some(code));
        assert_eq!(stage.read("a.txt"), content.as_bytes());
    }
    let terminal = Terminal::run(&stage, &["undo", "--yes"]);
    assert_eq!(terminal.answer(""), Some(0), "nothing is asked");
}

#[test]
fn discarding_everything_is_asked_for() {
    let stage = stage();
    let mut terminal = Terminal::run(&stage, &["discard"]);
    assert!(terminal.until_asked().contains("Discard 1 patch? [y/N] "));
    assert_eq!(terminal.answer("y\n"), Some(0));
    assert_eq!(stage.patch("p1")["reason"], "rejected");
}

#[test]
fn settings_are_changed_on_a_yes_alone() {
    for (answer, code) in [("n\n", 4), ("y\n", 0)] {
        let stage = Fixture::new();
        let mut terminal = Terminal::run(&stage, &["init", "codex"]);
        let seen = terminal.until_asked();
        assert!(seen.contains("sandbox_mode") && seen.contains("Change 2 files? [y/N] "), "{seen}");
        assert_eq!(terminal.answer(answer), Some(code));
        assert_eq!(stage.path(".codex/config.toml").exists(), code == 0);
        assert_eq!(stage.pending(), 0, "a no leaves nothing behind");
    }
}

#[test]
fn what_an_agent_writes_cannot_steer_the_terminal() {
    let stage = stage();
    stage.propose("a.txt", "\x1b[2J\x1b[8mhidden\u{202e}\n");
    let mut terminal = Terminal::run(&stage, &["apply", "--color", "never"]);
    let seen = terminal.until_asked().to_owned();
    assert!(seen.contains("+^[[2J^[[8mhidden<U+202E>"), "{seen}");
    assert!(!seen.contains('\x1b'), "{seen}");
    terminal.answer("n\n");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("it is text")
}

/// Tags, a variation selector, a soft hyphen, a filler, a blank, and a mark of direction.
const INVISIBLE: &str = "\u{e0063}\u{fe01}\u{ad}\u{3164}\u{2800}\u{61c}";

#[test]
fn what_an_agent_writes_cannot_hide_from_the_reviewer() {
    let stage = stage();
    let label = format!("lab{INVISIBLE}el");
    let name = format!("na{INVISIBLE}me");
    let content = format!("curl{INVISIBLE}\n");
    let arguments = ["propose", &name, "--session", &label];
    stage.run_with(arguments, content.as_bytes()).expect(0);
    let mut terminal = Terminal::run(&stage, &["apply"]);
    let seen = terminal.until_asked().to_owned();
    terminal.answer("n\n");
    let spelled = "<U+E0063><U+FE01><U+00AD><U+3164><U+2800><U+061C>";
    assert!(seen.contains(&format!("+curl{spelled}")), "{seen}");
    for command in [vec!["status"], vec!["log"], vec!["session", "list"], vec!["show", "p1"]] {
        // Through a pager as well.
        let shown = text(stage.run(&command).expect(0).stdout);
        let shown = shown.split("diff --git").next().expect("the part before the diff");
        let left: Vec<char> = shown.chars().filter(|c| INVISIBLE.contains(*c)).collect();
        assert!(left.is_empty(), "{command:?} leaves {left:?}: {shown}");
    }
    let left: Vec<char> = seen.chars().filter(|c| INVISIBLE.contains(*c)).collect();
    assert!(left.is_empty(), "the question leaves {left:?}: {seen}");
    let status = text(stage.run(["status"]).expect(0).stdout);
    assert!(status.contains(&format!("lab{spelled}el")), "{status}");
    assert!(status.contains("na\\xf3\\xa0\\x81\\xa3"), "{status}");
}
