//! Storing the patches of a large call before they count, so that nobody waits long for the
//! transaction that makes them pending.
//!
//! That transaction has to be one: all patches of a call become pending together, each with its
//! event. Most of its work can be done before, though, in short transactions between which others
//! get their turn: storing the rows, which no query finds yet, and counting what they need of
//! contents. A process that dies meanwhile leaves rows that name it, which a sweep removes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Inner;
use super::commit::{
    CommitError, Committed, Plans, Rows, Step, Written, answer, answers, is_overtaken, join_idle,
    number_revisions,
};
use crate::Result;
use crate::ids::PatchId;
use crate::owner::{Liveness, Owner};
use crate::store::contents::Entry;
use crate::store::patches::{self, Inserted};
use crate::store::{Write, damaged};

/// A call with more new patches than this is large.
const LARGE_MIN: usize = 1000;

/// How many rows one transaction stores or removes: others wait for it.
const ROWS_MAX: usize = 200;

/// How long the way is left free for others after each of these transactions, at most. A process
/// that waits for SQLite's lock asks for it every now and then, so it has to be free for as long as
/// it is taken.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Whether a call's patches are to be stored before they count.
pub(super) fn is_large(plans: &Plans<'_>) -> bool {
    let [ready] = plans.ready.as_slice() else { return false };
    ready.steps.iter().filter(|step| is_new(step)).nth(LARGE_MIN).is_some()
}

fn is_new(step: &Step) -> bool {
    !step.is_idle() && step.new.is_some()
}

/// Makes prepared patches pending, and notes that they were staged together.
pub(super) fn list(
    write: &Write<'_>,
    steps: &mut [Step],
    first: PatchId,
    batch: Option<PatchId>,
) -> Result<()> {
    let idle = steps.iter().filter(|step| step.is_idle()).filter_map(Step::now);
    let oldest = idle.map(|patch| patch.id).chain([first]).min();
    let batch = batch.or(oldest).unwrap_or(first);
    let listed = patches::list_prepared(write, first, batch)?;
    let mut expected = 0;
    for step in steps.iter_mut().filter(|step| is_new(step)) {
        let Some(new) = &mut step.new else { continue };
        expected += 1;
        new.batch = Some(batch);
        (new.created_at, new.updated_at) = (write.now, write.now);
    }
    if listed != expected {
        return Err(damaged(format!("{listed} of {expected} prepared patches are there")));
    }
    join_idle(write, steps, batch)
}

impl Inner {
    /// Commits the plan of a large call. The places that it took of contents are given back by
    /// whoever no longer needs them, also when it fails.
    pub(super) fn commit_prepared(
        &self,
        plans: &mut Plans<'_>,
        taken: &mut HashSet<Entry>,
    ) -> Result<Committed, CommitError> {
        let durable = self.options.durable_proposals;
        let mut first = None;
        let written = self.prepare(plans, &mut first, taken).and_then(|prepared| {
            let (Written::Done, Some(first)) = (prepared, first) else {
                return Ok(Written::Overtaken);
            };
            if durable {
                // What the rows refer to has to be there before they count.
                self.blobs.sync()?;
            }
            let mut rows = Rows::Prepared(first);
            self.store.write_on(durable, |write| self.write_plans(write, plans, &mut rows))
        });
        if !matches!(written, Ok(Written::Done))
            && let Some(first) = first
            && let Err(error) = self.drop_prepared(first)
        {
            tracing::warn!(%error, "patches that are not pending stay until the next sweep");
        }
        let Written::Done = written? else { return Ok(Committed::Overtaken) };
        let [ready] = plans.ready.as_slice() else { return Ok(Committed::Overtaken) };
        // Nobody waits for this part, and it is staged whatever comes of it.
        let answers = self.store.read(|connection| answers(connection, ready));
        Ok(Committed::Done(vec![answers.unwrap_or_else(|error| {
            tracing::warn!(%error, "what other sessions have pending is not known");
            ready.touched.iter().map(|paths| answer(ready, paths)).collect()
        })]))
    }

    /// Stores the rows, and counts what they need of contents; `first` is the id of the first one.
    fn prepare(
        &self,
        plans: &mut Plans<'_>,
        first: &mut Option<PatchId>,
        taken: &mut HashSet<Entry>,
    ) -> Result<Written, CommitError> {
        let (session, generation) = (plans.session, plans.generation);
        let overtaken = Plans { session, generation, ready: Vec::new() };
        let owner = Owner::this().name();
        let Some(ready) = plans.ready.first_mut() else { return Ok(Written::Overtaken) };
        let (view, steps) = (&ready.view, &mut ready.steps);
        number_revisions(view, steps);
        let new: Vec<usize> = (0..steps.len()).filter(|index| is_new(&steps[*index])).collect();
        for indices in new.chunks(ROWS_MAX) {
            let begun = Instant::now();
            let (mut marked, mut taken_now) = (*first, HashSet::new());
            let written = self.store.write_or(|write| {
                if is_overtaken(write, &overtaken)? {
                    return Ok(Written::Overtaken);
                }
                for index in indices {
                    let step = &mut steps[*index];
                    self.refer(write, view, step, Vec::new(), &mut taken_now)?;
                    let Some(new) = &mut step.new else { continue };
                    new.batch = marked;
                    new.id = patches::insert(write, new, Inserted::Prepared(&owner))?;
                    if marked.is_none() {
                        patches::set_batch(write, new.id, new.id)?;
                        marked = Some(new.id);
                    }
                }
                Ok::<_, CommitError>(Written::Done)
            })?;
            let Written::Done = written else { return Ok(written) };
            taken.extend(taken_now);
            *first = marked;
            std::thread::sleep(begun.elapsed().min(PAUSE_MAX));
        }
        Ok(Written::Done)
    }

    fn drop_prepared(&self, first: PatchId) -> Result<()> {
        loop {
            let begun = Instant::now();
            if !self.store.write(|write| patches::drop_prepared(write, first, ROWS_MAX))? {
                return Ok(());
            }
            std::thread::sleep(begun.elapsed().min(PAUSE_MAX));
        }
    }

    /// Removes what dead processes prepared.
    pub(super) fn drop_abandoned(&self) -> Result<()> {
        for (first, owner) in self.store.look(patches::prepared)? {
            let liveness = Owner::parse(&owner).map(|owner| owner.liveness());
            if matches!(liveness, None | Some(Liveness::Dead)) {
                self.drop_prepared(first)?;
            }
        }
        Ok(())
    }
}
