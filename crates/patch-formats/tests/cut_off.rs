//! A patch that is cut off at any byte is refused, or is a complete patch to `git apply` as well.

#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use patch_formats::{Change, MatchLevel, ModeChange, PatchText};
use rstest::rstest;

/// Content and whether it can be run, by name.
type Tree = BTreeMap<String, (Vec<u8>, bool)>;

fn tree(files: &[(&str, &str, bool)]) -> Tree {
    files
        .iter()
        .map(|(name, text, run)| ((*name).to_owned(), (text.as_bytes().to_vec(), *run)))
        .collect()
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

fn before() -> Tree {
    tree(&[
        ("gone", "one\ntwo\n", false),
        ("gone-empty", "", false),
        ("kept", &numbers(0..40), false),
        ("mode", "x\n", false),
        ("name with blanks", "a\nb\n", false),
        ("no-end", "a\nb", false),
        ("old-name", &numbers(0..30), false),
        ("old-pure", &numbers(50..60), false),
    ])
}

fn after() -> Tree {
    let kept =
        numbers(0..40).replace("line 3\n", "LINE 3\n").replace("line 30\n", "new\nline 30\n");
    tree(&[
        ("empty", "", false),
        ("kept", &kept, false),
        ("mode", "x\n", true),
        ("n\u{e4}me", "new\n", false),
        ("name with blanks", "a\nc\n", true),
        ("new", "#!/bin/sh\nexit\n", true),
        ("new-name", &numbers(0..30).replace("line 9\n", "LINE 9\n"), false),
        ("new-pure", &numbers(50..60), false),
        ("no-end", "a\nb\nc", false),
    ])
}

fn lay(folder: &Path, tree: &Tree) {
    for (name, (content, run)) in tree {
        let path = folder.join(name);
        fs::write(&path, content).expect("the file can be written");
        let mode = if *run { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
}

fn lie(folder: &Path) -> Tree {
    let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let run = entry.metadata().expect("a file").permissions().mode() & 0o100 != 0;
            let name = entry.file_name().into_string().expect("all are UTF-8");
            (name, (fs::read(entry.path()).expect("a file"), run))
        })
        .collect()
}

fn git(folder: &Path, arguments: &[&str]) -> std::process::Output {
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

/// `git diff` between two trees, with renames.
fn git_diff(old: &Tree, new: &Tree) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let work = folder.path().join("work");
    fs::create_dir(&work).expect("it can be made");
    git(&work, &["init", "-q", "."]);
    let write_tree = |tree: &Tree| {
        for name in lie(&work).keys() {
            fs::remove_file(work.join(name)).expect("it is ours");
        }
        lay(&work, tree);
        git(&work, &["add", "-A"]);
        let id = git(&work, &["write-tree"]).stdout;
        String::from_utf8(id).expect("an id is text").trim().to_owned()
    };
    let (old, new) = (write_tree(old), write_tree(new));
    git(&work, &["diff", "-M", &old, &new]).stdout
}

/// The tree after `git apply`; nothing when it refuses.
fn git_apply(tree: &Tree, patch: &[u8]) -> Option<Tree> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let work = folder.path().join("work");
    fs::create_dir(&work).expect("it can be made");
    lay(&work, tree);
    fs::write(folder.path().join("p"), patch).expect("the patch can be written");
    let applied = git(&work, &["apply", "--whitespace=nowarn", "../p"]);
    applied.status.success().then(|| lie(&work))
}

