//! Journals that are damaged, lost or forged before recovery reads them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atomic_fs::*;
use rstest::rstest;

use crate::common::{Fixture, Records, kept_mode, set};
use crate::{
    Kind, Resolution, Which, assert_end, assert_whole, files, half_made, journal, killed_at,
    old_and_new, prepare, slots,
};

/// What befalls a journal.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Gone,
    Flipped(usize),
    Truncated(usize),
    Zeroed(usize),
    Appended,
    Symlink,
    Directory,
    Fifo,
}

impl Harm {
    /// Whether there was a journal.
    fn befalls(self, file: &Path) -> bool {
        let Ok(mut bytes) = fs::read(file) else { return false };
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let at = |thousandth: usize| end * thousandth / 1000;
        fs::remove_file(file).expect("it is there");
        match self {
            Self::Gone => return true,
            Self::Flipped(place) if end > 0 => bytes[at(place).min(end - 1)] ^= 1,
            Self::Flipped(_) => {}
            Self::Truncated(place) => bytes.truncate(at(place)),
            Self::Zeroed(place) => {
                let from = at(place);
                let to = (from + 40).min(end);
                bytes[from..to].fill(0);
            }
            Self::Appended => {
                bytes.truncate(end);
                bytes.extend_from_slice(b"garbage that ends like a record\n");
            }
            Self::Symlink => {
                fs::write(file.with_extension("elsewhere"), &bytes).expect("writable");
                std::os::unix::fs::symlink("t1.elsewhere", file).expect("free");
                return true;
            }
            Self::Directory => {
                fs::create_dir(file).expect("free");
                return true;
            }
            Self::Fifo => {
                let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                rustix::fs::mknodat(rustix::fs::CWD, file, rustix::fs::FileType::Fifo, mode, 0)
                    .expect("free");
                return true;
            }
        }
        fs::write(file, bytes).expect("writable");
        true
    }
}

#[rstest]
fn a_journal_that_is_damaged_or_gone_leaves_no_half_set(
    #[values(
        Harm::Gone,
        Harm::Flipped(0),
        Harm::Flipped(300),
        Harm::Flipped(970),
        Harm::Flipped(999),
        Harm::Truncated(0),
        Harm::Truncated(500),
        Harm::Truncated(980),
        Harm::Zeroed(0),
        Harm::Zeroed(400),
        Harm::Zeroed(950),
        Harm::Appended,
        Harm::Symlink,
        Harm::Directory,
        Harm::Fifo
    )]
    harm: Harm,
) {
    let states = old_and_new();
    let mut outcomes = BTreeSet::new();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        let is_harmed = harm.befalls(&journal(&fixture));
        let report = fixture.recover_by(&fixture.records_of(&changes));
        let case = format!("{harm:?}, killed at call {number}");
        assert_whole(&fixture, &states, &report, &case);
        // Without a journal nothing tells a torn slot from a user's save.
        let is_torn = |kept: &Vec<u8>| {
            let is_part = |new: &Vec<u8>| new.starts_with(kept) && new != kept;
            kept.iter().all(|byte| *byte == 0) || fixture.memory.0.values().any(is_part)
        };
        assert!(
            fixture.displaced_edits().iter().all(is_torn),
            "{case}: {:?}",
            fixture.displaced_edits()
        );
        assert_eq!(slots(&fixture), Vec::<PathBuf>::new(), "{case}");
        assert!(!journal(&fixture).exists(), "{case}");
        if is_harmed && matches!(harm, Harm::Symlink | Harm::Directory | Harm::Fifo) {
            assert_eq!(report.quarantined.len(), 1, "{case}");
        }
        outcomes.extend(report.sets.iter().map(|set| set.outcome == RecoveredOutcome::Committed));
        if calls <= number {
            break;
        }
    }
    assert_eq!(outcomes.len(), 2, "both ends are reached");
}

