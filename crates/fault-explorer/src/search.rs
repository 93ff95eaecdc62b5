//! From one process's log to every crash in it, and on through recovery.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};

use crate::atomic_fs::simulated::{
    Answer, Choice, Crashes, Entry, Image, Persistence, Random, StateCap, boundaries, new_hasher,
};

use crate::case::{Case, Process, Violation};
use crate::counts::Counts;
use crate::fixture::{Ending, Fixture, Run, Terms};
use crate::oracle::{Broken, Known, Oracle, Promise};
use crate::plan::{Edit, Plan};
use crate::scenario::Scenario;

mod others;

pub(crate) use others::at_relocation;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many states of one crash point are made before it is sampled.
    pub cap: StateCap,
    /// How many crashes inside recovery follow the first one, exhaustively.
    pub depth: u8,
    /// How many more follow at every so-many-th state; 0 for none.
    pub deeper_every: usize,
}

/// A search over one scenario under one model. States are told apart by their content,
/// and by what was answered and saved before; each is recovered from once.
pub struct Search<'a> {
    fixture: &'a Fixture,
    scenario: &'a Scenario,
    oracle: Oracle<'a>,
    model: Persistence,
    terms: Terms,
    has_old: bool,
    bounds: Bounds,
    seen: HashMap<u64, u8>,
    processes: Vec<Process>,
    /// What has been explored so far.
    pub counts: Counts,
}

/// A promise that was broken; the processes show where.
pub type Verdict = Result<(), Box<Violation>>;

impl<'a> Search<'a> {
    /// A search that has seen nothing.
    pub fn new(
        fixture: &'a Fixture,
        scenario: &'a Scenario,
        model: Persistence,
        terms: Terms,
        bounds: Bounds,
    ) -> Self {
        Self {
            fixture,
            scenario,
            oracle: Oracle::new(scenario),
            model,
            terms,
            has_old: terms.has_old,
            bounds,
            seen: HashMap::new(),
            processes: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Applies the set under a plan, and judges the answer.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn apply(&mut self, plan: &Plan) -> Result<Run, Box<Violation>> {
        self.terms.has_old = self.has_old || !plan.edits.is_empty();
        self.processes = vec![Process { plan: plan.clone(), ..Process::default() }];
        let run = self.fixture.apply(self.scenario, &self.scenario.image, plan, self.terms);
        let mut known = Known::default();
        self.record_all(&mut known, &run)?;
        self.check(|oracle| oracle.after_apply(&run, &known))?;
        Ok(run)
    }

    /// Crashes at every point of an apply that [`Self::apply`] made, and recovers.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn crash_everywhere(&mut self, run: &Run) -> Verdict {
        self.crashes(run, &Known::default(), self.bounds.depth)
    }

    /// Kills an apply at every point and recovers; then power is cut at every point of that
    /// recovery, which finds in memory what the killed process had not made durable. Once it has
    /// answered, a user may make one of these edits.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn cut_recoveries_from_kills(&mut self, run: &Run, edits: &[Edit]) -> Verdict {
        let first = self.processes.clone();
        for end in boundaries(&run.log, Persistence::Kill) {
            if self.fixture.is_over() {
                break;
            }
            self.processes.clone_from(&first);
            if let Some(last) = self.processes.last_mut() {
                last.crash = Some(Choice { end, survived: Vec::new() });
                last.killed = true;
            }
            let quiet = self.cut_recovery_from_kill(run, end, Plan::default())?;
            let later = quiet.log.entries[end..].iter();
            let answered = later.rev().position(|entry| matches!(entry, Entry::Answered(_)));
            let Some(answered) = answered.map(|back| quiet.log.entries.len() - back) else {
                continue;
            };
            let after = quiet.steps.iter().position(|step| step.entries_before >= answered);
            for edit in edits {
                let plan = Plan::edit(after.unwrap_or(quiet.steps.len()), edit.clone());
                self.counts.races += 1;
                self.counts.landed += 1;
                self.cut_recovery_from_kill(run, end, plan)?;
            }
        }
        self.processes = first;
        Ok(())
    }

    fn cut_recovery_from_kill(
        &mut self,
        run: &Run,
        end: usize,
        plan: Plan,
    ) -> Result<Run, Box<Violation>> {
        let (scenario, log) = (self.scenario, run.log.clone());
        let recovery = self.fixture.recover_after_kill(scenario, log, end, &plan, self.terms);
        self.processes.push(Process { plan, ..Process::default() });
        self.crashes_from(end, &recovery, &Known::default(), 0)?;
        self.processes.pop();
        Ok(recovery)
    }

