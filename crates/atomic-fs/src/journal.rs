//! Write-ahead intents: written, checksummed, read back.
//!
//! A journal is one file, `<set>.journal`, of records, each a line:
//! 16 hex digits of BLAKE3 over the rest of the line, a space, JSON, LF. Records
//! are only appended. A line whose checksum does not hold ends the journal: it is
//! what a crash left of an append.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::FsError;
use crate::intent::Intent;
use crate::mutants::mutant;

/// The format's version; a journal with another is not touched.
const VERSION: u32 = 1;
const SUFFIX: &[u8] = b".journal";
const CHECKSUM_HEX: usize = 16;
/// Reserved behind the intent, so that a disk that fills up in the middle of a set
/// cannot keep its end from being recorded.
const LATER_RECORDS_BYTES: u64 = 512;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub(crate) enum Record {
    /// The first record: what is about to happen.
    Intent { version: u32, intent: Intent },
    /// Barrier 1 is behind, swaps may have happened from here on. Not synced: without
    /// it recovery takes the set back, which is right for a set that nobody was
    /// answered about.
    Swapping,
    /// The set is being taken back: recovery must not finish it.
    Abort,
    /// The outcome is durable on disk; only slots may still lie about.
    Committed,
    /// As `Committed`, for a set that was taken back.
    RolledBack,
}

/// How far a set had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Undecided,
    Aborting,
    RolledBack,
    Committed,
}

/// A journal read back.
#[derive(Debug)]
pub(crate) struct Found {
    pub intent: Intent,
    pub progress: Progress,
    /// Whether a swap can have been made.
    pub swapped: bool,
}

/// An open journal that records can be appended to.
pub(crate) struct Journal<D: Disk> {
    name: Vec<u8>,
    file: Arc<D::File>,
    end: u64,
}

impl<D: Disk> Journal<D> {
    /// Writes a new journal with its intent. Nothing is synced yet.
    pub(crate) fn create(disk: &D, dir: &D::Dir, intent: &Intent) -> Result<Self, FsError> {
        let name = file_name(&intent.set);
        let shown = String::from_utf8_lossy(&name).into_owned();
        let file =
            disk.create_file(dir, &name).map_err(FsError::io("create the journal", &shown))?;
        let mut journal = Self { name, file: Arc::new(file), end: 0 };
        let line = encode(&Record::Intent { version: VERSION, intent: intent.clone() });
        let written = disk
            .reserve(&journal.file, line.len() as u64 + LATER_RECORDS_BYTES)
            .map_err(FsError::io("make room for the journal", &shown))
            .and_then(|()| journal.append_line(disk, &line));
        if let Err(error) = written {
            // A journal that never was complete must not stay to be puzzled over.
            let _ = disk.remove_file(dir, &journal.name);
            return Err(error);
        }
        Ok(journal)
    }

