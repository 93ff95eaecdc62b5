//! A workspace in a temporary directory, with content held in memory.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

pub mod interposed;
#[cfg(target_os = "linux")]
pub mod namespaces;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use atomic_fs::*;

/// Staged content by its digest.
#[derive(Clone, Default)]
pub struct Memory(pub HashMap<Digest, Vec<u8>>);

impl ContentSource for Memory {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        match self.0.get(digest) {
            Some(bytes) => Ok(Box::new(bytes.as_slice())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// What a caller has on record of its sets, and all contents that a test has made.
pub struct Records {
    pub sets: BTreeMap<String, RecordedSet>,
    pub undecided: Vec<String>,
    /// Sets that are not in `sets` are known as well, without their changes.
    pub knows_all: bool,
    pub contents: Memory,
}

impl SetRecords for Records {
    fn find(&self, set: &str) -> io::Result<Option<RecordedSet>> {
        let unlisted = self.knows_all.then(RecordedSet::default);
        Ok(self.sets.get(set).cloned().or(unlisted))
    }

    fn undecided(&self) -> io::Result<Vec<String>> {
        Ok(self.undecided.clone())
    }

    fn contents(&self) -> &dyn ContentSource {
        &self.contents
    }
}

/// A name with its mode and content; directories have none.
pub type Tree = BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>;

pub struct Fixture {
    pub folder: tempfile::TempDir,
    pub memory: Memory,
    /// What files have held, as a caller stores it when a change of them is proposed.
    pub bases: std::sync::Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::in_folder(tempfile::tempdir().expect("a temporary directory"))
    }
}

impl Fixture {
    /// On a file system in memory where there is one: for tests that make thousands of
    /// workspaces and lose nothing by it, since they simulate no power cut.
    pub fn in_memory() -> Self {
        match tempfile::tempdir_in("/dev/shm") {
            Ok(folder) => Self::in_folder(folder),
            Err(_) => Self::default(),
        }
    }

    fn in_folder(folder: tempfile::TempDir) -> Self {
        fs::create_dir(folder.path().join("tree")).expect("writable");
        fs::create_dir(folder.path().join("state")).expect("writable");
        Self { folder, memory: Memory::default(), bases: std::sync::Mutex::default() }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("tree").canonicalize().expect("it exists")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state").canonicalize().expect("it exists")
    }

    pub fn open(&self) -> Workspace {
        self.open_with(Options::default())
    }

    pub fn open_with(&self, options: Options) -> Workspace {
        Workspace::open(&self.root(), &self.state(), options).expect("opens")
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn put(&self, path: &str, content: &[u8]) {
        self.put_mode(path, content, 0o644);
    }

    pub fn put_mode(&self, path: &str, content: &[u8], mode: u32) {
        let file = self.at(path);
        fs::create_dir_all(file.parent().expect("below the root")).expect("writable");
        fs::write(&file, content).expect("writable");
        set_mode(&file, mode);
        let mut bases = self.bases.lock().expect("no test panics while it holds the lock");
        bases.insert(Digest::of(content), content.to_vec());
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).expect("readable")
    }

    pub fn staged(&mut self, content: &[u8], mode: u32) -> Fingerprint {
        let digest = Digest::of(content);
        self.memory.0.insert(digest, content.to_vec());
        Fingerprint::file(digest, content.len() as u64, mode)
    }

    pub fn base(&self, path: &str) -> Expected {
        let bytes = self.read(path);
        let mode = mode_of(&fs::metadata(self.at(path)).expect("exists"));
        let digest = Digest::of(&bytes);
        Expected::Matches(Fingerprint::file(digest, bytes.len() as u64, mode))
    }

    pub fn create(&mut self, path: &str, content: &[u8]) -> Change {
        let operation = Operation::Write(self.staged(content, kept_mode(0o644)));
        Change { path: rel(path), expected: Expected::Absent, operation }
    }

    pub fn modify(&mut self, path: &str, content: &[u8]) -> Change {
        let expected = self.base(path);
        let Expected::Matches(base) = expected else { unreachable!("a base was read") };
        let operation = Operation::Write(self.staged(content, base.mode));
        Change { path: rel(path), expected, operation }
    }

    pub fn delete(&self, path: &str) -> Change {
        Change { path: rel(path), expected: self.base(path), operation: Operation::Delete }
    }

    pub fn rename(&self, path: &str, to: &str) -> Change {
        let operation = Operation::Rename { to: rel(to), staged: None };
        Change { path: rel(path), expected: self.base(path), operation }
    }

    pub fn chmod(&self, path: &str, mode: u32) -> Change {
        let operation = Operation::SetMode { mode };
        Change { path: rel(path), expected: self.base(path), operation }
    }

    /// Applies and tidies up as a caller would.
    pub fn apply(&self, changes: Vec<Change>) -> Applied {
        self.apply_on(&self.open(), changes)
    }

