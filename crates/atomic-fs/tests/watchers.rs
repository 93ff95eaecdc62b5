//! The last event that a watcher of a directory gets of a replaced file: that it arrived.
//!
//! Editors and builds that follow inotify(7) event by event believe the last one. The slots'
//! names are Greenroom's own; of the file itself nothing may be reported last but an arrival.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]

mod common;

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use atomic_fs::*;
use common::Fixture;
use common::interposed::{Hook, Interposed, Renames, Setup};
use rstest::rstest;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

struct Watcher(OwnedFd);

impl Watcher {
    fn of(fixture: &Fixture) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK).expect("the system has inotify");
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        inotify::add_watch(&inotify, fixture.root(), names).expect("the root is there");
        Self(inotify)
    }

    /// What has been reported of a name so far, in order: whether it came.
    fn reported(&self, name: &str) -> Vec<bool> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut reported = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    if event.file_name().is_some_and(|file| file.to_bytes() == name.as_bytes()) {
                        let came = ReadFlags::CREATE | ReadFlags::MOVED_TO;
                        reported.push(event.events().intersects(came));
                    }
                }
                Err(Errno::WOULDBLOCK) => return reported,
                Err(error) => panic!("the events can be read: {error}"),
            }
        }
    }
}

fn workspace(fixture: &Fixture, renames: Renames, hook: Hook) -> Workspace<Interposed> {
    let options = Options { allow_move_aside: true, ..Options::default() };
    Interposed::workspace(fixture, hook, Setup { renames, options, ..Setup::default() })
}

fn fails_at_second(wanted: &'static str) -> Hook {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    Box::new(move |_, call| {
        let is_second =
            call == wanted && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
        if is_second { Err(std::io::Error::other("refused by the test")) } else { Ok(()) }
    })
}

#[rstest]
fn the_last_report_of_a_replaced_file_is_that_it_arrived(
    #[values(Renames::All, Renames::NoExchange, Renames::NoFlags)] renames: Renames,
) {
    let mut fixture = Fixture::default();
    fixture.put("file", b"old");
    let change = fixture.modify("file", b"new");
    let watcher = Watcher::of(&fixture);
    let workspace = workspace(&fixture, renames, Box::new(|_, _| Ok(())));
    let applied = fixture.apply_on(&workspace, vec![change]);
    assert!(matches!(applied.outcome, Outcome::Committed), "{:?}", applied.outcome);
    let reported = watcher.reported("file");
    assert_eq!(reported.last(), Some(&true), "{renames:?}: {reported:?}");
}

/// `a` is exchanged, the exchange of `b` is refused, and `a` is taken back.
#[test]
fn the_last_report_of_a_file_that_is_taken_back_is_that_it_arrived() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"old a");
    fixture.put("b", b"old b");
    let changes = vec![fixture.modify("a", b"new a"), fixture.modify("b", b"new b")];
    let watcher = Watcher::of(&fixture);
    let workspace = workspace(&fixture, Renames::All, fails_at_second("exchange"));
    let applied = fixture.apply_on(&workspace, changes);
    assert!(matches!(applied.outcome, Outcome::RolledBack(_)), "{:?}", applied.outcome);
    assert_eq!(fixture.read("a"), b"old a");
    let reported = watcher.reported("a");
    assert_eq!(reported.len(), 4, "out and in, twice: {reported:?}");
    assert_eq!(reported.last(), Some(&true), "{reported:?}");
}

/// The process dies between two exchanges; recovery makes the second one.
#[test]
fn the_last_report_of_a_file_that_recovery_replaces_is_that_it_arrived() {
    let mut fixture = Fixture::default();
    fixture.put("a", b"old a");
    fixture.put("b", b"old b");
    let changes = vec![fixture.modify("a", b"new a"), fixture.modify("b", b"new b")];
    let exchanges = std::sync::atomic::AtomicUsize::new(0);
    let dies = Box::new(move |_, call: &'static str| {
        let before = exchanges
            .fetch_add(usize::from(call == "exchange"), std::sync::atomic::Ordering::SeqCst);
        // From the second exchange on, nothing happens any more.
        if before + usize::from(call == "exchange") >= 2 {
            return Err(std::io::Error::other("killed"));
        }
        Ok(())
    });
    let workspace = workspace(&fixture, Renames::All, dies);
    let lock = workspace.lock().expect("free");
    let applied = workspace.apply(&lock, &common::set(changes), &fixture.memory);
    drop((applied, lock, workspace));
    assert_eq!(fixture.read("b"), b"old b", "the test kills in time");
    let watcher = Watcher::of(&fixture);
    fixture.recover();
    assert_eq!(fixture.read("b"), b"new b");
    let reported = watcher.reported("b");
    assert_eq!(reported.last(), Some(&true), "{reported:?}");
}
