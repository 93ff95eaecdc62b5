//! Which trees a crash may leave.
//!
//! The models are those that crash-consistency research tests applications against:
//! Pillai et al., "All File Systems Are Not Created Equal" (ALICE, OSDI 2014), for the
//! weak one, and Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box
//! Crash Testing" (OSDI 2018), for the journalling ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::image::{Image, Inode, Node, leaf_digest};
use super::log::{Assignment, Effect, Entry, Log};

/// What survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// The process dies, the system lives: everything done so far; a write may be cut
    /// short.
    Kill,
    /// Power is cut on a file system that orders nothing: any subset of what was not
    /// synced, every piece of content whole, torn, garbage or missing. A file's sync
    /// covers its content and metadata and not its name, a directory's its names.
    Weak,
    /// Power is cut on a file system with one journal (ext4, xfs): names and metadata
    /// survive up to some point of their order, and any sync commits all of them so far;
    /// content that was not synced is arbitrary.
    Ordered,
    /// Power is cut on a file system with a log of synced inodes (btrfs): as the last,
    /// but a sync commits one file with its names, or one directory, ahead of the order.
    Treelog,
    /// Power is cut on a file system with one log that is written as far as it has to be
    /// (NTFS): as `Ordered`, but a flush commits the log only up to the last record of the file
    /// or directory that is flushed.
    Ntfs,
}

impl Persistence {
    /// Those of the systems that [`super::SimulatedDisk`] is like.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Weak, Self::Ordered, Self::Treelog];
    /// Those of them in which power is cut.
    pub const POWER_CUTS: [Self; 3] = [Self::Weak, Self::Ordered, Self::Treelog];
    /// Those of Windows.
    pub const WINDOWS: [Self; 2] = [Self::Kill, Self::Ntfs];

    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Weak => "weak",
            Self::Ordered => "ordered",
            Self::Treelog => "treelog",
            Self::Ntfs => "ntfs",
        }
    }
}

/// How much of an effect survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it.
    Whole,
    /// The first half of a piece of content.
    Half,
    /// A piece of content of the right length and of other bytes.
    Garbage,
}

/// One crash and what it left: enough to make the tree again from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// How many entries of the log came before the crash.
    pub end: usize,
    /// What survived of the entries that were not sure to; the others are lost. For a
    /// kill, the entry that was in the middle of happening.
    pub survived: Vec<(usize, Part)>,
}

/// A tree that a crash may leave.
#[derive(Clone, Debug)]
pub struct State {
    /// The tree.
    pub image: Image,
    /// How it came to be.
    pub choice: Choice,
}

/// How many states of one crash point are made before it is sampled.
#[derive(Clone, Copy, Debug)]
pub struct StateCap {
    /// At most so many combinations of file contents for each set of surviving names.
    pub contents: usize,
    /// At most so many sets of surviving names.
    pub names: usize,
    /// What the samples are drawn by.
    pub seed: u64,
}

/// The crashes in one log under one model.
pub struct Crashes<'l> {
    log: &'l Log,
    model: Persistence,
    /// What everything before an entry comes to, so that the next kill need not begin anew.
    so_far: (usize, Image),
}

impl<'l> Crashes<'l> {
    /// Those in this log.
    pub fn new(log: &'l Log, model: Persistence) -> Self {
        Self { log, model, so_far: (0, log.ground()) }
    }

    /// Makes every tree that a crash between the last two boundaries before entry `end` may
    /// leave, or samples of them beyond `cap`; returns whether it had to sample.
    ///
    /// `is_new` gets each tree's digest and says whether `found` is to see the tree. It is
    /// quickest where each `end` comes after the last.
    pub fn states(
        &mut self,
        end: usize,
        cap: StateCap,
        is_new: &mut dyn FnMut(u64) -> bool,
        found: &mut dyn FnMut(State),
    ) -> bool {
        if self.model == Persistence::Kill {
            self.roll_to(end);
            for choice in kills(self.log, end) {
                let image = killed(self.log, self.so_far.1.clone(), &choice);
                if is_new(image.digest()) {
                    found(State { image, choice });
                }
            }
            return false;
        }
        let point = Point::new(self.log, end, self.model);
        point.visit(cap, is_new, found)
    }

    fn roll_to(&mut self, end: usize) {
        let (done, image) = &mut self.so_far;
        let drops = |entry: &Entry| matches!(entry, Entry::Dropped(_));
        if *done > end || self.log.entries[*done..end].iter().any(drops) {
            // What a failed sync throws away came before it.
            *image = everything(self.log, end);
        } else {
            for entry in &self.log.entries[*done..end] {
                if let Entry::Changed { effect, .. } = entry {
                    image.apply(effect);
                }
            }
        }
        *done = end;
    }
}

