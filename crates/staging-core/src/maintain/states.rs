//! The states below one directory: to which workspace each belongs, and which has pending work.
//!
//! A state directory is named by [`workspace_key`] when it is created, and keeps that name when its
//! workspace is moved, because processes have it open. So a state is searched by that name first,
//! and then by the record of its workspace that it contains.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Result, StagingError, with_causes};
use crate::ids::ApplyId;
use crate::options::workspace_key;
use crate::own_file;
use crate::own_file::failed;
use crate::store::columns::{exists, rows};
use crate::store::identity;
use crate::store::identity::{Identity, Record};

/// How many states there can be of workspaces that were at one path.
const NAMESAKES_MAX: u32 = 10_000;

/// The state directory of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceState {
    /// The directory, which may not exist yet.
    pub dir: PathBuf,
    /// How it was found.
    pub found: StateFound,
    /// States of directories that were at this path before, or that may be this one: only a
    /// person can decide that. [`adopt_state`] adopts one.
    pub unclaimed: Vec<UnclaimedState>,
}

/// How a state was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateFound {
    /// There is none yet.
    New,
    /// It belongs to the directory at this path.
    ByPath,
    /// It belongs to this directory, which was moved here.
    Moved {
        /// The directory's earlier path.
        from: PathBuf,
    },
    /// It belongs to this directory, which is mounted at another path, too.
    OtherName {
        /// The other path.
        name: PathBuf,
    },
}

/// A state that a person may adopt for the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclaimedState {
    /// The state's directory.
    pub dir: PathBuf,
    /// The path of its workspace.
    pub root: PathBuf,
    /// Whether it has pending patches or an undecided apply.
    pub has_work: bool,
}

/// One of the states below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownState {
    /// The state's directory.
    pub dir: PathBuf,
    /// The path at which its workspace is or was; `None` when an older version created the state.
    pub root: Option<PathBuf>,
    /// Whether the workspace exists at that path.
    pub is_there: bool,
    /// Whether an apply was interrupted, is running, or is in doubt; also when that is unknown.
    pub needs_recovery: bool,
    /// Why the workspace of the state is unknown.
    pub problem: Option<String>,
}

/// Finds the state of a workspace among those below `base`. The root must be canonical.
///
/// # Errors
/// `Io` when the root or a state cannot be read; `StateDir` when several states belong to the
/// workspace.
pub fn find_state(base: &Path, canonical_root: &Path) -> Result<WorkspaceState> {
    find_among(&Records::below(base), canonical_root)
}

/// Whether a store below `base` cannot be opened although it is this user's and its mode allows that: a
/// command that works in a copy of its workspace is kept from it, and cannot change that.
pub fn is_closed(base: &Path) -> bool {
    let states = fs::read_dir(base).into_iter().flatten().flatten();
    let stores = states.map(|state| state.path().join("store.sqlite"));
    let is_ours = |store: &PathBuf| fs::metadata(store).is_ok_and(|found| may_read(&found));
    stores.filter(is_ours).take(1).any(|store| {
        fs::File::open(store).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    })
}

#[cfg(unix)]
fn may_read(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid();
    user.is_root() || found.uid() == user.as_raw() && found.mode() & 0o400 != 0
}

#[cfg(not(unix))]
fn may_read(_: &fs::Metadata) -> bool {
    false
}

/// The first of these directories, all canonical, whose state has had a session. Other states do
/// not count: earlier versions created one for every command that only reads.
///
/// # Errors
/// As [`find_state`].
pub fn first_used<'d>(
    base: &Path,
    dirs: impl IntoIterator<Item = &'d Path>,
) -> Result<Option<&'d Path>> {
    first_where(base, dirs, |state| counts(state, USED))
}

/// The first of these directories, all canonical, that has patches pending or an undecided apply.
///
/// # Errors
/// As [`find_state`].
pub fn first_with_work<'d>(
    base: &Path,
    dirs: impl IntoIterator<Item = &'d Path>,
) -> Result<Option<&'d Path>> {
    first_where(base, dirs, has_work)
}

fn first_where<'d>(
    base: &Path,
    dirs: impl IntoIterator<Item = &'d Path>,
    is_meant: impl Fn(&Path) -> bool,
) -> Result<Option<&'d Path>> {
    let records = Records::below(base);
    for dir in dirs {
        let state = find_among(&records, dir)?;
        if state.found != StateFound::New && is_meant(&state.dir) {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// The records of the states below a directory, read at the first use.
struct Records<'b> {
    base: &'b Path,
    all: OnceCell<Vec<(PathBuf, Record)>>,
}

impl<'b> Records<'b> {
    fn below(base: &'b Path) -> Self {
        Self { base, all: OnceCell::new() }
    }

    fn all(&self) -> Result<&[(PathBuf, Record)]> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let mut all = Vec::new();
        for dir in directories(self.base)? {
            if let Some(record) = record_of(&dir)? {
                all.push((dir, record));
            }
        }
        Ok(self.all.get_or_init(|| all))
    }
}

