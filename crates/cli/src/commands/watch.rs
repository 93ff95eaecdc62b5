//! `watch`: follows what happens.

use std::time::Duration;

use staging_core::{EventRecord, WatchHealth};

use super::context::Stage;
use super::log::event_line;
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
pub(super) fn watch(stage: &Stage<'_>, since: Option<u64>) -> Result<(), Failure> {
    let mut seq = match since {
        Some(seq) => seq,
        None => stage.layer.newest_event()?,
    };
    let watching = stage.layer.watch()?;
    let mut health = WatchHealth::Watching { directories: 0 };
    let mut swept = std::time::Instant::now();
    loop {
        let page = stage.layer.events_since(seq, PAGE)?;
        if let Some(last) = page.last() {
            seq = last.seq;
            print(stage, &page)?;
        }
        let now = watching.health();
        if matches!(now, WatchHealth::Polling { .. }) && now != health {
            stage.console.remark(&now.to_string());
        }
        health = now;
        if swept.elapsed() >= SWEEP_EVERY {
            stage.layer.sweep(SWEEP_BUDGET)?;
            swept = std::time::Instant::now();
        }
        if stage.layer.needs_flush() {
            stage.layer.flush()?;
        }
        if page.len() < PAGE {
            std::thread::sleep(FOLLOW_EVERY);
        }
    }
}

/// One line for each event; with `--json` one object for each line.
fn print(stage: &Stage<'_>, page: &[EventRecord]) -> Result<(), Failure> {
    if stage.console.json {
        return page.iter().try_for_each(|record| stage.console.raw_object(record));
    }
    let lines: String = page.iter().map(event_line).collect();
    stage.console.text(&lines)
}
