//! A workspace: the tree whose files are protected, and the state beside it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::apply::Apply;
use crate::apply::clear_dir::remove_emptied;
use crate::apply::journal::{Journal, Opened};
use crate::apply::journal_names;
use crate::apply::record::Record;
use crate::apply::slot_name::is_slot_name;
use crate::apply::swapper::Swapper;
use crate::apply::tidy::{Unknown, clean_slots};
use crate::beneath::{self, LastSymlink, Overlaid, Overlay};
use crate::change_set::{Change, ChangeSet};
use crate::content::{ContentSource, Digest};
use crate::error::{FsError, Refusal};
use crate::mutants::mutant;
use crate::options::Options;
use crate::os::dir_cache::DirCache;
use crate::os::dir_locks;
use crate::os::disk::{Disk, Entry, FileKind, Stat, is_symlink_error};
use crate::os::file_reader::FileReader;
use crate::os::lock::WorkspaceLock;
use crate::outcome::{Applied, Outcome, Unfinished};
use crate::policy::{Policy, check_mode_change};
use crate::records::SetRecords;
use crate::recovery::conflicts::Kept;
use crate::recovery::recover::Recovery;
use crate::recovery::report::{Recovered, RecoveryReport};
use crate::recovery::restore;
use crate::recovery::sweep::{self, Swept};
use crate::rel_path::{RelPath, os_string};

/// The machine's own file systems.
#[cfg(unix)]
pub type SystemDisk = crate::os::posix::PosixDisk;
/// The machine's own file systems.
#[cfg(windows)]
pub type SystemDisk = crate::os::windows::WindowsDisk;

const JOURNALS: &str = "journal";
const CONFLICTS: &str = "conflicts";
/// The name in the state directory of the file whose lock (flock(2)) is the workspace's.
pub const LOCK_FILE: &str = "lock";

/// A directory tree whose files are protected, opened together with the state
/// directory that its journals lie in.
pub struct Workspace<D: Disk = SystemDisk> {
    disk: D,
    places: Places<D>,
    policy: Policy,
}

/// Where a workspace's tree and state lie on a disk.
pub struct Places<D: Disk> {
    /// The tree.
    pub root: D::Dir,
    /// The tree's path, canonical; absolute symlinks are read against it.
    pub root_path: PathBuf,
    /// Where journals are written.
    pub journals: D::Dir,
    /// Where displaced bytes of users are kept.
    pub conflicts: D::Dir,
    /// The same as a path, to tell people.
    pub conflicts_path: PathBuf,
    /// The lock's file, always on the machine's own file system.
    pub lock_path: PathBuf,
    /// The state directory as a path below the root, if it lies there.
    pub own_state: Option<RelPath>,
}

impl Workspace {
    /// Opens the tree below `root` with its state in `state`, an existing directory of
    /// the user's own; `journal/`, `conflicts/` and `lock` are made in it.
    ///
    /// # Errors
    /// [`FsError::Io`] when a directory cannot be opened or made.
    pub fn open(root: &Path, state: &Path, options: Options) -> Result<Self, FsError> {
        let canonical =
            |path: &Path| dunce::canonicalize(path).map_err(FsError::state("find", path));
        let (root_path, state_path) = (canonical(root)?, canonical(state)?);
        let disk = SystemDisk::default();
        let open = |path: &Path| disk.open_dir(path).map_err(FsError::state("open", path));
        for name in [JOURNALS, CONFLICTS] {
            make_private_dir(&state_path.join(name))?;
        }
        let own_state = state_path
            .strip_prefix(&root_path)
            .ok()
            .filter(|inside| !inside.as_os_str().is_empty())
            .map(RelPath::from_path)
            .transpose()?;
        let places = Places {
            root: open(&root_path)?,
            journals: open(&state_path.join(JOURNALS))?,
            conflicts: open(&state_path.join(CONFLICTS))?,
            conflicts_path: state_path.join(CONFLICTS),
            lock_path: state_path.join(LOCK_FILE),
            own_state,
            root_path,
        };
        Ok(Self::on_disk(disk, places, options))
    }
}

