//! Changes that were made in a copy of the workspace, or in an overlay of another program, as the
//! patches of a session.
//!
//! What a copy differs in may be a change of the copy or one of the workspace. A difference is proposed
//! if it is proven what the copy was made from: by a commit that both come from, or because what is in
//! the workspace has not changed since the copy was begun. What only the workspace has changed is no
//! change of the copy. Everything else is stale from the start, and both versions are kept.
//!
//! What each import has read is kept with the session in a file per copy, so that the next import of the
//! copy proposes what has changed since, and withdraws what the copy has taken back.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::path::Path;

use staging_core::{Fingerprint, RelPath, escape_bytes, is_slot_name};

use crate::bases::{CopyBases, Modes, ReadCommitted};
use crate::bytes::Bytes;
use crate::changes::{Change, Changes, Entry, EntryKind, Origin};
use crate::error::{CaptureError, Result, failed};
use crate::files::open;
use crate::foreign_upper;
use crate::import::{Content, Found, Importer, LastImport, Wanted, clocks, read_beneath, sorted};
use crate::pending::ShownPatches;
use crate::rules::{Private, Rules};
use crate::session::{Report, SessionCapture, create};
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, Timestamp};
use crate::survey::{now, survey};
use crate::tree::{Entries, differences};
use crate::verdict::Clocks;
use crate::walk::stat_beneath;

/// What a copy of the workspace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    /// A directory with all files: what it lacks was removed.
    Tree,
    /// A directory with some of the files: nothing was removed.
    PartialTree,
    /// The upper directory of an overlay over the workspace. No process may write to it.
    Upper,
}

/// A changed copy of the workspace, and what is known of it.
pub struct Copy<'c> {
    /// Its directory: absolute, and through no symbolic link. It is data of an agent.
    pub directory: &'c Path,
    /// What it is.
    pub kind: CopyKind,
    /// When it was begun, by the clock of this machine.
    pub copied_at: Option<Timestamp>,
    /// Reads what the commit has at a path from which the copy was made.
    pub committed: Option<&'c mut ReadCommitted<'c>>,
    /// Paths that are not compared, with all below them: repositories in the repository.
    pub left_out: BTreeSet<Bytes>,
    /// As in [`Rules`].
    pub general: Vec<Bytes>,
    /// As in [`Rules`].
    pub tracked: BTreeSet<Bytes>,
}

