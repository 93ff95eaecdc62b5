//! Runs the rules of the house that no other tool checks, and prints what breaks them.

use std::path::Path;

use miette::miette;

use crate::cargo::Workspace;
use crate::files::{self, File};
use crate::sources::{self, Findings};
use crate::{abi_hash, arrows, book, circles, links, refused, walks};

/// The lists of forbidden calls; one anywhere else would replace the root's for its crate.
const LINT_LISTS: [&str; 5] = [
    "clippy.toml",
    "benches/clippy.toml",
    "crates/atomic-fs/clippy.toml",
    "tests/clippy.toml",
    "xtask/clippy.toml",
];

/// Runs every rule, so that one run names everything there is to put right.
pub(crate) fn run(root: &Path) -> miette::Result<()> {
    let mut findings = check(&files::list(root)?, &Workspace::load(root)?);
    findings.problems.extend(arrows::check_event_loops(root));
    for note in &findings.notes {
        println!("note: {note}");
    }
    for problem in &findings.problems {
        eprintln!("error: {problem}");
    }
    match findings.problems.len() {
        0 => Ok(()),
        1 => Err(miette!("tidy found a problem")),
        count => Err(miette!("tidy found {count} problems")),
    }
}

fn check(files: &[File], workspace: &Workspace) -> Findings {
    let mut findings = sources::check(files);
    findings.problems.extend(arrows::check_table(workspace));
    findings.problems.extend(circles::check(files, workspace));
    findings.problems.extend(abi_hash::check(files).err());
    findings.problems.extend(links::check(files));
    findings.problems.extend(book::check(files));
    let refused = refused::check(files);
    findings.problems.extend(refused.problems);
    findings.notes.extend(refused.notes);
    findings.problems.extend(walks::check(files));
    findings.problems.extend(check_lint_lists(files));
    findings
}

fn check_lint_lists(files: &[File]) -> Vec<String> {
    let found = files.iter().map(|file| file.path.as_str());
    let lists = found
        .filter(|path| matches!(path.rsplit('/').next(), Some("clippy.toml" | ".clippy.toml")));
    let (known, strange): (Vec<_>, Vec<_>) = lists.partition(|path| LINT_LISTS.contains(path));
    let missing = LINT_LISTS.iter().filter(|path| !known.contains(path));
    let missing =
        missing.map(|path| format!("{path}: missing, so the calls it forbids are allowed"));
    let strange = strange
        .into_iter()
        .map(|path| format!("{path}: replaces the root's list of forbidden calls; use the root's"));
    missing.chain(strange).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_run() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        let files = [
            file("a.rs", "mod b; fn a() { b::c(); }"),
            file("b.rs", "pub fn c() { super::a(); }"),
            file("a.md", "[gone](gone.md)"),
            file("ARCHITECTURE.md", "<!-- walk: at most 2 steps -->\n"),
        ];
        let metadata = r#"{"workspace_root": "/w", "packages": [
            {"name": "a", "dependencies": [], "targets": [{"src_path": "/w/a.rs"}]}
        ]}"#;
        let workspace = serde_json::from_str(metadata).expect("it has the shape of cargo's");
        let problems = check(&files, &workspace).problems.join("\n");
        for words in [
            "a.rs:1: open the file",
            "arrows: the table names atomic-fs",
            "circles: files that import each other",
            "abi.rs: missing",
            "the link `gone.md`",
            "docs/SUMMARY.md: missing",
            "refused.toml: missing",
            "the walk has 0 steps",
            "xtask/clippy.toml: missing",
        ] {
            assert!(problems.contains(words), "{words} is not in:\n{problems}");
        }
    }

    #[test]
    fn a_list_of_forbidden_calls_is_not_added_or_dropped() {
        let file = |path: &str| File { path: path.to_owned(), bytes: Vec::new() };
        let mut files: Vec<File> = LINT_LISTS.iter().copied().map(file).collect();
        assert_eq!(check_lint_lists(&files), [""; 0]);
        files[0] = file("crates/cli/.clippy.toml");
        assert_eq!(
            check_lint_lists(&files),
            [
                "clippy.toml: missing, so the calls it forbids are allowed",
                "crates/cli/.clippy.toml: replaces the root's list of forbidden calls; use the root's",
            ]
        );
    }
}