#[allow(clippy::disallowed_methods, reason = "a directory of the state, not of the workspace")]
fn make_private_dir(path: &Path) -> Result<(), FsError> {
    // What a directory inherits on Windows is the state directory's own, which is the user's.
    #[cfg_attr(windows, allow(unused_mut))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(FsError::state("make the directory", path)(error))
        }
        _ => match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => Ok(()),
            // A link would lead what is kept for the user somewhere else.
            Ok(_) => {
                let error = io::Error::other("something else has its name: move it away");
                Err(FsError::state("use the directory", path)(error))
            }
            Err(error) => Err(FsError::state("look at", path)(error)),
        },
    }
}

impl<D: Disk> Workspace<D> {
    /// A workspace on any disk, of directories that are open already.
    pub fn on_disk(disk: D, places: Places<D>, options: Options) -> Self {
        let own_state = places.own_state.clone();
        let policy = Policy { options, own_state, root_path: places.root_path.clone() };
        Self { disk, places, policy }
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The permission bits that a file has on this system after these were asked for.
    pub fn kept_mode(&self, mode: u32) -> u32 {
        self.disk.kept_mode(mode)
    }

    /// The permission bits that the system would give a new file, of which a program asks for
    /// 0666: where the directory has a default access control list, the umask does not count.
    ///
    /// # Errors
    /// [`FsError::Refused`] when a parent is a symlink or another mount.
    pub fn new_file_mode(&self, path: &RelPath, by_umask: u32) -> Result<u32, FsError> {
        let cache = self.cache();
        let mut parent = path.parent();
        loop {
            match cache.dir(parent.as_ref()) {
                Ok(dir) => {
                    let allowed = self.disk.default_mode(&dir);
                    let allowed =
                        allowed.map_err(FsError::io("read the access control of", path))?;
                    return Ok(allowed.map_or(by_umask, |allowed| 0o666 & allowed));
                }
                // New directories inherit the list of the one that they are made in.
                Err(error) if error.is_absence() && parent.is_some() => {
                    parent = parent.as_ref().and_then(RelPath::parent);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The root, canonical.
    pub fn root(&self) -> &Path {
        &self.places.root_path
    }

    /// The file that a path really concerns: symlinks below the root are followed, and
    /// everything that can be refused by its path is. The file may be absent.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn resolve(&self, path: &RelPath) -> Result<RelPath, FsError> {
        self.resolve_to(path, LastSymlink::Followed)
    }

    /// The name that a path really means, whatever is there, a symlink as well: symlinks on the way
    /// are followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_entry(&self, path: &RelPath) -> Result<RelPath, FsError> {
        self.resolve_to(path, LastSymlink::Meant)
    }

    /// Refuses a path by its names alone, without a look at the disk.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn check_path(&self, path: &RelPath) -> Result<(), FsError> {
        self.policy.check_path(path)
    }

    fn resolve_to(&self, path: &RelPath, last: LastSymlink) -> Result<RelPath, FsError> {
        self.resolve_with(path, last, &mut beneath::disk_alone)
    }

    /// As [`resolve`](Self::resolve), where something else than what is on the disk counts: what
    /// `overlay` tells of a path.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), and those of `overlay`.
    pub fn resolve_over<E: From<FsError>>(
        &self,
        path: &RelPath,
        overlay: &mut dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E>,
    ) -> Result<RelPath, E> {
        self.resolve_with(path, LastSymlink::Followed, overlay)
    }

    /// As [`resolve_entry`](Self::resolve_entry), and [`resolve_over`](Self::resolve_over).
    ///
    /// # Errors
    /// As [`resolve_over`](Self::resolve_over).
    pub fn resolve_entry_over<E: From<FsError>>(
        &self,
        path: &RelPath,
        overlay: &mut dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E>,
    ) -> Result<RelPath, E> {
        self.resolve_with(path, LastSymlink::Meant, overlay)
    }

    fn resolve_with<E: From<FsError>>(
        &self,
        path: &RelPath,
        last: LastSymlink,
        overlay: &mut Overlay<'_, E>,
    ) -> Result<RelPath, E> {
        self.policy.check_path(path)?;
        let cache = self.cache();
        let root = &self.places.root_path;
        let resolved = beneath::resolve(&cache, root, path, last, overlay)?;
        self.policy.check_resolved(&cache, &resolved)?;
        if resolved.is_on_disk {
            // Opens the parent as a change would, so that a mount is noticed now.
            cache.stat(&resolved.path)?;
        }
        Ok(resolved.path)
    }

    /// The status of a name, not following symlinks; `None` when it, or a parent, is
    /// absent.
    ///
    /// # Errors
    /// [`FsError::Refused`] when a parent is a symlink or another mount.
    pub fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        self.cache().stat(path)
    }

    /// The status of many names, with every directory opened once.
    ///
    /// # Errors
    /// One for each name, as [`stat`](Self::stat).
    pub fn stat_all<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p RelPath>,
    ) -> Vec<Result<Option<Stat>, FsError>> {
        let cache = self.cache();
        paths.into_iter().map(|path| cache.stat(path)).collect()
    }

