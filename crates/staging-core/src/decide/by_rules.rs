//! Applying the sets that rules approve, by the same path as a person's approval.
//!
//! A set is everything that is pending in a session: what an agent has changed so far belongs together,
//! and a part of it would leave a tree that the agent has never seen. So one patch that no rule covers keeps
//! all of them for a person.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::approval::{Approval, ApprovalMeans};
use crate::decide::covered::{Asks, Facts, covering};
use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError, with_causes};
use crate::ids::SessionId;
use crate::options::StagingOptions;
use crate::report::ApplyReport;
use crate::request::{ApplyRequest, Selector};
use crate::rules::ApprovalRules;
use crate::signature::Signature;
use crate::store::rules::{PendingSet, PendingSets};

/// How often sets are looked at while nothing happens: the limits of a rule are over a time.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long after an error they are looked at again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Decides sets by rules for as long as a process lives.
#[derive(Debug)]
pub struct RuleRunner {
    rules: ApprovalRules,
    /// The newest event when the sets were looked at last.
    seen: Option<u64>,
    /// When they are looked at although nothing has happened.
    next: Instant,
    /// What each session had pending, and since when it has not changed.
    quiet_since: HashMap<SessionId, (Signature, Instant)>,
    /// Sets that were left to a person, or whose apply has failed.
    left: HashSet<(SessionId, Signature)>,
    /// Sets that were reported as waiting for their rule.
    waiting: HashSet<(SessionId, Signature)>,
}

/// What was decided about the set of a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum RuleOutcome {
    /// A rule approved it, and it is on the disk.
    Applied {
        /// The session.
        session: SessionId,
        /// The name of the rule.
        rule: String,
        /// The result.
        report: ApplyReport,
    },
    /// A rule approved it, and the apply failed. It is left to a person.
    Failed {
        /// The session.
        session: SessionId,
        /// The name of the rule.
        rule: String,
        /// Why it failed.
        error: StagingError,
    },
    /// It is left to a person. Each set is reported once.
    Asks {
        /// The session.
        session: SessionId,
        /// Why no rule approves it, as a sentence that names a patch.
        reason: String,
    },
    /// A rule covers it, and has approved as much as its limits allow for now. It is applied once the rule
    /// may approve it, unless a person decides before. Each set is reported once.
    Waits {
        /// The session.
        session: SessionId,
        /// Which limit is reached, as a sentence that names the rule.
        reason: String,
    },
}

impl RuleRunner {
    /// Decides by these rules.
    pub fn new(rules: ApprovalRules) -> Self {
        let (quiet_since, left, waiting) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { rules, seen: None, next: Instant::now(), quiet_since, left, waiting }
    }

    /// Applies the sets that a rule approves, each as one change set with exactly what was looked at, and
    /// tidies after each. Costs one look at the log where nothing has happened; call it several times a
    /// second.
    ///
    /// # Errors
    /// When the store cannot be read and nothing was decided; a call a second later looks at the sets
    /// again. A failed apply is an outcome.
    pub fn run(&mut self, owner: &DiskOwner) -> Result<Vec<RuleOutcome>> {
        if self.rules.approve.is_empty() {
            return Ok(Vec::new());
        }
        let newest = owner.newest_event()?;
        if self.seen == Some(newest) && Instant::now() < self.next {
            return Ok(Vec::new());
        }
        // Sooner, if something fails.
        (self.seen, self.next) = (Some(newest), Instant::now() + RETRY_AFTER);
        let pending = owner.0.store.read(PendingSets::read)?;
        self.next = Instant::now() + LOOK_EVERY;
        let signatures: HashMap<SessionId, Signature> =
            pending.sets.iter().map(|set| (set.session.id, set.signature)).collect();
        self.quiet_since.retain(|session, _| signatures.contains_key(session));
        for sets in [&mut self.left, &mut self.waiting] {
            sets.retain(|(session, signature)| signatures.get(session) == Some(signature));
        }
        let (mut outcomes, mut failed) = (Vec::new(), None);
        for set in &pending.sets {
            let is_left = self.left.contains(&(set.session.id, set.signature));
            if !self.is_quiet(set.session.id, set.signature) || is_left {
                continue;
            }
            match self.decide(owner, &pending, set) {
                Ok(outcome) => outcomes.extend(outcome),
                Err(error) => failed = Some(error),
            }
        }
        let Some(error) = failed else { return Ok(outcomes) };
        self.next = self.next.min(Instant::now() + RETRY_AFTER);
        if outcomes.is_empty() {
            return Err(error);
        }
        // What was decided is reported; a later call returns the error, if it still fails.
        tracing::warn!(%error, "a set is looked at again");
        Ok(outcomes)
    }

