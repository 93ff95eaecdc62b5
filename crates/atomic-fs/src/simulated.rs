//! A disk that loses power, dies, fails and is written to by a user, on demand.
//!
//! [`SimulatedDisk`] keeps a tree of inodes in memory and behaves like
//! [`PosixDisk`](crate::PosixDisk) on a Linux file system in memory, call for call and
//! error for error. What it adds is a [`Log`] of everything that happened, in effects
//! smaller than a call: a rename between directories is a name that comes and a name
//! that goes, a write is a piece of content and a length. From the log,
//! [`Crashes`] makes every tree that a crash at any point may
//! leave under a [`Persistence`] model. Whoever stands at its calls (a [`Bystander`])
//! can fail them, cut them short, or change the tree as a user would. It can also be a disk
//! that behaves as [`WindowsDisk`](crate::Disk) is documented to ([`Renames::Windows`]).
//!
//! # Limitations
//! Renames within a directory are atomic, as they are on every journalling file system;
//! a rename between two directories may show both names after a power cut, never
//! neither. Two changes of one name reach the disk in the order in which they were made, but in
//! the weak model.
//! Inode numbers are never given out twice.

mod call;
mod calls;
mod disk;
mod effect;
mod image;
mod kernel;
mod log;
mod other;
mod persistence;
mod random;
mod sharing;
mod user;
mod windows;

pub use call::{CallKind, Fault, Renames, Step};
pub use disk::{Bystander, SimulatedDir, SimulatedDisk, SimulatedFile};
pub use effect::{Alteration, Assignment, Effect, Inode, Name};
pub use image::{Body, Image, Node, new_hasher};
pub use log::{Answer, Entry, Log, Saved};
pub use persistence::{
    Choice, Crashes, Part, Persistence, State, StateCap, boundaries, materialise,
};
pub use random::Random;
pub use sharing::Sharing;
pub use user::{Instead, World};
pub use windows::ACCESS_LIST;
