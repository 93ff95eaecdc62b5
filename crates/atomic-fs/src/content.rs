//! Content by its digest: what a slot must hold, and where the bytes come from.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// What identifies a regular file's state: content and permission bits.
///
/// The modification time is not part of it: a bare `touch` is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// BLAKE3 of the content.
    pub digest: Digest,
    /// The content's length in bytes.
    pub bytes: u64,
    /// Permission bits, `mode & 0o7777`.
    pub mode: u32,
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