/// The crash points that matter for a power cut: between two of them, the trees that an
/// earlier crash can leave are among those of a later one, since an effect may be lost.
pub fn boundaries(log: &Log, model: Persistence) -> Vec<usize> {
    let count = log.entries.len();
    // A crash in the middle of a user's own save is not ours to answer for.
    let is_mid_save = |at: usize| {
        at.checked_sub(1).is_some_and(|before| {
            matches!(log.entries[before], Entry::Changed { by_user: true, .. })
        })
    };
    if model == Persistence::Kill {
        return (0..=count).filter(|at| !is_mid_save(*at)).collect();
    }
    let is_boundary = |entry: &Entry| {
        matches!(
            entry,
            Entry::Passed
                | Entry::Answered(_)
                | Entry::Kept(_)
                | Entry::Dropped(_)
                | Entry::SyncFailed(_)
                | Entry::Saved(_)
                | Entry::Changed { by_user: true, .. }
        )
    };
    let before = (0..count).filter(|at| is_boundary(&log.entries[*at]));
    // After an answer the same tree must keep what was answered.
    let after = (0..count).filter(|at| is_boundary(&log.entries[*at])).map(|at| at + 1);
    let mut all: Vec<usize> = before.chain(after).chain([count]).collect();
    all.retain(|at| !is_mid_save(*at));
    all.sort_unstable();
    all.dedup();
    all
}

impl Log {
    /// The entries before `end` that a power cut there may lose.
    pub fn unsure(&self, model: Persistence, end: usize) -> Vec<usize> {
        let point = Point::new(self, end, model);
        let changes = point.changes(end).map(|(at, _)| at);
        changes.filter(|at| !point.sure[*at] && !point.dropped[*at]).collect()
    }
}

fn kills(log: &Log, end: usize) -> Vec<Choice> {
    let mut choices = vec![Choice { end, survived: Vec::new() }];
    if let Some(Entry::Changed { effect: Effect::Data { content, .. }, by_user: false, .. }) =
        log.entries.get(end)
        && content.len() > 1
    {
        choices.push(Choice { end, survived: vec![(end, Part::Half)] });
    }
    choices
}

/// Makes the tree of one crash again.
pub fn materialise(log: &Log, model: Persistence, choice: &Choice) -> Image {
    if model == Persistence::Kill {
        return killed(log, everything(log, choice.end), choice);
    }
    let mut image = log.ground();
    let point = Point::new(log, choice.end, model);
    for (at, effect) in point.changes(choice.end) {
        if point.dropped[at] {
            continue;
        }
        match choice.survived.iter().find(|(survivor, _)| *survivor == at) {
            _ if point.sure[at] => image.apply(effect),
            Some((_, part)) => image.apply(&cut(effect, *part)),
            None => {}
        }
    }
    image
}

/// All that was done before an entry, but for what a failed sync threw away.
pub(super) fn everything(log: &Log, end: usize) -> Image {
    let mut image = log.ground();
    let dropped = log.dropped(end);
    for (entry, dropped) in log.entries[..end].iter().zip(dropped) {
        if let Entry::Changed { effect, .. } = entry
            && !dropped
        {
            image.apply(effect);
        }
    }
    image
}

/// What a process leaves that is killed once everything in an image is done.
fn killed(log: &Log, mut image: Image, choice: &Choice) -> Image {
    for (at, part) in &choice.survived {
        if let Entry::Changed { effect, .. } = &log.entries[*at] {
            let effect = cut(effect, *part);
            if let Effect::Data { inode, offset, content } = &effect
                && let super::image::Body::File { bytes, .. } = image.node(*inode).body
            {
                let end = offset + content.len() as u64;
                if end > bytes {
                    image.apply(&Effect::Size { inode: *inode, bytes: end });
                }
            }
            image.apply(&effect);
        }
    }
    // The dead process's leases are gone, and who waited for them writes.
    for (inode, saved) in log.waiting(choice.end) {
        let content = saved.content.unwrap_or_default();
        image.apply(&Effect::Size { inode, bytes: 0 });
        image.apply(&Effect::Data { inode, offset: 0, content: content.clone() });
        image.apply(&Effect::Size { inode, bytes: content.len() as u64 });
    }
    image
}

