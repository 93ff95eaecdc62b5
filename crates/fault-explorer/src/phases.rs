//! What is explored: crashes, faults, and users' edits, over one scenario at a time.

use atomic_fs::simulated::{Answer, CallKind, Persistence, Renames, StateCap};

use crate::case::Violation;
use crate::counts::Counts;
use crate::plan::{EIO, Edit, How, Lasting, Mishap, Plan};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::search::{Bounds, Search, Verdict};
use crate::snapshot::{Snapshot, Thing};
use crate::stage::{Bench, Ending, Run, Terms};

mod windows;

/// One piece of work, independent of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The scenario's name.
    pub scenario: String,
    /// Which kinds of rename the file system knows.
    pub renames: Renames,
    /// What is explored.
    pub phase: Phase,
}

/// What is explored over a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every crash under a model.
    Crashes {
        /// The model.
        model: Persistence,
        /// Where the sets that fail or meet an edit half-way are crashed as well.
        obstacles: Obstacles,
        /// How many crashes follow inside recovery.
        depth: u8,
        /// And one more at every so-many-th state.
        deeper_every: usize,
        /// How many states a crash point has before it is sampled.
        cap: usize,
        /// What samples are drawn by.
        seed: u64,
    },
    /// A kill at every point, and a power cut at every point of the recovery that follows, with
    /// and without a user who removes a file, or changes a mode, once it has answered.
    CutsAfterKills {
        /// The model.
        model: Persistence,
        /// As above.
        obstacles: Obstacles,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// A user's edit after every power cut, before recovery.
    EditsAfterCuts {
        /// The model.
        model: Persistence,
        /// As above.
        cap: usize,
        /// As above.
        seed: u64,
    },
    /// Staged content that is not what was approved.
    DamagedContent,
    /// Every call fails with every errno it can give.
    Faults,
    /// The same at every call of every recovery from a kill.
    FaultsInRecovery,
    /// Every two calls fail, and every call followed by a device that stays bad; then the process
    /// ends, or power is cut.
    FaultPairs {
        /// The model.
        model: Persistence,
    },
    /// A user's edit before every call, alone and with a kill at every later point.
    Races {
        /// Whether the file system grants leases.
        leases: bool,
    },
    /// A failure at every call that moves a name, and a user's edit before every call of
    /// what takes the set back.
    RacesInRollback,
    /// A failure at every call of a set that changes a mode, the user's own change of that mode
    /// before every call after it, and a crash at every later point.
    ModesInRollback {
        /// The model.
        model: Persistence,
    },
    /// A user's edit before every call of every recovery from a kill.
    RacesInRecovery,
    /// Two edits anywhere, by chance, with a crash at every later point.
    RacesInPairs {
        /// The model.
        model: Persistence,
        /// How many.
        count: usize,
        /// What they are drawn by.
        seed: u64,
    },
    /// A save in place before each call that moves a name, which waits for a lease where there is
    /// one, and another save before every call after it, with a crash at every later point.
    SavesInTurn {
        /// The model.
        model: Persistence,
        /// What is sampled by.
        seed: u64,
    },
    /// Files that a user holds open on Windows, before every call and for some time.
    HeldShut,
    /// A user's edits before a replacement and between its halves.
    RacesInReplacement,
    /// An edit in the apply, a power cut at some later point, and another edit in recovery,
    /// all by chance. A third of the later edits bring back what was there before the set, and
    /// a third bring what was approved.
    EditsAroundCuts {
        /// The model.
        model: Persistence,
        /// How many applies.
        count: usize,
        /// What they are drawn by.
        seed: u64,
    },
}

/// Which obstacles a set meets before it is crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacles {
    /// None.
    No,
    /// A failure at each call that moves a name.
    Moves,
    /// A failure at each call that changes something or syncs, and an edit before each
    /// that moves a name.
    All,
}

impl Phase {
    /// Two faults, after which the process ends.
    pub const PAIRS: Self = Self::FaultPairs { model: Persistence::Kill };

