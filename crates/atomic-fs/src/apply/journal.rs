//! Write-ahead intents: written, checksummed, read back.
//!
//! A journal is one file, `<set>.journal`, of records, each a line:
//! 16 hex digits of BLAKE3 over the rest of the line, a space, JSON, LF. Records
//! are only appended. A crash can cut the last line off, which is a torn journal. Anything
//! else that does not read as it was written is damage: then nothing in the file is believed.

use std::io;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::apply::intent::Intent;
use crate::error::FsError;
use crate::mutants::mutant;
use crate::os::disk::{Disk, FileKind, write_all};

/// The format's version; a journal with another is not touched.
const VERSION: u32 = 1;
const SUFFIX: &[u8] = b".journal";
/// A set that recovery could not decide and that waits for a person.
const DOUBT_SUFFIX: &[u8] = b".doubt";
/// A journal that is not acted on.
const QUARANTINE_SUFFIX: &[u8] = b".quarantined";
/// No journal is longer: some 400,000 files.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
const CHECKSUM_HEX: usize = 16;
/// Reserved behind the intent, so that a disk that fills up in the middle of a set
/// cannot keep its end from being recorded.
const LATER_RECORDS_BYTES: u64 = 512;
/// No record behind the intent is longer than this, its line end included.
const LATER_RECORD_BYTES_MAX: usize = 64;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub(crate) enum Record {
    /// The first record: what is about to happen.
    Intent { version: u32, intent: Intent },
    /// Barrier 1 is behind, swaps may have happened from here on. Without it recovery takes the set
    /// back, which is right for a set that nobody was answered about. So it is synced only where a
    /// swap leaves a path without a file, or before a user's version is moved through a slot.
    Swapping,
    /// Files are moved aside before their slots arrive: one that is at no name was.
    Aside,
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
        let shown = String::from_utf8_lossy(&name).into_owned();
        let file =
            disk.create_file(dir, &name).map_err(FsError::io("create the journal", &shown))?;
        let journal = Self { name, file, end: Mutex::new(0) };
        let line = encode(&Record::Intent { version: VERSION, intent: intent.clone() });
        if line.len() as u64 > JOURNAL_BYTES_MAX - LATER_RECORDS_BYTES {
            let _ = disk.remove_file(dir, &journal.name);
            return Err(FsError::BadChangeSet { reason: "it has too many changes".to_owned() });
        }
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

    /// Reads what a dead process left. Nothing but a regular file is opened for longer than it
    /// takes to see that, and no link is followed.
    ///
    /// # Errors
    /// [`FsError::UnknownJournal`] for a format that this version does not know;
    /// [`FsError::Io`].
    pub(crate) fn open(disk: &D, dir: &D::Dir, name: &[u8]) -> Result<Opened<D>, FsError> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let damaged = |reason| Ok(Opened::Damaged { reason });
        let failed = |action| FsError::io(action, &shown);
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
        let unknown =
            |reason: &str| FsError::UnknownJournal { path: (&shown).into(), reason: reason.into() };
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
        let shown = || String::from_utf8_lossy(&self.name).into_owned();
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        write_all(disk, &self.file, line, *end)
            .map_err(|source| FsError::io("write the journal", shown())(source))?;
        *end += line.len() as u64;
        Ok(())
    }

    /// Sets the journal aside until a person has decided about its set.
    pub(crate) fn park(&self, disk: &D, dir: &D::Dir, set: &str) -> Result<(), FsError> {
        let parked = [set.as_bytes(), DOUBT_SUFFIX].concat();
        let shown = String::from_utf8_lossy(&self.name).into_owned();
        disk.rename_replacing(dir, &self.name, dir, &parked)
            .and_then(|()| disk.sync_dir(dir))
            .map_err(FsError::io("set aside the journal", shown))
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
    names_ending(disk, dir, SUFFIX)
}

