//! The records of a journal: written, checksummed, read back.
//!
//! Each is a line: 16 hex digits of BLAKE3 over the rest of the line, a space, JSON, LF. A crash can
//! cut the last line off, which is a torn journal. Anything else that does not read as it was
//! written is damage: then nothing in the file is believed.

use serde::{Deserialize, Serialize};

use crate::apply::intent::Intent;

/// The format's version; a journal with another is not touched.
pub(crate) const VERSION: u32 = 1;
const CHECKSUM_HEX: usize = 16;
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

pub(crate) fn encode(record: &Record) -> Vec<u8> {
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

/// A line whose checksum holds.
pub(crate) enum Line {
    Known(Record),
    Unknown,
}

/// A journal's records, as far as they are whole.
pub(crate) struct Parsed {
    pub records: Vec<Line>,
    /// Where the last of them ends, in bytes.
    pub end: u64,
    pub is_damaged: bool,
}

/// A record is appended with its line end last, and the room behind it holds zeros. So a crash
/// leaves a line without an end, or, where blocks reach the disk in any order, anything in the
/// place of records that were not synced, and whole ones behind them. Each of those says what was
/// true when it was appended, so what is lost between them is passed over.
///
/// The intent is synced before the swaps may begin: without it, the record that they may, or a
/// line that ends as a whole one does, is damage.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
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
    let holds = checksum(json).as_bytes() == &sum[..CHECKSUM_HEX];
    (sum[CHECKSUM_HEX] == b' ' && holds).then_some(json)
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
