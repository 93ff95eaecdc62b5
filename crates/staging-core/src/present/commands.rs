//! The commands by which a person reviews and approves patches.

use crate::ids::PatchId;
use crate::patch::Patch;

/// How a reviewer decides about everything that is pending.
pub const HOW_TO_REVIEW: &str =
    "`greenroom review` shows them one by one, `greenroom apply` applies them";

/// How many patches a command names one by one; of more it names the session.
const NAMED_MAX: usize = 40;

/// The commands for a set of patches of one session. Where a door shows them is its own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewCommands {
    /// Shows the diff.
    pub diff: String,
    /// Shows the diff, asks, and applies the set.
    pub apply: String,
}

impl ReviewCommands {
    /// The commands for these patches.
    pub fn of(patches: &[Patch]) -> Self {
        let ids = match patches {
            [first, ..] if patches.len() > NAMED_MAX => first.session.to_string(),
            few => names(few.iter().map(|patch| patch.id)),
        };
        let is_unseen = patches.iter().any(|patch| patch.diff.full_replace);
        let confirm = if is_unseen { " --confirm-full-replace" } else { "" };
        Self {
            diff: format!("greenroom diff {ids}"),
            apply: format!("greenroom apply {ids}{confirm}"),
        }
    }
}

fn names(ids: impl Iterator<Item = PatchId>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
}