    /// The heading under which it is counted.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Crashes { model, .. }
            | Self::CutsAfterKills { model, .. }
            | Self::EditsAfterCuts { model, .. } => model.word(),
            Self::Faults | Self::FaultsInRecovery | Self::DamagedContent => "faults",
            Self::FaultPairs { .. } => "fault pairs",
            Self::Races { .. }
            | Self::RacesInRollback
            | Self::ModesInRollback { .. }
            | Self::RacesInRecovery
            | Self::HeldShut
            | Self::RacesInReplacement
            | Self::RacesInPairs { model: Persistence::Kill, .. } => "races",
            Self::RacesInPairs { model, .. }
            | Self::SavesInTurn { model, .. }
            | Self::EditsAroundCuts { model, .. } => match model {
                Persistence::Kill => "edit pairs, kill",
                Persistence::Weak => "edit pairs, weak",
                Persistence::Ordered => "edit pairs, ordered",
                Persistence::Treelog => "edit pairs, treelog",
                Persistence::Ntfs => "edit pairs, ntfs",
            },
        }
    }
}

/// What a job came to.
pub struct Outcome {
    /// What was explored.
    pub counts: Counts,
    /// The first promise that was broken.
    pub violation: Option<Box<Violation>>,
}

impl Job {
    /// The heading under which it is counted.
    pub fn heading(&self) -> String {
        match self.renames {
            Renames::All => self.phase.heading().to_owned(),
            renames => format!("{}, {}", self.phase.heading(), renames.word()),
        }
    }

    /// Does it.
    pub fn run(&self, bench: &Bench) -> Outcome {
        let scenario = Scenario::over(&self.scenario, self.renames);
        let mut scenario = scenario.expect("jobs name scenarios that exist");
        if self.phase == Phase::DamagedContent {
            scenario.content.damage();
        }
        let (model, bounds, leases) = match self.phase {
            Phase::Crashes { model, depth, deeper_every, cap, seed, .. } => {
                let cap = StateCap { contents: cap, names: cap, seed };
                (model, Bounds { cap, depth, deeper_every }, true)
            }
            Phase::CutsAfterKills { model, cap, seed, .. }
            | Phase::EditsAfterCuts { model, cap, seed } => {
                let cap = StateCap { contents: cap, names: cap, seed };
                (model, Bounds { cap, depth: 0, deeper_every: 0 }, true)
            }
            Phase::FaultPairs { model } | Phase::ModesInRollback { model }
                if model != Persistence::Kill =>
            {
                let cap = StateCap { contents: 4, names: 8, seed: 0 };
                (model, Bounds { cap, depth: 0, deeper_every: 0 }, true)
            }
            Phase::RacesInPairs { model, seed, .. }
            | Phase::SavesInTurn { model, seed }
            | Phase::EditsAroundCuts { model, seed, .. }
                if model != Persistence::Kill =>
            {
                let cap = StateCap { contents: 6, names: 12, seed };
                (model, Bounds { cap, depth: 0, deeper_every: 0 }, true)
            }
            Phase::Races { leases } => (Persistence::Kill, Bounds::kill(), leases),
            _ => (Persistence::Kill, Bounds::kill(), true),
        };
        let terms = Terms { leases, renames: self.renames, described: false };
        let search = Search::new(bench, &scenario, model, terms, bounds);
        let mut work = Work { scenario: &scenario, renames: self.renames, search };
        let verdict = work.explore(self.phase);
        Outcome { counts: work.search.counts, violation: verdict.err() }
    }
}

struct Work<'a> {
    scenario: &'a Scenario,
    renames: Renames,
    search: Search<'a>,
}

