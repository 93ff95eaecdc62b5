//! Packs: files to which short contents are appended.
//!
//! A file for each content costs a create and an unlink, which would be most of the cost of a
//! proposal; after many deletions it costs more (ext4 does not reuse a freed inode for a minute,
//! and searches past each of them). In a pack a content costs one write.
//!
//! A process appends to one pack at a time and holds a lock on it until it ends, so a pack that can
//! be locked has no writer. Contents are never overwritten: the space of unreferenced contents is
//! freed by punching holes, and a pack without referenced contents is removed. Contents start at
//! block boundaries for that.
//!
//! The end of a pack is its length after it was locked. The process that created it reads the length
//! as well, because another process may have locked it and appended in between. A power cut can
//! leave a pack shorter than the store has recorded, so a pack of an earlier boot is read and swept,
//! but not appended to. For that a pack's number contains a tag of the boot.
//!
//! # Durability
//! Contents are durable after [`Packs::sync`].
#![allow(clippy::disallowed_methods, reason = "the store owns the packs")]

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atomic_fs::data_runs;

use crate::locks::unpoisoned;
use crate::own_file::Access;
use crate::{boot, own_file};

/// A content longer than this has a file of its own.
pub(crate) const PACKED_BYTES_MAX: u64 = 256 * 1024;

/// A longer pack is full: nothing is appended to it.
const PACK_BYTES_MAX: u64 = 64 << 20;

/// Offsets are multiples of this: the block size of common file systems.
const BLOCK: u64 = 4096;

/// How many packs are tried before a new one is created.
const ADOPTIONS_MAX: usize = 8;

/// The bits of a pack's number below the boot's tag.
const RANDOM_BITS: u32 = 32;

/// How long a full pack stays locked: longer than any proposal takes.
const FULL_LOCKED: Duration = Duration::from_secs(10 * 60);

/// How many packs are kept open for reading.
const OPEN_MAX: usize = 32;

const SUFFIX: &str = ".pack";

/// The directory of packs.
pub(crate) struct Packs {
    dir: PathBuf,
    current: Mutex<Option<Current>>,
    open: Mutex<HashMap<i64, Arc<File>>>,
    unsynced: AtomicBool,
    /// Full packs, which stay locked: the last contents may have no row in the store yet, and a
    /// sweep would remove them.
    full: Mutex<Vec<(Instant, Arc<File>)>>,
}

/// The pack to which this process appends. It is locked as long as the file is open.
struct Current {
    pack: i64,
    file: Arc<File>,
    end: u64,
}

