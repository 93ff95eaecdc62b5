//! Reads what an upper directory holds, and tells what is private in it from what is proposed.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::layer::Layer;
use crate::rules::Private;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat};
use crate::tree::Entries;

/// What an upper directory holds.
#[derive(Default)]
pub(crate) struct UpperRead {
    /// The entries, without private ones.
    pub(crate) entries: Entries,
    /// The private entries, without what is below those that were not entered.
    pub(crate) private: BTreeMap<Box<[u8]>, Kind>,
}

impl UpperRead {
    /// Reads an upper directory, or what commands have changed in a working copy. What was seen is none of
    /// the private entries, whatever has replaced it.
    pub(crate) fn read(layer: &Layer, rules: &mut Private<'_>, seen: &Snapshot) -> Result<Self> {
        let mut private = BTreeMap::new();
        let mut entries = layer.entries(&mut |path, kind| {
            let is_left_out = rules.is_left_out(path, kind) && seen.get(path).is_none();
            if is_left_out {
                private.insert(path.into(), kind);
            }
            is_left_out
        })?;
        if rules.has_proposed() {
            let is_seen = |path: &[u8]| seen.get(path).is_some();
            private.extend(rules.drop_private(&mut entries, |entry| entry.stat.kind, is_seen));
        }
        Ok(Self { entries, private })
    }
}

impl Private<'_> {
    /// A snapshot without the private directories that were entered because something in them could have
    /// been proposed, and that hold nothing.
    pub(crate) fn without_private(&mut self, snapshot: Snapshot) -> Snapshot {
        if !self.has_proposed() {
            return snapshot;
        }
        let owned = |(path, stat): (&[u8], &Stat)| (Box::from(path), *stat);
        let mut entries = snapshot.iter().map(owned).collect();
        self.drop_private(&mut entries, |stat| stat.kind, |_| false);
        Snapshot::new(snapshot.begun(), entries)
    }

    /// Drops what is private from entries, and returns it: directories that were entered because something
    /// in them could have been proposed, and that hold nothing. What `is_needed` accepts stays.
    fn drop_private<T>(
        &mut self,
        entries: &mut BTreeMap<Box<[u8]>, T>,
        kind: impl Fn(&T) -> Kind,
        is_needed: impl Fn(&[u8]) -> bool,
    ) -> BTreeMap<Box<[u8]>, Kind> {
        let all = entries.iter();
        let private = all.filter(|(path, entry)| self.is_private(path, kind(entry)));
        let mut private: BTreeMap<_, _> =
            private.map(|(path, entry)| (path.clone(), kind(entry))).collect();
        // What is in a directory comes after it.
        let mut dropped = BTreeMap::new();
        while let Some((path, kind)) = private.pop_last() {
            let below = [&path, &b"/"[..]].concat().into_boxed_slice();
            let next = entries.range(below.clone()..).next();
            let is_held = next.is_some_and(|(next, _)| next.starts_with(&below));
            if !(kind == Kind::Directory && is_held || is_needed(&path)) {
                entries.remove(&path);
                dropped.insert(path, kind);
            }
        }
        dropped
    }
}
