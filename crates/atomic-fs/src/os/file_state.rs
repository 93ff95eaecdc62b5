//! What a name holds: a file's content and status, a link's target, or something else.

use crate::conflict::{Conflict, Difference};
use crate::content::{Content, Digest, EntryKind, Fingerprint};
use crate::os::disk::{FileKind, Stat};
use crate::rel_path::RelPath;

/// What a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    Absent,
    /// A regular file, or a symbolic link, whose target is its content.
    File {
        stat: Stat,
        digest: Digest,
    },
    /// A directory, a device.
    Other(FileKind),
}

impl FileState {
    pub(crate) fn matches(&self, fingerprint: &Fingerprint) -> bool {
        self.difference(fingerprint).is_none()
    }

    /// Whether it is the very file that a unit's slot was, with its content.
    pub(crate) fn is_arrived(&self, staged: &Fingerprint, stamp: i64) -> bool {
        self.matches(staged) && self.is_of_set(staged, stamp)
    }

    /// The same whatever its mode: some file systems keep none.
    pub(crate) fn is_of_set(&self, staged: &Fingerprint, stamp: i64) -> bool {
        matches!(self, Self::File { stat, .. } if self.content() == Some(staged.content())
            && has_stamp(stat.modified_ns, stamp))
    }

    /// Refuses a state that is not the one expected of the file at a path.
    pub(crate) fn check(&self, path: &RelPath, base: &Fingerprint) -> Result<(), Conflict> {
        match self.difference(base) {
            None => Ok(()),
            Some(difference) => Err(Conflict::at(path, difference)),
        }
    }

    /// In what it differs from a file's expected state.
    pub(crate) fn difference(&self, base: &Fingerprint) -> Option<Difference> {
        match self {
            Self::Absent => Some(Difference::Missing),
            Self::Other(_) => Some(Difference::Kind),
            Self::File { stat, .. } if EntryKind::of(stat.kind) != Some(base.kind()) => {
                Some(Difference::Kind)
            }
            Self::File { digest, .. } if *digest != base.digest => Some(Difference::Content),
            // A link's permission bits mean nothing, and differ between systems.
            Self::File { stat, .. } if base.kind() == EntryKind::File && stat.mode != base.mode => {
                Some(Difference::Mode)
            }
            Self::File { .. } => None,
        }
    }

    /// What it holds, whatever its metadata.
    pub(crate) fn content(&self) -> Option<Content> {
        match self {
            Self::File { stat, digest } => Some((EntryKind::of(stat.kind)?, *digest)),
            _ => None,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        *self == Self::Other(FileKind::Directory)
    }

    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::File { stat, .. } => Some(stat.bytes),
            _ => None,
        }
    }

    pub(crate) fn inode(&self) -> Option<(u64, u64)> {
        match self {
            Self::File { stat, .. } => Some(stat.identity()),
            _ => None,
        }
    }
}

/// The stamp of a slot whose journal is lost.
pub(crate) const UNKNOWN_STAMP: i64 = i64::MIN;

/// Whether a time of modification is this one, as exactly as some file system may keep it: NTFS
/// in steps of 100 ns, others of 1 us, 1 ms, 1 s, and FAT of 2 s.
pub(crate) fn has_stamp(modified_ns: i64, stamp: i64) -> bool {
    // Nothing but the lost journal could tell the set's own file.
    if stamp == UNKNOWN_STAMP {
        return true;
    }
    const STEPS_NS: [i64; 6] = [1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000];
    STEPS_NS.iter().any(|step| modified_ns == stamp - stamp.rem_euclid(*step))
}
