//! Slots that something removes or replaces between a crash and its recovery.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use atomic_fs::*;
use rstest::rstest;

use crate::common::interposed::{Hook, Interposed, Setup};
use crate::common::{Fixture, Records, rel};
use crate::{
    Kind, Resolution, Which, assert_end, assert_whole, files, journal, killed_at, old_and_new,
    prepare, slots,
};

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
