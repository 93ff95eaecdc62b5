//! A history written out step by step, for a person.

use std::fmt::Write as _;

use crate::atomic_fs::simulated::{
    Alteration, Effect, Entry, Image, Log, Part, Persistence, Renames, materialise,
};

use crate::beside::{Beside, add_state};
use crate::case::{Case, Process};
use crate::fixture::{Ending, Fixture, Run, Terms};
use crate::oracle::{Broken, Known, Oracle};
use crate::scenario::{ROOT, Scenario};
use crate::search::at_relocation;
use crate::snapshot::{Snapshot, Thing};
use crate::tamper::Tamper;

/// A history, run and checked again.
pub struct Trace {
    /// Its steps.
    pub text: String,
    /// The promise that it breaks, if it still does.
    pub broken: Option<Broken>,
}

/// Runs a case again and writes down its steps.
///
/// # Errors
/// When the case names a scenario that does not exist.
pub fn trace(case: &Case, fixture: &Fixture) -> miette::Result<Trace> {
    let scenario = Scenario::over(&case.scenario, case.renames)
        .ok_or_else(|| miette::miette!("there is no scenario `{}`", case.scenario))?;
    let mut scenario = scenario;
    scenario.is_recorded =
        case.processes.iter().flat_map(|process| &process.tampered).any(Tamper::concerns_a_journal);
    let Case { leases, renames, has_old, .. } = *case;
    let terms = Terms { leases, renames, has_old, described: true };
    let mut tracer = Tracer { case, scenario: &scenario, text: String::new() };
    tracer.opening();
    activate(case.mutant.as_deref())?;
    let broken = tracer.live(fixture, terms).err();
    activate(None)?;
    if let Some(broken) = &broken {
        let _ = writeln!(tracer.text, "\nbroken: {}\n  {}", broken.promise, broken.details);
    } else {
        tracer.text.push_str("\nno promise is broken\n");
    }
    Ok(Trace { text: tracer.text, broken })
}

#[cfg(feature = "mutants")]
fn activate(mutant: Option<&str>) -> miette::Result<()> {
    let named = |name| {
        crate::mutants::named(name).ok_or_else(|| miette::miette!("there is no mutant `{name}`"))
    };
    crate::atomic_fs::mutants::activate(mutant.map(named).transpose()?);
    Ok(())
}

#[cfg(not(feature = "mutants"))]
fn activate(mutant: Option<&str>) -> miette::Result<()> {
    match mutant {
        None => Ok(()),
        Some(name) => Err(miette::miette!("mutant `{name}` is not compiled in")),
    }
}

struct Tracer<'c> {
    case: &'c Case,
    scenario: &'c Scenario,
    text: String,
}

