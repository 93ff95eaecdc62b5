//! The risks of a set of patches, by kind.

use std::collections::HashMap;

use atomic_fs::RelPath;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ids::PatchId;
use crate::patch::Patch;
use crate::risk::kind::{KINDS, RiskKind};

/// All risks of one kind in a set of patches. None is left out, however many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SetRisk<'p> {
    /// The kind.
    pub kind: RiskKind,
    /// The paths, in the order of the patches.
    pub paths: Vec<RiskyPath<'p>>,
}

/// A path with a risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RiskyPath<'p> {
    /// The patch.
    pub patch: PatchId,
    /// Its path.
    #[schemars(with = "String")]
    pub path: &'p RelPath,
    /// Where it moves the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub rename_to: Option<&'p RelPath>,
    /// What exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl<'p> SetRisk<'p> {
    /// The risks of a set, one entry for each kind that it has.
    pub fn of(patches: impl IntoIterator<Item = &'p Patch>) -> Vec<Self> {
        let patches: Vec<&Patch> = patches.into_iter().collect();
        let mut kinds: [Option<Self>; KINDS] = [const { None }; KINDS];
        let mut add = |kind: RiskKind, patch: &'p Patch, detail: Option<String>| {
            let rename_to = patch.rename_to.as_ref();
            let path = RiskyPath { patch: patch.id, path: &patch.path, rename_to, detail };
            let entry = &mut kinds[kind as usize];
            entry.get_or_insert_with(|| Self { kind, paths: Vec::new() }).paths.push(path);
        };
        for patch in &patches {
            for risk in &patch.diff.risks {
                add(risk.kind, patch, risk.detail.clone());
            }
        }
        for (patch, detail) in replacements(&patches) {
            add(RiskKind::Replaced, patch, Some(detail));
        }
        kinds.into_iter().flatten().collect()
    }

    /// The risks of this kind as one line, without its end. It may contain what agents wrote.
    pub fn line(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(RiskyPath::text).collect();
        format!("risk: {} ({}): {}", self.kind.title(), paths.len(), paths.join(", "))
    }
}

impl RiskyPath<'_> {
    fn text(&self) -> String {
        // A path with a backtick would look like two.
        let quoted = |path: &RelPath| format!("`{}`", path.to_string().replace('`', "\\x60"));
        let mut text = quoted(self.path);
        if let Some(to) = self.rename_to {
            text.push_str(&format!(" -> {}", quoted(to)));
        }
        if let Some(detail) = &self.detail {
            text.push_str(&format!(" ({detail})"));
        }
        text
    }
}

/// The patches that create something where another one of the set, or they themselves, remove
/// something: at the same path, below a removed file, or where a directory was emptied.
fn replacements<'p>(patches: &[&'p Patch]) -> Vec<(&'p Patch, String)> {
    let removes = |patch: &&&Patch| patch.frees(&patch.path);
    let freed: HashMap<&[u8], &Patch> =
        patches.iter().filter(removes).map(|patch| (patch.path.as_bytes(), *patch)).collect();
    let brought: HashMap<&[u8], &Patch> =
        patches.iter().filter_map(|patch| Some((patch.brought()?.as_bytes(), *patch))).collect();
    if freed.is_empty() || brought.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for patch in patches {
        let Some(path) = patch.brought() else { continue };
        if let Some(by) = with_ancestors(path).find_map(|path| freed.get(path)) {
            found.push((*patch, format!("{} removes `{}`", by.id, by.path)));
        }
    }
    for patch in patches.iter().filter(removes) {
        if let Some(by) = with_ancestors(&patch.path).skip(1).find_map(|path| brought.get(path)) {
            found.push((*by, format!("{} removes `{}`", patch.id, patch.path)));
        }
    }
    found
}

/// A path, and those of the directories above it.
fn with_ancestors(path: &RelPath) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path.as_bytes()), |path| {
        path.iter().rposition(|byte| *byte == b'/').map(|at| &path[..at])
    })
}