impl Packs {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let (current, open) = (Mutex::new(None), Mutex::default());
        Self { dir, current, open, unsynced: AtomicBool::new(false), full: Mutex::default() }
    }

    /// Appends a content; returns the pack and the offset.
    pub(crate) fn append(&self, content: &[u8]) -> io::Result<(i64, u64)> {
        let (pack, file, at) = {
            let mut current = unpoisoned(&self.current);
            if current.as_ref().is_none_or(|current| current.end >= PACK_BYTES_MAX) {
                let next = self.begin()?;
                if let Some(full) = current.replace(next) {
                    let mut locked = unpoisoned(&self.full);
                    locked.retain(|(since, _)| since.elapsed() < FULL_LOCKED);
                    locked.push((Instant::now(), full.file));
                }
            }
            let current = current.as_mut().expect("it has just been begun");
            let at = current.end;
            current.end = rounded(at + content.len() as u64);
            (current.pack, Arc::clone(&current.file), at)
        };
        self.unsynced.store(true, Ordering::Release);
        write_sparsely_at(&file, content, at)?;
        Ok((pack, at))
    }

    /// Reads a content's bytes without verifying them.
    pub(crate) fn read(&self, pack: i64, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let file = self.file(pack)?;
        let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        read_exact_at(&file, &mut content, at)?;
        Ok(content)
    }

    /// Makes everything durable that this process has appended.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let mut files: Vec<Arc<File>> =
            unpoisoned(&self.full).iter().map(|(_, file)| Arc::clone(file)).collect();
        files.extend(unpoisoned(&self.current).as_ref().map(|current| Arc::clone(&current.file)));
        let synced = files.iter().try_for_each(|file| file.sync_data());
        if synced.is_err() {
            self.unsynced.store(true, Ordering::Release);
        }
        synced
    }

    /// Makes a pack durable, whichever process wrote it.
    pub(crate) fn sync_pack(&self, pack: i64) -> io::Result<()> {
        // Windows cannot flush a file that is open only for reading.
        let file = if cfg!(windows) { self.to_write(pack)? } else { self.file(pack)? };
        file.sync_data()
    }

    /// Whether this process appends to a pack.
    pub(crate) fn is_current(&self, pack: i64) -> bool {
        unpoisoned(&self.current).as_ref().is_some_and(|current| current.pack == pack)
    }

    /// Frees the space of contents (pack, offset, length in bytes) if the file system can punch
    /// holes; else the space is freed when the whole pack is removed.
    pub(crate) fn give_back(&self, places: &mut [(i64, u64, u64)]) -> io::Result<()> {
        places.sort_unstable();
        for places in places.chunk_by(|place, next| place.0 == next.0) {
            let file = match self.to_write(places[0].0) {
                Ok(file) => file,
                // The pack was removed with its last content, or something else has its name.
                Err(error) if is_none_of_ours(&error) => continue,
                Err(error) => return Err(error),
            };
            // Contents that lie side by side are one hole.
            for hole in places.chunk_by(|(_, at, bytes), next| rounded(at + bytes) == next.1) {
                let ((_, from, _), (_, last, bytes)) = (hole[0], hole[hole.len() - 1]);
                punch(&file, from, rounded(last + bytes) - from)?;
            }
        }
        Ok(())
    }

    /// Every existing pack.
    pub(crate) fn list(&self) -> io::Result<Vec<i64>> {
        let mut packs = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            packs.extend(number.and_then(|hex| i64::from_str_radix(hex, 16).ok()));
        }
        packs.sort_unstable();
        Ok(packs)
    }

    /// Frees everything in a pack that is not `live` (offset and length in bytes, in order), unless
    /// a process appends to it; returns how many bytes of disk space were freed. `live` is called
    /// under the pack's lock. A pack without live contents is removed.
    pub(crate) fn sweep(
        &self,
        pack: i64,
        live: impl FnOnce() -> crate::Result<Vec<(u64, u64)>>,
    ) -> crate::Result<u64> {
        let path = self.path(pack);
        let failed = |source| crate::StagingError::Io {
            action: "sweep the pack",
            path: path.clone(),
            source,
        };
        // Contents that this process has appended may have no row in the store yet.
        if self.is_current(pack) {
            return Ok(0);
        }
        let Some(file) = open_if_ours(&path).map_err(failed)? else { return Ok(0) };
        if !lock_at(&file, &path).map_err(failed)? {
            return Ok(0);
        }
        let live = live()?;
        let before = allocated(&file).map_err(failed)?;
        if live.is_empty() {
            fs::remove_file(&path).map_err(failed)?;
            unpoisoned(&self.open).remove(&pack);
            return Ok(before);
        }
        let length = rounded(file.metadata().map_err(failed)?.len());
        let mut from = 0;
        for (at, bytes) in live.into_iter().chain([(length, 0)]) {
            if at > from {
                punch(&file, from, at - from).map_err(failed)?;
            }
            from = from.max(rounded(at + bytes));
        }
        Ok(before.saturating_sub(allocated(&file).map_err(failed)?))
    }

    /// Takes a pack to which no process appends, or creates a new one.
    fn begin(&self) -> io::Result<Current> {
        let is_ours = |pack: &i64| boot::tag().is_none_or(|tag| tag_of(*pack) == tag);
        let mut tried = 0;
        for pack in self.list()?.into_iter().filter(is_ours) {
            let path = self.path(pack);
            let length = match fs::symlink_metadata(&path) {
                Ok(found) => found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if rounded(length) >= PACK_BYTES_MAX {
                continue;
            }
            if tried == ADOPTIONS_MAX {
                break;
            }
            tried += 1;
            if let Some(file) = open_if_ours(&path)?
                && let Some(current) = self.take(pack, file)?
            {
                return Ok(current);
            }
        }
        loop {
            let (pack, file) = self.create()?;
            if let Some(current) = self.take(pack, file)? {
                return Ok(current);
            }
        }
    }

    /// Creates an empty pack. Any process may take it as soon as it exists.
    fn create(&self) -> io::Result<(i64, File)> {
        loop {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_i64(crate::time::now_ns());
            let random = hasher.finish() >> (64 - RANDOM_BITS);
            let tag = boot::tag().unwrap_or_else(|| (hasher.finish() as u32) >> 1);
            let pack = (i64::from(tag) << RANDOM_BITS) | random as i64;
            match own_file::open(&self.path(pack), Access::CreateNew) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return Ok((pack, made?)),
            }
        }
    }

    /// Locks a pack to append to its end; `None` when another process has it locked, when it was
    /// swept, or when it is full.
    fn take(&self, pack: i64, file: File) -> io::Result<Option<Current>> {
        if !lock_at(&file, &self.path(pack))? {
            return Ok(None);
        }
        // Read under the lock: another process may have appended since it was created or found.
        let end = rounded(file.metadata()?.len());
        Ok((end < PACK_BYTES_MAX).then(|| Current { pack, file: Arc::new(file), end }))
    }

    fn current(&self, pack: i64) -> Option<Arc<File>> {
        let current = unpoisoned(&self.current);
        current.as_ref().filter(|current| current.pack == pack).map(|found| found.file.clone())
    }

    /// A pack, open for writing.
    fn to_write(&self, pack: i64) -> io::Result<Arc<File>> {
        match self.current(pack) {
            Some(file) => Ok(file),
            None => own_file::open(&self.path(pack), Access::Write).map(Arc::new),
        }
    }

    /// A pack, open for reading.
    fn file(&self, pack: i64) -> io::Result<Arc<File>> {
        if let Some(file) = self.current(pack) {
            return Ok(file);
        }
        let mut open = unpoisoned(&self.open);
        if let Some(file) = open.get(&pack) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(own_file::open(&self.path(pack), Access::Read)?);
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(pack, Arc::clone(&file));
        Ok(file)
    }

    fn path(&self, pack: i64) -> PathBuf {
        self.dir.join(format!("{pack:016x}{SUFFIX}"))
    }
}

