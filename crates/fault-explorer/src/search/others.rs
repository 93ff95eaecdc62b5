//! Crashes that others meet: who changes what is left, and a second state beside.

use crate::atomic_fs::simulated::{
    Choice, Crashes, Entry, Image, Log, Persistence, boundaries, materialise,
};

use super::{Search, Verdict, hash};
use crate::beside::Beside;
use crate::case::Process;
use crate::fixture::Run;
use crate::oracle::Known;
use crate::plan::Plan;
use crate::tamper::Tamper;

impl Search<'_> {
    /// Crashes at every point of a run; then others do each of these to what the crash left, and
    /// recovery follows.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn tamper_after_crashes(
        &mut self,
        run: &Run,
        ways: &dyn Fn(&Image) -> Vec<Vec<Tamper>>,
    ) -> Verdict {
        let first = self.processes.clone();
        for (process, image, known) in self.crash_states(run)? {
            for tampered in ways(&image) {
                let mut image = image.clone();
                tampered.iter().for_each(|tamper| tamper.apply(&mut image));
                let mut known = known.clone();
                known.record_tampering(&tampered, &image);
                // Not those that crashes leave, which are told apart from these.
                let key = image.digest().rotate_left(1) ^ hash(&known);
                if self.seen.insert(key, 0).is_some() {
                    continue;
                }
                self.counts.others += 1;
                self.processes.clone_from(&first);
                if let Some(last) = self.processes.last_mut() {
                    last.crash.clone_from(&process.crash);
                    last.tampered = tampered;
                }
                self.recover(&image, known, &Plan::default(), self.bounds.depth)?;
            }
        }
        self.processes = first;
        Ok(())
    }

    /// Applies beside a second state, ends at every point from there on, and lets both recover;
    /// returns the run.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn apply_beside(&mut self, plan: &Plan) -> Result<Run, Box<crate::case::Violation>> {
        self.processes = vec![Process { plan: plan.clone(), ..Process::default() }];
        let run = self.fixture.apply(self.scenario, &self.scenario.image, plan, self.terms);
        let known = beside(Known::default(), plan);
        let mut at_end = known.clone();
        self.record_all(&mut at_end, &run)?;
        self.check(|oracle| oracle.after_apply(&run, &at_end))?;
        self.end_both(&run, known, plan)?;
        Ok(run)
    }

    /// Crashes a run at every point, and lets the first state recover beside the second under each
    /// of the plans that are made from its undisturbed recovery; both end at every point from there
    /// on, and recover.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn recover_beside(&mut self, run: &Run, plans: &dyn Fn(&Run) -> Vec<Plan>) -> Verdict {
        for (process, image, known) in self.crash_states(run)? {
            let quiet = Plan::default();
            let undisturbed = self.fixture.recover(self.scenario, &image, &quiet, self.terms);
            for plan in plans(&undisturbed) {
                let run = self.fixture.recover(self.scenario, &image, &plan, self.terms);
                self.processes =
                    vec![process.clone(), Process { plan: plan.clone(), ..Process::default() }];
                let undecided = known.answered.is_none();
                let known = Known { undecided, ..beside(known.clone(), &plan) };
                self.end_both(&run, known, &plan)?;
            }
        }
        Ok(())
    }

    /// Applies while a directory is moved, ends at every point from there on, and recovers while it
    /// is away, and again once it is back. A workspace that is moved is recovered where it is then,
    /// which is the same as at its old place.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn apply_relocated(&mut self, plan: &Plan) -> Verdict {
        let Some((_, relocation)) = &plan.relocated else { return Ok(()) };
        self.processes = vec![Process { plan: plan.clone(), ..Process::default() }];
        let run = self.fixture.apply(self.scenario, &self.scenario.image, plan, self.terms);
        let Some(at_move) = at_relocation(&run.log) else { return Ok(()) };
        let moved = run.log.entries.iter().position(|entry| matches!(entry, Entry::Relocated));
        let moved = moved.unwrap_or(0);
        self.counts.others += 1;
        let mut known = Known::default();
        self.record_all(&mut known, &run)?;
        let is_root = relocation.is_of_the_root();
        let at_move = Some(&at_move).filter(|_| !is_root);
        self.check(|oracle| oracle.after_relocation(&run, relocation, at_move, &known))?;
        let mut known = Known::default();
        let mut recorded = 0;
        let mut crashes = Crashes::new(&run.log, self.model);
        for end in boundaries(&run.log, self.model).into_iter().filter(|end| *end > moved) {
            for entry in &run.log.entries[recorded..end] {
                known.record(self.scenario, entry).map_err(|broken| self.violation(broken))?;
            }
            recorded = end;
            self.counts.crash_points += 1;
            let salt = hash(&known).rotate_left(11);
            let (seen, counts, mut fresh) = (&mut self.seen, &mut self.counts, Vec::new());
            crashes.states(
                end,
                self.bounds.cap,
                &mut |digest| {
                    let is_new = seen.insert(digest ^ salt, 0).is_none();
                    counts.states += u64::from(is_new);
                    is_new
                },
                &mut |state| fresh.push(state),
            );
            for state in fresh {
                self.processes.truncate(1);
                self.processes[0].crash = Some(state.choice);
                let mut known = known.clone();
                if is_root {
                    let mut image = state.image;
                    relocation.take_back(&mut image);
                    self.processes[0].tampered = vec![Tamper::TakeBack(relocation.clone())];
                    self.recover(&image, known, &Plan::default(), 0)?;
                    continue;
                }
                let away = self.recover_one(&state.image, false, &mut known)?;
                let back = vec![Tamper::TakeBack(relocation.clone())];
                self.processes.last_mut().expect("it has recovered").tampered = back;
                // A set that cannot be settled meanwhile may wait, and says so.
                self.check(|oracle| oracle.after_relocation(&away, relocation, None, &known))?;
                let mut image = away.image;
                relocation.take_back(&mut image);
                let back = &self.processes.last().expect("it has recovered").tampered;
                known.record_tampering(back, &image);
                self.recover(&image, known, &Plan::default(), 0)?;
            }
        }
        Ok(())
    }

    fn end_both(&mut self, run: &Run, mut known: Known, plan: &Plan) -> Verdict {
        self.counts.others += 1;
        let from = plan.beside.as_ref().and_then(|(call, _)| run.steps.get(*call));
        let from = from.map_or(run.log.entries.len(), |step| step.entries_before);
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
            let salt = hash(&known).rotate_left(7);
            let (seen, counts, mut fresh) = (&mut self.seen, &mut self.counts, Vec::new());
            let sampled = crashes.states(
                end,
                self.bounds.cap,
                &mut |digest| {
                    let is_new = seen.insert(digest ^ salt, 0).is_none();
                    counts.states += u64::from(is_new);
                    is_new
                },
                &mut |state| fresh.push(state),
            );
            self.counts.sampled_points += u64::from(sampled);
            for state in fresh {
                self.processes.last_mut().expect("a run is a process").crash = Some(state.choice);
                self.recover_both(&state.image, &known)?;
            }
        }
        self.processes.last_mut().expect("a run is a process").crash = None;
        Ok(())
    }

    /// Both states recover, in either order, and once more.
    fn recover_both(&mut self, image: &Image, known: &Known) -> Verdict {
        let before = self.processes.len();
        for second_first in [false, true] {
            let mut known =
                Known { undecided: known.undecided || known.answered.is_none(), ..known.clone() };
            let one = self.recover_one(image, second_first, &mut known)?;
            let other = self.recover_one(&one.image, !second_first, &mut known)?;
            self.check(|oracle| oracle.after_both([&one, &other], &known))?;
            let mut image = other.image;
            for second in [false, true] {
                let again = self.recover_one(&image, second, &mut known)?;
                self.check(|oracle| oracle.after_second_recovery(&again))?;
                image = again.image;
            }
            self.processes.truncate(before);
        }
        Ok(())
    }

    fn recover_one(
        &mut self,
        image: &Image,
        second: bool,
        known: &mut Known,
    ) -> Result<Run, Box<crate::case::Violation>> {
        self.processes.push(Process { second, ..Process::default() });
        self.counts.recoveries += 1;
        let run = match second {
            true => {
                let beside = known.beside.clone().unwrap_or_else(Beside::recovers);
                self.fixture.recover_second(&beside, image, self.terms)
            }
            false => self.fixture.recover(self.scenario, image, &Plan::default(), self.terms),
        };
        self.record_all(known, &run)?;
        known.other_died &= !second;
        Ok(run)
    }
}

/// The disk right after a user has moved a directory, if one has.
pub(crate) fn at_relocation(log: &Log) -> Option<Image> {
    let moved = log.entries.iter().position(|entry| matches!(entry, Entry::Relocated))?;
    let choice = Choice { end: moved + 1, survived: Vec::new() };
    Some(materialise(log, Persistence::Kill, &choice))
}

fn beside(known: Known, plan: &Plan) -> Known {
    let beside = plan.beside.as_ref().map(|(_, beside)| beside.clone());
    Known { beside, ..known }
}
