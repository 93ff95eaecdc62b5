//! What happens to slots and journals between a crash and its recovery: the set is whole all the
//! same, or nothing is touched and the refusal is reported.
#![allow(clippy::disallowed_methods, reason = "tests play the user and the tools at work")]
#![cfg(unix)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atomic_fs::*;
use common::interposed::{Hook, Interposed, Setup};
use common::{Fixture, Records, Tree, kept_mode, rel, set};
use rstest::rstest;

/// One of each operation, and neighbours that one path is handed over between.
fn prepare(fixture: &mut Fixture) -> Vec<Change> {
    for name in ["modify", "delete", "rename", "mode", "sub/modify", "moved"] {
        fixture.put(name, format!("old {name}").as_bytes());
    }
    let staged = fixture.staged(b"renamed and changed", kept_mode(0o644));
    let moved = Operation::Rename { to: rel("sub/moved"), staged: Some(staged) };
    vec![
        fixture.modify("modify", b"new content"),
        fixture.delete("delete"),
        fixture.rename("rename", "delete"),
        fixture.chmod("mode", kept_mode(0o555)),
        fixture.modify("sub/modify", b"new too"),
        fixture.create("fresh/created", b"created"),
        Change { path: rel("moved"), expected: fixture.base("moved"), operation: moved },
    ]
}

/// The files of a tree, slots left out.
fn files(fixture: &Fixture) -> Tree {
    let mut tree = fixture.tree();
    tree.retain(|path, (_, content)| {
        let name = path.file_name().expect("every entry has a name").as_encoded_bytes();
        content.is_some() && !is_slot_name(name)
    });
    tree
}

fn old_and_new() -> (Tree, Tree) {
    let mut fixture = Fixture::in_memory();
    let changes = prepare(&mut fixture);
    let old = files(&fixture);
    let applied = fixture.apply(changes);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    (old, files(&fixture))
}

/// Applies with a process that dies at this call; how many calls it makes in all.
fn killed_at(fixture: &Fixture, changes: &[Change], number: usize) -> usize {
    let hook: Hook = Box::new(
        move |call, _| {
            if call < number { Ok(()) } else { Err(io::Error::other("killed")) }
        },
    );
    let workspace = Interposed::workspace(fixture, hook, Setup::default());
    let lock = workspace.lock().expect("free");
    let mut applied = workspace.apply(&lock, &set(changes.to_vec()), &fixture.memory);
    if let Some(unfinished) = applied.unfinished.take()
        && workspace.clean_up(&lock, &unfinished).is_ok()
    {
        let _ = workspace.forget(&lock, unfinished);
    }
    workspace.disk().calls()
}

fn slots(fixture: &Fixture) -> Vec<PathBuf> {
    fixture.debris().into_iter().filter(|path| path.is_relative()).collect()
}

fn journal(fixture: &Fixture) -> PathBuf {
    fixture.state().join("journal/t1.journal")
}

/// The tree is one of the two ends, and the one that recovery says.
fn assert_whole(fixture: &Fixture, (old, new): &(Tree, Tree), report: &RecoveryReport, case: &str) {
    let now = files(fixture);
    let outcome = report.sets.first().map(|set| set.outcome);
    match outcome {
        Some(RecoveredOutcome::Committed) => assert_eq!(now, *new, "{case}: {report:#?}"),
        Some(RecoveredOutcome::RolledBack) => assert_eq!(now, *old, "{case}: {report:#?}"),
        Some(RecoveredOutcome::InDoubt) => panic!("{case}: all contents are there: {report:#?}"),
        None => assert!(now == *old || now == *new, "{case}: {now:#?}"),
    }
    let unresolved = report.sets.iter().flat_map(|set| &set.unresolved).count();
    assert_eq!(unresolved, 0, "{case}");
}

#[derive(Clone, Copy, Debug)]
enum Which {
    All,
    Even,
    Odd,
    First,
}

impl Which {
    fn of(self, slots: Vec<PathBuf>) -> Vec<PathBuf> {
        let chosen = slots.into_iter().enumerate().filter(|(index, _)| match self {
            Self::All => true,
            Self::Even => index % 2 == 0,
            Self::Odd => index % 2 == 1,
            Self::First => *index == 0,
        });
        chosen.map(|(_, slot)| slot).collect()
    }
}

/// What a tool makes of a slot.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    Removed,
    Directory,
    Symlink,
}