/// The tree after the patch is fitted here; nothing when it is refused.
fn fit(before: &Tree, patch: &[u8]) -> Option<Tree> {
    let patch = PatchText::parse(patch).ok()?;
    let mut after = before.clone();
    let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("all are UTF-8");
    for file in &patch.files {
        let source = file.change.source().map(name);
        let (content, run) =
            source.as_ref().map_or(Some((Vec::new(), false)), |n| before.get(n).cloned())?;
        let fitted = file.fit(&content, false).ok()?;
        let is_ours = fitted.placements.iter().any(|place| place.level > MatchLevel::Exact);
        assert!(!is_ours, "nothing here has to be lenient");
        let run = match file.mode {
            Some(ModeChange::Executable(run)) => run,
            Some(ModeChange::Exact { new, .. }) => new & 0o100 != 0,
            None => run,
        };
        if let Some(source) = source {
            after.remove(&source);
        }
        if !matches!(file.change, Change::Delete { .. }) {
            after.insert(file.change.target().map(name)?, (fitted.content, run));
        }
    }
    Some(after)
}

/// The same patch without git's headers; only what is modified, created or deleted with content.
fn plain() -> (Tree, Vec<u8>) {
    let before =
        tree(&[("f", &numbers(0..40), false), ("g", "a\nb", false), ("gone", "x\n", false)]);
    let after = tree(&[
        ("f", &numbers(0..40).replace("line 3\n", "").replace("line 30\n", "X\n"), false),
        ("g", "a\nc\n", false),
        ("new", "1\n2\n", false),
    ]);
    let patch = String::from_utf8(git_diff(&before, &after)).expect("it is text");
    let is_header = |line: &&str| {
        ["diff ", "index ", "new file", "deleted"].iter().any(|head| line.starts_with(head))
    };
    let lines = patch.split_inclusive('\n').filter(|line| !is_header(line));
    (before, lines.collect::<String>().into_bytes())
}

fn has_git() -> bool {
    let there = Command::new("git").arg("--version").output().is_ok_and(|out| out.status.success());
    if !there {
        eprintln!("skipped: there is no git here");
    }
    there
}

#[rstest]
#[case::git(before(), git_diff(&before(), &after()))]
#[case::plain(plain().0, plain().1)]
fn a_unified_diff_cut_off_anywhere_is_refused_or_does_what_git_apply_does(
    #[case] tree: Tree,
    #[case] patch: Vec<u8>,
) {
    if !has_git() {
        return;
    }
    let whole = fit(&tree, &patch).expect("git wrote it");
    assert_eq!(Some(whole), git_apply(&tree, &patch), "the whole patch");
    let (mut refused, mut accepted) = (0, 0);
    for cut in 0..patch.len() {
        let patch = &patch[..cut];
        let Some(fitted) = fit(&tree, patch) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        // Not compared in the message: trees are long.
        let is_gits = Some(fitted) == git_apply(&tree, patch);
        assert!(is_gits, "cut at byte {cut}: {}", patch.escape_ascii());
        let last = patch.split_inclusive(|byte| *byte == b'\n').next_back().unwrap_or_default();
        let says_something = !last.ends_with(b"\n") && !last.starts_with(b"\\ ");
        assert!(!says_something, "a line that is cut off: {}", last.escape_ascii());
    }
    assert!(refused > 20 * accepted && accepted > 3, "{refused} refused, {accepted} accepted");
}

#[test]
fn a_begin_patch_cut_off_anywhere_is_refused() {
    let patch = "*** Begin Patch\n*** Update File: kept\n@@\n line 2\n-line 3\n+LINE 3\n line 4\n\
        *** Add File: new\n+#!/bin/sh\n+exit\n*** Delete File: gone\n*** Update File: old-name\n\
        *** Move to: new-name\n@@ line 8\n-line 9\n+LINE 9\n*** Update File: no-end\n@@\n b\n+c\n\
        *** End of File\n*** End Patch\n";
    let whole = PatchText::parse(patch.as_bytes()).expect("it is a patch");
    for cut in 0..patch.len() - 1 {
        assert!(PatchText::parse(&patch.as_bytes()[..cut]).is_err(), "cut at byte {cut}");
    }
    let unended = PatchText::parse(patch.trim_end().as_bytes()).expect("its last marker is whole");
    assert_eq!(format!("{unended:?}"), format!("{whole:?}"), "only the last line feed is missing");
}
