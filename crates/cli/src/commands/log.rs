//! `log`: what happened.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use staging_core::{
    Approval, DiffStagingLayer, ErrorKind, Event, EventRecord, LogCheck, PatchId, SessionId,
    StagingError, escape_line_for_display,
};

use super::context::Context;
use super::text::count;
use crate::args::LogSelector;
use crate::console::Console;
use crate::failure::Failure;
use crate::style::log_line;

/// Events are read this many at a time.
const PAGE: usize = 256;

/// Lines are printed when there are so many bytes of them.
const LINES_BYTES: usize = 32 * 1024;

/// The fields of an event in the order in which they read best.
const FIELDS: [&str; 22] = [
    "apply",
    "patch",
    "session",
    "label",
    "operation",
    "path",
    "rename_to",
    "revision",
    "edited",
    "patches",
    "attested_by",
    "approval",
    "undoes",
    "redoes",
    "by",
    "remaining",
    "message",
    "reason",
    "text",
    "comments",
    "set",
    "committed",
];

/// Prints the entries of these, all of them when there are none, or so many of the newest ones.
/// They are printed as they are read: nobody holds all of them in memory.
pub(super) fn log(
    context: &Context<'_>,
    of: &[LogSelector],
    last: Option<u64>,
) -> Result<(), Failure> {
    let mut entries = Entries::begin(context, Filter::of(context, of)?, last)?;
    if context.console.json {
        return context.console.list("events", &mut || entries.next());
    }
    context.console.page();
    let mut lines = String::new();
    while let Some(record) = entries.next()? {
        lines.push_str(&event_line(&record));
        if lines.len() >= LINES_BYTES {
            context.console.coloured(&std::mem::take(&mut lines), log_line)?;
        }
    }
    context.console.coloured(&lines, log_line)
}

/// Prints a log in which nothing is.
pub(super) fn print_no_events(console: &Console) -> Result<(), Failure> {
    if console.json {
        return console.list::<EventRecord>("events", &mut || Ok(None));
    }
    Ok(())
}

/// The entries that are about patches, sessions or applies; all of them when none is named.
struct Filter(Vec<IsAbout>);

type IsAbout = Box<dyn Fn(&Event) -> bool>;

impl Filter {
    fn of(context: &Context<'_>, named: &[LogSelector]) -> Result<Self, Failure> {
        let mut filter: Vec<IsAbout> = Vec::new();
        for one in named.iter().cloned() {
            filter.push(match one {
                LogSelector::Patch(id) => Box::new(move |event| event.names_patch(id)),
                LogSelector::Apply(id) => Box::new(move |event| event.names_apply(id)),
                LogSelector::Session(name) => {
                    let found = context.layer.find_session(&name);
                    let found =
                        found.map_err(|error| named_revision(&name).unwrap_or(error.into()))?;
                    // The label of a session that has ended can be another one's by now.
                    let all = context.layer.sessions()?.into_iter();
                    let all = all.filter(|session| session.label == name).map(|session| session.id);
                    let ids: HashSet<SessionId> = all.chain([found.id]).collect();
                    Box::new(move |event| event.session().is_some_and(|id| ids.contains(&id)))
                }
            });
        }
        Ok(Self(filter))
    }

    fn has(&self, event: &Event) -> bool {
        self.0.is_empty() || self.0.iter().any(|is_about| is_about(event))
    }
}

/// What to ask for instead, where a name is a patch with its revision.
fn named_revision(name: &str) -> Option<Failure> {
    let (patch, revision) = name.split_once('@')?;
    revision.parse::<u32>().ok()?;
    let patch: PatchId = patch.parse().ok()?;
    let message = format!("the log has no entries of a revision alone, such as `{name}`");
    let advice = format!("`greenroom log {patch}` shows those of all its revisions.");
    Some(Failure::usage(message).advise(advice))
}

/// The entries that are wanted, read in pages.
struct Entries<'a> {
    layer: &'a DiffStagingLayer,
    filter: Filter,
    /// The last entry that was read.
    seq: u64,
    page: std::vec::IntoIter<EventRecord>,
    /// How many entries come before the first one that is wanted.
    skip: u64,
}

