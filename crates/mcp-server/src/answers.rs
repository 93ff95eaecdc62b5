//! What tools answer about patches, and how the user decides about them.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use serde_json::{Value, json};
use staging_core::{
    Decided, Patch, Proposed, ReviewCommands, Session, SessionId, SetRisk, decision_json,
    patch_line, set_signature,
};

/// What a tool answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The pending patches that it is about, for programs.
    pub(crate) patches: Vec<Patch>,
    /// Stale and expired patches that nobody has settled, so that the session's set lacks them;
    /// where the tool lists them.
    pub(crate) lapsed: Option<Vec<Patch>>,
}

impl Answer {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), patches: Vec::new(), lapsed: None }
    }

    /// What was staged, and how the user approves it.
    pub(crate) fn staged(proposed: &[Proposed]) -> Self {
        let mut seen = HashSet::new();
        let all = proposed.iter().flat_map(|one| one.patch.iter().chain(&one.also_changed));
        let patches: Vec<Patch> = all.filter(|patch| seen.insert(patch.id)).cloned().collect();
        let mut text = String::new();
        for patch in &patches {
            let _ = writeln!(text, "Staged {}.", line(patch));
        }
        let superseded: BTreeSet<_> = proposed.iter().filter_map(|one| one.superseded).collect();
        if patches.is_empty() {
            let gone = names(superseded.iter());
            let gone = if gone.is_empty() { gone } else { format!(", and {gone} is withdrawn") };
            let _ = writeln!(text, "Nothing to stage: the file already has that content{gone}.");
            return Self { text, patches, lapsed: None };
        }
        if !superseded.is_empty() {
            let _ = writeln!(text, "It replaces {}.", names(superseded.iter()));
        }
        text.push_str(&risks(&patches));
        for patch in &patches {
            for remark in &patch.diff.remarks {
                let _ = writeln!(text, "{} `{}`: {remark}.", patch.id, patch.path);
            }
        }
        let others: BTreeSet<SessionId> =
            proposed.iter().flat_map(|one| &one.also_pending_in).copied().collect();
        if !others.is_empty() {
            let others = names(others.iter());
            let _ = writeln!(
                text,
                "The file is also pending in {others}: applying one patch makes the others stale."
            );
        }
        text.push_str(&how_to_approve(&patches));
        Self { text, patches, lapsed: None }
    }

    /// The patches for programs: what the tools of Greenroom's own give beside the text.
    pub(crate) fn structured(&self, session: &Session) -> Value {
        let signature = (!self.patches.is_empty()).then(|| set_signature(&self.patches));
        let patches: Vec<Value> = self.patches.iter().map(patch_json).collect();
        let mut object = json!({
            "content": self.text,
            "session": session.id.to_string(),
            "signature": signature.map(|signature| signature.to_string()),
            "risks": SetRisk::of(&self.patches),
            "patches": patches,
        });
        if let Some(lapsed) = &self.lapsed {
            let lapsed = lapsed.iter().map(|patch| decision_json(&Decided::of(patch.clone())));
            object["lapsed"] = lapsed.collect();
            // They are added to every answer.
            object["decisions"] = json!([]);
        }
        object
    }
}

/// The commands by which the user reviews and approves these patches.
pub(crate) fn how_to_approve(patches: &[Patch]) -> String {
    let signature = set_signature(patches);
    let ReviewCommands { diff, apply } = ReviewCommands::of(patches);
    format!(
        "The disk is unchanged until the user approves.\nsignature: {signature}\nto review: \
         {diff}\nto approve, the user runs: {apply}"
    )
}

/// The risks of patches, a line for each kind.
pub(crate) fn risks(patches: &[Patch]) -> String {
    SetRisk::of(patches).iter().map(|risk| risk.line() + "\n").collect()
}

/// A patch in one line.
pub(crate) fn line(patch: &Patch) -> String {
    patch_line(patch, None)
}

/// A patch for programs.
pub(crate) fn patch_json(patch: &Patch) -> Value {
    json!({
        "id": patch.id.to_string(),
        "path": patch.path,
        "rename_to": patch.rename_to,
        "operation": patch.operation,
        "revision": patch.revision,
        "edited": patch.edited,
        "signature": patch.signature.to_string(),
        "added": patch.diff.added,
        "removed": patch.diff.removed,
        "full_replace": patch.diff.full_replace,
        "remarks": patch.diff.remarks,
        "risks": patch.diff.risks,
    })
}

fn names<T: ToString>(ids: impl Iterator<Item = T>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(", ")
}
