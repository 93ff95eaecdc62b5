//! The connection that writes, and the transaction that is open on it.

use std::collections::HashMap;
use std::time::Instant;

use rusqlite::Connection;

use crate::error::Result;
use crate::event::Notice;
use crate::store::contents::Unreferenced;
use crate::store::log;

/// The connection that writes, and the transaction that is open on it.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) open: Option<Shared>,
    pub(crate) next_number: u64,
    /// How shared transactions ended, until each member has read it.
    pub(crate) ended: HashMap<u64, Ended>,
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, open: None, next_number: 0, ended: HashMap::new() }
    }

    /// The connection, if no transaction is open on it.
    pub(crate) fn idle(&self) -> Option<&Connection> {
        self.open.is_none().then_some(&self.connection)
    }

    pub(crate) fn run(&self, statement: &str) -> Result<()> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }
}

/// A transaction that several threads work in, one after the other.
pub(crate) struct Shared {
    pub(crate) number: u64,
    pub(crate) begun: Instant,
    /// How many members' work it has.
    pub(crate) members: usize,
    pub(crate) durable: bool,
    pub(crate) head: Option<log::Head>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) dead: Vec<Unreferenced>,
}

pub(crate) struct Ended {
    pub(crate) unread: usize,
    pub(crate) failure: Option<String>,
}
