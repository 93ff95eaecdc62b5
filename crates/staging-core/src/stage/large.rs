//! Storing the patches of a large call before they become pending, so that the transaction that makes
//! them pending is short for those who wait for it.
//!
//! That transaction has to be one: all patches of a call become pending together, each with its
//! event. Most of its work is done before in short transactions, between which other processes can
//! write: storing the rows, which no query finds yet, and counting their references to contents. A
//! process that dies meanwhile leaves rows with its name, which a sweep removes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use atomic_fs::RelPath;

use crate::attempt::{Attempt, CommitError};
use crate::error::{Result, StagingError};
use crate::ids::PatchId;
use crate::layer::Inner;
use crate::owner::{Liveness, Owner};
use crate::patch::Patch;
use crate::stage::proposal::Proposed;
use crate::stage::step::{Plan, Rows, Step, add_others, has_raced, join_idle};
use crate::store::contents::Entry;
use crate::store::proposed::Inserted;
use crate::store::write::Write;
use crate::store::{patches, proposed};

/// A call with more new patches than this is large.
const LARGE_MIN: usize = 1000;

/// How many rows one transaction stores or removes: others wait for it.
const ROWS_MAX: usize = 200;

/// How many rows one statement makes pending.
const LISTED_MAX: usize = 1000;

/// The longest pause after each of these transactions. A process that waits for SQLite's lock polls
/// it, so the lock has to be free for about as long as it is held.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Whether the patches of a call are stored before they become pending.
pub(crate) fn is_large(plan: &Plan<'_>) -> bool {
    plan.steps.iter().filter(|step| is_new(step)).nth(LARGE_MIN).is_some()
}

fn is_new(step: &Step) -> bool {
    !step.is_idle() && step.new.is_some()
}

/// Makes prepared patches pending, and notes that they were staged together.
pub(crate) fn list(
    write: &Write<'_>,
    steps: &mut [Step],
    first: PatchId,
    batch: Option<PatchId>,
) -> Result<()> {
    let oldest = steps.iter().filter_map(Step::now).map(|patch| patch.id).min();
    let batch = batch.or(oldest).unwrap_or(first);
    let mut ids = Vec::new();
    for step in steps.iter_mut().filter(|step| is_new(step)) {
        let is_revision = step.before().is_some();
        let Some(new) = &mut step.new else { continue };
        new.batch = Some(batch);
        (new.created_at, new.updated_at) = (write.now, write.now);
        match is_revision {
            true => proposed::revise(write, new)?,
            false => ids.push(new.id),
        }
    }
    while proposed::drop_holders(write, first, LISTED_MAX)? {}
    let (mut listed, expected) = (0, ids.len());
    // They were inserted in this order, so each part is one range of ids.
    for ids in ids.chunks(LISTED_MAX) {
        let (Some(from), Some(to)) = (ids.first(), ids.last()) else { continue };
        listed += proposed::list_prepared(write, first, (*from, *to), batch)?;
    }
    if listed != expected {
        return Err(StagingError::damaged_store(format!(
            "{listed} of {expected} prepared patches are there"
        )));
    }
    join_idle(write, steps, batch)
}

impl Inner {
    /// Commits the plan of a large call.
    pub(crate) fn commit_prepared(
        &self,
        plan: &mut Plan<'_>,
        taken: &mut HashSet<Entry>,
    ) -> Attempt<Vec<Proposed>> {
        let durable = self.options.durable_proposals;
        let mut first = None;
        let written = self.prepare(plan, &mut first, taken).and_then(|()| {
            let first = first.ok_or(CommitError::Raced)?;
            if durable {
                // Contents have to be durable before the rows become pending.
                self.blobs.sync()?;
            }
            self.store.write_on(durable, |write| {
                if has_raced(write, plan.session, plan.generation)? {
                    return Err(CommitError::Raced);
                }
                self.write_plan(write, plan, &mut Rows::Prepared(first))
            })
        });
        if written.is_err()
            && let Some(first) = first
            && let Err(error) = self.drop_prepared(first)
        {
            tracing::warn!(%error, "patches that are not pending stay until the next sweep");
        }
        written.map(|()| self.answers_of_large(plan))
    }

