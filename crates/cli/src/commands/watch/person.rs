//! What a person sees of `watch` on a terminal: what waits, then a line for each thing that happens.

use std::collections::HashMap;

use staging_core::{
    ApplyId, DiffSummary, DiscardReason, Event, EventRecord, Operation, RelPath, SessionId,
    Summary, Timestamp,
};

use super::local_time::local;
use crate::commands::context::Context;
use crate::commands::log::event_line;
use crate::commands::text::count;
use crate::failure::Failure;
use crate::paths::shown;
use crate::style::{Style, counts, of_operation};

/// Labels are filled up to this many columns, so that paths stand below each other.
const LABEL_COLUMNS: usize = 14;

pub(super) struct Reader<'a> {
    context: &'a Context<'a>,
    /// The labels of the sessions that were seen.
    labels: HashMap<SessionId, String>,
    /// The patches of the applies that began.
    applying: HashMap<ApplyId, usize>,
    /// The date of the last line.
    date: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        let (date, _) = local(Timestamp::now());
        Self { context, labels: HashMap::new(), applying: HashMap::new(), date }
    }

    /// Says what waits already.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        let console = self.context.console;
        let summary = Summary::from(&self.context.layer.status()?);
        let waits = match summary.is_empty() {
            true => "nothing is pending".to_owned(),
            false => format!("{}: `greenroom review` shows it", summary.waiting()),
        };
        console.report(&format!("{waits}\n"))?;
        let root = shown(&self.context.location.root);
        console.report(&format!("watching {root}; Ctrl-C ends it\n"))
    }

    pub(super) fn print(&mut self, page: &[EventRecord]) -> Result<(), Failure> {
        let mut text = String::new();
        for record in page {
            let Some((session, what)) = self.what(record) else { continue };
            let (date, time) = local(record.at);
            if date != self.date {
                text.push_str(&self.piece(Style::Faint, &date));
                text.push('\n');
                self.date = date;
            }
            let label = session.map(|session| self.label(session)).unwrap_or_default();
            let label = format!("{label:<LABEL_COLUMNS$}");
            let time = self.piece(Style::Faint, &time);
            let label = self.piece(Style::Name, &label);
            text.push_str(&format!("{time}  {label}  {what}\n"));
        }
        // Its pieces are escaped.
        self.context.console.bytes(|out| {
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .map_err(|source| staging_core::StagingError::Output { source })
        })
    }

    fn piece(&self, style: Style, text: &str) -> String {
        self.context.console.piece(style, text)
    }

    /// The name of a session as far as a person needs it: without most of an agent's random digits.
    fn label(&mut self, session: SessionId) -> String {
        if !self.labels.contains_key(&session) {
            let sessions = self.context.layer.sessions().unwrap_or_default();
            self.labels.extend(sessions.into_iter().map(|one| (one.id, short(&one.label))));
        }
        self.labels.get(&session).cloned().unwrap_or_else(|| session.to_string())
    }

    /// The session and what happened in it; nothing for what another line says as well.
    fn what(&mut self, record: &EventRecord) -> Option<(Option<SessionId>, String)> {
        let line = match &record.event {
            Event::SessionOpened { session, label } => {
                self.labels.insert(*session, short(label));
                return None;
            }
            Event::PatchProposed {
                patch,
                path,
                rename_to,
                operation,
                revision,
                diff,
                edited,
                ..
            } => {
                let proposed =
                    Proposed { path, rename_to: rename_to.as_ref(), diff, edited: *edited };
                let name = match revision {
                    1 => patch.to_string(),
                    revision => format!("{patch}@{revision}"),
                };
                self.proposed(*operation, &proposed, &name)
            }
            // The patch that replaces it, or what became of the apply, says it.
            Event::PatchSuperseded { by: Some(_), .. }
            | Event::PatchRefreshed { by: Some(_), .. }
            | Event::PatchApplied { .. } => return None,
            Event::PatchSuperseded { path, .. } => {
                self.happened(Style::Faint, "withdrawn", path, "")
            }
            Event::PatchRefreshed { path, .. } => {
                self.happened(Style::Faint, "settled", path, "the file has the change already")
            }
            Event::PatchDiscarded { path, reason, text, .. } => {
                let word = match reason {
                    DiscardReason::Rejected => "rejected",
                    DiscardReason::SessionExpired => "expired",
                    _ => "discarded",
                };
                self.happened(Style::Bad, word, path, text.as_deref().unwrap_or_default())
            }
            Event::PatchDismissed { path, text, .. } => {
                self.happened(Style::Bad, "dismissed", path, text.as_deref().unwrap_or_default())
            }
            Event::PatchStale { path, .. } => {
                self.happened(Style::Bad, "stale", path, "the file was changed")
            }
            Event::PatchReopened { path, .. } => {
                self.happened(Style::Care, "pending again", path, "")
            }
            Event::ApplyStarted { apply, patches, .. } => {
                self.applying.insert(*apply, patches.len());
                return None;
            }
            Event::ApplyCommitted { apply } => {
                let files = self.applying.remove(apply).unwrap_or_default();
                let done = self.piece(Style::Good, "applied");
                format!("{done} {} as {apply}", count(files as u64, "patch", "patches"))
            }
            Event::ApplyUndone { apply, by, .. } => {
                format!("{} {apply}, by {by}", self.piece(Style::Care, "undone"))
            }
            Event::ApplyRolledBack { apply, reason } => {
                let what = self.piece(Style::Bad, "rolled back");
                format!("{what} {apply}: {}", self.piece(Style::Strong, reason))
            }
            Event::ApplyInDoubt { apply, reason } => {
                let what = self.piece(Style::Bad, "in doubt");
                format!("{what} {apply}: {}", self.piece(Style::Strong, reason))
            }
            _ => {
                // As the log has it, without its number and time.
                let line = event_line(record);
                let line = line.trim().splitn(3, ' ').nth(2).unwrap_or_default().replace('_', " ");
                self.piece(Style::Faint, &line)
            }
        };
        Some((record.event.session(), line))
    }

    fn proposed(&self, operation: Operation, proposed: &Proposed<'_>, id: &str) -> String {
        let Proposed { path, rename_to, diff, edited } = proposed;
        let word = operation.to_string();
        let style = of_operation(&word).unwrap_or(Style::Care);
        let to = rename_to.map(|to| format!(" -> {to}")).unwrap_or_default();
        let numbers = match diff.full_replace {
            true => "(full replacement)".to_owned(),
            false => format!("(+{} -{})", diff.added, diff.removed),
        };
        let numbers = if self.context.console.has_colours() { counts(&numbers) } else { numbers };
        let edited = if *edited { ", edited by the reviewer" } else { "" };
        let name = self.context.console.plain(&format!("{path}{to}"));
        format!(
            "{} {name} {numbers}{edited}  {}",
            self.piece(style, &word),
            self.piece(Style::Faint, id)
        )
    }

    fn happened(&self, style: Style, word: &str, path: &RelPath, why: &str) -> String {
        let name = self.context.console.plain(&path.to_string());
        let what = format!("{} {name}", self.piece(style, word));
        if why.is_empty() { what } else { format!("{what}: {}", self.context.console.plain(why)) }
    }
}

struct Proposed<'p> {
    path: &'p RelPath,
    rename_to: Option<&'p RelPath>,
    diff: &'p DiffSummary,
    edited: bool,
}

/// A label without what only machines tell apart: of a random id its first digits.
fn short(label: &str) -> String {
    const DIGITS: usize = 8;
    let is_id = |text: &str| {
        text.len() == 36
            && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            && text.matches('-').count() == 4
    };
    let begin = label.len().saturating_sub(36);
    match label.get(begin..) {
        Some(id) if is_id(id) => format!("{}{}", &label[..begin], &id[..DIGITS]),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("agent:9f3c1e7a-6c3c-4b6f-9c55-1b1a7a4e0d11", "agent:9f3c1e7a")]
    #[case("agent-1", "agent-1")]
    #[case("", "")]
    #[case(
        "ääääääääääääääääääääääääääääääääääääääääää",
        "ääääääääääääääääääääääääääääääääääääääääää"
    )]
    fn a_label_is_as_long_as_a_person_needs_it(#[case] label: &str, #[case] expected: &str) {
        assert_eq!(short(label), expected);
    }
}
