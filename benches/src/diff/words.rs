//! The changed words of changed lines, as a terminal emphasizes them, beside the diff itself.

use std::time::{Duration, Instant};

use diff_engine::{FileChange, FileHeader, RenderOptions, Side};
use emphasis::{BYTES_MAX, Emphasis, LINES_MAX};
use miette::{IntoDiagnostic as _, Result};
use similar::{DiffOp, InlineChangeMode, InlineChangeOptions, TextDiff};

use super::engines::{RUNS, engine_with};
use super::pairs::{Family, Pair};
use crate::table;

/// The strategy whose diffs are emphasized.
const STRATEGY: &str = "histogram";
/// What one change may take of `similar`.
const PATIENCE: Duration = Duration::from_micros(2500);

/// What it took for one pair.
pub(super) struct Words {
    family: Family,
    name: String,
    /// From two contents to a diff, without emphasis.
    diff: Duration,
    /// The words of all its changes.
    words: Duration,
    /// The same by `similar`, of the changes that are not longer than ours may be.
    similar: Duration,
    changed_lines: usize,
    emphasized_lines: usize,
}

/// Removed lines and those added for them.
type Change<'d> = (Vec<&'d str>, Vec<&'d str>);

/// Measures a pair: of all three the least of several runs, in turn.
pub(super) fn measure(pair: &Pair) -> Result<Words> {
    let mut words = Words {
        family: pair.family,
        name: pair.name.clone(),
        diff: Duration::MAX,
        words: Duration::MAX,
        similar: Duration::MAX,
        changed_lines: 0,
        emphasized_lines: 0,
    };
    for _ in 0..RUNS {
        let engine = engine_with(STRATEGY);
        let mut text = Vec::new();
        let begun = Instant::now();
        let (old, new) = (Side::Text(&pair.old), Side::Text(&pair.new));
        let diff = engine.diff(old, new);
        let header = FileHeader::new(FileChange::Modify { path: b"file" });
        let options = RenderOptions::default();
        engine.render(&header, &diff, old, new, &options, &mut text).into_diagnostic()?;
        words.diff = words.diff.min(begun.elapsed());

        let text = String::from_utf8_lossy(&text);
        let changes = changes(&text);
        let begun = Instant::now();
        let (mut emphasis, mut lines) = (Emphasis::default(), 0);
        for (removed, added) in &changes {
            if let Some(changed) = emphasis.of_change(removed, added) {
                let ranges = changed.removed.iter().chain(&changed.added);
                lines += ranges.filter(|ranges| !ranges.is_empty()).count();
            }
        }
        words.words = words.words.min(begun.elapsed());
        words.emphasized_lines = lines;
        words.changed_lines = changes.iter().map(|(old, new)| old.len() + new.len()).sum();

        let begun = Instant::now();
        changes.iter().for_each(by_similar);
        words.similar = words.similar.min(begun.elapsed());
    }
    Ok(words)
}

/// The changes of a unified diff of one file.
fn changes(diff: &str) -> Vec<Change<'_>> {
    let mut changes = Vec::new();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let mut is_in_hunk = false;
    for line in diff.lines() {
        let is_header = line.starts_with("@@ ");
        is_in_hunk |= is_header;
        let kind = if is_in_hunk && !is_header { line.as_bytes().first() } else { None };
        let begins_another = kind == Some(&b'-') && !added.is_empty();
        if begins_another || !matches!(kind, Some(b'-' | b'+' | b'\\')) {
            changes.push((std::mem::take(&mut removed), std::mem::take(&mut added)));
        }
        match kind {
            Some(b'-') => removed.push(&line[1..]),
            Some(b'+') => added.push(&line[1..]),
            _ => {}
        }
    }
    changes.push((removed, added));
    changes.retain(|(removed, added)| !removed.is_empty() || !added.is_empty());
    changes
}

