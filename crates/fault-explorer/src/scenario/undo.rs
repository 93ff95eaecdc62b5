//! The set that takes another one back.

use crate::atomic_fs::{Change, ChangeSet, EmptiedDirs, Expected, Operation, RelPath};

use super::Scenario;
use super::builder::{Builder, ROOT};
use crate::snapshot::{Snapshot, Thing};

impl Scenario {
    /// The set that takes this one back, over the tree that it leaves: what undo applies.
    pub(super) fn reversed(self) -> Builder {
        let mut image = self.image.clone();
        let root = image.lookup(ROOT.as_bytes()).expect("the root was built");
        self.new.lay_out(&mut image, root);
        let mut content = self.content.clone();
        for bytes in self.old.contents() {
            content.add(&bytes);
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
        Builder { image, root, set, content }
    }
}
