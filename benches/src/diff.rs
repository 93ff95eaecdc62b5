//! `cargo xtask bench diff`: the strategies beside `similar`, imara-diff, git and GNU diff.

mod adversarial;
mod ai_shaped;
mod applying;
mod engines;
mod pairs;
mod published;
mod report;
mod words;

use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use engines::{Engine, Runner};
use pairs::{Family, Pair};
use report::Row;

/// What is left out of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Scope {
    /// Measure only pairs whose name holds this
    #[arg(long, value_name = "NAME-PART")]
    only: Option<String>,
    /// Measure only Greenroom's own strategies
    #[arg(long)]
    ours_only: bool,
    /// Measure only the emphasis of changed words
    #[arg(long)]
    words_only: bool,
    /// Do not apply the diffs
    #[arg(long)]
    without_applying: bool,
}

/// Makes the corpus, measures, applies every diff, and prints tables; `target/bench/diff.json`
/// holds every figure.
pub(crate) fn run(root: &Path, scope: &Scope) -> Result<()> {
    let folder = root.join("target/bench/diff");
    fs::create_dir_all(&folder).into_diagnostic()?;
    let mut corpus = corpus(&folder)?;
    if let Some(part) = &scope.only {
        corpus.retain(|pair| pair.name.contains(part));
    }
    let runner = Runner::new(&folder.join("processes"))?;
    let engines: Vec<Engine> =
        Engine::ALL.into_iter().filter(|engine| engine.is_ours() || !scope.ours_only).collect();
    if scope.words_only {
        words::print(&corpus.iter().map(words::measure).collect::<Result<Vec<_>>>()?);
        return Ok(());
    }
    let mut rows = Vec::with_capacity(corpus.len());
    let mut all_words = Vec::with_capacity(corpus.len());
    for (index, pair) in corpus.iter().enumerate() {
        if index % 200 == 0 {
            eprintln!("measuring pair {index} of {}", corpus.len());
        }
        let mut row = Row::of(pair);
        for engine in &engines {
            // It hangs on some of these shapes, and cannot be stopped.
            if pair.family == Family::Adversarial && *engine == Engine::ImaraHistogram {
                continue;
            }
            let measured = runner
                .measure(*engine, pair)
                .wrap_err_with(|| format!("{} failed on {}", engine.name(), pair.name))?;
            row.measured.insert(*engine, measured);
        }
        rows.push(row);
        all_words.push(words::measure(pair)?);
    }
    report::print(&rows, &engines, runner.start_ups());
    words::print(&all_words);
    if scope.only.is_none() {
        let json = report::json(&rows, runner.start_ups());
        let json = serde_json::to_string_pretty(&json).into_diagnostic()?;
        fs::write(root.join("target/bench/diff.json"), json).into_diagnostic()?;
        println!("\nevery figure is in target/bench/diff.json");
    }
    if !scope.without_applying {
        for engine in engines {
            if let Engine::Ours(strategy) = engine {
                applying::check(&folder.join("applying"), strategy, &corpus)?;
            }
        }
        println!("git apply and patch gave the new content from every diff of every strategy");
    }
    Ok(())
}

/// All pairs, the real ones first; says what there are, and what could not be had.
fn corpus(folder: &Path) -> Result<Vec<Pair>> {
    let (mut pairs, left_out) = published::pairs(folder)?;
    for sentence in left_out {
        println!("left out: {sentence}");
    }
    if pairs.is_empty() {
        println!("there are no real pairs, and AI-shaped edits are of text that is made up");
    }
    pairs.extend(ai_shaped::pairs(&pairs));
    pairs.extend(adversarial::pairs());
    for family in Family::ALL {
        let of_family: Vec<_> = pairs.iter().filter(|pair| pair.family == family).collect();
        let bytes: usize = of_family.iter().map(|pair| pair.old.len() + pair.new.len()).sum();
        println!("{}: {} pairs, {} MB", family.name(), of_family.len(), bytes / 1_000_000);
    }
    Ok(pairs)
}
