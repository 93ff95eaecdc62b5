//! Runs the rules of the house that no other tool checks, and prints what breaks them.

use std::path::Path;

use miette::miette;

use crate::arrows::{self, Metadata};
use crate::files::{self, File};
use crate::sources::{self, Findings};
use crate::{abi_hash, links, machine_paths};

/// Runs every rule, so that one run names everything there is to put right.
pub(crate) fn run(root: &Path) -> miette::Result<()> {
    let findings = check(&files::list(root)?, &Metadata::load(root)?);
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

fn check(files: &[File], metadata: &Metadata) -> Findings {
    let mut findings = sources::check(files);
    findings.problems.extend(arrows::check(metadata));
    findings.problems.extend(abi_hash::check(files).err());
    findings.problems.extend(links::check(files));
    findings.problems.extend(machine_paths::check(files));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_run() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), bytes: text.into() };
        let machine_path = concat!("[gone](gone.md) /ro", "ot/here");
        let files = [file("a.rs", "fn a() {}"), file("a.md", machine_path)];
        let empty = r#"{"packages":[],"workspace_members":[],"resolve":{"nodes":[]}}"#;
        let metadata = serde_json::from_str(empty).expect("the graph has the shape of cargo's");
        let problems = check(&files, &metadata).problems.join("\n");
        for words in [
            "a.rs:1: open the file",
            "arrows: the table names atomic-fs",
            "abi.rs: missing",
            "the link `gone.md`",
            "exists on one machine only",
        ] {
            assert!(problems.contains(words), "{words} is not in:\n{problems}");
        }
    }
}
