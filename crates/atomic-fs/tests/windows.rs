//! What is promised on Windows and nowhere else.
#![cfg(windows)]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use atomic_fs::*;
use common::{Fixture, NOT_PROVABLE, on_windows_itself, rel};
use rstest::rstest;

const SHARE_READ: u32 = 1;
const SHARE_READ_AND_WRITE: u32 = 3;

fn committed(applied: &Applied) {
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
}

#[rstest]
#[case::modify(|f: &mut Fixture| f.modify("a", b"A"))]
#[case::delete(|f: &mut Fixture| f.delete("a"))]
fn a_file_that_is_open_for_writing_is_busy(#[case] change: fn(&mut Fixture) -> Change) {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    let change = change(&mut fixture);
    let writer = OpenOptions::new().append(true).open(fixture.at("a")).expect("writable");
    let before = fixture.tree();
    let applied = fixture.apply(vec![change.clone()]);
    let Outcome::RolledBack(FsError::Busy { path, .. }) = applied.outcome else {
        panic!("{:?}", applied.outcome)
    };
    assert_eq!(path, rel("a"));
    assert_eq!(fixture.tree(), before, "nothing changed");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
    drop(writer);
    committed(&fixture.apply(vec![change]));
}

/// Whoever reads without sharing deletion, as many programs do, stands in the way of every name.
#[rstest]
#[case::of_readers(SHARE_READ)]
#[case::of_readers_and_writers(SHARE_READ_AND_WRITE)]
fn a_file_that_must_not_be_moved_fails_with_nothing_changed(#[case] share: u32) {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    fixture.put("b", b"b");
    let changes = vec![fixture.modify("a", b"A"), fixture.modify("b", b"B")];
    let mut options = OpenOptions::new();
    let reader = options.read(true).share_mode(share).open(fixture.at("b")).expect("readable");
    let before = fixture.tree();
    let applied = fixture.apply(changes.clone());
    assert!(matches!(applied.outcome, Outcome::RolledBack(_)), "{:?}", applied.outcome);
    assert_eq!(fixture.tree(), before, "nothing changed");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
    drop(reader);
    committed(&fixture.apply(changes));
}

#[test]
fn a_path_is_spelled_as_its_directory_spells_it() {
    let fixture = Fixture::default();
    fixture.put("Source/Main.rs", b"x");
    let workspace = fixture.open();
    for (asked, spelled) in [
        ("source/MAIN.RS", "Source/Main.rs"),
        ("SOURCE/new.rs", "Source/new.rs"),
        ("Source/Main.rs", "Source/Main.rs"),
        ("Other/x", "Other/x"),
    ] {
        assert_eq!(workspace.resolve(&rel(asked)).expect("inside"), rel(spelled), "{asked}");
    }
}

#[rstest]
#[case("NUL")]
#[case("aux.c")]
#[case("dir/com1.txt")]
#[case("a:stream")]
#[case("a.")]
#[case("dir /a")]
#[case("what?")]
fn a_name_that_windows_does_not_keep_is_refused(#[case] path: &str) {
    let mut fixture = Fixture::default();
    fixture.put("a", b"a");
    let before = fixture.tree();
    let refused = fixture.open().resolve(&rel(path));
    let is_refused =
        |error: &FsError| matches!(error, FsError::Refused { refusal: Refusal::Name { .. }, .. });
    assert!(refused.as_ref().is_err_and(is_refused), "{refused:?}");
    let change = fixture.create(path, b"x");
    let applied = fixture.apply(vec![change]);
    assert!(
        matches!(&applied.outcome, Outcome::RolledBack(error) if is_refused(error)),
        "{:?}",
        applied.outcome
    );
    assert_eq!(fixture.tree(), before);
}

#[test]
fn a_read_only_file_can_be_moved_deleted_and_made_writable() {
    let fixture = Fixture::default();
    for name in ["delete", "rename", "mode"] {
        fixture.put_mode(name, name.as_bytes(), 0o444);
    }
    let changes = vec![
        fixture.delete("delete"),
        fixture.rename("rename", "renamed"),
        fixture.chmod("mode", 0o644),
    ];
    committed(&fixture.apply(changes));
    assert!(!fixture.at("delete").exists());
    assert_eq!(fixture.read("renamed"), b"rename");
    assert!(fs::metadata(fixture.at("renamed")).expect("there").permissions().readonly());
    assert!(!fs::metadata(fixture.at("mode")).expect("there").permissions().readonly());
}

