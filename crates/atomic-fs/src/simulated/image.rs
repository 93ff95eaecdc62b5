//! A tree of inodes: what is on a simulated disk at one moment.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::Arc;

use super::effect::{Alteration, Effect, Inode, Name};

/// A whole file system. Cloning shares the inodes, which are copied when they change.
#[derive(Clone, Debug)]
pub struct Image {
    nodes: Vec<Arc<Node>>,
}

/// An inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// The time of modification; 0 unless it was set, since no clock runs here.
    pub modified_ns: i64,
    /// Extended attributes.
    pub attributes: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// The device it lies on.
    pub device: u64,
    /// What kind of thing it is, and what it holds.
    pub body: Body,
}

/// What an inode holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// A regular file: the blocks that were written, and how many bytes count. Bytes
    /// that count and were never written read as zeros.
    File {
        /// What was written, from offset 0.
        blocks: Arc<Vec<u8>>,
        /// Length in bytes.
        bytes: u64,
    },
    /// A directory.
    Directory(BTreeMap<Name, Inode>),
    /// A symbolic link to this path.
    Symlink(Vec<u8>),
}

impl Node {
    pub(super) fn new(body: Body, mode: u32, device: u64) -> Self {
        Self { mode, owner: (1000, 1000), modified_ns: 0, attributes: Arc::default(), device, body }
    }

    pub(super) fn file(mode: u32, device: u64) -> Self {
        Self::new(Body::File { blocks: Arc::default(), bytes: 0 }, mode, device)
    }

    pub(super) fn directory(device: u64) -> Self {
        Self::new(Body::Directory(BTreeMap::new()), 0o755, device)
    }

    /// A file's content; `None` for anything else.
    pub fn content(&self) -> Option<Vec<u8>> {
        let Body::File { blocks, bytes } = &self.body else { return None };
        let bytes = usize::try_from(*bytes).expect("simulated files are small");
        let mut content = blocks.as_slice()[..blocks.len().min(bytes)].to_vec();
        content.resize(bytes, 0);
        Some(content)
    }

    /// A digest of its metadata and of what it holds; a directory's names are not in it.
    pub fn digest(&self) -> u64 {
        let mut hasher = new_hasher();
        (self.mode, self.owner, self.modified_ns).hash(&mut hasher);
        if !self.attributes.is_empty() {
            self.attributes.hash(&mut hasher);
        }
        match &self.body {
            Body::File { blocks, bytes } => {
                bytes.hash(&mut hasher);
                let counting = blocks.len().min(usize::try_from(*bytes).unwrap_or(usize::MAX));
                // Trailing zeros are the same as no blocks.
                let written = &blocks[..counting];
                let end = written.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                written[..end].hash(&mut hasher);
            }
            Body::Directory(_) => 1_u8.hash(&mut hasher),
            Body::Symlink(target) => target.hash(&mut hasher),
        }
        hasher.finish()
    }

    pub(super) fn apply(&mut self, effect: &Effect) {
        let Effect::Altered(_, alteration) = effect else { return };
        match alteration {
            Alteration::Data { offset, content } => {
                let Body::File { blocks, .. } = &mut self.body else { return };
                let blocks = Arc::make_mut(blocks);
                let from = usize::try_from(*offset).expect("simulated files are small");
                let to = from + content.len();
                if blocks.len() < to {
                    blocks.resize(to, 0);
                }
                blocks[from..to].copy_from_slice(content);
            }
            Alteration::Size(new) => {
                let Body::File { bytes, blocks } = &mut self.body else { return };
                // What is cut off reads as zeros should the file grow again.
                let kept = usize::try_from(*new).expect("simulated files are small");
                if blocks.len() > kept && *new < *bytes {
                    Arc::make_mut(blocks).truncate(kept);
                }
                *bytes = *new;
            }
            Alteration::Mode(mode) => self.mode = *mode,
            Alteration::Owner(owner) => self.owner = *owner,
            Alteration::Modified(modified_ns) => self.modified_ns = *modified_ns,
            Alteration::Attribute { name, value } => {
                let attributes = Arc::make_mut(&mut self.attributes);
                match value {
                    Some(value) => attributes.insert(name.clone(), value.clone()),
                    None => attributes.remove(name),
                };
            }
        }
    }
}

