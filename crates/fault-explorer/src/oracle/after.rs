//! What must hold after an apply, a recovery, a fault, or a move of a directory.

use std::collections::BTreeSet;

use crate::atomic_fs::simulated::{Answer, CallKind, Entry, Fault, Image, Persistence};
use crate::atomic_fs::{Expected, Operation, is_slot_name};

use super::Oracle;
use super::known::Known;
use super::promise::{Broken, Promise, below_root, broken};
use super::tree::without_slots;
use crate::fixture::{Ending, Run};
use crate::plan::{Plan, Relocation};
use crate::scenario::ROOT;
use crate::snapshot::{Snapshot, Thing};

impl<'s> Oracle<'s> {
    /// What must hold when an apply has answered and its process goes on.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn after_apply(&self, run: &Run, known: &Known) -> Result<(), Broken> {
        self.check_outside(&run.image)?;
        self.check_saves(&run.image, known, true, Persistence::Kill)?;
        self.check_modes(&run.image, known)?;
        if known.answered == Some(Answer::Committed) {
            self.check_was_there(run)?;
        }
        // Without a journal nobody comes to finish it.
        let journals = run.image.lookup(b"state/journal");
        let has_journal = journals.is_some_and(|dir| {
            let mut any = false;
            run.image.walk(dir, &mut |_, _, _| any = true);
            any
        });
        let is_alone = !known.other_died;
        if matches!(run.ending, Ending::Applied { tidied: true, .. }) && !has_journal && is_alone {
            self.check_debris(&run.image, known)?;
        }
        // Directories that were emptied are removed with the slots, after the answer.
        let mut known = known.clone();
        if !matches!(run.ending, Ending::Applied { tidied: true, .. }) {
            known.left.extend(self.gone_dirs());
        }
        match known.answered {
            Some(answer) => self.check_end(&run.image, &known, &[answer]),
            None => Ok(()),
        }
    }

    /// What was answered as committed was there at some time, in each file for itself: a user's
    /// save may come after it, and not instead of it.
    fn check_was_there(&self, run: &Run) -> Result<(), Broken> {
        let mut early: BTreeSet<&[u8]> = BTreeSet::new();
        let mut was_there: BTreeSet<&[u8]> = BTreeSet::new();
        let mut has_answered = false;
        for entry in &run.log.entries {
            match entry {
                Entry::Answered(_) => has_answered = true,
                Entry::Saved(saved) => {
                    let path = below_root(&saved.path);
                    if !has_answered {
                        early.insert(path);
                    }
                    let was = saved.was.as_ref().map(|(content, mode)| (&content[..], *mode));
                    if was == self.approved_at(path) {
                        was_there.insert(path);
                    }
                }
                _ => {}
            }
        }
        for path in early.difference(&was_there) {
            let file = [ROOT.as_bytes(), b"/", path].concat();
            let node = run.image.lookup(&file).map(|inode| run.image.node(inode));
            let content = node.and_then(|node| Some((node.content()?, node.mode)));
            let now = content.as_ref().map(|(content, mode)| (&content[..], *mode));
            if now != self.approved_at(path) {
                return broken(Promise::Reviewed, || {
                    let path = String::from_utf8_lossy(path);
                    format!("committed, and `{path}` was never what was approved")
                });
            }
        }
        Ok(())
    }

    /// A file of the new tree: its content and permission bits.
    fn approved_at(&self, path: &[u8]) -> Option<(&[u8], u32)> {
        match self.scenario.new.get(path)? {
            Thing::File { content, mode, .. } => Some((content, *mode)),
            _ => None,
        }
    }

    /// Permission bits that a user set after the answer stay; those that only the set brought do
    /// not where it is taken back, whatever a user saved meanwhile.
    fn check_modes(&self, image: &Image, known: &Known) -> Result<(), Broken> {
        let answer = known.answered;
        for change in self.scenario.set.changes.iter().filter(|_| answer == Some(Answer::Unchanged))
        {
            let Operation::SetMode { mode } = change.operation else { continue };
            // A user's new file has these.
            if mode == 0o644 {
                continue;
            }
            let path = change.path.as_bytes();
            let file = [ROOT.as_bytes(), b"/", path].concat();
            let now = image.lookup(&file).map(|inode| image.node(inode).mode);
            if known.last.contains_key(path) && !known.chmodded.contains(path) && now == Some(mode)
            {
                return broken(Promise::Whole, || {
                    format!("`{}` has the set's mode, which was taken back", change.path)
                });
            }
        }
        for (path, mode) in &known.modes {
            let file = [ROOT.as_bytes(), b"/", path.as_slice()].concat();
            let now = image.lookup(&file).map(|inode| image.node(inode).mode);
            if now.is_some_and(|now| now != *mode) {
                return broken(Promise::Answer, || {
                    let (path, now) = (String::from_utf8_lossy(path), now.unwrap_or_default());
                    format!(
                        "a user gave `{path}` mode {mode:o} after the answer, and it is {now:o}"
                    )
                });
            }
        }
        Ok(())
    }

    /// Whether a tree is all new, and nothing in it has another name beside it: a file that arrives
    /// by two steps is on its way while it has both.
    pub fn has_arrived(&self, image: &Image) -> bool {
        let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
        let mut is_on_its_way = false;
        image.walk(root, &mut |path, inode, _| {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            is_on_its_way |= is_slot_name(name) && image.links(inode) > 1;
        });
        !is_on_its_way
            && without_slots(Snapshot::of(image, root)).differences(&self.scenario.new).is_empty()
    }

    /// What must hold besides when one call failed on the way to the answer: nobody has to
    /// recover first to find a file where it was before and is to be.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn after_one_fault(&self, run: &Run, plan: &Plan) -> Result<(), Broken> {
        let is_half_made = plan.faults.iter().any(|(call, fault)| {
            let kind = run.steps.get(*call).map(|step| step.kind);
            kind == Some(CallKind::ReplaceArrive)
                || (kind == Some(CallKind::ReplaceAway)
                    && matches!(fault, Fault::FailsAfterwards(_)))
        });
        if is_half_made && run.left_unchanged() {
            return broken(Promise::Finished, || format!("{:?}", run.ending));
        }
        self.files_are_present(run)
    }

    /// Files that stay at their paths are there.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn files_are_present(&self, run: &Run) -> Result<(), Broken> {
        let changes = self.scenario.set.changes.iter();
        let staying = changes.filter(|change| {
            matches!(change.operation, Operation::Write(_) | Operation::SetMode { .. })
                && matches!(change.expected, Expected::Matches(_))
        });
        for change in staying {
            let path = [ROOT.as_bytes(), b"/", change.path.as_bytes()].concat();
            if run.image.lookup(&path).is_none() {
                return broken(Promise::Present, || format!("`{}` is not there", change.path));
            }
        }
        Ok(())
    }

    /// What must hold after a recovery, however the process before it ended.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn after_recovery(
        &self,
        run: &Run,
        known: &Known,
        model: Persistence,
    ) -> Result<(), Broken> {
        let sets = match &run.ending {
            Ending::Recovered { sets } => *sets,
            other => return broken(Promise::Recovery, || format!("{other:?}")),
        };
        if let Some(gone) = known.kept.iter().find(|path| run.image.lookup(path).is_none()) {
            return broken(Promise::Edits, || {
                format!("`{}` was reported as kept, and is gone", String::from_utf8_lossy(gone))
            });
        }
        self.check_outside(&run.image)?;
        self.check_debris(&run.image, known)?;
        self.check_saves(&run.image, known, false, model)?;
        self.check_kept(&run.image, known, model, sets)?;
        self.check_brought(&run.image, known)?;
        self.check_modes(&run.image, known)?;
        match known.answered {
            // What a user saved over is new, and theirs; the rest is not taken away from under it.
            _ if known.arrived => self.check_end(&run.image, known, &[Answer::Committed]),
            Some(answer) => self.check_end(&run.image, known, &[answer]),
            None => self.check_end(&run.image, known, &[Answer::Committed, Answer::Unchanged]),
        }
    }

    /// What must hold when an apply has answered in which a directory was moved: as if it had been
    /// moved back, and nothing was changed in it where it was not in the workspace any more and the
    /// set is answered as committed.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn after_relocation(
        &self,
        run: &Run,
        relocation: &Relocation,
        at_move: Option<&Image>,
        known: &Known,
    ) -> Result<(), Broken> {
        let within = |image: &Image| {
            let dir = image.lookup(relocation.to.as_bytes())?;
            Some(without_slots(Snapshot::of(image, dir)))
        };
        if let Some(at_move) = at_move
            && known.answered == Some(Answer::Committed)
            && within(at_move) != within(&run.image)
        {
            return broken(Promise::Outside, || {
                format!("committed, and changed in `{}` after it was moved there", relocation.to)
            });
        }
        let mut image = run.image.clone();
        relocation.take_back(&mut image);
        self.check_outside(&image)?;
        // One that was to be removed was out of reach.
        let mut known = known.clone();
        known.left.extend(self.gone_dirs());
        match known.answered {
            Some(answer) => self.check_end(&image, &known, &[answer]),
            None => Ok(()),
        }
    }

    /// What must hold once both states have recovered, in either order.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn after_both(&self, runs: [&Run; 2], known: &Known) -> Result<(), Broken> {
        for run in runs {
            if !matches!(run.ending, Ending::Recovered { .. }) {
                return broken(Promise::Recovery, || format!("{:?}", run.ending));
            }
        }
        let image = &runs[1].image;
        self.check_outside(image)?;
        self.check_debris(image, known)?;
        // What was not finished, beside a file that the other set has changed, is kept to be on the
        // safe side.
        let kept = super::saves::kept(image);
        if let Some(content) = kept.first().filter(|_| !known.other_overlaps(self.scenario)) {
            return broken(Promise::Clean, || {
                format!("conflicts/ holds {:?}", String::from_utf8_lossy(content))
            });
        }
        match known.answered {
            Some(answer) => self.check_end(image, known, &[answer]),
            None => self.check_end(image, known, &[Answer::Committed, Answer::Unchanged]),
        }
    }

    /// What must hold when recovery is run once more.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn after_second_recovery(&self, run: &Run) -> Result<(), Broken> {
        let changing = run.steps.iter().filter(|step| step.kind.is_mutating()).count();
        match &run.ending {
            Ending::Recovered { .. } if changing == 0 => Ok(()),
            ending => broken(Promise::Recovery, || {
                format!("the second one made {changing} calls that change something: {ending:?}")
            }),
        }
    }

    fn check_debris(&self, image: &Image, known: &Known) -> Result<(), Broken> {
        let mut left = Vec::new();
        image.walk(0, &mut |path, _, node| {
            let is_journal = |path: &[u8]| {
                path.starts_with(b"state/journal/") || path.starts_with(b"state2/journal/")
            };
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            // What recovery does not act on is kept, and said: damage by others, or by a disk that
            // failed a sync and lost power.
            let is_quarantined = known.may_quarantine && name.ends_with(b".quarantined");
            let is_foreign = known.foreign.contains(path) && node.content().is_none();
            let is_slot = is_slot_name(name) && !is_foreign;
            if is_slot || (is_journal(path) && !is_quarantined) {
                left.push(String::from_utf8_lossy(path).into_owned());
            }
        });
        if left.is_empty() { Ok(()) } else { broken(Promise::Clean, || left.join(", ")) }
    }

    fn check_outside(&self, image: &Image) -> Result<(), Broken> {
        let digest = |image: &Image| {
            image.lookup(b"outside").map(|outside| Snapshot::digest_of(image, outside))
        };
        if digest(image) == digest(&self.scenario.image) {
            return Ok(());
        }
        broken(Promise::Outside, || "the sentinel beside the workspace changed".to_owned())
    }
}
