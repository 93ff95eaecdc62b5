//! Finds paths that exist on one machine only, such as somebody's home folder.
//!
//! The prefixes are put together from pieces so that this file does not find itself.

use crate::files::File;

const HOME: &str = concat!("/ho", "me/");
const WHOLE: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Names that documentation and tests use for nobody in particular.
const NOBODY: [&str; 4] = ["user", "you", "alice", "bob"];

/// Checks every text among `files`.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| !file.is_fixture()) {
        // A binary file has no lines to read; `lossy` would only invent characters.
        let Some(text) = file.text() else { continue };
        for (index, line) in text.lines().enumerate() {
            for path in find(line) {
                let (name, line) = (&file.path, index + 1);
                problems.push(format!("{name}:{line}: `{path}` exists on one machine only"));
            }
        }
    }
    problems
}

/// The starts of the machine paths in `line`.
fn find(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for prefix in WHOLE {
        let hits = line.match_indices(prefix);
        let absolute = hits.filter(|(at, _)| is_absolute(&line[..*at]));
        found.extend(absolute.map(|(_, prefix)| prefix.to_owned()));
    }
    for (at, _) in line.match_indices(HOME) {
        let after = &line[at + HOME.len()..];
        let name_length = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
        let name = &after[..name_length];
        if is_absolute(&line[..at]) && !name.is_empty() && !NOBODY.contains(&name) {
            found.push(format!("{HOME}{name}"));
        }
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether a path that starts after `before` starts at the root, and is not the end of a
/// longer one (`src/work/…`, `../work/…`, `$ROOT/work/…`, `{root}/work/…`).
fn is_absolute(before: &str) -> bool {
    let before = before.strip_suffix("file://").unwrap_or(before);
    match before.chars().next_back() {
        Some(c) => !(is_name(c) || matches!(c, '.' | '/' | '~' | '}' | ')' | ']' | '*' | '>')),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str, expected: &[&str]) {
        assert_eq!(find(line), expected, "the machine paths in {line:?}");
    }

    #[test]
    fn machine_paths_are_found() {
        let [work, root] = WHOLE;
        check_line(&format!("cd {work}main"), &[work]);
        check_line(&format!("{root}.cargo"), &[root]);
        check_line(&format!("see \"file://{root}x\""), &[root]);
        check_line(&format!("`{HOME}jsmith`"), &[concat!("/ho", "me/jsmith")]);
    }

    #[test]
    fn the_end_of_a_longer_path_is_left_alone() {
        let [work, root] = WHOLE;
        for before in ["src", "..", "$ROOT", "{root}", "https://example.org"] {
            check_line(&format!("{before}{work}a"), &[]);
        }
        check_line(root.trim_end_matches('/'), &[]);
    }

    #[test]
    fn homes_of_nobody_are_left_alone() {
        check_line(&format!("{HOME}user/project {HOME}<name> {HOME}"), &[]);
    }

    #[test]
    fn the_line_of_the_finding_is_named() {
        let bytes = format!("first\n{}", WHOLE[0]).into_bytes();
        let path = "a.md".to_owned();
        let problems = check(&[File { path, bytes }]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("a.md:2: "), "{problems:?}");
    }
}
