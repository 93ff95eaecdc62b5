//! A command's surroundings, and what several commands report of patches.

use staging_core::{DiffStagingLayer, DiscardReason, Patch};

use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;

/// A command's surroundings.
pub(super) struct Context<'a> {
    pub(super) console: &'a Console,
    pub(super) location: Location,
    pub(super) layer: DiffStagingLayer,
}

impl Context<'_> {
    /// A change is made; that its report cannot be written does not unmake it.
    pub(super) fn warn_unreported(&self, printed: Result<(), Failure>, done: &str) {
        match printed {
            Err(failure) if !failure.is_closed_pipe() => {
                self.console.warn(&format!("{done}, but {}", failure.message()));
            }
            _ => {}
        }
    }

    pub(super) fn remark_stale(&self, stale: &[Patch]) {
        remark_stale(self.console, stale);
    }

    /// What a selection lacks, and what to do about it.
    pub(super) fn remark_lapsed(&self, lapsed: &[Patch]) {
        self.remark_stale(lapsed);
        if !lapsed.is_empty() {
            let ids: Vec<_> = lapsed.iter().map(|patch| patch.id.to_string()).collect();
            let ids = ids.join(" ");
            self.console.remark(&format!(
                "propose anew with `greenroom refresh {ids}`, or dismiss with `greenroom discard {ids}`"
            ));
        }
    }

    /// What is to be said beside patches that were shown or staged.
    pub(super) fn remark_patches<'p>(&self, patches: impl IntoIterator<Item = &'p Patch>) {
        for warning in self.layer.take_strategy_warnings() {
            self.console.remark(&warning);
        }
        for patch in patches {
            for remark in &patch.diff.remarks {
                self.console.remark(&format!("{} `{}`: {remark}", patch.id, patch.path));
            }
        }
    }
}

pub(super) fn remark_stale(console: &Console, stale: &[Patch]) {
    for patch in stale {
        console.remark(&format!("{} `{}` {}", patch.id, patch.path, why_lapsed(patch)));
    }
}

/// Why a patch is stale or expired, behind its name.
fn why_lapsed(patch: &Patch) -> &'static str {
    match patch.reason {
        Some(DiscardReason::SessionExpired) => "is not pending any more: its session expired",
        _ => "is stale: it changed on the disk since the agent read it",
    }
}

/// After the answer: removes what the swaps left, and says where a user's bytes are
/// that were found in it.
pub(super) fn tidy(context: &Context<'_>, mut kept: Vec<String>) {
    match context.layer.tidy() {
        Ok(found) => kept.extend(found.iter().map(|kept| crate::paths::shown(&kept.file))),
        Err(error) => {
            let failure = Failure::from(error);
            context.console.remark(&format!("the next start tidies up: {}", failure.message()));
        }
    }
    for file in kept {
        context.console.warn(&format!("bytes of an edit made meanwhile are kept in `{file}`"));
    }
}
