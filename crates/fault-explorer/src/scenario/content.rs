//! Staged content.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::atomic_fs::{ContentSource, Digest};

/// Contents by their digests.
#[derive(Clone, Default)]
pub struct Content(BTreeMap<Digest, Vec<u8>>);

impl Content {
    /// All of `contents`.
    pub(super) fn of(contents: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(contents.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect())
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<&[u8]> {
        self.0.get(digest).map(Vec::as_slice)
    }

    /// Whether it has a content.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    /// Takes in a content and returns its digest.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.0.insert(digest, bytes.to_vec());
        digest
    }

    /// Makes everything staged other than what was approved, at the same length.
    pub fn damage(&mut self) {
        for byte in self.0.values_mut().flatten() {
            *byte = byte.wrapping_add(1);
        }
    }
}

impl ContentSource for Content {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        match self.0.get(digest) {
            Some(bytes) => Ok(Box::new(bytes.as_slice())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
