//! Contents by their BLAKE3, one file each: `blobs/xx/…`.
//!
//! A blob is written under a temporary name while it is hashed, and renamed to
//! its digest when it is whole. Nothing here trusts a blob's name: whoever reads
//! one for the workspace hashes it again.
//!
//! # Durability
//! As the store's: a blob survives the process at once, and a power cut within
//! seconds; with `durable` it is synced before its name is given.
#![allow(clippy::disallowed_methods, reason = "the store owns the blobs")]

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use atomic_fs::{ContentSource, Digest};

use crate::Result;
use crate::error::StagingError;

/// A blob or a temporary file younger than this may belong to a proposal that
/// is still on its way.
const SWEEP_AGE: Duration = Duration::from_secs(60 * 60);

/// How much of a stream is held in memory.
const CHUNK_BYTES: usize = 256 * 1024;

/// The directory of contents.
pub(crate) struct Blobs {
    dir: PathBuf,
    durable: bool,
    next_temporary: AtomicU64,
}

/// What a stream held.
pub(crate) struct Streamed {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    /// The content itself, when it is no longer than was asked for.
    pub(crate) content: Option<Vec<u8>>,
}

/// A stream could not become a blob.
pub(crate) enum StreamError {
    /// The stream failed.
    Read(io::Error),
    /// It is longer than allowed.
    TooLong,
    /// The blob's file failed.
    Store(StagingError),
}

impl Blobs {
    pub(crate) fn open(state_dir: &Path, durable: bool) -> Result<Self> {
        let dir = state_dir.join("blobs");
        make_dir(&dir).map_err(failed("make", &dir))?;
        let temporary = dir.join("tmp");
        make_dir(&temporary).map_err(failed("make", &temporary))?;
        Ok(Self { dir, durable, next_temporary: AtomicU64::new(0) })
    }

    /// Stores content that is in memory.
    pub(crate) fn put(&self, content: &[u8]) -> Result<Digest> {
        let digest = Digest::of(content);
        let path = self.path(&digest);
        if holds(&path, content) {
            if self.durable {
                // Whoever wrote it may not have synced it.
                self.sync(&path)?;
            }
            return Ok(digest);
        }
        let (temporary, mut file) = self.temporary()?;
        let written = file
            .write_all(content)
            .map_err(failed("write", temporary.path()))
            .and_then(|()| self.settle(temporary, &file, &path));
        written.map(|()| digest)
    }

    /// Stores a stream, holding no more of it in memory than `keep_max` and a
    /// chunk.
    pub(crate) fn put_stream(
        &self,
        reader: &mut dyn Read,
        keep_max: u64,
        bytes_max: u64,
    ) -> Result<Streamed, StreamError> {
        let (temporary, mut file) = self.temporary().map_err(StreamError::Store)?;
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut kept = Some(Vec::new());
        let mut bytes = 0_u64;
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StreamError::Read(error)),
            };
            bytes += count as u64;
            if bytes > bytes_max {
                return Err(StreamError::TooLong);
            }
            hasher.update(&chunk[..count]);
            file.write_all(&chunk[..count])
                .map_err(failed("write", temporary.path()))
                .map_err(StreamError::Store)?;
            kept = kept.filter(|_| bytes <= keep_max);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&chunk[..count]);
            }
        }
        let digest = Digest::from(hasher.finalize());
        self.settle(temporary, &file, &self.path(&digest)).map_err(StreamError::Store)?;
        Ok(Streamed { digest, bytes, content: kept })
    }

    /// Opens a blob; its content is not checked.
    pub(crate) fn open_blob(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.path(digest))
    }

    /// Reads a whole blob and checks it; `InvalidData` when it is damaged.
    pub(crate) fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let content = fs::read(self.path(digest))?;
        if Digest::of(&content) == *digest {
            return Ok(content);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those that were stored"))
    }

    /// Whether a blob of this length is there.
    pub(crate) fn has(&self, digest: &Digest, bytes: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.len() == bytes)
    }

    /// Whether a blob is there, of whatever length.
    pub(crate) fn knows(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Removes a blob; the caller's transaction proves that nobody needs it.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Blobs that are old enough for nobody to be about to need them, and
    /// removes what was left of writes that broke off.
    pub(crate) fn sweep_candidates(&self) -> io::Result<Vec<Digest>> {
        let mut found = HashSet::new();
        for folder in fs::read_dir(&self.dir)? {
            let folder = folder?;
            let temporary = folder.file_name() == "tmp";
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let modified = match file.metadata() {
                    Ok(metadata) => metadata.modified()?,
                    // Another process was faster.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                let age = SystemTime::now().duration_since(modified).unwrap_or_default();
                if age < SWEEP_AGE {
                    continue;
                }
                let name = file.file_name();
                if temporary {
                    fs::remove_file(file.path())?;
                } else if let Some(digest) = name.to_str().and_then(|name| name.parse().ok()) {
                    found.insert(digest);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    fn temporary(&self) -> Result<(Temporary, File)> {
        loop {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let path = self.dir.join("tmp").join(format!("{}-{number}", std::process::id()));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => return Ok((Temporary(Some(path)), file)),
                // A dead process had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(StagingError::Io { action: "create", path, source }),
            }
        }
    }

    /// Gives a whole temporary file its name.
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

    fn sync(&self, path: &Path) -> Result<()> {
        File::open(path).and_then(|file| file.sync_data()).map_err(failed("sync", path))?;
        sync_dir(path.parent().expect("a blob lies in a folder of its own"))
    }
}

impl ContentSource for Blobs {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.open_blob(digest)?))
    }
}

