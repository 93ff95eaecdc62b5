//! A user who edits in the middle of an apply, of what takes it back, and around a power cut.

use super::work::Work;
use crate::atomic_fs::simulated::{Fault, Random};
use crate::plan::{EIO, Edit, How, Plan};
use crate::scenario::Scenario;
use crate::search::Verdict;
use crate::snapshot::{Snapshot, Thing};

impl Work<'_> {
    pub(super) fn races(&mut self, leases: bool) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        for call in 0..plain.steps.len() {
            for edit in self.edits("meanwhile") {
                self.race(&Plan::edit(call, edit))?;
            }
            // Without leases a file that is held open is beyond what can be seen.
            if leases {
                for path in &paths {
                    for calls in [1, 6, 25, 31] {
                        let edit = edit(path, How::Held { calls }, "through a held file");
                        self.race(&Plan::edit(call, edit))?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn races_in_recovery(&mut self) -> Verdict {
        let edits = self.edits("in recovery");
        self.in_recovery(&|run| {
            let all = (0..=run.steps.len())
                .flat_map(|call| edits.iter().map(move |edit| (call, edit.clone())));
            all.map(|(call, edit)| Plan::edit(call, edit)).collect()
        })
    }

    pub(super) fn race(&mut self, plan: &Plan) -> Verdict {
        let before = self.search.counts.crash_points;
        let run = self.search.apply(plan)?;
        self.search.recover_after(&run, &Plan::default())?;
        self.search.crash_everywhere(&run)?;
        // Before the edit it is the same history as without it.
        let first = plan.edits.iter().map(|(call, _)| *call).min().unwrap_or(0);
        let unedited = run.steps.get(first).map_or(0, |step| step.entries_before) as u64;
        let kills = self.search.counts.crash_points - before;
        self.search.counts.races += 1 + kills.saturating_sub(unedited);
        self.search.counts.landed += u64::from(run.has_saves());
        Ok(())
    }

    pub(super) fn races_in_rollback(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        for (call, step) in plain.steps.iter().enumerate() {
            if !step.kind.moves_names() {
                continue;
            }
            let fault = Plan::fault(call, Fault::Fails(EIO));
            let failed = self.search.apply(&fault)?;
            for later in call + 1..failed.steps.len() {
                for path in &paths {
                    for how in [How::InPlace, How::ByRename] {
                        self.race_in_rollback(&fault, later, edit(path, how, "meanwhile"))?;
                    }
                    // What was approved, by the user's own hand.
                    if let Some(content) = self.scenario.new.file(path) {
                        let content = String::from_utf8_lossy(content).into_owned();
                        let own = Edit { content, ..edit(path, How::ByRename, "") };
                        self.race_in_rollback(&fault, later, own)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn race_in_rollback(&mut self, fault: &Plan, call: usize, edit: Edit) -> Verdict {
        let run = self.search.apply(&Plan { edits: vec![(call, edit)], ..fault.clone() })?;
        self.search.recover_after(&run, &Plan::default())?;
        self.search.counts.races += 1;
        self.search.counts.landed += u64::from(run.has_saves());
        Ok(())
    }

    pub(super) fn modes_in_rollback(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for path in self.scenario.paths() {
            for how in self.modes_of(&path) {
                for call in 0..plain.steps.len() {
                    let fault = Plan::fault(call, Fault::Fails(EIO));
                    let failed = self.search.apply(&fault)?;
                    for later in call + 1..failed.steps.len() {
                        let edits = vec![(later, edit(&path, how, "meanwhile"))];
                        self.race(&Plan { edits, ..fault.clone() })?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn races_in_pairs(&mut self, count: usize, seed: u64) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        let mut random = Random::new(seed);
        for number in 0..count {
            let mut one = |content: &str| {
                let how = How::AT_ONCE[random.below(How::AT_ONCE.len())];
                let path = &paths[random.below(paths.len())];
                (random.below(plain.steps.len() + 10), edit(path, how, content))
            };
            let mut edits = vec![one(&format!("first {number}")), one(&format!("second {number}"))];
            edits.sort_by_key(|(call, _)| *call);
            bring_known_content(self.scenario, &mut edits[1].1, &mut random);
            self.race(&Plan { edits, ..Plan::default() })?;
        }
        Ok(())
    }

    pub(super) fn saves_in_turn(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for (call, step) in plain.steps.iter().enumerate() {
            if !step.kind.moves_names() {
                continue;
            }
            for path in self.scenario.paths() {
                let first = (call, edit(&path, How::InPlace, "first"));
                let run = self.search.apply(&Plan::edit(first.0, first.1.clone()))?;
                for later in call + 1..=run.steps.len() {
                    for version in [None, Some(&self.scenario.old), Some(&self.scenario.new)] {
                        let mut second = edit(&path, How::ByRename, "second");
                        match version.map(|version| version.file(&path)) {
                            None => {}
                            Some(None) => continue,
                            Some(Some(content)) => {
                                second.content = String::from_utf8_lossy(content).into_owned();
                            }
                        }
                        let edits = vec![first.clone(), (later, second)];
                        self.race(&Plan { edits, ..Plan::default() })?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn edits_around_cuts(&mut self, count: usize, seed: u64) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        let mut random = Random::new(seed);
        for number in 0..count {
            let how = How::AT_ONCE[random.below(How::AT_ONCE.len())];
            let path = &paths[random.below(paths.len())];
            let at = random.below(plain.steps.len());
            let mut first = edit(path, how, &format!("first {number}"));
            // Every fourth is as long as what was approved, as a torn slot is.
            if let Some(approved) = self.scenario.new.file(path).filter(|_| number % 4 == 3) {
                first.content = "x".repeat(approved.len());
            }
            let run = self.search.apply(&Plan::edit(at, first))?;
            let (scenario, landed) = (self.scenario, run.steps.get(at).map(|s| s.entries_before));
            self.search.crash_once_after(
                &run,
                landed.unwrap_or(0),
                &mut random,
                &mut |recovery, random| {
                    let how = How::AT_ONCE[random.below(How::AT_ONCE.len())];
                    let path = &paths[random.below(paths.len())];
                    let mut second = edit(path, how, &format!("second {number}"));
                    bring_known_content(scenario, &mut second, random);
                    Plan::edit(random.below(recovery.steps.len() + 1), second)
                },
            )?;
        }
        Ok(())
    }

    /// Every edit of every file that is over at once; where the set changes a mode, the user may
    /// have set the same one, or for the one that was there before.
    pub(super) fn edits(&self, content: &str) -> Vec<Edit> {
        let mut all = Vec::new();
        for path in self.scenario.paths() {
            all.extend(How::AT_ONCE.map(|how| edit(&path, how, content)));
            all.extend(self.modes_of(&path).map(|how| edit(&path, how, content)));
        }
        all
    }

    /// Giving a file the permission bits that it had, and those that it is to have, where the
    /// two differ.
    pub(super) fn modes_of(&self, path: &[u8]) -> impl Iterator<Item = How> + use<> {
        let mode = |version: &Snapshot| match version.get(path) {
            Some(Thing::File { mode, .. }) => Some(*mode),
            _ => None,
        };
        let (old, new) = (mode(&self.scenario.old), mode(&self.scenario.new));
        let modes = old.zip(new).filter(|(old, new)| old != new);
        modes.into_iter().flat_map(|(old, new)| [How::SetModeTo(old), How::SetModeTo(new)])
    }
}

/// Makes one edit of three bring back what was there before the set, and one bring what was
/// approved.
fn bring_known_content(scenario: &Scenario, edit: &mut Edit, random: &mut Random) {
    let version = [None, Some(&scenario.old), Some(&scenario.new)][random.below(3)];
    if let Some(content) = version.and_then(|version| version.file(edit.path.as_bytes())) {
        edit.content = String::from_utf8_lossy(content).into_owned();
    }
}

pub(super) fn edit(path: &[u8], how: How, content: &str) -> Edit {
    let path = String::from_utf8(path.to_vec()).expect("scenarios name files in UTF-8");
    let content = format!("a user's own words, {content}, in {path}\n");
    Edit { path, how, content }
}
