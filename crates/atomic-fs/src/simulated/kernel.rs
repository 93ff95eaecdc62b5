//! What a simulated disk is in the middle of, and how its calls change that.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustix::io::Errno;

use super::call::{Fault, Renames, Step};
use super::effect::{Alteration, Assignment, Effect, Inode, Name};
use super::image::{Body, Image, Node};
use super::log::{CHUNK_BYTES, Entry, Log};
use super::sharing::OpenByUser;
use crate::os::disk::{FileKind, Stat};

#[derive(Default)]
pub(super) struct Inner {
    pub image: Image,
    pub log: Log,
    pub steps: Vec<Step>,
    pub leases: Vec<LeaseState>,
    pub writers: Vec<Inode>,
    /// Files that a user has open on Windows without letting anybody rename them.
    pub held: Vec<OpenByUser>,
    pub next_handle: u64,
    pub stamps: i64,
    pub has_leases: bool,
    pub renames: Renames,
    pub describes: bool,
    pub died: bool,
    /// Syncs have returned since the last [`Entry::Passed`].
    pub unpassed: bool,
    /// Files that nothing but their creator knows yet.
    pub fresh: BTreeSet<Inode>,
    /// Files that were created since then and not synced.
    pub new_in_phase: BTreeSet<Inode>,
    /// Directories that this process has locked, and those that another one has.
    pub locked: BTreeSet<Inode>,
    pub locked_by_other: BTreeSet<Inode>,
}

pub(super) struct LeaseState {
    pub handle: u64,
    pub inode: Inode,
    pub broken: bool,
}
impl Inner {
    pub(super) fn pass(&mut self) {
        self.new_in_phase.clear();
        if std::mem::take(&mut self.unpassed) {
            self.log.entries.push(Entry::Passed);
        }
    }

    pub(super) fn change(&mut self, effect: Effect, by_user: bool, after: Option<usize>) {
        self.image.apply(&effect);
        self.log.entries.push(Entry::Changed { effect, by_user, after });
    }

    pub(super) fn changed(&mut self, effect: Effect) {
        self.change(effect, false, None);
    }

    pub(super) fn altered(&mut self, inode: Inode, alteration: Alteration) {
        self.changed(Effect::Altered(inode, alteration));
    }

    pub(super) fn assign(&mut self, assignments: Vec<(Inode, &[u8], Option<Inode>)>) {
        let effect = Effect::Names(
            assignments
                .into_iter()
                .map(|(dir, name, inode)| Assignment { dir, name: Name::from(name), inode })
                .collect(),
        );
        self.changed(effect);
    }

    /// Different every time, and the same in every run.
    pub(super) fn new_stamp(&mut self) -> i64 {
        const FIRST: i64 = 1_234_567_891_234_567_800;
        self.stamps += 1;
        FIRST + self.stamps
    }

    pub(super) fn born(&mut self, node: Node) -> Inode {
        let node = Arc::new(node);
        self.log.born.push(node.clone());
        self.image.push(node)
    }