fn names_ending<D: Disk>(disk: &D, dir: &D::Dir, suffix: &[u8]) -> Result<Vec<Vec<u8>>, FsError> {
    let entries = disk.list(dir).map_err(FsError::io("list", "journal/"))?;
    let mut names: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(suffix));
    names.sort();
    Ok(names)
}

/// The sets that wait for a person, and the names of their journals.
pub(crate) fn parked<D: Disk>(disk: &D, dir: &D::Dir) -> Result<Vec<(String, Vec<u8>)>, FsError> {
    let names = names_ending(disk, dir, DOUBT_SUFFIX)?.into_iter();
    let set = |name: &[u8]| {
        let stem = name.strip_suffix(DOUBT_SUFFIX)?;
        String::from_utf8(stem.to_vec()).ok()
    };
    Ok(names.filter_map(|name| Some((set(&name)?, name))).collect())
}

/// The journals that are not acted on, by name.
pub(crate) fn quarantined<D: Disk>(disk: &D, dir: &D::Dir) -> Result<Vec<Vec<u8>>, FsError> {
    let entries = disk.list(dir).map_err(FsError::io("list", "journal/"))?;
    let mut names: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.name).collect();
    let is_one = |name: &[u8]| {
        name.windows(QUARANTINE_SUFFIX.len()).any(|window| window == QUARANTINE_SUFFIX)
    };
    names.retain(|name| is_one(name));
    names.sort();
    Ok(names)
}

/// Gives a journal a name under which nobody acts on it, and returns that name.
pub(crate) fn quarantine<D: Disk>(disk: &D, dir: &D::Dir, name: &[u8]) -> Result<Vec<u8>, FsError> {
    let failed = || FsError::io("set aside the journal", String::from_utf8_lossy(name));
    for attempt in 0_u32.. {
        let number = if attempt == 0 { String::new() } else { format!(".{attempt}") };
        let aside = [name, QUARANTINE_SUFFIX, number.as_bytes()].concat();
        match disk.stat(dir, &aside) {
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed()(error)),
        }
        // Nobody else writes here while the workspace's lock is held.
        disk.rename_replacing(dir, name, dir, &aside).map_err(failed())?;
        disk.sync_dir(dir).map_err(failed())?;
        return Ok(aside);
    }
    unreachable!("some of four billion names is free")
}

/// The set whose journal has this name.
pub(crate) fn set_of(name: &[u8]) -> Option<&str> {
    std::str::from_utf8(name.strip_suffix(SUFFIX)?).ok()
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

/// A journal's records, as far as they are whole.
struct Parsed {
    records: Vec<Line>,
    /// Where the last of them ends, in bytes.
    end: u64,
    is_damaged: bool,
}

/// A record is appended with its line end last, and the room behind it holds zeros. So a crash
/// leaves a line without an end, or, where blocks reach the disk in any order, anything in the
/// place of records that were not synced, and whole ones behind them. Each of those says what was
/// true when it was appended, so what is lost between them is passed over.
///
/// The intent is synced before the swaps may begin: without it, the record that they may, or a
/// line that ends as a whole one does, is damage.
fn parse(bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed { records: Vec::new(), end: 0, is_damaged: false };
    let mut at = 0;
    let mut is_intent_lost = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += line.len() as u64;
        let is_first = parsed.records.is_empty() && !is_intent_lost;
        let json = json_of(line);
        is_intent_lost |= is_first && json.is_none();
        let json = json.or_else(|| record_at_the_end(line));
        let record = json
            .map(|json| serde_json::from_slice::<Record>(json).map_or(Line::Unknown, Line::Known));
        match record {
            Some(Line::Known(Record::Swapping)) if is_intent_lost => parsed.is_damaged = true,
            // A set that was given up, or recovered, before its intent was synced.
            Some(_) if is_intent_lost => {}
            Some(record) => {
                parsed.end = at;
                parsed.records.push(record);
            }
            None => {
                let is_whole_line = line.ends_with(b"\n") && !line.contains(&0);
                parsed.is_damaged |= is_first && is_whole_line;
            }
        }
    }
    parsed
}

