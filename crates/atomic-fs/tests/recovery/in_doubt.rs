//! Sets that recovery can only leave in doubt, and paths that it may not change.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use atomic_fs::*;

use crate::common::interposed::{Hook, Interposed, Setup};
use crate::common::{Fixture, Records, set};
use crate::{
    Resolution, Which, assert_whole, files, half_made, killed_at, old_and_new, prepare, slots,
};

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
