//! Packs the crates that are published, and uses them as a program outside of the workspace does.
//!
//! Every crate of the workspace is packed. What `cargo publish` would upload is unpacked into a folder
//! of its own. There every package is checked without the repository, and a program depends on the
//! packaged orchestrator-adapter and runs the example of its README.
//!
//! # Limitations
//! Nothing is downloaded: the dependencies must have been, as after any build of the workspace. What
//! the registry itself checks, such as whether a name is free, only
//! `cargo publish --workspace --dry-run` asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, ensure, miette};

use crate::cargo::{Package, Workspace, cargo};

/// What has to be in each package besides its sources.
const FILES: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The package whose README has the example.
const EMBEDDED: &str = "greenroom-orchestrator-adapter";

/// What the example writes into its project.
const WRITTEN: (&str, &str) = ("src/greeting.txt", "good evening\n");

/// Packs, unpacks, checks and uses the packages of the workspace at `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let workspace = Workspace::load(root)?;
    let published: Vec<&Package> = workspace.published().collect();
    let problems: Vec<String> = published.iter().flat_map(|package| problems_of(package)).collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));

    let mut pack = Command::new(cargo());
    pack.args(["package", "--workspace", "--quiet", "--no-verify", "--allow-dirty", "--locked"]);
    run_in(root, pack.arg("--offline"))?;

    let outside = workspace.target_directory.join("tmp/packaged");
    if outside.exists() {
        fs::remove_dir_all(&outside).into_diagnostic()?;
    }
    fs::create_dir_all(&outside).into_diagnostic()?;
    for package in &published {
        let archive = format!("package/{}.crate", package.file_name());
        let archive = workspace.target_directory.join(archive);
        run_in(&outside, Command::new("tar").arg("-xzf").arg(archive))?;
        for file in FILES {
            let is_there = outside.join(package.file_name()).join(file).is_file();
            ensure!(is_there, "the package {} has no {file}", package.name);
        }
    }
    embed(root, &outside, &published)?;
    println!("{} packages hold without the repository", published.len());
    Ok(())
}

/// Checks every package, and runs the program that embeds one of them.
fn embed(root: &Path, outside: &Path, published: &[&Package]) -> Result<()> {
    let embedded = published.iter().find(|package| package.name == EMBEDDED);
    let embedded = embedded.ok_or_else(|| miette!("{EMBEDDED} is not published"))?;
    let readme = read(&outside.join(embedded.file_name()).join("README.md"))?;
    let write = |path: PathBuf, text: &str| fs::write(path, text).into_diagnostic();
    fs::create_dir_all(outside.join("embedder/src")).into_diagnostic()?;
    write(outside.join("Cargo.toml"), &workspace_manifest(published))?;
    write(outside.join("embedder/Cargo.toml"), &embedder_manifest(&embedded.version))?;
    write(outside.join("embedder/src/main.rs"), &program(&readme)?)?;
    // The same versions as the workspace's; what only its own crates use, cargo removes.
    fs::copy(root.join("Cargo.lock"), outside.join("Cargo.lock")).into_diagnostic()?;

    // With the workspace's profiles, what was compiled for it serves here.
    let profiles = root.join("Cargo.toml");
    let task = |arguments: &[&str]| {
        let mut task = Command::new(cargo());
        task.arg("--config").arg(&profiles).args(arguments).args(["--quiet", "--offline"]);
        task
    };
    run_in(outside, &mut task(&["check", "--workspace"]))?;
    let (project, state) = (outside.join("project"), outside.join("state"));
    fs::create_dir_all(&project).into_diagnostic()?;
    let mut example = task(&["run", "--package=embedder"]);
    run_in(outside, example.arg("--").args([&project, &state]))?;
    let (path, expected) = WRITTEN;
    ensure!(read(&project.join(path))? == expected, "the example did not write `{path}`");
    Ok(())
}

/// What a package lacks for the registry, or for those who look for it there.
fn problems_of(package: &Package) -> Vec<String> {
    let lacks = [
        ("a name that begins with `greenroom`", package.name.starts_with("greenroom")),
        ("a description", package.description.is_some()),
        ("a license", package.license.is_some()),
        ("a rust-version", package.rust_version.is_some()),
        ("one to five keywords", (1..=5).contains(&package.keywords.len())),
        ("a category", !package.categories.is_empty()),
    ];
    let lacks = lacks.into_iter().filter(|(_, has)| !has);
    lacks.map(|(what, _)| format!("the package {} lacks {what}", package.name)).collect()
}

