//! What is proposed is what the diff says and what reaches the disk.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use end_to_end::{Fixture, git, output};
use rstest::rstest;

const TEXT: &[u8] = b"one\ntwo\nthree\n";

/// Proposes, has git accept the diff and turn the base into the staged bytes,
/// then applies what was signed.
fn check(name: &[u8], base: Option<&[u8]>, staged: &[u8], mode: Option<&str>) {
    let stage = Fixture::new();
    let name = Path::new(OsStr::from_bytes(name));
    if let Some(base) = base {
        stage.write(name, base);
    }
    let before = stage.tree();
    let content = stage.beside("content");
    fs::write(&content, staged).expect("it is ours");
    let mut arguments = vec!["propose".as_ref(), name.as_os_str(), "--from".as_ref()];
    arguments.push(content.as_os_str());
    arguments.extend(mode.iter().flat_map(|mode| ["--mode".as_ref(), OsStr::new(*mode)]));
    stage.run(&arguments).expect(0);
    assert_eq!(stage.tree(), before, "a proposal leaves the workspace alone");

    let diff = stage.run(["diff", "--quiet"]).expect(0);
    assert_eq!(diff.stderr, "", "--quiet leaves remarks out");
    let file = stage.beside("change.patch");
    fs::write(&file, &diff.stdout).expect("it is ours");
    let file = file.to_str().expect("a plain path");
    git(&stage.workspace(), &["apply", "--check", file]);
    let copy = stage.beside("copy");
    fs::create_dir(&copy).expect("it is new");
    git(&copy, &["init", "--quiet"]);
    if let Some(base) = base {
        let path = copy.join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it is ours");
        fs::write(path, base).expect("it is ours");
    }
    git(&copy, &["apply", file]);
    assert_eq!(
        fs::read(copy.join(name)).expect("git wrote it"),
        staged,
        "git gives the same bytes"
    );

    let signature = stage.signature();
    stage.run(["apply", "--expect", &signature, "--confirm-full-replace"]).expect(0);
    assert_eq!(stage.read(name), staged, "the file holds exactly the staged bytes");
    if let Some(mode) = mode {
        assert_eq!(format!("{:o}", stage.mode(name)), mode, "and has the staged mode");
        let copied = fs::metadata(copy.join(name)).expect("git wrote it").permissions().mode();
        assert_eq!(copied & 0o100, stage.mode(name) & 0o100, "git reads the same from the diff");
    }
    assert_eq!(stage.pending(), 0, "nothing is left to decide");
    let names: Vec<_> = stage.tree().into_keys().filter(|path| !path.starts_with(".git")).collect();
    // The root, the folders on the way, the file: and nothing beside them.
    let file = name.strip_prefix(".").unwrap_or(name);
    let expected: Vec<_> = file.ancestors().map(Path::to_owned).collect();
    assert_eq!(BTreeSet::from_iter(names), BTreeSet::from_iter(expected), "no debris");
}

#[rstest]
#[case::line_feeds(b"one\n2\nthree\n")]
#[case::carriage_returns(b"one\r\n2\r\nthree\r\n")]
#[case::mixed_line_endings(b"one\r\ntwo\nthree\r\n")]
#[case::lone_carriage_returns(b"one\rtwo\n\r\rthree\n")]
#[case::no_final_newline(b"one\ntwo\nthree")]
#[case::empty(b"")]
#[case::only_a_newline(b"\n")]
#[case::nul(b"one\0two\nthree\n")]
#[case::invalid_utf8(b"one\n\xff\xfe\xc3\nthree\n")]
#[case::byte_order_mark(b"\xef\xbb\xbfone\ntwo\n")]
#[case::looks_like_a_header(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\n\\ No newline at end of file\n")]
fn content_survives_byte_for_byte(#[case] staged: &[u8]) {
    check(b"file.txt", Some(TEXT), staged, None);
    check(b"file.txt", None, staged, None);
}

