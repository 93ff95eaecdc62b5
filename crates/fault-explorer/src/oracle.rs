//! The promises, as questions to a tree.
//!
//! Written from what Greenroom says of itself (README.md), not from how it does it: the
//! oracle knows what was there, what was approved, what was answered and what a user
//! saved, and neither journals nor slots nor the order of calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atomic_fs::simulated::{Answer, CallKind, Entry, Image, Persistence, Saved};
use atomic_fs::{Change, Expected, Operation, is_slot_name};
use serde::{Deserialize, Serialize};

use crate::plan::{Mishap, Plan};
use crate::scenario::{ROOT, Scenario};
use crate::snapshot::{Snapshot, Thing};
use crate::stage::{Ending, Run};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// A set is on disk whole or not at all, metadata included.
    Whole,
    /// What was answered is so, and stays so.
    Answer,
    /// Every byte string that a user saved is found.
    Edits,
    /// Approved changes are made over what was reviewed, and over nothing else.
    Reviewed,
    /// No file holds anything but old, new or a user's content.
    Untorn,
    /// Nothing outside the workspace is touched.
    Outside,
    /// Nothing is left behind.
    Clean,
    /// Recovery comes to an end, and a second one changes nothing.
    Recovery,
    /// A file that stays at its path is there when the answer is given.
    Present,
    /// A replacement that was begun is finished, whatever the call said that made it.
    Finished,
}

impl std::fmt::Display for Promise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole => "a change set is on disk whole or not at all",
            Self::Answer => "what was answered is on disk, and stays",
            Self::Edits => "no edit of a user is lost",
            Self::Reviewed => "changes are made over what was reviewed",
            Self::Untorn => "no file is torn",
            Self::Outside => "nothing outside the workspace is touched",
            Self::Clean => "nothing is left behind",
            Self::Recovery => "recovery ends, and a second one changes nothing",
            Self::Present => "a file that stays at its path is there when the answer is given",
            Self::Finished => "a replacement that was begun is finished",
        })
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// By what, in words.
    pub details: String,
}

/// What was said and saved so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// What the caller was told, last.
    pub answered: Option<Answer>,
    /// What a user saved and nobody overwrote knowingly: to be found.
    pub owed: BTreeSet<Arc<[u8]>>,
    /// Everything a user saved.
    pub saved: BTreeSet<Arc<[u8]>>,
    /// What a user did last to a path: the content saved, `None` for a removal.
    pub last: BTreeMap<Vec<u8>, Option<Arc<[u8]>>>,
    /// Paths whose last save went through a file that was held open, wherever that is now.
    pub held: BTreeSet<Vec<u8>>,
    /// What a user overwrote or removed, and saw doing so.
    pub overwritten: BTreeSet<Arc<[u8]>>,
    /// How often a user changed something.
    pub edits: u32,
    /// Whether a user had to wait to write, who may never have come to it.
    pub waited: bool,
    /// Whether a sync failed and lost what it should have kept.
    pub dropped: bool,
    /// Where a user's bytes are kept, as was said.
    pub kept: BTreeSet<Vec<u8>>,
    /// The permission bits that a user gave to files after the answer.
    pub modes: BTreeMap<Vec<u8>, u32>,
    /// Files whose permission bits a user changed.
    pub chmodded: BTreeSet<Vec<u8>>,
    /// Files that the set takes away, in whose place a user put another, having found none there.
    pub replaced: BTreeSet<Vec<u8>>,
    /// Whether everything was on disk before a user saved over it.
    pub arrived: bool,
}

impl Known {
    /// Takes in one more line of a log.
    ///
    /// Where a user has changed every file of the set since, nothing on the disk tells what
    /// the set came to, and nobody is told anything of it that is still there.
    ///
    /// # Errors
    /// When two answers contradict each other.
    pub fn learn(&mut self, scenario: &Scenario, entry: &Entry) -> Result<(), Broken> {
        match entry {
            Entry::Answered(answer) => match (self.answered, *answer) {
                (_, Answer::InDoubt) => {}
                (Some(_), _) if self.has_touched_all(scenario) => {}
                (Some(before), now) if before != now => {
                    return broken(Promise::Answer, || format!("{before:?}, and later {now:?}"));
                }
                (_, now) => self.answered = Some(now),
            },
            Entry::Saved(saved) => self.learn_save(scenario, saved),
            Entry::Kept(path) => {
                self.kept.insert(path.clone());
            }
            Entry::Dropped(_) => self.dropped = true,
            Entry::Waiting { .. } => self.waited = true,
            _ => {}
        }
        Ok(())
    }

