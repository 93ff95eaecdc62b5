//! Contents by their BLAKE3: short ones in packs, longer ones in a file each, `blobs/xx/…`.
//!
//! The rows of [`contents`] record which contents exist and where. A content is written before its
//! row is committed, and its space is freed after the removal of its row is durable. A location is
//! not trusted: whatever is read for the workspace is hashed again.
//!
//! # Durability
//! As in the store: a content survives the process at once, and a power cut after [`Blobs::sync`].
#![allow(clippy::disallowed_methods, reason = "the store owns the blobs")]

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atomic_fs::{ContentSource, Digest, HashingReader, data_runs};
use diff_engine::Content;

use crate::contents::packs::{PACKED_BYTES_MAX, Packs, write_all_at};
use crate::error::{Result, StagingError};
use crate::own_file;
use crate::own_file::{Access, failed, make_dir, sync_dir};
use crate::owner::{Liveness, Owner};
use crate::store::contents::{Entry, Location, Unreferenced};
use crate::store::{Store, contents};

/// How many files are removed in one transaction.
const REMOVALS_MAX: usize = 200;

/// The part of a stream that is in memory at a time.
const CHUNK_BYTES: usize = PACKED_BYTES_MAX as usize;

/// The directory of contents.
pub(crate) struct Blobs {
    dir: PathBuf,
    store: Arc<Store>,
    packs: Packs,
    durable: bool,
    next_temporary: AtomicU64,
}

/// A content that was stored.
#[derive(Clone, Copy)]
pub(crate) struct Put {
    pub(crate) digest: Digest,
    /// Where it was written; `None` when it was stored before.
    pub(crate) entry: Option<Entry>,
}

/// The stored content of a stream.
pub(crate) struct Streamed {
    pub(crate) put: Put,
    pub(crate) bytes: u64,
    /// The content itself, unless it is longer than requested.
    pub(crate) content: Option<Vec<u8>>,
}

/// A stream could not be stored.
pub(crate) enum StreamError {
    /// Reading the stream failed.
    Read(io::Error),
    /// The stream is longer than allowed.
    TooLong,
    /// Storing the content failed.
    Store(StagingError),
}

/// A content open for reading; it is not verified.
pub(crate) type BlobReader = Box<dyn Content + Send>;

impl Blobs {
    pub(crate) fn open(state_dir: &Path, store: Arc<Store>, durable: bool) -> Result<Self> {
        let dir = state_dir.join("blobs");
        make_dir(&dir).map_err(failed("make", &dir))?;
        let temporary = dir.join("tmp");
        make_dir(&temporary).map_err(failed("make", &temporary))?;
        let packs = Packs::new(dir.clone());
        Ok(Self { dir, store, packs, durable, next_temporary: AtomicU64::new(0) })
    }

    /// Stores content that is in memory.
    pub(crate) fn put(&self, content: &[u8]) -> Result<Put> {
        let digest = Digest::of(content);
        let bytes = content.len() as u64;
        let there = self.store.peek(|connection| contents::find(connection, &digest))?;
        match there {
            Some(entry) if self.holds(&digest, entry, bytes) => {}
            Some(torn @ Entry { location: Location::Pack { .. }, .. }) => {
                return self.put_anew(digest, torn, content);
            }
            Some(Entry { location: Location::Own, .. }) => self.put_own(&digest, content)?,
            None if bytes <= PACKED_BYTES_MAX => {
                return Ok(Put { digest, entry: Some(self.append(content)?) });
            }
            None => {
                self.put_own(&digest, content)?;
                return Ok(Put { digest, entry: Some(Entry { location: Location::Own, bytes }) });
            }
        }
        Ok(Put { digest, entry: None })
    }

    fn append(&self, content: &[u8]) -> Result<Entry> {
        let (pack, at) = self.packs.append(content).map_err(failed("write", &self.dir))?;
        Ok(Entry { location: Location::Pack { pack, at }, bytes: content.len() as u64 })
    }

    /// Writes a content that a power cut has torn to another location, for all its references.
    /// Nothing is written to the old location: another content may be there now.
    fn put_anew(&self, digest: Digest, torn: Entry, content: &[u8]) -> Result<Put> {
        let whole = self.append(content)?;
        self.packs.sync().map_err(failed("sync", &self.dir))?;
        let moved = self.store.write(|write| contents::relocate(write, &digest, torn, whole))?;
        // When it was moved or released meanwhile, the caller adds a row or finds the new one.
        Ok(Put { digest, entry: (!moved).then_some(whole) })
    }

