//! Packs built binaries for every way to install the command: `cargo xtask dist`.
//!
//! The same inputs give the same bytes: entries are sorted, owners and modes are fixed, and every time is
//! `SOURCE_DATE_EPOCH` or that of the last commit. Nothing is downloaded and no packaging tool is needed.

mod archive;
mod crates;
mod deb;
mod documents;
mod entries;
mod formula;
mod npm;
mod output;
mod registry;
mod release;
mod sbom;
mod target;
mod third_party;
mod wheel;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use self::crates::Crates;
use self::documents::Documents;
use self::output::Output;
use self::release::Release;
use self::target::{GlibcVersion, Target};
use crate::cargo::cargo;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A built `greenroom`, once for each platform; without it one is built for this machine
    #[arg(long, value_name = "FILE")]
    from_binary: Vec<PathBuf>,
    /// The directory to write to
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
    /// Fail if a binary needs a newer glibc
    #[arg(long, value_name = "VERSION")]
    glibc_max: Option<GlibcVersion>,
    /// The repository that the packages name, and whose releases have them [default: the manifest's]
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
}

/// A built binary and what it runs on.
struct Program {
    path: PathBuf,
    target: Target,
    bytes: Vec<u8>,
}

/// Packs the binaries.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let paths = match options.from_binary.as_slice() {
        [] => vec![build(root)?],
        paths => paths.to_vec(),
    };
    let programs = paths.into_iter().map(read).collect::<Result<Vec<Program>>>()?;
    check(&programs, options.glibc_max)?;
    let release = Release::load(root, options.repository.as_deref())?;
    let paths: Vec<&Path> = programs.iter().map(|program| program.path.as_path()).collect();
    let documents = Documents::load(root, &paths)?;
    let mut output = Output::default();
    let mut sums = BTreeMap::new();
    for program in &programs {
        let Program { target, bytes, .. } = program;
        let crates = Crates::load(root, &target.triple())?;
        let mut documents = documents.clone();
        documents.third_party = third_party::text(&crates)?;
        let archive = archive::of(&release, target, bytes, &documents)?;
        sums.insert(target.clone(), (archive.name.clone(), output::sha256(&archive.bytes)));
        output.add(archive);
        output.add(wheel::of(root, &release, target, bytes, &documents)?);
        output.add(npm::of_platform(&release, target, bytes, &documents)?);
        if let Some(depends) = deb::dependencies(target) {
            output.add(deb::of(root, &release, target, &depends, bytes, &documents)?);
        }
        output.add(sbom::of(&release, target, bytes, &crates)?);
    }
    let targets: Vec<&Target> = sums.keys().collect();
    output.add(npm::of_all(root, &release, &targets, &documents)?);
    match &release.repository {
        None => println!(
            "note: no server.json, Homebrew formula or Scoop manifest: the manifest has no `repository`, and \
             they name its address; pass --repository"
        ),
        Some(repository) => {
            output.add(registry::server_json(&release, repository)?);
            output.add(formula::homebrew(root, &release, repository, &sums)?);
            output.add_all(formula::scoop(root, &release, repository, &sums)?);
        }
    }
    let out = root.join(&options.out);
    output.write(&out)?;
    for program in &programs {
        println!("packed {} ({})", program.path.display(), program.target.in_words());
    }
    println!("wrote {} files to {}", output.len(), out.display());
    Ok(())
}

/// Builds the command; the path of the binary.
fn build(root: &Path) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["build", "--profile=dist", "--locked", "--bin=greenroom"]);
    command
        .args(["--message-format=json", "--package", &release::package_name(root)?])
        .stderr(std::process::Stdio::inherit());
    let output = command.current_dir(root).output().into_diagnostic()?;
    if !output.status.success() {
        return Err(miette!("cargo build failed"));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut built = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "greenroom")
            .then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    built.next_back().ok_or_else(|| miette!("cargo build reports no `greenroom`"))
}

fn read(path: PathBuf) -> Result<Program> {
    let bytes = fs::read(&path)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", path.display()))?;
    let target = Target::of(&bytes).wrap_err_with(|| format!("cannot pack {}", path.display()))?;
    Ok(Program { path, target, bytes })
}

fn check(programs: &[Program], glibc_max: Option<GlibcVersion>) -> Result<()> {
    for (number, Program { path, target, .. }) in programs.iter().enumerate() {
        let path = path.display();
        let same = |other: &&Program| other.target.triple() == target.triple();
        if let Some(other) = programs[..number].iter().find(same) {
            return Err(miette!("{path} and {} are for the same platform", other.path.display()));
        }
        if let (Some(needed), Some(max)) = (target.glibc(), glibc_max)
            && needed.version > max
        {
            return Err(miette!(
                "{path} needs glibc {}, and at most {max} is allowed: {}",
                needed.version,
                needed.symbol
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
