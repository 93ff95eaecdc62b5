//! What is applied to what: small trees and change sets over every kind of operation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use atomic_fs::simulated::{Answer, Body, Image, Inode, Renames};
use atomic_fs::{
    Change, ChangeSet, ContentSource, Digest, EmptiedDirs, Expected, Fingerprint, Operation,
    RelPath,
};

use crate::snapshot::{Snapshot, Thing};

mod windows;

/// The workspace's root on the simulated disk.
pub const ROOT: &str = "tree";

/// A tree, a change set over it, and what both ends look like.
#[derive(Clone)]
pub struct Scenario {
    /// By which [`Scenario::named`] makes it again.
    pub name: String,
    /// The disk before.
    pub image: Image,
    /// What is applied.
    pub set: ChangeSet,
    /// The staged content.
    pub content: Content,
    /// The tree before.
    pub old: Snapshot,
    /// The tree after, worked out from the change set alone.
    pub new: Snapshot,
    /// Whether the caller has the set's changes on record, and not its id alone.
    pub is_recorded: bool,
    /// Paths that change together: what a user's edit of one of them excuses.
    pub tied: Vec<BTreeSet<Vec<u8>>>,
    /// Digests of everything that was there before or is brought in.
    known: Content,
    digests: (u64, u64),
}

/// Staged content by its digest.
#[derive(Clone, Default)]
pub struct Content(BTreeMap<Digest, Vec<u8>>);

impl Content {
    /// Whether it has a content.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    /// Takes in a content and returns its digest.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.0.insert(digest, bytes.to_vec());
        digest
    }

    /// Makes everything staged other than what was approved, at the same length.
    pub fn damage(&mut self) {
        for byte in self.0.values_mut().flatten() {
            *byte = byte.wrapping_add(1);
        }
    }
}

impl ContentSource for Content {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        match self.0.get(digest) {
            Some(bytes) => Ok(Box::new(bytes.as_slice())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A kind of change, by the letter that stands for it in a scenario's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// New content.
    Modify,
    /// New content for a private file with owner, group and attributes of its own.
    ModifyOwned,
    /// A new file beside others.
    Create,
    /// A new file in directories that are still to be made.
    CreateDeep,
    /// A removal.
    Delete,
    /// A rename within a directory.
    Move,
    /// A rename to another directory.
    MoveAcross,
    /// A rename that changes content as well.
    MoveChanged,
    /// New permission bits.
    Mode,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Modify,
        Self::ModifyOwned,
        Self::Create,
        Self::CreateDeep,
        Self::Delete,
        Self::Move,
        Self::MoveAcross,
        Self::MoveChanged,
        Self::Mode,
    ];

    fn letter(self) -> char {
        match self {
            Self::Modify => 'M',
            Self::ModifyOwned => 'O',
            Self::Create => 'C',
            Self::CreateDeep => 'N',
            Self::Delete => 'D',
            Self::Move => 'V',
            Self::MoveAcross => 'A',
            Self::MoveChanged => 'R',
            Self::Mode => 'X',
        }
    }

    fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

/// Sets in which one change makes way for another, and other special trees.
pub const CHAINS: [&str; 16] = [
    "onto-deleted",
    "create-onto-deleted",
    "rotation",
    "exchange",
    "file-to-directory",
    "large",
    "state-elsewhere",
    "empty-files",
    "links",
    "link-to-file",
    "directory-to-file",
    "directory-to-link",
    "directories",
    "emptied",
    "into-itself",
    "out-of-itself",
];

/// Whether a set makes symbolic links, which are not made on Windows.
pub(crate) fn makes_links(name: &str) -> bool {
    name.contains("link")
}

struct Builder {
    image: Image,
    root: Inode,
    set: ChangeSet,
    content: Content,
}

impl Scenario {
    /// Makes the scenario that a name stands for: letters of [`Kind`], or one of
    /// [`CHAINS`], or either with `undo-of-` before it.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(done) = name.strip_prefix("undo-of-") {
            return Some(Self::named(done)?.reversed());
        }
        let state_device = if name == "state-elsewhere" { 2 } else { 1 };
        let mut builder = Builder::new(state_device);
        match name {
            "onto-deleted" => {
                builder.file("a", "old a\n");
                builder.file("b", "old b\n");
                builder.delete("a");
                builder.rename("b", "a");
            }
            "create-onto-deleted" => {
                builder.file("a", "old a\n");
                builder.file("b", "old b\n");
                builder.delete("a");
                builder.create("a", "new a\n");
                builder.modify("b", "new b\n", 0o644);
            }
            "rotation" => {
                for name in ["a", "b", "c"] {
                    builder.file(name, &format!("old {name}\n"));
                }
                builder.rename("a", "b");
                builder.rename("b", "c");
                builder.rename("c", "a");
            }
            "exchange" => {
                builder.file("a", "old a\n");
                builder.file("d/b", "old b\n");
                builder.rename("a", "d/b");
                builder.rename("d/b", "a");
            }
            "file-to-directory" => {
                builder.file("a", "old a\n");
                builder.delete("a");
                builder.create("a/b", "new b\n");
            }
            "large" => {
                builder.file("a", &"old line of a\n".repeat(700));
                builder.modify("a", &"new line of a\n".repeat(650), 0o644);
                builder.create("b", &"new line of b\n".repeat(330));
            }
            "state-elsewhere" => {
                builder.file("a", "old a\n");
                builder.file("b", "old b\n");
                builder.modify("a", "new a\n", 0o644);
                builder.delete("b");
            }
            "empty-files" => {
                builder.file("a", "");
                builder.file("b", "old b\n");
                builder.modify("a", "new a\n", 0o644);
                builder.modify("b", "", 0o644);
                builder.create("c", "");
            }
            "links" => {
                builder.link("a", "bystander");
                builder.link("b", "d/gone");
                builder.make_link("a", "d/elsewhere");
                builder.delete("b");
                builder.make_link("d/c", "../bystander");
            }
            "link-to-file" => {
                builder.link("a", "bystander");
                builder.file("b", "old b\n");
                builder.modify("a", "new a\n", 0o644);
                builder.make_link("b", "bystander");
            }
            "directory-to-file" => {
                builder.dir("g", 0o750);
                builder.dir("g/h", 0o700);
                builder.file("g/a", "old a\n");
                builder.file("g/h/b", "old b\n");
                builder.delete("g/a");
                builder.delete("g/h/b");
                builder.create("g", "new g\n");
            }
            "directory-to-link" => {
                builder.dir("g", 0o755);
                builder.file("g/a", "old a\n");
                builder.rename("g/a", "a");
                builder.make_link("g", "a");
            }
            "directories" => {
                builder.dir("g", 0o700);
                builder.dir("g/h", 0o711);
                builder.dir("k", 0o755);
                builder.file("g/h/a", "old a\n");
                builder.delete("g/h/a");
                builder.remove_dir("g/h");
                builder.remove_dir("g");
                builder.remove_dir("k");
                builder.make_dir("m/n");
            }
            "into-itself" => {
                builder.file("a", "old a\n");
                builder.rename("a", "a/b");
            }
            "out-of-itself" => {
                builder.dir("g", 0o700);
                builder.file("g/a", "old a\n");
                builder.rename("g/a", "g");
            }
            "emptied" => {
                builder.dir("g", 0o700);
                builder.dir("g/h", 0o711);
                builder.file("g/h/a", "old a\n");
                builder.file("g/b", "old b\n");
                builder.rename("g/h/a", "a");
                builder.delete("g/b");
            }
            letters => {
                for (index, letter) in letters.chars().enumerate() {
                    builder.add(Kind::from_letter(letter)?, index);
                }
            }
        }
        (!builder.set.changes.is_empty()).then(|| builder.build(name))
    }

    /// The same over a disk of this kind: Windows has one bit of permission and no owners.
    pub fn over(name: &str, renames: Renames) -> Option<Self> {
        let scenario = Self::named(name)?;
        Some(if renames == Renames::Windows { windows::moved_to(scenario) } else { scenario })
    }

    /// Every multiset of kinds of this size, by name.
    pub fn all_of(size: usize) -> Vec<String> {
        let mut all = vec![(String::new(), 0)];
        for _ in 0..size {
            all = all
                .into_iter()
                .flat_map(|(head, from)| {
                    let kinds = Kind::ALL.iter().enumerate().skip(from);
                    kinds.map(move |(at, kind)| (format!("{head}{}", kind.letter()), at))
                })
                .collect();
        }
        all.into_iter().map(|(name, _)| name).collect()
    }

    /// A random set of this size, by name.
    pub fn random(size: usize, random: &mut crate::random::Random) -> String {
        (0..size).map(|_| Kind::ALL[random.below(Kind::ALL.len())].letter()).collect()
    }

