//! Medians, ratios, and a table of them.

use std::time::Duration;

/// The middle of some durations; the lower one of an even number.
pub(super) fn median(durations: &mut [Duration]) -> Duration {
    durations.sort();
    durations[(durations.len() - 1) / 2]
}

/// Prints columns as wide as their widest cell, the first one to the left.
pub(super) fn print(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
        })
        .map(|width| width.unwrap_or(0))
        .collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| match column {
                0 => format!("{cell:<width$}", width = widths[column]),
                _ => format!("{cell:>width$}", width = widths[column]),
            })
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

/// A duration as a person reads it.
pub(super) fn shown(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.2} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_was_measured() {
        let mut durations = [3, 1, 2].map(Duration::from_millis);
        assert_eq!(median(&mut durations), Duration::from_millis(2));
    }
}