/// As the command emphasized words with `similar`.
fn by_similar((removed, added): &Change<'_>) {
    let bytes: usize = removed.iter().chain(added).map(|line| line.len()).sum();
    let is_long = removed.len() + added.len() > LINES_MAX || bytes > BYTES_MAX;
    if removed.is_empty() || added.is_empty() || is_long {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    let lines = TextDiff::configure().deadline(deadline).diff_slices(removed, added);
    let replaced = DiffOp::Replace {
        old_index: 0,
        old_len: removed.len(),
        new_index: 0,
        new_len: added.len(),
    };
    let mut options = InlineChangeOptions::new();
    options.mode(InlineChangeMode::UnicodeWords).semantic_cleanup(true);
    let changes =
        lines.iter_inline_changes_with_options_deadline(&replaced, options, Some(deadline));
    changes.for_each(|change| drop(std::hint::black_box(change)));
}

/// A row for each family, and the pairs that took longest.
pub(super) fn print(all: &[Words]) {
    println!();
    let heading = [
        "changed words of",
        "pairs",
        "diffs, total",
        "words, total",
        "of the diffs",
        "of each diff: p50",
        "p99",
        "words: p50",
        "p99",
        "most",
        "similar, total",
        "most",
        "changed lines",
        "emphasized",
    ];
    let mut cells = vec![heading.map(str::to_owned).to_vec()];
    for family in Family::ALL {
        let of_family: Vec<&Words> = all.iter().filter(|one| one.family == family).collect();
        if of_family.is_empty() {
            continue;
        }
        let total = |time: fn(&Words) -> Duration| of_family.iter().map(|one| time(one)).sum();
        let (diffs, words): (Duration, Duration) = (total(|one| one.diff), total(|one| one.words));
        let similar: Duration = total(|one| one.similar);
        let mut ratios: Vec<f64> = of_family.iter().map(|one| one.ratio()).collect();
        ratios.sort_by(f64::total_cmp);
        let mut times: Vec<Duration> = of_family.iter().map(|one| one.words).collect();
        times.sort();
        let most = of_family.iter().map(|one| one.similar).max().unwrap_or_default();
        let at = |percent: usize| (of_family.len() * percent).div_ceil(100).max(1) - 1;
        let sum =
            |count: fn(&Words) -> usize| of_family.iter().map(|one| count(one)).sum::<usize>();
        cells.push(vec![
            family.name().to_owned(),
            of_family.len().to_string(),
            microseconds(diffs),
            microseconds(words),
            format!("{:.2} x", words.as_secs_f64() / diffs.as_secs_f64()),
            format!("{:.2} x", ratios[at(50)]),
            format!("{:.2} x", ratios[at(99)]),
            microseconds(times[at(50)]),
            microseconds(times[at(99)]),
            microseconds(times[at(100)]),
            microseconds(similar),
            microseconds(most),
            sum(|one| one.changed_lines).to_string(),
            sum(|one| one.emphasized_lines).to_string(),
        ]);
    }
    table::print(&cells);
    let longer = all.iter().filter(|one| one.ratio() > 1.0).count();
    println!("\nthe words took longer than the diff in {longer} of {} pairs; longest:", all.len());
    let mut worst: Vec<&Words> = all.iter().collect();
    worst.sort_by_key(|one| std::cmp::Reverse(one.words));
    for one in worst.iter().take(5) {
        let Words { name, diff, words, .. } = one;
        println!("  {name}: {} beside {}", microseconds(*words), microseconds(*diff));
    }
}

impl Words {
    fn ratio(&self) -> f64 {
        self.words.as_secs_f64() / self.diff.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

fn microseconds(duration: Duration) -> String {
    match duration.as_micros() {
        short @ 0..10_000 => format!("{short} us"),
        long => format!("{} ms", long / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_a_diff_are_its_removed_lines_with_the_added_ones_behind_them() {
        let diff = "--- a/x\n+++ b/x\n@@ -1,5 +1,6 @@\n same\n-a\n--- b\n+c\n-d\n+++ e\n same\n+f\n\
                    \\ No newline at end of file\n";
        let expected: [Change<'_>; 3] =
            [(vec!["a", "-- b"], vec!["c"]), (vec!["d"], vec!["++ e"]), (vec![], vec!["f"])];
        assert_eq!(changes(diff), expected);
    }
}
