//! The packages for npm: one with the binary for each platform, and one that depends on all of them.
//!
//! npm installs only the package whose `os`, `cpu` and `libc` are the machine's. Nothing is run or
//! downloaded when it is installed.

use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, WrapErr as _};
use serde_json::{Map, Value, json};

use super::documents::Documents;
use super::entries::{Directories, Entry, tar_gz};
use super::output::Artefact;
use super::release::Release;
use super::target::{Arch, System, Target};

/// The folder in which npm expects everything.
const PREFIX: &str = "package/";

struct Platform {
    package: String,
    os: &'static str,
    cpu: &'static str,
    libc: Option<&'static str>,
}

impl Platform {
    fn of(target: &Target) -> Self {
        let (os, suffix, libc) = match target.system {
            System::Glibc(_) => ("linux", "", Some("glibc")),
            System::Static => ("linux", "-musl", Some("musl")),
            System::MacOs(..) => ("darwin", "", None),
            System::Windows => ("win32", "", None),
        };
        let cpu = match target.architecture {
            Arch::X86_64 => "x64",
            Arch::Aarch64 => "arm64",
        };
        Self { package: format!("greenroom-{os}-{cpu}{suffix}"), os, cpu, libc }
    }
}

/// The package with the binary of one platform.
pub(super) fn of_platform(
    release: &Release,
    target: &Target,
    program: &[u8],
    documents: &Documents,
) -> Result<Artefact> {
    let platform = Platform::of(target);
    let mut manifest = manifest(release, &platform.package);
    let description = format!("The greenroom command for {}", target.triple());
    manifest.insert("description".to_owned(), description.clone().into());
    manifest.insert("os".to_owned(), json!([platform.os]));
    manifest.insert("cpu".to_owned(), json!([platform.cpu]));
    if let Some(libc) = platform.libc {
        manifest.insert("libc".to_owned(), json!([libc]));
    }
    // A program cannot be started from within a zip archive.
    manifest.insert("preferUnplugged".to_owned(), true.into());
    let mut entries = documents.legal("");
    let readme = format!(
        "# {}\n\n{description}. Install `greenroom`, which contains it.\n",
        platform.package
    );
    entries.push(Entry::file("README.md", readme));
    entries.push(Entry::program(format!("bin/{}", target.program_name()), program));
    pack(release, &platform.package, manifest, entries)
}

/// The package that people install.
pub(super) fn of_all(
    root: &Path,
    release: &Release,
    targets: &[&Target],
    documents: &Documents,
) -> Result<Artefact> {
    let read = |name: &str| {
        fs::read_to_string(root.join("packaging/npm").join(name))
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot read packaging/npm/{name}"))
    };
    let mut manifest = manifest(release, "greenroom");
    let version = Value::from(release.version.as_str());
    let platforms: Map<String, Value> =
        targets.iter().map(|target| (Platform::of(target).package, version.clone())).collect();
    manifest.insert("bin".to_owned(), json!({ "greenroom": "bin/greenroom.js" }));
    manifest.insert("engines".to_owned(), json!({ "node": ">=18" }));
    manifest.insert("optionalDependencies".to_owned(), platforms.into());
    let pages: Vec<String> =
        documents.pages.iter().map(|(name, _)| format!("man/{name}")).collect();
    manifest.insert("man".to_owned(), pages.into());
    if let Some(server) = release.mcp_name() {
        manifest.insert("mcpName".to_owned(), server.into());
    }
    let mut entries = vec![
        Entry::file("README.md", release.with_absolute_links(&read("README.md")?, "packaging/npm")),
        Entry::program("bin/greenroom.js", read("greenroom.js")?),
    ];
    let licences = documents.licences.iter();
    entries.extend(licences.map(|(name, text)| Entry::file(name.as_str(), text.as_str())));
    let pages = documents.pages.iter();
    entries.extend(pages.map(|(name, page)| Entry::file(format!("man/{name}"), page.clone())));
    pack(release, "greenroom", manifest, entries)
}

fn manifest(release: &Release, name: &str) -> Map<String, Value> {
    let mut manifest = Map::new();
    let mut put = |key: &str, value: Value| manifest.insert(key.to_owned(), value);
    put("name", name.into());
    put("version", release.version.as_str().into());
    put("description", release.description.as_str().into());
    put("license", release.licence.as_str().into());
    if let Some(repository) = &release.repository {
        put("repository", json!({ "type": "git", "url": format!("git+{repository}.git") }));
        put("homepage", repository.as_str().into());
    }
    manifest
}

/// As `npm pack` does.
fn pack(
    release: &Release,
    name: &str,
    manifest: Map<String, Value>,
    mut entries: Vec<Entry>,
) -> Result<Artefact> {
    let manifest = serde_json::to_string_pretty(&manifest).into_diagnostic()?;
    entries.push(Entry::file("package.json", manifest + "\n"));
    let bytes = tar_gz(PREFIX, entries, Directories::Left, release.epoch)?;
    Ok(Artefact { name: format!("{name}-{}.tgz", release.version), bytes })
}
