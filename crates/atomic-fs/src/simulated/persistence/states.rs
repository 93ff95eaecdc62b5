//! Every tree that a power cut at one point may leave, or samples of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::model::Persistence;
use super::point::Point;
use super::{Choice, Part, State, StateCap, cut};
use crate::simulated::effect::{Alteration, Effect, Inode};
use crate::simulated::image::{Image, Node, leaf_digest};
use crate::simulated::log::Entry;
use crate::simulated::random::Random;

/// What may be left of a file: its inode, and which entries survived in what part.
struct Variant {
    node: Arc<Node>,
    digest: u64,
    survived: Vec<(usize, Part)>,
}

impl Point<'_> {
    pub(super) fn visit(
        &self,
        cap: StateCap,
        is_new: &mut dyn FnMut(u64) -> bool,
        found: &mut dyn FnMut(State),
    ) -> bool {
        let untouched = self.log.untouched();
        let mut sure = untouched.clone();
        for (at, effect) in self.changes(self.end) {
            if self.sure[at] && matches!(effect, Effect::Names(_)) {
                sure.apply(effect);
            }
        }
        let is_out_of_order = self.is_out_of_order();
        let mut random =
            Random::new(cap.seed ^ (self.end as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (surviving, mut sampled) = match self.model {
            Persistence::Weak => self.subsets(cap.names, &mut random),
            _ => (self.prefixes(), false),
        };
        let mut variants_of: BTreeMap<Inode, Vec<Variant>> = BTreeMap::new();
        for survivors in surviving {
            let mut image = if is_out_of_order { untouched.clone() } else { sure.clone() };
            for (at, effect) in self.changes(self.end) {
                let is_there =
                    is_out_of_order && matches!(effect, Effect::Names(_)) && self.sure[at];
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
        let first = self.log.first_state(inode);
        let is_free = |at: usize, effect: &Effect| {
            !self.sure[at] && (self.model == Persistence::Weak || effect.is_content())
        };
        let mut choices: Vec<Vec<(usize, Part)>> = vec![Vec::new()];
        for (at, effect) in &effects {
            if !is_free(*at, effect) {
                continue;
            }
            let parts: &[Part] = match effect {
                Effect::Altered(_, Alteration::Data { content, .. }) if content.len() > 1 => {
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
            let mut node = (**first).clone();
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
    fn is_out_of_order(&self) -> bool {
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
            sets.push(names.iter().copied().filter(|_| random.next_bits() & 1 == 0).collect());
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