impl Resolution {
    fn befalls(self, slot: &Path) {
        fs::remove_file(slot).expect("it is there");
        match self {
            Self::Removed => {}
            Self::Directory => {
                fs::create_dir(slot).expect("the name is free");
                fs::write(slot.join("inside"), b"a user's").expect("writable");
            }
            Self::Symlink => {
                std::os::unix::fs::symlink("elsewhere", slot).expect("the name is free");
            }
        }
    }
}

#[rstest]
fn slots_that_something_removed_or_replaced_after_a_kill_leave_no_half_set(
    #[values(Which::All, Which::Even, Which::Odd, Which::First)] which: Which,
    #[values(Resolution::Removed, Resolution::Directory, Resolution::Symlink)]
    resolution: Resolution,
) {
    let states = old_and_new();
    let mut outcomes = BTreeSet::new();
    let mut restored = 0;
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        let chosen = which.of(slots(&fixture));
        chosen.iter().for_each(|slot| resolution.befalls(&fixture.root().join(slot)));
        let report = fixture.recover_by(&fixture.records_of(&changes));
        let case = format!("{resolution:?} {which:?}, killed at call {number}: {chosen:?}");
        assert_whole(&fixture, &states, &report, &case);
        outcomes.extend(report.sets.iter().map(|set| set.outcome == RecoveredOutcome::Committed));
        restored += report.sets.iter().map(|set| set.restored.len()).sum::<usize>();
        if matches!(resolution, Resolution::Directory) {
            let found = report.sets.iter().flat_map(|set| &set.kept);
            let found: Vec<_> = found.filter(|kept| kept.file.join("inside").exists()).collect();
            assert_eq!(found.len(), chosen.len(), "{case}: a user's directory is kept");
        }
        let again = fixture.recover_by(&Records { undecided: Vec::new(), ..fixture.records() });
        assert_eq!(again.sets, [], "{case}: nothing is left to recover");
        if calls <= number {
            break;
        }
    }
    assert_eq!(outcomes.len(), 2, "both ends are reached");
    // The first one is a deletion's: nothing is missing when the set goes forward.
    assert!(restored > 0 || matches!(which, Which::First), "some content came from the store");
}

/// Sets in which one path, or one directory, is handed over between files.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Exchange,
    Rotation,
    FileToDirectory,
    MovedFileToDirectory,
    Move,
    Delete,
    Modify,
    Create,
    NewDirectory,
    ModifyAndNewDirectory,
    DeleteAndModify,
}

impl Kind {
    fn prepare(self, fixture: &mut Fixture) -> Vec<Change> {
        for name in ["a", "b", "c"] {
            fixture.put(name, format!("old {name}").as_bytes());
        }
        match self {
            Self::Exchange => vec![fixture.rename("a", "b"), fixture.rename("b", "a")],
            Self::Rotation => {
                vec![fixture.rename("a", "b"), fixture.rename("b", "c"), fixture.rename("c", "a")]
            }
            Self::FileToDirectory => vec![fixture.delete("a"), fixture.create("a/sub/f", b"new")],
            Self::MovedFileToDirectory => {
                vec![fixture.rename("a", "moved"), fixture.create("a/f", b"new")]
            }
            Self::Move => vec![fixture.rename("a", "moved")],
            Self::Delete => vec![fixture.delete("a")],
            Self::Modify => vec![fixture.modify("a", b"new a")],
            Self::Create => vec![fixture.create("created", b"new")],
            Self::NewDirectory => vec![fixture.create("fresh/sub/f", b"new")],
            Self::ModifyAndNewDirectory => {
                vec![fixture.modify("a", b"new a"), fixture.create("fresh/sub/f", b"new")]
            }
            Self::DeleteAndModify => vec![fixture.delete("a"), fixture.modify("b", b"new b")],
        }
    }

    fn states(self) -> (Tree, Tree) {
        let mut fixture = Fixture::in_memory();
        let changes = self.prepare(&mut fixture);
        let old = fixture.tree();
        let applied = fixture.apply(changes);
        assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
        (old, fixture.tree())
    }
}

/// The tree, directories and all, is the end that recovery says.
fn assert_end(fixture: &Fixture, (old, new): &(Tree, Tree), report: &RecoveryReport, case: &str) {
    let now = fixture.tree();
    match report.sets.first().map(|set| set.outcome) {
        Some(RecoveredOutcome::Committed) => assert_eq!(now, *new, "{case}: {report:#?}"),
        Some(RecoveredOutcome::RolledBack) => assert_eq!(now, *old, "{case}: {report:#?}"),
        Some(RecoveredOutcome::InDoubt) => panic!("{case}: all contents are there: {report:#?}"),
        None => assert!(now == *old || now == *new, "{case}: {now:#?}"),
    }
}

