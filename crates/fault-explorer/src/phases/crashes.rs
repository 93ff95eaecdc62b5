//! Crashes of sets that go through, fail, or meet an edit, and users and failures in recovery.

use crate::atomic_fs::simulated::{CallKind, Fault};

use super::Obstacles;
use super::edits::edit;
use super::work::Work;
use crate::fixture::Run;
use crate::plan::{EIO, Edit, How, Plan};
use crate::search::{Search, Verdict};

impl Work<'_> {
    /// Crashes a set in this way, and the same set with each of the obstacles.
    pub(super) fn crashes(
        &mut self,
        obstacles: Obstacles,
        crash: &mut dyn FnMut(&mut Search<'_>, &Run) -> Verdict,
    ) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        crash(&mut self.search, &plain)?;
        if obstacles == Obstacles::No {
            return Ok(());
        }
        for (call, step) in plain.steps.iter().enumerate() {
            let kind = step.kind;
            // A mode is changed in place.
            let moves = kind.moves_names() || kind == CallKind::SetMode;
            let changes = kind.is_mutating() || kind.is_sync();
            if moves || (obstacles == Obstacles::All && changes) {
                let run = self.search.apply(&Plan::fault(call, Fault::Fails(EIO)))?;
                crash(&mut self.search, &run)?;
            }
            if obstacles == Obstacles::All && kind == CallKind::SyncFile {
                let run = self.search.apply(&Plan::fault(call, Fault::SyncDrops(EIO)))?;
                crash(&mut self.search, &run)?;
            }
            if moves && obstacles == Obstacles::All {
                for path in self.scenario.paths() {
                    let edit = edit(&path, How::ByRename, "meanwhile");
                    let run = self.search.apply(&Plan::edit(call, edit))?;
                    crash(&mut self.search, &run)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn crashes_everywhere(&mut self, obstacles: Obstacles) -> Verdict {
        self.crashes(obstacles, &mut |search, run| search.crash_everywhere(run))
    }

    pub(super) fn cuts_after_kills(&mut self, obstacles: Obstacles) -> Verdict {
        let mut edits = Vec::new();
        for path in self.scenario.paths() {
            edits.push(edit(&path, How::Remove, ""));
            edits.extend(self.modes_of(&path).map(|how| edit(&path, how, "")));
        }
        self.crashes(obstacles, &mut |search, run| search.cut_recoveries_from_kills(run, &edits))
    }

    pub(super) fn edits_after_cuts(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let mut plans = Vec::new();
        for path in self.scenario.paths() {
            for how in [How::InPlace, How::ByRename, How::Remove] {
                plans.push(Plan::edit(0, edit(&path, how, "after the cut")));
            }
            for version in [&self.scenario.old, &self.scenario.new] {
                let content = version.file(&path).map(String::from_utf8_lossy);
                plans.extend(content.map(|content| {
                    let content = content.into_owned();
                    Plan::edit(0, Edit { content, ..edit(&path, How::ByRename, "") })
                }));
            }
        }
        self.search.crash_then(&plain, &plans)
    }

    /// Runs recovery from every kill under plans that are made from its undisturbed run.
    pub(super) fn in_recovery(&mut self, plans: &dyn Fn(&Run) -> Vec<Plan>) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        self.search.crash_then_planned(&plain, plans)
    }
}
