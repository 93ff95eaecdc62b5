//! Laws that hold against the tools people use: git and GNU diff.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output};

use patch_formats::{Change, MisfitError, PatchText};
use proptest::prelude::*;

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|out| out.status.success());
    if !there {
        eprintln!("skipped: there is no {tool} here");
    }
    there
}

fn git(folder: &Path, arguments: &[&OsStr]) -> Output {
    Command::new("git")
        .args(["-c", "core.safecrlf=false", "-c", "core.autocrlf=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", folder.parent().expect("it is a temporary folder"))
        .output()
        .expect("git starts")
}

/// `git diff` between two contents of one name.
fn git_diff(name: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (side, content) in [("a", old), ("b", new)] {
        let path = folder.path().join(side).join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("it can be made");
        fs::write(path, content).expect("the file can be written");
    }
    // What is compared is called `a/…` and `b/…` already.
    let arguments = ["diff", "--no-index", "--text", "--no-prefix", "a", "b"].map(OsStr::new);
    git(folder.path(), &arguments).stdout
}

/// `git apply` of a patch over the file `f`; nothing when it refuses.
fn git_apply(content: &[u8], patch: &[u8]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(folder.path().join("f"), content).expect("the file can be written");
    fs::write(folder.path().join("p"), patch).expect("the patch can be written");
    let applied = git(folder.path(), &["apply", "--whitespace=nowarn", "p"].map(OsStr::new));
    applied.status.success().then(|| fs::read(folder.path().join("f")).unwrap_or_default())
}

/// What the only file's part makes of a content.
fn fit(patch: &[u8], content: &[u8]) -> Result<Vec<u8>, String> {
    let patch = PatchText::parse(patch).map_err(|error| error.to_string())?;
    let [file] = &patch.files[..] else { return Err(format!("{} files", patch.files.len())) };
    file.fit(content, false).map(|fitted| fitted.content).map_err(|error| error.to_string())
}

/// Contents of few different lines, with every kind of line end.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        &b"a\n"[..],
        b"b\n",
        b"\n",
        b"c\r\n",
        b"-- x\n",
        b"++ y\n",
        b" z\n",
        b"\xff\r\xfe\n",
        b"\\ No newline at end of file\n",
        b"diff --git a/f b/f\n",
        b"@@ -1 +1 @@\n",
        b"long line\n",
    ]);
    let last = prop::sample::select(vec![&b""[..], b"end", b"\r", b"a"]);
    (prop::collection::vec(line, 0..24), last)
        .prop_map(|(lines, last)| [&lines.concat(), last].concat())
}

/// Distinct lines, so that everything is in one place.
fn numbered() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..1_000_000, 8..40).prop_map(|mut lines| {
        lines.sort_unstable();
        lines.dedup();
        lines
    })
}

