//! One history, recorded so that it can be replayed.

use crate::atomic_fs::simulated::{Choice, Persistence, Renames};
use serde::{Deserialize, Serialize};

use crate::oracle::Broken;
use crate::plan::Plan;
use crate::tamper::Tamper;

/// A history: a scenario, and one process after another over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The scenario's name.
    pub scenario: String,
    /// What survives a crash.
    pub model: Persistence,
    /// Whether the file system grants read leases.
    pub leases: bool,
    /// Which kinds of rename it knows.
    pub renames: Renames,
    /// Whether the caller's store has the old contents.
    #[serde(default)]
    pub has_old: bool,
    /// The broken variant of the protocol that runs, if any.
    pub mutant: Option<String>,
    /// An apply, and then recoveries.
    pub processes: Vec<Process>,
}

/// One process of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What goes wrong and what a user does.
    pub plan: Plan,
    /// The crash that ends it; `None` when it runs to its end.
    pub crash: Option<Choice>,
    /// Whether that crash is a kill of the process alone, whatever the model is: the system goes on,
    /// and the next process finds all that was done, durable or not.
    #[serde(default)]
    pub killed: bool,
    /// Whether it is the second state that recovers.
    #[serde(default)]
    pub second: bool,
    /// What others change after it has ended and before the next process starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tampered: Vec<Tamper>,
}

impl Case {
    /// How long its trace is: fewer processes first, then fewer interferences, then an
    /// earlier crash with fewer losses.
    pub fn length(&self) -> (usize, usize, usize, usize) {
        let interferences = |process: &Process| {
            let plan = &process.plan;
            let beside = usize::from(plan.beside.is_some());
            plan.faults.len() + plan.edits.len() + process.tampered.len() + beside
        };
        let end = |process: &Process| process.crash.as_ref().map_or(0, |crash| crash.end);
        (
            self.processes.len(),
            self.processes.iter().map(interferences).sum(),
            self.scenario.len(),
            self.processes.iter().map(end).sum(),
        )
    }
}

/// A history that breaks a promise.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The history.
    pub case: Case,
    /// What it breaks.
    pub broken: Broken,
}
