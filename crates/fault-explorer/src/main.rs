//! `fault-inject`: explores, prints what it explored, and fails on the first broken promise.
//!
//! Exit codes: 0 every promise holds, 1 one is broken or a mutant survived, 2 the command
//! line was not understood.

#![allow(clippy::disallowed_methods, reason = "it writes reports under target/")]

// The code under test, with broken variants of its protocol that run when they are chosen.
#[cfg(feature = "mutants")]
extern crate mutated_fs as atomic_fs;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use atomic_fs::simulated::{Persistence, Renames};
use fault_explorer::case::{Case, Violation};
use fault_explorer::counts::Counts;
use fault_explorer::report::Report;
use fault_explorer::runs::{Effort, jobs};
use fault_explorer::scenario::Scenario;
use fault_explorer::stage::Bench;
use fault_explorer::{pool, recorded, telling};
use miette::{IntoDiagnostic as _, WrapErr as _};

const USAGE: &str = "\
usage: cargo xtask fault-inject [--quick | --deep] [--model NAME] [--renames NAME]
                                [--phase NAME] [--scenario NAME] [--seed NUMBER] [--minutes NUMBER]
       cargo xtask fault-inject --quick --record
       cargo xtask fault-inject --replay FILE

  --quick        under a minute, for continuous integration
  --deep         for hours
  --model NAME   kill, weak, ordered or treelog alone; faults and races go with kill;
                 windows for all that is done over a disk of Windows, and its mutants
  --renames NAME disks alone that know all kinds of rename, no-exchange or plain ones alone
  --phase NAME   what one row of the table counts, such as \"slots removed\", and no mutants
  --scenario NAME
                 one set alone, by its letters or its name
  --seed NUMBER  what samples are drawn by, 1 by default; the same gives the same counts
  --record       keeps the report of --quick with seed 1, which every such run compares with
  --minutes NUMBER
                 ends after so many, and says how many jobs were not finished
  --replay FILE  tells one history again, step by step
";

struct Options {
    effort: Effort,
    model: Option<Persistence>,
    renames: Option<Renames>,
    phase: Option<String>,
    scenario: Option<String>,
    seed: u64,
    minutes: Option<u64>,
    record: bool,
    replay: Option<PathBuf>,
}

