//! A process that dies, a call that fails, a user who saves: at every call of the
//! protocol, on a real file system.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use atomic_fs::*;
use common::interposed::{Hook, Interposed, Renames, Replaced, Setup};
use common::{Fixture, Tree, kept_mode, set};
use rstest::rstest;

/// One of each operation, two of the ones that meet in a directory.
fn prepare(fixture: &mut Fixture) -> Vec<Change> {
    for name in ["modify", "delete", "rename", "mode", "sub/modify"] {
        fixture.put(name, format!("old {name}").as_bytes());
    }
    vec![
        fixture.modify("modify", b"new content"),
        fixture.delete("delete"),
        fixture.rename("rename", "delete"),
        fixture.chmod("mode", kept_mode(0o555)),
        fixture.modify("sub/modify", b"new too"),
        fixture.create("fresh/created", b"created"),
    ]
}

/// The tree before and after the set.
fn old_and_new() -> (Tree, Tree) {
    let mut fixture = Fixture::in_memory();
    let changes = prepare(&mut fixture);
    let old = fixture.tree();
    let applied = fixture.apply(changes);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    (old, fixture.tree())
}

fn workspace(fixture: &Fixture, hook: Hook, renames: Renames) -> Workspace<Interposed> {
    let options = Options { allow_move_aside: true, ..Options::default() };
    Interposed::workspace(fixture, hook, Setup { renames, options, ..Setup::default() })
}

fn run(
    fixture: &Fixture,
    changes: &[Change],
    renames: Renames,
    hook: Hook,
) -> (Option<Outcome>, usize) {
    let workspace = workspace(fixture, hook, renames);
    let lock = workspace.lock().expect("free");
    let mut applied = workspace.apply(&lock, &set(changes.to_vec()), &fixture.memory);
    if let Some(unfinished) = applied.unfinished.take()
        && workspace.clean_up(&lock, &unfinished).is_ok()
    {
        let _ = workspace.forget(&lock, unfinished);
    }
    let calls = workspace.disk().calls();
    (Some(applied.outcome), calls)
}

fn recover(
    fixture: &Fixture,
    renames: Renames,
    hook: Hook,
) -> (Result<Vec<Recovered>, FsError>, usize) {
    let workspace = workspace(fixture, hook, renames);
    let lock = workspace.lock().expect("free");
    let recovered = workspace.recover(&lock, &fixture.records(), &mut |_| Ok(()));
    let recovered = recovered.map(|report| report.sets);
    let calls = workspace.disk().calls();
    (recovered, calls)
}

fn never() -> Hook {
    Box::new(|_, _| Ok(()))
}

/// From the call with this number on, nothing happens any more.
fn killed_at(number: usize) -> Hook {
    Box::new(move |call, _| if call < number { Ok(()) } else { Err(io::Error::other("killed")) })
}

fn failing_at(number: usize, errno: i32) -> Hook {
    Box::new(
        move |call, _| {
            if call == number { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
        },
    )
}

fn is_mutating(call: &str) -> bool {
    !matches!(
        call,
        "open_dir_beneath"
            | "identity"
            | "stat"
            | "read_link"
            | "list"
            | "open_file"
            | "open_own_file"
            | "file_stat"
            | "read_at"
            | "lease"
            | "lease_holds"
    )
}

fn assert_whole(fixture: &Fixture, (old, new): &(Tree, Tree), case: &str) {
    let tree = fixture.tree();
    assert!(tree == *old || tree == *new, "{case}: a half-applied set: {tree:#?}");
    assert!(fixture.debris().is_empty(), "{case}: debris {:?}", fixture.debris());
    assert!(fixture.displaced_edits().is_empty(), "{case}: nobody edited anything");
    let mutated = Arc::new(AtomicBool::new(false));
    let seen = mutated.clone();
    let watching: Hook = Box::new(move |_, call| {
        seen.fetch_or(is_mutating(call), Ordering::SeqCst);
        Ok(())
    });
    recover(fixture, Renames::All, watching).0.expect("recovers again");
    assert!(!mutated.load(Ordering::SeqCst), "{case}: a second recovery changed something");
}

#[rstest]
fn a_kill_at_any_call_leaves_all_old_or_all_new(
    #[values(
        Renames::All,
        Renames::NoExchange,
        Renames::NoFlags,
        Renames::Replaces(Replaced::Whole)
    )]
    renames: Renames,
) {
    let states = old_and_new();
    let mut outcomes = [0, 0];
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let (_, calls) = run(&fixture, &changes, renames, killed_at(number));
        recover(&fixture, renames, never()).0.expect("recovers");
        assert_whole(&fixture, &states, &format!("killed at call {number}"));
        outcomes[usize::from(fixture.tree() == states.1)] += 1;
        if calls <= number {
            break;
        }
    }
    assert!(outcomes[0] > 20 && outcomes[1] > 20, "both ends are reached: {outcomes:?}");
}

