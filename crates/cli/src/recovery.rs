//! Reports of recovery, as text and for `--json`.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use staging_core::{ApplyId, ApplyOutcome, RecoverReport, RecoveredApply};

use crate::paths::shown;

/// How many files are named without `-v`.
const NAMED_MAX: usize = 10;

/// What recovery did, as programs read it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RecoveryView<'a> {
    pub(crate) recovered: &'a [RecoveredApply],
    /// Files with users' bytes that could not stay in place.
    pub(crate) kept: Vec<String>,
    pub(crate) quarantined: Vec<QuarantinedView<'a>>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct QuarantinedView<'a> {
    file: String,
    reason: &'a str,
}

impl<'a> From<&'a RecoverReport> for RecoveryView<'a> {
    fn from(report: &'a RecoverReport) -> Self {
        let quarantined = report
            .quarantined
            .iter()
            .map(|journal| QuarantinedView { file: shown(&journal.file), reason: &journal.reason });
        Self {
            recovered: &report.recovered,
            kept: report.kept.iter().map(shown).collect(),
            quarantined: quarantined.collect(),
        }
    }
}

/// A report as programs read it.
pub(crate) fn serialize<S: Serializer>(
    report: &RecoverReport,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    RecoveryView::from(report).serialize(serializer)
}

/// What recovery did to applies and journals and what to do next, a line each.
pub(crate) fn lines(report: &RecoverReport, names_all: bool) -> Vec<String> {
    let named_max = if names_all { usize::MAX } else { NAMED_MAX };
    let mut lines = Vec::new();
    for each in &report.recovered {
        lines.push(sentence(each));
        if names_all && !each.files.is_empty() {
            lines.push(format!("  files: {}", each.files.join(", ")));
        }
        let stays = |conflict: &String| format!("  {conflict}: left unchanged");
        push_some(&mut lines, each.conflicts.iter().map(stays), named_max, "left unchanged");
        if !each.restored.is_empty() {
            let restored = each.restored.iter().map(|path| format!("  `{path}`: {RESTORED}"));
            push_some(&mut lines, restored, named_max, RESTORED);
        }
        if each.from_record {
            lines.push("  its journal was missing or damaged: the store's record was used".into());
        }
        if let (ApplyOutcome::InDoubt, Some(apply)) = (each.outcome, each.apply) {
            lines.push(format!("  {}", acknowledging(apply)));
        }
    }
    for journal in &report.quarantined {
        let (file, reason) = (shown(&journal.file), &journal.reason);
        lines.push(format!("journal `{file}` is ignored: {reason}; inspect it, then remove it"));
    }
    for file in &report.kept {
        let file = shown(file);
        lines.push(format!(
            "an edit that was made during the apply is kept in `{file}`: merge it by hand, then \
             remove the file"
        ));
    }
    lines
}

/// Whether a person has to act or to know something, even with `--quiet`.
pub(crate) fn needs_a_person(report: &RecoverReport) -> bool {
    let is_whole = |each: &RecoveredApply| {
        each.outcome != ApplyOutcome::InDoubt
            && each.conflicts.is_empty()
            && each.restored.is_empty()
    };
    !report.kept.is_empty()
        || !report.quarantined.is_empty()
        || !report.recovered.iter().all(is_whole)
}

const RESTORED: &str = "restored from the store";

/// Some lines, and how many more there are.
fn push_some(
    lines: &mut Vec<String>,
    all: impl ExactSizeIterator<Item = String>,
    named_max: usize,
    what: &str,
) {
    let more = all.len().saturating_sub(named_max);
    lines.extend(all.take(named_max));
    if more > 0 {
        lines.push(format!("  {more} more {what}; -v names them"));
    }
}