    /// Takes in what a user saved.
    pub fn learn_save(&mut self, scenario: &Scenario, saved: &Saved) {
        self.edits += 1;
        let path = below_root(&saved.path).to_vec();
        if saved.mode.is_some() {
            self.chmodded.insert(path.clone());
        }
        match saved.mode {
            Some(mode) if self.answered.is_some() => {
                self.modes.insert(path.clone(), mode);
            }
            Some(_) => {}
            // A save by rename may bring other bits, and what is removed has none.
            None => {
                self.modes.remove(&path);
            }
        }
        if let Some(over) = &saved.over {
            self.owed.remove(over);
            self.overwritten.insert(over.clone());
        }
        let was_removed = self.last.get(&path).is_some_and(Option::is_none);
        if saved.was.is_none() && saved.content.is_some() && saved.by_path && !was_removed {
            let takes_away = |change: &&Change| {
                change.path.as_bytes() == path
                    && matches!(change.operation, Operation::Delete | Operation::Rename { .. })
            };
            self.replaced
                .extend(scenario.set.changes.iter().find(takes_away).map(|_| path.clone()));
        }
        if let Some(content) = &saved.content {
            // Who saves what was reviewed gets what was approved over it.
            if !scenario.old.is_at(&path, content) {
                self.owed.insert(content.clone());
            }
            self.saved.insert(content.clone());
        }
        if saved.by_path {
            self.held.remove(&path);
        } else {
            self.held.insert(path.clone());
        }
        self.last.insert(path, saved.content.clone());
    }

    fn is_quiet(&self) -> bool {
        self.last.is_empty()
    }

    fn has_touched_all(&self, scenario: &Scenario) -> bool {
        let is_touched =
            |group: &BTreeSet<_>| group.iter().any(|path| self.last.contains_key(path));
        scenario.tied.iter().all(is_touched)
    }
}

/// A path from the top of the simulated disk, as one relative to the workspace's root.
fn below_root(path: &[u8]) -> &[u8] {
    let below = path.strip_prefix(ROOT.as_bytes()).unwrap_or(path);
    below.strip_prefix(b"/").unwrap_or(below)
}

fn broken<T>(promise: Promise, details: impl FnOnce() -> String) -> Result<T, Broken> {
    Err(Broken { promise, details: details() })
}

/// Judges a tree that nobody works on any more.
pub struct Oracle<'s> {
    scenario: &'s Scenario,
}

