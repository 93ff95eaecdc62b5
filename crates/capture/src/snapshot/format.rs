//! How a snapshot is kept in a file.
//!
//! Magic and version (12 bytes), then numbers as LEB128 (signed ones in zigzag): the time of the
//! start, the number of entries, and for each entry how many bytes of its path are those of the
//! one before, the rest of the path, and its stat. The BLAKE3 digest of all of it ends the file.

use thiserror::Error;

use super::table::Table;
use crate::stat::{Kind, Stat, Timestamp};

const MAGIC: &[u8; 8] = b"GRNSNAP\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>();

/// Why the bytes of a snapshot cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes are none of a snapshot, or some of them were lost or changed.
    #[error("the snapshot of the workspace is damaged or cut short")]
    Damaged,
    /// The bytes are of a version that this program does not know.
    #[error("the snapshot of the workspace has version {version}, which is unknown here")]
    Version {
        /// The version that the bytes state.
        version: u32,
    },
}

/// When the walk began, and what it read.
pub(super) type Contents = (Timestamp, Table);

/// The entries are in the order of their paths.
pub(super) fn encode<'e>(
    begun: Timestamp,
    entries: impl Iterator<Item = (&'e [u8], &'e Stat)>,
) -> Vec<u8> {
    let entries: Vec<_> = entries.collect();
    let mut bytes = Vec::with_capacity(64 * entries.len() + 64);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    put_time(&mut bytes, begun);
    put(&mut bytes, entries.len() as u64);
    let mut previous: &[u8] = b"";
    for (path, stat) in entries {
        let shared = previous.iter().zip(path).take_while(|(one, other)| one == other).count();
        put(&mut bytes, shared as u64);
        put(&mut bytes, (path.len() - shared) as u64);
        bytes.extend_from_slice(&path[shared..]);
        let kind = match stat.kind {
            Kind::File => 0,
            Kind::Directory => 1,
            Kind::Symlink => 2,
            Kind::Other => 3,
        };
        bytes.push(kind | u8::from(stat.born.is_some()) << 2);
        for number in [u64::from(stat.mode), stat.device, stat.inode, stat.size] {
            put(&mut bytes, number);
        }
        put_time(&mut bytes, stat.modified);
        put_time(&mut bytes, stat.changed);
        if let Some(born) = stat.born {
            put_time(&mut bytes, born);
        }
        previous = path;
    }
    let digest = blake3::hash(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Contents, FormatError> {
    let (body, digest) = bytes.split_last_chunk::<32>().ok_or(FormatError::Damaged)?;
    // Another version may end in another way, so it is looked at first.
    let header = body.get(..HEADER_BYTES).ok_or(FormatError::Damaged)?;
    let version = header.strip_prefix(MAGIC).ok_or(FormatError::Damaged)?;
    let version = u32::from_le_bytes(version.try_into().map_err(|_| FormatError::Damaged)?);
    if version != VERSION {
        return Err(FormatError::Version { version });
    }
    if blake3::hash(body) != *digest {
        return Err(FormatError::Damaged);
    }
    read_body(&body[HEADER_BYTES..]).ok_or(FormatError::Damaged)
}

fn read_body(mut bytes: &[u8]) -> Option<Contents> {
    let from = &mut bytes;
    let begun = take_time(from)?;
    let count = take(from)?;
    let mut table = Table::default();
    let mut path = Vec::new();
    for _ in 0..count {
        let shared = usize::try_from(take(from)?).ok().filter(|shared| *shared <= path.len())?;
        path.truncate(shared);
        let rest = usize::try_from(take(from)?).ok()?;
        path.extend_from_slice(from.split_off(..rest)?);
        let tag = *from.split_off_first()?;
        let stat = Stat {
            kind: match tag & 3 {
                0 => Kind::File,
                1 => Kind::Directory,
                2 => Kind::Symlink,
                _ => Kind::Other,
            },
            mode: u16::try_from(take(from)?).ok()?,
            device: take(from)?,
            inode: take(from)?,
            size: take(from)?,
            modified: take_time(from)?,
            changed: take_time(from)?,
            born: if tag & 4 == 0 { None } else { Some(take_time(from)?) },
        };
        table.push(&path, stat)?;
    }
    from.is_empty().then_some((begun, table))
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    put(bytes, (time.seconds << 1 ^ time.seconds >> 63) as u64);
    put(bytes, u64::from(time.nanos));
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *from.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_time(from: &mut &[u8]) -> Option<Timestamp> {
    let zigzag = take(from)?;
    let seconds = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
    Some(Timestamp { seconds, nanos: u32::try_from(take(from)?).ok()? })
}