/// The JSON of the record that a line ends with, where what precedes it has lost its line end.
fn record_at_the_end(line: &[u8]) -> Option<&[u8]> {
    // No record is longer but the first one.
    let mut starts = line.len().saturating_sub(LATER_RECORD_BYTES_MAX)..line.len();
    starts.find_map(|start| json_of(&line[start..]))
}

/// The JSON of a whole record, if its checksum holds.
fn json_of(line: &[u8]) -> Option<&[u8]> {
    let body = line.strip_suffix(b"\n")?;
    let (sum, json) = body.split_at_checked(CHECKSUM_HEX + 1)?;
    let holds = checksum(json).as_bytes() == &sum[..CHECKSUM_HEX] || mutant!(ChecksumIgnored);
    (sum[CHECKSUM_HEX] == b' ' && holds).then_some(json)
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn journal() -> Vec<u8> {
        let (new_dirs, units, dirs) = (Vec::new(), Vec::new(), Vec::new());
        let intent = Intent { set: "t1".to_owned(), new_dirs, units, dirs, ..Intent::default() };
        let records =
            [Record::Intent { version: VERSION, intent }, Record::Swapping, Record::Committed];
        records.iter().flat_map(encode).collect()
    }

    /// How many records are read; `None` for damage.
    fn read(bytes: &[u8]) -> Option<usize> {
        let parsed = parse(bytes);
        (!parsed.is_damaged).then_some(parsed.records.len())
    }

    #[test]
    fn every_prefix_is_whole_or_torn_and_never_damaged() {
        let mut journal = journal();
        let reserved = 512;
        for end in 0..=journal.len() {
            let whole = journal[..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(read(&journal[..end]), Some(whole), "cut at {end}");
            let padded = [&journal[..end], &vec![0; reserved]].concat();
            assert_eq!(read(&padded), Some(whole), "cut at {end}, with room behind");
        }
        journal.truncate(0);
        assert_eq!(read(&journal), Some(0));
    }

    #[test]
    fn a_flipped_bit_in_the_intent_is_damage_and_behind_it_costs_one_record() {
        let journal = journal();
        let intent = journal.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        for place in 0..journal.len() {
            let mut flipped = journal.clone();
            flipped[place] ^= 1;
            let expected = (place >= intent).then_some(2);
            assert_eq!(read(&flipped), expected, "flipped at {place}");
        }
    }

    #[rstest]
    #[case::the_second_record(1, Some(2))]
    #[case::the_last_record(2, Some(2))]
    #[case::the_intent(0, None)]
    fn a_lost_record_is_passed_over_and_a_lost_intent_is_damage(
        #[case] record: usize,
        #[case] read_back: Option<usize>,
        #[values(0, b'?')] what: u8,
    ) {
        let mut journal = journal();
        let mut lines = journal.split_inclusive_mut(|byte| *byte == b'\n');
        lines.nth(record).expect("three records").fill(what);
        assert_eq!(read(&journal), read_back);
    }

    #[test]
    fn a_set_that_was_given_up_with_its_intent_is_no_damage() {
        for record in [Record::Abort, Record::RolledBack, Record::Committed] {
            let given_up = [vec![0; 100], encode(&record)].concat();
            assert_eq!(read(&given_up), Some(0), "{record:?}");
        }
        let swapped = [vec![0; 100], encode(&Record::Swapping)].concat();
        assert_eq!(read(&swapped), None);
    }

    #[test]
    fn a_file_of_something_else_is_damage_or_empty() {
        assert_eq!(read(b"anything at all\n"), None);
        assert_eq!(read(&[0; 4096]), Some(0));
        assert_eq!(read(b"anything at all"), Some(0));
    }
}
