//! Directories that are moved while a set is applied: handles go with them, and what is done by
//! a handle must not stay where the set was not meant to go.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who moves directories")]
#![cfg(unix)]

mod common;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use atomic_fs::*;
use common::interposed::{Hook, Interposed, Setup};
use common::{Fixture, rel};
use rstest::rstest;

/// One of each operation in `d`, and one in `e`.
fn prepare(fixture: &mut Fixture) -> Vec<Change> {
    for name in ["modify", "delete", "rename", "mode"] {
        fixture.put(&format!("d/{name}"), name.as_bytes());
    }
    fixture.put("e/other", b"other");
    vec![
        fixture.modify("d/modify", b"new"),
        fixture.delete("d/delete"),
        fixture.rename("d/rename", "d/renamed"),
        fixture.chmod("d/mode", 0o600),
        fixture.create("d/created", b"created"),
        fixture.create("d/deep/created", b"created"),
        fixture.modify("e/other", b"new"),
    ]
}

/// Moves `d` to where the test says, once, just before a call of a kind.
fn moves_at(wanted: &'static str, from: PathBuf, to: PathBuf, instead: Option<PathBuf>) -> Hook {
    let moved = AtomicBool::new(false);
    Box::new(move |_, call| {
        if call == wanted && !moved.swap(true, Ordering::SeqCst) {
            std::fs::rename(&from, &to)?;
            if let Some(instead) = &instead {
                std::fs::rename(instead, &from)?;
            }
        }
        Ok(())
    })
}

fn many_open() -> Setup {
    Setup { open_dirs_max: 64, ..Setup::default() }
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("it is there");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[rstest]
fn what_was_done_in_a_directory_that_was_moved_out_is_taken_back_there(
    #[values(
        "create_file",
        "write_at",
        "sync_dir",
        "rename",
        "exchange",
        "create_dir",
        "set_mode"
    )]
    call: &'static str,
    #[values(false, true)] another_comes: bool,
) {
    let mut fixture = Fixture::default();
    let changes = prepare(&mut fixture);
    let outside = fixture.folder.path().join("outside");
    let before = fixture.tree();
    let instead = another_comes.then(|| {
        let instead = fixture.folder.path().join("instead");
        std::fs::create_dir(&instead).expect("writable");
        std::fs::write(instead.join("modify"), "another").expect("writable");
        instead
    });
    let hook = moves_at(call, fixture.at("d"), outside.clone(), instead);
    let workspace = Interposed::workspace(&fixture, hook, many_open());
    let applied = fixture.apply_on(&workspace, changes);
    let is_taken_back = match &applied.outcome {
        Outcome::RolledBack(FsError::DirectoryMoved { path }) => *path == rel("d"),
        // Before the handle was there.
        Outcome::Conflicts(_) | Outcome::RolledBack(_) => true,
        _ => false,
    };
    assert!(is_taken_back, "{call}: {:?}", applied.outcome);
    assert_eq!(names(&outside), ["delete", "mode", "modify", "rename"], "{call}");
    if another_comes {
        assert_eq!(names(&fixture.at("d")), ["modify"], "{call}");
        std::fs::remove_dir_all(fixture.at("d")).expect("ours");
    }
    std::fs::rename(&outside, fixture.at("d")).expect("free");
    assert_eq!(fixture.tree(), before, "{call}: content and modes are as they were");
    assert!(fixture.debris().is_empty(), "{call}: no debris: {:?}", fixture.debris());
}

#[test]
fn a_directory_that_is_moved_within_the_workspace_is_no_place_for_the_set_either() {
    let mut fixture = Fixture::default();
    let changes = prepare(&mut fixture);
    let before = fixture.tree();
    let hook = moves_at("exchange", fixture.at("d"), fixture.at("moved"), None);
    let workspace = Interposed::workspace(&fixture, hook, many_open());
    let applied = fixture.apply_on(&workspace, changes);
    let Outcome::RolledBack(error @ FsError::DirectoryMoved { .. }) = applied.outcome else {
        panic!("{:?}", applied.outcome)
    };
    assert!(error.to_string().contains("`d` was moved"), "{error}");
    std::fs::rename(fixture.at("moved"), fixture.at("d")).expect("free");
    assert_eq!(fixture.tree(), before);
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

/// More directories than can be held open: those that were closed cannot be worked in, and a
/// set that did something in one of them cannot say that it was taken back.
#[test]
fn a_closed_directory_that_was_moved_is_not_taken_for_another_one() {
    let mut fixture = Fixture::default();
    let dirs = ["a", "b", "c", "d", "e", "f", "g"];
    for dir in dirs {
        fixture.put(&format!("{dir}/file"), b"old");
    }
    let changes = dirs.map(|dir| fixture.modify(&format!("{dir}/file"), b"new")).to_vec();
    let instead = fixture.folder.path().join("instead");
    std::fs::create_dir(&instead).expect("writable");
    std::fs::write(instead.join("file"), "old").expect("writable");
    let exchanged = std::sync::atomic::AtomicUsize::new(0);
    let (a, outside) = (fixture.at("a"), fixture.folder.path().join("outside"));
    let hook: Hook = {
        let outside = outside.clone();
        Box::new(move |_, call| {
            let count = usize::from(call == "exchange");
            if exchanged.fetch_add(count, Ordering::SeqCst) + count == 7 && count == 1 {
                std::fs::rename(&a, &outside)?;
                std::fs::rename(&instead, &a)?;
            }
            Ok(())
        })
    };
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    let applied = fixture.apply_on(&workspace, changes);
    assert!(
        matches!(applied.outcome, Outcome::InDoubt(FsError::DirectoryMoved { .. })),
        "{:?}",
        applied.outcome
    );
    assert_eq!(fixture.read("a/file"), b"old", "the other directory is left alone");
}