    /// The answers of a large call that was written, made without the write lock. A patch that is in
    /// one answer only is moved into it.
    fn answers_of_large(&self, plan: &mut Plan<'_>) -> Vec<Proposed> {
        let Plan { steps, touched, view, .. } = plan;
        let paths: Vec<RelPath> = steps.iter().map(|step| step.path.clone()).collect();
        let withdrawn = |step: &Step| step.withdrawn().map(|patch| patch.id);
        let superseded: Vec<Option<PatchId>> = steps.iter().map(withdrawn).collect();
        let take = |step: &mut Step| if step.is_idle() { step.old.take() } else { step.new.take() };
        let mut now: Vec<Option<Box<Patch>>> = steps.iter_mut().map(take).collect();
        let place = |path: &RelPath| paths.binary_search(path).ok();
        let mut uses = vec![0_usize; paths.len()];
        for place in touched.iter().flatten().filter_map(place) {
            uses[place] += 1;
        }
        let mut at = |path: &RelPath| {
            let place = place(path)?;
            uses[place] -= 1;
            let patch = if uses[place] == 0 { now[place].take() } else { now[place].clone() };
            patch.map(|patch| *patch)
        };
        let mut answers: Vec<Proposed> = Vec::with_capacity(touched.len());
        for touched in &*touched {
            let patch = touched.first().and_then(&mut at);
            answers.push(Proposed {
                withdrawn: patch.is_none(),
                also_changed: touched.iter().skip(1).filter_map(&mut at).collect(),
                patch,
                superseded: touched.iter().find_map(|path| superseded[place(path)?]),
                also_pending_in: Vec::new(),
            });
        }
        let noted = self.store.read(|connection| {
            let mut each = answers.iter_mut().zip(&*touched);
            each.try_for_each(|(answer, paths)| match paths.first() {
                Some(main) => add_others(connection, view.session, main, answer),
                None => Ok(()),
            })
        });
        if let Err(error) = noted {
            // The patches are staged all the same.
            tracing::warn!(%error, "what other sessions have pending is not known");
        }
        answers
    }

    /// Stores the rows and counts their references to contents; `first` gets the id of the first one.
    fn prepare(
        &self,
        plan: &mut Plan<'_>,
        first: &mut Option<PatchId>,
        taken: &mut HashSet<Entry>,
    ) -> Attempt<()> {
        let owner = Owner::this().name();
        let Plan { session, generation, view, steps, .. } = plan;
        let new: Vec<usize> = (0..steps.len()).filter(|index| is_new(&steps[*index])).collect();
        for indices in new.chunks(ROWS_MAX) {
            let begun = Instant::now();
            let (mut marked, mut taken_now) = (*first, HashSet::new());
            self.store.write_on(false, |write| {
                if has_raced(write, *session, *generation)? {
                    return Err(CommitError::Raced);
                }
                for index in indices {
                    let step = &mut steps[*index];
                    self.refer(write, view, step, Vec::new(), &mut taken_now)?;
                    let holds_for = step.before().map(|before| before.id);
                    let Some(new) = &mut step.new else { continue };
                    new.batch = marked;
                    let inserted = Inserted::Prepared { owner: &owner, holds_for };
                    let id = proposed::insert(write, new, inserted)?;
                    if holds_for.is_none() {
                        new.id = id;
                    }
                    if marked.is_none() {
                        patches::set_batch(write, id, id)?;
                        marked = Some(id);
                    }
                }
                Ok(())
            })?;
            taken.extend(taken_now);
            *first = marked;
            std::thread::sleep(begun.elapsed().min(PAUSE_MAX));
        }
        Ok(())
    }

    fn drop_prepared(&self, first: PatchId) -> Result<()> {
        loop {
            let begun = Instant::now();
            if !self.store.write(|write| proposed::drop_prepared(write, first, ROWS_MAX))? {
                return Ok(());
            }
            std::thread::sleep(begun.elapsed().min(PAUSE_MAX));
        }
    }

    /// Removes rows that dead processes stored and did not make pending.
    pub(crate) fn drop_abandoned(&self) -> Result<()> {
        for (first, owner) in self.store.peek(proposed::unlisted)? {
            let liveness = Owner::parse(&owner).map(|owner| owner.liveness());
            if matches!(liveness, None | Some(Liveness::Dead)) {
                self.drop_prepared(first)?;
            }
        }
        Ok(())
    }
}
