//! How a working copy was made, and what commands have changed in it since.
//!
//! The directory of a capture holds, beside the copy: `made`, the [`Snapshot`] of the copy before a command
//! began, which tells what commands have changed; `made-from`, that of the workspace when it was copied;
//! `made-from-root`, the [`Stat`] of the workspace's root; `renewal`, while the copy is brought up to date,
//! what of it commands have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;

use staging_core::CaptureDir;

use crate::changes::{Entry, EntryKind, Origin};
use crate::error::Result;
use crate::files::read_json;
use crate::mirror::Changed;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, Timestamp};
use crate::tree::Entries;
use crate::walk::{self, Visit};

pub(crate) const MADE: &str = "made";
pub(crate) const MADE_FROM: &str = "made-from";
pub(crate) const RENEWAL: &str = "renewal";
pub(crate) const ROOT: &str = "made-from-root";

/// How a working copy was made.
pub(crate) struct Made {
    copy: Snapshot,
    /// What commands have changed, while the copy is brought up to date: everything else that differs
    /// is not theirs.
    renewal: Option<Changed>,
}

impl Made {
    /// Reads it. A snapshot that is lost or damaged proves nothing.
    pub(crate) fn read(dir: &CaptureDir) -> Result<Self> {
        let renewal = read_json(dir, RENEWAL)?.flatten();
        Ok(Self { copy: snapshot(dir, MADE)?, renewal })
    }

    /// What commands have changed in the copy, as the entries of an upper directory.
    pub(crate) fn changes(
        &self,
        copy: BorrowedFd<'_>,
        ignored: &mut dyn FnMut(&[u8], Kind) -> bool,
    ) -> io::Result<Entries> {
        let is_theirs =
            |path: &[u8]| self.renewal.as_ref().is_none_or(|renewal| renewal.kept.contains(path));
        let (mut found, mut there) = (BTreeMap::new(), BTreeSet::new());
        let mut unreadable: Vec<Box<[u8]>> = Vec::new();
        let mut visit = |reached: walk::Reached<'_>| {
            if ignored(reached.path, reached.kind) {
                return Ok(Visit::Skip);
            }
            let Some((stat, _)) = walk::stat(reached.parent, reached.name)? else {
                return Ok(Visit::Skip);
            };
            there.insert(Box::<[u8]>::from(reached.path));
            if is_theirs(reached.path) && is_changed(self.copy.get(reached.path), &stat) {
                let kind = match stat.kind {
                    Kind::File => EntryKind::File(Origin::Unknown),
                    Kind::Symlink => EntryKind::Symlink,
                    Kind::Directory => EntryKind::Directory { opaque: false },
                    Kind::Other => EntryKind::Special,
                };
                found.insert(reached.path.into(), Entry { kind, stat });
            }
            Ok(Visit::Enter)
        };
        walk::walk(copy, &mut visit, &mut |path| unreadable.push(path.into()))?;
        for path in &unreadable {
            if let Some(entry) = found.get_mut(path) {
                entry.kind = EntryKind::Unreadable;
            }
        }
        let is_hidden = |path: &[u8]| {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let mut above = slashes.map(|(at, _)| &path[..at]);
            above.any(|above| unreadable.iter().any(|closed| **closed == *above))
        };
        for (path, stat) in self.copy.iter().filter(|(path, _)| !there.contains(*path)) {
            if is_theirs(path) && !ignored(path, stat.kind) && !is_hidden(path) {
                found.insert(path.into(), Entry { kind: EntryKind::Whiteout, stat: *stat });
            }
        }
        Ok(found)
    }
}

/// Whether an entry is not what it was when the copy was made. Of a directory only the mode counts.
fn is_changed(made: Option<&Stat>, now: &Stat) -> bool {
    match made {
        Some(made) if made.kind == Kind::Directory && now.kind == Kind::Directory => {
            made.mode != now.mode
        }
        made => made != Some(now),
    }
}

/// What the workspace was when the copy was made.
pub(crate) fn made_from(dir: &CaptureDir) -> Result<Snapshot> {
    snapshot(dir, MADE_FROM)
}

pub(crate) fn snapshot(dir: &CaptureDir, name: &str) -> Result<Snapshot> {
    let found = dir.read(name)?.and_then(|bytes| Snapshot::decode(&bytes).ok());
    Ok(found.unwrap_or_else(nothing))
}

pub(crate) fn nothing() -> Snapshot {
    Snapshot::new(Timestamp::default(), [])
}
