//! Which paths are ignored, compared with git.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use capture::{Bytes, Kind, Private, Rules};

const RULES: [(&str, &str); 4] = [
    (".git/info/exclude", "*.log\n!kept.log\n"),
    (
        ".gitignore",
        "target/\n/build\n*.tmp\ndoc/**/private\n# no rule\n\\#odd\ntrailing \n[ab].o\n",
    ),
    ("sub/.gitignore", "!x.tmp\n/only-here\n*.bak\n"),
    ("sub/deep/.gitignore", "x.tmp\n!*.bak\n"),
];

const PATHS: [&str; 26] = [
    "target/a",
    "sub/target/b",
    "build",
    "sub/build",
    "x.tmp",
    "sub/x.tmp",
    "sub/deep/x.tmp",
    "sub/y.tmp",
    "a.log",
    "sub/deep/a.log",
    "kept.log",
    "sub/kept.log",
    "doc/private",
    "doc/x/y/private",
    "other/doc/private",
    "#odd",
    "no rule",
    "trailing",
    "a.o",
    "c.o",
    "sub/only-here",
    "only-here",
    "sub/z.bak",
    "sub/deep/z.bak",
    "z.bak",
    "targets/a",
];

#[test]
fn what_git_ignores_is_private_and_nothing_else() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // The user's own rules are not those of the test.
        git.args(["-c", "core.excludesFile=/dev/null"]).args(arguments).current_dir(root);
        git
    };
    assert!(git(&["init", "--quiet"]).status()?.success());
    for (name, text) in RULES.into_iter().chain(PATHS.map(|path| (path, ""))) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().ok_or("a file is in a directory")?)?;
        fs::write(path, text)?;
    }
    let mut check =
        git(&["check-ignore", "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    check.stdin.take().ok_or("it is piped")?.write_all(PATHS.join("\n").as_bytes())?;
    let ignored = String::from_utf8(check.wait_with_output()?.stdout)?;
    // Git quotes nothing of these.
    let by_git: BTreeSet<&str> = ignored.lines().map(|line| line.trim_matches('"')).collect();

    let read = |name: &[u8]| fs::read(root.join(str::from_utf8(name).ok()?)).ok();
    let general = vec![Bytes(RULES[0].1.as_bytes().to_vec())];
    let mut private = Private::collecting(Rules { general, ..Rules::default() }, &read);
    let mut is_private = |path: &str| {
        // As a walk does, which reaches each directory before what is in it.
        let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
        let above = ends.map(|above| private.is_private(above.as_bytes(), Kind::Directory));
        let is_below = above.filter(|is_private| *is_private).count() > 0;
        private.is_private(path.as_bytes(), Kind::File) || is_below
    };
    let ours: BTreeSet<&str> = PATHS.into_iter().filter(|path| is_private(path)).collect();
    assert_eq!(ours, by_git);
    assert!(by_git.len() > 10, "{by_git:?}");
    Ok(())
}