fn cut(effect: &Effect, part: Part) -> Effect {
    match (effect, part) {
        (Effect::Data { inode, offset, content }, Part::Half) => {
            let content = content[..content.len().div_ceil(2)].into();
            Effect::Data { inode: *inode, offset: *offset, content }
        }
        (Effect::Data { inode, offset, content }, Part::Garbage) => {
            let content = content.iter().map(|byte| byte ^ 0x5a).collect();
            Effect::Data { inode: *inode, offset: *offset, content }
        }
        _ => effect.clone(),
    }
}

/// One crash point of a power cut: what is sure to survive, and what may.
struct Point<'l> {
    log: &'l Log,
    end: usize,
    model: Persistence,
    /// Entries that survive whatever happens.
    sure: Vec<bool>,
    dropped: Vec<bool>,
    /// For each entry with names, the earlier ones without which it cannot survive.
    needs: Vec<Vec<usize>>,
}

/// What may be left of a file: its inode, and which entries survived in what part.
struct Variant {
    node: Arc<Node>,
    digest: u64,
    survived: Vec<(usize, Part)>,
}

impl<'l> Point<'l> {
    fn new(log: &'l Log, end: usize, model: Persistence) -> Self {
        let dropped = log.dropped(end);
        let needs = needs(log, end, model);
        let mut point = Self { log, end, model, sure: vec![false; end], dropped, needs };
        let counting = (0..end)
            .rev()
            .find(|at| matches!(log.entries[*at], Entry::Passed | Entry::Answered(_)))
            .unwrap_or(0);
        for at in 0..end {
            match &log.entries[at] {
                Entry::SyncedFile(inode) if at < counting => point.sync_file(*inode, at),
                Entry::SyncedAttributes(inode) if at < counting => point.flush_log(*inode, at),
                Entry::SyncedDir(dir) if at < counting => point.sync_dir(*dir, at),
                Entry::Changed { by_user: true, effect, .. } => {
                    point.make_sure(at);
                    if let Some(inode) = effect.inode() {
                        point.make_way_sure(inode, at);
                    }
                }
                _ => {}
            }
        }
        point
    }

