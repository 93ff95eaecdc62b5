//! Sharing transactions, full disks, and what survives.

use std::sync::{Arc, Barrier};
use std::thread;

use super::*;
use crate::event::Event;
use crate::ids::SessionId;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path()).expect("a new store");
    (dir, store)
}

fn open_session(write: &mut Write<'_>, label: &str) -> Result<SessionId> {
    let id = sessions::insert(write, label, std::time::Duration::ZERO, None)?;
    write.log(Event::SessionOpened { session: id, label: label.to_owned() })?;
    Ok(id)
}

fn labels(store: &Store) -> Vec<String> {
    let mut labels: Vec<String> =
        store.peek(sessions::all).expect("listed").into_iter().map(|s| s.label).collect();
    labels.sort();
    labels
}

#[test]
fn writers_that_meet_are_each_answered_once_their_work_is_committed() {
    let (dir, store) = store();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&seen);
    store.observe(Box::new(move |notice| unpoisoned(&observed).push(notice.record.seq)));
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (store, start, dir) = (&store, &start, &dir);
            scope.spawn(move || {
                start.wait();
                for round in 0..40 {
                    let label = format!("{thread}-{round}");
                    store.write(|write| open_session(write, &label)).expect("committed");
                    // Another process sees it as soon as it is answered.
                    if round == 39 {
                        let other = Store::open(dir.path()).expect("opened");
                        assert!(labels(&other).contains(&label));
                    }
                }
            });
        }
    });
    assert_eq!(labels(&store).len(), 320);
    assert_eq!(*unpoisoned(&seen), (1..=320).collect::<Vec<u64>>(), "in the log's order");
    assert!(store.read(log::check).expect("checked").is_intact());
}

#[test]
fn work_that_fails_or_panics_takes_nothing_of_others_with_it() {
    let (_dir, store) = store();
    let start = Barrier::new(9);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..9)
            .map(|thread| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..30 {
                        let label = format!("{thread}-{round}");
                        let outcome =
                            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                                store.write(|write| {
                                    open_session(write, &label)?;
                                    match thread % 3 {
                                        0 => Ok(()),
                                        1 => Err(StagingError::damaged_store("wanted")),
                                        _ => std::panic::panic_any("wanted"),
                                    }
                                })
                            }));
                        assert_eq!(matches!(outcome, Ok(Ok(()))), thread % 3 == 0);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("as it should be");
        }
    });
    let labels = labels(&store);
    assert_eq!(labels.len(), 90);
    assert!(labels.iter().all(|label| label.starts_with(['0', '3', '6'])));
    assert!(store.read(log::check).expect("checked").is_intact());
}

#[test]
fn a_full_disk_is_reported_changes_nothing_and_passes() {
    let (dir, store) = store();
    store.write(|write| open_session(write, "before")).expect("there is room");
    let set_max = |pages: i64| {
        let writer = unpoisoned(&store.writer);
        writer.connection.pragma_update(None, "max_page_count", pages).expect("a setting");
    };
    set_max(1);
    // Pages that are not full yet take some.
    let error = (0..10_000)
        .map(|_| store.write(|write| open_session(write, &"x".repeat(2_000)).map(drop)))
        .find_map(Result::err)
        .expect("no page more");
    assert!(
        matches!(&error, StagingError::StateUnwritable { reason, .. } if reason.contains("full")),
        "{error}"
    );
    assert!(store.read(log::check).expect("readable").is_intact());
    assert!(labels(&store).contains(&"before".to_owned()));
    set_max(1 << 30);
    store.write(|write| open_session(write, "after")).expect("there is room again");
    drop(store);
    assert!(labels(&Store::open(dir.path()).expect("opened")).contains(&"after".to_owned()));
}

#[test]
fn a_full_disk_fails_each_of_those_who_share_a_transaction() {
    let (_dir, store) = store();
    {
        let writer = unpoisoned(&store.writer);
        writer.connection.pragma_update(None, "max_page_count", 1).expect("a setting");
    }
    let start = Barrier::new(4);
    let acknowledged: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    start.wait();
                    (0..60)
                        .map(|round| format!("{thread}-{round}-{}", "x".repeat(1_500)))
                        .filter(|label| store.write(|write| open_session(write, label)).is_ok())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let stored = labels(&store);
    assert_eq!(stored.len(), acknowledged.len(), "what was acknowledged, and nothing else");
    assert!(acknowledged.iter().all(|label| stored.contains(label)));
    assert!(store.read(log::check).expect("readable").is_intact());
}

#[test]
fn a_store_that_cannot_be_written_to_says_what_to_do() {
    let (dir, store) = store();
    let path = dir.path().join(FILE);
    drop(store);
    let read_only = Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("readable");
    let error = read_only.execute("DELETE FROM sessions", []).expect_err("read-only");
    let error = StagingError::from(error);
    assert!(
        matches!(&error, StagingError::StateUnwritable { reason, .. } if reason.contains("writable")),
        "{error}"
    );
}

#[test]
fn a_durable_write_is_synced_together_with_what_was_committed_before() {
    let (_dir, store) = store();
    store.write(|write| open_session(write, "soon")).expect("committed");
    assert!(store.is_dirty(), "a power cut could take it");
    store.write_durably(|write| open_session(write, "now").map(drop)).expect("committed");
    assert!(!store.is_dirty());
}

#[test]
fn a_long_log_is_folded_back_by_whoever_closes_the_store() {
    let (dir, store) = store();
    for number in 0..600 {
        let label = format!("{number}-{}", "x".repeat(4_000));
        store.write(|write| open_session(write, &label)).expect("committed");
    }
    let log = store.log_path();
    let length = || std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    assert!(length() > CLOSING_LOG_BYTES_MAX);
    drop(store);
    assert_eq!(length(), 0, "the next process has nothing to read");
    assert_eq!(labels(&Store::open(dir.path()).expect("opened")).len(), 600);
}

/// Lets an hour pass since the age was noted, and makes the store look for the note again.
fn pass_an_hour(store: &Store) {
    let statement = "UPDATE meta SET value = value - 3600000
         WHERE name IN ('age_clock_ms', 'age_since_boot_ms')";
    store.peek(|connection| Ok(connection.execute_batch(statement)?)).expect("an hour later");
    store.aging.forget();
}

#[test]
fn every_change_is_dated_by_an_age_that_is_written_down_with_it() {
    let (_state, store) = store();
    let noted = || {
        store.peek(|connection| meta::get(connection, meta::AGE_MS)).expect("read").expect("noted")
    };
    store.write(|write| open_session(write, "first")).expect("opened");
    pass_an_hour(&store);
    let failed: Result<()> = store.write(|_| Err(StagingError::damaged_store("on purpose")));
    assert!(failed.is_err() && noted() < 3_600_000, "the note was taken back with the change");
    let age = store.write(|write| Ok(write.age)).expect("written");
    assert!((3_600_000..3_660_000).contains(&age.0), "{age:?}");
    assert_eq!(noted(), age.0);
    pass_an_hour(&store);
    assert!(store.age().expect("read").0 >= 7_200_000, "reading counts on");
    assert_eq!(noted(), age.0, "and writes nothing");
}
