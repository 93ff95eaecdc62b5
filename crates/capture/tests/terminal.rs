//! A command in a view that has the terminal: its keys, its settings, and signals from elsewhere.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::error::Error;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, Winsize};
use support::{Fixture, Outcome, code, until};

/// A program with a terminal of its own, whose keys the test presses.
struct Terminal {
    keys: File,
    shown: Receiver<Vec<u8>>,
    text: String,
    program: Child,
}

/// Takes the signals that the tests may have been started to ignore, as by a shell in the background
/// or by `nohup`: a program with a terminal has them.
fn take_signals() {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGHUP] {
        // SAFETY: no handler is set, and the call may be made between fork and exec.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

impl Terminal {
    fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let ours =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
        let end = || -> Result<Stdio, Box<dyn Error>> { Ok(OwnedFd::try_clone(&theirs)?.into()) };
        command.stdin(end()?).stdout(end()?).stderr(end()?);
        // SAFETY: the closure makes system calls only.
        unsafe {
            command.pre_exec(|| {
                take_signals();
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(std::io::stdin())?;
                Ok(())
            });
        }
        let program = command.spawn()?;
        // The descriptors that it was given are closed with it.
        *command = Command::new("true");
        let keys = File::from(ours);
        let mut screen = keys.try_clone()?;
        let (sender, shown) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            // The end is an error once nobody has the terminal.
            while let Ok(bytes @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..bytes].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { keys, shown, text: String::new(), program })
    }

    fn press(&mut self, keys: &[u8]) -> Outcome {
        Ok(self.keys.write_all(keys)?)
    }

    /// Waits until the program has shown a text, and forgets all up to it.
    fn expect(&mut self, text: &str) -> Outcome {
        while !self.text.contains(text) {
            let more = self.shown.recv_timeout(Duration::from_secs(60));
            let more = more.map_err(|_| format!("not `{text}` but `{}`", self.text))?;
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        let end = self.text.find(text).unwrap_or(0) + text.len();
        self.text.drain(..end);
        Ok(())
    }

    fn end(&mut self) -> Result<Option<i32>, Box<dyn Error>> {
        Ok(self.program.wait()?.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn the_interrupt_key_reaches_the_command_alone() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let script = "trap 'echo caught; exit 7' INT QUIT; echo ready; while :; do sleep 0.05; done";
    for key in [b"\x03", b"\x1c"] {
        let mut terminal = Terminal::start(&mut fixture.helper(&["bash", "-c", script]))?;
        terminal.expect("ready")?;
        terminal.press(key)?;
        terminal.expect("caught")?;
        assert_eq!(terminal.end()?, Some(7));
    }
    Ok(())
}

#[test]
fn a_command_that_the_interrupt_key_kills_is_reported_as_such() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut terminal = Terminal::start(&mut fixture.helper(&["sh", "-c", "echo ready; exec cat"]))?;
    terminal.expect("ready")?;
    terminal.press(b"\x03")?;
    assert_eq!(terminal.end()?, Some(130));
    Ok(())
}

#[test]
fn the_stop_key_stops_all_and_the_shell_continues_it() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let run = fixture.helper(&["sh", "-c", "echo ready; read line; echo got $line; exit 9"]);
    let arguments: Vec<_> = run.get_args().map(|argument| argument.to_owned()).collect();
    let mut shell = Command::new("bash");
    shell.args([
        "-c",
        "set -m; \"$0\" \"$@\"; echo stopped $?; fg; echo ended $?",
        support::HELPER,
    ]);
    shell.args(arguments).current_dir(&fixture.workspace);
    let mut terminal = Terminal::start(&mut shell)?;
    terminal.expect("ready")?;
    terminal.press(b"\x1a")?;
    terminal.expect("stopped 148")?;
    terminal.press(b"on\n")?;
    terminal.expect("got on")?;
    terminal.expect("ended 9")?;
    Ok(())
}

#[test]
fn a_resized_terminal_is_announced() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let script =
        "trap 'echo resized; stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done";
    let mut terminal = Terminal::start(&mut fixture.helper(&["bash", "-c", script]))?;
    terminal.expect("ready")?;
    let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal.keys, size)?;
    terminal.expect("resized")?;
    terminal.expect("33 77")?;
    assert_eq!(terminal.end()?, Some(0));
    Ok(())
}

#[test]
fn a_terminal_that_was_left_raw_is_restored() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    // The shell keeps the terminal open, and says how it is set.
    let run =
        fixture.helper(&["sh", "-c", "stty raw -echo; stty -a | grep -o '.icanon'; kill -9 $$"]);
    let arguments: Vec<_> = run.get_args().map(|argument| argument.to_owned()).collect();
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$0\" \"$@\"; echo ended $?; read line", support::HELPER]);
    shell.args(arguments).current_dir(&fixture.workspace);
    let mut terminal = Terminal::start(&mut shell)?;
    terminal.expect("-icanon")?;
    terminal.expect("ended 137")?;
    let set = rustix::termios::tcgetattr(&terminal.keys)?;
    assert!(set.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO), "{set:?}");
    terminal.press(b"\n")?;
    assert_eq!(terminal.end()?, Some(0));
    Ok(())
}

#[test]
fn signals_from_elsewhere_are_passed_on() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let script = format!(
            "trap 'echo caught > caught; exit 3' {name}; echo x > ready; while :; do sleep 0.01; done"
        );
        let mut helper = fixture.helper(&["sh", "-c", &script]);
        // SAFETY: the closure makes system calls only.
        unsafe {
            helper.pre_exec(|| {
                take_signals();
                Ok(())
            });
        }
        let helper = helper.stderr(Stdio::piped()).spawn()?;
        until("the command runs", || fixture.read_upper("ready") == "x\n");
        let id = Pid::from_raw(i32::try_from(helper.id())?).ok_or("it has an id")?;
        kill_process(id, signal)?;
        let output = helper.wait_with_output()?;
        assert_eq!(code(&output), Some(3), "{name}");
        assert_eq!(fixture.read_upper("caught"), "caught\n");
        std::fs::remove_file(fixture.state.join("upper/ready"))?;
    }
    Ok(())
}

/// `nohup` and a shell's `&` ignore signals for all that they start.
#[test]
fn signals_that_were_ignored_stay_ignored() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut command = fixture.helper(&["grep", "SigIgn", "/proc/self/status"]);
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_owned()).collect();
    let plain = command.output()?;
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\"", support::HELPER]).args(arguments);
    let output = ignoring.current_dir(&fixture.workspace).output()?;
    let mask = |status: &[u8]| -> Result<u64, Box<dyn Error>> {
        let status = str::from_utf8(status)?;
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Ok(u64::from_str_radix(line.unwrap_or_default().trim(), 16)? & 0b11)
    };
    assert_eq!(mask(&plain.stdout)?, mask(&std::fs::read("/proc/self/status")?)?);
    assert_eq!(mask(&output.stdout)?, 0b11);
    Ok(())
}
