//! Prepare, intent, barrier 1, swaps, barrier 2: a set's way to the disk.

use std::collections::{BTreeMap, BTreeSet};

use crate::change_set::{Change, ChangeSet, Expected, Operation};
use crate::conflicts::Kept;
use crate::content::ContentSource;
use crate::disk::{Disk, FileKind};
use crate::error::{Conflict, Difference, FsError, Refusal};
use crate::ground::{Ground, Held, is_absence};
use crate::intent::{Action, Intent, Terrain, Unit, check_consistency};
use crate::journal::{Journal, Record};
use crate::parallel;
use crate::policy::Policy;
use crate::rel_path::RelPath;
use crate::slot;
use crate::swap::{Obstacle, Swapper};

/// What an apply came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// All of it is on disk, and survives a power cut.
    Committed,
    /// Files are not what was expected. Nothing has changed.
    Conflicts(Vec<Conflict>),
    /// Something failed. Nothing has changed, and a power cut does not change that.
    RolledBack(FsError),
    /// A sync failed after the swaps: recovery decides at the next start, and until
    /// then both outcomes are possible.
    InDoubt(FsError),
}

/// An apply's answer.
#[must_use]
#[derive(Debug)]
pub struct Applied {
    /// What it came to.
    pub outcome: Outcome,
    /// What is left to tidy up, to be given to `clean_up` and then `forget` under the
    /// same lock; `None` when nothing of it is left, or when recovery must decide.
    pub unfinished: Option<Unfinished>,
    /// User's edits that could not be put back in place and went to `conflicts/`.
    pub kept: Vec<Kept>,
    /// Files that a user edited in the middle of the set; their edits stand.
    pub edited: Vec<Conflict>,
}

/// A set whose outcome is durable but whose slots and journal still lie about.
#[derive(Debug)]
pub struct Unfinished {
    pub(crate) intent: Intent,
    pub(crate) record: Record,
}

/// A set on its way.
pub(crate) struct Apply<'g, 'a, D: Disk> {
    pub ground: &'g Ground<'a, D>,
    pub journals: &'a D::Dir,
    pub policy: &'g Policy,
}

impl<D: Disk> Apply<'_, '_, D> {
    /// Runs the whole protocol.
    pub(crate) fn run(&self, set: &ChangeSet, source: &dyn ContentSource) -> Applied {
        let intent = match self.plan(set) {
            Ok(intent) => intent,
            Err(outcome) => return Applied::unchanged(outcome),
        };
        let disk = self.ground.disk;
        let mut journal = match Journal::create(disk, self.journals, &intent) {
            Ok(journal) => journal,
            Err(error) => return Applied::unchanged(Outcome::RolledBack(error)),
        };
        if let Err(error) = self.barrier_one(&intent, &journal, source) {
            return self.abandon(&intent, &mut journal, error);
        }
        if let Err(error) = journal.append(disk, &Record::Swapping) {
            return self.abandon(&intent, &mut journal, error);
        }
        let swapper = Swapper::new(self.ground);
        let mut applied = match forward(&swapper, &intent, &|_| false) {
            Ok(()) => match self.barrier_two(&intent) {
                Ok(()) => Applied::with(Outcome::Committed, intent, Record::Committed),
                Err(error) => Applied::unchanged(Outcome::InDoubt(error)),
            },
            Err((done, obstacle)) => {
                self.roll_back(&swapper, intent, &mut journal, &done, obstacle)
            }
        };
        applied.kept = swapper.take_kept();
        applied
    }

    /// Checks every file against its expectation, and plans.
    fn plan(&self, set: &ChangeSet) -> Result<Intent, Outcome> {
        check_consistency(set).map_err(Outcome::RolledBack)?;
        let freed: BTreeSet<&RelPath> = set
            .changes
            .iter()
            .filter(|change| {
                matches!(change.operation, Operation::Delete | Operation::Rename { .. })
            })
            .map(|change| &change.path)
            .collect();
        let answers =
            parallel::for_each(self.ground.disk.calls_in_flight(), set.changes.len(), |index| {
                self.check(&set.changes[index], &freed)
            });
        let mut conflicts = Vec::new();
        let mut seen = Seen { ground: self.ground, inodes: BTreeMap::new() };
        for (change, answer) in set.changes.iter().zip(answers) {
            match answer {
                Ok(Ok(inode)) => {
                    if matches!(change.expected, Expected::Matches(_)) {
                        seen.inodes.insert(change.path.clone(), inode);
                    }
                }
                Ok(Err(conflict)) => conflicts.push(conflict),
                Err(error) => return Err(Outcome::RolledBack(error)),
            }
        }
        if !conflicts.is_empty() {
            return Err(Outcome::Conflicts(conflicts));
        }
        Intent::plan(set, &seen).map_err(Outcome::RolledBack)
    }

