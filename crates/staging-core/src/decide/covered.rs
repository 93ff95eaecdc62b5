//! Which rule covers a set, or why none does.

use std::time::Duration;

use atomic_fs::{EntryKind, RelPath, escape_line_for_display, folded_name, folded_stem};
use rusqlite::Connection;

use crate::error::Result;
use crate::patch::{Operation, Patch};
use crate::risk::kind::RiskKind;
use crate::risk::of_row::made_executable;
use crate::risk::set::SetRisk;
use crate::rules::{ApprovalRules, ApproveRule, folded_path};
use crate::store::rules::{PendingSet, PendingSets, approved_lately};

/// What decides about a set, besides its patches and the rules.
pub(crate) struct Facts<'c> {
    pub(crate) connection: &'c Connection,
    /// Everything that is pending.
    pub(crate) pending: &'c PendingSets,
    /// The permission bits of a plain new file.
    pub(crate) new_file_mode: u32,
    /// How long the store knows what a rule has approved.
    pub(crate) history_keep_for: Duration,
}

/// Why no rule approves a set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A person has to decide.
    Person(String),
    /// The limits of the rule that covers it are reached for now.
    Full(String),
}

/// The name of the rule that covers every patch of a set.
pub(crate) fn covering<'r>(
    rules: &'r ApprovalRules,
    set: &PendingSet,
    facts: &Facts<'_>,
) -> Result<Result<&'r str, Asks>> {
    if let Some(reason) = kept(rules, set, facts) {
        return Ok(Err(Asks::Person(reason)));
    }
    // What only the set shows is covered by no rule.
    let of_set = SetRisk::of(&set.patches).into_iter().find(|risk| risk.kind == RiskKind::Replaced);
    if let Some(path) = of_set.as_ref().and_then(|risk| risk.paths.first()) {
        let why =
            format!("{} `{}` takes the place of something that is removed", path.patch, path.path);
        return Ok(Err(Asks::Person(why)));
    }
    let mut reason = None;
    for rule in &rules.approve {
        if !rule.sessions.matches(&set.session.label) {
            continue;
        }
        match set.patches.iter().find_map(|patch| Some((patch, outside(rule, patch)?))) {
            None => return within_limits(rule, set, facts),
            // What a rule covers but for one thing says more than one of other paths.
            Some((patch, why)) => {
                let is_of_paths = why == NO_PATH;
                if !is_of_paths || reason.is_none() {
                    reason = Some((is_of_paths, named(patch, &why)));
                }
            }
        }
    }
    let (_, reason) = reason.unwrap_or_else(|| (true, "no rule is for this session".to_owned()));
    Ok(Err(Asks::Person(reason)))
}

const NO_PATH: &str = "is covered by no rule";

fn named(patch: &Patch, why: &str) -> String {
    format!("{} `{}` {why}", patch.id, patch.path)
}

/// Why a set is kept for a person, whatever a rule approves.
fn kept(rules: &ApprovalRules, set: &PendingSet, facts: &Facts<'_>) -> Option<String> {
    if set.lacks_parts {
        return Some("parts of the set are stale or expired".to_owned());
    }
    set.patches.iter().find_map(|patch| {
        if let Some(why) = never(patch, facts.new_file_mode) {
            return Some(named(patch, why));
        }
        for path in patch.paths().map(folded_path) {
            if facts.pending.contested.contains(&path) {
                return Some(named(patch, "is changed by another session too"));
            }
            if facts.pending.decided.contains(&path) {
                return Some(named(patch, "was rejected, dismissed, edited or undone before"));
            }
        }
        let asks = rules.always_ask.iter().find(|rule| {
            let is_meant = |(path, operations): (&RelPath, Vec<Operation>)| {
                let does = |operation: &Operation| rule.operations.contains(operation);
                let is_operation = rule.operations.is_empty() || operations.iter().any(does);
                is_operation && rule.paths.matches(path)
            };
            rule.sessions.matches(&set.session.label) && does_at(patch).into_iter().any(is_meant)
        });
        asks.map(|rule| named(patch, &format!("is kept by the rule `{}`", rule.name)))
    })
}

/// What a patch does: a rename may change the content too, and so may both the mode.
fn does(patch: &Patch) -> Vec<Operation> {
    let mut does = vec![patch.operation];
    if let (Some(base), Some(staged)) = (&patch.base, patch.staged) {
        if patch.operation == Operation::Rename && base.content.digest != staged.digest {
            does.push(Operation::Modify);
        }
        if patch.operation != Operation::Mode && base.content.mode != staged.mode {
            does.push(Operation::Mode);
        }
    }
    does
}