    /// The set that takes this one back, over the tree that it leaves: what undo applies.
    fn reversed(self) -> Self {
        let mut image = self.image.clone();
        let root = image.lookup(ROOT.as_bytes()).expect("the root was built");
        self.new.lay_out(&mut image, root);
        let mut content = self.content.clone();
        for bytes in self.old.contents() {
            content.0.insert(Digest::of(&bytes), bytes);
        }
        let matches = |snapshot: &Snapshot, path: &RelPath| {
            snapshot.fingerprint(path.as_bytes()).map_or(Expected::Absent, Expected::Matches)
        };
        let staged =
            |path: &RelPath| self.old.fingerprint(path.as_bytes()).expect("it was there before");
        let dir_mode = |path: &RelPath| match self.old.get(path.as_bytes()) {
            Some(Thing::Directory(mode)) => Some(*mode),
            _ => None,
        };
        let is_explicit = |path: &[u8]| {
            self.set.changes.iter().any(|change| {
                change.operation == Operation::RemoveDir && change.path.as_bytes() == path
            })
        };
        // Directories that were emptied or made way are no changes, and come back all the same.
        let gone = self.old.iter().filter(|(path, thing)| {
            matches!(thing, Thing::Directory(_))
                && !matches!(self.new.get(path), Some(Thing::Directory(_)))
                && !is_explicit(path)
        });
        let gone: Vec<Change> = gone
            .map(|(path, _)| {
                let path = RelPath::parse(path).expect("a path of a tree");
                let operation = Operation::MakeDir { mode: dir_mode(&path) };
                Change { path, expected: Expected::Absent, operation }
            })
            .collect();
        let changes = self.set.changes.iter().rev().map(|change| {
            let path = change.path.clone();
            let expected = matches(&self.new, &path);
            match &change.operation {
                Operation::Write(_) if change.expected == Expected::Absent => {
                    Change { path, expected, operation: Operation::Delete }
                }
                Operation::Write(_) => {
                    let operation = Operation::Write(staged(&path));
                    Change { path, expected, operation }
                }
                Operation::Delete => {
                    let operation = Operation::Write(staged(&path));
                    Change { path, expected: Expected::Absent, operation }
                }
                Operation::MakeDir { .. } => {
                    let expected = Expected::Directory { mode: 0o755 };
                    Change { path, expected, operation: Operation::RemoveDir }
                }
                Operation::RemoveDir => {
                    let operation = Operation::MakeDir { mode: dir_mode(&path) };
                    Change { path, expected: Expected::Absent, operation }
                }
                Operation::SetMode { .. } => {
                    let operation = Operation::SetMode { mode: staged(&path).mode };
                    Change { path, expected, operation }
                }
                Operation::Rename { to, staged: changed } => {
                    let expected = matches(&self.new, to);
                    let content = changed.map(|_| staged(&path));
                    let operation = Operation::Rename { to: path, staged: content };
                    Change { path: to.clone(), expected, operation }
                }
            }
        });
        let set = ChangeSet {
            id: "t1".to_owned(),
            changes: changes.chain(gone).collect(),
            emptied_dirs: EmptiedDirs::Keep,
        };
        Builder { image, root, set, content }.build(&format!("undo-of-{}", self.name))
    }

    /// Every path that a change concerns, relative to the root.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        self.tied.iter().flatten().cloned().collect()
    }

    /// Whether bytes are content that was there before or is brought in.
    pub fn is_known(&self, bytes: &[u8]) -> bool {
        self.old.has_content(bytes) || self.new.has_content(bytes)
    }

    /// The digest of the tree that an answer stands for.
    pub fn digest_after(&self, answer: Answer) -> u64 {
        match answer {
            Answer::Committed => self.digests.1,
            _ => self.digests.0,
        }
    }

    /// What the store of a caller holds: every old and new content, or what is staged alone.
    pub fn contents(&self, has_old: bool) -> &Content {
        if has_old { &self.known } else { &self.content }
    }

    /// The same by a digest, as the store of blobs answers it.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.known.0.contains_key(digest)
    }
}