    /// Opens a journal that a dead process left.
    pub(crate) fn open(
        disk: &D,
        dir: &D::Dir,
        name: &[u8],
    ) -> Result<Option<(Self, Found)>, FsError> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let file =
            disk.open_own_file(dir, name).map_err(FsError::io("open the journal", &shown))?;
        let bytes = read_all(disk, &file).map_err(FsError::io("read the journal", &shown))?;
        let (records, end) = parse(&bytes);
        let mut records = records.into_iter();
        let intent = match records.next() {
            // The intent was never whole, so barrier 1 was never passed.
            None => return Ok(None),
            Some(Line::Known(Record::Intent { version: VERSION, intent })) => intent,
            Some(_) => {
                return Err(FsError::UnknownJournal {
                    path: shown.into(),
                    reason: "another version of Greenroom wrote it".to_owned(),
                });
            }
        };
        let mut progress = Progress::Undecided;
        let mut swapped = false;
        for line in records {
            let Line::Known(record) = line else {
                return Err(FsError::UnknownJournal {
                    path: shown.into(),
                    reason: "it holds a record that this version does not know".to_owned(),
                });
            };
            swapped |= record == Record::Swapping;
            progress = progress.max(match record {
                Record::Intent { .. } | Record::Swapping => Progress::Undecided,
                Record::Abort => Progress::Aborting,
                Record::Committed => Progress::Committed,
                Record::RolledBack => Progress::RolledBack,
            });
        }
        Ok(Some((
            Self { name: name.to_vec(), file: Arc::new(file), end },
            Found { intent, progress, swapped },
        )))
    }

    /// Appends a record; durable only after [`sync`](Journal::sync).
    pub(crate) fn append(&mut self, disk: &D, record: &Record) -> Result<(), FsError> {
        self.append_line(disk, &encode(record))
    }

    fn append_line(&mut self, disk: &D, line: &[u8]) -> Result<(), FsError> {
        let shown = || String::from_utf8_lossy(&self.name).into_owned();
        write_all(disk, &self.file, line, self.end)
            .map_err(|source| FsError::io("write the journal", shown())(source))?;
        self.end += line.len() as u64;
        Ok(())
    }

    /// What it is written to.
    pub(crate) fn file(&self) -> Arc<D::File> {
        self.file.clone()
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&self, disk: &D) -> Result<(), FsError> {
        let shown = String::from_utf8_lossy(&self.name).into_owned();
        disk.sync_file(&self.file).map_err(FsError::io("sync the journal", shown))
    }

    /// Removes the journal. It may come back after a power cut, which is harmless
    /// once it ends in `Committed` or `RolledBack`.
    pub(crate) fn remove(&self, disk: &D, dir: &D::Dir) -> Result<(), FsError> {
        let shown = String::from_utf8_lossy(&self.name).into_owned();
        match disk.remove_file(dir, &self.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FsError::io("remove the journal", shown)(error))
            }
            _ => Ok(()),
        }
    }
}

/// The journals in a directory, oldest set first as far as names tell.
pub(crate) fn names<D: Disk>(disk: &D, dir: &D::Dir) -> Result<Vec<Vec<u8>>, FsError> {
    let entries = disk.list(dir).map_err(FsError::io("list", "journal/"))?;
    let mut names: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(SUFFIX));
    names.sort();
    Ok(names)
}

pub(crate) fn file_name(set: &str) -> Vec<u8> {
    [set.as_bytes(), SUFFIX].concat()
}

fn encode(record: &Record) -> Vec<u8> {
    let json = serde_json::to_string(record).expect("records hold nothing that JSON cannot");
    let mut line = checksum(json.as_bytes()).into_bytes();
    line.push(b' ');
    line.extend_from_slice(json.as_bytes());
    line.push(b'\n');
    line
}

fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..CHECKSUM_HEX].to_owned()
}

enum Line {
    Known(Record),
    Unknown,
}

/// The whole records at the start, and where they end.
fn parse(bytes: &[u8]) -> (Vec<Line>, u64) {
    let mut records = Vec::new();
    let mut end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(body) = line.strip_suffix(b"\n") else { break };
        let Some((sum, json)) = body.split_at_checked(CHECKSUM_HEX + 1) else { break };
        let holds = checksum(json).as_bytes() == &sum[..CHECKSUM_HEX] || mutant!(ChecksumIgnored);
        if sum[CHECKSUM_HEX] != b' ' || !holds {
            break;
        }
        end += line.len() as u64;
        records.push(serde_json::from_slice(json).map_or(Line::Unknown, Line::Known));
    }
    (records, end)
}

fn read_all<D: Disk>(disk: &D, file: &D::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match disk.read_at(file, &mut buffer, bytes.len() as u64)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Writes everything, however short each write is.
pub(crate) fn write_all<D: Disk>(
    disk: &D,
    file: &D::File,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write_at(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            _ if mutant!(ShortWriteIgnored) => return Ok(()),
            count => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}
