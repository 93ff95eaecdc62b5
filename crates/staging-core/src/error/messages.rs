//! Sentences of errors.

use patch_formats::NearMiss;

use crate::patch::{DiscardReason, Patch};

pub(super) fn no_match_advice(found: u64, near: Option<NearMiss>) -> String {
    match near {
        Some(near) => near.to_string(),
        None if found == 0 => "read the file again".to_owned(),
        None => "name more of its surroundings, or replace all".to_owned(),
    }
}

pub(super) fn stale_message(patches: &[Patch]) -> String {
    let is_expired = |patch: &&Patch| patch.reason == Some(DiscardReason::SessionExpired);
    let (expired, stale): (Vec<&Patch>, Vec<&Patch>) = patches.iter().partition(is_expired);
    let mut parts = Vec::new();
    if !stale.is_empty() {
        parts.push(format!("{} changed since the agent read it", listed(stale)));
    }
    if !expired.is_empty() {
        parts.push(format!("the session of {} expired", listed(expired)));
    }
    parts.join("; ")
}

pub(super) fn rewritten_message(patches: &[Patch]) -> String {
    if let [patch] = patches {
        return format!("{} was rewritten: it is at revision {}", patch.id, patch.revision);
    }
    let named = patches.iter().map(|patch| format!("{} (revision {})", patch.id, patch.revision));
    format!("patches were rewritten: {}", shortened(named.collect()))
}

pub(super) fn lost_message(patches: &[Patch]) -> String {
    let named = patches.iter().map(|patch| {
        let why = match patch.reason {
            Some(DiscardReason::SessionExpired) => "expired",
            _ => "stale",
        };
        format!("`{}` ({}, {why})", patch.path, patch.id)
    });
    format!("parts of the set are missing: {}", shortened(named.collect()))
}

/// The paths and ids of patches, up to a limit.
pub(super) fn listed<'p>(patches: impl IntoIterator<Item = &'p Patch>) -> String {
    let named = patches.into_iter().map(|patch| format!("`{}` ({})", patch.path, patch.id));
    shortened(named.collect())
}

/// The first names, and how many more there are.
fn shortened(mut named: Vec<String>) -> String {
    const NAMED_MAX: usize = 20;
    let more = named.len().saturating_sub(NAMED_MAX);
    named.truncate(NAMED_MAX);
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The error and its causes, joined with colons.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        // A transparent error repeats its source.
        if !sentence.ends_with(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = next.source();
    }
    sentence
}
