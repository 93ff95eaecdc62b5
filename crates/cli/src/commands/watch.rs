//! `watch`: follows what happens.

mod local_time;
mod notify;
mod person;

use std::time::Duration;

use staging_core::{ApprovalMeans, EventRecord, RuleOutcome, RuleRunner, WatchHealth};

use self::notify::{Bell, Notified};
use self::person::Reader;
use super::approval::unasked;
use super::context::{Context, tidy};
use super::log::event_line;
use super::options::{checked_settings, defaults};
use crate::args::Watch;
use crate::failure::Failure;

/// Events are read this many at a time.
const PAGE: usize = 1000;

/// How often the log is asked for what other processes wrote.
const FOLLOW_EVERY: Duration = Duration::from_millis(50);

/// How often this process sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_BUDGET: Duration = Duration::from_millis(500);

/// Prints events until it is interrupted, or nobody reads them any more.
///
/// Every event is printed once, in the order of the log: the place of the last one
/// is all that is remembered, and places have no gaps.
pub(super) fn watch(context: &Context<'_>, arguments: &Watch) -> Result<(), Failure> {
    let mut rules = if arguments.apply_policy { Some(policy(context)?) } else { None };
    let mut seq = match arguments.since {
        Some(seq) => seq,
        None => context.layer.newest_event()?,
    };
    let mut reader = if context.console.has_reader() { Some(Reader::new(context)) } else { None };
    if let Some(reader) = &reader {
        reader.begin()?;
    }
    let mut bell = Bell::new(arguments.bell);
    let mut command = arguments.exec.as_deref().map(|exec| Notified::new(exec, arguments));
    let watching = context.layer.watch()?;
    let mut health = WatchHealth::Watching { directories: 0 };
    let mut swept = std::time::Instant::now();
    loop {
        let page = context.layer.events_since(seq, PAGE)?;
        if let Some(last) = page.last() {
            seq = last.seq;
            match &mut reader {
                Some(reader) => reader.print(&page)?,
                None => print(context, &page)?,
            }
            bell.hear(context.console, &page);
            if let Some(command) = &mut command {
                command.gather(&page);
            }
        }
        if let Some(command) = &mut command {
            command.run(context);
        }
        if let Some(rules) = &mut rules {
            apply_by(context, rules)?;
        }
        let now = watching.health();
        if matches!(now, WatchHealth::Polling { .. }) && now != health {
            context.console.remark(&now.to_string());
        }
        health = now;
        if swept.elapsed() >= SWEEP_EVERY {
            context.layer.sweep(SWEEP_BUDGET)?;
            swept = std::time::Instant::now();
        }
        if context.layer.needs_flush() {
            context.layer.flush()?;
        }
        if page.len() < PAGE {
            std::thread::sleep(FOLLOW_EVERY);
        }
    }
}

/// The rules of the user's configuration.
///
/// # Errors
/// When there is none that approves. `Refused` in the environment of an agent.
fn policy(context: &Context<'_>) -> Result<RuleRunner, Failure> {
    let location = &context.location;
    unasked(location, ApprovalMeans::Yes, "watch --apply-policy")?;
    let rules = checked_settings(location, defaults(location))?.policy;
    if rules.approve.is_empty() {
        return Err(Failure::usage("there is no rule that approves")
            .advise("Add `[[policy.approve]]` to your configuration: docs/cli.md has its keys."));
    }
    Ok(RuleRunner::new(rules))
}

/// Applies what rules approve; the log says what was applied.
fn apply_by(context: &Context<'_>, rules: &mut RuleRunner) -> Result<(), Failure> {
    for outcome in rules.run(&context.layer)? {
        match outcome {
            RuleOutcome::Applied { report, .. } => tidy(context, &report.warnings, report.kept),
            RuleOutcome::Failed { session, rule, error } => {
                let message = Failure::from(error).message;
                context.console.warn(&format!("the rule `{rule}` approved {session}: {message}"));
            }
            RuleOutcome::Asks { session, reason } => {
                context.console.remark(&format!("{session} waits for you: {reason}"));
            }
            RuleOutcome::Waits { session, reason } => {
                let remark = format!("{session} waits for you, or for its rule: {reason}");
                context.console.remark(&remark);
            }
            _ => {}
        }
    }
    Ok(())
}

/// One line for each event; with `--json` one object for each line.
fn print(context: &Context<'_>, page: &[EventRecord]) -> Result<(), Failure> {
    if context.console.json {
        return page.iter().try_for_each(|record| context.console.raw_object(record));
    }
    let lines: String = page.iter().map(event_line).collect();
    context.console.text(&lines)
}
