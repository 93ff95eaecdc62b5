//! Finishing or undoing what a dead process left.
//!
//! Every step looks before it acts, so that a crash inside recovery, or a second
//! run of it, finds what it needs on the disk. [`Recovery::run`] goes from set to set,
//! [`Recovery::recover_set`] lists the steps of one, and [`Recovery::finish_or_undo`] those of a
//! set whose outcome is not known.

use std::collections::HashSet;
use std::io;

use crate::apply::barrier::barrier_two;
use crate::apply::clear_dir::remove_emptied;
use crate::apply::intent::{Action, Intent};
use crate::apply::journal::{Found, Journal, Opened, Progress};
use crate::apply::journal_names;
use crate::apply::record::Record;
use crate::apply::sequence::{backward, forward};
use crate::apply::swapper::{Obstacle, Swapper};
use crate::apply::tidy::{Unknown, clean_slots};
use crate::change_set::ChangeSet;
use crate::conflict::{Conflict, Difference};
use crate::error::FsError;
use crate::fallback::move_aside;
use crate::os::dir_cache::DirCache;
use crate::os::dir_locks;
use crate::os::disk::Disk;
use crate::policy::Policy;
use crate::records::SetRecords;
use crate::recovery::condition::Condition;
use crate::recovery::conflicts;
use crate::recovery::decide::{Decision, is_finished};
use crate::recovery::examine::{has_own_slots, makes};
use crate::recovery::inspect::Inspection;
use crate::recovery::rebuild::plan_again;
use crate::recovery::report::{Quarantined, Recovered, RecoveredOutcome, RecoveryReport};
use crate::recovery::restore::{self, Wanted};
use crate::recovery::second_names::drop_second_names;
use crate::rel_path::{RelPath, os_string};

/// Recovers every set that has a journal, or that the caller's record calls undecided.
pub(crate) struct Recovery<'g, 'a, D: Disk> {
    pub cache: &'g DirCache<'a, D>,
    pub journals: &'a D::Dir,
    pub policy: &'g Policy,
    pub records: &'g dyn SetRecords,
}