/// A file that is removed unless it was given its name.
struct Temporary(Option<PathBuf>);

impl Temporary {
    fn path(&self) -> &Path {
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
            tracing::warn!(%error, "a temporary blob stays until the next sweep");
        }
    }
}

/// Whether a blob holds exactly this; a power cut may have torn one that has
/// the right name and length.
fn holds(path: &Path, content: &[u8]) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    if !file.metadata().is_ok_and(|metadata| metadata.len() == content.len() as u64) {
        return false;
    }
    let mut chunk = [0; 32 * 1024];
    let mut rest = content;
    while !rest.is_empty() {
        match file.read(&mut chunk) {
            Ok(count) if count > 0 && rest.starts_with(&chunk[..count]) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
    true
}

fn make_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed("sync", path))
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> Result<()> {
    // Windows has no call for it; NTFS journals the name.
    Ok(())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StagingError {
    let path = path.to_owned();
    move |source| StagingError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let blobs = Blobs::open(dir.path(), false).expect("a new directory");
        (dir, blobs)
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

    #[test]
    fn equal_content_is_stored_once() {
        let (dir, blobs) = blobs();
        let one = blobs.put(b"same").expect("stored");
        let two = blobs.put(b"same").expect("stored");
        let Ok(three) = blobs.put_stream(&mut b"same".as_slice(), 10, 10) else {
            panic!("a stream of equal content is stored");
        };
        assert_eq!((one, one), (two, three.digest));
        assert_eq!(three.content.as_deref(), Some(b"same".as_slice()));
        assert_eq!(files(dir.path()), 1, "one blob, and nothing temporary");
    }

    #[test]
    fn a_torn_blob_is_replaced_by_the_next_put_of_its_content() {
        let (_dir, blobs) = blobs();
        let digest = blobs.put(b"whole").expect("stored");
        fs::write(blobs.path(&digest), b"\0\0\0\0\0").expect("torn");
        assert!(blobs.read(&digest).is_err(), "a torn blob is not handed out");
        blobs.put(b"whole").expect("stored");
        assert_eq!(blobs.read(&digest).expect("whole again"), b"whole");
    }

    #[test]
    fn a_stream_that_is_too_long_or_fails_leaves_nothing() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("unplugged"))
            }
        }
        let (dir, blobs) = blobs();
        let long = blobs.put_stream(&mut [0_u8; 100].as_slice(), 10, 99);
        assert!(matches!(long, Err(StreamError::TooLong)));
        let failed = blobs.put_stream(&mut b"begun".chain(Failing), 10, 99);
        assert!(matches!(failed, Err(StreamError::Read(_))));
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn a_stream_is_kept_in_memory_only_up_to_what_was_asked_for() {
        let (_dir, blobs) = blobs();
        let Ok(streamed) = blobs.put_stream(&mut [7_u8; 11].as_slice(), 10, 99) else {
            panic!("it is not too long");
        };
        assert_eq!((streamed.bytes, streamed.content), (11, None));
    }
}
