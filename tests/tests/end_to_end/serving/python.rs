//! The Python package: its tests, its example, and what the documents show of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use end_to_end::{Fixture, greenroom_binary, output};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the repository")
}

/// Python with the package, the command of this build, and nothing of this machine's user; nothing,
/// visibly, where there is no Python.
fn python(stage: &Fixture) -> Option<Command> {
    let is_new_enough = "import sys; sys.exit(sys.version_info < (3, 9))";
    let is_there = Command::new("python3").args(["-c", is_new_enough]).output();
    if !is_there.is_ok_and(|ran| ran.status.success()) {
        println!("skipped: there is no python3 of version 3.9 or newer");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .current_dir(stage.workspace())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("XDG_CONFIG_HOME", stage.beside("config"))
        .env("GREENROOM_STATE_DIR", stage.beside("state"))
        .env("GREENROOM_BIN", greenroom_binary())
        .env("PYTHONPATH", repository().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let ran = output(command);
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    out.into_owned()
}

/// The blocks of a document in this language.
fn blocks(path: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(path)).expect("the document is there");
    let begin = format!("```{language}\n");
    let blocks = text.split(begin.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_packages_own_tests_pass() {
    let stage = Fixture::new();
    let Some(mut python) = python(&stage) else { return };
    python.args(["-m", "unittest", "discover", "-s", "tests", "-t", "."]);
    run(python.current_dir(repository().join("python")));
}

#[test]
fn the_example_prints_what_the_page_shows() {
    let stage = Fixture::new();
    let Some(mut python) = python(&stage) else { return };
    let printed = run(python.arg(repository().join("python/examples/orchestrator.py")));
    let shown = blocks("docs/python.md", "text").pop().expect("the page shows the output");
    assert_eq!(printed.trim(), shown.trim());
}

#[test]
fn the_documents_python_runs() {
    let mut count = 0;
    for path in ["README.md", "docs/python.md"] {
        let stage = Fixture::new();
        for block in blocks(path, "python") {
            count += 1;
            let Some(mut python) = python(&stage) else { return };
            run(python.args(["-c", &block]));
        }
        assert_eq!(stage.read("src/greeting.txt"), b"good evening\n", "{path} applies a file");
    }
    assert!(count >= 2, "the documents show {count} blocks of Python: are they recognised?");
}
