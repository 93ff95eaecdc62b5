//! The decision about a patch, as its agent receives it.

use serde::Serialize;

use crate::ids::PatchId;
use crate::patch::{DiscardReason, Patch, PatchState};
use crate::string_enum::string_enum;

string_enum! {
    /// The decision about a patch, for its agent.
    #[non_exhaustive]
    pub Decision, "decision" {
        /// It was applied.
        Applied = "applied",
        /// It was undone, and is applied again.
        Redone = "redone",
        /// A person rejected it.
        Rejected = "rejected",
        /// Its file changed: the agent has to read it again.
        Stale = "stale",
        /// Its session expired.
        Expired = "expired",
        /// It was stale or expired, and a person has dismissed it.
        Dismissed = "dismissed",
        /// A person has proposed it again for the file as it is now.
        Refreshed = "refreshed",
        /// A person has changed what it proposes.
        Edited = "edited",
        /// It was applied and undone; it is pending again, or can be redone.
        Undone = "undone",
        /// Its agent replaced it.
        Superseded = "superseded",
    }
}

impl Decision {
    /// The decision that a patch's state shows; none where it is pending.
    pub fn of(patch: &Patch) -> Option<Self> {
        Some(match (patch.state, patch.reason) {
            (PatchState::Applied, _) => Self::Applied,
            (PatchState::Pending, _) => return None,
            (_, Some(reason)) => Self::by(reason),
            (_, None) => Self::Rejected,
        })
    }

    /// The decision that discards a patch for this reason.
    pub(crate) const fn by(reason: DiscardReason) -> Self {
        match reason {
            DiscardReason::Rejected => Self::Rejected,
            DiscardReason::Stale => Self::Stale,
            DiscardReason::Superseded => Self::Superseded,
            DiscardReason::SessionExpired => Self::Expired,
            DiscardReason::Undone => Self::Undone,
            DiscardReason::Edited => Self::Edited,
        }
    }
}

/// A patch, and the last decision about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Decided {
    /// The patch.
    pub patch: Patch,
    /// The decision.
    pub decision: Decision,
    /// The patch that takes its place; where there is none, nothing has to.
    pub replaced_by: Option<PatchId>,
}

impl Decided {
    /// A patch with the decision that its state shows; a pending one counts as undone.
    pub fn of(patch: Patch) -> Self {
        let decision = Decision::of(&patch).unwrap_or(Decision::Undone);
        Self { patch, decision, replaced_by: None }
    }
}
