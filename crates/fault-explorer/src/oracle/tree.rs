//! Whether a tree is one of the two ends of a set, but for what a user edited.

use std::collections::BTreeSet;

use crate::atomic_fs::is_slot_name;
use crate::atomic_fs::simulated::{Answer, Image};

use super::Oracle;
use super::known::Known;
use super::promise::{Broken, Promise, broken};
use super::saves::kept;
use crate::scenario::{ROOT, Scenario};
use crate::snapshot::{Snapshot, Thing};

impl Oracle<'_> {
    /// The tree is one of the ends that these answers stand for, but for what a user
    /// edited.
    pub(super) fn check_end(
        &self,
        image: &Image,
        known: &Known,
        ends: &[Answer],
    ) -> Result<(), Broken> {
        let scenario = self.scenario;
        let root = image.lookup(ROOT.as_bytes()).unwrap_or(0);
        if known.is_quiet() && known.left.is_empty() && known.beside.is_none() {
            let digest = Snapshot::digest_of(image, root);
            let is = |end: &Answer| digest == scenario.digest_after(*end);
            if ends.iter().any(is) {
                return Ok(());
            }
        }
        let tree = without_slots(Snapshot::of(image, root));
        let mut excused = self.excused(known);
        // What somebody puts in a slot's place while swaps are under way, or leaves of it, is the
        // same disk as a save that an exchange took out of place: it stands where that would.
        for group in &self.scenario.tied {
            let holds_brought = |path: &Vec<u8>| {
                matches!(tree.get(path), Some(Thing::File { content, .. })
                    if known.brought.contains(content.as_slice())
                        || known.cut_off.contains(content.as_slice()))
            };
            if group.iter().any(holds_brought) {
                excused.extend(group.iter().cloned().chain(self.made_dirs()));
            }
        }
        let wrong = |end: &Answer| -> Vec<String> {
            let base = if *end == Answer::Committed { &scenario.new } else { &scenario.old };
            let lost = self.lost(&tree, image, base, known);
            // The fewest words are about the end that it comes nearest to.
            let others = known.other_ends(scenario, *end).into_iter();
            let wrongs = others.map(|is_there| {
                let with_other = known.beside.as_ref().filter(|_| is_there);
                let with_other = with_other.map(|beside| base.with_other(beside));
                let expected = with_other.as_ref().unwrap_or(base);
                let differ = tree.differences(expected).into_iter();
                let differ = differ.filter(|path| !excused.contains(path));
                let differ =
                    differ.map(|path| in_words(&path, tree.get(&path), expected.get(&path)));
                differ.chain(lost.iter().cloned()).collect::<Vec<_>>()
            });
            let nearest = wrongs.min_by_key(Vec::len);
            nearest.unwrap_or_else(|| vec!["both sets over one path are committed".to_owned()])
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

    /// What should be at a path that shares its outcome with one that a user edited: wherever
    /// it is by now, it is not gone.
    pub(super) fn lost(
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
            // A link is nothing that a user has saved.
            let Some(old) = self.scenario.old.file(path) else { continue };
            let overwritten = known.overwritten.contains(old);
            if !overwritten && !tree.has_content(old) && !kept(image).iter().any(|it| it == old) {
                lost.push(format!("what was in `{}` is nowhere", String::from_utf8_lossy(path)));
            }
        }
        lost
    }

    /// Paths at which a user's edit may stand instead of either end.
    pub(super) fn excused(&self, known: &Known) -> BTreeSet<Vec<u8>> {
        let mut excused = known.left.clone();
        if known.rotten {
            // Without a journal and its slots nothing tells an empty directory that the set made.
            excused.extend(self.made_dirs());
        }
        if known.out_of_reach {
            excused.extend(self.gone_dirs());
        }
        let unfinished = known.beside.iter().filter(|_| known.other_died);
        excused.extend(unfinished.flat_map(|beside| beside.paths()));
        if known.is_quiet() && !known.other_overlaps(self.scenario) {
            return excused;
        }
        excused.extend(known.last.keys().cloned());
        for group in &self.scenario.tied {
            if group.iter().any(|path| known.last.contains_key(path)) {
                excused.extend(group.iter().cloned());
            }
        }
        // A directory that the set makes or takes away stays if somebody else has put something in it.
        excused.extend(self.made_dirs());
        excused.extend(self.gone_dirs());
        excused
    }

    /// Directories that the set takes away or empties.
    pub(super) fn gone_dirs(&self) -> impl Iterator<Item = Vec<u8>> {
        let Scenario { old, new, .. } = self.scenario;
        let is_dir = |thing: &Thing| matches!(thing, Thing::Directory(_));
        let is_gone = move |path: &Vec<u8>, thing: &Thing| {
            is_dir(thing) && !new.get(path).is_some_and(is_dir)
        };
        old.iter().filter(move |(path, thing)| is_gone(path, thing)).map(|(path, _)| path.clone())
    }

    fn made_dirs(&self) -> impl Iterator<Item = Vec<u8>> {
        let Scenario { old, new, .. } = self.scenario;
        let is_made = |path: &Vec<u8>, thing: &Thing| {
            matches!(thing, Thing::Directory(_)) && old.get(path).is_none()
        };
        new.iter().filter(move |(path, thing)| is_made(path, thing)).map(|(path, _)| path.clone())
    }
}

pub(super) fn without_slots(tree: Snapshot) -> Snapshot {
    tree.filtered(&|path| !path.split(|byte| *byte == b'/').any(is_slot_name))
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
