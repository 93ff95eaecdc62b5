//! Rules for every Rust source and crate: module docs, length, and the workspace's lints.
//!
//! No source is exempt from module docs, entry points and build scripts included: one sentence
//! costs little and says what the file is for. What clippy checks is left to clippy, and tidy
//! checks that every crate asks it to.

use crate::files::File;

/// A source with more lines than this is noted.
const LINES_NOTED: usize = 400;
/// A source with more lines than this is refused.
const LINES_MAX: usize = 1000;

/// What the rules found in one source, or in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Checks every Rust source and every manifest of a crate among `files`.
pub(crate) fn check(files: &[File]) -> Findings {
    let mut findings = Findings::default();
    for file in files.iter().filter(|file| !file.is_fixture()) {
        match file.text() {
            Some(text) if file.path.ends_with(".rs") => {
                check_source(&file.path, text, &mut findings);
            }
            Some(text) if file.path.ends_with("Cargo.toml") => {
                findings.problems.extend(check_manifest(&file.path, text));
            }
            None if file.path.ends_with(".rs") => {
                findings.problems.push(format!("{}: not UTF-8", file.path));
            }
            _ => {}
        }
    }
    findings
}

fn check_source(path: &str, text: &str, findings: &mut Findings) {
    let first = text.lines().next().unwrap_or_default();
    let sentence = first.strip_prefix("//!").map(str::trim);
    if sentence.is_none_or(str::is_empty) {
        findings.problems.push(format!(
            "{path}:1: open the file with a `//!` sentence that says what it is for"
        ));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings
            .problems
            .push(format!("{path}: {lines} lines; split it, at most {LINES_MAX} are allowed"));
    } else if lines > LINES_NOTED {
        findings.notes.push(format!("{path}: {lines} lines; consider splitting it"));
    }
}

/// clippy refuses `todo!`, `dbg!` and the like only where a crate takes the workspace's lints.
fn check_manifest(path: &str, text: &str) -> Option<String> {
    let Ok(manifest) = text.parse::<toml::Table>() else {
        return Some(format!("{path}: not TOML"));
    };
    // An example outside of the workspace is linted by its author.
    let is_member = manifest.contains_key("package") && !manifest.contains_key("workspace");
    let inherits = || manifest.get("lints")?.get("workspace")?.as_bool();
    (is_member && inherits() != Some(true))
        .then(|| format!("{path}: add `workspace = true` to `[lints]`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: impl Into<Vec<u8>>) -> File {
        let (path, bytes) = (path.to_owned(), text.into());
        File { path, bytes }
    }

    fn check_problems(text: impl Into<Vec<u8>>, expected: &[&str]) {
        let findings = check(&[source("a.rs", text)]);
        assert_eq!(findings.problems, expected, "the problems of the source");
    }

    #[test]
    fn a_source_without_module_docs_is_refused() {
        let problem = "a.rs:1: open the file with a `//!` sentence that says what it is for";
        check_problems("//! Says what it is for.\nfn a() {}\n", &[]);
        check_problems("fn a() {}\n", &[problem]);
        check_problems("//!\n//! Late.\n", &[problem]);
        check_problems("// Not a doc comment.\n", &[problem]);
        check_problems("", &[problem]);
    }

    #[test]
    fn a_source_that_is_not_utf8_is_refused() {
        check_problems([0xff], &["a.rs: not UTF-8"]);
    }

    #[test]
    fn long_sources_are_noted_and_longer_ones_refused() {
        let of_length = |lines: usize| "//! Long.\n".repeat(lines);
        let findings = |lines| check(&[source("a.rs", of_length(lines))]);
        assert_eq!(findings(400), Findings::default());
        assert_eq!(findings(401).notes, ["a.rs: 401 lines; consider splitting it"]);
        assert_eq!(findings(1000).problems, [""; 0]);
        assert_eq!(
            findings(1001).problems,
            ["a.rs: 1001 lines; split it, at most 1000 are allowed"]
        );
    }

    #[test]
    fn a_crate_without_the_workspaces_lints_is_refused() {
        let problems = |text: &str| check(&[source("a/Cargo.toml", text)]).problems;
        let problem = "a/Cargo.toml: add `workspace = true` to `[lints]`";
        assert_eq!(problems("[package]\n"), [problem]);
        assert_eq!(problems("[package]\n[lints]\nworkspace = false\n"), [problem]);
        assert_eq!(problems("[package]\n[lints]\nworkspace = true\n"), [""; 0]);
        assert_eq!(problems("[workspace]\n"), [""; 0]);
        assert_eq!(problems("[package]\n[workspace]\n"), [""; 0]);
        assert_eq!(problems("[package\n"), ["a/Cargo.toml: not TOML"]);
    }

    #[test]
    fn fixtures_and_other_files_are_left_alone() {
        let files = [source("tests/fixtures/bad.rs", "todo!()"), source("a.md", "x")];
        assert_eq!(check(&files), Findings::default());
    }
}
