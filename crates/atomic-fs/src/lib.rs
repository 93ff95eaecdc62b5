//! Crash-proof change sets: the only crate of Greenroom that writes into a
//! workspace.
//!
//! # Map
//! A [`ChangeSet`] is checked and planned into an intent, its new content is written
//! into slots beside the targets, everything is synced (barrier 1), swapped and
//! verified, and the directories are synced (barrier 2); only then comes the answer.
//! Read `apply.rs` first, then `apply/swap.rs`, then `recovery/recover.rs`. `os/disk.rs` is the
//! seam to the file system; `fallback/` is for file systems that cannot exchange two names.
//!
//! # Durability
//! When [`Workspace::apply`] answers [`Outcome::Committed`], the whole set survives a
//! power cut; when it answers `Conflicts` or `RolledBack`, nothing has changed, and
//! that survives one too. A process killed in between leaves a journal, by which
//! [`Workspace::recover`] finishes or undoes the set.
//!
//! # Limitations
//! A set is crash-atomic, not isolated: another process can see some of its files
//! swapped before others. A process that holds a file open for writing is found by a
//! read lease on Linux, and the set is refused as busy. Where there are no leases, what
//! such a process writes after the file was displaced and verified goes into the
//! displaced file; what it wrote by the time the slot is removed is kept in
//! `conflicts/`.
#![deny(missing_docs)]

mod apply;
mod beneath;
mod case_fold;
mod change_set;
mod conflict;
mod content;
mod contradiction;
mod display;
mod error;
mod fallback;
mod git_dirs;
mod git_facts;
mod holes;
mod locations;
mod options;
mod os;
mod outcome;
mod policy;
mod records;
mod recovery;
mod refusal;
mod rel_path;
#[cfg(all(unix, feature = "simulated"))]
pub mod simulated;
mod workspace;

pub use apply::slot_name::{is_slot_name, set_of_slot};
pub use beneath::Overlaid;
pub use case_fold::{folded_name, folded_stem, folds_alike};
pub use change_set::{Change, ChangeSet, EmptiedDirs, Expected, Operation};
pub use conflict::{Conflict, Difference};
pub use content::{ContentSource, Digest, DigestParseError, EntryKind, Fingerprint, HashingReader};
pub use contradiction::Contradiction;
pub use display::{
    escape_for_display, escape_json_line, escape_line_for_display, is_default_ignorable,
    is_invisible,
};
pub use error::{FsError, FsErrorKind};
pub use holes::data_runs;
pub use locations::Locations;
pub use options::Options;
pub use os::disk::{Carried, DirLock, Disk, Entry, FileKind, Lease, LinkLike, NameIn, Stat};
pub use os::lock::WorkspaceLock;
#[cfg(unix)]
pub use os::posix::PosixDisk;
#[cfg(windows)]
pub use os::windows::{WindowsDisk, WindowsFile};
pub use outcome::{Applied, Outcome, Unfinished};
pub use records::{RecordedSet, SetRecords, SlotNumbers};
pub use recovery::conflicts::DisplacedEdit;
pub use recovery::report::{Quarantined, Recovered, RecoveredOutcome, RecoveryReport};
pub use recovery::sweep::Swept;
pub use refusal::Refusal;
pub use rel_path::{NAME_BYTES_MAX, PATH_BYTES_MAX, PathError, RelPath, escape_bytes, escape_path};
pub use workspace::read::OpenFile;
pub use workspace::{LOCK_FILE, SystemDisk, Workspace};
