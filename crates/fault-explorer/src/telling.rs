//! A history told step by step, for a person.

use std::fmt::Write as _;

use atomic_fs::simulated::{Effect, Entry, Image, Log, Part, Persistence, Renames, materialise};

use crate::beside::{Beside, add_state};
use crate::case::{Case, Stage};
use crate::oracle::{Broken, Known, Oracle};
use crate::scenario::{ROOT, Scenario};
use crate::search::at_relocation;
use crate::snapshot::{Snapshot, Thing};
use crate::stage::{Bench, Ending, Run, Terms};
use crate::tamper::Tamper;

/// A history, told and judged again.
pub struct Told {
    /// The story.
    pub text: String,
    /// The promise that it breaks, if it still does.
    pub broken: Option<Broken>,
}

/// Lives a case again and tells it.
///
/// # Errors
/// When the case names a scenario that does not exist.
pub fn tell(case: &Case, bench: &Bench) -> miette::Result<Told> {
    let scenario = Scenario::over(&case.scenario, case.renames)
        .ok_or_else(|| miette::miette!("there is no scenario `{}`", case.scenario))?;
    let mut scenario = scenario;
    scenario.is_recorded =
        case.stages.iter().flat_map(|stage| &stage.tampered).any(Tamper::concerns_a_journal);
    let Case { leases, renames, has_old, .. } = *case;
    let terms = Terms { leases, renames, has_old, described: true };
    let mut teller = Teller { case, scenario: &scenario, text: String::new() };
    teller.opening();
    activate(case.mutant.as_deref())?;
    let broken = teller.live(bench, terms).err();
    activate(None)?;
    if let Some(broken) = &broken {
        let _ = writeln!(teller.text, "\nbroken: {}\n  {}", broken.promise, broken.details);
    } else {
        teller.text.push_str("\nno promise is broken\n");
    }
    Ok(Told { text: teller.text, broken })
}

#[cfg(feature = "mutants")]
fn activate(mutant: Option<&str>) -> miette::Result<()> {
    let named = |name| {
        crate::mutants::named(name).ok_or_else(|| miette::miette!("there is no mutant `{name}`"))
    };
    atomic_fs::mutants::activate(mutant.map(named).transpose()?);
    Ok(())
}

#[cfg(not(feature = "mutants"))]
fn activate(mutant: Option<&str>) -> miette::Result<()> {
    match mutant {
        None => Ok(()),
        Some(name) => Err(miette::miette!("mutant `{name}` is not compiled in")),
    }
}

struct Teller<'c> {
    case: &'c Case,
    scenario: &'c Scenario,
    text: String,
}