#[rstest]
fn a_removed_slot_leaves_no_path_empty_that_files_hand_over(
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
    #[values(Which::All, Which::Even, Which::Odd, Which::First)] which: Which,
) {
    let states = kind.states();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = kind.prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        let chosen = which.of(slots(&fixture));
        chosen.iter().for_each(|slot| Resolution::Removed.befalls(&fixture.root().join(slot)));
        // Who forgets the journal has recorded the outcome.
        let mut records = fixture.records_of(&changes);
        records.undecided.retain(|_| journal(&fixture).exists());
        let report = fixture.recover_by(&records);
        let case = format!("{kind:?}, {which:?}, killed at call {number}: {chosen:?}");
        assert_end(&fixture, &states, &report, &case);
        if calls <= number {
            break;
        }
    }
}

#[rstest]
fn a_file_that_something_put_in_a_slots_place_is_kept_or_said(
    #[values(
        Kind::Exchange,
        Kind::FileToDirectory,
        Kind::Move,
        Kind::Delete,
        Kind::Modify,
        Kind::Create,
        Kind::NewDirectory,
        Kind::ModifyAndNewDirectory,
        Kind::DeleteAndModify
    )]
    kind: Kind,
    #[values(Which::All, Which::First)] which: Which,
) {
    let states = kind.states();
    let mut found = 0;
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = kind.prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        let chosen = which.of(slots(&fixture));
        for slot in &chosen {
            let slot = fixture.root().join(slot);
            fs::remove_file(&slot).expect("it is there");
            fs::write(&slot, format!("a user's {}", slot.display())).expect("the name is free");
        }
        let mut records = fixture.records_of(&changes);
        records.undecided.retain(|_| journal(&fixture).exists());
        let report = fixture.recover_by(&records);
        let case = format!("{kind:?}, {which:?}, killed at call {number}: {report:#?}");
        if let [recovered] = report.sets.as_slice() {
            let committed = recovered.outcome == RecoveredOutcome::Committed;
            let end = if committed { &states.1 } else { &states.0 };
            let now = fixture.tree();
            let differ =
                now.keys().chain(end.keys()).filter(|path| now.get(*path) != end.get(*path));
            for path in differ {
                let path = rel(path.to_str().expect("a path of a test"));
                let is_said = recovered.edited.iter().any(|conflict| conflict.path == path);
                assert!(is_said, "{path} is not what was answered, {case}");
            }
        }
        let mut left = fixture.displaced_edits();
        left.extend(files(&fixture).into_values().filter_map(|(_, content)| content));
        for slot in &chosen {
            let users = format!("a user's {}", fixture.root().join(slot).display());
            let is_left = left.iter().any(|content| *content == users.as_bytes());
            assert!(is_left, "{slot:?}, {case}");
            found += 1;
        }
        if calls <= number {
            break;
        }
    }
    assert!(found > 0, "some slot is replaced");
}

#[rstest]
fn a_kill_while_slots_are_restored_leaves_no_half_set(
    #[values(Which::All, Which::Even)] which: Which,
) {
    let states = old_and_new();
    let mut runs = 0;
    for first in (0..).step_by(7) {
        let mut calls = 0;
        for second in (0..).step_by(5) {
            let mut fixture = Fixture::in_memory();
            let changes = prepare(&mut fixture);
            calls = killed_at(&fixture, &changes, first);
            let chosen = which.of(slots(&fixture));
            chosen.iter().for_each(|slot| Resolution::Removed.befalls(&fixture.root().join(slot)));
            let records = fixture.records_of(&changes);
            let hook: Hook =
                Box::new(
                    move |call, _| {
                        if call < second { Ok(()) } else { Err(io::Error::other("killed")) }
                    },
                );
            let workspace = Interposed::workspace(&fixture, hook, Setup::default());
            let lock = workspace.lock().expect("free");
            let _ = workspace.recover(&lock, &records, &mut |_| Ok(()));
            let recovering = workspace.disk().calls();
            drop((lock, workspace));
            let report = fixture.recover_by(&records);
            let case = format!("{which:?}, killed at {first}, then at {second}");
            assert_whole(&fixture, &states, &report, &case);
            assert_eq!(slots(&fixture), Vec::<PathBuf>::new(), "{case}");
            runs += 1;
            if recovering <= second {
                break;
            }
        }
        if calls <= first {
            break;
        }
    }
    assert!(runs > 100, "{runs} nested kills");
}

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