    fn check(
        &self,
        change: &Change,
        freed: &BTreeSet<&RelPath>,
    ) -> Result<Result<u64, Conflict>, FsError> {
        self.policy.check_change(change)?;
        self.check_parents(&change.path, freed)?;
        let held = self.ground.held(&change.path)?;
        let conflict =
            |path: &RelPath, difference| Ok(Err(Conflict { path: path.clone(), difference }));
        let inode = match change.expected {
            Expected::Absent if held == Held::Absent || freed.contains(&change.path) => 0,
            Expected::Absent => return conflict(&change.path, Difference::Exists),
            Expected::Matches(base) => {
                if let Some(difference) = held.difference(&base) {
                    return conflict(&change.path, difference);
                }
                let Held::File { stat, .. } = held else {
                    return conflict(&change.path, Difference::Kind);
                };
                self.policy.check_file(&change.path, &stat)?;
                if matches!(change.operation, Operation::Write(_) | Operation::Delete) {
                    self.ground.refuse_if_busy(&change.path)?;
                }
                stat.inode
            }
        };
        if let Operation::Rename { to, .. } = &change.operation {
            self.check_parents(to, freed)?;
            if !freed.contains(to) && self.ground.stat(to)?.is_some() {
                return conflict(to, Difference::Exists);
            }
        }
        Ok(Ok(inode))
    }

    /// Refuses a path whose parents are no directories, unless the set removes the
    /// file that stands in the way.
    fn check_parents(&self, path: &RelPath, freed: &BTreeSet<&RelPath>) -> Result<(), FsError> {
        let mut parent = path.parent();
        while let Some(dir) = parent {
            match self.ground.dir(Some(&dir)) {
                Ok(_) => return Ok(()),
                Err(error) if is_absence(&error) => {
                    let there = self.ground.stat(&dir)?;
                    if there.is_some_and(|stat| stat.kind != FileKind::Directory)
                        && !freed.contains(&dir)
                    {
                        let refusal = Refusal::ParentNotADirectory;
                        return Err(FsError::Refused { path: path.clone(), refusal });
                    }
                }
                Err(error) => return Err(error),
            }
            parent = dir.parent();
        }
        Ok(())
    }

    /// Writes and syncs all slots, and syncs the journal and its name.
    ///
    /// The slots' names are not synced: a slot whose name a power cut took away is a
    /// unit that was not swapped, and recovery then takes the others back.
    fn barrier_one(
        &self,
        intent: &Intent,
        journal: &Journal<D>,
        source: &dyn ContentSource,
    ) -> Result<(), FsError> {
        let disk = self.ground.disk;
        let slots: Vec<&Unit> = intent.units.iter().filter(|u| u.staged().is_some()).collect();
        let tasks = slots.len() + 2;
        parallel::for_each(disk.calls_in_flight(), tasks, |index| match index.checked_sub(2) {
            Some(slot) => {
                let unit = slots[slot];
                let staged = unit.staged().expect("units without a slot were left out");
                slot::write(self.ground, unit, &staged, source)
            }
            None if index == 0 => journal.sync(disk),
            None => disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/")),
        })
        .into_iter()
        .collect()
    }

    /// Syncs each directory that a swap touched once, and each file whose mode
    /// changed.
    pub(crate) fn barrier_two(&self, intent: &Intent) -> Result<(), FsError> {
        let disk = self.ground.disk;
        let dirs: Vec<Option<RelPath>> = touched_dirs(intent).into_iter().collect();
        let chmodded: Vec<&Unit> = intent
            .units
            .iter()
            .filter(|unit| matches!(unit.action, Action::SetMode { .. }))
            .collect();
        parallel::for_each(disk.calls_in_flight(), dirs.len() + chmodded.len(), |index| {
            if let Some(dir) = dirs.get(index) {
                let opened = match self.ground.dir(dir.as_ref()) {
                    Ok(opened) => opened,
                    // Made for the set and taken away again, or removed by the user:
                    // there are no names in it to make durable.
                    Err(error) if is_absence(&error) => return Ok(()),
                    Err(error) => return Err(error),
                };
                let shown = dir.as_ref().map_or_else(|| ".".to_owned(), ToString::to_string);
                return disk.sync_dir(&opened).map_err(FsError::io("sync the directory", shown));
            }
            let path = &chmodded[index - dirs.len()].path;
            let parent = self.ground.parent(path)?;
            let file = match disk.open_file(&parent, path.file_name()) {
                Ok(file) => file,
                // Removed by the user since: there is no mode left to make durable.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(FsError::io("open", path)(error)),
            };
            disk.sync_file(&file).map_err(FsError::io("sync the mode of", path))
        })
        .into_iter()
        .collect()
    }

