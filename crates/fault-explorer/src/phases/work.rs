//! What the functions that explore a phase work with.

use crate::atomic_fs::simulated::Renames;

use crate::scenario::Scenario;
use crate::search::Search;

/// A search over one scenario.
pub(super) struct Work<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) renames: Renames,
    pub(super) search: Search<'a>,
}
