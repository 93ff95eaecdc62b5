//! What a command costs in a view: `greenroom run` beside the bare command, bubblewrap's overlay and try.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result};

use crate::table::{median, print, shown};

mod contestants;
mod work;

use contestants::Contestant;
use work::{Measured, Work, make_tree};

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Scope {
    /// Files of the tree
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    files: usize,
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Measure only the work whose name holds this
    #[arg(long, value_name = "NAME-PART", default_value = "")]
    only: String,
    /// Where the tree is made
    #[arg(long = "in", value_name = "DIR")]
    place: Option<PathBuf>,
}

/// Prints a table and writes `target/bench/capture.json`. Every work is done by all contestants in
/// turn, in one tree.
pub(crate) fn run(root: &Path, scope: &Scope) -> Result<()> {
    let target = root.join("target/bench");
    fs::create_dir_all(&target).into_diagnostic()?;
    let place = scope.place.as_deref().unwrap_or(&target);
    let folder = tempfile::tempdir_in(place).into_diagnostic()?;
    // A view needs a path that leads through no link.
    let folder = folder.path().canonicalize().into_diagnostic().map(|path| (folder, path))?.1;
    let tree = folder.join("tree");
    make_tree(&tree, scope.files)?;
    let contestants = Contestant::all(root, &folder)?;
    let mut rows = vec![vec![format!("in a tree of {} files", scope.files)]];
    rows[0].extend(contestants.iter().map(|contestant| contestant.name.to_owned()));
    let mut report = BTreeMap::new();
    for work in Work::all().into_iter().filter(|work| work.name.contains(&scope.only)) {
        let mut measured: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
        for _ in 0..scope.rounds {
            for contestant in &contestants {
                let once = contestant.measure(&tree, &folder, &work)?;
                measured.entry(contestant.name).or_default().push(once);
            }
        }
        for (part, pick) in work.parts() {
            let mut row = vec![format!("{}{part}", work.name)];
            let mut bare = Duration::ZERO;
            for contestant in &contestants {
                let all = &measured[contestant.name];
                let middle = median(&mut all.iter().map(pick).collect::<Vec<_>>());
                if row.len() == 1 {
                    bare = middle;
                    row.push(shown(middle));
                } else {
                    row.push(format!("{} ({:.2})", shown(middle), ratio(middle, bare)));
                }
                report.insert(
                    format!("{}{part}, {}", work.name, contestant.name),
                    serde_json::json!({ "median_ms": middle.as_secs_f64() * 1000.0 }),
                );
            }
            rows.push(row);
        }
    }
    print(&rows);
    let json = serde_json::to_string_pretty(&report).into_diagnostic()?;
    fs::write(target.join("capture.json"), json).into_diagnostic()?;
    println!("\nmedians of {}; ratios to the bare command", scope.rounds);
    println!("written to target/bench/capture.json");
    Ok(())
}

fn ratio(duration: Duration, bare: Duration) -> f64 {
    duration.as_secs_f64() / bare.as_secs_f64().max(1e-9)
}