/// What a patch does at each of its paths. A rename also removes what is at the one and creates what is
/// at the other.
fn does_at(patch: &Patch) -> Vec<(&RelPath, Vec<Operation>)> {
    let does = does(patch);
    match &patch.rename_to {
        None => vec![(&patch.path, does)],
        Some(to) => {
            let with = |other| does.iter().copied().chain([other]).collect();
            vec![(&patch.path, with(Operation::Delete)), (to, with(Operation::Create))]
        }
    }
}

/// What no rule approves.
fn never(patch: &Patch, new_file_mode: u32) -> Option<&'static str> {
    let base = patch.base.as_ref().map(|base| base.content);
    let is_link = |content: &atomic_fs::Fingerprint| content.kind() == EntryKind::Symlink;
    if patch.diff.full_replace {
        return Some("has no diff: it is replaced as a whole");
    }
    if base.iter().chain(&patch.staged).any(is_link) {
        return Some("is a symbolic link");
    }
    if patch.changes_kind() {
        return Some("changes from one kind of entry to another");
    }
    if let Some(staged) = patch.staged {
        let plain = match staged.kind() {
            EntryKind::Directory => made_executable(new_file_mode & 0o666),
            EntryKind::File | EntryKind::Symlink => new_file_mode & 0o666,
        };
        let before = base.map_or(plain, |base| base.permissions());
        if staged.permissions() & !before & 0o7777 != 0 {
            return Some(
                "adds permission bits that the entry did not have, or that a new one does not get",
            );
        }
    }
    if patch.paths().any(|path| path.names_git()) {
        return Some("belongs to a repository");
    }
    if patch.paths().any(|path| path.components().any(is_odd)) {
        return Some("has a name that a file system may read as another one");
    }
    if !patch.diff.remarks.is_empty() {
        return Some("has a remark");
    }
    None
}

/// Whether a name has characters that are not seen, one that separates names on Windows, an end that
/// Windows leaves out, or the form of its short names.
fn is_odd(name: &[u8]) -> bool {
    let is_spelled_out = match std::str::from_utf8(name) {
        Ok(name) => escape_line_for_display(name) != name,
        Err(_) => true,
    };
    let is_short = name.windows(2).any(|pair| pair[0] == b'~' && pair[1].is_ascii_digit());
    is_spelled_out || is_short || name.contains(&b'\\') || folded_stem(name) != *folded_name(name)
}

/// Why a rule does not cover a patch.
fn outside(rule: &ApproveRule, patch: &Patch) -> Option<String> {
    if !patch.paths().all(|path| rule.paths.matches(path)) {
        return Some(NO_PATH.to_owned());
    }
    let has = |operation: &Operation| rule.operations.contains(operation);
    if !does(patch).iter().all(has) {
        return Some("does what the rule for its path does not approve".to_owned());
    }
    let risk = patch.diff.risks.iter().find(|risk| match risk.kind {
        // What is done is an operation, which the rule names.
        RiskKind::Deletion => false,
        RiskKind::Mode => !has(&Operation::Mode),
        kind => !(ApproveRule::COVERABLE.contains(&kind) && rule.risks.contains(&kind)),
    });
    risk.map(|risk| format!("has a risk that its rule does not cover: {}", risk.text()))
}

/// Whether the set and what the rule has approved lately are within its limits.
fn within_limits<'r>(
    rule: &'r ApproveRule,
    set: &PendingSet,
    facts: &Facts<'_>,
) -> Result<Result<&'r str, Asks>> {
    let limits = [rule.files_max, rule.lines_max, rule.bytes_max];
    if limits.iter().all(Option::is_none) {
        return Ok(Ok(&rule.name));
    }
    let name = &rule.name;
    if rule.within > facts.history_keep_for {
        let reason =
            format!("the rule `{name}` has limits over more time than the history is kept for");
        return Ok(Err(Asks::Person(reason)));
    }
    let used = approved_lately(facts.connection, &rule.name, rule.within)?;
    let mut wanted = [set.patches.len() as u64, 0, 0];
    for patch in &set.patches {
        wanted[1] += patch.diff.added + patch.diff.removed;
        wanted[2] += patch.staged.map_or(0, |staged| staged.bytes);
    }
    for (((limit, used), wanted), what) in
        limits.iter().zip(used).zip(wanted).zip(["files", "lines", "bytes"])
    {
        let Some(limit) = *limit else { continue };
        if wanted > limit {
            let reason = format!("the set has {wanted} {what}, the rule `{name}` allows {limit}");
            return Ok(Err(Asks::Person(reason)));
        }
        if used.saturating_add(wanted) > limit {
            let reason =
                format!("the rule `{name}` has approved {used} of at most {limit} {what} lately");
            return Ok(Err(Asks::Full(reason)));
        }
    }
    Ok(Ok(&rule.name))
}
