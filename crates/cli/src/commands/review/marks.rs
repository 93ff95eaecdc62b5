//! What a reviewer has marked, patch by patch, while agents go on.

use staging_core::{Patch, PatchId};

/// What is to be done with a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Approved,
    /// With a reason for the agent.
    Rejected(Option<String>),
}

/// A patch of the review.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) patch: Patch,
    pub(super) mark: Option<Mark>,
}

/// The patches of a review, in the order in which they are shown.
#[derive(Debug)]
pub(super) struct Marks {
    items: Vec<Item>,
    /// The one that is shown, or how many there are at the end.
    at: usize,
}

/// What has happened to a patch of the review meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has another revision than was shown, and no mark.
    Rewritten { patch: PatchId, revision: u32, was_marked: bool },
    /// Another one has taken its place, and has no mark.
    Replaced { old: PatchId, new: PatchId, was_marked: bool },
    /// It is decided, or stale.
    Gone(PatchId),
}

impl Marks {
    pub(super) fn new(patches: Vec<Patch>) -> Self {
        let items = patches.into_iter().map(|patch| Item { patch, mark: None }).collect();
        Self { items, at: 0 }
    }

    /// The patch to be shown, with its number counted from 1; `None` at the end.
    pub(super) fn current(&self) -> Option<(usize, &Item)> {
        self.items.get(self.at).map(|item| (self.at + 1, item))
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Marks the current patch and goes to the next one.
    pub(super) fn mark(&mut self, mark: Option<Mark>) {
        if let Some(item) = self.items.get_mut(self.at) {
            item.mark = mark;
            self.at += 1;
        }
    }

    /// Goes to the patch before.
    pub(super) fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// Goes to the end.
    pub(super) fn end(&mut self) {
        self.at = self.items.len();
    }

    /// The current patch, whatever its mark, and those behind it without one, except those that a diff does
    /// not show.
    pub(super) fn rest(&self) -> impl Iterator<Item = &Patch> {
        let meant = self.items.iter().enumerate().filter(|(at, item)| self.means(*at, item));
        meant.map(|(_, item)| &item.patch)
    }

    /// Approves these and goes to the end.
    pub(super) fn approve_rest(&mut self) {
        let meant: Vec<PatchId> = self.rest().map(|patch| patch.id).collect();
        for item in self.items.iter_mut().filter(|item| meant.contains(&item.patch.id)) {
            item.mark = Some(Mark::Approved);
        }
        self.end();
    }

    fn means(&self, at: usize, item: &Item) -> bool {
        let is_marked = at != self.at && item.mark.is_some();
        at >= self.at && !is_marked && !item.patch.diff.full_replace
    }

    /// Compares with what is pending in the sessions of the patches now. The first patch that was
    /// rewritten, or replaced by another, is the current one then.
    pub(super) fn renew(&mut self, pending: &[Patch]) -> Vec<Change> {
        let mut changes = Vec::new();
        let (mut kept, mut at) = (Vec::with_capacity(self.items.len()), self.at);
        let mut first_replaced = None;
        for (index, mut item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            let old = &item.patch;
            let is_successor =
                |patch: &&Patch| patch.session == old.session && patch.path == old.path;
            let now = pending.iter().find(|patch| patch.id == old.id);
            if now.is_none_or(|now| now.revision != old.revision) {
                let Some(new) = now.or_else(|| pending.iter().find(is_successor)) else {
                    changes.push(Change::Gone(old.id));
                    at -= usize::from(index < self.at);
                    continue;
                };
                let (old, was_marked) = (old.id, item.mark.is_some());
                changes.push(match new.id == old {
                    true => Change::Rewritten { patch: old, revision: new.revision, was_marked },
                    false => Change::Replaced { old, new: new.id, was_marked },
                });
                first_replaced.get_or_insert(kept.len());
                item = Item { patch: new.clone(), mark: None };
            }
            kept.push(item);
        }
        self.items = kept;
        self.at = first_replaced.map_or(at, |first| first.min(at));
        changes
    }

    pub(super) fn approved(&self) -> Vec<Patch> {
        let approved = self.items.iter().filter(|item| item.mark == Some(Mark::Approved));
        approved.map(|item| item.patch.clone()).collect()
    }

    /// What is rejected, each with its reason.
    pub(super) fn rejected(&self) -> Vec<(&Patch, Option<&str>)> {
        let each = self.items.iter().filter_map(|item| match &item.mark {
            Some(Mark::Rejected(reason)) => Some((&item.patch, reason.as_deref())),
            _ => None,
        });
        each.collect()
    }

    /// How many are not marked.
    pub(super) fn undecided(&self) -> usize {
        self.items.iter().filter(|item| item.mark.is_none()).count()
    }
}
