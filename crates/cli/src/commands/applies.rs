//! `applies`: what was applied and undone.

use std::fmt::Write as _;

use staging_core::{ApplyOutcome, ApplyRecord};

use super::context::Context;
use crate::console::Console;
use crate::failure::Failure;
use crate::json::AppliesView;
use crate::style::done_line;

pub(super) fn applies(context: &Context<'_>, max_count: Option<usize>) -> Result<(), Failure> {
    let applies = context.layer.applies(max_count.unwrap_or(usize::MAX))?;
    print(context.console, &applies)
}

pub(super) fn print(console: &Console, applies: &[ApplyRecord]) -> Result<(), Failure> {
    if console.json {
        return console.object(AppliesView { applies });
    }
    console.page();
    let mut text = String::new();
    for record in applies {
        let ApplyRecord { apply, started_at, .. } = record;
        let by = record.approval.as_ref().map(|by| format!(", approved by {by}"));
        let what = what(record);
        let _ = writeln!(text, "{apply} {started_at} {what}{}", by.unwrap_or_default());
        for line in record.message.iter().flat_map(|message| message.lines()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    console.coloured(&text, done_line)
}

/// What an apply did, in a few words.
fn what(record: &ApplyRecord) -> String {
    let totals = record.totals;
    let what = match record.undoes {
        Some(undone) => format!("undid {totals} of {undone}"),
        None => format!("applied {totals}"),
    };
    match outcome(record) {
        Some(outcome) => format!("{what}: {outcome}"),
        None => what,
    }
}

/// What there is to say of an apply beside that it was applied.
pub(super) fn outcome(record: &ApplyRecord) -> Option<String> {
    let because = |what: &str| match &record.reason {
        Some(reason) => format!("{what}, {reason}"),
        None => what.to_owned(),
    };
    match (record.outcome, record.undone_by, record.undone) {
        (None, ..) => Some("running, or interrupted".to_owned()),
        (Some(ApplyOutcome::RolledBack), ..) => Some(because("rolled back")),
        (Some(ApplyOutcome::InDoubt), ..) => Some(because("in doubt")),
        (Some(ApplyOutcome::Committed), Some(by), _) => Some(format!("undone by {by}")),
        (Some(ApplyOutcome::Committed), None, 0) => {
            record.forgotten.then(|| "too old to be undone".to_owned())
        }
        (Some(ApplyOutcome::Committed), None, undone) => {
            let all = record.totals.files + record.totals.directories;
            Some(format!("{undone} of {all} undone"))
        }
    }
}
