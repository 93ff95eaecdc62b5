//! What is applied to what: small trees and change sets over every kind of operation.

use std::collections::BTreeSet;

use crate::atomic_fs::simulated::{Answer, Image, Renames};
use crate::atomic_fs::{Change, ChangeSet, Digest, Operation};

use crate::snapshot::Snapshot;

use builder::Builder;

mod builder;
mod content;
mod kind;
mod sets;
mod undo;
mod windows;

pub use builder::ROOT;
pub use content::Content;
pub use kind::Kind;
pub use sets::CHAINS;
pub(crate) use sets::makes_links;

/// A tree, a change set over it, and what both ends look like.
#[derive(Clone)]
pub struct Scenario {
    /// By which [`Scenario::named`] makes it again.
    pub name: String,
    /// The disk before.
    pub image: Image,
    /// What is applied.
    pub set: ChangeSet,
    /// The staged content.
    pub content: Content,
    /// The tree before.
    pub old: Snapshot,
    /// The tree after, worked out from the change set alone.
    pub new: Snapshot,
    /// Whether the caller has the set's changes on record, and not its id alone.
    pub is_recorded: bool,
    /// Paths that change together: what a user's edit of one of them excuses.
    pub tied: Vec<BTreeSet<Vec<u8>>>,
    /// Digests of everything that was there before or is brought in.
    known: Content,
    digests: (u64, u64),
}

impl Scenario {
    /// Makes the scenario that a name stands for: letters of [`Kind`], or one of
    /// [`CHAINS`], or either with `undo-of-` before it.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(done) = name.strip_prefix("undo-of-") {
            return Some(Self::built(name, Self::named(done)?.reversed()));
        }
        let state_device = if name == "state-elsewhere" { 2 } else { 1 };
        let mut builder = Builder::new(state_device);
        match sets::build(name) {
            Some(build) => build(&mut builder),
            None => {
                for (index, letter) in name.chars().enumerate() {
                    builder.add(Kind::from_letter(letter)?, index);
                }
            }
        }
        (!builder.set.changes.is_empty()).then(|| Self::built(name, builder))
    }

    fn built(name: &str, builder: Builder) -> Self {
        let Builder { image, root, set, content } = builder;
        let old = Snapshot::of(&image, root);
        let bytes = |digest: &Digest| {
            content.get(digest).map(<[u8]>::to_vec).expect("what is staged is in the content")
        };
        let new = old.after(&set, &bytes);
        let mut after = image.clone();
        new.lay_out(&mut after, root);
        let digest = |image: &Image| Snapshot::digest_of(image, root);
        let digests = (digest(&image), digest(&after));
        let known = old.contents().into_iter().chain(new.contents());
        Scenario {
            known: Content::of(known),
            digests,
            name: name.to_owned(),
            is_recorded: false,
            tied: tie(&set.changes),
            image,
            set,
            content,
            old,
            new,
        }
    }

    /// The same over a disk of this kind: Windows has one bit of permission and no owners.
    pub fn over(name: &str, renames: Renames) -> Option<Self> {
        let scenario = Self::named(name)?;
        if renames != Renames::Windows {
            return Some(scenario);
        }
        let Self { image, set, content, .. } = scenario;
        Some(Self::built(name, windows::moved_to(image, set, content)))
    }

    /// Every multiset of kinds of this size, by name.
    pub fn all_of(size: usize) -> Vec<String> {
        let mut all = vec![(String::new(), 0)];
        for _ in 0..size {
            all = all
                .into_iter()
                .flat_map(|(head, from)| {
                    let kinds = Kind::ALL.iter().enumerate().skip(from);
                    kinds.map(move |(at, kind)| (format!("{head}{}", kind.letter()), at))
                })
                .collect();
        }
        all.into_iter().map(|(name, _)| name).collect()
    }

    /// A random set of this size, by name.
    pub fn random(size: usize, random: &mut crate::atomic_fs::simulated::Random) -> String {
        (0..size).map(|_| Kind::ALL[random.below(Kind::ALL.len())].letter()).collect()
    }

    /// Every path that a change concerns, relative to the root.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        self.tied.iter().flatten().cloned().collect()
    }

    /// Whether bytes are content that was there before or is brought in.
    pub fn is_known(&self, bytes: &[u8]) -> bool {
        self.old.has_content(bytes) || self.new.has_content(bytes)
    }

    /// The digest of the tree that an answer stands for.
    pub fn digest_after(&self, answer: Answer) -> u64 {
        match answer {
            Answer::Committed => self.digests.1,
            _ => self.digests.0,
        }
    }

    /// What the store of a caller holds: every old and new content, or what is staged alone.
    pub fn contents(&self, has_old: bool) -> &Content {
        if has_old { &self.known } else { &self.content }
    }

    /// The same by a digest, as the store of blobs answers it.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.known.has(digest)
    }
}

/// Groups the changes that share a path.
fn tie(changes: &[Change]) -> Vec<BTreeSet<Vec<u8>>> {
    let mut groups: Vec<BTreeSet<Vec<u8>>> = Vec::new();
    for change in changes {
        let mut group = BTreeSet::from([change.path.as_bytes().to_vec()]);
        if let Operation::Rename { to, .. } = &change.operation {
            group.insert(to.as_bytes().to_vec());
        }
        let touches = |one: &[u8], other: &[u8]| {
            let below = |path: &[u8], dir: &[u8]| {
                path.strip_prefix(dir).is_some_and(|rest| rest.first().is_none_or(|b| *b == b'/'))
            };
            below(one, other) || below(other, one)
        };
        while let Some(at) = groups
            .iter()
            .position(|known| known.iter().any(|one| group.iter().any(|other| touches(one, other))))
        {
            group.extend(groups.remove(at));
        }
        groups.push(group);
    }
    groups
}
