//! Every system call of an apply, failed with each errno that it can give.

use std::fs;
use std::path::Path;
use std::process::Output;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use crate::kill::calls;
use crate::tree;
use crate::trial::{Ending, Trial};
use crate::volume::{Volume, is_installed};

/// One call that is made to fail.
struct Point<'c> {
    name: &'c str,
    errno: &'static str,
    /// strace counts each thread's calls by themselves.
    nth: usize,
}

/// What the exit code says of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Everything was applied.
    Applied,
    /// Nothing was.
    Unchanged,
    /// Recovery decides, or it died before it could say.
    Open,
}

/// Fails the calls one after the other, checks that the exit code says what is on disk, recovers,
/// checks that, and tries again.
pub(super) fn run(greenroom: &Path, volume: &Volume, every: usize) -> Result<()> {
    if !is_installed("strace") || !is_installed("prlimit") {
        println!("{}: errnos skipped, strace or prlimit is not installed", volume.name);
        return Ok(());
    }
    let trial = Trial::new(greenroom, volume)?;
    let calls = calls(&trial, volume)?;
    let log = volume.folder.join("strace.log");
    let log_shown = log.display().to_string();
    let points = calls.iter().flat_map(|(name, count)| {
        errnos(name)
            .iter()
            .flat_map(move |errno| (1..=*count).map(move |nth| Point { name, errno, nth }))
    });
    let (mut tried, mut hit, mut old, mut new) = (0, 0, 0, 0);
    let mut broken = Vec::new();
    for point in points.step_by(every) {
        let Point { name, errno, nth } = point;
        trial.lay()?;
        let (trace, inject) =
            (format!("trace={name}"), format!("inject={name}:error={errno}:when={nth}"));
        let output = trial.apply_traced(&[&log_shown, "-e", &trace, "-e", &inject])?;
        let case = format!("{}: {name} number {nth} failed with {errno}", volume.name);
        tried += 1;
        hit += usize::from(fs::read_to_string(&log).into_diagnostic()?.contains("(INJECTED)"));
        let checked = check(&trial, &output, &case).and_then(|ending| match ending {
            Ending::Old => trial.retry(&case).map(|()| old += 1),
            Ending::New => {
                new += 1;
                Ok(())
            }
        });
        broken.extend(checked.err());
    }
    for report in &broken {
        println!("{report:?}");
    }
    if !broken.is_empty() {
        return Err(miette!(
            "{}: {} of {tried} failures broke a promise",
            volume.name,
            broken.len()
        ));
    }
    if hit < tried * 9 / 10 || old == 0 || new == 0 {
        let why = "too few failures hit the apply";
        return Err(miette!("{}: {why}: {hit} of {tried}, {old} old, {new} new", volume.name));
    }
    println!(
        "{}: {tried} failures, {hit} of them hit: {old} all old, {new} all new, none mixed",
        volume.name
    );
    Ok(())
}

fn check(trial: &Trial<'_>, output: &Output, case: &str) -> Result<Ending> {
    let said = String::from_utf8_lossy(&output.stderr);
    let answer = answer(output);
    // What was reported holds from then on, and not only once somebody has recovered.
    let mut tree = tree::read(&trial.fixture.tree).into_diagnostic()?;
    tree.retain(|path, _| {
        path.file_name().is_none_or(|name| !atomic_fs::is_slot_name(name.as_encoded_bytes()))
    });
    let found = trial.ending_of(&tree);
    let expected = match answer {
        Answer::Applied => Some(Ending::New),
        Answer::Unchanged => Some(Ending::Old),
        Answer::Open => None,
    };
    let code = output.status;
    if expected.is_some() && found != expected {
        return Err(miette!("{case}: {code} with {found:?} files: {said}"));
    }
    let ending = trial.check(case).wrap_err_with(|| said.to_string())?;
    match expected {
        Some(expected) if expected != ending => {
            Err(miette!("{case}: {code}, and after recovery {ending:?} files: {said}"))
        }
        _ => Ok(ending),
    }
}

/// What an exit code says by the documents and the help: 0 is applied, 5 is in doubt, 1 to 4 say
/// that nothing has changed. A process that was killed, or never started, says nothing.
fn answer(output: &Output) -> Answer {
    match output.status.code() {
        Some(0) => Answer::Applied,
        Some(1..=4) => Answer::Unchanged,
        _ => Answer::Open,
    }
}

/// What a call can fail with. Errnos that would be false about a file, such as `ENOENT` for one that
/// is there, are left out.
fn errnos(call: &str) -> &'static [&'static str] {
    match call {
        "open" | "openat" | "openat2" => &["EIO", "EACCES", "EMFILE", "ENOSPC", "EROFS", "EINTR"],
        "read" | "pread64" | "readv" => &["EIO", "EINTR"],
        "write" | "pwrite64" | "writev" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        "fallocate" | "ftruncate" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
            &["EIO", "EACCES", "ENOSPC", "EDQUOT", "EROFS"]
        }
        "unlink" | "unlinkat" | "rmdir" => &["EIO", "EACCES", "EBUSY", "EROFS"],
        "mkdir" | "mkdirat" => &["EIO", "EACCES", "ENOSPC", "EDQUOT", "EROFS"],
        "chmod" | "fchmod" | "fchmodat" | "chown" | "fchown" | "fchownat" => {
            &["EIO", "EPERM", "EROFS"]
        }
        "fsetxattr" | "setxattr" => &["EIO", "EPERM", "ENOSPC", "EDQUOT"],
        "fgetxattr" | "flistxattr" | "getxattr" | "listxattr" => &["EIO"],
        "stat" | "fstat" | "lstat" | "statx" | "newfstatat" | "access" | "readlink"
        | "readlinkat" => &["EIO", "EACCES"],
        "getdents64" => &["EIO"],
        "flock" => &["EINTR", "ENOLCK"],
        "fcntl" => &["EINVAL", "ENOLCK"],
        "mmap" => &["ENOMEM"],
        "dup" | "epoll_create1" | "eventfd2" | "pipe2" | "socketpair" => &["EMFILE"],
        "clone" | "clone3" => &["EAGAIN"],
        _ => &[],
    }
}
