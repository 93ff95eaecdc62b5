//! A command in a view of its own, and what it wrote there.
//!
//! On Linux a command can run in an overlay of the workspace: it sees the workspace at its own
//! path, as the same user, and what it writes goes to an *upper* directory instead. This needs no
//! root and no daemon.
//!
//! 1. [`survey`](survey()) records what the workspace is before the command starts: [`Snapshot`].
//! 2. [`View::start`] makes the view by a process of its own, the *keeper*, whose program calls
//!    [`keep`]. [`View::run`] starts the command in it, [`View::wait`] waits for its end,
//!    [`View::stop`] ends what it left running. [`Foreground`] is for commands that have the
//!    terminal.
//! 3. [`read_upper`] reads the upper directory, and [`Changes::new`] turns its entries into
//!    changes of files, links and directories.
//! 4. [`Evidence::verdict`] decides for each change whether it is proven what it was made from.
//!    `/proc/KEEPER/root` leads into the view while it lives.
//!
//! [`SessionCapture`] does all of this for a session: it keeps the snapshot and the ignore rules
//! ([`Rules`]) beside the upper directory, and stages what has changed since the last import. It also
//! stages what a [`Copy`](struct@Copy) of the workspace has changed, or an overlay of another program.
//! [`Plan::git`] names repositories outside of the workspace, whose writes stay in the session as well.
//! [`Trial`] is a view of what is pending, whose writes are thrown away. [`probe`] finds out whether a
//! machine allows a view.
//!
//! # What a command cannot do
//!
//! It cannot reach the workspace below the overlay: not by unmounting, by namespaces of its own, by
//! another mount of the same files, by a descriptor that it inherits, or by `/proc`. It cannot read
//! or write what [`Plan::masks`] names, and cannot type into its terminal.
//!
//! # Limitations
//!
//! - A view captures, it does not confine: other places are real unless [`Plan::confine`] says
//!   otherwise. A file of the workspace that has
//!   another hard link outside is written through that; a daemon that the command can talk to acts
//!   outside. Root can write to the disk's device.
//! - A mount that root makes of the workspace while the view lives leads to the real files.
//! - Nothing can be mounted below the workspace, and files of other users and groups can be read but
//!   not written. A directory of the workspace cannot be renamed in one step (`EXDEV`).
//! - Where the machine allows no view, a command works in a copy at another path:
//!   [`View::work_in_copy`] and [`SessionCapture::renew_working_copy`]. Landlock keeps it from the workspace then,
//!   and does not refuse changes of modes, owners, times and attributes.
//! - Git's index is not read: the caller says which files it tracks although a rule ignores them.
//! - What touches the file system exists on Linux only; the rest is the same everywhere.

#[cfg(target_os = "linux")]
mod bases;
#[cfg(target_os = "linux")]
mod beneath;
mod bytes;
#[cfg(target_os = "linux")]
mod carried;
mod changes;
#[cfg(target_os = "linux")]
mod copies;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod foreground;
#[cfg(target_os = "linux")]
mod foreign_upper;
#[cfg(target_os = "linux")]
mod held_git;
#[cfg(target_os = "linux")]
mod hidden;
#[cfg(target_os = "linux")]
mod import;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod last_view;
#[cfg(target_os = "linux")]
mod layer;
#[cfg(target_os = "linux")]
mod layer_size;
#[cfg(target_os = "linux")]
mod leaving;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod made;
#[cfg(target_os = "linux")]
mod mirror;
#[cfg(target_os = "linux")]
mod patch_layer;
mod paths;
#[cfg(target_os = "linux")]
mod pending;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod prepare;
#[cfg(target_os = "linux")]
mod private_files;
#[cfg(target_os = "linux")]
mod private_git;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod real_tree;
#[cfg(target_os = "linux")]
mod renew;
#[cfg(target_os = "linux")]
mod repository;
mod rules;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
mod signals;
mod snapshot;
mod stat;
#[cfg(target_os = "linux")]
mod survey;
#[cfg(target_os = "linux")]
mod taken;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
mod trial;
#[cfg(target_os = "linux")]
mod upper;
#[cfg(target_os = "linux")]
mod upper_read;
mod verdict;
#[cfg(target_os = "linux")]
mod view;
#[cfg(target_os = "linux")]
mod walk;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(target_os = "linux")]
mod wire;
#[cfg(target_os = "linux")]
mod working_copy;

#[cfg(target_os = "linux")]
pub use bases::{Committed, ReadCommitted};
pub use bytes::Bytes;
pub use changes::{Change, Changes, Entry, EntryKind, NotProposed, Origin};
#[cfg(target_os = "linux")]
pub use copies::{Copy, CopyKind};
#[cfg(target_os = "linux")]
pub use error::CaptureError;
#[cfg(target_os = "linux")]
pub use foreground::Foreground;
#[cfg(target_os = "linux")]
pub use keeper::{INSIDE, can_guard, can_scope, keep};
#[cfg(target_os = "linux")]
pub use layer_size::LayerSize;
#[cfg(target_os = "linux")]
pub use plan::{
    Confine, Confined, CopyPlan, Failure, GitWrites, Guard, HeldGit, Network, Plan, Step,
};
#[cfg(target_os = "linux")]
pub use prepare::Beginning;
#[cfg(target_os = "linux")]
pub use private_files::PrivateFiles;
#[cfg(target_os = "linux")]
pub use private_git::PrivateRefs;
#[cfg(target_os = "linux")]
pub use probe::{Machine, Obstacle, Remedy, probe};
#[cfg(target_os = "linux")]
pub use processes::{Identity, MARK, Process, end_descendants, survivors};
#[cfg(target_os = "linux")]
pub use real_tree::Difference;
#[cfg(target_os = "linux")]
pub use renew::Again;
#[cfg(target_os = "linux")]
pub use repository::Repository;
pub use rules::{Private, ReadFile, Rules, glob_mistake};
#[cfg(target_os = "linux")]
pub use session::{Report, SessionCapture, import_all};
pub use snapshot::{FormatError, Snapshot};
pub use stat::{Kind, Stat, TICK_NANOS, Timestamp};
#[cfg(target_os = "linux")]
pub use survey::{Survey, survey};
#[cfg(target_os = "linux")]
pub use taken::Taken;
#[cfg(target_os = "linux")]
pub use trial::Trial;
#[cfg(target_os = "linux")]
pub use upper::read_upper;
pub use verdict::{Above, Clocks, Evidence, Upper, Verdict};
#[cfg(target_os = "linux")]
pub use view::{View, ViewError};
#[cfg(target_os = "linux")]
pub use watch::Watch;
#[cfg(target_os = "linux")]
pub use wire::Exit;
