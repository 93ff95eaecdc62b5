//! Change sets of 1 to 10,000 files against their peers, and one file of 1 GiB.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use atomic_fs::{
    Change, ChangeSet, ContentSource, Digest, EmptiedDirs, Expected, Fingerprint, Operation,
    Options, Outcome, RelPath, Workspace,
};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use crate::contestants::{ALL, Replacement};
use crate::table::{median, print, shown};

const FILE_BYTES: usize = 8 * 1024;
/// Files, directories, rounds.
const SIZES: [(usize, usize, usize); 5] =
    [(1, 1, 41), (10, 2, 21), (100, 5, 11), (1_000, 40, 7), (10_000, 100, 3)];
const LARGE_BYTES: u64 = 1 << 30;

/// What of the bench is run, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Scope {
    /// Measure only the set of so many files
    #[arg(long)]
    files: Option<usize>,
    /// Measure the file system of this directory, instead of the target folder's
    #[arg(long = "in", value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints a table and, where all of it was measured in the target folder, writes
/// `target/bench/apply.json`.
pub(crate) fn run(root: &Path, scope: &Scope) -> Result<()> {
    if let Some(files) = scope.files.filter(|files| SIZES.iter().all(|size| size.0 != *files)) {
        let known = SIZES.map(|size| size.0.to_string()).join(", ");
        return Err(miette!("{files} files are not measured; one of {known} is"));
    }
    let report_folder = root.join("target/bench");
    let target = scope.folder.clone().unwrap_or_else(|| report_folder.clone());
    for folder in [&report_folder, &target] {
        fs::create_dir_all(folder).into_diagnostic()?;
    }
    let mut report = BTreeMap::new();
    let mut rows = vec![vec![
        "files".to_owned(),
        "contestant".to_owned(),
        "median".to_owned(),
        "greenroom is".to_owned(),
        "tidying".to_owned(),
    ]];
    for (files, dirs, rounds) in SIZES {
        if scope.files.is_some_and(|only| only != files) {
            continue;
        }
        let medians = measure(&target, files, dirs, rounds)?;
        let ours = medians[0].1;
        for (index, (name, answer, tidying)) in medians.iter().enumerate() {
            let ratio = ours.as_secs_f64() / answer.as_secs_f64();
            let ratio_shown = if index == 0 { String::new() } else { format!("{ratio:.2} x") };
            let tidied = if index == 0 { shown(*tidying) } else { String::new() };
            let count = if index == 0 { files.to_string() } else { String::new() };
            rows.push(vec![count, (*name).to_owned(), shown(*answer), ratio_shown, tidied]);
            report.insert(
                format!("{files:05} files, {name}"),
                serde_json::json!({
                    "files": files, "directories": dirs, "rounds": rounds, "contestant": name,
                    "median_ms": answer.as_secs_f64() * 1000.0,
                    "tidying_ms": tidying.as_secs_f64() * 1000.0,
                    "greenroom_ratio": ratio,
                }),
            );
        }
    }
    print(&rows);
    if *scope != Scope::default() {
        return Ok(());
    }
    let json = serde_json::to_string_pretty(&report).into_diagnostic()?;
    fs::write(report_folder.join("apply.json"), json).into_diagnostic()?;
    println!("\nwritten to target/bench/apply.json");
    let own = std::env::current_exe().into_diagnostic()?;
    let status =
        Command::new(own).arg("large-file").current_dir(root).status().into_diagnostic()?;
    if status.success() { Ok(()) } else { Err(miette!("the large file failed")) }
}

/// The median of each contestant over rounds in which all of them take part, so that
/// a slow moment of the machine is everybody's.
fn measure(
    target: &Path,
    files: usize,
    dirs: usize,
    rounds: usize,
) -> Result<Vec<(&'static str, Duration, Duration)>> {
    let replacements: Vec<Replacement> = (0..files)
        .map(|index| Replacement {
            path: PathBuf::from(format!("d{}/f{index}.txt", index % dirs)),
            old: content(index, "old"),
            new: content(index, "new"),
        })
        .collect();
    let mut answers = vec![Vec::new(); ALL.len()];
    let mut tidyings = vec![Vec::new(); ALL.len()];
    // Kept to the end: a file system that discards what is deleted would do so in the
    // next contestant's time.
    let mut folders = Vec::new();
    for round in 0..rounds {
        for turn in 0..ALL.len() {
            let index = (round + turn) % ALL.len();
            let (name, contestant) = ALL[index];
            let folder = tempfile::tempdir_in(target).into_diagnostic()?;
            populate(&folder.path().join("tree"), &replacements)?;
            let spent = contestant(folder.path(), &replacements)
                .wrap_err_with(|| format!("{name} failed on {files} files"))?;
            check(&folder.path().join("tree"), &replacements)
                .wrap_err_with(|| format!("{name} did not replace {files} files"))?;
            answers[index].push(spent.answer);
            tidyings[index].push(spent.tidying);
            folders.push(folder);
        }
    }
    drop(folders);
    sync(target)?;
    Ok(ALL
        .iter()
        .enumerate()
        .map(|(index, (name, _))| {
            (*name, median(&mut answers[index]), median(&mut tidyings[index]))
        })
        .collect())
}