fn find_among(records: &Records<'_>, canonical_root: &Path) -> Result<WorkspaceState> {
    let base = records.base;
    let named = base.join(workspace_key(canonical_root));
    let mut found = WorkspaceState { dir: named, found: StateFound::New, unclaimed: Vec::new() };
    let Some(this) = Identity::of(canonical_root).map_err(failed("look at", canonical_root))?
    else {
        return Ok(found);
    };
    let of_the_name = record_of(&found.dir)?;
    let is_this =
        |record: &Record| record.root == canonical_root && record.identity.is_still(&this);
    if of_the_name.as_ref().is_some_and(is_this) {
        found.found = StateFound::ByPath;
        return Ok(found);
    }
    // Created by a version that recorded no workspace, or by a process that died.
    let is_unmarked = of_the_name.is_none() && found.dir.exists();
    let mut claims = Vec::new();
    for (dir, record) in records.all()?.iter().cloned() {
        if is_this(&record) {
            claims.push((dir, StateFound::ByPath));
        } else if record.root == canonical_root {
            found.unclaimed.push(unclaimed(dir, record));
        } else if record.identity.is_certainly(&this) {
            match live(&record)? {
                Some(other) if other == this => {
                    claims.push((dir, StateFound::OtherName { name: record.root }));
                }
                Some(_) => {}
                None => claims.push((dir, StateFound::Moved { from: record.root })),
            }
        } else if record.identity.may_be(&this) && live(&record)?.is_none() {
            found.unclaimed.push(unclaimed(dir, record));
        }
    }
    let by_path = claims.iter().position(|(_, found)| *found == StateFound::ByPath);
    if claims.len() > 1 && by_path.is_none() {
        let reason = format!(
            "and `{}` both belong to `{}`: one is a copy; remove it",
            claims[1].0.display(),
            canonical_root.display()
        );
        return Err(StagingError::StateDir { path: claims.swap_remove(0).0, reason });
    }
    if !claims.is_empty() {
        (found.dir, found.found) = claims.swap_remove(by_path.unwrap_or(0));
    } else if is_unmarked {
        found.found = StateFound::ByPath;
    } else if of_the_name.is_some() {
        found.dir = free_name(&found.dir);
    }
    Ok(found)
}

/// Adopts a state for the directory that is at this path now, for example after a restore from a
/// backup. Its patches stay pending if their files have the contents that the agents read.
///
/// # Errors
/// `StateDir` when there is no workspace at the path, when the state's own workspace still exists,
/// or when the workspace has another state with pending work; `Io` when a state cannot be read or
/// written to.
pub fn adopt_state(base: &Path, canonical_root: &Path, state: &Path) -> Result<()> {
    let refused =
        |path: &Path, reason: String| Err(StagingError::StateDir { path: path.to_owned(), reason });
    let Some(this) = Identity::of(canonical_root).map_err(failed("look at", canonical_root))?
    else {
        return refused(state, format!("has no workspace at `{}`", canonical_root.display()));
    };
    if let Some(record) = record_of(state)?
        && record.root != canonical_root
        && live(&record)?.is_some()
    {
        let root = record.root.display();
        return refused(state, format!("belongs to `{root}`, which is still there"));
    }
    let present = find_state(base, canonical_root)?;
    if present.dir != state && present.found != StateFound::New {
        if has_work(&present.dir) {
            let reason = "has patches pending for this workspace: apply or discard them first";
            return refused(&present.dir, reason.to_owned());
        }
        identity::remove(&present.dir).map_err(failed("change", &present.dir))?;
    }
    let record = Record { root: canonical_root.to_owned(), identity: this };
    identity::write(state, &record).map_err(failed("change", state))
}

/// Every state below `base`. A state that cannot be read is listed with its problem.
///
/// # Errors
/// `Io` when `base` cannot be listed.
pub fn known_states(base: &Path) -> Result<Vec<KnownState>> {
    let mut known = Vec::new();
    for dir in directories(base)? {
        if !dir.join("store.sqlite").exists() {
            continue;
        }
        let needs_recovery = has_journal(&dir) || counts(&dir, UNDECIDED);
        let (root, found) = match record_of(&dir) {
            Ok(Some(record)) => {
                let found = live(&record).map(|found| found.is_some());
                (Some(record.root), found)
            }
            Ok(None) => (None, Ok(false)),
            Err(error) => (None, Err(error)),
        };
        let (is_there, problem) = match found {
            Ok(is_there) => (is_there, None),
            Err(error) => (false, Some(with_causes(&error))),
        };
        known.push(KnownState { dir, root, is_there, needs_recovery, problem });
    }
    Ok(known)
}

