//! The crates that the command is made of on one platform, by cargo's own resolution.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde::Deserialize;

use super::release::package_name;
use crate::cargo::output_of;

/// The crates and who uses whom.
#[derive(Debug)]
pub(super) struct Crates {
    /// The one with the command.
    pub(super) command: String,
    /// By cargo's identifiers.
    pub(super) all: BTreeMap<String, Crate>,
    pub(super) uses: BTreeSet<Use>,
}

#[derive(Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: Option<String>,
    /// Whether it is downloaded, not of this repository.
    pub(super) is_foreign: bool,
    /// SHA-256 of the downloaded package.
    pub(super) checksum: Option<String>,
    pub(super) folder: PathBuf,
    /// Whether it is in the program, and not only needed to build it.
    pub(super) is_linked: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    pub(super) user: String,
    pub(super) used: String,
    pub(super) purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Program,
    Build,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Crates {
    pub(super) fn load(root: &Path, triple: &str) -> Result<Self> {
        let metadata = ["metadata", "--format-version=1", "--locked", "--filter-platform", triple];
        let metadata: Metadata = serde_json::from_slice(&output_of(root, &metadata)?)
            .into_diagnostic()
            .wrap_err("cannot read cargo metadata")?;
        let lock = fs::read_to_string(root.join("Cargo.lock")).into_diagnostic()?;
        let lock: Lock =
            toml::from_str(&lock).into_diagnostic().wrap_err("cannot read Cargo.lock")?;
        let sums: BTreeMap<(String, String), String> = lock
            .package
            .into_iter()
            .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
            .collect();
        Self::reached(metadata, &sums, &package_name(root)?)
    }

    /// What the command reaches.
    fn reached(
        metadata: Metadata,
        sums: &BTreeMap<(String, String), String>,
        command: &str,
    ) -> Result<Self> {
        let command = metadata.packages.iter().find(|package| package.name == command);
        let command = command.map(|package| package.id.clone());
        let command =
            command.ok_or_else(|| miette!("cargo metadata has no package of the command"))?;
        let nodes: BTreeMap<&str, &Node> =
            metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut purposes = BTreeMap::from([(command.clone(), Purpose::Program)]);
        let mut uses = BTreeSet::new();
        let mut open = vec![command.clone()];
        while let Some(user) = open.pop() {
            let inherited = purposes[&user];
            for dependency in nodes.get(user.as_str()).map_or(&[][..], |node| &node.deps) {
                for kind in &dependency.dep_kinds {
                    let purpose = match kind.kind.as_deref() {
                        None => Purpose::Program,
                        Some("build") => Purpose::Build,
                        Some(_) => continue,
                    };
                    let used = dependency.pkg.clone();
                    uses.insert(Use { user: user.clone(), used: used.clone(), purpose });
                    // What a build script uses is in no program; what both use is in one.
                    let purpose = purpose.max(inherited);
                    if purposes.get(&used).is_none_or(|known| purpose < *known) {
                        purposes.insert(used.clone(), purpose);
                        open.push(used);
                    }
                }
            }
        }
        let packages = metadata.packages.into_iter();
        let all = packages.filter_map(|package| {
            let purpose = *purposes.get(&package.id)?;
            let named = (package.name.clone(), package.version.clone());
            let known = Crate {
                name: package.name,
                version: package.version,
                licence: package.license,
                is_foreign: package.source.is_some(),
                checksum: sums.get(&named).filter(|_| package.source.is_some()).cloned(),
                folder: package.manifest_path.parent()?.to_owned(),
                is_linked: purpose == Purpose::Program,
            };
            Some((package.id, known))
        });
        Ok(Self { command, all: all.collect(), uses })
    }

    /// The crates of others that are in the program.
    pub(super) fn linked(&self) -> impl Iterator<Item = &Crate> {
        self.all.values().filter(|each| each.is_foreign && each.is_linked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_or_tests_is_not_linked() {
        let package = |name: &str, source: &str| {
            format!(
                r#"{{"id": "{name}", "name": "{name}", "version": "1.0.0", "license": "MIT",
                    "source": {source}, "manifest_path": "/x/{name}/Cargo.toml"}}"#
            )
        };
        let packages = ["command", "library", "builder", "of-builder", "both", "tester"]
            .map(|name| package(name, if name == "command" { "null" } else { "\"registry\"" }));
        let uses = |name: &str, used: &[(&str, &str)]| {
            let used = used.iter().map(|(pkg, kind)| {
                format!(r#"{{"pkg": "{pkg}", "dep_kinds": [{{"kind": {kind}}}]}}"#)
            });
            format!(r#"{{"id": "{name}", "deps": [{}]}}"#, used.collect::<Vec<_>>().join(","))
        };
        let nodes = [
            uses(
                "command",
                &[("builder", "\"build\""), ("library", "null"), ("tester", "\"dev\"")],
            ),
            uses("builder", &[("of-builder", "null"), ("both", "null")]),
            uses("library", &[("both", "null")]),
        ];
        let metadata = format!(
            r#"{{"packages": [{}], "resolve": {{"nodes": [{}]}}}}"#,
            packages.join(","),
            nodes.join(",")
        );
        let metadata = serde_json::from_str(&metadata).expect("it has the shape of cargo's");
        let crates = Crates::reached(metadata, &BTreeMap::new(), "command").expect("it is there");
        let linked: Vec<&str> = crates.linked().map(|each| each.name.as_str()).collect();
        assert_eq!(linked, ["both", "library"]);
        let all: Vec<&str> = crates.all.values().map(|each| each.name.as_str()).collect();
        assert_eq!(all, ["both", "builder", "command", "library", "of-builder"]);
    }
}
