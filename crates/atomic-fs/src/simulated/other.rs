//! Another process at the same disk, between two calls of the one that is watched.

use super::disk::SimulatedDisk;
use super::effect::{Assignment, Effect, Inode, Name};
use super::image::Node;
use super::log::{Answer, Entry};
use super::user::World;

impl World<'_> {
    /// Lets another process work on the disk until it ends, or dies by a
    /// [`Fault::Dies`](super::Fault) of its own, before the watched process makes its next call.
    ///
    /// Nothing of what it does is durable unless it syncs it. It sees who writes to which file, and
    /// the leases of the watched process hold nobody off who only reads and renames.
    pub fn beside<T>(&mut self, other: impl FnOnce(&SimulatedDisk) -> T) -> T {
        let disk = SimulatedDisk::new(self.inner.image.clone()).with_renames(self.inner.renames);
        {
            let mut theirs = disk.lock();
            theirs.has_leases = self.inner.has_leases;
            theirs.stamps = self.inner.stamps;
            theirs.writers.clone_from(&self.inner.writers);
            // With the process that has died its locks are gone, too.
            theirs.locked_by_other.clone_from(&self.inner.locked);
        }
        let answer = other(&disk);
        let mut theirs = disk.lock();
        let shift = self.inner.log.entries.len();
        let entries = std::mem::take(&mut theirs.log.entries).into_iter().map(|mut entry| {
            if let Entry::Changed { after: Some(coming), .. } = &mut entry {
                *coming += shift;
            }
            entry
        });
        self.inner.log.entries.extend(entries);
        self.inner.log.born.append(&mut theirs.log.born);
        self.inner.image = theirs.image.clone();
        self.inner.stamps = theirs.stamps;
        self.inner.unpassed |= theirs.unpassed;
        answer
    }

    /// Notes what the other process was answered; `None` when it died before that.
    pub fn other_ended(&mut self, answer: Option<Answer>) {
        self.inner.pass();
        self.inner.log.entries.push(Entry::OtherEnded(answer));
    }
}

impl SimulatedDisk {
    /// Adds an empty file by somebody else, durably: what a caller has on record.
    pub fn remember(&self, dir: Inode, name: &[u8]) {
        let mut inner = self.lock();
        if inner.image.child(dir, name).is_none() {
            let device = inner.image.node(dir).device;
            let inode = inner.born(Node::file(0o600, device));
            let assignment = Assignment { dir, name: Name::from(name), inode: Some(inode) };
            inner.change(Effect::Names(vec![assignment]), true, None);
        }
    }

    /// As [`World::other_ended`], by a process that is itself the watched one.
    pub fn other_ended(&self, answer: Option<Answer>) {
        let mut inner = self.lock();
        inner.pass();
        inner.log.entries.push(Entry::OtherEnded(answer));
    }
}
