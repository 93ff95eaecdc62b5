//! What a view shows of its session's pending patches, and the record of it.
//!
//! A view shows the workspace, on top of that a layer with the patches that are pending when it is made,
//! and on top of both what the session keeps in its upper directory. A command that changes a file of the
//! layer has made its version from what is staged, and that was made from the patch's base.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use staging_core::{Fingerprint, Patch, RelPath};

use crate::bytes::Bytes;
use crate::changes::EntryKind;
use crate::error::{Result, failed};
use crate::rules::Private;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Timestamp};
use crate::upper::read_upper;

/// The file of a capture that holds [`ShownPatches`].
pub(crate) const FILE: &str = "pending";

/// What a view has shown of pending patches, by path.
pub(crate) type ShownPatches = BTreeMap<RelPath, Shown>;

/// What a view has shown at a path.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// What is staged there; none where nothing is.
    pub(crate) state: Option<Fingerprint>,
    /// What that was made from.
    pub(crate) made_from: Vec<Option<Fingerprint>>,
    /// When a command has written it, if one has.
    pub(crate) written_at: Option<Timestamp>,
}

impl Shown {
    /// Every content from which a change of it was made, step by step.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Option<Fingerprint>> {
        self.made_from.iter().copied().chain([self.state])
    }

    /// When a command has written this content.
    pub(crate) fn wrote(&self, content: &Fingerprint) -> Option<SystemTime> {
        let at = self.written_at.filter(|_| self.state.as_ref() == Some(content))?;
        let seconds = u64::try_from(at.seconds).ok()?;
        Some(UNIX_EPOCH + Duration::new(seconds, at.nanos))
    }
}

/// What patches show at each of their paths, and at those of directories that they empty or bring.
/// `is_directory` knows the directories of the workspace.
pub(crate) fn shown(
    patches: &[Patch],
    emptied: BTreeSet<RelPath>,
    is_directory: impl Fn(&RelPath) -> Result<bool>,
) -> Result<ShownPatches> {
    let mut all = ShownPatches::new();
    for patch in patches {
        let shown = all.entry(patch.path.clone()).or_default();
        shown.made_from.push(patch.base.map(|base| base.content));
        shown.state = patch.target().filter(|to| **to == patch.path).and(patch.staged);
    }
    // What moves to a path comes in place of what is removed there.
    for patch in patches {
        if let Some(to) = &patch.rename_to {
            let shown = all.entry(to.clone()).or_default();
            shown.made_from.push(None);
            shown.state = patch.staged;
        }
    }
    let staged = all.iter().filter(|(_, shown)| shown.state.is_some());
    let above = |path: &RelPath| std::iter::successors(path.parent(), RelPath::parent);
    let above: BTreeSet<RelPath> = staged.flat_map(|(path, _)| above(path)).collect();
    let mut implied = emptied;
    for path in above {
        if !is_directory(&path)? {
            implied.insert(path);
        }
    }
    for path in implied {
        all.entry(path).or_insert(Shown { made_from: vec![None], ..Shown::default() });
    }
    Ok(all)
}

/// The paths at which something is staged. What a command makes there is proposed, although a rule may
/// ignore it.
pub(crate) fn targets(shown: &ShownPatches) -> BTreeSet<Bytes> {
    let staged = shown.iter().filter(|(_, shown)| shown.state.is_some());
    staged.map(|(path, _)| Bytes(path.as_bytes().to_vec())).collect()
}

/// Keeps what an earlier view has shown at paths at which something is not staged.
pub(crate) fn keep(
    shown: &mut ShownPatches,
    before: &ShownPatches,
    unstaged: &BTreeSet<Box<[u8]>>,
) {
    for path in unstaged.iter().filter_map(|path| RelPath::parse(path).ok()) {
        match before.get(&path) {
            Some(earlier) => shown.insert(path, earlier.clone()),
            None => shown.remove(&path),
        };
    }
}

/// What a view shows of `found` in the workspace and of the layer on top of it.
pub(crate) fn shows(
    layer: &Path,
    mut found: Snapshot,
    private: &mut Private<'_>,
) -> Result<Snapshot> {
    let entries = match File::open(layer) {
        Ok(layer) => read_upper(layer.as_fd(), &mut |path, kind| private.is_left_out(path, kind)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    };
    for (path, entry) in entries.map_err(failed("read", layer))? {
        let is_directory = matches!(entry.kind, EntryKind::Directory { .. });
        let there = found.get(&path).map(|stat| stat.kind);
        if is_directory && there == Some(Kind::Directory) {
            continue;
        }
        let is_left = (entry.kind != EntryKind::Whiteout).then_some(entry.stat);
        found.remove_below(&path);
        found.set(&path, is_left);
    }
    Ok(found)
}