impl Tracer<'_> {
    fn opening(&mut self) {
        let Case { scenario, model, leases, renames, mutant, .. } = self.case;
        let leases = if *leases { "" } else { ", no leases" };
        let renames = match renames {
            Renames::All => "",
            Renames::NoExchange => ", no exchange",
            Renames::Plain => ", plain renames only",
            Renames::Windows => ", on Windows",
        };
        let mutant = mutant.as_ref().map_or(String::new(), |name| format!(", mutant {name}"));
        let _ = writeln!(
            self.text,
            "scenario {scenario}, model {}{leases}{renames}{mutant}",
            model.word()
        );
        for change in &self.scenario.set.changes {
            let _ = writeln!(self.text, "  change: {} {}", change.path, operation(change));
        }
    }

    fn live(&mut self, fixture: &Fixture, terms: Terms) -> Result<(), Broken> {
        let mut image = self.scenario.image.clone();
        let is_beside = self.case.processes.iter().any(|process| process.plan.beside.is_some());
        if is_beside {
            add_state(&mut image);
        }
        let mut known = Known::default();
        let oracle = Oracle::new(self.scenario);
        let mut killed: Option<(Log, usize)> = None;
        let mut settled: Vec<Run> = Vec::new();
        for (number, process) in self.case.processes.iter().enumerate() {
            let mut begin = 0;
            if let Some((call, beside)) = &process.plan.beside {
                known.beside = Some(beside.clone());
                let _ = writeln!(self.text, "\nbefore call {call}: {beside:?}");
            }
            if let Some((call, moved)) = &process.plan.relocated {
                let _ = writeln!(self.text, "\nbefore call {call}: {moved:?}");
            }
            let run = if process.second {
                let beside = known.beside.clone().unwrap_or_else(Beside::recovers);
                fixture.recover_second(&beside, &image, terms)
            } else if let Some((log, end)) = killed.take() {
                begin = end;
                fixture.recover_after_kill(self.scenario, log, end, &process.plan, terms)
            } else if number == 0 {
                fixture.apply(self.scenario, &image, &process.plan, terms)
            } else {
                fixture.recover(self.scenario, &image, &process.plan, terms)
            };
            let name = match (number, process.second) {
                (0, _) => "apply",
                (_, true) => "the second state recovers",
                (_, false) => "recover",
            };
            let _ = writeln!(self.text, "\n{name}");
            let end = process.crash.as_ref().map_or(run.log.entries.len(), |crash| crash.end);
            self.steps(&run, process, end);
            for entry in &run.log.entries[begin..end] {
                known.record(self.scenario, entry)?;
            }
            match &process.crash {
                Some(choice) if process.killed => {
                    image = materialise(&run.log, Persistence::Kill, choice);
                    self.crash(&run.log, process);
                    self.tree(&image);
                    killed = Some((run.log, choice.end));
                }
                Some(choice) => {
                    image = materialise(&run.log, self.case.model, choice);
                    if self.case.model == Persistence::Kill {
                        for saved in run.log.saves_waiting(end) {
                            known.record_save(self.scenario, &saved);
                        }
                    }
                    self.crash(&run.log, process);
                    self.tree(&image);
                }
                None => {
                    image = run.image.clone();
                    let _ = writeln!(self.text, "  ends: {:?}", run.ending);
                    self.tree(&image);
                    let relocated = process.plan.relocated.as_ref().map(|(_, moved)| moved);
                    let goes_back = match process.tampered.as_slice() {
                        [Tamper::TakeBack(moved)] => Some(moved),
                        _ => None,
                    };
                    match (&run.ending, relocated, goes_back) {
                        (_, Some(moved), _) => {
                            let at_move = at_relocation(&run.log);
                            let at_move = at_move.filter(|_| !moved.is_of_the_root());
                            oracle.after_relocation(&run, moved, at_move.as_ref(), &known)?;
                        }
                        (_, None, Some(moved)) => {
                            oracle.after_relocation(&run, moved, None, &known)?;
                        }
                        (Ending::Applied { .. }, ..) => {
                            oracle.after_apply(&run, &known)?;
                            if process.plan.is_one_fault() {
                                oracle.after_one_fault(&run, &process.plan)?;
                            }
                        }
                        (Ending::Failed(_), ..) if !process.plan.is_quiet() => {}
                        // Judged once both have recovered.
                        _ if is_beside => {
                            known.other_died &= !process.second;
                            settled.push(run);
                            match settled.as_slice() {
                                [one, other] => oracle.after_both([one, other], &known)?,
                                [_, _, .., again] => oracle.after_second_recovery(again)?,
                                _ => {}
                            }
                        }
                        _ => oracle.after_recovery(&run, &known, self.case.model)?,
                    }
                }
            }
            for tamper in &process.tampered {
                let _ = writeln!(self.text, "  others: {tamper:?}");
                tamper.apply(&mut image);
            }
            known.record_tampering(&process.tampered, &image);
        }
        if is_beside {
            return Ok(());
        }
        let again = fixture.recover(self.scenario, &image, &Default::default(), terms);
        let _ = writeln!(self.text, "\nrecover once more");
        self.steps(&again, &Process::default(), again.log.entries.len());
        for entry in &again.log.entries {
            known.record(self.scenario, entry)?;
        }
        let ended = self.case.processes.last().is_some_and(|process| process.crash.is_none());
        match (self.case.processes.len(), ended) {
            (2.., true) => oracle.after_second_recovery(&again),
            _ => oracle.after_recovery(&again, &known, self.case.model),
        }
    }

    /// Calls that change, sync or fail, with what a user does in between.
    fn steps(&mut self, run: &Run, process: &Process, end: usize) {
        for (number, step) in run.steps.iter().enumerate() {
            for (_, edit) in process.plan.edits.iter().filter(|(call, _)| *call == number) {
                let _ = writeln!(self.text, "  user: {:?} {}", edit.how, edit.path);
            }
            if step.entries_before >= end && process.crash.is_some() {
                return;
            }
            let matters = step.kind.is_mutating() || step.kind.is_sync() || step.errno.is_some();
            if matters {
                let failed = step.errno.map_or(String::new(), |errno| format!(" = errno {errno}"));
                let _ = writeln!(self.text, "  {number:3} {:?} {}{failed}", step.kind, step.text);
            }
            let next =
                run.steps.get(number + 1).map_or(run.log.entries.len(), |s| s.entries_before);
            for entry in &run.log.entries[step.entries_before..next.min(end)] {
                if let Entry::Answered(answer) = entry {
                    let _ = writeln!(self.text, "  answer: {answer:?}");
                }
            }
        }
    }

    fn crash(&mut self, log: &Log, process: &Process) {
        let Some(choice) = &process.crash else { return };
        if self.case.model == Persistence::Kill || process.killed {
            let half = if choice.survived.is_empty() { "" } else { ", in the middle of a write" };
            let _ = writeln!(self.text, "  killed{half}");
            return;
        }
        let _ = writeln!(self.text, "  power is cut; of what was not synced");
        let unsure = log.unsure(self.case.model, choice.end);
        for at in unsure {
            let Entry::Changed { effect, .. } = &log.entries[at] else { continue };
            let part = choice.survived.iter().find(|(survivor, _)| *survivor == at);
            let outcome = match part {
                None => "lost    ",
                Some((_, Part::Whole)) => "kept    ",
                Some((_, Part::Half)) => "torn    ",
                Some((_, Part::Garbage)) => "garbage ",
            };
            let _ = writeln!(self.text, "    {outcome} {}", describe(effect, log));
        }
    }

    fn tree(&mut self, image: &Image) {
        let Some(root) = image.lookup(ROOT.as_bytes()) else { return };
        let tree = Snapshot::of(image, root);
        for (path, thing) in tree.iter() {
            let path = String::from_utf8_lossy(path);
            if path == "bystander" || path == "way-out" {
                continue;
            }
            if let Thing::File { content, mode, .. } = thing {
                let content: String = String::from_utf8_lossy(content).chars().take(48).collect();
                let _ = writeln!(self.text, "    {path}: {content:?} {mode:o}");
            }
        }
        image.walk(0, &mut |path, _, node| {
            if path.starts_with(b"state/") && path.split(|byte| *byte == b'/').count() == 3 {
                let path = String::from_utf8_lossy(path);
                let content = node.content().unwrap_or_default();
                let records: Vec<String> = String::from_utf8_lossy(&content)
                    .split("\"record\":\"")
                    .skip(1)
                    .filter_map(|rest| rest.split('"').next().map(str::to_owned))
                    .collect();
                let _ = writeln!(self.text, "    {path}: {}", records.join(", "));
            }
        });
    }
}

