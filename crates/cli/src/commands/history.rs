//! `log`: what happened.

use std::fmt::Write as _;

use serde_json::{Value, json};
use staging_core::{Approval, ErrorKind, EventRecord, LogCheck};

use super::{Stage, count};
use crate::console::Console;
use crate::failure::Failure;

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
    print_events(stage.console, events)
}

/// Prints the log as one object; where it is text, it is printed already.
pub(super) fn print_events(console: &Console, events: Vec<EventRecord>) -> Result<(), Failure> {
    if console.json {
        return console.object(json!({ "events": events }));
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
    print_check(stage.console, &check)
}

pub(super) fn print_check(console: &Console, check: &LogCheck) -> Result<(), Failure> {
    if console.json {
        return console.object(json!({ "log": check }));
    }
    let events = count(usize::try_from(check.events).unwrap_or(usize::MAX), "entry", "entries");
    console.text(&format!("{events} as written, last hash {}\n", check.head))
}