    fn changes(&self, before: usize) -> impl Iterator<Item = (usize, &'l Effect)> + use<'l> {
        let entries = &self.log.entries[..before];
        entries.iter().enumerate().filter_map(|(at, entry)| match entry {
            Entry::Changed { effect, .. } => Some((at, effect)),
            _ => None,
        })
    }

    /// Whether a sync of this inode failed after the entry was made and before `sync`, so
    /// that a later success proves nothing for it.
    fn is_poisoned(&self, at: usize, sync: usize, inode: Inode) -> bool {
        self.log.entries[at..sync]
            .iter()
            .any(|entry| matches!(entry, Entry::SyncFailed(failed) if *failed == inode))
    }

    /// Where a flush finds the last record that it has to write, and writes all before it.
    fn flush_log(&mut self, object: Inode, sync: usize) {
        let concerns = |effect: &Effect| match effect {
            Effect::Data { .. } => false,
            Effect::Names(to) => to.iter().any(|to| to.dir == object || to.inode == Some(object)),
            other => other.inode() == Some(object),
        };
        let last = self
            .changes(sync)
            .filter(|(at, effect)| concerns(effect) && !self.is_poisoned(*at, sync, object))
            .last();
        let Some((mut last, _)) = last else { return };
        // Both names of a rename between directories are one transaction.
        if let Some(Entry::Changed { after: Some(coming), .. }) = self.log.entries.get(last + 1)
            && *coming == last
        {
            last += 1;
        }
        for (at, effect) in self.changes(last + 1) {
            if !effect.is_content() {
                self.make_sure(at);
            }
        }
    }

    fn sync_file(&mut self, inode: Inode, sync: usize) {
        if self.model == Persistence::Ntfs {
            self.flush_log(inode, sync);
        }
        for (at, effect) in self.changes(sync) {
            let own = effect.inode() == Some(inode) && !self.is_poisoned(at, sync, inode);
            let named = self.model == Persistence::Treelog
                && effect.assignments().iter().any(|to| to.inode == Some(inode));
            let committed = self.model == Persistence::Ordered && !effect.is_content();
            if own || named || committed {
                self.make_sure(at);
            }
        }
    }

    fn sync_dir(&mut self, dir: Inode, sync: usize) {
        if self.model == Persistence::Ntfs {
            self.flush_log(dir, sync);
        }
        for (at, effect) in self.changes(sync) {
            let own = effect.assignments().iter().any(|to| to.dir == dir);
            let forgets = matches!(self.model, Persistence::Weak | Persistence::Ntfs);
            let poisoned = forgets && self.is_poisoned(at, sync, dir);
            let committed = self.model == Persistence::Ordered && !effect.is_content();
            if (own && !poisoned) || committed {
                self.make_sure(at);
            }
        }
    }

    /// What a user saved in place stays where it was saved: the names on the way to it survive.
    fn make_way_sure(&mut self, inode: Inode, before: usize) {
        let mut on_the_way = vec![inode];
        for at in (0..before).rev() {
            let Entry::Changed { effect, .. } = &self.log.entries[at] else { continue };
            let leads = |to: &&Assignment| to.inode.is_some_and(|to| on_the_way.contains(&to));
            let dirs: Vec<Inode> =
                effect.assignments().iter().filter(leads).map(|to| to.dir).collect();
            if !dirs.is_empty() {
                on_the_way.extend(dirs);
                self.make_sure(at);
            }
        }
    }

    fn make_sure(&mut self, at: usize) {
        if !std::mem::replace(&mut self.sure[at], true) {
            for needed in self.needs[at].clone() {
                self.make_sure(needed);
            }
        }
    }

    fn visit(
        &self,
        cap: StateCap,
        is_new: &mut dyn FnMut(u64) -> bool,
        found: &mut dyn FnMut(State),
    ) -> bool {
        let bare = self.log.ground();
        let mut ground = bare.clone();
        for (at, effect) in self.changes(self.end) {
            if self.sure[at] && matches!(effect, Effect::Names(_)) {
                ground.apply(effect);
            }
        }
        let is_overtaken = self.is_overtaken();
        let mut random = Random(cap.seed ^ (self.end as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (surviving, mut sampled) = match self.model {
            Persistence::Weak => self.subsets(cap.names, &mut random),
            _ => (self.prefixes(), false),
        };
        let mut variants_of: BTreeMap<Inode, Vec<Variant>> = BTreeMap::new();
        for survivors in surviving {
            let mut image = if is_overtaken { bare.clone() } else { ground.clone() };
            for (at, effect) in self.changes(self.end) {
                let is_there = is_overtaken && matches!(effect, Effect::Names(_)) && self.sure[at];
                if is_there || (!self.sure[at] && survivors.contains(&at)) {
                    image.apply(effect);
                }
            }
            // Only the weak model keeps or loses metadata apart from names, so only there
            // do the variants not depend on the survivors.
            if self.model != Persistence::Weak {
                variants_of.clear();
            }
            sampled |= self.visit_contents(
                image,
                &survivors,
                &mut variants_of,
                cap,
                &mut random,
                is_new,
                found,
            );
        }
        sampled
    }

    #[allow(clippy::too_many_arguments, reason = "one step of `visit`, which owns all of these")]
    fn visit_contents(
        &self,
        mut image: Image,
        survivors: &[usize],
        variants_of: &mut BTreeMap<Inode, Vec<Variant>>,
        cap: StateCap,
        random: &mut Random,
        is_new: &mut dyn FnMut(u64) -> bool,
        found: &mut dyn FnMut(State),
    ) -> bool {
        let (structure, leaves) = image.structure();
        let mut digest = structure;
        let mut open: Vec<Inode> = Vec::new();
        for inode in leaves {
            let variants =
                variants_of.entry(inode).or_insert_with(|| self.variants(inode, survivors));
            match variants.as_slice() {
                [] => digest = digest.wrapping_add(leaf_digest(inode, image.node(inode).digest())),
                [only] => {
                    digest = digest.wrapping_add(only.digest);
                    image.replace(inode, only.node.clone());
                }
                _ => open.push(inode),
            }
        }
        let lists: Vec<&[Variant]> =
            open.iter().map(|inode| variants_of[inode].as_slice()).collect();
        let sizes: Vec<usize> = lists.iter().map(|list| list.len()).collect();
        let (combinations, sampled) = combinations(&sizes, cap.contents, random);
        for combination in combinations {
            let chosen = || lists.iter().zip(&combination).map(|(list, index)| &list[*index]);
            let digest = chosen().fold(digest, |sum, variant| sum.wrapping_add(variant.digest));
            if !is_new(digest) {
                continue;
            }
            let mut image = image.clone();
            let mut survived: Vec<(usize, Part)> =
                survivors.iter().map(|at| (*at, Part::Whole)).collect();
            for (inode, variant) in open.iter().zip(chosen()) {
                image.replace(*inode, variant.node.clone());
                survived.extend(&variant.survived);
            }
            survived.sort_unstable_by_key(|(at, _)| *at);
            survived.dedup();
            found(State { image, choice: Choice { end: self.end, survived } });
        }
        sampled
    }

    /// All that may be left of one file, from nothing of the unsure to all of it; empty
    /// where nothing ever changed it.
    fn variants(&self, inode: Inode, survivors: &[usize]) -> Vec<Variant> {
        let effects: Vec<(usize, &Effect)> = self
            .changes(self.end)
            .filter(|(at, effect)| effect.inode() == Some(inode) && !self.dropped[*at])
            .collect();
        if effects.is_empty() {
            return Vec::new();
        }
        let born = match (inode as usize).checked_sub(self.log.start.inodes()) {
            Some(born) => self.log.born[born].clone(),
            None => self.log.start.shared(inode).clone(),
        };
        let is_free = |at: usize, effect: &Effect| {
            !self.sure[at] && (self.model == Persistence::Weak || effect.is_content())
        };
        let mut choices: Vec<Vec<(usize, Part)>> = vec![Vec::new()];
        for (at, effect) in &effects {
            if !is_free(*at, effect) {
                continue;
            }
            let parts: &[Part] = match effect {
                Effect::Data { content, .. } if content.len() > 1 => {
                    &[Part::Half, Part::Garbage, Part::Whole]
                }
                _ => &[Part::Whole],
            };
            let with = choices.iter().flat_map(|choice| {
                parts.iter().map(|part| {
                    let mut choice = choice.clone();
                    choice.push((*at, *part));
                    choice
                })
            });
            choices = choices.iter().cloned().chain(with).collect();
        }
        let mut variants: Vec<Variant> = Vec::new();
        for choice in choices {
            let mut node = (*born).clone();
            for (at, effect) in &effects {
                let part = choice.iter().find(|(survivor, _)| survivor == at);
                match part {
                    Some((_, Part::Whole)) => node.apply(effect),
                    Some((_, part)) => node.apply(&cut(effect, *part)),
                    None if self.sure[*at] || survivors.contains(at) => node.apply(effect),
                    None => {}
                }
            }
            let digest = leaf_digest(inode, node.digest());
            match variants.iter_mut().find(|variant| variant.digest == digest) {
                // The same file by fewer losses is the better story.
                Some(known) if known.survived.len() < choice.len() => known.survived = choice,
                Some(_) => {}
                None => variants.push(Variant { node: Arc::new(node), digest, survived: choice }),
            }
        }
        variants
    }

    /// Whether a name's sure change comes after one that may be lost.
    fn is_overtaken(&self) -> bool {
        let mut unsure: BTreeSet<(Inode, &[u8])> = BTreeSet::new();
        self.changes(self.end).any(|(at, effect)| {
            let mut names = effect.assignments().iter().map(|to| (to.dir, &*to.name));
            if self.sure[at] {
                return names.any(|name| unsure.contains(&name));
            }
            unsure.extend(names);
            false
        })
    }

    fn unsure_names(&self) -> Vec<usize> {
        self.changes(self.end)
            .filter(|(at, effect)| !self.sure[*at] && matches!(effect, Effect::Names(_)))
            .map(|(at, _)| at)
            .collect()
    }

    /// The sets of names that may survive in the weak model.
    fn subsets(&self, cap: usize, random: &mut Random) -> (Vec<Vec<usize>>, bool) {
        let names = self.unsure_names();
        if names.len() < 63 {
            let mut all: Vec<Vec<usize>> = vec![Vec::new()];
            let mut complete = true;
            for at in &names {
                let can = |set: &Vec<usize>| self.is_closed_with(set, *at);
                let with: Vec<Vec<usize>> = all
                    .iter()
                    .filter(|set| can(set))
                    .map(|set| set.iter().copied().chain([*at]).collect())
                    .collect();
                all.extend(with);
                if all.len() > cap {
                    complete = false;
                    break;
                }
            }
            if complete {
                return (all, false);
            }
        }
        let mut sets: Vec<Vec<usize>> = vec![Vec::new(), names.clone()];
        sets.extend((1..names.len()).map(|length| names[..length].to_vec()));
        for one in &names {
            sets.push(vec![*one]);
            sets.push(names.iter().copied().filter(|at| at != one).collect());
            for other in names.iter().filter(|other| *other > one) {
                sets.push(names.iter().copied().filter(|at| at != one && at != other).collect());
            }
        }
        while sets.len() < cap {
            sets.push(names.iter().copied().filter(|_| random.next() & 1 == 0).collect());
        }
        for set in &mut sets {
            let wished = std::mem::take(set);
            for at in wished {
                if self.is_closed_with(set, at) {
                    set.push(at);
                }
            }
        }
        sets.sort_unstable();
        sets.dedup();
        (sets, true)
    }

    fn is_closed_with(&self, set: &[usize], at: usize) -> bool {
        self.needs[at].iter().all(|needed| self.sure[*needed] || set.contains(needed))
    }

    /// The sets of names and metadata that may survive where they have one order.
    fn prefixes(&self) -> Vec<Vec<usize>> {
        let ordered: Vec<usize> = self
            .changes(self.end)
            .filter(|(at, effect)| !self.sure[*at] && !effect.is_content())
            .map(|(at, _)| at)
            .collect();
        // In a journal a rename is one transaction, both of its names; a log of synced inodes
        // has shown the one without the other (Mohan et al., OSDI 2018, found it on btrfs).
        let splits_rename = |length: usize| {
            matches!(self.model, Persistence::Ordered | Persistence::Ntfs)
                && ordered.get(length).is_some_and(|at| {
                    matches!(self.log.entries[*at], Entry::Changed { after: Some(_), .. })
                })
        };
        (0..=ordered.len())
            .filter(|length| !splits_rename(*length))
            .map(|length| ordered[..length].to_vec())
            .collect()
    }
}

/// A user's durable save reaches the disk after its file's name, the directories on the way, and
/// what that name stood for before; the name that goes in a rename between directories after the
/// one that comes. Two changes of one name reach the disk in order, but in the weak model: a
/// directory is written in blocks, and a name that goes and comes again may lie in another one.
fn needs(log: &Log, end: usize, model: Persistence) -> Vec<Vec<usize>> {
    let mut last: BTreeMap<(Inode, &[u8]), usize> = BTreeMap::new();
    let mut named: BTreeMap<Inode, usize> = BTreeMap::new();
    let mut needs = vec![Vec::new(); end];
    for (at, entry) in log.entries[..end].iter().enumerate() {
        let Entry::Changed { effect, after, by_user } = entry else { continue };
        needs[at].extend(after);
        // Nor before the name by which it was opened is on the disk.
        let own = effect.inode().filter(|_| *by_user);
        needs[at].extend(own.and_then(|inode| named.get(&inode)));
        for to in effect.assignments() {
            // A user's editor has not saved before the file can be found.
            let mut dir = to.dir;
            while *by_user && let Some(made) = named.get(&dir) {
                needs[at].push(*made);
                let Entry::Changed { effect, .. } = &log.entries[*made] else { break };
                let mut parents = effect.assignments().iter();
                let Some(parent) = parents.find(|made| made.inode == Some(dir)) else { break };
                dir = parent.dir;
            }
            named.extend(to.inode.map(|inode| (inode, at)));
            if let Some(before) = last.insert((to.dir, &to.name), at)
                && before != at
                && (*by_user || model != Persistence::Weak)
            {
                needs[at].push(before);
            }
        }
    }
    needs
}

/// Index vectors into lists of these sizes: all of them, or the extremes, their
/// neighbours and random ones.
fn combinations(sizes: &[usize], cap: usize, random: &mut Random) -> (Vec<Vec<usize>>, bool) {
    let total = sizes.iter().try_fold(1_usize, |total, size| total.checked_mul(*size));
    if total.is_some_and(|total| total <= cap) {
        let mut all = vec![Vec::new()];
        for size in sizes {
            all = all
                .into_iter()
                .flat_map(|head: Vec<usize>| {
                    (0..*size).map(move |index| {
                        let mut head = head.clone();
                        head.push(index);
                        head
                    })
                })
                .collect();
        }
        return (all, false);
    }
    let none = vec![0; sizes.len()];
    let whole: Vec<usize> = sizes.iter().map(|size| size - 1).collect();
    let mut some = vec![none.clone(), whole.clone()];
    for (place, size) in sizes.iter().enumerate() {
        for index in 0..*size {
            for base in [&none, &whole] {
                let mut one = base.clone();
                one[place] = index;
                some.push(one);
            }
        }
    }
    while some.len() < cap {
        some.push(sizes.iter().map(|size| random.below(*size)).collect());
    }
    (some, true)
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a count fits");
        usize::try_from(self.next() % count).expect("below a count")
    }
}
