//! Figures of a run: percentiles by family, ratios, and the pairs that are worst.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::engines::{Engine, Measured, PATIENCE};
use super::pairs::{Family, Pair};
use crate::table;

/// One pair and what every engine made of it.
pub(super) struct Row {
    family: Family,
    name: String,
    bytes: (usize, usize),
    pub measured: BTreeMap<Engine, Measured>,
}

impl Row {
    pub(super) fn of(pair: &Pair) -> Self {
        Self {
            family: pair.family,
            name: pair.name.clone(),
            bytes: (pair.old.len(), pair.new.len()),
            measured: BTreeMap::new(),
        }
    }

    /// The time of an engine, or what it was waited for.
    fn time(&self, engine: Engine) -> Option<Duration> {
        self.measured.get(&engine).map(|measured| measured.time.unwrap_or(PATIENCE))
    }
}

/// The tables that docs/benchmarks.md quotes.
pub(super) fn print(rows: &[Row], engines: &[Engine], start_ups: (Duration, Duration)) {
    println!("\nstart-up, taken off: git {}, diff {}\n", shown(start_ups.0), shown(start_ups.1));
    let mut cells = vec![heading(&[
        "family",
        "engine",
        "p50",
        "p99",
        "max",
        "p99 to histogram",
        "changed lines",
        "degraded",
    ])];
    for family in Family::ALL {
        let of_family: Vec<_> = rows.iter().filter(|row| row.family == family).collect();
        if of_family.is_empty() {
            continue;
        }
        let ours = percentile(&times(&of_family, Engine::ALL[0]), 99);
        for engine in engines {
            let times = times(&of_family, *engine);
            if times.is_empty() {
                continue;
            }
            let p99 = percentile(&times, 99);
            let measured = of_family.iter().filter_map(|row| row.measured.get(engine));
            let changed: u64 = measured.clone().map(|measured| measured.changed).sum();
            let degraded = measured.clone().filter(|measured| measured.degraded).count();
            let stopped = measured.filter(|measured| measured.time.is_none()).count();
            let max = shown(percentile(&times, 100));
            cells.push(vec![
                family.name().to_owned(),
                engine.name(),
                shown(percentile(&times, 50)),
                shown(p99),
                if stopped > 0 { format!("> {max} ({stopped} pairs)") } else { max },
                format!("{:.2} x", p99.as_secs_f64() / ours.as_secs_f64()),
                if stopped > 0 { "-".to_owned() } else { changed.to_string() },
                if engine.is_ours() { degraded.to_string() } else { String::new() },
            ]);
        }
    }
    table::print(&cells);
    print_adversarial(rows, engines);
    print_worst(rows, engines);
}

/// Every adversarial pair.
fn print_adversarial(rows: &[Row], engines: &[Engine]) {
    println!();
    let engines: Vec<_> =
        engines.iter().filter(|engine| **engine != Engine::ImaraHistogram).collect();
    let mut cells = vec![vec!["adversarial pair".to_owned()]];
    cells[0].extend(engines.iter().map(|engine| engine.name()));
    for row in rows.iter().filter(|row| row.family == Family::Adversarial) {
        let mut line = vec![row.name.clone()];
        line.extend(engines.iter().map(|engine| match row.measured.get(engine) {
            Some(Measured { time: Some(time), .. }) => shown(*time),
            Some(_) => format!("> {}", shown(PATIENCE)),
            None => "-".to_owned(),
        }));
        cells.push(line);
    }
    table::print(&cells);
}

/// The pairs that took longest, for each strategy and family.
fn print_worst(rows: &[Row], engines: &[Engine]) {
    println!();
    let mut cells = vec![heading(&["strategy", "family", "slowest pair", "time"])];
    for engine in engines.iter().filter(|engine| engine.is_ours()) {
        for family in Family::ALL {
            let slowest =
                rows.iter().filter(|row| row.family == family).max_by_key(|row| row.time(*engine));
            if let Some((row, time)) = slowest.and_then(|row| Some((row, row.time(*engine)?))) {
                cells.push(vec![
                    engine.name(),
                    family.name().to_owned(),
                    row.name.clone(),
                    shown(time),
                ]);
            }
        }
    }
    table::print(&cells);
}

fn heading(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn times(rows: &[&Row], engine: Engine) -> Vec<Duration> {
    let mut times: Vec<_> = rows.iter().filter_map(|row| row.time(engine)).collect();
    times.sort();
    times
}

/// The least time that so many in a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Microseconds below a millisecond, for most diffs take no longer.
fn shown(duration: Duration) -> String {
    if duration < Duration::from_millis(1) {
        format!("{} us", duration.as_micros())
    } else if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// Every figure.
pub(super) fn json(rows: &[Row], start_ups: (Duration, Duration)) -> Value {
    let pairs: Vec<Value> = rows
        .iter()
        .map(|row| {
            let engines: serde_json::Map<String, Value> = row
                .measured
                .iter()
                .map(|(engine, measured)| {
                    let figures = json!({
                        "microseconds": measured.time.map(|time| time.as_nanos() as f64 / 1000.0),
                        "changed_lines": measured.changed,
                        "degraded": measured.degraded,
                    });
                    (engine.name(), figures)
                })
                .collect();
            json!({
                "family": row.family.name(), "pair": row.name,
                "old_bytes": row.bytes.0, "new_bytes": row.bytes.1, "engines": engines,
            })
        })
        .collect();
    json!({
        "git_start_up_microseconds": start_ups.0.as_micros() as u64,
        "diff_start_up_microseconds": start_ups.1.as_micros() as u64,
        "pairs": pairs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times, 100), Duration::from_millis(200));
        assert_eq!(percentile(&times[..1], 1), Duration::from_millis(1));
    }
}
