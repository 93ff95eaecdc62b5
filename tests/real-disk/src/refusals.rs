//! Disks that are full, read-only or forbidden, and a directory that vanishes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result, miette};

use crate::ground::{self, Ground};
use crate::tree;
use crate::trial::Place;

const DISK_BYTES: u64 = 16 << 20;
const LARGE_BYTES: usize = 3 << 20;

/// Each way of being refused: an exit code of 1 or 3, nothing changed, the staged content
/// still there, and a retry that works.
pub(super) fn run(greenroom: &Path, ground: &Ground) -> Result<()> {
    if ground.inner.is_empty() {
        immutable(greenroom, ground)?;
        forbidden(greenroom, ground)?;
        vanishing(greenroom, ground)?;
    }
    if ground.name == "the target folder's" {
        match ground::small(&ground.folder, DISK_BYTES) {
            Ok(small) => {
                full(greenroom, &small)?;
                read_only(greenroom, &small, &small.folder)?;
                read_only(greenroom, &small, &ground.folder.join("elsewhere"))?;
            }
            Err(reason) => println!("full and read-only disks: skipped, {reason}"),
        }
    }
    Ok(())
}

/// A workspace of three files, two of them changed and one to be created.
fn staged<'a>(greenroom: &'a Path, ground: &Ground) -> Result<Place<'a>> {
    stage(Place::new(greenroom, ground)?)
}

fn stage(place: Place<'_>) -> Result<Place<'_>> {
    tree::clear(&place.tree).into_diagnostic()?;
    tree::clear(&place.state).into_diagnostic()?;
    for name in ["a", "dir/b"] {
        let file = place.tree.join(name);
        fs::create_dir_all(file.parent().unwrap_or(&place.tree)).into_diagnostic()?;
        fs::write(&file, format!("old {name}\n")).into_diagnostic()?;
    }
    place.propose("a", b"new a\n")?;
    place.propose("dir/b", b"new b\n")?;
    place.propose("dir/c", b"new c\n")?;
    Ok(place)
}

fn check_refused(
    place: &Place<'_>,
    output: &Output,
    before: &tree::Tree,
    case: &str,
) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    if !matches!(output.status.code(), Some(1 | 3)) {
        return Err(miette!("{case}: exit {:?}: {said}", output.status.code()));
    }
    if tree::read(&place.tree).into_diagnostic()? != *before {
        return Err(miette!("{case}: something changed: {said}"));
    }
    let debris = place.debris()?;
    if !debris.is_empty() {
        return Err(miette!("{case}: left behind {debris:?}"));
    }
    let first = said.lines().next().unwrap_or_default();
    println!("{case}: exit {}, nothing changed: {first}", output.status.code().unwrap_or(-1));
    Ok(())
}

fn check_retry(place: &Place<'_>, case: &str) -> Result<()> {
    place.must(&["apply", "--yes"])?;
    match fs::read(place.tree.join("dir/c")).into_diagnostic()? == b"new c\n"
        && place.debris()?.is_empty()
    {
        true => Ok(()),
        false => Err(miette!("{case}: the retry did not apply")),
    }
}

fn full(greenroom: &Path, ground: &Ground) -> Result<()> {
    let case = "full disk";
    let place = staged(greenroom, ground)?;
    place.propose("large", &vec![b'x'; LARGE_BYTES])?;
    let ballast = ground.folder.join("ballast");
    let mut size = DISK_BYTES;
    while size > 4096 {
        // As much as fits: the first tries fail.
        let grown = fs::read(&ballast).map_or(0, |content| content.len()) + size as usize;
        if fs::write(&ballast, vec![0; grown]).is_err() {
            fs::write(&ballast, vec![0; grown - size as usize]).into_diagnostic()?;
            size /= 2;
        }
    }
    // Room for the store and the journal, none for the content.
    let length = fs::metadata(&ballast).into_diagnostic()?.len();
    let file = fs::OpenOptions::new().write(true).open(&ballast).into_diagnostic()?;
    file.set_len(length.saturating_sub(2 << 20)).into_diagnostic()?;
    // What is open keeps its space when it is removed.
    drop(file);
    let before = tree::read(&place.tree).into_diagnostic()?;
    let apply = ["apply", "--yes", "--confirm-full-replace"];
    check_refused(&place, &place.greenroom(&apply)?, &before, case)?;
    fs::remove_file(&ballast).into_diagnostic()?;
    place.must(&apply)?;
    match fs::read(place.tree.join("large")).into_diagnostic()?.len() == LARGE_BYTES {
        true => Ok(()),
        false => Err(miette!("{case}: the retry did not apply")),
    }
}