impl<'s> Oracle<'s> {
    /// An oracle for a scenario.
    pub fn new(scenario: &'s Scenario) -> Self {
        Self { scenario }
    }

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
        if matches!(run.ending, Ending::Applied { tidied: true, .. }) && !has_journal {
            self.check_debris(&run.image)?;
        }
        match known.answered {
            Some(answer) => self.check_end(&run.image, known, &[answer]),
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
        let is_half_made = plan.faults.iter().any(|(call, mishap)| {
            let kind = run.steps.get(*call).map(|step| step.kind);
            kind == Some(CallKind::ReplaceArrive)
                || (kind == Some(CallKind::ReplaceAway)
                    && matches!(mishap, Mishap::FailsAfterwards(_)))
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
                format!("`{}` was said to be kept, and is gone", String::from_utf8_lossy(gone))
            });
        }
        self.check_outside(&run.image)?;
        self.check_debris(&run.image)?;
        self.check_saves(&run.image, known, false, model)?;
        self.check_kept(&run.image, known, model, sets)?;
        self.check_modes(&run.image, known)?;
        match known.answered {
            // What a user saved over is new, and theirs; the rest is not taken away from under it.
            _ if known.arrived => self.check_end(&run.image, known, &[Answer::Committed]),
            Some(answer) => self.check_end(&run.image, known, &[answer]),
            None => self.check_end(&run.image, known, &[Answer::Committed, Answer::Unchanged]),
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

    /// The tree is one of the ends that these answers stand for, but for what a user
    /// edited.
    fn check_end(&self, image: &Image, known: &Known, ends: &[Answer]) -> Result<(), Broken> {
        let scenario = self.scenario;
        let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
        if known.is_quiet() {
            let digest = Snapshot::digest_of(image, root);
            let is = |end: &Answer| digest == scenario.digest_after(*end);
            if ends.iter().any(is) {
                return Ok(());
            }
        }
        let tree = without_slots(Snapshot::of(image, root));
        let excused = self.excused(known);
        let wrong = |end: &Answer| -> Vec<String> {
            let expected = if *end == Answer::Committed { &scenario.new } else { &scenario.old };
            let differ = tree.differences(expected).into_iter();
            let differ = differ.filter(|path| !excused.contains(path));
            let differ = differ.map(|path| in_words(&path, tree.get(&path), expected.get(&path)));
            let lost = self.lost(&tree, image, expected, known).into_iter();
            differ.chain(lost).collect()
        };
        let wrongs: Vec<Vec<String>> = ends.iter().map(wrong).collect();
        if wrongs.iter().any(Vec::is_empty) {
            return Ok(());
        }
        let promise = if ends.len() == 1 { Promise::Answer } else { Promise::Whole };
        broken(promise, || {
            let each = ends.iter().zip(&wrongs);
            let each = each.map(|(end, wrong)| format!("not {end:?}: {}", wrong.join(", ")));
            each.collect::<Vec<_>>().join("; ")
        })
    }

    /// What should be at a path that shares its fate with one that a user edited: wherever
    /// it is by now, it is not gone.
    fn lost(
        &self,
        tree: &Snapshot,
        image: &Image,
        expected: &Snapshot,
        known: &Known,
    ) -> Vec<String> {
        let mut lost = Vec::new();
        let is_touched = |path: &Vec<u8>| known.last.contains_key(path);
        for group in self.scenario.tied.iter().filter(|group| group.iter().any(is_touched)) {
            for path in group.iter().filter(|path| !is_touched(path)) {
                let Some(Thing::File { content, .. }) = expected.get(path) else { continue };
                let overwritten = known.overwritten.contains(content.as_slice());
                if !overwritten && !tree.has_content(content) && !kept(image).contains(content) {
                    let path = String::from_utf8_lossy(path);
                    lost.push(format!("what was in `{path}` is nowhere"));
                }
            }
        }
        // Who finds no file and puts one there has not given up the old one.
        for path in known.replaced.iter().filter(|_| std::ptr::eq(expected, &self.scenario.old)) {
            let old = self.scenario.old.file(path).unwrap_or_default();
            let overwritten = known.overwritten.contains(old);
            if !overwritten && !tree.has_content(old) && !kept(image).iter().any(|it| it == old) {
                lost.push(format!("what was in `{}` is nowhere", String::from_utf8_lossy(path)));
            }
        }
        lost
    }

    /// Paths at which a user's edit may stand instead of either end.
    fn excused(&self, known: &Known) -> BTreeSet<Vec<u8>> {
        if known.is_quiet() {
            return BTreeSet::new();
        }
        let mut excused: BTreeSet<Vec<u8>> = known.last.keys().cloned().collect();
        for group in &self.scenario.tied {
            if group.iter().any(|path| known.last.contains_key(path)) {
                excused.extend(group.iter().cloned());
            }
        }
        // A directory that the set makes stays if a user has put something in it.
        for (path, thing) in self.scenario.new.iter() {
            if matches!(thing, Thing::Directory(_)) && self.scenario.old.get(path).is_none() {
                excused.insert(path.clone());
            }
        }
        excused
    }

    /// What users saved is there; what is there is old, new, or saved.
    fn check_saves(
        &self,
        image: &Image,
        known: &Known,
        running: bool,
        model: Persistence,
    ) -> Result<(), Broken> {
        if known.is_quiet() {
            return Ok(());
        }
        let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
        let tree = Snapshot::of(image, root);
        let kept = kept(image);
        let is_slot =
            |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().is_some_and(is_slot_name);
        for owed in &known.owed {
            // The store has what was approved; it is asked for only as a user's last word.
            let is_last = known.last.values().any(|last| last.as_ref() == Some(owed));
            if self.scenario.new.has_content(owed) && !is_last {
                continue;
            }
            let in_tree = tree.iter().any(|(path, thing)| {
                let counts = running || !is_slot(path);
                counts && matches!(thing, Thing::File { content, .. } if content[..] == owed[..])
            });
            if !in_tree && !kept.iter().any(|content| content[..] == owed[..]) {
                return broken(Promise::Edits, || {
                    format!("{:?} is nowhere", String::from_utf8_lossy(owed))
                });
            }
        }
        for (path, thing) in tree.iter().filter(|(path, _)| !is_slot(path)) {
            if let Thing::File { content, .. } = thing
                && !self.scenario.is_known(content)
                && !known.saved.contains(content.as_slice())
            {
                return broken(Promise::Untorn, || {
                    let path = String::from_utf8_lossy(path);
                    format!("`{path}` holds {:?}", String::from_utf8_lossy(content))
                });
            }
        }
        // Who is not killed lets no newer save make way for an older one.
        if running && !known.waited {
            for (path, last) in known.last.iter().filter(|(path, _)| !known.held.contains(*path)) {
                if let (Some(last), Some(Thing::File { content, .. })) = (last, tree.get(path))
                    && content[..] != last[..]
                    && known.saved.contains(content.as_slice())
                    && !self.scenario.is_known(content)
                    && known.owed.contains(last)
                {
                    return broken(Promise::Edits, || {
                        let path = String::from_utf8_lossy(path);
                        format!("`{path}` is not what the user saved last")
                    });
                }
            }
        }
        // Who saves once finds it where it was saved; `conflicts/` is for what would have to
        // share its place, and for what a power cut met while it was given back to one user and
        // another one wrote.
        let met_another = known.waited && model != Persistence::Kill;
        if !met_another
            && let (1, Some((path, Some(saved)))) = (known.edits, known.last.iter().next())
            && known.owed.contains(saved)
        {
            let holds = |path: &Vec<u8>| {
                matches!(tree.get(path), Some(Thing::File { content, .. })
                    if content[..] == saved[..])
            };
            // A moved file that goes back takes along what was saved to it.
            let mut groups = self.scenario.tied.iter().filter(|group| group.contains(path));
            let is_there = holds(path) || groups.any(|group| group.iter().any(holds));
            if !is_there && !known.held.contains(path) {
                return broken(Promise::Edits, || {
                    format!("`{}` is not what the user saved", String::from_utf8_lossy(path))
                });
            }
        }
        // Who waited to write, and put another file there meanwhile, wrote to the first one.
        let wrote_elsewhere = known.waited && known.edits > 1;
        if known.answered == Some(Answer::Committed) && !wrote_elsewhere {
            for (path, last) in known.last.iter().filter(|(path, _)| !known.held.contains(*path)) {
                let content = match tree.get(path) {
                    Some(Thing::File { content, .. }) => Some(content.as_slice()),
                    _ => None,
                };
                if let Some(last) = last
                    && content != Some(&last[..])
                    && known.owed.contains(last)
                {
                    return broken(Promise::Reviewed, || {
                        let path = String::from_utf8_lossy(path);
                        format!("committed over a user's save of `{path}`")
                    });
                }
            }
        }
        Ok(())
    }

    /// `conflicts/` holds users' bytes, and after a power cut that took a journal what
    /// was torn in its slots.
    fn check_kept(
        &self,
        image: &Image,
        known: &Known,
        model: Persistence,
        sets: usize,
    ) -> Result<(), Broken> {
        for content in kept(image) {
            let is_users = known.saved.contains(content.as_slice());
            let is_ours = self.scenario.is_known(&content);
            let is_torn = (model != Persistence::Kill || known.dropped) && sets == 0 && !is_ours;
            // A user's edit of a file makes ours displaced bytes as well, torn ones too, and
            // those may be kept to be on the safe side.
            if !is_users && !is_torn && known.is_quiet() {
                return broken(Promise::Clean, || {
                    format!("conflicts/ holds {:?}", String::from_utf8_lossy(&content))
                });
            }
        }
        Ok(())
    }

    fn check_debris(&self, image: &Image) -> Result<(), Broken> {
        let mut left = Vec::new();
        image.walk(0, &mut |path, _, _| {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            if is_slot_name(name) || path.starts_with(b"state/journal/") {
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

fn kept(image: &Image) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(conflicts) = image.lookup(b"state/conflicts") {
        image.walk(conflicts, &mut |_, _, node| kept.extend(node.content()));
    }
    kept
}

fn without_slots(tree: Snapshot) -> Snapshot {
    tree.filtered(&|path| !path.rsplit(|byte| *byte == b'/').next().is_some_and(is_slot_name))
}

fn in_words(path: &[u8], found: Option<&Thing>, expected: Option<&Thing>) -> String {
    let say = |thing: Option<&Thing>| match thing {
        None => "nothing".to_owned(),
        Some(Thing::Directory(_)) => "a directory".to_owned(),
        Some(Thing::Symlink(_)) => "a symlink".to_owned(),
        Some(Thing::File { content, mode, owner, attributes }) => {
            let shown: String = String::from_utf8_lossy(content).chars().take(32).collect();
            format!("{shown:?} mode {mode:o} owner {owner:?} attributes {}", attributes.len())
        }
    };
    let path = String::from_utf8_lossy(path);
    format!("`{path}` is {} instead of {}", say(found), say(expected))
}
