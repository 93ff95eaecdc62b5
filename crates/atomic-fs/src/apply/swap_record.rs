//! What the journal says of the swaps, and whether that is durable.

use std::sync::{Arc, Mutex, PoisonError};

use crate::apply::journal::Journal;
use crate::apply::record::Record;
use crate::error::FsError;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;

/// The record that swaps have begun, which is made durable only where recovery needs it.
///
/// Recovery has none: what it moves is on record, or was found on the disk.
pub(crate) struct SwapRecord<D: Disk> {
    begun: Mutex<Begun<D>>,
}

struct Begun<D: Disk> {
    /// The journal of the set whose swaps have begun.
    journal: Option<Arc<Journal<D>>>,
    is_durable: bool,
    says_aside: bool,
}

impl<D: Disk> SwapRecord<D> {
    /// For a set whose journal says, not durably yet, that its swaps have begun; without a journal for
    /// whoever need not record anything.
    pub(crate) fn of(journal: Option<Arc<Journal<D>>>) -> Self {
        Self { begun: Mutex::new(Begun { journal, is_durable: false, says_aside: false }) }
    }

    /// Makes durable that swaps have begun: before what a user wrote is moved through a slot, since
    /// recovery would take it for what a crash left of writing that slot, and before a path is left
    /// without a file, since recovery would take that for a user's doing.
    pub(crate) fn make_durable(&self, cache: &DirCache<'_, D>) -> Result<(), FsError> {
        sync(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner), cache)
    }

    /// Makes durable that files are moved aside for their slots.
    pub(crate) fn note_moved_aside(&self, cache: &DirCache<'_, D>) -> Result<(), FsError> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = begun.journal.as_ref().filter(|_| !begun.says_aside) {
            journal.append(cache.disk, &Record::Aside)?;
            (begun.says_aside, begun.is_durable) = (true, false);
        }
        sync(&mut begun, cache)
    }
}

fn sync<D: Disk>(begun: &mut Begun<D>, cache: &DirCache<'_, D>) -> Result<(), FsError> {
    let Some(journal) = begun.journal.as_ref().filter(|_| !begun.is_durable) else {
        return Ok(());
    };
    let synced = journal.sync(cache.disk);
    if synced.is_err() {
        *cache.sync_failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
    begun.is_durable = synced.is_ok();
    synced
}
