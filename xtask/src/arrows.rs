//! Checks which crate uses which: the table of arrows, and no event loop below staging-core.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

use miette::{IntoDiagnostic, WrapErr, miette};
use serde::Deserialize;

/// What a crate of ours may use of ours.
enum May {
    Use(&'static [&'static str]),
    /// May use any crate, and may itself be used by none.
    UseAnyAndBeUsedByNone,
}

use May::{Use, UseAnyAndBeUsedByNone};

/// The table: a crate that is not in it may not exist, and a row without a crate is stale.
const TABLE: [(&str, May); 16] = [
    ("strategy-api", Use(&[])),
    ("atomic-fs", Use(&[])),
    ("patch-formats", Use(&[])),
    ("strategy-myers", Use(&["strategy-api"])),
    ("strategy-patience", Use(&["strategy-api"])),
    ("strategy-histogram", Use(&["strategy-api"])),
    ("strategy-full-replace", Use(&["strategy-api"])),
    ("strategy-testkit", Use(&["strategy-api"])),
    (
        "diff-engine",
        Use(&[
            "strategy-api",
            "strategy-myers",
            "strategy-patience",
            "strategy-histogram",
            "strategy-full-replace",
            // The kit runs where libraries are loaded: in a child, whose side is here.
            "strategy-testkit",
        ]),
    ),
    ("staging-core", Use(&["diff-engine", "atomic-fs", "patch-formats"])),
    ("orchestrator-adapter", Use(&["staging-core"])),
    ("mcp-server", Use(&["orchestrator-adapter", "staging-core"])),
    ("greenroom-cli", Use(&["mcp-server", "orchestrator-adapter", "staging-core"])),
    ("fault-explorer", Use(&["atomic-fs"])),
    ("xtask", UseAnyAndBeUsedByNone),
    ("end-to-end", UseAnyAndBeUsedByNone),
];

/// Strategies may run the conformance tests, and only as tests.
const TESTKIT: &str = "strategy-testkit";

/// The crates that must work without an event loop.
const BELOW_THE_CORE: [&str; 10] = [
    "atomic-fs",
    "fault-explorer",
    "patch-formats",
    "diff-engine",
    "strategy-api",
    "strategy-myers",
    "strategy-patience",
    "strategy-histogram",
    "strategy-full-replace",
    TESTKIT,
];
const EVENT_LOOPS: [&str; 3] = ["actix", "actix-rt", "tokio"];

/// A crate that does reach an event loop: were a name misspelt, or the graph read wrongly,
/// nothing would reach anything and the check would pass in silence.
const PROBE: (&str, &str) = ("staging-core", "actix");

/// The parts of `cargo metadata` that the rules read.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

/// A dependency as a manifest declares it; `kind` is nothing, `dev` or `build`.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, with every feature of ours on and for every platform, so that nothing hides.
    pub(crate) fn load(root: &Path) -> miette::Result<Self> {
        let output = Command::new(crate::ci::cargo())
            .args(["metadata", "--format-version=1", "--locked", "--all-features"])
            .current_dir(root)
            .output()
            .into_diagnostic()
            .wrap_err("cargo could not be started")?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(miette!("cargo metadata failed: {}", complaint.trim()));
        }
        serde_json::from_slice(&output.stdout)
            .into_diagnostic()
            .wrap_err("the output of cargo metadata was not understood")
    }

    fn members(&self) -> impl Iterator<Item = &Package> {
        let is_member = |package: &&Package| self.workspace_members.contains(&package.id);
        self.packages.iter().filter(is_member)
    }
}

/// Every rule of this module.
pub(crate) fn check(metadata: &Metadata) -> Vec<String> {
    let mut problems = check_table(metadata);
    problems.extend(check_event_loops(metadata));
    problems
}

fn check_table(metadata: &Metadata) -> Vec<String> {
    let table: BTreeMap<&str, &May> = TABLE.iter().map(|(name, may)| (*name, may)).collect();
    let names: BTreeSet<&str> = metadata.members().map(|member| member.name.as_str()).collect();
    let mut problems = Vec::new();
    for row in table.keys().filter(|row| !names.contains(*row)) {
        problems.push(format!("arrows: the table names {row}, and there is no such crate"));
    }
    for member in metadata.members() {
        let name = member.name.as_str();
        let Some(may) = table.get(name) else {
            problems.push(format!("arrows: {name} is not in the table of arrows"));
            continue;
        };
        let ours = member.dependencies.iter();
        for dependency in ours.filter(|used| names.contains(used.name.as_str())) {
            let used = dependency.name.as_str();
            let of_nobody = matches!(table.get(used), Some(UseAnyAndBeUsedByNone));
            if of_nobody || !is_allowed(name, may, dependency) {
                let kind = dependency.kind.as_deref().unwrap_or("normal");
                problems.push(format!("arrows: {name} may not use {used} (a {kind} dependency)"));
            }
        }
    }
    problems
}

fn is_allowed(name: &str, may: &May, dependency: &Dependency) -> bool {
    let used = dependency.name.as_str();
    let is_dev = dependency.kind.as_deref() == Some("dev");
    match may {
        UseAnyAndBeUsedByNone => true,
        Use(allowed) => {
            let runs_strategies = allowed.contains(&"strategy-api");
            // A crate may test itself with a feature that it does not have on by default.
            let for_tests = used == name || (used == TESTKIT && runs_strategies);
            allowed.contains(&used) || (is_dev && for_tests)
        }
    }
}

fn check_event_loops(metadata: &Metadata) -> Vec<String> {
    let mut problems = Vec::new();
    for name in BELOW_THE_CORE {
        for (reached, way) in reached_from(metadata, name) {
            if EVENT_LOOPS.contains(&reached) {
                problems.push(format!(
                    "arrows: {name} may not reach {reached}, and does: {}",
                    way.join(" -> ")
                ));
            }
        }
    }
    let (name, event_loop) = PROBE;
    if !reached_from(metadata, name).contains_key(event_loop) {
        problems.push(format!(
            "arrows: {name} does not reach {event_loop}, so this check could not see a crate that \
             must not: correct the names in xtask"
        ));
    }
    problems
}

/// What the member `name` reaches through normal dependencies, each with the shortest way there.
fn reached_from<'metadata>(
    metadata: &'metadata Metadata,
    name: &str,
) -> BTreeMap<&'metadata str, Vec<&'metadata str>> {
    let packages = metadata.packages.iter();
    let names: BTreeMap<&str, &str> = packages.map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let nodes = metadata.resolve.nodes.iter();
    let nodes: BTreeMap<&str, &Node> = nodes.map(|node| (node.id.as_str(), node)).collect();
    let mut reached: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open: VecDeque<(&str, Vec<&str>)> = VecDeque::new();
    let start = metadata.members().find(|member| member.name == name);
    open.extend(start.map(|member| (member.id.as_str(), Vec::new())));
    while let Some((id, mut way)) = open.pop_front() {
        if !seen.insert(id) {
            continue;
        }
        let name = names.get(id).copied().unwrap_or(id);
        way.push(name);
        for edge in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            if edge.dep_kinds.iter().any(|edge| edge.kind.is_none()) {
                open.push_back((edge.pkg.as_str(), way.clone()));
            }
        }
        reached.entry(name).or_insert(way);
    }
    reached
}

#[cfg(test)]
mod tests;
