//! What the commands of a session may write, what is not proposed included.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use end_to_end::{Fixture, Ran, greenroom_binary, output, spawn};
use rstest::rstest;

use crate::running::{Agent, pending};

fn run(fixture: &Fixture, script: &str) -> Ran {
    fixture.run(["run", "--session", "agent", "--", "sh", "-c", script])
}

/// Goes on until the command is stopped.
const FOR_EVER: &str = "mkfifo never; read x < never";

#[test]
fn a_command_that_writes_too_much_is_stopped_and_what_it_wrote_is_kept() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    fixture.write(".gitignore", "out\n");
    fixture.configure("[limits]\nlayer_bytes_max = 10000000\n");
    let script = format!(
        "mkdir out; head -c 9000000 /dev/zero > out/a; echo kept > f; read x
        head -c 3000000 /dev/zero > out/b; {FOR_EVER}"
    );
    let mut command = fixture.command(["run", "--session", "agent", "--", "sh", "-c", &script]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut run = spawn(&mut command);
    let mut errors = BufReader::new(run.stderr.take().expect("it is piped"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("it lives");
    assert!(line.contains("have written 9.0 MB: at 10.0 MB, `limits.layer_bytes_max`"), "{line}");
    run.stdin.take().expect("it is piped").write_all(b"\n").expect("it waits");
    let rest: Vec<String> = errors.lines().map(|line| line.expect("text")).collect();
    assert_eq!(run.wait().expect("it ends").code(), Some(143), "{rest:?}");
    let stopped = rest.iter().filter(|line| line.starts_with("stopped the command: ")).count();
    assert_eq!(stopped, 1, "{rest:?}");
    assert_eq!(pending(&fixture.status()), ["create f"]);
    // The session starts no other command, and says how much it holds.
    let refused = super::layer_limit::run(&fixture, "true").expect(125);
    assert!(refused.stderr.contains("greenroom session close s2"), "{}", refused.stderr);
    let layers = fixture.status()["layers"].clone();
    assert_eq!((&layers[0]["bytes"], &layers[0]["session"]), (&12_000_005.into(), &"s2".into()));
    for arguments in [["status"].as_slice(), &["gc"], &["doctor"]] {
        let ran = fixture.run(arguments).expect(0);
        let text = String::from_utf8_lossy(&ran.stdout) + &*ran.stderr;
        assert!(text.contains("12.0 MB"), "{text}");
    }
    // With a higher limit it goes on with what was written.
    fixture.configure("[limits]\nlayer_bytes_max = 20000000\n");
    let ran = super::layer_limit::run(&fixture, "cat f; wc -c < out/b").expect(0);
    assert_eq!(ran.stdout, b"kept\n3000000\n");
    let closed = fixture.run(["session", "close", "agent", "--yes"]).expect(0);
    assert!(closed.stderr.contains("removed what its commands wrote: 12.0 MB"), "{closed:?}");
    assert!(!fixture.state_dir().join("captures/s2").exists());
}

#[rstest]
#[case::git("head -c 2000000 /dev/zero > .git/large", true)]
#[case::proposed("head -c 2000000 /dev/zero > large", true)]
#[case::many("mkdir out; for n in 1 2 3 4 5; do head -c 300000 /dev/zero > out/$n; done", true)]
#[case::with_holes("mkdir out; truncate -s 1G out/holes", false)]
#[case::removed("head -c 2000000 /dev/zero > large; rm large", false)]
fn all_that_takes_space_counts(#[case] script: &str, #[case] is_too_much: bool) {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    fixture.write(".gitignore", "out\n");
    run(&fixture, script).expect(0);
    fixture.configure("[limits]\nlayer_bytes_max = 1000000\n");
    run(&fixture, "true").expect(if is_too_much { 125 } else { 0 });
}

#[test]
fn a_session_that_is_closed_while_its_command_runs_is_given_back_at_the_end() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    let mut agent = Agent::start(&fixture, "echo x > f; echo reached; read x");
    agent.reached();
    let closed = fixture.run(["session", "close", "agent", "--yes"]).expect(0);
    assert!(closed.stderr.contains("when the last of them ends"), "{}", closed.stderr);
    agent.go_on();
    agent.end().expect(0);
    fixture.run(["gc"]).expect(0);
    assert!(!fixture.state_dir().join("captures/s2").exists());
}

#[test]
fn little_space_is_reported_while_the_command_runs() {
    let Some(fixture) = Fixture::with_view("auto") else { return };
    if fs::metadata(fixture.workspace()).is_ok_and(|found| found.uid() != 0) {
        println!("skipped: only root can mount");
        return;
    }
    let script = "mkdir ../small; mount -t tmpfs -o size=40m,mode=0700 none ../small
        mkfifo ../errors ../go; export GREENROOM_STATE_DIR=\"$PWD/../small\"
        \"$GR\" run --session agent -- sh -c 'head -c 39m /dev/zero > f; read x < ../go' 2> ../errors &
        grep -m 1 'are free in' ../errors; echo > ../go; wait $!; echo $?";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    command.env("GR", greenroom_binary()).current_dir(fixture.workspace());
    command.env("HOME", fixture.beside("home")).env("XDG_CONFIG_HOME", fixture.beside("config"));
    let ran = Ran::from(output(&mut command));
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(out.contains("where the session keeps what its commands write"), "{out}{}", ran.stderr);
}
