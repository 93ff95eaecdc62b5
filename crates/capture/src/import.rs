//! Turns what an upper directory holds into proposals, each with its proof.
//!
//! Only what has changed since the last import of a path is proposed: a change that a reviewer has
//! rejected, refreshed or replaced does not come back before the command changes the file again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use staging_core::{
    DiffStagingLayer, Digest, Fingerprint, HashingReader, ImportItem, Imported, Proof, Proposal,
    RelPath, Spool, escape_bytes,
};

use crate::bases::{Bases, Modes, Proven};
use crate::changes::{Change, Changes, NotProposed};
use crate::error::{Result, failed};
use crate::pending::ShownPatches;
use crate::stat::{Kind, Stat, TICK_NANOS, Timestamp};
use crate::verdict::{Clocks, Upper};
use crate::walk::{self, directory_beneath, open_beneath, stat_beneath};

/// A file of up to this many bytes is held in memory until it is staged, while all of them together
/// have no more than [`HELD_BYTES_MAX`]; others are gathered in a file first.
const HELD_FILE_BYTES_MAX: u64 = 1 << 20;
const HELD_BYTES_MAX: u64 = 64 << 20;

/// How often a file is read that changes meanwhile.
const READS_MAX: u32 = 3;

/// What the last import of each path has read; nothing where an import of it was begun and not
/// recorded.
pub(crate) type LastImport = BTreeMap<RelPath, Option<Last>>;

/// What the last import of a path has read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Last {
    /// The entry of the upper directory; nothing where the workspace's is hidden.
    upper: Option<Stat>,
    /// When it was read.
    read_at: Timestamp,
    /// What the command has at the path.
    pub(crate) state: Option<Fingerprint>,
    /// What the first of its changes was proven to be made from; empty where that is not known.
    made_from: Vec<Option<Fingerprint>>,
}

impl Last {
    /// Whether it was read when the entry was what it is now. No process may write to it.
    pub(crate) fn has_read(&self, change: Change) -> bool {
        match (Upper::from(change), &self.upper) {
            (Upper::File(now), Some(then)) => now == *then,
            (Upper::Removed, None) => true,
            _ => false,
        }
    }

    /// When what was read was written; none for a removal.
    pub(crate) fn written_at(&self) -> Option<Timestamp> {
        self.upper.map(|upper| upper.modified)
    }

    /// Whether an entry cannot have changed since it was read.
    fn is_of(&self, change: Change) -> bool {
        let settled = |stat: &Stat| stat.changed.later_by(TICK_NANOS) < self.read_at;
        self.has_read(change) && self.upper.as_ref().is_none_or(settled)
    }
}

/// Paths that cannot be proposed, escaped, and why.
pub(crate) type NotProposedPaths = Vec<(String, &'static str)>;

/// What an import works with, and what it has found so far.
pub(crate) struct Importer<'i> {
    pub(crate) layer: &'i DiffStagingLayer,
    /// What changes were made from.
    pub(crate) bases: &'i dyn Bases,
    pub(crate) last: &'i LastImport,
    /// What the view has shown of pending patches.
    pub(crate) shown: &'i ShownPatches,
    pub(crate) root: BorrowedFd<'i>,
    /// The directory that holds what was changed.
    pub(crate) upper: BorrowedFd<'i>,
    pub(crate) modes: Modes,
    pub(crate) wanted: Wanted,
    pub(crate) read_at: Timestamp,
    pub(crate) found: Found,
}

/// Which changes an import proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that have changed since the last import of their paths.
    Changed,
    /// All of them: somebody asks for them.
    All,
}

/// What an import has found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<ImportItem>,
    /// What is to be recorded of each path that has changed since the last import.
    pub(crate) changed: BTreeMap<RelPath, Last>,
    /// Paths at which only the workspace has changed.
    pub(crate) unchanged: BTreeSet<RelPath>,
    /// Paths that the user has changed before the change was made.
    pub(crate) edited: Vec<RelPath>,
    pub(crate) not_proposed: NotProposedPaths,
    pub(crate) unsettled: Vec<RelPath>,
    held_bytes: u64,
    /// The files of large contents, until they are staged.
    spools: Vec<Spool>,
}

impl Found {
    /// Records what was staged. What was refused or withheld is tried again by the next import.
    pub(crate) fn record(mut self, last: &mut LastImport, imported: &Imported) {
        for path in imported.refused.iter().map(|(path, _)| path).chain(&imported.withheld) {
            self.changed.remove(path);
        }
        for (path, made_from) in &imported.made_from {
            if let Some(changed) = self.changed.get_mut(path) {
                changed.made_from = vec![*made_from];
            }
        }
        last.extend(self.changed.into_iter().map(|(path, changed)| (path, Some(changed))));
    }
}