/// A call that replaces a file in several steps can fail after any of them, and its code need
/// not tell which: what it left is finished or taken back, by whoever asked or by recovery.
#[rstest]
fn whatever_a_replacement_left_and_said_the_set_is_whole(
    #[values(
        Replaced::Whole,
        Replaced::WholeButFails,
        Replaced::Nothing,
        Replaced::NothingButSucceeds,
        Replaced::MovedAside
    )]
    replaced: Replaced,
) {
    let renames = Renames::Replaces(replaced);
    let nothing = matches!(replaced, Replaced::Nothing | Replaced::NothingButSucceeds);
    let states = old_and_new();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let (outcome, calls) = run(&fixture, &changes, renames, killed_at(number));
        let case = format!("{replaced:?}, killed at call {number}: {outcome:?}");
        // Recovery's own first replacement is answered like this as well.
        if let Err(error) = recover(&fixture, renames, never()).0 {
            assert!(nothing, "{case}: {error}");
            let whole = Renames::Replaces(Replaced::Whole);
            recover(&fixture, whole, never()).0.expect("recovers the next time");
        }
        assert_whole(&fixture, &states, &case);
        if calls <= number {
            let is_new = matches!(outcome, Some(Outcome::Committed));
            assert_eq!(is_new, !nothing, "{case}");
            assert_eq!(fixture.tree() == states.1, is_new, "{case}");
            break;
        }
    }
}

/// A slot is made private, so a private file's slot has its mode before it has its
/// attributes.
#[cfg(unix)]
#[test]
fn a_kill_at_any_call_never_drops_attributes() {
    const NAME: &str = "user.origin";
    let mut outcomes = [0, 0];
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        fixture.put_mode("private", b"old", 0o600);
        let file = fixture.at("private");
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&file, NAME, b"elsewhere", flags).is_err() {
            eprintln!("not tested: the file system keeps no attributes");
            return;
        }
        let changes = vec![fixture.modify("private", b"new")];
        let (_, calls) = run(&fixture, &changes, Renames::All, killed_at(number));
        recover(&fixture, Renames::All, never()).0.expect("recovers");
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&file, NAME, &mut value);
        assert_eq!(length, Ok(9), "killed at call {number}: the attribute is kept");
        outcomes[usize::from(fixture.read("private") == b"new")] += 1;
        if calls <= number {
            break;
        }
    }
    assert!(outcomes[0] > 5 && outcomes[1] > 5, "both ends are reached: {outcomes:?}");
}

#[rstest]
fn a_kill_inside_recovery_leaves_all_old_or_all_new(
    #[values(
        Renames::All,
        Renames::NoExchange,
        Renames::NoFlags,
        Renames::Replaces(Replaced::Whole)
    )]
    renames: Renames,
) {
    let states = old_and_new();
    let mut runs = 0;
    for first in (0..).step_by(5) {
        let mut calls = 0;
        for second in (0..).step_by(3) {
            let mut fixture = Fixture::in_memory();
            let changes = prepare(&mut fixture);
            calls = run(&fixture, &changes, renames, killed_at(first)).1;
            let (_, recovering) = recover(&fixture, renames, killed_at(second));
            recover(&fixture, renames, never()).0.expect("recovers");
            assert_whole(&fixture, &states, &format!("killed at {first}, then at {second}"));
            runs += 1;
            if recovering <= second {
                break;
            }
        }
        if calls <= first {
            break;
        }
    }
    assert!(runs > 500, "{runs} nested kills");
}