    /// The names in a directory, the root when none is given, without Greenroom's own, in
    /// any order; `None` when it is absent, or no directory. Symlinks are not followed.
    ///
    /// # Errors
    /// [`FsError::Refused`] when the path is protected, or a part of it a symlink or
    /// another mount.
    pub fn list(&self, dir: Option<&RelPath>) -> Result<Option<Vec<Entry>>, FsError> {
        if let Some(dir) = dir {
            self.policy.check_path(dir)?;
        }
        let opened = match self.cache().dir(dir) {
            Ok(opened) => opened,
            Err(error) if error.is_absence() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut entries = self.disk.list(&opened).map_err(FsError::io("list", dir))?;
        entries.retain(|entry| !self.policy.is_own(dir, &entry.name));
        Ok(Some(entries))
    }

    /// Opens a regular file for reading, not following symlinks; `None` when it is
    /// absent.
    ///
    /// # Errors
    /// [`Refusal::NotAFile`] for anything but a regular file, [`Refusal::OtherMount`] for one
    /// that is a mount point by itself.
    pub fn open_file(&self, path: &RelPath) -> Result<Option<OpenFile<'_, D>>, FsError> {
        let cache = self.cache();
        let not_a_file =
            |kind| FsError::Refused { path: path.clone(), refusal: Refusal::NotAFile { kind } };
        match cache.stat(path)? {
            None => return Ok(None),
            Some(stat) => match stat.kind {
                FileKind::Regular => {}
                FileKind::Directory => return Err(not_a_file("directory")),
                FileKind::Symlink => return Err(not_a_file("symlink")),
                FileKind::Other => return Err(not_a_file("special file")),
            },
        }
        let parent = cache.parent(path)?;
        let file = match self.disk.open_file(&parent, path.file_name()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_symlink_error(&error) => return Err(not_a_file("symlink")),
            Err(error) => return Err(FsError::opening_file(path, error)),
        };
        let stat = self.disk.file_stat(&file).map_err(FsError::io("look at", path))?;
        if stat.kind != FileKind::Regular {
            return Err(not_a_file("special file"));
        }
        Ok(Some(OpenFile { disk: &self.disk, file, stat, offset: 0 }))
    }