impl Work<'_> {
    fn explore(&mut self, phase: Phase) -> Verdict {
        let renames = self.renames;
        match phase {
            Phase::Crashes { obstacles, .. } => {
                self.crashes(obstacles, &mut |search, run| search.crash_everywhere(run))
            }
            Phase::CutsAfterKills { obstacles, .. } => {
                let mut edits = Vec::new();
                for path in self.scenario.paths() {
                    edits.push(edit(&path, How::Remove, ""));
                    edits.extend(self.modes_of(&path).map(|how| edit(&path, how, "")));
                }
                self.crashes(obstacles, &mut |search, run| {
                    search.cut_recoveries_from_kills(run, &edits)
                })
            }
            Phase::EditsAfterCuts { .. } => self.edits_after_cuts(),
            Phase::DamagedContent => self.damaged_content(),
            Phase::Faults => self.faults(),
            Phase::FaultsInRecovery => self.in_recovery(&|run| {
                let calls = run.steps.iter().enumerate();
                calls
                    .flat_map(|(call, step)| {
                        let ways = mishaps(step.kind, renames).iter();
                        ways.map(move |mishap| Plan::fault(call, *mishap))
                    })
                    .collect()
            }),
            Phase::FaultPairs { .. } => self.fault_pairs(),
            Phase::ModesInRollback { .. } => self.modes_in_rollback(),
            Phase::Races { leases } => self.races(leases),
            Phase::RacesInRecovery => {
                let edits = self.edits("in recovery");
                self.in_recovery(&|run| {
                    let all = (0..=run.steps.len())
                        .flat_map(|call| edits.iter().map(move |edit| (call, edit.clone())));
                    all.map(|(call, edit)| Plan::edit(call, edit)).collect()
                })
            }
            Phase::RacesInRollback => self.races_in_rollback(),
            Phase::RacesInPairs { count, seed, .. } => self.races_in_pairs(count, seed),
            Phase::SavesInTurn { .. } => self.saves_in_turn(),
            Phase::HeldShut => self.held_shut(),
            Phase::RacesInReplacement => self.races_in_replacement(),
            Phase::EditsAroundCuts { count, seed, .. } => self.edits_around_cuts(count, seed),
        }
    }

    /// Crashes a set in this way, and the same set with each of the obstacles.
    fn crashes(
        &mut self,
        obstacles: Obstacles,
        crash: &mut dyn FnMut(&mut Search<'_>, &Run) -> Verdict,
    ) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        crash(&mut self.search, &plain)?;
        if obstacles == Obstacles::No {
            return Ok(());
        }
        for (call, step) in plain.steps.iter().enumerate() {
            let kind = step.kind;
            // A mode is changed in place.
            let moves = kind.moves_names() || kind == CallKind::SetMode;
            let changes = kind.is_mutating() || kind.is_sync();
            if moves || (obstacles == Obstacles::All && changes) {
                let run = self.search.apply(&Plan::fault(call, Mishap::Fails(EIO)))?;
                crash(&mut self.search, &run)?;
            }
            if obstacles == Obstacles::All && kind == CallKind::SyncFile {
                let run = self.search.apply(&Plan::fault(call, Mishap::SyncDrops(EIO)))?;
                crash(&mut self.search, &run)?;
            }
            if moves && obstacles == Obstacles::All {
                for path in self.scenario.paths() {
                    let edit = edit(&path, How::ByRename, "meanwhile");
                    let run = self.search.apply(&Plan::edit(call, edit))?;
                    crash(&mut self.search, &run)?;
                }
            }
        }
        Ok(())
    }

    fn edits_after_cuts(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let mut plans = Vec::new();
        for path in self.scenario.paths() {
            for how in [How::InPlace, How::ByRename, How::Remove] {
                plans.push(Plan::edit(0, edit(&path, how, "after the cut")));
            }
            for version in [&self.scenario.old, &self.scenario.new] {
                let content = version.file(&path).map(String::from_utf8_lossy);
                plans.extend(content.map(|content| {
                    let content = content.into_owned();
                    Plan::edit(0, Edit { content, ..edit(&path, How::ByRename, "") })
                }));
            }
        }
        self.search.crash_then(&plain, &plans)
    }

    /// The scenario's own content was damaged before the search began.
    fn damaged_content(&mut self) -> Verdict {
        self.search.counts.faults += 1;
        let run = self.search.apply(&Plan::default())?;
        self.search.recover_after(&run, &Plan::default())
    }

    fn faults(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for (call, step) in plain.steps.iter().enumerate() {
            for mishap in mishaps(step.kind, self.renames) {
                self.fault(&Plan::fault(call, *mishap))?;
            }
        }
        Ok(())
    }

    /// Applies with something going wrong, dies at any point or comes to an end, recovers,
    /// and tries again where the answer was that nothing has changed.
    fn fault(&mut self, plan: &Plan) -> Verdict {
        self.search.counts.faults += 1;
        let run = self.search.apply(plan)?;
        self.search.judge(|oracle| oracle.after_one_fault(&run, plan))?;
        self.search.recover_after(&run, &Plan::default())?;
        self.search.crash_everywhere(&run)?;
        self.search.retry_after(&run)
    }

    fn fault_pairs(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for (first, step) in plain.steps.iter().enumerate() {
            let ways = mishaps(step.kind, self.renames);
            let one = ways.first().copied().unwrap_or(Mishap::Fails(EIO));
            let alone = self.search.apply(&Plan::fault(first, one))?;
            for second in first + 1..alone.steps.len() {
                for other in mishaps(alone.steps[second].kind, self.renames) {
                    let faults = vec![(first, one), (second, *other)];
                    let run = self.pair(&Plan { faults, ..Plan::default() })?;
                    // Nothing but the sync goes wrong on the way back from what it stopped.
                    if alone.steps[second].kind == CallKind::SyncDir {
                        self.search.judge(|oracle| oracle.files_are_present(&run))?;
                    }
                }
            }
            // The first fault in every way, and a device that stays bad after it.
            for one in ways {
                for lasting in Lasting::ALL {
                    let lasting = Some((first + 1, lasting));
                    self.pair(&Plan { lasting, ..Plan::fault(first, *one) })?;
                }
            }
        }
        Ok(())
    }

    fn pair(&mut self, plan: &Plan) -> Result<Run, Box<Violation>> {
        self.search.counts.faults += 1;
        let run = self.search.apply(plan)?;
        self.search.end_after(&run)?;
        Ok(run)
    }

    fn races(&mut self, leases: bool) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        for call in 0..plain.steps.len() {
            for edit in self.edits("meanwhile") {
                self.race(&Plan::edit(call, edit))?;
            }
            // Without leases a file that is held open is beyond what can be seen.
            if leases {
                for path in &paths {
                    for calls in [1, 6, 25] {
                        let edit = edit(path, How::Held { calls }, "through a held file");
                        self.race(&Plan::edit(call, edit))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn race(&mut self, plan: &Plan) -> Verdict {
        let before = self.search.counts.crash_points;
        let run = self.search.apply(plan)?;
        self.search.recover_after(&run, &Plan::default())?;
        self.search.crash_everywhere(&run)?;
        // Before the edit it is the same history as without it.
        let first = plan.edits.iter().map(|(call, _)| *call).min().unwrap_or(0);
        let unedited = run.steps.get(first).map_or(0, |step| step.entries_before) as u64;
        let kills = self.search.counts.crash_points - before;
        self.search.counts.races += 1 + kills.saturating_sub(unedited);
        self.search.counts.landed += u64::from(run.has_saves());
        Ok(())
    }

    fn races_in_rollback(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        for (call, step) in plain.steps.iter().enumerate() {
            if !step.kind.moves_names() {
                continue;
            }
            let fault = Plan::fault(call, Mishap::Fails(EIO));
            let failed = self.search.apply(&fault)?;
            for later in call + 1..failed.steps.len() {
                for path in &paths {
                    for how in [How::InPlace, How::ByRename] {
                        self.race_in_rollback(&fault, later, edit(path, how, "meanwhile"))?;
                    }
                    // What was approved, by the user's own hand.
                    if let Some(content) = self.scenario.new.file(path) {
                        let content = String::from_utf8_lossy(content).into_owned();
                        let own = Edit { content, ..edit(path, How::ByRename, "") };
                        self.race_in_rollback(&fault, later, own)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn race_in_rollback(&mut self, fault: &Plan, call: usize, edit: Edit) -> Verdict {
        let run = self.search.apply(&Plan { edits: vec![(call, edit)], ..fault.clone() })?;
        self.search.recover_after(&run, &Plan::default())?;
        self.search.counts.races += 1;
        self.search.counts.landed += u64::from(run.has_saves());
        Ok(())
    }

    fn modes_in_rollback(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for path in self.scenario.paths() {
            for how in self.modes_of(&path) {
                for call in 0..plain.steps.len() {
                    let fault = Plan::fault(call, Mishap::Fails(EIO));
                    let failed = self.search.apply(&fault)?;
                    for later in call + 1..failed.steps.len() {
                        let edits = vec![(later, edit(&path, how, "meanwhile"))];
                        self.race(&Plan { edits, ..fault.clone() })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn races_in_pairs(&mut self, count: usize, seed: u64) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        let mut random = Random::new(seed);
        for number in 0..count {
            let mut one = |content: &str| {
                let how = How::AT_ONCE[random.below(How::AT_ONCE.len())];
                let path = &paths[random.below(paths.len())];
                (random.below(plain.steps.len() + 10), edit(path, how, content))
            };
            let mut edits = vec![one(&format!("first {number}")), one(&format!("second {number}"))];
            edits.sort_by_key(|(call, _)| *call);
            say_what_is_known(self.scenario, &mut edits[1].1, &mut random);
            self.race(&Plan { edits, ..Plan::default() })?;
        }
        Ok(())
    }

    fn saves_in_turn(&mut self) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        for (call, step) in plain.steps.iter().enumerate() {
            if !step.kind.moves_names() {
                continue;
            }
            for path in self.scenario.paths() {
                let first = (call, edit(&path, How::InPlace, "first"));
                let run = self.search.apply(&Plan::edit(first.0, first.1.clone()))?;
                for later in call + 1..=run.steps.len() {
                    for version in [None, Some(&self.scenario.old), Some(&self.scenario.new)] {
                        let mut second = edit(&path, How::ByRename, "second");
                        match version.map(|version| version.file(&path)) {
                            None => {}
                            Some(None) => continue,
                            Some(Some(content)) => {
                                second.content = String::from_utf8_lossy(content).into_owned();
                            }
                        }
                        let edits = vec![first.clone(), (later, second)];
                        self.race(&Plan { edits, ..Plan::default() })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn edits_around_cuts(&mut self, count: usize, seed: u64) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        let paths = self.scenario.paths();
        let mut random = Random::new(seed);
        for number in 0..count {
            let how = How::AT_ONCE[random.below(How::AT_ONCE.len())];
            let path = &paths[random.below(paths.len())];
            let at = random.below(plain.steps.len());
            let first = edit(path, how, &format!("first {number}"));
            let run = self.search.apply(&Plan::edit(at, first))?;
            let (scenario, landed) = (self.scenario, run.steps.get(at).map(|s| s.entries_before));
            self.search.crash_once_after(
                &run,
                landed.unwrap_or(0),
                &mut random,
                &mut |recovery, random| {
                    let how = How::AT_ONCE[random.below(How::AT_ONCE.len())];
                    let path = &paths[random.below(paths.len())];
                    let mut second = edit(path, how, &format!("second {number}"));
                    say_what_is_known(scenario, &mut second, random);
                    Plan::edit(random.below(recovery.steps.len() + 1), second)
                },
            )?;
        }
        Ok(())
    }

    /// Every edit of every file that is over at once; where the set changes a mode, the user may
    /// have wished for the same one, or for the one that was there before.
    fn edits(&self, content: &str) -> Vec<Edit> {
        let mut all = Vec::new();
        for path in self.scenario.paths() {
            all.extend(How::AT_ONCE.map(|how| edit(&path, how, content)));
            all.extend(self.modes_of(&path).map(|how| edit(&path, how, content)));
        }
        all
    }

    /// Giving a file the permission bits that it had, and those that it is to have, where the
    /// two differ.
    fn modes_of(&self, path: &[u8]) -> impl Iterator<Item = How> + use<> {
        let mode = |version: &Snapshot| match version.get(path) {
            Some(Thing::File { mode, .. }) => Some(*mode),
            _ => None,
        };
        let (old, new) = (mode(&self.scenario.old), mode(&self.scenario.new));
        let modes = old.zip(new).filter(|(old, new)| old != new);
        modes.into_iter().flat_map(|(old, new)| [How::SetModeTo(old), How::SetModeTo(new)])
    }

    /// Runs recovery from every kill under plans that are made from its undisturbed run.
    fn in_recovery(&mut self, plans: &dyn Fn(&Run) -> Vec<Plan>) -> Verdict {
        let plain = self.search.apply(&Plan::default())?;
        self.search.crash_then_planned(&plain, plans)
    }
}

/// Makes one edit of three bring back what was there before the set, and one bring what was
/// approved.
fn say_what_is_known(scenario: &Scenario, edit: &mut Edit, random: &mut Random) {
    let version = [None, Some(&scenario.old), Some(&scenario.new)][random.below(3)];
    if let Some(content) = version.and_then(|version| version.file(edit.path.as_bytes())) {
        edit.content = String::from_utf8_lossy(content).into_owned();
    }
}

fn edit(path: &[u8], how: How, content: &str) -> Edit {
    let path = String::from_utf8(path.to_vec()).expect("scenarios name files in UTF-8");
    let content = format!("a user's own words, {content}, in {path}\n");
    Edit { path, how, content }
}

/// Every way in which a call can go wrong. Errnos that would say something of the tree
/// that is not so, such as `ENOENT` for a file that is there, are not among them.
fn mishaps(kind: CallKind, renames: Renames) -> &'static [Mishap] {
    if renames == Renames::Windows {
        return windows::mishaps(kind);
    }
    use Mishap::{Fails, FailsAfterwards, Short, SyncDrops};
    const EPERM: i32 = 1;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    const EBUSY: i32 = 16;
    const EINVAL: i32 = 22;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EFBIG: i32 = 27;
    const ENOSPC: i32 = 28;
    const EROFS: i32 = 30;
    const EMLINK: i32 = 31;
    const ENAMETOOLONG: i32 = 36;
    const ENOTSUP: i32 = 95;
    const EDQUOT: i32 = 122;
    const ESTALE: i32 = 116;
    match kind {
        CallKind::OpenDir => {
            &[Fails(EIO), Fails(EACCES), Fails(EMFILE), Fails(ENFILE), Fails(ENOMEM), Fails(ESTALE)]
        }
        CallKind::Device | CallKind::FileStat => &[Fails(EIO), Fails(ENOMEM), Fails(ESTALE)],
        CallKind::Stat | CallKind::ReadLink => {
            &[Fails(EIO), Fails(EACCES), Fails(ENOMEM), Fails(ESTALE)]
        }
        CallKind::List => &[Fails(EIO), Fails(ENOMEM), Fails(ESTALE)],
        CallKind::OpenFile | CallKind::OpenOwnFile => {
            &[Fails(EIO), Fails(EACCES), Fails(EMFILE), Fails(ENFILE), Fails(ENOMEM), Fails(ESTALE)]
        }
        CallKind::CreateFile => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EMFILE),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            Fails(ENAMETOOLONG),
        ],
        CallKind::ReadAt => &[Fails(EIO), Fails(ENOMEM), Short],
        CallKind::WriteAt => {
            &[Fails(EIO), Fails(ENOSPC), Fails(EDQUOT), Fails(EFBIG), Short, FailsAfterwards(EIO)]
        }
        CallKind::Reserve => &[Fails(EIO), Fails(ENOSPC), Fails(EDQUOT), Fails(EFBIG)],
        CallKind::CopyMetadata => {
            &[Fails(EIO), Fails(EPERM), Fails(ENOSPC), Fails(EDQUOT), Fails(ENOTSUP)]
        }
        CallKind::SetModified => &[Fails(EIO), Fails(EPERM), Fails(EROFS)],
        CallKind::SetMode => &[Fails(EIO), Fails(EPERM), Fails(EROFS), FailsAfterwards(EIO)],
        CallKind::Lease | CallKind::LeaseHolds => &[Fails(EIO)],
        CallKind::SyncFile => {
            &[Fails(EIO), Fails(ENOSPC), Fails(EDQUOT), Fails(EROFS), SyncDrops(EIO)]
        }
        CallKind::SyncDir => &[Fails(EIO), Fails(ENOSPC), Fails(EROFS)],
        CallKind::Exchange => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EINVAL),
            Fails(ENOSPC),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::Link => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EMLINK),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::Rename | CallKind::RenameReplacing => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(EINVAL),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::RemoveFile => {
            &[Fails(EIO), Fails(EACCES), Fails(EBUSY), Fails(EROFS), FailsAfterwards(EIO)]
        }
        CallKind::CreateDir => &[
            Fails(EIO),
            Fails(EACCES),
            Fails(ENOSPC),
            Fails(EDQUOT),
            Fails(EMLINK),
            Fails(EROFS),
            FailsAfterwards(EIO),
        ],
        CallKind::RemoveDir => &[Fails(EIO), Fails(EACCES), Fails(EBUSY), FailsAfterwards(EIO)],
        // Of Windows alone.
        CallKind::ReplaceAway | CallKind::ReplaceArrive => &[],
    }
}

impl Bounds {
    /// For kills, whose states are few.
    pub fn kill() -> Self {
        let cap = StateCap { contents: 1, names: 1, seed: 0 };
        Self { cap, depth: 0, deeper_every: 0 }
    }
}

impl Run {
    /// Whether a user saved something in it.
    pub fn has_saves(&self) -> bool {
        self.log.entries.iter().any(|e| matches!(e, atomic_fs::simulated::Entry::Saved(_)))
    }

    /// Whether it is an apply that was answered as having changed nothing.
    pub fn left_unchanged(&self) -> bool {
        matches!(self.ending, Ending::Applied { answer: Answer::Unchanged, .. })
    }
}
