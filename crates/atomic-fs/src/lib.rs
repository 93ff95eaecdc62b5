//! Crash-proof change sets: the only crate of Greenroom that writes into a
//! workspace.
//!
//! # Map
//! A [`ChangeSet`] is checked and planned into an intent, its new content is written
//! into slots beside the targets, everything is synced (barrier 1), swapped and
//! verified, and the directories are synced (barrier 2); only then comes the answer.
//! Read `apply.rs` first, then `swap.rs`, then `recover.rs`. `disk.rs` is the seam to
//! the file system.
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
mod change_set;
mod clear_dir;
mod conflicts;
mod content;
mod dir_locks;
mod disk;
mod display;
mod error;
mod folding;
mod git_dirs;
mod ground;
mod holes;
mod inspect;
mod intent;
mod journal;
mod lock;
mod lookup;
mod move_aside;
#[cfg(feature = "mutants")]
pub mod mutants;
#[cfg(not(feature = "mutants"))]
mod mutants;
mod parallel;
mod plan;
mod policy;
#[cfg(unix)]
mod posix;
mod records;
mod recover;
mod rel_path;
mod removed_dirs;
mod restore;
mod sequence;
#[cfg(all(unix, feature = "simulated"))]
pub mod simulated;
mod slot;
mod spellings;
mod swap;
mod sweep;
mod take_back;
mod tidy;
#[cfg(windows)]
mod windows;
#[cfg(any(windows, test))]
#[path = "windows/names.rs"]
mod windows_names;
mod workspace;

pub use apply::{Applied, Outcome, Unfinished};
pub use beneath::Overlaid;
pub use change_set::{Change, ChangeSet, EmptiedDirs, Expected, Operation};
pub use conflicts::Kept;
pub use content::{
    ContentKind, ContentSource, Digest, DigestParseError, Fingerprint, SYMLINK_MODE,
};
pub use disk::{Carried, DirLock, Disk, Entry, FileKind, Lease, LinkLike, Stat};
pub use display::{
    escape_for_display, escape_json_line, escape_line_for_display, is_default_ignorable,
    is_invisible,
};
pub use error::{Conflict, Difference, FsError, PathError, Refusal};
pub use folding::{folded_name, folded_stem, folds_alike};
pub use holes::data_runs;
pub use intent::{is_slot_name, set_of_slot};
pub use lock::WorkspaceLock;
pub use policy::Options;
#[cfg(unix)]
pub use posix::PosixDisk;
pub use records::{RecordedSet, SetRecords, SlotNumbers};
pub use recover::{Quarantined, Recovered, RecoveredOutcome, RecoveryReport};
pub use rel_path::{NAME_BYTES_MAX, PATH_BYTES_MAX, RelPath, escape, escape_path};
pub use sweep::Swept;
#[cfg(windows)]
pub use windows::{WindowsDisk, WindowsFile};
pub use workspace::{LOCK_FILE, OpenFile, Places, SystemDisk, Workspace};