impl Default for Image {
    fn default() -> Self {
        Self { nodes: vec![Arc::new(Node::directory(1))] }
    }
}

impl Image {
    /// Makes a directory, for setting a scene. `device` may differ from its parent's, as
    /// below a mount point.
    pub fn add_dir(&mut self, parent: Inode, name: &[u8], device: u64) -> Inode {
        self.add(parent, name, Node::directory(device))
    }

    /// Makes a file with this content, for setting a scene.
    pub fn add_file(&mut self, parent: Inode, name: &[u8], content: &[u8], mode: u32) -> Inode {
        let body = Body::File { blocks: Arc::new(content.to_vec()), bytes: content.len() as u64 };
        let device = self.node(parent).device;
        self.add(parent, name, Node::new(body, mode, device))
    }

    /// Makes a symbolic link, for setting a scene.
    pub fn add_symlink(&mut self, parent: Inode, name: &[u8], target: &[u8]) -> Inode {
        let device = self.node(parent).device;
        self.add(parent, name, Node::new(Body::Symlink(target.to_vec()), 0o777, device))
    }

    fn add(&mut self, parent: Inode, name: &[u8], node: Node) -> Inode {
        let inode = self.push(Arc::new(node));
        self.assign(parent, &Name::from(name), Some(inode));
        inode
    }

    /// Changes an inode outside of any log, for setting a scene.
    pub fn edit(&mut self, inode: Inode) -> &mut Node {
        Arc::make_mut(&mut self.nodes[inode as usize])
    }

    /// The inode behind a number.
    pub fn node(&self, inode: Inode) -> &Node {
        &self.nodes[inode as usize]
    }

    pub(super) fn shared(&self, inode: Inode) -> &Arc<Node> {
        &self.nodes[inode as usize]
    }

    /// Gives an inode the metadata and the content of another; a directory keeps its names.
    pub(super) fn replace(&mut self, inode: Inode, node: Arc<Node>) {
        let place = &mut self.nodes[inode as usize];
        if matches!(place.body, Body::Directory(_)) {
            let dir = Arc::make_mut(place);
            (dir.mode, dir.owner, dir.modified_ns) = (node.mode, node.owner, node.modified_ns);
            dir.attributes = node.attributes.clone();
        } else {
            *place = node;
        }
    }

    pub(super) fn push(&mut self, node: Arc<Node>) -> Inode {
        self.nodes.push(node);
        Inode::try_from(self.nodes.len() - 1).expect("simulated disks are small")
    }

    /// How many inodes there are, those without a name included.
    pub fn inodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn names(&self, dir: Inode) -> Option<&BTreeMap<Name, Inode>> {
        match &self.node(dir).body {
            Body::Directory(names) => Some(names),
            _ => None,
        }
    }

    /// What a name in a directory stands for.
    pub fn child(&self, dir: Inode, name: &[u8]) -> Option<Inode> {
        self.names(dir)?.get(name).copied()
    }

    /// What a path from the top stands for; symlinks are not followed.
    pub fn lookup(&self, path: &[u8]) -> Option<Inode> {
        path.split(|byte| *byte == b'/').try_fold(0, |dir, name| self.child(dir, name))
    }

