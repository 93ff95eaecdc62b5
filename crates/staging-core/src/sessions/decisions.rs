//! Decisions about an agent's patches, and whether the agent has received them.
//!
//! An agent receives the last decision about a patch. Whoever writes an answer claims its decisions in
//! the store with [`take_decisions`](DiffStagingLayer::take_decisions), and records what became of the
//! answer.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::decision::Decided;
use crate::error::Result;
use crate::ids::PatchId;
use crate::layer::DiffStagingLayer;
use crate::owner::Owner;
use crate::patch::Patch;
use crate::store::{decisions, last_decision, patches};

/// How many decisions one answer has.
const REPORTED_MAX: usize = 50;

/// Decisions that an answer is about to report to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionReport {
    /// The decisions, by the ids of the patches.
    pub decided: Vec<Decided>,
    /// How many are left to the next answers.
    pub left: usize,
    /// What the store has the answer under.
    pub answer: AnswerId,
}

/// Names an answer with decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnswerId(String);

impl AnswerId {
    /// Unique among the answers of all processes.
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(format!("{}/{}", Owner::this().name(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl DiffStagingLayer {
    /// The patches of sessions of this label with a decision that no answer has reported or is about to
    /// report, whichever process made it: applied, discarded, or pending again after an undo. Patches
    /// that the agent replaced itself are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn unreported_decisions(&self, label: &str) -> Result<Vec<Patch>> {
        self.0.store.peek(|connection| patches::unreported(connection, label))
    }

    /// Whether the agent of sessions of this label has not received a decision.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_unreported_decisions(&self, label: &str) -> Result<bool> {
        self.0.store.peek(|connection| decisions::any(connection, label))
    }

    /// Whether one of these patches is no longer pending, or is pending again by a decision that its
    /// agent has not received.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_any_decided(&self, ids: &[PatchId]) -> Result<bool> {
        self.0.store.peek(|connection| {
            for id in ids {
                if decisions::is_decided(connection, *id)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// These patches as they are now, each with the decision about it, if it has one. A patch that was
    /// removed with the history is left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_decisions(&self, ids: &[PatchId]) -> Result<Vec<(Patch, Option<Decided>)>> {
        self.0.store.read(|connection| {
            let found =
                ids.iter().map(|id| last_decision::of(connection, *id)).collect::<Result<Vec<_>>>();
            Ok(found?.into_iter().flatten().collect())
        })
    }

    /// Takes what the agent of sessions of this label has not received, for an answer that is about
    /// to report it; `None` where that is nothing. No other answer reports it, until
    /// [`set_undelivered`](Self::set_undelivered) gives it back or this process has died. Call
    /// [`set_delivered`](Self::set_delivered) once the answer is written.
    ///
    /// A process that dies before that call leaves its decisions to the next answer: an agent may
    /// receive a decision twice, and receives it at least once.
    ///
    /// # Errors
    /// When the store cannot be read or written to.
    pub fn take_decisions(&self, label: &str) -> Result<Option<DecisionReport>> {
        if !self.0.store.peek(|connection| decisions::any(connection, label))? {
            return Ok(None);
        }
        let answer = AnswerId::new();
        let (decided, left) = self.0.store.write(|write| {
            let (ids, left) = decisions::claim(write, label, &answer.0, REPORTED_MAX)?;
            let mut decided = Vec::with_capacity(ids.len());
            for id in ids {
                decided.extend(last_decision::of(write, id)?.and_then(|(_, decided)| decided));
            }
            Ok((decided, left))
        })?;
        Ok((!decided.is_empty()).then_some(DecisionReport { decided, left, answer }))
    }

    /// Records that an answer with decisions was written to its agent.
    ///
    /// # Errors
    /// When the store cannot be written to; the agent may receive it again then.
    pub fn set_delivered(&self, report: &DecisionReport) -> Result<()> {
        self.0.store.write(|write| decisions::delivered(write, &report.answer.0))
    }

    /// Gives back the decisions of an answer, because it was not written, or because its agent does not
    /// read it: also after [`set_delivered`](Self::set_delivered), or while another thread calls that.
    ///
    /// # Errors
    /// When the store cannot be written to. Call it again then; what was not recorded as delivered is
    /// reported once this process has ended.
    pub fn set_undelivered(&self, report: &DecisionReport) -> Result<()> {
        let DecisionReport { answer, decided, .. } = report;
        self.0.store.write(|write| decisions::undelivered(write, &answer.0, decided))
    }

    /// Records that the agent of these patches knows the decisions, because they are its own.
    ///
    /// # Errors
    /// When the store cannot be written to; the agent receives them then.
    pub fn set_reported(&self, reported: &[PatchId]) -> Result<()> {
        if reported.is_empty() {
            return Ok(());
        }
        self.0.store.write(|write| {
            reported.iter().try_for_each(|patch| decisions::set_reported(write, *patch))
        })
    }
}
