//! What changes were made from: by the evidence of a view, or by what is known of a copy.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use staging_core::{FileStamp, Fingerprint, RelPath};

use crate::changes::Change;
use crate::error::{Result, failed};
use crate::hidden::Hidden;
use crate::snapshot::Snapshot;
use crate::stat::{Kind, Stat, TICK_NANOS, Timestamp};
use crate::verdict::{Above, Clocks, Evidence, Upper, Verdict};
use crate::walk::{self, stat_beneath};

/// Knows what the changes of an import were made from.
pub(crate) trait Bases {
    /// What is proven of one change: `lower` is in the workspace now, `state` is what the change
    /// makes of it.
    fn prove(
        &self,
        path: &RelPath,
        change: Change,
        lower: Option<&Stat>,
        state: Option<Fingerprint>,
    ) -> Result<Proven>;

    /// Whether the user has changed what is proven to be what the change was made from, so that both
    /// have changed it.
    fn is_edited(&self, path: &RelPath, lower: Option<&Stat>) -> bool;
}

/// What a change was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proven {
    /// The workspace has the change already.
    Nothing,
    /// It is no change: what is there is what it was made from.
    Unchanged,
    /// From what is in the workspace now.
    Made(Option<FileStamp>),
    /// From this content and mode, or from nothing.
    From(Option<Fingerprint>),
    /// That is not known.
    Unknown,
}

/// Which permission bits of a file count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modes {
    /// All of them.
    Whole,
    /// Whether it is executable, as in git. The other bits of a copy come from its umask.
    Executable,
}

impl Modes {
    /// The mode that is proposed for a file with the mode `of`, where the workspace has `lower`.
    pub(crate) fn apply(self, of: u16, lower: Option<&Stat>) -> u32 {
        let of = u32::from(of);
        let lower = lower.filter(|lower| lower.kind == Kind::File && self == Self::Executable);
        match lower.map(|lower| u32::from(lower.mode)) {
            None => of,
            Some(lower) if (lower ^ of) & 0o100 == 0 => lower,
            // Whoever may read it may execute it.
            Some(lower) if of & 0o100 != 0 => lower | (lower & 0o444) >> 2,
            Some(lower) => lower & !0o111,
        }
    }
}

/// The evidence of a view.
pub(crate) struct ViewBases<'i> {
    /// The workspace.
    pub(crate) root: BorrowedFd<'i>,
    /// The workspace before the view was made.
    pub(crate) seen: &'i Snapshot,
    /// What is known of paths that were private then.
    pub(crate) hidden: &'i Hidden,
    /// The workspace as the live view shows it.
    pub(crate) view: Option<BorrowedFd<'i>>,
    pub(crate) clocks: Clocks,
}

impl Bases for ViewBases<'_> {
    fn prove(
        &self,
        path: &RelPath,
        change: Change,
        lower: Option<&Stat>,
        _: Option<Fingerprint>,
    ) -> Result<Proven> {
        let upper = Upper::from(change);
        let view_inode = match (upper, self.view) {
            (Upper::File(_), Some(view)) => {
                // Without an answer the view proves nothing.
                stat_beneath(view, path.as_bytes()).ok().flatten().map(|stat| stat.inode)
            }
            _ => None,
        };
        let above = self.above(path)?;
        let (seen, clocks, path) = (self.seen, self.clocks, path.as_bytes());
        let lower_now = lower.copied();
        let evidence = Evidence { seen, path, lower: lower_now, upper, above, view_inode, clocks };
        Ok(match evidence.verdict() {
            Verdict::Nothing => Proven::Nothing,
            Verdict::Create if seen.get(path).is_some() || !self.hidden.covers(path) => {
                Proven::Made(None)
            }
            Verdict::Modify | Verdict::Delete => Proven::Made(lower.map(stamp)),
            Verdict::Create | Verdict::Stale if self.is_as_begun(path, lower)? => {
                Proven::Made(lower.map(stamp))
            }
            Verdict::Create | Verdict::Stale => Proven::Unknown,
        })
    }

    fn is_edited(&self, path: &RelPath, lower: Option<&Stat>) -> bool {
        let path = path.as_bytes();
        let is_directory = lower.is_some_and(|lower| lower.kind == Kind::Directory);
        let is_changed = self.seen.get(path) != lower && !is_directory;
        self.seen.is_renewed(path)
            || is_changed && !self.is_as_begun(path, lower).is_ok_and(|is_as_begun| is_as_begun)
    }
}

impl ViewBases<'_> {
    /// Whether what is at the path now was there before the session's first command began.
    fn is_as_begun(&self, path: &[u8], lower: Option<&Stat>) -> Result<bool> {
        match self.hidden.begun.filter(|_| self.clocks == Clocks::Shared) {
            Some(begun) => is_older(self.root, path, lower, begun),
            None => Ok(false),
        }
    }
}

impl ViewBases<'_> {
    /// Whether a directory above the path was moved since it was seen. What the view was asked for after
    /// the user's change needs no such proof.
    fn above(&self, path: &RelPath) -> Result<Above> {
        if self.seen.is_renewed(path.as_bytes()) {
            return Ok(Above::InPlace);
        }
        above_in(self.seen, self.root, path.as_bytes())
    }
}

