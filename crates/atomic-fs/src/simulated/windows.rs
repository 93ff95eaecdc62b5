//! What is different where [`Renames::Windows`] is the file system's.
//!
//! From the documentation of `ReplaceFileW`, `CreateFileW` and NTFS, and from what was seen under
//! Wine; no Windows was asked. Where the two leave room, the disk does the worse.
//!
//! * A replacement is two calls, and two records of the log: the old file gets its new name, and
//!   the slot its place. A user, a fault or a crash can come between, and the name that the old
//!   file gets is overwritten if somebody has it.
//! * A file that somebody has open without sharing deletion keeps its name. One that is open for
//!   writing cannot be guarded, and a writer of a guarded one is refused at once.
//! * A mode is the read-only attribute. A file that has it is not replaced, and cannot be opened
//!   to be written to or flushed: its attributes can be written through, its content not.
//! * The access control list of what is replaced goes over to what replaces it, whatever was
//!   there before.

use std::io;

use rustix::io::Errno;

use super::call::{CallKind, Fault, Renames};
use super::disk::SimulatedDisk;
use super::effect::{Alteration, Inode};
use super::image::Body;
use super::kernel::Inner;
use super::log::Entry;
use super::sharing::{OpenByUser, Sharing};
use super::user::World;

/// The attribute that stands for an access control list.
pub const ACCESS_LIST: &[u8] = b"access list";

const WRITABLE: u32 = 0o644;
const READ_ONLY: u32 = 0o444;
const OWNER_WRITES: u32 = 0o200;

impl Inner {
    pub(super) fn is_windows(&self) -> bool {
        self.renames == Renames::Windows
    }

    pub(super) fn kept_mode(&self, mode: u32) -> u32 {
        match self.is_windows() {
            false => mode,
            true if mode & OWNER_WRITES == 0 => READ_ONLY,
            true => WRITABLE,
        }
    }

    pub(super) fn is_read_only(&self, inode: Inode) -> bool {
        let node = self.image.node(inode);
        let is_file = matches!(node.body, Body::File { .. });
        self.is_windows() && is_file && node.mode & OWNER_WRITES == 0
    }

    /// Whether a file may be renamed and removed: a sharing violation else.
    pub(super) fn check_movable(&self, inode: Inode) -> Result<(), Errno> {
        let is_held = self.held.iter().any(|held| held.inode == inode);
        if is_held { Err(Errno::BUSY) } else { Ok(()) }
    }

    /// Whether a file may go because another takes its name: nobody may have it open at all.
    pub(super) fn check_replaceable(&self, inode: Inode) -> Result<(), Errno> {
        self.check_movable(inode)?;
        let is_open = self.is_windows() && self.writers.contains(&inode);
        if is_open { Err(Errno::ACCESS) } else { Ok(()) }
    }

    pub(super) fn check_readable(&self, inode: Inode) -> Result<(), Errno> {
        let shuts = |held: &OpenByUser| held.inode == inode && held.sharing == Sharing::Nothing;
        if self.held.iter().any(shuts) { Err(Errno::BUSY) } else { Ok(()) }
    }

    /// Whether a file may be opened to be written to, which a flush takes as well.
    pub(super) fn check_writable(&self, inode: Inode) -> Result<(), Errno> {
        if self.is_read_only(inode) {
            return Err(Errno::ACCESS);
        }
        let forbids = |held: &OpenByUser| held.inode == inode && held.sharing != Sharing::Reading;
        if self.held.iter().any(forbids) { Err(Errno::BUSY) } else { Ok(()) }
    }

    /// Whether a user has it open for writing, so that nobody can hold writers off.
    pub(super) fn is_shut(&self, inode: Inode) -> bool {
        self.held.iter().any(|held| held.inode == inode && held.sharing != Sharing::Reading)
    }

    /// Whether a user's write is refused because the file is in use, or read-only.
    pub(super) fn refuses_to_be_written(&self, inode: Inode) -> bool {
        let is_guarded = self.leases.iter().any(|lease| lease.inode == inode);
        self.is_windows() && (is_guarded || self.check_writable(inode).is_err())
    }

