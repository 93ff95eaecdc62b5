//! The workspace as a change set stands on it: open directories and what lies in
//! them.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::apply::intent::UNKNOWN_STAMP;
use crate::apply::journal::{Journal, Record};
use crate::content::{Content, ContentKind, Digest, Fingerprint};
use crate::error::{Difference, FsError, Refusal};
use crate::git_dirs::GitFacts;
use crate::mutants::mutant;
use crate::os::disk::{Disk, FileKind, Lease, Stat, is_symlink_error};
use crate::policy::Options;
use crate::rel_path::RelPath;

/// Reads are made in pieces of this many bytes, so that a file of any size costs
/// the same memory.
const PIECE_BYTES: u64 = 128 * 1024;

/// The disk below one workspace's root, with directory handles opened once.
pub(crate) struct DirCache<'a, D: Disk> {
    pub disk: &'a D,
    pub root: &'a D::Dir,
    pub conflicts: &'a D::Dir,
    pub conflicts_path: &'a PathBuf,
    pub options: &'a Options,
    /// Whether a directory could not be synced in the middle of the swaps. Held while one
    /// is, since of two syncs at once only one is told of a failure.
    pub sync_failed: Mutex<bool>,
    begun: Mutex<Begun<D>>,
    dirs: Mutex<Dirs<D>>,
    /// Directories and links that the set at hand takes away. A link that comes in place of a
    /// directory leads to nothing that was in it, and a directory in place of a link is not what
    /// that led to.
    made_way: Mutex<Vec<RelPath>>,
    git_dirs: Mutex<HashMap<Option<RelPath>, Arc<GitFacts>>>,
}

/// What the journal says of the swaps.
struct Begun<D: Disk> {
    /// The journal of the set whose swaps have begun.
    journal: Option<Arc<Journal<D>>>,
    is_durable: bool,
    says_aside: bool,
}

/// Directories that have been opened.
struct Dirs<D: Disk> {
    open: HashMap<Option<RelPath>, Arc<D::Dir>>,
    /// Device and inode of those whose handle has been closed, so that another directory that
    /// has come to a path is not taken for the one that was worked in before.
    closed: HashMap<RelPath, (u64, u64)>,
}

/// What a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    Absent,
    /// A regular file, or a symbolic link, whose target is its content.
    File {
        stat: Stat,
        digest: Digest,
    },
    /// A directory, a device.
    Other(FileKind),
}

impl FileState {
    pub(crate) fn matches(&self, fingerprint: &Fingerprint) -> bool {
        self.difference(fingerprint).is_none()
    }

    /// Whether it is the very file that a unit's slot was, with its content.
    pub(crate) fn is_arrived(&self, staged: &Fingerprint, stamp: i64) -> bool {
        self.matches(staged) && self.is_of_set(staged, stamp)
    }

    /// The same whatever its mode: some file systems keep none.
    pub(crate) fn is_of_set(&self, staged: &Fingerprint, stamp: i64) -> bool {
        matches!(self, Self::File { stat, .. } if self.content() == Some(staged.content())
            && (has_stamp(stat.modified_ns, stamp) || mutant!(StampIgnored)))
    }

    /// In what it differs from a file's expected state.
    pub(crate) fn difference(&self, base: &Fingerprint) -> Option<Difference> {
        match self {
            Self::Absent => Some(Difference::Missing),
            Self::Other(_) => Some(Difference::Kind),
            Self::File { stat, .. } if ContentKind::of(stat.kind) != Some(base.kind) => {
                Some(Difference::Kind)
            }
            Self::File { digest, .. } if *digest != base.digest => Some(Difference::Content),
            // A link's permission bits mean nothing, and differ between systems.
            Self::File { stat, .. } if base.kind.is_file() && stat.mode != base.mode => {
                Some(Difference::Mode)
            }
            Self::File { .. } => None,
        }
    }

    /// What it holds, whatever its metadata.
    pub(crate) fn content(&self) -> Option<Content> {
        match self {
            Self::File { stat, digest } => Some((ContentKind::of(stat.kind)?, *digest)),
            _ => None,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        *self == Self::Other(FileKind::Directory)
    }

    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::File { stat, .. } => Some(stat.bytes),
            _ => None,
        }
    }

    pub(crate) fn inode(&self) -> Option<(u64, u64)> {
        match self {
            Self::File { stat, .. } => Some((stat.device, stat.inode)),
            _ => None,
        }
    }
}

/// Whether a time of modification is this one, as exactly as some file system may keep it: NTFS
/// in steps of 100 ns, others of 1 us, 1 ms, 1 s, and FAT of 2 s.
pub(crate) fn has_stamp(modified_ns: i64, stamp: i64) -> bool {
    // The journal is lost, and nothing else tells the set's own file.
    if stamp == UNKNOWN_STAMP {
        return true;
    }
    const STEPS_NS: [i64; 6] = [1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000];
    STEPS_NS.iter().any(|step| modified_ns == stamp - stamp.rem_euclid(*step))
}