    /// Refuses a file by its own state: hard links, setuid, not a regular file.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn check_target(&self, path: &RelPath, stat: &Stat) -> Result<(), FsError> {
        self.policy.check_file(path, stat)
    }

    /// Refuses a symbolic link at a path, a resolved one, by where it would lead: out of the
    /// workspace, or to what is protected in it. What it leads to may be absent. `overlay` is asked
    /// as by [`resolve_over`](Self::resolve_over).
    ///
    /// # Errors
    /// [`Refusal::LinkTarget`]; those of `overlay`.
    pub fn check_link<E: From<FsError>>(
        &self,
        path: &RelPath,
        target: &[u8],
        overlay: &mut dyn FnMut(&RelPath) -> Result<Option<Overlaid>, E>,
    ) -> Result<(), E> {
        // A refusal of the overlay's own is the caller's, and no word on the link.
        let mut failed = None;
        let checked = self.policy.check_link(&self.cache(), path, target, &mut |path| {
            overlay(path).or_else(|error| {
                failed = Some(error);
                Ok(None)
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(checked?),
        }
    }

    /// The target and the status of the symbolic link at a path; `None` where none is.
    ///
    /// # Errors
    /// [`FsError::Refused`] when a parent is a symlink or another mount.
    pub fn read_link(&self, path: &RelPath) -> Result<Option<(Vec<u8>, Stat)>, FsError> {
        let cache = self.cache();
        let Some(stat) = cache.stat(path)?.filter(|stat| stat.kind == FileKind::Symlink) else {
            return Ok(None);
        };
        let parent = cache.parent(path)?;
        match self.disk.read_link(&parent, path.file_name()) {
            Ok(target) => Ok(Some((target, stat))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(FsError::io("read the symlink", path)(error)),
        }
    }

    /// Whether the file at a path gives capabilities to who runs it; new content does not keep
    /// them.
    ///
    /// # Errors
    /// [`FsError::Refused`] where it lies on another mount, [`FsError::Io`].
    pub fn has_capabilities(&self, path: &RelPath) -> Result<bool, FsError> {
        let file = match self.cache().open_file(path) {
            Ok(file) => file,
            Err(error) if error.is_absence() => return Ok(false),
            Err(error) => return Err(error),
        };
        self.disk.has_capabilities(&file).map_err(FsError::io("look at", path))
    }

    /// Refuses a change of the mode alone of a file that has other names; its new content would
    /// sever them.
    ///
    /// # Errors
    /// [`FsError::Refused`].
    pub fn check_mode_change(&self, path: &RelPath) -> Result<(), FsError> {
        self.stat(path)?.map_or(Ok(()), |stat| check_mode_change(path, &stat))
    }

    /// Waits for the workspace's lock.
    ///
    /// # Errors
    /// [`FsError::Io`] when the lock's file cannot be opened.
    pub fn lock(&self) -> Result<WorkspaceLock, FsError> {
        WorkspaceLock::wait(&self.places.lock_path)
    }

    /// Takes the workspace's lock if nobody holds it.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<WorkspaceLock>, FsError> {
        WorkspaceLock::try_take(&self.places.lock_path)
    }

    /// Whether a journal lies in the state directory: a set that is being applied right
    /// now, or one that a dead process left.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory cannot be listed.
    pub fn needs_recovery(&self) -> Result<bool, FsError> {
        Ok(!journal_names::names(&self.disk, &self.places.journals)?.is_empty())
    }

    /// The names in `journal/` of the journals that [`needs_recovery`](Self::needs_recovery)
    /// looks for.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory cannot be listed.
    pub fn open_journals(&self) -> Result<Vec<String>, FsError> {
        let names = journal_names::names(&self.disk, &self.places.journals)?;
        Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Applies a change set whole or not at all.
    ///
    /// # Durability
    /// With [`Outcome::Committed`] every change survives a power cut; with
    /// `Conflicts` and `RolledBack` nothing has changed, and a power cut does not
    /// change that.
    pub fn apply(
        &self,
        _lock: &WorkspaceLock,
        set: &ChangeSet,
        source: &dyn ContentSource,
    ) -> Applied {
        match self.needs_recovery() {
            Ok(false) => {}
            Ok(true) => {
                return Applied::unchanged(Outcome::RolledBack(FsError::NotRecovered));
            }
            Err(error) => return Applied::unchanged(Outcome::RolledBack(error)),
        }
        let cache = self.cache();
        let arrivals = set.changes.iter().filter_map(Change::arrives_at);
        let paths = set.changes.iter().map(|change| &change.path).chain(arrivals);
        let _locks = match dir_locks::take(&cache, paths) {
            Ok(locks) => locks,
            Err(error) => return Applied::unchanged(Outcome::RolledBack(error)),
        };
        let apply = Apply { cache: &cache, journals: &self.places.journals, policy: &self.policy };
        apply.run(set, source)
    }

    /// Tidies up after an answer: removes the slots, and directories that the set has emptied. Returns the user's bytes that were found in
    /// them.
    ///
    /// # Errors
    /// [`FsError::Io`]; what is left then is recovery's.
    pub fn clean_up(
        &self,
        _lock: &WorkspaceLock,
        unfinished: &Unfinished,
    ) -> Result<Vec<Kept>, FsError> {
        let cache = self.cache();
        let Some(journal) = self.journal_of(unfinished)? else { return Ok(Vec::new()) };
        let swapper = Swapper::new(&cache);
        // What it came to was recorded before it was answered.
        let is_late = match unfinished.record {
            Record::Committed => mutant!(CommittedTooLate),
            _ => mutant!(RolledBackTooLate),
        };
        if is_late {
            journal.append(&self.disk, &unfinished.record)?;
            journal.sync(&self.disk)?;
        }
        clean_slots(&swapper, &unfinished.intent, Unknown::Users)?;
        if unfinished.record == Record::Committed {
            remove_emptied(&swapper, &unfinished.intent)?;
        }
        Ok(swapper.take_kept())
    }

    /// Removes the journal, once the caller has made its own record of the outcome
    /// durable.
    ///
    /// # Errors
    /// [`FsError::Io`].
    pub fn forget(&self, _lock: &WorkspaceLock, unfinished: Unfinished) -> Result<(), FsError> {
        match self.journal_of(&unfinished)? {
            Some(journal) => journal.remove(&self.disk, &self.places.journals),
            None => Ok(()),
        }
    }

    fn journal_of(&self, unfinished: &Unfinished) -> Result<Option<Journal<D>>, FsError> {
        let name = journal_names::file_name(&unfinished.intent.set);
        match Journal::open(&self.disk, &self.places.journals, &name) {
            Ok(Opened::Sound(journal, _)) => Ok(Some(journal)),
            // Recovery's, or gone.
            Ok(_) => Ok(None),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finishes or undoes every set that has a journal, or that `records` calls undecided.
    ///
    /// A journal acts only where `records` has its set, and with the same changes. What else lies
    /// in `journal/`, and what is damaged, is renamed and reported. Slots that something removed
    /// are written anew from the contents of `records`.
    ///
    /// `record` is told each outcome once it is durable on disk, before its journal is
    /// removed. After a crash in between it is told again, so it must take the same
    /// news twice. Where it fails, the journal stays.
    ///
    /// # Errors
    /// [`FsError`] where the disk fails again; what was recovered so far stays so.
    /// [`FsError::InUse`] when another state keeps changing the same directories.
    pub fn recover(
        &self,
        _lock: &WorkspaceLock,
        records: &dyn SetRecords,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<RecoveryReport, FsError> {
        let cache = self.cache();
        let (journals, policy) = (&self.places.journals, &self.policy);
        Recovery { cache: &cache, journals, policy, records }.run(record)
    }

    /// The sets that recovery could neither finish nor take back, and that wait for a person.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory of journals cannot be listed.
    pub fn in_doubt(&self) -> Result<Vec<String>, FsError> {
        let parked = journal_names::parked(&self.disk, &self.places.journals)?;
        Ok(parked.into_iter().map(|(set, _)| set).collect())
    }

    /// Lets the next [`recover`](Self::recover) try the sets in doubt again.
    ///
    /// # Errors
    /// [`FsError::Io`] when a journal cannot be renamed.
    pub fn reopen_in_doubt(&self, _lock: &WorkspaceLock) -> Result<(), FsError> {
        let journals = &self.places.journals;
        for (set, name) in journal_names::parked(&self.disk, journals)? {
            self.disk
                .rename_replacing(journals, &name, journals, &journal_names::file_name(&set))
                .map_err(FsError::state("reopen the journal", os_string(&name)))?;
        }
        Ok(())
    }

    /// Gives a set in doubt up, after a person has put its files in order: removes its slots, and
    /// then its journal. Content that is neither old nor new goes to `conflicts/`.
    ///
    /// The caller records the outcome first: without a journal nothing tells of the set.
    ///
    /// # Errors
    /// [`FsError`] where the disk fails; the journal stays then.
    pub fn forget_in_doubt(&self, _lock: &WorkspaceLock, set: &str) -> Result<Vec<Kept>, FsError> {
        let journals = &self.places.journals;
        let Some((_, name)) = journal_names::parked(&self.disk, journals)?
            .into_iter()
            .find(|(waiting, _)| waiting == set)
        else {
            return Ok(Vec::new());
        };
        let cache = self.cache();
        let swapper = Swapper::new(&cache);
        if let Opened::Sound(journal, found) = Journal::open(&self.disk, journals, &name)? {
            restore::remove_parts(&cache, &found.intent)?;
            clean_slots(&swapper, &found.intent, Unknown::Users)?;
            journal.remove(&self.disk, journals)?;
        } else {
            journal_names::quarantine(&self.disk, journals, &name)?;
        }
        Ok(swapper.take_kept())
    }

    /// The names in `journal/` of the journals that are not acted on.
    ///
    /// # Errors
    /// [`FsError::Io`] when the directory cannot be listed.
    pub fn quarantined_journals(&self) -> Result<Vec<String>, FsError> {
        let names = journal_names::quarantined(&self.disk, &self.places.journals)?;
        Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Removes directories that hold nothing, innermost first. One that holds something, or
    /// is gone, stays as it is.
    ///
    /// # Durability
    /// What was removed stays so after a power cut. A crash in between leaves some of them.
    ///
    /// # Errors
    /// [`FsError`]; directories are no part of what a change set promises.
    pub fn remove_empty_dirs(
        &self,
        _lock: &WorkspaceLock,
        dirs: &[RelPath],
    ) -> Result<(), FsError> {
        let cache = self.cache();
        let swapper = Swapper::new(&cache);
        // One whose parent is a symlink or another mount now is another directory, or gone.
        let is_reached = |dir: &&RelPath| {
            !matches!(cache.dir(dir.parent().as_ref()), Err(FsError::Refused { .. }))
        };
        let mut dirs: Vec<&RelPath> = dirs.iter().filter(is_reached).collect();
        dirs.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
        for dir in &dirs {
            swapper.remove_dir(dir)?;
        }
        let parents: std::collections::BTreeSet<Option<RelPath>> =
            dirs.iter().map(|dir| dir.parent()).collect();
        for parent in parents {
            match cache.dir(parent.as_ref()) {
                // The handle of a directory that was just removed, too: its sync does nothing.
                Ok(dir) => {
                    self.disk.sync_dir(&dir).map_err(FsError::io("sync", parent.as_ref()))?
                }
                Err(error) if error.is_absence() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Walks the tree for slots that no journal knows, after [`recover`](Self::recover), and
    /// removes those of the sets that `is_own` names. Content that `is_known` denies goes to
    /// `conflicts/`. What belongs to others, to another state over the same tree above all, stays.
    ///
    /// # Errors
    /// [`FsError::Io`].
    pub fn sweep(
        &self,
        _lock: &WorkspaceLock,
        is_own: &dyn Fn(&str) -> bool,
        is_known: &dyn Fn(&Digest) -> bool,
    ) -> Result<Swept, FsError> {
        if self.needs_recovery()? {
            return Ok(Swept::default());
        }
        let waiting = self.in_doubt()?;
        let is_own = |set: &str| is_own(set) && waiting.iter().all(|waiting| waiting != set);
        sweep::run(&self.cache(), self.policy.own_state.as_ref(), &is_own, is_known)
    }

    /// The files in `conflicts/`, sorted.
    ///
    /// # Errors
    /// [`FsError::Io`] when it cannot be listed.
    pub fn conflicts(&self) -> Result<Vec<PathBuf>, FsError> {
        let entries =
            self.disk.list(&self.places.conflicts).map_err(FsError::state("list", "conflicts"))?;
        let mut files: Vec<PathBuf> = entries
            .into_iter()
            // What is only half copied is nobody's to look at.
            .filter(|entry| !is_slot_name(&entry.name))
            .map(|entry| self.places.conflicts_path.join(os_string(&entry.name)))
            .collect();
        files.sort();
        Ok(files)
    }

    fn cache(&self) -> DirCache<'_, D> {
        DirCache::new(
            &self.disk,
            &self.places.root,
            &self.places.conflicts,
            &self.places.conflicts_path,
            &self.policy.options,
        )
    }
}

/// A regular file opened for reading.
pub struct OpenFile<'w, D: Disk = SystemDisk> {
    disk: &'w D,
    file: D::File,
    stat: Stat,
    offset: u64,
}

impl<D: Disk> OpenFile<'_, D> {
    /// Its status when it was opened.
    pub fn stat(&self) -> Stat {
        self.stat
    }

    /// Its status now.
    ///
    /// # Errors
    /// What the system says.
    pub fn stat_now(&self) -> io::Result<Stat> {
        self.disk.file_stat(&self.file)
    }
}

impl<D: Disk> Read for OpenFile<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = FileReader { disk: self.disk, file: &self.file, offset: self.offset };
        let count = reader.read(buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}