    /// Writes a file's attributes through, and nothing of its content.
    pub(super) fn sync_attributes(
        &mut self,
        inode: Inode,
        fault: Option<Fault>,
    ) -> Result<(), Errno> {
        if let Some(Fault::SyncDrops(errno)) = fault {
            return Err(Errno::from_raw_os_error(errno));
        }
        self.log.entries.push(Entry::SyncedAttributes(inode));
        self.unpassed = true;
        Ok(())
    }

    /// Gives what replaces a file the access control list of what is replaced.
    fn hand_over_access_list(&mut self, from: Inode, to: Inode) {
        let value = self.image.node(from).attributes.get(ACCESS_LIST).cloned();
        if self.image.node(to).attributes.get(ACCESS_LIST) != value.as_ref() {
            self.altered(to, Alteration::Attribute { name: ACCESS_LIST.to_vec(), value });
        }
    }
}

impl SimulatedDisk {
    /// `ReplaceFileW`. Without a name in `aside` it is the call without a backup.
    pub(super) fn replace_in_steps(
        &self,
        dir: Inode,
        target: &[u8],
        slot: &[u8],
        aside: &[u8],
    ) -> io::Result<()> {
        if !self.lock().is_windows() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let goes_on = self.call(
            CallKind::ReplaceAway,
            |inner| format!("{} -> {}", inner.describe(dir, target), inner.describe(dir, aside)),
            |inner, fault| {
                if fault == Some(Fault::Pretends) {
                    return Ok(false);
                }
                let (old, new) = (inner.find(dir, target)?, inner.find(dir, slot)?);
                if inner.is_dir(old) || inner.is_dir(new) {
                    return Err(Errno::ACCESS);
                }
                // The call would say that access is denied; so it is not made.
                if inner.is_read_only(old) || inner.is_read_only(new) {
                    return Err(Errno::OPNOTSUPP);
                }
                inner.check_movable(old)?;
                inner.check_movable(new)?;
                inner.hand_over_access_list(old, new);
                if aside.is_empty() {
                    inner.assign(vec![(dir, target, None)]);
                    return Ok(true);
                }
                if let Some(stale) = inner.image.child(dir, aside) {
                    inner.check_replaceable(stale)?;
                }
                inner.fresh.remove(&old);
                inner.assign(vec![(dir, target, None), (dir, aside, Some(old))]);
                Ok(true)
            },
        )?;
        if !goes_on {
            return Ok(());
        }
        self.call(
            CallKind::ReplaceArrive,
            |inner| format!("{} -> {}", inner.describe(dir, slot), inner.describe(dir, target)),
            |inner, fault| {
                if fault == Some(Fault::Pretends) {
                    return Ok(());
                }
                let new = inner.find(dir, slot)?;
                if inner.image.child(dir, target).is_some() {
                    return Err(Errno::EXIST);
                }
                inner.check_movable(new)?;
                inner.fresh.remove(&new);
                inner.assign(vec![(dir, slot, None), (dir, target, Some(new))]);
                Ok(())
            },
        )
    }
}

impl World<'_> {
    /// Whether it is a disk of Windows, whose users hold files open in ways of their own.
    pub fn is_windows(&self) -> bool {
        self.inner.is_windows()
    }

    /// Opens the file and lets others do little with it; `None` where there is none, or where
    /// it is guarded and was to be written to.
    pub fn hold_open(&mut self, path: &[u8], sharing: Sharing) -> Option<Inode> {
        let inode = self.inner.image.lookup(path)?;
        if !matches!(self.inner.image.node(inode).body, Body::File { .. })
            || (sharing != Sharing::Reading && self.inner.refuses_to_be_written(inode))
        {
            return None;
        }
        self.inner.held.push(OpenByUser { inode, sharing });
        Some(inode)
    }

    /// Closes a file that [`Self::hold_open`] opened.
    pub fn let_go(&mut self, inode: Inode) {
        if let Some(at) = self.inner.held.iter().position(|held| held.inode == inode) {
            self.inner.held.remove(at);
        }
    }
}