    /// Nothing has been swapped: removes the slots and the journal.
    fn abandon(&self, intent: &Intent, journal: &mut Journal<D>, cause: FsError) -> Applied {
        let disk = self.ground.disk;
        let tidied = remove_untouched_slots(self.ground, intent).and_then(|()| {
            // A journal that came back after a power cut would tell recovery of a set
            // that nobody waits for, so its end is made durable one way or another.
            let ended = journal
                .append(disk, &Record::RolledBack)
                .and_then(|()| journal.sync(disk))
                .and_then(|()| journal.remove(disk, self.journals));
            ended.or_else(|_| {
                journal.remove(disk, self.journals)?;
                disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/"))
            })
        });
        if let Err(error) = tidied {
            tracing::warn!(set = %intent.set, %error, "slots stay until recovery");
        }
        Applied::unchanged(Outcome::RolledBack(cause))
    }

    /// Takes back the units that are done, in reverse, and makes that durable before
    /// it is reported.
    fn roll_back(
        &self,
        swapper: &Swapper<'_, '_, D>,
        intent: Intent,
        journal: &mut Journal<D>,
        done: &[usize],
        obstacle: Obstacle,
    ) -> Applied {
        let disk = self.ground.disk;
        let recorded = journal.append(disk, &Record::Abort);
        let undone = backward(swapper, &intent, done).and_then(|edited| {
            let synced = parallel::for_each(disk.calls_in_flight(), 2, |index| match index {
                0 if recorded.is_ok() => journal.sync(disk),
                0 => Ok(()),
                _ => self.barrier_two(&intent),
            });
            synced.into_iter().collect::<Result<(), _>>()?;
            if recorded.is_err() {
                // Without a record that forbids it, recovery would finish the set; so
                // what it would finish it with goes, and the journal after it.
                clean_slots(swapper, &intent, false)?;
                journal.remove(disk, self.journals)?;
                disk.sync_dir(self.journals).map_err(FsError::io("sync", "journal/"))?;
            }
            Ok(edited)
        });
        let edited = match undone {
            Ok(edited) => edited,
            Err(error) => return Applied::unchanged(Outcome::InDoubt(error)),
        };
        let outcome = match obstacle {
            Obstacle::Conflict(conflict) => Outcome::Conflicts(vec![conflict]),
            Obstacle::Failed(error) => Outcome::RolledBack(error),
        };
        if recorded.is_err() {
            return Applied { edited, ..Applied::unchanged(outcome) };
        }
        Applied { edited, ..Applied::with(outcome, intent, Record::RolledBack) }
    }
}

impl Applied {
    pub(crate) fn unchanged(outcome: Outcome) -> Self {
        Self { outcome, unfinished: None, kept: Vec::new(), edited: Vec::new() }
    }

    fn with(outcome: Outcome, intent: Intent, record: Record) -> Self {
        let unfinished = Some(Unfinished { intent, record });
        Self { unfinished, ..Self::unchanged(outcome) }
    }
}

/// The order in which units are swapped: first what frees paths, then what fills
/// them; new directories come between, since a file may make way for one.
fn phase(action: &Action) -> u8 {
    match action {
        Action::Delete { .. } | Action::Move { .. } => 0,
        Action::Replace { .. } => 1,
        Action::Create { .. } => 2,
        Action::SetMode { .. } => 3,
    }
}

fn in_order(intent: &Intent) -> Vec<usize> {
    let mut order: Vec<usize> = (0..intent.units.len()).collect();
    order.sort_by_key(|index| phase(&intent.units[*index].action));
    order
}

/// Makes every step that `is_done` does not know to be made already. On an obstacle
/// returns the units that may have been touched, in the order in which they were.
pub(crate) fn forward<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    progress: &dyn Fn(usize) -> bool,
) -> Result<(), (Vec<usize>, Obstacle)> {
    let order = in_order(intent);
    let mut touched = Vec::new();
    let result = (|| {
        for &index in order.iter().filter(|index| !progress(**index)) {
            let unit = &intent.units[index];
            if let Action::Delete { base } | Action::Move { base, .. } = &unit.action {
                // Noted before the step: a step that fails may have got half-way, and
                // taking it back looks first.
                touched.push(index);
                if matches!(unit.action, Action::Move { .. }) && is_half_moved(swapper, unit)? {
                    continue;
                }
                swapper.set_aside(unit, base)?;
            }
        }
        for dir in &intent.new_dirs {
            swapper.make_dir(dir)?;
        }
        for &index in order.iter().filter(|index| !progress(**index)) {
            let unit = &intent.units[index];
            if !unit.frees_path() {
                touched.push(index);
            }
            match &unit.action {
                Action::Replace { base, staged } => swapper.replace(unit, base, staged)?,
                Action::Create { .. } => swapper.arrive(unit, &unit.path)?,
                Action::Move { to, .. } => swapper.arrive(unit, to)?,
                Action::SetMode { base, mode } => swapper.set_mode(unit, base, *mode)?,
                Action::Delete { .. } => {}
            }
        }
        Ok(())
    })();
    result.map_err(|obstacle| (touched, obstacle))
}