#[rstest]
#[case::input_output(5)]
#[case::permission(13)]
#[case::no_space(28)]
#[case::read_only(30)]
fn a_failing_call_is_answered_by_what_is_on_disk(
    #[case] errno: i32,
    #[values(
        Renames::All,
        Renames::NoExchange,
        Renames::NoFlags,
        Renames::Replaces(Replaced::Whole)
    )]
    renames: Renames,
) {
    let states = old_and_new();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let (outcome, calls) = run(&fixture, &changes, renames, failing_at(number, errno));
        let case = format!("errno {errno} at call {number}: {outcome:?}");
        match outcome {
            Some(Outcome::Committed) => {
                assert_eq!(fixture_files(&fixture), files(&states.1), "{case}")
            }
            Some(Outcome::RolledBack(_) | Outcome::Conflicts(_)) => {
                assert_eq!(fixture_files(&fixture), files(&states.0), "{case}");
            }
            _ => {}
        }
        recover(&fixture, renames, never()).0.expect("recovers");
        assert_whole(&fixture, &states, &case);
        match outcome {
            Some(Outcome::Committed) => assert_eq!(fixture.tree(), states.1, "{case}"),
            Some(Outcome::RolledBack(_) | Outcome::Conflicts(_)) => {
                assert_eq!(fixture.tree(), states.0, "{case}");
                let (again, _) = run(&fixture, &changes, renames, never());
                assert!(matches!(again, Some(Outcome::Committed)), "{case}: a retry works");
            }
            _ => {}
        }
        if calls <= number {
            break;
        }
    }
}

/// What cannot be tidied up either must not come back as a set that is finished later.
#[rstest]
#[case::nothing_can_be_removed("remove_file")]
#[case::no_file_can_be_synced("sync_file")]
#[case::no_directory_can_be_synced("sync_dir")]
#[case::nothing_can_be_written("write_at")]
fn a_failure_whose_tidying_fails_too_is_answered_honestly(
    #[case] also: &'static str,
    #[values(
        Renames::All,
        Renames::NoExchange,
        Renames::NoFlags,
        Renames::Replaces(Replaced::Whole)
    )]
    renames: Renames,
) {
    let states = old_and_new();
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let hook: Hook = Box::new(move |call, name| {
            if call == number || (call > number && name == also) {
                Err(io::Error::from_raw_os_error(5))
            } else {
                Ok(())
            }
        });
        let (outcome, calls) = run(&fixture, &changes, renames, hook);
        recover(&fixture, renames, never()).0.expect("recovers");
        let case = format!("call {number}, then every {also}: {outcome:?}");
        assert_whole(&fixture, &states, &case);
        match outcome {
            Some(Outcome::Committed) => assert_eq!(fixture.tree(), states.1, "{case}"),
            Some(Outcome::RolledBack(_) | Outcome::Conflicts(_)) => {
                assert_eq!(fixture.tree(), states.0, "{case}");
            }
            _ => {}
        }
        if calls <= number {
            break;
        }
    }
}

/// A tree without the slots that a failed tidying leaves for recovery.
fn files(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    tree.retain(|path, (_, content)| {
        let name = path.file_name().expect("every entry has a name").as_encoded_bytes();
        content.is_some() && !is_slot_name(name)
    });
    tree
}

fn fixture_files(fixture: &Fixture) -> Tree {
    files(&fixture.tree())
}

#[derive(Clone, Copy, Debug)]
enum Save {
    InPlace,
    ByRename,
    UnlinkAndCreate,
}

