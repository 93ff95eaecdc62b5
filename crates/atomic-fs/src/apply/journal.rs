//! Write-ahead intents: one file for each set, `<set>.journal`, to which records are appended.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::apply::intent::Intent;
use crate::apply::journal_names::{DOUBT_SUFFIX, file_name};
use crate::apply::record::{Line, Parsed, Record, VERSION, encode, parse};
use crate::contradiction::Contradiction;
use crate::error::{FsError, IfThere as _};
use crate::os::disk::{Disk, FileKind, write_all};
use crate::rel_path::os_string;

/// No journal is longer: some 400,000 files.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Reserved behind the intent, so that a disk that fills up in the middle of a set
/// cannot keep its end from being recorded.
const LATER_RECORDS_BYTES: u64 = 512;

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
    /// Whether files were moved aside for it.
    pub moved_aside: bool,
    /// Whether the intent comes from the caller's record, and no journal told how far it came.
    pub is_rebuilt: bool,
}

/// What a journal's file turned out to be.
pub(crate) enum Opened<D: Disk> {
    /// A journal, whole but for what a crash left of its last record.
    Sound(Journal<D>, Found),
    /// What a crash left of the first record: no swap was made.
    Torn,
    /// Something else; it is not acted on.
    Damaged {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// An open journal that records can be appended to.
pub(crate) struct Journal<D: Disk> {
    name: Vec<u8>,
    file: D::File,
    /// Where the next record goes.
    end: Mutex<u64>,
}

impl<D: Disk> Journal<D> {
    /// Writes a new journal with its intent. Nothing is synced yet.
    pub(crate) fn create(disk: &D, dir: &D::Dir, intent: &Intent) -> Result<Self, FsError> {
        let name = file_name(&intent.set);
        let failed = |operation| FsError::state(operation, os_string(&name));
        let file = disk.create_file(dir, &name).map_err(failed("create the journal"))?;
        let journal = Self { name: name.clone(), file, end: Mutex::new(0) };
        let line = encode(&Record::Intent { version: VERSION, intent: intent.clone() });
        if line.len() as u64 > JOURNAL_BYTES_MAX - LATER_RECORDS_BYTES {
            let _ = disk.remove_file(dir, &journal.name);
            return Err(Contradiction::TooLong.into());
        }
        let written = disk
            .reserve(&journal.file, line.len() as u64 + LATER_RECORDS_BYTES)
            .map_err(failed("make room for the journal"))
            .and_then(|()| journal.append_line(disk, &line));
        if let Err(error) = written {
            // A journal that never was complete must not stay to be puzzled over.
            let _ = disk.remove_file(dir, &journal.name);
            return Err(error);
        }
        Ok(journal)
    }

    /// Reads what a dead process left. Nothing but a regular file is opened for longer than it
    /// takes to see that, and no link is followed.
    ///
    /// # Errors
    /// [`FsError::UnknownJournal`] for a format that this version does not know;
    /// [`FsError::Io`].
    pub(crate) fn open(disk: &D, dir: &D::Dir, name: &[u8]) -> Result<Opened<D>, FsError> {
        let damaged = |reason| Ok(Opened::Damaged { reason });
        let failed = |operation| FsError::state(operation, os_string(name));
        let stat = disk.stat(dir, name).map_err(failed("look at the journal"))?;
        if stat.kind != FileKind::Regular {
            return damaged("it is no regular file");
        }
        let file = disk.open_own_file(dir, name).map_err(failed("open the journal"))?;
        let stat = disk.file_stat(&file).map_err(failed("look at the journal"))?;
        if stat.kind != FileKind::Regular {
            return damaged("it is no regular file");
        }
        if stat.bytes > JOURNAL_BYTES_MAX {
            return damaged("it is longer than any journal");
        }
        let bytes = read_all(disk, &file).map_err(failed("read the journal"))?;
        let Parsed { records, end, is_damaged } = parse(&bytes);
        if is_damaged {
            return damaged("a record in it is damaged");
        }
        let unknown = |reason| FsError::UnknownJournal { path: os_string(name).into(), reason };
        let mut records = records.into_iter();
        let intent = match records.next() {
            // The intent was never whole, so barrier 1 was never passed.
            None => return Ok(Opened::Torn),
            Some(Line::Known(Record::Intent { version: VERSION, intent })) => intent,
            Some(_) => return Err(unknown("another version of Greenroom wrote it")),
        };
        let mut progress = Progress::Undecided;
        let (mut swapped, mut moved_aside) = (false, false);
        for line in records {
            let Line::Known(record) = line else {
                return Err(unknown("it holds a record that this version does not know"));
            };
            swapped |= record == Record::Swapping;
            moved_aside |= record == Record::Aside;
            progress = progress.max(match record {
                Record::Intent { .. } => return damaged("it holds two intents"),
                Record::Swapping | Record::Aside => Progress::Undecided,
                Record::Abort => Progress::Aborting,
                Record::Committed => Progress::Committed,
                Record::RolledBack => Progress::RolledBack,
            });
        }
        let journal = Self { name: name.to_vec(), file, end: Mutex::new(end) };
        let found = Found { intent, progress, swapped, moved_aside, is_rebuilt: false };
        Ok(Opened::Sound(journal, found))
    }

    /// Appends a record; durable only after [`sync`](Journal::sync).
    pub(crate) fn append(&self, disk: &D, record: &Record) -> Result<(), FsError> {
        self.append_line(disk, &encode(record))
    }

    fn append_line(&self, disk: &D, line: &[u8]) -> Result<(), FsError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        write_all(disk, &self.file, line, *end)
            .map_err(|source| self.failed("write the journal")(source))?;
        *end += line.len() as u64;
        Ok(())
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> FsError {
        FsError::state(operation, os_string(&self.name))
    }

    /// Moves the journal away until a person has decided about its set.
    pub(crate) fn park(&self, disk: &D, dir: &D::Dir, set: &str) -> Result<(), FsError> {
        let parked = [set.as_bytes(), DOUBT_SUFFIX].concat();
        disk.rename_replacing((dir, &self.name), (dir, &parked))
            .and_then(|()| disk.sync_dir(dir))
            .map_err(self.failed("move the journal away"))
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&self, disk: &D) -> Result<(), FsError> {
        disk.sync_file(&self.file).map_err(self.failed("sync the journal"))
    }

    /// Removes the journal. It may come back after a power cut, which is harmless
    /// once it ends in `Committed` or `RolledBack`.
    pub(crate) fn remove(&self, disk: &D, dir: &D::Dir) -> Result<(), FsError> {
        let removed = disk.remove_file(dir, &self.name).if_found();
        removed.map(drop).map_err(self.failed("remove the journal"))
    }
}

fn read_all<D: Disk>(disk: &D, file: &D::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match disk.read_at(file, &mut buffer, bytes.len() as u64)? {
            0 => return Ok(bytes),
            _ if bytes.len() as u64 > JOURNAL_BYTES_MAX => {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