fn is_half_moved<D: Disk>(swapper: &Swapper<'_, '_, D>, unit: &Unit) -> Result<bool, FsError> {
    Ok(swapper.ground.stat(&unit.slot)?.is_some())
}

/// Takes units back in reverse, then the directories that were made.
pub(crate) fn backward<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    touched: &[usize],
) -> Result<Vec<Conflict>, FsError> {
    let mut edited = Vec::new();
    // All that arrived departs before anything that was set aside comes back: a path
    // may have been freed for another unit of the set.
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if let Action::Move { to, base, .. } = &unit.action {
            if swapper.ground.stat(&unit.slot)?.is_none() {
                edited.extend(swapper.depart(unit, to, base)?);
            }
        } else if !unit.frees_path() {
            edited.extend(swapper.undo(unit)?);
        }
    }
    for dir in intent.new_dirs.iter().rev() {
        swapper.remove_dir(dir)?;
    }
    for &index in touched.iter().rev() {
        let unit = &intent.units[index];
        if unit.frees_path() {
            swapper.back_from_aside(unit)?;
        }
    }
    Ok(edited)
}

/// Every directory in which a name may have changed.
fn touched_dirs(intent: &Intent) -> BTreeSet<Option<RelPath>> {
    let mut dirs = BTreeSet::new();
    for unit in &intent.units {
        if matches!(unit.action, Action::SetMode { .. }) {
            continue;
        }
        dirs.insert(unit.slot.parent());
        dirs.insert(unit.path.parent());
        dirs.extend(unit.arrives_at().map(RelPath::parent));
    }
    for dir in &intent.new_dirs {
        dirs.insert(dir.parent());
        dirs.insert(Some(dir.clone()));
    }
    dirs
}

/// Removes what is left in the slots of a set whose outcome is durable. What is
/// neither base nor staged is a user's and goes to `conflicts/`, except where
/// `torn` says that it can only be what a crash left of a write.
pub(crate) fn clean_slots<D: Disk>(
    swapper: &Swapper<'_, '_, D>,
    intent: &Intent,
    torn: bool,
) -> Result<(), FsError> {
    let ground = swapper.ground;
    parallel::for_each(ground.disk.calls_in_flight(), intent.units.len(), |index| {
        let unit = &intent.units[index];
        let held = ground.held(&unit.slot)?;
        let base = unit.base().map(|base| base.digest);
        let staged = unit.staged().map(|staged| staged.digest);
        match held.content() {
            None if held == Held::Absent => Ok(()),
            content if content.is_some() && (content == base || content == staged) => {
                remove(ground, &unit.slot)
            }
            _ if torn => remove(ground, &unit.slot),
            _ => swapper.keep(unit),
        }
    })
    .into_iter()
    .collect()
}

/// Removes slots that were written but never swapped, whole or not.
fn remove_untouched_slots<D: Disk>(ground: &Ground<'_, D>, intent: &Intent) -> Result<(), FsError> {
    for unit in intent.units.iter().filter(|unit| unit.staged().is_some()) {
        remove(ground, &unit.slot)?;
    }
    Ok(())
}

/// Removes a name, which may be gone already.
pub(crate) fn remove<D: Disk>(ground: &Ground<'_, D>, slot: &RelPath) -> Result<(), FsError> {
    let parent = match ground.parent(slot) {
        Ok(parent) => parent,
        Err(error) if is_absence(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    match ground.disk.remove_file(&parent, slot.file_name()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FsError::io("remove", slot)(error))
        }
        _ => Ok(()),
    }
}

/// What planning needs, answered from the checks that were just made.
struct Seen<'g, 'a, D: Disk> {
    ground: &'g Ground<'a, D>,
    inodes: BTreeMap<RelPath, u64>,
}

impl<D: Disk> Terrain for Seen<'_, '_, D> {
    fn inode(&self, path: &RelPath) -> Option<u64> {
        self.inodes.get(path).copied()
    }

    fn is_directory(&self, path: &RelPath) -> Result<bool, FsError> {
        match self.ground.dir(Some(path)) {
            Ok(_) => Ok(true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn same_device(&self, one: &RelPath, other: &RelPath) -> Result<bool, FsError> {
        let device = |path: &RelPath| {
            let mut parent = path.parent();
            loop {
                match self.ground.dir(parent.as_ref()) {
                    Ok(dir) => {
                        return self.ground.disk.device(&dir).map_err(FsError::io("look at", path));
                    }
                    Err(error) if is_absence(&error) && parent.is_some() => {
                        parent = parent.as_ref().and_then(RelPath::parent);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(device(one)? == device(other)?)
    }
}
