//! The recording that the documentation shows, `docs/demo.cast`.
//!
//! `cargo xtask demo` writes it; the test compares it with what the product prints now.

use std::fs;
use std::path::PathBuf;

use super::cast::Cast;
use super::refactor::{propose, workspace};
use super::shell::{Shell, Size};
use super::{REASON, YES_OR_NO, normalise, question};

/// Wide enough for the lines of the diffs.
const SIZE: Size = (26, 96);
const WATCHED_MAX_MS: u64 = 90_000;

const PROMPT: &str = "\n$ ";
/// What the reviewer makes of a comment.
const EDITOR: &str = "sed -i 's/in which the store has them: that of their names/of their names/'";

#[test]
fn the_recorded_demo_is_what_the_product_prints() {
    let stage = workspace();
    let _agent = propose(&stage, "demo.patch");
    let environment = [("EDITOR", EDITOR), ("GIT_CONFIG_NOSYSTEM", "1")];
    let mut shell = Shell::new(&stage, SIZE, &environment);
    let mut cast = Cast::new(SIZE, "Review what an agent wrote, with Greenroom");

    cast.take(&mut shell);
    cast.chapter("What waits");
    cast.line(&mut shell, "# An agent has changed five files. The disk is as it was:", PROMPT, 900);
    cast.line(&mut shell, "git status --short", PROMPT, 900);
    cast.line(&mut shell, "greenroom status", PROMPT, 3500);

    cast.chapter("Approve one");
    cast.line(&mut shell, "greenroom review", &question(1, 5), 3000);
    cast.key(&mut shell, "y", &question(2, 5), 3500);
    cast.chapter("Reject one with a reason");
    cast.key(&mut shell, "r", REASON, 600);
    cast.line(&mut shell, "titles are not only in ASCII", &question(3, 5), 3000);
    cast.key(&mut shell, "y", &question(4, 5), 2500);
    cast.key(&mut shell, "y", &question(5, 5), 2500);
    cast.chapter("Edit one");
    cast.key(&mut shell, "e", &question(5, 5), 3500);
    cast.chapter("Apply");
    cast.key(&mut shell, "y", YES_OR_NO, 4500);
    cast.line(&mut shell, "y", PROMPT, 2500);
    cast.line(&mut shell, "git status --short", PROMPT, 2000);

    cast.chapter("Undo one file");
    cast.line(&mut shell, "greenroom undo a1 scripts/check.sh", YES_OR_NO, 2000);
    cast.line(&mut shell, "y", PROMPT, 2500);
    cast.line(&mut shell, "git status --short", PROMPT, 3000);

    let (recorded, watched_ms) = cast.end();
    assert!(watched_ms < WATCHED_MAX_MS, "nobody watches for {watched_ms} ms");
    // The directory of the test is no place where anybody works.
    let root = stage.workspace().to_string_lossy().into_owned();
    let recorded = recorded.replace(&root, "/srv/notes");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/demo.cast");
    if std::env::var_os("GREENROOM_RECORD_DEMO").is_some() {
        fs::write(&file, &recorded).expect("the documents can be written");
    }
    let stored = fs::read_to_string(&file).expect("`cargo xtask demo` has recorded it");
    let differs = normalise(&stored, &stage) != normalise(&recorded, &stage);
    let first = stored.lines().zip(recorded.lines()).find(|(stored, now)| stored != now);
    assert!(
        !differs,
        "`cargo xtask demo` records docs/demo.cast anew; it differs first in {first:#?}"
    );
}
