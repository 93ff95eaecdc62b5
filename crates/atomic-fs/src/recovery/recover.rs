//! Finishing or undoing what a dead process left.
//!
//! Every step inspects before it acts, so that a crash inside recovery, or a second
//! run of it, finds what it needs on the disk. [`Recovery::run`] lists the steps.

use std::collections::HashSet;
use std::io;

use crate::apply::Apply;
use crate::apply::clear_dir::remove_emptied;
use crate::apply::intent::{Action, Intent, Unit};
use crate::apply::journal::{self, Found, Journal, Opened, Progress, Record};
use crate::apply::lookup::Lookup;
use crate::apply::plan;
use crate::apply::sequence::{backward, forward};
use crate::apply::swap::{Obstacle, Swapper};
use crate::apply::tidy::{Unknown, clean_slots};
use crate::change_set::ChangeSet;
use crate::error::{Conflict, Difference, FsError};
use crate::fallback::move_aside;
use crate::mutants::mutant;
use crate::os::dir_cache::DirCache;
use crate::os::dir_locks;
use crate::os::disk::{Disk, FileKind};
use crate::os::file_state::FileState;
use crate::policy::Policy;
use crate::records::SetRecords;
use crate::recovery::conflicts::{self, Kept};
use crate::recovery::inspect::{Condition, has_left, inspect};
use crate::recovery::restore::{self, Refill, Wanted};
use crate::rel_path::RelPath;

/// What recovery did with one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The set's id.
    pub set: String,
    /// How it ended.
    pub outcome: RecoveredOutcome,
    /// Files that a user edited meanwhile: their edits stand.
    pub edited: Vec<Conflict>,
    /// User's edits that could not be put back in place.
    pub kept: Vec<Kept>,
    /// Directories that a committed set made, outermost first.
    pub made_dirs: Vec<RelPath>,
    /// Directories that a committed set has taken away or emptied, as
    /// [`Applied::removed_dirs`](crate::Applied::removed_dirs).
    pub removed_dirs: Vec<(RelPath, Option<u32>)>,
    /// Files whose old or new content came from the caller's store, because something else had
    /// removed their slots.
    pub restored: Vec<RelPath>,
    /// Why the set is in doubt: the files that can be neither finished nor taken back. Empty for
    /// every other outcome.
    pub unresolved: Vec<Conflict>,
    /// Whether there was no sound journal, so that the caller's record of the set stood for it.
    pub from_record: bool,
}

/// How recovery ended a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveredOutcome {
    /// All of it is on disk, durably.
    Committed,
    /// None of it is, but for what users edited.
    RolledBack,
    /// Neither: nothing was changed, and nothing will be until
    /// [`Workspace::reopen_in_doubt`](crate::Workspace::reopen_in_doubt) or
    /// [`Workspace::forget_in_doubt`](crate::Workspace::forget_in_doubt) is called. Other sets can
    /// be applied.
    InDoubt,
}

/// A journal that recovery did not act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name in `journal/` now.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The sets that it came to, in order.
    pub sets: Vec<Recovered>,
    /// Journals that are damaged, or whose set the caller has no record of.
    pub quarantined: Vec<Quarantined>,
}

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

