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
        let mut buffer = vec![0; 128 * 1024];
        let mut bytes = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok((Self::from(hasher.finalize()), bytes)),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
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

/// The permission bits of every symbolic link, as Linux reports them; nothing reads them
/// (symlink(7)).
pub const SYMLINK_MODE: u32 = 0o777;

/// What a path with content holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// A regular file with these bytes.
    #[default]
    File,
    /// A symbolic link; its target is the content.
    Symlink,
}

impl ContentKind {
    /// The kind of content that a kind of file has; `None` where it has none.
    pub fn of(kind: FileKind) -> Option<Self> {
        match kind {
            FileKind::Regular => Some(Self::File),
            FileKind::Symlink => Some(Self::Symlink),
            FileKind::Directory | FileKind::Other => None,
        }
    }

    /// Whether it is a regular file's.
    pub fn is_file(&self) -> bool {
        *self == Self::File
    }
}

/// What identifies the state of a regular file or a symbolic link: content and permission bits.
///
/// The modification time is not part of it: a bare `touch` is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What it is.
    #[serde(default, skip_serializing_if = "ContentKind::is_file")]
    pub kind: ContentKind,
    /// BLAKE3 of the content.
    pub digest: Digest,
    /// The content's length in bytes.
    pub bytes: u64,
    /// Permission bits, `mode & 0o7777`; [`SYMLINK_MODE`] for a symbolic link.
    pub mode: u32,
}

impl Fingerprint {
    /// A regular file's.
    pub const fn file(digest: Digest, bytes: u64, mode: u32) -> Self {
        Self { kind: ContentKind::File, digest, bytes, mode }
    }

    /// That of a symbolic link with this target.
    pub fn symlink(target: &[u8]) -> Self {
        let (digest, bytes) = (Digest::of(target), target.len() as u64);
        Self { kind: ContentKind::Symlink, digest, bytes, mode: SYMLINK_MODE }
    }

    /// What is held, whatever the permission bits.
    pub(crate) fn content(&self) -> Content {
        (self.kind, self.digest)
    }
}

/// A kind of content and its digest: a file may hold the same bytes as a link's target.
pub(crate) type Content = (ContentKind, Digest);

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
