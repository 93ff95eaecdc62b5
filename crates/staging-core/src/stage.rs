//! Staging proposals: read what the session sees, plan the change on it, compare, and commit if the
//! session has not changed meanwhile.
//!
//! Requests of several sessions are staged as one batch, which makes many of them cheap: they share
//! one transaction and its sync. A batch of one is a batch.

mod at_once;
mod commit;
mod edit;
pub(crate) mod import;
mod large;
pub(crate) mod moves;
mod names;
pub(crate) mod patch_text;
mod plan;
pub(crate) mod proposal;
pub(crate) mod read_base;
pub(crate) mod read_step;
mod rebase;
mod resolve;
mod step;
pub(crate) mod view;

use std::collections::HashSet;

use atomic_fs::{Digest, RelPath};
use rusqlite::Connection;
use tracing::Span;

use crate::attempt::{Attempt, CommitError};
use crate::diffing::Sided;
use crate::error::Result;
use crate::ids::SessionId;
use crate::layer::{DiffStagingLayer, Inner};
use crate::patch::Patch;
use crate::session::Session;
use crate::signing::patch_signature;
use crate::stage::proposal::{Proposal, Proposed};
use crate::stage::step::{Plan, Step, Touched, go_on};
use crate::stage::view::{At, View};
use crate::store::sessions;

impl DiffStagingLayer {
    /// Stages one change. The workspace is not touched.
    ///
    /// # Errors
    /// `Stale` when the session had a patch on the file and the file has changed
    /// since: the patch is discarded, and the agent has to read the file again.
    pub fn propose(&self, session: SessionId, proposal: Proposal) -> Result<Proposed> {
        let mut proposed = self.propose_all(session, vec![proposal])?;
        Ok(proposed.pop().expect("one proposal gives one answer"))
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
        let request = StageRequest { session, proposals, span: Span::current() };
        self.stage(&[request]).pop().expect("one request gives one answer")
    }

    /// Stages requests of several sessions as one batch. A request that fails does not affect the
    /// others. The answers are in the order of the requests, and are those of
    /// [`propose_all`](Self::propose_all). A session must not be named twice.
    ///
    /// # Errors
    /// Those of [`propose_all`](Self::propose_all), as the answer to the request.
    pub fn stage(&self, requests: &[StageRequest]) -> Vec<Result<Vec<Proposed>>> {
        let requests: Vec<Request<'_>> = requests.iter().map(Request::of).collect();
        self.0.stage(&requests)
    }
}

/// What one session proposes: all of it is staged, or none.
#[derive(Clone, Debug)]
pub struct StageRequest {
    /// The session.
    pub session: SessionId,
    /// The changes in their order, each seeing those before it.
    pub proposals: Vec<Proposal>,
    /// The span of its log lines.
    pub span: Span,
}

/// Plans a change of what is pending in a session, and names the paths that it is about.
type PlanChange<'r> = dyn Fn(&mut View<'_>) -> Result<Vec<Touched>> + 'r;

/// A change that is planned, perhaps more than once, until it is committed.
pub(crate) struct Request<'r> {
    session: SessionId,
    span: Span,
    /// What is pending at this path is read together with the session.
    likely: Option<&'r RelPath>,
    plan: Box<PlanChange<'r>>,
}

