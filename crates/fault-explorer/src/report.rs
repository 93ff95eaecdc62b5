//! The results of a run: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::atomic_fs::simulated::Renames;
use serde::Serialize;

use crate::counts::Counts;

/// The results of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How much was explored: `quick`, `default` or `deep`.
    pub effort: String,
    /// What samples were drawn by.
    pub seed: u64,
    /// Figures by persistence model, and for faults and races.
    pub rows: BTreeMap<String, Counts>,
    /// Broken variants of the protocol.
    pub mutants: Vec<MutantOutcome>,
    /// Promises broken by the protocol itself.
    pub violations: usize,
}

/// A broken variant and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MutantOutcome {
    /// Its name.
    pub mutant: String,
    /// What it leaves out.
    pub description: String,
    /// What caught it; `None` when it survived.
    pub by: Option<String>,
    /// The promise that it breaks.
    pub promise: Option<String>,
    /// Recoveries that were judged before.
    pub after: u64,
}

const ORDER: [&str; 18] = [
    "kill",
    "weak",
    "ordered",
    "treelog",
    "ntfs",
    "faults",
    "fault pairs",
    "races",
    "edit pairs, weak",
    "edit pairs, ordered",
    "edit pairs, treelog",
    "edit pairs, ntfs",
    "descriptors",
    "slots removed",
    "slots replaced",
    "journals damaged",
    "second state",
    "directories moved",
];

impl Report {
    /// The tables.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        let heading =
            ["", "crash points", "states", "recoveries", "faults", "schedules", "edits", "others"];
        let mut lines = vec![heading.map(str::to_owned)];
        let headings = Renames::ALL.into_iter().flat_map(|renames| {
            ORDER.iter().map(move |name| match renames {
                Renames::All => (*name).to_owned(),
                renames => format!("{name}, {}", renames.word()),
            })
        });
        let rows = headings.filter_map(|name| Some((self.rows.get(&name)?, name)));
        for (counts, name) in rows {
            let Counts { crash_points, states, recoveries, faults, races, landed, others, .. } =
                *counts;
            let figures = [crash_points, states, recoveries, faults, races, landed, others];
            let mut line = [const { String::new() }; 8];
            line[0] = name;
            for (cell, figure) in line[1..].iter_mut().zip(figures) {
                *cell = if figure == 0 { "-".to_owned() } else { grouped(figure) };
            }
            lines.push(line);
        }
        for line in lines {
            let _ = write!(text, "{:<26}", line[0]);
            for cell in &line[1..] {
                let _ = write!(text, "{cell:>13}");
            }
            text.push('\n');
        }
        if !self.mutants.is_empty() {
            let caught = self.mutants.iter().filter(|mutant| mutant.by.is_some()).count();
            let _ = writeln!(text, "\nmutants: {caught} of {} caught", self.mutants.len());
            for mutant in &self.mutants {
                let by = mutant.by.as_deref().unwrap_or("SURVIVED");
                let after = grouped(mutant.after);
                let _ = writeln!(text, "  {:<24}{by:<34}{after:>12}", mutant.mutant);
            }
        }
        let _ = writeln!(text, "\nviolations: {}", self.violations);
        text
    }
}

/// 1234567 as `1,234,567`.
fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_by_thousands() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (figure, expected) in cases {
            assert_eq!(grouped(figure), expected);
        }
    }
}