fn operation(change: &crate::atomic_fs::Change) -> String {
    use crate::atomic_fs::Operation;
    match &change.operation {
        Operation::Write(_) if change.expected == crate::atomic_fs::Expected::Absent => {
            "created".into()
        }
        Operation::Write(_) => "replaced".into(),
        Operation::Delete => "deleted".into(),
        Operation::Rename { to, staged: None } => format!("moved to {to}"),
        Operation::Rename { to, staged: Some(_) } => format!("moved to {to} with new content"),
        Operation::SetMode { mode } => format!("given mode {mode:o}"),
        Operation::MakeDir { .. } => "made, a directory".into(),
        Operation::RemoveDir => "removed, a directory".into(),
    }
}

fn describe(effect: &Effect, log: &Log) -> String {
    let names = |dir| log.path_of(dir);
    match effect {
        Effect::Names(assignments) => {
            let each = assignments.iter().map(|to| {
                let name = String::from_utf8_lossy(&to.name);
                let dir = names(to.dir);
                to.inode.map_or(format!("{dir}/{name} gone"), |inode| {
                    format!("{dir}/{name} is inode {inode}")
                })
            });
            each.collect::<Vec<_>>().join(", ")
        }
        Effect::Altered(inode, alteration) => {
            let what = match alteration {
                Alteration::Data { offset, content } => {
                    format!("{} bytes at {offset}", content.len())
                }
                Alteration::Size(bytes) => format!("length {bytes}"),
                Alteration::Modified(_) => "time of modification".to_owned(),
                Alteration::Mode(mode) => format!("mode {mode:o}"),
                Alteration::Owner(owner) => format!("owner {owner:?}"),
                Alteration::Attribute { name, .. } => {
                    format!("attribute {}", String::from_utf8_lossy(name))
                }
            };
            format!("{what} of inode {inode}")
        }
    }
}

/// The same history with fewer losses in its last crash, and without interferences that do
/// not matter, as long as it still breaks a promise.
///
/// # Errors
/// When the case names a scenario that does not exist.
pub fn shorten(case: &Case, fixture: &Fixture) -> miette::Result<Case> {
    let mut best = case.clone();
    if trace(&best, fixture)?.broken.is_none() {
        return Ok(best);
    }
    let Some(last) = best.processes.iter().rposition(|process| process.crash.is_some()) else {
        return Ok(best);
    };
    if best.model == Persistence::Kill {
        return Ok(best);
    }
    let end = best.processes[last].crash.as_ref().map_or(0, |crash| crash.end);
    for at in 0..end {
        let mut kinder = best.clone();
        if let Some(crash) = &mut kinder.processes[last].crash {
            crash.survived.retain(|(survivor, _)| *survivor != at);
            crash.survived.push((at, Part::Whole));
            crash.survived.sort_unstable_by_key(|(survivor, _)| *survivor);
        }
        if trace(&kinder, fixture)?.broken.is_some() {
            best = kinder;
        }
    }
    Ok(best)
}