#[rstest]
#[case::to_line_feeds(b"one\r\ntwo\r\n", b"one\ntwo\n")]
#[case::gains_a_final_newline(b"one\ntwo", b"one\ntwo\n")]
#[case::no_longer_empty(b"", b"one")]
#[case::no_longer_binary(b"\0\x01", b"one\n")]
#[case::binary_both(b"\0\x01\xff", b"\0\x02\xff")]
fn a_base_of_any_kind_is_replaced_exactly(#[case] base: &[u8], #[case] staged: &[u8]) {
    check(b"file.txt", Some(base), staged, None);
}

#[rstest]
#[case::spaces(b" two  words ")]
#[case::quotes(b"\"double\" and 'single'")]
#[case::tab(b"a\tb")]
#[case::newline(b"a\nb")]
#[case::backslash(b"a\\b")]
#[case::letters("größe-日本.txt".as_bytes())]
#[case::not_utf8(b"latin-\xe9.txt")]
#[case::option_like(b"./-rf")]
#[case::folders(b"new/deep/folder/file.rs")]
fn names_survive_byte_for_byte(#[case] name: &[u8]) {
    check(name, Some(TEXT), b"one\n2\nthree\n", None);
    check(name, None, TEXT, None);
}

#[rstest]
#[case::executable("755")]
#[case::plain("644")]
#[case::private("600")]
fn a_mode_is_staged_with_the_content(#[case] mode: &str) {
    check(b"run.sh", Some(TEXT), b"#!/bin/sh\n", Some(mode));
    check(b"run.sh", None, b"#!/bin/sh\n", Some(mode));
}

#[test]
fn a_modified_file_keeps_its_mode() {
    let stage = Fixture::new();
    stage.write("run.sh", TEXT);
    let mode = fs::Permissions::from_mode(0o751);
    fs::set_permissions(stage.path("run.sh"), mode).expect("it is ours");
    stage.propose("run.sh", b"other\n");
    stage.run(["apply", "--yes"]).expect(0);
    assert_eq!((stage.read("run.sh"), stage.mode("run.sh")), (b"other\n".to_vec(), 0o751));
}

#[test]
fn many_files_apply_as_one_set_and_as_one_diff() {
    let stage = Fixture::new();
    for number in 0..30 {
        stage.write(format!("d{}/f{number}", number % 3), format!("{number}\nold\n"));
        stage.propose(format!("d{}/f{number}", number % 3), format!("{number}\nnew\n"));
    }
    let diff = stage.beside("all.patch");
    fs::write(&diff, stage.run(["diff"]).expect(0).stdout).expect("it is ours");
    git(&stage.workspace(), &["apply", "--check", diff.to_str().expect("a plain path")]);
    let report = stage.run(["apply", "--expect", &stage.signature(), "--json"]).expect(0).json();
    assert_eq!(report["patches"].as_array().map(Vec::len), Some(30), "all of them are one set");
    for number in 0..30 {
        let content = stage.read(format!("d{}/f{number}", number % 3));
        assert_eq!(content, format!("{number}\nnew\n").as_bytes());
    }
}

#[rstest]
#[case::line_feeds("one\n2\nthree\n")]
#[case::carriage_returns("one\r\n2\r\nthree\r\n")]
#[case::no_final_newline("one\ntwo")]
fn patch_turns_the_base_into_the_staged_bytes_too(#[case] staged: &str) {
    let stage = Fixture::new();
    let copy = stage.beside("copy");
    for folder in [stage.workspace(), copy.clone()] {
        fs::create_dir_all(&folder).expect("it is ours");
        fs::write(folder.join("a.txt"), TEXT).expect("it is ours");
        fs::write(folder.join("gone.txt"), TEXT).expect("it is ours");
    }
    stage.propose("a.txt", staged);
    stage.propose("new/b.txt", staged);
    stage.run(["propose", "gone.txt", "--delete"]).expect(0);
    let diff = stage.beside("change.patch");
    fs::write(&diff, stage.run(["diff"]).expect(0).stdout).expect("it is ours");

    let mut patch = Command::new("patch");
    patch.args(["-p1", "-i"]).arg(&diff).current_dir(&copy);
    let ran = output(&mut patch);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    for name in ["a.txt", "new/b.txt"] {
        assert_eq!(fs::read(copy.join(name)).expect("patch wrote it"), staged.as_bytes());
    }
    assert!(!copy.join("gone.txt").exists());
}
