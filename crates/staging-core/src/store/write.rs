//! A change of the store in a transaction that is not committed yet.

use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use crate::event::{Event, Notice};
use crate::store::contents::Unreferenced;
use crate::store::log;
use crate::time::{Age, Timestamp};

/// A change in a transaction that is not committed yet.
pub(crate) struct Write<'c> {
    pub(crate) connection: &'c Connection,
    /// The time of everything in it.
    pub(crate) now: Timestamp,
    /// How old the state is.
    pub(crate) age: Age,
    pub(crate) head: &'c mut Option<log::Head>,
    pub(crate) notices: &'c mut Vec<Notice>,
    /// Whether there are observers for the notices: a large change has 100,000.
    pub(crate) is_observed: bool,
    pub(crate) dead: &'c mut Vec<Unreferenced>,
}

impl Write<'_> {
    /// Logs an event with the change it is about.
    pub(crate) fn log(&mut self, event: Event) -> Result<()> {
        self.log_with_diff(event, None)
    }

    /// The same, with a diff for observers in this process.
    pub(crate) fn log_with_diff(&mut self, event: Event, diff: Option<Arc<[u8]>>) -> Result<()> {
        let mut head = match *self.head {
            Some(head) => head,
            None => log::head(self.connection)?,
        };
        let record = log::append(self.connection, &mut head, self.now, event)?;
        *self.head = Some(head);
        if self.is_observed {
            self.notices.push(Notice { record: Arc::new(record), diff });
        }
        Ok(())
    }

    /// Adds contents that have no reference once this is committed.
    pub(crate) fn note_unreferenced(&mut self, dead: impl IntoIterator<Item = Unreferenced>) {
        self.dead.extend(dead);
    }
}

impl std::ops::Deref for Write<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