    pub fn apply_on<D: Disk>(&self, workspace: &Workspace<D>, changes: Vec<Change>) -> Applied {
        let lock = workspace.lock().expect("free");
        let mut applied = workspace.apply(&lock, &set(changes), &self.memory);
        if let Some(unfinished) = applied.unfinished.take() {
            applied.kept.extend(workspace.clean_up(&lock, &unfinished).expect("tidies"));
            workspace.forget(&lock, unfinished).expect("forgets");
        }
        applied
    }

    /// What the store of a caller holds: old and new contents.
    pub fn contents(&self) -> Memory {
        let mut contents = self.memory.clone();
        let bases = self.bases.lock().expect("no test panics while it holds the lock");
        contents.0.extend(bases.iter().map(|(digest, bytes)| (*digest, bytes.clone())));
        contents
    }

    /// Whoever began every set that has a journal, and remembers nothing but contents.
    pub fn records(&self) -> Records {
        let (sets, undecided) = (BTreeMap::new(), Vec::new());
        Records { sets, undecided, knows_all: true, contents: self.contents() }
    }

    /// Whoever began this set, and has its changes on record.
    pub fn records_of(&self, changes: &[Change]) -> Records {
        let recorded = RecordedSet { changes: Some(changes.to_vec()), ..RecordedSet::default() };
        let sets = BTreeMap::from([("t1".to_owned(), recorded)]);
        let undecided = vec!["t1".to_owned()];
        Records { sets, undecided, knows_all: false, contents: self.contents() }
    }

    pub fn recover(&self) -> Vec<Recovered> {
        self.recover_by(&self.records()).sets
    }

    pub fn recover_by(&self, records: &Records) -> RecoveryReport {
        let workspace = self.open();
        let lock = workspace.lock().expect("free");
        workspace.recover(&lock, records, &mut |_| Ok(())).expect("recovers")
    }

    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        walk(&self.root(), &self.root(), &mut tree);
        tree
    }

    /// What would be debris: slots in the tree, journals in the state.
    pub fn debris(&self) -> Vec<PathBuf> {
        let slots = self.tree().into_keys().filter(|path| {
            path.file_name().is_some_and(|name| is_slot_name(name.as_encoded_bytes()))
        });
        let journals = fs::read_dir(self.state().join("journal"))
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_else(|_| Vec::new());
        slots.chain(journals).collect()
    }

    pub fn displaced_edits(&self) -> Vec<Vec<u8>> {
        let files = self.open().conflicts().expect("listable");
        files.iter().map(|file| fs::read(file).expect("readable")).collect()
    }
}

#[cfg(unix)]
pub fn mode_of(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777
}

#[cfg(unix)]
pub fn set_mode(file: &Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(file, mode).expect("ours");
}

/// The two modes that Windows has.
#[cfg(windows)]
pub fn mode_of(metadata: &fs::Metadata) -> u32 {
    match metadata.permissions().readonly() {
        _ if metadata.is_dir() => 0o755,
        true => 0o444,
        false => 0o644,
    }
}

#[cfg(windows)]
#[allow(clippy::permissions_set_readonly_false, reason = "it is an attribute here")]
pub fn set_mode(file: &Path, mode: u32) {
    let mut permissions = fs::metadata(file).expect("exists").permissions();
    permissions.set_readonly(mode & 0o200 == 0);
    fs::set_permissions(file, permissions).expect("ours");
}

/// How a test says what Wine cannot show; `cargo xtask windows` lists and counts such lines.
#[cfg(windows)]
pub const NOT_PROVABLE: &str = "not provable under Wine: ";

/// Asserts what Windows does and Wine need not do: there it says so and why instead.
#[cfg(windows)]
pub fn on_windows_itself(claim: &str, why_not: &str, holds: impl FnOnce() -> bool) {
    // Wine's own settings are a program that Windows does not have.
    let is_wine = Path::new(r"C:\windows\system32\winecfg.exe").exists();
    if is_wine {
        println!("{NOT_PROVABLE}{claim}: {why_not}");
    } else {
        assert!(holds(), "{claim}");
    }
}

/// A mode as files have it on this system.
pub fn kept_mode(mode: u32) -> u32 {
    SystemDisk::default().kept_mode(mode)
}

fn walk(root: &Path, dir: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(dir).expect("listable") {
        let entry = entry.expect("listable");
        let path = entry.path();
        let name = path.strip_prefix(root).expect("below the root").to_owned();
        let metadata = fs::symlink_metadata(&path).expect("it was listed");
        let mode = mode_of(&metadata);
        if metadata.is_dir() {
            tree.insert(name, (mode, None));
            walk(root, &path, tree);
        } else {
            tree.insert(name, (mode, Some(fs::read(&path).unwrap_or_default())));
        }
    }
}

pub fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).expect("a path of a test")
}

pub fn set(changes: Vec<Change>) -> ChangeSet {
    ChangeSet { id: "t1".to_owned(), changes, emptied_dirs: EmptiedDirs::default() }
}
