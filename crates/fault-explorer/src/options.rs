//! The command line.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use fault_explorer::atomic_fs::simulated::{Persistence, Renames};
use fault_explorer::runs::Effort;
use fault_explorer::scenario::Scenario;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask fault-inject",
    bin_name = "cargo xtask fault-inject",
    about = "Explores every crash, fault and edit on a simulated disk, and broken variants"
)]
pub(crate) struct Options {
    /// Explore for under a minute, for continuous integration
    #[arg(long, conflicts_with = "deep")]
    quick: bool,
    /// Explore for hours
    #[arg(long)]
    deep: bool,
    /// Explore one model alone: kill, weak, ordered or treelog; faults and races go with kill;
    /// windows is everything over a disk of Windows, and its mutants
    #[arg(long, value_name = "NAME", value_parser = model)]
    model: Option<Model>,
    /// Explore disks alone that know all kinds of rename, no-exchange or plain ones
    #[arg(long, value_name = "NAME", value_parser = renames)]
    renames: Option<Renames>,
    /// Explore what one row of the table counts, such as "slots removed", and no mutants
    #[arg(long, value_name = "NAME")]
    pub(crate) phase: Option<String>,
    /// Explore one set alone, by its letters or its name
    #[arg(long, value_name = "NAME", value_parser = scenario)]
    pub(crate) scenario: Option<String>,
    /// Draw samples by this number; the same number gives the same counts
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// End after so many minutes, and say how many jobs were not finished
    #[arg(long, value_name = "NUMBER")]
    pub(crate) minutes: Option<u64>,
    /// Keep the report of `--quick` with seed 1, which every such run compares with
    #[arg(long)]
    pub(crate) record: bool,
    /// Tell one history again, step by step
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub(crate) replay: Option<PathBuf>,
}

/// What `--model` names.
#[derive(Clone, Copy, Debug)]
enum Model {
    Persistence(Persistence),
    Windows,
}

impl Options {
    /// Reads the command line, or ends the process with code 2 and a sentence.
    pub(crate) fn parse_checked() -> Self {
        let options = Self::parse();
        if options.record && !options.is_recorded() {
            let message = "`--record` goes with `--quick` and seed 1 alone";
            Self::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
        options
    }

    /// Whether this is the run whose report is kept.
    pub(crate) fn is_recorded(&self) -> bool {
        let all = self.model.is_none() && self.renames.is_none() && self.scenario.is_none();
        let all = all && self.phase.is_none();
        let whole = all && self.minutes.is_none() && cfg!(feature = "mutants");
        self.effort() == Effort::Quick && self.seed == 1 && whole
    }

    pub(crate) fn effort(&self) -> Effort {
        match (self.quick, self.deep) {
            (true, _) => Effort::Quick,
            (_, true) => Effort::Deep,
            _ => Effort::Default,
        }
    }

    pub(crate) fn model(&self) -> Option<Persistence> {
        match self.model {
            Some(Model::Persistence(model)) => Some(model),
            _ => None,
        }
    }

    pub(crate) fn renames(&self) -> Option<Renames> {
        match self.model {
            Some(Model::Windows) => Some(Renames::Windows),
            _ => self.renames,
        }
    }
}

fn model(name: &str) -> Result<Model, String> {
    if name == Renames::Windows.word() {
        return Ok(Model::Windows);
    }
    let model = Persistence::ALL.into_iter().find(|model| model.word() == name);
    model.map(Model::Persistence).ok_or_else(|| format!("there is no model `{name}`"))
}

fn renames(name: &str) -> Result<Renames, String> {
    let renames = Renames::ALL.into_iter().find(|renames| renames.word() == name);
    renames.ok_or_else(|| format!("there is no disk with renames `{name}`"))
}

fn scenario(name: &str) -> Result<String, String> {
    let found = Scenario::named(name).map(|scenario| scenario.name);
    found.ok_or_else(|| format!("there is no scenario `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(["fault-inject"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn flags_are_understood_as_documented() {
        let deep = parse("--deep --minutes 10").expect("it is documented");
        assert_eq!((deep.effort(), deep.minutes, deep.seed), (Effort::Deep, Some(10), 1));
        let windows = parse("--model windows").expect("it is documented");
        assert_eq!((windows.model(), windows.renames()), (None, Some(Renames::Windows)));
        let weak = parse("--model weak --seed 7").expect("it is documented");
        assert_eq!((weak.model(), weak.renames()), (Some(Persistence::Weak), None));
        for line in ["", "--quick --record", "--renames plain --scenario MM", "--replay x.json"] {
            assert!(parse(line).is_ok(), "`{line}`");
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for line in ["--fast", "--model x", "--renames x", "--scenario ?", "--seed x", "--seed"] {
            assert!(parse(line).is_err(), "`{line}`");
        }
    }
}
