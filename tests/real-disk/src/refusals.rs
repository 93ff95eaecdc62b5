//! Disks that are full, read-only or forbidden, and a directory that vanishes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use miette::{IntoDiagnostic as _, Result, miette};

use crate::tree;
use crate::trial::Fixture;
use crate::volume::{self, Volume};

const DISK_BYTES: u64 = 16 << 20;
const LARGE_BYTES: usize = 3 << 20;

/// Each way of being refused: an exit code of 1 or 3, nothing changed, the staged content
/// still there, and a retry that works.
pub(super) fn run(greenroom: &Path, volume: &Volume) -> Result<()> {
    if volume.inner.is_empty() {
        immutable(greenroom, volume)?;
        forbidden(greenroom, volume)?;
        vanishing(greenroom, volume)?;
    }
    if volume.name == "the target folder's" {
        match volume::small(&volume.folder, DISK_BYTES) {
            Ok(small) => {
                full(greenroom, &small)?;
                read_only(greenroom, &small, &small.folder)?;
                read_only(greenroom, &small, &volume.folder.join("elsewhere"))?;
            }
            Err(reason) => println!("full and read-only disks: skipped, {reason}"),
        }
    }
    Ok(())
}

/// A workspace of three files, two of them changed and one to be created.
fn staged<'a>(greenroom: &'a Path, volume: &Volume) -> Result<Fixture<'a>> {
    stage(Fixture::new(greenroom, volume)?)
}

fn stage(fixture: Fixture<'_>) -> Result<Fixture<'_>> {
    tree::clear(&fixture.tree).into_diagnostic()?;
    tree::clear(&fixture.state).into_diagnostic()?;
    for name in ["a", "dir/b"] {
        let file = fixture.tree.join(name);
        fs::create_dir_all(file.parent().unwrap_or(&fixture.tree)).into_diagnostic()?;
        fs::write(&file, format!("old {name}\n")).into_diagnostic()?;
    }
    fixture.propose("a", b"new a\n")?;
    fixture.propose("dir/b", b"new b\n")?;
    fixture.propose("dir/c", b"new c\n")?;
    Ok(fixture)
}

fn check_refused(
    fixture: &Fixture<'_>,
    output: &Output,
    before: &tree::Tree,
    case: &str,
) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    if !matches!(output.status.code(), Some(1 | 3)) {
        return Err(miette!("{case}: exit {:?}: {said}", output.status.code()));
    }
    if tree::read(&fixture.tree).into_diagnostic()? != *before {
        return Err(miette!("{case}: something changed: {said}"));
    }
    let debris = fixture.debris()?;
    if !debris.is_empty() {
        return Err(miette!("{case}: left behind {debris:?}"));
    }
    let first = said.lines().next().unwrap_or_default();
    println!("{case}: exit {}, nothing changed: {first}", output.status.code().unwrap_or(-1));
    Ok(())
}

fn check_retry(fixture: &Fixture<'_>, case: &str) -> Result<()> {
    fixture.must(&["apply", "--yes"])?;
    match fs::read(fixture.tree.join("dir/c")).into_diagnostic()? == b"new c\n"
        && fixture.debris()?.is_empty()
    {
        true => Ok(()),
        false => Err(miette!("{case}: the retry did not apply")),
    }
}

fn full(greenroom: &Path, volume: &Volume) -> Result<()> {
    let case = "full disk";
    let fixture = staged(greenroom, volume)?;
    fixture.propose("large", &vec![b'x'; LARGE_BYTES])?;
    let ballast = volume.folder.join("ballast");
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
    let before = tree::read(&fixture.tree).into_diagnostic()?;
    let apply = ["apply", "--yes", "--confirm-full-replace"];
    check_refused(&fixture, &fixture.greenroom(&apply)?, &before, case)?;
    fs::remove_file(&ballast).into_diagnostic()?;
    fixture.must(&apply)?;
    match fs::read(fixture.tree.join("large")).into_diagnostic()?.len() == LARGE_BYTES {
        true => Ok(()),
        false => Err(miette!("{case}: the retry did not apply")),
    }
}