    fn put_own(&self, digest: &Digest, content: &[u8]) -> Result<()> {
        let (temporary, file) = self.temporary()?;
        let mut writer = SparseWriter::new(&file);
        let written = writer.write(content).and_then(|()| writer.finish());
        written.map_err(failed("write", temporary.path()))?;
        self.settle(temporary, &file, &self.path(digest))
    }

    /// Stores a stream of at most `bytes_max` bytes, with at most `keep_max` bytes and a chunk in
    /// memory. Blocks of zeros become holes.
    pub(crate) fn put_stream(
        &self,
        reader: &mut dyn Read,
        keep_max: u64,
        bytes_max: u64,
    ) -> Result<Streamed, StreamError> {
        let mut first = Vec::with_capacity(8 * 1024);
        reader.take(PACKED_BYTES_MAX + 1).read_to_end(&mut first).map_err(StreamError::Read)?;
        let bytes = first.len() as u64;
        if bytes > bytes_max {
            return Err(StreamError::TooLong);
        }
        if bytes <= PACKED_BYTES_MAX {
            let put = self.put(&first).map_err(StreamError::Store)?;
            return Ok(Streamed { put, bytes, content: (bytes <= keep_max).then_some(first) });
        }
        let (temporary, file) = self.temporary().map_err(StreamError::Store)?;
        let not_written = |error| StreamError::Store(failed("write", temporary.path())(error));
        let mut hashing = HashingReader::new(first.as_slice().chain(reader));
        let mut writer = SparseWriter::new(&file);
        let mut kept = Some(Vec::new());
        let bytes = read_chunks(&mut hashing, bytes_max, |chunk| {
            writer.write(chunk).map_err(not_written)?;
            kept = kept.take().filter(|kept| (kept.len() + chunk.len()) as u64 <= keep_max);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(chunk);
            }
            Ok(())
        })?;
        writer.finish().map_err(not_written)?;
        let digest = hashing.digest();
        self.settle(temporary, &file, &self.path(&digest)).map_err(StreamError::Store)?;
        let put = Put { digest, entry: Some(Entry { location: Location::Own, bytes }) };
        Ok(Streamed { put, bytes, content: kept })
    }

    /// Copies a stream to a temporary file, from which it is staged later.
    pub(crate) fn spool(
        &self,
        reader: &mut dyn Read,
        bytes_max: u64,
    ) -> Result<Temporary, StreamError> {
        let (temporary, file) = self.temporary().map_err(StreamError::Store)?;
        let not_written = |error| StreamError::Store(failed("write", temporary.path())(error));
        let mut writer = SparseWriter::new(&file);
        read_chunks(reader, bytes_max, |chunk| writer.write(chunk).map_err(not_written))?;
        writer.finish().map_err(not_written)?;
        Ok(temporary)
    }

    /// Opens a content without verifying it. `put` says where it was stored, since it may have no row
    /// yet.
    pub(crate) fn open_blob(&self, digest: &Digest, put: Option<Entry>) -> io::Result<BlobReader> {
        let entry = put.map_or_else(|| self.entry(digest), Ok)?;
        Ok(match entry.location {
            Location::Own => Box::new(own_file::open(&self.path(digest), Access::Read)?),
            Location::Pack { pack, at } => {
                Box::new(Cursor::new(self.packs.read(pack, at, entry.bytes)?))
            }
        })
    }

    /// Reads and verifies a content, as [`open_blob`](Self::open_blob); `InvalidData` when it is
    /// damaged.
    pub(crate) fn read(&self, digest: &Digest, put: Option<Entry>) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open_blob(digest, put)?.read_to_end(&mut content)?;
        if Digest::of(&content) == *digest {
            return Ok(content);
        }
        if put.is_none() {
            // `NotFound` when it was released meanwhile.
            self.entry(digest)?;
        }
        let reason = "its bytes are not those that were stored";
        Err(io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    fn entry(&self, digest: &Digest) -> io::Result<Entry> {
        let found = self.store.peek(|connection| contents::find(connection, digest));
        found
            .map_err(|error| io::Error::other(crate::error::with_causes(&error)))?
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Whether a content has a file of its own with this length.
    pub(crate) fn has_own(&self, digest: &Digest, bytes: u64) -> bool {
        let found = fs::symlink_metadata(self.path(digest));
        found.is_ok_and(|found| found.is_file() && found.len() == bytes)
    }

    /// Whether a content is in the store.
    pub(crate) fn knows(&self, digest: &Digest) -> bool {
        self.entry(digest).is_ok()
    }

    /// Makes the short contents durable that this process has stored.
    pub(crate) fn sync(&self) -> Result<()> {
        self.packs.sync().map_err(failed("sync", &self.dir))
    }

    /// Makes these contents durable, whichever process stored them: one sync for each pack and for
    /// each file.
    pub(crate) fn sync_contents(&self, digests: &[Digest]) -> Result<()> {
        let mut packs = std::collections::BTreeSet::new();
        for digest in digests {
            // A missing content is reported when it is read.
            match self.entry(digest).map(|entry| entry.location) {
                Ok(Location::Pack { pack, .. }) => {
                    packs.insert(pack);
                }
                Ok(Location::Own) => self.sync_own(&self.path(digest))?,
                Err(_) => {}
            }
        }
        for pack in packs {
            self.packs.sync_pack(pack).map_err(failed("sync", &self.dir))?;
        }
        Ok(())
    }

    /// Frees the space of contents whose rows were removed durably.
    pub(crate) fn reclaim(&self, dead: &[Unreferenced]) -> Result<()> {
        let mut places: Vec<_> = dead
            .iter()
            .filter_map(|dead| match dead.entry.location {
                Location::Pack { pack, at } => Some((pack, at, dead.entry.bytes)),
                Location::Own => None,
            })
            .collect();
        self.packs.give_back(&mut places).map_err(failed("give back space in", &self.dir))?;
        // A file may have been written again since, for a row that is about to be committed; that
        // cannot happen under the write lock.
        let own = dead.iter().filter(|dead| dead.entry.location == Location::Own);
        self.remove_unneeded(own.map(|dead| dead.digest)).map(drop)
    }

    /// Removes the files of contents that have no row; returns how many.
    pub(crate) fn remove_unneeded(&self, digests: impl Iterator<Item = Digest>) -> Result<u64> {
        let digests: Vec<Digest> = digests.collect();
        let mut removed = 0;
        // Other writers wait for each of these transactions.
        for some in digests.chunks(REMOVALS_MAX) {
            self.store.write(|write| {
                for digest in some {
                    if contents::find(write, digest)?.is_none() {
                        let path = self.path(digest);
                        let is_removed = own_file::remove(&path);
                        removed += u64::from(is_removed.map_err(failed("remove", &path))?);
                    }
                }
                Ok(())
            })?;
        }
        Ok(removed)
    }

    /// The packs, for a sweep.
    pub(crate) fn packs(&self) -> &Packs {
        &self.packs
    }

    /// The folders of contents that have a file of their own, sorted.
    pub(crate) fn folders(&self) -> io::Result<Vec<PathBuf>> {
        own_file::folders(&self.dir)
    }

    /// The contents that have a file in one of [`folders`](Self::folders). Temporary files of dead
    /// processes are removed from it; returns how many.
    pub(crate) fn own_files(&self, folder: &Path) -> io::Result<(Vec<Digest>, u64)> {
        let (mut found, mut removed) = (Vec::new(), 0);
        let temporary = folder.ends_with("tmp");
        for file in fs::read_dir(folder)? {
            let file = file?;
            let name = file.file_name();
            let Some(name) = name.to_str() else { continue };
            if !temporary {
                found.extend(name.parse::<Digest>());
            } else if owner_is_dead(name) {
                removed += u64::from(own_file::remove(&file.path())?);
            }
        }
        Ok((found, removed))
    }

    /// Whether a stored content is whole: a power cut may have torn it.
    fn holds(&self, digest: &Digest, entry: Entry, bytes: u64) -> bool {
        let found =
            self.open_blob(digest, Some(entry)).and_then(|mut blob| Digest::of_reader(&mut blob));
        found.is_ok_and(|found| found == (*digest, bytes))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    fn temporary(&self) -> Result<(Temporary, File)> {
        loop {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let path = self.dir.join("tmp").join(format!("{}-{number}", Owner::this().name()));
            match own_file::open(&path, Access::CreateNew) {
                Ok(file) => return Ok((Temporary(Some(path)), file)),
                // An earlier process had the same name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(StagingError::Io { action: "create", path, source }),
            }
        }
    }

    /// Gives a complete temporary file its final name.
    fn settle(&self, temporary: Temporary, file: &File, path: &Path) -> Result<()> {
        if self.durable {
            file.sync_data().map_err(failed("sync", temporary.path()))?;
        }
        match fs::rename(temporary.path(), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().expect("a blob lies in a folder of its own");
                make_dir(folder).map_err(failed("make", folder))?;
                if self.durable {
                    sync_dir(&self.dir)?;
                }
                fs::rename(temporary.path(), path).map_err(failed("name", path))?;
            }
            outcome => outcome.map_err(failed("name", path))?,
        }
        temporary.keep();
        if self.durable {
            sync_dir(path.parent().expect("a blob lies in a folder of its own"))?;
        }
        Ok(())
    }

    fn sync_own(&self, path: &Path) -> Result<()> {
        let access = if cfg!(windows) { Access::Write } else { Access::Read };
        let file = own_file::open(path, access).map_err(failed("sync", path))?;
        file.sync_data().map_err(failed("sync", path))?;
        sync_dir(path.parent().expect("a blob lies in a folder of its own"))
    }
}

/// Hands a stream to `take` in chunks, and returns its length in bytes; `TooLong` when it has more
/// than `bytes_max` bytes.
fn read_chunks(
    reader: &mut dyn Read,
    bytes_max: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), StreamError>,
) -> Result<u64, StreamError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StreamError::Read(error)),
        };
        bytes += count as u64;
        if bytes > bytes_max {
            return Err(StreamError::TooLong);
        }
        take(&chunk[..count])?;
    }
}