impl<'a, D: Disk> DirCache<'a, D> {
    pub(crate) fn new(
        disk: &'a D,
        root: &'a D::Dir,
        conflicts: &'a D::Dir,
        conflicts_path: &'a PathBuf,
        options: &'a Options,
    ) -> Self {
        let begun = Begun { journal: None, is_durable: false, says_aside: false };
        let (sync_failed, begun) = (Mutex::new(false), Mutex::new(begun));
        let dirs = Mutex::new(Dirs { open: HashMap::new(), closed: HashMap::new() });
        Self {
            disk,
            root,
            conflicts,
            conflicts_path,
            options,
            sync_failed,
            begun,
            dirs,
            made_way: Mutex::default(),
            git_dirs: Mutex::default(),
        }
    }

    /// The directory's handle, kept for later calls as long as not too many are open.
    ///
    /// # Errors
    /// [`FsError::DirectoryMoved`] when one has been open at this path and another one, or
    /// none, is there now.
    pub(crate) fn dir(&self, path: Option<&RelPath>) -> Result<Arc<D::Dir>, FsError> {
        let key = path.cloned();
        if let Some(dir) = self.dirs().open.get(&key) {
            return Ok(dir.clone());
        }
        let opened = self.open_dir(path);
        let mut dirs = self.dirs();
        if let Some(path) = path
            && let Some(before) = dirs.closed.get(path)
        {
            let moved = || FsError::DirectoryMoved { path: path.clone() };
            match &opened {
                Ok(dir) if self.identity(path, dir)? == *before => {}
                Ok(_) => return Err(moved()),
                Err(error) if is_absence(error) => return Err(moved()),
                Err(_) => {}
            }
        }
        let opened = opened?;
        if dirs.open.len() >= self.disk.open_dirs_max() {
            // All of them, since a set that touches so many goes from one to the next.
            for (path, dir) in std::mem::take(&mut dirs.open) {
                let Some(path) = path else { continue };
                let identity = self.identity(&path, &dir)?;
                dirs.closed.insert(path, identity);
            }
        }
        Ok(dirs.open.entry(key).or_insert_with(|| Arc::new(opened)).clone())
    }

    fn open_dir(&self, path: Option<&RelPath>) -> Result<D::Dir, FsError> {
        let opened = self.disk.open_dir_beneath(self.root, path, self.options.allow_other_mounts);
        opened.map_err(|source| match path {
            Some(path) if is_symlink_error(&source) && self.has_made_way(path) => {
                FsError::io("open", path)(io::ErrorKind::NotFound.into())
            }
            _ => dir_error(path, source),
        })
    }

    /// Notes the directories and links that the set at hand takes away: nothing is found below a
    /// link at their paths.
    pub(crate) fn note_making_way(&self, paths: impl Iterator<Item = RelPath>) {
        *self.made_way.lock().unwrap_or_else(PoisonError::into_inner) = paths.collect();
    }

    fn has_made_way(&self, path: &RelPath) -> bool {
        let made_way = self.made_way.lock().unwrap_or_else(PoisonError::into_inner);
        made_way.iter().any(|way| path.starts_with(way))
    }

    fn identity(&self, path: &RelPath, dir: &D::Dir) -> Result<(u64, u64), FsError> {
        self.disk.identity(dir).map_err(FsError::io("look at", path))
    }

    /// Refuses to go on when a directory that has been worked in is not at its path any more:
    /// its handle leads to wherever it is now.
    pub(crate) fn check_in_place(&self, path: &RelPath) -> Result<(), FsError> {
        let worked_in = self.dir(Some(path))?;
        let moved = || FsError::DirectoryMoved { path: path.clone() };
        match self.open_dir(Some(path)) {
            Ok(there) if self.identity(path, &there)? == self.identity(path, &worked_in)? => Ok(()),
            // A symlink, another mount, nothing.
            Ok(_) | Err(FsError::Refused { .. }) => Err(moved()),
            Err(error) if is_absence(&error) => Err(moved()),
            Err(error) => Err(error),
        }
    }

    /// Forgets a directory that has just been removed or moved, and those in it.
    pub(crate) fn forget_dir(&self, path: &RelPath) {
        let mut dirs = self.dirs();
        dirs.open.retain(|open, _| !open.as_ref().is_some_and(|open| open.starts_with(path)));
        dirs.closed.retain(|closed, _| !closed.starts_with(path));
    }