/// In the middle of the swaps: some files are new, some are old.
fn half_made(fixture: &mut Fixture) -> Vec<Change> {
    let states = old_and_new();
    for number in 0.. {
        *fixture = Fixture::in_memory();
        let changes = prepare(fixture);
        killed_at(fixture, &changes, number);
        let now = files(fixture);
        let is_new = |path: &&PathBuf| now.get(*path) == states.1.get(*path);
        let replaced = [PathBuf::from("modify"), PathBuf::from("sub/modify")];
        if replaced.iter().filter(is_new).count() == 1 {
            return changes;
        }
    }
    unreachable!("the swaps are made one after the other");
}

#[test]
fn what_no_store_can_restore_is_in_doubt_and_nothing_is_touched() {
    let mut fixture = Fixture::in_memory();
    let changes = half_made(&mut fixture);
    slots(&fixture).iter().for_each(|slot| Resolution::Removed.befalls(&fixture.root().join(slot)));
    let before = fixture.tree();
    let records = Records { contents: Default::default(), ..fixture.records_of(&changes) };
    let report = fixture.recover_by(&records);
    let [recovered] = report.sets.as_slice() else { panic!("one set: {report:?}") };
    assert_eq!(recovered.outcome, RecoveredOutcome::InDoubt);
    assert!(
        recovered.unresolved.iter().any(|it| it.difference == Difference::Unrestorable),
        "{recovered:?}"
    );
    assert_eq!(fixture.tree(), before, "a half-made set is not made worse");
    let workspace = fixture.open();
    assert_eq!(workspace.in_doubt().expect("listable"), ["t1"]);
    assert!(!workspace.needs_recovery().expect("listable"), "other sets can be applied");
    let again = fixture.recover_by(&records);
    assert_eq!(again.sets, [], "it is not tried again by itself");
    // The contents are back, and a person asks for it.
    let lock = workspace.lock().expect("free");
    workspace.reopen_in_doubt(&lock).expect("renamed");
    drop(lock);
    let report = fixture.recover_by(&fixture.records_of(&changes));
    assert_whole(&fixture, &old_and_new(), &report, "once the contents are back");
    assert!(!report.sets[0].restored.is_empty(), "{report:?}");
}

#[test]
fn a_set_whose_directory_was_moved_after_a_kill_waits_until_it_is_back() {
    let states = old_and_new();
    let mut was_away = 0;
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let calls = killed_at(&fixture, &changes, number);
        let (dir, away) = (fixture.root().join("sub"), fixture.state().join("away"));
        fs::rename(&dir, &away).expect("the user's own");
        let records = fixture.records_of(&changes);
        let report = fixture.recover_by(&records);
        for set in &report.sets {
            let differences: BTreeSet<_> =
                set.unresolved.iter().map(|it| format!("{}", it.difference)).collect();
            let is_in_doubt = set.outcome == RecoveredOutcome::InDoubt;
            assert_eq!(is_in_doubt, !differences.is_empty(), "{number}: {report:?}");
            if is_in_doubt {
                was_away += 1;
                assert_eq!(
                    differences,
                    BTreeSet::from(["its directory was moved or removed".to_owned()])
                );
            }
        }
        // A directory that recovery has made anew has what the set leaves in it.
        if dir.exists() {
            let own: Vec<_> = fs::read_dir(&dir).expect("there").collect();
            for entry in own {
                let entry = entry.expect("listable");
                fs::rename(entry.path(), away.join(entry.file_name())).expect("the user's own");
            }
            fs::remove_dir(&dir).expect("it is empty");
        }
        fs::rename(&away, &dir).expect("the user's own");
        let workspace = fixture.open();
        let lock = workspace.lock().expect("free");
        workspace.reopen_in_doubt(&lock).expect("renamed");
        drop(lock);
        fixture.recover_by(&records);
        let now = files(&fixture);
        assert!(now == states.0 || now == states.1, "killed at {number}: {report:#?}, {now:#?}");
        assert_eq!(workspace.in_doubt().expect("listable"), [""; 0], "killed at {number}");
        if calls < number {
            break;
        }
    }
    assert!(was_away > 0, "some kill is in the middle of the swaps");
}