    /// Makes an inode for a name that is free, of the device that the directory lies on.
    pub(super) fn make(
        &mut self,
        dir: Inode,
        name: &[u8],
        node: impl FnOnce(u64) -> Node,
    ) -> Result<Inode, Errno> {
        if self.image.child(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        self.check_alive(dir)?;
        let inode = self.born(node(self.image.node(dir).device));
        self.assign(vec![(dir, name, Some(inode))]);
        Ok(inode)
    }

    pub(super) fn write(&mut self, inode: Inode, content: &[u8], offset: u64, by_user: bool) {
        let mut at = offset;
        let mut rest = content;
        while !rest.is_empty() {
            let room = CHUNK_BYTES - usize::try_from(at).expect("small") % CHUNK_BYTES;
            let (chunk, later) = rest.split_at(rest.len().min(room));
            let piece = Alteration::Data { offset: at, content: chunk.into() };
            self.change(Effect::Altered(inode, piece), by_user, None);
            at += chunk.len() as u64;
            rest = later;
        }
        if at > self.size(inode) {
            self.change(Effect::Altered(inode, Alteration::Size(at)), by_user, None);
        }
    }

    pub(super) fn size(&self, inode: Inode) -> u64 {
        match &self.image.node(inode).body {
            Body::File { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    pub(super) fn find(&self, dir: Inode, name: &[u8]) -> Result<Inode, Errno> {
        self.image.child(dir, name).ok_or(Errno::NOENT)
    }

    /// Nothing can come to be in a directory that was removed.
    pub(super) fn check_alive(&self, dir: Inode) -> Result<(), Errno> {
        if dir == 0 || self.image.links(dir) > 0 { Ok(()) } else { Err(Errno::NOENT) }
    }

    pub(super) fn is_dir(&self, inode: Inode) -> bool {
        matches!(self.image.node(inode).body, Body::Directory(_))
    }

    pub(super) fn regular(&self, inode: Inode) -> Result<(), Errno> {
        match self.image.node(inode).body {
            Body::File { .. } => Ok(()),
            Body::Directory(_) => Err(Errno::ISDIR),
            Body::Symlink(_) => Err(Errno::LOOP),
        }
    }

    pub(super) fn stat(&self, inode: Inode) -> Stat {
        let node = self.image.node(inode);
        let (kind, bytes) = match &node.body {
            Body::File { bytes, .. } => (FileKind::Regular, *bytes),
            Body::Directory(_) => (FileKind::Directory, 0),
            Body::Symlink(target) => (FileKind::Symlink, target.len() as u64),
        };
        Stat {
            kind,
            mode: node.mode,
            bytes,
            uid: node.owner.0,
            gid: node.owner.1,
            device: node.device,
            inode: u64::from(inode),
            links: self.image.links(inode),
            modified_ns: node.modified_ns,
            changed_ns: 0,
        }
    }

    pub(super) fn describe(&self, dir: Inode, name: &[u8]) -> String {
        let path = self.image.path_of(dir);
        let name = crate::rel_path::escape_bytes(name);
        if path.is_empty() { name } else { format!("{path}/{name}") }
    }

    pub(super) fn is_below(&self, dir: Inode, ancestor: Inode) -> bool {
        let mut found = false;
        self.image.walk(ancestor, &mut |_, inode, _| found |= inode == dir);
        found || dir == ancestor
    }

    pub(super) fn rename(
        &mut self,
        (from_dir, from): (Inode, &[u8]),
        (to_dir, to): (Inode, &[u8]),
        replaces: bool,
    ) -> Result<(), Errno> {
        if self.image.node(from_dir).device != self.image.node(to_dir).device {
            return Err(Errno::XDEV);
        }
        let moving = self.find(from_dir, from)?;
        let there = self.image.child(to_dir, to);
        if there.is_some() && !replaces {
            return Err(Errno::EXIST);
        }
        if self.is_dir(moving) && self.is_below(to_dir, moving) {
            return Err(Errno::INVAL);
        }
        if there.is_some_and(|there| self.is_dir(there) && self.is_below(from_dir, there)) {
            return Err(Errno::NOTEMPTY);
        }
        match there {
            // Two names of one file: rename(2) does nothing, and says that it did.
            Some(there) if there == moving => return Ok(()),
            Some(there) if self.is_dir(there) && !self.is_dir(moving) => return Err(Errno::ISDIR),
            Some(there) if !self.is_dir(there) && self.is_dir(moving) => return Err(Errno::NOTDIR),
            Some(there) if self.image.names(there).is_some_and(|names| !names.is_empty()) => {
                return Err(Errno::NOTEMPTY);
            }
            _ if !replaces && self.renames == Renames::Plain => return Err(Errno::INVAL),
            _ => {}
        }
        self.check_alive(to_dir)?;
        self.check_movable(moving)?;
        if let Some(there) = there {
            self.check_replaceable(there)?;
        }
        self.fresh.remove(&moving);
        if from_dir == to_dir {
            self.assign(vec![(from_dir, from, None), (to_dir, to, Some(moving))]);
            return Ok(());
        }
        self.assign(vec![(to_dir, to, Some(moving))]);
        let coming = self.log.entries.len() - 1;
        let going = Assignment { dir: from_dir, name: Name::from(from), inode: None };
        self.change(Effect::Names(vec![going]), false, Some(coming));
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: Inode, fault: Option<Fault>) -> Result<(), Errno> {
        if let Some(Fault::SyncDrops(errno)) = fault {
            if !self.is_dir(inode) {
                self.drop_unsynced(inode);
            }
            return Err(Errno::from_raw_os_error(errno));
        }
        let entry = if self.is_dir(inode) { Entry::SyncedDir } else { Entry::SyncedFile };
        self.log.entries.push(entry(inode));
        self.new_in_phase.remove(&inode);
        self.unpassed = true;
        Ok(())
    }

    /// Forgets a file's unsynced content, in memory too.
    pub(super) fn drop_unsynced(&mut self, inode: Inode) {
        self.log.entries.push(Entry::Dropped(inode));
        let end = self.log.entries.len();
        let dropped = self.log.dropped(end);
        let mut node = (**self.log.first_state(inode)).clone();
        for (entry, dropped) in self.log.entries.iter().zip(dropped) {
            if let Entry::Changed { effect, .. } = entry
                && effect.inode() == Some(inode)
                && !dropped
            {
                node.apply(effect);
            }
        }
        self.image.replace(inode, Arc::new(node));
    }
}
