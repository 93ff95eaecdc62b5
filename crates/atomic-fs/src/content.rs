//! Content by its digest: what a slot must hold, and where the bytes come from.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::os::disk::FileKind;

/// A BLAKE3 digest of a file's content, 32 bytes, shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest and the length in bytes of everything a reader yields.
    ///
    /// # Errors
    /// What the reader reports.
    pub fn of_reader(reader: &mut dyn Read) -> io::Result<(Self, u64)> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(reader)?;
        Ok((hasher.finalize().into(), hasher.count()))
    }

    /// A digest read back from storage.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A reader that hashes what is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    reader: R,
    hasher: blake3::Hasher,
}

impl<R: Read> HashingReader<R> {
    /// A reader of what `reader` yields.
    pub fn new(reader: R) -> Self {
        Self { reader, hasher: blake3::Hasher::new() }
    }

    /// The digest of what was read so far.
    pub fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The text was not 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a BLAKE3 digest: expected 64 hex digits")]
pub struct DigestParseError;

impl FromStr for Digest {
    type Err = DigestParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(Self::from).map_err(|_| DigestParseError)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is at a path, as the upper bits of a mode name it in git's trees (`ls-tree`: `120000`,
/// `040000`). The mode of a regular file has its permission bits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link; its content is its target.
    Symlink,
    /// A directory, which has no content.
    Directory,
}

/// The mode of every symbolic link: no system reads the permission bits of one (symlink(7)).
const SYMLINK_MODE: u32 = 0o120000;
const DIRECTORY_BITS: u32 = 0o040000;
const KIND_BITS: u32 = 0o170000;

impl EntryKind {
    /// The kind that a mode names.
    pub const fn of_mode(mode: u32) -> Self {
        match mode & KIND_BITS {
            SYMLINK_MODE => Self::Symlink,
            DIRECTORY_BITS => Self::Directory,
            _ => Self::File,
        }
    }

    /// The kind of what the file system reports; `None` for devices and the like.
    pub const fn of(kind: FileKind) -> Option<Self> {
        match kind {
            FileKind::Regular => Some(Self::File),
            FileKind::Symlink => Some(Self::Symlink),
            FileKind::Directory => Some(Self::Directory),
            FileKind::Other => None,
        }
    }

    /// What the file system calls it.
    pub const fn file_kind(self) -> FileKind {
        match self {
            Self::File => FileKind::Regular,
            Self::Symlink => FileKind::Symlink,
            Self::Directory => FileKind::Directory,
        }
    }
}

/// What identifies the state of a file, a symbolic link or a directory: content and mode.
///
/// The modification time is not part of it: a bare `touch` is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Recorded", into = "Recorded")]
pub struct Fingerprint {
    /// BLAKE3 of the content; of nothing for a directory.
    pub digest: Digest,
    /// The content's length in bytes.
    pub bytes: u64,
    /// A file's permission bits, `mode & 0o7777`; of anything else with the bits that name its
    /// [`EntryKind`].
    pub mode: u32,
}

impl Fingerprint {
    /// A regular file's.
    pub const fn file(digest: Digest, bytes: u64, mode: u32) -> Self {
        Self { digest, bytes, mode }
    }

    /// That of a symbolic link with this target.
    pub fn symlink(target: &[u8]) -> Self {
        Self::symlink_to(Digest::of(target), target.len() as u64)
    }

    /// That of a symbolic link with a target of this digest and length.
    pub const fn symlink_to(digest: Digest, bytes: u64) -> Self {
        Self { digest, bytes, mode: SYMLINK_MODE }
    }

    /// That of a directory with these permission bits.
    pub fn directory(permissions: u32) -> Self {
        Self { digest: Digest::of(b""), bytes: 0, mode: DIRECTORY_BITS | (permissions & 0o7777) }
    }

    /// What it is of.
    pub const fn kind(&self) -> EntryKind {
        EntryKind::of_mode(self.mode)
    }

    /// Whether it is a regular file's.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self.kind(), EntryKind::File)
    }

    /// The permission bits; those of a symbolic link mean nothing.
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// What is held, whatever the permission bits.
    pub(crate) fn content(&self) -> Content {
        (self.kind(), self.digest)
    }
}

/// A kind of content and its digest: a file may hold the same bytes as a link's target.
pub(crate) type Content = (EntryKind, Digest);

/// A fingerprint as journals hold it, in which a symbolic link has a word and the mode that Linux
/// reports of it.
#[derive(Clone, Serialize, Deserialize)]
struct Recorded {
    #[serde(default, skip_serializing_if = "RecordedKind::is_file")]
    kind: RecordedKind,
    digest: Digest,
    bytes: u64,
    mode: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordedKind {
    #[default]
    File,
    Symlink,
}

impl RecordedKind {
    fn is_file(&self) -> bool {
        *self == Self::File
    }
}

impl From<Recorded> for Fingerprint {
    fn from(Recorded { kind, digest, bytes, mode }: Recorded) -> Self {
        match kind {
            RecordedKind::File => Self::file(digest, bytes, mode),
            RecordedKind::Symlink => Self::symlink_to(digest, bytes),
        }
    }
}

impl From<Fingerprint> for Recorded {
    fn from(fingerprint: Fingerprint) -> Self {
        let Fingerprint { digest, bytes, mode } = fingerprint;
        match fingerprint.kind() {
            EntryKind::Symlink => Self { kind: RecordedKind::Symlink, digest, bytes, mode: 0o777 },
            EntryKind::File | EntryKind::Directory => {
                Self { kind: RecordedKind::File, digest, bytes, mode }
            }
        }
    }
}

/// Where the bytes of staged content are read from when a slot is written.
///
/// What comes out is hashed on its way; a source that yields anything but the
/// digest asked for makes the change set fail with nothing changed.
pub trait ContentSource: Send + Sync {
    /// Opens the content with this digest for one pass from its start.
    ///
    /// # Errors
    /// What the store behind it reports; `NotFound` when it has no such content.
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>>;

    /// Whether the content with this digest has holes where it is kept: then what is written of it
    /// has holes as well, and no room is made for them. Short contents are looked at anyway.
    fn is_sparse(&self, _digest: &Digest) -> bool {
        false
    }

    /// Makes the caller's record of the set durable. Called once for each apply, beside the
    /// syncs of barrier 1 and before the first swap, since recovery acts on no journal whose set
    /// is not recorded. Callers without such a record leave it out.
    ///
    /// # Errors
    /// What the store reports; the set is then given up with nothing changed.
    fn sync_record(&self) -> io::Result<()> {
        Ok(())
    }
}
