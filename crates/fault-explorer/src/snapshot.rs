//! A tree as a person would compare it: paths, contents and metadata, no inodes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};

use crate::atomic_fs::simulated::{Body, Image, Inode, new_hasher};
use crate::atomic_fs::{
    ChangeSet, Digest, EmptiedDirs, EntryKind, Expected, Fingerprint, Operation, RelPath,
};

use crate::beside::Beside;

type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything below a directory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot(BTreeMap<Vec<u8>, Thing>);

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A regular file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Its permission bits.
        mode: u32,
        /// Owner and group.
        owner: (u32, u32),
        /// Extended attributes.
        attributes: Attributes,
    },
    /// A directory with its permission bits.
    Directory(u32),
    /// A symlink's target.
    Symlink(Vec<u8>),
}

impl Thing {
    fn is_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

impl Snapshot {
    /// What is below a directory now.
    pub fn of(image: &Image, dir: Inode) -> Self {
        let mut things = BTreeMap::new();
        image.walk(dir, &mut |path, _, node| {
            let thing = match &node.body {
                Body::Directory(_) => Thing::Directory(node.mode),
                Body::Symlink(target) => Thing::Symlink(target.clone()),
                Body::File { .. } => Thing::File {
                    content: node.content().expect("it is a file"),
                    mode: node.mode,
                    owner: node.owner,
                    attributes: (*node.attributes).clone(),
                },
            };
            things.insert(path.to_vec(), thing);
        });
        Self(things)
    }

    /// The same as a number: equal trees have equal ones.
    pub fn digest_of(image: &Image, dir: Inode) -> u64 {
        let mut hasher = new_hasher();
        image.walk(dir, &mut |path, _, node| (path, node.digest()).hash(&mut hasher));
        hasher.finish()
    }

    /// What is at a path.
    pub fn get(&self, path: &[u8]) -> Option<&Thing> {
        self.0.get(path)
    }

    /// The content of the file at a path.
    pub(crate) fn file(&self, path: &[u8]) -> Option<&[u8]> {
        match self.0.get(path)? {
            Thing::File { content, .. } => Some(content),
            _ => None,
        }
    }

    /// Only the paths that pass.
    #[must_use]
    pub fn filtered(mut self, passes: &dyn Fn(&[u8]) -> bool) -> Self {
        self.0.retain(|path, _| passes(path));
        self
    }

    /// Every path with what is there.
    pub fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Thing)> {
        self.0.iter()
    }

    /// Every path in either of the two where they differ.
    pub fn differences(&self, other: &Self) -> BTreeSet<Vec<u8>> {
        let paths = self.0.keys().chain(other.0.keys());
        paths.filter(|path| self.0.get(*path) != other.0.get(*path)).cloned().collect()
    }

