//! Group commit: threads that write at the same time share one transaction.
//!
//! The thread that has the writer works in the open transaction, or begins one. When others wait for
//! the writer, it leaves the commit to them: they work in savepoints of the same transaction, and the
//! last one commits for all. An answer is given only after that commit.

use std::cell::Cell;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, Result, StagingError};
use crate::locks::{unpoisoned, unpoisoned_at_once};
use crate::store::Store;
use crate::store::schema::BUSY_WAIT;
use crate::store::write::Write;
use crate::store::writer::{Ended, Shared, Writer};
use crate::time::Timestamp;
use crate::waiting::{Activity, REPORT_AFTER, Waiting};

/// The members and the time after which a shared transaction is committed.
const MEMBERS_MAX: usize = 64;
const AGE_MAX: Duration = Duration::from_millis(4);

thread_local! {
    /// Whether transactions of this thread wait for no other.
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// Does work whose transactions begin at once, or fail as busy, instead of waiting for other threads and
/// processes. It holds for the thread, because planning writes from many places.
pub(crate) fn without_waiting<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            AT_ONCE.set(self.0);
        }
    }
    let _before = Before(AT_ONCE.replace(true));
    work()
}

impl Store {
    /// Changes the state, durably or not, with an error of the caller's own.
    pub(crate) fn write_on<T, E: From<StagingError>>(
        &self,
        durable: bool,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut member = GroupCommit::take(self)?;
        let answer = member.work(work)?;
        member.end(durable)?;
        Ok(answer)
    }
}

/// Begins a transaction that writes. Unless this thread waits for nobody, it waits while another process
/// has one, and reports that after a while.
fn begin(store: &Store, writer: &Writer) -> Result<()> {
    let is_busy = |error: &StagingError| error.kind() == ErrorKind::Busy;
    let waits = !AT_ONCE.get();
    writer.connection.busy_timeout(if waits { REPORT_AFTER } else { Duration::ZERO })?;
    let mut begun = writer.run("BEGIN IMMEDIATE");
    if waits && begun.as_ref().is_err_and(is_busy) {
        let waiting = |process| Waiting { activity: Activity::WritesStore, process };
        store.wait_observer.report(&waiting(store.writing_process()));
        writer.connection.busy_timeout(BUSY_WAIT.saturating_sub(REPORT_AFTER))?;
        begun = writer.run("BEGIN IMMEDIATE");
        if begun.as_ref().is_err_and(is_busy) {
            let process = store.writing_process();
            let process =
                process.map_or_else(|| "another process".to_owned(), |process| process.to_string());
            let what = format!("{process} has been writing to the store for {BUSY_WAIT:?}");
            begun = Err(StagingError::Busy { what });
        }
    }
    writer.connection.busy_timeout(BUSY_WAIT)?;
    begun
}

/// The work of one thread in a shared transaction.
pub(crate) struct GroupCommit<'s> {
    store: &'s Store,
    writer: MutexGuard<'s, Writer>,
    /// Whether work has begun that is neither kept nor rolled back.
    unsettled: bool,
    in_savepoint: bool,
}

impl<'s> GroupCommit<'s> {
    /// Waits for the writer, and begins a transaction unless one is open.
    pub(crate) fn take(store: &'s Store) -> Result<Self> {
        let mut writer = if AT_ONCE.get() {
            let busy =
                || StagingError::Busy { what: "another thread writes to the store".to_owned() };
            unpoisoned_at_once(&store.writer).ok_or_else(busy)?
        } else {
            store.waiting.fetch_add(1, Ordering::AcqRel);
            let writer = unpoisoned(&store.writer);
            store.waiting.fetch_sub(1, Ordering::AcqRel);
            writer
        };
        let in_savepoint = writer.open.is_some();
        if in_savepoint {
            if let Err(error) = writer.run("SAVEPOINT member") {
                let mut member = Self { store, writer, unsettled: false, in_savepoint };
                member.commit_for_others();
                return Err(error);
            }
        } else {
            begin(store, &writer)?;
            let number = writer.next_number;
            writer.next_number += 1;
            writer.open = Some(Shared {
                number,
                begun: Instant::now(),
                members: 0,
                durable: false,
                head: None,
                notices: Vec::new(),
                dead: Vec::new(),
            });
        }
        Ok(Self { store, writer, unsettled: true, in_savepoint })
    }

