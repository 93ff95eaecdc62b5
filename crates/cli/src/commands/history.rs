//! `log` and `recover`: what happened, and what a dead process left.

use std::fmt::Write as _;

use serde_json::{Value, json};
use staging_core::{ApplyId, ApplyOutcome, Approval, ErrorKind, EventRecord, RecoverReport};

use super::{Stage, count};
use crate::failure::Failure;
use crate::place::shown;

/// Events are read this many at a time.
const PAGE: usize = 1000;

/// The fields of an event in the order in which they read best.
const FIELDS: [&str; 17] = [
    "apply",
    "patch",
    "session",
    "label",
    "operation",
    "path",
    "rename_to",
    "patches",
    "attested_by",
    "approval",
    "undoes",
    "redoes",
    "by",
    "reason",
    "text",
    "set",
    "committed",
];

pub(super) fn log(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut events: Vec<EventRecord> = Vec::new();
    let mut seq = 0;
    loop {
        let page = stage.layer.events_since(seq, PAGE)?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        if stage.console.json {
            events.extend(page);
        } else {
            let lines: String = page.iter().map(event_line).collect();
            stage.console.text(&lines)?;
        }
    }
    if stage.console.json {
        return stage.console.object(json!({ "events": events }));
    }
    Ok(())
}

pub(super) fn event_line(record: &EventRecord) -> String {
    let fields = serde_json::to_value(&record.event).unwrap_or_default();
    let name = fields["event"].as_str().unwrap_or_default();
    let mut line = format!("{:>5} {} {name}", record.seq, record.at);
    for field in FIELDS {
        let shown = match &fields[field] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Value::Object(_) if field == "approval" => {
                // The client is named already.
                if !fields["attested_by"].is_null() {
                    continue;
                }
                let approval = serde_json::from_value::<Approval>(fields[field].clone());
                format!("approved by {}", approval.unwrap_or_default())
            }
            Value::Object(client) if field == "attested_by" => {
                let part = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
                format!("attested by the client {} {}", part("client"), part("version"))
            }
            other => format!("{field}={other}"),
        };
        let before = match field {
            "rename_to" => "-> ",
            "undoes" => "undoes ",
            "redoes" => "redoes ",
            _ => "",
        };
        let _ = write!(line, " {before}{shown}");
    }
    line.push('\n');
    line
}

pub(super) fn verify(stage: &Stage<'_>) -> Result<(), Failure> {
    let check = stage.layer.verify_log()?;
    if let Some(seq) = check.broken_at {
        return Err(Failure::new(
            ErrorKind::Damaged,
            format!("the log was changed: entry {seq} is not what was written, or is gone"),
        )
        .advise("What stands before it is as it was written."));
    }
    if stage.console.json {
        return stage.console.object(json!({ "log": check }));
    }
    let events = count(usize::try_from(check.events).unwrap_or(usize::MAX), "entry", "entries");
    stage.console.text(&format!("{events} as written, last hash {}\n", check.head))
}

pub(super) fn recover(stage: &Stage<'_>, acknowledged: Option<ApplyId>) -> Result<(), Failure> {
    let report = match acknowledged {
        Some(apply) => stage.layer.acknowledge(apply)?,
        None => stage.layer.recover()?,
    };
    let kept: Vec<_> = report.kept.iter().map(|file| shown(file)).collect();
    if stage.console.json {
        let quarantined = report
            .quarantined
            .iter()
            .map(|journal| json!({ "file": shown(&journal.file), "reason": journal.reason }));
        stage.console.object(json!({
            "recovered": report.recovered,
            "kept": kept,
            "blobs_removed": report.blobs_removed,
            "quarantined": quarantined.collect::<Vec<_>>(),
            "foreign_slots": report.foreign_slots,
        }))?;
    } else {
        stage.console.text(&recovery_text(&report, &kept))?;
    }
    let in_doubt = report.recovered.iter().filter(|it| it.outcome == ApplyOutcome::InDoubt);
    match in_doubt.filter_map(|it| it.apply).next() {
        None => Ok(()),
        Some(apply) => Err(Failure::new(ErrorKind::InDoubt, format!("{apply} is in doubt"))
            .advise(acknowledging(apply))
            .in_the_object()),
    }
}

/// What to do about an apply that recovery could not decide.
pub(super) fn acknowledging(apply: ApplyId) -> String {
    format!(
        "Put its files in order by hand, then run `greenroom recover --acknowledge {apply}`; \
         `greenroom recover` tries it again."
    )
}

fn recovery_text(report: &RecoverReport, kept: &[String]) -> String {
    let mut text = String::new();
    for each in &report.recovered {
        let apply = each.apply.map_or_else(|| each.set.clone(), |apply| apply.to_string());
        let _ = match each.outcome {
            ApplyOutcome::Committed => writeln!(text, "{apply} is on the disk"),
            ApplyOutcome::RolledBack => writeln!(text, "{apply} is taken back"),
            ApplyOutcome::InDoubt => {
                writeln!(text, "{apply} is in doubt: it can be neither finished nor taken back")
            }
        };
        for conflict in &each.conflicts {
            let _ = writeln!(text, "  {conflict}: left as it is");
        }
        for path in &each.restored {
            let _ = writeln!(text, "  `{path}`: restored from the store");
        }
        if each.from_record {
            text.push_str("  its journal was missing or damaged\n");
        }
    }
    if report.recovered.is_empty() {
        text.push_str("no broken apply\n");
    }
    for journal in &report.quarantined {
        let (file, reason) = (shown(&journal.file), &journal.reason);
        let _ = writeln!(text, "journal `{file}` is not acted on: {reason}");
    }
    if !report.foreign_slots.is_empty() {
        let files = count(report.foreign_slots.len(), "temporary file", "temporary files");
        let _ = writeln!(text, "{files} of another Greenroom state left as they are");
    }
    if report.blobs_removed > 0 {
        let _ = writeln!(text, "{} stored contents swept", report.blobs_removed);
    }
    for file in kept {
        let _ = writeln!(text, "bytes of an edit made meanwhile are kept in `{file}`");
    }
    text
}
