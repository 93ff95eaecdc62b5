//! Recovery beside another state over the same tree.

use std::path::Path;

use std::fs;

use atomic_fs::*;
use rstest::rstest;

use crate::common::interposed::{Hook, Interposed, Setup};
use crate::common::{Fixture, rel, set};
use crate::{assert_whole, files, half_made, old_and_new, prepare, slots};

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
