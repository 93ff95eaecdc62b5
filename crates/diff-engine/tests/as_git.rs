//! Diffs are the ones that git shows, where both find the same lines changed.
//!
//! Needs `git`.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use common::{Case, Files, engine};
use diff_engine::{Amount, FileStat, Side, render_stat};
use proptest::prelude::*;
use rstest::rstest;

/// What `git diff` says of two contents by Myers diff, from the first hunk on.
fn hunks_of_git(old: &[u8], new: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, content) in [("old", old), ("new", new)] {
        fs::write(folder.path().join(name), content).expect("the file can be written");
    }
    let output = Command::new("git")
        .args(["diff", "--no-index", "--no-color", "--diff-algorithm=myers", "old", "new"])
        .current_dir(folder.path())
        .env("GIT_CEILING_DIRECTORIES", folder.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed");
    from_first_hunk(&output.stdout)
}

fn from_first_hunk(patch: &[u8]) -> String {
    let patch = String::from_utf8_lossy(patch);
    patch.find("\n@@").map(|at| patch[at + 1..].to_owned()).unwrap_or_default()
}

fn check(old: &[u8], new: &[u8]) {
    let ours = from_first_hunk(&Case::modify(b"file", old, new).patch(&engine("myers")));
    assert_eq!(ours, hunks_of_git(old, new), "the diff must be git's");
}

#[test]
fn changes_stand_where_git_puts_them() {
    let function = |name: &str| format!("fn {name}() {{\n    let a = 1;\n\n    a\n}}\n\n");
    let (a, b, c) = (function("a"), function("b"), function("c"));
    check([&a[..], &c].concat().as_bytes(), [&a[..], &b, &c].concat().as_bytes());
    check([&a[..], &b, &c].concat().as_bytes(), [&a[..], &c].concat().as_bytes());
    check([&a[..], &a, &c].concat().as_bytes(), [&a[..], &a, &a, &c].concat().as_bytes());
    check(b"x\nx\nx\nx\ny\n", b"x\nx\ny\nx\n");
    check(b"a\nb\nb\nc\n", b"a\nb\nc\nc\n");
    check(b"{\n  a\n}\n{\n  b\n}\n", b"{\n  a\n}\n{\n  c\n}\n{\n  b\n}\n");
}

#[test]
fn hunks_name_the_function_they_are_in() {
    let body: String = (0..12).map(|n| format!("    line {n};\n")).collect();
    let old = format!("int main(void) {{   \r\n{body}}}\n_under\n{body}\n$vms\n{body}");
    check(old.as_bytes(), old.replace("line 7", "line x").as_bytes());
    check(old.as_bytes(), old.replace("line 1;", "line x").as_bytes());
    check(old.as_bytes(), old.replace("line 11", "line x").as_bytes());
    let long_name = "f".repeat(79) + "ä" + &"g".repeat(40);
    let old = format!("{long_name}\n{body}");
    check(old.as_bytes(), old.replace("line 8", "line x").as_bytes());
    let latin1 = [b"caf\xe9 open\n", body.as_bytes()].concat();
    check(&latin1, &[&latin1[..], b"end\n"].concat());
}

/// What `git diff --stat` says of the files before and after.
fn stat_of_git(width: usize, cases: &[Case<'_>]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("names are quoted")
    };
    let tree_of = |files: Files| {
        for (name, (content, _)) in files {
            let path = folder.path().join(OsStr::from_bytes(&name));
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it is made");
            fs::write(path, content).expect("the file can be written");
        }
        git(&["add", "-A"]);
        git(&["write-tree"]).trim().to_owned()
    };
    git(&["init", "--quiet"]);
    let old = tree_of(cases.iter().flat_map(Case::before).collect());
    for case in cases {
        let (from, _) = case.change.paths();
        // Where it was created there is nothing yet.
        let _ = fs::remove_file(folder.path().join(OsStr::from_bytes(from)));
    }
    let new = tree_of(cases.iter().flat_map(Case::after).collect());
    git(&["diff", &format!("--stat={width}"), "-M01", &old, &new])
}

#[rstest]
fn the_short_form_is_gits(#[values(80, 60, 30, 12)] width: usize) {
    let many: Vec<u8> = (0..997).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    let some: Vec<u8> = (0..41).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let few = b"a\nb\nc\nd\ne\nf\ng\nh\n".as_slice();
    let deep = b"a/folder/within/a folder/that/is/deep/and/has/a/name/that/is/long.rs";
    let cases = [
        Case::modify(deep, &some, few),
        Case::modify(b"file", b"a\nb\n", b"a\nc\nd\n"),
        Case::create(b"created", &many),
        Case::delete(b"gone", &some),
        Case::modify(b"image", b"\0old", b"\0newer content"),
        Case::create(b"new image", &[0; 5000]),
        Case::rename(b"d/here/x.rs", b"d/there/x.rs", few, few),
        Case::rename(b"top/y", b"elsewhere/y", &many[..400], &many[..404]),
        Case::rename(b"same/a/a/z", b"same/a/z", &many[500..900], &many[500..900]),
        Case::modify("umlaut-\u{e4}".as_bytes(), b"a\n", b"b\n"),
    ];
    let engine = engine("histogram");
    let mut by_name = cases.to_vec();
    by_name.sort_by_key(|case| case.change.paths().1.to_vec());
    let stats: Vec<_> = by_name
        .iter()
        .map(|case| {
            let (diff, (old, new)) = (case.diff(&engine), case.sides());
            let bytes = |side: Side<'_>| side.bytes().unwrap_or(0);
            let amount = match diff.is_whole_file() {
                true => Amount::Bytes { old: bytes(old), new: bytes(new) },
                false => Amount::Lines { added: diff.added, removed: diff.removed },
            };
            FileStat::of(case.change, amount)
        })
        .collect();
    let mut out = Vec::new();
    render_stat(&stats, width, &mut out).expect("writing to memory works");
    assert_eq!(String::from_utf8_lossy(&out), stat_of_git(width, &cases));
}

/// Text with blank lines, indentation and few distinct lines, so that most changes can slide.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"\n"[..],
        b"}\n",
        b"  }\n",
        b"{\n",
        b"  x\n",
        b"\tx\n",
        b"fn\n",
        b"    y\n",
    ]);
    (prop::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, unfinished)| {
        [lines.concat(), if unfinished { b"end".to_vec() } else { vec![] }].concat()
    })
}

/// A text and the same with some lines dropped, or repeated elsewhere.
///
/// One edit has few shortest scripts; of several edits, either may find another.
fn edited() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (text(), 0..40_usize, 1..6_usize, 0..40_usize, any::<bool>()).prop_map(
        |(old, at, count, to, dropped)| {
            let mut lines: Vec<_> = old.split_inclusive(|byte| *byte == b'\n').collect();
            let at = at.min(lines.len());
            let end = lines.len().min(at + count);
            if dropped {
                lines.drain(at..end);
            } else if lines.last().is_none_or(|last| last.ends_with(b"\n")) {
                let taken = lines[at..end].to_vec();
                let to = to.min(lines.len());
                lines.splice(to..to, taken);
            }
            let new = lines.concat();
            (old, new)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_of_repetitive_text_stands_where_git_puts_it((old, new) in edited()) {
        check(&old, &new);
    }
}