    /// Does the work, or none of it.
    pub(crate) fn work<T, E: From<StagingError>>(
        &mut self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Writer { connection, open, .. } = &mut *self.writer;
        let shared = open.as_mut().expect("taking the member opened it");
        let (mut head, mut notices, mut dead) = (shared.head, Vec::new(), Vec::new());
        let mut write = Write {
            connection,
            now: Timestamp::now(),
            age: self.store.aging.note(connection)?,
            head: &mut head,
            notices: &mut notices,
            is_observed: self.store.is_observed(),
            dead: &mut dead,
        };
        // On an error and on a panic, dropping the member rolls the work back.
        let answer = work(&mut write)?;
        shared.head = head;
        shared.notices.append(&mut notices);
        shared.dead.append(&mut dead);
        Ok(answer)
    }

    /// Returns when the work is committed, by this thread or by a later one.
    pub(crate) fn end(mut self, durable: bool) -> Result<()> {
        if self.in_savepoint {
            self.writer.run("RELEASE member")?;
        }
        self.unsettled = false;
        let shared = self.writer.open.as_mut().expect("it is open until somebody commits");
        shared.members += 1;
        shared.durable |= durable;
        let number = shared.number;
        if !self.others_commit() {
            return self.commit();
        }
        self.wait_for(number)
    }

    /// Whether another thread waits and may take over the commit.
    fn others_commit(&self) -> bool {
        let may_grow =
            self.writer.open.as_ref().is_some_and(|shared| {
                shared.members < MEMBERS_MAX && shared.begun.elapsed() < AGE_MAX
            });
        may_grow && self.store.waiting.load(Ordering::Acquire) > 0
    }

    fn wait_for(self, number: u64) -> Result<()> {
        let store = self.store;
        // Dropping the member, which has nothing left to do, releases the writer for a moment; a
        // thread that takes it meanwhile is one that waited for it.
        drop(self);
        let mut writer = unpoisoned(&store.writer);
        loop {
            if let Some(ended) = writer.ended.get_mut(&number) {
                let failure = ended.failure.clone();
                ended.unread -= 1;
                if ended.unread == 0 {
                    writer.ended.remove(&number);
                }
                return match failure {
                    None => Ok(()),
                    Some(reason) => Err(StagingError::NotCommitted { reason }),
                };
            }
            writer = store.ended.wait(writer).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Commits for all members of the transaction.
    fn commit(&mut self) -> Result<()> {
        let Some(shared) = self.writer.open.take() else { return Ok(()) };
        let committed = self.writer.run("COMMIT");
        if committed.is_err() {
            self.store.aging.forget();
        }
        if committed.is_err() && !self.writer.connection.is_autocommit() {
            let _ = self.writer.run("ROLLBACK");
        }
        let outcome = committed.and_then(|()| {
            self.store.dirty.store(true, Ordering::Release);
            self.store.checkpoint.note_commit();
            if shared.durable { self.store.sync() } else { Ok(()) }
        });
        // First of all, so that no member waits for ever if an observer panics.
        self.settle(shared.number, shared.members, &outcome);
        if outcome.is_ok() {
            unpoisoned(&self.store.dead).extend(shared.dead);
            // Under the writer's lock, so that observers receive events in the order of the log.
            let observers = unpoisoned(&self.store.observers);
            for notice in shared.notices {
                for observer in observers.iter() {
                    observer(notice.clone());
                }
            }
        }
        outcome
    }

    fn settle(&mut self, number: u64, members: usize, outcome: &Result<()>) {
        // This thread is one of the members, unless its own work failed.
        let unread = members.saturating_sub(usize::from(!self.unsettled));
        if unread > 0 {
            let failure = outcome.as_ref().err().map(ToString::to_string);
            self.writer.ended.insert(number, Ended { unread, failure });
            self.store.ended.notify_all();
        }
    }

    /// Commits what others left to this thread, whose own work is rolled back.
    fn commit_for_others(&mut self) {
        self.unsettled = true;
        if !self.others_commit()
            && let Err(error) = self.commit()
        {
            tracing::debug!(%error, "told to those whose work it was");
        }
        self.unsettled = false;
    }
}

impl Drop for GroupCommit<'_> {
    fn drop(&mut self) {
        if !self.unsettled {
            return;
        }
        self.store.aging.forget();
        let taken_back = if self.in_savepoint {
            self.writer.run("ROLLBACK TO member").and_then(|()| self.writer.run("RELEASE member"))
        } else {
            self.writer.open = None;
            self.writer.run("ROLLBACK")
        };
        if let Err(error) = taken_back {
            tracing::debug!(%error, "SQLite had rolled it back already");
        }
        if self.writer.connection.is_autocommit()
            && let Some(lost) = self.writer.open.take()
        {
            // On a full disk SQLite rolls back the whole transaction.
            let reason = "the transaction that it shared failed".to_owned();
            self.settle(lost.number, lost.members, &Err(StagingError::NotCommitted { reason }));
        }
        self.commit_for_others();
    }
}