impl<D: Disk> Recovery<'_, '_, D> {
    /// Settles the sets that have a journal first, and then those that should have one: a journal
    /// that is damaged, forged or gone says nothing, and the caller's record stands for it.
    pub(crate) fn run(
        &self,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<RecoveryReport, FsError> {
        let disk = self.cache.disk;
        let mut report = RecoveryReport::default();
        let names = journal::names(disk, self.journals)?;
        let mut undecided = self.records.undecided().map_err(unrecorded)?;
        if !names.is_empty() || !undecided.is_empty() {
            conflicts::remove_partial(self.cache)?;
        }
        for name in names {
            let (journal, found) = match Journal::open(disk, self.journals, &name)? {
                Opened::Sound(journal, found) => (journal, found),
                Opened::Torn => {
                    // Torn before barrier 1: the set never began to swap.
                    disk.remove_file(self.journals, &name)
                        .map_err(FsError::io("remove", String::from_utf8_lossy(&name)))?;
                    continue;
                }
                Opened::Damaged { reason } => {
                    self.quarantine(&name, reason, &mut report)?;
                    continue;
                }
            };
            match self.examine(&name, &found)? {
                Verdict::Sound(ended) => {
                    let recovered = self.settle(&journal, &found, ended, record)?;
                    undecided.retain(|set| *set != recovered.set);
                    report.sets.push(recovered);
                }
                Verdict::Foreign(reason) => self.quarantine(&name, reason, &mut report)?,
            }
        }
        let parked = journal::parked(disk, self.journals)?;
        undecided.retain(|set| parked.iter().all(|(waiting, _)| waiting != set));
        for set in undecided.into_iter().filter(|_| !mutant!(RecordIgnored)) {
            if let Some((journal, found)) = self.rebuild(&set)? {
                report.sets.push(self.settle(&journal, &found, None, record)?);
            }
        }
        Ok(report)
    }

    fn quarantine(
        &self,
        name: &[u8],
        reason: &str,
        report: &mut RecoveryReport,
    ) -> Result<(), FsError> {
        let now = journal::quarantine(self.cache.disk, self.journals, name)?;
        let name = String::from_utf8_lossy(&now).into_owned();
        tracing::warn!(journal = %name, reason, "a journal is not acted on");
        report.quarantined.push(Quarantined { name, reason: reason.to_owned() });
        Ok(())
    }

    /// A journal is a file that anything can write. It acts where the caller has begun just this
    /// set, and on nothing but the set's own names.
    fn examine(&self, name: &[u8], found: &Found) -> Result<Verdict, FsError> {
        let intent = &found.intent;
        if mutant!(JournalBelieved) {
            return Ok(Verdict::Sound(None));
        }
        if journal::set_of(name) != Some(intent.set.as_str()) {
            return Ok(Verdict::Foreign("it names another set than its file does"));
        }
        let Some(recorded) = self.records.find(&intent.set).map_err(unrecorded)? else {
            return Ok(Verdict::Foreign("no such apply was begun here"));
        };
        let changes = recorded.changes.as_deref();
        if changes.is_some_and(|changes| !intent.makes(changes)) {
            return Ok(Verdict::Foreign("it makes other changes than were approved"));
        }
        if !intent.has_own_slots(changes) {
            return Ok(Verdict::Foreign("it names files that are no slots of its set"));
        }
        Ok(Verdict::Sound(recorded.ended))
    }

    /// Plans the set once more from the caller's record, and writes the journal that it should
    /// have. Whether anything was swapped is told by the disk alone then.
    fn rebuild(&self, set: &str) -> Result<Option<(Journal<D>, Found)>, FsError> {
        let recorded = self.records.find(set).map_err(unrecorded)?;
        let Some(recorded) = recorded else { return Ok(None) };
        let Some(changes) = recorded.changes else { return Ok(None) };
        let emptied_dirs = recorded.emptied_dirs;
        let set = ChangeSet { id: set.to_owned(), changes, emptied_dirs };
        let intent = plan::rebuild(self.cache, &set, recorded.slots)?;
        let disk = self.cache.disk;
        let journal = Journal::create(disk, self.journals, &intent)?;
        journal.sync(disk)?;
        disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/"))?;
        let (progress, swapped, moved_aside) = (Progress::Undecided, false, false);
        Ok(Some((journal, Found { intent, progress, swapped, moved_aside, is_rebuilt: true })))
    }

    /// Brings one set to its end, tells the caller, and removes its journal.
    fn settle(
        &self,
        journal: &Journal<D>,
        found: &Found,
        ended: Option<RecoveredOutcome>,
        record: &mut dyn FnMut(&Recovered) -> io::Result<()>,
    ) -> Result<Recovered, FsError> {
        let disk = self.cache.disk;
        self.cache.note_making_way(found.intent.making_way().cloned());
        let units = &found.intent.units;
        let paths = units
            .iter()
            .flat_map(|unit| [&unit.path, &unit.slot].into_iter().chain(unit.arrives_at()));
        let _locks = dir_locks::take(self.cache, paths)?;
        let recovered = self.finish(journal, found, ended)?;
        tracing::info!(set = %recovered.set, outcome = ?recovered.outcome, "recovered");
        record(&recovered).map_err(FsError::io("record the recovery of", &recovered.set))?;
        match recovered.outcome {
            RecoveredOutcome::InDoubt => journal.park(disk, self.journals, &recovered.set)?,
            _ => journal.remove(disk, self.journals)?,
        }
        Ok(recovered)
    }

    fn finish(
        &self,
        journal: &Journal<D>,
        found: &Found,
        ended: Option<RecoveredOutcome>,
    ) -> Result<Recovered, FsError> {
        let intent = &found.intent;
        let disk = self.cache.disk;
        let swapper = Swapper::new(self.cache);
        let mut findings = Findings::default();
        let outcome = match (ended, found.progress) {
            // The caller records an outcome only once it is durable on the disk.
            (Some(outcome), _) => outcome,
            // Whoever wrote it may have been killed before it was durable.
            (None, Progress::Committed) => {
                journal.sync(disk).map(|()| RecoveredOutcome::Committed)?
            }
            (None, Progress::RolledBack) => {
                journal.sync(disk).map(|()| RecoveredOutcome::RolledBack)?
            }
            (None, Progress::Undecided | Progress::Aborting) => {
                let outcome = match self.refused(intent) {
                    refused if refused.is_empty() => {
                        self.decide(&swapper, journal, found, &mut findings)?
                    }
                    refused => {
                        findings.unresolved = refused;
                        RecoveredOutcome::InDoubt
                    }
                };
                if mutant!(RecoveryUnrecorded) {
                    clean_slots(&swapper, intent, Unknown::Users)?;
                }
                let end = match outcome {
                    RecoveredOutcome::Committed => Some(Record::Committed),
                    RecoveredOutcome::RolledBack => Some(Record::RolledBack),
                    RecoveredOutcome::InDoubt => None,
                };
                if let Some(end) = end {
                    journal.append(disk, &end)?;
                    journal.sync(disk)?;
                }
                outcome
            }
        };
        if outcome != RecoveredOutcome::InDoubt {
            // A slot that is neither base nor staged, in a set that never began to swap, is
            // what the crash left of writing it.
            let is_back = outcome == RecoveredOutcome::RolledBack;
            let unknown = match found.is_rebuilt {
                true => Unknown::Untold,
                false if !found.swapped && is_back => Unknown::UsersOrTorn(self.records.contents()),
                false => Unknown::Users,
            };
            clean_slots(&swapper, intent, unknown)?;
        }
        let (made_dirs, removed_dirs) = match outcome {
            RecoveredOutcome::Committed => {
                remove_emptied(&swapper, intent)?;
                (intent.new_dirs.clone(), intent.removed_dirs())
            }
            _ => (Vec::new(), Vec::new()),
        };
        let Findings { mut edited, restored, unresolved } = findings;
        edited.dedup();
        let named: HashSet<&RelPath> = unresolved.iter().map(|it| &it.path).collect();
        edited.retain(|edited| !named.contains(&edited.path));
        Ok(Recovered {
            set: intent.set.clone(),
            outcome,
            edited,
            kept: swapper.take_kept(),
            made_dirs,
            removed_dirs,
            restored,
            unresolved,
            from_record: found.is_rebuilt,
        })
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
        let conflict =
            |path: &RelPath| Conflict { path: path.clone(), difference: Difference::Refused };
        paths.filter(is_refused).map(conflict).collect()
    }

    /// Goes forward where every unit can, back otherwise; slots that something else removed are
    /// written anew from the store. Where neither way is open, nothing is changed. Durable on
    /// return.
    fn decide(
        &self,
        swapper: &Swapper<'_, '_, D>,
        journal: &Journal<D>,
        found: &Found,
        findings: &mut Findings,
    ) -> Result<RecoveredOutcome, FsError> {
        let intent = &found.intent;
        restore::remove_parts(self.cache, intent)?;
        if !mutant!(SecondNamesKept) {
            self.drop_second_names(swapper, intent)?;
            if !mutant!(HalfReplacedForgotten) {
                move_aside::settle(self.cache, intent)?;
            }
        }
        if found.moved_aside {
            move_aside::settle_way_back(self.cache, intent)?;
        }
        let (mut conditions, was_displaced) = self.settled_conditions(swapper, found)?;
        // Swaps come after barrier 1, so a unit that is done says as much as the record.
        let is_done = |it: &Condition| matches!(it, Condition::Done | Condition::DoneAlone);
        let has_swapped =
            found.swapped || conditions.iter().any(is_done) || mutant!(RecoveryTooEager);
        // Without a journal nothing says that nothing was.
        let may_have_swapped = has_swapped || (found.is_rebuilt && !mutant!(RebuiltUnswapped));
        let may_finish = has_swapped
            && !was_displaced
            && (found.progress != Progress::Aborting || mutant!(AbortIgnored));
        let lookup = Lookup::new(intent);
        let mut left_away = Vec::with_capacity(intent.units.len());
        for (unit, condition) in intent.units.iter().zip(&conditions) {
            // The file can be in the directory that was moved away.
            let is_gone = match condition {
                Condition::Gone(_) => unit.frees_path(),
                Condition::Edited(conflict) => conflict.difference == Difference::Missing,
                _ => false,
            };
            let mut is_away = is_gone && self.is_away(&lookup, &unit.path)?;
            if let (true, Action::Move { to, .. }) = (is_gone, &unit.action) {
                is_away |= self.is_away(&lookup, to)?;
            }
            left_away.push(is_away);
        }
        let goes_on = |index: usize| {
            !left_away[index] && can_go_on(&intent.units[index], &conditions[index], found)
        };
        let mut is_forward = may_finish && (0..intent.units.len()).all(goes_on);
        let lost = undo_lost(intent, &conditions, may_have_swapped);
        if may_finish && !is_forward && !lost.is_empty() {
            // Old content is lost from its slots, so going forward needs less from the store, and
            // keeps more of what only the files themselves have.
            let wanted = staged_lost(intent, &conditions);
            let indices: HashSet<usize> = wanted.iter().map(|(index, _)| *index).collect();
            let is_wanted = |index: usize| indices.contains(&index);
            let can = |index: usize| (is_wanted(index) && !left_away[index]) || goes_on(index);
            if (0..intent.units.len()).all(can) {
                is_forward = self.refill(found, &wanted, findings)?.is_empty();
            }
            if is_forward {
                conditions = self.conditions(found)?;
            }
        }
        findings.edited.extend(conditions.iter().filter_map(|condition| match condition {
            Condition::Conflict(conflict)
            | Condition::Blocked(conflict)
            | Condition::Edited(conflict) => Some(conflict.clone()),
            // Else it is restored, or in doubt.
            Condition::Gone(conflict) if is_forward || !may_have_swapped => Some(conflict.clone()),
            _ => None,
        }));
        let apply = self.apply();
        if is_forward {
            let is_done = |index: usize| {
                matches!(
                    conditions[index],
                    Condition::Done
                        | Condition::DoneAlone
                        | Condition::Gone(_)
                        | Condition::Edited(_)
                )
            };
            match forward(swapper, intent, &is_done) {
                Ok(()) => {
                    if !mutant!(RecoveryBarrierSkipped) {
                        apply.barrier_two(intent)?;
                    }
                    return Ok(RecoveredOutcome::Committed);
                }
                Err((_, Obstacle::Failed(error))) => return Err(error),
                Err((_, Obstacle::Conflict(conflict))) => findings.edited.push(conflict),
            }
            // A step that failed can have left a file aside.
            move_aside::settle(self.cache, intent)?;
            conditions = self.conditions(found)?;
        }
        let foreign = |(unit, condition): (&Unit, &Condition)| {
            let (path, difference) = (unit.path.clone(), Difference::SlotTaken);
            (*condition == Condition::Foreign).then_some(Conflict { path, difference })
        };
        findings.unresolved = intent.units.iter().zip(&conditions).filter_map(foreign).collect();
        if may_have_swapped && !mutant!(AwayForgotten) {
            findings.unresolved.extend(self.arrived_away(intent, &lookup)?);
        }
        let lost = undo_lost(intent, &conditions, may_have_swapped);
        if findings.unresolved.is_empty() && !lost.is_empty() {
            findings.unresolved = self.refill(found, &lost, findings)?;
            move_aside::settle(self.cache, intent)?;
            conditions = self.conditions(found)?;
        }
        if !findings.unresolved.is_empty() {
            return Ok(RecoveredOutcome::InDoubt);
        }
        // From here on the set must not be finished any more, whatever a crash leaves.
        journal.append(self.cache.disk, &Record::Abort)?;
        journal.sync(self.cache.disk)?;
        let touched: Vec<usize> = (0..intent.units.len())
            .filter(|index| match conditions[*index] {
                Condition::Done => true,
                // Nothing but what it had in it is lost with it, and that is brought back.
                Condition::Gone(_) if is_dir(&intent.units[*index]) => may_have_swapped,
                Condition::HalfMoved | Condition::Blocked(_) => !mutant!(HalfMovesForgotten),
                _ => false,
            })
            .collect();
        findings.edited.extend(backward(swapper, intent, &touched)?);
        if !mutant!(RecoveryBarrierSkipped) {
            apply.barrier_two(intent)?;
        }
        Ok(RecoveredOutcome::RolledBack)
    }

    /// Whether the directory of a path, or the one that it was to be made in, is not the one that it
    /// was when the set was planned.
    fn is_away(&self, lookup: &Lookup<'_>, path: &RelPath) -> Result<bool, FsError> {
        let Some((dir, inode)) = lookup.known_dir(path) else { return Ok(false) };
        match self.cache.dir(Some(&dir)) {
            Ok(there) => {
                let there = self.cache.disk.identity(&there);
                Ok(there.map_err(FsError::io("look at", &dir))?.1 != inode)
            }
            Err(error) if error.is_absence() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Files that the set can have changed or brought, and that cannot be taken back, because they
    /// are in a directory that somebody has moved: it may come back.
    fn arrived_away(&self, intent: &Intent, lookup: &Lookup<'_>) -> Result<Vec<Conflict>, FsError> {
        let mut away = Vec::new();
        for unit in &intent.units {
            let is_there = |path: &RelPath| Ok::<_, FsError>(self.cache.stat(path)?.is_some());
            let path = match &unit.action {
                Action::Replace { .. } | Action::SetMode { .. } => &unit.path,
                // What has a slot has not arrived.
                Action::Create { .. } | Action::Move { .. } if is_there(&unit.slot)? => continue,
                Action::Create { .. } => &unit.path,
                // It goes back the way that it came.
                Action::Move { to, .. } if is_there(to)? => &unit.path,
                Action::Move { to, .. } => to,
                Action::Delete { .. } | Action::RemoveDir { .. } => continue,
            };
            if !is_there(path)? && self.is_away(lookup, path)? {
                let (path, difference) = (path.clone(), Difference::DirectoryAway);
                away.push(Conflict { path, difference });
            }
        }
        Ok(away)
    }

    /// Writes slots anew and notes their files; returns those for which the store cannot.
    fn refill(
        &self,
        found: &Found,
        wanted: &[Wanted],
        findings: &mut Findings,
    ) -> Result<Vec<Conflict>, FsError> {
        let intent = &found.intent;
        let missing = restore::refill(self.cache, intent, wanted, self.records.contents())?;
        if missing.is_empty() {
            let paths = wanted.iter().map(|(index, _)| intent.units[*index].path.clone());
            findings.restored.extend(paths);
        }
        Ok(missing)
    }

    /// Where every unit stands, once what does not belong in a slot is out of it; whether a
    /// user's version was put back.
    fn settled_conditions(
        &self,
        swapper: &Swapper<'_, '_, D>,
        found: &Found,
    ) -> Result<(Vec<Condition>, bool), FsError> {
        let intent = &found.intent;
        let mut conditions = self.conditions(found)?;
        let displaced: Vec<usize> = (0..intent.units.len())
            .filter(|index| conditions[*index] == Condition::Displaced)
            .filter(|_| !mutant!(DisplacedIgnored))
            .collect();
        for &index in &displaced {
            let unit = &intent.units[index];
            match &unit.action {
                Action::Replace { staged, .. } => swapper.put_back(unit, staged)?,
                Action::RemoveDir { dirs } => swapper.dir_back(unit, dirs)?,
                _ => swapper.back_from_aside(unit, None)?,
            }
        }
        let mut has_moved = !displaced.is_empty();
        for (unit, condition) in intent.units.iter().zip(&conditions) {
            // Where it cannot be moved away, it stays in the way.
            if *condition == Condition::Foreign {
                swapper.keep(unit)?;
                has_moved = true;
            }
        }
        if has_moved {
            conditions = self.conditions(found)?;
        }
        Ok((conditions, !displaced.is_empty()))
    }

    fn conditions(&self, found: &Found) -> Result<Vec<Condition>, FsError> {
        let intent = &found.intent;
        let lookup = Lookup::new(intent);
        intent
            .units
            .iter()
            .map(|unit| {
                inspect(
                    self.cache,
                    unit,
                    found.moved_aside,
                    &|path| self.still_there(&lookup, path),
                    &|path, state| self.is_brought(&lookup, path, state),
                    &|path, state| self.is_to_leave(&lookup, path, state),
                )
            })
            .collect()
    }

    /// Whether the set has brought what is at a path: a unit's file, or a directory for one.
    fn is_brought(
        &self,
        lookup: &Lookup<'_>,
        path: &RelPath,
        state: &FileState,
    ) -> Result<bool, FsError> {
        if *state == FileState::Other(FileKind::Directory) && !mutant!(NewDirectoriesForgotten) {
            return Ok(lookup.is_new_dir(path));
        }
        for unit in lookup.arriving(path) {
            let is_it = match &unit.action {
                Action::Create { staged, .. } => state.is_arrived(staged, unit.stamp),
                // A file that recovery wrote anew has another number.
                Action::Move { base, inode, .. } => {
                    state.inode().is_some_and(|(_, now)| now == *inode)
                        || (state.matches(base)
                            && has_left(&self.cache.file_state(&unit.path)?, base, *inode)
                            && self.cache.stat(&unit.slot)?.is_none())
                }
                _ => false,
            };
            if is_it {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this is still the very file that the set takes away from a path. Its slot being
    /// absent does not tell: a file that has moved has left it.
    fn is_to_leave(
        &self,
        lookup: &Lookup<'_>,
        path: &RelPath,
        state: &FileState,
    ) -> Result<bool, FsError> {
        if mutant!(CyclesForgotten) {
            return Ok(false);
        }
        let is_it = |unit: &Unit| match unit.base() {
            Some(base) => state.matches(&base),
            // A directory that is still to make way.
            None => state.is_directory(),
        };
        for unit in lookup.leaving(path).iter().filter(|unit| is_it(unit)) {
            if self.cache.stat(&unit.slot)?.is_none() && !self.is_brought(lookup, path, state)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the file at a path is still the one that the set takes away from it.
    fn still_there(&self, lookup: &Lookup<'_>, path: &RelPath) -> Result<bool, FsError> {
        for unit in lookup.leaving(path) {
            if self.cache.stat(&unit.slot)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A file system that writes its directories in any order can show both names of a
    /// rename after a power cut. One inode, one content: the extra name goes.
    fn drop_second_names(
        &self,
        swapper: &Swapper<'_, '_, D>,
        intent: &Intent,
    ) -> Result<(), FsError> {
        let cache = self.cache;
        for unit in &intent.units {
            let Action::Move { inode, to, .. } = &unit.action else { continue };
            let has = |path: &RelPath| {
                Ok::<_, FsError>(cache.stat(path)?.is_some_and(|stat| stat.inode == *inode))
            };
            let (at_path, in_slot, at_goal) = (has(&unit.path)?, has(&unit.slot)?, has(to)?);
            if in_slot && (at_path || at_goal) {
                cache.drop_name(&unit.slot, if at_goal { to } else { &unit.path })?;
            }
            if at_path && at_goal {
                self.drop_name(swapper, unit, to, *inode)?;
            }
        }
        Ok(())
    }

    /// Drops one of an inode's two names by way of the slot, so that a file that a user
    /// puts there in the same moment is moved, seen and given back, not unlinked.
    fn drop_name(
        &self,
        swapper: &Swapper<'_, '_, D>,
        unit: &Unit,
        name: &RelPath,
        inode: u64,
    ) -> Result<(), FsError> {
        let cache = self.cache;
        cache.rename_to_own(name, &unit.slot)?;
        if cache.stat(&unit.slot)?.is_some_and(|stat| stat.inode == inode) {
            return cache.remove_name(&unit.slot);
        }
        match cache.rename_own_to(&unit.slot, name) {
            Err(error) if error.is(io::ErrorKind::AlreadyExists) => swapper.keep(unit),
            answer => answer,
        }
    }

    fn apply(&self) -> Apply<'_, '_, D> {
        Apply { cache: self.cache, journals: self.journals, policy: self.policy }
    }
}

/// Whether nothing is left to do for a unit, or what is left can be done.
fn can_go_on(unit: &Unit, condition: &Condition, found: &Found) -> bool {
    match condition {
        Condition::Done | Condition::DoneAlone | Condition::Edited(_) => true,
        // Only the record says that a slot is finished and durable: before barrier 1 one can
        // have its content and mode and lack its owner and attributes.
        Condition::Waiting | Condition::HalfMoved => found.swapped || mutant!(RecoveryTooEager),
        // A deletion is at its goal, a move is not.
        Condition::Gone(_) => matches!(unit.action, Action::Delete { .. }) || is_dir(unit),
        _ => false,
    }
}

/// The units whose new content is needed to go forward and is in no slot.
fn staged_lost(intent: &Intent, conditions: &[Condition]) -> Vec<Wanted> {
    let lost = |(index, condition): (usize, &Condition)| match condition {
        Condition::Bare => Some((index, Refill::Staged)),
        // The content of a file that moves is its old one.
        Condition::Gone(_) if matches!(intent.units[index].action, Action::Move { .. }) => {
            Some((index, Refill::Base))
        }
        _ => None,
    };
    conditions.iter().enumerate().filter_map(lost).collect()
}

/// The units whose old content is needed to go back and is in no slot. Where nothing was swapped,
/// a file that is gone was taken away by a user.
fn undo_lost(intent: &Intent, conditions: &[Condition], may_have_swapped: bool) -> Vec<Wanted> {
    let lost = |(index, condition): (usize, &Condition)| match condition {
        Condition::DoneAlone => Some((index, Refill::Base)),
        Condition::Gone(_) if is_dir(&intent.units[index]) => None,
        Condition::Gone(_) if may_have_swapped => Some((index, Refill::Base)),
        _ => None,
    };
    debug_assert_eq!(intent.units.len(), conditions.len());
    conditions.iter().enumerate().filter_map(lost).collect()
}

fn is_dir(unit: &Unit) -> bool {
    matches!(unit.action, Action::RemoveDir { .. })
}

fn unrecorded(source: io::Error) -> FsError {
    FsError::Records { source }
}
