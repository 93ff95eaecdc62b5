//! Applying the sets that rules approve, by the same path as a person's approval.
//!
//! A set is everything that is pending in a session: what an agent has changed so far belongs together,
//! and a part of it would leave a tree that the agent has never seen. So one patch that no rule covers keeps
//! all of them for a person.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::approval::{Approval, ApprovalMeans};
use crate::decide::covered::{Asks, Facts, covering};
use crate::disk_owner::DiskOwner;
use crate::error::{Result, StagingError};
use crate::ids::SessionId;
use crate::report::ApplyReport;
use crate::request::{ApplyRequest, Selector};
use crate::rules::ApprovalRules;
use crate::signature::Signature;
use crate::signing::set_signature;
use crate::store::rules as facts;
use crate::store::rules::PendingSet;

/// How often sets are looked at while nothing happens: the limits of a rule are over a time.
const LOOK_EVERY: Duration = Duration::from_secs(60);

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
}

impl RuleRunner {
    /// Decides by these rules.
    pub fn new(rules: ApprovalRules) -> Self {
        let (quiet_since, left) = (HashMap::new(), HashSet::new());
        Self { rules, seen: None, next: Instant::now(), quiet_since, left }
    }

    /// Applies the sets that a rule approves, each as one change set with exactly the patches and the
    /// signature that were looked at. Costs one look at the log where nothing has happened; call it
    /// several times a second, and [`tidy`](DiskOwner::tidy) after it has applied.
    ///
    /// # Errors
    /// When the store cannot be read. A failed apply is an outcome.
    pub fn run(&mut self, owner: &DiskOwner) -> Result<Vec<RuleOutcome>> {
        if self.rules.approve.is_empty() {
            return Ok(Vec::new());
        }
        let newest = owner.newest_event()?;
        if self.seen == Some(newest) && Instant::now() < self.next {
            return Ok(Vec::new());
        }
        let sets = owner.0.store.read(facts::pending_sets)?;
        (self.seen, self.next) = (Some(newest), Instant::now() + LOOK_EVERY);
        let signatures: HashMap<SessionId, Signature> =
            sets.iter().map(|set| (set.session.id, set_signature(&set.patches))).collect();
        self.quiet_since.retain(|session, _| signatures.contains_key(session));
        self.left.retain(|(session, signature)| signatures.get(session) == Some(signature));
        let mut outcomes = Vec::new();
        for set in &sets {
            let signature = signatures[&set.session.id];
            if self.is_quiet(set.session.id, signature)
                && !self.left.contains(&(set.session.id, signature))
            {
                outcomes.extend(self.decide(owner, set, signature)?);
            }
        }
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
        set: &PendingSet,
        signature: Signature,
    ) -> Result<Option<RuleOutcome>> {
        let session = set.session.id;
        let new_file_mode = owner.options().new_file_mode;
        let rule = owner
            .0
            .store
            .read(|connection| covering(&self.rules, set, &Facts { connection, new_file_mode }))?;
        let rule = match rule {
            Ok(rule) => rule.to_owned(),
            // There may be room for it later.
            Err(Asks::Full(reason)) => {
                tracing::debug!(%session, reason, "a rule is exhausted");
                return Ok(None);
            }
            Err(Asks::Person(reason)) => {
                self.left.insert((session, signature));
                return Ok(Some(RuleOutcome::Asks { session, reason }));
            }
        };
        let mut approval = Approval::by(ApprovalMeans::Policy);
        approval.rule = Some(rule.clone());
        let ids = set.patches.iter().map(|patch| Selector::Patch(patch.id)).collect();
        let expect = Some(signature);
        let request = ApplyRequest { ids, expect, approval, ..ApplyRequest::default() };
        match owner.apply(&request) {
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

/// Whether a set is no longer what was looked at; what it is now is looked at next.
fn has_moved_on(error: &StagingError) -> bool {
    matches!(
        error,
        StagingError::Stale { .. }
            | StagingError::LostParts { .. }
            | StagingError::SignatureMismatch { .. }
            | StagingError::NotPending { .. }
            | StagingError::NothingPending
            | StagingError::Busy { .. }
    )
}