fn text(lines: &[u32]) -> Vec<u8> {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

/// Names that git writes plainly or in quotes.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::collection::vec(
        any::<u8>().prop_filter("no part holds these", |byte| !matches!(byte, 0 | b'/')),
        1..12,
    );
    let part = part.prop_filter("these mean folders", |part| part != b"." && part != b"..");
    prop::collection::vec(part, 1..3).prop_map(|parts| parts.join(&b'/'))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_git_diff_writes_gives_the_new_bytes(old in content(), new in content()) {
        prop_assume!(old != new);
        if !has("git") {
            return Ok(());
        }
        let patch = git_diff(b"f", &old, &new);
        prop_assert_eq!(fit(&patch, &old), Ok(new));
    }

    #[test]
    fn what_gnu_diff_writes_gives_the_new_bytes(old in content(), new in content(), context in 1_u8..5) {
        prop_assume!(old != new);
        if !has("diff") {
            return Ok(());
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("old"), &old).expect("the file can be written");
        fs::write(folder.path().join("new"), &new).expect("the file can be written");
        let patch = Command::new("diff")
            .arg(format!("-U{context}"))
            .args(["--text", "--label", "f", "--label", "f", "old", "new"])
            .current_dir(folder.path())
            .output()
            .expect("diff starts");
        prop_assert_eq!(fit(&patch.stdout, &old), Ok(new));
    }

    #[test]
    fn names_come_back_as_git_wrote_them(name in name()) {
        if !has("git") {
            return Ok(());
        }
        let patch = git_diff(&name, b"a\n", b"b\n");
        let patch = PatchText::parse(&patch).expect("git wrote it");
        let expected = Change::Modify { path: name };
        prop_assert_eq!(&patch.files[0].change, &expected);
    }

    #[test]
    fn an_offset_is_found_if_and_only_if_the_place_is_unique(
        lines in numbered(),
        at in any::<prop::sample::Index>(),
        above in 1_usize..6,
        repeated in any::<bool>(),
    ) {
        // A change in the middle, and lines that came in above it meanwhile.
        let at = 4 + at.index(lines.len().saturating_sub(8).max(1));
        prop_assume!(at + 4 < lines.len());
        let patch = hunk(&lines, at);
        let mut now: Vec<u32> = (2_000_000..2_000_000 + above as u32).collect();
        now.extend(&lines);
        if repeated {
            now.extend(&lines);
        }
        let patch = PatchText::parse(&patch).expect("it is a patch");
        let fitted = patch.files[0].fit(&text(&now), false);
        if repeated {
            prop_assert!(matches!(fitted, Err(MisfitError::Ambiguous { .. })), "{:?}", fitted);
        } else {
            let fitted = fitted.expect("it is in one place");
            prop_assert_eq!(fitted.placements[0].offset, Some(above as i64));
            now[above + at] = 7_777_777;
            prop_assert_eq!(fitted.content, text(&now));
        }
    }

    #[test]
    fn a_mutated_patch_is_refused_or_does_what_git_apply_does(
        old in content(),
        new in content(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..3),
    ) {
        prop_assume!(old != new);
        if !has("git") {
            return Ok(());
        }
        let mut patch = git_diff(b"f", &old, &new);
        for (at, byte, kind) in mutations {
            let at = at.index(patch.len());
            match kind {
                0 => patch[at] = byte,
                1 => patch.insert(at, byte),
                2 => {
                    patch.remove(at);
                }
                // Line numbers and counts are what breaks most often.
                _ => patch[at] = b'0' + byte % 10,
            }
        }
        agrees(&patch, &old)?;
    }

    #[test]
    fn a_file_that_changed_is_refused_or_patched_as_git_apply_does(
        old in content(),
        new in content(),
        now in content(),
        keep in any::<prop::sample::Index>(),
    ) {
        prop_assume!(old != new);
        if !has("git") {
            return Ok(());
        }
        let patch = git_diff(b"f", &old, &new);
        let kept = keep.index(old.len() + 1);
        agrees(&patch, &[&now, &old[kept..]].concat())?;
        agrees(&patch, &[&old[..kept], &now].concat())?;
    }
}

/// Whether what fits, and fits byte for byte, is what `git apply` makes of it.
fn agrees(patch: &[u8], content: &[u8]) -> Result<(), TestCaseError> {
    let Ok(parsed) = PatchText::parse(patch) else { return Ok(()) };
    let [file] = &parsed.files[..] else { return Ok(()) };
    let Ok(fitted) = file.fit(content, false) else { return Ok(()) };
    let is_ours = fitted.placements.iter().any(|p| p.level > patch_formats::MatchLevel::Exact);
    let is_modified = file.change == Change::Modify { path: b"f".to_vec() };
    if is_ours || !is_modified {
        return Ok(());
    }
    let gits = git_apply(content, patch);
    // Git wants a hunk without any context to be confirmed by an option.
    if gits.is_some() || !file.names_base(content).unwrap_or(false) {
        prop_assert_eq!(
            gits,
            Some(fitted.content),
            "the patch:\n{}\nthe content:\n{}",
            patch.escape_ascii(),
            content.escape_ascii()
        );
    }
    Ok(())
}

fn hunk(lines: &[u32], at: usize) -> Vec<u8> {
    let context = |range: std::ops::Range<usize>| -> String {
        lines[range].iter().map(|line| format!(" {line}\n")).collect()
    };
    format!(
        "--- a/f\n+++ b/f\n@@ -{start},7 +{start},7 @@\n{}-{}\n+7777777\n{}",
        context(at - 3..at),
        lines[at],
        context(at + 1..at + 4),
        start = at - 2,
    )
    .into_bytes()
}
