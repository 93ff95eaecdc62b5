//! `watch` for a person: on a terminal, with the bell, and with a command that is run.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use end_to_end::{Fixture, spawn};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::terminal::Terminal;

/// A label as an agent's harness makes it.
const LABEL: &str = "agent:9f3c1e7a-6c3c-4b6f-9c55-1b1a7a4e0d11";

fn propose(stage: &Fixture, name: &str, content: &str) {
    stage.run_with(["propose", name, "--session", LABEL], content.as_bytes()).expect(0);
}

fn stop(terminal: Terminal) -> String {
    kill_process(terminal.pid(), Signal::INT).expect("it runs");
    terminal.until_its_end().1
}

#[test]
fn a_person_sees_what_waits_and_then_what_happens() {
    let stage = Fixture::new();
    stage.write("a.txt", "one\ntwo\n");
    propose(&stage, "a.txt", "one\n2\n3\n");
    let mut terminal = Terminal::run(&stage, &["watch"]);
    let begin = terminal.read_until("Ctrl-C ends it");
    let waits = "1 patch (\x1b[32m+2\x1b[0m \x1b[31m-1\x1b[0m) waits: `greenroom review` shows it";
    assert!(begin.contains(waits), "{begin}");
    propose(&stage, "src/new.rs", "x\n");
    let line = terminal.read_until("p2");
    assert!(line.contains("\x1b[36magent:9f3c1e7a\x1b[0m"), "the agent, short: {line}");
    assert!(!line.contains("6c3c-4b6f"), "{line}");
    assert!(
        line.contains("\x1b[32mcreate\x1b[0m src/new.rs (\x1b[32m+1\x1b[0m \x1b[31m-0\x1b[0m)"),
        "{line}"
    );
    let time = line.split("\x1b[2m").nth(1).expect("it begins with a time");
    let is_time = |text: &str| text.len() == 8 && text.matches(':').count() == 2;
    assert!(is_time(&time[..8]), "of the day, not of the log: {line}");
    stage.run(["apply", "p2", "--yes"]).expect(0);
    terminal.read_until("\x1b[32mapplied\x1b[0m 1 patch as a1");
    stage.run(["discard", "p1", "--reason", "use tabs"]).expect(0);
    terminal.read_until("\x1b[31mrejected\x1b[0m a.txt: use tabs");
    let all = stop(terminal);
    assert!(!all.contains("patch_proposed") && !all.contains("patch_applied"), "{all}");
    assert!(!all.contains('\x07'), "no bell that was not asked for");
}

#[test]
fn without_colours_it_reads_the_same_and_a_pipe_has_the_lines_of_the_log() {
    let stage = Fixture::new();
    propose(&stage, "a.txt", "x\n");
    let terminal = Terminal::run(&stage, &["watch", "--since", "0", "--color", "never"]);
    let mut terminal = terminal;
    terminal.read_until("create a.txt (+1 -0)  p1");
    assert!(!stop(terminal).contains('\x1b'));
    let mut command = stage.command(["watch", "--since", "0"]);
    let mut child = spawn(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let log = stage.run(["log"]).expect(0).stdout;
    for expected in String::from_utf8(log).expect("text").lines() {
        assert_eq!(lines.next().expect("a line").expect("text"), expected);
    }
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

#[test]
fn the_bell_rings_once_for_what_comes_together() {
    let stage = Fixture::new();
    propose(&stage, "before.txt", "x\n");
    let mut terminal = Terminal::run(&stage, &["watch", "--bell"]);
    terminal.read_until("Ctrl-C ends it");
    for number in 0..4 {
        propose(&stage, &format!("f{number}"), "x\n");
    }
    terminal.read_until("f3");
    let seen = stop(terminal);
    assert_eq!(seen.matches('\x07').count(), 1, "{seen:?}");
}

/// A `watch` that runs a command, which appends what it reads to a file.
struct Notifying {
    child: Child,
    said: Receiver<String>,
}

impl Notifying {
    fn start(stage: &Fixture, command: &str, more: &[&str]) -> Self {
        // It says nothing but what fails.
        let arguments = ["watch", "-q", "--json", "--since", "0", "--exec", command].into_iter();
        let mut watch = stage.command(arguments.chain(more.iter().copied()));
        watch.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(&mut watch);
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, said) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Self { child, said }
    }

    /// The next line on standard error that the command or `watch` has written.
    fn next(&self) -> String {
        self.said.recv_timeout(Duration::from_secs(60)).expect("it says something")
    }
}

impl Drop for Notifying {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

#[test]
fn a_command_is_given_what_came_together_as_data() {
    let stage = Fixture::new();
    let name = "x$(touch pwned)`touch pwned`.md";
    let watch = Notifying::start(
        &stage,
        "cat; echo begun >&2; tee -a ../got >/dev/null",
        &["--after", "1"],
    );
    propose(&stage, "first", "x\n");
    let object: Value = serde_json::from_str(&watch.next()).expect("one line of JSON");
    assert_eq!(watch.next(), "begun");
    assert_eq!(object["schema"], 1);
    assert_eq!(object["text"], "1 patch (+1 -0) waits");
    assert_eq!(object["summary"]["pending"], 1);
    for number in 0..3 {
        propose(&stage, &format!("f{number}"), "x\n");
    }
    propose(&stage, name, "x\n");
    let mut names = Vec::new();
    while names.len() < 4 {
        let object: Value = serde_json::from_str(&watch.next()).expect("one line of JSON");
        assert_eq!(watch.next(), "begun");
        let events = object["events"].as_array().expect("a list").clone();
        assert!(events.iter().all(|event| event["event"] == "patch_proposed"), "{object}");
        names.extend(events.iter().map(|event| event["path"].as_str().expect("text").to_owned()));
    }
    assert_eq!(names, ["f0", "f1", "f2", name]);
    assert!(!stage.path("pwned").exists() && !stage.beside("pwned").exists());
    assert!(!fs::exists("pwned").expect("here"), "nothing of it was run");
}

#[test]
fn a_command_that_fails_is_named_and_watching_goes_on() {
    let stage = Fixture::new();
    let watch = Notifying::start(&stage, "exit 7", &["--after", "0"]);
    for name in ["first", "second"] {
        propose(&stage, name, "x\n");
        assert_eq!(watch.next(), "`exit 7`: it has ended with exit status: 7");
    }
}

#[test]
fn commands_are_never_run_beside_each_other() {
    let stage = Fixture::new();
    let script =
        "if mkdir ../lock; then sleep 0.3; rmdir ../lock; echo alone >&2; else echo beside >&2; fi";
    let mut command = format!("cd '{}'; {script}", stage.workspace().display());
    command.insert_str(0, "cat >/dev/null; ");
    let watch = Notifying::start(&stage, &command, &["--after", "0", "--on", "all"]);
    for number in 0..6 {
        propose(&stage, &format!("f{number}"), "x\n");
    }
    assert_eq!(watch.next(), "alone");
    propose(&stage, "last", "x\n");
    assert_eq!(watch.next(), "alone");
}

#[test]
fn what_only_a_command_needs_is_refused_without_one() {
    let stage = Fixture::new();
    for arguments in [
        &["watch", "--after", "1"][..],
        &["watch", "--on", "all"],
        &["watch", "--exec", "x", "--after", "-1"],
    ] {
        stage.run(arguments).expect(2);
    }
}