impl Builder {
    fn new(state_device: u64) -> Self {
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

    fn add(&mut self, kind: Kind, index: usize) {
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
    fn place<'p>(&self, path: &'p str) -> (Inode, &'p str) {
        match path.rsplit_once('/') {
            Some((dir, name)) => {
                let dir = self.image.lookup(format!("{ROOT}/{dir}").as_bytes());
                (dir.expect("the directory was built"), name)
            }
            None => (self.root, path),
        }
    }

    fn file(&mut self, path: &str, content: &str) -> Inode {
        let (dir, name) = self.place(path);
        self.image.add_file(dir, name.as_bytes(), content.as_bytes(), 0o644)
    }

    fn dir(&mut self, path: &str, mode: u32) {
        let (dir, name) = self.place(path);
        let inode = self.image.add_dir(dir, name.as_bytes(), 1);
        self.image.edit(inode).mode = mode;
    }

    fn link(&mut self, path: &str, target: &str) {
        let (dir, name) = self.place(path);
        self.image.add_symlink(dir, name.as_bytes(), target.as_bytes());
    }

    /// Makes a link where nothing is, or in place of what is there.
    fn make_link(&mut self, path: &str, target: &str) {
        let staged = Fingerprint::symlink(target.as_bytes());
        self.content.add(target.as_bytes());
        let inode = self.image.lookup(format!("{ROOT}/{path}").as_bytes());
        if inode.is_some_and(|inode| !matches!(self.image.node(inode).body, Body::Directory(_))) {
            return self.change(path, Operation::Write(staged));
        }
        let (expected, operation) = (Expected::Absent, Operation::Write(staged));
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    fn make_dir(&mut self, path: &str) {
        let (expected, operation) = (Expected::Absent, Operation::MakeDir { mode: None });
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    fn remove_dir(&mut self, path: &str) {
        let inode = self.image.lookup(format!("{ROOT}/{path}").as_bytes());
        let mode = self.image.node(inode.expect("the directory was built")).mode;
        let (expected, operation) = (Expected::Directory { mode }, Operation::RemoveDir);
        self.set.changes.push(Change { path: rel(path), expected, operation });
    }

    fn staged(&mut self, content: &str, mode: u32) -> Fingerprint {
        let digest = Digest::of(content.as_bytes());
        self.content.0.insert(digest, content.as_bytes().to_vec());
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

    fn modify(&mut self, path: &str, content: &str, mode: u32) {
        let staged = self.staged(content, mode);
        self.change(path, Operation::Write(staged));
    }

    fn create(&mut self, path: &str, content: &str) {
        let operation = Operation::Write(self.staged(content, 0o644));
        let (path, expected) = (rel(path), Expected::Absent);
        self.set.changes.push(Change { path, expected, operation });
    }

    fn delete(&mut self, path: &str) {
        self.change(path, Operation::Delete);
    }

    fn rename(&mut self, path: &str, to: &str) {
        self.change(path, Operation::Rename { to: rel(to), staged: None });
    }

    fn build(self, name: &str) -> Scenario {
        let old = Snapshot::of(&self.image, self.root);
        let bytes = |digest: &Digest| {
            self.content.0.get(digest).cloned().expect("what is staged is in the content")
        };
        let new = old.after(&self.set, &bytes);
        let mut after = self.image.clone();
        new.lay_out(&mut after, self.root);
        let digest = |image: &Image| Snapshot::digest_of(image, self.root);
        let digests = (digest(&self.image), digest(&after));
        let known = old.contents().into_iter().chain(new.contents());
        Scenario {
            known: Content(known.map(|content| (Digest::of(&content), content.to_vec())).collect()),
            digests,
            name: name.to_owned(),
            is_recorded: false,
            tied: tie(&self.set.changes),
            image: self.image,
            set: self.set,
            content: self.content,
            old,
            new,
        }
    }
}

/// Groups the changes that share a path.
fn tie(changes: &[Change]) -> Vec<BTreeSet<Vec<u8>>> {
    let mut groups: Vec<BTreeSet<Vec<u8>>> = Vec::new();
    for change in changes {
        let mut group = BTreeSet::from([change.path.as_bytes().to_vec()]);
        if let Operation::Rename { to, .. } = &change.operation {
            group.insert(to.as_bytes().to_vec());
        }
        let touches = |one: &[u8], other: &[u8]| {
            let below = |path: &[u8], dir: &[u8]| {
                path.strip_prefix(dir).is_some_and(|rest| rest.first().is_none_or(|b| *b == b'/'))
            };
            below(one, other) || below(other, one)
        };
        while let Some(at) = groups
            .iter()
            .position(|known| known.iter().any(|one| group.iter().any(|other| touches(one, other))))
        {
            group.extend(groups.remove(at));
        }
        groups.push(group);
    }
    groups
}

fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).expect("a path of a scenario")
}
