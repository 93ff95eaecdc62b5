//! One process's life on the simulated disk: an apply, or a recovery, by the shipped code.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::atomic_fs::simulated::{
    Answer, CallKind, Entry, Image, Log, Renames, SimulatedDisk, Step,
};
use crate::atomic_fs::{
    ContentSource, Digest, DisplacedEdit, FsError, Outcome, RecordedSet, RecoveredOutcome,
    SetRecords, Workspace, WorkspaceLock,
};

use crate::beside::{Beside, Second};
use crate::plan::{Plan, PlanRunner};
use crate::scenario::{ROOT, Scenario};
use crate::workspace::open;

/// What a process did.
pub struct Run {
    /// Everything that changed, in order.
    pub log: Log,
    /// Every call it made.
    pub steps: Vec<Step>,
    /// What is in memory at its end.
    pub image: Image,
    /// How it ended, in words.
    pub ending: Ending,
}

impl Run {
    /// Whether a file's sync failed, after which a power cut may leave anything in the file.
    pub fn failed_to_sync(&self) -> bool {
        self.steps.iter().any(|step| step.kind == CallKind::SyncFile && step.errno.is_some())
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An apply with this answer; whether tidying up succeeded.
    Applied {
        /// The answer.
        answer: Answer,
        /// The answer in words.
        words: String,
        /// Whether everything was tidied up, as far as the caller can tell.
        tidied: bool,
    },
    /// A recovery that went through: how many sets it found, and what it kept.
    Recovered {
        /// Sets that had a journal.
        sets: usize,
    },
    /// A recovery that gave up.
    Failed(String),
}

/// The conditions that all processes of a case share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether the file system grants read leases.
    pub leases: bool,
    /// Which kinds of rename it knows.
    pub renames: Renames,
    /// Whether the caller's store has what was there before, and not what is staged alone.
    pub has_old: bool,
    /// Whether calls are described, for a trace.
    pub described: bool,
}

/// A lock that is really held, since the code under test asks for one.
pub struct Fixture {
    lock: WorkspaceLock,
    second: Arc<Second>,
    folder: tempfile::TempDir,
    deadline: Option<Instant>,
}

impl Fixture {
    /// Makes a lock of its own.
    ///
    /// # Errors
    /// Where no temporary folder can be made.
    pub fn new() -> miette::Result<Self> {
        use miette::IntoDiagnostic as _;
        let folder = tempfile::tempdir().into_diagnostic()?;
        let lock = |name: &str| {
            let path = folder.path().join(name);
            let workspace = open(SimulatedDisk::new(empty()), ROOT, STATE, path.clone());
            Ok::<_, miette::Report>((workspace.lock().into_diagnostic()?, path))
        };
        let (lock, (second, path)) = (lock("lock")?.0, lock("lock2")?);
        let second = Arc::new(Second::new(second, path));
        Ok(Self { lock, second, folder, deadline: None })
    }

    /// The same, for searches that end early at this time.
    #[must_use]
    pub fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Applies the scenario's set, tidies up and forgets it, as a caller does.
    pub fn apply(&self, scenario: &Scenario, image: &Image, plan: &Plan, terms: Terms) -> Run {
        let disk = self.disk(image, plan, terms);
        let workspace = self.open(disk.clone());
        let mut applied = workspace.apply(&self.lock, &scenario.set, &scenario.content);
        let answer = match &applied.outcome {
            Outcome::Committed => Answer::Committed,
            Outcome::InDoubt(_) => Answer::InDoubt,
            _ => Answer::Unchanged,
        };
        disk.answered(answer);
        report_kept(&disk, &applied.kept);
        // Between the two the caller's own record of the outcome becomes durable.
        remember(scenario, &disk, answer);
        let tidied = applied.unfinished.take().is_none_or(|unfinished| {
            let cleaned = workspace.clean_up(&self.lock, &unfinished);
            report_kept(&disk, cleaned.as_deref().unwrap_or_default());
            cleaned.is_ok() && workspace.forget(&self.lock, unfinished).is_ok()
        });
        let words = format!("{:?}", applied.outcome);
        end(disk, Ending::Applied { answer, words, tidied })
    }

    /// Recovers, and sweeps as `greenroom recover` does.
    pub fn recover(&self, scenario: &Scenario, image: &Image, plan: &Plan, terms: Terms) -> Run {
        self.recover_on(scenario, self.disk(image, plan, terms), terms)
    }

    /// The same after a process was killed before entry `end` of its log, on a system that lives
    /// on: the new log goes on from that one.
    pub fn recover_after_kill(
        &self,
        scenario: &Scenario,
        log: Log,
        end: usize,
        plan: &Plan,
        terms: Terms,
    ) -> Run {
        let disk = self.on_terms(SimulatedDisk::after_kill(log, end), plan, terms);
        self.recover_on(scenario, disk, terms)
    }

    fn recover_on(&self, scenario: &Scenario, disk: SimulatedDisk, terms: Terms) -> Run {
        let workspace = self.open(disk.clone());
        let image = disk.image();
        let records = Records { scenario, ended: on_record(&image), has_old: terms.has_old };
        let mut sets = 0;
        let reopened = workspace.reopen_in_doubt(&self.lock);
        let result = reopened
            .and_then(|()| {
                workspace.recover(&self.lock, &records, &mut |recovered| {
                    sets += 1;
                    let answer = match recovered.outcome {
                        RecoveredOutcome::Committed => Answer::Committed,
                        RecoveredOutcome::RolledBack => Answer::Unchanged,
                        RecoveredOutcome::InDoubt => Answer::InDoubt,
                    };
                    remember(scenario, &disk, answer);
                    disk.answered(answer);
                    report_kept(&disk, &recovered.kept);
                    Ok(())
                })
            })
            .and_then(|_| {
                let known = |digest: &Digest| scenario.knows(digest);
                workspace.sweep(&self.lock, &|set| set == scenario.set.id, &known)
            });
        let ending = match result {
            Ok(_) => Ending::Recovered { sets },
            Err(error) => Ending::Failed(in_words(&error)),
        };
        end(disk, ending)
    }