/// Whether a directory above the path was moved since it was seen. That changes the directory's own time
/// of change and not its time of modification, which new and removed entries set together.
pub(crate) fn above_in(seen: &Snapshot, root: BorrowedFd<'_>, path: &[u8]) -> Result<Above> {
    for above in directories_above(path) {
        let Some(seen) = seen.get(above) else { continue };
        let now = stat_beneath(root, above).map_err(failed("read", &path_of(above)))?;
        let is_in_place = now.is_some_and(|now| {
            (now.kind, now.inode, now.born) == (seen.kind, seen.inode, seen.born)
                && (now.changed == seen.changed || now.changed == now.modified)
        });
        if !is_in_place {
            return Ok(Above::Moved);
        }
    }
    Ok(Above::InPlace)
}

/// The directories above a path, the nearest first, without the root.
fn directories_above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let above = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/');
    std::iter::successors(above(path).map(|at| &path[..at]), move |path| {
        above(path).map(|at| &path[..at])
    })
}

/// What a commit has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing, or a directory.
    Nothing,
    /// A file with this content.
    File {
        /// BLAKE3 of the content.
        digest: staging_core::Digest,
        /// Its length in bytes.
        bytes: u64,
        /// Whether it is executable.
        is_executable: bool,
    },
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
}

/// Reads what the commit has at a path from which a copy was made.
pub type ReadCommitted<'c> = dyn FnMut(&[u8]) -> io::Result<Committed> + 'c;

/// What is known of a copy.
pub(crate) struct CopyBases<'i, 'c> {
    /// The workspace.
    pub(crate) root: BorrowedFd<'i>,
    /// When the copy was begun, by the clock of this machine; none where times prove nothing.
    pub(crate) copied_at: Option<Timestamp>,
    pub(crate) committed: Option<RefCell<&'i mut ReadCommitted<'c>>>,
}

impl Bases for CopyBases<'_, '_> {
    fn prove(
        &self,
        path: &RelPath,
        change: Change,
        lower: Option<&Stat>,
        state: Option<Fingerprint>,
    ) -> Result<Proven> {
        if let Some(copied_at) = self.copied_at
            && is_older(self.root, path.as_bytes(), lower, copied_at)?
        {
            return Ok(Proven::Made(lower.map(stamp)));
        }
        let Some(committed) = &self.committed else { return Ok(Proven::Unknown) };
        let read = (committed.borrow_mut())(path.as_bytes());
        let committed =
            read.map_err(failed("read the committed content of", &path.to_path_buf()))?;
        let content = match committed {
            Committed::Nothing => None,
            Committed::Symlink(target) => Some(Fingerprint::symlink(&target)),
            Committed::File { digest, bytes, is_executable } => {
                // Git knows of no other bit.
                let mode = if is_executable { 0o755 } else { 0o644 };
                let like = lower.filter(|lower| lower.kind == Kind::File).copied();
                let like = like.or(match Upper::from(change) {
                    Upper::File(stat) => Some(stat),
                    Upper::Removed => None,
                });
                let mode = Modes::Executable.apply(mode, like.as_ref());
                Some(Fingerprint::file(digest, bytes, mode))
            }
        };
        Ok(if content == state { Proven::Unchanged } else { Proven::From(content) })
    }

    /// Only the start of a view is recorded.
    fn is_edited(&self, _: &RelPath, _: Option<&Stat>) -> bool {
        false
    }
}

/// Whether what is at the path now was there at `time`: it has not changed since, and neither has a
/// directory on the way, which could have been exchanged for another one.
fn is_older(
    root: BorrowedFd<'_>,
    path: &[u8],
    lower: Option<&Stat>,
    time: Timestamp,
) -> Result<bool> {
    let is_older = |stat: &Stat| stat.changed.later_by(TICK_NANOS) < time;
    if lower.is_some_and(|lower| !is_older(lower)) {
        return Ok(false);
    }
    // Where nothing is at the path, the nearest directory shows whether something was. The root
    // holds names as others do, but nothing takes its place.
    let mut is_found = lower.is_some();
    for above in directories_above(path) {
        let stat = stat_beneath(root, above);
        match stat.map_err(failed("read", &path_of(above)))? {
            Some(stat) if !is_older(&stat) => return Ok(false),
            Some(stat) => is_found |= stat.kind == Kind::Directory,
            None if is_found => return Ok(false),
            None => {}
        }
    }
    if is_found {
        return Ok(true);
    }
    let root = walk::stat_of(root).map_err(failed("read", &path_of(b".")))?;
    Ok(is_older(&root))
}

fn path_of(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

/// The status by which the store recognises what is in the workspace.
fn stamp(stat: &Stat) -> FileStamp {
    let ns =
        |at: Timestamp| at.seconds.saturating_mul(1_000_000_000).saturating_add(at.nanos.into());
    FileStamp {
        inode: stat.inode,
        bytes: stat.size,
        modified_ns: ns(stat.modified),
        changed_ns: ns(stat.changed),
    }
}
