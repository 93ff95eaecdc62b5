//! A command's surroundings, and what several commands report of patches.

use std::fmt::Write as _;

use staging_core::{DiscardReason, DiskOwner, Patch, Selector};

use super::text::{lines, risks};
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::selection::resolve;
use crate::selection_args::SelectionArgs;

/// A command's surroundings.
pub(super) struct Context<'a> {
    pub(super) console: &'a Console,
    pub(super) location: Location,
    pub(super) layer: DiskOwner,
}

impl Context<'_> {
    /// The selectors that the words of a selection mean.
    pub(super) fn resolve(&self, selection: &SelectionArgs) -> Result<Vec<Selector>, Failure> {
        resolve(selection, &self.layer, &self.location)
    }

    /// Shows the diff of patches that a question is about. Behind one that is longer than the screen it
    /// lists the patches; whether it was one.
    pub(super) fn show_in_question(&self, patches: &[Patch]) -> Result<bool, Failure> {
        /// Lines of the question itself, the signature included.
        const ROWS: usize = 4;
        let options = self.console.diff_options();
        let remarks: usize = patches.iter().map(|patch| patch.diff.remarks.len()).sum();
        let risks = risks(patches).lines().count();
        let is_long = self.console.diff_in_question(ROWS + remarks + risks, |out| {
            self.layer.write_diff(patches, &options, out)
        })?;
        if is_long {
            self.console.text(&first_lines(patches))?;
        }
        Ok(is_long)
    }

    /// Warns that a change was made whose report cannot be written.
    pub(super) fn warn_unreported(&self, printed: Result<(), Failure>, done: &str) {
        match printed {
            Err(failure) if !failure.is_closed_pipe => {
                self.console.warn(&format!("{done}, but {}", failure.message));
            }
            _ => {}
        }
    }

    /// The stale and expired patches of a selection, and what to do about them.
    pub(super) fn remark_lapsed(&self, lapsed: &[Patch]) {
        remark_stale(self.console, lapsed);
        if !lapsed.is_empty() {
            let ids: Vec<_> = lapsed.iter().map(|patch| patch.id.to_string()).collect();
            let ids = ids.join(" ");
            self.console.remark(&format!(
                "propose them again with `greenroom refresh {ids}`, or dismiss them with `greenroom discard {ids}`"
            ));
        }
    }

    /// Prints the risks of patches that were staged, and the remarks about them.
    pub(super) fn remark_staged(&self, patches: &[&Patch]) {
        risks(patches.iter().copied()).lines().for_each(|line| self.console.remark(line));
        self.remark_patches(patches.iter().copied());
    }

    /// Prints the warnings and remarks about the diffs of patches.
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

/// Patches, a line each, as far as they fit on a screen.
fn first_lines(patches: &[Patch]) -> String {
    const LINES_MAX: usize = 15;
    let mut text = lines(patches.iter().take(LINES_MAX));
    if let more @ 1.. = patches.len().saturating_sub(LINES_MAX) {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

pub(super) fn remark_stale(console: &Console, stale: &[Patch]) {
    for patch in stale {
        console.remark(&format!("{} `{}` {}", patch.id, patch.path, why_lapsed(patch)));
    }
}

/// Why a patch is stale or expired, to follow its name.
fn why_lapsed(patch: &Patch) -> &'static str {
    match patch.reason {
        Some(DiscardReason::SessionExpired) => "is no longer pending: its session expired",
        _ => "is stale: the file changed since the agent read it",
    }
}

/// Ends an apply after its answer: gives the warnings about it, removes its temporary files, and
/// reports edits of users that were found in them.
pub(super) fn tidy(context: &Context<'_>, warnings: &[String], mut kept: Vec<String>) {
    for warning in warnings {
        context.console.warn(warning);
    }
    match context.layer.tidy() {
        Ok(found) => kept.extend(found.iter().map(|kept| crate::paths::shown(&kept.file))),
        Err(error) => {
            let failure = Failure::from(error);
            context.console.remark(&format!(
                "cannot remove temporary files, the next start removes them: {}",
                failure.message
            ));
        }
    }
    for file in kept {
        context
            .console
            .warn(&format!("an edit that was made during the apply is kept in `{file}`"));
    }
}
