//! The object around every shape, errors, and what is in one command only.

use serde::Serialize;
use staging_core::{ApplyId, RecoverReport, RelPath};

use crate::failure::Failure;
use crate::recovery::RecoveryView;

/// The version of every shape here; it grows when a field changes its meaning.
const SCHEMA: u32 = 1;

/// What is printed: the fields behind the version.
#[derive(Serialize)]
pub(crate) struct Object<'a, T> {
    schema: u32,
    #[serde(flatten)]
    fields: T,
    /// What the command recovered on its way; left out when that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoveryView<'a>>,
}

impl<'a, T: Serialize> Object<'a, T> {
    pub(crate) fn new(fields: T) -> Self {
        Self { schema: SCHEMA, fields, recovery: None }
    }

    /// The same with what was recovered on the way.
    pub(crate) fn with_recovery(self, report: &'a RecoverReport) -> Self {
        let recovery = (!report.is_quiet()).then(|| report.into());
        Self { recovery, ..self }
    }
}

/// `{"error": …}`.
#[derive(Serialize)]
pub(crate) struct ErrorView<'a> {
    pub(crate) error: &'a Failure,
}

/// What `init` changed.
#[derive(Serialize)]
pub(crate) struct InitView<'a> {
    pub(crate) agent: &'a str,
    pub(crate) changed: Vec<&'a RelPath>,
    pub(crate) apply: Option<ApplyId>,
    pub(crate) notes: &'a [String],
}
