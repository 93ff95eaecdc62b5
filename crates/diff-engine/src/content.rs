//! The contents that are compared: in memory, or read from a file.

use std::io::{self, Cursor, Read, Seek};

use sha1::{Digest as _, Sha1};

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side<'a> {
    /// The file does not exist.
    Absent,
    /// The full content: any bytes, not only UTF-8.
    Text(&'a [u8]),
    /// The file is over the limit, and its content was not loaded.
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
    },
}

impl<'a> Side<'a> {
    /// The size in bytes; `None` if the file does not exist.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Absent => None,
            Self::Text(content) => Some(content.len() as u64),
            Self::TooLarge { bytes } => Some(*bytes),
        }
    }

    pub(crate) fn reader(self) -> Option<Cursor<&'a [u8]>> {
        match self {
            Self::Text(content) => Some(Cursor::new(content)),
            Self::Absent | Self::TooLarge { .. } => None,
        }
    }

    /// The content; empty if it was not loaded.
    pub(crate) fn content(self) -> &'a [u8] {
        match self {
            Self::Text(content) => content,
            Self::Absent | Self::TooLarge { .. } => &[],
        }
    }
}

/// A content that can be read more than once from its start; an open file is one.
pub trait Content: Read + Seek {}

impl<T: Read + Seek> Content for T {}

/// Whether a content is binary by git's rule: a NUL among the first 8,000 bytes.
pub fn is_binary(content: &[u8]) -> bool {
    memchr::memchr(0, &content[..content.len().min(SNIFF_BYTES)]).is_some()
}

/// How many bytes of a content decide whether it is binary.
pub(crate) const SNIFF_BYTES: usize = 8000;

/// Git's id of a content, a SHA-1 over a short header and its bytes; zeros if the file does not exist.
/// Greenroom's own digests are BLAKE3.
pub(crate) fn object_id(content: &mut Option<&mut dyn Content>, bytes: u64) -> io::Result<String> {
    if content.is_none() {
        return Ok("0".repeat(40));
    }
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {bytes}\0"));
    for_each_piece(content, |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(format!("{:x}", hasher.finalize()))
}

/// Reads a content from its start in pieces; there are none if the file does not exist.
pub(crate) fn for_each_piece(
    content: &mut Option<&mut dyn Content>,
    mut piece: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let Some(content) = content else { return Ok(()) };
    content.rewind()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => piece(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
