//! A workspace that is renamed keeps its patches, and another directory at its path does not get
//! them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use end_to_end::{Fixture, Ran, output};

/// Runs the command in another directory than the stage's own.
fn run_in(stage: &Fixture, dir: &Path, arguments: &[&str]) -> Ran {
    output(stage.command(arguments).current_dir(dir)).into()
}

fn text(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn rename(stage: &Fixture) -> PathBuf {
    let moved = stage.beside("moved");
    fs::rename(stage.workspace(), &moved).expect("both lie in one folder");
    moved
}

#[test]
fn a_renamed_workspace_keeps_its_patches_and_its_undo_and_says_so_once() {
    let stage = Fixture::new();
    stage.write("a", "old\n");
    stage.propose("a", "new\n");
    stage.run(["apply", "--yes"]).expect(0);
    stage.propose("b", "created\n");
    let moved = rename(&stage);
    let status = run_in(&stage, &moved, &["status"]).expect(0);
    assert!(text(&status).contains("create b"), "{}", text(&status));
    let note = format!("this workspace was at `{}`", stage.workspace().display());
    assert!(status.stderr.contains(&note), "{}", status.stderr);
    let again = run_in(&stage, &moved, &["status"]).expect(0);
    assert!(!again.stderr.contains("this workspace was at"), "{}", again.stderr);
    run_in(&stage, &moved, &["undo"]).expect(0);
    assert_eq!(fs::read(moved.join("a")).expect("there"), b"old\n");
    run_in(&stage, &moved, &["apply", "--yes"]).expect(0);
    assert_eq!(fs::read(moved.join("b")).expect("there"), b"created\n");
}

#[test]
fn another_directory_at_the_path_gets_no_patches_of_the_old_one_unless_a_person_says_so() {
    let stage = Fixture::new();
    stage.propose("a", "of the old one\n");
    // As a restore from a backup, or another project, comes to the same path.
    fs::rename(stage.workspace(), stage.beside("away")).expect("renamed");
    fs::create_dir(stage.workspace()).expect("made anew");
    fs::remove_dir_all(stage.beside("away")).expect("removed");
    for _ in 0..2 {
        let status = stage.run(["status"]).expect(0);
        assert!(text(&status).contains("nothing is pending"), "{}", text(&status));
        assert!(status.stderr.contains("`greenroom recover --adopt`"), "{}", status.stderr);
    }
    stage.run(["apply", "--yes"]).expect(1);
    stage.run(["undo"]).expect(1);
    assert!(!stage.path("a").exists());
    let adopted = stage.run(["recover", "--adopt"]).expect(0);
    assert!(adopted.stderr.contains("adopted the state"), "{}", adopted.stderr);
    let status = stage.run(["status"]).expect(0);
    assert!(text(&status).contains("create a"), "{}", text(&status));
    assert!(!status.stderr.contains("--adopt"), "{}", status.stderr);
    let none = stage.run(["recover", "--adopt"]).expect(1);
    assert!(none.stderr.contains("no state of an earlier directory"), "{}", none.stderr);
}

#[test]
fn a_link_to_the_workspace_is_the_workspace() {
    let stage = Fixture::new();
    stage.propose("a", "content\n");
    symlink(stage.workspace(), stage.beside("link")).expect("linked");
    let link = stage.beside("link");
    let named = stage.run(["status".as_ref(), "--workspace".as_ref(), link.as_os_str()]).expect(0);
    assert!(text(&named).contains("create a"), "{}", text(&named));
    let inside = run_in(&stage, &link, &["status"]).expect(0);
    assert!(text(&inside).contains("create a"), "{}", text(&inside));
}