fn read_only(greenroom: &Path, volume: &Volume, state: &Path) -> Result<()> {
    let case = "read-only disk";
    let fixture = stage(Fixture::with_state_in(state, greenroom, volume)?)?;
    let before = tree::read(&fixture.tree).into_diagnostic()?;
    volume.remount("ro").map_err(|reason| miette!(reason))?;
    let output = fixture.greenroom(&["apply", "--yes"]);
    volume.remount("rw").map_err(|reason| miette!(reason))?;
    check_refused(&fixture, &output?, &before, case)?;
    check_retry(&fixture, case)
}

fn immutable(greenroom: &Path, volume: &Volume) -> Result<()> {
    for (flag, name) in [("i", "immutable"), ("a", "append-only")] {
        let case = format!("{}: {name} file", volume.name);
        let fixture = staged(greenroom, volume)?;
        let before = tree::read(&fixture.tree).into_diagnostic()?;
        let file = fixture.tree.join("dir/b");
        let set = |sign: &str| {
            volume::run(Command::new("chattr").arg(format!("{sign}{flag}")).arg(&file))
        };
        if let Err(reason) = set("+") {
            println!("{case}: skipped, {reason}");
            continue;
        }
        let output = fixture.greenroom(&["apply", "--yes"]);
        set("-").map_err(|reason| miette!(reason))?;
        check_refused(&fixture, &output?, &before, &case)?;
        check_retry(&fixture, &case)?;
    }
    Ok(())
}

/// A directory that the user may not write to; root may write anywhere, so another user
/// takes its place.
fn forbidden(greenroom: &Path, volume: &Volume) -> Result<()> {
    const USER: &str = "65534";
    let case = format!("{}: forbidden directory", volume.name);
    let runner = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"];
    let fixture = staged(greenroom, volume)?;
    let chown = |path: &Path| {
        volume::run(Command::new("chown").args(["-R", &format!("{USER}:{USER}")]).arg(path))
    };
    // The binary and the workspace must be in that user's reach.
    let reachable = fixture.command(&runner, &["--version"]).output();
    let owned = chown(&fixture.tree).and_then(|()| chown(&fixture.state));
    if owned.is_err() || !reachable.is_ok_and(|output| output.status.success()) {
        println!("{case}: skipped, no other user can run the binary there");
        return Ok(());
    }
    let dir = fixture.tree.join("dir");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).into_diagnostic()?;
    let before = tree::read(&fixture.tree).into_diagnostic()?;
    let output = fixture.command(&runner, &["apply", "--yes"]).output().into_diagnostic()?;
    check_refused(&fixture, &output, &before, &case)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).into_diagnostic()?;
    let output = fixture.command(&runner, &["apply", "--yes"]).output().into_diagnostic()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(miette!("{case}: the retry failed")),
    }
}

/// Removes a directory of the set just before its first file is swapped.
fn vanishing(greenroom: &Path, volume: &Volume) -> Result<()> {
    let case = format!("{}: vanishing directory", volume.name);
    if !volume::is_installed("strace") {
        println!("{case}: skipped, strace is not installed");
        return Ok(());
    }
    let fixture = staged(greenroom, volume)?;
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
    let apply = fixture
        .command(&runner, &["apply", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .into_diagnostic()?;
    std::thread::sleep(Duration::from_millis(700));
    fs::remove_dir_all(fixture.tree.join("dir")).into_diagnostic()?;
    let before = tree::Tree::from([("a".into(), (0o644, Some(b"old a\n".to_vec())))]);
    let output = apply.wait_with_output().into_diagnostic()?;
    check_refused(&fixture, &output, &before, &case)?;
    // What was in the directory is stale, the rest can be applied.
    fixture.must(&["discard", "--yes"])?;
    fixture.propose("a", b"new a\n")?;
    fixture.must(&["apply", "--yes"])?;
    match fs::read(fixture.tree.join("a")).into_diagnostic()? == b"new a\n" {
        true => Ok(()),
        false => Err(miette!("{case}: the retry did not apply")),
    }
}
