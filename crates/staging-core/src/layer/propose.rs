//! Taking proposals: planned against what the session sees, then committed if
//! nothing else happened to the session meanwhile.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use atomic_fs::{Digest, RelPath};
use rusqlite::Connection;
use tracing::Span;

use super::commit::{CommitError, Committed, Plans, Ready, Step};
use super::plan::Touched;
use super::request::{Proposal, Proposed};
use super::sessions::{Thawed, held_by};
use super::view::{At, View};
use super::{DiffStagingLayer, Inner};
use crate::Result;
use crate::diffing::Sided;
use crate::error::StagingError;
use crate::ids::{ApplyId, SessionId};
use crate::patch::Patch;
use crate::session::Session;
use crate::signature::{Bound, Signature, patch_signature};
use crate::store::sessions;
use crate::waiting::{Activity, SAID_AFTER};

/// How often a plan is made anew because the session changed under it.
const PLANS_MAX: u32 = 64;

/// How long a call waits for an apply that holds its patches.
const FROZEN_WAIT: Duration = Duration::from_secs(10);
const FROZEN_POLL: Duration = Duration::from_millis(20);

impl DiffStagingLayer {
    /// Stages one change. The workspace is not touched.
    ///
    /// # Errors
    /// `Stale` when the session had a patch on the file and the file has changed
    /// since: the patch is discarded, and the agent has to read the file again.
    pub fn propose(&self, session: SessionId, proposal: Proposal) -> Result<Proposed> {
        self.propose_alone(session, &proposal)
    }

    /// Stages changes in their order, each seeing those before it: all or none.
    ///
    /// # Errors
    /// As [`propose`](Self::propose).
    pub fn propose_all(
        &self,
        session: SessionId,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<Proposed>> {
        let first = proposals.first().map(Proposal::path);
        self.0.plan_and_commit(session, first, &|view| view.propose_all(&proposals))
    }

    /// Stages changes of several sessions, each session's in their order, each change seeing
    /// those before it and each by itself: one that fails leaves the others. The answers are
    /// in the same order, and are those of [`propose`](Self::propose).
    ///
    /// Changes that do not depend on each other share a transaction, which makes many of them
    /// cheap. A session must not be named twice.
    pub fn propose_each(&self, asked: &[SessionProposals]) -> Vec<Vec<Result<Proposed>>> {
        let mut answers: Vec<Vec<_>> = asked.iter().map(|_| Vec::new()).collect();
        loop {
            let left: Vec<_> = asked
                .iter()
                .zip(&mut answers)
                .map(|(asked, answers)| (asked.session, &asked.proposals[answers.len()..], answers))
                .filter(|(_, proposals, _)| !proposals.is_empty())
                .collect();
            if left.is_empty() {
                return answers;
            }
            let sessions: Vec<_> =
                left.iter().map(|(id, proposals, _)| (*id, *proposals)).collect();
            let together = match sessions.as_slice() {
                [(_, [_])] => vec![None],
                several => self.0.propose_together(several),
            };
            for ((session, proposals, answers), together) in left.into_iter().zip(together) {
                match together {
                    Some(some) => answers.extend(some),
                    // Whatever is the matter with one of them is told to it alone.
                    None => answers.extend(proposals.iter().map(|(span, proposal)| {
                        span.in_scope(|| self.propose_alone(session, proposal))
                    })),
                }
            }
        }
    }

    fn propose_alone(&self, session: SessionId, proposal: &Proposal) -> Result<Proposed> {
        let plan = |view: &mut View<'_>| Ok(vec![view.propose(proposal)?]);
        let mut proposed = self.0.plan_and_commit(session, Some(proposal.path()), &plan)?;
        Ok(proposed.pop().expect("one proposal gives one answer"))
    }
}

/// What one session proposes.
#[derive(Clone, Debug)]
pub struct SessionProposals {
    /// The session.
    pub session: SessionId,
    /// The changes in their order, each with the span that what is logged of it belongs to.
    pub proposals: Vec<(Span, Proposal)>,
}

/// Plans a change of what is pending in a session, and says which paths it is about.
pub(super) type Plan<'p> = dyn Fn(&mut View<'_>) -> Result<Vec<Touched>> + 'p;

impl Inner {
    /// Plans and commits, anew when something else happens to the session meanwhile. What
    /// is pending at `likely` is read together with the session.
    pub(super) fn plan_and_commit(
        &self,
        session: SessionId,
        likely: Option<&RelPath>,
        plan: &Plan<'_>,
    ) -> Result<Vec<Proposed>> {
        let mut plans = 0;
        self.thawed(|| {
            loop {
                plans += 1;
                match self.attempt(session, likely, plan)? {
                    Attempt::Done(proposed) => return Ok(Thawed::Done(proposed)),
                    Attempt::Frozen(apply) => return Ok(Thawed::Frozen(apply)),
                    Attempt::Overtaken if plans < PLANS_MAX => {}
                    Attempt::Overtaken => {
                        let what = format!("{session} is being changed by another process");
                        return Err(StagingError::Busy { what });
                    }
                }
            }
        })
    }
}