    /// The process ends as a kill at its last call would end it; then recovery, under a
    /// plan of its own.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn recover_after(&mut self, run: &Run, plan: &Plan) -> Verdict {
        let mut known = Known::default();
        self.record_all(&mut known, run)?;
        self.recover(&run.image, known, plan, 0)
    }

    /// The process ends; or power is cut then, where that is the model.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn end_after(&mut self, run: &Run) -> Verdict {
        match self.model {
            Persistence::Kill => self.recover_after(run, &Plan::default()),
            _ => self.crashes_from(run.log.entries.len(), run, &Known::default(), 0),
        }
    }

    /// Where an apply was answered as having changed nothing, a second one goes through.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn retry_after(&mut self, run: &Run) -> Verdict {
        if !run.left_unchanged() {
            return Ok(());
        }
        let quiet = Plan::default();
        let recovered = self.fixture.recover(self.scenario, &run.image, &quiet, self.terms);
        let again = self.fixture.apply(self.scenario, &recovered.image, &quiet, self.terms);
        match &again.ending {
            Ending::Applied { answer: Answer::Committed, .. } => Ok(()),
            ending => Err(self.violation(Broken {
                promise: Promise::Whole,
                details: format!("a second try of what changed nothing: {ending:?}"),
            })),
        }
    }

    /// Crashes at every point of an apply, and recovers from each state under each of
    /// these plans.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn crash_then(&mut self, run: &Run, plans: &[Plan]) -> Verdict {
        self.crash_then_planned(run, &|_| plans.to_vec())
    }

    /// The same with plans that are made from the undisturbed recovery of each state.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn crash_then_planned(&mut self, run: &Run, plans: &dyn Fn(&Run) -> Vec<Plan>) -> Verdict {
        for (process, image, known) in self.crash_states(run)? {
            let undisturbed =
                self.fixture.recover(self.scenario, &image, &Plan::default(), self.terms);
            // After a power cut a file that never arrived looks like one that a user removed.
            let arrived = self.model == Persistence::Kill
                && known == Known::default()
                && self.oracle.has_arrived(&image);
            for plan in plans(&undisturbed) {
                self.counts.faults += u64::from(!plan.faults.is_empty());
                self.counts.races += u64::from(!plan.edits.is_empty());
                self.counts.landed += u64::from(!plan.edits.is_empty());
                self.processes = vec![process.clone()];
                let mut known = known.clone();
                known.arrived = arrived && plan.only_saves();
                self.recover(&image, known, &plan, 0)?;
            }
        }
        Ok(())
    }

    /// Crashes once at each point after entry `from` that has states not seen yet, at one of
    /// them by chance, and recovers under a plan that is made from the undisturbed recovery.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn crash_once_after(
        &mut self,
        run: &Run,
        from: usize,
        random: &mut Random,
        plan: &mut dyn FnMut(&Run, &mut Random) -> Plan,
    ) -> Verdict {
        let first = self.processes.clone();
        let mut states = self.crash_states(run)?;
        states.retain(|(process, ..)| process.crash.as_ref().is_some_and(|crash| crash.end > from));
        let mut begin = 0;
        let end_of =
            |(process, ..): &(Process, Image, Known)| process.crash.as_ref().map(|c| c.end);
        while begin < states.len() {
            let end = end_of(&states[begin]);
            let count = states[begin..].iter().take_while(|state| end_of(state) == end).count();
            let (process, image, known) = &states[begin + random.below(count)];
            begin += count;
            let quiet = Plan::default();
            let undisturbed = self.fixture.recover(self.scenario, image, &quiet, self.terms);
            let plan = plan(&undisturbed, random);
            self.counts.races += 1;
            self.counts.landed += 1;
            self.processes = first.clone();
            if let Some(last) = self.processes.last_mut() {
                last.crash.clone_from(&process.crash);
            }
            self.recover(image, known.clone(), &plan, 0)?;
        }
        self.processes = first;
        Ok(())
    }

    fn crash_states(&mut self, run: &Run) -> Result<Vec<(Process, Image, Known)>, Box<Violation>> {
        let mut all = Vec::new();
        let mut known = Known::default();
        let mut recorded = 0;
        let mut crashes = Crashes::new(&run.log, self.model);
        for end in boundaries(&run.log, self.model) {
            if self.fixture.is_over() {
                break;
            }
            for entry in &run.log.entries[recorded..end] {
                known.record(self.scenario, entry).map_err(|broken| self.violation(broken))?;
            }
            recorded = end;
            self.counts.crash_points += 1;
            let salt = hash(&known);
            let (seen, counts) = (&mut self.seen, &mut self.counts);
            let mut is_new = |digest| {
                let is_new = seen.insert(digest ^ salt, 0).is_none();
                counts.states += u64::from(is_new);
                is_new
            };
            let sampled = crashes.states(end, self.bounds.cap, &mut is_new, &mut |state| {
                let process = Process { crash: Some(state.choice), ..Process::default() };
                all.push((process, state.image, known.clone()));
            });
            self.counts.sampled_points += u64::from(sampled);
        }
        Ok(all)
    }

    fn record_all(&self, known: &mut Known, run: &Run) -> Verdict {
        for entry in &run.log.entries {
            known.record(self.scenario, entry).map_err(|broken| self.violation(broken))?;
        }
        Ok(())
    }

    fn crashes(&mut self, run: &Run, before: &Known, depth: u8) -> Verdict {
        self.crashes_from(0, run, before, depth)
    }

    /// Crashes at the points from entry `from` on.
    fn crashes_from(&mut self, from: usize, run: &Run, before: &Known, depth: u8) -> Verdict {
        let mut known = before.clone();
        known.may_quarantine |= self.model != Persistence::Kill && run.failed_to_sync();
        let mut recorded = 0;
        let mut crashes = Crashes::new(&run.log, self.model);
        for end in boundaries(&run.log, self.model).into_iter().filter(|end| *end >= from) {
            if self.fixture.is_over() {
                break;
            }
            for entry in &run.log.entries[recorded..end] {
                known.record(self.scenario, entry).map_err(|broken| self.violation(broken))?;
            }
            recorded = end;
            self.counts.crash_points += 1;
            let mut at_crash = known.clone();
            if self.model == Persistence::Kill {
                // The dead process's leases are gone, and who waited has saved.
                for saved in run.log.saves_waiting(end) {
                    at_crash.record_save(self.scenario, &saved);
                }
            }
            let salt = hash(&at_crash);
            let mut fresh = Vec::new();
            let seen = &mut self.seen;
            let counts = &mut self.counts;
            let sampled = crashes.states(
                end,
                self.bounds.cap,
                &mut |digest| {
                    let left = seen.entry(digest ^ salt).or_insert_with(|| {
                        counts.states += 1;
                        u8::MAX
                    });
                    // Known is what was explored as deep as this already.
                    let is_known = *left != u8::MAX && *left >= depth;
                    *left = if *left == u8::MAX { depth } else { depth.max(*left) };
                    !is_known
                },
                &mut |state| fresh.push(state),
            );
            self.counts.sampled_points += u64::from(sampled);
            for state in fresh {
                let process = self.processes.last_mut().expect("a run is a process");
                process.crash = Some(state.choice);
                self.recover(&state.image, at_crash.clone(), &Plan::default(), depth)?;
            }
        }
        if let Some(process) = self.processes.last_mut() {
            process.crash = None;
        }
        Ok(())
    }

    fn recover(&mut self, image: &Image, mut known: Known, plan: &Plan, depth: u8) -> Verdict {
        if self.fixture.is_over() {
            return Ok(());
        }
        self.processes.push(Process { plan: plan.clone(), ..Process::default() });
        self.counts.recoveries += 1;
        let run = self.fixture.recover(self.scenario, image, plan, self.terms);
        let before = known.clone();
        self.record_all(&mut known, &run)?;
        // A call that fails, or a user who is writing just then, can make it give up.
        let failed_by_plan = matches!(run.ending, Ending::Failed(_)) && !plan.is_quiet();
        let settled = if failed_by_plan {
            // A recovery that failed is followed by another one.
            let again =
                self.fixture.recover(self.scenario, &run.image, &Plan::default(), self.terms);
            self.processes.push(Process::default());
            self.record_all(&mut known, &again)?;
            self.check(|oracle| oracle.after_recovery(&again, &known, self.model))?;
            self.processes.pop();
            again
        } else {
            self.check(|oracle| oracle.after_recovery(&run, &known, self.model))?;
            run
        };
        let again =
            self.fixture.recover(self.scenario, &settled.image, &Plan::default(), self.terms);
        self.check(|oracle| oracle.after_second_recovery(&again))?;
        let deeper = self.bounds.deeper_every > 0
            && self.counts.recoveries.is_multiple_of(self.bounds.deeper_every as u64);
        if !failed_by_plan && (depth > 0 || (deeper && self.processes.len() <= 3)) {
            self.crashes(&settled, &before, depth.saturating_sub(1))?;
        }
        self.processes.pop();
        Ok(())
    }

    /// Asks the oracle something about the history so far.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn check(&self, question: impl FnOnce(&Oracle<'a>) -> Result<(), Broken>) -> Verdict {
        question(&self.oracle).map_err(|broken| self.violation(broken))
    }

    fn violation(&self, broken: Broken) -> Box<Violation> {
        let case = Case {
            scenario: self.scenario.name.clone(),
            model: self.model,
            leases: self.terms.leases,
            renames: self.terms.renames,
            has_old: self.terms.has_old,
            mutant: None,
            processes: self.processes.clone(),
        };
        Box::new(Violation { case, broken })
    }
}

fn hash(known: &Known) -> u64 {
    let mut hasher = new_hasher();
    known.hash(&mut hasher);
    hasher.finish()
}

impl Bounds {
    /// For kills, whose states are few.
    pub fn kill() -> Self {
        let cap = StateCap { contents: 1, names: 1, seed: 0 };
        Self { cap, depth: 0, deeper_every: 0 }
    }
}
