//! Pins the plugin interface: the document that plugin authors read holds its hash.
//!
//! The hash is BLAKE3 over the tokens of the interface's sources, one to a line: comments and
//! layout do not change it, and everything else does.

use std::path::Path;

use miette::miette;

use crate::files::{self, File};
use crate::tokens;

/// The sources that make up the interface; nothing else of the crate crosses the boundary.
const SOURCES: [&str; 1] = ["crates/plugins/api/src/abi.rs"];
const DOCUMENT: &str = "docs/plugin-authors.md";
const LABEL: &str = "ABI 1.0 hash:";

/// Prints the hash of the interface as it is now.
pub(crate) fn print(root: &Path) -> miette::Result<()> {
    let hash = hash(&files::list(root)?).map_err(|problem| miette!("{problem}"))?;
    println!("{hash}");
    Ok(())
}

/// Checks that the document holds the hash of the interface as it is now.
pub(crate) fn check(files: &[File]) -> Result<(), String> {
    let now = hash(files)?;
    let document = text_of(files, DOCUMENT)?;
    let mut recorded = document.lines().filter_map(recorded_hash);
    match (recorded.next(), recorded.next()) {
        (Some(recorded), None) if recorded == now => Ok(()),
        (Some(recorded), None) => Err(format!(
            "{DOCUMENT}: the plugin interface is not the one written down: it hashes to {now}, \
             not to {recorded}; if the change is meant, follow the document's rules for \
             versions and write the new hash there"
        )),
        (Some(_), Some(_)) => Err(format!("{DOCUMENT}: two lines `{LABEL} <hex>`; keep one")),
        (None, _) => Err(format!("{DOCUMENT}: add the line `{LABEL} {now}`")),
    }
}

/// The hash on a line of the document, which may dress it up as code or emphasis.
fn recorded_hash(line: &str) -> Option<&str> {
    let dressing = |c: char| c.is_whitespace() || matches!(c, '`' | '*' | '_');
    let hash = line.trim_start_matches(dressing).strip_prefix(LABEL)?;
    Some(hash.trim_matches(dressing))
}

fn hash(files: &[File]) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    for path in SOURCES {
        let tokens = tokens::of(text_of(files, path)?);
        for token in tokens.map_err(|error| format!("{path}: {error}"))? {
            hasher.update(token.text.as_bytes());
            hasher.update(b"\n");
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn text_of<'files>(files: &'files [File], path: &str) -> Result<&'files str, String> {
    let file = files.iter().find(|file| file.path == path);
    let file = file.ok_or_else(|| {
        format!("{path}: missing, so the plugin interface cannot be compared with its hash")
    })?;
    file.text().ok_or_else(|| format!("{path}: not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERFACE: &str = "//! Docs.\npub struct Reply { pub code: u32 }\n";

    fn repository(interface: &str, document: &str) -> Vec<File> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        vec![file(SOURCES[0], interface), file(DOCUMENT, document)]
    }

    fn hash_of(interface: &str) -> String {
        hash(&repository(interface, "")).expect("the interface is there")
    }

    fn check_problem(interface: &str, document: &str, expected: &str) {
        let problem = check(&repository(interface, document)).expect_err("the check must fail");
        assert!(problem.contains(expected), "{problem}");
    }

    #[test]
    fn the_recorded_hash_holds() {
        let hash = hash_of(INTERFACE);
        for line in [format!("{LABEL} {hash}"), format!("`{LABEL} {hash}`")] {
            let document = format!("# Title\n\n{line}\n");
            assert_eq!(check(&repository(INTERFACE, &document)), Ok(()));
        }
    }

    #[test]
    fn comments_and_layout_do_not_change_the_hash() {
        let same =
            "/// Why.\npub struct Reply\n{ /* why */ #![doc = \"x\"] pub code : u32 } // end";
        assert_eq!(hash_of(same), hash_of(INTERFACE));
    }

    #[test]
    fn the_line_endings_do_not_change_the_hash() {
        assert_eq!(hash_of(&INTERFACE.replace('\n', "\r\n")), hash_of(INTERFACE));
    }

    #[test]
    fn a_changed_interface_is_refused() {
        let document = format!("{LABEL} {}\n", hash_of(INTERFACE));
        let wider = INTERFACE.replace("u32", "u64");
        check_problem(&wider, &document, "not the one written down");
        check_problem(&wider, &document, &hash_of(&wider));
    }

    #[test]
    fn tokens_that_run_together_are_a_change() {
        assert_ne!(hash_of("pub ab: c"), hash_of("pub a b: c"));
    }

    #[test]
    fn a_missing_or_doubled_line_is_refused() {
        check_problem(INTERFACE, "# Title\n", "add the line `ABI 1.0 hash: ");
        let line = format!("{LABEL} {}\n", hash_of(INTERFACE));
        check_problem(INTERFACE, &line.repeat(2), "keep one");
    }

    #[test]
    fn a_missing_file_is_named() {
        let mut files = repository(INTERFACE, "");
        files.remove(1);
        assert!(check(&files).is_err_and(|problem| problem.contains(DOCUMENT)));
        files.remove(0);
        assert!(check(&files).is_err_and(|problem| problem.contains(SOURCES[0])));
    }
}