impl Options {
    /// Whether this is the run whose report is kept.
    fn is_recorded(&self) -> bool {
        let all = self.model.is_none() && self.renames.is_none() && self.scenario.is_none();
        let all = all && self.phase.is_none();
        let whole = all && self.minutes.is_none() && cfg!(feature = "mutants");
        self.effort == Effort::Quick && self.seed == 1 && whole
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match parse(&arguments) {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("{complaint}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
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

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        effort: Effort::Default,
        model: None,
        renames: None,
        phase: None,
        scenario: None,
        seed: 1,
        minutes: None,
        record: false,
        replay: None,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{argument}` wants a value"));
        match argument.as_str() {
            "--quick" => options.effort = Effort::Quick,
            "--deep" => options.effort = Effort::Deep,
            "--model" => {
                let name = value()?;
                if name == Renames::Windows.word() {
                    options.renames = Some(Renames::Windows);
                    continue;
                }
                let model = Persistence::ALL.into_iter().find(|model| model.word() == name);
                options.model = Some(model.ok_or_else(|| format!("there is no model `{name}`"))?);
            }
            "--renames" => {
                let name = value()?;
                let renames = Renames::ALL.into_iter().find(|renames| renames.word() == name);
                let complaint = || format!("there is no disk with renames `{name}`");
                options.renames = Some(renames.ok_or_else(complaint)?);
            }
            "--phase" => options.phase = Some(value()?.clone()),
            "--scenario" => {
                let name = value()?;
                let found = Scenario::named(name).map(|scenario| scenario.name);
                let complaint = || format!("there is no scenario `{name}`");
                options.scenario = Some(found.ok_or_else(complaint)?);
            }
            "--seed" => {
                let number = value()?;
                options.seed =
                    number.parse().map_err(|_| format!("`{number}` is no number for a seed"))?;
            }
            "--minutes" => {
                let number = value()?;
                options.minutes = Some(
                    number.parse().map_err(|_| format!("`{number}` is no number of minutes"))?,
                );
            }
            "--record" => options.record = true,
            "--replay" => options.replay = Some(PathBuf::from(value()?)),
            unknown => return Err(format!("`{unknown}` was not understood")),
        }
    }
    if options.record && !options.is_recorded() {
        return Err("`--record` goes with `--quick` and seed 1 alone".to_owned());
    }
    Ok(options)
}

fn explore(options: &Options) -> miette::Result<bool> {
    let begun = Instant::now();
    let mut jobs = jobs(options.effort, options.seed, options.model);
    jobs.retain(|job| options.renames.is_none_or(|renames| job.renames == renames));
    jobs.retain(|job| options.scenario.as_ref().is_none_or(|name| job.scenario == *name));
    jobs.retain(|job| options.phase.as_ref().is_none_or(|name| job.heading() == *name));
    let progress = Progress::new("exploring", jobs.len());
    let deadline = options.minutes.map(|minutes| begun + Duration::from_secs(minutes * 60));
    let outcomes = pool::run_all(
        &jobs,
        deadline,
        |job, bench| {
            let outcome = (!bench.is_over()).then(|| job.run(bench));
            (outcome, bench.is_over())
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
        effort: options.effort.word().to_owned(),
        seed: options.seed,
        rows,
        violations: violations.len(),
        ..Report::default()
    };
    hunt_mutants(&mut report, options)?;
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
        let case = telling::shorten(&shortest.case, &Bench::new()?)?;
        println!("{}", telling::tell(&case, &Bench::new()?)?.text);
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
fn hunt_mutants(report: &mut Report, options: &Options) -> miette::Result<()> {
    use atomic_fs::mutants::Mutant;
    use fault_explorer::{mutants, runs};
    let on_windows = options.renames == Some(Renames::Windows);
    let in_part = options.renames.is_some() && !on_windows;
    let in_part = in_part || options.phase.is_some() || options.scenario.is_some();
    if options.model.is_some() || in_part {
        return Ok(());
    }
    let hunted = |mutant: &Mutant| !on_windows || mutants::is_of_windows(*mutant);
    let hunted: Vec<Mutant> = Mutant::ALL.iter().copied().filter(hunted).collect();
    let jobs = [false, true].map(|aside| runs::hunt(options.seed, aside));
    let jobs_on_windows = runs::hunt_on_windows(options.seed);
    let progress = Progress::new("hunting mutants", hunted.len());
    // A mutant may panic, which is as good a way to be caught as any other.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = pool::run_all(
        &hunted,
        None,
        |mutant, bench| {
            let jobs = match mutants::is_of_windows(*mutant) {
                true => &jobs_on_windows,
                false => &jobs[usize::from(mutants::is_of_moving_aside(*mutant))],
            };
            let first = mutants::soonest(*mutant, options.seed);
            mutants::hunt(*mutant, first.iter().chain(jobs), bench).0
        },
        |_, caught| progress.step(caught.after),
    );
    std::panic::set_hook(hook);
    progress.end();
    report.mutants = found?;
    Ok(())
}

#[cfg(not(feature = "mutants"))]
fn hunt_mutants(_report: &mut Report, _options: &Options) -> miette::Result<()> {
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
    let told = telling::tell(&case, &Bench::new()?)?;
    println!("{}", told.text);
    Ok(told.broken.is_none())
}

fn write_json(file: &Path, value: &impl serde::Serialize) -> miette::Result<()> {
    let mut text = serde_json::to_string_pretty(value).into_diagnostic()?;
    text.push('\n');
    std::fs::write(file, text).into_diagnostic()
}

/// A bar on a terminal, a line now and then in a pipe.
struct Progress {
    name: &'static str,
    total: usize,
    state: Mutex<State>,
}

struct State {
    done: usize,
    recoveries: u64,
    begun: Instant,
    said: Instant,
}

impl Progress {
    fn new(name: &'static str, total: usize) -> Self {
        let (begun, said) = (Instant::now(), Instant::now());
        Self { name, total, state: Mutex::new(State { done: 0, recoveries: 0, begun, said }) }
    }

    fn step(&self, recoveries: u64) {
        let mut state = self.state.lock().expect("saying something does not panic");
        state.done += 1;
        state.recoveries += recoveries;
        let terminal = std::io::stdout().is_terminal();
        let pause = if terminal { Duration::from_millis(100) } else { Duration::from_secs(10) };
        if state.said.elapsed() < pause {
            return;
        }
        state.said = Instant::now();
        let State { done, recoveries, begun, .. } = *state;
        let (name, total, seconds) = (self.name, self.total, begun.elapsed().as_secs());
        if terminal {
            let filled = done * 30 / total.max(1);
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(30 - filled));
            print!("\r{name} [{bar}] {done}/{total}, {recoveries} recoveries, {seconds} s ");
            let _ = std::io::stdout().flush();
        } else {
            println!("{name}: {done} of {total} jobs, {recoveries} recoveries, {seconds} s");
        }
    }

    fn end(&self) {
        if std::io::stdout().is_terminal() {
            print!("\r{:100}\r", "");
        }
        let state = self.state.lock().expect("saying something does not panic");
        let (seconds, jobs) = (state.begun.elapsed().as_secs_f64(), state.done);
        println!("{}: {jobs} jobs, {} recoveries, {seconds:.1} s", self.name, state.recoveries);
    }
}