fn content(index: usize, word: &str) -> Vec<u8> {
    let mut text = format!("{word} {index}\n");
    let mut line = 0;
    while text.len() < FILE_BYTES - 40 {
        line += 1;
        text.push_str(&format!("line {line} of file {index}\n"));
    }
    text.into_bytes()
}

fn populate(tree: &Path, files: &[Replacement]) -> Result<()> {
    for file in files {
        let path = tree.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(tree)).into_diagnostic()?;
        fs::write(&path, &file.old).into_diagnostic()?;
    }
    // What the contestants wait for must be their own writes.
    sync(tree)
}

/// Waits until the whole file system that a path lies on is written.
pub(super) fn sync(path: &Path) -> Result<()> {
    let synced = Command::new("sync").arg("-f").arg(path).status().into_diagnostic()?;
    if synced.success() { Ok(()) } else { Err(miette!("sync failed")) }
}

fn check(tree: &Path, files: &[Replacement]) -> Result<()> {
    for file in files {
        if fs::read(tree.join(&file.path)).into_diagnostic()? != file.new {
            return Err(miette!("`{}` holds something else", file.path.display()));
        }
    }
    Ok(())
}

/// Bytes that are made as they are read, so that the measured memory is not theirs.
struct Generated {
    left: u64,
    seed: u8,
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for (index, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = (self.left as usize).wrapping_sub(index).wrapping_mul(31) as u8 ^ self.seed;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

struct LargeContent;

impl ContentSource for LargeContent {
    fn open(&self, _digest: &Digest) -> std::io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Generated { left: LARGE_BYTES, seed: 2 }))
    }
}

/// Replaces one file of 1 GiB and prints the time and the peak memory.
pub(crate) fn run_large_file(root: &Path) -> Result<()> {
    let target = root.join("target/bench");
    fs::create_dir_all(&target).into_diagnostic()?;
    let folder = tempfile::tempdir_in(&target).into_diagnostic()?;
    let (tree, state) = (folder.path().join("tree"), folder.path().join("state"));
    for dir in [&tree, &state] {
        fs::create_dir(dir).into_diagnostic()?;
    }
    let mut file = fs::File::create(tree.join("large")).into_diagnostic()?;
    std::io::copy(&mut Generated { left: LARGE_BYTES, seed: 1 }, &mut file).into_diagnostic()?;
    file.flush().and_then(|()| file.sync_all()).into_diagnostic()?;
    // A file that somebody holds open for writing is busy.
    drop(file);
    let digest = |seed| {
        Digest::of_reader(&mut Generated { left: LARGE_BYTES, seed })
            .map(|(digest, _)| digest)
            .into_diagnostic()
    };
    let base = Fingerprint::file(digest(1)?, LARGE_BYTES, 0o644);
    let staged = Fingerprint::file(digest(2)?, LARGE_BYTES, 0o644);
    let workspace = Workspace::open(&tree, &state, Options::default()).into_diagnostic()?;
    let change = Change {
        path: RelPath::parse(b"large").into_diagnostic()?,
        expected: Expected::Matches(base),
        operation: Operation::Write(staged),
    };
    let set = ChangeSet {
        id: "large".to_owned(),
        changes: vec![change],
        emptied_dirs: EmptiedDirs::default(),
    };
    let begun = Instant::now();
    let lock = workspace.lock().into_diagnostic()?;
    let applied = workspace.apply(&lock, &set, &LargeContent);
    let Outcome::Committed = applied.outcome else { return Err(miette!("{:?}", applied.outcome)) };
    println!("1 GiB in {}, peak memory {} MiB", shown(begun.elapsed()), peak_memory_mib()?);
    Ok(())
}

/// The most memory this process ever held, by Linux's own count.
pub(super) fn peak_memory_mib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").into_diagnostic()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        .map(|kib| kib / 1024)
        .ok_or_else(|| miette!("the system does not tell the peak memory"))
}