    /// Whether a set has not changed for long enough; otherwise it is looked at when it may be.
    fn is_quiet(&mut self, session: SessionId, signature: Signature) -> bool {
        let now = Instant::now();
        let known = self.quiet_since.entry(session).or_insert((signature, now));
        if known.0 != signature {
            *known = (signature, now);
        }
        let quiet_at = known.1 + self.rules.quiet_for;
        if now < quiet_at {
            self.next = self.next.min(quiet_at);
        }
        now >= quiet_at
    }

    fn decide(
        &mut self,
        owner: &DiskOwner,
        pending: &PendingSets,
        set: &PendingSet,
    ) -> Result<Option<RuleOutcome>> {
        let (session, signature) = (set.session.id, set.signature);
        let covering = |connection: &Connection, pending: &PendingSets, set: &PendingSet| {
            let &StagingOptions { new_file_mode, history_keep_for, .. } = owner.options();
            let facts = Facts { connection, pending, new_file_mode, history_keep_for };
            covering(&self.rules, set, &facts).map(|found| found.map(str::to_owned))
        };
        let rule = match owner.0.store.read(|connection| covering(connection, pending, set))? {
            Ok(rule) => rule,
            // There may be room for it later.
            Err(Asks::Full(reason)) => {
                let is_new = self.waiting.insert((session, signature));
                return Ok(is_new.then_some(RuleOutcome::Waits { session, reason }));
            }
            Err(Asks::Person(reason)) => {
                self.left.insert((session, signature));
                return Ok(Some(RuleOutcome::Asks { session, reason }));
            }
        };
        // The set is decided once more in the transaction that takes its patches: it may have grown, and
        // another process may have used up a rule or decided about a file.
        let check = |connection: &Connection| {
            let now = PendingSets::read(connection)?;
            let set = now.sets.iter().find(|set| set.session.id == session);
            let set = set.ok_or(StagingError::NothingPending)?;
            if set.signature != signature {
                let (expected, found) = (signature, set.signature);
                return Err(StagingError::SignatureMismatch { expected, found });
            }
            match covering(connection, &now, set)? {
                Ok(now) if now == rule => Ok(()),
                Ok(other) => Err(not_covered(format!("the rule `{other}` does now"))),
                Err(Asks::Person(reason) | Asks::Full(reason)) => Err(not_covered(reason)),
            }
        };
        let approval = Approval { rule: Some(rule.clone()), ..Approval::by(ApprovalMeans::Policy) };
        let (ids, expect) = (vec![Selector::Session(session)], Some(signature));
        let request = ApplyRequest { ids, expect, approval, ..ApplyRequest::default() };
        let applied = owner.apply_checked(&request, &check).map(|mut report| {
            // Nobody waits for the answer.
            match owner.tidy() {
                Ok(found) => {
                    let kept = found.iter().map(|kept| kept.file.display().to_string());
                    report.kept.extend(kept);
                }
                Err(error) => {
                    let error = with_causes(&error);
                    report.warnings.push(format!("cannot remove temporary files: {error}"));
                }
            }
            report
        });
        match applied {
            Ok(report) => Ok(Some(RuleOutcome::Applied { session, rule, report })),
            Err(error) if has_moved_on(&error) => {
                tracing::debug!(%session, %error, "the set has changed since it was looked at");
                Ok(None)
            }
            Err(error) => {
                self.left.insert((session, signature));
                Ok(Some(RuleOutcome::Failed { session, rule, error }))
            }
        }
    }
}

fn not_covered(reason: String) -> StagingError {
    StagingError::NotCovered { reason }
}

/// Whether a set is no longer what was looked at; what it is now is looked at next.
fn has_moved_on(error: &StagingError) -> bool {
    matches!(
        error,
        StagingError::Stale { .. }
            | StagingError::LostParts { .. }
            | StagingError::SignatureMismatch { .. }
            | StagingError::NotCovered { .. }
            | StagingError::NotPending { .. }
            | StagingError::NothingPending
            | StagingError::Busy { .. }
    )
}