/// What a changed path holds.
pub(crate) enum Content {
    Proposal(Proposal, Fingerprint),
    /// Somebody is writing it.
    Unsettled,
    /// It cannot be proposed, for this reason.
    Refused(&'static str),
}

impl Importer<'_> {
    /// Collects the changes of all paths in an order in which none blocks another: what is removed
    /// makes room for what is written, and a directory is removed after what is in it.
    pub(crate) fn collect(&mut self, changes: &[(RelPath, Change)]) -> Result<()> {
        let is_removed = |change: &&(RelPath, Change)| change.1 == Change::Removed;
        let removed = changes.iter().rev().filter(is_removed);
        for (path, change) in removed.chain(changes.iter().filter(|change| !is_removed(change))) {
            self.add(path, *change)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &RelPath, change: Change) -> Result<()> {
        let last = self.last.get(path).and_then(Option::as_ref);
        let is_asked = self.wanted == Wanted::All;
        if !is_asked && last.is_some_and(|last| last.is_of(change)) {
            return Ok(());
        }
        let lower = stat_beneath(self.root, path.as_bytes())
            .map_err(failed("read", &path.to_path_buf()))?;
        let (proposal, state) = match self.content(path, change, lower.as_ref())? {
            None => (Proposal::Delete { path: path.clone() }, None),
            Some(Content::Proposal(proposal, state)) => (proposal, Some(state)),
            Some(Content::Unsettled) => {
                self.found.unsettled.push(path.clone());
                return Ok(());
            }
            Some(Content::Refused(reason)) => {
                self.found.not_proposed.push((path.to_string(), reason));
                return Ok(());
            }
        };
        let upper = match Upper::from(change) {
            Upper::File(stat) => Some(stat),
            Upper::Removed => None,
        };
        let made_from = last.map(|last| last.made_from.clone()).unwrap_or_default();
        let now = Last { upper, read_at: self.read_at, state, made_from };
        let shown = self.shown.get(path);
        let before = last.map(|last| last.state).or(shown.map(|shown| shown.state));
        self.found.changed.insert(path.clone(), now);
        if before == Some(state) && !is_asked {
            return Ok(());
        }
        // The command's version was made from what it had before, and that from what was proven.
        let earlier = || {
            let shown = shown.iter().flat_map(|shown| shown.contents());
            let last = last.iter();
            let last = last.flat_map(|last| last.made_from.iter().copied().chain([last.state]));
            shown.chain(last)
        };
        // What the workspace has at the path says nothing where the view has shown a patch.
        let proven = match shown {
            Some(_) => Proven::Unknown,
            None => self.bases.prove(path, change, lower.as_ref(), state)?,
        };
        let proof = match proven {
            Proven::Nothing => {
                self.found.changed.entry(path.clone()).and_modify(|now| now.made_from = vec![None]);
                return Ok(());
            }
            Proven::Unchanged => match last {
                // It was staged and applied, and is taken back.
                Some(last) if self.lower_state(path, lower.as_ref())? == last.state => {
                    Proof::OneOf(vec![last.state])
                }
                // Nobody knows whether what the workspace has now was made from what was staged.
                Some(_) => Proof::OneOf(Vec::new()),
                None => {
                    self.found.changed.remove(path);
                    self.found.unchanged.insert(path.clone());
                    return Ok(());
                }
            },
            Proven::Made(stamp) => {
                if self.bases.is_edited(path, lower.as_ref()) {
                    self.found.edited.push(path.clone());
                }
                Proof::Made(stamp)
            }
            Proven::From(content) => Proof::OneOf(earlier().chain([content]).collect()),
            Proven::Unknown => Proof::OneOf(earlier().collect()),
        };
        let replaces = |shown: Option<Fingerprint>| {
            shown.is_some_and(|shown| shown.kind() != staging_core::EntryKind::Directory)
        };
        if matches!(proposal, Proposal::CreateDirectory { .. })
            && (lower.is_some_and(|lower| lower.kind != Kind::Directory)
                || before.is_some_and(replaces))
        {
            let proposal = Proposal::Delete { path: path.clone() };
            self.found.items.push(ImportItem { proposal, proof: proof.clone() });
        }
        self.found.items.push(ImportItem { proposal, proof });
        Ok(())
    }

    /// What the workspace has at a path.
    fn lower_state(&self, path: &RelPath, lower: Option<&Stat>) -> Result<Option<Fingerprint>> {
        let Some(lower) = lower else { return Ok(None) };
        let reading = path.to_path_buf();
        let state = || match lower.kind {
            Kind::File => {
                let mut hashing = HashingReader::new(open_beneath(self.root, path.as_bytes())?);
                let bytes = io::copy(&mut hashing, &mut io::sink())?;
                Ok(Some(Fingerprint::file(hashing.digest(), bytes, lower.mode.into())))
            }
            Kind::Symlink => Ok(Some(Fingerprint::symlink(&target_beneath(self.root, path)?))),
            Kind::Directory | Kind::Other => Ok(Some(Fingerprint::directory(lower.mode.into()))),
        };
        state().map_err(failed("read", &reading))
    }

    /// What the command has at a changed path; none where it has removed what was there.
    pub(crate) fn content(
        &mut self,
        path: &RelPath,
        change: Change,
        lower: Option<&Stat>,
    ) -> Result<Option<Content>> {
        match change {
            Change::Removed => Ok(None),
            Change::Made(stat) => {
                let proposal = Proposal::CreateDirectory { path: path.clone() };
                let state = Fingerprint::directory(stat.mode.into());
                Ok(Some(Content::Proposal(proposal, state)))
            }
            Change::Linked(_) => Ok(Some(match target_beneath(self.upper, path) {
                Ok(target) => {
                    let state = Fingerprint::symlink(&target);
                    Content::Proposal(Proposal::Symlink { path: path.clone(), target }, state)
                }
                // It was replaced or removed just now.
                Err(_) => Content::Unsettled,
            })),
            Change::Written(_, stat) => self.file(path, stat, lower).map(Some),
        }
    }

    /// A file's content, read while nobody writes it.
    fn file(&mut self, path: &RelPath, mut stat: Stat, lower: Option<&Stat>) -> Result<Content> {
        let reading = || Path::new("upper").join(path.to_path_buf());
        for _ in 0..READS_MAX {
            if stat.size > self.layer.options().session_bytes_max {
                return Ok(Content::Refused("it is longer than a session may stage"));
            }
            let file = match open_beneath(self.upper, path.as_bytes()) {
                Ok(file) => file,
                // Another entry has taken its place just now.
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(Content::Unsettled),
                Err(Errno::ACCESS | Errno::PERM) => {
                    return Ok(Content::Refused("its mode keeps its owner from reading it"));
                }
                Err(error) => return Err(failed("open", &reading())(error.into())),
            };
            let mode = self.modes.apply(stat.mode, lower);
            let is_held = stat.size <= HELD_FILE_BYTES_MAX
                && self.found.held_bytes + stat.size <= HELD_BYTES_MAX;
            let (path, mode_bits) = (path.clone(), Some(mode));
            let (proposal, digest) = if is_held {
                let mut content = Vec::with_capacity(stat.size as usize);
                let read = (&file).take(stat.size + 1).read_to_end(&mut content);
                read.map_err(failed("read", &reading()))?;
                let digest = Digest::of(&content);
                (Proposal::Write { path, content, mode: mode_bits }, digest)
            } else {
                let mut hashing = HashingReader::new(&file);
                let spool = self.layer.spool(&mut hashing)?;
                let from = spool.path().to_owned();
                self.found.spools.push(spool);
                let digest = hashing.digest();
                (Proposal::WriteFrom { path, file: from, mode: mode_bits }, digest)
            };
            let after = walk::stat_of(file.as_fd()).map_err(failed("read", &reading()))?;
            if after == stat {
                self.found.held_bytes += if is_held { stat.size } else { 0 };
                let state = Fingerprint::file(digest, stat.size, mode);
                return Ok(Content::Proposal(proposal, state));
            }
            stat = after;
        }
        Ok(Content::Unsettled)
    }
}

fn target_beneath(directory: BorrowedFd<'_>, path: &RelPath) -> rustix::io::Result<Vec<u8>> {
    let parent = path.parent();
    let parent = parent.as_ref().map_or(&b"."[..], RelPath::as_bytes);
    let parent: OwnedFd = directory_beneath(directory, parent)?;
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    Ok(rustix::fs::readlinkat(parent, name, Vec::new())?.into_bytes())
}

/// The changes whose paths patches can have, and what cannot be proposed, with the reason.
pub(crate) fn sorted(changes: Changes) -> (Vec<(RelPath, Change)>, NotProposedPaths) {
    let mut not_proposed: NotProposedPaths = changes
        .not_proposed
        .iter()
        .map(|(path, reason)| {
            let reason = match reason {
                NotProposed::Special => "a socket, a FIFO or a device",
                NotProposed::DirectoryMode => "only the mode of the directory was changed",
                NotProposed::Unreadable => "the directory cannot be read",
            };
            (escape_bytes(path), reason)
        })
        .collect();
    let mut entries = Vec::with_capacity(changes.entries.len());
    for (path, change) in changes.entries {
        match RelPath::parse(&path) {
            Ok(path) => entries.push((path, change)),
            Err(_) => not_proposed.push((escape_bytes(&path), "no patch can have this path")),
        }
    }
    (entries, not_proposed)
}

/// Whether both directories are on local file systems, whose times are those of this machine.
pub(crate) fn clocks(one: &OwnedFd, other: &OwnedFd) -> Clocks {
    /// NFS, 9p, FUSE, SMB, CIFS, SMB2, Ceph: statfs(2).
    const ELSEWHERE: [u32; 7] =
        [0x6969, 0x0102_1997, 0x6573_5546, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400];
    let is_elsewhere = |directory: &OwnedFd| match rustix::fs::fstatfs(directory) {
        Ok(found) => ELSEWHERE.contains(&(found.f_type as u32)),
        // Nothing is known, so nothing is compared.
        Err(_) => true,
    };
    if is_elsewhere(one) || is_elsewhere(other) { Clocks::Separate } else { Clocks::Shared }
}

/// Reads all of a file below the root, as far as a rule file may be long.
pub(crate) fn read_beneath(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<u8>> {
    /// Nobody has a longer one by intent.
    const RULES_BYTES_MAX: u64 = 1 << 20;
    let mut content = Vec::new();
    open_beneath(root, path)?.take(RULES_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}
