//! Every patch, applied by the tools people use, gives exactly the staged bytes.
//!
//! Needs `git` and `patch`.

#![cfg(unix)]

mod common;

use common::tools::{Tool, apply};
use common::{Case, Files, engine};
use diff_engine::{BinaryMode, DiffEngine, Policy, RenderOptions};
use proptest::prelude::*;
use rstest::rstest;

const CONTENTS: &[(&str, &[u8], &[u8])] = &[
    ("a line changed", b"a\nb\nc\n", b"a\nB\nc\n"),
    ("filled", b"", b"a\nb\n"),
    ("emptied", b"a\nb\n", b""),
    ("one line emptied", b"a", b""),
    ("final newline lost", b"a\nb\n", b"a\nb"),
    ("final newline gained", b"a\nb", b"a\nb\n"),
    ("no final newline on either side", b"a\nb", b"A\nb"),
    ("no final newline in the context", b"1\n2\n3\n4\n5", b"1\nX\n3\n4\n5"),
    ("line ends flipped", b"a\r\nb\r\n", b"a\nb\n"),
    ("lone carriage returns", b"a\rb\rc\n", b"a\rB\rc\n"),
    ("a carriage return before the end", b"a\nb\r", b"a\nb"),
    ("invalid UTF-8", b"\xff\xfe\na\n", b"\xff\xfd\na\n"),
    (
        "NEL, U+2028 and form feed",
        "a\u{85}b\u{2028}\x0cc\n".as_bytes(),
        "a\u{85}b\u{2028}\x0cd\n".as_bytes(),
    ),
    (
        "lines like headers",
        b"-- a\n++ b\n@@ -1 +1 @@\ndiff --git a/x b/x\n",
        b"-- a\n++ c\n@@ -1 +1 @@\n--- a/x\n+++ b/x\n",
    ),
    ("a byte order mark", b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfb\n"),
    ("blank lines", b"\n\n\n\n", b"\n\n"),
    (
        "two distant changes",
        b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n",
        b"X\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\nY\n",
    ),
    ("repeated lines", b"a\na\na\na\na\na\na\na\na\na\n", b"a\na\na\na\na\na\nb\na\na\na\na\n"),
    ("a NUL far behind", &NUL_BEHIND, b"short\n"),
];

/// Git looks for a NUL in the first 8,000 bytes only, and so do we.
const NUL_BEHIND: [u8; 9000] = {
    let mut content = [b'x'; 9000];
    content[100] = b'\n';
    content[8500] = 0;
    content
};

#[rstest]
fn contents_arrive_exactly(
    #[values(Tool::Git, Tool::Patch)] tool: Tool,
    #[values("histogram", "full-replace")] strategy: &str,
) {
    let engine = engine(strategy);
    for (what, old, new) in CONTENTS {
        eprintln!("{what}");
        Case::modify(b"file", old, new).check_applies(&engine, tool);
        Case::rename(b"file", b"moved", old, new).check_applies(&engine, tool);
    }
}

#[rstest]
fn created_and_deleted_files_arrive_exactly(
    #[values(Tool::Git, Tool::Patch)] tool: Tool,
    #[values(0o644, 0o755)] mode: u32,
) {
    let engine = engine("histogram");
    for content in [&b"a\nb\n"[..], b"", b"no newline", b"\r\n\xff"] {
        for case in [Case::create(b"dir/file", content), Case::delete(b"dir/file", content)] {
            let modes = (mode, mode);
            Case { modes, ..case }.check_applies(&engine, tool);
        }
    }
}

const NAMES: &[&[u8]] = &[
    b"plain",
    b"two words",
    b" leading space",
    b"trailing space ",
    b"a b/c d",
    b"with\"quote",
    b"back\\slash",
    b"tab\there",
    b"new\nline",
    b"carriage\rreturn",
    b"bell\x07 and space",
    b"\x7fdelete",
    "umlaut ä and 漢字".as_bytes(),
    b"not utf-8 \xff\xfe",
    b"-dash",
    b"--output=x",
    b"a/b/c",
    b"x b/x",
    b"'single'",
    b"$HOME *?",
    b"2024-01-01 00:00:00",
];

#[rstest]
fn odd_names_arrive_exactly(#[values(Tool::Git, Tool::Patch)] tool: Tool) {
    let engine = engine("histogram");
    for name in NAMES {
        // GNU patch refuses a name with a line feed in it, whoever wrote the patch.
        if tool == Tool::Patch && name.contains(&b'\n') {
            continue;
        }
        let target = [name, &b".moved"[..]].concat();
        for case in [
            Case::modify(name, b"a\nb\n", b"a\nc\n"),
            Case::create(name, b"a\n"),
            Case::create(name, b""),
            Case::delete(name, b"a\n"),
            Case::delete(name, b""),
            Case::rename(name, &target, b"a\n", b"a\n"),
            Case::rename(name, &target, b"a\nb\nc\n", b"a\nb\nd\n"),
            Case::mode(name, b"a\n", (0o644, 0o755)),
            Case::mode(name, b"", (0o755, 0o644)),
        ] {
            case.check_applies(&engine, tool);
        }
    }
}

#[rstest]
fn modes_arrive_with_contents(#[values(Tool::Git, Tool::Patch)] tool: Tool) {
    let engine = engine("histogram");
    for modes in [(0o644, 0o755), (0o755, 0o644), (0o600, 0o700), (0o664, 0o775)] {
        let case = Case::modify(b"file", b"a\n", b"b\n");
        Case { modes, ..case }.check_applies(&engine, tool);
        let case = Case::rename(b"file", b"moved", b"a\n", b"a\n");
        Case { modes, ..case }.check_applies(&engine, tool);
    }
}

#[test]
fn git_applies_binary_contents_exactly() {
    let engine = engine("histogram");
    let long: Vec<u8> = (0..20_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    for (old, new) in [
        (&b"\0a"[..], &b"\0b"[..]),
        (b"text\n", b"\0\x01\x02"),
        (b"\0", b""),
        (b"", b"\0"),
        (b"\0short", &long),
        (&long, b"\0short"),
    ] {
        Case::modify(b"file", old, new).check_applies(&engine, Tool::Git);
        Case::rename(b"a file", b"b\tfile", old, new).check_applies(&engine, Tool::Git);
    }
    Case::create(b"dir/a file", &long).check_applies(&engine, Tool::Git);
    Case::delete(b"dir/a file", &long).check_applies(&engine, Tool::Git);
    Case::rename(b"file", b"moved", &long, &long).check_applies(&engine, Tool::Git);
}

#[rstest]
fn contents_over_the_limit_arrive_exactly(#[values(Tool::Git, Tool::Patch)] tool: Tool) {
    let engine = DiffEngine::bundled(Policy { size_max_bytes: 4, ..Policy::default() });
    for (old, new) in [
        (&b"a\nb\nc\n"[..], &b"a\nB\nc\n"[..]),
        (b"a\nb\nc", b"a\nb\nc\n"),
        (b"", b"a\nb\nc"),
        (b"a\nb\nc", b""),
    ] {
        let case = Case::modify(b"a file", old, new);
        assert!(case.diff(&engine).is_whole_file(), "one side is over the limit");
        case.check_applies(&engine, tool);
    }
    Case::create(b"file", b"a\nb\nc").check_applies(&engine, tool);
    Case::delete(b"file", b"a\nb\nc").check_applies(&engine, tool);
}

#[test]
fn git_refuses_a_description_rather_than_skip_the_file() {
    let engine = DiffEngine::bundled(Policy { size_max_bytes: 4, ..Policy::default() });
    let options = RenderOptions { binary: BinaryMode::Describe, ..RenderOptions::default() };
    for (old, new) in [(&b"\0a"[..], &b"\0b"[..]), (b"a\nb\nc\n", b"d\n")] {
        let case = Case::modify(b"file", old, new);
        let patch = case.patch_with(&engine, &options);
        let applied = apply(Tool::Git, &case.before(), &patch);
        assert!(applied.is_err(), "a patch without the content must not apply");
    }
}

#[rstest]
fn one_patch_holds_many_files(#[values(Tool::Git, Tool::Patch)] tool: Tool) {
    let engine = engine("histogram");
    let cases = [
        Case::modify(b"no newline", b"a", b"b"),
        Case::create(b"empty", b""),
        Case::mode(b"script", b"#!/bin/sh\n", (0o644, 0o755)),
        Case::delete(b"gone", b"x\n"),
        Case::rename(b"from here", b"to/there", b"1\n2\n3\n", b"1\n2\n4\n"),
        Case::create(b"last", b"z"),
    ];
    let patch: Vec<u8> = cases.iter().flat_map(|case| case.patch(&engine)).collect();
    let before: Files = cases.iter().flat_map(Case::before).collect();
    let after: Files = cases.iter().flat_map(Case::after).collect();
    assert_eq!(apply(tool, &before, &patch), Ok(after));
}

/// Files with few distinct lines, of every kind that breaks line-based tools.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"a\n"[..],
        b"b\n",
        b"\n",
        b"a\r\n",
        b"a\rb\n",
        b"-- a\n",
        b"++ b\n",
        b"@@ -1 +1 @@\n",
        b"\\ No newline at end of file\n",
        b"\xff\xfe\n",
        b" indented\n",
    ]);
    let end = prop::sample::select(vec![&b""[..], b"", b"a", b"\r", b"\\"]);
    (prop::collection::vec(line, 0..30), end)
        .prop_map(|(lines, end)| [lines.concat(), end.to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_contents_arrive_exactly(
        old in content(),
        new in content(),
        strategy in prop::sample::select(vec!["histogram", "myers", "patience", "full-replace"]),
    ) {
        let engine = engine(strategy);
        for tool in [Tool::Git, Tool::Patch] {
            if old != new {
                Case::modify(b"file", &old, &new).check_applies(&engine, tool);
            }
        }
    }
}