impl<'a> Entries<'a> {
    fn begin(context: &'a Context<'_>, filter: Filter, last: Option<u64>) -> Result<Self, Failure> {
        let layer = &context.layer;
        let mut entries = Self { layer, filter, seq: 0, page: Vec::new().into_iter(), skip: 0 };
        let Some(last) = last else { return Ok(entries) };
        // From the newest one backwards, in steps that are no longer than a page.
        let (mut end, mut found) = (layer.newest_event()?, 0);
        while end > 0 && found < last {
            let from = end.saturating_sub(PAGE as u64);
            found += entries.count(from, end)?;
            end = from;
        }
        entries.seq = if last == 0 { layer.newest_event()? } else { end };
        entries.skip = found.saturating_sub(last);
        Ok(entries)
    }

    /// How many wanted entries there are behind one and up to another one.
    fn count(&self, mut from: u64, to: u64) -> Result<u64, Failure> {
        let mut count = 0;
        while from < to {
            let limit = usize::try_from(to - from).unwrap_or(PAGE);
            let page = self.layer.events_since(from, limit)?;
            let Some(newest) = page.last() else { break };
            from = newest.seq;
            count += page.iter().filter(|record| self.filter.has(&record.event)).count() as u64;
        }
        Ok(count)
    }

    fn next(&mut self) -> Result<Option<EventRecord>, StagingError> {
        loop {
            for record in self.page.by_ref() {
                if !self.filter.has(&record.event) {
                    continue;
                }
                if self.skip == 0 {
                    return Ok(Some(record));
                }
                self.skip -= 1;
            }
            let page = self.layer.events_since(self.seq, PAGE)?;
            let Some(newest) = page.last() else { return Ok(None) };
            self.seq = newest.seq;
            self.page = page.into_iter();
        }
    }
}

pub(super) fn event_line(record: &EventRecord) -> String {
    let fields = serde_json::to_value(&record.event).unwrap_or_default();
    let name = fields["event"].as_str().unwrap_or_default();
    let mut line = format!("{:>5} {} {name}", record.seq, record.at);
    for field in FIELDS {
        let shown = match &fields[field] {
            Value::Null => continue,
            // On one line, and apart from what is Greenroom's own.
            text @ Value::String(_) if field == "message" => text.to_string(),
            Value::String(text) => text.clone(),
            Value::Array(items) if field == "comments" => {
                let shown = items.iter().filter_map(|one| {
                    let comment = escape_line_for_display(one["comment"].as_str()?);
                    Some(format!("{}:{} {comment}", one["path"].as_str()?, one["line"]))
                });
                shown.collect::<Vec<_>>().join("; ")
            }
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Value::Number(revision) if field == "revision" => match revision.as_u64() {
                Some(1) => continue,
                _ => format!("revision {revision}"),
            },
            Value::Bool(true) if field == "edited" => "edited by the reviewer".to_owned(),
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
                format!("approved through the client {} {}", part("client"), part("version"))
            }
            other => format!("{field}={other}"),
        };
        let before = match field {
            "rename_to" => "-> ",
            "undoes" => "undoes ",
            "redoes" => "redoes ",
            "message" => "message ",
            _ => "",
        };
        let _ = write!(line, " {before}{shown}");
    }
    line.push('\n');
    line
}

pub(super) fn verify(context: &Context<'_>) -> Result<(), Failure> {
    let check = context.layer.verify_log()?;
    if let Some(seq) = check.broken_at {
        return Err(Failure::new(
            ErrorKind::Damaged,
            format!("the log was changed: entry {seq} was modified or removed"),
        )
        .advise("The entries before it are unchanged."));
    }
    print_check(context.console, &check)
}

pub(super) fn print_check(console: &Console, check: &LogCheck) -> Result<(), Failure> {
    if console.json {
        return console.object(json!({ "log": check }));
    }
    let events = count(check.events, "entry", "entries");
    console.text(&format!("{events} unchanged, last hash {}\n", check.head))
}
