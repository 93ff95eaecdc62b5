//! A change set's way to the disk; [`Apply::run`] lists the steps.

pub(crate) mod check;
pub(crate) mod consistency;
pub(crate) mod removed_dirs;

pub(crate) mod intent;
pub(crate) mod lookup;
pub(crate) mod planning;
pub(crate) mod slot_name;

pub(crate) mod journal;
pub(crate) mod journal_names;
pub(crate) mod record;
pub(crate) mod swap_record;

pub(crate) mod barrier;
pub(crate) mod slot;
pub(crate) mod spellings;

pub(crate) mod clear_dir;
pub(crate) mod guard;
pub(crate) mod sequence;
pub(crate) mod swap;
pub(crate) mod swapper;

pub(crate) mod roll_back;
pub(crate) mod tidy;

use std::sync::{Arc, Mutex};

use crate::apply::barrier::{SlotWriter, barrier_one, barrier_two};
use crate::apply::check::Checker;
use crate::apply::intent::Unit;
use crate::apply::journal::Journal;
use crate::apply::record::Record;
use crate::apply::roll_back::{give_up, roll_back};
use crate::apply::sequence::forward;
use crate::apply::swapper::Swapper;
use crate::change_set::ChangeSet;
use crate::content::ContentSource;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::outcome::{Applied, Outcome};
use crate::policy::{LinkCheck, Policy};

/// The workspace that a set is applied to.
pub(crate) struct Apply<'g, 'a, D: Disk> {
    pub cache: &'g DirCache<'a, D>,
    pub journals: &'a D::Dir,
    pub policy: &'g Policy,
    pub links: LinkCheck,
}

impl<D: Disk> Apply<'_, '_, D> {
    /// Applies a set whole or not at all.
    pub(crate) fn run(&self, set: &ChangeSet, source: &dyn ContentSource) -> Applied {
        let (cache, disk, journals) = (self.cache, self.cache.disk, self.journals);
        let failed = |error| Applied::unchanged(Outcome::RolledBack(error));

        // Every file must be what the caller expects, and the policy must allow its change.
        let facts = match (Checker { cache, policy: self.policy }).check_all(set) {
            Ok(facts) => facts,
            Err(outcome) => return Applied::unchanged(outcome),
        };

        // The intent is written ahead.
        let intent = match planning::plan(set, &facts, Some(cache)) {
            Ok(intent) => intent,
            Err(error) => return failed(error),
        };
        let journal = match Journal::create(disk, journals, &intent) {
            Ok(journal) => Arc::new(journal),
            Err(error) => return failed(error),
        };
        let abandon =
            |taken: &[_], cause| give_up(cache, journals, &intent, &journal, taken, cause);

        // Barrier 1: the new content is in slots beside the files, and durable.
        let Self { policy, links, .. } = *self;
        let writer = SlotWriter { cache, policy, links, source, taken: Mutex::default() };
        let prepared = barrier_one(&writer, &intent, &journal, journals)
            .and_then(|()| spellings::check(cache, &intent));
        if let Err(error) = prepared {
            return abandon(&writer.into_taken(), error);
        }

        // From here on recovery may finish the set.
        if let Err(error) = journal.append(disk, &Record::Swapping) {
            return abandon(&[], error);
        }
        let swapper = Swapper::of_apply(cache, journal.clone());
        // After a power cut that lost the record, a file that is neither at its path nor in a slot
        // would be one that a user removed.
        let takes_away = intent.units.iter().any(Unit::frees_path);
        if takes_away && let Err(error) = swapper.record.make_durable(cache) {
            return abandon(&[], error);
        }

        // The swaps. Each verifies what came out of it.
        if let Err((done, obstacle)) = forward(&swapper, &intent, &|_| false) {
            let mut applied = roll_back(&swapper, journals, intent, &journal, &done, obstacle);
            applied.kept = swapper.take_kept();
            return applied;
        }

        // Barrier 2, and the record of the outcome, before the answer: a user may remove a created file
        // at once, and after a power cut only the record tells that from one that never arrived.
        let recorded = barrier_two(cache, &intent)
            .and_then(|()| journal.append(disk, &Record::Committed))
            .and_then(|()| journal.sync(disk));
        let mut applied = match recorded {
            Ok(()) => Applied {
                made_dirs: intent.new_dirs.clone(),
                removed_dirs: intent.removed_dirs(),
                ..Applied::with(Outcome::Committed, intent, Record::Committed)
            },
            Err(error) => Applied::unchanged(Outcome::InDoubt(error)),
        };
        applied.kept = swapper.take_kept();
        applied
    }
}
