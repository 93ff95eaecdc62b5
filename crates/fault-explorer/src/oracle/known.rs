//! What is known of a history: what was answered, and what a user saved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::atomic_fs::simulated::{Answer, Entry, Image, Saved};
use crate::atomic_fs::{Change, Operation};

use super::promise::{Broken, Promise, below_root, broken};
use crate::beside::Beside;
use crate::fixture::on_record;
use crate::scenario::Scenario;
use crate::tamper::Tamper;

/// What was reported and saved so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// The last answer to the caller.
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
    /// Where a user's bytes are kept, as was reported.
    pub kept: BTreeSet<Vec<u8>>,
    /// The permission bits that a user gave to files after the answer.
    pub modes: BTreeMap<Vec<u8>, u32>,
    /// Files whose permission bits a user changed.
    pub chmodded: BTreeSet<Vec<u8>>,
    /// Files that the set takes away, in whose place a user put another, having found none there.
    pub replaced: BTreeSet<Vec<u8>>,
    /// Whether everything was on disk before a user saved over it.
    pub arrived: bool,
    /// A user's bytes that appeared in a slot's place, or beside the tree's files: to be found.
    pub brought: BTreeSet<Arc<[u8]>>,
    /// What is left of slots that were cut off.
    pub cut_off: BTreeSet<Arc<[u8]>>,
    /// What a second state's process did meanwhile.
    pub beside: Option<Beside>,
    /// What it was answered, last.
    pub other: Option<Answer>,
    /// Whether the first state's process died before it was answered.
    pub undecided: bool,
    /// Whether it died and nobody has recovered for it yet.
    pub other_died: bool,
    /// Whether a journal was damaged, without which nothing tells a torn slot from a user's bytes.
    pub rotten: bool,
    /// Whether a journal was damaged or forged, or lost by a disk that failed to sync it, and may be
    /// quarantined.
    pub may_quarantine: bool,
    /// Paths at which others left something that is in neither tree.
    pub left: BTreeSet<Vec<u8>>,
    /// Whether slots may have been out of reach when their journal was settled: nothing tells a torn
    /// one from a user's bytes then.
    pub out_of_reach: bool,
    /// Directories and links of others, from the top, that have a slot's name.
    pub foreign: BTreeSet<Vec<u8>>,
}

impl Known {
    /// Records one more entry of a log.
    ///
    /// Where a user has changed every file of the set since, nothing on the disk shows the set's
    /// outcome, and an answer says nothing about a file that still exists.
    ///
    /// # Errors
    /// When two answers contradict each other.
    pub fn record(&mut self, scenario: &Scenario, entry: &Entry) -> Result<(), Broken> {
        match entry {
            Entry::Answered(answer) => match (self.answered, *answer) {
                (_, Answer::InDoubt) => {}
                (Some(_), _) if self.has_touched_all(scenario) => {}
                (Some(before), now) if before != now => {
                    return broken(Promise::Answer, || format!("{before:?}, and later {now:?}"));
                }
                (_, now) => self.answered = Some(now),
            },
            Entry::Saved(saved) => self.record_save(scenario, saved),
            Entry::Kept(path) => {
                self.kept.insert(path.clone());
            }
            Entry::OtherEnded(None) => self.other_died = true,
            Entry::OtherEnded(Some(Answer::InDoubt)) => {}
            Entry::OtherEnded(Some(now)) => match self.other {
                Some(before) if before != *now => {
                    return broken(Promise::Answer, || {
                        format!("the second state: {before:?}, and later {now:?}")
                    });
                }
                _ => self.other = Some(*now),
            },
            Entry::Dropped(_) => self.dropped = true,
            Entry::Waiting { .. } => self.waited = true,
            _ => {}
        }
        Ok(())
    }

    /// Records what a user saved.
    pub fn record_save(&mut self, scenario: &Scenario, saved: &Saved) {
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

    /// Records what others did and left behind.
    pub fn record_tampering(&mut self, tampered: &[Tamper], image: &Image) {
        for tamper in tampered {
            self.rotten |= tamper.damages_the_journal();
            self.may_quarantine |= tamper.concerns_a_journal();
            self.out_of_reach |= matches!(tamper, Tamper::TakeBack(_));
            self.brought.extend(tamper.brings());
            self.left.extend(tamper.leaves());
            if let Tamper::Directory(path) | Tamper::Symlink(path) = tamper {
                self.foreign.insert(path.clone().into_bytes());
            }
            // What is left of a file that was cut off is nobody's, and may be kept.
            if let Tamper::Truncate { path, .. } = tamper {
                let inode = image.lookup(path.as_bytes());
                let content = inode.and_then(|inode| image.node(inode).content());
                self.cut_off.extend(content.map(Arc::from));
            }
        }
        self.saved.extend(self.brought.iter().chain(&self.cut_off).cloned());
        if self.rotten && on_record(image).is_none() {
            // A record that is gone was perhaps never written: nobody was answered then.
            self.answered = None;
        }
    }

    /// Whether the second state's set changes a file of the first one's.
    pub(super) fn other_overlaps(&self, scenario: &Scenario) -> bool {
        let paths = scenario.paths();
        self.beside.iter().flat_map(Beside::paths).any(|path| paths.contains(&path))
    }

    /// Whether the second state's set may be on disk, beside this end of the first one's.
    pub(super) fn other_ends(&self, scenario: &Scenario, end: Answer) -> Vec<bool> {
        let Some(beside) = self.beside.as_ref().filter(|beside| !beside.changes.is_empty()) else {
            return vec![false];
        };
        let mut ends = match self.other {
            Some(Answer::Committed) => vec![true],
            Some(Answer::Unchanged) => vec![false],
            _ => vec![false, true],
        };
        // Both are made over the same file: who comes second finds another one.
        // Where recovery finds every file changed since, nothing shows the set's outcome.
        let changed: Vec<Vec<u8>> = beside.paths().collect();
        let touches = |group: &BTreeSet<_>| group.iter().any(|path| changed.contains(path));
        let has_changed_all = self.undecided && scenario.tied.iter().all(touches);
        if end == Answer::Committed && !has_changed_all && self.other_overlaps(scenario) {
            ends.retain(|is_there| !is_there);
        }
        ends
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.last.is_empty()
    }

    fn has_touched_all(&self, scenario: &Scenario) -> bool {
        let is_touched =
            |group: &BTreeSet<_>| group.iter().any(|path| self.last.contains_key(path));
        scenario.tied.iter().all(is_touched)
    }
}