    /// The second state recovers, and sweeps.
    pub fn recover_second(&self, beside: &Beside, image: &Image, terms: Terms) -> Run {
        let disk = self.disk(image, &Plan::default(), terms);
        let ending = match self.second.recover_on(beside, &disk) {
            Ok(answer) => {
                if answer.is_some() {
                    disk.other_ended(answer);
                }
                Ending::Recovered { sets: usize::from(answer.is_some()) }
            }
            Err(error) => Ending::Failed(in_words(&error)),
        };
        end(disk, ending)
    }

    fn open(&self, disk: SimulatedDisk) -> Workspace<SimulatedDisk> {
        open(disk, ROOT, STATE, self.folder.path().join("lock"))
    }

    fn disk(&self, image: &Image, plan: &Plan, terms: Terms) -> SimulatedDisk {
        self.on_terms(SimulatedDisk::new(image.clone()), plan, terms)
    }

    fn on_terms(&self, disk: SimulatedDisk, plan: &Plan, terms: Terms) -> SimulatedDisk {
        let mut disk = disk.with_renames(terms.renames);
        if !plan.is_quiet() {
            disk = disk.watched_by(Box::new(PlanRunner::new(plan.clone(), self.second.clone())));
        }
        if !terms.leases {
            disk = disk.without_leases();
        }
        if terms.described { disk.describing() } else { disk }
    }
}

/// Where the state lies on the simulated disk.
const STATE: &str = "state";

/// A caller that has begun the scenario's set and keeps all contents.
///
/// It leaves the set itself to the journal, so that a broken protocol is not mended by what the
/// caller remembers; where journals are damaged it knows the changes as well, and calls the set
/// undecided until it received the outcome.
struct Records<'s> {
    scenario: &'s Scenario,
    ended: Option<RecoveredOutcome>,
    has_old: bool,
}

/// Names in the state directory that say what the caller has on record.
const ON_RECORD: [(&str, RecoveredOutcome); 2] =
    [("committed", RecoveredOutcome::Committed), ("rolled-back", RecoveredOutcome::RolledBack)];

/// What the caller has on record of its set's end.
pub(crate) fn on_record(image: &Image) -> Option<RecoveredOutcome> {
    let has = |name: &str| image.lookup(format!("{STATE}/{name}").as_bytes()).is_some();
    ON_RECORD.iter().find(|(name, _)| has(name)).map(|(_, outcome)| *outcome)
}

fn remember(scenario: &Scenario, disk: &SimulatedDisk, answer: Answer) {
    let outcome = match answer {
        Answer::Committed => RecoveredOutcome::Committed,
        Answer::Unchanged => RecoveredOutcome::RolledBack,
        Answer::InDoubt => return,
    };
    let name = ON_RECORD.iter().find(|(_, of)| *of == outcome).map(|(name, _)| name);
    let state = disk.image().lookup(STATE.as_bytes());
    if let (true, Some(state), Some(name)) = (scenario.is_recorded, state, name) {
        disk.remember(state, name.as_bytes());
    }
}

impl SetRecords for Records<'_> {
    fn find(&self, set: &str) -> io::Result<Option<RecordedSet>> {
        let Scenario { is_recorded, set: known, .. } = self.scenario;
        let changes = is_recorded.then(|| known.changes.clone());
        let ended = self.ended;
        Ok((set == known.id).then(|| RecordedSet { changes, ended, ..RecordedSet::default() }))
    }

    fn undecided(&self) -> io::Result<Vec<String>> {
        let Scenario { is_recorded, set, .. } = self.scenario;
        let is_open = *is_recorded && self.ended.is_none();
        Ok(if is_open { vec![set.id.clone()] } else { Vec::new() })
    }

    fn contents(&self) -> &dyn ContentSource {
        self.scenario.contents(self.has_old)
    }
}

fn report_kept(disk: &SimulatedDisk, kept: &[DisplacedEdit]) {
    for kept in kept {
        let name = kept.file.file_name().unwrap_or_default().as_encoded_bytes();
        disk.report_kept(&[b"state/conflicts/", name].concat());
    }
}

fn empty() -> Image {
    let mut image = Image::default();
    image.add_dir(0, ROOT.as_bytes(), 1);
    let state = image.add_dir(0, b"state", 1);
    image.add_dir(state, b"journal", 1);
    image.add_dir(state, b"conflicts", 1);
    image
}

fn end(disk: SimulatedDisk, ending: Ending) -> Run {
    let image = disk.image();
    let (log, steps) = disk.into_log();
    Run { log, steps, image, ending }
}

fn in_words(error: &FsError) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

impl Run {
    /// Whether a user saved something in it.
    pub fn has_saves(&self) -> bool {
        self.log.entries.iter().any(|e| matches!(e, Entry::Saved(_)))
    }

    /// Whether the second state's process died in it.
    pub fn other_died(&self) -> bool {
        self.log.entries.iter().any(|entry| matches!(entry, Entry::OtherEnded(None)))
    }

    /// Whether it is an apply that was answered as having changed nothing.
    pub fn left_unchanged(&self) -> bool {
        matches!(self.ending, Ending::Applied { answer: Answer::Unchanged, .. })
    }
}
