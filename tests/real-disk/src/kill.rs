//! SIGKILL at every system call of an apply.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, miette};

use crate::trial::{Ending, Trial};
use crate::volume::{Volume, is_installed};

/// Kills the binary before each of its system calls in turn, recovers, and checks the files.
pub(super) fn run(greenroom: &Path, volume: &Volume, every: usize) -> Result<()> {
    if !is_installed("strace") || !is_installed("prlimit") {
        println!("{}: kills skipped, strace or prlimit is not installed", volume.name);
        return Ok(());
    }
    let trial = Trial::new(greenroom, volume)?;
    let calls = calls(&trial, volume)?;
    let total: usize = calls.values().sum();
    let points = calls.iter().flat_map(|(name, count)| (1..=*count).map(move |nth| (name, nth)));
    let (mut old, mut new, mut killed, mut tried) = (0, 0, 0, 0);
    for (name, nth) in points.step_by(every) {
        trial.lay()?;
        let inject = format!("inject={name}:signal=KILL:when={nth}");
        let output = trial.apply_traced(&["/dev/null", "-e", &inject])?;
        let case = format!("{}: killed at {name} number {nth}", volume.name);
        tried += 1;
        killed += usize::from(!output.status.success());
        match trial.check(&case)? {
            Ending::Old => {
                old += 1;
                trial.retry(&case)?;
            }
            Ending::New => new += 1,
        }
    }
    if killed < tried * 9 / 10 || old == 0 || new == 0 {
        let why = "too few kills hit the apply";
        return Err(miette!("{}: {why}: {killed} of {tried}, {old} old, {new} new", volume.name));
    }
    println!(
        "{}: {total} system calls, {killed} kills: {old} all old, {new} all new, none mixed",
        volume.name
    );
    Ok(())
}

/// How often an apply makes each system call.
pub(super) fn calls(trial: &Trial<'_>, volume: &Volume) -> Result<BTreeMap<String, usize>> {
    let log = volume.folder.join("strace.log");
    let counted = trial.apply_traced(&[&log.display().to_string()])?;
    if !counted.status.success() {
        let said = String::from_utf8_lossy(&counted.stderr);
        return Err(miette!("{}: the traced apply failed: {said}", volume.name));
    }
    Ok(count(&fs::read_to_string(&log).into_diagnostic()?))
}

/// The same of what strace wrote. It counts an injection for each call's name by itself.
pub(super) fn count(log: &str) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        let rest = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        let name = rest.split_once('(').map_or("", |(name, _)| name);
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_are_counted() {
        let log = "12 execve(\"a\") = 0\n12 read(3,  <unfinished ...>\n13 <... read resumed>) = 1\n\
                   12 --- SIGCHLD ---\n12 +++ exited with 0 +++\n";
        assert_eq!(count(log), [("execve".to_owned(), 1), ("read".to_owned(), 1)].into());
    }
}