    /// The directory that a path from the top lies in, and its name there; `None` where no directory
    /// is.
    pub(super) fn place_of<'p>(&self, path: &'p [u8]) -> Option<(Inode, &'p [u8])> {
        let (dir, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (self.lookup(&path[..slash])?, &path[slash + 1..]),
            None => (0, path),
        };
        self.names(dir).map(|_| (dir, name))
    }

    /// Takes a path's name away with everything below it, outside of any log, as another tool does
    /// while no process of ours lives; whether there was one.
    pub fn remove(&mut self, path: &[u8]) -> bool {
        let there = self.place_of(path).filter(|(dir, name)| self.child(*dir, name).is_some());
        if let Some((dir, name)) = there {
            self.assign(dir, &Name::from(name), None);
        }
        there.is_some()
    }

    /// Gives what a path names another one, outside of any log, over whatever is there; whether
    /// there was something, and a directory for it to go to.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        let (Some(moving), Some((dir, name))) = (self.lookup(from), self.place_of(to)) else {
            return false;
        };
        self.remove(from);
        self.assign(dir, &Name::from(name), Some(moving));
        true
    }

    pub(super) fn assign(&mut self, dir: Inode, name: &Name, inode: Option<Inode>) {
        let Body::Directory(names) = &mut Arc::make_mut(&mut self.nodes[dir as usize]).body else {
            return;
        };
        match inode {
            Some(inode) => names.insert(name.clone(), inode),
            None => names.remove(name),
        };
    }

    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Names(assignments) => {
                for to in assignments {
                    self.assign(to.dir, &to.name, to.inode);
                }
            }
            Effect::Altered(inode, _) => {
                Arc::make_mut(&mut self.nodes[*inode as usize]).apply(effect);
            }
        }
    }

    /// How many names an inode has.
    pub fn links(&self, inode: Inode) -> u64 {
        let names = self.nodes.iter().filter_map(|node| match &node.body {
            Body::Directory(names) => Some(names),
            _ => None,
        });
        names.flat_map(BTreeMap::values).filter(|named| **named == inode).count() as u64
    }

    /// Visits everything that has a name below a directory, parents before children,
    /// with its path relative to that directory.
    pub fn walk(&self, below: Inode, visit: &mut dyn FnMut(&[u8], Inode, &Node)) {
        let mut path = Vec::new();
        self.walk_from(below, &mut path, visit);
    }

    fn walk_from(
        &self,
        dir: Inode,
        path: &mut Vec<u8>,
        visit: &mut dyn FnMut(&[u8], Inode, &Node),
    ) {
        let Some(names) = self.names(dir) else { return };
        for (name, inode) in names {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let node = self.node(*inode);
            visit(path, *inode, node);
            // A power cut can leave a directory below itself no more than a real one can;
            // the depth is bounded all the same.
            if matches!(node.body, Body::Directory(_)) && path.len() < 4096 {
                self.walk_from(*inode, path, visit);
            }
            path.truncate(length);
        }
    }

    /// A digest of everything that has a name. Equal trees have equal digests.
    pub fn digest(&self) -> u64 {
        let (structure, leaves) = self.structure();
        leaves.iter().fold(structure, |sum, inode| {
            sum.wrapping_add(leaf_digest(*inode, self.node(*inode).digest()))
        })
    }

    /// A digest of the names alone, and the inodes behind them, each once.
    pub(super) fn structure(&self) -> (u64, Vec<Inode>) {
        let mut hasher = new_hasher();
        let mut leaves = Vec::with_capacity(self.nodes.len());
        let mut seen = vec![false; self.nodes.len()];
        self.hash_names(0, &mut hasher, &mut leaves, &mut seen);
        (hasher.finish(), leaves)
    }

    fn hash_names(
        &self,
        dir: Inode,
        hasher: &mut impl Hasher,
        leaves: &mut Vec<Inode>,
        seen: &mut [bool],
    ) {
        let Some(names) = self.names(dir) else { return };
        names.len().hash(hasher);
        for (name, inode) in names {
            name.hash(hasher);
            inode.hash(hasher);
            if !std::mem::replace(&mut seen[*inode as usize], true) {
                leaves.push(*inode);
                self.hash_names(*inode, hasher, leaves, seen);
            }
        }
    }

    /// A path by which an inode can be reached, for people.
    pub fn path_of(&self, inode: Inode) -> String {
        let mut found = None;
        self.walk(0, &mut |path, at, _| {
            if at == inode && found.is_none() {
                found = Some(String::from_utf8_lossy(path).into_owned());
            }
        });
        match (found, inode) {
            (Some(path), _) => path,
            (None, 0) => String::new(),
            (None, _) => format!("(unnamed inode {inode})"),
        }
    }
}

/// A hasher of 64 bits that gives the same in every run and on every machine.
pub fn new_hasher() -> impl Hasher {
    foldhash::quality::FixedState::default().build_hasher()
}

/// Spreads a leaf's digest, so that a sum of several tells who has which.
pub(super) fn leaf_digest(inode: Inode, node: u64) -> u64 {
    let mut hasher = new_hasher();
    (inode, node).hash(&mut hasher);
    hasher.finish()
}