/// Whether a journal may be acted on.
enum Verdict {
    /// It may; the set may be known to have ended.
    Sound(Option<RecoveredOutcome>),
    /// It may not, and why.
    Foreign(&'static str),
}

/// What recovery finds out about a set on its way.
#[derive(Default)]
struct Findings {
    edited: Vec<Conflict>,
    restored: Vec<RelPath>,
    unresolved: Vec<Conflict>,
}

impl<'g, 'a, D: Disk> Recovery<'g, 'a, D> {
    /// Recovers the sets that have a journal first, and then those that should have one: a journal
    /// that is damaged, forged or gone says nothing, and the caller's record is used instead.
    pub(crate) fn run(
        &self,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<RecoveryReport, FsError> {
        let disk = self.cache.disk;
        let mut report = RecoveryReport::default();
        let names = journal_names::names(disk, self.journals)?;
        let mut undecided = self.records.undecided().map_err(FsError::records("read"))?;
        if !names.is_empty() || !undecided.is_empty() {
            conflicts::remove_partial(self.cache)?;
        }
        for name in names {
            let (journal, found) = match Journal::open(disk, self.journals, &name)? {
                Opened::Sound(journal, found) => (journal, found),
                Opened::Torn => {
                    // Torn before barrier 1: no swap was made.
                    disk.remove_file(self.journals, &name)
                        .map_err(FsError::state("remove", os_string(&name)))?;
                    continue;
                }
                Opened::Damaged { reason } => {
                    self.quarantine(&name, reason, &mut report)?;
                    continue;
                }
            };
            match self.examine(&name, &found)? {
                Verdict::Sound(ended) => {
                    let recovered = self.recover_set(&journal, &found, ended, record)?;
                    undecided.retain(|set| *set != recovered.set);
                    report.sets.push(recovered);
                }
                Verdict::Foreign(reason) => self.quarantine(&name, reason, &mut report)?,
            }
        }
        let parked = journal_names::parked(disk, self.journals)?;
        undecided.retain(|set| parked.iter().all(|(waiting, _)| waiting != set));
        for set in undecided {
            if let Some((journal, found)) = self.rebuild(&set)? {
                report.sets.push(self.recover_set(&journal, &found, None, record)?);
            }
        }
        Ok(report)
    }

    /// Brings one set to its end, reports it to the caller, and removes its journal.
    fn recover_set(
        &self,
        journal: &Journal<D>,
        found: &Found,
        ended: Option<RecoveredOutcome>,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<Recovered, FsError> {
        let (cache, disk, intent) = (self.cache, self.cache.disk, &found.intent);
        let swapper = Swapper::new(cache);
        let mut findings = Findings::default();

        // Keep other states from changing the set's directories meanwhile.
        cache.note_making_way(intent.making_way().cloned());
        let paths = intent.units.iter();
        let paths = paths.flat_map(|it| [&it.path, &it.slot].into_iter().chain(it.arrives_at()));
        let _locks = dir_locks::take(cache, paths)?;

        // Find the outcome, or bring it about.
        let outcome = match (ended, found.progress) {
            // The caller records an outcome only once it is durable on the disk.
            (Some(outcome), _) => outcome,
            // The process that wrote it may have been killed before it was durable.
            (None, Progress::Committed) => {
                journal.sync(disk).map(|()| RecoveredOutcome::Committed)?
            }
            (None, Progress::RolledBack) => {
                journal.sync(disk).map(|()| RecoveredOutcome::RolledBack)?
            }
            (None, Progress::Undecided | Progress::Aborting) => {
                findings.unresolved = self.refused(intent);
                let outcome = match findings.unresolved.is_empty() {
                    true => self.finish_or_undo(&swapper, journal, found, &mut findings)?,
                    false => RecoveredOutcome::InDoubt,
                };
                record_outcome(disk, journal, outcome)?;
                outcome
            }
        };

        // Remove what is left over, once the outcome is durable.
        if outcome != RecoveredOutcome::InDoubt {
            clean_slots(&swapper, intent, self.unknown_slots(found, outcome))?;
        }
        let is_committed = outcome == RecoveredOutcome::Committed;
        if is_committed {
            remove_emptied(&swapper, intent)?;
        }

        // Report to the caller, who records the outcome, and then remove the journal.
        let Findings { mut edited, restored, unresolved } = findings;
        edited.dedup();
        let named: HashSet<&RelPath> = unresolved.iter().map(|it| &it.path).collect();
        edited.retain(|edited| !named.contains(&edited.path));
        let recovered = Recovered {
            set: intent.set.clone(),
            outcome,
            edited,
            kept: swapper.take_kept(),
            made_dirs: if is_committed { intent.new_dirs.clone() } else { Vec::new() },
            removed_dirs: if is_committed { intent.removed_dirs() } else { Vec::new() },
            restored,
            unresolved,
            from_record: found.is_rebuilt,
        };
        tracing::info!(set = %recovered.set, outcome = ?recovered.outcome, "recovered");
        record(&recovered).map_err(FsError::records("update"))?;
        match recovered.outcome {
            RecoveredOutcome::InDoubt => journal.park(disk, self.journals, &recovered.set)?,
            _ => journal.remove(disk, self.journals)?,
        }
        Ok(recovered)
    }

    /// Goes forward where every unit can, back otherwise; slots that something else removed are
    /// written anew from the store. Where neither way is open, nothing is changed. Durable on
    /// return.
    fn finish_or_undo(
        &self,
        swapper: &Swapper<'_, '_, D>,
        journal: &Journal<D>,
        found: &Found,
        findings: &mut Findings,
    ) -> Result<RecoveredOutcome, FsError> {
        let (cache, intent) = (self.cache, &found.intent);

        // Bring half-made steps to a state that an exchange or a rename can leave.
        restore::remove_parts(cache, intent)?;
        drop_second_names(swapper, intent)?;
        move_aside::settle(cache, intent)?;
        if found.moved_aside {
            move_aside::settle_way_back(cache, intent)?;
        }

        // Inspect every unit, after moving what does not belong into a slot out of it.
        let inspection = Inspection::new(cache, found);
        let mut conditions = inspection.conditions()?;
        let (has_moved, was_displaced) = clear_slots(swapper, intent, &conditions)?;
        if has_moved {
            conditions = inspection.conditions()?;
        }
        let left_with_dir = inspection.left_with_dir(&conditions)?;
        let decision = Decision::new(found, &conditions, was_displaced, left_with_dir);

        // Decide: forward or back. Where old content is lost from its slots, going forward needs less
        // from the store, and keeps more of what only the files themselves have.
        let mut is_forward = decision.can_finish(&conditions, &[]);
        if decision.may_finish && !is_forward && !decision.base_lost(&conditions).is_empty() {
            let wanted = decision.staged_lost(&conditions);
            if decision.can_finish(&conditions, &wanted) {
                is_forward = self.refill(intent, &wanted, findings)?.is_empty();
            }
            if is_forward {
                conditions = inspection.conditions()?;
            }
        }
        findings.edited.extend(decision.edited(&conditions, is_forward));

        // Go forward, until something is in the way.
        if is_forward {
            match forward(swapper, intent, &|index| is_finished(&conditions[index])) {
                Ok(()) => {
                    barrier_two(cache, intent)?;
                    return Ok(RecoveredOutcome::Committed);
                }
                Err((_, Obstacle::Failed(error))) => return Err(error),
                Err((_, Obstacle::Conflict(conflict))) => findings.edited.push(conflict),
            }
            // A step that failed can have left a file aside.
            move_aside::settle(cache, intent)?;
            conditions = inspection.conditions()?;
        }

        // Go back, if every unit can.
        findings.unresolved = decision.foreign_slots(&conditions);
        if decision.may_have_swapped {
            findings.unresolved.extend(inspection.arrived_away()?);
        }
        let lost = decision.base_lost(&conditions);
        if findings.unresolved.is_empty() && !lost.is_empty() {
            findings.unresolved = self.refill(intent, &lost, findings)?;
            move_aside::settle(cache, intent)?;
            conditions = inspection.conditions()?;
        }
        if !findings.unresolved.is_empty() {
            return Ok(RecoveredOutcome::InDoubt);
        }
        // From here on the set must not be finished any more, whatever a crash leaves.
        journal.append(cache.disk, &Record::Abort)?;
        journal.sync(cache.disk)?;
        findings.edited.extend(backward(swapper, intent, &decision.to_take_back(&conditions))?);
        barrier_two(cache, intent)?;
        Ok(RecoveredOutcome::RolledBack)
    }

    fn quarantine(
        &self,
        name: &[u8],
        reason: &str,
        report: &mut RecoveryReport,
    ) -> Result<(), FsError> {
        let now = journal_names::quarantine(self.cache.disk, self.journals, name)?;
        let name = String::from_utf8_lossy(&now).into_owned();
        tracing::warn!(journal = %name, reason, "a journal is not acted on");
        report.quarantined.push(Quarantined { name, reason: reason.to_owned() });
        Ok(())
    }

    /// A journal is a file that anything can write. It acts where the caller has begun just this
    /// set, and on nothing but the set's own names.
    fn examine(&self, name: &[u8], found: &Found) -> Result<Verdict, FsError> {
        let intent = &found.intent;
        if journal_names::set_of(name) != Some(intent.set.as_str()) {
            return Ok(Verdict::Foreign("it names another set than its file does"));
        }
        let Some(recorded) = self.records.find(&intent.set).map_err(FsError::records("read"))?
        else {
            return Ok(Verdict::Foreign("no such apply was begun here"));
        };
        let changes = recorded.changes.as_deref();
        if changes.is_some_and(|changes| !makes(intent, changes)) {
            return Ok(Verdict::Foreign("it makes other changes than were approved"));
        }
        if !has_own_slots(intent, changes) {
            return Ok(Verdict::Foreign("it names files that are no slots of its set"));
        }
        Ok(Verdict::Sound(recorded.ended))
    }

    /// Plans the set once more from the caller's record, and writes the journal that it should
    /// have. The disk alone shows then whether anything was swapped.
    fn rebuild(&self, set: &str) -> Result<Option<(Journal<D>, Found)>, FsError> {
        let recorded = self.records.find(set).map_err(FsError::records("read"))?;
        let Some(recorded) = recorded else { return Ok(None) };
        let Some(changes) = recorded.changes else { return Ok(None) };
        let emptied_dirs = recorded.emptied_dirs;
        let set = ChangeSet { id: set.to_owned(), changes, emptied_dirs };
        let intent = plan_again(self.cache, &set, recorded.slots)?;
        let disk = self.cache.disk;
        let journal = Journal::create(disk, self.journals, &intent)?;
        journal.sync(disk)?;
        disk.sync_dir(self.journals).map_err(FsError::state("sync", "journal"))?;
        let (progress, swapped, moved_aside) = (Progress::Undecided, false, false);
        Ok(Some((journal, Found { intent, progress, swapped, moved_aside, is_rebuilt: true })))
    }

    /// Paths that may not be changed now, whatever was allowed when the set was approved.
    fn refused(&self, intent: &Intent) -> Vec<Conflict> {
        let paths = intent.units.iter().flat_map(|unit| {
            std::iter::once(&unit.path).chain(unit.arrives_at().filter(|to| **to != unit.path))
        });
        let is_refused = |path: &&RelPath| {
            self.policy.check_path(path).is_err()
                || matches!(self.cache.stat(path), Err(FsError::Refused { .. }))
        };
        let conflict = |path| Conflict::at(path, Difference::Refused);
        paths.filter(is_refused).map(conflict).collect()
    }

    /// What a slot can hold that is neither base nor staged. In a set that never began to swap it is
    /// what the crash left of writing the slot.
    fn unknown_slots(&self, found: &Found, outcome: RecoveredOutcome) -> Unknown<'g> {
        let is_back = outcome == RecoveredOutcome::RolledBack;
        match found.is_rebuilt {
            true => Unknown::Untold,
            false if !found.swapped && is_back => Unknown::UsersOrTorn(self.records.contents()),
            false => Unknown::Users,
        }
    }

    /// Writes slots anew and notes their files; returns those for which the store cannot.
    fn refill(
        &self,
        intent: &Intent,
        wanted: &[Wanted],
        findings: &mut Findings,
    ) -> Result<Vec<Conflict>, FsError> {
        let missing = restore::refill(self.cache, intent, wanted, self.records.contents())?;
        if missing.is_empty() {
            let paths = wanted.iter().map(|(index, _)| intent.units[*index].path.clone());
            findings.restored.extend(paths);
        }
        Ok(missing)
    }
}

/// Puts users' versions back that are in slots, and moves away what is not the set's. Returns
/// whether anything was moved, and whether a user's version was put back.
fn clear_slots<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    conditions: &[Condition],
) -> Result<(bool, bool), FsError> {
    let (mut has_moved, mut was_displaced) = (false, false);
    for (unit, condition) in intent.units.iter().zip(conditions) {
        if *condition != Condition::Displaced {
            continue;
        }
        match &unit.action {
            Action::Replace { staged, .. } => swapper.put_back(unit, staged)?,
            Action::RemoveDir { dirs } => swapper.dir_back(unit, dirs)?,
            _ => swapper.back_from_aside(unit, None)?,
        }
        (has_moved, was_displaced) = (true, true);
    }
    for (unit, condition) in intent.units.iter().zip(conditions) {
        // Where it cannot be moved away, it stays in the way.
        if *condition == Condition::Foreign {
            swapper.keep(unit)?;
            has_moved = true;
        }
    }
    Ok((has_moved, was_displaced))
}

fn record_outcome<D: Disk>(
    disk: &D,
    journal: &Journal<D>,
    outcome: RecoveredOutcome,
) -> Result<(), FsError> {
    let end = match outcome {
        RecoveredOutcome::Committed => Record::Committed,
        RecoveredOutcome::RolledBack => Record::RolledBack,
        RecoveredOutcome::InDoubt => return Ok(()),
    };
    journal.append(disk, &end)?;
    journal.sync(disk)
}