/// A workspace of the unpacked packages, in which each finds the others where the registry would
/// have them.
fn workspace_manifest(published: &[&Package]) -> String {
    // Cargo puts its target directory beside them.
    let members = published.iter().map(|package| package.file_name());
    let members: Vec<String> = members.chain(["embedder".to_owned()]).collect();
    let mut manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n");
    for package in published {
        manifest += &format!("{} = {{ path = \"{}\" }}\n", package.name, package.file_name());
    }
    manifest
}

fn embedder_manifest(version: &str) -> String {
    format!(
        "[package]\nname = \"embedder\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\n{EMBEDDED} = \"{version}\"\n\
         tokio = {{ version = \"1\", default-features = false, features = [\"rt\"] }}\n"
    )
}

/// The example of a README as a whole program, which takes the project and the state directory.
fn program(readme: &str) -> Result<String> {
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("\n```").next());
    let block = block.ok_or_else(|| miette!("the README of {EMBEDDED} has no example"))?;
    let (uses, body): (Vec<&str>, Vec<&str>) =
        block.lines().partition(|line| line.starts_with("use "));
    Ok(format!(
        "{}\n\
         async fn example(project: String, state: String) -> Result<(), Box<dyn std::error::Error>> {{\n\
         {}\n\
         staging.shutdown().await?;\n\
         Ok(())\n\
         }}\n\
         fn main() -> Result<(), Box<dyn std::error::Error>> {{\n\
         let mut arguments = std::env::args().skip(1);\n\
         let mut next = || arguments.next().ok_or(\"two directories are needed\");\n\
         let (project, state) = (next()?, next()?);\n\
         let runtime = tokio::runtime::Builder::new_current_thread().build()?;\n\
         runtime.block_on(example(project, state))\n\
         }}\n",
        uses.join("\n"),
        body.join("\n"),
    ))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("{}", path.display()))
}

fn run_in(folder: &Path, command: &mut Command) -> Result<()> {
    let status = command.current_dir(folder).status().into_diagnostic();
    let status = status.wrap_err_with(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package whose manifest is whole, but for `change`.
    fn package(change: impl FnOnce(&mut serde_json::Value)) -> Package {
        let mut package = serde_json::json!({
            "name": "greenroom-x", "version": "0.1.0", "description": "It.", "license": "MIT",
            "rust_version": "1.95", "keywords": ["x"], "categories": ["filesystem"],
            "publish": null, "dependencies": [], "targets": [],
        });
        change(&mut package);
        serde_json::from_value(package).expect("it has the shape of cargo's")
    }

    #[test]
    fn a_package_that_lacks_something_is_refused() {
        assert_eq!(problems_of(&package(|_| ())), [""; 0]);
        for (key, value, lacks) in [
            ("name", "x".into(), "a name that begins with `greenroom`"),
            ("description", serde_json::Value::Null, "a description"),
            ("license", serde_json::Value::Null, "a license"),
            ("rust_version", serde_json::Value::Null, "a rust-version"),
            ("keywords", [""; 0].into(), "one to five keywords"),
            ("keywords", ["x"; 6].into(), "one to five keywords"),
            ("categories", [""; 0].into(), "a category"),
        ] {
            let package = package(|package| package[key] = value);
            let problem = format!("the package {} lacks {lacks}", package.name);
            assert_eq!(problems_of(&package), [problem]);
        }
    }

    #[test]
    fn the_program_is_the_readmes_example() {
        let program =
            program("# A\n\n```rust\nuse a::b;\n\nb(&project)?;\n```\n\n```rust\nc();\n```\n");
        let program = program.expect("there is an example");
        assert!(program.starts_with("use a::b;\nasync fn example("), "{program}");
        assert!(program.contains("\nb(&project)?;\nstaging.shutdown()"), "{program}");
        assert!(!program.contains("c();"), "{program}");
    }

    #[test]
    fn a_readme_without_an_example_is_an_error() {
        assert!(super::program("# A\n").is_err());
    }
}