#[test]
fn a_set_in_doubt_can_be_given_up_and_takes_its_slots_along() {
    let mut fixture = Fixture::in_memory();
    let changes = half_made(&mut fixture);
    let chosen = Which::Even.of(slots(&fixture));
    chosen.iter().for_each(|slot| Resolution::Removed.befalls(&fixture.root().join(slot)));
    let records = Records { contents: Default::default(), ..fixture.records_of(&changes) };
    let report = fixture.recover_by(&records);
    let recovered = &report.sets[0];
    if recovered.outcome != RecoveredOutcome::InDoubt {
        panic!("some old content is lost: {recovered:?}");
    }
    let workspace = fixture.open();
    let lock = workspace.lock().expect("free");
    let swept = workspace.sweep(&lock, &|_| true, &|_| true).expect("walks");
    assert_eq!(swept.foreign.len(), slots(&fixture).len(), "undo data of a set in doubt stays");
    workspace.forget_in_doubt(&lock, "t1").expect("given up");
    assert_eq!(slots(&fixture), Vec::<PathBuf>::new());
    assert_eq!(workspace.in_doubt().expect("listable"), [""; 0]);
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
fn a_path_that_may_not_be_changed_any_more_is_left_alone() {
    let mut fixture = Fixture::in_memory();
    fixture.put(".git/config", b"old");
    let changes = vec![fixture.modify(".git/config", b"new")];
    let allow = Options { allow_git: true, ..Options::default() };
    for number in 0.. {
        let hook: Hook =
            Box::new(
                move |call, _| {
                    if call < number { Ok(()) } else { Err(io::Error::other("killed")) }
                },
            );
        let setup = Setup { options: allow.clone(), ..Setup::default() };
        let workspace = Interposed::workspace(&fixture, hook, setup);
        let lock = workspace.lock().expect("free");
        let _ = workspace.apply(&lock, &set(changes.clone()), &fixture.memory);
        if fixture.read(".git/config") == b"new" {
            break;
        }
        fs::read_dir(fixture.state().join("journal")).expect("listable").for_each(|entry| {
            fs::remove_file(entry.expect("listable").path()).expect("ours");
        });
        for slot in slots(&fixture) {
            fs::remove_file(fixture.root().join(slot)).expect("ours");
        }
    }
    let before = fixture.tree();
    let report = fixture.recover_by(&fixture.records_of(&changes));
    let [recovered] = report.sets.as_slice() else { panic!("one set: {report:?}") };
    assert_eq!(recovered.outcome, RecoveredOutcome::InDoubt, "{recovered:?}");
    assert_eq!(recovered.unresolved[0].difference, Difference::Refused);
    assert_eq!(fixture.tree(), before);
}

#[test]
fn a_sweep_leaves_the_slots_of_another_state_where_they_are() {
    let mut fixture = Fixture::in_memory();
    let changes = half_made(&mut fixture);
    let before = fixture.tree();
    let other = tempfile::tempdir().expect("a temporary directory");
    let workspace = Workspace::open(&fixture.root(), other.path(), Options::default());
    let workspace = workspace.expect("a second state over the same tree");
    let lock = workspace.lock().expect("its own");
    let swept = workspace.sweep(&lock, &|set| set != "t1", &|_| true).expect("walks");
    assert_eq!(swept.foreign.len(), slots(&fixture).len());
    assert_eq!(fixture.tree(), before);
    drop(lock);
    let report = fixture.recover_by(&fixture.records_of(&changes));
    assert_whole(&fixture, &old_and_new(), &report, "after another state's sweep");
    assert!(report.sets[0].restored.is_empty(), "nothing was missing: {report:?}");
}

/// A second state over the same tree, which applies one change.
fn apply_of_another_state(
    root: &Path,
    state: &Path,
    change: &Change,
    fixture: &Fixture,
) -> Outcome {
    let workspace = Workspace::open(root, state, Options::default()).expect("opens");
    let lock = workspace.lock().expect("its own");
    let set = ChangeSet { id: "other".to_owned(), ..set(vec![change.clone()]) };
    workspace.apply(&lock, &set, &fixture.memory).outcome
}

#[rstest]
#[case::the_same_root("")]
#[case::a_child_workspace("sub")]
fn a_path_that_another_state_is_applying_is_refused(#[case] child: &str) {
    let mut fixture = Fixture::in_memory();
    let changes = prepare(&mut fixture);
    let other = tempfile::tempdir().expect("a temporary directory");
    let root = fixture.root().join(child);
    let path = if child.is_empty() { "modify" } else { "sub/modify" };
    let mut change = fixture.modify(path, b"what the other state approved");
    change.path = rel(path.strip_prefix("sub/").unwrap_or(path));
    let before = files(&fixture);
    // A memory of its own, since the hook outlives the borrow of the fixture.
    let elsewhere = Fixture { memory: fixture.memory.clone(), ..Fixture::in_memory() };
    let refused = std::sync::Arc::new(std::sync::Mutex::new(None));
    let answer = refused.clone();
    let state = other.path().to_owned();
    let hook: Hook = Box::new(move |_, call| {
        let mut answer = answer.lock().expect("no hook panics");
        if call == "exchange" && answer.is_none() {
            *answer = Some(apply_of_another_state(&root, &state, &change, &elsewhere));
        }
        Ok(())
    });
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    let lock = workspace.lock().expect("free");
    let applied = workspace.apply(&lock, &set(changes), &fixture.memory);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    let refused = refused.lock().expect("no hook panics").take().expect("something is exchanged");
    assert!(matches!(refused, Outcome::RolledBack(FsError::InUse { .. })), "{refused:?}");
    assert_ne!(files(&fixture), before);
}

#[test]
fn whoever_comes_while_another_state_applies_has_its_turn_when_that_has_ended() {
    let mut fixture = Fixture::in_memory();
    fixture.put("shared", b"old");
    let first = fixture.modify("shared", b"of the first");
    let second = fixture.modify("shared", b"of the second");
    let other = tempfile::tempdir().expect("a temporary directory");
    let (begun, is_begun) = std::sync::mpsc::channel();
    let begun = std::sync::Mutex::new(begun);
    let hook: Hook = Box::new(move |_, call| {
        if call == "create_file" {
            let _ = begun.lock().expect("no hook panics").send(());
        }
        Ok(())
    });
    let workspace = Interposed::workspace(&fixture, hook, Setup::default());
    let (state, its_fixture, change) = (other.path(), &fixture, &second);
    std::thread::scope(|scope| {
        let later = scope.spawn(move || {
            is_begun.recv().expect("the first has begun");
            apply_of_another_state(&its_fixture.root(), state, change, its_fixture)
        });
        let lock = workspace.lock().expect("free");
        let applied = workspace.apply(&lock, &set(vec![first]), &fixture.memory);
        assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
        let later = later.join().expect("it answers");
        assert!(matches!(later, Outcome::Conflicts(_)), "the file is the first's now: {later:?}");
    });
    assert_eq!(fixture.read("shared"), b"of the first");
}

#[test]
fn a_users_file_that_has_a_slots_name_stays() {
    let mut fixture = Fixture::in_memory();
    fixture.put("a", b"old");
    fixture.put(".greenroom-t1-0.tmp", b"a user's own");
    let changes = vec![fixture.modify("a", b"new")];
    let applied = fixture.apply(changes);
    assert!(matches!(applied.outcome, Outcome::RolledBack(_)), "{:?}", applied.outcome);
    assert_eq!(fixture.read(".greenroom-t1-0.tmp"), b"a user's own");
    assert_eq!(fixture.read("a"), b"old");
}

#[test]
fn a_record_that_cannot_be_made_durable_gives_the_set_up() {
    struct Forgetful<'m>(&'m common::Memory);
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

#[rstest]
#[case::the_lock("lock")]
#[case::the_journals("journal")]
#[case::the_conflicts("conflicts")]
fn a_link_in_the_state_is_not_followed(#[case] name: &str) {
    let fixture = Fixture::in_memory();
    drop(fixture.open());
    let elsewhere = fixture.folder.path().join("elsewhere");
    let link = fixture.state().join(name);
    if name == "lock" {
        let _ = fs::remove_file(&link);
    } else {
        fs::remove_dir(&link).expect("empty");
        fs::create_dir(&elsewhere).expect("free");
    }
    std::os::unix::fs::symlink(&elsewhere, &link).expect("free");
    let opened = Workspace::open(&fixture.root(), &fixture.state(), Options::default());
    let refused = opened.and_then(|workspace| workspace.lock().map(drop));
    assert!(matches!(refused, Err(FsError::State { .. })), "{refused:?}");
    assert!(name != "lock" || !elsewhere.exists(), "nothing is made where it leads");
}