impl<'r> Request<'r> {
    pub(crate) fn new(
        session: SessionId,
        plan: impl Fn(&mut View<'_>) -> Result<Vec<Touched>> + 'r,
    ) -> Self {
        Self { session, span: Span::current(), likely: None, plan: Box::new(plan) }
    }

    fn of(request: &'r StageRequest) -> Self {
        let StageRequest { session, proposals, span } = request;
        let likely = proposals.first().map(Proposal::path);
        let plan = Box::new(|view: &mut View<'_>| view.propose_all(proposals));
        Self { session: *session, span: span.clone(), likely, plan }
    }
}

/// A session as it is before a plan is made.
struct Before {
    session: Session,
    /// The number that a commit finds unchanged unless the session was changed meanwhile.
    generation: i64,
    /// What is pending at the path that was asked for.
    at: Option<At>,
}

impl Before {
    fn read(connection: &Connection, request: &Request<'_>) -> Result<Self> {
        let id = request.session;
        let session = sessions::require(connection, id)?;
        let generation = sessions::counters(connection, id)?.map(|counters| counters.generation);
        let at = request.likely.map(|path| At::read(connection, id, path)).transpose()?;
        Ok(Self { session, generation: generation.unwrap_or_default(), at })
    }
}

impl Inner {
    /// Stages one request.
    pub(crate) fn stage_one(&self, request: Request<'_>) -> Result<Vec<Proposed>> {
        self.stage(&[request]).pop().expect("one request gives one answer")
    }

    /// Stages requests of different sessions, each by itself.
    pub(crate) fn stage(&self, requests: &[Request<'_>]) -> Vec<Result<Vec<Proposed>>> {
        let together = self.attempt(requests);
        let each = requests.iter().zip(together);
        let settle = |(request, first): (&Request<'_>, Attempt<Vec<Proposed>>)| {
            self.retry_while_locked(first, || {
                let alone = std::slice::from_ref(request);
                self.attempt(alone).pop().expect("one request has one outcome")
            })
        };
        each.map(settle).collect()
    }

    /// Reads, plans and commits once. Where the batch cannot be committed as one, each of its
    /// requests has to be tried alone, so that an error is the answer to its own request only.
    fn attempt(&self, requests: &[Request<'_>]) -> Vec<Attempt<Vec<Proposed>>> {
        match self.before(requests) {
            Ok(before) => self.attempt_on(requests, before),
            Err(error) if requests.len() == 1 => vec![Err(CommitError::Staging(error))],
            Err(_) => requests.iter().map(|_| Err(CommitError::Raced)).collect(),
        }
    }

    /// What each session is, in one consistent state of the store.
    fn before(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Before>>> {
        self.store.read(|connection| {
            Ok(requests.iter().map(|request| Before::read(connection, request)).collect())
        })
    }

    /// Plans and commits once, from what each session is.
    fn attempt_on(
        &self,
        requests: &[Request<'_>],
        before: Vec<Result<Before>>,
    ) -> Vec<Attempt<Vec<Proposed>>> {
        let is_alone = requests.len() == 1;
        let failed = |error| match is_alone {
            true => CommitError::Staging(error),
            false => CommitError::Raced,
        };
        // What each request makes of what its session sees, signed and compared, with new contents
        // in the store.
        let plan = |request: &Request<'_>, before: Result<Before>| {
            let Before { session, generation, at } = before.map_err(failed)?;
            let session = self.still_open(session).map_err(failed)?.id;
            let mut view = View::new(self, session);
            if let (Some(path), Some(at)) = (request.likely, at) {
                view.note(path.clone(), at);
            }
            let planned =
                (request.plan)(&mut view).and_then(|touched| Ok((touched, self.steps(&mut view)?)));
            match planned {
                Ok((touched, steps)) => {
                    view.forget_plan();
                    Ok(Plan { session, generation, view, steps, touched })
                }
                Err(error) => {
                    self.release_unused(&view.stored, &HashSet::new());
                    Err(match view.has_raced.get() {
                        true => CommitError::Raced,
                        false => CommitError::Staging(error),
                    })
                }
            }
        };
        let mut outcomes: Vec<Option<Attempt<Vec<Proposed>>>> = Vec::new();
        let mut plans = Vec::new();
        for (request, before) in requests.iter().zip(before) {
            match request.span.in_scope(|| plan(request, before)) {
                Ok(plan) => {
                    plans.push(plan);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Err(error))),
            }
        }
        // All of them in one transaction, with their events.
        let mut committed = match plans.is_empty() {
            true => Vec::new(),
            false => match self.commit_plans(&mut plans) {
                Ok(committed) => committed,
                Err(error) if is_alone => vec![Err(error)],
                Err(_) => plans.iter().map(|_| Err(CommitError::Raced)).collect(),
            },
        }
        .into_iter();
        let each = outcomes.into_iter();
        each.map(|outcome| outcome.or_else(|| committed.next()).expect("each has one")).collect()
    }

    /// What becomes of each touched path, signed and compared; taken out of what is planned.
    fn steps(&self, view: &mut View<'_>) -> Result<Vec<Step>> {
        view.forget_disk();
        let planned = std::mem::take(&mut view.planned);
        let mut steps = Vec::with_capacity(planned.len());
        for (path, mut new) in planned {
            if let Some(new) = &mut new {
                new.signature = patch_signature(new);
            }
            let old = view.stored_at(&path)?.map(Box::new);
            steps.push(Step::new(path, old, new));
        }
        go_on(&mut steps, &view.origins);
        let with_text = self.store.is_observed();
        for index in 0..steps.len() {
            if steps[index].is_idle() {
                continue;
            }
            let edit = view.edit_before(&steps, index)?;
            let step = &mut steps[index];
            let Some(new) = &mut step.new else { continue };
            let risks = std::mem::take(&mut new.diff.risks);
            let (old, staged) = self.sides(view, new)?;
            (new.diff, step.diff) = self.differ.summarise(new, &old, &staged, with_text);
            new.diff.remarks.extend(self.dropped_capabilities(new)?);
            view.mark_edits(step, edit, risks);
        }
        // `View::planned` still names the paths.
        view.planned = steps.iter().map(|step| (step.path.clone(), None)).collect();
        Ok(steps)
    }

    /// A remark when a program loses its file capabilities with its old content: no diff shows that.
    fn dropped_capabilities(&self, patch: &Patch) -> Result<Option<String>> {
        let (Some(base), Some(staged)) = (&patch.base, patch.staged) else { return Ok(None) };
        // Capabilities matter only for programs.
        let is_new_program = base.content.mode & 0o111 != 0 && base.content.digest != staged.digest;
        if !is_new_program || !self.workspace.has_capabilities(&patch.path)? {
            return Ok(None);
        }
        Ok(Some("file capabilities (setcap) are dropped with the old content".to_owned()))
    }

    fn sides(&self, view: &View<'_>, patch: &Patch) -> Result<(Sided, Sided)> {
        let [base, staged] = patch.contents();
        let side = |side: Option<(Digest, u64)>| -> Result<Sided> {
            let Some((digest, bytes)) = side else { return Ok(Sided::Absent) };
            if bytes > self.differ.bytes_max() {
                return Ok(Sided::TooLarge(bytes, view.head(&patch.path, &digest)?));
            }
            Ok(Sided::Held(view.content(&patch.path, &digest)?))
        };
        Ok((side(base)?, side(staged)?))
    }
}
