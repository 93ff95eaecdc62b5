//! Packs: files that short contents are appended to, one behind the other.
//!
//! A file for each content costs a create and an unlink, which is most of what a
//! proposal would cost; a file system that has just deleted many files makes it
//! worse (ext4 does not give a freed inode out again for a minute, and looks at
//! each of them). In a pack a content costs one write.
//!
//! A process appends to one pack at a time and holds a lock on it while it lives,
//! so a pack that can be locked has no writer. Nothing is ever overwritten: what
//! nobody needs is given back to the file system as a hole, and a pack in which
//! nobody needs anything is removed. Places lie on whole blocks for that.
//!
//! # Durability
//! [`Packs::sync`].
#![allow(clippy::disallowed_methods, reason = "the store owns the packs")]

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::unpoisoned;

/// A content longer than this has a file of its own.
pub(crate) const PACKED_BYTES_MAX: u64 = 256 * 1024;

/// A pack that is longer is appended to no more.
const PACK_BYTES_MAX: u64 = 64 << 20;

/// What a place is rounded up to: the block of common file systems.
const BLOCK: u64 = 4096;

/// How many packs are tried before a new one is made.
const ADOPTIONS_MAX: usize = 8;

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
    /// Packs that are full, still locked: what was appended to them last may not
    /// be in the store yet.
    full: Mutex<Vec<(Instant, Arc<File>)>>,
}

/// The pack this process appends to; its lock lasts as long as the file is open.
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

    /// Appends a content; the pack and the place.
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
        write_all_at(&file, content, at)?;
        Ok((pack, at))
    }

    /// Writes a content anew where it lies, because it is torn there.
    pub(crate) fn repair(&self, pack: i64, at: u64, content: &[u8]) -> io::Result<()> {
        let file = match self.file(pack) {
            // Gone with a power cut, or swept just now: then nobody will need this.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Arc::new(options().create(true).truncate(false).open(self.path(pack))?)
            }
            file => file?,
        };
        write_all_at(&file, content, at)?;
        file.sync_data()
    }

    /// Reads a content's bytes, which nobody has checked.
    pub(crate) fn read(&self, pack: i64, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let file = self.file(pack)?;
        let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        read_exact_at(&file, &mut content, at)?;
        Ok(content)
    }

    /// Makes everything that this process appended durable.
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

    /// Makes a pack durable, whoever wrote it.
    pub(crate) fn sync_pack(&self, pack: i64) -> io::Result<()> {
        self.file(pack)?.sync_data()
    }

    /// Whether this process appends to a pack.
    pub(crate) fn is_current(&self, pack: i64) -> bool {
        unpoisoned(&self.current).as_ref().is_some_and(|current| current.pack == pack)
    }

    /// Gives the space of contents back that nobody needs, where the file system
    /// can; where it cannot, the space comes back with the whole pack.
    pub(crate) fn give_back(&self, places: &mut [(i64, u64, u64)]) -> io::Result<()> {
        places.sort_unstable();
        let mut places = places.iter().copied().peekable();
        while let Some((pack, at, bytes)) = places.next() {
            let mut end = rounded(at + bytes);
            while let Some(next) = places.next_if(|next| next.0 == pack && next.1 == end) {
                end = rounded(next.1 + next.2);
            }
            match self.file(pack) {
                Ok(file) => punch(&file, at, end - at)?,
                // Removed with its last content.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Every pack that is there.
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

    /// Gives back everything in a pack that is not `live` (first byte and length, in
    /// order), unless another process appends to it; how many bytes of the disk
    /// that was. `live` is asked under the pack's lock. A pack with nothing in it
    /// goes.
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
        // What this process has appended may not be in the store yet.
        if self.is_current(pack) {
            return Ok(0);
        }
        let Some(file) = lock_if_free(&path).map_err(failed)? else { return Ok(0) };
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

    /// Takes over a pack that nobody appends to, or makes a new one.
    fn begin(&self) -> io::Result<Current> {
        for pack in self.list()?.into_iter().take(ADOPTIONS_MAX) {
            let path = self.path(pack);
            if let Some(file) = lock_if_free(&path)? {
                let end = rounded(file.metadata()?.len());
                if end < PACK_BYTES_MAX {
                    return Ok(Current { pack, file: Arc::new(file), end });
                }
            }
        }
        loop {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_i64(crate::time::now_ns());
            let pack = i64::try_from(hasher.finish() >> 1).unwrap_or(i64::MAX);
            match options().create_new(true).open(self.path(pack)) {
                Ok(file) => match file.try_lock() {
                    Ok(()) if self.path(pack).exists() => {
                        return Ok(Current { pack, file: Arc::new(file), end: 0 });
                    }
                    Ok(()) => {}
                    // Taken over, or swept, by another process as soon as it was there.
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                },
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn file(&self, pack: i64) -> io::Result<Arc<File>> {
        if let Some(current) = &*unpoisoned(&self.current)
            && current.pack == pack
        {
            return Ok(Arc::clone(&current.file));
        }
        let mut open = unpoisoned(&self.open);
        if let Some(file) = open.get(&pack) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(options().open(self.path(pack))?);
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

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The pack, locked, unless a living process appends to it or it is gone.
fn lock_if_free(path: &Path) -> io::Result<Option<File>> {
    let file = match options().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever swept it held the lock until it was gone.
    Ok(path.exists().then_some(file))
}

#[cfg(unix)]
fn write_all_at(file: &File, content: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, content, at)
}

#[cfg(unix)]
fn read_exact_at(file: &File, content: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, content, at)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut content: &[u8], mut at: u64) -> io::Result<()> {
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
    fn contents_read_back_and_lie_on_blocks() {
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
    fn a_pack_is_appended_to_by_one_process_at_a_time_and_taken_over_after_it() {
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
    fn a_sweep_keeps_what_is_needed_and_removes_a_pack_that_is_not() {
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
