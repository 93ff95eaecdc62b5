//! What was taken and not answered yet, which is limited.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::protocol::LINE_BYTES_MAX;

/// How many calls may wait for their answer before the next line is read.
pub(super) const CALLS_MAX: usize = 256;

/// How long their lines may be together before the next one is read.
const BYTES_MAX: usize = LINE_BYTES_MAX;

/// The room for calls that are not answered yet. Cloning gives another handle.
#[derive(Clone, Default)]
pub(super) struct Room(Arc<Shared>);

#[derive(Default)]
struct Shared {
    taken: Mutex<Taken>,
    freed: Condvar,
    emptied: Notify,
}

#[derive(Default)]
struct Taken {
    calls: usize,
    bytes: usize,
}

/// What one call holds of it, given back when its answer is written.
pub(super) struct Ticket {
    room: Arc<Shared>,
    bytes: usize,
}

impl Room {
    /// Waits until a call may be taken.
    pub(super) fn wait(&self) {
        let mut taken = self.0.taken();
        while taken.calls >= CALLS_MAX || taken.bytes >= BYTES_MAX {
            taken = self.0.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a call whose line is so long.
    pub(super) fn take(&self, bytes: usize) -> Ticket {
        let mut taken = self.0.taken();
        taken.calls += 1;
        taken.bytes += bytes;
        Ticket { room: Arc::clone(&self.0), bytes }
    }

    /// Whether one call alone is not answered yet.
    pub(super) fn has_one(&self) -> bool {
        self.0.taken().calls == 1
    }

    /// Waits until every call that was taken is answered.
    pub(super) async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.0.taken().calls == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.calls -= 1;
        taken.bytes -= self.bytes;
        self.room.freed.notify_one();
        if taken.calls == 0 {
            self.room.emptied.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_call_is_taken_once_another_is_answered() {
        let room = Room::default();
        let mut tickets: Vec<Ticket> = (0..CALLS_MAX).map(|_| room.take(1)).collect();
        assert_waits_for(&room, || drop(tickets.pop()));
        drop(tickets);
        room.wait();
        let long = room.take(BYTES_MAX);
        assert_waits_for(&room, || drop(long));
    }

    /// There is room only after this.
    fn assert_waits_for(room: &Room, free: impl FnOnce()) {
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                room.wait();
                sender.send(()).expect("the test waits");
            });
            let waits = receiver.recv_timeout(Duration::from_millis(50)).is_err();
            free();
            assert!(waits, "there is no room yet");
            receiver.recv().expect("it has room now");
        });
    }
}