    /// Whether a directory is there that holds nothing.
    pub(crate) fn is_empty_dir(&self, path: &RelPath) -> Result<bool, FsError> {
        let opened = match self.open_dir(Some(path)) {
            Ok(opened) => opened,
            Err(error) if is_absence(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(self.disk.list(&opened).map_err(FsError::io("list", path))?.is_empty())
    }

    /// Everything below a directory, parents before children; `None` when it is no directory.
    pub(crate) fn tree(&self, path: &RelPath) -> Result<Option<Vec<(RelPath, FileKind)>>, FsError> {
        let mut found = Vec::new();
        let mut left = vec![path.clone()];
        while let Some(dir) = left.pop() {
            let opened = match self.open_dir(Some(&dir)) {
                Ok(opened) => opened,
                Err(error) if is_absence(&error) && dir == *path => return Ok(None),
                Err(error) if is_absence(&error) => continue,
                Err(error) => return Err(error),
            };
            for entry in self.disk.list(&opened).map_err(FsError::io("list", &dir))? {
                let inner = dir.join(&entry.name)?;
                let kind = match entry.kind {
                    Some(kind) => kind,
                    None => match self.disk.stat(&opened, &entry.name) {
                        Ok(stat) => stat.kind,
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(FsError::io("look at", &inner)(error)),
                    },
                };
                if kind == FileKind::Directory {
                    left.push(inner.clone());
                }
                found.push((inner, kind));
            }
        }
        Ok(Some(found))
    }

    /// Removes a directory in which there are none but directories; whether it is gone.
    pub(crate) fn remove_empty_tree(&self, path: &RelPath) -> Result<bool, FsError> {
        let Some(tree) = self.tree(path)? else { return Ok(false) };
        if tree.iter().any(|(_, kind)| *kind != FileKind::Directory) {
            return Ok(false);
        }
        // Parents come before children.
        for dir in tree.iter().rev().map(|(dir, _)| dir).chain([path]) {
            let parent = self.parent(dir)?;
            match self.disk.remove_dir(&parent, dir.file_name()) {
                Ok(()) => self.forget_dir(dir),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FsError::io("remove the directory", dir)(error)),
            }
        }
        Ok(true)
    }

    /// The handle of the directory that a file lies in.
    pub(crate) fn parent(&self, path: &RelPath) -> Result<Arc<D::Dir>, FsError> {
        self.dir(path.parent().as_ref())
    }

    /// Notes the journal that says, not durably yet, that swaps have begun.
    pub(crate) fn swaps_begin(&self, journal: Arc<Journal<D>>) {
        let begun = Begun { journal: Some(journal), is_durable: false, says_aside: false };
        *self.begun() = begun;
    }

    /// Makes durable that swaps have begun: before what a user wrote is moved through a slot, since
    /// recovery would take it for what a crash left of writing that slot, and before a path is left
    /// without a file, since recovery would take that for a user's doing.
    pub(crate) fn record_swaps(&self) -> Result<(), FsError> {
        self.make_durable(&mut self.begun())
    }

    /// Makes durable that files are moved aside for their slots.
    pub(crate) fn record_aside(&self) -> Result<(), FsError> {
        let mut begun = self.begun();
        if let Some(journal) = begun.journal.as_ref().filter(|_| !begun.says_aside) {
            journal.append(self.disk, &Record::Aside)?;
            (begun.says_aside, begun.is_durable) = (true, false);
        }
        self.make_durable(&mut begun)
    }

    fn make_durable(&self, begun: &mut Begun<D>) -> Result<(), FsError> {
        let Some(journal) = begun.journal.as_ref().filter(|_| !begun.is_durable) else {
            return Ok(());
        };
        let synced = journal.sync(self.disk);
        if synced.is_err() {
            *self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        begun.is_durable = synced.is_ok();
        synced
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Begun<D>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dirs(&self) -> std::sync::MutexGuard<'_, Dirs<D>> {
        // Only whole entries are ever inserted, so a panic elsewhere leaves it sound.
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of git's directories so far.
    pub(crate) fn git_dirs(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<Option<RelPath>, Arc<GitFacts>>> {
        self.git_dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name's status; `None` when it, or a directory on the way, is absent.
    pub(crate) fn stat(&self, path: &RelPath) -> Result<Option<Stat>, FsError> {
        let parent = match self.parent(path) {
            Ok(parent) => parent,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match self.disk.stat(&parent, path.file_name()) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FsError::io("look at", path)(error)),
        }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Refusal::OtherMount`] for a file that is a mount point by itself.
    pub(crate) fn open_file(&self, path: &RelPath) -> Result<D::File, FsError> {
        let parent = self.parent(path)?;
        self.disk.open_file(&parent, path.file_name()).map_err(|source| file_error(path, source))
    }

    /// Reads what a name holds, content and all.
    pub(crate) fn file_state(&self, path: &RelPath) -> Result<FileState, FsError> {
        let Some(stat) = self.stat(path)? else { return Ok(FileState::Absent) };
        match stat.kind {
            FileKind::Regular => {}
            FileKind::Symlink => return self.link_state(path, stat),
            FileKind::Directory | FileKind::Other => return Ok(FileState::Other(stat.kind)),
        }
        let file = match self.open_file(path) {
            Ok(file) => file,
            Err(error) if error.is(io::ErrorKind::NotFound) => return Ok(FileState::Absent),
            Err(error) => return Err(error),
        };
        self.open_file_state(&file).map_err(FsError::io("read", path))
    }

    /// Reads a symbolic link that was there a moment ago. A link is never changed, only replaced.
    fn link_state(&self, path: &RelPath, mut stat: Stat) -> Result<FileState, FsError> {
        let parent = self.parent(path)?;
        loop {
            let target = match self.disk.read_link(&parent, path.file_name()) {
                Ok(target) => target,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(FileState::Absent);
                }
                // No link any more.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return self.file_state(path);
                }
                Err(error) => return Err(FsError::io("read the symlink", path)(error)),
            };
            match self.stat(path)? {
                Some(now) if now.inode == stat.inode && now.changed_ns == stat.changed_ns => {
                    return Ok(FileState::File { stat, digest: Digest::of(&target) });
                }
                Some(now) if now.kind == FileKind::Symlink => stat = now,
                _ => return self.file_state(path),
            }
        }
    }

    /// Reads what a name holds, and refuses a file that somebody has open for writing.
    pub(crate) fn file_state_unless_busy(&self, path: &RelPath) -> Result<FileState, FsError> {
        let Some(file) = self.open(path)? else { return self.file_state(path) };
        let state = self.open_file_state(&file).map_err(FsError::io("read", path))?;
        match self.disk.lease(&file).map_err(FsError::io("guard", path))? {
            Lease::Held | Lease::Unavailable => Ok(state),
            Lease::Busy => Err(self.busy(path, &file)),
        }
    }

    /// Opens a regular file; `None` for anything else, and where nothing is.
    fn open(&self, path: &RelPath) -> Result<Option<D::File>, FsError> {
        match self.stat(path)? {
            Some(stat) if stat.kind == FileKind::Regular => {}
            _ => return Ok(None),
        }
        match self.open_file(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is(io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says who has the file open.
    pub(crate) fn busy(&self, path: &RelPath, file: &D::File) -> FsError {
        let process = self.disk.file_stat(file).ok().and_then(|stat| self.disk.writer(&stat));
        FsError::Busy { path: path.clone(), process }
    }

    /// What an open file holds.
    pub(crate) fn open_file_state(&self, file: &D::File) -> io::Result<FileState> {
        let stat = self.disk.file_stat(file)?;
        if stat.kind != FileKind::Regular {
            return Ok(FileState::Other(stat.kind));
        }
        let mut reader = FileReader { disk: self.disk, file, offset: 0 };
        let (digest, bytes) = digest_of(&mut reader, stat.bytes)?;
        // The status may have changed while reading; what was read is what counts.
        let stat = Stat { bytes, ..self.disk.file_stat(file)? };
        Ok(FileState::File { stat, digest })
    }
}

fn digest_of(reader: &mut dyn Read, bytes_expected: u64) -> io::Result<(Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let piece = (bytes_expected + 1).min(PIECE_BYTES);
    let mut buffer = vec![0; usize::try_from(piece).expect("a piece fits in memory")];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((hasher.finalize().into(), bytes)),
            count => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
}

/// Reads an open file from its start.
pub(crate) struct FileReader<'a, D: Disk> {
    pub disk: &'a D,
    pub file: &'a D::File,
    pub offset: u64,
}

impl<D: Disk> Read for FileReader<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.disk.read_at(self.file, buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Turns an error of opening a directory into what it means for the path.
fn dir_error(path: Option<&RelPath>, source: io::Error) -> FsError {
    let Some(path) = path else { return FsError::io("open", ".")(source) };
    let refusal = match source.kind() {
        io::ErrorKind::CrossesDevices => Refusal::OtherMount,
        _ if is_symlink_error(&source) => Refusal::LeadsOut,
        _ => return FsError::io("open", path)(source),
    };
    FsError::Refused { path: path.clone(), refusal }
}

/// Turns an error of opening a file into what it means for the path.
pub(crate) fn file_error(path: &RelPath, source: io::Error) -> FsError {
    match source.kind() {
        io::ErrorKind::CrossesDevices => {
            FsError::Refused { path: path.clone(), refusal: Refusal::OtherMount }
        }
        _ => FsError::io("open", path)(source),
    }
}

/// Whether the error says that something on the way is not there.
pub(crate) fn is_absence(error: &FsError) -> bool {
    matches!(error, FsError::Io { source, .. }
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}