/// Records the workspace of a state that is about to be opened, and refuses a state that belongs
/// to another directory.
pub(crate) fn claim(state: &Path, canonical_root: &Path) -> Result<()> {
    let Some(this) = Identity::of(canonical_root).map_err(failed("look at", canonical_root))?
    else {
        return Ok(());
    };
    let record = Record { root: canonical_root.to_owned(), identity: this };
    match record_of(state)? {
        Some(known) if known == record => return Ok(()),
        Some(known) if known.root == canonical_root && known.identity.is_still(&this) => {}
        Some(known) if known.root == canonical_root => return Err(others(state, &known)),
        Some(known) if known.identity.is_certainly(&this) => match live(&known)? {
            // The directory is opened by another of its paths.
            Some(other) if other == this => return Ok(()),
            _ => {}
        },
        Some(known) => return Err(others(state, &known)),
        None => {}
    }
    if let Err(error) = identity::write(state, &record) {
        // Without the record the state is found by its name only.
        tracing::debug!(%error, "cannot record the workspace of the state");
    }
    Ok(())
}

fn others(state: &Path, known: &Record) -> StagingError {
    let reason = format!(
        "belongs to another directory, which was at `{}`: name another state directory, or adopt \
         this one with `greenroom recover --adopt`",
        known.root.display()
    );
    StagingError::StateDir { path: state.to_owned(), reason }
}

/// The identity of the workspace of a state, or of a new mount of it, at its path; `None` when
/// nothing is there, or another directory.
fn live(record: &Record) -> Result<Option<Identity>> {
    let found = match Identity::of(&record.root) {
        Ok(found) => found,
        // Without permission it is unknown; the workspace may be there.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(record.identity),
        Err(error) => return Err(failed("look at", &record.root)(error)),
    };
    Ok(found.filter(|found| record.identity.is_still(found)))
}

fn unclaimed(dir: PathBuf, record: Record) -> UnclaimedState {
    UnclaimedState { has_work: has_work(&dir), dir, root: record.root }
}

fn record_of(state: &Path) -> Result<Option<Record>> {
    identity::read(state).map_err(failed("read the workspace of the state", state))
}

fn directories(base: &Path) -> Result<Vec<PathBuf>> {
    match own_file::folders(base) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        folders => folders.map_err(failed("list", base)),
    }
}

fn free_name(named: &Path) -> PathBuf {
    let name = named.file_name().unwrap_or_default();
    (2..NAMESAKES_MAX)
        .map(|number| {
            let mut name = name.to_owned();
            name.push(format!(".{number}"));
            named.with_file_name(name)
        })
        .find(|dir| !dir.exists())
        .unwrap_or_else(|| named.to_owned())
}

const UNDECIDED: &str = "SELECT 1 FROM applies WHERE state IN ('started', 'in_doubt') LIMIT 1";
/// True also when every session was removed since: SQLite keeps the highest id.
const USED: &str = "SELECT 1 FROM sqlite_sequence WHERE name = 'sessions' AND seq > 0";
const PENDING: &str = "SELECT 1 FROM patches WHERE state = 'pending' LIMIT 1";

fn has_work(state: &Path) -> bool {
    has_journal(state) || counts(state, UNDECIDED) || counts(state, PENDING)
}

fn has_journal(state: &Path) -> bool {
    let entries = fs::read_dir(state.join("journal"));
    entries.is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "journal"))
    })
}

/// The applies of a state that have no recorded outcome, and whether each is in doubt.
pub(crate) fn undecided(state: &Path) -> Result<Vec<(ApplyId, bool)>> {
    let statement = "SELECT id, state = 'in_doubt' FROM applies
                     WHERE state IN ('started', 'in_doubt') ORDER BY id";
    let Some(connection) = read_store(state)? else { return Ok(Vec::new()) };
    rows(&connection, statement, [], |row| Ok(row.try_into()?))
}

/// Whether a statement finds a row; true also when the store cannot be read, because it may have
/// one.
fn counts(state: &Path, statement: &str) -> bool {
    let found = read_store(state).and_then(|connection| match connection {
        Some(connection) => exists(&connection, statement, []),
        None => Ok(false),
    });
    found.unwrap_or_else(|error| {
        tracing::debug!(%error, state = %state.display(), "cannot read a state");
        true
    })
}

/// Opens the store of a state, which this connection cannot change; `None` when there is none.
pub(crate) fn read_store(state: &Path) -> Result<Option<Connection>> {
    let path = state.join("store.sqlite");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(path.exists().then(|| Connection::open_with_flags(path, flags)).transpose()?)
}
