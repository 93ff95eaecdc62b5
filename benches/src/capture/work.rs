//! The tree, and what commands do in it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result};

use crate::programs::succeed;

/// What one run took.
pub(super) struct Measured {
    /// The script, by its own clock.
    pub(super) inside: Duration,
    /// The rest of the whole process: the start of the view and what comes after the script.
    pub(super) around: Duration,
}

/// A part of what was measured.
pub(super) type Part = fn(&Measured) -> Duration;

/// How many files a directory of the tree has.
const FILES_PER_DIRECTORY: usize = 48;

/// One thing that a shell does in the tree.
pub(super) struct Work {
    pub(super) name: &'static str,
    /// What is measured.
    pub(super) script: &'static str,
    /// What brings the tree back after the bare command has done it.
    pub(super) undo: &'static str,
    /// Whether the time outside of the script is of interest: the start, and the import at the end.
    around: bool,
}

impl Work {
    /// Everything that is measured.
    pub(super) fn all() -> Vec<Self> {
        let work = |name, script, undo| Self { name, script, undo, around: false };
        vec![
            Self { around: true, ..work("nothing", ":", ":") },
            work("git status, first", "git status --short > /dev/null", ":"),
            work(
                "git status, second",
                "git status --short > /dev/null; begin; git status --short > /dev/null",
                ":",
            ),
            work("find and stat all", "find . -type f -size +1M", ":"),
            work(
                "grep in 5,000 files",
                "grep -r needle d00 d01 d02 d03 d04 d05 d06 d07 d08 d09",
                ":",
            ),
            work("untar 2,000 files", "tar xf ../tools/two-thousand.tar", "rm -r untarred"),
            work(
                "create 5,000 files",
                "for d in $(seq 50); do mkdir -p made/$d; (cd made/$d; split -a 3 -b 40 ../../../tools/four-thousand-bytes x); done",
                "rm -r made",
            ),
            work(
                "append to 500 files",
                "for f in d2?/e?/f?; do echo line >> $f; done",
                "git checkout -q .",
            ),
            work("sed -i on 500 files", "sed -i s/one/two/ d2?/e?/f?", "git checkout -q ."),
            work("rm of 1,000 files", "rm -r d3?/e0 d4?/e1", "git checkout -q ."),
            work("200 programs", "for i in $(seq 200); do /bin/true; done", ":"),
            work(
                "cargo build of 20 modules",
                "cp -r ../tools/small .; cd small; begin; cargo build -q --offline",
                "rm -rf small",
            ),
            work(
                "npm install of 40 packages",
                "cp -r ../tools/package .; cd package; begin; npm install --offline --no-audit --no-fund --silent",
                "rm -rf package",
            ),
            Self {
                around: true,
                ..work(
                    "1,000 changes",
                    "sed -i s/one/two/ d5?/e?/f? d6?/e?/f?",
                    "git checkout -q .",
                )
            },
        ]
    }

    /// What of it is shown: the time in the script, and the time around it.
    pub(super) fn parts(&self) -> Vec<(&'static str, Part)> {
        let inside: Part = |measured| measured.inside;
        let around: Part = |measured| measured.around;
        if self.around {
            vec![("", inside), (", start and end", around)]
        } else {
            vec![("", inside)]
        }
    }
}

/// Makes the tree with a repository in it, and the tools beside it.
pub(super) fn make_tree(tree: &Path, files: usize) -> Result<()> {
    for directory in 0..files / FILES_PER_DIRECTORY {
        let path = tree.join(format!("d{:02}/e{}", directory / 10, directory % 10));
        fs::create_dir_all(&path).into_diagnostic()?;
        for file in 0..FILES_PER_DIRECTORY {
            let content = format!("one {directory} {file}\n").repeat(20 + file);
            fs::write(path.join(format!("f{file}")), content).into_diagnostic()?;
        }
    }
    fs::write(tree.join(".gitignore"), "target/\nnode_modules/\n").into_diagnostic()?;
    let tools = tree.with_file_name("tools");
    let untarred = tools.join("untarred");
    fs::create_dir_all(&untarred).into_diagnostic()?;
    for file in 0..2000 {
        let path = untarred.join(format!("{}", file / 40));
        fs::create_dir_all(&path).into_diagnostic()?;
        fs::write(path.join(format!("f{file}")), format!("{file}\n").repeat(200))
            .into_diagnostic()?;
    }
    let archive = ["cf", "two-thousand.tar", "untarred"];
    succeed(Command::new("tar").args(archive).current_dir(&tools))?;
    fs::write(tools.join("four-thousand-bytes"), "0123456\n".repeat(500)).into_diagnostic()?;
    make_crate(&tools.join("small"))?;
    make_package(&tools.join("package"))?;
    for arguments in [
        &["init", "-q"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "all"],
    ] {
        succeed(Command::new("git").args(arguments).current_dir(tree))?;
    }
    Ok(())
}

/// A package that depends on 40 others with 25 files each, which lie beside it as archives.
fn make_package(place: &Path) -> Result<()> {
    let archives = place.join("archives");
    fs::create_dir_all(&archives).into_diagnostic()?;
    let mut dependencies = serde_json::Map::new();
    for number in 0..40 {
        let name = format!("dependency-{number}");
        let source = archives.join("package");
        fs::create_dir_all(source.join("lib")).into_diagnostic()?;
        let manifest = serde_json::json!({ "name": name, "version": "1.0.0" }).to_string();
        fs::write(source.join("package.json"), manifest).into_diagnostic()?;
        for file in 0..24 {
            let content = format!("exports.f = () => {file};\n").repeat(100);
            fs::write(source.join(format!("lib/{file}.js")), content).into_diagnostic()?;
        }
        let archive = format!("{name}.tgz");
        let pack = ["czf", &archive, "package"];
        succeed(Command::new("tar").args(pack).current_dir(&archives))?;
        dependencies.insert(name, format!("file:archives/{archive}").into());
    }
    fs::remove_dir_all(archives.join("package")).into_diagnostic()?;
    let manifest = serde_json::json!({ "name": "package", "dependencies": dependencies });
    fs::write(place.join("package.json"), manifest.to_string()).into_diagnostic()
}

/// A crate of 20 modules without dependencies.
fn make_crate(place: &Path) -> Result<()> {
    let source = place.join("src");
    fs::create_dir_all(&source).into_diagnostic()?;
    let manifest =
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(place.join("Cargo.toml"), manifest).into_diagnostic()?;
    let mut main = String::new();
    for module in 0..20 {
        main.push_str(&format!("mod m{module};\n"));
        let functions = (0..40).map(|function| {
            format!(
                "pub fn f{function}(x: u64) -> u64 {{ x.wrapping_mul({function} + {module}) }}\n"
            )
        });
        fs::write(source.join(format!("m{module}.rs")), functions.collect::<String>())
            .into_diagnostic()?;
    }
    main.push_str("fn main() {\n    let mut x = 1;\n");
    for module in 0..20 {
        for function in 0..40 {
            main.push_str(&format!("    x = m{module}::f{function}(x);\n"));
        }
    }
    main.push_str("    println!(\"{x}\");\n}\n");
    fs::write(source.join("main.rs"), main).into_diagnostic()
}
