//! Commands that another process keeps waiting say so, and for whom.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use end_to_end::{Fixture, spawn};

fn begin(stage: &Fixture, arguments: &[&str]) -> Child {
    let mut command = stage.command(arguments);
    spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

#[test]
fn a_command_says_within_a_second_for_whom_it_waits_unless_it_is_to_be_quiet() {
    let stage = Fixture::new();
    stage.propose("f", "new\n");
    stage.run(["apply", "--yes"]).expect(0);
    stage.propose("f", "newer\n");
    let lock = File::options().write(true).open(stage.state_dir().join("lock")).expect("there");
    let apply = ["apply", "--yes"].as_slice();
    for arguments in [apply, &["undo", "--yes"], &["recover"], &["gc"]] {
        lock.lock().expect("nobody has it");
        // It waits for longer than the one that says so.
        let quiet = begin(&stage, &[arguments, &["-q"]].concat());
        let mut telling = begin(&stage, arguments);
        let mut errors = BufReader::new(telling.stderr.take().expect("piped"));
        let mut said = String::new();
        errors.read_line(&mut said).expect("it says something");
        assert!(said.starts_with("waiting for "), "{arguments:?}: {said}");
        assert!(said.ends_with(", which is changing the workspace\n"), "{said}");
        if cfg!(target_os = "linux") {
            let process = format!("waiting for process {} (`", std::process::id());
            assert!(said.starts_with(&process), "{said}");
        }
        lock.unlock().expect("ours");
        let quiet = quiet.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&quiet.stderr).into_owned();
        assert!(!error.contains("waiting"), "{arguments:?}: {error}");
        let mut rest = String::new();
        errors.read_to_string(&mut rest).expect("it ends");
        assert!(!rest.contains("waiting"), "it is reported once: {rest}");
        telling.wait().expect("it goes on");
    }
}
