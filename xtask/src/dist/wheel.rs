//! The wheel: the Python package and the command, which pip puts beside `python`.
//!
//! Written here and not by maturin or hatchling, because maturin takes no binary that is built already, and
//! neither is needed for a zip archive with a list of its files. The format is that of the [specification].
//!
//! [specification]: https://packaging.python.org/en/latest/specifications/binary-distribution-format/

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::documents::Documents;
use super::entries::{Entry, zip};
use super::output::Artefact;
use super::release::Release;
use super::target::Target;

/// `python/pyproject.toml`, of which the metadata is made.
#[derive(Deserialize)]
struct Manifest {
    project: Project,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    name: String,
    version: String,
    description: String,
    readme: String,
    requires_python: String,
    license: String,
    dependencies: Vec<String>,
    classifiers: Vec<String>,
}

pub(super) fn of(
    root: &Path,
    release: &Release,
    target: &Target,
    program: &[u8],
    documents: &Documents,
) -> Result<Artefact> {
    let python = root.join("python");
    let project = load(&python, release)?;
    let name = format!("{}-{}", project.name, project.version);
    let (info, data) = (format!("{name}.dist-info"), format!("{name}.data"));
    let mut entries = package(&python, &project.name)?;
    entries.push(Entry::program(format!("{data}/scripts/{}", target.program_name()), program));
    if target.program_name() == "greenroom" {
        let shared = documents.shared().into_iter();
        entries.extend(
            shared.map(|entry| Entry { path: format!("{data}/data/{}", entry.path), ..entry }),
        );
    }
    entries.sort();
    // Tools that read only the end of the archive find the metadata there.
    let readme = fs::read_to_string(python.join(&project.readme)).into_diagnostic()?;
    let licences = documents.legal(&format!("{info}/licenses/"));
    entries.push(Entry::file(
        format!("{info}/METADATA"),
        metadata(release, &project, &licences, &readme),
    ));
    entries.extend(licences);
    let tags: Vec<String> = target.wheel_platforms();
    let wheel = tags.iter().fold(
        "Wheel-Version: 1.0\nGenerator: cargo xtask dist\nRoot-Is-Purelib: false\n".to_owned(),
        |text, tag| format!("{text}Tag: py3-none-{tag}\n"),
    );
    entries.push(Entry::file(format!("{info}/WHEEL"), wheel));
    let record = record(&entries, &info);
    entries.push(record);
    let name = format!("{name}-py3-none-{}.whl", tags.join("."));
    Ok(Artefact { name, bytes: zip(&entries, release.epoch)? })
}

fn load(python: &Path, release: &Release) -> Result<Project> {
    let text = fs::read_to_string(python.join("pyproject.toml")).into_diagnostic()?;
    let Manifest { project } =
        toml::from_str(&text).into_diagnostic().wrap_err("cannot read python/pyproject.toml")?;
    if project.version != release.version {
        return Err(miette!(
            "python/pyproject.toml has version {}, and the command {}",
            project.version,
            release.version
        ));
    }
    Ok(project)
}

/// The modules of the Python package.
fn package(python: &Path, name: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(python.join(name)).into_diagnostic()? {
        let entry = entry.into_diagnostic()?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().into_diagnostic()?.is_file() {
            let content = fs::read(entry.path()).into_diagnostic()?;
            entries.push(Entry::file(format!("{name}/{file}"), content));
        } else if file != "__pycache__" {
            return Err(miette!("python/{name}/{file} is not packed: only files are"));
        }
    }
    Ok(entries)
}

fn metadata(release: &Release, project: &Project, licences: &[Entry], readme: &str) -> String {
    let mut text = format!(
        "Metadata-Version: 2.4\nName: {}\nVersion: {}\nSummary: {}\nLicense-Expression: {}\n",
        project.name, project.version, project.description, project.license
    );
    for licence in licences {
        let name = licence.path.rsplit('/').next().unwrap_or_default();
        let _ = writeln!(text, "License-File: {name}");
    }
    if let Some(repository) = &release.repository {
        let _ = writeln!(text, "Project-URL: Repository, {repository}");
    }
    for classifier in &project.classifiers {
        let _ = writeln!(text, "Classifier: {classifier}");
    }
    for dependency in &project.dependencies {
        let _ = writeln!(text, "Requires-Dist: {dependency}");
    }
    let python = &project.requires_python;
    let _ = writeln!(text, "Requires-Python: {python}\nDescription-Content-Type: text/markdown\n");
    text.push_str(&release.with_absolute_links(readme, "python"));
    if let Some(server) = release.mcp_name() {
        // By this line the registry of MCP servers knows that the package is of whom it says.
        let _ = writeln!(text, "\n<!-- mcp-name: {server} -->");
    }
    text
}

/// The list of the files with their digests, on which the list itself has none.
fn record(entries: &[Entry], info: &str) -> Entry {
    let path = format!("{info}/RECORD");
    let mut text = entries.iter().fold(String::new(), |mut text, entry| {
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&entry.content));
        let _ = writeln!(text, "{},sha256={digest},{}", entry.path, entry.content.len());
        text
    });
    let _ = writeln!(text, "{path},,");
    Entry::file(path, text)
}
