//! A small program, and the refactoring of it that an agent proposes.

use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::{Fixture, git};
use serde_json::json;

use crate::mcp::client::Client;

/// The files before the refactoring, and the agent's patch.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/fixtures/refactor");

/// A workspace with the files before the refactoring.
pub(super) fn workspace() -> Fixture {
    // Its path is on the screens, where its length counts.
    let stage = Fixture::new_in(Path::new("/tmp"));
    let old = PathBuf::from(FILES).join("old");
    for folder in ["", "src", "scripts"] {
        for entry in fs::read_dir(old.join(folder)).expect("a fixture") {
            let entry = entry.expect("readable").path();
            if entry.is_file() {
                let name = entry.strip_prefix(&old).expect("it is below").to_owned();
                stage.write(name, fs::read(entry).expect("readable"));
            }
        }
    }
    git(&stage.workspace(), &["add", "--all"]);
    let author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    git(&stage.workspace(), &[&author[..], &["commit", "--quiet", "--message=notes"]].concat());
    stage
}

/// An agent that has proposed the refactoring in one call.
pub(super) fn agent(stage: &Fixture) -> Client {
    let agent = propose(stage, "refactor.patch");
    assert_eq!(stage.pending(), 15);
    agent
}

/// An agent that has proposed a patch of the fixtures.
pub(super) fn propose(stage: &Fixture, patch: &str) -> Client {
    let mut agent = Client::greeted(stage, &["--session", "refactor"], json!({}));
    let patch = fs::read_to_string(PathBuf::from(FILES).join(patch)).expect("a fixture");
    agent.ok("propose", json!({"patch": patch}));
    agent
}

/// The user's own change of a file that the agent has changed as well.
pub(super) fn edit_by_hand(stage: &Fixture) {
    let text = String::from_utf8(stage.read("src/ui.rs")).expect("text");
    let edited = text.replace("println!(\"{}\"", "println!(\"- {}\"");
    assert_ne!(edited, text);
    stage.write("src/ui.rs", edited);
}