/// What planning and committing once came to.
enum Attempt {
    Done(Vec<Proposed>),
    /// Something else happened to the session; nothing was changed.
    Overtaken,
    /// A patch to replace is on its way to the disk; nothing was changed.
    Frozen(ApplyId),
}

/// A session as it is before a plan is made.
struct Before {
    session: Session,
    /// Which a commit finds again unless something else happened to the session.
    generation: i64,
    /// What is pending at the paths that were asked for.
    at: Vec<At>,
}

impl Before {
    fn read(connection: &Connection, id: SessionId, paths: &[&RelPath]) -> Result<Self> {
        let session = super::sessions::require(connection, id)?;
        let generation = sessions::counters(connection, id)?.map(|counters| counters.generation);
        let at = paths.iter().map(|path| At::read(connection, id, path));
        let at = at.collect::<Result<Vec<_>>>()?;
        Ok(Self { session, generation: generation.unwrap_or_default(), at })
    }
}

impl Inner {
    fn attempt(
        &self,
        session: SessionId,
        likely: Option<&RelPath>,
        plan: &Plan<'_>,
    ) -> Result<Attempt> {
        let paths = likely.as_slice();
        let [before] = self.store.read(|c| Ok([Before::read(c, session, paths)?]))?;
        self.still_open(before.session)?;
        let mut view = View::new(self, session);
        if let (Some(path), Some(at)) = (likely, before.at.into_iter().next()) {
            view.note(path.clone(), at);
        }
        let planned = plan(&mut view).and_then(|touched| Ok((touched, self.steps(&mut view)?)));
        let (touched, steps) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                self.bury(&view.stored, &HashSet::new());
                return if view.has_raced.get() { Ok(Attempt::Overtaken) } else { Err(error) };
            }
        };
        view.forget_plan();
        let ready = vec![Ready { view, steps, touched }];
        let mut plans = [Plans { session, generation: before.generation, ready }];
        match self.commit_plans(&mut plans) {
            Ok(committed) => match committed.into_iter().next() {
                // There was one plan, so there is one list of answers.
                Some(Committed::Done(mut answers)) => {
                    Ok(Attempt::Done(answers.pop().unwrap_or_default()))
                }
                Some(Committed::Overtaken) | None => Ok(Attempt::Overtaken),
            },
            Err(CommitError::Frozen(apply)) => Ok(Attempt::Frozen(apply)),
            Err(CommitError::Blobless) => Ok(Attempt::Overtaken),
            Err(CommitError::Staging(error)) => Err(error),
        }
    }

    /// Plans the first changes of each session, each by itself, up to one that depends on what
    /// those before it bring, and commits them together: their answers, one at least for each
    /// session; nothing, and nothing of the session changed, where they have to be proposed one
    /// after the other.
    fn propose_together(
        &self,
        asked: &[(SessionId, &[(Span, Proposal)])],
    ) -> Vec<Option<Vec<Result<Proposed>>>> {
        let none = || asked.iter().map(|_| None).collect();
        let before = self.store.read(|c| {
            let each = asked.iter().map(|(session, proposals)| {
                let paths = proposals.iter().map(|(_, proposal)| proposal.path());
                Before::read(c, *session, &paths.collect::<Vec<_>>())
            });
            each.collect::<Result<Vec<_>>>()
        });
        let Ok(before) = before else { return none() };
        let (mut refused, mut plans) = (Vec::new(), Vec::new());
        for ((_, proposals), before) in asked.iter().zip(before) {
            let Before { session, generation, at } = before;
            let session = self.still_open(session).map(|session| session.id);
            let (errors, ready) = match session {
                Ok(session) => self.plan_each(session, proposals, at),
                Err(_) => (Vec::new(), Vec::new()),
            };
            refused.push(errors);
            plans.push(Plans { session: asked[plans.len()].0, generation, ready });
        }
        let Ok(committed) = self.commit_plans(&mut plans) else { return none() };
        let settle = |(refused, committed): (Vec<Option<StagingError>>, Committed)| {
            let Committed::Done(proposed) = committed else { return None };
            let mut proposed = proposed.into_iter().flatten();
            let answers = refused.into_iter().map(|refused| match refused {
                Some(error) => Err(error),
                None => Ok(proposed.next().expect("each plan gives one answer")),
            });
            let answers: Vec<_> = answers.collect();
            (!answers.is_empty()).then_some(answers)
        };
        refused.into_iter().zip(committed).map(settle).collect()
    }

    /// The plans of the first changes that can be planned before any is committed, and for
    /// each change what it is refused for, if it is.
    fn plan_each(
        &self,
        session: SessionId,
        proposals: &[(Span, Proposal)],
        at: Vec<At>,
    ) -> (Vec<Option<StagingError>>, Vec<Ready<'_>>) {
        let (mut refused, mut ready) = (Vec::new(), Vec::<Ready<'_>>::new());
        for ((span, proposal), at) in proposals.iter().zip(at) {
            let mut view = View::new(self, session);
            let path = proposal.path();
            // A file that was written a moment ago is most likely to be written again.
            let last = ready.iter().rev().find(|before| before.changes(path));
            let before = last.and_then(|last| Some((last, last.outcome_at(path)?.clone())));
            let noted = before.as_ref().map(|_| path);
            let at = before.map_or(at, |(last, patch)| {
                view.hold_as(&last.view);
                At::planned(patch)
            });
            view.note(path.clone(), at);
            let depends = |view: &View<'_>| {
                let mut before = ready.iter().map(|before| &before.view);
                // A symbolic link may be on the way to any path.
                before.any(|before| before.plans_link || view.has_seen_what_changes(before, noted))
            };
            if depends(&view) {
                break;
            }
            let planned = span.in_scope(|| {
                let touched = view.propose(proposal)?;
                Ok((touched, self.steps(&mut view)?))
            });
            if depends(&view) || view.has_raced.get() {
                self.bury(&view.stored, &HashSet::new());
                break;
            }
            match planned {
                Ok((touched, steps)) => {
                    refused.push(None);
                    ready.push(Ready { view, steps, touched: vec![touched] });
                }
                Err(error) => {
                    refused.push(Some(error));
                    self.bury(&view.stored, &HashSet::new());
                }
            }
        }
        (refused, ready)
    }

    /// What becomes of each touched path, signed and compared; taken out of what is planned.
    fn steps(&self, view: &mut View<'_>) -> Result<Vec<Step>> {
        view.forget_disk();
        let planned = std::mem::take(&mut view.planned);
        let mut steps = Vec::with_capacity(planned.len());
        for (path, new) in planned {
            let old = view.stored_at(&path)?.map(Box::new);
            let mut step = Step { path, old, new, diff: None };
            if let Some(new) = &mut step.new {
                new.signature = signature_of(new);
            }
            if !step.is_idle()
                && let Some(new) = &mut step.new
            {
                let with_text = self.store.is_observed();
                let (old, staged) = self.sides(view, new)?;
                (new.diff, step.diff) = self.differ.summarise(new, &old, &staged, with_text);
                new.diff.remarks.extend(self.dropped_capabilities(new)?);
            }
            steps.push(step);
        }
        // Which paths they are is asked of the plan as well.
        view.planned = steps.iter().map(|step| (step.path.clone(), None)).collect();
        Ok(steps)
    }

    /// That a program loses its capabilities with its old content, which no diff shows.
    fn dropped_capabilities(&self, patch: &Patch) -> Result<Option<String>> {
        let (Some(base), Some(staged)) = (&patch.base, patch.staged) else { return Ok(None) };
        // Nobody can run anything else, so only programs are looked at.
        let is_new_program = base.mode & 0o111 != 0 && base.digest != staged.digest;
        if !is_new_program || !self.workspace.has_capabilities(&patch.path)? {
            return Ok(None);
        }
        Ok(Some("file capabilities (setcap) are dropped with the old content".to_owned()))
    }

    fn sides(&self, view: &View<'_>, patch: &Patch) -> Result<(Sided, Sided)> {
        let base = patch.base.as_ref().map(|base| (base.digest, base.bytes));
        let staged = patch.staged.map(|staged| (staged.digest, staged.bytes));
        let side = |side: Option<(Digest, u64)>| -> Result<Sided> {
            let Some((digest, bytes)) = side else { return Ok(Sided::Absent) };
            if bytes > self.differ.bytes_max() {
                return Ok(Sided::TooLarge(bytes, view.head(&patch.path, &digest)?));
            }
            Ok(Sided::Held(view.content(&patch.path, &digest)?))
        };
        Ok((side(base)?, side(staged)?))
    }

    /// Repeats a step until no apply holds its patches. When the process of that
    /// apply is dead, the workspace's lock is free, and recovery frees them.
    pub(super) fn thawed<T>(&self, mut step: impl FnMut() -> Result<Thawed<T>>) -> Result<T> {
        let begun = Instant::now();
        let mut is_said = false;
        loop {
            let apply = match step()? {
                Thawed::Done(done) => return Ok(done),
                Thawed::Frozen(apply) => apply,
            };
            // What a failed sync left in doubt is decided here; what waits for a person is not.
            let has_recovered = self.recover_if_free()?;
            let held = self.store.look(|connection| held_by(connection, apply))?;
            let is_in_doubt = matches!(held, StagingError::HeldInDoubt { .. });
            if begun.elapsed() >= FROZEN_WAIT || (is_in_doubt && !has_recovered) {
                return Err(held);
            }
            if begun.elapsed() >= SAID_AFTER && !is_said {
                is_said = true;
                self.say_waiting(Activity::Applies(apply));
            }
            if !has_recovered {
                std::thread::sleep(FROZEN_POLL);
            }
        }
    }
}

/// The signature that belongs to a patch's content.
fn signature_of(patch: &Patch) -> Signature {
    patch_signature(&Bound::of(patch))
}
