//! How an apply ends.

use crate::apply::intent::Intent;
use crate::apply::record::Record;
use crate::conflict::Conflict;
use crate::error::FsError;
use crate::recovery::conflicts::DisplacedEdit;
use crate::rel_path::RelPath;

/// The outcome of an apply.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// All of it is on disk, and survives a power cut.
    Committed,
    /// Files are not what was expected. Nothing has changed.
    Conflicts(Vec<Conflict>),
    /// Something failed. Nothing has changed, and a power cut does not change that.
    RolledBack(FsError),
    /// A sync failed after the swaps: recovery decides at the next start, and until
    /// then both outcomes are possible.
    InDoubt(FsError),
}

/// An apply's answer.
#[must_use]
#[derive(Debug)]
pub struct Applied {
    /// The outcome.
    pub outcome: Outcome,
    /// What is left to tidy up: pass it to `clean_up` and then to `forget`, under the same lock.
    /// `None` when nothing is left, or when recovery must decide.
    pub unfinished: Option<Unfinished>,
    /// Edits of a user that could not be put back in place and were moved to `conflicts/`.
    pub kept: Vec<DisplacedEdit>,
    /// Files that a user edited during the apply; the edits are kept in place.
    pub edited: Vec<Conflict>,
    /// Directories that a committed set made, outermost first.
    pub made_dirs: Vec<RelPath>,
    /// Directories that a committed set removed, or that it may have emptied and that `clean_up`
    /// removes then, outermost first, with their permission bits where these are known.
    pub removed_dirs: Vec<(RelPath, Option<u32>)>,
}

/// A set whose outcome is durable and whose slots and journal are still to be removed.
#[derive(Debug)]
pub struct Unfinished {
    pub(crate) intent: Intent,
    pub(crate) record: Record,
}

impl Applied {
    pub(crate) fn unchanged(outcome: Outcome) -> Self {
        Self {
            outcome,
            unfinished: None,
            kept: Vec::new(),
            edited: Vec::new(),
            made_dirs: Vec::new(),
            removed_dirs: Vec::new(),
        }
    }

    pub(crate) fn with(outcome: Outcome, intent: Intent, record: Record) -> Self {
        let unfinished = Some(Unfinished { intent, record });
        Self { unfinished, ..Self::unchanged(outcome) }
    }
}
