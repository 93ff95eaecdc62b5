//! What happens to slots and journals between a crash and its recovery: the set is whole all the
//! same, or nothing is touched and the refusal is reported.
#![allow(clippy::disallowed_methods, reason = "tests play the user and the tools at work")]
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod in_doubt;
mod journals;
mod others;
mod slots;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atomic_fs::*;
use common::interposed::{Hook, Interposed, Setup};
use common::{Fixture, Tree, kept_mode, rel, set};

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
