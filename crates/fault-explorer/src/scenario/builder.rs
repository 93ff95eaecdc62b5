//! Builds a tree and a change set over it, step by step.

use crate::atomic_fs::simulated::{Body, Image, Inode};
use crate::atomic_fs::{
    Change, ChangeSet, Digest, EmptiedDirs, Expected, Fingerprint, Operation, RelPath,
};

use super::content::Content;
use super::kind::Kind;

/// The workspace's root on the simulated disk.
pub const ROOT: &str = "tree";

/// What a scenario is built from.
pub(super) struct Builder {
    pub(super) image: Image,
    pub(super) root: Inode,
    pub(super) set: ChangeSet,
    pub(super) content: Content,
}

impl Builder {
    pub(super) fn new(state_device: u64) -> Self {
        let mut image = Image::default();
        let root = image.add_dir(0, ROOT.as_bytes(), 1);
        let state = image.add_dir(0, b"state", state_device);
        image.add_dir(state, b"journal", state_device);
        image.add_dir(state, b"conflicts", state_device);
        let outside = image.add_dir(0, b"outside", 1);
        image.add_file(outside, b"sentinel", b"nobody touches this\n", 0o600);
        image.add_file(root, b"bystander", b"not in any set\n", 0o644);
        image.add_symlink(root, b"way-out", b"../outside");
        image.add_dir(root, b"d", 1);
        image.add_dir(root, b"e", 1);
        let emptied_dirs = EmptiedDirs::default();
        let set = ChangeSet { id: "t1".to_owned(), changes: Vec::new(), emptied_dirs };
        Self { image, root, set, content: Content::default() }
    }

    pub(super) fn add(&mut self, kind: Kind, index: usize) {
        // Neighbours share a directory, and others do not.
        let dir = if index % 3 == 1 { "d/" } else { "" };
        let path = format!("{dir}f{index}");
        let (old, new) = (format!("old content {index}\n"), format!("new content {index}\n"));
        match kind {
            Kind::Modify => {
                self.file(&path, &old);
                self.modify(&path, &new, if index == 0 { 0o644 } else { 0o755 });
            }
            Kind::ModifyOwned => {
                let inode = self.file(&path, &old);
                let node = self.image.edit(inode);
                (node.owner, node.mode) = ((0, 50), 0o600);
                let attribute = (b"user.origin".to_vec(), b"elsewhere".to_vec());
                node.attributes = std::sync::Arc::new([attribute].into());
                // As new slots are, so that the mode alone does not tell a finished one.
                self.modify(&path, &new, 0o600);
            }
            Kind::Create => self.create(&path, &new),
            Kind::CreateDeep => self.create(&format!("{dir}n{index}/deep/f"), &new),
            Kind::Delete => {
                self.file(&path, &old);
                self.delete(&path);
            }
            Kind::Move => {
                self.file(&path, &old);
                self.rename(&path, &format!("{dir}g{index}"));
            }
            Kind::MoveAcross => {
                self.file(&path, &old);
                self.rename(&path, &format!("e/g{index}"));
            }
            Kind::MoveChanged => {
                self.file(&path, &old);
                let staged = self.staged(&new, 0o644);
                let to = rel(&format!("{dir}g{index}"));
                self.change(&path, Operation::Rename { to, staged: Some(staged) });
            }
            Kind::Mode => {
                self.file(&path, &old);
                self.change(&path, Operation::SetMode { mode: 0o755 });
            }
        }
    }

    /// The directory of a path, and the name in it.
    fn parent_and_name<'p>(&self, path: &'p str) -> (Inode, &'p str) {
        match path.rsplit_once('/') {
            Some((dir, name)) => {
                let dir = self.image.lookup(format!("{ROOT}/{dir}").as_bytes());
                (dir.expect("the directory was built"), name)
            }
            None => (self.root, path),
        }
    }

    pub(super) fn file(&mut self, path: &str, content: &str) -> Inode {
        let (dir, name) = self.parent_and_name(path);
        self.image.add_file(dir, name.as_bytes(), content.as_bytes(), 0o644)
    }

    pub(super) fn dir(&mut self, path: &str, mode: u32) {
        let (dir, name) = self.parent_and_name(path);
        let inode = self.image.add_dir(dir, name.as_bytes(), 1);
        self.image.edit(inode).mode = mode;
    }

    pub(super) fn link(&mut self, path: &str, target: &str) {
        let (dir, name) = self.parent_and_name(path);
        self.image.add_symlink(dir, name.as_bytes(), target.as_bytes());
    }

    /// Makes a link where nothing is, or in place of what is there.
    pub(super) fn make_link(&mut self, path: &str, target: &str) {
        let staged = Fingerprint::symlink(target.as_bytes());
        self.content.add(target.as_bytes());
        let inode = self.image.lookup(format!("{ROOT}/{path}").as_bytes());
        if inode.is_some_and(|inode| !matches!(self.image.node(inode).body, Body::Directory(_))) {
            return self.change(path, Operation::Write(staged));
        }
        let (expected, operation) = (Expected::Absent, Operation::Write(staged));
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    pub(super) fn make_dir(&mut self, path: &str) {
        let (expected, operation) = (Expected::Absent, Operation::MakeDir { mode: None });
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    pub(super) fn remove_dir(&mut self, path: &str) {
        let inode = self.image.lookup(format!("{ROOT}/{path}").as_bytes());
        let mode = self.image.node(inode.expect("the directory was built")).mode;
        let (expected, operation) = (Expected::Directory { mode }, Operation::RemoveDir);
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    fn staged(&mut self, content: &str, mode: u32) -> Fingerprint {
        let digest = self.content.add(content.as_bytes());
        Fingerprint::file(digest, content.len() as u64, mode)
    }

    fn change(&mut self, path: &str, operation: Operation) {
        let inode = self.image.lookup(format!("{ROOT}/{path}").as_bytes());
        let node = self.image.node(inode.expect("the file was built"));
        let base = match &node.body {
            Body::Symlink(target) => Fingerprint::symlink(target),
            _ => {
                let content = node.content().expect("it is a file");
                Fingerprint::file(Digest::of(&content), content.len() as u64, node.mode)
            }
        };
        let expected = Expected::Matches(base);
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    pub(super) fn modify(&mut self, path: &str, content: &str, mode: u32) {
        let staged = self.staged(content, mode);
        self.change(path, Operation::Write(staged));
    }

    pub(super) fn create(&mut self, path: &str, content: &str) {
        let operation = Operation::Write(self.staged(content, 0o644));
        let (path, expected) = (rel(path), Expected::Absent);
        self.set.changes.push(Change { path, expected, operation });
    }

    pub(super) fn delete(&mut self, path: &str) {
        self.change(path, Operation::Delete);
    }

    pub(super) fn rename(&mut self, path: &str, to: &str) {
        self.change(path, Operation::Rename { to: rel(to), staged: None });
    }
}

fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).expect("a path of a scenario")
}