impl Teller<'_> {
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

    fn live(&mut self, bench: &Bench, terms: Terms) -> Result<(), Broken> {
        let mut image = self.scenario.image.clone();
        let is_beside = self.case.stages.iter().any(|stage| stage.plan.beside.is_some());
        if is_beside {
            add_state(&mut image);
        }
        let mut known = Known::default();
        let oracle = Oracle::new(self.scenario);
        let mut killed: Option<(Log, usize)> = None;
        let mut settled: Vec<Run> = Vec::new();
        for (number, stage) in self.case.stages.iter().enumerate() {
            let mut begin = 0;
            if let Some((call, beside)) = &stage.plan.beside {
                known.beside = Some(beside.clone());
                let _ = writeln!(self.text, "\nbefore call {call}: {beside:?}");
            }
            if let Some((call, moved)) = &stage.plan.relocated {
                let _ = writeln!(self.text, "\nbefore call {call}: {moved:?}");
            }
            let run = if stage.second {
                let beside = known.beside.clone().unwrap_or_else(Beside::recovers);
                bench.recover_second(&beside, &image, terms)
            } else if let Some((log, end)) = killed.take() {
                begin = end;
                bench.recover_after_kill(self.scenario, log, end, &stage.plan, terms)
            } else if number == 0 {
                bench.apply(self.scenario, &image, &stage.plan, terms)
            } else {
                bench.recover(self.scenario, &image, &stage.plan, terms)
            };
            let name = match (number, stage.second) {
                (0, _) => "apply",
                (_, true) => "the second state recovers",
                (_, false) => "recover",
            };
            let _ = writeln!(self.text, "\n{name}");
            let end = stage.crash.as_ref().map_or(run.log.entries.len(), |crash| crash.end);
            self.steps(&run, stage, end);
            for entry in &run.log.entries[begin..end] {
                known.learn(self.scenario, entry)?;
            }
            match &stage.crash {
                Some(choice) if stage.killed => {
                    image = materialise(&run.log, Persistence::Kill, choice);
                    self.crash(&run.log, stage);
                    self.tree(&image);
                    killed = Some((run.log, choice.end));
                }
                Some(choice) => {
                    image = materialise(&run.log, self.case.model, choice);
                    if self.case.model == Persistence::Kill {
                        for saved in run.log.saves_waiting(end) {
                            known.learn_save(self.scenario, &saved);
                        }
                    }
                    self.crash(&run.log, stage);
                    self.tree(&image);
                }
                None => {
                    image = run.image.clone();
                    let _ = writeln!(self.text, "  ends: {:?}", run.ending);
                    self.tree(&image);
                    let relocated = stage.plan.relocated.as_ref().map(|(_, moved)| moved);
                    let goes_back = match stage.tampered.as_slice() {
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
                            if stage.plan.is_one_fault() {
                                oracle.after_one_fault(&run, &stage.plan)?;
                            }
                        }
                        (Ending::Failed(_), ..) if !stage.plan.is_quiet() => {}
                        // Judged once both have recovered.
                        _ if is_beside => {
                            known.other_died &= !stage.second;
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
            for tamper in &stage.tampered {
                let _ = writeln!(self.text, "  others: {tamper:?}");
                tamper.apply(&mut image);
            }
            known.learn_tampering(&stage.tampered, &image);
        }
        if is_beside {
            return Ok(());
        }
        let again = bench.recover(self.scenario, &image, &Default::default(), terms);
        let _ = writeln!(self.text, "\nrecover once more");
        self.steps(&again, &Stage::default(), again.log.entries.len());
        for entry in &again.log.entries {
            known.learn(self.scenario, entry)?;
        }
        let ended = self.case.stages.last().is_some_and(|stage| stage.crash.is_none());
        match (self.case.stages.len(), ended) {
            (2.., true) => oracle.after_second_recovery(&again),
            _ => oracle.after_recovery(&again, &known, self.case.model),
        }
    }

    /// Calls that change, sync or fail, with what a user does in between.
    fn steps(&mut self, run: &Run, stage: &Stage, end: usize) {
        for (number, step) in run.steps.iter().enumerate() {
            for (_, edit) in stage.plan.edits.iter().filter(|(call, _)| *call == number) {
                let _ = writeln!(self.text, "  user: {:?} {}", edit.how, edit.path);
            }
            if step.entries_before >= end && stage.crash.is_some() {
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

    fn crash(&mut self, log: &Log, stage: &Stage) {
        let Some(choice) = &stage.crash else { return };
        if self.case.model == Persistence::Kill || stage.killed {
            let half = if choice.survived.is_empty() { "" } else { ", in the middle of a write" };
            let _ = writeln!(self.text, "  killed{half}");
            return;
        }
        let _ = writeln!(self.text, "  power is cut; of what was not synced");
        let unsure = log.unsure(self.case.model, choice.end);
        for at in unsure {
            let Entry::Changed { effect, .. } = &log.entries[at] else { continue };
            let part = choice.survived.iter().find(|(survivor, _)| *survivor == at);
            let fate = match part {
                None => "lost    ",
                Some((_, Part::Whole)) => "kept    ",
                Some((_, Part::Half)) => "torn    ",
                Some((_, Part::Garbage)) => "garbage ",
            };
            let _ = writeln!(self.text, "    {fate} {}", describe(effect, log));
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

fn operation(change: &atomic_fs::Change) -> String {
    use atomic_fs::Operation;
    match &change.operation {
        Operation::Write(_) if change.expected == atomic_fs::Expected::Absent => "created".into(),
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
        Effect::Data { inode, offset, content } => {
            format!("{} bytes at {offset} of inode {inode}", content.len())
        }
        Effect::Size { inode, bytes } => format!("length {bytes} of inode {inode}"),
        Effect::Modified { inode, .. } => format!("time of modification of inode {inode}"),
        Effect::Mode { inode, mode } => format!("mode {mode:o} of inode {inode}"),
        Effect::Owner { inode, owner } => format!("owner {owner:?} of inode {inode}"),
        Effect::Attribute { inode, name, .. } => {
            format!("attribute {} of inode {inode}", String::from_utf8_lossy(name))
        }
    }
}

/// The same history with fewer losses in its last crash, and without interferences that do
/// not matter, as long as it still breaks a promise.
///
/// # Errors
/// When the case names a scenario that does not exist.
pub fn shorten(case: &Case, bench: &Bench) -> miette::Result<Case> {
    let mut best = case.clone();
    if tell(&best, bench)?.broken.is_none() {
        return Ok(best);
    }
    let Some(last) = best.stages.iter().rposition(|stage| stage.crash.is_some()) else {
        return Ok(best);
    };
    if best.model == Persistence::Kill {
        return Ok(best);
    }
    let end = best.stages[last].crash.as_ref().map_or(0, |crash| crash.end);
    for at in 0..end {
        let mut kinder = best.clone();
        if let Some(crash) = &mut kinder.stages[last].crash {
            crash.survived.retain(|(survivor, _)| *survivor != at);
            crash.survived.push((at, Part::Whole));
            crash.survived.sort_unstable_by_key(|(survivor, _)| *survivor);
        }
        if tell(&kinder, bench)?.broken.is_some() {
            best = kinder;
        }
    }
    Ok(best)
}