fn rounded(at: u64) -> u64 {
    at.next_multiple_of(BLOCK)
}

/// The tag of the boot in which a pack was created.
fn tag_of(pack: i64) -> u32 {
    u32::try_from(pack >> RANDOM_BITS).unwrap_or(u32::MAX)
}

/// Opens a pack; `None` when it is gone or something else has its name. `doctor` names the patches
/// whose contents are missing then.
fn open_if_ours(path: &Path) -> io::Result<Option<File>> {
    match own_file::open(path, Access::Write) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_none_of_ours(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_none_of_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
}

/// Locks a pack; false when another process has it locked, or when it is gone.
fn lock_at(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // A sweep removes a pack while it holds the lock, so now the name is the last word.
    own_file::is_at(file, path)
}

/// Writes a content, but leaves out blocks of zeros: the blocks at a pack's end are zeros already.
/// The last block is always written, because it determines the length of the pack.
fn write_sparsely_at(file: &File, content: &[u8], at: u64) -> io::Result<()> {
    let last = content.len().saturating_sub(1) / BLOCK as usize * BLOCK as usize;
    for run in data_runs(&content[..last], at) {
        write_all_at(file, &content[run.clone()], at + run.start as u64)?;
    }
    write_all_at(file, &content[last..], at + last as u64)
}

#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, content: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, content, at)
}

#[cfg(unix)]
fn read_exact_at(file: &File, content: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, content, at)
}

#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut content: &[u8], mut at: u64) -> io::Result<()> {
    while !content.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, content, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => (content, at) = (&content[count..], at + count as u64),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut content: &mut [u8], mut at: u64) -> io::Result<()> {
    while !content.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, content, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => (content, at) = (&mut content[count..], at + count as u64),
        }
    }
    Ok(())
}

/// `fallocate(2)` with `FALLOC_FL_PUNCH_HOLE`.
#[cfg(target_os = "linux")]
fn punch(file: &File, at: u64, bytes: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, flags, at, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
fn punch(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn allocated(file: &File) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::blocks(&file.metadata()?) * 512)
}

