//! The list of what the binary is made of, as [SPDX 2.3] has it.
//!
//! [SPDX 2.3]: https://spdx.github.io/spdx-spec/v2.3/

use std::fs;

use miette::{IntoDiagnostic as _, Result};
use serde_json::{Value, json};

use super::crates::{Crate, Crates, Purpose};
use super::output::{Artefact, sha256};
use super::release::Release;
use super::target::Target;

const NO_ASSERTION: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

pub(super) fn of(
    release: &Release,
    target: &Target,
    program: &[u8],
    crates: &Crates,
) -> Result<Artefact> {
    let sum = sha256(program);
    let name = format!("greenroom-{}-{}", release.version, target.triple());
    let mut packages = Vec::new();
    let relation = |user: &str, kind: &str, used: &str| json!({ "spdxElementId": user, "relationshipType": kind, "relatedSpdxElement": used });
    let mut relations = vec![relation(DOCUMENT, "DESCRIBES", &id(&crates.all[&crates.command]))];
    for (identifier, each) in &crates.all {
        let mut package = package(each, release);
        if *identifier == crates.command {
            package["primaryPackagePurpose"] = "APPLICATION".into();
            package["packageFileName"] = target.program_name().into();
            package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": sum }]);
        }
        packages.push(package);
        if let Some(sqlite) = sqlite(each)? {
            relations.push(relation(&id(each), "CONTAINS", "SPDXRef-sqlite"));
            packages.push(sqlite);
        }
    }
    for one in &crates.uses {
        let (user, used) = (id(&crates.all[&one.user]), id(&crates.all[&one.used]));
        relations.push(match one.purpose {
            Purpose::Program => relation(&user, "DEPENDS_ON", &used),
            Purpose::Build => relation(&used, "BUILD_DEPENDENCY_OF", &user),
        });
    }
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": name,
        // Each binary has a name of its own.
        "documentNamespace": format!("https://spdx.org/spdxdocs/{name}-{}", &sum[..32]),
        "creationInfo": { "created": release.time()?, "creators": ["Tool: cargo-xtask-dist"] },
        "packages": packages,
        "relationships": relations,
    });
    let text = serde_json::to_string_pretty(&document).into_diagnostic()?;
    Ok(Artefact { name: format!("{name}.spdx.json"), bytes: (text + "\n").into_bytes() })
}

fn package(each: &Crate, release: &Release) -> Value {
    let Crate { name, version, .. } = each;
    // Older manifests separate licences by a slash.
    let licence = each.licence.as_ref().map(|licence| licence.replace('/', " OR "));
    let mut package = json!({
        "SPDXID": id(each),
        "name": name,
        "versionInfo": version,
        "downloadLocation": release.repository.as_deref().unwrap_or(NO_ASSERTION),
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": licence.as_deref().unwrap_or(NO_ASSERTION),
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": "LIBRARY",
    });
    if each.is_foreign {
        let url = format!("https://static.crates.io/crates/{name}/{name}-{version}.crate");
        package["downloadLocation"] = url.into();
        package["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:cargo/{name}@{version}"),
        }]);
    }
    if let Some(checksum) = &each.checksum {
        package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": checksum }]);
    }
    package
}

/// The identifier of a crate, in the characters that are allowed there.
fn id(each: &Crate) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = format!("{}-{}", each.name, each.version).chars().map(allowed).collect();
    format!("SPDXRef-{name}")
}

/// SQLite, whose source comes inside a crate, and which scanners know by its own name.
fn sqlite(each: &Crate) -> Result<Option<Value>> {
    if each.name != "libsqlite3-sys" {
        return Ok(None);
    }
    let header = fs::read_to_string(each.folder.join("sqlite3/sqlite3.h")).into_diagnostic()?;
    let version = header.lines().find_map(|line| line.strip_prefix("#define SQLITE_VERSION"));
    let version = version.unwrap_or_default().trim().trim_matches('"');
    Ok(Some(json!({
        "SPDXID": "SPDXRef-sqlite",
        "name": "sqlite",
        "versionInfo": version,
        "downloadLocation": "https://www.sqlite.org/",
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": "blessing",
        "copyrightText": "NONE",
        "primaryPackagePurpose": "LIBRARY",
        "externalRefs": [{
            "referenceCategory": "SECURITY",
            "referenceType": "cpe23Type",
            "referenceLocator": format!("cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"),
        }],
    })))
}
