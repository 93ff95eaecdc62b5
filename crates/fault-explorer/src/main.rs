//! `fault-inject`: explores, prints what it explored, and fails on the first broken promise.
//!
//! Exit codes: 0 every promise holds, 1 one is broken or a mutant survived, 2 the command
//! line was not understood.

#![allow(clippy::disallowed_methods, reason = "it writes reports under target/")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fault_explorer::case::{Case, Violation};
use fault_explorer::counts::Counts;
use fault_explorer::fixture::Fixture;
use fault_explorer::report::Report;
use fault_explorer::runs::jobs;
use fault_explorer::{pool, recorded, trace};
use miette::{IntoDiagnostic as _, WrapErr as _};

use options::Options;
use progress::Progress;

mod options;
mod progress;

fn main() -> ExitCode {
    let options = Options::parse_checked();
    let result = match &options.replay {
        Some(file) => replay(file),
        None => explore(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

fn explore(options: &Options) -> miette::Result<bool> {
    let begun = Instant::now();
    let mut jobs = jobs(options.effort(), options.seed, options.model());
    jobs.retain(|job| options.renames().is_none_or(|renames| job.renames == renames));
    jobs.retain(|job| options.scenario.as_ref().is_none_or(|name| job.scenario == *name));
    jobs.retain(|job| options.phase.as_ref().is_none_or(|name| job.heading() == *name));
    let progress = Progress::new("exploring", jobs.len());
    let deadline = options.minutes.map(|minutes| begun + Duration::from_secs(minutes * 60));
    let outcomes = pool::run_all(
        &jobs,
        deadline,
        |job, fixture| {
            let outcome = (!fixture.is_over()).then(|| job.run(fixture));
            (outcome, fixture.is_over())
        },
        |job, (outcome, _)| {
            let Some(outcome) = outcome else { return };
            if let Some(violation) = &outcome.violation {
                let promise = violation.broken.promise;
                println!("\nbroken by {} ({}): {promise}", job.heading(), job.scenario);
            }
            progress.step(outcome.counts.recoveries);
        },
    )?;
    progress.end();
    let left_out = outcomes.iter().filter(|(_, is_over)| *is_over).count();
    if left_out > 0 {
        println!("{left_out} of {} jobs were not finished in time", jobs.len());
    }
    let mut rows: BTreeMap<String, Counts> = BTreeMap::new();
    let mut violations: Vec<Box<Violation>> = Vec::new();
    for (job, (outcome, _)) in jobs.iter().zip(outcomes) {
        let Some(outcome) = outcome else { continue };
        rows.entry(job.heading()).or_default().add(&outcome.counts);
        violations.extend(outcome.violation);
    }
    let mut report = Report {
        effort: options.effort().word().to_owned(),
        seed: options.seed,
        rows,
        violations: violations.len(),
        ..Report::default()
    };
    search_mutants(&mut report, options)?;
    println!("\n{}", report.tables());
    let folder = Path::new("target/fault-inject");
    std::fs::create_dir_all(folder).into_diagnostic()?;
    write_json(&folder.join(format!("{}.json", report.effort)), &report)?;
    for violation in violations.iter().take(20) {
        let Violation { case, broken } = violation.as_ref();
        let (model, renames) = (case.model.word(), case.renames.word());
        println!("  {} ({model}, {renames}): {}", case.scenario, broken.promise);
        println!("    {}", broken.details);
    }
    let shortest = violations.iter().min_by_key(|violation| violation.case.length());
    if let Some(shortest) = shortest {
        let case = trace::shorten(&shortest.case, &Fixture::new()?)?;
        println!("{}", trace::trace(&case, &Fixture::new()?)?.text);
        let file = folder.join("violation.json");
        write_json(&file, &case)?;
        println!("again: cargo xtask fault-inject --replay {}", file.display());
    }
    let survived = report.mutants.iter().any(|mutant| mutant.by.is_none());
    let is_sound = violations.is_empty() && !survived;
    let as_recorded = !options.is_recorded() || !is_sound || as_recorded(&report, options.record)?;
    println!("{} in {:.0} s", report.effort, begun.elapsed().as_secs_f64());
    Ok(is_sound && as_recorded)
}

/// Whether the counts are those that other machines had; with `--record` they are from now on.
fn as_recorded(report: &Report, record: bool) -> miette::Result<bool> {
    let file = Path::new(recorded::FILE);
    if record {
        std::fs::create_dir_all(file.parent().unwrap_or(file)).into_diagnostic()?;
        write_json(file, report)?;
        println!("kept in {}", file.display());
        return Ok(true);
    }
    let text = std::fs::read_to_string(file).into_diagnostic().wrap_err("nothing is recorded")?;
    let recorded: serde_json::Value = serde_json::from_str(&text).into_diagnostic()?;
    let found = serde_json::to_value(report).into_diagnostic()?;
    let differences = recorded::differences(&recorded, &found);
    if differences.is_empty() {
        println!("every count is the one in {}", file.display());
        return Ok(true);
    }
    println!("counts are not those in {}:", file.display());
    for difference in &differences {
        println!("  {difference}");
    }
    println!(
        "If the protocol, the explorer or the simulated disk was changed, keep them with\n\
         `cargo xtask fault-inject --quick --record`. If not, something depends on the machine."
    );
    Ok(false)
}

#[cfg(feature = "mutants")]
fn search_mutants(report: &mut Report, options: &Options) -> miette::Result<()> {
    use fault_explorer::atomic_fs::mutants::Mutant;
    use fault_explorer::atomic_fs::simulated::Renames;
    use fault_explorer::{mutants, runs};
    let on_windows = options.renames() == Some(Renames::Windows);
    let in_part = options.renames().is_some() && !on_windows;
    let in_part = in_part || options.phase.is_some() || options.scenario.is_some();
    if options.model().is_some() || in_part {
        return Ok(());
    }
    let searched = |mutant: &Mutant| !on_windows || mutants::is_of_windows(*mutant);
    let searched: Vec<Mutant> = Mutant::ALL.iter().copied().filter(searched).collect();
    let jobs = [false, true].map(|aside| runs::for_mutants(options.seed, aside));
    let jobs_on_windows = runs::for_mutants_on_windows(options.seed);
    let progress = Progress::new("searching mutants", searched.len());
    // A mutant may panic, which is as good a way to be caught as any other.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = pool::run_all(
        &searched,
        None,
        |mutant, fixture| {
            let jobs = match mutants::is_of_windows(*mutant) {
                true => &jobs_on_windows,
                false => &jobs[usize::from(mutants::is_of_moving_aside(*mutant))],
            };
            let first = mutants::soonest(*mutant, options.seed);
            mutants::search(*mutant, first.iter().chain(jobs), fixture).0
        },
        |_, caught| progress.step(caught.after),
    );
    std::panic::set_hook(hook);
    progress.end();
    report.mutants = found?;
    Ok(())
}

#[cfg(not(feature = "mutants"))]
fn search_mutants(_report: &mut Report, _options: &Options) -> miette::Result<()> {
    println!("mutants are not compiled in: cargo xtask fault-inject does that");
    Ok(())
}

fn replay(file: &Path) -> miette::Result<bool> {
    let text = std::fs::read_to_string(file)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", file.display()))?;
    let case: Case = serde_json::from_str(&text)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is no history", file.display()))?;
    let traced = trace::trace(&case, &Fixture::new()?)?;
    println!("{}", traced.text);
    Ok(traced.broken.is_none())
}

fn write_json(file: &Path, value: &impl serde::Serialize) -> miette::Result<()> {
    let mut text = serde_json::to_string_pretty(value).into_diagnostic()?;
    text.push('\n');
    std::fs::write(file, text).into_diagnostic()
}
