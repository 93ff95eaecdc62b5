//! Files of published crates in one version and the next, downloaded by cargo.
//!
//! Versions are pinned, so the corpus is the same everywhere. Nothing of it is kept in the
//! repository; what cannot be downloaded is left out, and said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use super::pairs::{BYTES_MAX, Family, Pair};

/// Crates of many hands and kinds: parsers, tables, bindings, C sources; and versions of each that
/// follow one another.
const CRATES: &[(&str, &[&str])] = &[
    ("chrono", &["0.4.23", "0.4.26", "0.4.31", "0.4.38", "0.4.40"]),
    ("clap_builder", &["4.2.7", "4.3.24", "4.4.18", "4.5.20"]),
    ("hashbrown", &["0.12.3", "0.13.2", "0.14.5", "0.15.2"]),
    ("itertools", &["0.10.5", "0.11.0", "0.12.1", "0.13.0", "0.14.0"]),
    ("libc", &["0.2.140", "0.2.147", "0.2.153", "0.2.158", "0.2.164", "0.2.169"]),
    ("linux-raw-sys", &["0.3.8", "0.4.12", "0.4.14", "0.6.4", "0.9.4"]),
    ("memchr", &["2.5.0", "2.6.4", "2.7.4"]),
    ("nix", &["0.24.3", "0.26.4", "0.27.1", "0.28.0", "0.29.0"]),
    ("rand", &["0.7.3", "0.8.5", "0.9.0"]),
    ("regex", &["1.7.3", "1.8.4", "1.9.6", "1.10.6", "1.11.1"]),
    ("regex-automata", &["0.4.1", "0.4.3", "0.4.7", "0.4.9"]),
    ("rustix", &["0.37.27", "0.38.4", "0.38.21", "0.38.34", "0.38.44"]),
    ("serde", &["1.0.150", "1.0.170", "1.0.190", "1.0.210", "1.0.219"]),
    ("syn", &["2.0.10", "2.0.28", "2.0.48", "2.0.66", "2.0.87", "2.0.100"]),
    ("tokio", &["1.20.6", "1.28.2", "1.35.1", "1.40.0", "1.44.2"]),
    ("zstd-sys", &["2.0.8", "2.0.12", "2.0.15"]),
];

/// The files of consecutive versions that differ, and sentences on what was left out.
pub(super) fn pairs(folder: &Path) -> Result<(Vec<Pair>, Vec<String>)> {
    let (mut pairs, mut left_out) = (Vec::new(), Vec::new());
    for (name, versions) in CRATES {
        let mut before: Option<BTreeMap<PathBuf, Vec<u8>>> = None;
        for version in *versions {
            let sources = match sources(folder, name, version) {
                Ok(sources) => sources,
                Err(report) => {
                    let why = report.chain().map(|part| part.to_string()).collect::<Vec<_>>();
                    left_out.push(format!("{name} {version}: {}", why.join(": ")));
                    continue;
                }
            };
            let files = text_files(&sources)?;
            if let Some(before) = &before {
                pairs.extend(differing(&format!("{name} {version}"), before, &files));
            }
            before = Some(files);
        }
    }
    Ok((pairs, left_out))
}

fn differing<'a>(
    label: &'a str,
    old: &'a BTreeMap<PathBuf, Vec<u8>>,
    new: &'a BTreeMap<PathBuf, Vec<u8>>,
) -> impl Iterator<Item = Pair> + 'a {
    new.iter().filter_map(move |(path, new)| {
        let old = old.get(path).filter(|old| *old != new)?;
        let large = old.len().max(new.len()) > 100_000;
        let family = if large { Family::RealLarge } else { Family::Real };
        let name = format!("{label} {}", path.display());
        Some(Pair::new(family, name, old.clone(), new.clone()))
    })
}

/// Where cargo has put the sources of one crate.
fn sources(folder: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let package = folder.join("crates").join(format!("{name}-{version}"));
    let known = package.join("sources");
    if let Ok(path) = fs::read_to_string(&known)
        && Path::new(&path).is_dir()
    {
        return Ok(path.into());
    }
    fs::create_dir_all(package.join("src")).into_diagnostic()?;
    fs::write(package.join("src/lib.rs"), "").into_diagnostic()?;
    let manifest = format!(
        "[package]\nname = \"corpus\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies.{name}]\nversion = \"={version}\"\ndefault-features = false\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).into_diagnostic()?;
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .stderr(Stdio::piped())
        .output()
        .into_diagnostic()
        .wrap_err("cannot run cargo")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(miette!("{}", said.trim().lines().last().unwrap_or("cargo failed").trim()));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).into_diagnostic()?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| {
            let found = package["version"].as_str().unwrap_or_default();
            // What follows a plus is no part of what was asked for.
            package["name"] == name && found.split('+').next() == Some(version)
        })
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| miette!("cargo does not say where it is"))?;
    let path = Path::new(manifest).parent().unwrap_or(Path::new(manifest)).to_path_buf();
    fs::write(known, path.as_os_str().as_encoded_bytes()).into_diagnostic()?;
    Ok(path)
}

/// The files that are compared, by path.
fn text_files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(current) = open.pop() {
        for entry in fs::read_dir(&current).into_diagnostic()? {
            let entry = entry.into_diagnostic()?;
            let kind = entry.file_type().into_diagnostic()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                let content = fs::read(entry.path()).into_diagnostic()?;
                let path = entry.path().strip_prefix(folder).into_diagnostic()?.to_path_buf();
                // What cargo writes for itself is not what people edit.
                let generated = matches!(
                    path.to_str(),
                    Some("Cargo.toml" | "Cargo.lock" | ".cargo-ok" | ".cargo_vcs_info.json")
                );
                let fits = (1..=BYTES_MAX).contains(&content.len());
                if fits && !generated && !diff_engine::is_binary(&content) {
                    files.insert(path, content);
                }
            }
        }
    }
    Ok(files)
}
