//! A user at the same disk, who saves, removes and changes modes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::effect::{Alteration, Assignment, Effect, Inode, Name};
use super::image::{Body, Image, Node};
use super::kernel::Inner;
use super::log::{Entry, Saved};

/// The disk as whoever stands at its calls can change it.
///
/// Paths are relative to the top of the simulated disk. What a user does is durable at
/// once: editors sync, and a save that is not yet durable is not yet promised to anybody.
pub struct World<'d> {
    pub(super) inner: &'d mut Inner,
}

/// What a user puts in the place of a directory that was moved away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instead {
    /// Nothing.
    Nothing,
    /// An empty directory.
    Directory,
    /// A symbolic link to where it is now.
    Symlink,
}

impl World<'_> {
    /// What is on the disk now.
    pub fn image(&self) -> &Image {
        &self.inner.image
    }

    /// Opens the file, truncates and writes it, or creates it. Where the file is leased,
    /// the user waits in `open` until the lease is gone, and writes then.
    pub fn save_in_place(&mut self, path: &[u8], content: &[u8]) {
        let Some(inode) = self.inner.image.lookup(path) else {
            return self.save_by_rename(path, content);
        };
        if !matches!(self.inner.image.node(inode).body, Body::File { .. }) {
            return;
        }
        if self.inner.refuses_to_be_written(inode) {
            return;
        }
        if self.breaks_lease(inode) {
            let over = self.inner.image.node(inode).content().map(Arc::from);
            let (path, content) = (path.to_vec(), content.into());
            self.inner.log.entries.push(Entry::Waiting { inode, path, content, over });
        } else {
            self.inner.write_as_user(inode, path, content, true);
        }
    }

    /// Writes a new file and renames it over the path, as most editors do.
    pub fn save_by_rename(&mut self, path: &[u8], content: &[u8]) {
        let Some((dir, name)) = self.inner.image.place_of(path) else { return };
        let old = self.inner.image.child(dir, name);
        if old.is_some_and(|old| self.inner.image.names(old).is_some()) {
            return;
        }
        let was = self.inner.file_at(path);
        let mode = old.map_or(0o644, |old| self.inner.image.node(old).mode);
        let device = self.inner.image.node(dir).device;
        let inode = self.inner.born(Node::file(mode, device));
        self.inner.write(inode, content, 0, true);
        self.inner.log.entries.extend(old.map(Entry::Disowned));
        self.name(dir, name, Some(inode));
        self.saved(path, Some(content), was);
    }

    /// Removes the file.
    pub fn remove(&mut self, path: &[u8]) {
        let Some((dir, name)) = self.inner.image.place_of(path) else { return };
        let there = self.inner.image.child(dir, name);
        if there.is_none_or(|inode| self.inner.image.names(inode).is_some()) {
            return;
        }
        let was = self.inner.file_at(path);
        self.inner.log.entries.extend(there.map(Entry::Disowned));
        self.name(dir, name, None);
        self.saved(path, None, was);
    }

    /// Changes the permission bits of a file; directories have none here.
    pub fn set_mode(&mut self, path: &[u8], mode: u32) {
        if let Some(inode) = self.inner.image.lookup(path)
            && matches!(self.inner.image.node(inode).body, Body::File { .. })
        {
            let mode = self.inner.kept_mode(mode);
            let was = self.inner.file_at(path);
            self.inner.change(Effect::Altered(inode, Alteration::Mode(mode)), true, None);
            let path = path.to_vec();
            let (content, over, mode) = (None, None, Some(mode));
            let saved = Saved { path, content, over, by_path: true, mode, was };
            self.inner.log.entries.push(Entry::Saved(saved));
        }
    }

    /// Renames a directory over nothing, and puts a new one, or a symlink to it, in its old place
    /// where asked to. Nothing happens where the names do not allow it.
    pub fn relocate(&mut self, from: &[u8], to: &[u8], instead: Instead) {
        let image = &self.inner.image;
        let (Some(moving), None) = (image.lookup(from), image.lookup(to)) else { return };
        let (Some((old, from_name)), Some((new, to_name))) =
            (image.place_of(from), image.place_of(to))
        else {
            return;
        };
        if self.inner.is_below(new, moving) {
            return;
        }
        let device = image.node(moving).device;
        self.name(new, to_name, Some(moving));
        self.name(old, from_name, None);
        let node = match instead {
            Instead::Nothing => None,
            Instead::Directory => Some(Node::directory(device)),
            Instead::Symlink => {
                let target = [b"/", to].concat();
                Some(Node::new(Body::Symlink(target), 0o777, device))
            }
        };
        if let Some(node) = node {
            let inode = self.inner.born(node);
            self.name(old, from_name, Some(inode));
        }
        self.inner.log.entries.push(Entry::Relocated);
    }

    /// Opens the file for writing and keeps it open; `None` where there is none, or where
    /// a lease makes the user wait.
    pub fn open_for_writing(&mut self, path: &[u8]) -> Option<Inode> {
        let inode = self.inner.image.lookup(path)?;
        if !matches!(self.inner.image.node(inode).body, Body::File { .. })
            || self.inner.refuses_to_be_written(inode)
            || self.breaks_lease(inode)
        {
            return None;
        }
        self.inner.writers.push(inode);
        Some(inode)
    }

    /// Writes through a file that is open for writing, wherever its name is now.
    pub fn write_through(&mut self, inode: Inode, path: &[u8], content: &[u8]) {
        self.inner.write_as_user(inode, path, content, false);
    }

    /// Closes a file that was open for writing.
    pub fn close(&mut self, inode: Inode) {
        if let Some(at) = self.inner.writers.iter().position(|writer| *writer == inode) {
            self.inner.writers.remove(at);
        }
    }

    fn breaks_lease(&mut self, inode: Inode) -> bool {
        let mut any = false;
        for lease in self.inner.leases.iter_mut().filter(|lease| lease.inode == inode) {
            lease.broken = true;
            any = true;
        }
        any
    }

    fn name(&mut self, dir: Inode, name: &[u8], inode: Option<Inode>) {
        let effect = Effect::Names(vec![Assignment { dir, name: Name::from(name), inode }]);
        self.inner.change(effect, true, None);
    }

    fn saved(&mut self, path: &[u8], content: Option<&[u8]>, was: Option<(Arc<[u8]>, u32)>) {
        let (path, content) = (path.to_vec(), content.map(Arc::from));
        let over = was.as_ref().map(|(content, _)| content.clone());
        let saved = Saved { path, content, over, by_path: true, mode: None, was };
        self.inner.log.entries.push(Entry::Saved(saved));
    }
}