    /// The tree after these changes, as their documentation has it.
    pub(crate) fn after(&self, set: &ChangeSet, content: &dyn Fn(&Digest) -> Vec<u8>) -> Self {
        let mut after = self.clone();
        let mut arriving: Vec<(RelPath, Thing)> = Vec::new();
        let mut left: Vec<&RelPath> = Vec::new();
        for change in &set.changes {
            let path = change.path.as_bytes();
            match &change.operation {
                Operation::Write(staged) if staged.kind() == EntryKind::Symlink => {
                    arriving.push((change.path.clone(), Thing::Symlink(content(&staged.digest))));
                }
                Operation::Write(staged) => {
                    let (owner, attributes) = match (change.expected, self.0.get(path)) {
                        (Expected::Matches(_), Some(Thing::File { owner, attributes, .. })) => {
                            (*owner, attributes.clone())
                        }
                        _ => ((1000, 1000), Attributes::new()),
                    };
                    let (content, mode) = (content(&staged.digest), staged.mode);
                    let file = Thing::File { content, mode, owner, attributes };
                    arriving.push((change.path.clone(), file));
                }
                Operation::Delete => {
                    after.0.remove(path);
                    left.push(&change.path);
                }
                Operation::MakeDir { mode } => {
                    let made = Thing::Directory(mode.unwrap_or(0o755));
                    arriving.push((change.path.clone(), made));
                }
                Operation::RemoveDir => {
                    after.0.remove(path);
                }
                Operation::Rename { to, staged } => {
                    let mut moved = self.0.get(path).cloned().expect("it is there");
                    if let (Some(staged), Thing::File { content: old, mode, .. }) =
                        (staged, &mut moved)
                    {
                        (*old, *mode) = (content(&staged.digest), staged.mode);
                    }
                    after.0.remove(path);
                    left.push(&change.path);
                    arriving.push((to.clone(), moved));
                }
                Operation::SetMode { mode: new } => {
                    if let Some(Thing::File { mode, .. }) = after.0.get_mut(path) {
                        *mode = *new;
                    }
                }
            }
        }
        // A file comes to the place of a directory that the set empties.
        for (path, _) in arriving.iter().filter(|(_, thing)| !thing.is_directory()) {
            let below = |other: &[u8]| {
                other.strip_prefix(path.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
            };
            if left.iter().any(|left| below(left.as_bytes())) {
                after.0.retain(|other, thing| !(thing.is_directory() && below(other)));
            }
        }
        // What arrives deeper comes later, so that a directory's own mode is not that of a parent.
        arriving.sort_by_key(|(path, _)| path.clone());
        for (path, thing) in arriving {
            let mut parent = path.parent();
            while let Some(dir) = parent {
                after.0.entry(dir.as_bytes().to_vec()).or_insert(Thing::Directory(0o755));
                parent = dir.parent();
            }
            after.0.insert(path.as_bytes().to_vec(), thing);
        }
        if set.emptied_dirs == EmptiedDirs::Remove {
            for path in left {
                let mut parent = path.parent();
                while let Some(dir) = parent {
                    let is_below = |other: &&Vec<u8>| {
                        other
                            .strip_prefix(dir.as_bytes())
                            .is_some_and(|rest| rest.first() == Some(&b'/'))
                    };
                    let is_dir = after.0.get(dir.as_bytes()).is_some_and(Thing::is_directory);
                    if !is_dir || after.0.keys().any(|other| is_below(&other)) {
                        break;
                    }
                    after.0.remove(dir.as_bytes());
                    parent = dir.parent();
                }
            }
        }
        after
    }

    /// The tree with what a second state's set brings.
    pub(crate) fn with_other(&self, beside: &Beside) -> Self {
        let mut tree = self.clone();
        for (path, change) in beside.paths().zip(&beside.changes) {
            let content = change.new.clone().into_bytes();
            let mut file = Thing::File {
                content: content.clone(),
                mode: change.mode,
                owner: (1000, 1000),
                attributes: Attributes::new(),
            };
            if let Some(Thing::File { owner, attributes, .. }) = tree.0.get(&path) {
                let (owner, attributes) = (*owner, attributes.clone());
                file = Thing::File { content, mode: change.mode, owner, attributes };
            }
            tree.0.insert(path, file);
        }
        tree
    }

    /// Builds this tree below an empty or older version of it.
    pub(crate) fn lay_out(&self, image: &mut Image, root: Inode) {
        if let Body::Directory(names) = &mut image.edit(root).body {
            names.clear();
        }
        let mut dirs = BTreeMap::from([(Vec::new(), root)]);
        for (path, thing) in &self.0 {
            let slash = path.iter().rposition(|byte| *byte == b'/');
            let parent = dirs[&path[..slash.unwrap_or(0)]];
            let name = &path[slash.map_or(0, |slash| slash + 1)..];
            match thing {
                Thing::Directory(mode) => {
                    let dir = image.add_dir(parent, name, 1);
                    image.edit(dir).mode = *mode;
                    dirs.insert(path.clone(), dir);
                }
                Thing::Symlink(target) => {
                    image.add_symlink(parent, name, target);
                }
                Thing::File { content, mode, owner, attributes } => {
                    let inode = image.add_file(parent, name, content, *mode);
                    let node = image.edit(inode);
                    node.owner = *owner;
                    node.attributes = std::sync::Arc::new(attributes.clone());
                }
            }
        }
    }

    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        let content = |thing: &Thing| match thing {
            Thing::File { content, .. } | Thing::Symlink(content) => Some(content.clone()),
            Thing::Directory(_) => None,
        };
        self.0.values().filter_map(content).collect()
    }

    pub(crate) fn has_content(&self, bytes: &[u8]) -> bool {
        let has = |thing: &Thing| matches!(thing, Thing::File { content, .. } if content == bytes);
        self.0.values().any(has)
    }

    /// Whether the file at a path has this content.
    pub(crate) fn is_at(&self, path: &[u8], bytes: &[u8]) -> bool {
        matches!(self.0.get(path), Some(Thing::File { content, .. }) if content == bytes)
    }

    pub(crate) fn fingerprint(&self, path: &[u8]) -> Option<Fingerprint> {
        match self.0.get(path)? {
            Thing::File { content, mode, .. } => {
                Some(Fingerprint::file(Digest::of(content), content.len() as u64, *mode))
            }
            Thing::Symlink(target) => Some(Fingerprint::symlink(target)),
            Thing::Directory(_) => None,
        }
    }
}
