//! Strategies and their libraries.

use serde::Serialize;
use staging_core::{CheckOutcome, Digest};

/// What `plugin list` shows.
#[derive(Serialize)]
pub(crate) struct StrategiesView<'a> {
    pub(crate) strategies: Vec<StrategyView<'a>>,
    pub(crate) confinement: ConfinementView,
}

/// What this system refuses a plugin's own process.
#[derive(Serialize)]
pub(crate) struct ConfinementView {
    pub(crate) files: bool,
    pub(crate) system_calls: bool,
}

#[derive(Serialize)]
pub(crate) struct StrategyView<'a> {
    pub(crate) name: &'a str,
    /// Whether files are compared with it.
    pub(crate) chosen: bool,
    /// `bundled`, `child` or `in_process`.
    pub(crate) runs: &'static str,
    pub(crate) path: Option<String>,
    pub(crate) blake3: Option<Digest>,
    /// What keeps it from being used.
    pub(crate) problem: Option<String>,
}

impl<'a> StrategyView<'a> {
    pub(crate) fn bundled(name: &'a str, chosen: bool) -> Self {
        Self { name, chosen, runs: "bundled", path: None, blake3: None, problem: None }
    }
}

/// What `plugin allow` wrote down.
#[derive(Serialize)]
pub(crate) struct AllowedView<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) path: String,
    pub(crate) blake3: Digest,
    pub(crate) chosen: bool,
}

/// What `plugin test` found.
#[derive(Serialize)]
pub(crate) struct TestedView<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) passed: bool,
    pub(crate) checks: Vec<CheckView<'a>>,
}

#[derive(Serialize)]
pub(crate) struct CheckView<'a> {
    claim: &'a str,
    took_ms: u64,
    failed: Option<&'a str>,
}

impl<'a> From<&'a CheckOutcome> for CheckView<'a> {
    fn from(check: &'a CheckOutcome) -> Self {
        let took_ms = u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX);
        Self { claim: check.claim, took_ms, failed: check.failed.as_deref() }
    }
}