impl SessionCapture<'_> {
    /// Stages what a copy has changed, as one transaction.
    ///
    /// # Errors
    /// [`CaptureError::Elsewhere`] and [`CaptureError::NoCopy`]; else an error of the store, the state
    /// directory, the workspace or the copy. Nothing is staged then.
    pub fn import_copy(&self, copy: Copy<'_>) -> Result<Report> {
        create(&self.dir, self.layer)?;
        let _lock = self.dir.lock()?;
        let read_at = now();
        let workspace = &self.layer.options().workspace;
        let (root, dir) = (open(workspace)?, open(copy.directory)?);
        // What the workspace is now, by its own rules.
        let rules = Rules { general: copy.general, tracked: copy.tracked, ..Rules::default() };
        let read = |name: &[u8]| read_beneath(root.as_fd(), name).ok();
        let mut private = Private::collecting(rules, &read);
        let left_out = copy.left_out;
        let surveyed = survey(root.as_fd(), &mut |path, kind| {
            left_out.contains(path) || is_slot(path) || private.is_private(path, kind)
        });
        let surveyed = surveyed.map_err(failed("read", workspace))?;
        let mut private = Private::new(private.into_rules());
        let unreadable = surveyed.unreadable;
        let mut ignored = |path: &[u8], kind| {
            left_out.contains(path)
                || is_slot(path)
                || unreadable.iter().any(|shut| **shut == *path)
                || private.is_private(path, kind)
        };
        // What the copy differs in.
        let now = &surveyed.snapshot;
        let failed_to_read = failed("read", copy.directory);
        let (entries, busy) = match copy.kind {
            CopyKind::Upper => {
                match foreign_upper::read(dir.as_fd(), &mut ignored).map_err(failed_to_read)? {
                    foreign_upper::Read::Entries(entries) => (entries, Vec::new()),
                    foreign_upper::Read::Elsewhere(path) => {
                        return Err(CaptureError::Elsewhere { path: escape_bytes(&path) });
                    }
                }
            }
            CopyKind::Tree | CopyKind::PartialTree => {
                let is_partial = copy.kind == CopyKind::PartialTree;
                differences(dir.as_fd(), root.as_fd(), now, is_partial, &mut ignored)
                    .map_err(failed_to_read)?
            }
        };
        if copy.kind == CopyKind::Tree && is_empty(now, &entries) {
            let path = escape_bytes(copy.directory.as_os_str().as_encoded_bytes());
            return Err(CaptureError::NoCopy { path });
        }
        let (changes, mut not_proposed) = sorted(Changes::new(&entries, now));
        // What is proven of it.
        let is_shared = clocks(&root, &root) == Clocks::Shared;
        let bases = CopyBases {
            root: root.as_fd(),
            copied_at: copy.copied_at.filter(|_| is_shared),
            committed: copy.committed.map(RefCell::new),
        };
        let name = record_of(copy.directory);
        let mut last: LastImport = self.read(&name)?.unwrap_or_default();
        let earlier = last.clone();
        let modes = match copy.kind {
            CopyKind::Upper => Modes::Whole,
            CopyKind::Tree | CopyKind::PartialTree => Modes::Executable,
        };
        let mut importer = Importer {
            layer: self.layer,
            bases: &bases,
            last: &earlier,
            shown: &ShownPatches::new(),
            root: root.as_fd(),
            upper: dir.as_fd(),
            modes,
            wanted: Wanted::Changed,
            read_at,
            found: Found::default(),
        };
        importer.collect(&changes)?;
        let present: BTreeSet<&RelPath> = changes.iter().map(|(path, _)| path).collect();
        let mut gone = importer.found.unchanged.clone();
        for (path, last) in &earlier {
            let is_applied = |importer: &mut Importer<'_>| -> Result<bool> {
                let Some(last) = last else { return Ok(false) };
                Ok(state(importer, path)? == Some(last.state))
            };
            // What was applied is what the copy goes on from.
            if !present.contains(path) && !is_applied(&mut importer)? {
                gone.insert(path.clone());
            }
        }
        let mut found = importer.found;
        not_proposed.append(&mut found.not_proposed);
        let busy = busy.iter().filter_map(|path| RelPath::parse(path).ok());
        found.unsettled.extend(busy);
        let mut report = self.stage(&name, found, &mut last, &gone)?;
        // What is not proven now may be another time.
        let unproven = &report.imported.unproven;
        if !unproven.is_empty() {
            last.retain(|path, _| !unproven.contains(path));
            self.write(&name, &last)?;
        }
        report.not_proposed = not_proposed;
        Ok(report)
    }
}

/// What the copy has at a path where it does not differ; none where that is not known.
fn state(importer: &mut Importer<'_>, path: &RelPath) -> Result<Option<Option<Fingerprint>>> {
    let stat = |root| stat_beneath(root, path.as_bytes());
    let failed = failed("read", &path.to_path_buf());
    let (lower, copy) =
        (stat(importer.root).map_err(&failed)?, stat(importer.upper).map_err(&failed)?);
    let Some(copy) = copy else { return Ok(Some(None)) };
    let change = match copy.kind {
        Kind::File => Change::Written(Origin::Unknown, copy),
        Kind::Symlink => Change::Linked(copy),
        Kind::Directory => {
            Change::Made(Stat { mode: lower.map_or(copy.mode, |lower| lower.mode), ..copy })
        }
        Kind::Other => return Ok(None),
    };
    Ok(match importer.content(path, change, lower.as_ref())? {
        Some(Content::Proposal(_, state)) => Some(Some(state)),
        _ => None,
    })
}

/// Whether an apply has made the file, which will remove it.
fn is_slot(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(is_slot_name)
}

/// Whether the workspace has files, and the copy has none at all.
fn is_empty(now: &Snapshot, entries: &Entries) -> bool {
    let is_whiteout = |entry: &Entry| entry.kind == EntryKind::Whiteout;
    let mut files = now.iter().filter(|(_, stat)| stat.kind != Kind::Directory).peekable();
    files.peek().is_some()
        && files.all(|(path, _)| entries.get(path).is_some_and(is_whiteout))
        && entries.values().all(|entry| entry.stat.kind == Kind::Directory || is_whiteout(entry))
}

/// The file that records the imports of a copy.
fn record_of(directory: &Path) -> String {
    let digest = blake3::hash(directory.as_os_str().as_encoded_bytes()).to_hex();
    format!("copy-{}", &digest[..16])
}