fn read_only(greenroom: &Path, ground: &Ground, state: &Path) -> Result<()> {
    let case = "read-only disk";
    let place = stage(Place::with_state_in(state, greenroom, ground)?)?;
    let before = tree::read(&place.tree).into_diagnostic()?;
    ground.remount("ro").map_err(|reason| miette!(reason))?;
    let output = place.greenroom(&["apply", "--yes"]);
    ground.remount("rw").map_err(|reason| miette!(reason))?;
    check_refused(&place, &output?, &before, case)?;
    check_retry(&place, case)
}

fn immutable(greenroom: &Path, ground: &Ground) -> Result<()> {
    for (flag, name) in [("i", "immutable"), ("a", "append-only")] {
        let case = format!("{}: {name} file", ground.name);
        let place = staged(greenroom, ground)?;
        let before = tree::read(&place.tree).into_diagnostic()?;
        let file = place.tree.join("dir/b");
        let set = |sign: &str| {
            ground::run(Command::new("chattr").arg(format!("{sign}{flag}")).arg(&file))
        };
        if let Err(reason) = set("+") {
            println!("{case}: skipped, {reason}");
            continue;
        }
        let output = place.greenroom(&["apply", "--yes"]);
        set("-").map_err(|reason| miette!(reason))?;
        check_refused(&place, &output?, &before, &case)?;
        check_retry(&place, &case)?;
    }
    Ok(())
}

/// A directory that the user may not write to; root may write anywhere, so another user
/// takes its place.
fn forbidden(greenroom: &Path, ground: &Ground) -> Result<()> {
    const USER: &str = "65534";
    let case = format!("{}: forbidden directory", ground.name);
    let runner = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"];
    let place = staged(greenroom, ground)?;
    let chown = |path: &Path| {
        ground::run(Command::new("chown").args(["-R", &format!("{USER}:{USER}")]).arg(path))
    };
    // The binary and the workspace must be in that user's reach.
    let reachable = place.command(&runner, &["--version"]).output();
    let owned = chown(&place.tree).and_then(|()| chown(&place.state));
    if owned.is_err() || !reachable.is_ok_and(|output| output.status.success()) {
        println!("{case}: skipped, no other user can run the binary there");
        return Ok(());
    }
    let dir = place.tree.join("dir");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).into_diagnostic()?;
    let before = tree::read(&place.tree).into_diagnostic()?;
    let output = place.command(&runner, &["apply", "--yes"]).output().into_diagnostic()?;
    check_refused(&place, &output, &before, &case)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).into_diagnostic()?;
    let output = place.command(&runner, &["apply", "--yes"]).output().into_diagnostic()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(miette!("{case}: the retry failed")),
    }
}

/// Removes a directory of the set just before its first file is swapped.
fn vanishing(greenroom: &Path, ground: &Ground) -> Result<()> {
    let case = format!("{}: vanishing directory", ground.name);
    if !ground::is_installed("strace") {
        println!("{case}: skipped, strace is not installed");
        return Ok(());
    }
    let place = staged(greenroom, ground)?;
    let runner = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=renameat2",
        "-e",
        "inject=renameat2:delay_enter=1500000:when=1",
    ];
    let apply = place
        .command(&runner, &["apply", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .into_diagnostic()?;
    std::thread::sleep(Duration::from_millis(700));
    fs::remove_dir_all(place.tree.join("dir")).into_diagnostic()?;
    let before = tree::Tree::from([("a".into(), (0o644, Some(b"old a\n".to_vec())))]);
    let output = apply.wait_with_output().into_diagnostic()?;
    check_refused(&place, &output, &before, &case)?;
    // What was in the directory is stale, the rest can be applied.
    place.must(&["discard", "--yes"])?;
    place.propose("a", b"new a\n")?;
    place.must(&["apply", "--yes"])?;
    match fs::read(place.tree.join("a")).into_diagnostic()? == b"new a\n" {
        true => Ok(()),
        false => Err(miette!("{case}: the retry did not apply")),
    }
}