#[cfg(not(unix))]
fn allocated(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs() -> (tempfile::TempDir, Packs) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let packs = Packs::new(dir.path().to_owned());
        (dir, packs)
    }

    #[test]
    fn contents_are_read_back_and_start_at_block_boundaries() {
        let (_dir, packs) = packs();
        let contents: Vec<Vec<u8>> =
            [0_usize, 1, 4095, 4096, 4097, 9000].map(|bytes| vec![bytes as u8; bytes]).to_vec();
        let places: Vec<_> =
            contents.iter().map(|content| packs.append(content).expect("appended")).collect();
        for (content, (pack, at)) in contents.iter().zip(&places) {
            assert_eq!(at % BLOCK, 0, "a hole can be punched around it");
            let read = packs.read(*pack, *at, content.len() as u64).expect("read");
            assert_eq!(&read, content);
        }
    }

    #[test]
    fn one_process_at_a_time_appends_to_a_pack_and_another_after_it_has_ended() {
        let (dir, one) = packs();
        let two = Packs::new(dir.path().to_owned());
        let (first, _) = one.append(b"one").expect("appended");
        let (second, _) = two.append(b"two").expect("appended");
        assert_ne!(first, second, "both live");
        drop((one, two));
        let (third, at) = Packs::new(dir.path().to_owned()).append(b"three").expect("appended");
        assert!([first, second].contains(&third) && at == BLOCK, "behind what is there");
    }

    #[test]
    fn a_pack_that_another_process_took_before_its_creator_locked_it_is_not_overwritten() {
        let (dir, maker) = packs();
        let (pack, made) = maker.create().expect("made");
        let other = Packs::new(dir.path().to_owned());
        let theirs = other.append(b"acknowledged").expect("appended");
        assert_eq!(theirs, (pack, 0), "it was there, and nobody had it");
        drop(other);
        let current = maker.take(pack, made).expect("asked").expect("nobody has it any more");
        *unpoisoned(&maker.current) = Some(current);
        let ours = maker.append(b"mine").expect("appended");
        assert_eq!(ours, (pack, BLOCK), "behind what the other process has appended");
        assert_eq!(maker.read(pack, 0, 12).expect("read"), b"acknowledged");
    }

    #[cfg(unix)]
    #[test]
    fn a_pack_that_was_swept_before_its_creator_locked_it_is_not_appended_to() {
        let (dir, maker) = packs();
        let (pack, made) = maker.create().expect("made");
        let other = Packs::new(dir.path().to_owned());
        other.sweep(pack, || Ok(Vec::new())).expect("swept");
        assert!(maker.take(pack, made).expect("asked").is_none(), "its file has no name any more");
        let (_, found) = maker.create().expect("made");
        let path = maker.path(pack);
        own_file::open(&path, Access::CreateNew).expect("another pack of the same number");
        assert!(maker.take(pack, found).expect("asked").is_none(), "not the file of that name");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pack_of_an_earlier_boot_is_read_and_swept_but_not_appended_to() {
        let (_dir, packs) = packs();
        let tag = boot::tag().expect("Linux names its boots");
        let earlier = i64::from(tag ^ 1) << RANDOM_BITS;
        fs::write(packs.path(earlier), b"as far as it was durable").expect("left");
        let (pack, _) = packs.append(b"new").expect("appended");
        assert_eq!(tag_of(pack), tag);
        assert_eq!(packs.read(earlier, 0, 5).expect("read"), b"as fa");
        packs.sweep(earlier, || Ok(Vec::new())).expect("swept");
        assert_eq!(packs.list().expect("listed"), [pack]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_pack_is_not_written_to() {
        let (dir, packs) = packs();
        let (pack, at) = packs.append(b"mine").expect("appended");
        drop(packs);
        let packs = Packs::new(dir.path().to_owned());
        let outside = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::remove_file(packs.path(pack)).expect("removed");
        std::os::unix::fs::symlink(outside.path(), packs.path(pack)).expect("linked");
        let (other, _) = packs.append(b"more").expect("to another pack");
        assert_ne!(other, pack);
        let error = packs.read(pack, at, 4).expect_err("not a pack");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        packs.give_back(&mut [(pack, at, 4)]).expect("there is nothing to give back");
        assert_eq!(packs.sweep(pack, || Ok(Vec::new())).expect("passed over"), 0);
        assert_eq!(outside.as_file().metadata().expect("there").len(), 0);
    }

    #[test]
    fn a_pack_with_room_is_found_behind_many_full_packs() {
        let (dir, packs) = packs();
        let (pack, _) = packs.append(b"one").expect("appended");
        drop(packs);
        for below in 0..2 * ADOPTIONS_MAX as i64 {
            let number = (pack >> RANDOM_BITS << RANDOM_BITS) + below;
            let full = fs::File::create(dir.path().join(format!("{number:016x}{SUFFIX}")));
            full.and_then(|file| file.set_len(PACK_BYTES_MAX)).expect("a full pack");
        }
        let (taken, _) = Packs::new(dir.path().to_owned()).append(b"two").expect("appended");
        assert_eq!(taken, pack);
    }

    #[test]
    fn a_sweep_keeps_live_contents_and_removes_a_pack_without_any() {
        let (dir, packs) = packs();
        let places: Vec<_> =
            (0..20).map(|byte| packs.append(&vec![byte; 10_000]).expect("appended").1).collect();
        let pack = packs.list().expect("listed")[0];
        assert_eq!(packs.sweep(pack, || Ok(Vec::new())).expect("swept"), 0, "it is being written");
        drop(packs);
        let packs = Packs::new(dir.path().to_owned());
        packs.sweep(pack, || Ok(vec![(places[7], 10_000)])).expect("swept");
        assert_eq!(packs.read(pack, places[7], 10_000).expect("kept"), vec![7; 10_000]);
        #[cfg(target_os = "linux")]
        assert_eq!(packs.read(pack, places[8], 10).expect("a hole"), vec![0; 10]);
        packs.sweep(pack, || Ok(Vec::new())).expect("swept");
        assert!(packs.list().expect("listed").is_empty());
    }
}
