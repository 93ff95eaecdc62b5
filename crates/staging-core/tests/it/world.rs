//! A workspace and its layer in temporary directories.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use staging_core::{
    Digest, DiskOwner, Patch, Proposal, Proposed, RelPath, SessionId, StagingOptions,
};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) layer: DiskOwner,
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut StagingOptions)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("a workspace");
        let mut options = options(dir.path());
        change(&mut options);
        let layer = DiskOwner::open(options).expect("a new state directory opens");
        Self { layer, dir }
    }

    pub(crate) fn again(&self) -> DiskOwner {
        DiskOwner::open(self.layer.options().clone()).expect("the state opens again")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("its folder");
        fs::write(path, content).expect("a user's write");
    }

    pub(crate) fn disk(&self, name: &str) -> Option<String> {
        fs::read(self.root().join(name)).ok().map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.root().join(name), fs::Permissions::from_mode(mode))
            .expect("the user's file");
    }

    pub(crate) fn session(&self, label: &str) -> SessionId {
        self.layer.open_session(label).expect("a session opens").id
    }

    pub(crate) fn write(&self, session: SessionId, name: &str, content: &str) -> Proposed {
        self.layer.propose(session, write(name, content)).expect("a plain write is staged")
    }

    pub(crate) fn read(&self, session: SessionId, name: &str) -> Option<String> {
        self.layer
            .read_through(session, &path(name))
            .expect("reading never fails here")
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn pending(&self) -> Vec<Patch> {
        let status = self.layer.status().expect("a status");
        status.sessions.into_iter().flat_map(|session| session.patches).collect()
    }

    /// Every file of the workspace: content, mode, and when it was modified.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
        let mut tree = BTreeMap::new();
        walk(&self.root(), &mut tree);
        tree
    }

    /// A connection to the store, to tamper with it.
    pub(crate) fn store(&self) -> Connection {
        Connection::open(self.state().join("store.sqlite")).expect("the store")
    }

    /// How many contents are stored.
    pub(crate) fn blobs(&self) -> usize {
        let count =
            self.store().query_row("SELECT count(*) FROM contents", [], |row| row.get::<_, i64>(0));
        usize::try_from(count.expect("the table is there")).expect("few")
    }

    /// Overwrites a stored content in place with other bytes of the same length.
    pub(crate) fn tear(&self, content: &[u8]) {
        let digest = Digest::of(content);
        let (pack, at): (i64, i64) = self
            .store()
            .query_row(
                "SELECT pack, at FROM contents WHERE digest = ?1",
                [digest.as_bytes()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .expect("it is stored, in a pack");
        let pack = self.state().join(format!("blobs/{pack:016x}.pack"));
        let pack = fs::File::options().write(true).open(pack).expect("the pack");
        pack.write_all_at(&vec![b'!'; content.len()], at.unsigned_abs()).expect("ours");
    }

    /// How many bytes of disk space the directory of contents takes.
    pub(crate) fn content_blocks(&self) -> u64 {
        let mut tree = BTreeMap::new();
        walk(&self.state().join("blobs"), &mut tree);
        tree.into_keys()
            .filter(|path| path.is_file())
            .map(|path| fs::metadata(path).expect("it is there").blocks() * 512)
            .sum()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let records = self.layer.events_since(0, 10_000).expect("the log");
        records
            .iter()
            .map(|record| {
                let json = serde_json::to_value(record).expect("events are JSON");
                json["event"].as_str().expect("each is named").to_owned()
            })
            .collect()
    }
}

fn options(dir: &Path) -> StagingOptions {
    StagingOptions::new(dir.join("work"), dir.join("state"))
}

fn walk(dir: &Path, tree: &mut BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("an entry");
        let content = if meta.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
        tree.insert(path.clone(), (content, meta.mode(), meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            walk(&path, tree);
        }
    }
}

pub(crate) fn path(name: &str) -> RelPath {
    RelPath::parse(name.as_bytes()).expect("a relative path")
}

pub(crate) fn write(name: &str, content: &str) -> Proposal {
    Proposal::Write { path: path(name), content: content.into(), mode: None }
}

pub(crate) fn delete(name: &str) -> Proposal {
    Proposal::Delete { path: path(name) }
}

pub(crate) fn rename(from: &str, to: &str) -> Proposal {
    Proposal::Rename { path: path(from), to: path(to) }
}

pub(crate) fn set_mode(name: &str, mode: u32) -> Proposal {
    Proposal::SetMode { path: path(name), mode }
}

pub(crate) fn edit(name: &str, old: &str, new: &str) -> Proposal {
    Proposal::Edit { path: path(name), old: old.into(), new: new.into(), replace_all: false }
}
