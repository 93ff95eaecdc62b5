//! Every system call of an apply, failed with each errno that it can give.

use std::fs;
use std::path::Path;
use std::process::Output;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use crate::ground::{Ground, is_installed};
use crate::kill::calls;
use crate::tree;
use crate::trial::{Ending, Trial};

/// One call that is made to fail.
struct Point<'c> {
    name: &'c str,
    errno: &'static str,
    /// strace counts each thread's calls by themselves.
    nth: usize,
}

/// What the command's end says of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Everything was applied.
    Applied,
    /// Nothing was.
    Unchanged,
    /// Recovery decides, or it died before it could say.
    Open,
}

/// Fails the calls one after the other, looks whether the exit code says what is on disk,
/// recovers, judges, and tries again.
pub(super) fn run(greenroom: &Path, ground: &Ground, every: usize) -> Result<()> {
    if !is_installed("strace") || !is_installed("prlimit") {
        println!("{}: errnos skipped, strace or prlimit is not installed", ground.name);
        return Ok(());
    }
    let trial = Trial::new(greenroom, ground)?;
    let calls = calls(&trial, ground)?;
    let log = ground.folder.join("strace.log");
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
        let case = format!("{}: {name} number {nth} failed with {errno}", ground.name);
        tried += 1;
        hit += usize::from(fs::read_to_string(&log).into_diagnostic()?.contains("(INJECTED)"));
        let judged = judge(&trial, &output, &case).and_then(|ending| match ending {
            Ending::Old => trial.retry(&case).map(|()| old += 1),
            Ending::New => {
                new += 1;
                Ok(())
            }
        });
        broken.extend(judged.err());
    }
    for report in &broken {
        println!("{report:?}");
    }
    if !broken.is_empty() {
        return Err(miette!("{}: {} of {tried} broke a promise", ground.name, broken.len()));
    }
    if hit < tried * 9 / 10 || old == 0 || new == 0 {
        let why = "the failures did not meet the apply";
        return Err(miette!("{}: {why}: {hit} of {tried}, {old} old, {new} new", ground.name));
    }
    println!(
        "{}: {tried} calls failed, {hit} met: {old} all old, {new} all new, none mixed",
        ground.name
    );
    Ok(())
}

fn judge(trial: &Trial<'_>, output: &Output, case: &str) -> Result<Ending> {
    let said = String::from_utf8_lossy(&output.stderr);
    let answer = answer(output);
    // What was said holds from then on, and not only once somebody has recovered.
    let mut tree = tree::read(&trial.place.tree).into_diagnostic()?;
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
    let ending = trial.judge(case).wrap_err_with(|| said.to_string())?;
    match expected {
        Some(expected) if expected != ending => {
            Err(miette!("{case}: {code}, and after recovery {ending:?} files: {said}"))
        }
        _ => Ok(ending),
    }
}

/// What an end says, by the exit codes of docs and help: 0 is applied, 5 is in doubt, 1 to 4
/// say that nothing has changed. A process that was ended, or never begun, has said nothing.
fn answer(output: &Output) -> Answer {
    match output.status.code() {
        Some(0) => Answer::Applied,
        Some(1..=4) => Answer::Unchanged,
        _ => Answer::Open,
    }
}

/// What a call can fail with. Errnos that would say something of the files that is not so,
/// such as `ENOENT` for one that is there, are not among them.
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