impl ContentSource for Blobs {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.open_blob(digest, None)?))
    }

    fn is_sparse(&self, digest: &Digest) -> bool {
        let own = self.entry(digest).is_ok_and(|entry| entry.location == Location::Own);
        own && fs::symlink_metadata(self.path(digest)).is_ok_and(|found| has_holes(&found))
    }

    fn sync_record(&self) -> io::Result<()> {
        self.store.sync().map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Whether a file takes less disk space than its length.
#[cfg(unix)]
fn has_holes(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.blocks().saturating_mul(512) < found.len()
}

#[cfg(not(unix))]
fn has_holes(_: &fs::Metadata) -> bool {
    false
}

/// Writes a new file from its start, and leaves out blocks of zeros.
struct SparseWriter<'f> {
    file: &'f File,
    bytes: u64,
}

impl<'f> SparseWriter<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, bytes: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for run in data_runs(bytes, self.bytes) {
            write_all_at(self.file, &bytes[run.clone()], self.bytes + run.start as u64)?;
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Sets the length: a hole at the end is not a part of the file before.
    fn finish(&self) -> io::Result<()> {
        self.file.set_len(self.bytes)
    }
}

/// A temporary file, which is removed when it is dropped before it has its final name.
pub(crate) struct Temporary(Option<PathBuf>);

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().expect("the path is only taken when it is dropped")
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(%error, "cannot remove a temporary file: the next sweep removes it");
        }
    }
}