/// `ReplaceFileW` refuses read-only files, and nothing flushes one that is open to be read.
#[test]
fn a_read_only_file_can_be_replaced_and_a_file_be_made_read_only() {
    let mut fixture = Fixture::default();
    fixture.put_mode("replace", b"old", 0o444);
    fixture.put("mode", b"mode");
    let changes = vec![fixture.modify("replace", b"new"), fixture.chmod("mode", 0o444)];
    committed(&fixture.apply(changes));
    assert_eq!(fixture.read("replace"), b"new");
    for name in ["replace", "mode"] {
        assert!(fs::metadata(fixture.at(name)).expect("there").permissions().readonly(), "{name}");
    }
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

#[test]
fn a_new_files_path_may_be_longer_than_two_hundred_and_sixty_characters() {
    let mut fixture = Fixture::default();
    let path = vec!["a-folder-with-a-long-name"; 11].join("/") + "/file";
    assert!(path.len() > 260);
    let change = fixture.create(&path, b"one");
    committed(&fixture.apply(vec![change]));
    assert_eq!(fixture.read(&path), b"one");
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
}

/// What `ReplaceFileW` takes over from the file that it replaces, and what is copied beforehand.
#[test]
fn a_replaced_file_keeps_what_belongs_to_its_user() {
    const HIDDEN: u32 = 2;
    let mut fixture = Fixture::default();
    let file = fixture.at("a");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).attributes(HIDDEN);
    options.open(&file).and_then(|mut file| file.write_all(b"old")).expect("written");
    let stream = PathBuf::from(format!("{}:origin", file.display()));
    let has_stream = fs::write(&stream, b"elsewhere").is_ok();
    let before = fs::metadata(&file).expect("there");
    let change = fixture.modify("a", b"new");
    committed(&fixture.apply(vec![change]));
    assert_eq!(fixture.read("a"), b"new");
    let after = fs::metadata(&file).expect("there");
    on_windows_itself(
        "a replaced file stays hidden",
        "its ReplaceFileW does not take the attribute over",
        || after.file_attributes() & HIDDEN != 0,
    );
    on_windows_itself(
        "a replaced file keeps its time of creation",
        "it has none of its own",
        || after.creation_time() == before.creation_time(),
    );
    on_windows_itself("a replaced file keeps its alternate streams", "it has no streams", || {
        has_stream && fs::read(&stream).is_ok_and(|held| held == b"elsewhere")
    });
}

#[test]
fn a_file_at_a_path_longer_than_two_hundred_and_sixty_characters_is_replaced_or_left_as_it_is() {
    let mut fixture = Fixture::default();
    let path = vec!["a-folder-with-a-long-name"; 11].join("/") + "/file";
    fixture.put(&path, b"old");
    let change = fixture.modify(&path, b"new");
    let applied = fixture.apply(vec![change]);
    let is_new = matches!(applied.outcome, Outcome::Committed);
    assert_eq!(fixture.read(&path), if is_new { b"new" } else { b"old" }, "{:?}", applied.outcome);
    assert!(fixture.debris().is_empty(), "no debris: {:?}", fixture.debris());
    on_windows_itself(
        "a file at a path longer than 260 characters is replaced",
        "its ReplaceFileW fails there",
        || is_new,
    );
}

/// What a replacement and its barriers leave after a power cut, only a disk that loses power shows.
#[test]
fn what_was_answered_is_read_back_through_a_new_handle() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"old");
    let change = fixture.modify("a", b"new");
    committed(&fixture.apply(vec![change]));
    assert_eq!(fixture.read("a"), b"new");
    println!(
        "{NOT_PROVABLE}what FlushFileBuffers of a file and of a directory makes durable on NTFS: \
         it calls fsync on this machine's file system"
    );
}