/// An interrupted apply, its outcome, and the next step.
fn sentence(recovered: &RecoveredApply) -> String {
    let RecoveredApply { apply, undoes, .. } = recovered;
    let name = match (apply, undoes) {
        (Some(apply), Some(undone)) => format!("{apply}, the undo of {undone},"),
        (Some(apply), None) => apply.to_string(),
        (None, _) => recovered.set.clone(),
    };
    let files = match recovered.files.len() {
        0 => String::new(),
        1 => " (1 file)".to_owned(),
        several => format!(" ({several} files)"),
    };
    let next = match (recovered.outcome, apply, undoes) {
        (ApplyOutcome::Committed, _, Some(undone)) => {
            format!("; `greenroom redo {undone}` applies {undone} again")
        }
        (ApplyOutcome::Committed, Some(apply), None) => {
            format!("; `greenroom undo {apply}` takes it back")
        }
        (ApplyOutcome::Committed, None, None) => String::new(),
        (ApplyOutcome::RolledBack, _, Some(undone)) => format!("; {undone} is still applied"),
        (ApplyOutcome::RolledBack, _, None) => "; its patches can be decided again".to_owned(),
        (ApplyOutcome::InDoubt, ..) => {
            return format!("{name} is in doubt{files}: it cannot be finished or rolled back");
        }
    };
    let is_finished = recovered.outcome == ApplyOutcome::Committed;
    let ended = if is_finished { "finished" } else { "rolled back" };
    format!("recovered: {name} was interrupted and is now {ended}{files}{next}")
}

/// The next step for an apply in doubt.
pub(crate) fn acknowledging(apply: ApplyId) -> String {
    format!(
        "Correct its files by hand, then run `greenroom recover --acknowledge {apply}`; \
         `greenroom recover` tries again."
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rstest::rstest;
    use staging_core::QuarantinedJournal;

    use super::*;

    fn recovered(outcome: ApplyOutcome, undoes: Option<u64>) -> RecoveredApply {
        RecoveredApply {
            apply: Some(ApplyId(3)),
            set: "a3-set".to_owned(),
            undoes: undoes.map(ApplyId),
            files: vec!["a".to_owned()],
            outcome,
            conflicts: Vec::new(),
            restored: Vec::new(),
            from_record: false,
        }
    }

    #[rstest]
    #[case(
        ApplyOutcome::Committed,
        None,
        "a3 was interrupted and is now finished (1 file)",
        "undo a3"
    )]
    #[case(ApplyOutcome::Committed, Some(2), "a3, the undo of a2, was", "redo a2")]
    #[case(ApplyOutcome::RolledBack, None, "is now rolled back", "can be decided again")]
    #[case(ApplyOutcome::RolledBack, Some(2), "a3, the undo of a2, was", "a2 is still applied")]
    #[case(
        ApplyOutcome::InDoubt,
        None,
        "a3 is in doubt (1 file)",
        "cannot be finished or rolled back"
    )]
    fn an_outcome_is_reported_with_the_next_step(
        #[case] outcome: ApplyOutcome,
        #[case] undoes: Option<u64>,
        #[case] what: &str,
        #[case] next: &str,
    ) {
        let line = sentence(&recovered(outcome, undoes));
        assert!(line.contains(what) && line.contains(next), "{line}");
    }

    #[test]
    fn users_bytes_and_journals_are_reported_with_where_they_are() {
        let quarantined = QuarantinedJournal { file: "/s/j".into(), reason: "torn".to_owned() };
        let report = RecoverReport {
            kept: vec![PathBuf::from("/s/conflicts/a")],
            quarantined: vec![quarantined],
            ..RecoverReport::default()
        };
        let lines = lines(&report, false).join("\n");
        assert!(lines.contains("kept in `/s/conflicts/a`: merge it by hand"), "{lines}");
        assert!(lines.contains("journal `/s/j` is ignored: torn"), "{lines}");
        assert_eq!(super::lines(&RecoverReport::default(), true), Vec::<String>::new());
    }

    #[test]
    fn of_many_files_the_first_are_named_and_the_others_counted() {
        let restored: Vec<String> = (0..NAMED_MAX + 2).map(|number| number.to_string()).collect();
        let each = RecoveredApply { restored, ..recovered(ApplyOutcome::Committed, None) };
        let report = RecoverReport { recovered: vec![each], ..RecoverReport::default() };
        let few = lines(&report, false);
        assert_eq!(few.len(), 1 + NAMED_MAX + 1, "{few:?}");
        assert_eq!(few.last().expect("some"), "  2 more restored from the store; -v names them");
        let all = lines(&report, true);
        assert!(all.iter().any(|line| line.contains("`11`: restored")), "{all:?}");
    }
}
