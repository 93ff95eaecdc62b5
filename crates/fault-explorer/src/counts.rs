//! How much has been explored.

use serde::{Deserialize, Serialize};

/// Figures that add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Points at which a crash was considered.
    pub crash_points: u64,
    /// Of these, points with so many states that they were sampled.
    pub sampled_points: u64,
    /// Distinct trees that crashes left, told apart by content, answer and saves.
    pub states: u64,
    /// Recoveries that were run and judged.
    pub recoveries: u64,
    /// Calls that were made to fail, by themselves or after another.
    pub faults: u64,
    /// Applies and recoveries that a user edited in.
    pub races: u64,
    /// Of these, edits that changed something.
    pub landed: u64,
    /// Trees and states that others changed before a recovery, or beside a process.
    pub others: u64,
}

impl Counts {
    /// Adds another's figures.
    pub fn add(&mut self, other: &Self) {
        self.crash_points += other.crash_points;
        self.sampled_points += other.sampled_points;
        self.states += other.states;
        self.recoveries += other.recoveries;
        self.faults += other.faults;
        self.races += other.races;
        self.landed += other.landed;
        self.others += other.others;
    }
}
