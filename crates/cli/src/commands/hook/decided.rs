//! The user's decisions in the answer of a hook.

use staging_core::{DecisionReport, report_lines};

use super::context::HookContext;

/// The decisions in one answer, until it is known whether the answer was written.
pub(super) struct Decided {
    context: HookContext,
    report: Option<DecisionReport>,
}

impl Decided {
    /// Takes what the agent has not received. Where the store fails, a later answer has it.
    pub(super) fn take(context: HookContext) -> Self {
        let taken = context.layer.take_decisions(&context.label);
        let report = taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "a later answer reports the decisions");
            None
        });
        Self { context, report }
    }

    /// The decisions in words.
    pub(super) fn text(&self) -> Option<String> {
        let lines = report_lines(self.report.as_ref()?);
        Some(format!("Decisions about your patches:\n{}", lines.trim_end()))
    }

    /// Records whether the answer was written. A hook that is killed before leaves it open, and the
    /// next answer reports the decisions again.
    pub(super) fn conclude(self, is_written: bool) {
        let Some(report) = self.report else { return };
        let recorded = match is_written {
            true => self.context.layer.set_delivered(&report),
            false => self.context.layer.set_undelivered(&report),
        };
        if let Err(error) = recorded {
            tracing::warn!(%error, "the next answer reports the decisions again");
        }
    }
}