/// Saves that wait for a lease to be released, as an editor's `open` does.
type Waiting = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// Saves as an editor does; whether it was let.
#[cfg(unix)]
fn save(how: Save, file: &Path, content: &'static [u8], waiting: &Waiting) -> bool {
    use std::os::unix::fs::OpenOptionsExt as _;
    match how {
        Save::InPlace => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            match options.clone().custom_flags(nonblocking).open(file) {
                Ok(mut opened) => opened.write_all(content).expect("writable"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The lease is broken by now, and this thread is the one that holds it.
                    let file = file.to_owned();
                    let thread = std::thread::spawn(move || {
                        let mut opened = options.open(file).expect("writable");
                        opened.write_all(content).expect("writable");
                    });
                    waiting.lock().expect("no save panics").push(thread);
                }
                Err(error) => panic!("{error}"),
            }
        }
        Save::ByRename => {
            let beside = file.with_extension("swp");
            fs::write(&beside, content).expect("writable");
            fs::rename(&beside, file).expect("writable");
        }
        Save::UnlinkAndCreate => {
            let _ = fs::remove_file(file);
            fs::write(file, content).expect("writable");
        }
    }
    true
}

/// The same: who holds a file's guard has the editor told that the file is in use, and the
/// editor tells its user.
#[cfg(windows)]
fn save(how: Save, file: &Path, content: &'static [u8], _: &Waiting) -> bool {
    match how {
        Save::InPlace => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            options.open(file).is_ok_and(|mut opened| opened.write_all(content).is_ok())
        }
        Save::ByRename => {
            let beside = file.with_extension("swp");
            fs::write(&beside, content).expect("writable");
            let saved = fs::rename(&beside, file).is_ok();
            if !saved {
                fs::remove_file(&beside).expect("it was just written");
            }
            saved
        }
        Save::UnlinkAndCreate => {
            if fs::remove_file(file).is_ok() && fs::File::open(file).is_ok() {
                common::on_windows_itself(
                    "a removed file that somebody has open cannot be opened by its name any more",
                    "what is written there is lost when they close it, whoever they are",
                    || false,
                );
                return false;
            }
            fs::write(file, content).is_ok()
        }
    }
}

/// A user saves one of the set's files at every call, with and without a kill later.
#[rstest]
fn a_users_save_at_any_call_is_never_lost(
    #[values(Save::InPlace, Save::ByRename, Save::UnlinkAndCreate)] how: Save,
    #[values("modify", "delete", "rename", "mode", "fresh/created")] path: &'static str,
    #[values(None, Some(7))] killed_after: Option<usize>,
    #[values(
        (true, Renames::All),
        (false, Renames::All),
        (true, Renames::NoFlags),
        (false, Renames::Replaces(Replaced::Whole)),
        (false, Renames::Replaces(Replaced::MovedAside))
    )]
    system: (bool, Renames),
) {
    let (leases, renames) = system;
    let mut landed = 0;
    for number in 0.. {
        let mut fixture = Fixture::in_memory();
        let changes = prepare(&mut fixture);
        let file = fixture.at(path);
        let saved = Arc::new(AtomicBool::new(false));
        let done = saved.clone();
        let waiting = Waiting::default();
        let waiters = waiting.clone();
        let hook: Hook = Box::new(move |call, name| {
            if name == "lease" && !leases {
                return Err(io::ErrorKind::Unsupported.into());
            }
            if call == number && file.parent().is_some_and(Path::exists) {
                let is_saved = save(how, &file, b"the user's own words", &waiters);
                done.fetch_or(is_saved, Ordering::SeqCst);
            }
            match killed_after {
                Some(later) if call >= number + later => Err(io::Error::other("killed")),
                _ => Ok(()),
            }
        });
        let (outcome, calls) = run(&fixture, &changes, renames, hook);
        for thread in waiting.lock().expect("no save panics").drain(..) {
            thread.join().expect("saved once the lease was released");
        }
        recover(&fixture, renames, never()).0.expect("recovers");
        let case = format!("{how:?} of {path} at call {number}, {outcome:?}");
        let tree = fixture.tree();
        if saved.load(Ordering::SeqCst) {
            landed += 1;
            let on_disk = tree
                .values()
                .any(|(_, content)| content.as_deref() == Some(b"the user's own words".as_slice()));
            let kept = fixture.displaced_edits().contains(&b"the user's own words".to_vec());
            assert!(on_disk || kept, "{case}: the user's save is lost: {tree:#?}");
        }
        assert!(fixture.debris().is_empty(), "{case}: debris {:?}", fixture.debris());
        if calls <= number {
            break;
        }
    }
    assert!(landed > 10, "{landed} saves landed");
}