impl Inner {
    /// What a path names, where that is a file: its content and permission bits.
    fn file_at(&self, path: &[u8]) -> Option<(Arc<[u8]>, u32)> {
        let node = self.image.node(self.image.lookup(path)?);
        node.content().map(|content| (Arc::from(content), node.mode))
    }

    fn write_as_user(&mut self, inode: Inode, path: &[u8], content: &[u8], by_path: bool) {
        let (over, was) = (self.image.node(inode).content().map(Arc::from), self.file_at(path));
        self.change(Effect::Altered(inode, Alteration::Size(0)), true, None);
        self.write(inode, content, 0, true);
        if self.image.node(inode).modified_ns != 0 {
            self.change(Effect::Altered(inode, Alteration::Modified(0)), true, None);
        }
        let (path, content) = (path.to_vec(), Some(Arc::from(content)));
        let saved = Saved { path, content, over, by_path, mode: None, was };
        self.log.entries.push(Entry::Saved(saved));
    }

    /// Lets go on who waited for a lease, if it was the last one of the file.
    pub(super) fn wake_up(&mut self, inode: Inode) {
        if self.leases.iter().any(|lease| lease.inode == inode) {
            return;
        }
        let waiting = self.log.waiting(self.log.entries.len());
        let mine: Vec<_> = waiting.into_iter().filter(|(at, _)| *at == inode).collect();
        if mine.is_empty() {
            return;
        }
        self.log.entries.push(Entry::WokeUp(inode));
        for (inode, Saved { path, content, .. }) in mine {
            self.write_as_user(inode, &path, &content.unwrap_or_default(), true);
        }
    }
}
