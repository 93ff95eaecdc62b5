//! One crash point of a power cut: what is sure to survive it.

use std::collections::BTreeMap;

use super::model::Persistence;
use crate::simulated::effect::{Alteration, Assignment, Effect, Inode};
use crate::simulated::log::{Entry, Log};

/// One crash point of a power cut: what is sure to survive, and what may.
pub(super) struct Point<'l> {
    pub(super) log: &'l Log,
    pub(super) end: usize,
    pub(super) model: Persistence,
    /// Entries that survive whatever happens.
    pub(super) sure: Vec<bool>,
    pub(super) dropped: Vec<bool>,
    /// For each entry with names, the earlier ones without which it cannot survive.
    pub(super) needs: Vec<Vec<usize>>,
}

impl<'l> Point<'l> {
    pub(super) fn new(log: &'l Log, end: usize, model: Persistence) -> Self {
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

    pub(super) fn changes(
        &self,
        before: usize,
    ) -> impl Iterator<Item = (usize, &'l Effect)> + use<'l> {
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
            Effect::Altered(_, Alteration::Data { .. }) => false,
            Effect::Names(to) => to.iter().any(|to| to.dir == object || to.inode == Some(object)),
            Effect::Altered(inode, _) => *inode == object,
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
            let own =
                effect.assignments().iter().any(|to| to.dir == dir) || effect.inode() == Some(dir);
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
        // The name by which it was opened reaches the disk first as well.
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