#[rstest]
fn a_lost_journal_leaves_neither_half_a_set_nor_a_directory(
    #[values(
        Kind::Exchange,
        Kind::Rotation,
        Kind::FileToDirectory,
        Kind::MovedFileToDirectory,
        Kind::Move,
        Kind::Delete,
        Kind::Modify,
        Kind::Create,
        Kind::NewDirectory,
        Kind::ModifyAndNewDirectory,
        Kind::DeleteAndModify
    )]
    kind: Kind,
    #[values(Harm::Gone, Harm::Flipped(0))] harm: Harm,
) {
    let states = kind.states();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = kind.prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        harm.befalls(&journal(&fixture));
        let report = fixture.recover_by(&fixture.records_of(&changes));
        assert_end(&fixture, &states, &report, &format!("{kind:?}, {harm:?}, at call {number}"));
        if calls <= number {
            break;
        }
    }
}

#[rstest]
fn a_lost_journal_and_removed_slots_leave_no_half_set(
    #[values(
        Kind::Exchange,
        Kind::Rotation,
        Kind::FileToDirectory,
        Kind::MovedFileToDirectory,
        Kind::Move,
        Kind::Delete,
        Kind::Modify,
        Kind::Create,
        Kind::DeleteAndModify
    )]
    kind: Kind,
    #[values(Which::All, Which::Even, Which::Odd)] which: Which,
) {
    let states = kind.states();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = kind.prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        Harm::Flipped(0).befalls(&journal(&fixture));
        let chosen = which.of(slots(&fixture));
        chosen.iter().for_each(|slot| Resolution::Removed.befalls(&fixture.root().join(slot)));
        let report = fixture.recover_by(&fixture.records_of(&changes));
        let case = format!("{kind:?}, {which:?}, killed at call {number}: {chosen:?}");
        assert_end(&fixture, &states, &report, &case);
        if calls <= number {
            break;
        }
    }
}

#[test]
fn a_journal_of_a_set_that_was_never_begun_moves_nothing() {
    let mut fixture = Fixture::in_memory();
    half_made(&mut fixture);
    let before = fixture.tree();
    let nothing = Records { knows_all: false, ..fixture.records() };
    let report = fixture.recover_by(&nothing);
    assert_eq!(report.sets, []);
    assert_eq!(report.quarantined.len(), 1, "{report:?}");
    assert_eq!(fixture.tree(), before, "a journal alone acts on nothing");
    assert_eq!(fixture.open().quarantined_journals().expect("listable").len(), 1);
}

#[test]
fn a_journal_that_makes_other_changes_than_were_begun_is_replaced_by_the_record() {
    let mut fixture = Fixture::in_memory();
    let changes = half_made(&mut fixture);
    // The record has one change more than the journal.
    let mut others = changes.clone();
    fixture.put("z-bystander", b"untouched");
    others.push(fixture.modify("z-bystander", b"approved as well"));
    let report = fixture.recover_by(&fixture.records_of(&others));
    assert_eq!(report.quarantined.len(), 1, "{report:?}");
    let [recovered] = report.sets.as_slice() else { panic!("one set: {report:?}") };
    assert!(recovered.from_record);
    assert_ne!(recovered.outcome, RecoveredOutcome::InDoubt, "{recovered:?}");
    let now = files(&fixture);
    let (mut old, mut new) = old_and_new();
    for (tree, content) in [(&mut old, "untouched"), (&mut new, "approved as well")] {
        tree.insert("z-bystander".into(), (kept_mode(0o644), Some(content.into())));
    }
    assert!(now == old || now == new, "{now:#?}");
}

#[test]
fn a_record_that_cannot_be_made_durable_gives_the_set_up() {
    struct Forgetful<'m>(&'m crate::common::Memory);
    impl ContentSource for Forgetful<'_> {
        fn open(&self, digest: &Digest) -> io::Result<Box<dyn io::Read + Send + '_>> {
            self.0.open(digest)
        }
        fn sync_record(&self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let mut fixture = Fixture::in_memory();
    fixture.put("a", b"old");
    let changes = vec![fixture.modify("a", b"new")];
    let workspace = fixture.open();
    let lock = workspace.lock().expect("free");
    let applied = workspace.apply(&lock, &set(changes), &Forgetful(&fixture.memory));
    assert!(matches!(applied.outcome, Outcome::RolledBack(_)), "{:?}", applied.outcome);
    assert_eq!(fixture.read("a"), b"old");
    assert_eq!(fixture.debris(), Vec::<PathBuf>::new());
}