/// Whether the process that a temporary file's name identifies is dead.
fn owner_is_dead(name: &str) -> bool {
    let owner = name.rsplit_once('-').and_then(|(owner, _)| Owner::parse(owner));
    // Names of older versions identify no process; those files are old.
    owner.is_none_or(|owner| owner.liveness() == Liveness::Dead)
}

/// Whether reading a content failed because it is missing or damaged; after another error the
/// content may be intact.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | InvalidData | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = PACKED_BYTES_MAX as usize + 1;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Arc::new(Store::open(dir.path()).expect("a new store"));
        let blobs = Blobs::open(dir.path(), store, false).expect("a new directory");
        (dir, blobs)
    }

    /// Commits the row of a content, as a patch that refers to it does.
    fn need(blobs: &Blobs, put: Put) {
        let referred = blobs.store.write(|write| contents::refer(write, &put.digest, put.entry));
        assert_ne!(referred.expect("committed"), contents::Referred::Gone);
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                if path.is_dir() { files(&path) } else { 1 }
            })
            .sum()
    }

    #[rstest::rstest]
    #[case::packed(4)]
    #[case::own(LONG)]
    fn equal_content_is_stored_once(#[case] bytes: usize) {
        let (dir, blobs) = blobs();
        let content = vec![7; bytes];
        let one = blobs.put(&content).expect("stored");
        need(&blobs, one);
        let two = blobs.put(&content).expect("stored");
        let Ok(three) = blobs.put_stream(&mut content.as_slice(), 10, LONG as u64) else {
            panic!("a stream of equal content is stored");
        };
        assert_eq!((one.digest, one.digest), (two.digest, three.put.digest));
        assert!(one.entry.is_some() && two.entry.is_none(), "the second one was stored before");
        assert_eq!(three.content.is_some(), bytes <= 10);
        assert_eq!(files(&dir.path().join("blobs")), 1, "one file, and nothing temporary");
    }

    #[rstest::rstest]
    #[case::packed(5)]
    #[case::own(LONG)]
    fn a_torn_blob_is_replaced_by_the_next_put_of_its_content(#[case] bytes: usize) {
        let (dir, blobs) = blobs();
        let content = vec![7; bytes];
        let put = blobs.put(&content).expect("stored");
        need(&blobs, put);
        let torn = match put.entry.expect("it is new").location {
            Location::Own => blobs.path(&put.digest),
            Location::Pack { pack, .. } => dir.path().join(format!("blobs/{pack:016x}.pack")),
        };
        fs::write(torn, vec![0; bytes]).expect("torn");
        assert!(blobs.read(&put.digest, None).is_err(), "a torn blob is not returned");
        blobs.put(&content).expect("stored");
        assert_eq!(blobs.read(&put.digest, None).expect("whole again"), content);
    }

    #[test]
    fn a_torn_content_is_written_elsewhere_and_its_old_location_is_not_touched() {
        let (dir, blobs) = blobs();
        let put = blobs.put(b"first").expect("stored");
        need(&blobs, put);
        let Some(Entry { location: Location::Pack { pack, .. }, .. }) = put.entry else {
            panic!("a short content is in a pack");
        };
        // As after a power cut that took the pack's end, and a process that appended then.
        fs::write(dir.path().join(format!("blobs/{pack:016x}.pack")), b"other").expect("lost");
        let again = blobs.put(b"first").expect("stored again");
        assert!(again.entry.is_none(), "its row was moved");
        assert_eq!(blobs.read(&put.digest, None).expect("whole"), b"first");
        assert_eq!(blobs.packs.read(pack, 0, 5).expect("read"), b"other");
        let dead = blobs.store.write(|write| contents::release(write, &put.digest));
        let dead = dead.expect("released").expect("it was referred to once");
        blobs.reclaim(&[dead]).expect("freed");
        assert_eq!(blobs.packs.read(pack, 0, 5).expect("read"), b"other", "its space is not freed");
    }

    #[test]
    fn a_stream_that_is_too_long_or_fails_leaves_no_file() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let (dir, blobs) = blobs();
        for begun in [100, 2 * LONG] {
            let begun = vec![0_u8; begun];
            let max = begun.len() as u64 - 1;
            let long = blobs.put_stream(&mut begun.as_slice(), 10, max);
            assert!(matches!(long, Err(StreamError::TooLong)));
            let failed = blobs.put_stream(&mut begun.chain(Failing), 10, u64::MAX);
            assert!(matches!(failed, Err(StreamError::Read(_))));
        }
        assert_eq!(files(&dir.path().join("blobs")), 0);
    }

    #[test]
    fn a_stream_is_kept_in_memory_only_up_to_the_requested_length() {
        let (_dir, blobs) = blobs();
        for bytes in [11, LONG] {
            let content = vec![7_u8; bytes];
            let Ok(streamed) = blobs.put_stream(&mut content.as_slice(), 10, u64::MAX) else {
                panic!("it is not too long");
            };
            assert_eq!((streamed.bytes, streamed.content), (bytes as u64, None));
        }
    }

    #[test]
    fn reclaiming_leaves_a_content_that_has_a_row_again() {
        let (_dir, blobs) = blobs();
        let content = vec![7; LONG];
        let put = blobs.put(&content).expect("stored");
        need(&blobs, put);
        let dead = blobs.store.write(|write| contents::release(write, &put.digest));
        let dead = dead.expect("released").expect("it was the last reference");
        let again = blobs.put(&content).expect("stored anew");
        need(&blobs, again);
        blobs.reclaim(&[dead]).expect("nothing to do");
        assert_eq!(blobs.read(&put.digest, None).expect("it has a row"), content);
    }

    #[test]
    fn temporary_files_of_dead_processes_are_removed_and_those_of_living_ones_stay() {
        let (dir, blobs) = blobs();
        let temporary = dir.path().join("blobs/tmp");
        let living = format!("{}-1", Owner::this().name());
        for name in [living.as_str(), "4999999-1", "1.0_0_1-1"] {
            fs::write(temporary.join(name), "torn").expect("begun");
        }
        assert_eq!(blobs.own_files(&temporary).expect("listed").1, 2);
        assert!(temporary.join(living).exists());
    }
}
