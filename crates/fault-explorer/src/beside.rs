//! A second state over the same tree, and what a process of its does.
//!
//! A parent or a child workspace, a bind mount, another `--state-dir`, another user: its journals,
//! its conflicts and its lock are its own, and only the tree is shared.

use std::io;
use std::path::PathBuf;

use crate::atomic_fs::simulated::{
    Answer, Bystander, CallKind, Fault, Image, SimulatedDisk, World,
};
use crate::atomic_fs::{
    Change, ChangeSet, ContentSource, Digest, EmptiedDirs, Expected, Fingerprint, FsError,
    Operation, Outcome, RecordedSet, RecoveredOutcome, RelPath, SetRecords, Workspace,
    WorkspaceLock,
};
use serde::{Deserialize, Serialize};

use crate::scenario::{Content, ROOT};
use crate::workspace::open;

/// Where the second state lies on the simulated disk.
pub const STATE: &str = "state2";

/// What a process of the second state does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Beside {
    /// The root of its workspace, from the top of the disk.
    pub root: String,
    /// What it applies; nothing when it recovers and sweeps instead.
    pub changes: Vec<OtherChange>,
    /// Before which of its calls it is killed.
    pub dies_at: Option<usize>,
}

/// New content for one file, by the second state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OtherChange {
    /// The file, relative to its workspace's root.
    pub path: String,
    /// Its content before; `None` when it is created.
    pub old: Option<String>,
    /// The permission bits before and after.
    pub mode: u32,
    /// Its content after.
    pub new: String,
}

impl Beside {
    /// Recovers and sweeps over the first one's whole tree.
    pub fn recovers() -> Self {
        Self { root: ROOT.to_owned(), changes: Vec::new(), dies_at: None }
    }

    /// Applies these changes over the first one's tree.
    pub fn applies(changes: Vec<OtherChange>) -> Self {
        Self { root: ROOT.to_owned(), changes, dies_at: None }
    }

    /// The paths that it changes, relative to the first one's root.
    pub fn paths(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let below = self.root.strip_prefix(ROOT).unwrap_or_default().trim_start_matches('/');
        self.changes.iter().map(move |change| match below {
            "" => change.path.clone().into_bytes(),
            dir => format!("{dir}/{}", change.path).into_bytes(),
        })
    }
}

/// Adds the second state's directories to a disk.
pub fn add_state(image: &mut Image) {
    let state = image.add_dir(0, STATE.as_bytes(), 1);
    image.add_dir(state, b"journal", 1);
    image.add_dir(state, b"conflicts", 1);
}

/// The second state's lock, which is really held.
pub struct Second {
    lock: WorkspaceLock,
    lock_path: PathBuf,
}

impl Second {
    pub(crate) fn new(lock: WorkspaceLock, lock_path: PathBuf) -> Self {
        Self { lock, lock_path }
    }

    fn open(&self, root: &str, disk: &SimulatedDisk) -> Workspace<SimulatedDisk> {
        open(disk.clone(), root, STATE, self.lock_path.clone())
    }

    /// Runs its process to its end, or to its death; returns what it was answered about its set,
    /// and whether it died.
    pub(crate) fn run(&self, beside: &Beside, disk: &SimulatedDisk) -> (Option<Answer>, bool) {
        let (answer, disk) = self.live(beside, disk);
        (answer, disk.died())
    }

    fn live(&self, beside: &Beside, disk: &SimulatedDisk) -> (Option<Answer>, SimulatedDisk) {
        let disk = match beside.dies_at {
            Some(call) => disk.clone().watched_by(Box::new(Killer(call))),
            None => disk.clone(),
        };
        let workspace = self.open(&beside.root, &disk);
        if beside.changes.is_empty() {
            let answer = self.recover(&workspace, beside);
            let answer = answer.ok().flatten().filter(|_| !disk.died());
            return (answer, disk);
        }
        let (set, content) = set_of(&beside.changes);
        let mut applied = workspace.apply(&self.lock, &set, &content);
        if disk.died() {
            return (None, disk);
        }
        let answer = match &applied.outcome {
            Outcome::Committed => Answer::Committed,
            Outcome::InDoubt(_) => Answer::InDoubt,
            _ => Answer::Unchanged,
        };
        if let Some(unfinished) = applied.unfinished.take() {
            let cleaned = workspace.clean_up(&self.lock, &unfinished);
            if cleaned.is_ok() && !disk.died() {
                let _ = workspace.forget(&self.lock, unfinished);
            }
        }
        (Some(answer), disk)
    }

    /// Recovers and sweeps; what became of its set, if it found one.
    fn recover(
        &self,
        workspace: &Workspace<SimulatedDisk>,
        beside: &Beside,
    ) -> Result<Option<Answer>, FsError> {
        let mut answer = None;
        let records = Records::of(beside);
        workspace.recover(&self.lock, &records, &mut |recovered| {
            answer = Some(match recovered.outcome {
                RecoveredOutcome::Committed => Answer::Committed,
                RecoveredOutcome::RolledBack => Answer::Unchanged,
                RecoveredOutcome::InDoubt => Answer::InDoubt,
            });
            Ok(())
        })?;
        let is_own = |set: &str| set == SET && records.has_begun;
        workspace.sweep(&self.lock, &is_own, &|digest: &Digest| records.contents.has(digest))?;
        Ok(answer)
    }

    /// The same by a process that nothing disturbs.
    pub(crate) fn recover_on(
        &self,
        beside: &Beside,
        disk: &SimulatedDisk,
    ) -> Result<Option<Answer>, FsError> {
        self.recover(&self.open(&beside.root, disk), beside)
    }
}

/// The second state's set.
const SET: &str = "u1";

/// What the second state has on record.
struct Records {
    has_begun: bool,
    contents: Content,
}

impl Records {
    fn of(beside: &Beside) -> Self {
        let (_, mut contents) = set_of(&beside.changes);
        for old in beside.changes.iter().filter_map(|change| change.old.as_ref()) {
            contents.add(old.as_bytes());
        }
        Self { has_begun: !beside.changes.is_empty(), contents }
    }
}

impl SetRecords for Records {
    fn find(&self, set: &str) -> io::Result<Option<RecordedSet>> {
        Ok((set == SET && self.has_begun).then(RecordedSet::default))
    }

    fn undecided(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn contents(&self) -> &dyn ContentSource {
        &self.contents
    }
}

fn set_of(changes: &[OtherChange]) -> (ChangeSet, Content) {
    let mut content = Content::default();
    let changes = changes.iter().map(|change| {
        let digest = content.add(change.new.as_bytes());
        let expected = change.old.as_ref().map_or(Expected::Absent, |old| {
            let (digest, bytes) = (Digest::of(old.as_bytes()), old.len() as u64);
            Expected::Matches(Fingerprint::file(digest, bytes, change.mode))
        });
        let staged = Fingerprint::file(digest, change.new.len() as u64, change.mode);
        let path = RelPath::parse(change.path.as_bytes()).expect("a path of a scenario");
        Change { path, expected, operation: Operation::Write(staged) }
    });
    let changes = changes.collect();
    (ChangeSet { id: SET.to_owned(), changes, emptied_dirs: EmptiedDirs::default() }, content)
}

struct Killer(usize);

impl Bystander for Killer {
    fn at_call(&mut self, number: usize, _: CallKind, _: &mut World<'_>) -> Option<Fault> {
        (number >= self.0).then_some(Fault::Dies)
    }
}
